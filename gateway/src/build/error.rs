//! Why a Dockerfile is refused.

use thiserror::Error;

/// A Dockerfile, or a part of it, is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Dockerfile line {line}: {message}")]
pub struct DockerfileError {
    /// The first line of the instruction, counted from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl DockerfileError {
    pub(super) fn new(line: usize, message: impl Into<String>) -> DockerfileError {
        DockerfileError { line, message: message.into() }
    }
}
