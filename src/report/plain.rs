//! Progress as lines, for pipes and logs; and as errors only, beside a
//! machine-readable result.

use super::console::Remarks;
use super::text::{OUTPUT_LINES, change_text, is_told, numbered, summary};
use super::visible::{last_lines, one_line};
use super::{Event, Reporter};
use crate::plan::{Action, StepPlan};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// One line an event, on standard error.
pub struct Plain {
    out: Remarks,
    hosts: Mutex<HashMap<String, Progress>>,
}

/// How far a host is: steps done, of how many that have something to do.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    done: usize,
    of: usize,
}

impl Plain {
    /// Lines to a console.
    pub fn new(out: Remarks) -> Plain {
        Plain { out, hosts: Mutex::default() }
    }

    /// Counts one more step of a host, and says how far it is: `[3/12]`. The
    /// step itself has the number that the plan gives it.
    fn advance(&self, host: &str) -> String {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = hosts.entry(host.to_owned()).or_default();
        progress.done += 1;
        format!("[{}/{}]", progress.done, progress.of.max(progress.done))
    }

    fn say(&self, host: &str, text: &str) {
        self.out.line(&format!("{}  {text}", one_line(host)));
    }
}

impl Reporter for Plain {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Connecting { host, to } => self.say(host, &format!("connecting to {}", one_line(to))),
            Event::Observing { host, questions } => self.say(host, &format!("gathering state ({questions} queries)")),
            Event::Planned { plan } => {
                let progress = Progress { done: 0, of: plan.summary.differing() };
                self.hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(plan.name.clone(), progress);
                self.say(&plan.name, &summary(plan));
            }
            Event::Applying { host, run, operations } => {
                self.say(host, &format!("applying: {operations} operations, run {}", one_line(run)));
            }
            Event::Operation { .. } => {}
            Event::StepDone { host, step } if step.action != Action::None => {
                let place = self.advance(host);
                self.say(host, &format!("{place}  {} … {}", numbered(step), past(step.action)));
            }
            Event::StepDone { .. } => {}
            Event::StepNotDue { host, step } => {
                let place = self.advance(host);
                self.say(host, &format!("{place}  {} … was not due", numbered(step)));
            }
            Event::StepLater { host, step } => {
                let place = self.advance(host);
                let text = format!("{place}  {} … failed; it is tried again at the end of the run", numbered(step));
                self.say(host, &text);
            }
            Event::StepFailed { host, step, .. } => {
                let place = self.advance(host);
                self.say(host, &format!("{place}  {} … FAILED", numbered(step)));
                failure_lines(event).iter().for_each(|line| self.say(host, line));
            }
            Event::Converged { .. } | Event::NotConverged { .. } | Event::HostFailed { .. } | Event::Notice { .. } => {
                let (host, lines) = final_lines(event);
                lines.iter().for_each(|line| match host {
                    Some(host) => self.say(host, line),
                    None => self.out.line(line),
                });
            }
        }
    }
}

/// Only what went wrong, on standard error: for `--format json` and `markdown`.
pub struct Quiet {
    out: Remarks,
}

impl Quiet {
    /// Errors to a console.
    pub fn new(out: Remarks) -> Quiet {
        Quiet { out }
    }
}

impl Reporter for Quiet {
    fn event(&self, event: &Event<'_>) {
        let lines = match event {
            Event::StepFailed { host, step, .. } => {
                self.out.line(&format!("{}  {} … FAILED", one_line(host), numbered(step)));
                failure_lines(event)
            }
            Event::NotConverged { .. } | Event::HostFailed { .. } => final_lines(event).1,
            _ => return,
        };
        let host = match event {
            Event::NotConverged { host, .. } | Event::HostFailed { host, .. } | Event::StepFailed { host, .. } => host,
            _ => return,
        };
        lines.iter().for_each(|line| self.out.line(&format!("{}  {line}", one_line(host))));
    }
}

/// What was done, in a word.
fn past(action: Action) -> &'static str {
    match action {
        Action::None => "unchanged",
        Action::Create => "created",
        Action::Update => "updated",
        Action::Delete => "removed",
        Action::Run => "ran",
        Action::Unknown => "done",
    }
}

/// Why a step failed and the last of what the host printed; nothing of a sensitive step's output.
pub(super) fn failure_lines(event: &Event<'_>) -> Vec<String> {
    let Event::StepFailed { step, message, output, .. } = event else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(span) = &step.span {
        lines.push(format!("  at {}", one_line(&span.to_string())));
    }
    lines.extend(message.lines().map(|line| format!("  {}", one_line(line))));
    lines.extend(shown_output(step, output).into_iter().map(|line| format!("  | {line}")));
    lines
}

fn shown_output(step: &StepPlan, output: &str) -> Vec<String> {
    if step.sensitive {
        return vec!["(not shown: the step is sensitive)".to_owned()];
    }
    last_lines(output, OUTPUT_LINES)
}

/// The lines of an event that ends a host's work or stands for itself.
pub(super) fn final_lines<'a>(event: &Event<'a>) -> (Option<&'a str>, Vec<String>) {
    match event {
        Event::Converged { host, changed: 0, seconds } => {
            (Some(host), vec![format!("converged: nothing had to change ({seconds:.1} s)")])
        }
        Event::Converged { host, changed, seconds } => {
            (Some(host), vec![format!("converged: {changed} changed, nothing differs any more ({seconds:.1} s)")])
        }
        Event::NotConverged { host, plan } => {
            let mut lines = vec![format!("NOT CONVERGED: {}", summary(plan))];
            for step in plan.steps.iter().filter(|step| is_told(step)) {
                if step.action != Action::None {
                    lines.push(format!("  still differs: {}", numbered(step)));
                    lines.extend(step.changes.iter().map(|change| format!("    {}", change_text(change))));
                    lines.extend(step.notes.iter().map(|note| format!("    {}", one_line(note))));
                }
                let by = step.overridden.iter().map(|by| one_line(&by.to_string()));
                lines.extend(by.map(|by| format!("  not in force: {}: {by}", numbered(step))));
            }
            (Some(host), lines)
        }
        Event::HostFailed { host, error } => {
            (Some(host), error.lines().map(|line| format!("ERROR: {}", one_line(line))).collect())
        }
        Event::Notice { host, text } => (*host, text.lines().map(one_line).collect()),
        _ => (None, Vec::new()),
    }
}
