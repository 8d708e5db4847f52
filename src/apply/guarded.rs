//! What is told of a guarded phase that was put back: a new login proves all of
//! a phase at once, so that none of its steps is named as the cause unless it is
//! the only one.

use super::{Phase, Program};
use crate::plan::{HostPlan, StepPlan};

/// Why a phase was put back, as far as that says something about its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No new login came.
    NoLogin,
    /// The guard refused what the steps have made.
    Refused,
    /// Something beside the steps: the host restarted, the runner died, the time was too short.
    Other,
}

impl Cause {
    /// Reads the reason that a host gives (guard/state.sh) or was given.
    pub(super) fn of(why: &str) -> Cause {
        let no_login = why.starts_with("no new login") || why.starts_with("nobody logged in anew");
        if no_login { Cause::NoLogin } else { Cause::Other }
    }
}

/// The steps that a guard was set for, in order. What they have restarted or
/// reloaded is theirs.
pub(super) fn steps<'a>(plan: &'a HostPlan, program: &Program, phase: &Phase) -> Vec<(usize, &'a StepPlan)> {
    let operations = program.operations.get(phase.operations.clone()).unwrap_or_default();
    let mut places: Vec<usize> = operations.iter().map(|one| one.step).collect();
    places.dedup();
    let guarded = places.into_iter().filter_map(|at| Some((at, plan.steps.get(at)?))).filter(|(_, step)| step.guard);
    let guarded: Vec<(usize, &StepPlan)> = guarded.collect();
    let own: Vec<(usize, &StepPlan)> = guarded.iter().copied().filter(|(_, step)| !step.is_due()).collect();
    if own.is_empty() { guarded } else { own }
}

/// The steps of a phase in words, and what is known of them.
pub(super) fn told(steps: &[(usize, &StepPlan)], cause: Cause) -> String {
    let names: Vec<String> = steps.iter().map(|(_, step)| name(step)).collect();
    let Some((last, before)) = names.split_last() else { return String::new() };
    if before.is_empty() {
        return format!("the only change under this guard is that of {last}");
    }
    let names = format!("{} and {last}", before.join(", "));
    match cause {
        Cause::NoLogin => {
            format!("one guard covers {names}: one of them cut off access, or the way to the host was cut meanwhile")
        }
        Cause::Refused => format!("one guard covers {names}: one of them is the cause"),
        Cause::Other => format!("one guard covers {names}"),
    }
}

fn name(step: &StepPlan) -> String {
    let place = step.span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default();
    format!("step {} ({}){place}", step.id, step.name)
}

#[cfg(test)]
mod tests {
    use super::{Cause, told};
    use crate::plan::StepPlan;

    #[test]
    fn a_step_is_named_as_the_cause_only_where_it_is_the_only_one() {
        let step = |id: &str| StepPlan { id: id.into(), name: format!("file {id}"), ..StepPlan::default() };
        let (one, two, three) = (step("1"), step("2"), step("4"));
        let all = [(0, &one), (1, &two), (3, &three)];
        let several = told(&all, Cause::NoLogin);
        assert!(several.contains("step 1 (file 1), step 2 (file 2) and step 4 (file 4): one of them"), "{several}");
        assert!(!told(&all, Cause::Other).contains("one of them"));
        assert_eq!(told(&all[1..2], Cause::NoLogin), "the only change under this guard is that of step 2 (file 2)");
        assert_eq!(told(&[], Cause::Refused), "");
    }

    #[test]
    fn only_a_missing_login_says_that_access_was_cut() {
        for (why, cause) in [
            ("no new login on port 2222: web1: no answer", Cause::NoLogin),
            ("nobody logged in anew within 60 seconds; sshd on the host said: x", Cause::NoLogin),
            ("the host was restarted before a new login confirmed the change", Cause::Other),
            ("operation 3 failed", Cause::Other),
        ] {
            assert_eq!(Cause::of(why), cause, "{why}");
        }
    }
}
