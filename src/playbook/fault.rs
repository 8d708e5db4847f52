//! What is wrong with a template, in the operator's words.

use super::reference::{TEMPLATE_FILTERS, TEMPLATE_FUNCTIONS, TEMPLATE_TESTS, TemplateWord};
use crate::values::suggest;
use std::ops::Range;
use tera::{ErrorKind, ReportError};

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What.
    pub message: String,
    /// Where, in bytes of the text.
    pub range: Option<Range<usize>>,
    /// In which file, if it is not the text itself.
    pub file: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// What is possible there.
    pub possible: Option<String>,
}

impl Fault {
    /// A fault at a place of the text.
    pub fn new(message: String, range: Option<Range<usize>>) -> Fault {
        Fault { message, range, file: None, help: None, possible: None }
    }

    /// The advice with all that is possible.
    pub fn advice(&self) -> Option<String> {
        let parts: Vec<&str> = [&self.help, &self.possible].into_iter().flatten().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

/// Advice for what is written as in other template languages.
const NAMED: &str = "arguments of filters and tests have names: default(value='x'), starting_with(pat='x')";
/// Advice for an element that is taken as a member.
const NUMBERED: &str = "an element of an array is taken by its number in brackets: list[0]";
/// Advice for text that holds `{{ }}` of another template language.
pub(super) const RAW: &str =
    "text with {{ }} of its own, as of Go templates or GitHub Actions, stands between {% raw %} and {% endraw %}";
/// What the engine is told to say of a value that is not defined.
pub(super) const UNDEFINED: &str = "the value is undefined";

/// The tags of the template language, as advice lists them.
const TAGS: [&str; 10] = ["if", "elif", "else", "endif", "for", "endfor", "set", "include", "raw", "endraw"];

/// Puts the engine's error in our words and at its places in the text, which
/// stands `lead` bytes into what the engine was given.
pub(super) fn faults(error: &tera::Error, main: &str, text: &str, lead: usize) -> Vec<Fault> {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => vec![of_report(report, main, text, lead)],
        kind => {
            let whole = kind.to_string();
            let listed = unknown_words(&whole, main, text, lead);
            if listed.is_empty() {
                let first = whole.lines().next().unwrap_or("").trim_start_matches("error: ");
                let word = first.split('`').nth(1).unwrap_or("");
                let range = text.find(word).filter(|_| !word.is_empty()).map(|at| at..at + word.len());
                return vec![Fault::new(lower(first), range)];
            }
            listed
        }
    }
}

fn of_report(report: &ReportError, main: &str, text: &str, lead: usize) -> Fault {
    let elsewhere = report.filename() != main && !report.filename().is_empty();
    let place = report.span().range.start.saturating_sub(lead)..report.span().range.end.saturating_sub(lead);
    let inside = place.start < text.len() && !elsewhere;
    let place = place.start..place.end.min(text.len());
    let said = report.message();
    let quoted = text.get(place.clone()).unwrap_or("").trim();
    let next = text.get(place.start..).and_then(|rest| rest.chars().next()).map(String::from).unwrap_or_default();
    if said.ends_with(UNDEFINED) {
        return Fault::new(format!("'{}' is undefined", text.trim()), Some(trimmed(text)));
    }
    let (message, help) = match lower(said) {
        _ if said == "Tried to render a variable that is undefined" && inside => {
            (format!("'{quoted}' is undefined"), None)
        }
        message if elsewhere => (message, None),
        message if message.ends_with("expected identifier") => {
            let dot = quoted.starts_with('.') || text.get(..place.start).is_some_and(|before| before.ends_with('.'));
            ("a name is expected here".to_owned(), Some(if dot { NUMBERED } else { NAMED }.to_owned()))
        }
        message if message == "unknown tag" => unknown_tag(quoted),
        message if message == "unexpected end of input" => ended(text),
        message if message == "unexpected character" => unexpected(&next, "operator", true),
        message => match message.strip_prefix("found ").and_then(|rest| rest.split_once(" but expected ")) {
            Some((found, expected)) => unexpected(found.trim_matches('`'), expected, inside || lead == 0),
            None => (message, None),
        },
    };
    let help = if is_foreign(text, place.start) { Some(RAW.to_owned()) } else { help };
    let file = elsewhere
        .then(|| format!("{}:{}:{}", report.filename(), report.span().start_line, report.span().start_col + 1));
    // What the engine misses behind the text is missing at its end.
    let range = if inside { Some(place) } else { Some(trimmed(text)).filter(|_| !elsewhere) };
    Fault { file, help, ..Fault::new(message, range) }
}

/// `found X but expected …`, without the engine's list of all that it can read.
fn unexpected(found: &str, expected: &str, inside: bool) -> (String, Option<String>) {
    let help = match found.chars().next() {
        Some('=') => Some("compare with '==', as in \"a == 'b'\"".to_owned()),
        Some('&') => Some("write 'and'".to_owned()),
        Some('|' | '!') => Some("write 'or' and 'not'; one '|' stands before a filter".to_owned()),
        _ => None,
    };
    let message = match expected {
        // The engine has read on beyond an expression that stands alone.
        _ if !inside => "the expression ends where a value is expected".to_owned(),
        _ if expected.contains("ident,") => format!("unexpected `{found}` where a value is expected"),
        ")" | "operator" => format!("unexpected `{found}` in this expression"),
        expected => format!("unexpected `{found}` where `{}` is expected", expected.trim_matches('`')),
    };
    (message, help)
}

fn ended(text: &str) -> (String, Option<String>) {
    let last = |word: &str| text.rfind(word).map(|at| at + 1).unwrap_or_default();
    let open = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")].into_iter().find(|(open, close)| last(open) > last(close));
    match open {
        Some((open, close)) => {
            (format!("unexpected end of input: '{open}' is not closed"), Some(format!("write '{close}' after it")))
        }
        None => (
            "unexpected end of input: a tag is not closed".to_owned(),
            Some("{% if %} ends with {% endif %}, {% for %} with {% endfor %}, {% raw %} with {% endraw %}".to_owned()),
        ),
    }
}

fn unknown_tag(word: &str) -> (String, Option<String>) {
    let help = match (TAGS.contains(&word), suggest(word, TAGS)) {
        (true, _) => format!("nothing before it is open that '{word}' could belong to"),
        (false, Some(near)) => format!("did you mean '{near}'? tags: {}", TAGS.join(", ")),
        (false, None) => format!("tags: {}", TAGS.join(", ")),
    };
    (format!("unknown tag '{word}'"), Some(help))
}

/// The filters, tests and functions that a text names and that do not exist:
/// the engine reports all of them in one text, `error: Unknown filter `x`` with
/// a line `--> file:line:column` below each.
fn unknown_words(reports: &str, main: &str, text: &str, lead: usize) -> Vec<Fault> {
    let mut found: Vec<Fault> = Vec::new();
    let mut lines = reports.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((sort, word)) = line.strip_prefix("error: Unknown ").and_then(|rest| rest.split_once(" `")) else {
            continue;
        };
        let word = word.trim_end_matches('`');
        let known: &[TemplateWord] = match sort {
            "filter" => &TEMPLATE_FILTERS,
            "test" => &TEMPLATE_TESTS,
            "function" => &TEMPLATE_FUNCTIONS,
            _ => &[],
        };
        let names: Vec<&str> = known.iter().map(|word| word.name).collect();
        let help = suggest(word, names.iter().copied()).map(|near| format!("did you mean '{near}'?"));
        let possible = (!names.is_empty()).then(|| format!("{sort}s: {}", names.join(", ")));
        let place = lines.peek().and_then(|line| line.trim_start().strip_prefix("--> ")).unwrap_or_default();
        let mut parts = place.rsplitn(3, ':');
        let column = parts.next().and_then(|text| text.parse::<usize>().ok());
        let row = parts.next().and_then(|text| text.parse::<usize>().ok());
        let file = parts.next().filter(|file| *file != main).map(|_| place.to_owned());
        let offset = row.zip(column).and_then(|(row, column)| {
            let before: usize = text.split_inclusive('\n').take(row.checked_sub(1)?).map(str::len).sum();
            let at = before + column.checked_sub(1)?;
            if row == 1 { at.checked_sub(lead) } else { Some(at) }
        });
        let range = offset.map(|at| at..at + word.len());
        let range = range.filter(|range| file.is_none() && text.get(range.clone()) == Some(word));
        let range = range.or_else(|| text.find(word).filter(|_| file.is_none()).map(|at| at..at + word.len()));
        let fault = Fault { file, help, possible, ..Fault::new(format!("unknown {sort} `{word}`"), range) };
        if !found.contains(&fault) {
            found.push(fault);
        }
    }
    found
}

/// Whether the code around a place is that of another template language: of Go
/// (`{{.Name}}`, `{{range .}}`, `{{ $x }}`), Mustache (`{{#list}}`) or GitHub
/// Actions (`${{ x.y }}`).
pub(super) fn is_foreign(text: &str, at: usize) -> bool {
    let begin = text.get(..at).and_then(|before| before.rfind("{{")).or_else(|| text.find("{{"));
    // An expression is given without its braces.
    let (before, code) = begin.map_or(("", text), |at| (&text[..at], &text[at + 2..]));
    let code = code.trim_start_matches('-').trim_start();
    let word = code.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let rest = code[word.len()..].trim_start();
    let go = ["block", "define", "else", "end", "if", "json", "println", "printf", "range", "template", "with"];
    before.ends_with('$')
        || code.starts_with(['.', '$', '#', '/', '^', '>', '&', '!'])
        || go.contains(&word) && (rest.is_empty() || rest.starts_with(['.', '$', '"', '}', '-']))
}

fn trimmed(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..(start + text.trim().len())
}

fn lower(message: &str) -> String {
    let mut chars = message.chars();
    let lowered: String = chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect());
    lowered.trim_end_matches('.').to_owned()
}
