//! The known_hosts file of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT, read by
//! ourselves: libssh2's reader ignores `@revoked`, wildcards and
//! `@cert-authority`, and takes another key type for a changed key.
//!
//! A line that cannot be read is skipped, as ssh(1) does: it can make a host
//! unknown, never trusted. No input makes the reader panic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use std::path::{Path, PathBuf};

/// What the line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    /// The host's key.
    Host,
    /// `@revoked`: never to be accepted.
    Revoked,
    /// `@cert-authority`: signs host certificates.
    Authority,
}

/// Which hosts a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// Patterns with `*` and `?`; true: negated.
    Patterns(Vec<(bool, String)>),
    /// `|1|salt|hash`: HMAC-SHA1 of one name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// One readable line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The file it is in.
    pub(super) file: PathBuf,
    /// Its line, from 1.
    pub(super) line: usize,
    marker: Marker,
    hosts: Hosts,
    /// The key's type, as `ssh-ed25519`.
    pub(super) key_type: String,
    /// The key as it travels (RFC 4253, 6.6).
    pub(super) blob: Vec<u8>,
}

/// What is known of a host's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// The key is the host's.
    Known,
    /// The key is revoked by this line.
    Revoked(&'a Entry),
    /// The host is known by other keys only.
    Changed(Vec<&'a Entry>),
    /// Only a certificate authority speaks for the host.
    AuthorityOnly(&'a Entry),
    /// Nothing is known.
    Unknown,
}

/// All lines of some files.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    entries: Vec<Entry>,
}

impl KnownHosts {
    /// Reads files in order. One that does not exist holds nothing.
    ///
    /// # Errors
    /// A file that exists and cannot be read: what it might refuse is unknown.
    pub(super) fn load(files: &[PathBuf]) -> Result<KnownHosts, String> {
        let mut known = KnownHosts::default();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => known.add(file, &bytes),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
            }
        }
        Ok(known)
    }

    /// Adds the lines of one file.
    pub(super) fn add(&mut self, file: &Path, bytes: &[u8]) {
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            if let Some(entry) = parse_line(file, number + 1, line) {
                self.entries.push(entry);
            }
        }
    }

    /// The types of the keys known for a host, in the order of the files.
    pub(super) fn types(&self, host: &str) -> Vec<&str> {
        let mut types: Vec<&str> = Vec::new();
        for entry in self.of(host).filter(|entry| entry.marker == Marker::Host) {
            if !types.contains(&entry.key_type.as_str()) {
                types.push(&entry.key_type);
            }
        }
        types
    }

    /// The keys known for a host that no line revokes.
    pub(super) fn keys(&self, host: &str) -> Vec<&[u8]> {
        let mut keys: Vec<&[u8]> = self.of(host).map(|entry| entry.blob.as_slice()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|blob| self.check(host, blob) == Verdict::Known);
        keys
    }

    /// What the files say about `blob` as the key of `host` (a name as made by [`host_field`]).
    pub(super) fn check(&self, host: &str, blob: &[u8]) -> Verdict<'_> {
        let mut others = Vec::new();
        let (mut known, mut authority) = (false, None);
        for entry in self.of(host) {
            match entry.marker {
                Marker::Revoked if entry.blob == blob => return Verdict::Revoked(entry),
                Marker::Revoked => {}
                Marker::Authority => authority = authority.or(Some(entry)),
                Marker::Host if entry.blob == blob => known = true,
                Marker::Host => others.push(entry),
            }
        }
        if known {
            Verdict::Known
        } else if !others.is_empty() {
            Verdict::Changed(others)
        } else {
            authority.map_or(Verdict::Unknown, Verdict::AuthorityOnly)
        }
    }

    fn of<'a, 'h>(&'a self, host: &'h str) -> impl Iterator<Item = &'a Entry> + use<'a, 'h> {
        self.entries.iter().filter(move |entry| entry.hosts.cover(host))
    }
}

/// How a host is named in the file: `[host]:port` unless the port is 22.
pub(super) fn host_field(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

impl Hosts {
    fn parse(field: &str) -> Option<Hosts> {
        if let Some(rest) = field.strip_prefix("|1|") {
            let (salt, hash) = rest.split_once('|')?;
            let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
            return (salt.len() == 20 && hash.len() == 20).then_some(Hosts::Hashed { salt, hash });
        }
        if field.starts_with('|') {
            return None;
        }
        let patterns = field.split(',').filter(|pattern| !pattern.is_empty()).map(|pattern| {
            let (negated, text) = pattern.strip_prefix('!').map_or((false, pattern), |text| (true, text));
            (negated, text.to_ascii_lowercase())
        });
        Some(Hosts::Patterns(patterns.collect()))
    }

    /// Whether the line is about this host. A negated pattern that fits takes
    /// the whole line away.
    fn cover(&self, host: &str) -> bool {
        match self {
            Hosts::Hashed { salt, hash } => hmac_sha1(salt, host.as_bytes()).is_some_and(|found| found == *hash),
            Hosts::Patterns(patterns) => {
                let fits = |negated: bool| {
                    patterns.iter().any(|(not, text)| *not == negated && fits(text.as_bytes(), host.as_bytes()))
                };
                fits(false) && !fits(true)
            }
        }
    }
}

fn parse_line(file: &Path, number: usize, line: &str) -> Option<Entry> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    let mut first = words.next()?;
    let marker = match first {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::Authority,
        other if other.starts_with('@') => return None,
        _ => Marker::Host,
    };
    if marker != Marker::Host {
        first = words.next()?;
    }
    let hosts = Hosts::parse(first)?;
    let key_type = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    if blob_type(&blob)? != key_type {
        return None;
    }
    Some(Entry { file: file.to_owned(), line: number, marker, hosts, key_type: key_type.to_owned(), blob })
}

/// The type a key names itself (RFC 4253, 6.6: a length and as many bytes).
pub(super) fn blob_type(blob: &[u8]) -> Option<&str> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(rest.get(..length)?).ok()
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let key = PKey::hmac(key).ok()?;
    let mut signer = Signer::new(MessageDigest::sha1(), &key).ok()?;
    signer.sign_oneshot_to_vec(text).ok()
}

/// Matches `*` (any run of characters) and `?` (any one), without recursion.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((from, taken)) => {
                    star = Some((from, taken + 1));
                    at = from + 1;
                    seen = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
