//! What a client says to sign in (RFC 4954): user and password, encoded.

use data_encoding::BASE64;

/// User and password of `AUTH PLAIN` (RFC 4616).
pub(crate) fn plain(response: &str) -> Option<(String, String)> {
    let text = decode(response)?;
    let mut parts = text.split('\0').skip(1); // first whom to act as, which nobody asks for
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

/// User and password of `AUTH LOGIN`.
pub(crate) fn pair(user: &str, password: &str) -> Option<(String, String)> {
    Some((decode(user)?, decode(password)?))
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(text.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn responses_are_decoded_or_refused() {
        let expected = Some(("ada".to_owned(), "secret".to_owned()));
        assert_eq!(super::plain("AGFkYQBzZWNyZXQ="), expected);
        assert_eq!(super::pair("YWRh", "c2VjcmV0"), expected);
        assert_eq!(super::plain("no base64"), None);
        assert_eq!(super::plain("YWRh"), None);
    }
}
