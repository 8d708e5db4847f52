//! Whether sh(1) of the host can read the texts that operators wrote. It reads
//! them with `-n` and so runs nothing of them (POSIX XCU, sh and set).

use super::reply::{Malformed, Section};
use super::{HostState, Queries, Query, StateError};

/// Each text's complaint, ended by a NUL; empty where there is none.
pub(super) const PROBE: &str = include_str!("probes/syntax.sh");

/// The texts, in the order in which they are asked and answered.
pub(super) fn texts(queries: &Queries) -> Vec<String> {
    queries.iter().filter_map(|q| if let Query::Syntax(text) = q { Some(text.clone()) } else { None }).collect()
}

pub(super) fn read(host: &mut HostState, queries: &Queries, section: &Section) -> Result<(), Malformed> {
    let complaints = section.fields();
    let texts = texts(queries);
    if complaints.len() != texts.len() {
        return Err(Malformed::missing("syntax"));
    }
    for (text, complaint) in texts.iter().zip(complaints) {
        host.set_syntax(text, Some(in_words(&complaint, text)).filter(|words| !words.is_empty()));
    }
    Ok(())
}

/// What sh says, with the line of the text as an operator counts it.
fn in_words(complaint: &str, text: &str) -> String {
    let first = complaint.lines().next().unwrap_or_default();
    let rest = first.strip_prefix("sh: ").unwrap_or(first);
    let rest = rest.strip_prefix("line ").unwrap_or(rest);
    match rest.split_once(": ") {
        Some((line, what)) if line.bytes().all(|b| b.is_ascii_digit()) => {
            // What ends too early is told of the line after the last.
            let line = line.parse().unwrap_or(1).min(text.lines().count().max(1));
            format!("line {line}: {}", what.strip_prefix("Syntax error: ").unwrap_or(what))
        }
        _ => rest.to_owned(),
    }
}

impl HostState {
    /// What the host's shell finds wrong with a text ([`Query::Syntax`]); none
    /// if it can be read.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn syntax(&self, text: &str) -> Result<Option<&str>, StateError> {
        Ok(self.look(Query::Syntax(text.to_owned()), self.syntax.get(text))?.as_deref())
    }

    /// What the host's shell finds wrong with a text.
    pub fn set_syntax(&mut self, text: &str, complaint: Option<String>) {
        self.mark_asked(Query::Syntax(text.to_owned()));
        self.syntax.insert(text.to_owned(), complaint);
    }
}
