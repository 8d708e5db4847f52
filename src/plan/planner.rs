//! From resources and a host's state to that host's plan.

use super::{Action, FieldChange, HostPlan, Op, PlanError, StepPlan, Verb};
use crate::observe::{HostState, Queries};
use crate::resource::Resource;
use crate::values::{Span, UnitName};
use std::collections::BTreeMap;

/// A step of a playbook, rendered for one host.
#[derive(Debug)]
pub struct Wanted {
    /// See [`StepPlan::id`].
    pub id: String,
    /// See [`StepPlan::name`].
    pub name: String,
    /// The resource kind.
    pub kind: &'static str,
    /// What is described.
    pub resource: Box<dyn Resource>,
    /// Units to restart if this step changes anything.
    pub restart: Vec<UnitName>,
    /// Units to reload if this step changes anything.
    pub reload: Vec<UnitName>,
    /// Whether values must not be shown.
    pub sensitive: bool,
    /// Where it was written.
    pub span: Option<Span>,
}

/// A step that could not be planned.
#[derive(Debug, thiserror::Error)]
#[error("step {id} ({name}){}: {error}", place(span))]
pub struct StepError {
    /// The step's id.
    pub id: String,
    /// The step's name.
    pub name: String,
    /// Where it was written.
    pub span: Option<Span>,
    /// Why.
    #[source]
    pub error: PlanError,
}

fn place(span: &Option<Span>) -> String {
    span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default()
}

/// What planning gives: the plan, the predicted state after it, and questions
/// whose answers would make it more exact.
#[derive(Debug)]
pub struct Forecast {
    /// The plan.
    pub plan: HostPlan,
    /// The state after the plan, as far as it can be predicted.
    pub predicted: HostState,
    /// Open questions.
    pub wants: Queries,
}

/// The questions of all steps.
pub fn queries(steps: &[Wanted]) -> Queries {
    let mut queries = Queries::new();
    steps.iter().for_each(|step| step.resource.queries(&mut queries));
    queries
}

/// Plans all steps, each against what the ones before it will have made.
///
/// # Errors
/// Every step that could not be planned; a plan with a hole in it is none.
pub fn plan_host(name: &str, steps: &[Wanted], host: &HostState) -> Result<Forecast, Vec<StepError>> {
    let mut predicted = host.clone();
    let mut wants = Queries::new();
    let mut plans = Vec::with_capacity(steps.len());
    let mut errors = Vec::new();
    for step in steps {
        let mut planned = match step.resource.plan(&predicted) {
            Ok(planned) => planned,
            Err(error) => {
                errors.push(StepError { id: step.id.clone(), name: step.name.clone(), span: step.span.clone(), error });
                continue;
            }
        };
        wants.extend(planned.wants.iter().filter(|query| !host.asked(query)).cloned());
        planned.ops.iter().for_each(|op| op.effect(&mut predicted));
        if step.sensitive {
            planned.mask();
        }
        plans.push(StepPlan {
            id: step.id.clone(),
            name: step.name.clone(),
            kind: step.kind,
            action: planned.action(),
            changes: planned.changes,
            diff: planned.diff,
            notes: planned.notes,
            ops: planned.ops,
            restart: step.restart.clone(),
            reload: step.reload.clone(),
            sensitive: step.sensitive,
            span: step.span.clone(),
        });
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    // Checks that end a playbook see the units as they will run.
    let end = plans.iter().rposition(|step| step.kind != "check").map_or(0, |last| last + 1);
    plans.splice(end..end, owed(&plans, host));
    predicted.owed.clear();
    Ok(Forecast { plan: HostPlan::new(name, plans), predicted, wants })
}

/// Restarts and reloads that the changing steps ask for, or that an earlier
/// run still owes: each once, at the end, a restart in place of a reload.
fn owed(steps: &[StepPlan], host: &HostState) -> Vec<StepPlan> {
    let mut due: BTreeMap<UnitName, (Verb, Vec<String>)> = BTreeMap::new();
    let mut owe = |unit: &UnitName, verb: Verb, because: String| {
        let entry = due.entry(unit.clone()).or_insert((verb, Vec::new()));
        if verb == Verb::Restart {
            entry.0 = Verb::Restart;
        }
        entry.1.push(because);
    };
    // A host that restarts for certain has restarted its services.
    let restarted = steps.iter().rposition(|step| step.ops.iter().any(Op::reboots));
    for debt in host.owed.iter().filter(|_| restarted.is_none()) {
        let Some((word, unit)) = debt.split_once(':') else { continue };
        let verb = match word {
            "restart" => Verb::Restart,
            "reload" => Verb::Reload,
            _ => continue,
        };
        if let Ok(unit) = unit.parse() {
            owe(&unit, verb, "owed by an earlier run".to_owned());
        }
    }
    // In a chroot or an image that is being built nothing runs that could be restarted.
    let changing = steps
        .iter()
        .skip(restarted.map_or(0, |at| at + 1))
        .filter(|step| step.action != Action::None && host.facts.init == "systemd");
    for step in changing {
        step.restart.iter().for_each(|unit| owe(unit, Verb::Restart, format!("step {} changes", step.id)));
        step.reload.iter().for_each(|unit| owe(unit, Verb::Reload, format!("step {} changes", step.id)));
    }
    let step = |(unit, (verb, because)): (UnitName, (Verb, Vec<String>))| StepPlan {
        id: format!("{}:{unit}", verb.word()),
        name: format!("{} {unit}", verb.word()),
        kind: "service",
        action: Action::Run,
        changes: vec![FieldChange::new(verb.word(), None::<&str>, Some(because.join(", ")))],
        diff: None,
        notes: Vec::new(),
        ops: vec![Op::Systemctl { verb, unit }],
        restart: Vec::new(),
        reload: Vec::new(),
        sensitive: false,
        span: None,
    };
    due.into_iter().map(step).collect()
}
