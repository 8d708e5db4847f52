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
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<EnvKey, Secret> {
        pairs.iter().map(|(key, value)| (key.parse().unwrap(), Secret::new(*value))).collect()
    }

    #[test]
    fn values_are_quoted_sorted_and_below_one_comment() {
        let bytes = write(&environment(&[("B", "a\nb"), ("A", "\"$x`\\ #;'")])).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, format!("{HEADER}A=\"\\\"\\$x\\`\\\\ #;'\"\nB=\"a\nb\"\n"));
    }

    #[test]
    fn what_systemd_would_drop_is_refused_without_showing_it() {
        for bad in ["top\0secret", "top\x1bsecret", "top\x7fsecret", "top\u{fdd0}secret", "top\u{1fffe}secret"] {
            let error = write(&environment(&[("KEY", bad)])).unwrap_err().to_string();
            assert!(error.contains("'KEY'") && !error.contains("secret"), "{error}");
        }
        let long = "x".repeat(LONGEST - "KEY=".len() - 1);
        assert!(write(&environment(&[("KEY", &long)])).is_ok());
        assert!(write(&environment(&[("KEY", &format!("{long}x"))])).is_err());
    }

    #[test]
    fn a_file_written_by_hand_is_read_as_systemd_reads_it() {
        let text = "# c\n; c\n\nA = b  c \nB='x\\y\n z' \nC=\"a\\nb\\\"\\\nc\"\nD=a\\\nb\nnothing\n1X=no\nE=\nA=last\nF=\"a\"'b'c";
        let expected = [("A", "last"), ("B", "x\\y\n z"), ("C", "a\\nb\"c"), ("D", "ab"), ("E", ""), ("F", "abc")];
        assert_eq!(read(text.as_bytes()), environment(&expected));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(values in proptest::collection::vec("[\\PC\n\t\r]{0,12}", 0..6)) {
            let pairs = values.iter().enumerate();
            let all: BTreeMap<EnvKey, Secret> =
                pairs.map(|(n, value)| (format!("K{n}").parse().unwrap(), Secret::new(value.as_str()))).collect();
            if let Ok(bytes) = write(&all) {
                proptest::prop_assert!(read(&bytes).iter().map(|(k, v)| (k, v.expose())).eq(all.iter().map(|(k, v)| (k, v.expose()))));
            }
        }
    }
}
