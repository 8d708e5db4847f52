//! The rows of the tables, and the operation that each is about.

use crate::tables::{flag, host_state, list, number, project, text};
use serde_json::Value;
use std::collections::BTreeMap;
use stockade::apply::{Scheduled, schedule};
use stockade::observe::HostState;
use stockade::plan::{DesiredStep, Forecast, HostPlan, PendingNames, plan_host, queries};
use stockade::resource;
use stockade::values::{Node, NodeValue, Source, parse_document};

/// One row.
pub struct Row {
    /// The row's table.
    pub node: Node,
    /// What the rows of its operation have in common.
    common: Option<Node>,
}

/// The answer of a row that gives none.
fn default_of(key: &str) -> Option<Value> {
    match key {
        "payloads" | "barrier" | "reaches" => Some(Value::Array(Vec::new())),
        "guarded" | "outlasts_undo" | "may_undo_others" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// The rows of all tables.
pub fn rows() -> Vec<Row> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ops");
    let mut files: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|family| std::fs::read_dir(family).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
        let (tree, errors) = parse_document(&Source::new(name, std::fs::read_to_string(&file).unwrap()));
        assert!(errors.is_empty(), "{}", errors[0]);
        for node in tree.get("row").and_then(Node::as_array).unwrap_or_default() {
            let op = text(node, "op").unwrap_or_else(|| panic!("{}: a row names its 'op'", node.span));
            let common = tree.get("op").and_then(|all| all.get(&op)).cloned();
            rows.push(Row { node: node.clone(), common });
        }
    }
    assert!(!rows.is_empty(), "there are no rows");
    rows
}

/// A step of a row, as a playbook gives it.
fn wanted(row: &Node, step: &Node, id: usize) -> Result<DesiredStep, String> {
    let beside = ["restart", "reload", "guard", "sensitive"];
    let mut kinds = step.as_table().unwrap().iter().filter(|entry| !beside.contains(&entry.key.as_str()));
    let entry = kinds.next().unwrap_or_else(|| panic!("{}: a step has a kind", step.span));
    let kind = resource::kind(&entry.key).unwrap_or_else(|| panic!("{}: no kind '{}'", entry.key_span, entry.key));
    let mut resource = resource::build(kind, &entry.node, &project(row))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let followed = list(&entry.node, "when_changed");
    let pending = entry.node.get("when_changed").map(|_| PendingNames::new("command", "stem", &followed));
    if let Some(names) = &pending {
        resource.identify(names);
    }
    let units = |key: &str| list(step, key).iter().map(|unit| unit.parse().unwrap()).collect();
    Ok(DesiredStep {
        id: id.to_string(),
        name: entry.key.clone(),
        kind: kind.name,
        resource,
        restart: units("restart"),
        reload: units("reload"),
        followed_by: Vec::new(),
        pending,
        sensitive: flag(step, "sensitive"),
        guard: flag(step, "guard"),
        span: None,
        about: Default::default(),
    })
}

impl Row {
    /// The same row below another directory than /opt, with another server than http://served.
    pub fn moved(&self, root: &str, server: &str) -> Row {
        Row { node: moved(&self.node, root, server), common: self.common.clone() }
    }

    /// Where it stands.
    pub fn place(&self) -> String {
        self.node.span.to_string()
    }

    /// What it shows.
    pub fn why(&self) -> String {
        text(&self.node, "why").unwrap_or_default()
    }

    /// The name of its operation.
    pub fn op(&self) -> String {
        text(&self.node, "op").unwrap_or_default()
    }

    /// The answer that it expects.
    pub fn expected(&self, key: &str) -> Option<Value> {
        let said = self.node.get(key).or_else(|| self.common.as_ref()?.get(key));
        said.map(Node::to_json).or_else(|| default_of(key))
    }

    /// Its steps.
    pub fn steps(&self) -> Result<Vec<DesiredStep>, String> {
        let one = self.node.get("step").map(std::slice::from_ref);
        let steps = self.node.get("steps").and_then(Node::as_array).or(one).unwrap_or_default();
        steps.iter().enumerate().map(|(at, step)| wanted(&self.node, step, at + 1)).collect()
    }

    /// Its host, and the plan of its steps, when no question is open any more.
    pub fn forecast(&self) -> Result<(HostState, Forecast), String> {
        let steps = self.steps()?;
        let mut asked = queries(&steps);
        for _ in 0..8 {
            let host = host_state(&self.node, &asked);
            let forecast = plan_host("host", &steps, &host).map_err(said)?;
            if forecast.follow_up_queries.iter().all(|query| asked.contains(query)) {
                return Ok((host, forecast));
            }
            asked.extend(forecast.follow_up_queries.iter().cloned());
        }
        Err("planning never stops asking".to_owned())
    }

    /// The operation among those of a plan, and its place in them.
    pub fn chosen(&self, plan: &HostPlan) -> Result<(usize, Vec<Scheduled>), String> {
        let all = schedule(plan);
        let op = self.op();
        let mut places = all.iter().enumerate().filter(|(_, one)| super::name(&one.op) == op).map(|(at, _)| at);
        let place = match number(&self.node, "nth") {
            Some(nth) => places.nth(usize::try_from(nth).unwrap().checked_sub(1).unwrap()),
            None => places.next_back(),
        };
        let names: Vec<&str> = all.iter().map(|one| super::name(&one.op)).collect();
        Ok((place.ok_or_else(|| format!("the plan has no {op}, but {names:?}"))?, all))
    }
}

/// The errors of a plan.
pub fn said(errors: Vec<stockade::plan::StepError>) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A tree in which every path below /opt is one below another directory.
fn moved(node: &Node, root: &str, server: &str) -> Node {
    let place = |text: &str| text.replace("/opt", root).replace("http://served", server);
    let value = match &node.value {
        NodeValue::String(text) => NodeValue::String(place(text)),
        NodeValue::Array(items) => NodeValue::Array(items.iter().map(|item| moved(item, root, server)).collect()),
        NodeValue::Table(entries) => {
            let mut entries = entries.clone();
            for entry in &mut entries {
                (entry.key, entry.node) = (place(&entry.key), moved(&entry.node, root, server));
            }
            NodeValue::Table(entries)
        }
        other => other.clone(),
    };
    Node { span: node.span.clone(), value }
}

/// What differs between two descriptions, as lines `what: how it is by then`.
pub fn difference(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let line = |name: &String| match (before.get(name), after.get(name)) {
        (left, right) if left == right => None,
        (_, Some(now)) => Some(format!("{name}: {now}")),
        (_, None) => Some(format!("{name}: absent")),
    };
    names.into_iter().filter_map(line).collect()
}
