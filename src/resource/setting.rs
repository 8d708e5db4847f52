//! `setting`: one key and value of a configuration file, in one section of it
//! if it has sections.
//!
//! What the step does not tell must not be guessed: a key that stands in
//! several sections, or several times with different values, is refused with
//! the lines.

mod edit;
mod format;
mod section;
mod syntax;

use super::in_force::{self, Said};
use super::text::Text;
use super::{Args, Field, Kind, Resource, Type, parents, text_file};
use crate::observe::{Content, PredictedState, Queries};
use crate::plan::{InForce, PlanError, Planned};
use crate::values::AbsPath;
use format::{Blocks, Format};
use syntax::Syntax;
use text_file::{Missing, Target, TextFile};

pub(super) const KIND: Kind = Kind {
    name: "setting",
    summary: "One key and value of a configuration file, such as /etc/login.defs, php.ini or /etc/ssh/sshd_config.",
    main: "key",
    fields: &[
        Field::required("path", Type::String, "absolute path of a file on the host"),
        Field::required("key", Type::String, "the name of the setting, as the file spells it"),
        Field::optional(
            "value",
            Type::Scalar,
            "the value, with its quotes if the file wants any; quotes that stand there stay",
        ),
        Field::optional(
            "section",
            Type::String,
            "where the key stands: the name in brackets (\"mysqld\"), or \"Match User deploy\" or \"Host *\" in files of ssh; \"\" is what precedes the first section; default: the one section where the key is unambiguous, in files of ssh what precedes the first block",
        ),
        Field::optional(
            "separator",
            Type::String,
            "what stands between key and value: \" \" or \"\\t\" for blanks, or a sign such as \"=\" or \":\"; a new line has its blanks as given (\" = \"); default: as the file is known to have it, else \"=\"",
        ),
        Field::optional(
            "comment",
            Type::String,
            "what begins a comment: a default that is commented out is put in force where it stands; default: \"#\" or \";\"",
        ),
        Field::optional(
            "state",
            Type::Enum(&["present", "absent"]),
            "default \"present\"; \"absent\" removes the lines that set the key, comments are left",
        ),
        text_file::CREATE,
        text_file::MISSING,
        parents::FIELD,
    ],
    build,
};

#[derive(Debug)]
struct Setting {
    target: Target,
    syntax: Syntax,
    /// The section, as [`section::Section::name`] has it.
    section: Option<String>,
    /// Whether the step says what separates key and value.
    separated: bool,
    /// None: the key shall not be set.
    value: Option<String>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let target = Target::of(args);
    let key = args.string("key");
    let known = key.is_some();
    if target.as_ref().is_some_and(|target| target.path.as_str().ends_with(".json")) {
        args.refuse("path", "a JSON document has no lines of settings: write the whole of it with 'file'");
    }
    // The rest is judged whether or not the key is known.
    let key = key.unwrap_or_else(|| "key".to_owned());
    let format = target.as_ref().map_or(format::PLAIN, |target| Format::of(&target.path));
    let syntax = syntax(args, key, format);
    let mut words = syntax.key.split(' ');
    let is_word = |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
    let is_separated = args.node("separator").is_some() || format.separator.is_some();
    if !words.all(is_word) {
        args.refuse("key", "'key' must be one word, or words with a single space between them");
    } else if syntax.key.contains(' ') && (syntax.sign.is_empty() || format.equals_optional || format.shell) {
        args.refuse("key", "'key' must be one word: in this file, a blank ends it");
    } else if syntax.key.contains(' ') && !is_separated {
        args.refuse("key", "'key' must be one word, unless the step says with 'separator' which sign ends it");
    }
    let section = section(args, syntax.format.blocks);
    let value = if args.absent() {
        if args.node("value").is_some() {
            args.refuse("value", "'value' has no meaning with state = \"absent\"");
        }
        None
    } else {
        let Some(value) = args.scalar("value") else {
            args.refuse("value", "a setting needs a 'value'");
            return None;
        };
        if value.chars().any(|c| c.is_control() && c != '\t') {
            args.wrong_value("value", "'value' must be one line");
        }
        if value.trim().is_empty() && syntax.sign.is_empty() {
            args.refuse("value", "a value that blanks separate from its key cannot be empty");
        }
        Some(value.trim().to_owned())
    };
    let separated = args.node("separator").is_some();
    if !known {
        return None;
    }
    Some(Box::new(Setting { target: target?, syntax, section, separated, value }))
}

fn syntax(args: &mut Args<'_>, key: String, format: Format) -> Syntax {
    let given = args.string("separator");
    if given.as_ref().is_some_and(|given| given.is_empty() || given.chars().any(|c| c.is_control() && c != '\t')) {
        args.refuse("separator", "'separator' must be \" \", a tab, or a sign such as \"=\"");
    }
    let comment = args.string("comment");
    if comment.as_ref().is_some_and(|comment| comment.trim().is_empty() || comment.chars().any(char::is_control)) {
        args.refuse("comment", "'comment' must be what begins a comment, such as \"#\"");
    }
    let separator = given.as_deref().or(format.separator);
    let joint = separator.map(|separator| match separator.trim() {
        "" if separator.contains('\t') => "\t".to_owned(),
        "" => " ".to_owned(),
        // A colon and the like are written "key: value", an equals sign "key=value".
        sign if sign == separator && sign != "=" => format!("{sign} "),
        _ => separator.to_owned(),
    });
    if format.shell && given.as_ref().is_some_and(|given| given.trim() == "=" && given != "=") {
        args.refuse("separator", "a shell reads this file, which takes no blanks beside \"=\"");
    }
    let sign = separator.map_or("=", str::trim).to_owned();
    if !sign.is_empty() && key.contains(&sign) {
        args.wrong_value("key", format!("'key' must not hold the separator \"{}\"", sign.escape_debug()));
    }
    let comments = match comment {
        Some(comment) => vec![comment.trim().to_owned()],
        None => vec!["#".to_owned(), ";".to_owned()],
    };
    if comments.iter().any(|comment| key.starts_with(comment.as_str())) {
        args.refuse("key", "'key' must not begin as a comment does");
    }
    Syntax { key, sign, joint, comments, format }
}

fn section(args: &mut Args<'_>, blocks: Blocks) -> Option<String> {
    let given = args.string("section")?;
    let name = blocks.name(&given).filter(|_| !given.chars().any(char::is_control));
    if name.is_none() {
        let why = match blocks {
            Blocks::Brackets => "'section' must be the name that stands in brackets, without them".to_owned(),
            Blocks::Words(words) => format!(
                "a section of this file is a whole line that begins with {}, such as \"Match User deploy\"",
                words.join(" or ")
            ),
        };
        args.refuse("section", why);
    }
    name
}

/// Where lines are added that shall count for all: at the end, but before the
/// first block in files where a line such as `Match` begins one. Lines that
/// begin a block themselves, or are indented to stand in one, come at the end.
pub(super) fn end_for_all<'a>(path: &AbsPath, text: &Text, mut lines: impl Iterator<Item = &'a str>) -> usize {
    let blocks = Format::of(path).blocks;
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let is_said = |line: &&str| !line.trim().is_empty() && !is_comment(line);
    let is_for_all =
        |line: &str| !line.starts_with([' ', '\t']) && blocks.name(line).is_none_or(|name| name.is_empty());
    match (blocks, &blocks.sections(text)[..]) {
        (Blocks::Words(_), [global, _, ..]) if lines.find(is_said).is_some_and(is_for_all) => {
            let is_of_head = |at: &usize| is_comment(text.line(*at)) && !ends_marked_lines(text, *at);
            let above = (0..global.lines.end).rev().take_while(is_of_head);
            // The comment right above a block is that block's.
            global.lines.end - above.count()
        }
        _ => text.len(),
    }
}

/// Whether a line is the second of two markers around lines, as a 'block' step
/// writes them: it belongs to what is above it.
fn ends_marked_lines(text: &Text, at: usize) -> bool {
    let line = text.line(at).trim_end();
    line.contains("END") && text.iter().take(at).any(|above| above.trim_end() == line.replace("END", "BEGIN"))
}

/// A text of sshd's with a keyword that has these values outside of any block: one
/// line, or with `several` a line for each.
///
/// # Errors
/// Which line is meant cannot be told: why, and what to do.
pub(super) fn with_sshd_values(
    path: &AbsPath,
    before: &Text,
    keyword: &str,
    values: &[String],
    several: bool,
) -> Result<Text, String> {
    let edited = |text: &Text, value: Option<&String>| {
        let (comments, joint) = (vec!["#".to_owned()], Some(" ".to_owned()));
        let syntax = Syntax { key: keyword.to_owned(), sign: String::new(), joint, comments, format: Format::of(path) };
        let target = Target { path: path.clone(), missing: Missing::Create, parents: true };
        let setting = Setting { target, syntax, section: None, separated: false, value: value.cloned() };
        setting.edit(text).map(|edited| edited.text)
    };
    if !several {
        return edited(before, values.first());
    }
    let lines: Vec<String> = values.iter().map(|value| format!("{keyword} {value}")).collect();
    let mut text = edited(before, None)?;
    for line in &lines {
        let at = end_for_all(path, &text, std::iter::once(line.as_str()));
        text.insert(at, line);
    }
    let are_there = before.iter().filter(|line| lines.iter().any(|own| own == line)).eq(&lines);
    Ok(if are_there && before.len() == text.len() { before.clone() } else { text })
}

impl Resource for Setting {
    fn queries(&self, queries: &mut Queries) {
        text_file::queries(&self.target.path, queries);
        if let Some(value) = &self.value {
            in_force::ask(queries, &self.target.path);
            in_force::ask_live(queries, &self.target.path, &format!("{} = {value}", self.syntax.key));
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        if let Some(planned) = text_file::left_open(host, &self.target.path, ("value", self.value.as_deref()))? {
            return Ok(planned);
        }
        let Some(file) = TextFile::read(host, &self.target, &mut planned)? else { return Ok(planned) };
        let refuse = |why: String| {
            let path = &self.target.path;
            text_file::refuse(host, path, format!("{} in {path}: {why}", self.syntax.key.escape_debug()))
        };
        let edited = match self.edit(&file.text) {
            Ok(edited) => edited,
            Err(why) => return refuse(why),
        };
        match self.edit(&edited.text) {
            Ok(again) if again.text == edited.text && self.is_read_as_written(&again) => {}
            Ok(_) => {
                let what = "it would be read otherwise than it is written";
                return refuse(match self.syntax.format.cut_at {
                    Some(sign) => format!("{what}: \"{sign}\" begins a comment in this file wherever it stands"),
                    None => format!("{what}: give the value with its quotes"),
                });
            }
            Err(why) => return refuse(why),
        }
        if edited.text != file.text {
            planned.change("value", edited.before.as_deref(), self.value.as_deref());
        }
        file.replace(host, edited.text, &mut planned)?;
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        let Some(value) = &self.value else { return Ok(InForce::default()) };
        // The same key stands in several blocks: the line in this one is meant.
        if let (Some(_), Blocks::Words(_)) = (&self.section, self.syntax.format.blocks) {
            let Ok(Content::Bytes(bytes)) = host.content(&self.target.path) else { return Ok(InForce::default()) };
            let numbers = self.numbers(&Text::parse(&String::from_utf8_lossy(bytes)));
            return in_force::text(host, &self.target.path, Said::Numbers(&numbers));
        }
        in_force::text(host, &self.target.path, Said::Setting(&self.syntax.key, value))
    }

    fn says(&self, path: &str, line: &str) -> bool {
        let said = |value: &String| Said::Setting(&self.syntax.key, value).covers(line);
        self.value.as_ref().is_some_and(said) && self.target.path.as_str() == path
    }
}
