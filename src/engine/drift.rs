//! Whether what a later phase does was shown before the apply.

use crate::plan::{Action, FieldChange, HostPlan, KNOWN_AFTER_APPLY, OTHER_PACKAGES, StepPlan};
use crate::report;

/// What a transaction of apt costs, which is another when it is done in two parts.
const SIZES: [&str; 2] = ["download", "disk space"];

/// What a plan does that none of those which were shown says, step by step.
pub(super) fn beyond<'a>(shown: impl Iterator<Item = &'a HostPlan> + Clone, now: &HostPlan) -> Vec<String> {
    let is_covered = |step: &StepPlan| {
        shown.clone().any(|plan| {
            let known = plan.steps.iter().find(|other| other.id == step.id || is_part_of(step, other));
            known.is_some_and(|known| says(plan, known, step))
        })
    };
    let mut named = Vec::new();
    for step in now.steps.iter().filter(|step| step.action != Action::None) {
        if !is_pending(step) && !is_covered(step) {
            named.push(format!("step {} ({}): {}", step.id, step.name, what_differs(step)));
        }
    }
    named
}

/// Whether a plan that was shown says of a step, `known`, what it does `now`.
fn says(plan: &HostPlan, known: &StepPlan, now: &StepPlan) -> bool {
    if known.action == Action::Unknown || known.action == Action::None {
        return known.action == Action::Unknown || known.may_be_undone;
    }
    if known.again_at_end {
        return true;
    }
    // What apt brings besides is shown with the first step of a transaction,
    // which is another step once the first is done.
    let changes = plan.steps.iter().flat_map(|step| &step.changes);
    let besides: Vec<&FieldChange> = changes.filter(|change| is_brought_besides(change)).collect();
    covers(&known.changes, &besides, &now.changes)
}

/// What a step changes, in words.
pub(super) fn what_differs(step: &StepPlan) -> String {
    let mut changes: Vec<String> = step.changes.iter().map(report::change_text).collect();
    if changes.is_empty() {
        changes.push(if step.diff.is_some() { "content" } else { report::action_words(step.action).1 }.to_owned());
    }
    changes.join(", ")
}

/// Whether a step is what an open one has become: one of those it uses, or one
/// of its items.
pub(super) fn is_part_of(step: &StepPlan, open: &StepPlan) -> bool {
    let below = step.id.strip_prefix(open.id.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']));
    open.open.is_some() && below
}

/// Whether this is no step of the playbook but a restart that is due: it belongs
/// to the steps that ask for it.
pub(super) fn is_pending(step: &StepPlan) -> bool {
    step.span.is_none() && step.kind == "service"
}

/// Whether the changes that were shown say all of these. A field can change more
/// than once, as the rules of a firewall do: each change that was shown stands
/// for one. `besides`: what else was said of the packages that come.
fn covers(shown: &[FieldChange], besides: &[&FieldChange], now: &[FieldChange]) -> bool {
    // What was said to be known after apply may be anything.
    let is_open = |field: &str| {
        let open = |side: &Option<String>| side.as_ref().is_some_and(|text| text.contains(KNOWN_AFTER_APPLY));
        shown
            .iter()
            .any(|told| told.field == field && (open(&told.after) || told.after.is_none() && open(&told.before)))
    };
    let others_open = is_open(OTHER_PACKAGES) || besides.iter().any(|told| told.field == OTHER_PACKAGES);
    let mut left: Vec<&FieldChange> = shown.iter().collect();
    now.iter().filter(|change| !SIZES.contains(&change.field.as_str())).all(|change| {
        let times = |list: &mut dyn Iterator<Item = &FieldChange>| list.filter(|one| one.field == change.field).count();
        let once = times(&mut now.iter()) == 1 && times(&mut shown.iter()) == 1;
        let is_told = |told: &FieldChange| {
            let same = told.field == change.field && told.after == change.after;
            // What goes is told apart by what it was.
            same && (once || change.after.is_some() || told.before == change.before)
        };
        if let Some(at) = left.iter().position(|told| is_told(told)) {
            left.swap_remove(at);
            return true;
        }
        is_open(&change.field)
            || is_brought_besides(change) && (others_open || besides.iter().any(|told| is_told(told)))
    })
}

/// Whether this is a package that comes, goes or changes besides what a step
/// names, or says that there may be such.
fn is_brought_besides(change: &FieldChange) -> bool {
    change.field == OTHER_PACKAGES || change.field.starts_with("package ")
}

#[cfg(test)]
mod tests {
    use super::{FieldChange, KNOWN_AFTER_APPLY, covers};

    fn changes(list: &[(&str, &str, &str)]) -> Vec<FieldChange> {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        list.iter().map(|(field, before, after)| FieldChange::new(*field, side(before), side(after))).collect()
    }

    #[test]
    fn a_field_that_changes_more_than_once_is_compared_change_by_change() {
        let shown = changes(&[("rules", "", "22"), ("rules", "", "80"), ("rules", "25", ""), ("enabled", "no", "yes")]);
        assert!(covers(&shown, &[], &shown));
        assert!(covers(&shown, &[], &changes(&[("rules", "", "80"), ("rules", "25", "")])), "a part of it");
        assert!(!covers(&shown, &[], &changes(&[("rules", "", "80"), ("rules", "", "80")])), "once was shown");
        assert!(!covers(&shown, &[], &changes(&[("rules", "", "443")])), "another value");
        assert!(!covers(&shown, &[], &changes(&[("rules", "22", "")])), "another one goes");
        assert!(!covers(&shown, &[], &changes(&[("default", "", "deny")])), "another field");
    }

    #[test]
    fn what_was_said_to_be_known_after_apply_may_be_anything() {
        let shown = changes(&[("version", "", KNOWN_AFTER_APPLY), ("other packages", "", KNOWN_AFTER_APPLY)]);
        let now = [("version", "", "2"), ("package a", "", "1"), ("package b", "1", ""), ("download", "", "5 kB")];
        assert!(covers(&shown, &[], &changes(&now)));
        assert!(!covers(&shown, &[], &changes(&[("enabled", "no", "yes")])), "that is no package");
        let open = changes(&[("line", KNOWN_AFTER_APPLY, "")]);
        assert!(covers(&open, &[], &changes(&[("line", "a", "")])));
    }

    #[test]
    fn a_package_that_another_step_has_shown_may_come_with_this_one() {
        let others = changes(&[("package a", "", "1")]);
        let besides: Vec<&FieldChange> = others.iter().collect();
        assert!(covers(&[], &besides, &changes(&[("package a", "", "1")])));
        assert!(!covers(&[], &besides, &changes(&[("package a", "", "2")])));
    }
}
