//! Starts the runner on a host and follows its journal.

use super::Program;
use super::follow::{Failing, HostConnection, Line, RunResult, Watch, follow};
use super::guarded::{self, Cause};
use crate::plan::{HostPlan, Op, StepPlan, SystemOp};
use crate::report::{Event, Reporter, StepStatus};
use crate::transport::TransportError;
use crate::values::hex;
use std::collections::BTreeSet;
use std::fmt;

/// The name of a run on its host: a time and random letters, so that names
/// sort by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId {
    name: String,
    nonce: String,
}

impl RunId {
    /// A new name.
    ///
    /// # Errors
    /// This machine gives no random numbers.
    pub fn new() -> Result<RunId, getrandom::Error> {
        let mut random = [0u8; 19];
        getrandom::fill(&mut random)?;
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        Ok(RunId { name: format!("{time}-{}", hex(&random[..3])), nonce: hex(&random[3..]) })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Text that nothing on the host can hold.
    pub(super) fn nonce(&self) -> String {
        self.nonce.clone()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a failed operation left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// Index of the step in the plan.
    pub step: usize,
    /// The step's id.
    pub id: String,
    /// The operation's exit code.
    pub code: i32,
    /// The last of what it printed.
    pub output: String,
}

/// A reboot that a run on the host ended for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reboot {
    /// Index of the step in the plan.
    pub step: usize,
    /// The boot id that the host had; another one proves that it was restarted.
    pub from: String,
    /// Seconds until it must be back.
    pub timeout: u32,
}

/// Why an apply did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The connection failed; the runner goes on without it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An operation failed; those after it were not begun.
    #[error("step {} failed with exit code {}", .0.id, .0.code)]
    Step(StepFailure),
    /// Another run holds the host.
    #[error("another run is at work on this host: {0}; wait for it, or follow it with 'apply --resume'")]
    Locked(String),
    /// An earlier run has not ended.
    #[error("run {0} has not ended on this host: 'apply --resume' goes on with it, 'undo' takes it back")]
    Unfinished(String),
    /// A change of access was not confirmed, and the host put it back.
    #[error("the change was put back: {why}")]
    Reverted {
        /// Why.
        why: String,
        /// The operation that failed, if that was it.
        failure: Option<StepFailure>,
    },
    /// A guard could not be set, or refused what it covers and had nothing to put back.
    #[error("the guard of a change of access failed: {0}")]
    Guard(String),
    /// The connection is lost for good; the host goes on alone.
    #[error("{error}; {left}")]
    OutOfReach {
        /// Why the host cannot be reached.
        error: TransportError,
        /// What becomes of the run.
        left: String,
    },
    /// The run could not be started (disk full, read-only file system).
    #[error("the run could not be started: {0}")]
    Start(String),
    /// The runner ended without a result.
    #[error("the runner on the host ended without a result; its journal is in /var/lib/stockade/runs/{0}")]
    Lost(String),
    /// The host restarts; the rest is to be planned anew.
    #[error("the host restarts")]
    Reboot(Reboot),
    /// The program could not be made.
    #[error("the program for the host could not be made: {0}")]
    Program(String),
}

/// What a run did, step by step, and how it ended.
#[derive(Debug)]
pub struct ApplyReport {
    /// One for each step of the plan.
    pub steps: Vec<StepStatus>,
    /// Whether all operations were done.
    pub result: Result<(), ApplyError>,
    /// Whether the step that failed has changed something, or may have.
    pub partly: bool,
}

/// Carries a compiled plan out and tells what happens as it happens.
pub fn execute(
    reach: &mut HostConnection<'_>,
    plan: &HostPlan,
    program: &Program,
    run: &RunId,
    reporter: &dyn Reporter,
) -> ApplyReport {
    let endings =
        plan.steps.iter().map(|step| if step.ops.is_empty() { StepStatus::Unchanged } else { StepStatus::NotReached });
    let mut progress = Progress { plan, program, reporter, steps: endings.collect(), seen: Seen::default() };
    let result = progress.carry_out(reach, run);
    let partly = matches!(result, Err(ApplyError::Step(_))) && progress.failed_midway();
    ApplyReport { steps: progress.steps, result, partly }
}

/// Everything that the host is to have of the run, as one archive.
fn archive(program: &Program) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, data)
    };
    for (number, data) in program.payloads.iter().enumerate() {
        add(&number.to_string(), data)?;
    }
    for (number, text) in program.guards.iter().enumerate() {
        add(&format!("keep/guard/{}/program", number + 1), text.as_bytes())?;
    }
    let meta = serde_json::to_vec(&program.undo.record)?;
    add("keep/script", program.script.as_bytes())?;
    add("keep/meta", &meta)?;
    add("keep/before", program.undo.before.as_bytes())?;
    add("keep/after", program.undo.after.as_bytes())?;
    for (number, text) in program.undo.found.iter().enumerate() {
        add(&format!("keep/found-{}", number + 1), text.as_bytes())?;
    }
    add("keep/settle", program.settle.as_bytes())?;
    // What is cut short lacks this.
    add("complete", b"")?;
    builder.into_inner()
}

/// A reason, and what is said of the steps that it is about.
fn joined(why: &str, steps: &str) -> String {
    if steps.is_empty() { why.to_owned() } else { format!("{why}; {steps}") }
}

/// Why nothing happens for a while.
pub(super) fn paced(hits: u64, seconds: u64) -> String {
    format!(
        "the host's firewall refuses {hits} new connections to sshd within {seconds} s: \
         waiting until it lets in the login that confirms the next change of access"
    )
}

#[derive(Default)]
struct Seen {
    failed: Option<(usize, i32, Failing)>,
    /// The guard that is set and neither confirmed nor put back.
    guard: Option<usize>,
    /// The last guard that was confirmed; 0: none.
    confirmed: usize,
    locked: Option<String>,
    unfinished: Option<String>,
    reverted: Option<(usize, String)>,
    reboot: Option<Reboot>,
    /// Steps that have changed something.
    changed: BTreeSet<usize>,
}

/// A plan's steps, as the journal tells of them.
struct Progress<'a> {
    plan: &'a HostPlan,
    program: &'a Program,
    reporter: &'a dyn Reporter,
    steps: Vec<StepStatus>,
    seen: Seen,
}

impl Progress<'_> {
    fn carry_out(&mut self, reach: &mut HostConnection<'_>, run: &RunId) -> Result<(), ApplyError> {
        let data = archive(self.program).map_err(|error| ApplyError::Program(error.to_string()))?;
        let operations = self.program.operations.len();
        self.reporter.event(&Event::Applying { host: &self.plan.name, run: run.as_str(), operations });
        let told = match follow(reach, run.as_str(), Some(&data), self) {
            Ok(told) => told,
            // The host went down before it had told the result.
            Err(error) => return Err(self.cut_off(error)),
        };
        if let Some(holder) = self.seen.locked.take() {
            return Err(ApplyError::Locked(holder));
        }
        if let Some(run) = self.seen.unfinished.take() {
            return Err(ApplyError::Unfinished(run));
        }
        if let Some((operation, code, Failing::Guard)) = self.seen.failed {
            return Err(self.refused(operation, code, &told));
        }
        let failure = self.seen.failed.and_then(|(operation, code, _)| self.fail(operation, code, &told.output));
        if told.result == "reverted" || self.seen.reverted.is_some() {
            let (guard, why) = self.seen.reverted.take().unwrap_or_default();
            self.undone(guard);
            let covered = if failure.is_some() { String::new() } else { self.covered(guard, Cause::of(&why)) };
            return Err(ApplyError::Reverted { why: joined(&why, &covered), failure });
        }
        match (told.result.as_str(), failure) {
            ("ok" | "phase", None) => Ok(()),
            ("reboot", None) => {
                Err(self.seen.reboot.take().map_or_else(|| ApplyError::Lost(run.to_string()), ApplyError::Reboot))
            }
            (_, Some(failure)) => Err(ApplyError::Step(failure)),
            _ => Err(ApplyError::Lost(run.to_string())),
        }
    }

    /// The connection is gone for good. What a guard covers is not done unless it was confirmed.
    fn cut_off(&mut self, error: ApplyError) -> ApplyError {
        if let Some(reboot) = self.seen.reboot.take() {
            return ApplyError::Reboot(reboot);
        }
        let ApplyError::Transport(error) = error else { return error };
        let left = match self.seen.guard {
            Some(guard) => {
                self.undone(guard);
                let covered = self.covered(guard, Cause::Other);
                format!(
                    "unless a new login has confirmed the change of access, the host puts it back by itself: {covered}"
                )
            }
            None => {
                let text = "the run may go on there by itself, and what it has done since is not known here";
                let guards = if self.program.phases.len() > self.seen.confirmed {
                    "; a change of access that it comes to is put back, since nobody confirms it"
                } else {
                    ""
                };
                format!("{text}{guards}")
            }
        };
        ApplyError::OutOfReach { error, left: format!("{left}; 'apply --resume' follows the run to its end") }
    }

    /// A guard has refused the changes that it covers, at one of their operations.
    fn refused(&mut self, operation: usize, code: i32, told: &RunResult) -> ApplyError {
        let index = operation.saturating_sub(1);
        let phase = self.program.phases.iter().find(|phase| phase.operations.contains(&index));
        let steps = phase.map(|phase| guarded::steps(self.plan, self.program, phase)).unwrap_or_default();
        let output = told.output.trim();
        let Some((guard, why)) = self.seen.reverted.take() else {
            return ApplyError::Guard(joined(output, &guarded::told(&steps, Cause::Refused)));
        };
        self.undone(guard);
        let [(at, step)] = steps[..] else {
            return ApplyError::Reverted { why: joined(output, &guarded::told(&steps, Cause::Refused)), failure: None };
        };
        let message = "its guard refuses what it has made";
        self.reporter.event(&Event::StepFailed { host: &self.plan.name, step, message, output });
        let failure = StepFailure { step: at, id: step.id.clone(), code, output: output.to_owned() };
        ApplyError::Reverted { why, failure: Some(failure) }
    }

    /// The steps of a guard, in words.
    fn covered(&self, guard: usize, cause: Cause) -> String {
        let phase = self.program.phases.iter().find(|phase| phase.number == guard);
        phase.map(|phase| guarded::told(&guarded::steps(self.plan, self.program, phase), cause)).unwrap_or_default()
    }

    fn fail(&mut self, operation: usize, code: i32, output: &str) -> Option<StepFailure> {
        let scheduled = self.program.operations.get(operation.checked_sub(1)?)?;
        let step = self.plan.steps.get(scheduled.step)?;
        *self.steps.get_mut(scheduled.step)? = StepStatus::Failed;
        let output = if step.sensitive { String::new() } else { output.to_owned() };
        let message = format!("exit code {code}");
        self.reporter.event(&Event::StepFailed { host: &self.plan.name, step, message: &message, output: &output });
        Some(StepFailure { step: scheduled.step, id: step.id.clone(), code, output })
    }

    /// Whether the failed step has done one of its operations before, or failed
    /// in one that can fail after it has written something.
    fn failed_midway(&self) -> bool {
        let operations = &self.program.operations;
        let Some((number, scheduled)) =
            self.seen.failed.and_then(|(number, ..)| Some((number, operations.get(number.checked_sub(1)?)?)))
        else {
            return false;
        };
        let may_have_changed = scheduled.op.may_fail_midway();
        let mut before = operations.iter().take(number.saturating_sub(1));
        let writes = |op: &Op| !op.is_without_trace();
        // One operation may be the work of several steps.
        let is_its = |step: usize| step == scheduled.step || scheduled.also.contains(&step);
        let untouched = matches!(self.seen.failed, Some((_, _, Failing::Untouched)));
        may_have_changed && !untouched || before.any(|one| is_its(one.step) && writes(&one.op))
    }

    /// What a guard has put back is not done; a command that ran under it has run.
    fn undone(&mut self, guard: usize) {
        let phase = self.program.phases.iter().find(|phase| phase.number == guard);
        let operations = phase.and_then(|phase| self.program.operations.get(phase.operations.clone()));
        for scheduled in operations.unwrap_or_default().iter().filter(|one| !one.op.outlasts_undo()) {
            if let Some(ending) = self.steps.get_mut(scheduled.step).filter(|ending| **ending == StepStatus::Done) {
                *ending = StepStatus::Undone;
            }
        }
    }

    /// Tells which steps are done with this operation; a command that was not due has not run.
    fn done(&mut self, operation: usize, ending: StepStatus) {
        let operations = &self.program.operations;
        let Some(scheduled) = operation.checked_sub(1).and_then(|index| operations.get(index)) else { return };
        for step in std::iter::once(scheduled.step).chain(scheduled.also.iter().copied()) {
            if ending == StepStatus::Done {
                self.seen.changed.insert(step);
            }
            let later = &operations[operation..];
            let goes_on = later.iter().any(|next| next.step == step || next.also.contains(&step));
            if goes_on {
                continue;
            }
            if let (Some(planned), Some(place)) = (self.plan.steps.get(step), self.steps.get_mut(step)) {
                let ending = if self.seen.changed.contains(&step) { StepStatus::Done } else { ending };
                *place = ending;
                self.reporter.event(&match ending {
                    StepStatus::NotDue => Event::StepNotDue { host: &self.plan.name, step: planned },
                    StepStatus::Later => Event::StepLater { host: &self.plan.name, step: planned },
                    _ => Event::StepDone { host: &self.plan.name, step: planned },
                });
            }
        }
    }

    fn reboot(&self, operation: usize, from: &str) -> Option<Reboot> {
        let scheduled = self.program.operations.get(operation.checked_sub(1)?)?;
        match scheduled.op {
            Op::System(SystemOp::Reboot { timeout, .. }) => {
                Some(Reboot { step: scheduled.step, from: from.to_owned(), timeout })
            }
            _ => None,
        }
    }

    fn step_of(&self, operation: usize) -> Option<&StepPlan> {
        self.plan.steps.get(self.program.operations.get(operation.checked_sub(1)?)?.step)
    }
}

impl Watch for Progress<'_> {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Begun(number) => {
                if let Some(step) = self.step_of(*number) {
                    let of = self.program.operations.len();
                    self.reporter.event(&Event::Operation { host: &self.plan.name, step, number: *number, of });
                }
            }
            Line::Ended(number) => self.done(*number, StepStatus::Done),
            Line::NotDue(number) => self.done(*number, StepStatus::NotDue),
            Line::Later(number) => self.done(*number, StepStatus::Later),
            Line::Failed(number, code, failing) => self.seen.failed = Some((*number, *code, *failing)),
            Line::Locked(holder) => self.seen.locked = Some(holder.clone()),
            Line::Unfinished(run) => self.seen.unfinished = Some(run.clone()),
            Line::Guarded(guard) => self.seen.guard = Some(*guard),
            Line::Confirmed(guard) => (self.seen.guard, self.seen.confirmed) = (None, *guard),
            Line::Reverted(guard, why) => {
                self.seen.guard = None;
                self.seen.reverted = Some((*guard, why.clone()));
            }
            Line::Reboots(number, from) => self.seen.reboot = self.reboot(*number, from),
            Line::Paced(hits, seconds) => self.notice(&paced(*hits, *seconds)),
            Line::Noted(text) => self.notice(text),
            Line::Asks(_) | Line::Over(_) => {}
        }
    }

    fn notice(&mut self, text: &str) {
        self.reporter.event(&Event::Notice { host: Some(&self.plan.name), text });
    }
}
