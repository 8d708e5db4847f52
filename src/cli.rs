//! The command line: definitions only. Each command's arguments stand beside
//! what it does, in `commands/`.

use clap::{Parser, Subcommand};

/// Provision and harden fresh Ubuntu servers over SSH: plan, apply, prove.
#[derive(Debug, Parser)]
#[command(name = "stockade", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What differs between the playbook and the hosts; nothing is touched.
    Plan(crate::commands::plan::PlanArgs),
    /// Make the hosts what the playbook says, and look again.
    Apply(crate::commands::apply::ApplyArgs),
    /// Put back what a run changed on a host.
    Undo(crate::commands::undo::UndoArgs),
    /// The runs of hosts: when, who, what, with what result.
    History(crate::commands::undo::HistoryArgs),
    /// What hosts are, as templates see it.
    Facts(crate::commands::facts::FactsArgs),
    /// Certificates for the gateways, signed by an authority of your own.
    Ca(crate::commands::ca::CaArgs),
    /// Tokens of a host's gateway, given and taken over SSH.
    Token(crate::commands::token::TokenArgs),
    /// A local socket and a Docker context that lead to a host's gateway, signed in until this ends.
    Connect(crate::commands::connect::ConnectArgs),
    /// Says everything that is wrong with a playbook, its inventory and stages, without touching a host.
    Check(crate::commands::check::CheckArgs),
    /// Prints a script that completes the command line in a shell.
    Completions(crate::commands::completions::CompletionsArgs),
    /// The environment of a stage: show it, compare two, run a command with it.
    Env(crate::commands::env::EnvArgs),
    /// An SSH key pair on this machine, protected by a passphrase.
    Keygen(crate::commands::keygen::KeygenArgs),
    /// Disposable test hosts on this machine, as containers of a local Docker engine.
    Lab(crate::commands::lab::LabArgs),
    /// Prints the JSON Schema of playbooks, inventories or stages, for editors.
    Schema(crate::commands::schema::SchemaArgs),
}
