//! What ends a verb early, told apart by what the operator has to mend.

use crate::transport::TransportError;
use crate::values::Diagnostic;
use std::fmt;

/// What is wrong with files or arguments; shown whole, and nothing was touched.
#[derive(Debug)]
pub struct InputErrors(pub Vec<Diagnostic>);

impl std::error::Error for InputErrors {}

impl fmt::Display for InputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = in_order(&self.0);
        for diagnostic in &errors {
            writeln!(f, "{diagnostic}\n")?;
        }
        let count = errors.len();
        write!(f, "{count} error{}; nothing was touched", if count == 1 { "" } else { "s" })
    }
}

/// Each error once, in the order of the files that were read and of their lines;
/// those of no file come last.
fn in_order(errors: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut files: Vec<&str> = Vec::new();
    let mut once: Vec<&Diagnostic> = Vec::new();
    for error in errors {
        if let Some(span) = &error.span
            && !files.contains(&span.source.name.as_str())
        {
            files.push(&span.source.name);
        }
        // Hosts and items mostly share what is wrong.
        if !once.iter().any(|known| (&known.span, &known.message) == (&error.span, &error.message)) {
            once.push(error);
        }
    }
    let place = |error: &&Diagnostic| match &error.span {
        Some(span) => {
            (files.iter().position(|file| *file == span.source.name).unwrap_or(files.len()), span.range.start)
        }
        None => (files.len(), 0),
    };
    once.sort_by_key(place);
    once
}

/// A step failed, a host did not converge, or it could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunFailed(pub String);

/// Whether the host could not be reached, or its key did not match.
pub fn is_unreachable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<TransportError>())
}

/// Whether the host is what failed; what is neither this nor
/// [unreachable](is_unreachable) is wrong input.
pub fn is_failure(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<RunFailed>())
}
