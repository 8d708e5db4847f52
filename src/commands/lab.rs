//! `stockade lab`: disposable test hosts on this machine; see [`crate::lab`].

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use super::Exit;
use crate::engine::RunFailed;
use crate::lab::{Base, DEFAULT_DIR, HostKeyType, HostProfile, Lab, LabError, LabHost, UpOptions};
use crate::report::Console;

/// Arguments of `stockade lab`.
#[derive(Debug, Args)]
pub struct LabArgs {
    /// What to do with the lab.
    #[command(subcommand)]
    command: LabCommand,
    /// Directory with the lab's key, known_hosts and inventory.
    #[arg(long, global = true, default_value = DEFAULT_DIR, value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Start hosts and write an inventory that plan and apply can use at once.
    Up(UpArgs),
    /// Show the hosts of this lab.
    List,
    /// Log in to a host, or run a command there, with the real ssh.
    Ssh {
        /// The host.
        name: String,
        /// A command, as ssh takes it; without one a login shell is started.
        #[arg(last = true)]
        remote: Vec<String>,
    },
    /// Remove a host, or all of them, with everything on it.
    Down {
        /// The host; may be left out when there is only one.
        name: Option<String>,
        /// All hosts, the key pair and the inventory.
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Name of the host; with --count, N-1, N-2 and so on [default: the next free of lab1, lab2, …].
    #[arg(long)]
    name: Option<String>,
    /// How many hosts.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// An image such as ubuntu:24.04, or debootstrap:SUITE [default: ubuntu:24.04 where a registry
    /// can be reached, else debootstrap:bookworm].
    #[arg(long)]
    base: Option<Base>,
    /// How the hosts look: ubuntu (a cloud image of 24.04) or none (as the base is).
    #[arg(long, alias = "dress", default_value = "ubuntu")]
    profile: HostProfile,
    /// Group of the hosts in the inventory, repeatable [default: lab, docker].
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Host keys that a host makes, separated by commas; without rsa it is up about a second earlier
    /// [default: rsa,ecdsa,ed25519].
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    host_keys: Vec<HostKeyType>,
}

/// Runs `stockade lab`.
///
/// # Errors
/// Wrong arguments, or [`RunFailed`] when the engine or a host failed.
pub fn run(args: &LabArgs, console: &mut Console) -> Result<Exit> {
    let lab = Lab::open(&args.dir).map_err(graded)?;
    match &args.command {
        LabCommand::Up(up) => raise(&lab, up, console),
        LabCommand::List => list(&lab, console),
        LabCommand::Ssh { name, remote } => {
            // ssh takes this process over: its exit status and signals are the user's.
            Err(lab.ssh(name, remote).map_err(graded)?.exec()).map_err(|error| {
                RunFailed(format!("ssh could not be started: {error}; apt-get install openssh-client")).into()
            })
        }
        LabCommand::Down { name, all } => down(&lab, name.as_deref(), *all, console),
    }
}

fn raise(lab: &Lab, args: &UpArgs, console: &mut Console) -> Result<Exit> {
    let mut options = UpOptions {
        name: args.name.clone(),
        count: args.count,
        base: args.base.clone(),
        profile: args.profile,
        ..UpOptions::default()
    };
    if !args.groups.is_empty() {
        options.groups.clone_from(&args.groups);
    }
    if !args.host_keys.is_empty() {
        options.host_keys.clone_from(&args.host_keys);
    }
    let raised = lab.up_with(&options, &mut |line| console.remark(line)).map_err(graded)?;
    for notice in &raised.notices {
        console.remark(&format!("note: {notice}"));
    }
    table(&raised.hosts, console);
    console.line(&format!("inventory: {}", lab.inventory_path().display()));
    Ok(Exit::Done)
}

fn list(lab: &Lab, console: &mut Console) -> Result<Exit> {
    let hosts = lab.list().map_err(graded)?;
    if hosts.is_empty() {
        console.remark("no hosts; stockade lab up starts one");
    }
    table(&hosts, console);
    Ok(Exit::Done)
}

fn down(lab: &Lab, name: Option<&str>, all: bool, console: &mut Console) -> Result<Exit> {
    let gone = match name {
        _ if all => lab.down_all().map_err(graded)?,
        Some(name) => {
            lab.down(name).map_err(graded)?;
            vec![name.to_owned()]
        }
        None => {
            let mut names: Vec<String> = lab.list().map_err(graded)?.into_iter().map(|host| host.name).collect();
            match names.len() {
                0 => {}
                1 => lab.down(&names[0]).map_err(graded)?,
                _ => bail!("which host? there are {}; name one, or use --all", names.join(", ")),
            }
            names.sort();
            names
        }
    };
    for name in &gone {
        console.line(&format!("{name} is down"));
    }
    if gone.is_empty() {
        console.remark("no hosts");
    }
    Ok(Exit::Done)
}

fn table(hosts: &[LabHost], console: &mut Console) {
    let width = hosts.iter().map(|host| host.name.len()).max().unwrap_or_default();
    for host in hosts {
        let address = host.port.map_or("-".to_owned(), |port| format!("127.0.0.1:{port}"));
        console.line(&format!(
            "{:width$}  {address:15}  {:7}  {:6}  {}",
            host.name,
            host.state.to_string(),
            host.user,
            host.base
        ));
    }
}

/// Tells wrong arguments (exit code 1) from what failed while working (3).
fn graded(error: LabError) -> anyhow::Error {
    match error {
        LabError::Invalid { .. } | LabError::NameTaken { .. } | LabError::UnknownHost { .. } => error.into(),
        other => RunFailed(other.to_string()).into(),
    }
}

#[cfg(test)]
#[path = "lab_tests.rs"]
mod tests;
