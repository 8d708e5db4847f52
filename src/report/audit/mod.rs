//! An audit as its readers want it: a function for each format, all from the
//! same [`Report`].
//!
//! What a host said, and what stands in playbooks, inventories and waivers, is
//! hostile here: it is cut ([`cut`]), made visible, and then escaped by the rules
//! of the format.

mod findings;
mod html;
mod json;
mod junit;
mod markdown;
mod markup;
mod sarif;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod text;

use crate::audit::{Report, Status};
use std::borrow::Cow;

/// The forms that a report is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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
    /// How many columns a line may have; none: lines are not broken.
    pub width: Option<usize>,
}

/// The report in a format, with a newline at its end.
///
/// # Errors
/// It cannot be written as JSON.
pub fn audit(report: &Report, format: AuditFormat, options: AuditTextOptions) -> serde_json::Result<String> {
    match format {
        AuditFormat::Text => Ok(text::audit_text(report, options)),
        AuditFormat::Json => json::audit_json(report),
        AuditFormat::Sarif => sarif::audit_sarif(report),
        AuditFormat::Junit => Ok(junit::audit_junit(report)),
        AuditFormat::Html => Ok(html::audit_html(report)),
        AuditFormat::Markdown => Ok(markdown::audit_markdown(report)),
    }
}

/// The most bytes of one field that any format but JSON shows.
const LONGEST_FIELD: usize = 4096;

/// A field, no longer than any format shows it.
fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, LONGEST_FIELD)
}

/// A field of at most so many bytes, with a remark on what is left out.
fn cut_to(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    let end = (0..=longest).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    Cow::Owned(format!("{}… ({} more bytes)", &text[..end], text.len() - end))
}

/// A sign for a status, beside its words.
fn sign(status: Status) -> &'static str {
    match status {
        Status::Pass => "✓",
        Status::NotApplicable => "–",
        Status::Waived => "○",
        Status::NotLive => "◐",
        Status::Fail => "✗",
        Status::Error => "!",
    }
}

/// A count with its noun: `1 host`, `3 hosts`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
