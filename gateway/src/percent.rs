//! Percent-encoding (RFC 3986, 2.1), as queries and forms have it.

/// Decodes `%XX`, and `+` as a space; none where an encoding is broken, a byte
/// that stands for itself is not one of `plain`, or the text is no UTF-8.
pub fn decode_form(text: &str, plain: impl Fn(u8) -> bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte if plain(byte) => byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Encodes all but unreserved characters and those in `besides`, onto the end
/// of `out`.
pub fn encode(text: &str, besides: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(c) || (byte.is_ascii() && besides.contains(c)) {
            out.push(c);
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let text = "a b/c\u{e9}\n%+;=&\u{0}~";
        let mut encoded = String::new();
        encode(text, "/", &mut encoded);
        assert_eq!(encoded, "a%20b/c%C3%A9%0A%25%2B%3B%3D%26%00~");
        assert_eq!(decode_form(&encoded, |_| true).as_deref(), Some(text));
        assert_eq!(decode_form("a+b", |_| true).as_deref(), Some("a b"));
    }

    #[test]
    fn what_is_not_an_encoding_is_not_decoded() {
        for wrong in ["%", "%4", "%zz", "%+1", "%ff", "a;b"] {
            assert_eq!(decode_form(wrong, |b| b != b';'), None, "{wrong}");
        }
    }
}
