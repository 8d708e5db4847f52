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
    /// Show the difference between a playbook and its hosts, without changing anything.
    Plan(crate::commands::plan::PlanArgs),
    /// Apply a playbook and verify convergence.
    Apply(crate::commands::apply::ApplyArgs),
    /// Report how the controls of a playbook stand on its hosts, without changing anything.
    Audit(crate::commands::audit::AuditArgs),
    /// Revert what a run changed on a host.
    Undo(crate::commands::undo::UndoArgs),
    /// List the runs of hosts: when, who, what, with what result.
    History(crate::commands::undo::HistoryArgs),
    /// Show the facts of hosts, as templates see them.
    Facts(crate::commands::facts::FactsArgs),
    /// Issue gateway certificates with a private certificate authority.
    Ca(crate::commands::ca::CaArgs),
    /// Issue and revoke tokens of a host's gateway over SSH.
    Token(crate::commands::token::TokenArgs),
    /// Open a local socket and a Docker context for a host's gateway, signed in until this ends.
    Connect(crate::commands::connect::ConnectArgs),
    /// Validate a playbook, its inventory and stages offline.
    Check(crate::commands::check::CheckArgs),
    /// Print a completion script for a shell.
    Completions(crate::commands::completions::CompletionsArgs),
    /// Show, compare or use the environment of a stage.
    Env(crate::commands::env::EnvArgs),
    /// Generate an SSH key pair on this machine, protected by a passphrase.
    Keygen(crate::commands::keygen::KeygenArgs),
    /// Manage disposable test hosts: containers of a local Docker engine.
    Lab(crate::commands::lab::LabArgs),
    /// Print the JSON Schema of playbooks, inventories or stages, for editors.
    Schema(crate::commands::schema::SchemaArgs),
}
