//! SSH public keys that may be put into an `authorized_keys` file.
//!
//! A [`PublicKey`] that exists is one key of a sort worth trusting. It is
//! written back from its parsed form (type, base64 of the blob, cleaned
//! comment), never from the text it came from: what the text smuggled besides
//! the key is gone. Formats: sshd(8) AUTHORIZED_KEYS FILE FORMAT, RFC 4253
//! 6.6, RFC 5656 3.1, RFC 8709, OpenSSH PROTOCOL.u2f.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{fmt, str::FromStr};

/// The least size of an RSA modulus, in bits (NIST SP 800-57: 128 bits of strength).
pub const MIN_RSA_BITS: usize = 3072;

/// An SSH public key of an accepted type and size.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: &'static str,
    blob: Vec<u8>,
    comment: String,
}

/// Why a text is not such a key. Holds nothing of a private key that was
/// given by mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum InvalidKey {
    #[error("a public key is expected here, but there is no text")]
    Empty,
    #[error("this is a private key! Give the public half (the .pub file), and treat the private key as exposed")]
    Private,
    #[error("a public key is one line; this has a second one (give each key by itself)")]
    SecondLine,
    #[error("the key has a control character in it")]
    Control,
    #[error("options are not allowed before a key here; use the field 'options' of an 'authorized_keys' step")]
    Options,
    #[error("'{}' is not a known type of public key", .0.escape_debug())]
    UnknownType(String),
    #[error("'{0}' is a certificate; certificates are not put into authorized_keys")]
    Certificate(String),
    #[error("this is a DSA key: its 1024 bits can be broken and OpenSSH has removed it; make an ed25519 key")]
    Dsa,
    #[error("this RSA key has {0} bits; at least {MIN_RSA_BITS} are needed (or make an ed25519 key)")]
    WeakRsa(usize),
    #[error("the key is damaged: {0}")]
    Damaged(String),
}

const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl PublicKey {
    /// The key's type, e.g. `ssh-ed25519`.
    pub fn algorithm(&self) -> &str {
        self.algorithm
    }

    /// The key in its wire format; two keys are the same key if this is equal.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The size of an RSA key's modulus in bits; none of another type.
    pub fn rsa_bits(&self) -> Option<usize> {
        let modulus = *fields(&self.blob)?.get(2).filter(|_| self.algorithm == "ssh-rsa")?;
        Some(bits(modulus))
    }

    /// The comment; may be empty.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }
}

/// The SHA-256 fingerprint of a key's wire format, as `ssh-keygen -l` prints it.
pub fn fingerprint(blob: &[u8]) -> String {
    sshkeys::Fingerprint::compute(sshkeys::FingerprintKind::Sha256, blob).to_string()
}

/// Whether a word is a type of key as sshd(8) knows it (usable here or not):
/// such a word begins a key, any other begins options.
pub fn is_key_type(word: &str) -> bool {
    TYPES.contains(&word) || word == "ssh-dss" || word.contains("-cert-v01@openssh.com")
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<PublicKey, InvalidKey> {
        if text.contains("PRIVATE KEY") || text.contains("PuTTY-User-Key-File") {
            return Err(InvalidKey::Private);
        }
        let line = text.trim();
        if line.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if line.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            return Err(InvalidKey::SecondLine);
        }
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(InvalidKey::Control);
        }
        let mut words = line.splitn(2, [' ', '\t']);
        let name = words.next().unwrap_or_default();
        let rest = words.next().unwrap_or_default().trim_start();
        let algorithm = accepted_type(name, rest)?;
        let (data, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let blob = parse_blob(algorithm, data)?;
        Ok(PublicKey { algorithm, blob, comment: clean_comment(comment) })
    }
}

fn accepted_type(name: &str, rest: &str) -> Result<&'static str, InvalidKey> {
    if let Some(known) = TYPES.iter().find(|known| **known == name) {
        return Ok(known);
    }
    if name == "ssh-dss" {
        return Err(InvalidKey::Dsa);
    }
    if is_key_type(name) {
        return Err(InvalidKey::Certificate(name.to_owned()));
    }
    if rest.split([' ', '\t']).any(is_key_type) {
        return Err(InvalidKey::Options);
    }
    Err(InvalidKey::UnknownType(name.chars().take(60).collect()))
}

/// Decodes and checks the base64 word of a key.
fn parse_blob(algorithm: &'static str, data: &str) -> Result<Vec<u8>, InvalidKey> {
    let damaged = |why: &str| InvalidKey::Damaged(why.to_owned());
    let blob = BASE64.decode(data).map_err(|why| InvalidKey::Damaged(format!("its base64 is wrong ({why})")))?;
    // sshkeys 0.3.4 panics on an empty number, ignores what follows the key and
    // does not look at lengths: the form is checked before it and compared after.
    let fields = fields(&blob).ok_or_else(|| damaged("it is cut off or has wrong lengths"))?;
    check_fields(algorithm, &fields)?;
    let parsed = sshkeys::PublicKey::from_string(&format!("{algorithm} {}", BASE64.encode(&blob)))
        .map_err(|why| InvalidKey::Damaged(why.to_string()))?;
    if parsed.key_type.name != algorithm || parsed.encode() != blob {
        return Err(damaged("it is not in its canonical form"));
    }
    Ok(blob)
}

/// The length-prefixed strings of a blob (RFC 4251, 5); none if they do not add up.
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

/// Checks number, lengths and strength of the fields that a type has.
fn check_fields(algorithm: &str, fields: &[&[u8]]) -> Result<(), InvalidKey> {
    let damaged = |why: &str| Err(InvalidKey::Damaged(why.to_owned()));
    let Some((name, fields)) = fields.split_first() else { return damaged("it is empty") };
    if *name != algorithm.as_bytes() {
        return damaged("the type before it and the type in it differ");
    }
    match (algorithm, fields) {
        ("ssh-rsa", [exponent, modulus]) => check_rsa(exponent, modulus),
        ("ssh-ed25519", [point]) | ("sk-ssh-ed25519@openssh.com", [point, _]) if point.len() == 32 => {
            check_application(fields)
        }
        (_, [curve, point, application @ ..]) if algorithm.contains("ecdsa") => {
            let (wanted, length) = match algorithm {
                "ecdsa-sha2-nistp384" => ("nistp384", 97),
                "ecdsa-sha2-nistp521" => ("nistp521", 133),
                _ => ("nistp256", 65),
            };
            // An uncompressed point (SEC 1, 2.3.3).
            if *curve != wanted.as_bytes() || point.len() != length || point.first() != Some(&4) {
                return damaged("its curve and its point do not fit its type");
            }
            if application.len() != usize::from(algorithm.starts_with("sk-")) {
                return damaged("it has too few or too many fields");
            }
            application.first().map_or(Ok(()), |name| check_utf8(name))
        }
        _ => damaged("it has too few or too many fields, or a field of a wrong length"),
    }
}

fn check_application(fields: &[&[u8]]) -> Result<(), InvalidKey> {
    fields.get(1).map_or(Ok(()), |name| check_utf8(name))
}

fn check_utf8(name: &[u8]) -> Result<(), InvalidKey> {
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() => Ok(()),
        _ => Err(InvalidKey::Damaged("the application it is for is not a text".to_owned())),
    }
}

fn check_rsa(exponent: &[u8], modulus: &[u8]) -> Result<(), InvalidKey> {
    let damaged = |why: &str| Err(InvalidKey::Damaged(why.to_owned()));
    for number in [exponent, modulus] {
        match number {
            [] => return damaged("a number in it is empty"),
            [first, ..] if *first >= 0x80 => return damaged("a number in it is negative"),
            [0, second, ..] if *second >= 0x80 => {}
            [0, ..] => return damaged("a number in it has needless zeros"),
            _ => {}
        }
    }
    let bits = bits(modulus);
    if bits < MIN_RSA_BITS {
        return Err(InvalidKey::WeakRsa(bits));
    }
    if bits > 16_384 {
        return damaged("OpenSSH takes at most 16384 bits");
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if exponent == [1] || !odd(exponent) || !odd(modulus) {
        return damaged("its numbers cannot be those of an RSA key");
    }
    Ok(())
}

/// The length of a number of the wire format (RFC 4251, `mpint`).
fn bits(number: &[u8]) -> usize {
    let magnitude = number.strip_prefix(&[0]).unwrap_or(number);
    magnitude.len() * 8 - magnitude.first().map_or(0, |byte| byte.leading_zeros() as usize)
}

/// A comment as it is written: one line of visible text.
fn clean_comment(comment: &str) -> String {
    // Format characters (bidirectional overrides and the like) could make a
    // line read as another one.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let visible: String = comment.chars().map(|c| if hidden(c) { ' ' } else { c }).take(200).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for PublicKey {
    /// The line for `authorized_keys`, without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, BASE64.encode(&self.blob))?;
        if self.comment.is_empty() { Ok(()) } else { write!(f, " {}", self.comment) }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {} {:?})", self.algorithm, self.fingerprint(), self.comment)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
#[path = "public_key_tests.rs"]
mod tests;
