//! base64url as RFC 7515 defines it: no padding, no other letters, no bits
//! left over, so that a byte string has one spelling.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes; none if the text is not the one spelling of some bytes.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_decodes() {
        assert_eq!(decode("Zm9v"), Some(b"foo".to_vec()));
        assert_eq!(decode("Zg"), Some(b"f".to_vec()));
        for text in ["Zg==", "Zh", "Zm9v\n", " Zm9v", "Z", "+/+/", "Zm 9v", "Zm9v="] {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert_eq!(decode("Zm8"), Some(b"fo".to_vec()));
        assert_eq!(decode("Zm9"), None, "trailing bits are not zero");
    }
}
