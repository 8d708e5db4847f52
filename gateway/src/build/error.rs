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

/// A piece of the client's text for a message: short, without control characters.
pub fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}
