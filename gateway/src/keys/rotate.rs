//! Making, exchanging and listing the keys of a directory.
//!
//! What must hold: a private key is written 0600, whole (a temporary name, then
//! a rename), and never printed. A rotation that stops halfway leaves a ring
//! that loads and signs: first comes the new key, then the end of the old one.

use super::ring::{ENCRYPTION, SIGNING, SYMMETRIC, files_in, read};
use super::{KeyError, KeyRing, SigningKey};
use crate::shown::shown;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What a rotation should do, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// From now until the new key signs: time for other gateways to learn of it.
    pub delay: u64,
    /// From then until the old key verifies no more: at least the longest life of a token.
    pub overlap: u64,
}

/// Makes the directory, its folders and a first signing key. What is there
/// already stays; with a signing key there, nothing is made.
/// Returns what to print.
///
/// # Errors
/// Files cannot be written, or the keys there do not load.
pub fn init(dir: &Path, now: u64) -> Result<String, KeyError> {
    for folder in [dir.to_owned(), dir.join(SIGNING), dir.join(SYMMETRIC), dir.join(ENCRYPTION)] {
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(KeyError::io(&folder))?;
            let (user, group) = owner(dir).map_err(KeyError::io(dir))?;
            std::os::unix::fs::chown(&folder, user, group).map_err(KeyError::io(&folder))?;
        }
    }
    if !files_in(&dir.join(SIGNING))?.is_empty() {
        let ring = KeyRing::load_dir(dir)?;
        return Ok(format!("{}: has {} signing key(s) already; nothing made\n", dir.display(), ring.signing().len()));
    }
    let kid = make(dir, now)?;
    Ok(format!("{}: made the signing key '{kid}'\n", dir.display()))
}

/// Makes a new signing key and lets the present ones end after the overlap.
/// Keys whose time is over are removed. Returns what to print.
///
/// # Errors
/// Files cannot be written, or the keys there do not load.
pub fn rotate(dir: &Path, rotation: Rotation, now: u64) -> Result<String, KeyError> {
    let ring = KeyRing::load_dir(dir)?;
    let starts = now.saturating_add(rotation.delay);
    let ends = starts.saturating_add(rotation.overlap);
    let mut text = String::new();
    let kid = make(dir, starts)?;
    let _ = writeln!(text, "{}: the new key '{kid}' signs from {}", dir.display(), time(starts));
    for old in ring.signing() {
        let ends = old.window().until.map_or(ends, |until| until.min(ends));
        retire(dir, old, ends)?;
        // With a delay the old key signs on; the new one, being newer, takes over.
        if rotation.delay == 0 || old.window().is_over(now) {
            remove_private(dir, old.kid())?;
        }
        let _ = writeln!(text, "{}: the key '{}' verifies until {}", dir.display(), old.kid(), time(ends));
    }
    for name in prune(dir, now)? {
        let _ = writeln!(text, "{}: removed {name}, whose time is over", dir.display());
    }
    Ok(text)
}

/// A table of the keys, without any secret.
///
/// # Errors
/// The keys do not load.
pub fn list(dir: &Path, now: u64) -> Result<String, KeyError> {
    let ring = KeyRing::load_dir(dir)?;
    let signs_now = ring.signing_key(now).map(SigningKey::kid);
    let mut keys: Vec<_> = ring.verifying().collect();
    keys.sort_by_key(|key| (key.window().from, key.kid()));
    let mut text = format!("{:<20} {:<6} {:<22} {:<22} STATE\n", "KEY", "ALG", "FROM", "UNTIL");
    for key in keys {
        let window = key.window();
        let state = match () {
            () if Some(key.kid()) == signs_now => "signs",
            () if window.is_over(now) => "over",
            () if !window.contains(now) => "not yet",
            () => "verifies",
        };
        let moment = |seconds: Option<u64>| seconds.map_or_else(|| "-".to_owned(), time);
        let (from, until) = (moment(window.from), moment(window.until));
        let shown = shown(key.kid());
        let _ = writeln!(text, "{shown:<20} {:<6} {from:<22} {until:<22} {state}", key.algorithm().name());
    }
    Ok(text)
}

fn time(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| seconds.to_string(), |moment| moment.to_string())
}

fn make(dir: &Path, from: u64) -> Result<String, KeyError> {
    let (kid, text) = SigningKey::generate(from)?;
    write(&dir.join(SIGNING), &format!("{kid}.jwk"), text.as_bytes(), 0o600)?;
    Ok(kid)
}

/// Writes the public half of a key with the end of its life.
fn retire(dir: &Path, key: &SigningKey, ends: u64) -> Result<(), KeyError> {
    let mut public = key.public_jwk().clone();
    if let Value::Object(members) = &mut public {
        members.insert("exp".to_owned(), ends.into());
    }
    write(dir, &file_name(key.kid()), format!("{public}\n").as_bytes(), 0o644)
}

/// The file of a retired key. Ids that this program makes are fit for names;
/// of others the letters that are not are spelled out.
fn file_name(kid: &str) -> String {
    let mut name = String::from("retired-");
    for byte in kid.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => {
                let _ = write!(name, "%{other:02x}");
            }
        }
    }
    name.truncate(200);
    name + ".jwk"
}

fn remove_private(dir: &Path, kid: &str) -> Result<(), KeyError> {
    for file in files_in(&dir.join(SIGNING))? {
        let members = super::jwk::members_of(&read(&file, true)?).unwrap_or_default();
        let alone = members.len() == 1;
        if alone && members.iter().any(|key| key.get("kid").and_then(Value::as_str) == Some(kid)) {
            std::fs::remove_file(&file).map_err(KeyError::io(&file))?;
        }
    }
    Ok(())
}

/// Removes retired public keys whose time is over, and private ones that have
/// been succeeded for good. Returns the names of the files.
fn prune(dir: &Path, now: u64) -> Result<Vec<String>, KeyError> {
    let mut removed = Vec::new();
    for file in files_in(dir)? {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with("retired-") {
            continue;
        }
        let members = super::jwk::members_of(&read(&file, false)?).unwrap_or_default();
        let over = |key: &super::jwk::Members| key.get("exp").and_then(Value::as_u64).is_some_and(|e| e <= now);
        if !members.is_empty() && members.iter().all(over) {
            for kid in members.iter().filter_map(|key| key.get("kid").and_then(Value::as_str)) {
                remove_private(dir, kid)?;
            }
            std::fs::remove_file(&file).map_err(KeyError::io(&file))?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// Writes a file whole: under a temporary name first, synced, then renamed.
fn write(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), KeyError> {
    let (target, partial) = (dir.join(name), dir.join(format!(".{name}.partial")));
    let written = (|| {
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
        // Root exchanges the keys that the gateway's own user must read.
        let (user, group) = owner(dir)?;
        std::os::unix::fs::fchown(&file, user, group)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, &target)?;
        File::open(dir)?.sync_all()
    })();
    if written.is_err() {
        // Nothing of a private key is left lying about; the first error is the one to tell.
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(KeyError::io(&target))
}

/// The owner and group of a directory, for what is made in it.
fn owner(dir: &Path) -> std::io::Result<(Option<u32>, Option<u32>)> {
    let meta = std::fs::metadata(dir)?;
    Ok((Some(meta.uid()), Some(meta.gid())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_put_in_place_leaves_no_piece_behind() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("key.jwk/full")).unwrap();
        assert!(write(dir.path(), "key.jwk", b"secret", 0o600).is_err());
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["key.jwk"]);
    }

    #[test]
    fn an_id_becomes_a_file_name_without_leaving_its_folder() {
        assert_eq!(file_name("abc-_9"), "retired-abc-_9.jwk");
        assert_eq!(file_name("../x"), "retired-%2e%2e%2fx.jwk");
    }
}
