//! `docs/probes.md`, from the table of probes.

use std::fmt::Write;
use stockade::playbook::{PROBE_KINDS, PROBE_OPTIONS};

pub fn page() -> String {
    let mut text = String::from(
        "# Probes\n\nA playbook that depends on what a host has asks for it under `[probes]`. All probes are asked in the one \
         observation that every plan makes, and cost no further round trip. What they find stands in templates, `when` \
         and `each` as `probes.NAME.FIELD`.\n\n```toml\n[probes]\nsite  = { path = \"/etc/nginx/sites-enabled/default\" }\n\
         nginx = { package = \"nginx\" }\nswap  = { command = \"swapon --noheadings --show=NAME\" }\n\n[[step]]\n\
         when = \"probes.site.exists and probes.site.type == 'link'\"\n\
         file = { path = \"/etc/nginx/sites-enabled/default\", state = \"absent\" }\n```\n\n\
         A step is decided when its turn comes: what an earlier step of the playbook makes, a later step's probe finds, in \
         the plan as well. Where an earlier step may change the answer in a way that no plan can predict (it installs \
         or removes packages, runs a command, starts a service or enables it), the plan says \"decided at its turn\", and the apply observes the host again there. \
         What a command finds may change with anything; only where it is made of `cat`, `test`, `grep` and the like over \
         files that it names does its answer hold while other files change. \
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
