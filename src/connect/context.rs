//! A context of the Docker client, made by the client itself.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
#[error("the Docker context '{name}': {why}")]
pub struct ContextError {
    name: String,
    why: String,
}

/// A context that leads to a local socket; removed when this is dropped.
#[derive(Debug)]
pub struct Context {
    name: String,
}

fn docker<S: AsRef<OsStr>>(words: &[S]) -> std::io::Result<Output> {
    // The operator's own choice of a daemon has no say in what contexts there are.
    Command::new("docker").arg("context").args(words).env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").output()
}

impl Context {
    /// Makes the context; none if there is no Docker client on this machine. A
    /// context of that name that leads to the same socket is taken over: it was
    /// left by a run that could not end.
    ///
    /// # Errors
    /// There is another context of that name, or the client refuses.
    pub fn create(name: &str, socket: &Path) -> Result<Option<Context>, ContextError> {
        let wrong = |why: String| ContextError { name: name.to_owned(), why };
        let host = format!("unix://{}", socket.display());
        let found = match docker(&["inspect", name, "--format", "{{.Endpoints.docker.Host}}"]) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
        };
        if found.status.success() {
            if String::from_utf8_lossy(&found.stdout).trim() == host {
                return Ok(Some(Context { name: name.to_owned() }));
            }
            return Err(wrong("is there and leads elsewhere; choose another name with --context".to_owned()));
        }
        let endpoint = format!("host={host}");
        let made = docker(&["create", name, "--description", "through stockade connect", "--docker", &endpoint])
            .map_err(|error| wrong(error.to_string()))?;
        if made.status.success() {
            Ok(Some(Context { name: name.to_owned() }))
        } else {
            Err(wrong(String::from_utf8_lossy(&made.stderr).trim().to_owned()))
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.name]);
    }
}
