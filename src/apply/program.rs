//! One plan as one program for the runner.

use super::{About, Record, RunId, Scheduled};
use crate::plan::{HostPlan, OpScript};
use crate::shell::{Command, NulByte, Script};
use std::collections::BTreeSet;

/// The program and its data.
#[derive(Debug)]
pub struct Program {
    /// The operations in order; their numbers in the journal begin at 1.
    pub operations: Vec<Scheduled>,
    /// The script: names and paths, no bulk data, no secrets.
    pub script: String,
    /// The payload files `0`, `1`, ….
    pub payloads: Vec<Vec<u8>>,
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
}

impl Program {
    /// Compiles a plan.
    ///
    /// # Errors
    /// [`NulByte`] if a value cannot be part of a shell program.
    pub fn compile(plan: &HostPlan, run: &RunId, about: &About) -> Result<Program, NulByte> {
        let operations = super::schedule(plan);
        let mut script = Script::new();
        script.set("ID", run.as_str()).set("WHO", &about.who).line(include_str!("runner.sh"));
        // A run that ends before its reboot owes it; another boot pays it.
        if operations.iter().any(|scheduled| scheduled.op.reboots()) {
            script.run(Command::new("owe").arg("reboot:changed"));
        }
        let mut payloads = Vec::new();
        let mut begun = BTreeSet::new();
        for (index, scheduled) in operations.iter().enumerate() {
            let number = (index + 1).to_string();
            let step = &plan.steps[scheduled.step];
            if begun.insert(scheduled.step) {
                let restarts = step.restart.iter().map(|unit| format!("restart:{unit}"));
                let reloads = step.reload.iter().map(|unit| format!("reload:{unit}"));
                restarts.chain(reloads).for_each(|debt| {
                    script.run(Command::new("owe").arg(debt));
                });
            }
            let op = OpScript::new(&scheduled.op, payloads.len())?;
            payloads.extend(op.payloads);
            script.run(Command::new("begin").arg(&number)).line("(").line("set -e").append(&op.script);
            // What a sensitive step prints is not kept.
            script.line(if step.sensitive {
                ") >/dev/null 2>&1 </dev/null 9>&-"
            } else {
                ") >\"$P/out\" 2>&1 </dev/null 9>&-"
            });
            script.run(Command::new("ended").arg(&number).raw("\"$?\""));
        }
        script.line("finish ok");
        let record = Record::new(plan, run, about, run.nonce());
        let undo = Undo { before: record.before()?, after: record.after()?, record };
        Ok(Program { operations, script: script.build()?.to_owned(), payloads, undo })
    }
}
