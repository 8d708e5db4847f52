//! `audit --explain`: a control in words, from the playbook alone.

use super::Exit;
use crate::playbook::Playbook;
use crate::report::Console;
use crate::values::Diagnostic;

/// Prints what a control demands, why, how it is judged and put in force, and what
/// that may break.
///
/// # Errors
/// The playbook has no such control.
pub(super) fn explain(playbook: &Playbook, id: &str, console: &mut Console) -> anyhow::Result<Exit> {
    let controls = playbook.controls();
    let Some(found) = controls.iter().find(|found| found.control.id.eq_ignore_ascii_case(id)) else {
        let ids = controls.iter().map(|found| found.control.id.as_str());
        let error = Diagnostic::general(format!("the playbook has no control '{}'", id.escape_debug()));
        let error = match controls.is_empty() {
            true => error.with_help("no step of it has the key 'control'"),
            false => error.with_help(crate::values::possible_keys(id, ids)),
        };
        return Err(crate::engine::InputErrors(vec![error]).into());
    };
    let control = &found.control;
    console.line(&format!("{}  {}", control.id, control.title()));
    console.line(&format!("{} severity, level {}, {}", control.severity, control.level, control.group));
    console.line(&format!("described at {}", control.span));
    if !control.refs.is_empty() {
        console.line(&format!("sources: {}", control.refs.join("; ")));
    }
    let part = |console: &mut Console, title: &str, text: Option<&String>| {
        if let Some(text) = text {
            console.line(&format!("\n{title}\n  {text}"));
        }
    };
    part(console, "Why", control.rationale.as_ref());
    let title = match control.report_only {
        Some(_) => "How it is judged",
        None => "How it is judged, and put in force where it does not hold",
    };
    console.line(&format!("\n{title}"));
    for step in playbook.steps_of(&control.id) {
        for (number, line) in step.text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
            let indent = if number == 0 { "  - " } else { "    " };
            console.line(&format!("{indent}{line}"));
        }
    }
    part(console, "What that may break", control.breaks.as_ref());
    part(console, "Why it is reported and never changed", control.report_only.as_ref());
    Ok(Exit::Done)
}
