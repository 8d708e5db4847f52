//! One line of a configuration file: key, separator, value, comment.

use super::format::Format;

/// How a file writes its settings.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) key: String,
    /// What stands between key and value, without blanks; empty: blanks.
    pub(super) sign: String,
    /// The same with the blanks of a new line; none: as the file has it.
    pub(super) joint: Option<String>,
    /// What begins a comment.
    pub(super) comments: Vec<String>,
    pub(super) format: Format,
}

/// A line that sets the key: `before` + `value` + `after` is the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Active<'a> {
    /// All that precedes the value.
    pub(super) before: &'a str,
    /// The value with its quotes.
    pub(super) value: &'a str,
    /// A comment with the blanks before it, or blanks.
    pub(super) after: &'a str,
}

impl Syntax {
    /// If the line sets the key.
    pub(super) fn active<'a>(&self, line: &'a str) -> Option<Active<'a>> {
        self.active_by(line, &self.sign)
    }

    /// If the line sets the key with this sign between it and the value.
    pub(super) fn active_by<'a>(&self, line: &'a str, sign: &str) -> Option<Active<'a>> {
        let rest = self.after_key(line)?;
        let value = if sign.is_empty() {
            let bare = rest.trim_start();
            match bare.strip_prefix('=').filter(|_| self.format.equals_optional) {
                Some(value) => value.trim_start(),
                None => rest.strip_prefix(|c: char| c.is_whitespace())?.trim_start(),
            }
        } else {
            let bare = rest.trim_start();
            match bare.strip_prefix(sign) {
                Some(value) => value.trim_start(),
                None if self.format.equals_optional && sign == "=" => {
                    rest.strip_prefix(|c: char| c.is_whitespace())?.trim_start()
                }
                None => return None,
            }
        };
        let length = self.value_length(value);
        let start = line.len() - value.len();
        Some(Active { before: &line[..start], value: &value[..length], after: &value[length..] })
    }

    /// What follows the key at the beginning of a line, if it is this key.
    fn after_key<'a>(&self, line: &'a str) -> Option<&'a str> {
        let line = line.trim_start();
        // A shell may hand a variable on where it sets it.
        let exported = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start);
        [exported, Some(line)].into_iter().flatten().find_map(|line| {
            let one = |c: char| match c {
                '-' if self.format.dashes => '_',
                c if self.format.any_case => c.to_ascii_lowercase(),
                c => c,
            };
            let (mut rest, mut words) = (line, self.key.split(' '));
            let mut first = true;
            // A file may have more than one blank between the words of a key.
            words
                .all(|word| {
                    let bare = rest.trim_start();
                    let apart = std::mem::take(&mut first) || bare.len() < rest.len();
                    let same =
                        bare.get(..word.len()).is_some_and(|found| found.chars().map(one).eq(word.chars().map(one)));
                    rest = if same { &bare[word.len()..] } else { rest };
                    apart && same
                })
                .then_some(rest)
        })
    }

    /// How much of what follows the separator is the value: all but a comment and blanks.
    fn value_length(&self, rest: &str) -> usize {
        let whole = rest.trim_end().len();
        let signs = self.format.comment_after_value;
        let (mut quote, mut last) = (None, ' ');
        for (at, c) in rest.char_indices() {
            match quote {
                Some(open) if c == open && last != '\\' => quote = None,
                Some(_) => {}
                None if matches!(c, '"' | '\'') && (last.is_whitespace() || at == 0 || last == '=') => quote = Some(c),
                None if signs.contains(c) && last.is_whitespace() => return rest[..at].trim_end().len(),
                None => {}
            }
            last = c;
        }
        whole
    }

    /// If the line is a setting of the key that is commented out: that setting,
    /// and whether the comment sign stands right before it. Where blanks
    /// separate, prose may begin with the key: then one word must follow.
    pub(super) fn commented<'a>(&self, line: &'a str) -> Option<(Active<'a>, bool)> {
        let bare = line.trim_start();
        let rest = self
            .comments
            .iter()
            .find_map(|sign| bare.strip_prefix(sign.as_str()).map(|rest| rest.trim_start_matches(sign.as_str())))?;
        let active = self.active(rest)?;
        let words = active.value.split_whitespace().count();
        let by_blank = active.before.trim_end().chars().next_back().is_none_or(|c| c.is_alphanumeric());
        (!by_blank || words == 1).then(|| (active, !rest.starts_with(char::is_whitespace)))
    }

    /// A new line; `joint` where the step does not say what separates.
    pub(super) fn line(&self, indent: &str, joint: Option<&str>, value: &str) -> String {
        let joint = self.joint.as_deref().or(joint).unwrap_or("=");
        format!("{indent}{}{joint}{value}", self.key).trim_end().to_owned()
    }

    /// What the line has between its key and its value, with a blank on both sides or on none.
    pub(super) fn joint_of(&self, active: &Active<'_>) -> String {
        let key = active.before.trim_end_matches(|c: char| c.is_whitespace() || self.sign.contains(c));
        let joint = &active.before[key.len()..];
        match joint.starts_with(char::is_whitespace) && joint.ends_with(|c: char| !c.is_whitespace()) {
            true => format!("{joint} "),
            false => joint.to_owned(),
        }
    }
}

/// What stands between the quotes of a value, and which they are.
fn quoted(value: &str) -> Option<(char, &str)> {
    ['"', '\''].into_iter().find_map(|quote| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.replace("\\\\", "").replace(&format!("\\{quote}"), "").contains(quote)).then_some((quote, inner))
    })
}

/// Whether a value that was found is the one that is wanted: quotes count
/// only where the step gives some.
pub(super) fn same(found: &str, wanted: &str) -> bool {
    found == wanted || quoted(found).is_some_and(|(_, inner)| inner == wanted)
}

/// The wanted value as it is written in the place of another, whose quotes
/// stay; none if it cannot stand between them.
pub(super) fn in_place_of(found: &str, wanted: &str) -> Option<String> {
    match quoted(found) {
        Some((quote, _)) if quoted(wanted).is_none() => {
            (!wanted.contains(quote) && !wanted.ends_with('\\')).then(|| format!("{quote}{wanted}{quote}"))
        }
        _ => Some(wanted.to_owned()),
    }
}

/// Whether a shell takes a value as it stands for one word, with nothing after it.
pub(super) fn is_one_word(value: &str) -> bool {
    let mut chars = value.chars();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\\') => {}
            (_, '\\') => {
                if chars.next().is_none() {
                    return false;
                }
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, c) if c.is_whitespace() || ";&|<>()".contains(c) => return false,
            (None, _) => {}
        }
    }
    quote.is_none()
}

/// Whether a value goes on in the next line: by a backslash, or in a quote that is still open.
pub(super) fn goes_on(value: &str) -> bool {
    let slashes = value.chars().rev().take_while(|c| *c == '\\').count();
    let open = value.starts_with(['"', '\'']) && quoted(value).is_none() && {
        let quote = value.chars().next().unwrap_or('"');
        value.matches(quote).count() == 1
    };
    slashes % 2 == 1 || open
}
