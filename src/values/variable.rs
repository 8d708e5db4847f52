//! Names of the operator's variables.

use super::{Diagnostic, Span};

/// The variables that the program gives itself and nobody else may, with what they are.
pub const OWN_VARIABLES: [(&str, &str); 6] = [
    ("item", "the element at hand, in a step with `each`"),
    ("host", "the host at hand: `host.name`, `host.address` and `host.groups`, from the inventory"),
    ("facts", "what the host is: see [facts.md](facts.md); `stockade facts` prints them"),
    ("probes", "what the playbook's own probes find: see [probes.md](probes.md)"),
    ("stage", "the name of the host's stage, or an empty text"),
    (
        "env",
        "reserved, and defined nowhere: the environment of a stage never enters templates; the kind `env` writes it to \
         a file",
    ),
];

/// The names of [`OWN_VARIABLES`].
pub const RESERVED_VARIABLES: [&str; OWN_VARIABLES.len()] = {
    let mut names = [""; OWN_VARIABLES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = OWN_VARIABLES[at].0;
        at += 1;
    }
    names
};

/// What is wrong with a variable's name, if anything. A template must be able
/// to name it: letters, digits and `_`, not a digit first.
pub fn check_variable(name: &str, span: &Span) -> Option<Diagnostic> {
    if RESERVED_VARIABLES.contains(&name) {
        let error = Diagnostic::new(span.clone(), format!("the variable '{name}' is the program's own"));
        return Some(error.with_help("choose another name"));
    }
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let message = format!("'{}' cannot be the name of a variable: templates could not name it", name.escape_debug());
    Some(Diagnostic::new(span.clone(), message).with_help("use letters, digits and '_', and begin with a letter"))
}
