//! One host of a lab, and what is asked for when it is brought up.

use std::process::Output;
use std::time::Duration;

use super::LabError;
use super::engine::Engine;
use super::names::{Base, HostKeyType, HostProfile};
use super::process::Input;

/// The time a command run by [`LabHost::exec`] may take: installing packages
/// is the longest thing done in a host.
const EXEC: Duration = Duration::from_secs(600);

/// What hosts to bring up.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// The host's name, or the first part of the names of several; without
    /// one the next free of `lab1`, `lab2`, … are taken.
    pub name: Option<String>,
    /// How many hosts, 1 to 100.
    pub count: usize,
    /// What they are made from; without one `ubuntu:24.04` where it can be
    /// had, else `debootstrap:bookworm`.
    pub base: Option<Base>,
    /// How they look.
    pub profile: HostProfile,
    /// Their groups in the inventory.
    pub groups: Vec<String>,
    /// The types of the host keys that they make at their first start, at least one. An
    /// RSA key takes half of the processor time of a start.
    pub host_keys: Vec<HostKeyType>,
}

impl Default for UpOptions {
    fn default() -> Self {
        let groups = vec!["lab".to_owned(), "docker".to_owned()];
        Self {
            name: None,
            count: 1,
            base: None,
            profile: HostProfile::Ubuntu,
            groups,
            host_keys: HostKeyType::ALL.to_vec(),
        }
    }
}

/// What [`Lab::up_with`](super::Lab::up_with) did.
#[derive(Debug, Clone)]
pub struct StartedHosts {
    /// The new hosts, ready for use.
    pub hosts: Vec<LabHost>,
    /// What the user should know: a fallback that was taken, failed units.
    pub notices: Vec<String>,
}

/// Whether a host can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostState {
    /// Its container runs.
    Running,
    /// Its container is there and does not run; the word is the engine's.
    Stopped(String),
    /// Its container is gone; [`Lab::down`](super::Lab::down) clears what is remembered of it.
    Gone,
}

impl std::fmt::Display for HostState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Stopped(word) => f.write_str(word),
            Self::Gone => f.write_str("gone"),
        }
    }
}

/// One test host.
#[derive(Debug, Clone)]
pub struct LabHost {
    /// Its name, in the inventory and as its host name.
    pub name: String,
    /// The loopback port of its sshd, when known.
    pub port: Option<u16>,
    /// The user who logs in.
    pub user: String,
    /// The base it was made from, as `--base` takes it.
    pub base: String,
    /// The container's id.
    pub container: String,
    /// Whether it can be used.
    pub state: HostState,
    pub(super) engine: Engine,
}

impl LabHost {
    /// Runs a program in the host as root, past sshd: the outside witness of
    /// tests. Its exit status is in the output.
    ///
    /// # Errors
    /// When the engine cannot run it, or it takes more than ten minutes.
    pub fn exec<S: AsRef<str>>(&self, args: &[S]) -> Result<Output, LabError> {
        self.engine.exec(&self.container, args, Input::Null, EXEC)
    }

    /// As [`LabHost::exec`], with `input` on its standard input.
    ///
    /// # Errors
    /// As [`LabHost::exec`].
    pub fn exec_with_input<S: AsRef<str>>(&self, args: &[S], input: &[u8]) -> Result<Output, LabError> {
        self.engine.exec(&self.container, args, Input::Bytes(input), EXEC)
    }
}
