//! One host's part of an apply: one phase after the other until nothing is open.
//!
//! A phase is one run on the host. It ends where the host restarts, and before
//! the first step that only its turn can decide. Then the host is observed and
//! planned for again, in the same session, and the run goes on. Most applies
//! have one phase. Every phase has a record of its own on the host; those of one
//! apply name its first.
//!
//! What a later phase finds to do beyond what the plan has shown as open was
//! agreed to by nobody: it is named and asked for.

use super::Prepared;
use super::carry_out::{ApplyOptions, Part, PartEnd, look_again, run_part, take_back};
use super::drift::{beyond, is_part_of, is_pending, what_differs};
use super::outcome::{join, not_converged, tell};
use super::reboot::come_back;
use crate::apply::{ApplyError, Record, one_phase};
use crate::observe::{HostState, Known};
use crate::plan::{Action, HostPlan, Op, Override, StepPlan, UnitOp, Verb};
use crate::report::{self, Event, HostOutcome, HostStatus, Reporter, StepStatus};
use crate::values::UnitName;
use std::collections::BTreeSet;
use std::time::Instant;

/// Carries a host's plan out, phase by phase and through the reboots in it,
/// until a look at the host finds nothing left to do.
pub fn apply_host(mut host: Prepared, terms: &ApplyOptions, reporter: &dyn Reporter) -> HostOutcome {
    if let (Some(run), None) = (host.state.left.unfinished.first(), &host.state.left.running) {
        let error = ApplyError::Unfinished(run.clone()).to_string();
        reporter.event(&Event::HostFailed { host: &host.plan.name, error: &error });
        return HostOutcome { error: Some(error), ..HostOutcome::new(&host.plan.name, HostStatus::Failed) };
    }
    let mut terms = terms.clone();
    terms.about.stage.clone_from(&host.stage);
    terms.about.apply.clone_from(&host.continues);
    let began = Instant::now();
    let mut work = Work { shown: host.plan.clone(), ..Work::default() };
    let nothing_to_do = host.plan.is_empty();
    while let Goes::On = work.phase(&mut host, &terms, reporter, nothing_to_do) {
        // Later phases name the first one, so that all are taken back together.
        let first = || work.so_far.as_ref().and_then(|so_far| so_far.runs.first().cloned());
        terms.about.apply = host.continues.clone().or_else(first);
    }
    let mut outcome = work.so_far.take().unwrap_or_else(|| HostOutcome::new(&host.plan.name, HostStatus::Failed));
    if terms.undo_on_failure && outcome.leaves_a_half() {
        take_back(&work.records, &terms, reporter, &mut host, &mut outcome);
        work.records.clear();
    }
    work.say_what_stays(&mut outcome);
    // Nothing was left to do in the phase that the last run had left open.
    if let (HostStatus::Converged, Some(run)) = (outcome.ending, &work.left_open)
        && let Err(error) = host.host.conclude(run)
    {
        let text = format!("that the apply has ended could not be written down on the host: {error:#}");
        reporter.event(&Event::Notice { host: Some(&outcome.name), text: &text });
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    tell(&outcome, reporter);
    outcome
}

/// Whether another phase follows.
enum Goes {
    On,
    Over,
}

/// An apply on one host between two phases.
#[derive(Default)]
struct Work {
    /// The plan as the operator has seen it last, and agreed to.
    shown: HostPlan,
    /// Those before it: what they said is known after apply stays so.
    agreed: Vec<HostPlan>,
    /// What came of all phases so far.
    so_far: Option<HostOutcome>,
    /// The runs that can be taken back together: those since the last reboot.
    records: Vec<Record>,
    /// The last run, where it ended before an open step.
    left_open: Option<String>,
    /// The runs before it.
    before_reboot: Vec<String>,
    /// The step that has restarted the host just now.
    rebooted: Option<String>,
    /// Steps that were carried out although they did not differ before.
    repeated: BTreeSet<String>,
    /// Steps before which the host has been looked at again.
    looked_before: BTreeSet<String>,
    phases: usize,
}

impl Work {
    fn phase(
        &mut self,
        host: &mut Prepared,
        terms: &ApplyOptions,
        reporter: &dyn Reporter,
        nothing_to_do: bool,
    ) -> Goes {
        let mut plan = host.plan.clone();
        // A command that is due again and again stops the run once.
        plan.steps.iter_mut().for_each(|step| step.looked_at_before &= !self.looked_before.contains(&step.id));
        self.phases += 1;
        let rebooted = self.rebooted.take();
        let again = plan.steps.iter().find(|step| rebooted.as_ref() == Some(&step.id) && step.action == Action::Run);
        if let Some(again) = again {
            let error = format!("step {} ({}) asks for another reboot right after its own", again.id, again.name);
            return self.stuck(plan.clone(), error, reporter);
        }
        host.begun = true;
        let part = one_phase(&plan);
        let Part { outcome, end, record } = run_part(&part, terms, reporter, host);
        if let Some(record) = &record {
            self.left_open = part.left_open.map(|_| record.id.clone());
        }
        self.records.extend(record);
        let so_far = join(self.so_far.take(), outcome, &plan);
        let runs = so_far.runs.clone();
        self.so_far = Some(so_far);
        match end {
            PartEnd::Failed => Goes::Over,
            PartEnd::Reboot(reboot) => {
                self.before_reboot = runs;
                self.records.clear();
                let id = plan.steps.get(reboot.step).map(|step| step.id.clone());
                self.rebooted.clone_from(&id);
                host.resumed_at = id;
                host.done = self.commands_done();
                match come_back(host, &reboot, reporter) {
                    Ok(next) => self.take_up(host, next, terms, reporter),
                    Err((ending, error)) => self.over(ending, error),
                }
            }
            PartEnd::Through if nothing_to_do => self.nothing_differs(plan, reporter),
            PartEnd::Through => {
                let open = part.left_open.and_then(|at| part.steps.get(at));
                // What is pending from here on is this apply's own.
                self.looked_before.extend(open.map(|step| step.id.clone()));
                let goes_on_with = part.left_open.map(|at| goes_on_with(&plan, at));
                host.resumed_at = Some(goes_on_with.unwrap_or_default());
                host.done = if open.is_some() { self.commands_done() } else { BTreeSet::new() };
                match look_again(host, &plan.name, reporter) {
                    Err(error) if open.is_none() => {
                        self.over(HostStatus::Failed, format!("the second look failed: {error:#}"))
                    }
                    Err(error) => match open.and_then(|open| self.ran_in_vain(host, open, reporter)) {
                        Some(goes) => goes,
                        None => self.over(HostStatus::Failed, format!("{error:#}")),
                    },
                    Ok(rest) if rest.is_empty() => self.last_look(host, rest, reporter),
                    Ok(rest) => match open {
                        Some(open) if is_stuck(&rest, &open.id) || self.phases > 2 * plan.steps.len() => {
                            let error = self.why_undecided(open, &rest);
                            self.stuck(rest, error, reporter)
                        }
                        Some(_) => self.take_up(host, rest, terms, reporter),
                        None if self.may_repeat(&rest) => {
                            // What is done once more runs no command twice.
                            host.done = self.commands_done();
                            match look_again(host, &plan.name, reporter) {
                                Ok(rest) => self.take_up(host, rest, terms, reporter),
                                Err(error) => self.over(HostStatus::Failed, format!("{error:#}")),
                            }
                        }
                        None => {
                            self.so_far.iter_mut().for_each(|so_far| not_converged(so_far, rest.clone(), reporter));
                            Goes::Over
                        }
                    },
                }
            }
        }
    }

    /// The commands that this apply has run so far.
    fn commands_done(&self) -> BTreeSet<String> {
        let steps = self.so_far.iter().flat_map(|so_far| &so_far.steps);
        let ran = steps.filter(|(step, ending)| step.kind == "command" && *ending == StepStatus::Done);
        ran.map(|(step, _)| step.id.clone()).collect()
    }

    /// Where the step that the last phase ended before cannot be planned, because a
    /// command has run and its guard is not content: says so of the command.
    fn ran_in_vain(&mut self, host: &mut Prepared, open: &StepPlan, reporter: &dyn Reporter) -> Option<Goes> {
        let done = std::mem::take(&mut host.done);
        if done.is_empty() {
            return None;
        }
        let name = host.plan.name.clone();
        let rest = look_again(host, &name, reporter).ok()?;
        let differs = rest.steps.iter().any(|step| done.contains(&step.id) && step.action != Action::None);
        differs.then(|| {
            let error = self.why_undecided(open, &rest);
            self.stuck(rest, error, reporter)
        })
    }

    /// No other phase has anything to do. Commands that have run already were left
    /// out of its plan: whether their guards are content now decides the end.
    fn last_look(&mut self, host: &mut Prepared, mut rest: HostPlan, reporter: &dyn Reporter) -> Goes {
        if std::mem::take(&mut host.done).is_empty() {
            self.name_dead_units(&mut rest, &host.state);
            return self.nothing_differs(rest, reporter);
        }
        match look_again(host, &rest.name, reporter) {
            Err(error) => self.over(HostStatus::Failed, format!("the second look failed: {error:#}")),
            Ok(mut rest) if rest.is_empty() => {
                self.name_dead_units(&mut rest, &host.state);
                self.nothing_differs(rest, reporter)
            }
            Ok(rest) => {
                self.so_far.iter_mut().for_each(|so_far| not_converged(so_far, rest.clone(), reporter));
                Goes::Over
            }
        }
    }

    /// A restart that systemd calls a success may leave its unit dead a moment
    /// later (systemd.service(5), Type=simple): what this apply has restarted must run.
    fn name_dead_units(&self, rest: &mut HostPlan, state: &HostState) {
        let Some(so_far) = &self.so_far else { return };
        let done = so_far.steps.iter().filter(|(_, ending)| *ending == StepStatus::Done);
        let told: BTreeSet<&UnitName> = done.flat_map(|(step, _)| &step.ops).filter_map(started).collect();
        for name in told {
            let Ok(Known::Is(unit)) = state.unit(name) else { continue };
            let is_dead = unit.active == "failed" || (unit.active == "activating" && !unit.result.is_empty());
            if !is_dead || rest.overridden().flat_map(|step| &step.overridden).any(|by| by.file == name.as_str()) {
                continue;
            }
            let message = format!(
                "the run has restarted it, and it does not run: {}; 'systemctl status {name}' there tells more",
                if unit.result.is_empty() { "failed" } else { unit.result.as_str() }
            );
            let by = Override::new(name, None, message);
            let asks = |step: &&mut StepPlan| step.restart.contains(name);
            match rest.steps.iter_mut().find(asks) {
                Some(step) => step.overridden.push(by),
                None => rest.steps.push(StepPlan {
                    id: format!("restart:{name}"),
                    name: format!("restart {name}"),
                    kind: "service",
                    overridden: vec![by],
                    ..StepPlan::default()
                }),
            }
        }
    }

    /// Nothing is left to do: the host has converged if every step is in force.
    fn nothing_differs(&mut self, rest: HostPlan, reporter: &dyn Reporter) -> Goes {
        if let (false, Some(so_far)) = (rest.is_converged(), &mut self.so_far) {
            not_converged(so_far, rest, reporter);
        }
        Goes::Over
    }

    /// Makes a plan that was made between two phases the one to be carried out,
    /// unless it does more than was agreed to.
    fn take_up(&mut self, host: &mut Prepared, next: HostPlan, terms: &ApplyOptions, reporter: &dyn Reporter) -> Goes {
        let name = next.name.clone();
        let decided = next.steps.iter().filter(|step| {
            let shown = self.shown.steps.iter().find(|shown| shown.id == step.id || is_part_of(step, shown));
            !matches!(step.action, Action::None | Action::Unknown)
                && step.open.is_none()
                && shown.is_some_and(|shown| shown.open.is_some())
        });
        for step in decided {
            let word = report::action_words(step.action).1;
            let text = format!("decided now: step {} ({}): {word}", step.id, step.name);
            reporter.event(&Event::Notice { host: Some(&name), text: &text });
        }
        let beyond = beyond(self.agreed.iter().chain([&self.shown]), &next);
        if !beyond.is_empty() {
            let text = format!("this differs beyond the plan that was shown: {}", beyond.join("; "));
            reporter.event(&Event::Notice { host: Some(&name), text: &text });
            let question = format!("Go on with this on {name}?");
            if !terms.yes && !terms.agrees(&question, reporter) {
                let error = format!("{text}; what was done before stays. Apply again to see the plan, or give --yes");
                return self.over(HostStatus::Failed, error);
            }
        }
        if next.is_empty() {
            return self.last_look(host, next, reporter);
        }
        reporter.event(&Event::Planned { plan: &next });
        self.agreed.push(std::mem::replace(&mut self.shown, next.clone()));
        host.plan = next;
        Goes::On
    }

    /// After the last phase: whether what still differs is only what this
    /// apply's own packages, commands and restarts have changed meanwhile. Then it
    /// is done once more; what this apply has done itself must hold.
    fn may_repeat(&mut self, rest: &HostPlan) -> bool {
        let Some(so_far) = &self.so_far else { return false };
        let place = |id: &str| rest.steps.iter().position(|step| step.id == id);
        let done: Vec<&StepPlan> =
            so_far.steps.iter().filter(|(_, ending)| *ending == StepStatus::Done).map(|(step, _)| step).collect();
        // Restarts that an earlier run has left come before all steps.
        let first = |step: &&StepPlan| {
            let left = step.ops.iter().any(|op| matches!(op, Op::Unit(UnitOp::Pending { first: true, .. })));
            if left { Some(0) } else { place(&step.id).map(|at| at + 1) }
        };
        let opaque = done.iter().copied().filter(|step| step.ops.iter().any(Op::may_undo_others));
        let first = opaque.filter_map(|step| first(&step)).min();
        // Whether a command is due that is asked at its turn depends on the others.
        let again = |step: &StepPlan| self.shown.steps.iter().any(|shown| shown.id == step.id && shown.again_at_end);
        let differs = |step: &&StepPlan| match step.action {
            Action::None => false,
            Action::Unknown => step.open.is_none() && again(step),
            Action::Create | Action::Update | Action::Delete | Action::Run => true,
        };
        let differing: Vec<&StepPlan> = rest.steps.iter().filter(differs).collect();
        let holds = |step: &&StepPlan| {
            let shown_open = self.shown.steps.iter().any(|s| s.id == step.id && s.action == Action::Unknown);
            let comes_after = first.is_some_and(|first| place(&step.id).is_some_and(|at| at >= first));
            // A reboot can be due once more by what came after it.
            let again = again(step);
            let is_done = step.kind != "reboot" && !again && done.iter().any(|done| done.id == step.id);
            !self.repeated.contains(&step.id) && (is_pending(step) || again || !is_done && (shown_open || comes_after))
        };
        let all = !differing.is_empty() && differing.iter().all(holds);
        self.repeated.extend(differing.iter().map(|step| step.id.clone()));
        all
    }

    fn over(&mut self, ending: HostStatus, error: String) -> Goes {
        if let Some(so_far) = &mut self.so_far {
            (so_far.ending, so_far.error) = (ending, Some(error));
        }
        Goes::Over
    }

    /// Why a step is open still although what comes before it was done.
    fn why_undecided(&self, open: &StepPlan, rest: &HostPlan) -> String {
        let before = rest.steps.iter().take_while(|step| step.id != open.id);
        let differs = before.filter(|step| step.open.is_none() && !matches!(step.action, Action::None));
        let still: Vec<String> = differs
            .map(|step| {
                format!("step {} ({}) still differs after the apply: {}", step.id, step.name, what_differs(step))
            })
            .collect();
        let undecided = format!("step {} ({}) cannot be decided", open.id, open.name);
        if still.is_empty() { undecided } else { format!("{undecided}: {}", still.join("; ")) }
    }

    fn stuck(&mut self, plan: HostPlan, error: String, reporter: &dyn Reporter) -> Goes {
        let text = format!("NOT CONVERGED: {error}");
        reporter.event(&Event::HostFailed { host: &plan.name, error: &text });
        let so_far = self.so_far.get_or_insert_with(|| HostOutcome::new(&plan.name, HostStatus::NotConverged));
        (so_far.ending, so_far.error, so_far.remaining) = (HostStatus::NotConverged, Some(error), Some(plan));
        Goes::Over
    }

    /// Where a guard has put its phase back, what other runs did is still there.
    fn say_what_stays(&self, outcome: &mut HostOutcome) {
        if outcome.ending != HostStatus::Undone {
            return;
        }
        let mut runs = vec![];
        if !self.before_reboot.is_empty() {
            runs.push(format!("what run {} did before the reboot", self.before_reboot.join(", ")));
        }
        // The last record is that of the run that was put back.
        let phases: Vec<&str> = self.records.iter().rev().skip(1).map(|record| record.id.as_str()).collect();
        if !phases.is_empty() {
            runs.push(format!("what run {} did before it", phases.join(", ")));
        }
        if !runs.is_empty() {
            let stays = format!("{} stays: 'undo' takes it back", runs.join(" and "));
            outcome.error =
                Some(outcome.error.take().map_or_else(|| stays.clone(), |error| format!("{error}; {stays}")));
        }
    }
}

/// The unit that an operation starts; a reload starts none.
fn started(op: &Op) -> Option<&UnitName> {
    match op {
        Op::Unit(
            UnitOp::Systemctl { verb: Verb::Start | Verb::Restart, unit }
            | UnitOp::Pending { verb: Verb::Restart, unit, .. },
        ) => Some(unit),
        _ => None,
    }
}

/// The step of the playbook with which a run goes on that has come to this
/// place: restarts that are due belong to the step after them.
fn goes_on_with(plan: &HostPlan, at: usize) -> String {
    let rest = plan.steps.get(at..).unwrap_or_default();
    let step = rest.iter().find(|step| !is_pending(step)).or(rest.first());
    step.map(|step| step.id.clone()).unwrap_or_default()
}

/// Whether the step that ended a phase, or one before it, is open still.
fn is_stuck(rest: &HostPlan, before: &str) -> bool {
    let open = rest.steps.iter().position(|step| step.open.is_some());
    let before = rest.steps.iter().position(|step| step.id == before);
    matches!((open, before), (Some(open), Some(before)) if open <= before)
}
