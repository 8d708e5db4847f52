//! Runs the tables in `tests/resources/<kind>/*.toml`.
//!
//! A case gives a step's table and a host, and says what the plan must be.
//! Every plan is then played on the state and planned again: the second plan
//! must be empty. What a case does not say of the host is absent there.
//!
//! ```toml
//! [[case]]
//! name = "a wrong mode is repaired, the content left alone"
//! step = { path = "/etc/x", content = "a\n" }
//! host.paths."/etc/x" = { type = "file", mode = "0600", owner = "root", group = "root", content = "a\n" }
//! expect.action = "update"
//! expect.changes = [["mode", "0600", "0644"]]      # all of them; "" stands for none
//! expect.ops = ["SetMeta"]                         # names of operations, in order
//! # or: expect.invalid = "part of the error"       # the table itself is wrong
//! # or: expect.refused = "part of the reason"      # planning refuses
//! # also: expect.overridden = "part of what keeps it from being in force"; without it the step is in force
//! # also: expect.dormant = "part of what is in its file and not in effect", "" for nothing of that
//! # also: expect.diff = "part", expect.note = "part", expect.settles = false (a command that runs each time)
//! ```
//! Host keys: see `tests/tables/mod.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a table that cannot be read must stop the test

use crate::tables::*;
use stockade::observe::*;
use stockade::plan::{Action, CommandOp, Op, PlanError, Planned};
use stockade::resource::{self, Resource};
use stockade::values::*;

/// Plans until no further question is open, as the engine does.
fn plan(resource: &dyn Resource, case: &Node) -> (PredictedState, Result<Planned, PlanError>) {
    let mut queries = Queries::new();
    resource.queries(&mut queries);
    for _ in 0..4 {
        let host = predicted_state(case, &queries);
        let planned = resource.plan(&host);
        match &planned {
            Ok(plan) if plan.follow_up_queries.iter().any(|query| !queries.contains(query)) => {
                queries.extend(plan.follow_up_queries.clone())
            }
            _ => return (host, planned),
        }
    }
    panic!("the resource never stops asking");
}

fn queries_of(resource: &dyn Resource, host: &HostState) -> Queries {
    let mut queries = Queries::new();
    resource.queries(&mut queries);
    queries.extend(host.questions().iter().cloned());
    queries
}

/// What overrides the step once its plan is played, and what of it is not in effect, with all
/// questions answered that this raises.
fn in_force(
    resource: &dyn Resource,
    case: &Node,
    asked: &Queries,
    planned: &Planned,
) -> Result<(Vec<String>, Vec<String>), String> {
    let mut queries = asked.clone();
    for _ in 0..4 {
        let mut host = predicted_state(case, &queries);
        planned.ops.iter().for_each(|op| op.effect(&mut host));
        let found = resource.in_force(&host).map_err(|error| error.to_string())?;
        if found.follow_up_queries.iter().all(|query| queries.contains(query)) {
            return Ok((
                found.overridden.iter().map(ToString::to_string).collect(),
                found.dormant.into_iter().map(|found| found.text).collect(),
            ));
        }
        queries.extend(found.follow_up_queries);
    }
    Err("whether it is in force raises questions for ever".to_owned())
}

fn run_case(kind: &str, case: &Node) -> Result<(), String> {
    let expect = case.get("expect").ok_or("the case expects nothing")?;
    let kind = resource::kind(kind).ok_or(format!("no kind '{kind}'"))?;
    let step = case.get("step").ok_or("the case has no step")?;
    let project = project(case);
    let resource = match (resource::build(kind, step, &project), text(expect, "invalid")) {
        (Ok(resource), None) => resource,
        (Ok(_), Some(part)) => return Err(format!("expected the error '{part}', but the step is accepted")),
        (Err(errors), Some(part)) => {
            let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let found = shown.iter().any(|e| e.contains(&part));
            return if found { Ok(()) } else { Err(format!("expected '{part}', got {}", shown.join("\n"))) };
        }
        (Err(errors), None) => {
            return Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
    };
    let (mut host, planned) = plan(resource.as_ref(), case);
    let planned = match (planned, text(expect, "refused")) {
        (Ok(planned), None) => planned,
        (Ok(_), Some(part)) => return Err(format!("expected a refusal with '{part}', but it plans")),
        (Err(error), Some(part)) if error.to_string().contains(&part) => return Ok(()),
        (Err(error), _) => return Err(format!("planning fails: {error}")),
    };
    let action = format!("{:?}", planned.action()).to_lowercase();
    let wanted = text(expect, "action").ok_or("the case expects no action")?;
    if action != wanted {
        return Err(format!("action {action}, expected {wanted}: {planned:#?}"));
    }
    if let Some(changes) = expect.get("changes").and_then(Node::as_array) {
        let wanted: Vec<Vec<String>> = changes
            .iter()
            .map(|c| c.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect())
            .collect();
        let side = |s: &Option<String>| s.clone().unwrap_or_default();
        let found: Vec<Vec<String>> =
            planned.changes.iter().map(|c| vec![c.field.clone(), side(&c.before), side(&c.after)]).collect();
        if wanted != found {
            return Err(format!("changes {found:?}, expected {wanted:?}"));
        }
    }
    if expect.get("ops").is_some() {
        // `Family(Name { … })`.
        let name = |debug: String| debug.split([' ', '(', ')', '{']).nth(1).unwrap_or_default().to_owned();
        let found: Vec<String> = planned.ops.iter().map(|op| name(format!("{op:?}"))).collect();
        if found != list(expect, "ops") {
            return Err(format!("operations {found:?}, expected {:?}", list(expect, "ops")));
        }
    }
    for (key, found) in [("diff", planned.diff.clone().unwrap_or_default()), ("note", planned.notes.join("\n"))] {
        if let Some(part) = text(expect, key).filter(|part| !found.contains(part)) {
            return Err(format!("{key} {found:?} lacks {part:?}"));
        }
    }
    assert_eq!(planned.action() == Action::None, planned.ops.is_empty() && planned.open.is_none());
    if planned.open.is_some() {
        return Ok(());
    }
    if matches!(expect.get("settles").map(|n| &n.value), Some(NodeValue::Bool(false))) {
        return Ok(());
    }
    planned.ops.iter().for_each(|op| op.effect(&mut host));
    let (overridden, dormant) = in_force(resource.as_ref(), case, &queries_of(resource.as_ref(), &host), &planned)?;
    match text(expect, "overridden") {
        Some(part) if overridden.iter().any(|by| by.contains(&part)) => {}
        Some(part) => return Err(format!("expected to be overridden by {part:?}, found {overridden:?}")),
        None if overridden.is_empty() => {}
        None => return Err(format!("it is not expected to be overridden: {overridden:?}")),
    }
    match text(expect, "dormant") {
        Some(part) if part.is_empty() != dormant.iter().any(|text| text.contains(&part)) => {}
        Some(part) => return Err(format!("what is not in effect: {dormant:?}, expected {part:?}")),
        None => {}
    }
    // Whether an operator's command has done what its guard asks for is known in the next run.
    if planned.ops.iter().any(|op| matches!(op, Op::Command(CommandOp::Run { .. }))) {
        host.reset();
    }
    match resource.plan(&host) {
        Ok(again) if again.ops.is_empty() && again.changes.is_empty() => Ok(()),
        Ok(again) => Err(format!("after the plan is played, planning again still finds {again:#?}")),
        Err(error) => Err(format!("after the plan is played, planning fails: {error}")),
    }
}

#[test]
fn every_table_of_every_kind_holds() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resources");
    let only = std::env::var("KIND").ok();
    let (mut cases, mut failures) = (0, Vec::new());
    for kind in resource::KINDS.iter().filter(|kind| only.as_deref().is_none_or(|only| only == kind.name)) {
        let Ok(folder) = std::fs::read_dir(root.join(kind.name)) else {
            failures.push(format!("kind '{}' has no tables in tests/resources/{}", kind.name, kind.name));
            continue;
        };
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let before = cases;
        for file in files {
            let source = Source::new(
                file.strip_prefix(&root).unwrap().display().to_string(),
                std::fs::read_to_string(&file).unwrap(),
            );
            let (tree, errors) = parse_document(&source);
            assert!(errors.is_empty(), "{}", errors[0]);
            for case in tree.get("case").and_then(Node::as_array).unwrap_or_default() {
                cases += 1;
                if let Err(why) = run_case(kind.name, case) {
                    failures.push(format!("{}: {}: {why}", case.span, text(case, "name").unwrap_or_default()));
                }
            }
        }
        // tests/run.sh adds these up.
        println!("table: {} {}", kind.name, cases - before);
    }
    assert!(cases > 0, "no case was run");
    assert!(failures.is_empty(), "{} of {cases} cases fail:\n\n{}", failures.len(), failures.join("\n\n"));
}
