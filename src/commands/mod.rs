//! One file a verb. Each reads as a short pipeline of named steps and ends in
//! an [`Exit`]; errors are `anyhow` from here up, and [`exit_of`] finds the
//! exit code that an error stands for.

pub mod apply;
pub mod audit;
mod audit_records;
pub mod ca;
pub mod check;
pub mod completions;
pub mod connect;
pub mod connection;
pub mod env;
mod explain;
pub mod facts;
mod gateway_host;
pub mod keygen;
pub mod lab;
mod operator;
pub mod plan;
mod records;
pub mod schema;
pub mod select;
mod serving;
pub mod token;
pub mod undo;

use crate::connect::GatewayError;
use crate::engine::{is_failure, is_unreachable};

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

/// The exit code for an error: what is not known to be anything else was wrong input.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let no_gateway = |cause: &GatewayError| matches!(cause, GatewayError::Unreachable { .. });
    if is_unreachable(error) || error.chain().any(|cause| cause.downcast_ref().is_some_and(no_gateway)) {
        Exit::Unreachable
    } else if is_failure(error) {
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
        crate::cli::Command::Audit(args) => audit::run(args, console),
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
