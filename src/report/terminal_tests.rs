//! Tests of `terminal`.

use super::*;
use crate::plan::{Action, HostPlan, StepPlan};
use std::io;
use std::sync::Arc;

/// A terminal that remembers all that was ever written to it.
#[derive(Debug, Clone, Default)]
struct Tape(Arc<Mutex<String>>);

impl indicatif::TermLike for Tape {
    fn width(&self) -> u16 {
        100
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\n")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn step(action: Action) -> StepPlan {
    StepPlan { id: "1".into(), name: "file /etc/x".into(), kind: "file", action, ..StepPlan::default() }
}

#[test]
fn a_host_has_a_line_while_it_works_and_a_final_line_after() {
    let tape = Tape::default();
    let terminal = Terminal::on(ProgressDrawTarget::term_like(Box::new(tape.clone())), false);
    let plan = HostPlan::new("web1", vec![step(Action::Create)]);
    terminal.event(&Event::Connecting { host: "web1", to: "192.0.2.1:22" });
    terminal.event(&Event::Planned { plan: &plan });
    terminal.event(&Event::Applying { host: "web1", run: "r", operations: 2 });
    terminal.event(&Event::Operation { host: "web1", step: &plan.steps[0], number: 2, of: 2 });
    terminal.event(&Event::Converged { host: "web1", changed: 1, seconds: 2.0 });
    assert!(terminal.hosts.lock().unwrap().is_empty());
    drop(terminal);
    let drawn = tape.0.lock().unwrap().clone();
    assert!(drawn.contains("✓ web1  converged: 1 changed"), "{drawn:?}");
}

#[test]
fn a_hosts_own_escape_sequences_never_reach_the_terminal() {
    let tape = Tape::default();
    let terminal = Terminal::on(ProgressDrawTarget::term_like(Box::new(tape.clone())), false);
    let step = step(Action::Create);
    let (message, output) = ("bad\x1b[2J", "\x1b]0;owned\x07\nE: \x1b[31mno");
    terminal.event(&Event::StepFailed { host: "web1", step: &step, message, output });
    terminal.event(&Event::HostFailed { host: "web1", error: "x\x1bc" });
    drop(terminal);
    let drawn = tape.0.lock().unwrap().clone();
    assert!(drawn.contains("\\x1b]0;owned\\x07") && drawn.contains("bad\\x1b[2J"), "{drawn:?}");
    assert!(!drawn.contains(['\x1b', '\x07']), "{drawn:?}");
}
