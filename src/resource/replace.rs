//! `replace`: every match of a regular expression in a file.
//!
//! Idempotent by check: an edit whose result would be edited again is refused.

use super::pattern::{self, Replacement};
use super::text::Text;
use super::{Args, Field, Kind, Resource, Type, text_file};
use crate::observe::{PredictedState, Queries};
use crate::plan::{KNOWN_AFTER_APPLY, PlanError, Planned};
use regex::Regex;
use std::ops::Range;
use text_file::{Target, TextFile};

pub(super) const KIND: Kind = Kind {
    name: "replace",
    summary: "Every match of a regular expression in a text file; the rest, the owner and the mode stay as they are.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path of a file on the host"),
        Field::required(
            "match",
            Type::String,
            "a regular expression for the whole text, in which ^ and $ stand for the ends of every line; it must not match what 'with' makes of it in another way",
        ),
        Field::required(
            "with",
            Type::String,
            "what takes the place of each match; may take up groups of it: \\1, $1 or ${name}, \\0 for all of it; \\\\1 and $$1 stand for the signs themselves; \"\" removes it",
        ),
        Field::optional(
            "after",
            Type::String,
            "a regular expression: only what follows its first match is looked at; default: from the beginning",
        ),
        Field::optional(
            "before",
            Type::String,
            "a regular expression: only what precedes its first match (the first that follows 'after') is looked at; default: to the end",
        ),
        text_file::MISSING,
    ],
    build,
};

#[derive(Debug)]
struct Replace {
    target: Target,
    matching: Regex,
    with: Replacement,
    after: Option<Regex>,
    before: Option<Regex>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let target = Target::existing(args);
    let matching = pattern::of_text(args, "match");
    let (after, before) = (pattern::of_text(args, "after"), pattern::of_text(args, "before"));
    let with = args.string("with")?;
    if with.contains('\0') {
        args.wrong_value("with", "'with' must be text");
    }
    let matching = matching?;
    let with = Replacement::of(args, "with", &with, &matching);
    Some(Box::new(Replace { target: target?, matching, with, after, before }))
}

impl Resource for Replace {
    fn queries(&self, queries: &mut Queries) {
        text_file::queries(&self.target.path, queries);
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        if let Some(planned) = text_file::left_open(host, &self.target.path, ("with", Some(KNOWN_AFTER_APPLY)))? {
            return Ok(planned);
        }
        let mut planned = Planned::nothing();
        let Some(file) = TextFile::read(host, &self.target, &mut planned)? else { return Ok(planned) };
        if let Err(limit) = self.range(&file.text.whole()) {
            let path = &self.target.path;
            planned.notes.push(format!("'{limit}' matches nothing in {path}: there is nothing to replace"));
        }
        let text = file.text.edit_whole(|text| self.of(text));
        let again = text.edit_whole(|text| self.of(text));
        if again != text {
            return text_file::refuse(host, &self.target.path, self.changes_again(&file.text, &text, &again));
        }
        file.replace(host, text, &mut planned)?;
        Ok(planned)
    }
}

impl Replace {
    /// The part of a text that is looked at, or the limit that is not in it.
    fn range(&self, text: &str) -> Result<Range<usize>, &'static str> {
        let start = match &self.after {
            Some(regex) => regex.find(text).ok_or("after")?.end(),
            None => 0,
        };
        let end = match &self.before {
            Some(regex) => regex.find_at(text, start).ok_or("before")?.start(),
            None => text.len(),
        };
        Ok(start..end)
    }

    fn of(&self, text: &str) -> String {
        let Ok(range) = self.range(text) else { return text.to_owned() };
        // What stands before the part counts for anchors, so only its end is cut.
        let part = &text[..range.end];
        let mut edited = part[..range.start].to_owned();
        let (mut from, mut at) = (range.start, range.start);
        while let Some(captures) = self.matching.captures_at(part, at) {
            let Some(found) = captures.get(0) else { break };
            // As everywhere, nothing is found at the end of what was found last.
            if !found.is_empty() || found.start() > from || from == range.start {
                edited.push_str(&part[from..found.start()]);
                edited.push_str(&self.with.expand(&captures));
                from = found.end();
            }
            let step = if found.is_empty() { part[found.end()..].chars().next().map_or(1, char::len_utf8) } else { 0 };
            at = found.end() + step;
            if at > part.len() {
                break;
            }
        }
        edited.push_str(&text[from..]);
        edited
    }

    /// Why an edit that would change its own result is refused.
    fn changes_again(&self, before: &Text, text: &Text, again: &Text) -> String {
        let at = text.iter().zip(again.iter()).position(|(one, two)| one != two).unwrap_or_default();
        let was = if before.len() == text.len() {
            format!(" from \"{}\"", before.line(at).escape_debug())
        } else {
            String::new()
        };
        format!(
            "{}: this step would change with every apply: line {} would become{was} \"{}\" at the first and \"{}\" at the \
             second. Let 'match' not match what 'with' makes of it",
            self.target.path,
            at + 1,
            text.line(at).escape_debug(),
            again.line(at).escape_debug()
        )
    }
}
