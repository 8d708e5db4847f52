//! An audit as its readers want it: a function for each format, all from the
//! same [`Report`].
//!
//! What a host said, and what stands in playbooks, inventories and waivers, is
//! hostile here: it is cut, made visible, and then escaped by the rules
//! of the format.

use crate::audit::Report;

/// The forms that a report is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFormat {
    /// For people, in a terminal.
    Text,
    /// For programs, and to serve as a baseline (`schema/audit.json`).
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, as CI systems show tests.
    Junit,
    /// One self-contained page for a browser.
    Html,
    /// For a comment on a merge request.
    Markdown,
}

/// How the text for a terminal is made; no other format asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditTextOptions {
    /// Whether colours may be used.
    pub color: bool,
    /// Whether controls that hold are listed too, and no list is shortened.
    pub verbose: bool,
    /// How many columns a line may have; none: lines are not shortened.
    pub width: Option<usize>,
}

/// The report in a format, with a newline at its end.
///
/// # Errors
/// It cannot be written as JSON.
pub fn audit(report: &Report, format: AuditFormat, options: AuditTextOptions) -> serde_json::Result<String> {
    let _ = options;
    match format {
        AuditFormat::Json => Ok(serde_json::to_string_pretty(report)? + "\n"),
        AuditFormat::Text | AuditFormat::Sarif | AuditFormat::Junit | AuditFormat::Html | AuditFormat::Markdown => {
            Err(serde::ser::Error::custom("this format is not available"))
        }
    }
}
