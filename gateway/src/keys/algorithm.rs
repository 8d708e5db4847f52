//! The short list of approved signature algorithms (RFC 7518, RFC 8037).

use std::fmt;

/// An approved algorithm. A key has exactly one, fixed when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037); the default, and what this gateway signs with.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256, MGF1 of SHA-256, salt of 32 bytes.
    Ps256,
    /// HMAC with SHA-256; only from the symmetric ring.
    Hs256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 5] =
        [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::Hs256];

    /// The name in a header and in a key, compared exactly.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
            Algorithm::Rs256 => "RS256",
            Algorithm::Ps256 => "PS256",
            Algorithm::Hs256 => "HS256",
        }
    }

    /// The algorithm of a name; case counts.
    pub fn by_name(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
