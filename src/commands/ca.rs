//! `ca`: certificates for the gateways, signed by an authority of the operator's own.

use super::Exit;
use super::select::HostArgs;
use crate::authority::{Authority, HOST_DAYS, Issued};
use crate::report::Console;
use crate::transport::Target;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `stockade ca …`
#[derive(Debug, Args)]
pub struct CaArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes an authority: DIR/ca.crt, which clients trust, and DIR/ca.key, which never leaves this machine.
    Init {
        /// Its folder, such as 'ca' beside the playbook.
        dir: PathBuf,
        /// What its certificate is called.
        #[arg(long, default_value = "Stockade gateways")]
        name: String,
    },
    /// Certificates for hosts: DIR/hosts/NAME.crt and NAME.key, for the host's name and address.
    Issue {
        /// The authority's folder.
        dir: PathBuf,
        #[command(flatten)]
        hosts: HostArgs,
        /// A further name or IP address under which each of the hosts is reached; may be repeated.
        #[arg(long = "san", value_name = "NAME")]
        names: Vec<String>,
        /// How long they are good for.
        #[arg(long, default_value_t = HOST_DAYS, value_parser = clap::value_parser!(u32).range(1..=825))]
        days: u32,
        /// Makes them anew even if those that are there are still good.
        #[arg(long)]
        renew: bool,
    },
}

/// Makes an authority or certificates.
///
/// # Errors
/// A file is in the way, missing or not private, or a name is no name.
pub fn run(args: &CaArgs, console: &mut Console) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Init { dir, name } => {
            let authority = Authority::at(dir);
            authority.init(name)?;
            console.line(&format!("certificate  {}", authority.certificate().display()));
            console.remark("keep ca.key to yourself and out of version control: who has it can be any gateway");
        }
        Verb::Issue { dir, hosts, names, days, renew } => {
            let authority = Authority::at(dir);
            for target in hosts.targets()? {
                let all = all_names(&target, names);
                let (path, what) = match authority.issue(&target.name, &all, *days, *renew)? {
                    Issued::Kept(path) => (path, "kept  "),
                    Issued::Made(path) => (path, "issued"),
                };
                console.line(&format!("{what}  {}  for {}", path.display(), all.join(", ")));
            }
        }
    }
    Ok(Exit::Done)
}

/// The names in a host's certificate: its own where it can be one of a server, its address, and those given.
fn all_names(target: &Target, given: &[String]) -> Vec<String> {
    let plain = |name: &&String| name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    let mut all: Vec<String> = Some(&target.name).filter(plain).into_iter().cloned().collect();
    for name in std::iter::once(&target.address).chain(given) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}
