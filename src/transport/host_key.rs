//! Whether the host is the one that is meant.
//!
//! [`verify`] is the only source of [`HostKeyVerified`], and nothing logs in
//! without one. A key that is not known, not the known one or revoked is a
//! refusal that shows fingerprints as `ssh-keygen -l` does.

use super::known_hosts::{Entry, KnownHosts, Verdict, blob_type, host_field};
use super::route::Route;
use super::{HostKeyChecking, TransportError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Proof that the other end holds the key that is known for the host.
pub(super) struct HostKeyVerified(());

/// Host key algorithms in our order of preference. SHA-1 signatures
/// (`ssh-rsa`) and certificates are not among them.
const ALGORITHMS: [(&str, &[&str]); 5] = [
    ("ssh-ed25519", &["ssh-ed25519"]),
    ("ecdsa-sha2-nistp256", &["ecdsa-sha2-nistp256"]),
    ("ecdsa-sha2-nistp384", &["ecdsa-sha2-nistp384"]),
    ("ecdsa-sha2-nistp521", &["ecdsa-sha2-nistp521"]),
    ("ssh-rsa", &["rsa-sha2-512", "rsa-sha2-256"]),
];

/// The algorithms to ask for, as a list for the key exchange: those of the
/// keys that are known first, so that a host which has several kinds of keys
/// shows one that can be compared.
pub(super) fn preference(known: &[&str]) -> String {
    let (first, rest): (Vec<_>, Vec<_>) = ALGORITHMS.iter().partition(|(kind, _)| known.contains(kind));
    let names: Vec<&str> = first.into_iter().chain(rest).flat_map(|(_, names)| names.iter().copied()).collect();
    names.join(",")
}

/// OpenSSH's form of a fingerprint: `SHA256:` and unpadded base64.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// What a key is checked against.
pub(super) struct Expected<'a> {
    /// The host's name in the inventory, for messages.
    pub(super) host: &'a str,
    /// Its name in known_hosts, as `[192.0.2.1]:2222`.
    pub(super) field: &'a str,
    /// The files' contents.
    pub(super) known: &'a KnownHosts,
    /// Where a new key is remembered.
    pub(super) remember_in: Option<&'a PathBuf>,
    /// What to do about a host that is not known.
    pub(super) policy: HostKeyChecking,
}

/// Checks the key that the other end proved to hold.
///
/// # Errors
/// [`TransportError::HostKey`] with fingerprints and advice.
pub(super) fn verify(
    expected: &Expected<'_>,
    blob: &[u8],
    ask: impl FnOnce(&str) -> bool,
) -> Result<HostKeyVerified, TransportError> {
    let field = expected.field;
    let refuse = |why: String| TransportError::HostKey { host: expected.host.to_owned(), why };
    let kind = short(blob_type(blob).unwrap_or("unknown"));
    let shown = format!("{kind} {}", fingerprint(blob));
    match expected.known.check(field, blob) {
        Verdict::Known => Ok(HostKeyVerified(())),
        Verdict::Revoked(entry) => Err(refuse(format!(
            "the host key of {field} is revoked: {shown} is marked @revoked at {}; whoever answers there \
             holds a key that must not be trusted. Give the host a new key, and check who used the old one",
            place(entry)
        ))),
        Verdict::Changed(entries) => Err(refuse(format!(
            "the host key of {field} is not the known one: the host shows {shown}, known is {}. Either the \
             host was installed anew or someone is in between. If the new key is right (compare it on the \
             host's console: ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), forget the old one with: {}",
            entries
                .iter()
                .map(|entry| format!("{} {} ({})", short(&entry.key_type), fingerprint(&entry.blob), place(entry)))
                .collect::<Vec<_>>()
                .join(" or "),
            forget(&entries, field),
        ))),
        Verdict::AuthorityOnly(entry) => Err(refuse(format!(
            "only a certificate authority is known for {field} ({}), and host certificates are not supported. \
             The host shows {shown}; if that is right, add its own key to known_hosts (ssh-keyscan gives the line)",
            place(entry)
        ))),
        Verdict::Unknown => {
            let accepted = match expected.policy {
                HostKeyChecking::AcceptNew => true,
                HostKeyChecking::Strict => ask(&format!(
                    "The host key of {field} ({}) is not known: {shown}. Trust it and remember it?",
                    expected.host
                )),
            };
            if !accepted {
                return Err(refuse(format!(
                    "the host key of {field} is not known: the host shows {shown}. Compare it on the host's \
                     console (ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), then add it to {}, or use \
                     --host-key-checking accept-new",
                    expected.remember_in.map_or_else(|| "known_hosts".to_owned(), |file| file.display().to_string()),
                )));
            }
            if let Some(file) = expected.remember_in {
                remember(file, field, blob).map_err(|error| {
                    refuse(format!("the host key cannot be remembered in {}: {error}", file.display()))
                })?;
            }
            Ok(HostKeyVerified(()))
        }
    }
}

/// Remembers the keys of a host under a further port, where they are known
/// under its own; nothing where they are known by an alias, or there already.
pub(super) fn remember_port(route: &Route, port: u16) -> std::io::Result<()> {
    let field = host_field(&route.host, port);
    let known = KnownHosts::load(&route.known_hosts).map_err(std::io::Error::other)?;
    let (Some(file), true) = (route.known_hosts.first(), route.known_as == host_field(&route.host, route.port)) else {
        return Ok(());
    };
    for blob in known.keys(&route.known_as) {
        if known.check(&field, blob) == Verdict::Unknown {
            remember(file, &field, blob)?;
        }
    }
    Ok(())
}

/// Adds a line. The file is made for its owner alone, as is its directory.
fn remember(file: &Path, field: &str, blob: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    let mut line = String::new();
    if open.metadata()?.len() > 0 {
        let mut last = [0u8; 1];
        open.seek(SeekFrom::End(-1))?;
        open.read_exact(&mut last)?;
        if last != *b"\n" {
            line.push('\n');
        }
    }
    let kind = blob_type(blob).unwrap_or_default();
    line.push_str(&format!("{field} {kind} {}\n", STANDARD.encode(blob)));
    open.write_all(line.as_bytes())
}

fn place(entry: &Entry) -> String {
    format!("{}:{}", entry.file.display(), entry.line)
}

/// The commands that remove what is known of a host, one a file.
fn forget(entries: &[&Entry], field: &str) -> String {
    let mut files: Vec<&Path> = Vec::new();
    for entry in entries {
        if !files.contains(&entry.file.as_path()) {
            files.push(&entry.file);
        }
    }
    let commands = files.iter().map(|file| {
        let file = file.to_string_lossy();
        let word = |text: &str| crate::shell::quote(text).unwrap_or_default();
        format!("ssh-keygen -f {} -R {}", word(&file), word(field))
    });
    commands.collect::<Vec<_>>().join("; ")
}

/// The name in file names and in people's mouths.
fn short(kind: &str) -> &str {
    match kind {
        "ssh-ed25519" => "ed25519",
        "ssh-rsa" => "rsa",
        "ssh-dss" => "dsa",
        other if other.starts_with("ecdsa-sha2-") => "ecdsa",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_that_are_known_come_first_and_sha1_never() {
        assert!(preference(&[]).starts_with("ssh-ed25519,ecdsa-sha2-nistp256,"));
        assert!(preference(&["ssh-rsa"]).starts_with("rsa-sha2-512,rsa-sha2-256,ssh-ed25519"));
        assert!(preference(&["ecdsa-sha2-nistp256"]).starts_with("ecdsa-sha2-nistp256,ssh-ed25519"));
        assert!(!preference(&["ssh-rsa"]).split(',').any(|name| name == "ssh-rsa" || name.contains("cert")));
    }
}
