//! One instruction: its keyword, flags and arguments, after buildkit's
//! `parser` (splitting) and `instructions` (what each keyword takes), with the
//! rules that the classic builder adds: no flag that needs BuildKit.

use super::error::DockerfileError;
use super::json_form::{self, Form};
use super::lines::BLANK;
use crate::shown::shown;

/// Keys of labels that only the gateway sets begin so.
const RESERVED_LABEL: &str = "io.stockade.";

macro_rules! keywords {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// An instruction's keyword.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Keyword {
            $(
                #[doc = concat!("`", $text, "`")]
                $name,
            )*
        }

        impl Keyword {
            const ALL: &[Keyword] = &[$(Keyword::$name),*];

            /// In capitals, as it is rendered.
            pub fn text(self) -> &'static str {
                match self {
                    $(Keyword::$name => $text,)*
                }
            }
        }
    };
}

keywords! {
    Add = "ADD",
    Arg = "ARG",
    Cmd = "CMD",
    Copy = "COPY",
    Entrypoint = "ENTRYPOINT",
    Env = "ENV",
    Expose = "EXPOSE",
    From = "FROM",
    Healthcheck = "HEALTHCHECK",
    Label = "LABEL",
    Maintainer = "MAINTAINER",
    Onbuild = "ONBUILD",
    Run = "RUN",
    Shell = "SHELL",
    StopSignal = "STOPSIGNAL",
    User = "USER",
    Volume = "VOLUME",
    Workdir = "WORKDIR",
}

impl Keyword {
    fn read(text: &str) -> Option<Keyword> {
        Keyword::ALL.iter().copied().find(|keyword| keyword.text().eq_ignore_ascii_case(text))
    }

    /// The flags that the classic builder of every engine from 20.10 on takes.
    /// `start-interval` came later; older engines refuse it.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Keyword::From => &["platform"],
            Keyword::Copy => &["from", "chown"],
            Keyword::Add => &["chown"],
            Keyword::Healthcheck => &["interval", "timeout", "start-period", "start-interval", "retries"],
            Keyword::Arg
            | Keyword::Cmd
            | Keyword::Entrypoint
            | Keyword::Env
            | Keyword::Expose
            | Keyword::Label
            | Keyword::Maintainer
            | Keyword::Onbuild
            | Keyword::Run
            | Keyword::Shell
            | Keyword::StopSignal
            | Keyword::User
            | Keyword::Volume
            | Keyword::Workdir => &[],
        }
    }
}

/// `--name=value` before the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// One that the keyword takes.
    pub name: &'static str,
    /// Without quotes, escapes, white space; may hold `$`.
    pub value: String,
}

/// What an instruction says, as far as the gateway has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    From {
        base: String,
        name: Option<String>,
    },
    Arg(Vec<(String, Option<String>)>),
    /// URLs that the daemon would fetch.
    Add {
        urls: Vec<Url>,
    },
    Onbuild(Box<Instruction>),
    Plain,
}

/// An address in `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub text: String,
    pub host: String,
    pub port: u16,
}

/// One instruction of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// Its keyword.
    pub keyword: Keyword,
    /// Its flags, in the order given, none of them twice.
    pub flags: Vec<Flag>,
    /// The rest, as the client wrote it, in one line.
    pub args: String,
    pub(super) meaning: Meaning,
}

impl Instruction {
    /// A flag's value; none if it is not given.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|flag| flag.name == name).map(|flag| flag.value.as_str())
    }

    /// Reads one logical line.
    ///
    /// # Errors
    /// Anything that the classic builder refuses, and what it would read
    /// otherwise than another engine version does.
    pub(super) fn read(text: &str, line: usize, escape: char) -> Result<Instruction, DockerfileError> {
        let fail = |message: String| DockerfileError::new(line, message);
        let text = text.trim();
        let (word, rest) = text.split_once(BLANK).unwrap_or((text, ""));
        let Some(keyword) = Keyword::read(word) else {
            return Err(fail(format!("{:?} is no instruction", shown(word))));
        };
        // The daemon keeps what stands here as a part of the trigger.
        if keyword == Keyword::Onbuild && rest.trim_start().starts_with("--") {
            return Err(fail("ONBUILD takes no flags".to_owned()));
        }
        let (flags, args) = flags(keyword, rest.trim_start_matches(BLANK)).map_err(fail)?;
        if args.is_empty() {
            return Err(fail(format!("{} needs an argument", keyword.text())));
        }
        let heredoc = matches!(keyword, Keyword::Add | Keyword::Copy | Keyword::Run) && has_heredoc(text);
        if heredoc && json_form::form(args) == Ok(Form::Words) {
            let message = "heredocs (<<) need BuildKit, which is not possible through the gateway: use a continued \
                           line, or COPY a file from the context";
            return Err(fail(message.to_owned()));
        }
        let meaning = meaning(keyword, args, line, escape)?;
        Ok(Instruction { line, keyword, flags, args: args.to_owned(), meaning })
    }

    /// The instruction in one line that reads back as the same.
    pub(super) fn render(&self) -> String {
        let mut text = self.keyword.text().to_owned();
        for flag in &self.flags {
            text.push_str(&format!(" --{}={}", flag.name, flag.value));
        }
        if self.args.starts_with("--") {
            text.push_str(" --");
        }
        text.push(' ');
        text.push_str(&self.args);
        text
    }

    /// Whether both are the same apart from where they stand.
    pub(super) fn is_same(&self, other: &Instruction) -> bool {
        self.keyword == other.keyword && self.flags == other.flags && self.args == other.args
    }
}

/// Splits flags from arguments, as `extractBuilderFlags` and `BFlags.Parse` do.
fn flags(keyword: Keyword, text: &str) -> Result<(Vec<Flag>, &str), String> {
    let mut flags: Vec<Flag> = Vec::new();
    // The flags are looked at byte by byte, so only ASCII is white space here.
    let ascii = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    let mut rest = text.trim_start_matches(ascii);
    while rest.starts_with("--") {
        let (word, after) = flag_word(rest)?;
        rest = after;
        if word == "--" {
            break;
        }
        flags.push(flag(keyword, &word, &flags)?);
        rest = rest.trim_start_matches(ascii);
    }
    Ok((flags, rest.trim()))
}

/// One word with its quotes taken off, and what follows it.
fn flag_word(text: &str) -> Result<(String, &str), String> {
    let mut word = String::new();
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match c {
            '\\' | '`' => return Err("a flag with an escape character cannot be decided; write it plainly".to_owned()),
            c if !c.is_ascii() => return Err("a flag holds a character that is not ASCII".to_owned()),
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            c if c.is_ascii_whitespace() || c == '\u{b}' => {
                if quote.is_some() {
                    return Err("a flag holds white space; write it without".to_owned());
                }
                return Ok((word, text.get(at..).unwrap_or_default()));
            }
            '"' | '\'' => return Err("a flag holds a quote; write it without".to_owned()),
            c => word.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote in a flag is not closed".to_owned());
    }
    Ok((word, ""))
}

fn flag(keyword: Keyword, word: &str, before: &[Flag]) -> Result<Flag, String> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    let Some(known) = keyword.flags().iter().find(|known| name.strip_prefix("--") == Some(**known)) else {
        let buildkit = match keyword {
            Keyword::Run => name.starts_with("--mount") || name.starts_with("--network") || name.starts_with("--s"),
            Keyword::Copy | Keyword::Add => true,
            _ => false,
        };
        let why = if buildkit { ": it needs BuildKit, which is not possible through the gateway" } else { "" };
        return Err(format!("the flag {} of {} is not possible{why}", shown(name), keyword.text()));
    };
    if before.iter().any(|flag| flag.name == *known) {
        return Err(format!("the flag {} is given twice", shown(name)));
    }
    let Some(value) = value else { return Err(format!("the flag {} needs a value", shown(name))) };
    Ok(Flag { name: known, value: value.to_owned() })
}

/// Whether a word begins with `<<`, perhaps after digits. `<<<` is none.
fn has_heredoc(text: &str) -> bool {
    text.match_indices("<<").any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
        let after = text.get(at + 2..).unwrap_or_default();
        !after.starts_with('<') && (before.is_empty() || before.ends_with(char::is_whitespace))
    })
}

fn meaning(keyword: Keyword, args: &str, line: usize, escape: char) -> Result<Meaning, DockerfileError> {
    let fail = |message: String| DockerfileError::new(line, message);
    let form = || json_form::form(args).map_err(|why| fail(format!("{}: {why}", keyword.text())));
    match keyword {
        Keyword::From => from(args).map_err(fail),
        Keyword::Arg => Ok(Meaning::Arg(arguments(args, escape).map_err(fail)?)),
        Keyword::Env => pairs("ENV", args, escape).map(|_| Meaning::Plain).map_err(fail),
        Keyword::Label => {
            pairs("LABEL", args, escape).map_err(fail)?.iter().try_for_each(|key| label(key)).map_err(fail)?;
            Ok(Meaning::Plain)
        }
        Keyword::Add | Keyword::Copy => {
            let words = match form()? {
                Form::Json(list) => list,
                Form::Words => json_form::words(args),
            };
            let Some((_, sources)) = words.split_last().filter(|(_, sources)| !sources.is_empty()) else {
                return Err(fail(format!("{} needs a source and a destination", keyword.text())));
            };
            if words.iter().any(|word| has_heredoc(word)) {
                return Err(fail("a source or destination begins with <<".to_owned()));
            }
            if keyword == Keyword::Copy {
                return Ok(Meaning::Plain);
            }
            let urls: Result<Vec<Option<Url>>, String> = sources.iter().map(|source| add_source(source)).collect();
            Ok(Meaning::Add { urls: urls.map_err(fail)?.into_iter().flatten().collect() })
        }
        Keyword::Onbuild => onbuild(args, line, escape),
        Keyword::Run | Keyword::Shell | Keyword::Volume | Keyword::Cmd | Keyword::Entrypoint => {
            let empty = match form()? {
                Form::Json(list) if keyword == Keyword::Volume => {
                    list.is_empty() || list.iter().any(|volume| volume.trim().is_empty())
                }
                Form::Json(list) => list.is_empty() && matches!(keyword, Keyword::Run | Keyword::Shell),
                Form::Words if keyword == Keyword::Shell => {
                    return Err(fail("SHELL takes a JSON array, [\"/bin/sh\", \"-c\"]".to_owned()));
                }
                Form::Words => false,
            };
            if empty {
                return Err(fail(format!("{} has an empty argument", keyword.text())));
            }
            Ok(Meaning::Plain)
        }
        Keyword::Healthcheck => {
            let (kind, rest) = args.split_once(|c: char| c.is_ascii_whitespace() || c == '\u{b}').unwrap_or((args, ""));
            let rest = rest.trim_start();
            let none = kind.eq_ignore_ascii_case("NONE");
            if !none && !kind.eq_ignore_ascii_case("CMD") || none != rest.is_empty() {
                return Err(fail("HEALTHCHECK is followed by NONE, or by CMD and a command".to_owned()));
            }
            match json_form::form(rest) {
                Ok(Form::Json(list)) if list.is_empty() => Err(fail("HEALTHCHECK CMD has no command".to_owned())),
                Ok(_) => Ok(Meaning::Plain),
                Err(why) => Err(fail(format!("HEALTHCHECK: {why}"))),
            }
        }
        Keyword::Expose | Keyword::Maintainer | Keyword::StopSignal | Keyword::User | Keyword::Workdir => {
            Ok(Meaning::Plain)
        }
    }
}

fn from(args: &str) -> Result<Meaning, String> {
    if !args.is_ascii() {
        return Err("FROM holds a character that is not ASCII".to_owned());
    }
    match &json_form::words(args)[..] {
        [base] => Ok(Meaning::From { base: base.clone(), name: None }),
        [base, joint, name] if joint.eq_ignore_ascii_case("as") => {
            let lower = name.to_ascii_lowercase();
            let plain = lower.starts_with(|c: char| c.is_ascii_lowercase())
                && lower.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
            // A name that is an image's id would stand before that image.
            if !plain || lower.len() == 64 && lower.bytes().all(|b| b.is_ascii_hexdigit()) || lower.len() > 128 {
                return Err(format!("{:?} is not acceptable as a stage's name", shown(name)));
            }
            Ok(Meaning::From { base: base.clone(), name: Some(lower) })
        }
        _ => Err("FROM takes an image, or an image AS a name".to_owned()),
    }
}

/// Words as `parseWords` splits them: quotes and escapes are kept.
fn quoted_words(text: &str, escape: char) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        word.push(c);
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '"' | '\'') {
            quote = Some(c);
        } else if c == escape && quote != Some('\'') {
            let Some(escaped) = rest.next() else {
                return Err("an escape character stands at the end".to_owned());
            };
            word.push(escaped);
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// `ARG name`, `ARG name=value`, several of them.
fn arguments(args: &str, escape: char) -> Result<Vec<(String, Option<String>)>, String> {
    let words = quoted_words(args, escape)?;
    words
        .into_iter()
        .map(|word| {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if plain { Ok((key, value)) } else { Err(format!("{:?} is not a build argument's name", shown(&key))) }
        })
        .collect()
}

/// The keys of `ENV` or `LABEL`: `key=value …`, or `key value`.
fn pairs(keyword: &str, args: &str, escape: char) -> Result<Vec<String>, String> {
    let words = quoted_words(args, escape)?;
    if words.first().is_some_and(|first| first.contains('=')) {
        return words
            .iter()
            .map(|word| match word.split_once('=') {
                Some((key, _)) if !key.is_empty() => Ok(key.to_owned()),
                _ => Err(format!("{keyword}: {:?} is not of the form name=value", shown(word))),
            })
            .collect();
    }
    match args.split_once(BLANK) {
        Some((key, _)) if !key.is_empty() => Ok(vec![key.to_owned()]),
        _ => Err(format!("{keyword} takes a name and a value")),
    }
}

/// Refuses a label's key that is the gateway's, or that is not plain text.
fn label(key: &str) -> Result<(), String> {
    let inner = ['"', '\''].iter().find_map(|quote| key.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(key);
    if inner.is_empty() || inner.contains(['"', '\'', '\\', '`', '$']) {
        return Err(format!("the label's name {:?} cannot be decided; write it plainly", shown(key)));
    }
    // As `strings.EqualFold`: ſ is s, and the Kelvin sign is k.
    let folded = inner.to_lowercase().replace('\u{17f}', "s");
    if folded.trim_start().starts_with(RESERVED_LABEL) {
        return Err(format!("the label {:?} is reserved for the gateway", shown(inner)));
    }
    Ok(())
}

/// What a source of `ADD` makes the daemon fetch.
fn add_source(source: &str) -> Result<Option<Url>, String> {
    if source.contains(['$', '\\', '`', '"', '\'']) {
        let message = "it cannot be decided whether the source of ADD is a URL; use COPY, which fetches nothing";
        return Err(format!("{message}: {:?}", shown(source)));
    }
    let lower = source.trim().to_lowercase();
    let port = match &lower {
        text if text.starts_with("http://") => 80,
        text if text.starts_with("https://") => 443,
        text if text.contains("://")
            || text.contains(".git#")
            || text.starts_with("git@")
            || text.starts_with("github.com/") =>
        {
            let message = "ADD from a git repository is not possible; use COPY for a path of the context";
            return Err(format!("{message}: {:?}", shown(source)));
        }
        _ => return Ok(None),
    };
    let bad = || format!("the URL {:?} is not acceptable: host and perhaps port, then a path", shown(source));
    if !source.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad());
    }
    let (_, rest) = lower.split_once("://").ok_or_else(bad)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, digits)) if !digits.contains(']') => {
            let number = digits.parse::<u16>().ok().filter(|port| *port != 0 && port.to_string() == digits);
            (host, number.ok_or_else(bad)?)
        }
        _ => (authority, port),
    };
    let name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if !name(host) && address.is_none_or(|text| text.parse::<std::net::Ipv6Addr>().is_err()) {
        return Err(bad());
    }
    Ok(Some(Url { text: source.to_owned(), host: host.to_owned(), port }))
}

/// The inner instruction, which later builds run in a context that is not
/// known, with the backslash as the escape character.
fn onbuild(args: &str, line: usize, escape: char) -> Result<Meaning, DockerfileError> {
    let inner = Instruction::read(args, line, escape)?;
    let later = if escape == '\\' { inner.clone() } else { Instruction::read(args, line, '\\')? };
    for inner in [&inner, &later] {
        inner.check_as_trigger().map_err(|message| DockerfileError::new(line, format!("ONBUILD: {message}")))?;
        let from = inner.flag("from").unwrap_or_default();
        if !from.bytes().all(|b| b.is_ascii_digit()) {
            let message = "ONBUILD COPY --from names an image that cannot be pinned; use a stage's number";
            return Err(DockerfileError::new(line, message));
        }
    }
    Ok(Meaning::Onbuild(Box::new(inner)))
}

impl Instruction {
    /// What an instruction may not say in a trigger, besides `COPY --from`.
    pub(super) fn check_as_trigger(&self) -> Result<(), String> {
        if matches!(self.keyword, Keyword::From | Keyword::Maintainer | Keyword::Onbuild) {
            return Err(format!("{} is not possible in a trigger", self.keyword.text()));
        }
        match &self.meaning {
            Meaning::Add { urls } if !urls.is_empty() => {
                Err("ADD of a URL is not possible in a trigger; use COPY".to_owned())
            }
            _ => Ok(()),
        }
    }
}
