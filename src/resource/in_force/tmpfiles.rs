//! What systemd-tmpfiles makes of a path at the next boot (tmpfiles.d(5)).
//!
//! All directories together are read in the order of the files' names. Of
//! several lines that own a path the first one counts; lines that adjust what
//! is there (`z`, `Z`, `m`) come after them, the last one counts. What stands
//! in /tmp and /run goes at a boot in any case, and is not told.

use super::{ConfigFile, Said, hidden_by, merged, paths, wildcard};
use crate::observe::{FileType, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::resource::ownership::Given;
use crate::values::{AbsPath, Mode};

pub(super) const DIRECTORIES: [&str; 5] =
    ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d", "/lib/tmpfiles.d"];

/// Where such lines speak of what is there: below these, and of what stands in `/` itself.
const TOPS: [&str; 8] = ["/run/", "/var/", "/dev/", "/tmp/", "/srv/", "/opt/", "/home/", "/usr/local/"];

/// Elsewhere only the administrator's own do: the vendors' make what is missing.
const OWN: usize = 3;

/// Types of lines that own their path.
const OWNING: &str = "fFwdDevqQpLcbCrR";

/// What a step says of a path.
#[derive(Debug, Clone, Copy)]
pub(in crate::resource) enum Thing<'a> {
    Directory,
    File(Option<&'a [u8]>),
    Link(&'a str),
}

impl Thing<'_> {
    fn file_type(self) -> FileType {
        match self {
            Thing::Directory => FileType::Directory,
            Thing::File(_) => FileType::File,
            Thing::Link(_) => FileType::Link,
        }
    }
}

/// One line.
struct Line<'a> {
    file: &'a AbsPath,
    number: usize,
    /// The type's letter, and whether a `+` follows it.
    letter: char,
    forced: bool,
    path: String,
    /// Mode, user and group, in this order; none where the line leaves them.
    meta: [Option<String>; 3],
    argument: Option<String>,
}

impl<'a> Line<'a> {
    fn parse(file: &'a AbsPath, number: usize, text: &str) -> Option<Line<'a>> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let mut rest = text;
        let mut word = || -> Option<String> {
            rest = rest.trim_start();
            let (word, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            rest = after;
            (!word.is_empty()).then(|| word.to_owned())
        };
        let kind = word()?;
        let path = word()?;
        // What a specifier stands for is not known here.
        if path.contains('%') {
            return None;
        }
        let mut field = || word().filter(|field| field != "-");
        // An age empties nothing at boot.
        let [mode, user, group, _age] = [field(), field(), field(), field()];
        let argument = Some(rest.trim().trim_matches('"')).filter(|text| !text.is_empty() && *text != "-");
        let argument = argument.map(|text| text.replace("\\n", "\n").replace("\\t", "\t"));
        // ':' means: only where it is made.
        let kept = |field: Option<String>| field.filter(|field| !field.starts_with([':', '~']));
        Some(Line {
            file,
            number,
            letter: kind.chars().next()?,
            forced: kind.contains('+'),
            path: if path == "/" { path } else { path.trim_end_matches('/').to_owned() },
            meta: [kept(mode), kept(user), kept(group)],
            argument,
        })
    }

    fn owns(&self) -> bool {
        OWNING.contains(self.letter)
    }

    fn is_about(&self, path: &AbsPath) -> bool {
        self.path == path.as_str()
    }

    fn matches(&self, path: &AbsPath) -> bool {
        // A '*' of glob(7) does not reach over a '/'.
        self.path.matches('/').count() == path.as_str().matches('/').count() && wildcard(&self.path, path.as_str())
    }
}

/// Asks for the files that may speak of a path.
pub(in crate::resource) fn ask_boot(queries: &mut Queries, path: &AbsPath) {
    queries.extend(speaking_of(path).into_iter().map(Query::Fragments));
}

pub(super) fn ask(queries: &mut Queries) {
    queries.extend(paths(&DIRECTORIES).into_iter().map(Query::Fragments));
}

/// The directories whose files may speak of a path.
fn speaking_of(path: &AbsPath) -> Vec<AbsPath> {
    let is_all =
        TOPS.iter().any(|top| path.as_str().starts_with(top)) || path.parent().is_some_and(|top| top.as_str() == "/");
    let mut directories = paths(&DIRECTORIES);
    directories.truncate(if is_all { DIRECTORIES.len() } else { OWN });
    directories
}

fn lines(files: &[ConfigFile]) -> Vec<Line<'_>> {
    let mut all = Vec::new();
    for file in files {
        all.extend(file.lines().filter_map(|(number, text)| Line::parse(&file.path, number, text)));
    }
    all
}

/// What the next boot makes otherwise of a path that a step has made.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn at_boot(
    host: &HostState,
    path: &AbsPath,
    given: &Given,
    thing: Thing<'_>,
) -> Result<InForce, PlanError> {
    let mut found = InForce::default();
    let directories = speaking_of(path);
    if !directories.iter().all(|directory| host.asked(&Query::Fragments(directory.clone()))) {
        return Ok(found);
    }
    let files = merged(host, &directories, ".conf")?;
    let lines = lines(&files);
    let own = lines.iter().find(|line| line.owns() && line.is_about(path));
    if let Some((line, what)) =
        own.and_then(|line| Some((line, replaces(line, thing)?))).or_else(|| removes(&lines, path))
    {
        let message = format!("systemd-tmpfiles {what} at every boot: {}", remedy(line.file));
        found.overridden.push(Override::new(line.file, Some(line.number), message));
        return Ok(found);
    }
    if thing.file_type() == FileType::Link {
        return Ok(found);
    }
    let adjusting = lines.iter().filter(|line| match line.letter {
        'z' | 'm' => line.matches(path),
        'Z' => line.matches(path) || is_below(path, &line.path),
        _ => false,
    });
    let all: Vec<&Line<'_>> = own.into_iter().filter(|line| !"wLrR".contains(line.letter)).chain(adjusting).collect();
    let mode = given.mode.map(|mode| mode.to_string());
    for (at, (field, wanted)) in
        [("mode", &mode), ("owner", &given.owner), ("group", &given.group)].into_iter().enumerate()
    {
        let Some(wanted) = wanted else { continue };
        let Some((line, said)) = all.iter().rev().find_map(|line| Some((line, line.meta[at].as_ref()?))) else {
            continue;
        };
        let is_same = match field {
            "mode" => said.parse::<Mode>().is_ok_and(|mode| Some(mode) == given.mode),
            "owner" => host.is_same_user(said, wanted),
            _ => host.is_same_group(said, wanted),
        };
        if said == wanted || is_same {
            continue;
        }
        let message = format!(
            "systemd-tmpfiles gives it the {field} {said} at every boot: {}, or say the same here",
            remedy(line.file)
        );
        found.overridden.push(Override::new(line.file, Some(line.number), message));
    }
    Ok(found)
}

/// Whether a path is below one that a pattern stands for.
fn is_below(path: &AbsPath, pattern: &str) -> bool {
    let mut above = path.parent();
    while let Some(directory) = above {
        if directory.as_str().matches('/').count() == pattern.matches('/').count()
            && directory.as_str() != "/"
            && wildcard(pattern, directory.as_str())
        {
            return true;
        }
        above = directory.parent();
    }
    false
}

/// What a line that owns a path puts in the place of what stands there.
fn replaces(line: &Line<'_>, thing: Thing<'_>) -> Option<String> {
    match (line.letter, line.forced, thing, &line.argument) {
        ('L', true, Thing::Link(target), Some(other)) if other != target => {
            Some(format!("points this link to {other}"))
        }
        ('L', true, Thing::File(_) | Thing::Directory, Some(other)) => {
            Some(format!("replaces it by a link to {other}"))
        }
        ('F', ..) | ('f' | 'w', true, ..) | ('w', false, ..) if line.letter != 'w' || !line.forced => {
            let Thing::File(Some(content)) = thing else { return None };
            let other = line.argument.as_deref().unwrap_or_default();
            (other.trim_end_matches('\n').as_bytes() != content.trim_ascii_end()).then(|| "writes it anew".to_owned())
        }
        _ => None,
    }
}

/// A line that removes a path, or what is in a directory above it.
fn removes<'a, 'b>(lines: &'b [Line<'a>], path: &AbsPath) -> Option<(&'b Line<'a>, String)> {
    let passing = ["/tmp/", "/run/", "/var/tmp/", "/dev/"].iter().any(|top| path.as_str().starts_with(top));
    let line = lines.iter().find(|line| match line.letter {
        'r' => line.matches(path),
        'R' => line.matches(path) || is_below(path, &line.path),
        'D' => !passing && !line.is_about(path) && is_below(path, &line.path),
        _ => false,
    })?;
    Some((line, format!("removes {path}")))
}

fn remedy(file: &AbsPath) -> String {
    match file.as_str().strip_prefix("/etc/tmpfiles.d/") {
        Some(_) => "change that line".to_owned(),
        None => format!("put a file of the same name, {}, into /etc/tmpfiles.d that says otherwise", file.file_name()),
    }
}

/// What overrides the lines of a file in tmpfiles.d.
pub(super) fn file(host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let files = merged(host, &paths(&DIRECTORIES), ".conf")?;
    let mut found = InForce::default();
    if let Some(by) = hidden_by(&files, path) {
        found.overridden.push(by);
        return Ok(found);
    }
    let Some(at) = files.iter().position(|file| file.path == *path) else { return Ok(found) };
    let before = lines(&files[..at]);
    for (number, text) in files[at].lines().filter(|(_, text)| said.covers(text)) {
        let Some(own) = Line::parse(path, number, text).filter(Line::owns) else { continue };
        let by = before.iter().find(|line| line.owns() && line.path == own.path);
        let differs = |by: &&Line<'_>| {
            (by.letter, by.forced, &by.meta, &by.argument) != (own.letter, own.forced, &own.meta, &own.argument)
        };
        if let Some(by) = by.filter(differs) {
            let message = format!(
                "systemd-tmpfiles takes the first line for {}, and this file is read first: {}, or give this one a name \
                 that sorts before it",
                own.path,
                remedy(by.file)
            );
            found.overridden.push(Override::new(by.file, Some(by.number), message));
        }
    }
    Ok(found)
}
