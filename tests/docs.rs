//! The references of kinds, templates and probes are made from the tables that
//! the program goes by: `UPDATE_DOCS=1 cargo test --test docs` writes it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a reference that cannot be read must stop the test

use serde_json::Value;
use std::fmt::Write;
use stockade::observe::{Disk, Facts};
use stockade::playbook::{
    PROBE_KINDS, PROBE_OPTIONS, TEMPLATE_FILTERS, TEMPLATE_FUNCTIONS, TEMPLATE_TESTS, TEMPLATE_VARIABLES, TemplateWord,
};
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

fn table(text: &mut String, words: &[TemplateWord]) {
    text.push_str("\n| name | | example | gives |\n|---|---|---|---|\n");
    for word in words {
        let code = |code: &str| code.replace('\n', "\\n").replace('|', "\\|");
        writeln!(text, "| `{}` | {} | `{}` | `{}` |", word.name, word.doc, code(word.example), code(word.gives))
            .unwrap();
    }
}

/// The names below a fact, with a value of its type.
fn facts(prefix: &str, value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| facts(&format!("{prefix}.{key}"), value, names)),
        Value::String(_) => names.push(format!("`{prefix}` (string)")),
        Value::Bool(_) => names.push(format!("`{prefix}` (boolean)")),
        Value::Array(_) => names.push(format!("`{prefix}` (array)")),
        Value::Number(_) => names.push(format!("`{prefix}` (integer)")),
        Value::Null => names.push(format!("`{prefix}` (integer, or none)")),
    }
}

fn templates() -> String {
    let mut text = String::from(
        "# Templates\n\nEvery string of a playbook and every file named by `template` is a template, rendered for each \
         host. `{{ expression }}` writes a value, `{% if x %} … {% elif y %} … {% else %} … {% endif %}` and \
         `{% for x in list %} … {% endfor %}` decide and repeat, `{% set x = 1 %}` names a value, \
         `{% include \"part.conf\" %}` puts a file in, `{# … #}` is a comment; `-` inside of a delimiter takes away the \
         blanks beside it. A string that is one whole `{{ expression }}` keeps the expression's type. `when` and `each` \
         take an expression without braces.\n\nText that has `{{ }}` of its own, such as a Go template \
         (`docker ps --format`), a Prometheus rule or a GitHub workflow, stands between `{% raw %}` and \
         `{% endraw %}`.\n\nA value that is not defined is an error wherever it would be written; \
         `x | default(value='y')` and `x is defined` allow for its absence. The operators are `+ - * / // % **`, `~` \
         (joins texts), `== != < <= > >=`, `and`, `or`, `not`, `in`, `x if y else z`, and `a?.b`, which is none where \
         there is no `a`. Arguments of filters, tests and functions have names.\n\n## Variables\n\nThose of `[vars]`, of the \
         inventory, of the stage and of `--var`, and the program's own:\n\n| variable | |\n|---|---|\n",
    );
    for (name, doc) in TEMPLATE_VARIABLES {
        writeln!(text, "| `{name}` | {doc} |").unwrap();
    }
    text.push_str("\nThe facts:\n\n");
    let mut names = Vec::new();
    facts("facts", &serde_json::to_value(Facts::default()).unwrap(), &mut names);
    names.iter().for_each(|name| writeln!(text, "- {name}").unwrap());
    let mut names = Vec::new();
    facts("disk", &serde_json::to_value(Disk::default()).unwrap(), &mut names);
    writeln!(text, "\nOf each `disk` in `facts.disks`: {}.", names.join(", ")).unwrap();
    text.push_str("\n## Filters\n");
    table(&mut text, &TEMPLATE_FILTERS);
    text.push_str("\n## Tests\n");
    table(&mut text, &TEMPLATE_TESTS);
    text.push_str("\n## Functions\n");
    table(&mut text, &TEMPLATE_FUNCTIONS);
    text.push_str("\n`throw(message='why')` ends the rendering with an error of your own.\n");
    text
}

fn probes() -> String {
    let mut text = String::from(
        "# Probes\n\nA playbook that depends on what a host has asks for it under `[probes]`. All probes are asked in the one \
         observation that every plan makes, and cost no further round trip. What they find stands in templates, `when` \
         and `each` as `probes.NAME.FIELD`.\n\n```toml\n[probes]\nsite  = { path = \"/etc/nginx/sites-enabled/default\" }\n\
         nginx = { package = \"nginx\" }\nswap  = { command = \"swapon --noheadings --show=NAME\" }\n\n[[step]]\n\
         when = \"probes.site.exists and probes.site.type == 'link'\"\n\
         file = { path = \"/etc/nginx/sites-enabled/default\", state = \"absent\" }\n```\n\n\
         A step is decided when its turn comes: what an earlier step of the playbook makes, a later step's probe finds, in \
         the plan as well. Where an earlier step may change the answer in a way that no plan can predict (it installs \
         packages or runs a command), the plan says \"decided at its turn\", and the apply observes the host again there. \
         With `use`, `when` is decided once, for all steps of the playbook that is used.\n\nThe strings of a probe may be \
         templates over variables and facts, not over other probes. Each playbook has probes of its own: one that is used \
         does not see those of the playbook that uses it; hand on what it needs by `with`.\n",
    );
    for kind in &PROBE_KINDS {
        write!(text, "\n## {}\n\nTakes {}.\n\n| field | type | |\n|---|---|---|\n", kind.key, kind.doc).unwrap();
        for field in kind.fields {
            writeln!(text, "| `{}` | {} | {} |", field.name, field.ty, field.doc).unwrap();
        }
    }
    for (key, doc) in PROBE_OPTIONS {
        writeln!(text, "\nBeside `command`, `{key}` takes {doc}.").unwrap();
    }
    text
}

#[test]
fn every_generated_page_is_current() {
    for (name, page) in [("kinds", reference()), ("templates", templates()), ("probes", probes())] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.md"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == page, "docs/{name}.md is not current: UPDATE_DOCS=1 cargo test --test docs");
    }
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
