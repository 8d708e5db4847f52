//! `[env.required]`: which variables must be there, and what they must be.

use super::file::{EnvValue, StageFile};
use crate::values::{AbsPath, Diagnostic, EnvKey, TableEntry};
use std::collections::BTreeMap;

/// A type: its name, the test for it, and what it wants.
type Type = (&'static str, fn(&str) -> bool, &'static str);

/// The types. No message about them may show a value: it is a secret.
const TYPES: [Type; 6] = [
    ("string", |_| true, "any text"),
    ("integer", |text| text.parse::<i64>().is_ok(), "a whole number"),
    ("boolean", |text| matches!(text, "true" | "false"), "true or false"),
    ("url", is_url, "a URL with scheme, such as \"https://example.org\""),
    ("port", |text| text.parse::<u16>().is_ok_and(|port| port > 0), "a port number from 1 to 65535"),
    ("path", |text| text.parse::<AbsPath>().is_ok(), "an absolute path without '.' and '..'"),
];

/// Checks the merged environment against the declarations of all files; where
/// two declare a name, the later one counts.
pub(super) fn check(files: &[StageFile], env: &BTreeMap<EnvKey, EnvValue>, errors: &mut Vec<Diagnostic>) {
    let Some(top) = files.last() else { return };
    let mut declared: BTreeMap<&str, &TableEntry> = BTreeMap::new();
    for entry in files.iter().flat_map(|file| &file.required) {
        declared.insert(&entry.key, entry);
    }
    for entry in declared.into_values() {
        errors.extend(check_one(entry, env, &top.name).err());
    }
}

fn check_one(entry: &TableEntry, env: &BTreeMap<EnvKey, EnvValue>, file: &str) -> Result<(), Diagnostic> {
    let key: EnvKey = entry.key.parse().map_err(|why| Diagnostic::new(entry.key_span.clone(), format!("{why}")))?;
    let Some(written) = entry.node.as_str() else {
        let message = format!("the type of '{key}' must be a string, not {}", entry.node.type_name());
        return Err(Diagnostic::new(entry.node.span.clone(), message).with_help(format!("types: {}", names())));
    };
    let (word, optional) = match written.strip_suffix('?') {
        Some(word) => (word, true),
        None => (written, false),
    };
    let Some((_, fits, wants)) = TYPES.iter().find(|(name, ..)| *name == word) else {
        let message = format!("\"{}\" is not a type that a variable can have", written.escape_debug());
        let near = crate::values::suggest(word, TYPES.map(|(name, ..)| name));
        let near = near.map(|near| format!("did you mean '{near}'? ")).unwrap_or_default();
        return Err(Diagnostic::new(entry.node.span.clone(), message)
            .with_help(format!("{near}types: {}; a '?' behind it makes the variable optional", names())));
    };
    match env.get(&key) {
        None if optional => Ok(()),
        None => Err(Diagnostic::new(entry.key_span.clone(), format!("the required variable '{key}' is missing"))
            .with_help(format!("add {key} = \"…\" ({wants}) under [env] in {file}"))),
        Some(value) if fits(value.text.expose()) => Ok(()),
        Some(value) => {
            Err(Diagnostic::new(value.span.clone(), format!("the value of '{key}' is not of type '{word}'"))
                .with_help(format!("it must be {wants}")))
        }
    }
}

fn names() -> String {
    TYPES.map(|(name, ..)| name).join(", ")
}

/// RFC 3986 as far as a mistake would show: a scheme, `://`, something behind it,
/// and no white space or control characters.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
        && !rest.is_empty()
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(name: &str, value: &str) -> bool {
        TYPES.iter().any(|(found, fits, _)| *found == name && fits(value))
    }

    #[test]
    fn each_type_takes_what_it_says_and_nothing_else() {
        for (name, good, bad) in [
            ("string", vec!["", "x"], vec![]),
            ("integer", vec!["0", "-7"], vec!["", "1.5", "0x1", " 1"]),
            ("boolean", vec!["true", "false"], vec!["", "1", "yes", "True"]),
            ("url", vec!["https://a.b/c?d", "unix:///run/x.sock"], vec!["", "a.b", "://x", "http://", "http://a b"]),
            ("port", vec!["1", "65535"], vec!["0", "65536", "-1", ""]),
            ("path", vec!["/a/b"], vec!["a", "/a/../b", ""]),
        ] {
            good.iter().for_each(|value| assert!(fits(name, value), "{name} {value:?}"));
            bad.iter().for_each(|value| assert!(!fits(name, value), "{name} {value:?}"));
        }
    }
}
