//! What can go wrong in the lab, each with what to do about it.

use std::path::PathBuf;

/// An error of the lab. The text says what failed, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The `docker` program is not installed.
    #[error("the lab needs the docker program, which is not in PATH: install it (apt-get install docker.io)")]
    DockerMissing,
    /// The `docker` program is there, but no engine answers it.
    #[error(
        "no Docker engine answers: {detail}\nstart it (systemctl start docker), point DOCKER_HOST at one, or join the docker group"
    )]
    EngineUnreachable {
        /// What the docker program said.
        detail: String,
    },
    /// A `docker` command failed.
    #[error("docker {action} failed: {detail}")]
    Engine {
        /// The command, without its arguments (`run`, `exec`, …).
        action: String,
        /// The last lines it wrote.
        detail: String,
    },
    /// A program took longer than it may.
    #[error("{what} did not end within {seconds} s")]
    TimedOut {
        /// The program or the thing waited for.
        what: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// `mmdebstrap` is not installed.
    #[error(
        "a debootstrap base needs mmdebstrap, which is not in PATH: apt-get install mmdebstrap, or name an image with --base ubuntu:24.04"
    )]
    MmdebstrapMissing,
    /// The base tree or the image of a host could not be built.
    #[error("the image for base {base} could not be built; the last lines were:\n{detail}")]
    ImageBuild {
        /// The base as the user writes it.
        base: String,
        /// The last lines of the builder.
        detail: String,
    },
    /// A host was started and did not become usable. A new one is removed.
    #[error("{name} did not come up: {reason}; its last lines were:\n{log}")]
    NotReady {
        /// The host's name.
        name: String,
        /// What was waited for.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// A host of that name is in this lab already.
    #[error("{name} is already in this lab: take it down first (stockade lab down {name}) or choose another --name")]
    NameTaken {
        /// The host's name.
        name: String,
    },
    /// No host of that name is in this lab.
    #[error("this lab has no host {name}; it has: {known}")]
    UnknownHost {
        /// The name asked for.
        name: String,
        /// The names there are, or `none`.
        known: String,
    },
    /// A host is known but its container does not run.
    #[error("{name} does not run ({state}): stockade lab down {name}, then up again")]
    NotRunning {
        /// The host's name.
        name: String,
        /// Its state.
        state: String,
    },
    /// A name, base or directory that cannot be used.
    #[error("{what} {value:?}: {reason}")]
    Invalid {
        /// What the value was to be (`host name`, `base`, …).
        what: &'static str,
        /// The value.
        value: String,
        /// Why it cannot be used, or what is expected.
        reason: &'static str,
    },
    /// A file of the lab could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the lab does not hold what it should.
    #[error("{path}: {reason}; move it away and run stockade lab list", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A program could not be started at all.
    #[error("{program} could not be started: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

impl LabError {
    /// Wraps an I/O error with the file it belongs to.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
