//! Names of the operator's variables.

use super::{Diagnostic, Span};

/// The names that the program gives itself and nobody else may.
pub const RESERVED_VARIABLES: [&str; 6] = ["item", "host", "facts", "probes", "stage", "env"];

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
