//! The reference of resource kinds is made from the table that the program
//! goes by: `UPDATE_DOCS=1 cargo test --test docs` writes it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a reference that cannot be read must stop the test

use std::fmt::Write;
use stockade::resource::KINDS;

fn reference() -> String {
    let mut text = String::from(
        "# Resource kinds\n\nEvery step of a playbook has one of these. Beside it a step takes `name`, `when`, `each`, \
         `tags`, `restart`, `reload`, `sensitive` and `control`; `guard` is reserved. Any string may be a template.\n",
    );
    for kind in KINDS {
        write!(text, "\n## {}\n\n{}\n\n| field | takes | |\n|---|---|---|\n", kind.name, kind.summary).unwrap();
        for field in kind.fields {
            let needed = if field.required { "**needed**; " } else { "" };
            let doc = field.doc.replace('|', "\\|");
            writeln!(text, "| `{}` | {} | {needed}{doc} |", field.name, field.ty.describe().replace('|', "\\|"))
                .unwrap();
        }
    }
    text
}

#[test]
fn the_reference_of_kinds_is_current() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kinds.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&file).expect("docs/kinds.md is there");
    assert!(written == reference(), "docs/kinds.md is not current: UPDATE_DOCS=1 cargo test --test docs");
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
