//! A light reading of template code: which paths it names, and where.
//!
//! The template engine says what a text needs, not where it says so, nor
//! whether the author reckons with a value that may be missing. This finds
//! both. It never decides whether code is valid; the engine does.

use std::collections::BTreeMap;
use std::ops::Range;

/// A dotted path in template code, such as `item.shell`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathUse {
    /// Its names, from a variable on; what a loop or `set` names is replaced by
    /// what it stands for, an element of an array by [`ELEMENT`].
    pub names: Vec<String>,
    /// As it is written, with dots.
    pub written: String,
    /// Where it stands, in bytes of the text.
    pub range: Range<usize>,
    /// The place, where that is in another file than the text.
    pub elsewhere: Option<String>,
    /// Whether it may be missing: `| default`, `is defined`, `?.` follow it.
    pub guarded: bool,
    /// Whether its value is needed whatever other values are: it stands in no
    /// branch, loop or condition.
    pub certain: bool,
}

/// Stands in [`PathUse::names`] for an element of an array.
pub(super) const ELEMENT: &str = "[]";

/// The paths that a text with `{{ }}` and `{% %}` in it names.
pub(super) fn paths_in_text(text: &str) -> Vec<PathUse> {
    let mut reader = Reader::default();
    let mut at = 0;
    while let Some((start, close)) = next_code(text, at) {
        let end = match close {
            "#}" => text[start..].find(close).map_or(text.len(), |length| start + length),
            _ => end_of_code(text, start, close).unwrap_or(text.len()),
        };
        at = (end + 2).min(text.len());
        while !text.is_char_boundary(at) {
            at += 1;
        }
        match close {
            "}}" => reader.expression(&text[start..end], start),
            "%}" if reader.tag(&text[start..end], start) == "raw" => at = end_of_raw(text, at),
            _ => {}
        }
    }
    reader.found
}

/// The paths that a bare expression names.
pub(super) fn paths_in_expression(text: &str) -> Vec<PathUse> {
    let mut reader = Reader::default();
    reader.expression(text, 0);
    reader.found
}

/// Where the next code of a text begins, and what closes it.
fn next_code(text: &str, from: usize) -> Option<(usize, &'static str)> {
    let opens = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
    let places = opens.into_iter().filter_map(|(open, close)| Some((text[from..].find(open)? + from + 2, close)));
    places.min()
}

/// The next whole `{{ expression }}` of a text.
pub(super) fn next_expression(text: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + text.get(from..)?.find("{{")?;
    Some((start, end_of_code(text, start + 2, "}}")? + 2))
}

/// Where the text goes on after `{% raw %}`.
fn end_of_raw(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(open) = text[at..].find("{%") {
        let start = at + open + 2;
        let Some(length) = text[start..].find("%}") else { break };
        at = start + length + 2;
        if text[start..start + length].trim_matches(['-', ' ', '\t', '\n']) == "endraw" {
            return at;
        }
    }
    text.len()
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

/// Reads code from the beginning of a text to its end.
#[derive(Default)]
struct Reader {
    found: Vec<PathUse>,
    /// The names that loops and `set` give, with the path that they stand for
    /// where it is one.
    locals: BTreeMap<String, Option<Vec<String>>>,
    /// For each loop around: the names outside of it.
    outside: Vec<BTreeMap<String, Option<Vec<String>>>>,
    branches: usize,
}

impl Reader {
    fn expression(&mut self, code: &str, base: usize) {
        let words = || code.split(|c| !is_word(c));
        let choice = words().any(|word| matches!(word, "if" | "and" | "or"));
        self.scan(code, base, self.is_certain() && !choice);
    }

    fn is_certain(&self) -> bool {
        self.branches == 0 && self.outside.is_empty()
    }

    /// Reads what stands in `{% %}`; gives the first word of it.
    fn tag<'c>(&mut self, code: &'c str, base: usize) -> &'c str {
        let start = code.len() - code.trim_start_matches(['-', ' ', '\t', '\n']).len();
        let end = word_end(code, start);
        let (word, rest, at) = (&code[start..end], &code[end..], base + end);
        match word {
            "for" => {
                let Some(named) = rest.find(" in ") else { return word };
                let value = self.value(&rest[named + 4..], at + named + 4);
                self.outside.push(self.locals.clone());
                let names: Vec<&str> = rest[..named].split(',').map(str::trim).collect();
                let element = value.filter(|_| names.len() == 1).map(|path| [path, vec![ELEMENT.to_owned()]].concat());
                self.locals.extend(names.iter().map(|name| ((*name).to_owned(), element.clone())));
                self.locals.insert("loop".to_owned(), None);
            }
            "endfor" => {
                if let Some(outside) = self.outside.pop() {
                    self.locals = outside;
                }
            }
            "set" | "set_global" => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                let value = self.value(value, at + rest.len() - value.len());
                self.locals.insert(name.trim().to_owned(), value);
            }
            "if" => {
                self.branches += 1;
                self.scan(rest, at, false);
            }
            "elif" => self.scan(rest, at, false),
            "endif" => self.branches = self.branches.saturating_sub(1),
            _ => self.scan(rest, at, self.is_certain()),
        }
        word
    }

    /// Reads an expression; gives the path that it is, if it is nothing else.
    fn value(&mut self, code: &str, base: usize) -> Option<Vec<String>> {
        let before = self.found.len();
        self.expression(code, base);
        let whole = code.trim_end_matches('-').trim();
        match &self.found[before..] {
            [path] if path.range.len() == whole.len() => Some(path.names.clone()),
            _ => None,
        }
    }

    /// Notes a path, by what it stands for.
    fn note(&mut self, mut path: PathUse) {
        match self.locals.get(&path.names[0]) {
            Some(None) => return,
            Some(Some(meant)) => _ = path.names.splice(..1, meant.iter().cloned()),
            None => {}
        }
        self.found.push(path);
    }

    fn scan(&mut self, code: &str, base: usize, certain: bool) {
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
            let (names, end) = path_at(code, start);
            at = end;
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
            let (written, range) = (names.join(".").replace(".[]", "[]"), base + start..base + at);
            self.note(PathUse { names, written, range, elsewhere: None, guarded: guards(rest), certain });
        }
    }
}

/// The names of the path that begins at a place, with `a["b"]` as `a.b` and
/// [`ELEMENT`] for `a[0]`, and where it ends.
fn path_at(code: &str, start: usize) -> (Vec<String>, usize) {
    let mut at = word_end(code, start);
    let mut names = vec![code[start..at].to_owned()];
    loop {
        let rest = &code[at..];
        if rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_start)) {
            let end = word_end(code, at + 1);
            names.push(code[at + 1..end].to_owned());
            at = end;
        } else if let Some(inner) = rest.strip_prefix('[').filter(|inner| inner.starts_with(['"', '\'']))
            && let Some((name, _)) = inner[1..].split_once(&inner[..1])
            && inner[name.len() + 2..].starts_with(']')
        {
            names.push(name.to_owned());
            at += name.len() + 4;
        } else if let Some(length) = rest.strip_prefix('[').and_then(|inner| inner.find(']'))
            && length > 0
            && rest[1..=length].bytes().all(|b| b.is_ascii_digit())
        {
            names.push(ELEMENT.to_owned());
            at += length + 2;
        } else {
            return (names, at);
        }
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
#[path = "code_tests.rs"]
mod tests;
