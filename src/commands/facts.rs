//! `facts`: what a host is, as templates and `when` see it.

use super::select::HostArgs;
use super::{Exit, exit_of};
use crate::engine::{Host, Remote, for_each_host};
use crate::observe::{HostState, Queries};
use crate::report::Console;
use crate::transport::{Ask, Connector, Policy};
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
        let name = host.name.clone();
        let facts = || -> anyhow::Result<serde_json::Value> {
            let connector = Connector { target: host, policy: Policy::default(), ask: Arc::clone(&ask) };
            let mut state = HostState::default();
            Remote::open(connector)?.look(&mut state, &Queries::new(), true)?;
            Ok(serde_json::to_value(&state.facts)?)
        };
        (name, facts())
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
