//! `docs/kinds.md`, from the table of kinds.

use super::cell;
use std::fmt::Write;
use stockade::resource::KINDS;

pub fn page() -> String {
    let mut text = String::from(
        "# Resource kinds\n\nEvery step of a playbook has one of these. Beside it a step takes the keys that every step \
         has: `name`, `when`, `each`, `tags`, `restart`, `reload`, `guard`, `sensitive` and `control` (see \
         [Keys of a step](playbooks.md#keys-of-a-step)). Any string may be a [template](templates.md).\n",
    );
    for kind in KINDS {
        write!(text, "\n## {}\n\n{}\n\n| field | takes | |\n|---|---|---|\n", kind.name, kind.summary).unwrap();
        for field in kind.fields {
            let needed = if field.required { "**needed**; " } else { "" };
            writeln!(text, "| `{}` | {} | {needed}{} |", field.name, cell(&field.ty.describe()), cell(field.doc))
                .unwrap();
        }
    }
    text
}
