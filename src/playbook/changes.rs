//! `when_changed`: which steps a command follows.
//!
//! It names steps, tags, or `"previous"`. A name that no step of the playbook
//! has is an error; one whose step is left out for this host (`when`, `--tags`)
//! is none: it changes nothing.

use super::Step;
use super::model::{RawAction, RawStep, Unit};
use super::render::default_name;
use super::template::{Form, form};
use crate::values::{Diagnostic, Node, NodeValue, suggest};
use std::collections::BTreeSet;

/// The key.
pub(super) const WHEN_CHANGED: &str = "when_changed";

/// What stands for the step before.
const PREVIOUS: &str = "previous";

/// A command that follows a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follower {
    /// The one of this [`Step::identity`].
    Known(String),
    /// One whose items, or whose `when_changed`, a probe decides that is answered later:
    /// every item of this [`Step::stem`] that has this word in its `when_changed`.
    Named {
        /// The stem.
        stem: String,
        /// The word.
        word: String,
    },
}

/// Which commands follow changes, in the order of apply.
#[derive(Debug, Clone, Default)]
pub(super) struct Outline(Vec<Following>);

#[derive(Debug, Clone)]
struct Following {
    id: String,
    identity: String,
    stem: String,
    items_open: bool,
    words: Vec<Word>,
}

/// A word of `when_changed`.
#[derive(Debug, Clone)]
enum Word {
    Name(String),
    /// The step of this id, with all its parts.
    Previous(String),
    /// As it is written, with templates in it that are not rendered yet.
    Open(String),
}

impl Outline {
    /// Takes the commands out of all steps.
    pub fn of<'a>(steps: impl Iterator<Item = &'a Step>) -> Outline {
        Outline(steps.filter_map(Following::of).collect())
    }

    /// The commands that follow the changes of a step, which is rendered whole.
    pub fn followers_of(&self, step: &Step) -> Vec<Follower> {
        let mut found = Vec::new();
        for following in &self.0 {
            found.extend(
                following.follows(step).into_iter().filter(|follower| !found.contains(follower)).collect::<Vec<_>>(),
            );
        }
        found
    }
}

impl Following {
    fn of(step: &Step) -> Option<Following> {
        let word = |text: &str| match text {
            text if form(text) != Form::Plain => Word::Open(text.to_owned()),
            PREVIOUS => step_before(&step.id).map_or(Word::Name(PREVIOUS.to_owned()), Word::Previous),
            name => Word::Name(name.to_owned()),
        };
        Some(Following {
            words: words(step.table.get(WHEN_CHANGED)?).iter().filter_map(Node::as_str).map(word).collect(),
            id: step.id.clone(),
            identity: step.identity.clone(),
            stem: step.stem.clone(),
            items_open: step.items_open,
        })
    }

    fn follows(&self, step: &Step) -> Vec<Follower> {
        // Items that are not known have no number yet.
        let id = if self.items_open { without_items(&step.id) } else { step.id.clone() };
        if place(&id) >= place(&self.id) {
            return Vec::new();
        }
        let labels = || labels(step);
        let named = |word: &str| Follower::Named { stem: self.stem.clone(), word: word.to_owned() };
        let known = |word: &str| if self.items_open { named(word) } else { Follower::Known(self.identity.clone()) };
        let mut found = Vec::new();
        for word in &self.words {
            match word {
                Word::Name(name) if labels().any(|label| fits(label, name)) => found.push(known(name)),
                Word::Previous(before) if is_part(&id, before) => found.push(known(PREVIOUS)),
                Word::Name(_) | Word::Previous(_) => {}
                Word::Open(text) => {
                    let is_before = step_before(&self.id).is_some_and(|before| is_part(&id, &before));
                    let all = labels().map(String::as_str).chain(is_before.then_some(PREVIOUS));
                    found.extend(all.filter(|label| fits(text, label)).map(named));
                }
            }
        }
        found
    }
}

/// The words of a rendered step's `when_changed`, without those that are not known.
pub(super) fn named(table: &Node) -> Vec<String> {
    let words = table.get(WHEN_CHANGED).map(words).unwrap_or_default();
    words.iter().filter_map(Node::as_str).filter(|word| form(word) == Form::Plain).map(str::to_owned).collect()
}

/// By which words `when_changed` may mean a step.
fn labels(step: &Step) -> impl Iterator<Item = &String> {
    step.tags.iter().chain(&step.within).chain([&step.name])
}

fn without_items(id: &str) -> String {
    let mut parts = id.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once(']').map_or("", |(_, rest)| rest))
}

/// Where a step stands, for comparison.
fn place(id: &str) -> Vec<usize> {
    id.split(['.', '[', ']']).filter_map(|part| part.parse().ok()).collect()
}

/// Whether a step is this one or a part of it.
fn is_part(id: &str, of: &str) -> bool {
    id.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The id of the step that stands before this one in the same playbook.
fn step_before(id: &str) -> Option<String> {
    let own = id.rfind('[').filter(|_| id.ends_with(']')).map_or(id, |bracket| &id[..bracket]);
    let (above, number) = own.rsplit_once('.').map_or(("", own), |(above, number)| (above, number));
    let before = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).filter(|number| *number > 0)?;
    Some(if above.is_empty() { before.to_string() } else { format!("{above}.{before}") })
}

/// What is wrong with the words of each `when_changed`.
pub(super) fn check(unit: &Unit, steps: &[&Step]) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let mut written: Option<BTreeSet<String>> = None;
    for (at, step) in steps.iter().enumerate() {
        let Some(node) = step.table.get(WHEN_CHANGED) else { continue };
        for node in words(node) {
            let Some(name) = node.as_str().filter(|name| form(name) == Form::Plain) else { continue };
            let found = match name {
                PREVIOUS if step_before(&step.id).is_some() => Ok(()),
                PREVIOUS => Err((format!("there is no step before this one that '{PREVIOUS}' could mean"), None)),
                name => by_name(steps, at, name, written.get_or_insert_with(|| all_names(unit))),
            };
            if let Err((message, help)) = found {
                let error = Diagnostic::new(node.span.clone(), message);
                errors.push(help.map_or(error.clone(), |help: String| error.with_help(help)));
            }
        }
    }
    errors
}

type Found = Result<(), (String, Option<String>)>;

fn words(node: &Node) -> &[Node] {
    match &node.value {
        NodeValue::Array(items) => items,
        _ => std::slice::from_ref(node),
    }
}

fn by_name(steps: &[&Step], at: usize, name: &str, written: &BTreeSet<String>) -> Found {
    let is_meant = |step: &&&Step| labels(step).any(|label| label == name);
    let (before, from) = steps.split_at(at);
    if before.iter().any(|step| is_meant(&step)) {
        return Ok(());
    }
    if let Some(later) = from.iter().skip(1).find(is_meant) {
        let help = "a command follows what comes before it: put it after that step".to_owned();
        return Err((format!("'{name}' is step {}, which comes after this one", later.id), Some(help)));
    }
    if from.first().is_some_and(|step| is_meant(&step)) {
        return Err((format!("'{name}' is this step itself"), None));
    }
    if written.iter().any(|written| fits(written, name)) {
        return Ok(());
    }
    let mut known: BTreeSet<&str> = steps.iter().flat_map(|step| labels(step)).map(String::as_str).collect();
    known.extend(written.iter().map(String::as_str));
    known.insert(PREVIOUS);
    let help = match suggest(name, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("give a step's name or tag, or '{PREVIOUS}'"),
    };
    Err((format!("no step has the name or the tag '{name}'"), Some(help)))
}

/// Whether a name as it is written, perhaps with templates in it, can become this one.
fn fits(written: &str, name: &str) -> bool {
    let begin = ["{{", "{%"].iter().filter_map(|open| written.find(open)).min();
    let end = ["}}", "%}"].iter().filter_map(|close| written.rfind(close)).max();
    let (Some(begin), Some(end)) = (begin, end) else { return written == name };
    let (head, tail) = (&written[..begin], written.get(end + 2..).unwrap_or_default());
    name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
}

/// Every name and tag that a step has as it is written.
fn all_names(unit: &Unit) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut add = |step: &RawStep| {
        all.extend(step.tags.iter().cloned());
        match (&step.name, &step.action) {
            (Some(name), _) => all.extend(name.as_str().map(str::to_owned)),
            (None, RawAction::Resource { kind, table, .. }) => _ = all.insert(default_name(kind, table)),
            (None, RawAction::Use { .. }) => {}
        }
    };
    unit.walk(&mut |unit| unit.steps.iter().for_each(&mut add));
    all
}
