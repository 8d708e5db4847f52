//! `plan`: what differs, exactly, and nothing touched.

use super::connection::ConnectionArgs;
use super::records::RecordArgs;
use super::select::SelectArgs;
use super::{Exit, exit_of};
use crate::engine::{Prepared, Run, SavedPlan, Selection, for_each_host};
use crate::plan::HostPlan;
use crate::report::{self, Console, Event, HostOutcome, HostStatus, Reporter, TextOptions};
use crate::stage::StageName;
use crate::transport::Ask;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// For programs (schema/plan.json, schema/apply.json).
    Json,
    /// For a comment on a merge request.
    Markdown,
}

/// Arguments of `plan`, and of `apply` beside its own.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// A playbook file, or the name of a bundled playbook.
    pub(super) playbook: PathBuf,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) record: RecordArgs,
    /// How the result is written.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: PlanFormat,
    /// Save the plan for `apply FILE`.
    #[arg(short, long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Exit code 2 if anything differs.
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
    /// Show steps that find nothing to do, too.
    #[arg(short, long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// What planning all hosts gives.
pub struct Planned {
    /// The playbook and its hosts.
    pub selection: Selection,
    /// Hosts that were planned for.
    pub hosts: Vec<Prepared>,
    /// Hosts that could not be: unreachable or unreadable.
    pub outcomes: Vec<HostOutcome>,
    /// Who shows what happens.
    pub reporter: Box<dyn Reporter>,
}

/// Plans for all selected hosts. With `resume`, runs that have not ended are
/// followed or ended first.
///
/// # Errors
/// The input is wrong. A host's own failure is an outcome instead.
pub fn plan_all(args: &PlanArgs, resume: bool, console: &Console) -> anyhow::Result<Planned> {
    let selection = args.select.select(&args.playbook)?;
    let reporter: Arc<dyn Reporter> = Arc::from(report::reporter(console, args.format != PlanFormat::Text));
    let policy = args.connection.policy();
    let ask: Arc<dyn Ask> = Arc::new(report::TerminalAsk::beside(&reporter));
    let run = Run { playbook: &selection.playbook, policy: &policy, ask: &ask, reporter: reporter.as_ref(), resume };
    let results = for_each_host(selection.hosts.iter().collect(), args.connection.forks(), |selected| {
        run.prepare(selected).map_err(|error| (selected.target.name.clone(), error))
    })?;
    let (mut hosts, mut outcomes, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(prepared) => hosts.push(prepared),
            Err((name, error)) => match exit_of(&error) {
                Exit::Input => wrong.push(error),
                exit => {
                    let text = format!("{error:#}");
                    reporter.event(&Event::HostFailed { host: &name, error: &text });
                    let ending = if exit == Exit::Unreachable { HostStatus::Unreachable } else { HostStatus::Failed };
                    outcomes.push(HostOutcome { error: Some(text), ..HostOutcome::new(name, ending) });
                }
            },
        }
    }
    // Wrong input is wrong for all: no host is touched because another's is right.
    let mut said = std::collections::BTreeSet::new();
    wrong.retain(|error| said.insert(format!("{error:#}")));
    if let Some(first) = wrong.drain(..).reduce(|all, next| anyhow::anyhow!("{all:#}\n\n{next:#}")) {
        return Err(first);
    }
    Ok(Planned { selection, hosts, outcomes, reporter: Box::new(reporter) })
}

impl PlanArgs {
    /// The same, with the hosts that `@failed` stands for.
    ///
    /// # Errors
    /// There are none, or the records cannot be read.
    pub(super) fn resolved(&self) -> anyhow::Result<PlanArgs> {
        let mut args = self.clone();
        let stage = self.select.stage.as_ref().map(StageName::as_str);
        self.record.resolve(args.select.limit_mut(), &self.playbook, stage)?;
        Ok(args)
    }
}

/// Shows what differs.
///
/// # Errors
/// The input is wrong, or the plan cannot be saved.
pub fn run(args: &PlanArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let args = &args.resolved()?;
    let Planned { selection, hosts, outcomes, reporter } = plan_all(args, false, console)?;
    drop(reporter);
    let plans: Vec<HostPlan> = hosts.iter().map(|host| host.plan.clone()).collect();
    let (stage, title) = (selection.stage(), selection.title(&args.playbook));
    let playbook = title.as_str();
    let text = match args.format {
        PlanFormat::Text => report::plan_text(&plans, TextOptions { verbose: args.verbose, color: console.color }),
        PlanFormat::Json => format!("{}\n", serde_json::to_string_pretty(&report::plan_json(stage, playbook, &plans))?),
        PlanFormat::Markdown => report::plan_markdown(stage, playbook, &plans),
    };
    console.print(&text);
    if !outcomes.is_empty() {
        let unreachable = outcomes.iter().all(|outcome| outcome.ending == HostStatus::Unreachable);
        return Ok(if unreachable { Exit::Unreachable } else { Exit::Failed });
    }
    if let Some(file) = &args.out {
        SavedPlan::new(&args.playbook, &args.select, &selection, &hosts)?.save(file)?;
        console.remark(&format!("the plan is saved; carry it out with: stockade apply {}", file.display()));
    }
    let differs = plans.iter().any(|plan| !plan.is_converged());
    Ok(if differs && args.detailed_exitcode { Exit::Differs } else { Exit::Done })
}
