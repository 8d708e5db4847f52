//! Private key files, and the passphrases that open them.
//!
//! An encrypted key is opened once in a process, however many hosts use it:
//! the passphrase is asked once and the slow key derivation is paid once.

use super::Ask;
use crate::values::Secret;
use ssh_key::{LineEnding, PrivateKey, PublicKey};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// A key file.
pub(super) struct Key {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The public half as it travels, where it is known without a passphrase.
    pub(super) public: Option<Vec<u8>>,
    /// The private half.
    pub(super) private: Private,
}

/// The private half of a key.
pub(super) enum Private {
    /// Not in this file: a public key, or one that lives in a FIDO token. An agent may have it.
    Elsewhere,
    /// Ready for use.
    Clear(Secret),
    /// Encrypted.
    Locked(Secret),
}

/// A private key that can be used.
#[derive(Clone)]
pub(super) struct Unlocked {
    /// The file's text, decrypted where we could do it.
    pub(super) text: Secret,
    /// What still has to open it.
    pub(super) passphrase: Option<Secret>,
}

impl Key {
    /// Reads a key file.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn load(path: &Path) -> Result<Key, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let key = |public, private| Key { path: path.to_owned(), public, private };
        if let Ok(public) = PublicKey::from_openssh(text.trim()) {
            return Ok(key(public.to_bytes().ok(), Private::Elsewhere));
        }
        if !text.contains("PRIVATE KEY-----") {
            return Err(format!("{}: not a private key file", path.display()));
        }
        let Ok(parsed) = PrivateKey::from_openssh(&text) else {
            // PEM and PKCS #8, which libssh2 reads; the public half may lie beside it.
            let public = std::fs::read_to_string(beside(path)).ok();
            let public = public.and_then(|text| PublicKey::from_openssh(text.trim()).ok()?.to_bytes().ok());
            let locked = text.contains("ENCRYPTED");
            let text = Secret::new(text);
            return Ok(key(public, if locked { Private::Locked(text) } else { Private::Clear(text) }));
        };
        let public = parsed.public_key().to_bytes().ok();
        let private = if parsed.algorithm().as_str().starts_with("sk-") {
            Private::Elsewhere
        } else if parsed.is_encrypted() {
            Private::Locked(Secret::new(text))
        } else {
            Private::Clear(Secret::new(text))
        };
        Ok(key(public, private))
    }

    /// The key ready for use, asking for its passphrase if that has not been
    /// done in this process.
    ///
    /// # Errors
    /// No passphrase was given, or a wrong one.
    pub(super) fn unlock(&self, ask: &dyn Ask) -> Result<Unlocked, String> {
        match &self.private {
            Private::Clear(text) => Ok(Unlocked { text: text.clone(), passphrase: None }),
            Private::Elsewhere => Err(format!("{}: its private half is not in the file", self.path.display())),
            Private::Locked(text) => {
                // Held while the question is open: other hosts wait for the same answer.
                let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(before) = opened.get(&self.path) {
                    return before.clone();
                }
                let answer = open(&self.path, text, ask);
                opened.insert(self.path.clone(), answer.clone());
                answer
            }
        }
    }
}

static OPENED: LazyLock<Mutex<HashMap<PathBuf, Result<Unlocked, String>>>> = LazyLock::new(Mutex::default);

fn open(path: &Path, text: &Secret, ask: &dyn Ask) -> Result<Unlocked, String> {
    let shown = path.display();
    let Some(passphrase) = ask.secret(&format!("Passphrase of the key {shown}")) else {
        return Err(format!(
            "{shown}: it is encrypted and no passphrase was given (ssh-add it to an agent, or run on a terminal)"
        ));
    };
    if let Ok(parsed) = PrivateKey::from_openssh(text.expose()) {
        return match parsed.decrypt(passphrase.expose()).and_then(|clear| clear.to_openssh(LineEnding::LF)) {
            Ok(clear) => Ok(Unlocked { text: Secret::new(clear.as_str()), passphrase: None }),
            Err(_) => Err(format!("{shown}: the passphrase does not open it")),
        };
    }
    Ok(Unlocked { text: text.clone(), passphrase: Some(passphrase) })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}
