//! `token`: tokens of a host's gateway, given and taken over SSH.

use super::Exit;
use super::gateway_host::GatewayHost;
use super::operator::login_name;
use super::select::HostArgs;
use crate::connect::Granted;
use crate::report::Console;
use crate::transport::Target;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::io::Read;

/// `stockade token …`
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Gives a token: the token itself on standard output.
    Issue {
        #[command(flatten)]
        hosts: HostArgs,
        #[command(flatten)]
        grant: GrantArgs,
        /// A look-up token that the gateway keeps, in place of a signed one.
        #[arg(long)]
        opaque: bool,
        /// With a refresh token and a session; needs --json.
        #[arg(long, requires = "json")]
        with_refresh: bool,
        /// All that was given, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// The sessions and look-up tokens that are good now, as JSON.
    List {
        #[command(flatten)]
        hosts: HostArgs,
    },
    /// Ends a session, or a token, at once: open streams too.
    Revoke {
        #[command(flatten)]
        hosts: HostArgs,
        /// The session's or the token's identifier, as 'token list' or 'token inspect' shows it.
        id: String,
    },
    /// What a token says and whether it is good, as JSON; the token is read from standard input.
    Inspect {
        #[command(flatten)]
        hosts: HostArgs,
    },
}

/// For whom a token is, and what it allows.
#[derive(Debug, Clone, Args)]
pub struct GrantArgs {
    /// The role, as the gateway's roles name it: read, deploy, operator …
    #[arg(long, default_value = "read")]
    pub role: String,
    /// The tenant whose objects are seen; all objects if it is not given.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Whom the token is for [default: you, on this machine]
    #[arg(long)]
    pub subject: Option<String>,
    /// How long an access token is good for, in seconds [default: the gateway's own limit]
    #[arg(long, value_name = "SECONDS")]
    pub lifetime: Option<u64>,
}

impl GrantArgs {
    /// The words that say so to `stockade-gateway token issue`.
    pub(super) fn words(&self) -> Vec<String> {
        let me = || format!("{}@{}", login_name(), rustix::system::uname().nodename().to_string_lossy());
        let mut words = vec![format!("--subject={}", self.subject.clone().unwrap_or_else(me))];
        words.push(format!("--role={}", self.role));
        words.extend(self.tenant.iter().map(|tenant| format!("--tenant={tenant}")));
        words.extend(self.lifetime.iter().map(|seconds| format!("--lifetime={seconds}")));
        words
    }
}

/// Runs the command.
///
/// # Errors
/// The input is wrong, the host cannot be reached or its gateway refuses.
pub fn run(args: &TokenArgs, console: &mut Console) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Issue { hosts, grant, opaque, with_refresh, json } => {
            let mut words = grant.words();
            words.extend(opaque.then(|| "--opaque".to_owned()));
            words.extend(with_refresh.then(|| "--with-refresh".to_owned()));
            let answer = GatewayHost::open(&one(hosts)?)?.token("issue", &words, &[])?;
            if *json {
                console.print(&text(&answer));
            } else {
                console.line(Granted::parse(&answer)?.access.expose());
            }
        }
        Verb::List { hosts } => {
            let mut all = serde_json::Map::new();
            for target in hosts.targets()? {
                let answer = GatewayHost::open(&target)?.token("list", &[], &[])?;
                let list = serde_json::from_slice(&answer)
                    .with_context(|| format!("{}: the gateway's list is not JSON", target.name))?;
                all.insert(target.name, list);
            }
            console.line(&serde_json::to_string_pretty(&serde_json::json!({ "hosts": all }))?);
        }
        Verb::Revoke { hosts, id } => {
            // It stands where a token might be pasted, and would be in the process list here and there.
            if id.len() > 128 || id.starts_with('-') || id.matches('.').count() == 2 {
                bail!("this is not an identifier; give the session's or the token's, as 'token list' shows it");
            }
            let answer = GatewayHost::open(&one(hosts)?)?.token("revoke", std::slice::from_ref(id), &[])?;
            console.print(&text(&answer));
        }
        Verb::Inspect { hosts } => {
            let target = one(hosts)?;
            let mut token = Vec::new();
            std::io::stdin().take(64 * 1024).read_to_end(&mut token).context("standard input cannot be read")?;
            if token.trim_ascii().is_empty() {
                bail!("there is no token on standard input");
            }
            let mut line = token.trim_ascii().to_vec();
            line.push(b'\n');
            let answer = GatewayHost::open(&target)?.token("inspect", &[], &line)?;
            console.print(&text(&answer));
        }
    }
    Ok(Exit::Done)
}

/// The answer, ending in one newline.
fn text(answer: &[u8]) -> String {
    format!("{}\n", String::from_utf8_lossy(answer).trim_end())
}

/// The one host that is meant.
pub(super) fn one(hosts: &HostArgs) -> anyhow::Result<Target> {
    let mut targets = hosts.targets()?;
    match (targets.pop(), targets.len()) {
        (Some(target), 0) => Ok(target),
        (_, more) => bail!("{} hosts are meant; name one with --host or --limit", more + 1),
    }
}
