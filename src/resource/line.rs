//! `line`: one line of a text file, the rest left as it is.

use super::in_force::{self, Said};
use super::{Args, Field, Kind, Resource, Type, text_file};
use crate::observe::{HostState, Queries};
use crate::plan::{InForce, PlanError, Planned};
use crate::values::AbsPath;
use regex::Regex;
use text_file::TextFile;

pub(super) const KIND: Kind = Kind {
    name: "line",
    summary: "One line of a text file; every other line, the owner and the mode stay as they are.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path of a file on the host"),
        Field::optional("line", Type::String, "the line, without its end"),
        Field::optional(
            "match",
            Type::String,
            "a regular expression: the last line it matches is replaced by 'line'; with state = \"absent\" every line it matches is removed",
        ),
        Field::optional(
            "insert_after",
            Type::String,
            "a regular expression: where a new line comes after the last line it matches; default: at the end",
        ),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional(
            "create",
            Type::Bool,
            "makes a missing file, as root:root 0644; default false: that is an error",
        ),
    ],
    build,
};

#[derive(Debug)]
enum Line {
    Present { path: AbsPath, line: String, matching: Option<Regex>, insert_after: Option<Regex>, create: bool },
    Absent { path: AbsPath, line: Option<String>, matching: Option<Regex> },
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let path: Option<AbsPath> = args.parse("path");
    let line = args.string("line");
    if line.as_ref().is_some_and(|line| line.contains(['\n', '\r', '\0'])) {
        args.refuse("line", "'line' must be one line: give each line a step of its own");
    }
    let matching = regex(args, "match");
    let insert_after = regex(args, "insert_after");
    if args.absent() {
        for field in ["insert_after", "create"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        if line.is_none() && args.node("match").is_none() {
            args.refuse("path", "there must be 'line' or 'match' to say which lines shall be absent");
        }
        return Some(Box::new(Line::Absent { path: path?, line, matching }));
    }
    let create = args.bool("create").unwrap_or(false);
    let Some(line) = line else {
        args.refuse("line", "there must be a 'line'");
        return None;
    };
    Some(Box::new(Line::Present { path: path?, line, matching, insert_after, create }))
}

fn regex(args: &mut Args<'_>, field: &str) -> Option<Regex> {
    let text = args.string(field)?;
    if text.is_empty() || text.contains(['\0', '\n']) {
        args.refuse(field, format!("'{field}' must be an expression for one line, and not empty"));
        return None;
    }
    match Regex::new(&text) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let shown = error.to_string();
            let reason = shown.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            args.refuse(field, format!("'{field}' is not a regular expression: {reason}"));
            None
        }
    }
}

impl Resource for Line {
    fn queries(&self, queries: &mut Queries) {
        let (Line::Present { path, .. } | Line::Absent { path, .. }) = self;
        text_file::queries(path, queries);
        if let Line::Present { path, .. } = self {
            in_force::ask(queries, path);
        }
    }

    fn plan(&self, host: &HostState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let (path, wanted) = match self {
            Line::Present { path, line, .. } => (path, Some(line.as_str())),
            Line::Absent { path, .. } => (path, None),
        };
        if let Some(planned) = text_file::left_open(host, path, ("line", wanted))? {
            return Ok(planned);
        }
        match self {
            Line::Present { path, line, matching, insert_after, create } => {
                let file = TextFile::read_or_create(host, path, *create)?;
                let mut lines = file.lines.clone();
                put(&mut lines, line, matching.as_ref(), insert_after.as_ref());
                file.replace(host, lines, &mut planned);
            }
            Line::Absent { path, line, matching } => {
                let Some(file) = TextFile::read(host, path)? else { return Ok(planned) };
                let unwanted = |have: &String| {
                    Some(have) == line.as_ref() || matching.as_ref().is_some_and(|regex| regex.is_match(have))
                };
                let lines = file.lines.iter().filter(|have| !unwanted(have)).cloned().collect();
                file.replace(host, lines, &mut planned);
            }
        }
        Ok(planned)
    }

    fn in_force(&self, host: &HostState) -> Result<InForce, PlanError> {
        match self {
            Line::Present { path, line, .. } => in_force::text(host, path, Said::Line(line)),
            Line::Absent { .. } => Ok(InForce::default()),
        }
    }
}

/// Replaces the last line that matches; else the line is there or is added.
fn put(lines: &mut Vec<String>, line: &str, matching: Option<&Regex>, insert_after: Option<&Regex>) {
    let last = |regex: Option<&Regex>, lines: &[String]| {
        regex.and_then(|regex| lines.iter().rposition(|have| regex.is_match(have)))
    };
    if let Some(at) = last(matching, lines) {
        line.clone_into(&mut lines[at]);
    } else if !lines.iter().any(|have| have == line) {
        let at = last(insert_after, lines).map_or(lines.len(), |at| at + 1);
        lines.insert(at, line.to_owned());
    }
}
