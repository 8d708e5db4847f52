//! The lines of a text, edited so that what is not meant stays byte for byte:
//! the end of every line, LF or CR LF, and a last line without one.

use regex::Regex;

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    /// Whether CR LF ends it.
    crlf: bool,
}

/// Lines of text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text {
    lines: Vec<Line>,
    /// Whether the last line lacks its end.
    unended: bool,
    /// Whether the mark of UTF-8 stands before the first line (U+FEFF), which is no part of it.
    marked: bool,
}

const MARK: char = '\u{feff}';

impl Text {
    /// The lines of a file's content.
    pub(super) fn parse(content: &str) -> Text {
        let (marked, content) = match content.strip_prefix(MARK) {
            Some(rest) => (true, rest),
            None => (false, content),
        };
        if content.is_empty() {
            return Text { marked, ..Text::default() };
        }
        let body = content.strip_suffix('\n');
        let line = |text: &str| match text.strip_suffix('\r') {
            Some(bare) => Line { text: bare.to_owned(), crlf: true },
            None => Line { text: text.to_owned(), crlf: false },
        };
        let lines = body.unwrap_or(content).split('\n').map(line).collect();
        let mut text = Text { lines, unended: body.is_none(), marked };
        // A last line has the end of the others once it gets one; a CR at its end stays in it.
        if text.unended
            && let Some(last) = text.lines.pop()
        {
            let crlf = text.is_crlf();
            let bare = if last.crlf { format!("{}\r", last.text) } else { last.text };
            text.lines.push(Line { text: bare, crlf });
        }
        text
    }

    /// The content.
    pub(super) fn render(&self) -> String {
        let mut content = String::new();
        if self.marked {
            content.push(MARK);
        }
        for (at, line) in self.lines.iter().enumerate() {
            content.push_str(&line.text);
            match (self.unended && at + 1 == self.lines.len(), line.crlf) {
                (true, _) => {}
                (false, true) => content.push_str("\r\n"),
                (false, false) => content.push('\n'),
            }
        }
        content
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines, without their ends.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.lines.iter().map(|line| line.text.as_str())
    }

    /// A line; empty where there is none.
    pub(super) fn line(&self, at: usize) -> &str {
        self.lines.get(at).map_or("", |line| line.text.as_str())
    }

    /// The first line that an expression matches.
    pub(super) fn first(&self, regex: &Regex) -> Option<usize> {
        self.iter().position(|line| regex.is_match(line))
    }

    /// The last line that an expression matches.
    pub(super) fn last(&self, regex: &Regex) -> Option<usize> {
        self.iter().rposition(|line| regex.is_match(line))
    }

    /// Puts another text in a line's place; its end stays.
    pub(super) fn set(&mut self, at: usize, text: &str) {
        if let Some(line) = self.lines.get_mut(at) {
            text.clone_into(&mut line.text);
        }
    }

    /// Puts a new line before the one at a place, or at the end.
    pub(super) fn insert(&mut self, at: usize, text: &str) {
        let at = at.min(self.lines.len());
        // A last line without its end gets one before another is added.
        self.unended &= at < self.lines.len();
        let crlf = self.is_crlf();
        self.lines.insert(at, Line { text: text.to_owned(), crlf });
    }

    /// Keeps the lines of which a test, given their place and text, says so.
    pub(super) fn retain(&mut self, keep: impl Fn(usize, &str) -> bool) {
        let mut at = 0;
        let mut last_stays = true;
        self.lines.retain(|line| {
            last_stays = keep(at, &line.text);
            at += 1;
            last_stays
        });
        self.unended &= last_stays && !self.lines.is_empty();
    }

    /// The text as a whole, without the mark of UTF-8; with LF where all lines end alike.
    pub(super) fn whole(&self) -> String {
        let mut text = Text { marked: false, ..self.clone() };
        if self.is_all_crlf() {
            text.lines.iter_mut().for_each(|line| line.crlf = false);
        }
        text.render()
    }

    /// Edits what [`Text::whole`] gives.
    pub(super) fn edit_whole(&self, edit: impl Fn(&str) -> String) -> Text {
        let mut text = Text { marked: self.marked, ..Text::parse(&edit(&self.whole())) };
        if self.is_all_crlf() {
            text.lines.iter_mut().for_each(|line| line.crlf = true);
        }
        text
    }

    fn is_all_crlf(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.crlf)
    }

    /// Whether a new line ends in CR LF: most lines do.
    fn is_crlf(&self) -> bool {
        self.lines.iter().filter(|line| line.crlf).count() * 2 > self.lines.len()
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
