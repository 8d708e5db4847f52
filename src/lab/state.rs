//! The files of a lab: its key pair, `hosts.json`, and the `known_hosts` and
//! `inventory.toml` that follow from it.
//!
//! Every file is replaced as a whole, so a reader never sees half of one.
//! Writers hold the lock. The private key is readable by its owner only, and a
//! `.gitignore` keeps the directory out of repositories.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

use super::LabError;

/// What is remembered of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The container's id.
    pub(crate) container: String,
    /// The loopback port of its sshd.
    pub(crate) port: u16,
    /// The base, as the user writes it.
    pub(crate) base: String,
    /// The user who logs in.
    pub(crate) user: String,
    /// Its groups in the inventory.
    pub(crate) groups: Vec<String>,
    /// Its public host keys, `type base64` each.
    pub(crate) host_keys: Vec<String>,
}

/// Hosts by name.
pub(crate) type Records = BTreeMap<String, Record>;

#[derive(Serialize, Deserialize)]
struct HostsFile {
    format_version: u32,
    hosts: Records,
}

/// A lab's directory.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens the directory, creating it if needed.
    ///
    /// # Errors
    /// When it cannot be created, or its path has a character that ssh's
    /// options or Docker's labels give a meaning of their own.
    pub(crate) fn open(dir: &Path) -> Result<Self, LabError> {
        check(dir)?;
        fs::create_dir_all(dir).map_err(LabError::file(dir))?;
        let path = fs::canonicalize(dir).map_err(LabError::file(dir))?;
        check(&path)?;
        Ok(Self { path })
    }

    /// The absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits for the lock that writers hold; dropping the file ends it.
    pub(crate) fn lock(&self) -> Result<File, LabError> {
        let path = self.file("lock");
        let file = File::create(&path).map_err(LabError::file(&path))?;
        file.lock().map_err(LabError::file(&path))?;
        Ok(file)
    }

    /// The public key of the lab; the pair is made when there is none.
    pub(crate) fn public_key(&self) -> Result<String, LabError> {
        let path = self.file("id_ed25519");
        let damaged = |error: ssh_key::Error| LabError::Damaged { path: path.clone(), reason: error.to_string() };
        let private = match fs::read_to_string(&path) {
            Ok(text) => PrivateKey::from_openssh(text).map_err(damaged)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut made = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(damaged)?;
                made.set_comment("stockade-lab");
                let text = made.to_openssh(LineEnding::LF).map_err(damaged)?;
                self.replace("id_ed25519", text.as_bytes(), 0o600)?;
                made
            }
            Err(error) => return Err(LabError::file(&path)(error)),
        };
        let public = private.public_key().to_openssh().map_err(damaged)? + "\n";
        self.replace("id_ed25519.pub", public.as_bytes(), 0o644)?;
        Ok(public)
    }

    /// Reads the hosts; none when there is no file.
    pub(crate) fn load(&self) -> Result<Records, LabError> {
        let path = self.file("hosts.json");
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<HostsFile>(&bytes) {
                Ok(file) if file.format_version == 1 => Ok(file.hosts),
                Ok(file) => {
                    let reason = format!("format_version {} is not known", file.format_version);
                    Err(LabError::Damaged { path, reason })
                }
                Err(error) => Err(LabError::Damaged { path, reason: error.to_string() }),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Records::new()),
            Err(error) => Err(LabError::file(&path)(error)),
        }
    }

    /// Writes `hosts.json` and what follows from it. Without hosts the files
    /// and the key pair are removed: nothing of the lab is left to log in to.
    pub(crate) fn save(&self, hosts: &Records) -> Result<(), LabError> {
        if hosts.is_empty() {
            for name in ["inventory.toml", "known_hosts", "hosts.json", "id_ed25519", "id_ed25519.pub"] {
                let path = self.file(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(LabError::file(&path)(error)),
                    _ => {}
                }
            }
            return Ok(());
        }
        let path = self.file("hosts.json");
        let file = HostsFile { format_version: 1, hosts: hosts.clone() };
        let mut json =
            serde_json::to_vec_pretty(&file).map_err(|error| LabError::Damaged { path, reason: error.to_string() })?;
        json.push(b'\n');
        self.replace(".gitignore", b"*\n", 0o644)?;
        self.replace("hosts.json", &json, 0o644)?;
        self.replace("known_hosts", known_hosts(hosts).as_bytes(), 0o644)?;
        self.replace("inventory.toml", inventory(hosts).as_bytes(), 0o644)
    }

    fn replace(&self, name: &str, content: &[u8], mode: u32) -> Result<(), LabError> {
        let path = self.file(name);
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(content)?;
            file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(LabError::file(&path))
    }
}

fn check(dir: &Path) -> Result<(), LabError> {
    let plain = |text: &str| !text.chars().any(|c| c.is_control() || "\"\\$%".contains(c));
    if dir.to_str().is_some_and(plain) {
        return Ok(());
    }
    Err(LabError::Invalid {
        what: "lab directory",
        value: dir.display().to_string(),
        reason: "a UTF-8 path without \" \\ $ % and control characters is expected",
    })
}

/// `known_hosts` as sshd(8) describes it, one line a key.
fn known_hosts(hosts: &Records) -> String {
    let mut text = String::new();
    for host in hosts.values() {
        for key in &host.host_keys {
            text.push_str(&format!("[127.0.0.1]:{} {key}\n", host.port));
        }
    }
    text
}

/// The inventory; paths in it are relative to the file. All its values are
/// checked names or numbers, which TOML takes as they are.
fn inventory(hosts: &Records) -> String {
    let user = hosts.values().next().map_or("ubuntu", |host| host.user.as_str());
    let mut text = format!(
        "# Written by `stockade lab`; changes are lost.\n[defaults]\nuser = \"{user}\"\n\
         key = \"id_ed25519\"\nknown_hosts = \"known_hosts\"\n"
    );
    for (name, host) in hosts {
        let groups: Vec<String> = host.groups.iter().map(|group| format!("\"{group}\"")).collect();
        text.push_str(&format!("\n[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {}\n", host.port));
        if host.user != user {
            text.push_str(&format!("user = \"{}\"\n", host.user));
        }
        text.push_str(&format!("groups = [{}]\n", groups.join(", ")));
    }
    text
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
