//! Everything the operator sees is written here, and nowhere else.
//!
//! Results are made by functions from values to text ([`plan_text`],
//! [`apply_json`], …); progress is shown by a [`Reporter`]. What comes from a
//! host or a playbook passes [`visible`] before it reaches a terminal.

mod ask;
mod audit;
mod console;
mod event;
mod json;
mod markdown;
mod outcome;
mod paint;
mod plain;
mod terminal;
mod text;
mod visible;

pub use ask::TerminalAsk;
pub use audit::{AuditFormat, AuditTextOptions, audit};
pub use console::{Console, Remarks};
pub use event::{Event, Reporter};
pub use json::{FORMAT_VERSION, apply_json, plan_json};
pub use markdown::{apply_markdown, plan_markdown};
pub use outcome::{FailedStep, HostOutcome, HostStatus, StepStatus};
pub use plain::{Plain, Quiet};
pub use terminal::Terminal;
pub use text::{TextOptions, action_words, apply_text, change_text, counts, plan_text};
pub use visible::visible;

/// The reporter for a console: lines that are redrawn on a terminal, plain
/// lines elsewhere; only errors where the result is for a machine.
pub fn reporter(console: &Console, machine: bool) -> Box<dyn Reporter> {
    match (machine, console.interactive) {
        (true, _) => Box::new(Quiet::new(console.remarks())),
        (false, true) => Box::new(Terminal::new()),
        (false, false) => Box::new(Plain::new(console.remarks())),
    }
}
