//! What runs did, kept for the operator: here, or in a Redis that a team and
//! its CI share.
//!
//! A record says who ran what, when, on which hosts, and how it ended for
//! each. It holds lines of steps, never values. Hosts keep records of their
//! own, by which a run is taken back; these can be read without asking a host,
//! and they know of hosts that never answered.
//!
//! A store is opened for a moment and closed again: it is never what a run
//! waits for. Whether it can be written is checked before a host is touched.

mod local;
mod redis_store;

pub use local::LocalStore;
pub use redis_store::{Holder, Lock, RedisStore};

use crate::values::Secret;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of the form of a record; one of another is refused.
pub const FORMAT_VERSION: u32 = 1;

/// The verb of a record of an audit.
pub const AUDIT: &str = "audit";

/// How many runs a store keeps; the oldest go first.
const KEPT: usize = 10_000;

/// One run of `apply` or `undo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Its name; sorts by time.
    pub id: String,
    /// When it began (RFC 3339, UTC).
    pub time: String,
    /// Who ran it, as `user@machine`.
    pub who: String,
    /// `apply`, `undo` or `audit`.
    pub verb: String,
    /// The playbook's name, else its file; for an undo the run that was taken back.
    pub playbook: String,
    /// A digest of all inputs.
    pub inputs: String,
    /// The stage, where all hosts have the same.
    pub stage: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Its hosts, in the order of the inventory.
    pub hosts: Vec<HostRun>,
}

/// What a run did on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostRun {
    /// The host's name in the inventory.
    pub name: String,
    /// The runs on the host, as it names them; two where a reboot lies between.
    pub runs: Vec<String>,
    /// How it ended, as the JSON of an apply says it; `unfinished` as long as it has not.
    pub result: String,
    /// The steps that changed something, a line each.
    pub changes: Vec<String>,
    /// The step that failed.
    pub failed: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Of an audit: the score, from 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Of an audit: how many findings there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<usize>,
}

impl HostRun {
    /// Whether the host ended as the playbook wants it.
    pub fn converged(&self) -> bool {
        self.result == "converged"
    }
}

/// Why records cannot be kept, read, or a host not be locked.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The address is wrong.
    #[error("--record: {0}")]
    Address(String),
    /// The store cannot be used.
    #[error("the records in {store} cannot be used: {why}")]
    Store {
        /// The file, or the address without its password.
        store: String,
        /// The reason.
        why: String,
    },
}

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file of this machine.
    Local(PathBuf),
    /// In Redis, by its address.
    Redis(Secret),
    /// Nowhere.
    Nowhere,
}

impl Place {
    /// Reads `local`, `none` or `redis://[user[:password]@]host[:port][/db]`.
    ///
    /// # Errors
    /// It is none of them; the text, which may hold a password, is not repeated.
    pub fn parse(text: &str) -> Result<Place, RecordsError> {
        match text.split_once(':').map_or(text, |(scheme, _)| scheme) {
            "none" => Ok(Place::Nowhere),
            "local" => Place::local(),
            "redis" | "redis+unix" => Ok(Place::Redis(Secret::new(text))),
            "rediss" => Err(RecordsError::Address(
                "this program speaks no TLS to Redis: give redis:// at the near end of a tunnel".to_owned(),
            )),
            _ => Err(RecordsError::Address("give 'redis://HOST:PORT/DB', 'local' or 'none'".to_owned())),
        }
    }

    /// The usual file of this user.
    ///
    /// # Errors
    /// The user has no home.
    pub fn local() -> Result<Place, RecordsError> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| Place::Local(state.join("stockade/records.redb")))
            .ok_or_else(|| {
                RecordsError::Address(
                    "there is no place for the record: set HOME or XDG_STATE_HOME, or give --record none".to_owned(),
                )
            })
    }
}

/// Where runs are kept.
pub trait Store: Send + Sync {
    /// What messages call it; without a password.
    fn name(&self) -> &str;

    /// That a record could be written now.
    ///
    /// # Errors
    /// It could not.
    fn check(&self) -> Result<(), RecordsError>;

    /// Keeps a run, in place of what was kept under its id before.
    ///
    /// # Errors
    /// It is not kept.
    fn add(&self, run: &Run) -> Result<(), RecordsError>;

    /// All runs, oldest first.
    ///
    /// # Errors
    /// The store cannot be read, or was written by a later version.
    fn runs(&self) -> Result<Vec<Run>, RecordsError>;
}

/// A record as its store holds it.
fn read(store: &str, bytes: &[u8]) -> Result<Run, RecordsError> {
    #[derive(Deserialize)]
    struct Form {
        format_version: u32,
    }
    let wrong = |why: String| RecordsError::Store { store: store.to_owned(), why };
    let damaged = |error: serde_json::Error| wrong(format!("a record is damaged: {error}"));
    let form: Form = serde_json::from_slice(bytes).map_err(damaged)?;
    if form.format_version != FORMAT_VERSION {
        return Err(wrong(format!(
            "a record has the form {}, this version knows {FORMAT_VERSION}",
            form.format_version
        )));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

fn written(store: &str, run: &Run) -> Result<Vec<u8>, RecordsError> {
    serde_json::to_vec(run).map_err(|error| RecordsError::Store { store: store.to_owned(), why: error.to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_wrong_is_never_repeated() {
        for wrong in ["rediss://u:hunter2@h", "hunter2", "http://u:hunter2@h", "redis.example:hunter2"] {
            let error = Place::parse(wrong).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let place = Place::parse("redis://u:hunter2@h:1/0").unwrap();
        assert!(!format!("{place:?}").contains("hunter2"));
        assert_eq!(Place::parse("none").unwrap(), Place::Nowhere);
    }

    #[test]
    fn a_record_of_a_later_version_is_refused_and_not_misread() {
        let error = read("x", br#"{"format_version": 2, "new": true}"#).unwrap_err().to_string();
        assert!(error.contains("form 2"), "{error}");
        assert!(read("x", b"{").unwrap_err().to_string().contains("damaged"));
    }
}
