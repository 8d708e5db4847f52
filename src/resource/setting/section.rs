//! The sections of a configuration file.

use super::format::Blocks;
use crate::resource::text::Text;
use std::ops::Range;

/// A part of a file: what precedes the first head, or a head with its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// Empty for what precedes the first head.
    pub(super) name: String,
    /// The lines, without the head.
    pub(super) lines: Range<usize>,
}

impl Section {
    /// As messages name it.
    pub(super) fn shown(&self) -> String {
        match self.name.as_str() {
            "" => "before the first section".to_owned(),
            name => format!("in [{}]", name.escape_debug()),
        }
    }
}

impl Blocks {
    /// The sections of a text, first what precedes the first head.
    pub(super) fn sections(self, text: &Text) -> Vec<Section> {
        let mut sections = vec![Section { name: String::new(), lines: 0..text.len() }];
        for (at, line) in text.iter().enumerate() {
            let Some(name) = self.head(line) else { continue };
            if let Some(last) = sections.last_mut() {
                last.lines.end = at;
            }
            sections.push(Section { name, lines: at + 1..text.len() });
        }
        sections
    }

    /// The name of the section that a line begins.
    fn head(self, line: &str) -> Option<String> {
        match self {
            Blocks::Brackets => {
                let inner = line.trim().strip_prefix('[')?;
                let (inner, rest) = inner.split_once(']')?;
                // TOML has tables in an array.
                let (inner, rest) = match (inner.strip_prefix('['), rest.strip_prefix(']')) {
                    (Some(inner), Some(rest)) => (inner, rest),
                    _ => (inner, rest),
                };
                let is_over = rest.trim().is_empty() || rest.trim_start().starts_with(['#', ';']);
                // A shell's own test has blanks too: [ -x /bin/x ].
                let is_test = inner.starts_with(char::is_whitespace) && inner.split_whitespace().count() > 1;
                (is_over && !is_test && !inner.trim().is_empty()).then(|| inner.trim().to_owned())
            }
            Blocks::Words(words) => {
                let mut parts = line.split_whitespace();
                let first = parts.next()?;
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(first))?;
                Some([*word].into_iter().chain(parts).collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// A section's name as [`Section::name`] has it; none if it cannot be one.
    pub(super) fn name(self, given: &str) -> Option<String> {
        match self {
            _ if given.is_empty() => Some(String::new()),
            Blocks::Brackets if given.contains(['[', ']']) => None,
            Blocks::Brackets => self.head(&format!("[{given}]")),
            Blocks::Words(_) => self.head(given).filter(|name| name.contains(' ')),
        }
    }

    /// Whether two names are those of one section.
    pub(super) fn same(self, one: &str, other: &str) -> bool {
        match self {
            Blocks::Brackets => one == other,
            Blocks::Words(_) => one.eq_ignore_ascii_case(other),
        }
    }

    /// The line that begins a section.
    pub(super) fn line(self, name: &str) -> String {
        match self {
            Blocks::Brackets => format!("[{name}]"),
            Blocks::Words(_) => name.to_owned(),
        }
    }
}
