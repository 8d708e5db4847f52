//! The table of variables in `docs/gateway.md`, from the bundled playbook and
//! its comments.

use super::{cell, root};
use std::fmt::Write;

pub fn variables() -> String {
    let source = std::fs::read_to_string(root().join("playbooks/gateway/playbook.toml")).unwrap();
    let (_, rest) = source.split_once("\n[vars]\n").unwrap();
    let (vars, _) = rest.split_once("\n[[step]]").unwrap();
    let mut text = String::from("\n| variable | default | |\n|---|---|---|\n");
    for paragraph in vars.split("\n\n") {
        // A comment is about all lines up to the next one.
        let mut doc: Vec<&str> = Vec::new();
        let mut used = false;
        for line in paragraph.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                if std::mem::take(&mut used) {
                    doc.clear();
                }
                doc.push(comment.trim());
            } else if let Some((name, value)) = line.split_once(" = ") {
                assert!(!doc.is_empty(), "{name} has no comment");
                let doc = if std::mem::replace(&mut used, true) { "as above".to_owned() } else { doc.join(" ") };
                writeln!(text, "| `{name}` | `{}` | {} |", cell(value), cell(&doc)).unwrap();
            }
        }
    }
    text.push('\n');
    text
}
