//! A light reading of template code: which paths it names, and where.
//!
//! The template engine says what a text needs, not where it says so, nor
//! whether the author reckons with a value that may be missing. This finds
//! both. It never decides whether code is valid; the engine does.

use std::ops::Range;

/// A dotted path in template code, such as `item.shell`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathUse {
    /// Its names.
    pub names: Vec<String>,
    /// Where it stands, in bytes of the text.
    pub range: Range<usize>,
    /// Whether it may be missing: `| default`, `is defined`, `?.` follow it.
    pub guarded: bool,
}

/// The paths that a text with `{{ }}` and `{% %}` in it names.
pub(super) fn paths_in_text(text: &str) -> Vec<PathUse> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").into_iter().chain(text[at..].find("{%")).min() {
        let start = at + open + 2;
        let close = if text[start - 1..].starts_with('{') { "}}" } else { "%}" };
        let end = end_of_code(text, start, close).unwrap_or(text.len());
        scan(&text[start..end], start, &mut found);
        at = (end + 2).min(text.len());
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    found
}

/// The paths that a bare expression names.
pub(super) fn paths_in_expression(text: &str) -> Vec<PathUse> {
    let mut found = Vec::new();
    scan(text, 0, &mut found);
    found
}

/// Where the code that begins at `start` ends: at `close` outside quotes.
pub(super) fn end_of_code(text: &str, start: usize, close: &str) -> Option<usize> {
    let mut quote = None;
    for (offset, c) in text[start..].char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if text[start + offset..].starts_with(close) => return Some(start + offset),
            None => {}
        }
    }
    None
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_end(code: &str, from: usize) -> usize {
    code[from..].find(|c| !is_word(c)).map_or(code.len(), |length| from + length)
}

const KEYWORDS: [&str; 16] = [
    "and", "or", "not", "in", "is", "if", "elif", "else", "for", "endif", "endfor", "set", "true", "false", "none",
    "None",
];

fn scan(code: &str, base: usize, found: &mut Vec<PathUse>) {
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = code[at..].chars().next() {
        if matches!(c, '"' | '\'' | '`') {
            let body = at + 1;
            at = code[body..].find(c).map_or(code.len(), |length| body + length + 1);
            before = c;
            continue;
        }
        if !is_start(c) || is_word(before) || before == '.' || before == '|' {
            if !c.is_whitespace() || before != '|' {
                before = c;
            }
            at += c.len_utf8();
            continue;
        }
        let start = at;
        let mut names = Vec::new();
        loop {
            let end = word_end(code, at);
            names.push(code[at..end].to_owned());
            at = end;
            let mut rest = code[at..].chars();
            if rest.next() == Some('.') && rest.next().is_some_and(is_start) {
                at += 1;
            } else {
                break;
            }
        }
        before = 'x';
        let rest = code[at..].trim_start();
        let assigned = rest.starts_with('=') && !rest.starts_with("==");
        let called = rest.starts_with('(');
        if assigned || called || names.len() == 1 && KEYWORDS.contains(&names[0].as_str()) {
            // A filter or test name after `is` is no path either.
            if names[0] == "is" {
                at += tested_name(&code[at..]);
            }
            continue;
        }
        found.push(PathUse { names, range: base + start..base + at, guarded: guards(rest) });
    }
}

/// How many bytes the name of a test takes, with the space and `not` before it.
fn tested_name(code: &str) -> usize {
    let mut at = code.len() - code.trim_start().len();
    for _ in 0..2 {
        let end = word_end(code, at);
        let not = &code[at..end] == "not";
        at = end;
        if !not {
            break;
        }
        at += code[at..].len() - code[at..].trim_start().len();
    }
    at
}

fn guards(rest: &str) -> bool {
    if rest.starts_with("?.") || rest.starts_with("?[") {
        return true;
    }
    let mut words = rest.split(|c: char| c.is_whitespace() || c == '(').filter(|word| !word.is_empty());
    if let Some(filter) = rest.strip_prefix('|') {
        return filter.trim_start().starts_with("default");
    }
    if words.next() != Some("is") {
        return false;
    }
    let tested = match words.next() {
        Some("not") => words.next(),
        other => other,
    };
    tested.is_some_and(|word| {
        let word = word.trim_end_matches(|c| !is_word(c));
        word == "defined" || word == "undefined"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(paths: Vec<PathUse>) -> Vec<String> {
        paths.iter().map(|p| format!("{}{}", p.names.join("."), if p.guarded { "?" } else { "" })).collect()
    }

    #[test]
    fn paths_are_found_and_words_that_are_none_are_not() {
        let code = "a.b in ['x', y] and not c | default(value=d) or e is not defined and f is string ~ g(h=1)";
        assert_eq!(shown(paths_in_expression(code)), ["a.b", "y", "c?", "d", "e?", "f"]);
    }

    #[test]
    fn only_what_stands_in_code_counts() {
        assert_eq!(shown(paths_in_text("é a {{ b | upper }} c {% if d.e == '}}' %} {{ x?.y }}")), ["b", "d.e", "x?"]);
        assert_eq!(shown(paths_in_text("{{ unfinished")), ["unfinished"]);
    }
}
