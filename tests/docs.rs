//! The references of the book are made from the tables and the code that the
//! program goes by: `UPDATE_DOCS=1 cargo test --test integration docs::` writes them anew.
//!
//! Some pages are made as a whole; others have a part between two marks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a reference that cannot be read must stop the test

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/facts.rs"]
mod facts;
#[path = "docs/gateway.rs"]
mod gateway;
#[path = "docs/keys.rs"]
mod keys;
#[path = "docs/kinds.rs"]
mod kinds;
#[path = "docs/manual.rs"]
mod manual;
#[path = "docs/probes.rs"]
mod probes;
#[path = "docs/rust_source.rs"]
mod rust_source;
#[path = "docs/templates.rs"]
mod templates;

use std::path::Path;
use stockade::resource::KINDS;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a page with what it must be, or writes it.
fn is_current(page: &str, wanted: impl FnOnce(&str) -> String) {
    let file = root().join(page);
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let wanted = wanted(&written);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
        return;
    }
    assert!(written == wanted, "{page} is not current: UPDATE_DOCS=1 cargo test --test integration docs::");
}

/// A page with the text between the two marks of each part replaced.
fn with_parts(page: &str, parts: &[(&str, String)]) -> String {
    let mut text = page.to_owned();
    for (name, part) in parts {
        let begin =
            format!("<!-- {name}: made by tests/docs.rs, UPDATE_DOCS=1 cargo test --test integration docs:: -->\n");
        let end = format!("<!-- end of {name} -->\n");
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no line {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no line {end}"));
        text = format!("{before}{begin}{part}{end}{after}");
    }
    text
}

/// Text for the cell of a table. What looks like an HTML tag is none.
fn cell(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', " ");
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(n, part)| if n % 2 == 0 { part.replace('<', "\\<") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
}

#[test]
fn every_generated_page_is_current() {
    is_current("docs/kinds.md", |_| kinds::page());
    is_current("docs/templates.md", |_| templates::page());
    is_current("docs/probes.md", |_| probes::page());
    is_current("docs/defaults.md", |_| manual::defaults());
}

#[test]
fn every_generated_part_of_a_page_is_current() {
    let parts = |page: &str, parts: &[(&str, String)]| is_current(page, |written| with_parts(written, parts));
    parts("docs/playbooks.md", &[("playbook keys", keys::of_a_playbook()), ("step keys", keys::of_a_step())]);
    parts("docs/inventory.md", &[("inventory settings", keys::of_an_inventory())]);
    parts("docs/facts.md", &[("facts", facts::part())]);
    parts("docs/commands.md", &[("exit codes", commands::exit_codes()), ("commands", commands::reference())]);
    parts("docs/gateway.md", &[("gateway variables", gateway::variables())]);
    parts("SECURITY.md", &[("known attacks", manual::threats())]);
}

#[test]
fn every_field_is_explained() {
    for kind in KINDS {
        assert!(kind.summary.ends_with('.'), "{}: {:?}", kind.name, kind.summary);
        for field in kind.fields {
            assert!(field.doc.len() > 8, "{}.{}: {:?}", kind.name, field.name, field.doc);
        }
    }
}
