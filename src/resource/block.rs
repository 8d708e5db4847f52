//! `block`: lines of a file between two marker lines that say whose they are.
//!
//! The markers are all that tells the block from the rest: a pair that is
//! damaged is an error, and nothing is guessed.

use super::in_force::{self, Said};
use super::line::Place;
use super::text::Text;
use super::{Args, Field, Kind, Resource, Type, parents, text_file};
use crate::observe::{PredictedState, Queries};
use crate::plan::{InForce, PlanError, Planned};
use std::ops::RangeInclusive;
use text_file::{Target, TextFile};

pub(super) const KIND: Kind = Kind {
    name: "block",
    summary: "Lines of a text file between two marker lines; every other line, the owner and the mode stay as they are.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path of a file on the host"),
        Field::optional(
            "content",
            Type::String,
            "the lines between the markers; needed unless the state is \"absent\"",
        ),
        Field::optional(
            "name",
            Type::String,
            "what the markers call the block; two blocks of one file need two names; default \"managed by stockade\"",
        ),
        Field::optional(
            "marker",
            Type::String,
            "the marker lines, where {mark} stands for BEGIN or END and {name} for the name; default \"# {mark} {name}\"",
        ),
        Field::optional(
            "insert_after",
            Type::String,
            "a regular expression: where a new block comes after the last line it matches; default: at the end, in files of ssh before the first 'Match' or 'Host'",
        ),
        Field::optional(
            "insert_before",
            Type::String,
            "a regular expression: where a new block comes before the first line it matches (\"^\": at the beginning)",
        ),
        Field::optional(
            "state",
            Type::Enum(&["present", "absent"]),
            "default \"present\"; \"absent\" removes the markers and what is between them",
        ),
        text_file::CREATE,
        text_file::MISSING,
        parents::FIELD,
    ],
    build,
};

#[derive(Debug)]
struct Block {
    target: Target,
    begin: String,
    end: String,
    /// The lines between the markers; none: there shall be no block.
    content: Option<Vec<String>>,
    place: Place,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let target = Target::of(args);
    let marker = args.string("marker").unwrap_or_else(|| "# {mark} {name}".to_owned());
    if !marker.contains("{mark}") || marker.contains(['\n', '\r', '\0']) {
        args.wrong_value("marker", "'marker' must be one line with {mark}, which stands for BEGIN and END");
    }
    let name = args.string("name");
    if name.is_some() && !marker.contains("{name}") {
        args.refuse("name", "'marker' has no place for the name: write {name} in it, or leave 'name' out");
    }
    let name = name.unwrap_or_else(|| "managed by stockade".to_owned());
    if name.trim().is_empty() || name.contains(['\n', '\r', '\0']) {
        args.wrong_value("name", "'name' must be one line and not empty");
    }
    let line = |mark: &str| marker.replace("{mark}", mark).replace("{name}", &name).trim_end().to_owned();
    let (begin, end) = (line("BEGIN"), line("END"));
    let place = Place::of(args);
    let content = args.string("content");
    if args.absent() {
        for field in ["content", "insert_after", "insert_before"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        return Some(Box::new(Block { target: target?, begin, end, content: None, place }));
    }
    let Some(content) = content else {
        args.refuse("content", "a block needs 'content'");
        return None;
    };
    if content.contains('\0') {
        args.wrong_value("content", "'content' must be text");
    }
    let content: Vec<String> = content.lines().map(str::to_owned).collect();
    if let Some(line) = content.iter().find(|line| [&begin, &end].contains(&&line.trim_end().to_owned())) {
        args.wrong_value(
            "content",
            format!("'content' must not hold the block's own marker \"{}\"", line.escape_debug()),
        );
    }
    Some(Box::new(Block { target: target?, begin, end, content: Some(content), place }))
}

impl Resource for Block {
    fn queries(&self, queries: &mut Queries) {
        text_file::queries(&self.target.path, queries);
        if let Some(lines) = &self.content {
            in_force::ask(queries, &self.target.path);
            in_force::ask_live(queries, &self.target.path, &lines.join("\n"));
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let content = self.content.as_ref().map(|lines| lines.join("\n"));
        if let Some(planned) = text_file::left_open(host, &self.target.path, ("content", content.as_deref()))? {
            return Ok(planned);
        }
        let mut planned = Planned::nothing();
        let Some(file) = TextFile::read(host, &self.target, &mut planned)? else { return Ok(planned) };
        let mut text = file.text.clone();
        let found = match self.found(&text) {
            Ok(found) => found,
            Err(why) => return text_file::refuse(host, &self.target.path, why),
        };
        match (found, &self.content) {
            (None, None) => {}
            (Some(found), None) => text.retain(|at, _| !found.contains(&at)),
            (None, Some(content)) => {
                let at = self.place.in_text(&self.target.path, &text, content.iter().map(String::as_str));
                let lines = [&self.begin].into_iter().chain(content).chain([&self.end]);
                lines.enumerate().for_each(|(below, line)| text.insert(at + below, line));
            }
            (Some(found), Some(content)) => {
                let (begin, end) = (*found.start(), *found.end());
                let inner: Vec<&str> = text.iter().skip(begin + 1).take(end - begin - 1).collect();
                if inner != content.iter().map(String::as_str).collect::<Vec<_>>() {
                    text.retain(|at, _| at <= begin || at >= end);
                    content.iter().enumerate().for_each(|(below, line)| text.insert(begin + 1 + below, line));
                }
            }
        }
        file.replace(host, text, &mut planned)?;
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match &self.content {
            Some(lines) => in_force::text(host, &self.target.path, Said::Lines(lines)),
            None => Ok(InForce::default()),
        }
    }

    fn says(&self, path: &str, line: &str) -> bool {
        let own = self.content.as_ref().is_some_and(|lines| Said::Lines(lines).covers(line));
        own && self.target.path.as_str() == path
    }
}

impl Block {
    /// The block with its markers, if the file has one.
    fn found(&self, text: &Text) -> Result<Option<RangeInclusive<usize>>, String> {
        let places = |marker: &str| -> Vec<usize> {
            text.iter().enumerate().filter(|(_, line)| line.trim_end() == marker).map(|(at, _)| at).collect()
        };
        let (begins, ends) = (places(&self.begin), places(&self.end));
        let why = match (&begins[..], &ends[..]) {
            ([], []) => return Ok(None),
            ([begin], [end]) if begin < end => return Ok(Some(*begin..=*end)),
            ([begin], [end]) => format!("line {} ends the block that line {} begins", end + 1, begin + 1),
            ([begin], []) => format!("line {} begins the block, and no line ends it", begin + 1),
            ([], [end]) => format!("line {} ends the block, and no line begins it", end + 1),
            _ => {
                let list =
                    |places: &[usize]| places.iter().map(|at| (at + 1).to_string()).collect::<Vec<_>>().join(", ");
                format!("it is begun in lines {} and ended in lines {}", list(&begins), list(&ends))
            }
        };
        Err(format!(
            "{} has damaged markers of the block \"{}\" … \"{}\": {why}. Repair the file by hand, or name another marker",
            self.target.path,
            self.begin.escape_debug(),
            self.end.escape_debug()
        ))
    }
}
