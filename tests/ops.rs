//! Runs the tables in `tests/ops/<family>/*.toml`: what each operation answers.
//!
//! A row names an operation as the plan makes it: steps on a host, which yield
//! it. It says what reaches the shell, what is predicted, what takes it back.
//!
//! ```toml
//! [op.WriteFile]                      # what the rows of an operation have in common; a row may say otherwise
//! barrier = ["packages"]
//!
//! [[row]]
//! why = "the rule that the row shows"             # never empty: whoever has reviewed the row writes it
//! op = "WriteFile"                                # the last of this name; nth = 1 is the first of the run
//! step.file = { path = "/opt/x", content = "a\n" } # or steps = [{ ... }, { ... }]; restart, guard beside the kind
//! host.paths."/opt/x" = { content = "b\n" }       # as in tests/resources
//! words = [["put", "0", "/opt/x", "root", "root", "0644", ""]]   # as dash sees them: function or program, arguments
//! payloads = ["a\n"]                              # files beside the script, by number
//! effect = ['content of /opt/x: "a\n"']           # what differs in the predicted state
//! undo = [["put", "0", "/opt/x", "root", "root", "0644", ""]]    # the words that take it back
//! touches = ["/opt/x", "content of /opt/x"]       # what is asked before and after the run
//! # with a default: guarded (false), outlasts_undo (false), may_undo_others (false), reaches ([])
//! # barrier: what may not be moved across it, of "packages" (one transaction), "reload" (of systemd), "guard" (a phase)
//! # left.paths: what stands there after it where the prediction does not say so
//! # from = "undo": the operation is one of those that take the run back; left.pending is what the run has left
//! sandbox = true                                  # is carried out below a directory of its own in place of /opt
//! # serves = "text": what http://served answers
//! # there also: prepare, meanwhile and since (shell text, before the plan, between plan and run, before the undo),
//! # fails = "part of what the runner says", undo_leaves = ["paths that the undo does not put back"]
//! ```
//! `UPDATE_OPS=1` writes what differs anew and empties `why`: the row then fails until somebody has reviewed it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a table that cannot be read must stop the test

#[path = "ops/answers.rs"]
mod answers;
#[path = "ops/facts.rs"]
mod facts;
#[path = "ops/rows.rs"]
mod rows;
#[path = "ops/sandbox.rs"]
mod sandbox;
#[path = "ops/shell.rs"]
mod shell;
#[path = "ops/update.rs"]
mod update;

use rows::{Row, rows};
use std::collections::{BTreeMap, BTreeSet};

/// The operations that there are; one more does not compile until it stands here.
macro_rules! operations {
    ($($family:ident $type:ident: $($name:ident)*;)*) => {
        /// Their names.
        const OPERATIONS: &[&str] = &[$($(stringify!($name)),*),*];

        /// The name of an operation.
        fn name(op: &stockade::plan::Op) -> &'static str {
            match op {
                $(stockade::plan::Op::$family(op) => match op {
                    $(stockade::plan::$type::$name { .. } => stringify!($name),)*
                },)*
            }
        }
    };
}

operations! {
    File FileOp: WriteFile MakeDirectory MakeLink Remove SetMeta SetTree Download;
    Account AccountOp: GroupAdd GroupChange GroupRemove UserAdd UserChange UserRemove
        SetPasswordHash LockPassword SetExpiry Join Leave;
    Package PackageOp: AptUpdate AptInstall AptRemove AptUpgrade AptAutoremove AptMark Debconf;
    Unit UnitOp: DaemonReload Systemctl Pending Forget;
    System SystemOp: Sysctl Module SetHostname SetTimezone Reboot;
    Command CommandOp: Run Exec Check;
}

#[test]
fn every_operation_has_rows_and_every_row_was_reviewed() {
    let rows = rows();
    let mut whys = BTreeMap::new();
    let mut failures = Vec::new();
    for row in &rows {
        let why = row.why();
        if why.trim().is_empty() {
            failures.push(format!("{}: 'why' is empty: review the row and say what it shows", row.place()));
        } else if let Some(other) = whys.insert(why.clone(), row.place()) {
            failures.push(format!("{}: the same 'why' as {other}: {why}", row.place()));
        }
    }
    let covered: BTreeSet<String> = rows.iter().map(Row::op).collect();
    failures.extend(
        OPERATIONS
            .iter()
            .filter(|name| !covered.contains(**name))
            .map(|name| format!("no row is about the operation {name}: add one to tests/ops")),
    );
    failures.extend(
        covered
            .iter()
            .filter(|name| !OPERATIONS.contains(&name.as_str()))
            .map(|name| format!("there is no operation {name}")),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_operation_answers_as_its_rows_say() {
    let shell = shell::Shell::new();
    let rows = rows();
    let mut failures = Vec::new();
    let mut updates = Vec::new();
    for row in &rows {
        let found = match answers::of(row, &shell) {
            Ok(found) => found,
            Err(why) => {
                failures.push(format!("{}: {}: {why}", row.place(), row.why()));
                continue;
            }
        };
        let differing: Vec<_> =
            found.into_iter().filter(|(key, value)| row.expected(key).as_ref() != Some(value)).collect();
        for (key, value) in &differing {
            let expected = row.expected(key).map_or("nothing".to_owned(), |value| update::toml(&value));
            failures.push(format!(
                "{}: {}: {key}\n     found {}\n  expected {expected}",
                row.place(),
                row.why(),
                update::toml(value)
            ));
        }
        if !differing.is_empty() {
            updates.push((row, differing));
        }
    }
    if std::env::var_os("UPDATE_OPS").is_some() {
        update::write(&updates);
    }
    // tests/run.sh adds these up.
    println!("table: operations {}", rows.len());
    assert!(failures.is_empty(), "{} of {} rows fail:\n\n{}", failures.len(), rows.len(), failures.join("\n\n"));
}

#[test]
#[ignore = "needs root: tests/run.sh runs it"]
fn what_the_host_does_is_what_the_rows_say_and_the_undo_leaves_the_tree_as_it_was() {
    assert!(rustix::process::getuid().is_root(), "only root can give files to others");
    let rows: Vec<Row> = rows().into_iter().filter(|row| crate::tables::flag(&row.node, "sandbox")).collect();
    let shells = || shell::SHELLS.iter().filter(|shell| std::path::Path::new(shell.program()).exists());
    let runs: Vec<(&Row, &'static shell::Sh)> =
        shells().flat_map(|shell| rows.iter().map(move |row| (row, shell))).collect();
    // Several at once: most of the time goes by while a disk is synchronized.
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some((row, shell)) = runs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            if let Err(why) = sandbox::run(row, shell) {
                failures.push(format!("{}: {} ({}): {why}", row.place(), row.why(), shell.program()));
            }
        }
        failures
    };
    let mut failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    failures.sort();
    let runs = runs.len();
    println!("table: sandbox {runs}");
    assert!(failures.is_empty(), "{} of {runs} runs fail:\n\n{}", failures.len(), failures.join("\n\n"));
}
