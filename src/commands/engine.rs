//! One host from connection to plan: what plan and apply share.

use super::carry_out::Worked;
use super::runs::settle;
use super::select::{SelectedHost, StepAssets};
use super::{RunFailed, probes};
use crate::apply::Reach;
use crate::observe::{HostState, Queries, probe};
use crate::plan::{Forecast, HostPlan, PendingNames, StepError, Wanted, plan_host, queries};
use crate::playbook::{Follower, HostScope, Playbook, Step};
use crate::report::{Event, Reporter};
use crate::resource;
use crate::stage::Stage;
use crate::transport::{Ask, Connector, Policy, Session};
use crate::values::Diagnostic;
use anyhow::Context;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long the host may be silent while it is looked at.
const LOOK: Duration = Duration::from_secs(120);

/// What all hosts of a run share.
pub struct Run<'a> {
    /// The playbook.
    pub playbook: &'a Playbook,
    /// Limits of connections.
    pub policy: &'a Policy,
    /// Questions to the operator.
    pub ask: &'a Arc<dyn Ask>,
    /// Who shows what happens.
    pub reporter: &'a dyn Reporter,
    /// Whether runs that have not ended are gone on with.
    pub resume: bool,
}

/// A host that was looked at and planned for, with its open connection.
pub struct Prepared {
    /// How it was reached.
    pub connector: Connector,
    /// The connection.
    pub session: Session,
    /// What is wanted of the host.
    pub steps: Vec<Wanted>,
    /// What was found.
    pub state: HostState,
    /// What differs.
    pub plan: HostPlan,
    /// The host's stage.
    pub stage: Option<String>,
    /// Once the apply has begun: the step that it goes on with.
    pub resumed_at: Option<String>,
    /// The run of an earlier apply, cut between two phases, that this one goes on with.
    pub continues: Option<String>,
    /// See [`crate::observe::Left::done`].
    pub done: BTreeSet<String>,
}

impl Run<'_> {
    /// Connects, looks and plans.
    ///
    /// # Errors
    /// The host cannot be reached or read, or the playbook is wrong for it.
    pub fn prepare(&self, selected: &SelectedHost) -> anyhow::Result<Prepared> {
        let SelectedHost { target, scope, stage } = selected;
        let stage = stage.as_ref();
        let shown =
            target.local_root.as_ref().map_or_else(|| target.address.clone(), |root| root.display().to_string());
        self.reporter.event(&Event::Connecting { host: &target.name, to: &shown });
        let mut connector =
            Connector { target: target.clone(), policy: self.policy.clone(), ask: Arc::clone(self.ask) };
        let mut session = connector.open()?;
        let (mut state, mut steps) = self.observe(&mut session, scope, stage)?;
        if self.resume && !state.left.unfinished.is_empty() {
            for run in &state.left.unfinished {
                settle(&mut Reach { session: &mut session, dial: &mut connector }, &target.name, run, self.reporter)?;
            }
            (state, steps) = self.observe(&mut session, scope, stage)?;
        } else if let (Some(run), None) = (state.left.unfinished.first(), &state.left.running) {
            let text = crate::apply::ApplyError::Unfinished(run.clone()).to_string();
            self.reporter.event(&Event::Notice { host: Some(&target.name), text: &text });
        }
        if !state.facts.os.is_debian_like() {
            let found = if state.facts.os.name.is_empty() { "an unknown system" } else { &state.facts.os.name };
            return Err(RunFailed(format!(
                "{}: this is {found}; only Debian and Ubuntu can be provisioned",
                target.name
            ))
            .into());
        }
        self.reporter.event(&Event::Observing { host: &target.name, questions: state.questions().iter().count() });
        let plan = plan(&target.name, &mut session, &steps, &mut state)?;
        super::reboot::refuse_local(target, &plan.steps)?;
        // Where nothing differs the phases that were left had nothing to do.
        if let (Some(run), None, false) = (&state.left.phase, &state.left.running, plan.is_empty()) {
            let text =
                format!("the last apply ended between two phases, after run {run}; what is left of it is planned anew");
            self.reporter.event(&Event::Notice { host: Some(&target.name), text: &text });
        }
        self.reporter.event(&Event::Planned { plan: &plan });
        let stage = stage.map(|stage| stage.name.to_string());
        let continues = state.left.phase.clone().filter(|_| self.resume);
        let done = BTreeSet::new();
        Ok(Prepared { connector, session, steps, state, plan, stage, resumed_at: None, continues, done })
    }

    /// Asks all that must be known. Where nothing depends on facts, facts and
    /// questions go in one message.
    fn observe(
        &self,
        session: &mut Session,
        scope: &HostScope,
        stage: Option<&Arc<Stage>>,
    ) -> anyhow::Result<(HostState, Vec<Wanted>)> {
        let mut state = HostState::default();
        if !self.playbook.needs_facts(scope) {
            let steps = self.steps(scope, stage)?;
            look(session, &mut state, &queries(&steps), true)?;
            return Ok((state, steps));
        }
        look(session, &mut state, &Queries::new(), true)?;
        let mut scope = scope.clone();
        scope.facts = Some(serde_json::to_value(&state.facts)?);
        let steps = self.steps(&scope, stage)?;
        look(session, &mut state, &queries(&steps), false)?;
        Ok((state, steps))
    }

    /// The resources of all steps, rendered for a host.
    fn steps(&self, scope: &HostScope, stage: Option<&Arc<Stage>>) -> anyhow::Result<Vec<Wanted>> {
        let pieces = self.playbook.pieces(scope).map_err(super::InputErrors)?;
        Ok(probes::desired(pieces, stage).map_err(super::InputErrors)?)
    }
}

impl Worked for Prepared {
    fn reach(&mut self) -> Reach<'_> {
        Reach { session: &mut self.session, dial: &mut self.connector }
    }

    fn plan_again(&mut self, name: &str) -> anyhow::Result<HostPlan> {
        let mut state = HostState::default();
        look(&mut self.session, &mut state, &queries(&self.steps), true)?;
        state.left.resumed_at.clone_from(&self.resumed_at);
        state.left.done.clone_from(&self.done);
        let plan = plan(name, &mut self.session, &self.steps, &mut state)?;
        super::reboot::refuse_local(&self.connector.target, &plan.steps)?;
        self.state = state;
        Ok(plan)
    }
}

/// Asks the host and adds the answers to what is known.
pub(super) fn look(session: &mut Session, state: &mut HostState, asked: &Queries, facts: bool) -> anyhow::Result<()> {
    if asked.is_empty() && !facts {
        return Ok(());
    }
    let program = probe::program(asked, facts);
    let reply = session.run(&program, &[], LOOK)?;
    probe::read_reply(state, asked, facts, session.nonce(), &reply.output)
        .map_err(|error| RunFailed(error.to_string()))?;
    Ok(())
}

/// Plans; asks what the plan would like to know; plans again.
fn plan(name: &str, session: &mut Session, steps: &[Wanted], state: &mut HostState) -> anyhow::Result<HostPlan> {
    let begun = state.left.resumed_at.is_some();
    let wrong = |errors: Vec<StepError>| refusal(name, &errors, begun);
    // Answers may raise further questions, but not for ever.
    for _ in 0..16 {
        let Forecast { plan, wants, .. } = plan_host(name, steps, state).map_err(wrong)?;
        if wants.is_empty() {
            return Ok(plan);
        }
        look(session, state, &wants, false)?;
    }
    let outcome = plan_host(name, steps, state).map_err(wrong)?;
    if outcome.incomplete {
        let why = "playbooks whose probes depend on one another are nested too deep to be planned";
        return Err(RunFailed(format!("{name}: {why}")).into());
    }
    Ok(outcome.plan)
}

/// All steps that cannot be planned, as one error: refusals are wrong input,
/// what the host could not tell is a failure of the host, and so is what comes
/// to light when an apply has `begun`.
fn refusal(host: &str, errors: &[StepError], begun: bool) -> anyhow::Error {
    let lines: Vec<String> = errors.iter().map(|error| format!("{host}: {error}")).collect();
    let stays = if begun { "what was done before stays" } else { "nothing was touched" };
    let text = format!("{}\n{stays}", lines.join("\n"));
    if begun || errors.iter().any(|error| matches!(error.error, crate::plan::PlanError::State(_))) {
        RunFailed(text).into()
    } else {
        anyhow::Error::msg(text)
    }
}

/// The names under which commands that follow a change are pending.
pub(super) fn pending_names(followers: &[Follower]) -> Vec<String> {
    let name = |follower: &Follower| match follower {
        Follower::Known(identity) => PendingNames::own(identity),
        Follower::Named { stem, word } => PendingNames::provisional(stem, word),
    };
    followers.iter().map(name).collect()
}

/// The resource of a rendered step.
///
/// # Errors
/// All that is wrong with its table.
pub(super) fn wanted(step: Step, stage: Option<&Stage>) -> Result<Wanted, Vec<Diagnostic>> {
    let Some(kind) = resource::kind(&step.kind) else {
        return Err(vec![Diagnostic::new(step.kind_span.clone(), format!("unknown kind '{}'", step.kind))]);
    };
    let assets = StepAssets { files: &step.files, stage };
    let mut resource = resource::build(kind, &step.table, &assets)?;
    let has_followed = step.table.get("when_changed").is_some();
    let pending = has_followed.then(|| PendingNames::new(&step.identity, &step.stem, &step.follows));
    if let Some(names) = &pending {
        resource.identify(names);
    }
    Ok(Wanted {
        id: step.id,
        name: step.name,
        kind: kind.name,
        resource,
        restart: step.restart,
        reload: step.reload,
        followed_by: pending_names(&step.followed_by),
        pending,
        sensitive: step.sensitive,
        guard: step.guard,
        span: Some(step.span),
    })
}

/// What is certain to be wrong with a step of which not all is known yet.
pub(super) fn known_of(kind: &'static resource::Kind, step: &Step, stage: Option<&Stage>) -> Vec<Diagnostic> {
    resource::check_known(kind, &step.table, &StepAssets { files: &step.files, stage })
}

/// Does the same for all hosts, `forks` at a time; the results are in the
/// hosts' order. A host's failure is its own.
pub fn for_each_host<T: Send, R: Send>(
    hosts: Vec<T>,
    forks: usize,
    work: impl Fn(T) -> R + Sync,
) -> anyhow::Result<Vec<R>> {
    use std::sync::{Mutex, PoisonError};
    let count = hosts.len();
    let queue = Mutex::new(hosts.into_iter().enumerate());
    let results = Mutex::new((0..count).map(|_| None).collect::<Vec<Option<R>>>());
    std::thread::scope(|scope| {
        for _ in 0..forks.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, host)) = next else { break };
                    let result = work(host);
                    if let Some(slot) = results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().collect::<Option<Vec<R>>>().context("a host was not worked on")
}
