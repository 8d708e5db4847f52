//! The ring: every key of this gateway, by id.
//!
//! ```text
//! DIR/*.jwk, *.json     public keys (one JWK, or a set with "keys")
//! DIR/signing/*         private Ed25519 keys, mode 0600; their public halves verify
//! DIR/symmetric/*       secrets of HS256, mode 0600
//! DIR/encryption/*      private keys for encrypted outer layers, mode 0600
//! ```
//!
//! What must hold: a key id names one key over all folders; a file with a secret
//! in it is readable by its owner alone; a ring is loaded whole or not at all. A
//! set that mixes secrets and public keys, has one id twice, or holds an RSA key
//! with the ROCA fingerprint is refused whole, wherever it comes from.

use super::jwk::{Members, Origin, VerifyKey, fault_of_set, members_of};
use super::{DecryptionKey, KeyError, SigningKey};
use serde_json::{Map, Value, json};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Folder of the private signing keys.
pub const SIGNING: &str = "signing";
/// Folder of the HMAC secrets.
pub const SYMMETRIC: &str = "symmetric";
/// Folder of the decryption keys.
pub const ENCRYPTION: &str = "encryption";
/// The largest key file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The keys of a gateway or of an outside issuer.
#[derive(Debug, Default)]
pub struct KeyRing {
    /// Public keys; never a secret.
    public: HashMap<String, VerifyKey>,
    /// Secrets; never a public key.
    symmetric: HashMap<String, VerifyKey>,
    signing: Vec<SigningKey>,
    decryption: HashMap<String, DecryptionKey>,
    passed_over: Vec<KeyError>,
}

impl KeyRing {
    /// Loads a directory; see the module's header for what lies where.
    ///
    /// # Errors
    /// Any file that cannot be read, is not acceptable, or is open to others;
    /// no key at all. Files whose names begin with a dot or end in neither
    /// `.jwk` nor `.json` are passed over.
    pub fn load_dir(dir: &Path) -> Result<KeyRing, KeyError> {
        let mut ring = KeyRing::default();
        for (place, members) in keys_in(dir, false)? {
            ring.add_verifying(&place, &members, Origin::Ring)?;
        }
        for (place, members) in keys_in(&dir.join(SYMMETRIC), true)? {
            ring.add_verifying(&place, &members, Origin::Symmetric)?;
        }
        for (place, members) in keys_in(&dir.join(SIGNING), true)? {
            ring.add_signing(&place, &members)?;
        }
        for (place, members) in keys_in(&dir.join(ENCRYPTION), true)? {
            let (kid, key) = DecryptionKey::from_jwk(&members).map_err(refused(&place))?;
            if ring.is_known(&kid) || ring.decryption.insert(kid.clone(), key).is_some() {
                return Err(KeyError::Duplicate { place, kid });
            }
        }
        if ring.public.is_empty() && ring.symmetric.is_empty() {
            return Err(KeyError::Empty { path: dir.to_owned() });
        }
        Ok(ring)
    }

    /// Loads the pinned key set of an outside issuer. Keys that are there for
    /// something else (encryption, algorithms that are not approved) are passed
    /// over; a secret or a private key is an error.
    ///
    /// # Errors
    /// The file cannot be read or holds no key that can be used.
    pub fn load_outside(path: &Path) -> Result<KeyRing, KeyError> {
        KeyRing::from_outside(&read(path, false)?, &path.display().to_string())
    }

    /// As [`KeyRing::load_outside`], from bytes; `place` is named in errors.
    ///
    /// # Errors
    /// It holds no key that can be used, or one that must not be there.
    pub fn from_outside(bytes: &[u8], place: &str) -> Result<KeyRing, KeyError> {
        let mut ring = KeyRing::default();
        for (place, members) in set_of(bytes, place, Origin::Outside)? {
            if is_for_something_else(&members) {
                continue;
            }
            ring.add_verifying(&place, &members, Origin::Outside)?;
        }
        if ring.public.is_empty() {
            return Err(KeyError::Refused { place: place.to_owned(), reason: "holds no key that can be used" });
        }
        Ok(ring)
    }

    /// Loads a key set for one-off checks: public keys or secrets. A key that is
    /// not acceptable is passed over ([`KeyRing::passed_over`]): its tokens are
    /// refused like those of any unknown key, and the others still judged.
    ///
    /// # Errors
    /// The file cannot be read, is not a key or a set, mixes public keys and
    /// secrets, has two keys of one id, or an RSA key with the ROCA fingerprint.
    pub fn load_vectors(path: &Path) -> Result<KeyRing, KeyError> {
        let bytes = read(path, false)?;
        KeyRing::from_vectors(&bytes, &path.display().to_string())
    }

    /// As [`KeyRing::load_vectors`], from bytes; `place` is named in errors.
    ///
    /// # Errors
    /// As [`KeyRing::load_vectors`].
    pub fn from_vectors(bytes: &[u8], place: &str) -> Result<KeyRing, KeyError> {
        let mut ring = KeyRing::default();
        for (place, members) in set_of(bytes, place, Origin::Vectors)? {
            match ring.add_verifying(&place, &members, Origin::Vectors) {
                Err(error @ KeyError::Refused { .. }) => ring.passed_over.push(error),
                other => other?,
            }
        }
        Ok(ring)
    }

    /// The keys of a one-off check that are not acceptable, and why.
    pub fn passed_over(&self) -> &[KeyError] {
        &self.passed_over
    }

    /// The key of this id, if it may be used now. Ids are compared byte by byte
    /// with those of the keys and used for nothing else.
    pub fn find(&self, kid: &str, now: u64) -> Option<&VerifyKey> {
        self.find_at_any_time(kid).filter(|key| key.window().contains(now))
    }

    /// The key of this id, whether or not it may be used now.
    pub fn find_at_any_time(&self, kid: &str) -> Option<&VerifyKey> {
        self.public.get(kid).or_else(|| self.symmetric.get(kid))
    }

    /// All verifying keys.
    pub fn verifying(&self) -> impl Iterator<Item = &VerifyKey> {
        self.public.values().chain(self.symmetric.values())
    }

    /// The key to sign with now: of those that may be used, the newest.
    pub fn signing_key(&self, now: u64) -> Option<&SigningKey> {
        let usable = self.signing.iter().filter(|key| key.window().contains(now));
        usable.max_by(|a, b| (a.window().from, a.kid()).cmp(&(b.window().from, b.kid())))
    }

    /// All signing keys.
    pub fn signing(&self) -> &[SigningKey] {
        &self.signing
    }

    /// The decryption key of this id.
    pub fn decryption_key(&self, kid: &str) -> Option<&DecryptionKey> {
        self.decryption.get(kid)
    }

    /// The public keys as a JWK set (RFC 7517, 5), by id; no secret, no private member.
    pub fn jwks_public(&self) -> Value {
        let mut keys: Vec<&VerifyKey> = self.public.values().collect();
        keys.sort_by_key(|key| key.kid());
        json!({"keys": keys.into_iter().filter_map(VerifyKey::public_jwk).collect::<Vec<_>>()})
    }

    fn is_known(&self, kid: &str) -> bool {
        self.public.contains_key(kid) || self.symmetric.contains_key(kid)
    }

    fn add_verifying(&mut self, place: &str, members: &Map<String, Value>, origin: Origin) -> Result<(), KeyError> {
        let key = VerifyKey::from_jwk(members, origin).map_err(refused(place))?;
        // Only test vectors may lack an id; the place stands in for it.
        let id = if key.kid().is_empty() { format!("\0{place}") } else { key.kid().to_owned() };
        if self.is_known(&id) {
            return Err(KeyError::Duplicate { place: place.to_owned(), kid: id });
        }
        let ring = if key.public_jwk().is_some() { &mut self.public } else { &mut self.symmetric };
        ring.insert(id, key);
        Ok(())
    }

    /// A signing key verifies too. While a key is being retired both its private
    /// file and its public one (with the end of its life) are there; the public
    /// one then says how long it verifies, and must be the same key.
    fn add_signing(&mut self, place: &str, members: &Map<String, Value>) -> Result<(), KeyError> {
        let mut key = SigningKey::from_jwk(members).map_err(refused(place))?;
        let kid = key.kid().to_owned();
        let duplicate = || KeyError::Duplicate { place: place.to_owned(), kid: kid.clone() };
        if self.symmetric.contains_key(&kid) || self.signing.iter().any(|other| other.kid() == kid) {
            return Err(duplicate());
        }
        let Value::Object(public) = key.public_jwk() else { return Err(duplicate()) };
        match self.public.entry(kid.clone()) {
            Entry::Vacant(free) => {
                free.insert(VerifyKey::from_jwk(public, Origin::Ring).map_err(refused(place))?);
            }
            Entry::Occupied(known) => {
                let same = known.get().public_jwk().and_then(|jwk| jwk.get("x")) == public.get("x");
                if !same {
                    return Err(duplicate());
                }
                key.end_at(known.get().window().until);
            }
        }
        self.signing.push(key);
        Ok(())
    }
}

fn refused(place: &str) -> impl FnOnce(&'static str) -> KeyError {
    move |reason| KeyError::Refused { place: place.to_owned(), reason }
}

/// An outside key set may hold keys that are of no use here.
fn is_for_something_else(members: &Map<String, Value>) -> bool {
    let is = |name: &str, fine: &[&str]| match members.get(name) {
        Some(Value::String(text)) => fine.contains(&text.as_str()),
        Some(_) => true, // the wrong type is an error, not another purpose
        None => true,
    };
    !(is("use", &["sig"])
        && is("kty", &["RSA", "EC", "OKP", "oct"])
        && is("crv", &["P-256", "Ed25519"])
        && is("alg", &["RS256", "PS256", "ES256", "EdDSA", "HS256"]))
}

/// The key files of a folder, in the order of their names.
pub(super) fn files_in(dir: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(KeyError::io(dir))? {
        let path = entry.map_err(KeyError::io(dir))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_key = path.extension().is_some_and(|ext| ext == "jwk" || ext == "json");
        if is_key && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

type Placed = Vec<(String, Members)>;

fn keys_in(dir: &Path, secret: bool) -> Result<Placed, KeyError> {
    // The folders of secrets need not be there; the ring itself must.
    if secret && !dir.exists() {
        return Ok(Vec::new());
    }
    let mut keys = Vec::new();
    for file in files_in(dir)? {
        keys.extend(keys_of(&file, secret)?);
    }
    Ok(keys)
}

fn keys_of(path: &Path, secret: bool) -> Result<Placed, KeyError> {
    let origin = if secret { Origin::Symmetric } else { Origin::Ring };
    set_of(&read(path, secret)?, &path.display().to_string(), origin)
}

/// The keys of one set, if it can be used as a set at all.
fn set_of(bytes: &[u8], place: &str, origin: Origin) -> Result<Placed, KeyError> {
    let members = members_of(bytes).map_err(refused(place))?;
    let keys: Vec<&Map<String, Value>> = members.iter().map(|members| &**members).collect();
    if let Some(reason) = fault_of_set(&keys, origin) {
        return Err(KeyError::Refused { place: place.to_owned(), reason });
    }
    // Also of keys that are passed over later: which of two is meant is not known.
    let mut ids = HashSet::new();
    for kid in keys.iter().filter_map(|key| key.get("kid").and_then(Value::as_str)) {
        if !ids.insert(kid) {
            return Err(KeyError::Duplicate { place: place.to_owned(), kid: kid.to_owned() });
        }
    }
    Ok(with_places(place, members))
}

fn with_places(place: &str, members: Vec<Members>) -> Placed {
    let many = members.len() > 1;
    let name = |at: usize| if many { format!("{place}, key {}", at + 1) } else { place.to_owned() };
    members.into_iter().enumerate().map(|(at, members)| (name(at), members)).collect()
}

/// The bytes of a key file. The permissions are those of the file that was
/// opened, so that it cannot be exchanged in between.
pub(super) fn read(path: &Path, secret: bool) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // Opening a pipe would wait for a writer for ever.
    if !std::fs::metadata(path).map_err(KeyError::io(path))?.is_file() {
        return Err(KeyError::Refused { place: path.display().to_string(), reason: "is not a regular file" });
    }
    let file = std::fs::File::open(path).map_err(KeyError::io(path))?;
    let meta = file.metadata().map_err(KeyError::io(path))?;
    let mode = meta.permissions().mode() & 0o7777;
    if secret && mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(KeyError::io(path))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(KeyError::Refused { place: path.display().to_string(), reason: "is larger than 1 MiB" });
    }
    Ok(bytes)
}
