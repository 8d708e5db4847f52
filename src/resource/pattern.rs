//! Regular expressions of steps that edit files, and the texts that take up
//! their groups. There is one dialect: that of the crate `regex`.

use super::Args;
use regex::{Captures, Regex, RegexBuilder};

/// An expression that is matched against single lines.
pub(super) fn of_line(args: &mut Args<'_>, field: &str) -> Option<Regex> {
    let text = args.string(field)?;
    if text.is_empty() || text.contains(['\0', '\n']) {
        args.wrong_value(field, format!("'{field}' must be an expression for one line, and not empty"));
        return None;
    }
    parse(args, field, &text)
}

/// An expression that is matched against a whole text, in which `^` and `$`
/// stand for the beginning and the end of every line.
pub(super) fn of_text(args: &mut Args<'_>, field: &str) -> Option<Regex> {
    let text = args.string(field)?;
    if text.is_empty() || text.contains('\0') {
        args.refuse(field, format!("'{field}' must not be empty"));
        return None;
    }
    parse(args, field, &text)
}

fn parse(args: &mut Args<'_>, field: &str, text: &str) -> Option<Regex> {
    match RegexBuilder::new(text).multi_line(true).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let shown = error.to_string();
            let reason = shown.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            args.wrong_value(field, format!("'{field}' is not a regular expression: {reason}"));
            None
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

/// A text with references to the groups of an expression: `\1` to `\9`, `$1`,
/// `${1}`, `${name}`, and 0 for all that was matched. `\\1`, `$$1` and `$${1}`
/// stand for the signs themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replacement(Vec<Part>);

impl Replacement {
    /// The text of a field, for the matches of an expression.
    pub(super) fn of(args: &mut Args<'_>, field: &str, text: &str, regex: &Regex) -> Replacement {
        let groups = regex.captures_len();
        let mut parts = vec![Part::Text(String::new())];
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let found = reference(rest, regex);
            let (taken, part) = match found {
                Some(Reference { length, group: Group::Is(number) }) => (length, Some(Part::Group(number))),
                Some(Reference { length, group: Group::Escaped }) => {
                    push(&mut parts, &rest[1..length]);
                    (length, None)
                }
                Some(Reference { length, group: Group::Missing }) => {
                    let there = match groups {
                        1 => "'match' has no groups".to_owned(),
                        _ => format!("the groups of 'match' are 1 to {}", groups - 1),
                    };
                    let signs = &rest[..length];
                    args.refuse(
                        field,
                        format!(
                            "'{field}' names a group as {signs}, but {there}; write {}{signs} for the signs themselves",
                            &signs[..1]
                        ),
                    );
                    (length, None)
                }
                None => {
                    push(&mut parts, &rest[..next.len_utf8()]);
                    (next.len_utf8(), None)
                }
            };
            parts.extend(part);
            rest = &rest[taken..];
        }
        Replacement(parts)
    }

    /// A text that stands for itself.
    pub(super) fn literal(text: &str) -> Replacement {
        Replacement(vec![Part::Text(text.to_owned())])
    }

    /// Whether it names groups.
    pub(super) fn has_groups(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Group(_)))
    }

    /// The text without groups.
    pub(super) fn signs(&self) -> String {
        self.0.iter().map(|part| if let Part::Text(text) = part { text.as_str() } else { "" }).collect()
    }

    /// The text for one match. A group that took no part in it is empty.
    pub(super) fn expand(&self, captures: &Captures<'_>) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Group(number) => captures.get(*number).map(|group| group.as_str().to_owned()).unwrap_or_default(),
        };
        self.0.iter().map(text).collect()
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

enum Group {
    Is(usize),
    Missing,
    /// The signs of a reference that shall stand for themselves, after one more.
    Escaped,
}

/// A reference at the beginning of a text.
struct Reference {
    /// In bytes.
    length: usize,
    group: Group,
}

/// The length of what an escape stands before: a reference, and the signs of one
/// to a number, which an escape makes literal whether or not there are groups.
fn escaped(text: &str, regex: &Regex) -> Option<usize> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let bare = text.strip_prefix('$').map(digits).filter(|count| *count > 0).map(|count| count + 1);
    let braced = text.strip_prefix("${").and_then(|rest| {
        let count = digits(rest);
        (count > 0 && rest[count..].starts_with('}')).then_some(count + 3)
    });
    bare.or(braced).or_else(|| reference(text, regex).map(|found| found.length))
}

fn reference(text: &str, regex: &Regex) -> Option<Reference> {
    let groups = regex.captures_len();
    let number = |number: usize| if number < groups { Group::Is(number) } else { Group::Missing };
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| usize::from(byte - b'0'));
    match (bytes.first()?, bytes.get(1)?) {
        (b'\\', b'\\') if digit(2).is_some() => Some(Reference { length: 3, group: Group::Escaped }),
        (b'\\', _) => digit(1).map(|named| Reference { length: 2, group: number(named) }),
        (b'$', b'$') => {
            let length = escaped(&text[1..], regex)?;
            Some(Reference { length: length + 1, group: Group::Escaped })
        }
        // A script's own arguments are written so: without groups they are no reference.
        (b'$', b'0'..=b'9') if groups == 1 => None,
        (b'$', b'0'..=b'9') => {
            let digits = bytes.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
            let group = text[1..=digits].parse().map_or(Group::Missing, number);
            Some(Reference { length: digits + 1, group })
        }
        (b'$', b'{') => {
            let name = &text[2..2 + text[2..].find('}')?];
            let group = match name.parse::<usize>() {
                Ok(_) if groups == 1 => return None,
                Ok(named) => number(named),
                Err(_) => Group::Is(regex.capture_names().position(|group| group == Some(name))?),
            };
            Some(Reference { length: name.len() + 3, group })
        }
        _ => None,
    }
}
