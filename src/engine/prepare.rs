//! One host from connection to plan: what plan and apply share.

use super::carry_out::Replan;
use super::host::{Host, Remote};
use super::reboot::refuse_local;
use super::selection::SelectedHost;
use super::{InputErrors, RunFailed, probed};
use crate::apply::ApplyError;
use crate::observe::{HostState, Queries};
use crate::plan::{DesiredStep, Forecast, HostPlan, PlanError, StepError, plan_host, queries};
use crate::playbook::{HostScope, Playbook};
use crate::report::{Event, Reporter};
use crate::stage::Stage;
use crate::transport::{Ask, Connector, Policy, Target};
use std::collections::BTreeSet;
use std::sync::Arc;

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
    /// The host.
    pub host: Box<dyn Host>,
    /// What is wanted of the host.
    pub steps: Vec<DesiredStep>,
    /// What was found.
    pub state: HostState,
    /// What differs.
    pub plan: HostPlan,
    /// The host's stage.
    pub stage: Option<String>,
    /// Once the apply has begun: the step that it goes on with.
    pub resumed_at: Option<String>,
    /// Whether the apply has begun: what is refused from then on has left something done.
    pub begun: bool,
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
        self.prepare_on(self.connect(&selected.target)?, &selected.scope, selected.stage.as_ref())
    }

    /// Connects to a host.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(super) fn connect(&self, target: &Target) -> anyhow::Result<Box<dyn Host>> {
        let shown =
            target.local_root.as_ref().map_or_else(|| target.address.clone(), |root| root.display().to_string());
        self.reporter.event(&Event::Connecting { host: &target.name, to: &shown });
        let connector = Connector { target: target.clone(), policy: self.policy.clone(), ask: Arc::clone(self.ask) };
        Ok(Box::new(Remote::open(connector)?))
    }

    /// Looks at a host that is connected to, and plans.
    ///
    /// # Errors
    /// The host cannot be read, or the playbook is wrong for it.
    pub fn prepare_on(
        &self,
        mut host: Box<dyn Host>,
        scope: &HostScope,
        stage: Option<&Arc<Stage>>,
    ) -> anyhow::Result<Prepared> {
        let name = host.name().to_owned();
        let (mut state, mut steps) = self.observe(host.as_mut(), scope, stage)?;
        if self.resume && !state.left.unfinished.is_empty() {
            for run in &state.left.unfinished {
                host.settle(run, self.reporter)?;
            }
            (state, steps) = self.observe(host.as_mut(), scope, stage)?;
        } else if let (Some(run), None) = (state.left.unfinished.first(), &state.left.running) {
            let text = ApplyError::Unfinished(run.clone()).to_string();
            self.reporter.event(&Event::Notice { host: Some(&name), text: &text });
        }
        refuse_other_systems(&name, &state)?;
        self.reporter.event(&Event::Observing { host: &name, questions: state.questions().iter().count() });
        let plan = plan(host.as_mut(), &steps, &mut state, false)?;
        // Where nothing differs the phases that were left had nothing to do.
        if let (Some(run), None, false) = (&state.left.phase, &state.left.running, plan.is_empty()) {
            let text =
                format!("the last apply ended between two phases, after run {run}; what is left of it is planned anew");
            self.reporter.event(&Event::Notice { host: Some(&name), text: &text });
        }
        self.reporter.event(&Event::Planned { plan: &plan });
        let stage = stage.map(|stage| stage.name.to_string());
        let continues = state.left.phase.clone().filter(|_| self.resume);
        Ok(Prepared {
            host,
            steps,
            state,
            plan,
            stage,
            resumed_at: None,
            begun: false,
            continues,
            done: BTreeSet::new(),
        })
    }

    /// Asks all that must be known. Where nothing depends on facts, facts and
    /// questions go in one message.
    pub(super) fn observe(
        &self,
        host: &mut dyn Host,
        scope: &HostScope,
        stage: Option<&Arc<Stage>>,
    ) -> anyhow::Result<(HostState, Vec<DesiredStep>)> {
        let mut state = HostState::default();
        if !self.playbook.needs_facts(scope) {
            let steps = self.steps(scope, stage)?;
            host.look(&mut state, &queries(&steps), true)?;
            return Ok((state, steps));
        }
        host.look(&mut state, &Queries::new(), true)?;
        let mut scope = scope.clone();
        scope.facts = Some(serde_json::to_value(&state.facts)?);
        let steps = self.steps(&scope, stage)?;
        host.look(&mut state, &queries(&steps), false)?;
        Ok((state, steps))
    }

    /// The resources of all steps, rendered for a host.
    fn steps(&self, scope: &HostScope, stage: Option<&Arc<Stage>>) -> anyhow::Result<Vec<DesiredStep>> {
        let pieces = self.playbook.pieces(scope).map_err(InputErrors)?;
        Ok(probed::desired(pieces, stage).map_err(InputErrors)?)
    }
}

/// Refuses what is neither Debian nor Ubuntu.
pub(super) fn refuse_other_systems(host: &str, state: &HostState) -> Result<(), RunFailed> {
    let os = &state.facts.os;
    if os.is_debian_like() {
        return Ok(());
    }
    let found = if os.name.is_empty() { "an unknown system" } else { &os.name };
    Err(RunFailed(format!("{host}: this is {found}; only Debian and Ubuntu can be provisioned")))
}

impl Replan for Prepared {
    fn host(&mut self) -> &mut dyn Host {
        self.host.as_mut()
    }

    fn plan_again(&mut self) -> anyhow::Result<HostPlan> {
        let mut state = HostState::default();
        self.host.look(&mut state, &queries(&self.steps), true)?;
        state.left.resumed_at.clone_from(&self.resumed_at);
        state.left.done.clone_from(&self.done);
        let plan = plan(self.host.as_mut(), &self.steps, &mut state, self.begun)?;
        self.state = state;
        Ok(plan)
    }
}

/// Plans; asks what the plan would like to know; plans again. `begun`: a run has
/// done something on the host already.
fn plan(host: &mut dyn Host, steps: &[DesiredStep], state: &mut HostState, begun: bool) -> anyhow::Result<HostPlan> {
    let name = host.name().to_owned();
    let wrong = |errors: Vec<StepError>| refusal(&name, &errors, begun);
    // Answers may raise further questions, but not for ever.
    for _ in 0..16 {
        let Forecast { plan, follow_up_queries, .. } = plan_host(&name, steps, state).map_err(wrong)?;
        if follow_up_queries.is_empty() {
            refuse_local(host, &plan.steps)?;
            return Ok(plan);
        }
        host.look(state, &follow_up_queries, false)?;
    }
    let outcome = plan_host(&name, steps, state).map_err(wrong)?;
    if outcome.incomplete {
        let why = "playbooks whose probes depend on one another are nested too deep to be planned";
        return Err(RunFailed(format!("{name}: {why}")).into());
    }
    refuse_local(host, &outcome.plan.steps)?;
    Ok(outcome.plan)
}

/// All steps that cannot be planned, as one error: refusals are wrong input,
/// what the host could not tell is a failure of the host, and so is what comes
/// to light when an apply has `begun`.
pub(super) fn refusal(host: &str, errors: &[StepError], begun: bool) -> anyhow::Error {
    let lines: Vec<String> = errors.iter().map(|error| format!("{host}: {error}")).collect();
    let stays = if begun { "what was done before stays" } else { "nothing was touched" };
    let text = format!("{}\n{stays}", lines.join("\n"));
    if begun || errors.iter().any(|error| matches!(error.error, PlanError::State(_))) {
        RunFailed(text).into()
    } else {
        anyhow::Error::msg(text)
    }
}
