//! `completions`: what a shell needs to complete the command line.

use super::Exit;
use crate::report::Console;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

/// `stockade completions SHELL`
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: CompletedShell,
}

/// The shells there are completions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompletedShell {
    /// bash with bash-completion.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Runs the command.
///
/// # Errors
/// None; the signature is that of every command.
pub fn run(args: &CompletionsArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let shell = match args.shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
    };
    let mut command = crate::cli::Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "stockade", &mut script);
    console.print(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
