//! Questions to the operator at a terminal.

use super::Reporter;
use crate::transport::Ask;
use crate::values::Secret;
use std::collections::HashMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Asks on the process's own terminal. Where there is none, there is no
/// answer. A secret is asked once in a process: the answer is kept for the
/// same prompt, and a question that got none is not put again.
#[derive(Default)]
pub struct TerminalAsk {
    /// Held while a question is open, so that two hosts cannot ask at once.
    secrets: Mutex<HashMap<String, Option<Secret>>>,
    /// What is redrawn on the same terminal, and would be drawn over a question.
    progress: Option<Weak<dyn Reporter>>,
}

impl TerminalAsk {
    /// Nothing asked yet.
    pub fn new() -> TerminalAsk {
        TerminalAsk::default()
    }

    /// Nothing asked yet, on a terminal where progress is shown too: while a
    /// question is open, it stands still.
    pub fn beside(progress: &Arc<dyn Reporter>) -> TerminalAsk {
        TerminalAsk { progress: Some(Arc::downgrade(progress)), ..TerminalAsk::default() }
    }

    /// Asks while nothing is drawn.
    fn undisturbed<T>(&self, mut ask: impl FnMut() -> T) -> T {
        let mut answer = None;
        if let Some(progress) = self.progress.as_ref().and_then(Weak::upgrade) {
            progress.pause(&mut || answer = Some(ask()));
        }
        answer.unwrap_or_else(ask)
    }

    fn interactive() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

impl Ask for TerminalAsk {
    fn secret(&self, prompt: &str) -> Option<Secret> {
        if !TerminalAsk::interactive() {
            return None;
        }
        self.undisturbed(|| {
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = secrets.get(prompt) {
                return before.clone();
            }
            let answer = rpassword::prompt_password(format!("{}: ", visible(prompt))).ok();
            let answer = answer.filter(|text| !text.is_empty()).map(Secret::new);
            secrets.insert(prompt.to_owned(), answer.clone());
            answer
        })
    }

    fn confirm(&self, question: &str) -> bool {
        if !TerminalAsk::interactive() {
            return false;
        }
        self.undisturbed(|| {
            let _one_at_a_time = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            let mut line = String::new();
            let asked = write!(io::stderr(), "{} [y/N] ", visible(question)).and_then(|()| io::stderr().flush());
            asked.is_ok()
                && io::stdin().lock().read_line(&mut line).is_ok()
                && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
        })
    }
}

/// Parts of a question come from hosts: they must not steer the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_cannot_steer_the_terminal() {
        assert_eq!(visible("Code\u{1b}[2J\r\nok"), "Code\u{fffd}[2J\u{fffd}\u{fffd}ok");
    }
}
