//! One host from connection to how its controls stand. Nothing is changed on it.
//!
//! Each step is planned by itself on the host as it was found. So a step that
//! cannot be judged takes no other with it, and what an earlier step would bring
//! counts as what it is: not there.

use super::host::Host;
use super::prepare::{Run, refusal, refuse_other_systems};
use super::selection::SelectedHost;
use super::{is_failure, is_unreachable};
use crate::audit::{self, HostReport, JudgedStep};
use crate::observe::{HostState, PredictedState, Queries, Query, StateError};
use crate::plan::{DesiredAtTurn, DesiredStep, PlanError, StepError, StepPlan, plan_host, queries};
use crate::report::Event;
use crate::values::Demand;
use std::sync::Arc;
use std::time::Instant;

/// How often the host is asked more before a step counts as not judged.
const ROUNDS: usize = 16;

impl Run<'_> {
    /// How the controls stand on a host. What keeps it from being audited at all is
    /// told in the report.
    ///
    /// # Errors
    /// The playbook is wrong for the host.
    pub fn audit(&self, selected: &SelectedHost, demands: &[Demand]) -> anyhow::Result<HostReport> {
        let began = Instant::now();
        let name = selected.target.name.clone();
        let outcome = self.connect(&selected.target).and_then(|host| self.audited(host, selected, demands));
        let mut report = match outcome {
            Ok(report) => report,
            Err(error) if is_failure(&error) || is_unreachable(&error) => {
                let text = format!("{error:#}");
                self.reporter.event(&Event::HostFailed { host: &name, error: &text });
                HostReport { unreachable: is_unreachable(&error), error: Some(text), ..HostReport::empty(&name) }
            }
            Err(error) => return Err(error),
        };
        report.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        Ok(report)
    }

    /// The same on a host that is connected to.
    ///
    /// # Errors
    /// The host cannot be read, or the playbook is wrong for it.
    pub fn audited(
        &self,
        mut host: Box<dyn Host>,
        selected: &SelectedHost,
        demands: &[Demand],
    ) -> anyhow::Result<HostReport> {
        let name = selected.target.name.clone();
        let (mut state, steps) = self.observe(host.as_mut(), &selected.scope, selected.stage.as_ref())?;
        refuse_other_systems(&name, &state)?;
        self.reporter.event(&Event::Observing { host: &name, questions: state.questions().iter().count() });
        let wanted = |step: &DesiredStep| {
            let control = step.about.control.as_ref();
            control.is_none_or(|control| demands.iter().any(|demand| demand.control.id == control.id))
        };
        let mut steps = steps;
        steps.retain(wanted);
        let judged = judge(host.as_mut(), steps, &mut state)?;
        let (results, drift) = audit::judge(demands, &judged);
        Ok(HostReport {
            os: state.facts.os.name.clone(),
            score: audit::score(&results),
            counts: audit::counts(&results),
            results,
            drift,
            ..HostReport::empty(&name)
        })
    }
}

/// What one round finds of a step.
enum Looked {
    /// It is judged.
    Judged(Vec<JudgedStep>),
    /// These must be asked first.
    Asks(Queries),
    /// The playbook is wrong there.
    Wrong(StepError),
}

/// Judges every step, and asks the host what that needs.
fn judge(host: &mut dyn Host, steps: Vec<DesiredStep>, state: &mut HostState) -> anyhow::Result<Vec<JudgedStep>> {
    let name = host.name().to_owned();
    let mut slots: Vec<(DesiredStep, Option<Vec<JudgedStep>>)> = steps.into_iter().map(|step| (step, None)).collect();
    for round in 0..=ROUNDS {
        let mut asks = Queries::new();
        let found = PredictedState::of(state);
        for (step, judged) in slots.iter_mut().filter(|(_, judged)| judged.is_none()) {
            match look(&name, step, state, &found, round == ROUNDS) {
                Looked::Judged(parts) => *judged = Some(parts),
                Looked::Asks(more) => asks.extend(more.iter().cloned()),
                Looked::Wrong(error) => return Err(refusal(&name, &[error], false)),
            }
        }
        if slots.iter().all(|(_, judged)| judged.is_some()) {
            break;
        }
        host.look(state, &asks, false)?;
    }
    Ok(slots.into_iter().filter_map(|(_, judged)| judged).flatten().collect())
}

/// Judges a step, or says what the host must be asked first. `last`: nothing more is asked.
fn look(host: &str, step: &DesiredStep, state: &HostState, found: &PredictedState, last: bool) -> Looked {
    let judged = |outcome| Looked::Judged(vec![judged_step(step, outcome, state)]);
    match step.resource.at_turn(found, false) {
        None => {}
        Some(Ok(DesiredAtTurn::Steps(parts))) => {
            let (mut all, mut asks) = (Vec::new(), Queries::new());
            for part in &parts {
                match look(host, part, state, found, last) {
                    Looked::Judged(judged) => all.extend(judged),
                    Looked::Asks(more) => asks.extend(more.iter().cloned()),
                    wrong @ Looked::Wrong(_) => return wrong,
                }
            }
            return if asks.is_empty() { Looked::Judged(all) } else { Looked::Asks(asks) };
        }
        Some(Ok(DesiredAtTurn::Open { on, .. })) => {
            return judged(Err(undecided(step, format!("it depends on {on}"))));
        }
        Some(Err(error @ PlanError::State(_))) => return judged(Err(error)),
        Some(Err(error @ (PlanError::Refused(_) | PlanError::Missing(_)))) => {
            let (id, name, span) = (step.id.clone(), step.name.clone(), step.span.clone());
            return Looked::Wrong(StepError { id, name, span, error });
        }
    }
    let missing: Vec<_> =
        queries(std::slice::from_ref(step)).iter().filter(|query| !state.asked(query)).cloned().collect();
    if !missing.is_empty() && !last {
        let mut asks = Queries::new();
        asks.extend(missing);
        return Looked::Asks(asks);
    }
    match plan_host(host, std::slice::from_ref(step), state) {
        Err(mut errors) => match errors.pop() {
            Some(error) => judged(Err(error.error)),
            None => judged(Err(undecided(step, "it has no plan".to_owned()))),
        },
        Ok(forecast) if needs_more(&forecast.follow_up_queries) && !last => Looked::Asks(forecast.follow_up_queries),
        Ok(forecast) => match forecast.plan.steps.into_iter().find(|plan| plan.id == step.id) {
            Some(plan) => judged(Ok(plan)),
            None => Looked::Judged(Vec::new()),
        },
    }
}

/// Whether answers are missing that a judgement needs: what apt would do besides is
/// none of its business, and each simulation takes a host a second.
fn needs_more(queries: &Queries) -> bool {
    queries.iter().any(|query| !matches!(query, Query::Transaction(_)))
}

/// That a step cannot be judged: an error, never a pass.
fn undecided(step: &DesiredStep, why: String) -> PlanError {
    PlanError::State(StateError::Unreadable { what: step.name.clone(), why })
}

fn judged_step(step: &DesiredStep, outcome: Result<StepPlan, PlanError>, state: &HostState) -> JudgedStep {
    let mut asked = Queries::new();
    if !step.sensitive {
        step.resource.queries(&mut asked);
    }
    JudgedStep {
        id: step.id.clone(),
        name: step.name.clone(),
        kind: step.kind,
        about: Arc::clone(&step.about),
        span: step.span.clone(),
        outcome,
        evidence: audit::evidence(&asked, state),
    }
}
