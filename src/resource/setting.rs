//! `setting`: one `key = value` of a configuration file without sections, such
//! as those in /etc/default or login.defs(5).

use super::in_force::{self, Said};
use super::{Args, Field, Kind, Resource, Type, text_file};
use crate::observe::{HostState, Queries};
use crate::plan::{InForce, PlanError, Planned};
use crate::values::AbsPath;
use text_file::TextFile;

pub(super) const KIND: Kind = Kind {
    name: "setting",
    summary: "One key and value of a configuration file, such as /etc/login.defs or /etc/default/grub.",
    main: "key",
    fields: &[
        Field::required("path", Type::String, "absolute path of a file on the host"),
        Field::required("key", Type::String, "the name of the setting, as the file spells it"),
        Field::optional("value", Type::Scalar, "the value, with its quotes if the file wants any"),
        Field::optional(
            "separator",
            Type::String,
            "what stands between key and value: \" \" for blanks, or a sign such as \"=\" or \":\"; a new line has its blanks as given (\" = \"); default \"=\"",
        ),
        Field::optional(
            "comment",
            Type::String,
            "what begins a comment: a default that is commented out is put in force where it stands; default \"#\"",
        ),
        Field::optional(
            "state",
            Type::Enum(&["present", "absent"]),
            "default \"present\"; \"absent\" removes the lines that set the key, comments are left",
        ),
        Field::optional(
            "create",
            Type::Bool,
            "makes a missing file, as root:root 0644; default false: that is an error",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Setting {
    path: AbsPath,
    syntax: Syntax,
    /// None: the key shall not be set.
    value: Option<String>,
    create: bool,
}

/// How the file writes its settings.
#[derive(Debug)]
struct Syntax {
    key: String,
    /// Empty: blanks.
    separator: String,
    /// What a line that is made has between key and value.
    joint: String,
    comment: String,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let path: Option<AbsPath> = args.parse("path");
    let key = args.string("key")?;
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        args.refuse("key", "'key' must be one word");
    }
    let separator = args.string("separator").unwrap_or_else(|| "=".to_owned());
    let comment = args.string("comment").unwrap_or_else(|| "#".to_owned());
    if separator.is_empty() || separator.chars().any(char::is_control) {
        args.refuse("separator", "'separator' must be \" \" or a sign such as \"=\"");
    }
    if comment.trim().is_empty() || comment.chars().any(char::is_control) {
        args.refuse("comment", "'comment' must be what begins a comment, such as \"#\"");
    }
    let joint = match separator.trim() {
        "" => " ".to_owned(),
        // A colon and the like are written "key: value", an equals sign "key=value".
        sign if sign == separator && sign != "=" => format!("{sign} "),
        _ => separator.clone(),
    };
    let syntax = Syntax { key, separator: separator.trim().to_owned(), joint, comment: comment.trim().to_owned() };
    if !syntax.separator.is_empty() && syntax.key.contains(&syntax.separator) {
        args.refuse("key", format!("'key' must not hold the separator \"{}\"", syntax.separator.escape_debug()));
    }
    if syntax.key.starts_with(&syntax.comment) {
        args.refuse("key", "'key' must not begin as a comment does");
    }
    let value = if args.absent() {
        for field in ["value", "create"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        None
    } else {
        let Some(value) = args.scalar("value") else {
            args.refuse("value", "a setting needs a 'value'");
            return None;
        };
        if value.chars().any(|c| c.is_control() && c != '\t') {
            args.refuse("value", "'value' must be one line");
        }
        if value.trim().is_empty() && syntax.separator.is_empty() {
            args.refuse("value", "a value that blanks separate from its key cannot be empty");
        }
        Some(value.trim().to_owned())
    };
    let create = args.bool("create").unwrap_or(false);
    Some(Box::new(Setting { path: path?, syntax, value, create }))
}

impl Syntax {
    /// If the line sets the key: what stands before the value, and the value.
    fn active<'a>(&self, line: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = line.trim_start().strip_prefix(self.key.as_str())?;
        let value = if self.separator.is_empty() {
            rest.strip_prefix(|c: char| c.is_whitespace())?.trim_start()
        } else {
            rest.trim_start().strip_prefix(self.separator.as_str())?.trim_start()
        };
        Some((&line[..line.len() - value.len()], value.trim_end()))
    }

    /// Whether the line is a setting of the key that is commented out. Where
    /// blanks separate, prose may begin with the key: then one word must follow.
    fn commented(&self, line: &str) -> bool {
        let Some(rest) = line.trim_start().strip_prefix(self.comment.as_str()) else { return false };
        let Some((_, value)) = self.active(rest.trim_start_matches(self.comment.as_str())) else { return false };
        !self.separator.is_empty() || value.split_whitespace().count() == 1
    }

    fn line(&self, value: &str) -> String {
        format!("{}{}{value}", self.key, self.joint).trim_end().to_owned()
    }

    /// The value in force: the last one.
    fn value<'a>(&self, lines: &'a [String]) -> Option<&'a str> {
        lines.iter().rev().find_map(|line| self.active(line)).map(|(_, value)| value)
    }

    /// Makes exactly one line set the key to the value.
    fn set(&self, lines: &[String], value: &str) -> Vec<String> {
        let Some(last) = lines.iter().rposition(|line| self.active(line).is_some()) else {
            let mut lines = lines.to_vec();
            match lines.iter().rposition(|line| self.commented(line)) {
                Some(at) => lines[at] = self.line(value),
                None => lines.push(self.line(value)),
            }
            return lines;
        };
        let keep = |(at, line): (usize, &String)| match self.active(line) {
            None => Some(line.clone()),
            Some((_, found)) if at == last && found == value => Some(line.clone()),
            Some((before, _)) if at == last => Some(format!("{before}{value}")),
            Some(_) => None,
        };
        lines.iter().enumerate().filter_map(keep).collect()
    }
}

impl Resource for Setting {
    fn queries(&self, queries: &mut Queries) {
        text_file::queries(&self.path, queries);
        if self.value.is_some() {
            in_force::ask(queries, &self.path);
        }
    }

    fn plan(&self, host: &HostState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        if let Some(planned) = text_file::left_open(host, &self.path, ("value", self.value.as_deref()))? {
            return Ok(planned);
        }
        let file = match &self.value {
            Some(_) => TextFile::read_or_create(host, &self.path, self.create)?,
            None => match TextFile::read(host, &self.path)? {
                Some(file) => file,
                None => return Ok(planned),
            },
        };
        let before = self.syntax.value(&file.lines);
        if before != self.value.as_deref() {
            planned.change("value", before, self.value.as_deref());
        }
        let lines = match &self.value {
            Some(value) => self.syntax.set(&file.lines, value),
            None => file.lines.iter().filter(|line| self.syntax.active(line).is_none()).cloned().collect(),
        };
        file.replace(host, lines, &mut planned);
        Ok(planned)
    }

    fn in_force(&self, host: &HostState) -> Result<InForce, PlanError> {
        match &self.value {
            Some(value) => in_force::text(host, &self.path, Said::Setting(&self.syntax.key, value)),
            None => Ok(InForce::default()),
        }
    }
}
