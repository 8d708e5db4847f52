//! JSON. The form is a contract: `schema/audit.json`; a baseline is read from it.

use crate::audit::Report;
use crate::report::visible::hidden;
use serde::Serialize;

/// The report as JSON.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn audit_json(report: &Report) -> serde_json::Result<String> {
    written(report)
}

/// A document as JSON in which no hidden character stands as it is: whoever shows
/// the file in a terminal sees an escape, whoever parses it gets the character.
pub(super) fn written(document: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    if !text.chars().any(hidden) {
        return Ok(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        // Between strings JSON has no such character, and none of them is above U+FFFF.
        if hidden(c) { shown.push_str(&format!("\\u{:04x}", c as u32)) } else { shown.push(c) }
    }
    Ok(shown)
}
