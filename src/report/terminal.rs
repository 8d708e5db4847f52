//! Progress on a terminal: a line per host that is redrawn, and above them, for
//! good, how each host ended. The only user of indicatif.

use super::plain::{failure_lines, final_lines};
use super::text::{counts, numbered, subject};
use super::visible::one_line;
use super::{Event, Reporter};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A line per host.
pub struct Terminal {
    bars: MultiProgress,
    hosts: Mutex<HashMap<String, ProgressBar>>,
    tick: bool,
}

impl Terminal {
    /// Draws on standard error.
    pub fn new() -> Terminal {
        Terminal::on(ProgressDrawTarget::stderr(), true)
    }

    /// Draws somewhere; without `tick` only when something happens.
    fn on(target: ProgressDrawTarget, tick: bool) -> Terminal {
        Terminal { bars: MultiProgress::with_draw_target(target), hosts: Mutex::default(), tick }
    }

    /// The line of a host; made when the host is first heard of.
    fn bar(&self, host: &str) -> ProgressBar {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = hosts.get(host) {
            return bar.clone();
        }
        let bar = self.bars.add(ProgressBar::new(0));
        bar.set_style(waiting());
        bar.set_prefix(one_line(host));
        if self.tick {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        hosts.insert(host.to_owned(), bar.clone());
        bar
    }

    /// Takes a host's line away and writes how it ended above the others.
    fn finish(&self, host: &str, sign: &str, lines: &[String]) {
        let bar = self.hosts.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        self.above(host, sign, lines);
    }

    fn above(&self, host: &str, sign: &str, lines: &[String]) {
        for (number, line) in lines.iter().enumerate() {
            let sign = if number == 0 { sign } else { " " };
            let _ = self.bars.println(format!("{sign} {}  {line}", one_line(host)));
        }
    }
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal::new()
    }
}

/// Before it is known how much there is to do.
fn waiting() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// While a host is being changed.
fn working() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix}  [{bar:16}] {pos}/{len}  {wide_msg}")
        .map(|style| style.progress_chars("=> "))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Reporter for Terminal {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Connecting { host, to } => self.bar(host).set_message(format!("connecting to {}", one_line(to))),
            Event::Observing { host, questions } => {
                self.bar(host).set_message(format!("gathering state ({questions} queries)"));
            }
            Event::Planned { plan } => self.bar(&plan.name).set_message(counts(&plan.summary)),
            Event::Applying { host, operations, .. } => {
                let bar = self.bar(host);
                bar.set_style(working());
                bar.set_length(*operations as u64);
                bar.set_position(0);
                bar.set_message("starting");
            }
            Event::Operation { host, step, number, of } => {
                let bar = self.bar(host);
                bar.set_length(*of as u64);
                bar.set_position(number.saturating_sub(1) as u64);
                bar.set_message(subject(step));
            }
            Event::StepDone { .. } | Event::StepNotDue { .. } | Event::StepLater { .. } => {}
            Event::StepFailed { host, step, .. } => {
                let mut lines = vec![format!("FAILED: {}", numbered(step))];
                lines.extend(failure_lines(event));
                self.above(host, "✗", &lines);
            }
            Event::Converged { host, .. } => self.finish(host, "✓", &final_lines(event).1),
            Event::NotConverged { host, .. } | Event::HostFailed { host, .. } => {
                self.finish(host, "✗", &final_lines(event).1);
            }
            Event::Notice { host: Some(host), .. } => self.above(host, "·", &final_lines(event).1),
            Event::Notice { host: None, .. } => {
                for line in final_lines(event).1 {
                    let _ = self.bars.println(line);
                }
            }
        }
    }

    fn pause(&self, work: &mut dyn FnMut()) {
        self.bars.suspend(work);
    }
}

impl Drop for Terminal {
    /// Leaves no half-drawn line behind, however the work ended.
    fn drop(&mut self) {
        for bar in self.hosts.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "terminal_tests.rs"]
mod tests;
