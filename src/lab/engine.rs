//! The local Docker engine, driven through the `docker` program.
//!
//! Every call is an argument vector with a time limit; no shell is involved.
//! `DOCKER_HOST` and the docker contexts apply, as the program itself reads
//! them from the environment.

use std::io::ErrorKind;
use std::process::{Command, Output};
use std::time::Duration;

use super::LabError;
use super::process::{self, Input};

/// Long enough for any call that neither builds nor downloads.
const CALL: Duration = Duration::from_secs(60);

/// A handle on the engine; cheap to clone, holds no connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Engine;

impl Engine {
    /// Asks whether the engine answers.
    ///
    /// # Errors
    /// [`LabError::DockerMissing`] or [`LabError::EngineUnreachable`].
    pub(crate) fn check(&self) -> Result<(), LabError> {
        let output = self.output(&["version", "--format", "{{.Server.Version}}"], Input::Null, CALL)?;
        if output.status.success() {
            return Ok(());
        }
        Err(LabError::EngineUnreachable { detail: process::tail(&output, 2) })
    }

    /// Runs `docker ARGS`, whatever its exit status.
    ///
    /// # Errors
    /// Only when it cannot be run or takes longer than `limit`.
    pub(crate) fn output<S: AsRef<str>>(
        &self,
        args: &[S],
        input: Input<'_>,
        limit: Duration,
    ) -> Result<Output, LabError> {
        let mut command = Command::new("docker");
        command.args(args.iter().map(AsRef::as_ref));
        process::run(command, input, limit).map_err(|error| match error {
            LabError::Spawn { source, .. } if source.kind() == ErrorKind::NotFound => LabError::DockerMissing,
            LabError::TimedOut { seconds, .. } => {
                let verb = args.first().map_or("", AsRef::as_ref);
                LabError::TimedOut { what: format!("docker {verb}"), seconds }
            }
            other => other,
        })
    }

    /// Runs `docker ARGS` and returns its trimmed standard output.
    ///
    /// # Errors
    /// [`LabError::Engine`] with its last lines when it fails.
    pub(crate) fn call<S: AsRef<str>>(&self, args: &[S]) -> Result<String, LabError> {
        let output = self.output(args, Input::Null, CALL)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let action = args.first().map_or("", AsRef::as_ref).to_owned();
        let detail = process::tail(&output, 5);
        if detail.contains("Cannot connect to the Docker daemon") || detail.contains("permission denied while trying") {
            return Err(LabError::EngineUnreachable { detail });
        }
        Err(LabError::Engine { action, detail })
    }

    /// The id of a local image, or `None` when the engine has none of that name.
    pub(crate) fn image_id(&self, reference: &str) -> Result<Option<String>, LabError> {
        match self.call(&["image", "inspect", "--format", "{{.Id}}", reference]) {
            Ok(id) => Ok(Some(id)),
            Err(LabError::Engine { detail, .. }) if detail.to_lowercase().contains("no such image") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs a program in a container as root and waits for its end.
    pub(crate) fn exec<S: AsRef<str>>(
        &self,
        container: &str,
        args: &[S],
        input: Input<'_>,
        limit: Duration,
    ) -> Result<Output, LabError> {
        let mut all = vec!["exec"];
        if !matches!(input, Input::Null) {
            all.push("--interactive");
        }
        all.extend(["--user", "0", container]);
        all.extend(args.iter().map(AsRef::as_ref));
        self.output(&all, input, limit)
    }

    /// Removes a container, running or not, and volumes; none need exist.
    ///
    /// # Errors
    /// When one of them exists and cannot be removed.
    pub(crate) fn remove(&self, container: &str, volumes: &[String]) -> Result<(), LabError> {
        ignore_missing(self.call(&["rm", "--force", "--volumes", container]))?;
        self.remove_volumes(volumes)
    }

    /// Removes volumes; none need exist.
    ///
    /// # Errors
    /// When one of them exists and cannot be removed.
    pub(crate) fn remove_volumes(&self, volumes: &[String]) -> Result<(), LabError> {
        volumes.iter().try_for_each(|volume| ignore_missing(self.call(&["volume", "rm", "--force", volume])))
    }
}

fn ignore_missing(result: Result<String, LabError>) -> Result<(), LabError> {
    match result {
        Err(LabError::Engine { detail, .. }) if detail.to_lowercase().contains("no such") => Ok(()),
        other => other.map(drop),
    }
}
