//! Plans and results as text for a tired operator: what differs, and nothing else.

use super::outcome::{HostOutcome, HostStatus};
use super::paint::Paint;
use super::visible::{last_lines, one_line, visible};
use crate::plan::{Action, FieldChange, HostPlan, StepPlan, Summary};

/// How texts are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextOptions {
    /// Whether steps that find nothing to do and have nothing to say are shown too.
    pub verbose: bool,
    /// Whether colours may be used.
    pub color: bool,
}

/// Lines of a failed step's output that a summary shows.
pub(super) const OUTPUT_LINES: usize = 12;

/// The plans, hosts with equal ones together, and the counts at the end.
pub fn plan_text(plans: &[HostPlan], options: TextOptions) -> String {
    let groups = group(plans);
    let mut text = String::new();
    for (hosts, plan) in &groups {
        let notes = notes(plan.steps.iter());
        let own = |step: &StepPlan| notes.iter().filter(|note| note.first == step.id).collect::<Vec<_>>();
        let shown: Vec<&StepPlan> =
            plan.steps.iter().filter(|step| options.verbose || is_told(step) || !own(step).is_empty()).collect();
        if shown.is_empty() {
            continue;
        }
        text.push_str(&Paint::Bold.over(hosts, options.color));
        text.push('\n');
        for step in shown {
            step_text(&mut text, step, &own(step), options.color);
        }
        text.push('\n');
    }
    for (hosts, plan) in &groups {
        text.push_str(&format!("{hosts}: {}\n", summary(plan)));
    }
    text
}

/// Hosts whose plans are the same, under one head, in order of first appearance.
pub(super) fn group(plans: &[HostPlan]) -> Vec<(String, &HostPlan)> {
    let mut groups: Vec<(Vec<&str>, &HostPlan)> = Vec::new();
    for plan in plans {
        match groups.iter_mut().find(|(_, other)| same(other, plan)) {
            Some((names, _)) => names.push(&plan.name),
            None => groups.push((vec![&plan.name], plan)),
        }
    }
    groups.into_iter().map(|(names, plan)| (host_list(&names), plan)).collect()
}

fn same(one: &HostPlan, other: &HostPlan) -> bool {
    let equal = |(a, b): (&StepPlan, &StepPlan)| {
        (&a.id, &a.name, a.kind, a.action) == (&b.id, &b.name, b.kind, b.action)
            && (&a.changes, &a.diff, &a.notes, &a.overridden) == (&b.changes, &b.diff, &b.notes, &b.overridden)
            && (&a.restart, &a.reload) == (&b.restart, &b.reload)
    };
    one.steps.len() == other.steps.len() && one.steps.iter().zip(&other.steps).all(equal)
}

fn host_list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| one_line(name)).collect();
    match names.len() {
        0 | 1 => names.concat(),
        count @ 2..=4 => format!("{} ({count} hosts)", names.join(", ")),
        count => format!("{}, … ({count} hosts)", names[..3].join(", ")),
    }
}

/// The counts of a plan in words.
pub fn counts(summary: &Summary) -> String {
    let Summary { none, create, update, delete, run, unknown } = *summary;
    if summary.differing() == 0 {
        return format!("nothing differs ({none} step{})", if none == 1 { "" } else { "s" });
    }
    let unknown = if unknown == 0 { String::new() } else { format!(", {unknown} known after apply") };
    format!("{create} to create, {update} to update, {delete} to delete, {run} to run{unknown}; {none} unchanged")
}

/// The counts of a plan, and how many steps are not in force.
pub fn summary(plan: &HostPlan) -> String {
    let counts = counts(&plan.summary);
    match plan.overridden().count() {
        0 => counts,
        1 => format!("{counts}; 1 step is overridden"),
        count => format!("{counts}; {count} steps are overridden"),
    }
}

/// Whether a plan tells of a step: it differs, or something overrides it.
pub(super) fn is_told(step: &StepPlan) -> bool {
    step.action != Action::None || !step.overridden.is_empty()
}

/// The sign, the word and the colour of an action.
pub fn action_words(action: Action) -> (&'static str, &'static str, Paint) {
    match action {
        Action::None => ("=", "same", Paint::Dim),
        Action::Create => ("+", "create", Paint::Green),
        Action::Update => ("~", "update", Paint::Yellow),
        Action::Delete => ("-", "delete", Paint::Red),
        Action::Run => ("!", "run", Paint::Cyan),
        Action::Unknown => ("?", "unknown", Paint::Magenta),
    }
}

/// What a step is: its kind with its main field, or with the operator's name
/// for it, its number, and whether a new login must confirm it.
pub fn title(step: &StepPlan) -> String {
    let title = numbered(step);
    if step.guard && !step.ops.is_empty() { format!("{title}  guarded") } else { title }
}

/// As [`title`], without the remark on the guard.
pub fn numbered(step: &StepPlan) -> String {
    let subject = subject(step);
    // A restart that is due has no number: it belongs to all that ask for it.
    if is_due(step) { subject } else { format!("{subject}  (step {})", step.id) }
}

/// As [`title`], without the number.
pub fn subject(step: &StepPlan) -> String {
    let name = one_line(&step.name);
    match name.strip_prefix(step.kind) {
        _ if is_due(step) => name,
        // A name made from the kind says the kind already.
        Some(rest) if rest.is_empty() || rest.starts_with([' ', ':']) => name,
        _ => format!("{} \"{name}\"", step.kind),
    }
}

/// Whether this is no step of the playbook but a restart or reload that is due.
pub(super) fn is_due(step: &StepPlan) -> bool {
    // One that is due several times, before and after a 'flush' say, has a number behind '#'.
    let id = step.id.split_once('#').map_or(step.id.as_str(), |(id, _)| id);
    id == step.name.replacen(' ', ":", 1)
}

/// A note of a plan, at the first step that has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note<'p> {
    /// The id of that step.
    pub first: &'p str,
    /// What it says, with the other steps that say the same.
    pub text: String,
}

/// The notes of steps, each once.
pub(super) fn notes<'p>(steps: impl Iterator<Item = &'p StepPlan>) -> Vec<Note<'p>> {
    let mut found: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for step in steps {
        for note in &step.notes {
            match found.iter_mut().find(|(_, text, _)| text == note) {
                Some((first, _, others)) if *first != step.id && !others.contains(&step.id.as_str()) => {
                    others.push(&step.id);
                }
                Some(_) => {}
                None => found.push((&step.id, note, Vec::new())),
            }
        }
    }
    let note = |text: &str, others: &[&str]| match others {
        [] => text.to_owned(),
        [other] => format!("{text} (the same for step {other})"),
        _ => format!("{text} (the same for the steps {})", others.join(", ")),
    };
    found.into_iter().map(|(first, text, others)| Note { first, text: note(text, &others) }).collect()
}

fn step_text(text: &mut String, step: &StepPlan, notes: &[&Note<'_>], color: bool) {
    let (sign, word, paint) = action_words(step.action);
    text.push_str(&format!("  {} {}\n", paint.over(&format!("{sign} {word:<7}"), color), title(step)));
    for change in &step.changes {
        text.push_str(&format!("      {}\n", change_text(change)));
    }
    // Not lines(), which takes a carriage return at the end of a line away unseen.
    for line in step.diff.iter().flat_map(|diff| diff.strip_suffix('\n').unwrap_or(diff).split('\n')) {
        text.push_str(&format!("      {}\n", diff_line(&visible(line), color)));
    }
    overridden_text(text, step, "      ", color);
    for note in notes {
        let note = visible(&note.text).replace('\n', "\n            ");
        text.push_str(&format!("      {} {note}\n", Paint::Yellow.over("note:", color)));
    }
}

/// What keeps a step from being in force, a line each.
fn overridden_text(text: &mut String, step: &StepPlan, indent: &str, color: bool) {
    for by in &step.overridden {
        let line = one_line(&format!("{}: {}", by.place(), by.message));
        // A unit overrides nothing: systemd says something of it.
        let words = if by.is_file() { "overridden by" } else { "not in force:" };
        text.push_str(&format!("{indent}{} {line}\n", Paint::Red.over(words, color)));
    }
}

/// A field: `mode: 0600 → 0644`; what is new or goes away has one side only.
pub fn change_text(change: &FieldChange) -> String {
    let side = |text: &String| if text.is_empty() { "\"\"".to_owned() } else { one_line(text) };
    let field = one_line(&change.field);
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{field}: {} → {}", side(before), side(after)),
        (None, Some(after)) => format!("{field}: {}", side(after)),
        (Some(before), None) => format!("{field}: {} → (none)", side(before)),
        (None, None) => field,
    }
}

fn diff_line(line: &str, color: bool) -> String {
    let paint = match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") => Paint::Bold,
        Some(b'+') => Paint::Green,
        Some(b'-') => Paint::Red,
        Some(b'@') => Paint::Cyan,
        _ => return line.to_owned(),
    };
    paint.over(line, color)
}

/// The closing summary of an apply: a line per host, and for each that did not
/// converge where, why and what to do.
pub fn apply_text(outcomes: &[HostOutcome], options: TextOptions) -> String {
    let color = options.color;
    let width = outcomes.iter().map(|o| one_line(&o.name).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for outcome in outcomes {
        let paint = if outcome.ending == HostStatus::Converged { Paint::Green } else { Paint::Red };
        let word = paint.over(&format!("{:<13}", outcome.ending.word()), color);
        // Of a run that goes on out of reach only a part is known.
        let goes_on = outcome.ending == HostStatus::Unreachable && !outcome.runs.is_empty();
        let changed = match (outcome.changed, outcome.partly) {
            (0, _) if goes_on => "changes unknown".to_owned(),
            (count, _) if goes_on => format!("{count} or more steps changed"),
            (0, false) => "nothing changed".to_owned(),
            (0, true) => "1 step changed in part".to_owned(),
            (1, false) => "1 step changed".to_owned(),
            (count, false) => format!("{count} steps changed"),
            (1, true) => "1 step changed, 1 in part".to_owned(),
            (count, true) => format!("{count} steps changed, 1 in part"),
        };
        let name = one_line(&outcome.name);
        text.push_str(&format!("{name:<width$}  {word}  {changed:<16}  {:>6.1} s\n", outcome.seconds));
        trouble(&mut text, outcome, color);
    }
    let count = |ending| outcomes.iter().filter(|o| o.ending == ending).count();
    let all = [
        HostStatus::Converged,
        HostStatus::NotConverged,
        HostStatus::Failed,
        HostStatus::Unreachable,
        HostStatus::Undone,
        HostStatus::NotBegun,
    ];
    let parts: Vec<String> = all
        .into_iter()
        .filter(|&ending| count(ending) > 0)
        .map(|ending| format!("{} {}", count(ending), ending.word()))
        .collect();
    if outcomes.len() > 1 {
        text.push_str(&format!("{} hosts: {}\n", outcomes.len(), parts.join(", ")));
    }
    text
}

fn trouble(text: &mut String, outcome: &HostOutcome, color: bool) {
    if let Some(failure) = &outcome.failure {
        let place = failure.step.span.as_ref().map(|span| format!(", {span}")).unwrap_or_default();
        text.push_str(&format!("    at {}{place}\n", title(&failure.step)));
        push_block(text, &visible(&failure.message), "    ");
        if failure.step.sensitive {
            text.push_str("    (its output is not shown: the step is sensitive)\n");
        } else {
            for line in last_lines(&failure.output, OUTPUT_LINES) {
                text.push_str(&format!("    | {line}\n"));
            }
        }
    }
    if let Some(error) = outcome.error_beside_failure() {
        push_block(text, &visible(error), "    ");
    }
    for step in outcome.remaining.iter().flat_map(|plan| &plan.steps).filter(|step| is_told(step)) {
        let (sign, word, paint) = action_words(step.action);
        text.push_str(&format!("    {} {}\n", paint.over(&format!("{sign} {word:<7}"), color), title(step)));
        for change in &step.changes {
            text.push_str(&format!("        {}\n", change_text(change)));
        }
        for note in &step.notes {
            text.push_str(&format!("        {}\n", one_line(note)));
        }
        overridden_text(text, step, "        ", color);
    }
    if let Some(advice) = advice(outcome) {
        text.push_str(&format!("    {} {advice}\n", Paint::Yellow.over("what to do:", color)));
    }
}

fn push_block(text: &mut String, block: &str, indent: &str) {
    for line in block.lines() {
        text.push_str(&format!("{indent}{line}\n"));
    }
}

/// What the operator can do about a host that did not converge.
pub fn advice(outcome: &HostOutcome) -> Option<String> {
    let name = one_line(&outcome.name);
    let again = format!("apply again with --limit {name}");
    Some(match outcome.ending {
        HostStatus::Converged => return None,
        HostStatus::Failed if outcome.failure.is_some() => {
            format!("correct the cause, then {again}: what is done is found done")
        }
        HostStatus::Failed => format!("correct the cause, then {again}"),
        HostStatus::Unreachable if outcome.changed == 0 && outcome.runs.is_empty() => {
            format!("nothing was changed there; check its address, key and network, then {again}")
        }
        HostStatus::Unreachable => format!("the run may be going on there by itself; when it can be reached, {again}"),
        HostStatus::NotConverged if outcome.remaining.as_ref().is_some_and(HostPlan::is_empty) => {
            format!("take away what overrides these steps, or add a step that does, then {again}")
        }
        HostStatus::NotConverged => format!(
            "something sets these back, or a step does not do what it says; 'stockade plan --limit {name}' shows more"
        ),
        HostStatus::Undone => {
            let stays: Vec<String> = outcome.stays().map(title).collect();
            let state = match &stays[..] {
                [] => "the host is as it was before".to_owned(),
                _ => format!("what other steps did stays, and 'undo' takes it back: {}", stays.join(", ")),
            };
            format!("{state}; correct the cause, then {again}")
        }
        HostStatus::NotBegun => format!("nothing was touched there; correct what failed before it, then {again}"),
    })
}
