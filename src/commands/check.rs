//! `check`: everything that is wrong with a playbook, without touching a host.

use super::Exit;
use super::select::SelectArgs;
use crate::engine::{InputErrors, Selection, known_of, wanted};
use crate::playbook::Step;
use crate::report::Console;
use crate::resource;
use crate::stage::Stage;
use crate::values::Diagnostic;
use std::path::PathBuf;

/// `stockade check PLAYBOOK`
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A playbook file, or the name of a bundled playbook.
    pub playbook: PathBuf,
    #[command(flatten)]
    select: SelectArgs,
}

/// Runs the command: load, render for every host, build every resource.
///
/// # Errors
/// All that is wrong with the playbook, the inventory and the stages.
pub fn run(args: &CheckArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let (selection, mut errors) = args.select.select_or_any(&args.playbook);
    let mut count = 0;
    let mut hosts = 0;
    if let Some(Selection { playbook, hosts: selected, .. }) = &selection {
        hosts = selected.len();
        for host in selected {
            let (steps, found) = playbook.render_all(&host.scope);
            count = count.max(steps.len());
            errors.extend(found);
            errors.extend(steps.into_iter().flat_map(|step| wrong_with(step, host.scope.open, host.stage.as_deref())));
        }
    }
    if !errors.is_empty() {
        return Err(InputErrors(errors).into());
    }
    let s = |number: usize| if number == 1 { "" } else { "s" };
    console.line(&format!("{count} step{}, {hosts} host{}: no error", s(count), s(hosts)));
    Ok(Exit::Done)
}

/// What is wrong with a step as far as it can be told without the host's facts.
fn wrong_with(step: Step, partly: bool, stage: Option<&Stage>) -> Vec<Diagnostic> {
    match resource::kind(&step.kind) {
        Some(kind) if step.unknown || partly => known_of(kind, &step, stage),
        _ => wanted(step, stage).err().unwrap_or_default(),
    }
}
