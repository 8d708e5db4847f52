//! Ways to a root shell on a host.
//!
//! A transport gives a [`Link`]: a byte stream to a POSIX shell that runs as
//! root and reads programs from the stream ([`BOOTSTRAP`]). [`Session`] speaks
//! the framing over it. One link is one SSH session: a plan uses one.

mod auth;
mod connector;
mod deadline;
pub mod fake;
mod forward;
mod host_key;
mod jump;
mod keys;
mod known_hosts;
mod local;
mod route;
mod session;
mod ssh;
mod ssh_config;
mod sudo;
mod wire;

pub use connector::{Connector, Dial};
pub use forward::Forward;
pub use session::{BOOTSTRAP, Reply, Session};

use crate::values::Secret;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A byte stream to the [`BOOTSTRAP`] shell.
pub trait Link: Send {
    /// Sends all of `input` while handing whatever arrives to `sink`, until the
    /// sink breaks off. Both directions are pumped at once: neither side's
    /// full window may stall the other.
    ///
    /// # Errors
    /// [`TransportError::Closed`] when the other end closes before the sink
    /// breaks off; [`TransportError::Timeout`] when nothing moves for `idle`.
    fn exchange(
        &mut self,
        input: &[u8],
        idle: Duration,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TransportError>;
}

/// Connects to a host, verifies it, logs in and starts a root shell there.
/// `ask` is kept by the link: only the first answer shows whether sudo wants a
/// password.
///
/// # Errors
/// See [`TransportError`]; each says what to do.
pub fn connect(target: &Target, policy: &Policy, ask: &Arc<dyn Ask>) -> Result<Box<dyn Link>, TransportError> {
    match &target.local_root {
        Some(root) => Ok(Box::new(local::connect(&target.name, root)?)),
        None => ssh::connect(target, policy, ask),
    }
}

/// Whether a host is reached through another, by its inventory or ssh_config:
/// what it is called there may mean something else here.
///
/// # Errors
/// As [`connect`] before it connects.
pub fn is_behind_jump(target: &Target, policy: &Policy) -> Result<bool, TransportError> {
    Ok(route::find(target, policy)?.via != route::Via::Direct)
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host's name in the inventory, for messages.
    pub name: String,
    /// What is connected to; may be an alias of ssh_config(5).
    pub address: String,
    /// None: what ssh_config says, else 22.
    pub port: Option<u16>,
    /// None: what ssh_config says, else the local user.
    pub user: Option<String>,
    /// Private keys to offer before the agent's others.
    pub keys: Vec<PathBuf>,
    /// known_hosts files; empty: ssh_config's, else `~/.ssh/known_hosts`.
    pub known_hosts: Vec<PathBuf>,
    /// A jump host: an ssh_config alias or `user@address:port`.
    pub jump: Option<String>,
    /// Not SSH but this machine (`/`) or a chroot on it.
    pub local_root: Option<PathBuf>,
}

/// What to do about a host key that known_hosts does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKeyChecking {
    /// Refuse (or ask once, on a terminal).
    #[default]
    Strict,
    /// Accept and remember; a changed key is still refused.
    AcceptNew,
}

/// Limits and policy of connections.
#[derive(Debug, Clone)]
pub struct Policy {
    /// For TCP, banner, key exchange and authentication together.
    pub connect_timeout: Duration,
    /// Interval of keepalive messages; a connection on which four have got no
    /// answer is given up. Zero: none are sent.
    pub keepalive: Duration,
    /// Unknown host keys.
    pub host_keys: HostKeyChecking,
    /// Whether ssh_config is consulted by `ssh -G`.
    pub use_ssh_config: bool,
    /// Whether a connection that ends in its key exchange is made anew at once;
    /// not where the caller tries again, at a pace of its own.
    pub insist: bool,
    /// The port that sshd has moved to in this run: it is connected to in
    /// place of the target's, whose key in known_hosts still counts.
    pub moved_to: Option<u16>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            connect_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
            host_keys: HostKeyChecking::Strict,
            use_ssh_config: true,
            insist: true,
            moved_to: None,
        }
    }
}

/// Asks the operator; one answer serves all hosts of a run.
pub trait Ask: Send + Sync {
    /// A passphrase or password; none if there is no terminal or no answer.
    fn secret(&self, prompt: &str) -> Option<Secret>;
    /// Yes or no; no if there is no terminal.
    fn confirm(&self, question: &str) -> bool;
}

/// Why a host could not be used. All of these end in exit code 4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection.
    #[error("{host}: cannot connect to {address}: {why}")]
    Unreachable {
        /// The host's name.
        host: String,
        /// Address and port.
        address: String,
        /// What the system said, and what to do.
        why: String,
    },
    /// The host's key is not the one expected, not known or revoked.
    #[error("{host}: {why}")]
    HostKey {
        /// The host's name.
        host: String,
        /// Which key was found and which expected, with fingerprints, and what to do.
        why: String,
    },
    /// No offered identity was accepted.
    #[error("{host}: authentication failed: {why}")]
    Authentication {
        /// The host's name.
        host: String,
        /// What was tried and what to do.
        why: String,
    },
    /// The login worked, root did not.
    #[error("{host}: cannot become root: {why}")]
    Privilege {
        /// The host's name.
        host: String,
        /// What sudo said and what to do.
        why: String,
    },
    /// A time limit passed.
    #[error("{host}: no answer within {seconds} s while {doing}")]
    Timeout {
        /// The host's name.
        host: String,
        /// The limit.
        seconds: u64,
        /// What was waited for.
        doing: String,
    },
    /// The connection ended early.
    #[error("{host}: the connection was closed{}", if said.is_empty() { String::new() } else { format!(": {said}") })]
    Closed {
        /// The host's name.
        host: String,
        /// The last of what came on standard error.
        said: String,
    },
    /// The other end spoke something else.
    #[error("{host}: unexpected answer: {why}")]
    Protocol {
        /// The host's name.
        host: String,
        /// What was expected.
        why: String,
    },
}
