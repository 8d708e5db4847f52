//! From a rendered step to what is wanted of a host.

use super::selection::StepAssets;
use crate::plan::{DesiredStep, PendingNames, StepAbout};
use crate::playbook::{Follower, Step};
use crate::resource;
use crate::stage::Stage;
use crate::values::{Diagnostic, Node, NodeValue, Secret};
use std::sync::Arc;

/// The names under which commands that follow a change are pending.
pub(super) fn pending_names(followers: &[Follower]) -> Vec<String> {
    let name = |follower: &Follower| match follower {
        Follower::Known(identity) => PendingNames::own(identity),
        Follower::Named { stem, word } => PendingNames::provisional(stem, word),
    };
    followers.iter().map(name).collect()
}

/// The resource of a rendered step.
///
/// # Errors
/// All that is wrong with its table.
pub fn wanted(step: Step, stage: Option<&Stage>) -> Result<DesiredStep, Vec<Diagnostic>> {
    let Some(kind) = resource::kind(&step.kind) else {
        return Err(vec![Diagnostic::new(step.kind_span.clone(), format!("unknown kind '{}'", step.kind))]);
    };
    let assets = StepAssets { files: &step.files, stage };
    let mut resource = resource::build(kind, &step.table, &assets)?;
    let described = if step.sensitive { step.name.clone() } else { described(kind.name, &step.table) };
    let about = Arc::new(StepAbout { control: step.control, described });
    let has_followed = step.table.get("when_changed").is_some();
    let pending = has_followed.then(|| PendingNames::new(&step.identity, &step.stem, &step.follows));
    if let Some(names) = &pending {
        resource.identify(names);
    }
    Ok(DesiredStep {
        id: step.id,
        name: step.name,
        kind: kind.name,
        resource,
        restart: step.restart,
        reload: step.reload,
        followed_by: pending_names(&step.followed_by),
        pending,
        sensitive: step.sensitive,
        guard: step.guard,
        span: Some(step.span),
        about,
    })
}

/// What is certain to be wrong with a step of which not all is known yet.
pub fn known_of(kind: &'static resource::Kind, step: &Step, stage: Option<&Stage>) -> Vec<Diagnostic> {
    resource::check_known(kind, &step.table, &StepAssets { files: &step.files, stage })
}

/// The longest text that stands in the description of a step, in characters.
const SHOWN: usize = 80;

/// A step's table in a line, for people: `sysctl: key = kernel.sysrq, value = 0`.
fn described(kind: &str, table: &Node) -> String {
    let fields: Vec<String> = table
        .as_table()
        .unwrap_or_default()
        .iter()
        .map(|entry| {
            let is_secret = ["password", "secret", "token"].iter().any(|word| entry.key.contains(word));
            format!("{} = {}", entry.key, if is_secret { Secret::MASK.to_owned() } else { value(&entry.node) })
        })
        .collect();
    if fields.is_empty() { kind.to_owned() } else { format!("{kind}: {}", fields.join(", ")) }
}

fn value(node: &Node) -> String {
    let text = match &node.value {
        NodeValue::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        NodeValue::Array(items) => items.iter().map(value).collect::<Vec<_>>().join(" "),
        _ => node.to_json().to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
