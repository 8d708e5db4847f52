//! Questions to the operator at a terminal.

use crate::transport::Ask;
use crate::values::Secret;
use std::collections::HashMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Asks on the process's own terminal. Where there is none, there is no
/// answer. A secret is asked once in a process: the answer is kept for the
/// same prompt, and a question that got none is not put again.
#[derive(Default)]
pub struct TerminalAsk {
    /// Held while a question is open, so that two hosts cannot ask at once.
    secrets: Mutex<HashMap<String, Option<Secret>>>,
}

impl TerminalAsk {
    /// Nothing asked yet.
    pub fn new() -> TerminalAsk {
        TerminalAsk::default()
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
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = secrets.get(prompt) {
            return before.clone();
        }
        let answer = rpassword::prompt_password(format!("{}: ", visible(prompt))).ok();
        let answer = answer.filter(|text| !text.is_empty()).map(Secret::new);
        secrets.insert(prompt.to_owned(), answer.clone());
        answer
    }

    fn confirm(&self, question: &str) -> bool {
        if !TerminalAsk::interactive() {
            return false;
        }
        let _one_at_a_time = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = String::new();
        let asked = write!(io::stderr(), "{} [y/N] ", visible(question)).and_then(|()| io::stderr().flush());
        asked.is_ok()
            && io::stdin().lock().read_line(&mut line).is_ok()
            && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
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
