//! What holds for every request and every answer: whose site a form was on, and which headers go out.

use crate::App;
use crate::error::PageError;
use crate::pages::api::ApiError;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// No code and no style in pages, nothing from elsewhere. `data:` is for the pictures in Tabler's stylesheet,
/// frames for the preview of a message.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer; a handler's own stand.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
];

/// Puts the headers on every answer, whatever made it.
pub(crate) async fn headers(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if app.secure_cookies {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Refuses what another site's page sent. A client that is no browser says neither, and has no cookie to steal.
pub(crate) async fn same_site(State(app): State<App>, request: Request, next: Next) -> Response {
    let asks = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if asks || is_ours(request.headers(), &app.public_url) {
        next.run(request).await
    } else {
        answered(request.uri().path(), PageError::Forged)
    }
}

/// Why not, as a page or, for programs, as JSON.
fn answered(path: &str, error: PageError) -> Response {
    if path.starts_with("/api/") { ApiError::from(error).into_response() } else { error.into_response() }
}

fn is_ours(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    if origin == public_url {
        return true;
    }
    // By its own address too, on the machine itself. Any other name may be another's that leads here.
    let Some((_, host)) = origin.split_once("://") else { return false };
    is_loopback(host) && text(header::HOST) == Some(host)
}

/// Whether `host`, with or without a port, names this machine and nothing else.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, _)) => name,
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_anothers_that_leads_here_is_not_ours() {
        for (host, ours) in [
            ("127.0.0.1:8025", true),
            ("localhost:8025", true),
            ("[::1]:8025", true),
            ("rebinds.example:8025", false),
            ("127.0.0.1.rebinds.example", false),
            ("localhost.rebinds.example", false),
            ("192.0.2.7:8025", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            headers.insert(header::ORIGIN, format!("http://{host}").parse().unwrap());
            assert_eq!(is_ours(&headers, "https://mail.example"), ours, "{host}");
        }
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        for (site, origin, ours) in [
            (None, None, true),
            (Some("same-origin"), Some("https://mail.example"), true),
            (Some("none"), None, true),
            (Some("cross-site"), Some("https://mail.example"), false),
            (Some("same-site"), Some("https://other.mail.example"), false),
            (None, Some("https://mail.example"), true),
            (None, Some("http://127.0.0.1:8025"), true),
            (None, Some("https://evil.example"), false),
            (None, Some("null"), false),
            (None, Some("https://mail.example.evil.example"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8025"));
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_ours(&headers, "https://mail.example"), ours, "{site:?} {origin:?}");
        }
    }
}
