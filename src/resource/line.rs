//! `line`: one line of a text file, the rest left as it is.

use super::in_force::{self, Said};
use super::pattern::{self, Replacement};
use super::text::Text;
use super::{Args, Field, Kind, Resource, Type, parents, setting, text_file};
use crate::observe::{PredictedState, Queries};
use crate::plan::{InForce, KNOWN_AFTER_APPLY, PlanError, Planned};
use crate::values::AbsPath;
use regex::Regex;
use text_file::{Target, TextFile};

pub(super) const KIND: Kind = Kind {
    name: "line",
    summary: "One line of a text file; every other line, the owner and the mode stay as they are.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path of a file on the host"),
        Field::optional(
            "line",
            Type::String,
            "the line, without its end; with 'match' it may take up groups of the matched line: \\1, $1 or ${name}; \\\\1 and $$1 stand for the signs themselves",
        ),
        Field::optional(
            "match",
            Type::String,
            "a regular expression: the last line it matches is replaced by 'line'; with state = \"absent\" every line it matches is removed",
        ),
        Field::optional(
            "insert_after",
            Type::String,
            "a regular expression: where a new line comes after the last line it matches; default: at the end, in files of ssh before the first 'Match' or 'Host'",
        ),
        Field::optional(
            "insert_before",
            Type::String,
            "a regular expression: where a new line comes before the first line it matches (\"^\": at the beginning)",
        ),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        text_file::CREATE,
        text_file::MISSING,
        parents::FIELD,
    ],
    build,
};

#[derive(Debug)]
struct Line {
    target: Target,
    edit: Edit,
}

#[derive(Debug)]
enum Edit {
    Present { line: Replacement, matching: Option<Regex>, place: Place },
    Absent { line: Option<String>, matching: Option<Regex> },
}

/// Where a new line goes.
#[derive(Debug)]
pub(super) enum Place {
    End,
    After(Regex),
    Before(Regex),
}

impl Place {
    /// From the fields `insert_after` and `insert_before`.
    pub(super) fn of(args: &mut Args<'_>) -> Place {
        let (after, before) = (pattern::of_line(args, "insert_after"), pattern::of_line(args, "insert_before"));
        if args.node("insert_after").is_some() && args.node("insert_before").is_some() {
            args.refuse("insert_before", "there must be only one of 'insert_after' and 'insert_before'");
        }
        match (after, before) {
            (Some(regex), _) => Place::After(regex),
            (None, Some(regex)) => Place::Before(regex),
            (None, None) => Place::End,
        }
    }

    /// The line before which new lines go in the file at this path.
    pub(super) fn in_text<'a>(&self, path: &AbsPath, text: &Text, lines: impl Iterator<Item = &'a str>) -> usize {
        let found = match self {
            Place::End => None,
            Place::After(regex) => text.last(regex).map(|at| at + 1),
            Place::Before(regex) => text.first(regex),
        };
        found.unwrap_or_else(|| setting::end_for_all(path, text, lines))
    }
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let line = args.string("line");
    if line.as_ref().is_some_and(|line| line.contains(['\n', '\r', '\0'])) {
        args.wrong_value("line", "'line' must be one line: give each line a step of its own");
    }
    let matching = pattern::of_line(args, "match");
    let place = Place::of(args);
    let target = Target::of(args);
    if args.absent() {
        for field in ["insert_after", "insert_before"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        if line.is_none() && args.node("match").is_none() {
            args.refuse("path", "there must be 'line' or 'match' to say which lines shall be absent");
        }
        return Some(Box::new(Line { target: target?, edit: Edit::Absent { line, matching } }));
    }
    let Some(line) = line else {
        args.refuse("line", "there must be a 'line'");
        return None;
    };
    let line = match &matching {
        Some(regex) => Replacement::of(args, "line", &line, regex),
        None => Replacement::literal(&line),
    };
    if line.has_groups() && !matches!(place, Place::End) {
        let field = if args.node("insert_after").is_some() { "insert_after" } else { "insert_before" };
        args.refuse(field, "a line that takes up groups of the matched line is never inserted");
    }
    Some(Box::new(Line { target: target?, edit: Edit::Present { line, matching, place } }))
}

impl Resource for Line {
    fn queries(&self, queries: &mut Queries) {
        text_file::queries(&self.target.path, queries);
        if let Edit::Present { line, .. } = &self.edit {
            in_force::ask(queries, &self.target.path);
            in_force::ask_live(queries, &self.target.path, &line.signs());
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        if let Some(planned) = text_file::left_open(host, &self.target.path, ("line", self.edit.shown().as_deref()))? {
            return Ok(planned);
        }
        let mut planned = Planned::nothing();
        let Some(file) = TextFile::read(host, &self.target, &mut planned)? else { return Ok(planned) };
        let text = self.edit.of(&self.target.path, &file.text);
        let again = self.edit.of(&self.target.path, &text);
        if again != text {
            return text_file::refuse(host, &self.target.path, self.changes_again(&text, &again));
        }
        if self.edit.lacks_its_match(&text) && text == file.text {
            planned
                .notes
                .push(format!("no line of {} matches: there is nothing to take groups from", self.target.path));
        }
        file.replace(host, text, &mut planned)?;
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match &self.edit {
            Edit::Present { line, .. } if !line.has_groups() => {
                in_force::text(host, &self.target.path, Said::Line(&line.signs()))
            }
            Edit::Present { .. } | Edit::Absent { .. } => Ok(InForce::default()),
        }
    }

    fn says(&self, path: &str, said: &str) -> bool {
        let own = matches!(&self.edit, Edit::Present { line, .. } if Said::Line(&line.signs()).covers(said));
        own && self.target.path.as_str() == path
    }
}

impl Line {
    /// Why an edit that would change its own result is refused.
    fn changes_again(&self, text: &Text, again: &Text) -> String {
        let at = text.iter().zip(again.iter()).position(|(one, two)| one != two).unwrap_or_default();
        format!(
            "{}: this step would change with every apply: line {} would be \"{}\" after the first and \"{}\" after \
             the second. Let 'match' match one line only, and no longer match what 'line' makes of it",
            self.target.path,
            at + 1,
            text.line(at).escape_debug(),
            again.line(at).escape_debug()
        )
    }
}

impl Edit {
    fn of(&self, path: &AbsPath, before: &Text) -> Text {
        let mut text = before.clone();
        match self {
            Edit::Present { line, matching, place } => {
                let found = matching.as_ref().and_then(|regex| {
                    let at = text.last(regex)?;
                    Some((at, line.expand(&regex.captures(text.line(at))?)))
                });
                let is_there = || text.iter().any(|have| have == line.signs());
                if let Some((at, line)) = found {
                    text.set(at, &line);
                } else if !line.has_groups() && !is_there() {
                    let line = line.signs();
                    text.insert(place.in_text(path, &text, [line.as_str()].into_iter()), &line);
                }
            }
            Edit::Absent { line, matching } => text.retain(|_, have| {
                Some(have) != line.as_deref() && !matching.as_ref().is_some_and(|regex| regex.is_match(have))
            }),
        }
        text
    }

    /// The line that is wanted, as far as it is known.
    fn shown(&self) -> Option<String> {
        match self {
            Edit::Present { line, .. } if line.has_groups() => Some(KNOWN_AFTER_APPLY.to_owned()),
            Edit::Present { line, .. } => Some(line.signs()),
            Edit::Absent { .. } => None,
        }
    }

    /// Whether a line that takes up groups has no match to take them from.
    fn lacks_its_match(&self, text: &Text) -> bool {
        let Edit::Present { line, matching: Some(regex), .. } = self else { return false };
        line.has_groups() && text.first(regex).is_none()
    }
}
