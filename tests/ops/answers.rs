//! What an operation answers, as the tables write it.

use super::facts;
use super::rows::{Row, difference};
use super::shell::Shell;
use super::update::Answers;
use crate::tables::{entries, host_state, list, path_state, text};
use serde_json::json;
use stockade::apply::{Program, Record, RunId, RunMetadata, States, UndoPackages, plan_undo, schedule};
use stockade::observe::{HostState, Known, Output, Part, PredictedState, Queries, Query};
use stockade::plan::{
    ACCOUNT_FILES, Access, Action, AptOptions, AptTarget, FileOp, HostPlan, Meta, Op, OpScript, PackageOp, StepPlan,
    UnitOp,
};

/// The answers of a row's operation, each under the key that the row has for it.
pub fn of(row: &Row, shell: &Shell) -> Result<Answers, String> {
    let (host, forecast) = row.forecast()?;
    let whole = forecast.plan;
    let (place, all, host) = match text(&row.node, "from").as_deref() {
        Some("undo") => {
            let (plan, now) = undone(row, &host, &[], &whole)?;
            let (place, all) = row.chosen(&plan)?;
            (place, all, now)
        }
        _ => {
            let (place, all) = row.chosen(&whole)?;
            (place, all, host)
        }
    };
    let op = &all[place].op;
    let mut before = PredictedState::of(&asked(row, &host, op));
    all[..place].iter().for_each(|one| one.op.effect(&mut before));
    let script = OpScript::new(op, 0).map_err(|error| error.to_string())?;
    let payloads: Vec<String> = script.payloads.iter().map(|data| String::from_utf8_lossy(data).into_owned()).collect();
    let earlier: Vec<Op> = all[..place].iter().map(|one| one.op.clone()).collect();
    let parts: Vec<String> = op.may_change().iter().map(|part| reach(*part)).collect();
    let touches = touches(op);
    Ok(vec![
        ("words", json!(shell.words(&script)?)),
        ("payloads", json!(payloads)),
        ("effect", json!(effect(&before, op))),
        ("undo", json!(undo(row, shell, &host, &earlier, op)?)),
        ("touches", json!(touches)),
        ("guarded", json!(op.can_cut(&Access::of(&host)))),
        ("barrier", json!(barrier(op))),
        ("reaches", json!(parts)),
        ("outlasts_undo", json!(op.outlasts_undo())),
        ("may_undo_others", json!(op.may_undo_others())),
    ])
}

/// The questions before and after a run.
fn asks(op: &Op) -> Queries {
    let mut queries = Queries::new();
    queries.extend(op.undo_scope());
    queries
}

/// The host with all answered that the operation touches.
fn asked(row: &Row, host: &HostState, op: &Op) -> HostState {
    let mut queries = host.questions().clone();
    queries.extend(asks(op).iter().cloned());
    let mut asked = host_state(&row.node, &queries);
    asked.facts = host.facts.clone();
    asked.left = host.left.clone();
    asked
}

/// The questions before and after a run, those about the files of accounts in three words.
fn touches(op: &Op) -> Vec<String> {
    let queries = asks(op);
    let is_of_accounts = |query: &&Query| matches!(query, Query::Path(path) | Query::Content(path) if ACCOUNT_FILES.contains(&path.as_str()));
    let (accounts, others): (Vec<&Query>, Vec<&Query>) = queries.iter().partition(is_of_accounts);
    let all = accounts.len() == 2 * ACCOUNT_FILES.len();
    let accounts =
        if all { vec!["the account files".to_owned()] } else { accounts.iter().map(ToString::to_string).collect() };
    accounts.into_iter().chain(others.iter().map(ToString::to_string)).collect()
}

fn effect(before: &PredictedState, op: &Op) -> Vec<String> {
    let mut after = before.clone();
    op.effect(&mut after);
    let mut lines = difference(&facts::of(before), &facts::of(&after));
    // What is looked at alone is no change.
    if after.changes() == before.changes() {
        lines.push("no change".to_owned());
    }
    if !after.changed_since_reboot() && after.changes() != before.changes() {
        lines.push("nothing has changed since the last reboot".to_owned());
    }
    lines
}

/// A plan of these operations, a step each.
fn plan_of(ops: impl IntoIterator<Item = (Op, bool)>) -> HostPlan {
    let step = |(at, (op, guard)): (usize, (Op, bool))| StepPlan {
        id: (at + 1).to_string(),
        kind: "row",
        action: Action::Update,
        ops: vec![op],
        guard,
        ..StepPlan::default()
    };
    HostPlan::new("host", ops.into_iter().enumerate().map(step).collect())
}

/// What may not be moved across it.
fn barrier(op: &Op) -> Vec<&'static str> {
    let unguarded = |ops: [Op; 3]| schedule(&plan_of(ops.map(|op| (op, false))));
    let install = |name: &str| {
        Op::Package(PackageOp::AptInstall {
            packages: vec![AptTarget::new(name.parse().unwrap())],
            remove: Vec::new(),
            may_remove: Vec::new(),
            options: AptOptions::default(),
        })
    };
    let around = unguarded([install("aa"), op.clone(), install("bb")]);
    let is_one = around.iter().any(|one| one.step == 0 && one.also.contains(&2));
    let reloads = unguarded([Op::Unit(UnitOp::DaemonReload), op.clone(), Op::Unit(UnitOp::DaemonReload)]);
    let merged = reloads.iter().filter(|one| one.op == Op::Unit(UnitOp::DaemonReload)).count() == 1;
    let write = Op::File(FileOp::WriteFile {
        path: "/etc/ssh/sshd_config".parse().unwrap(),
        content: Vec::new(),
        meta: Meta::root(0o644),
        validate: None,
    });
    let guarded = plan_of([(write.clone(), true), (op.clone(), false), (write, true)]);
    let phases = compiled(&guarded, &RunMetadata::default()).phases.len();
    let all = [("packages", is_one), ("reload", merged), ("guard", phases == 1)];
    all.into_iter().filter_map(|(what, moves)| (!moves).then_some(what)).collect()
}

fn reach(part: Part) -> String {
    match part {
        Part::AnyPath => "any path".to_owned(),
        Part::Paths(start) => format!("{start}*"),
        Part::Units => "units".to_owned(),
        Part::Packages => "packages".to_owned(),
        Part::Accounts => "accounts".to_owned(),
        Part::Fact(name) => format!("fact {name}"),
    }
}

/// A plan as a program.
pub fn compiled(plan: &HostPlan, about: &RunMetadata) -> Program {
    Program::compile(plan, &RunId::new().unwrap(), about, 60).unwrap()
}

/// The plan that takes a run back, and the host as the run has left it.
fn undone(row: &Row, host: &HostState, earlier: &[Op], plan: &HostPlan) -> Result<(HostPlan, HostState), String> {
    let record: Record = compiled(plan, &RunMetadata::default()).undo.record;
    let mut queries = host.questions().clone();
    queries.extend(record.questions().iter().cloned());
    let mut played = PredictedState::of(&host_state(&row.node, &queries));
    earlier.iter().for_each(|op| op.effect(&mut played));
    let before = HostState::clone(&played);
    plan.steps.iter().flat_map(|step| &step.ops).for_each(|op| op.effect(&mut played));
    let mut after = HostState::clone(&played);
    let left = row.node.get("left");
    for entry in entries(left, "paths") {
        path_state(&mut after, &entry.key.parse().unwrap(), &entry.node);
    }
    after.left.pending = left.map(|left| list(left, "owed").into_iter().collect()).unwrap_or_default();
    if let Some(run) = record.in_homes() {
        after.set_output(&run, Known::Is(Output { code: 0, stdout: String::new() }));
    }
    let states = States { before, after: after.clone(), now: PredictedState::of(&after) };
    let undo = plan_undo("host", &record, &states, &UndoPackages::Restore(Default::default()));
    Ok((undo.map_err(|error| error.to_string())?.plan, after))
}

/// The words that take the operation back.
fn undo(row: &Row, shell: &Shell, host: &HostState, earlier: &[Op], op: &Op) -> Result<Vec<Vec<String>>, String> {
    let (plan, _) = undone(row, host, earlier, &plan_of([(op.clone(), false)]))?;
    let mut words = Vec::new();
    for one in schedule(&plan) {
        words.extend(shell.words(&OpScript::new(&one.op, 0).map_err(|error| error.to_string())?)?);
    }
    Ok(words)
}
