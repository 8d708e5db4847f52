//! Answers to the questions of packages, as debconf-set-selections(1) takes them.

use crate::observe::{HostState, Known, Run};
use crate::plan::{AptTarget, Op, PackageOp, Planned};
use crate::resource::Args;
use crate::values::{Node, NodeValue, PackageName, Secret};
use std::collections::BTreeMap;

/// The types of questions (debconf-devel(7)) that can have an answer.
const TYPES: [&str; 6] = ["string", "boolean", "select", "multiselect", "password", "note"];

/// The answers of a step, a line each.
pub(super) fn answers(args: &mut Args<'_>, names: &[PackageName]) -> Option<Secret> {
    let node = args.node("debconf")?;
    let Some(entries) = node.as_table() else {
        args.wrong_value("debconf", format!("'debconf' must be a table of questions, not {}", node.type_name()));
        return None;
    };
    let owner = names.first()?;
    let mut text = String::new();
    for entry in entries {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/_.+-".contains(&b);
        if !entry.key.contains('/') || !entry.key.bytes().all(legal) {
            args.wrong_value(
                "debconf",
                format!("'{}' is not a question such as \"package/question\"", entry.key.escape_debug()),
            );
            continue;
        }
        match answer(&entry.node) {
            Some((kind, value)) if TYPES.contains(&kind.as_str()) && !value.contains(['\n', '\r', '\0']) => {
                text.push_str(&format!("{} {} {kind} {value}\n", owner.bare(), entry.key));
            }
            Some((kind, _)) if !TYPES.contains(&kind.as_str()) => {
                args.wrong_value("debconf", format!("'{}' is not a type of question: {}", kind.escape_debug(), TYPES.join(", ")));
            }
            _ => args.wrong_value(
                "debconf",
                format!("the answer to '{}' must be one line: a string, a boolean, a number, an array of strings, or a table {{ type, value }}", entry.key),
            ),
        }
    }
    Some(Secret::new(text))
}

/// Prints the questions among the arguments that have an answer, or none, in
/// debconf's database of what is no password: `question`, or `question<TAB>answer`.
const ASK: &str = include_str!("debconf.sh");

/// Question, type and answer of each line.
fn lines(answers: &Secret) -> impl Iterator<Item = (&str, &str, &str)> {
    answers.expose().lines().filter_map(|line| {
        let mut words = line.splitn(4, ' ').skip(1);
        Some((words.next()?, words.next()?, words.next().unwrap_or_default()))
    })
}

/// How the host is asked for the answers that debconf has.
pub(super) fn query(answers: &Secret) -> Option<Run> {
    let questions: Vec<&str> =
        lines(answers).filter(|(_, kind, _)| *kind != "password").map(|(question, _, _)| question).collect();
    (!questions.is_empty()).then(|| Run::new(["sh", "-c", ASK, "sh"].into_iter().chain(questions)))
}

/// Plans the answers for the packages that a step installs or brings to another
/// version. dpkg configures no other: what the host answers otherwise there is noted.
pub(super) fn plan(
    answers: &Secret,
    names: &[PackageName],
    targets: &[AptTarget],
    host: &HostState,
    planned: &mut Planned,
) {
    // A question is that of the package which it names, else that of the first.
    let package = |question: &str| {
        let of = |name: &&PackageName| question.split('/').next() == Some(name.bare());
        names.iter().find(of).or(names.first())
    };
    let is_configured = |question: &str| {
        package(question).is_some_and(|name| {
            targets.iter().any(|target| target.name == *name || target.stands_for.as_ref() == Some(name))
        })
    };
    let (mut text, mut questions) = (String::new(), Vec::new());
    for line in answers.expose().lines() {
        let Some(question) = line.split(' ').nth(1).filter(|question| is_configured(question)) else { continue };
        text.push_str(line);
        text.push('\n');
        questions.push(question);
    }
    if !questions.is_empty() {
        // The answers may be secret, the questions are not.
        planned.change("debconf", None::<&str>, Some(questions.join(", ")));
        planned.ops.push(Op::Package(PackageOp::Debconf { answers: Secret::new(text) }));
    }
    let other = differing(answers, host);
    let mut left: BTreeMap<&PackageName, Vec<&str>> = BTreeMap::new();
    for question in other.iter().filter(|question| !is_configured(question)) {
        if let Some(name) = package(question) {
            left.entry(name).or_default().push(question);
        }
    }
    planned.notes.extend(left.iter().map(|(name, questions)| {
        format!(
            "debconf on the host has another answer to {}, and keeps it: an answer counts when its package is installed \
             or brought to another version, and {name} is there already. To change it, run 'dpkg-reconfigure {name}' \
             there and give the answer of this step",
            questions.join(", ")
        )
    }));
}

/// The questions to which debconf on the host has another answer. What a package
/// has cleared, as some do with passwords, is none.
fn differing(answers: &Secret, host: &HostState) -> Vec<String> {
    let Some(Ok(Known::Is(output))) = query(answers).map(|run| host.output(&run).cloned()) else {
        return Vec::new();
    };
    if output.code != 0 {
        return Vec::new();
    }
    let has = |question: &str| {
        output.stdout.lines().find_map(|line| {
            let (name, value) = line.split_once('\t').map_or((line, None), |(name, value)| (name, Some(value)));
            (name == question).then_some(value)
        })
    };
    let differs = |(question, kind, value): &(&str, &str, &str)| {
        *kind != "password" && has(question).is_none_or(|found| found.is_some_and(|found| found != *value))
    };
    lines(answers).filter(differs).map(|(question, _, _)| question.to_owned()).collect()
}

/// The type of a question and its answer.
fn answer(node: &Node) -> Option<(String, String)> {
    let plain = |node: &Node| match &node.value {
        NodeValue::String(text) => Some(("string", text.clone())),
        NodeValue::Integer(number) => Some(("string", number.to_string())),
        NodeValue::Bool(flag) => Some(("boolean", flag.to_string())),
        NodeValue::Array(items) => {
            let words: Option<Vec<&str>> = items.iter().map(Node::as_str).collect();
            Some(("multiselect", words?.join(", ")))
        }
        _ => None,
    };
    if let Some(entries) = node.as_table() {
        let known = entries.iter().all(|entry| ["type", "value"].contains(&entry.key.as_str()));
        let kind = node.get("type")?.as_str()?.to_owned();
        let (_, value) = plain(node.get("value")?)?;
        return known.then_some((kind, value));
    }
    plain(node).map(|(kind, value)| (kind.to_owned(), value))
}
