//! `/assets`: stylesheets, scripts and pictures, built into the program and named by their hash.
//!
//! A new content is a new address, so a browser may keep what it has for good. `build.rs` makes the list.

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Where the assets hang in the table of addresses.
pub(crate) const ROUTE: &str = "/assets/{file}";

/// One file that pages ask for.
struct Asset {
    /// What templates call it: `app.css`.
    name: &'static str,
    /// Where browsers find it: `/assets/app.1f0c93ab.css`.
    path: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

/// All of them, in the order of their names.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The address of the asset that templates call `name`, hash included.
///
/// A name that does not exist gives an address that answers 404; a test finds such names in the templates.
pub(crate) fn url(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("/assets/unknown", |asset| asset.path)
}

/// Answers with an asset, compressed where the browser can read that.
pub(crate) async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let wanted = |asset: &&Asset| asset.path.strip_prefix("/assets/") == Some(&file);
    let Some(asset) = ASSETS.iter().find(wanted) else {
        return (StatusCode::NOT_FOUND, "There is no such file.\n").into_response();
    };
    let mut response = if accepts_gzip(&headers) {
        ([(header::CONTENT_ENCODING, "gzip")], asset.gzip).into_response()
    } else {
        asset.plain.into_response()
    };
    for (name, value) in [
        (header::CONTENT_TYPE, content_type(asset.name)),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the browser names gzip among the encodings it reads, and does not weigh it with nought (RFC 9110 §12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|choice| {
        let (coding, weight) = choice.split_once(';').unwrap_or((choice, "q=1"));
        let refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).is_some_and(|q: f32| q <= 0.0);
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// Where the stylesheets are, in the order in which a page names them: for pages that others serve beside ours.
#[must_use]
pub fn stylesheets() -> Vec<String> {
    ["tabler.css", "app.css"].map(|name| url(name).to_owned()).to_vec()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    async fn get(path: &str, encodings: Option<&'static str>) -> Response {
        let file = path.strip_prefix("/assets/").unwrap().to_owned();
        let mut headers = HeaderMap::new();
        if let Some(encodings) = encodings {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings));
        }
        serve(Path(file), headers).await
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn every_asset_is_found_where_pages_look_for_it() {
        for (name, kind, start) in [
            ("app.css", "text/css; charset=utf-8", "/* Rebound"),
            ("app.js", "text/javascript; charset=utf-8", "//"),
            ("icon.svg", "image/svg+xml", "<svg"),
            ("htmx.js", "text/javascript; charset=utf-8", "var htmx"),
            ("htmx-sse.js", "text/javascript; charset=utf-8", "("),
            ("tabler.css", "text/css; charset=utf-8", ""),
            ("uplot.css", "text/css; charset=utf-8", ".uplot"),
            ("uplot.js", "text/javascript; charset=utf-8", ""),
        ] {
            let response = get(url(name), None).await;
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], kind, "{name}");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            let body = String::from_utf8(body(response).await).unwrap();
            assert!(body.starts_with(start) && body.len() > 100, "{name}: {:?}", body.get(..40));
        }
    }

    #[tokio::test]
    async fn a_name_that_nobody_gave_is_not_found() {
        for path in [url("nothing.css"), "/assets/app.css", "/assets/app.00000000.css", "/assets/../Cargo.toml"] {
            assert_eq!(get(path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn only_those_who_read_gzip_are_sent_gzip() {
        for (encodings, compressed) in [
            (None, false),
            (Some("gzip, deflate, br"), true),
            (Some("br;q=1.0, GZIP;q=0.5"), true),
            (Some("gzip;q=0, identity"), false),
            (Some("gzip;q=0.000"), false),
            (Some("x-gzip-like"), false),
        ] {
            let response = get(url("tabler.css"), encodings).await;
            assert_eq!(response.headers()[header::VARY], "accept-encoding");
            assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), compressed, "{encodings:?}");
            assert_eq!(body(response).await.starts_with(b"\x1f\x8b"), compressed, "{encodings:?}");
        }
    }

    #[test]
    fn templates_name_assets_that_exist() {
        let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/templates"))];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                for name in text.split("assets::url(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                    assert_ne!(url(name), url(""), "{}: {name}", path.display());
                }
            }
        }
    }
}
