//! apt.conf(5), as ReadConfigFile in apt's configuration.cc reads it: line by
//! line; what a line leaves over goes on in the next one.

use super::Fault;
use super::word::quoted;

/// What begins as a comment and is a directive.
const DIRECTIVES: [&str; 3] = ["clear", "include", "x-apt-configure-index"];

pub(super) fn faults(text: &str) -> Vec<Fault> {
    Reader::default().read(text).err().into_iter().collect()
}

#[derive(Default)]
struct Reader {
    in_comment: bool,
    /// What has been read of a statement, and the line that it begins in.
    open: String,
    begins: usize,
    /// How many blocks are around.
    depth: usize,
}

impl Reader {
    fn read(mut self, text: &str) -> Result<(), Fault> {
        for (at, line) in text.lines().enumerate() {
            let line = self.without_comments(line.replace('\t', " ").trim());
            self.statements(at + 1, &line)?;
        }
        if self.open.is_empty() {
            return Ok(());
        }
        Err(Fault::fatal(self.begins, "the statement that begins here has no ';' at its end"))
    }

    fn without_comments(&mut self, line: &str) -> String {
        let mut line = line;
        if self.in_comment {
            let Some((_, rest)) = line.split_once("*/") else { return String::new() };
            (line, self.in_comment) = (rest, false);
        }
        let starts_comment = |rest: &str| {
            let is_directive = |rest: &str| DIRECTIVES.iter().any(|word| rest.starts_with(word));
            rest.starts_with("//") || rest.strip_prefix('#').is_some_and(|rest| !is_directive(rest))
        };
        let line = outside_quotes(line, starts_comment).map_or(line, |at| &line[..at]);
        let (mut kept, mut rest) = (String::new(), line);
        while let Some(at) = outside_quotes(rest, |rest| rest.starts_with("/*")) {
            kept.push_str(&rest[..at]);
            match rest[at + 2..].split_once("*/") {
                Some((_, after)) => rest = after,
                None => {
                    self.in_comment = true;
                    return kept;
                }
            }
        }
        kept + rest
    }

    fn statements(&mut self, number: usize, line: &str) -> Result<(), Fault> {
        let mut rest = line;
        while let Some(at) = outside_quotes(rest, |rest| rest.starts_with(['{', ';', '}'])) {
            self.add(number, &rest[..at]);
            let sign = rest[at..].chars().next().unwrap_or(';');
            rest = &rest[at + 1..];
            self.statement(number, sign)?;
        }
        self.add(number, rest);
        Ok(())
    }

    fn add(&mut self, number: usize, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if self.open.is_empty() {
            self.begins = number;
        } else {
            self.open.push(' ');
        }
        self.open.push_str(text);
    }

    fn statement(&mut self, number: usize, sign: char) -> Result<(), Fault> {
        let whole = std::mem::take(&mut self.open);
        if whole.is_empty() {
            match sign {
                '{' => return Err(Fault::fatal(number, "this block begins with no name before its '{'")),
                '}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            return Ok(());
        }
        let wrong = |why: &str| Err(Fault::fatal(self.begins, why));
        let Some((tag, rest)) = quoted(&whole) else { return wrong("a quotation mark or '[' here has no end") };
        let left = if is_quoted(rest) { "" } else { quoted(rest).map_or(rest, |(_, left)| left) };
        if !left.is_empty() {
            return wrong("more than a name and a value stand here: is a ';' missing at the end of a line?");
        }
        if tag.starts_with('#') && self.depth > 0 && !rest.is_empty() {
            return wrong("a directive such as #clear cannot stand in a block");
        }
        if tag == "#clear" && rest.is_empty() && sign != '{' {
            return wrong("#clear needs the name of what is cleared");
        }
        match sign {
            '{' => self.depth += 1,
            '}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }
}

/// The first place outside of quotation marks where the rest of a line is one.
fn outside_quotes(line: &str, is_one: impl Fn(&str) -> bool) -> Option<usize> {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        if !quoted && is_one(&line[at..]) {
            return Some(at);
        }
        quoted ^= c == '"';
    }
    None
}

/// Whether a text is nothing but quoted parts with blanks between them (ParseCWord).
fn is_quoted(text: &str) -> bool {
    text.split('"').step_by(2).all(|part| part.trim().is_empty()) && text.matches('"').count().is_multiple_of(2)
}

#[cfg(test)]
#[path = "apt_conf_tests.rs"]
mod tests;
