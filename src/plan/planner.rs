//! From resources and a host's state to that host's plan.

use super::{Access, Action, FieldChange, HostPlan, Op, PlanError, StepPlan, Verb, decided_at_its_turn};
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
    /// Whether the operator wants it guarded, whatever it does.
    pub guard: bool,
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
    let access = Access::of(host);
    for step in steps {
        predicted.begin_step(&step.id);
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
        let mut step_plan = StepPlan {
            id: step.id.clone(),
            name: step.name.clone(),
            kind: step.kind,
            action: planned.action(),
            changes: planned.changes,
            diff: planned.diff,
            notes: planned.notes,
            ops: planned.ops,
            open: planned.open,
            restart: step.restart.clone(),
            reload: step.reload.clone(),
            sensitive: step.sensitive,
            guard: step.guard,
            span: step.span.clone(),
        };
        step_plan.guard_for(&access);
        plans.push(step_plan);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    later_reboots(&mut plans, steps, &predicted);
    owed(&mut plans, host);
    predicted.left.owed.clear();
    let plan = HostPlan { spared: access.packages(), ..HostPlan::new(name, plans) };
    Ok(Forecast { plan, predicted, wants })
}

/// A reboot that is due only where packages ask for it becomes due, too, where
/// a step that comes after it has them ask: then it is done at the end.
fn later_reboots(plans: &mut [StepPlan], steps: &[Wanted], predicted: &HostState) {
    let Some(by) = predicted.reboot_by() else { return };
    for (plan, step) in plans.iter_mut().zip(steps) {
        if plan.action == Action::None && step.resource.may_become_due() {
            plan.action = Action::Unknown;
            plan.notes.push(decided_at_its_turn(by));
        }
    }
}

/// Adds the restarts and reloads that the changing steps ask for, or that an
/// earlier run still owes: each once, at the end, a restart in place of a
/// reload. Those of guarded steps come right after them, under their guard:
/// what a new login confirms must be what is live.
fn owed(steps: &mut Vec<StepPlan>, host: &HostState) {
    let mut due = Due::default();
    // A host that is certain to restart restarts its services, whatever they were owed.
    let last_reboot = steps.iter().rposition(|step| step.open.is_none() && step.ops.iter().any(Op::reboots));
    for debt in host.left.owed.iter().filter(|_| last_reboot.is_none()) {
        let Some((word, unit)) = debt.split_once(':') else { continue };
        let verb = match word {
            "restart" => Verb::Restart,
            "reload" => Verb::Reload,
            _ => continue,
        };
        if let Ok(unit) = unit.parse() {
            due.add(&unit, verb, "owed by an earlier run".to_owned());
        }
    }
    // In a chroot or an image that is being built nothing runs that could be restarted.
    let live = host.facts.init == "systemd";
    let mut done = Vec::with_capacity(steps.len());
    let mut guarded = Due::default();
    for (index, step) in std::mem::take(steps).into_iter().enumerate() {
        let changes = step.action != Action::None;
        // What a login confirms is confirmed live, before the host goes down.
        let reboot_follows = !step.guard && last_reboot.is_some_and(|at| index <= at);
        if changes && !step.guard {
            done.extend(guarded.steps(true));
        }
        if changes && live && !reboot_follows {
            let due = if step.guard { &mut guarded } else { &mut due };
            let because = || format!("step {} changes", step.id);
            step.restart.iter().for_each(|unit| due.add(unit, Verb::Restart, because()));
            step.reload.iter().for_each(|unit| due.add(unit, Verb::Reload, because()));
        }
        done.push(step);
    }
    // Checks that end a playbook see the units as they will run.
    let end = done.iter().rposition(|step| step.kind != "check").map_or(0, |last| last + 1);
    let last: Vec<StepPlan> = guarded.steps(true).into_iter().chain(due.steps(false)).collect();
    done.splice(end..end, last);
    let mut seen = BTreeMap::new();
    for step in done.iter_mut().filter(|step| step.id.contains(':')) {
        let times = seen.entry(step.id.clone()).or_insert(0);
        *times += 1;
        if *times > 1 {
            step.id = format!("{}#{times}", step.id);
        }
    }
    *steps = done;
}

/// Units that are to be restarted or reloaded, with the reasons.
#[derive(Default)]
struct Due(BTreeMap<UnitName, (Verb, Vec<String>)>);

impl Due {
    fn add(&mut self, unit: &UnitName, verb: Verb, because: String) {
        let entry = self.0.entry(unit.clone()).or_insert((verb, Vec::new()));
        if verb == Verb::Restart {
            entry.0 = Verb::Restart;
        }
        entry.1.push(because);
    }

    fn steps(&mut self, guard: bool) -> Vec<StepPlan> {
        let step = |(unit, (verb, because)): (UnitName, (Verb, Vec<String>))| StepPlan {
            id: format!("{}:{unit}", verb.word()),
            name: format!("{} {unit}", verb.word()),
            kind: "service",
            action: Action::Run,
            changes: vec![FieldChange::new(verb.word(), None::<&str>, Some(because.join(", ")))],
            ops: vec![Op::Systemctl { verb, unit }],
            guard,
            ..StepPlan::default()
        };
        std::mem::take(&mut self.0).into_iter().map(step).collect()
    }
}
