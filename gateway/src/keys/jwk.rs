//! One JSON Web Key, checked when it is loaded (RFC 7517, 7518, 8037).
//!
//! What must hold: a key that exists here has one algorithm that fits its type,
//! curve and size; it can do nothing but verify with that algorithm. Public
//! keys and secrets are different variants, so that no public key can ever be
//! the secret of an HMAC.

use super::{Algorithm, roca};
use crate::strict_json;
use crate::token::base64url;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents};
use serde_json::{Map, Value, json};
use zeroize::{Zeroize, Zeroizing};

/// The longest key id, in bytes.
pub const MAX_KID: usize = 255;
/// The shortest HMAC secret, in bytes: the length of the hash (RFC 7518, 3.2).
pub const MIN_SECRET: usize = 32;
/// RSA moduli accepted, in bits.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Members that only a private key has.
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];

/// Where a key comes from, which decides what it must say and may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The ring of public keys: `kid`, `alg` and `use` are required.
    Ring,
    /// The ring of secrets: only `oct`.
    Symmetric,
    /// A pinned key set of an outside issuer: `kid` and `use` are required,
    /// `alg` may be left to follow from the type (RSA: RS256).
    Outside,
    /// Test vectors and one-off checks: public keys and secrets, `kid`, `alg`
    /// and `use` optional, private members ignored. What is there must be right.
    Vectors,
}

/// When a key may be used, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Member `nbf`: not before.
    pub from: Option<u64>,
    /// Member `exp`: not at or after.
    pub until: Option<u64>,
}

impl Window {
    /// Whether `now` lies within.
    pub fn contains(self, now: u64) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }

    /// Whether it is over.
    pub fn is_over(self, now: u64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

enum Material {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

/// A key that verifies.
pub struct VerifyKey {
    kid: String,
    algorithm: Algorithm,
    window: Window,
    signature_len: usize,
    material: Material,
    public: Option<Value>,
}

impl std::fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyKey({}, {})", self.kid, self.algorithm)
    }
}

impl VerifyKey {
    /// The key's id; empty only for a test vector without one.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// When it may be used.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The public key as a JWK; none for a secret.
    pub fn public_jwk(&self) -> Option<&Value> {
        self.public.as_ref()
    }

    /// Whether the signature is this key's over the message. The length is
    /// exact; r and s of ECDSA lie within 1..n (the library checks).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.signature_len
            && match &self.material {
                Material::Public(key) => key.verify_sig(message, signature).is_ok(),
                Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            }
    }

    /// A key from its members.
    ///
    /// # Errors
    /// The reason it is refused.
    pub fn from_jwk(jwk: &Map<String, Value>, origin: Origin) -> Result<VerifyKey, &'static str> {
        let common = Common::read(jwk, origin)?;
        let kty = required(jwk, "kty")?;
        if kty == "oct" {
            if !matches!(origin, Origin::Symmetric | Origin::Vectors) {
                return Err("is a secret ('oct'); secrets belong into the symmetric ring");
            }
            return VerifyKey::from_secret(jwk, common);
        }
        if origin == Origin::Symmetric {
            return Err("is not a secret ('oct'); only secrets belong into the symmetric ring");
        }
        if jwk.contains_key("k") {
            return Err("is a public key, but has a secret 'k'");
        }
        if origin != Origin::Vectors && PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err("holds a private key; only public keys belong here");
        }
        match kty {
            "OKP" => VerifyKey::from_ed25519(jwk, common),
            "EC" => VerifyKey::from_p256(jwk, common),
            "RSA" => VerifyKey::from_rsa(jwk, common, origin),
            _ => Err("has an unknown 'kty'; OKP, EC and RSA are known"),
        }
    }

    fn from_secret(jwk: &Map<String, Value>, common: Common) -> Result<VerifyKey, &'static str> {
        let algorithm = common.algorithm_or(Algorithm::Hs256, &[Algorithm::Hs256])?;
        let secret = Zeroizing::new(bytes(jwk, "k")?);
        if secret.len() < MIN_SECRET {
            return Err("is a secret of less than 32 bytes");
        }
        if secret.iter().all(|byte| Some(byte) == secret.first()) {
            return Err("is a secret of one repeated byte; make it at random");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Ok(common.key(algorithm, 32, Material::Secret(Box::new(key)), None))
    }

    fn from_ed25519(jwk: &Map<String, Value>, common: Common) -> Result<VerifyKey, &'static str> {
        if required(jwk, "crv")? != "Ed25519" {
            return Err("has a curve other than Ed25519 for an 'OKP' signature key");
        }
        let algorithm = common.algorithm_or(Algorithm::EdDsa, &[Algorithm::EdDsa])?;
        let x = bytes(jwk, "x")?;
        if x.len() != 32 {
            return Err("is an Ed25519 key that is not 32 bytes long");
        }
        if is_weak_ed25519(&x) {
            return Err("is not a sound Ed25519 point (of small order, or not canonical)");
        }
        let key = ParsedPublicKey::new(&signature::ED25519, &x).map_err(|_| "is not a point of Ed25519")?;
        let public = common.jwk("OKP", algorithm, &[("crv", "Ed25519".into()), ("x", base64url::encode(&x))]);
        Ok(common.key(algorithm, 64, Material::Public(key), Some(public)))
    }

    fn from_p256(jwk: &Map<String, Value>, common: Common) -> Result<VerifyKey, &'static str> {
        if required(jwk, "crv")? != "P-256" {
            return Err("has a curve other than P-256");
        }
        let algorithm = common.algorithm_or(Algorithm::Es256, &[Algorithm::Es256])?;
        let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
        let point = p256_point(&x, &y)?;
        let key = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &point)
            .map_err(|_| "is not a point on the curve P-256")?;
        let coordinates = [("crv", "P-256".into()), ("x", base64url::encode(&x)), ("y", base64url::encode(&y))];
        let public = common.jwk("EC", algorithm, &coordinates);
        Ok(common.key(algorithm, 64, Material::Public(key), Some(public)))
    }

    fn from_rsa(jwk: &Map<String, Value>, common: Common, origin: Origin) -> Result<VerifyKey, &'static str> {
        if common.algorithm.is_none() && origin == Origin::Ring {
            return Err("is an RSA key without 'alg'");
        }
        let algorithm = common.algorithm_or(Algorithm::Rs256, &[Algorithm::Rs256, Algorithm::Ps256])?;
        let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
        let bits = bit_length(&n).ok_or("is an RSA key whose modulus is empty or begins with a zero byte")?;
        if !RSA_BITS.contains(&bits) {
            return Err("is an RSA key of less than 2048 or more than 8192 bits");
        }
        if n.last().is_none_or(|last| last % 2 == 0) {
            return Err("is an RSA key with an even modulus");
        }
        let exponent = small_number(&e).ok_or("is an RSA key whose exponent is empty, padded or over 32 bits")?;
        if exponent < 65537 || exponent % 2 == 0 {
            return Err("is an RSA key whose exponent is even or below 65537");
        }
        let parameters = match algorithm {
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            _ => &signature::RSA_PKCS1_2048_8192_SHA256,
        };
        let key = RsaPublicKeyComponents { n: &n, e: &e }
            .to_parsed_public_key(parameters)
            .map_err(|_| "is not a sound RSA key")?;
        let public = common.jwk("RSA", algorithm, &[("n", base64url::encode(&n)), ("e", base64url::encode(&e))]);
        Ok(common.key(algorithm, bits.div_ceil(8), Material::Public(key), Some(public)))
    }
}

/// What all keys say.
pub(super) struct Common {
    pub(super) kid: String,
    pub(super) window: Window,
    algorithm: Option<Algorithm>,
}

impl Common {
    pub(super) fn read(jwk: &Map<String, Value>, origin: Origin) -> Result<Common, &'static str> {
        let kid = match text(jwk, "kid")? {
            Some(kid) => valid_kid(kid)?.to_owned(),
            None if origin == Origin::Vectors => String::new(),
            None => return Err("has no 'kid'"),
        };
        match text(jwk, "use")? {
            Some("sig") => {}
            Some(_) => return Err("has a 'use' other than 'sig'"),
            None if origin == Origin::Vectors => {}
            None => return Err("has no 'use'; 'sig' is required"),
        }
        if let Some(operations) = jwk.get("key_ops") {
            let list = operations.as_array().ok_or("has 'key_ops' that is not a list")?;
            let names: Vec<&str> = list
                .iter()
                .map(|name| name.as_str().ok_or("has 'key_ops' with a non-text"))
                .collect::<Result<_, _>>()?;
            if !names.contains(&"verify") || names.iter().any(|name| !matches!(*name, "verify" | "sign")) {
                return Err("has 'key_ops' that are not those of a signature key");
            }
        }
        let algorithm = match text(jwk, "alg")? {
            Some(name) => Some(Algorithm::by_name(name).ok_or("has an 'alg' that is not approved")?),
            None if origin == Origin::Ring || origin == Origin::Symmetric => return Err("has no 'alg'"),
            None => None,
        };
        let window = Window { from: seconds(jwk, "nbf")?, until: seconds(jwk, "exp")? };
        if let (Some(from), Some(until)) = (window.from, window.until)
            && until <= from
        {
            return Err("has an 'exp' that is not after its 'nbf'");
        }
        Ok(Common { kid, window, algorithm })
    }

    pub(super) fn algorithm_or(&self, default: Algorithm, fit: &[Algorithm]) -> Result<Algorithm, &'static str> {
        let algorithm = self.algorithm.unwrap_or(default);
        if fit.contains(&algorithm) { Ok(algorithm) } else { Err("has an 'alg' that does not fit its type") }
    }

    pub(super) fn jwk(&self, kty: &str, algorithm: Algorithm, members: &[(&str, String)]) -> Value {
        let mut jwk = json!({"kty": kty, "use": "sig", "alg": algorithm.name(), "kid": self.kid});
        if let Value::Object(map) = &mut jwk {
            for (name, value) in members {
                map.insert((*name).to_owned(), Value::String(value.clone()));
            }
            for (name, value) in [("nbf", self.window.from), ("exp", self.window.until)] {
                if let Some(value) = value {
                    map.insert(name.to_owned(), value.into());
                }
            }
        }
        jwk
    }

    fn key(self, algorithm: Algorithm, signature_len: usize, material: Material, public: Option<Value>) -> VerifyKey {
        VerifyKey { kid: self.kid, algorithm, window: self.window, signature_len, material, public }
    }
}

/// The members of one key. Some are secret, so all are wiped when done with.
pub(super) struct Members(Map<String, Value>);

impl std::ops::Deref for Members {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

/// The keys of a text: one JWK, or a set with the member `keys` (RFC 7517, 5).
pub(super) fn members_of(bytes: &[u8]) -> Result<Vec<Members>, &'static str> {
    let mut object = strict_json::parse_object(bytes).map_err(|error| match error {
        strict_json::JsonError::Malformed => "is not one well-formed JSON value; is it written in full?",
        strict_json::JsonError::Duplicate => "holds a member twice",
        strict_json::JsonError::NotAnObject => "is not a JSON object",
    })?;
    match object.remove("keys") {
        None => Ok(vec![Members(object)]),
        Some(Value::Array(keys)) => keys
            .into_iter()
            .map(|key| match key {
                Value::Object(map) => Ok(Members(map)),
                _ => Err("has something other than an object in 'keys'"),
            })
            .collect(),
        Some(_) => Err("has 'keys' that is not a list"),
    }
}

/// What is wrong with a set as a whole: with one such key in it, whoever made it
/// did not mean what it says, and none of it is used. Keys that are there for
/// something else are looked at, too.
pub(super) fn fault_of_set(keys: &[&Map<String, Value>], origin: Origin) -> Option<&'static str> {
    let is_secret = |key: &Map<String, Value>| key.get("kty").and_then(Value::as_str) == Some("oct");
    let holds_private = |key: &Map<String, Value>| PRIVATE_MEMBERS.iter().any(|name| key.contains_key(*name));
    let secrets = keys.iter().filter(|key| is_secret(key)).count();
    if secrets > 0 && secrets < keys.len() {
        return Some("mixes secrets ('oct') and public keys; keep secrets in a set of their own");
    }
    if keys.iter().any(|key| is_weak_rsa(key)) {
        return Some(
            "holds an RSA key with the ROCA fingerprint (CVE-2017-15361): its private key can be computed from it; \
             replace it",
        );
    }
    // Of test vectors such keys are passed over, each by itself.
    if origin == Origin::Outside {
        if secrets > 0 || keys.iter().any(|key| key.contains_key("k")) {
            return Some("publishes a secret ('oct'); an issuer's set holds public keys only");
        }
        if keys.iter().any(|key| holds_private(key)) {
            return Some("publishes a private key; an issuer's set holds public keys only");
        }
        if keys.iter().any(|key| contradicts_itself(key)) {
            return Some("holds a key whose 'alg' does not fit its 'kty'");
        }
    }
    None
}

fn is_weak_rsa(key: &Map<String, Value>) -> bool {
    key.get("kty").and_then(Value::as_str) == Some("RSA")
        && bytes(key, "n").is_ok_and(|modulus| roca::has_fingerprint(&modulus))
}

/// Whether a registered `alg` (RFC 7518, 3.1 and 4.1; RFC 8037) is one of another type of key.
fn contradicts_itself(key: &Map<String, Value>) -> bool {
    let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
    let of: &[&str] = match text("alg") {
        alg if alg.starts_with("RS") || alg.starts_with("PS") => &["RSA"],
        alg if alg.starts_with("ECDH") => &["EC", "OKP"],
        alg if alg.starts_with("ES") => &["EC"],
        alg if alg.starts_with("Ed") => &["OKP"],
        alg if alg.starts_with("HS") || alg.starts_with('A') || alg == "dir" => &["oct"],
        _ => return false,
    };
    !of.contains(&text("kty"))
}

/// A text member; none if absent.
pub(super) fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, &'static str> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("has a member of the wrong JSON type"),
    }
}

pub(super) fn required<'a>(jwk: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, &'static str> {
    text(jwk, name)?.ok_or(match name {
        "kty" => "has no 'kty'",
        "crv" => "has no 'crv'",
        _ => "lacks a member that its type requires",
    })
}

/// A member of base64url bytes.
pub(super) fn bytes(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, &'static str> {
    base64url::decode(required(jwk, name)?).ok_or("has a member that is not strict base64url")
}

fn seconds(jwk: &Map<String, Value>, name: &str) -> Result<Option<u64>, &'static str> {
    match jwk.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_u64().map(Some).ok_or("has an 'nbf' or 'exp' that is not a whole number of seconds since 1970")
        }
    }
}

pub(super) fn valid_kid(kid: &str) -> Result<&str, &'static str> {
    let fine = !kid.is_empty() && kid.len() <= MAX_KID && !kid.chars().any(char::is_control);
    if fine { Ok(kid) } else { Err("has a 'kid' that is empty, over 255 bytes, or holds control characters") }
}

/// The uncompressed point of two coordinates of exactly 32 bytes (RFC 7518, 6.2.1.2).
pub(super) fn p256_point(x: &[u8], y: &[u8]) -> Result<Vec<u8>, &'static str> {
    if x.len() != 32 || y.len() != 32 {
        return Err("is a P-256 key whose coordinates are not 32 bytes each");
    }
    Ok([&[4u8], x, y].concat())
}

fn bit_length(number: &[u8]) -> Option<usize> {
    let first = *number.first().filter(|first| **first != 0)?;
    Some(number.len() * 8 - first.leading_zeros() as usize)
}

fn small_number(number: &[u8]) -> Option<u64> {
    bit_length(number).filter(|bits| *bits <= 32)?;
    Some(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// The y coordinates, little endian, of the points whose order divides eight.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    one_at_the_start(),
    prime_less(0xec),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn one_at_the_start() -> [u8; 32] {
    let mut y = [0; 32];
    y[0] = 1;
    y
}

/// 2^255 − 19 (first byte 0xed) or a number close to it.
const fn prime_less(first: u8) -> [u8; 32] {
    let mut y = [0xff; 32];
    y[0] = first;
    y[31] = 0x7f;
    y
}

/// A key under which signatures of anything can be made: of small order, or
/// spelled with y ≥ 2^255 − 19 (RFC 8032, 5.1.3, has one spelling).
fn is_weak_ed25519(x: &[u8]) -> bool {
    let mut y: Vec<u8> = x.to_vec();
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    let reversed_not_less = y.iter().rev().ge(prime_less(0xed).iter().rev());
    reversed_not_less || SMALL_ORDER_Y.iter().any(|small| small[..] == y[..])
}
