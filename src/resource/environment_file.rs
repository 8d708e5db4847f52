//! The file format of `EnvironmentFile=` (systemd.exec(5)), written and read
//! as systemd does it (`src/basic/env-file.c`).
//!
//! Every value stands between double quotes, where only `"`, `\`, `` ` `` and
//! `$` need a backslash and where newlines, `#`, `;`, quotes and white space
//! are just text. systemd expands nothing in such a file. What would keep the
//! unit from starting, or be dropped with a line in the log only, is refused here.

use crate::values::{EnvKey, Secret};
use std::collections::BTreeMap;

/// First line of every file that is written.
const HEADER: &str = "# Written by stockade; changes made here are overwritten.\n";

/// The longest `KEY=value` with its NUL that Linux passes to a program
/// (`MAX_ARG_STRLEN`, execve(2)), in bytes.
const LONGEST: usize = 128 * 1024;

/// Why a value cannot be carried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of '{key}' cannot be put into an environment file: {reason}")]
pub struct Unfit {
    key: EnvKey,
    reason: &'static str,
}

/// The file for an environment: sorted, one comment line first.
///
/// # Errors
/// The first value that systemd or the kernel would not carry.
pub fn write(environment: &BTreeMap<EnvKey, Secret>) -> Result<Vec<u8>, Unfit> {
    let mut text = HEADER.to_owned();
    for (key, value) in environment {
        let value = value.expose();
        if let Some(reason) = unfit(key, value) {
            return Err(Unfit { key: key.clone(), reason });
        }
        text.push_str(key.as_str());
        text.push_str("=\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '`' | '$') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    Ok(text.into_bytes())
}

/// Why a value would not arrive, if it would not.
fn unfit(key: &EnvKey, value: &str) -> Option<&'static str> {
    // Up to v246 systemd drops a value with a control character; newer ones keep it.
    if value.chars().any(|c| c.is_ascii_control() && !matches!(c, '\n' | '\t' | '\r')) {
        return Some("it has a control character other than newline, return and tab");
    }
    // To systemd a noncharacter is not UTF-8: the unit would not start ("Invalid argument").
    if value.chars().any(|c| matches!(c as u32, 0xfdd0..=0xfdef) || (c as u32) & 0xfffe == 0xfffe) {
        return Some("it has a Unicode noncharacter, at which systemd refuses the whole file");
    }
    if key.as_str().len() + value.len() + 2 > LONGEST {
        return Some("it is longer than 128 KiB, which no program can be given");
    }
    None
}

/// What systemd would read from a file: the last value of each valid name.
pub fn read(bytes: &[u8]) -> BTreeMap<EnvKey, Secret> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.chars().peekable();
    let mut found = BTreeMap::new();
    while let Some(&first) = rest.peek() {
        if first.is_ascii_whitespace() {
            rest.next();
        } else if matches!(first, '#' | ';') {
            rest.by_ref().find(|c| is_newline(*c));
        } else if let Some((key, value)) = assignment(&mut rest)
            && let Ok(key) = key.trim_end().parse::<EnvKey>()
        {
            found.insert(key, Secret::new(value));
        }
    }
    found
}

fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// One `KEY=value`, the end of its line included; none for a line without `=`.
fn assignment(rest: &mut std::iter::Peekable<impl Iterator<Item = char>>) -> Option<(String, String)> {
    let mut key = String::new();
    loop {
        match rest.next() {
            Some('=') => break,
            Some(c) if !is_newline(c) => key.push(c),
            _ => return None,
        }
    }
    let mut value = String::new();
    // How much of the value stays when white space at the end is cut off.
    let mut solid = 0;
    let mut at_start = true;
    while let Some(c) = rest.next() {
        match c {
            c if is_newline(c) => break,
            '"' | '\'' if at_start => {
                quoted(rest, c, &mut value);
                solid = value.len();
            }
            '\\' => {
                at_start = false;
                value.extend(rest.next().filter(|c| !is_newline(*c)));
                solid = value.len();
            }
            c if c.is_ascii_whitespace() && at_start => {}
            c => {
                at_start = false;
                value.push(c);
                solid = if c.is_ascii_whitespace() { solid } else { value.len() };
            }
        }
    }
    value.truncate(solid);
    Some((key, value))
}

/// The inside of quotes, their end included.
fn quoted(rest: &mut impl Iterator<Item = char>, quote: char, value: &mut String) {
    while let Some(c) = rest.next() {
        match c {
            c if c == quote => return,
            '\\' if quote == '"' => match rest.next() {
                Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                Some('\n') | None => {}
                Some(c) => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "environment_file_tests.rs"]
mod tests;
