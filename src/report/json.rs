//! Plans and results as JSON. The form is a contract: `schema/plan.json` and
//! `schema/apply.json` are its published schemas, and a change that breaks a
//! reader raises [`FORMAT_VERSION`].

use super::outcome::HostOutcome;
use super::text::{advice, is_told};
use crate::plan::{HostPlan, StepPlan};
use serde_json::{Value, json};

/// The version of the form of both documents.
pub const FORMAT_VERSION: u32 = 1;

/// The document of a plan. `playbook` is named as the operator named it.
pub fn plan_json(stage: Option<&str>, playbook: &str, plans: &[HostPlan]) -> Value {
    let hosts: Vec<Value> = plans
        .iter()
        .map(|plan| {
            let steps: Vec<Value> = plan.steps.iter().map(step_json).collect();
            json!({ "name": plan.name, "steps": steps, "summary": plan.summary })
        })
        .collect();
    json!({ "format_version": FORMAT_VERSION, "stage": stage, "playbook": playbook, "hosts": hosts })
}

/// The document of an apply.
pub fn apply_json(stage: Option<&str>, playbook: &str, outcomes: &[HostOutcome]) -> Value {
    let hosts: Vec<Value> = outcomes.iter().map(outcome_json).collect();
    json!({ "format_version": FORMAT_VERSION, "stage": stage, "playbook": playbook, "hosts": hosts })
}

/// A step, without what only the engine needs. Written out by hand: a field
/// that is added to the engine's type must not slip into the contract. What
/// overrides it is told where something does.
fn step_json(step: &StepPlan) -> Value {
    let StepPlan { id, name, kind, action, changes, diff, notes, overridden, .. } = step;
    let mut told = json!({
        "id": id, "name": name, "kind": kind, "action": action,
        "changes": changes, "diff": diff, "notes": notes,
    });
    if !overridden.is_empty() {
        told["overridden"] = json!(overridden);
    }
    told
}

fn outcome_json(outcome: &HostOutcome) -> Value {
    let steps: Vec<Value> = outcome
        .steps
        .iter()
        .map(|(step, ending)| {
            json!({ "id": step.id, "name": step.name, "kind": step.kind, "action": step.action, "result": ending })
        })
        .collect();
    let failure = outcome.failure.as_ref().map(|failure| {
        json!({
            "id": failure.step.id, "name": failure.step.name, "kind": failure.step.kind,
            "place": failure.step.span.as_ref().map(ToString::to_string),
            "message": failure.message,
            "output": (!failure.step.sensitive).then_some(&failure.output),
        })
    });
    let remaining: Vec<Value> =
        outcome.remaining.iter().flat_map(|plan| &plan.steps).filter(|step| is_told(step)).map(step_json).collect();
    json!({
        "name": outcome.name,
        "result": outcome.ending,
        "error": outcome.error,
        "advice": advice(outcome),
        "changed": outcome.changed,
        "seconds": (outcome.seconds * 1000.0).round() / 1000.0,
        "steps": steps,
        "failure": failure,
        "remaining": remaining,
    })
}
