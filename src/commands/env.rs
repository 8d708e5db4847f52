//! `env`: what a stage's environment is, how two differ, and a command with it.

use super::Exit;
use crate::engine::InputErrors;
use crate::report::{Console, visible};
use crate::resource::environment_file;
use crate::stage::{Stage, StageName};
use crate::values::{EnvKey, Secret};
use clap::{Args, Subcommand, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// `stockade env …`
#[derive(Debug, Args)]
pub struct EnvArgs {
    #[command(subcommand)]
    verb: Verb,
    /// The project's folder: the one that holds 'stages'.
    #[arg(long, value_name = "DIR", default_value = ".", global = true)]
    project: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows the environment of a stage; values are masked unless --reveal is given.
    Show {
        /// The stage.
        #[arg(long, value_name = "STAGE")]
        stage: StageName,
        /// Shows the values.
        #[arg(long)]
        reveal: bool,
        /// The form; 'dotenv' is the form of an EnvironmentFile and needs --reveal.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Shows in which variables two stages differ.
    Diff {
        /// One stage.
        a: StageName,
        /// The other.
        b: StageName,
        /// Shows the values.
        #[arg(long)]
        reveal: bool,
        /// Ends with code 2 if they differ.
        #[arg(long)]
        exit_code: bool,
    },
    /// Runs a command with the environment of a stage added to its own; ends with the command's code.
    Exec {
        /// The stage.
        #[arg(long, value_name = "STAGE")]
        stage: StageName,
        /// The command and its arguments.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Dotenv,
}

type Environment = BTreeMap<EnvKey, Secret>;

/// Runs the command.
///
/// # Errors
/// The stage is wrong, or the command cannot be started.
pub fn run(args: &EnvArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let load = |name: &StageName| Stage::load(&args.project, name).map(|stage| stage.env).map_err(InputErrors);
    match &args.verb {
        Verb::Show { stage, reveal, format } => {
            console.print(&show(&load(stage)?, *reveal, *format)?);
            Ok(Exit::Done)
        }
        Verb::Diff { a, b, reveal, exit_code } => {
            let lines = diff(&load(a)?, &load(b)?, *reveal);
            match lines.is_empty() {
                true => console.line(&format!("'{a}' and '{b}' have the same environment")),
                false => console.print(&format!("--- {a}\n+++ {b}\n{lines}")),
            }
            Ok(if *exit_code && !lines.is_empty() { Exit::Differs } else { Exit::Done })
        }
        Verb::Exec { stage, command } => Err(exec(&load(stage)?, command)),
    }
}

fn shown(value: &Secret, reveal: bool) -> String {
    if reveal { visible(value.expose()).replace('\n', "\\n") } else { Secret::MASK.to_owned() }
}

fn show(env: &Environment, reveal: bool, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Text => env.iter().map(|(key, value)| format!("{key}={}\n", shown(value, reveal))).collect(),
        Format::Json => {
            let text = |value: &Secret| if reveal { value.expose().to_owned() } else { Secret::MASK.to_owned() };
            let map: BTreeMap<&str, String> = env.iter().map(|(key, value)| (key.as_str(), text(value))).collect();
            format!("{}\n", serde_json::to_string_pretty(&map)?)
        }
        // A file of masks would be taken for the real thing by whoever reads it.
        Format::Dotenv if !reveal => anyhow::bail!("--format dotenv writes the values themselves: add --reveal"),
        Format::Dotenv => String::from_utf8(environment_file::write(env)?)?,
    })
}

/// A line for each variable that only one has, two for each that differs.
fn diff(a: &Environment, b: &Environment, reveal: bool) -> String {
    let keys: BTreeSet<&EnvKey> = a.keys().chain(b.keys()).collect();
    let mut text = String::new();
    for key in keys.into_iter().filter(|key| a.get(key) != b.get(key)) {
        let changed = if !reveal && a.contains_key(key) && b.contains_key(key) { "  (differs)" } else { "" };
        for (sign, side) in [('-', a.get(key)), ('+', b.get(key))] {
            if let Some(value) = side {
                text.push_str(&format!("{sign}{key}={}{changed}\n", shown(value, reveal)));
            }
        }
    }
    text
}

/// Becomes the command; comes back only if that fails.
fn exec(env: &Environment, command: &[OsString]) -> anyhow::Error {
    let Some((program, arguments)) = command.split_first() else { return anyhow::anyhow!("no command is given") };
    let variables = env.iter().map(|(key, value)| (key.as_str(), value.expose()));
    let error = Command::new(program).args(arguments).envs(variables).exec();
    anyhow::Error::new(error).context(format!("'{}' cannot be started", program.to_string_lossy()))
}
