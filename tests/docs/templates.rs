//! `docs/templates.md`, from the words of the template language, whose examples
//! a test evaluates.

use std::fmt::Write;
use stockade::playbook::{TEMPLATE_FILTERS, TEMPLATE_FUNCTIONS, TEMPLATE_TESTS, TemplateWord};
use stockade::values::OWN_VARIABLES;

fn table(text: &mut String, words: &[TemplateWord]) {
    text.push_str("\n| name | | example | gives |\n|---|---|---|---|\n");
    for word in words {
        let code = |code: &str| code.replace('\n', "\\n").replace('|', "\\|");
        writeln!(text, "| `{}` | {} | `{}` | `{}` |", word.name, word.doc, code(word.example), code(word.gives))
            .unwrap();
    }
}

pub fn page() -> String {
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
         inventory, of the stage and of `--var`, and the program's own, whose names no other variable may have:\n\n| variable | |\n|---|---|\n",
    );
    for (name, doc) in OWN_VARIABLES {
        writeln!(text, "| `{name}` | {doc} |").unwrap();
    }
    text.push_str("\n## Filters\n");
    table(&mut text, &TEMPLATE_FILTERS);
    text.push_str("\n## Tests\n");
    table(&mut text, &TEMPLATE_TESTS);
    text.push_str("\n## Functions\n");
    table(&mut text, &TEMPLATE_FUNCTIONS);
    text.push_str("\n`throw(message='why')` ends the rendering with an error of your own.\n");
    text
}
