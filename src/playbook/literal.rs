//! From a place in a string's value to the place in the TOML that says it.

use crate::values::Span;
use std::ops::Range;

/// The part of a string literal that stands for a range of its value; the
/// whole literal where the value was not written there letter by letter.
pub(super) fn locate(literal: &Span, value: &str, range: &Range<usize>) -> Span {
    let raw = literal.source.text.get(literal.range.clone()).unwrap_or("");
    let Some(offsets) = offsets(raw, value) else { return literal.clone() };
    let place = |at: usize| offsets.get(at).map(|offset| literal.range.start + offset);
    match (place(range.start), place(range.end)) {
        (Some(start), Some(end)) if start <= end => Span { source: literal.source.clone(), range: start..end },
        _ => literal.clone(),
    }
}

/// For every byte of the value (and its end) the offset in the literal.
fn offsets(raw: &str, value: &str) -> Option<Vec<usize>> {
    let (delimiter, basic) = match raw {
        _ if raw.starts_with("\"\"\"") => ("\"\"\"", true),
        _ if raw.starts_with("'''") => ("'''", false),
        _ if raw.starts_with('"') => ("\"", true),
        _ if raw.starts_with('\'') => ("'", false),
        _ if raw == value => ("", false),
        _ => return None,
    };
    let body = raw.strip_prefix(delimiter)?.strip_suffix(delimiter)?;
    let mut at = delimiter.len();
    let mut rest = body;
    if delimiter.len() == 3 {
        let after = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
        at += rest.len() - after.len();
        rest = after;
    }
    let mut map = Vec::with_capacity(value.len() + 1);
    let mut decoded = String::with_capacity(value.len());
    while let Some(c) = rest.chars().next() {
        let (length, unit) = if basic && c == '\\' { escape(rest)? } else { (c.len_utf8(), Some(c)) };
        if let Some(unit) = unit {
            map.extend(std::iter::repeat_n(at, unit.len_utf8()));
            decoded.push(unit);
        }
        at += length;
        rest = rest.get(length..)?;
    }
    map.push(at);
    (decoded == value).then_some(map)
}

/// The length of an escape and the character it stands for (TOML 1.1,
/// "String"); none for a line that goes on.
fn escape(text: &str) -> Option<(usize, Option<char>)> {
    let code = |length: usize| {
        let digits = text.get(2..2 + length)?;
        Some((2 + length, Some(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?)))
    };
    let simple = |c| Some((2, Some(c)));
    match text[1..].chars().next()? {
        'b' => simple('\u{8}'),
        't' => simple('\t'),
        'n' => simple('\n'),
        'f' => simple('\u{c}'),
        'r' => simple('\r'),
        'e' => simple('\u{1b}'),
        '"' => simple('"'),
        '\\' => simple('\\'),
        'x' => code(2),
        'u' => code(4),
        'U' => code(8),
        c if c.is_whitespace() => Some((1 + text[1..].len() - text[1..].trim_start().len(), None)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::values::{Source, parse_document};

    fn found(toml: &str, word: &str) -> String {
        let (root, errors) = parse_document(&Source::new("t", toml));
        assert!(errors.is_empty(), "{errors:?}");
        let node = root.get("a").unwrap();
        let value = node.as_str().unwrap();
        let start = value.find(word).unwrap();
        let span = locate(&node.span, value, &(start..start + word.len()));
        format!("{span} {}", &toml[span.range.clone()])
    }

    #[test]
    fn a_word_is_found_in_every_form_of_string() {
        assert_eq!(found("a = \"x {{ b }}\"", "b"), "t:1:11 b");
        assert_eq!(found("a = 'x {{ b }}'", "b"), "t:1:11 b");
        assert_eq!(found("a = \"\\n\\u00e9{{ b }}\"", "b"), "t:1:17 b");
        assert_eq!(found("a = \"\"\"\nx\n{{ b }}\"\"\"", "b"), "t:3:4 b");
        assert_eq!(found("a = '''\nx\n {{ b }}'''", "b"), "t:3:5 b");
        assert_eq!(found("a = \"\"\"x \\\n   {{ b }}\"\"\"", "b"), "t:2:7 b");
    }
}
