//! `facts`: what a host is, as templates and `when` see it.

use super::engine::{for_each_host, look};
use super::select::HostArgs;
use super::{Exit, exit_of};
use crate::observe::{HostState, Queries};
use crate::report::Console;
use crate::transport::{self, Ask, Policy, Session};
use clap::Args;
use std::sync::Arc;

/// Arguments of `facts`.
#[derive(Debug, Args)]
pub struct FactsArgs {
    #[command(flatten)]
    hosts: HostArgs,
}

/// Prints the facts of each host as JSON: `{"hosts": {name: facts}}`.
///
/// # Errors
/// The input is wrong. A host that cannot be reached is named on standard error.
pub fn run(args: &FactsArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let ask: Arc<dyn Ask> = Arc::new(crate::report::TerminalAsk::new());
    let results = for_each_host(args.hosts.targets()?, 20, |host| {
        let facts = || -> anyhow::Result<serde_json::Value> {
            let link = transport::connect(&host, &Policy::default(), &ask)?;
            let mut session = Session::open(&host.name, link)?;
            let mut state = HostState::default();
            look(&mut session, &mut state, &Queries::new(), true)?;
            Ok(serde_json::to_value(&state.facts)?)
        };
        (host.name.clone(), facts())
    })?;
    let mut found = serde_json::Map::new();
    let mut exit = Exit::Done;
    for (name, result) in results {
        match result {
            Ok(facts) => {
                found.insert(name, facts);
            }
            Err(error) => {
                console.remark(&format!("{error:#}"));
                exit = exit_of(&error);
            }
        }
    }
    console.line(&serde_json::to_string_pretty(&serde_json::json!({ "hosts": found }))?);
    Ok(exit)
}
