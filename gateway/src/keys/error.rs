//! Why keys are not loaded.

use std::path::PathBuf;

/// Why a key or a ring of keys is refused. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file or directory cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds a secret can be read by others.
    #[error("{}: holds a secret, but its mode is {mode:04o}; set it to 0600", path.display())]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key is not acceptable.
    #[error("{place}: {reason}")]
    Refused {
        /// The file, and the key's id or place in it.
        place: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Two keys claim one id.
    #[error("{place}: the key id '{kid}' is taken already; each key needs an id of its own")]
    Duplicate {
        /// The file of the second.
        place: String,
        /// The id.
        kid: String,
    },
    /// There is no key at all.
    #[error("{}: holds no key; make one with 'stockade-gateway keys init'", path.display())]
    Empty {
        /// The directory or file.
        path: PathBuf,
    },
    /// The cryptographic library or the random source failed.
    #[error("a key cannot be made: {0}")]
    Make(&'static str),
}

impl KeyError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> KeyError {
        let path = path.into();
        move |source| KeyError::Io { path, source }
    }
}
