//! One plan as one program for the runner.

use super::guard::{self, Phase};
use super::{Record, RunId, RunMetadata, Scheduled};
use crate::plan::{Action, FileOp, HostPlan, Op, OpScript, PackageOp, StepPlan};
use crate::shell::{Command, NulByte, RUN_TEXT, Script};
use crate::values::AbsPath;
use std::collections::BTreeSet;

/// The shell's function `take_lock SECONDS`: one run at a time on a host.
pub const LOCK: &str = include_str!("lock.sh");

/// What the runner and the guard share to start and restart sockets.
pub(super) const SOCKETS: &str = include_str!("sockets.sh");

/// The program and its data.
#[derive(Debug)]
pub struct Program {
    /// The operations in order; their numbers in the journal begin at 1.
    pub operations: Vec<Scheduled>,
    /// The script: names and paths, no bulk data, no secrets.
    pub script: String,
    /// The payload files `0`, `1`, ….
    pub payloads: Vec<Vec<u8>>,
    /// The guarded phases.
    pub phases: Vec<Phase>,
    /// Their programs (guard/state.sh).
    pub guards: Vec<String>,
    /// The program that ends a run whose runner has died.
    pub settle: String,
    /// What the host keeps of the run.
    pub undo: Undo,
}

/// What the host keeps of a run, beside script and journal.
#[derive(Debug)]
pub struct Undo {
    /// The record.
    pub record: Record,
    /// The program that writes down what is there before the run.
    pub before: String,
    /// The program that writes down what is there after it.
    pub after: String,
    /// The programs that write down what it finds on its way.
    pub found: Vec<String>,
}

impl Program {
    /// Compiles a plan. `guard_timeout`: seconds until the host puts back what
    /// no new login has confirmed.
    ///
    /// # Errors
    /// [`NulByte`] if a value cannot be part of a shell program.
    pub fn compile(plan: &HostPlan, run: &RunId, about: &RunMetadata, guard_timeout: u16) -> Result<Program, NulByte> {
        let operations = super::schedule(plan);
        let phases = guard::phases(plan, &operations);
        let mut script = Script::new();
        script
            .set("ID", run.as_str())
            .set("UNDOES", about.undid.as_deref().unwrap_or_default())
            .set("WHO", &about.who)
            .set("SPARED", &plan.protected_packages.join(" "))
            .set("MAY_GO", &plan.named_removals().into_iter().collect::<Vec<_>>().join(" "))
            .line(LOCK)
            .line(RUN_TEXT)
            .line(SOCKETS)
            .line(include_str!("runner.sh"));
        let removed = operations.iter().filter_map(|scheduled| match &scheduled.op {
            Op::File(FileOp::Remove { path, recursive: false } | FileOp::MakeLink { path, .. }) => Some(path),
            _ => None,
        });
        let removed: Vec<&AbsPath> = removed.collect();
        if !removed.is_empty() {
            script.run(Command::new("keep_removed").args(removed));
        }
        let record = Record::new(plan, &operations, run, about, run.nonce());
        let mut text = ProgramText {
            plan,
            operations: &operations,
            phases: &phases,
            record: &record,
            guard_timeout,
            script,
            payloads: Vec::new(),
            begun: BTreeSet::new(),
        };
        for (index, scheduled) in operations.iter().enumerate() {
            text.before(index, scheduled);
            text.operation(index, scheduled)?;
            text.after(index, scheduled);
        }
        let ProgramText { mut script, payloads, .. } = text;
        script.line(if plan.left_open.is_some() { "finish phase" } else { "finish ok" });
        let guards = phases.iter().map(|phase| {
            let ops = operations[phase.operations.clone()].iter().map(|one| &one.op);
            guard::program(run, phase, guard_timeout, &plan.login, ops)
        });
        let guards = guards.collect::<Result<_, _>>()?;
        let settle = record.settle()?;
        let undo = Undo { before: record.before()?, after: record.after()?, found: record.found_programs()?, record };
        Ok(Program { operations, script: script.build()?.to_owned(), payloads, phases, guards, settle, undo })
    }
}

/// The text of a program in the making, one operation after the other.
struct ProgramText<'a> {
    plan: &'a HostPlan,
    operations: &'a [Scheduled],
    phases: &'a [Phase],
    record: &'a Record,
    /// Seconds that a guard waits for a login.
    guard_timeout: u16,
    script: Script,
    payloads: Vec<Vec<u8>>,
    /// Steps of which it is noted what they make pending.
    begun: BTreeSet<usize>,
}

impl ProgramText<'_> {
    /// What is noted, asked and guarded before an operation.
    fn before(&mut self, index: usize, scheduled: &Scheduled) {
        let number = (index + 1).to_string();
        if let Some(at) = self.record.found.iter().position(|found| found.before == index) {
            self.script.run(Command::new("found").arg((at + 1).to_string()));
        }
        if let Some(phase) = self.phases.iter().find(|phase| phase.operations.start == index) {
            let mut of_phase = self.operations[phase.operations.clone()].iter();
            let sensitive = if of_phase.any(|one| self.plan.steps[one.step].sensitive) { "sensitive" } else { "" };
            self.script.run(Command::new("guarded").arg(phase.number.to_string()).arg(&number).arg(sensitive));
        }
        if self.phases.iter().any(|phase| phase.check_before(self.operations) == Some(index)) {
            self.script.run(Command::new("checked").arg(&number));
        }
        // A transaction of several steps makes pending what each of them does.
        for step in std::iter::once(scheduled.step).chain(scheduled.also.iter().copied()) {
            let step = self.plan.steps.get(step).filter(|_| self.begun.insert(step));
            for pending in step.map(StepPlan::makes_pending).into_iter().flatten() {
                self.script.run(Command::new("note_pending").arg(pending));
            }
        }
    }

    /// The operation in a subshell of its own.
    fn operation(&mut self, index: usize, scheduled: &Scheduled) -> Result<(), NulByte> {
        let number = (index + 1).to_string();
        let steps: Vec<&StepPlan> = std::iter::once(&scheduled.step)
            .chain(&scheduled.also)
            .filter_map(|step| self.plan.steps.get(*step))
            .collect();
        // Whether there is anything to change is seen only when it is done.
        let open = !steps.is_empty() && steps.iter().all(|step| step.action == Action::Unknown);
        let op = OpScript::new(&scheduled.op, self.payloads.len())?;
        self.payloads.extend(op.payloads);
        let script = &mut self.script;
        script.run(Command::new("begin").arg(&number)).line("(").line("set -e");
        if self.phases.iter().any(|phase| phase.does(index, &scheduled.op)) {
            script.line(":");
        } else {
            match &scheduled.op {
                _ if !open => _ = script.append(&op.script),
                // New lists are no change that anything could follow.
                Op::Package(PackageOp::AptUpdate { .. }) => _ = script.append(&op.script).line("not_due"),
                Op::Package(
                    PackageOp::AptInstall { .. } | PackageOp::AptUpgrade { .. } | PackageOp::AptAutoremove { .. },
                ) => {
                    script.line("note_packages").append(&op.script).line("same_packages && not_due; :");
                }
                _ => _ = script.append(&op.script),
            }
        }
        // What a sensitive step prints is not kept.
        script.line(if self.plan.steps[scheduled.step].sensitive {
            ") >/dev/null 2>&1 </dev/null 9>&-"
        } else {
            ") >\"$P/out\" 2>&1 </dev/null 9>&-"
        });
        script.run(Command::new("ended").arg(&number).raw("\"$?\""));
        Ok(())
    }

    /// Where it was the last of its step, and of its guarded phase.
    fn after(&mut self, index: usize, scheduled: &Scheduled) {
        if !self.operations.iter().skip(index + 1).any(|later| later.step == scheduled.step) {
            self.script.line("step_over");
        }
        if let Some(phase) = self.phases.iter().find(|phase| phase.operations.end == index + 1) {
            let (number, limit) = ((index + 1).to_string(), self.guard_timeout.to_string());
            self.script.run(Command::new("confirmed").arg(phase.number.to_string()).arg(number).arg(limit));
        }
    }
}
