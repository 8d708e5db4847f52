//! OpenPGP public keys, as far as apt's `Signed-By` needs them (RFC 9580).
//!
//! A key is accepted by its fingerprint, which is computed here from the key's
//! own bytes. What is put on a host is written from the parsed packets, never
//! from the text that was given: nothing can ride along beside the key whose
//! fingerprint was pinned.

use base64::{Engine, engine::general_purpose::STANDARD};

/// One or more public keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyring {
    packets: Vec<u8>,
    /// The fingerprints of the primary keys: 40 (version 4) or 64 (version 6)
    /// upper-case hexadecimal digits.
    pub(super) fingerprints: Vec<String>,
}

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

impl Keyring {
    /// Reads keys, ASCII-armored or binary.
    ///
    /// # Errors
    /// A sentence: not a key, a private key, damaged, or of a version that
    /// has no usable fingerprint.
    pub(super) fn parse(bytes: &[u8]) -> Result<Keyring, String> {
        let packets = match std::str::from_utf8(bytes) {
            Ok(text) => dearmor(text)?,
            Err(_) => bytes.to_vec(),
        };
        let mut fingerprints = Vec::new();
        let mut rest = packets.as_slice();
        while !rest.is_empty() {
            let (tag, body, after) = packet(rest).ok_or("it is damaged: a packet is longer than the file")?;
            rest = after;
            match tag {
                PUBLIC_KEY => fingerprints.push(fingerprint(body)?),
                5 | 7 => return Err("it holds a private key: export the public one (gpg --export)".to_owned()),
                // Signatures, user ids, subkeys, user attributes; trust and padding carry nothing.
                2 | 12 | 13 | 14 | 17 | 21 if !fingerprints.is_empty() => {}
                _ => return Err("it is not an OpenPGP public key".to_owned()),
            }
        }
        if fingerprints.is_empty() {
            return Err("there is no key in it".to_owned());
        }
        Ok(Keyring { packets, fingerprints })
    }

    /// The keys in ASCII armor.
    pub(super) fn armored(&self) -> String {
        let encoded = STANDARD.encode(&self.packets);
        let mut text = format!("{BEGIN}\n\n");
        for chunk in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(chunk));
            text.push('\n');
        }
        let sum = crc24(&self.packets).to_be_bytes();
        text.push_str(&format!("={}\n{END}\n", STANDARD.encode(&sum[1..])));
        text
    }
}

const PUBLIC_KEY: u8 = 6;

/// The bytes in ASCII armor (RFC 9580, 6.2). Exactly one block: programs differ
/// in what they make of several.
fn dearmor(text: &str) -> Result<Vec<u8>, String> {
    if text.contains("-----BEGIN PGP PRIVATE KEY BLOCK-----") {
        return Err("it holds a private key: export the public one (gpg --armor --export)".to_owned());
    }
    let blocks = text.lines().filter(|line| line.trim_end() == BEGIN).count();
    if blocks > 1 {
        return Err("it holds several armored blocks, of which apt would read only one: \
             bring the keys into one (cat FILE | gpg --dearmor | gpg --enarmor, or one step a key)"
            .to_owned());
    }
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| *line != BEGIN).skip(1);
    if blocks == 0 {
        return Err("it is not an OpenPGP public key".to_owned());
    }
    let mut encoded = String::new();
    let mut sum = None;
    let mut in_headers = true;
    let mut ended = false;
    for line in lines.by_ref() {
        if in_headers && (line.is_empty() || line.contains(": ")) {
            in_headers = !line.is_empty();
        } else if line == END {
            ended = true;
            break;
        } else if let Some(text) = line.strip_prefix('=') {
            sum = Some(text.to_owned());
        } else {
            in_headers = false;
            encoded.push_str(line);
        }
    }
    let bytes = STANDARD.decode(encoded).map_err(|error| format!("it is damaged: {error}"))?;
    let sum_is_right =
        sum.is_none_or(|text| STANDARD.decode(text).is_ok_and(|sum| sum == crc24(&bytes).to_be_bytes()[1..]));
    if !ended || !sum_is_right {
        return Err("it is damaged: its end is missing or its checksum is wrong".to_owned());
    }
    Ok(bytes)
}

/// The checksum of ASCII armor (RFC 9580, 6.1.1).
fn crc24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x00B7_04CE, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 16), |sum, _| {
            let next = sum << 1;
            if next & 0x0100_0000 == 0 { next } else { next ^ 0x0186_4CFB }
        })
    })
}

/// Splits off the first packet (RFC 9580, 4.2): its tag, its body, the rest.
/// None for a length that ends beyond the bytes or is of a partial kind, which
/// keys do not have.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let number = |bytes: &[u8]| bytes.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
    let (tag, header, length) = match first {
        0xC0.. => {
            let lead = *rest.first()?;
            let (header, length) = match lead {
                0..=191 => (1, usize::from(lead)),
                192..=223 => (2, ((usize::from(lead) - 192) << 8) + usize::from(*rest.get(1)?) + 192),
                224..=254 => return None,
                255 => (5, number(rest.get(1..5)?)),
            };
            (first & 0x3F, header, length)
        }
        0x80..=0xBF => {
            let header = match first & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return None,
            };
            ((first >> 2) & 0x0F, header, number(rest.get(..header)?))
        }
        _ => return None,
    };
    let end = header.checked_add(length)?;
    Some((tag, rest.get(header..end)?, rest.get(end..)?))
}

/// The fingerprint of a public key packet (RFC 9580, 5.5.4).
fn fingerprint(body: &[u8]) -> Result<String, String> {
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let length = u32::try_from(body.len()).map_err(|_| "it is too large for a key".to_owned())?.to_be_bytes();
    match body.first() {
        Some(4) if body.len() <= 0xFFFF => Ok(hex(&openssl::sha::sha1(&[&[0x99], &length[2..], body].concat()))),
        Some(6) => Ok(hex(&openssl::sha::sha256(&[&[0x9B], &length[..], body].concat()))),
        Some(version) => Err(format!("it is a key of version {version}, which apt does not take")),
        None => Err("it is damaged: a key without content".to_owned()),
    }
}

/// A fingerprint as people write it: blanks and a leading `0x` are dropped.
///
/// # Errors
/// A sentence, if it is not a whole fingerprint.
pub(super) fn parse_fingerprint(text: &str) -> Result<String, String> {
    let digits: String = text.split_whitespace().collect::<String>().to_ascii_uppercase();
    let digits = digits.strip_prefix("0X").unwrap_or(&digits);
    if matches!(digits.len(), 40 | 64) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(digits.to_owned());
    }
    Err(format!(
        "'{}' is not a whole fingerprint of 40 hexadecimal digits (a short key id can be forged)",
        text.escape_debug()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "keyring_tests.rs"]
mod tests;
