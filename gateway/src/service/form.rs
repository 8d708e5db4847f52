//! Bodies of `application/x-www-form-urlencoded`, read strictly (RFC 6749
//! appendix B): every key once, nothing that could be read in two ways.

use std::collections::HashMap;

use secrecy::{ExposeSecret as _, SecretString};

use crate::percent;

/// The largest body, in bytes.
pub const LARGEST_FORM: usize = 8 << 10;
/// The most pairs.
const MOST_PAIRS: usize = 32;

/// The pairs of a form; values may be tokens.
pub(super) struct Form(HashMap<String, SecretString>);

impl Form {
    /// Reads a body; the error is a sentence for the client, without any value.
    pub(super) fn parse(body: &[u8]) -> Result<Form, &'static str> {
        if body.len() > LARGEST_FORM {
            return Err("the form is too large");
        }
        let text = std::str::from_utf8(body).map_err(|_| "the form is not UTF-8")?;
        let mut pairs = HashMap::new();
        for pair in text.split('&').filter(|_| !text.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or("the form has a key without a value")?;
            let key = decode(key).ok_or("the form is not percent-encoded correctly")?;
            let value = decode(value).ok_or("the form is not percent-encoded correctly")?;
            if key.is_empty() {
                return Err("the form has an empty key");
            }
            if pairs.len() == MOST_PAIRS {
                return Err("the form has too many parameters");
            }
            if pairs.insert(key, SecretString::from(value)).is_some() {
                return Err("a parameter is given twice");
            }
        }
        Ok(Form(pairs))
    }

    /// A parameter; one without a value counts as absent (RFC 6749 §3.2).
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.expose_secret()).filter(|value| !value.is_empty())
    }
}

/// Decodes; what is neither encoded nor a plain character of a form is refused.
fn decode(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"=&;#?".contains(&byte);
    percent::decode_form(text, plain).filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read() {
        let form = Form::parse(b"grant_type=refresh_token&refresh_token=sgr_a%2Db+c&scope=").unwrap();
        assert_eq!(form.get("grant_type"), Some("refresh_token"));
        assert_eq!(form.get("refresh_token"), Some("sgr_a-b c"));
        assert_eq!(form.get("scope"), None);
        assert_eq!(Form::parse(b"").unwrap().get("grant_type"), None);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for wrong in [
            "a=1&a=2",
            "a=1&%61=2",
            "a",
            "a=1&",
            "&a=1",
            "=1",
            "a==1",
            "a=1;b=2",
            "a=%",
            "a=%4",
            "a=%zz",
            "a=%00",
            "a=%0d%0a",
            "a=1\r\n",
            "a=\u{e9}",
            "a=%ff",
            "a=%+1",
            "{\"a\":1}",
            " a=1",
        ] {
            assert!(Form::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Form::parse(b"a=\xff").is_err());
        assert!(Form::parse(format!("a={}", "x".repeat(LARGEST_FORM)).as_bytes()).is_err());
        let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(many.as_bytes()).is_err());
    }
}
