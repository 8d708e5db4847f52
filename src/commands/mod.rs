//! One file a verb. Each reads as a short pipeline of named steps and ends in
//! an [`Exit`]; errors are `anyhow` from here up, and [`exit_of`] finds the
//! exit code that an error stands for.

pub mod apply;
pub mod ca;
mod carry_out;
pub mod check;
pub mod completions;
pub mod connect;
mod drift;
mod engine;
pub mod env;
pub mod facts;
mod gateway_host;
pub mod keygen;
pub mod lab;
mod phases;
pub mod plan;
mod probes;
mod reboot;
mod records;
mod rolling;
mod runs;
mod saved;
pub mod schema;
pub mod select;
pub mod token;
pub mod undo;

use crate::connect::GatewayError;
use crate::transport::TransportError;
use crate::values::Diagnostic;
use std::fmt;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing differs: 0.
    Done,
    /// The input is wrong: nothing was touched: 1.
    Input,
    /// Differences or findings: 2.
    Differs,
    /// A step failed on a host, or a host did not converge: 3.
    Failed,
    /// A host could not be reached or its key did not match: 4.
    Unreachable,
    /// A change was made and then undone: 5.
    Undone,
    /// As the command ended that the operator had run.
    Command(u8),
}

impl Exit {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Input => 1,
            Exit::Differs => 2,
            Exit::Failed => 3,
            Exit::Unreachable => 4,
            Exit::Undone => 5,
            Exit::Command(code) => code,
        }
    }
}

/// What is wrong with files or arguments; shown whole, exit code 1.
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

/// A step failed or a host did not converge; exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunFailed(pub String);

/// The exit code for an error: what is not known to be anything else was wrong input.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let no_gateway = |cause: &GatewayError| matches!(cause, GatewayError::Unreachable { .. });
    if error.chain().any(|cause| cause.is::<TransportError>() || cause.downcast_ref().is_some_and(no_gateway)) {
        Exit::Unreachable
    } else if error.chain().any(|cause| cause.is::<RunFailed>()) {
        Exit::Failed
    } else {
        Exit::Input
    }
}

/// Runs a command.
///
/// # Errors
/// Whatever ended it early; [`exit_of`] gives its exit code.
pub fn run(command: &crate::cli::Command, console: &mut crate::report::Console) -> anyhow::Result<Exit> {
    match command {
        crate::cli::Command::Plan(args) => plan::run(args, console),
        crate::cli::Command::Apply(args) => apply::run(args, console),
        crate::cli::Command::Facts(args) => facts::run(args, console),
        crate::cli::Command::Ca(args) => ca::run(args, console),
        crate::cli::Command::Token(args) => token::run(args, console),
        crate::cli::Command::Connect(args) => connect::run(args, console),
        crate::cli::Command::Check(args) => check::run(args, console),
        crate::cli::Command::Completions(args) => completions::run(args, console),
        crate::cli::Command::Undo(args) => undo::undo(args, console),
        crate::cli::Command::History(args) => undo::history(args, console),
        crate::cli::Command::Env(args) => env::run(args, console),
        crate::cli::Command::Keygen(args) => keygen::run(args, console),
        crate::cli::Command::Lab(args) => lab::run(args, console),
        crate::cli::Command::Schema(args) => schema::run(args, console),
    }
}
