//! Plans and results as Markdown for a comment on a merge request.
//!
//! Everything that comes from a playbook or a host stands in a code span, a
//! fence or escaped HTML: it can neither end the block it stands in nor name
//! (and so notify) anybody. GitHub Flavored Markdown 0.29, 4.5, 4.10 and 6.3.

use super::outcome::{HostOutcome, HostStatus};
use super::text::{Note, action_words, advice, group, is_due, is_told, notes, summary};
use super::visible::{last_lines, one_line, visible};
use crate::plan::{HostPlan, StepPlan};

/// The most characters of a comment. GitHub takes 65,536; the rest is left to
/// whoever posts it.
const LONGEST: usize = 60_000;

/// The plan as a comment: a table of hosts, the differing steps folded
/// away, those of hosts with equal plans once.
pub fn plan_markdown(stage: Option<&str>, playbook: &str, plans: &[HostPlan]) -> String {
    let mut text = head("plan", stage, playbook);
    text.push_str("| host | create | update | delete | run | unknown | unchanged |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|\n");
    for plan in plans {
        let s = &plan.summary;
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            cell(&plan.name),
            s.create,
            s.update,
            s.delete,
            s.run,
            s.unknown,
            s.none
        ));
    }
    if plans.iter().all(HostPlan::is_converged) {
        text.push_str("\nNothing differs.\n");
    }
    for (hosts, plan) in group(plans).into_iter().filter(|(_, plan)| !plan.is_converged()) {
        let mut section = String::new();
        open(&mut section, &format!("{hosts}: {}", summary(plan)));
        steps_markdown(&mut section, plan.steps.iter().filter(|step| is_told(step)));
        section.push_str("\n</details>\n");
        push_section(&mut text, &section);
    }
    text
}

/// Adds a section if the comment does not become too long for it.
pub(super) fn push_section(text: &mut String, section: &str) {
    const LEFT_OUT: &str = "\nMore was left out: a comment may not be longer. The text or JSON form has all of it.\n";
    if text.chars().count() + section.chars().count() + LEFT_OUT.len() <= LONGEST {
        text.push_str(section);
    } else if !text.ends_with(LEFT_OUT) {
        text.push_str(LEFT_OUT);
    }
}

/// The result of an apply as a comment.
pub fn apply_markdown(stage: Option<&str>, playbook: &str, outcomes: &[HostOutcome]) -> String {
    let mut text = head("apply", stage, playbook);
    text.push_str("| host | result | steps changed | seconds |\n|---|---|--:|--:|\n");
    for o in outcomes {
        let (name, word) = (cell(&o.name), o.ending.word());
        text.push_str(&format!("| {name} | {word} | {} | {:.1} |\n", o.changed, o.seconds));
    }
    for outcome in outcomes.iter().filter(|outcome| outcome.ending != HostStatus::Converged) {
        let mut section = String::new();
        open(&mut section, &format!("{}: {}", outcome.name, outcome.ending.word()));
        if let Some(failure) = &outcome.failure {
            let place = failure.step.span.as_ref().map(|span| format!(", {}", code(&span.to_string())));
            section.push_str(&format!("\nAt {}{}:\n", step_title(&failure.step), place.unwrap_or_default()));
            fence(&mut section, "", &failure.message);
            if !failure.step.sensitive && !failure.output.trim().is_empty() {
                fence(&mut section, "", &last_lines(&failure.output, 40).join("\n"));
            }
        }
        if let Some(error) = outcome.error_beside_failure() {
            fence(&mut section, "", error);
        }
        let left = outcome.remaining.iter().flat_map(|plan| &plan.steps);
        steps_markdown(&mut section, left.filter(|step| is_told(step)));
        if let Some(advice) = advice(outcome) {
            section.push_str(&format!("\nWhat to do: {}\n", html(&advice)));
        }
        section.push_str("\n</details>\n");
        push_section(&mut text, &section);
    }
    text
}

pub(super) fn head(verb: &str, stage: Option<&str>, playbook: &str) -> String {
    let stage = stage.map(|stage| format!(", stage {}", code(stage))).unwrap_or_default();
    format!("### Stockade {verb}: {}{stage}\n\n", code(playbook))
}

pub(super) fn open(text: &mut String, summary: &str) {
    text.push_str(&format!("\n<details><summary>{}</summary>\n", html(&one_line(summary))));
}

fn step_title(step: &StepPlan) -> String {
    if is_due(step) {
        return code(&step.name);
    }
    format!("{} (step {})", code(&format!("{}: {}", step.kind, step.name)), code(&step.id))
}

fn steps_markdown<'p>(text: &mut String, steps: impl Iterator<Item = &'p StepPlan> + Clone) {
    let notes = notes(steps.clone());
    for step in steps {
        let own: Vec<&Note<'_>> = notes.iter().filter(|note| note.first == step.id).collect();
        step_markdown(text, step, &own);
    }
}

fn step_markdown(text: &mut String, step: &StepPlan, notes: &[&Note<'_>]) {
    let (sign, word, _) = action_words(step.action);
    text.push_str(&format!("\n**{word}** {}\n", step_title(step)));
    let mut lines: Vec<String> = Vec::new();
    if !step.changes.is_empty() {
        lines.push("\n| field | before | after |\n|---|---|---|".to_owned());
        let side = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
        lines.extend(
            step.changes.iter().map(|c| format!("| {} | {} | {} |", cell(&c.field), side(&c.before), side(&c.after))),
        );
    }
    lines.iter().for_each(|line| {
        text.push_str(line);
        text.push('\n');
    });
    match &step.diff {
        Some(diff) => fence(text, "diff", diff),
        None if step.changes.is_empty() => fence(text, "diff", &format!("{sign} {}", one_line(&step.name))),
        None => {}
    }
    for by in &step.overridden {
        text.push_str(&format!("\nOverridden by {}: {}\n", code(&by.place()), code(&by.message)));
    }
    for note in notes {
        text.push_str(&format!("\nNote: {}\n", code(&note.text)));
    }
}

/// A code span that its content cannot end.
pub(super) fn code(content: &str) -> String {
    let content = one_line(content);
    let ticks = "`".repeat(longest_run(&content) + 1);
    // A space on both sides is taken off again; without it a leading or
    // trailing backtick would join the delimiter, and "" is no code span.
    if content.is_empty() {
        return String::new();
    }
    let pad = if content.starts_with(['`', ' ']) || content.ends_with(['`', ' ']) { " " } else { "" };
    format!("{ticks}{pad}{content}{pad}{ticks}")
}

/// A code span in a table, where a pipe ends the cell even inside a code span.
pub(super) fn cell(content: &str) -> String {
    code(content).replace('|', "\\|")
}

/// A fenced block that its content cannot end.
pub(super) fn fence(text: &mut String, language: &str, content: &str) {
    let content = visible(content);
    let ticks = "`".repeat((longest_run(&content) + 1).max(3));
    text.push_str(&format!("\n{ticks}{language}\n{}\n{ticks}\n", content.trim_end_matches('\n')));
}

/// The length of the longest run of backticks.
fn longest_run(content: &str) -> usize {
    content.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text that stands in HTML or in running text: nothing in it is markup.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' | '`' | '*' | '_' | '[' | ']' | '@' | '#' | '|' | '\\' | '~' => {
                out.push_str(&format!("&#{};", c as u32));
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_cannot_end_a_span_a_cell_or_a_fence() {
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`x`"), "`` `x` ``");
        assert_eq!(cell("a|b"), "`a\\|b`");
        let mut text = String::new();
        fence(&mut text, "diff", "+```\n+````\n");
        assert_eq!(text, "\n`````diff\n+```\n+````\n`````\n");
    }

    #[test]
    fn a_summary_holds_no_markup() {
        assert_eq!(html("</summary>@team"), "&#60;/summary&#62;&#64;team");
    }
}
