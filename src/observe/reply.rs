//! From the probe's answer to a [`HostState`].
//!
//! A question without an answer is an error or an explicit "unreadable", never
//! "absent": absent is only what the host itself called absent.

use super::probe::{CONTENT_LIMIT, drop_in_directories, runs};
use super::reply_accounts::{accounts, named_groups, named_users};
use super::reply_packages::{candidates, packages};
use super::reply_units::units;
use super::{Content, Entry, FileType, HostState, Known, Module, Output, PathState, Queries, Query};
use super::{apt, shipped};
use crate::values::{AbsPath, Mode};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

/// The answer is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host's answer cannot be understood: {0}")]
pub struct Malformed(String);

impl Malformed {
    pub(super) fn because(why: String) -> Malformed {
        Malformed(why)
    }

    pub(super) fn missing(section: &str) -> Malformed {
        Malformed(format!("the part '{section}' is missing"))
    }
}

/// One part of the answer.
pub(super) struct Section {
    pub(super) output: Vec<u8>,
    pub(super) code: i32,
    pub(super) errors: String,
}

impl Section {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// NUL-terminated fields.
    pub(super) fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> =
            self.output.split(|b| *b == 0).map(|f| String::from_utf8_lossy(f).into_owned()).collect();
        fields.pop();
        fields
    }

    /// What went wrong, apart from files that are not there.
    pub(super) fn complaints(&self) -> impl Iterator<Item = &str> {
        let absent = |line: &&str| line.ends_with("No such file or directory") || line.ends_with("Not a directory");
        self.errors.lines().filter(|line| !line.trim().is_empty()).filter(move |line| !absent(line))
    }
}

pub(super) fn sections(nonce: &str, output: &[u8]) -> Result<BTreeMap<String, Section>, Malformed> {
    let mut found = BTreeMap::new();
    let begin = format!("\n{nonce}:");
    let verdict = format!("\n{nonce}!");
    let mut rest = output;
    while let Some(at) = find(rest, begin.as_bytes()) {
        rest = &rest[at + begin.len()..];
        let line = rest.iter().position(|b| *b == b'\n').ok_or_else(|| Malformed("a part has no name".into()))?;
        let name = String::from_utf8_lossy(&rest[..line]).into_owned();
        rest = &rest[line + 1..];
        let stop = find(rest, verdict.as_bytes()).ok_or_else(|| Malformed(format!("the part '{name}' has no end")))?;
        let output = rest[..stop].to_vec();
        rest = &rest[stop + verdict.len()..];
        let end = find(rest, begin.as_bytes()).unwrap_or(rest.len());
        let tail = String::from_utf8_lossy(&rest[..end]);
        let (code, errors) = tail.split_once('\n').unwrap_or((&tail, ""));
        let code = code.trim().parse().map_err(|_| Malformed(format!("the part '{name}' has no exit code")))?;
        found.insert(name, Section { output, code, errors: errors.trim_end().to_owned() });
    }
    Ok(found)
}

pub(super) fn fill(
    host: &mut HostState,
    queries: &Queries,
    sections: &BTreeMap<String, Section>,
) -> Result<(), Malformed> {
    let sections = Sections(sections);
    fill_paths(host, queries, &sections)?;
    if queries.contains(&Query::Accounts) {
        let [passwd, group, shadow] = [sections.get("passwd")?, sections.get("group")?, sections.get("shadow")?];
        accounts(host, passwd, group, shadow, sections.get("local")?);
    }
    if asks(queries, |q| matches!(q, Query::User(_))) {
        named_users(host, queries, sections.get("user")?);
    }
    if asks(queries, |q| matches!(q, Query::Group(_))) {
        named_groups(host, queries, sections.get("usergroup")?);
    }
    fill_packages(host, queries, &sections)?;
    fill_units_and_kernel(host, queries, &sections)?;
    if asks(queries, |q| matches!(q, Query::Syntax(_))) {
        super::syntax::read(host, queries, sections.get("syntax")?)?;
    }
    if asks(queries, |q| matches!(q, Query::UnitText { .. })) {
        super::verify::read(host, queries, sections.get("verify")?)?;
    }
    for (number, run) in runs(queries).enumerate() {
        let section = sections.get(&format!("run{number}"))?;
        if u64::try_from(section.output.len()).is_ok_and(|length| length > CONTENT_LIMIT) {
            let why = format!("it printed more than {} MiB", CONTENT_LIMIT >> 20);
            host.set_unreadable(Query::Run(run.clone()), why);
            continue;
        }
        host.set_output(run, Known::Is(Output { code: section.code, stdout: section.text() }));
    }
    Ok(())
}

/// The sections of a reply by their names.
struct Sections<'a>(&'a BTreeMap<String, Section>);

impl<'a> Sections<'a> {
    /// One that must be there.
    fn get(&self, name: &str) -> Result<&'a Section, Malformed> {
        self.0.get(name).ok_or_else(|| Malformed::missing(name))
    }

    /// One that a host may be unable to give, or that earlier runs did not keep.
    fn perhaps(&self, name: &str) -> Option<&'a Section> {
        self.0.get(name)
    }
}

fn asks(queries: &Queries, test: fn(&Query) -> bool) -> bool {
    queries.iter().any(test)
}

fn fill_paths(host: &mut HostState, queries: &Queries, sections: &Sections<'_>) -> Result<(), Malformed> {
    if asks(queries, |q| matches!(q, Query::Path(_))) {
        paths(host, queries, sections.get("path")?)?;
    }
    // Without lsattr(1) or /proc the operations themselves tell.
    if let Some(section) = sections.perhaps("flags") {
        flags(host, section);
    }
    if let Some(section) = sections.perhaps("mounts") {
        super::mounts::read(host, section);
    }
    if asks(queries, |q| matches!(q, Query::Digest(_) | Query::Content(_))) {
        contents(host, queries, sections.get("digest")?, sections.perhaps("content"))?;
    }
    if asks(queries, |q| matches!(q, Query::Names(_))) {
        names(host, queries, sections.get("names")?);
    }
    if asks(queries, |q| matches!(q, Query::Fragments(_) | Query::DropIns(_))) {
        fragments(host, queries, sections.get("fragments")?)?;
    }
    for (across, name) in [(false, "tree"), (true, "trees")] {
        if queries.iter().any(|q| matches!(q, Query::Tree { across: asked, .. } if *asked == across)) {
            super::tree::read(host, queries, sections.get(name)?, across)?;
        }
    }
    if asks(queries, |q| matches!(q, Query::Acl(_))) {
        super::acl::read(host, queries, sections.get("acls")?);
    }
    Ok(())
}

fn fill_packages(host: &mut HostState, queries: &Queries, sections: &Sections<'_>) -> Result<(), Malformed> {
    if asks(queries, |q| matches!(q, Query::Package(_))) {
        packages(host, queries, sections.get("package")?);
        // Runs before this form have kept nothing of the marks.
        if let Some(section) = sections.perhaps("automatic") {
            apt::automatic(host, section);
        }
    }
    if let Some(section) = sections.perhaps("unfinished") {
        super::unfinished::read(host, section);
    }
    if asks(queries, |q| matches!(q, Query::Candidate(_))) {
        candidates(host, queries, sections.get("candidate")?);
    }
    if asks(queries, |q| matches!(q, Query::Provided(_))) {
        apt::provided(host, queries, sections.get("provided")?);
    }
    if asks(queries, |q| matches!(q, Query::Providers(_))) {
        apt::providers(host, queries, sections.get("providers")?);
    }
    if queries.contains(&Query::Packages) {
        apt::installed(host, sections.get("installed")?);
    }
    if asks(queries, |q| matches!(q, Query::Shipped(_))) {
        shipped::read(host, queries, sections.get("shipped")?);
    }
    for (number, words) in apt::calls(queries).enumerate() {
        apt::transaction(host, words, sections.get(&format!("transaction{number}"))?);
    }
    Ok(())
}

fn fill_units_and_kernel(host: &mut HostState, queries: &Queries, sections: &Sections<'_>) -> Result<(), Malformed> {
    if asks(queries, |q| matches!(q, Query::Unit(_))) {
        units(host, queries, sections.get("unit")?);
    }
    if asks(queries, |q| matches!(q, Query::Sysctl(_))) {
        sysctl(host, queries, sections.get("sysctl")?);
        // What runs before this form have kept has no such part.
        let fixed = sections.perhaps("fixed").map(Section::fields).unwrap_or_default();
        fixed.iter().filter_map(|key| key.parse().ok()).for_each(|key| host.set_sysctl_read_only(&key));
    }
    if asks(queries, |q| matches!(q, Query::Sysctls(_))) {
        super::sysctl::read(host, queries, sections.get("sysctls")?);
    }
    if asks(queries, |q| matches!(q, Query::Module(_))) {
        modules(host, queries, sections.get("module")?);
    }
    if queries.contains(&Query::Processes) {
        super::processes::read(host, sections.get("processes")?);
    }
    Ok(())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// The permission bits that find(1) prints.
pub(super) fn mode_of(text: &str) -> Result<Mode, Malformed> {
    let bits = u16::from_str_radix(text, 8);
    bits.map(Mode::from_bits).map_err(|_| Malformed(format!("'{}' is no mode", text.escape_debug())))
}

fn paths(host: &mut HostState, queries: &Queries, section: &Section) -> Result<(), Malformed> {
    let fields = section.fields();
    let mut found: HashMap<&str, (Entry, Option<u64>, u32)> = HashMap::new();
    for field in fields.chunks_exact(7) {
        let [path, kind, mode, owner, group, target, size] = field else { continue };
        let file_type = FileType::of_letter(kind);
        let mode = mode_of(mode)?;
        let target = (file_type == FileType::Link).then(|| target.clone());
        let (owner, group) = host.read_owner(owner, group);
        let entry = Entry { file_type, mode, owner, group, target };
        // What earlier versions have kept of a run has no number of links.
        let (size, links) = size.split_once(':').unwrap_or((size, ""));
        found.insert(path, (entry, size.parse().ok(), links.parse().unwrap_or(1)));
    }
    for query in queries.iter() {
        let Query::Path(path) = query else { continue };
        if let Some((entry, size, links)) = found.remove(path.as_str()) {
            host.put_path(path, PathState::Present(entry));
            host.set_size(path, size);
            host.set_hard_links(path, links);
        } else if let Some(why) = complaint(section, path) {
            host.set_unreadable(query.clone(), why);
        } else {
            host.put_path(path, PathState::Absent);
        }
    }
    Ok(())
}

impl Section {
    /// What the tools said about this path, or about everything.
    pub(super) fn complaint(&self, path: &AbsPath) -> Option<String> {
        complaint(self, path)
    }
}

/// Files that cannot be changed (chattr(1)): `----i---------e------- /path`.
fn flags(host: &mut HostState, section: &Section) {
    for line in section.text().lines() {
        let Some((flags, path)) = line.split_once(' ') else { continue };
        let flag = flags.chars().find(|flag| matches!(flag, 'i' | 'a'));
        if let (Some(flag), Ok(path)) = (flag, path.trim_start().parse()) {
            host.set_flag(path, flag);
        }
    }
}

/// What the tools said about this path, or about everything.
fn complaint(section: &Section, path: &AbsPath) -> Option<String> {
    section
        .complaints()
        .find(|line| line.contains(path.as_str()) || !line.contains('/'))
        .map(|line| line.trim().to_owned())
}

fn contents(host: &mut HostState, queries: &Queries, sums: &Section, bytes: Option<&Section>) -> Result<(), Malformed> {
    let mut digests: HashMap<String, String> = HashMap::new();
    for line in sums.fields() {
        if let Some((digest, path)) = line.split_once("  ") {
            digests.insert(path.to_owned(), digest.to_owned());
        }
    }
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    if let Some(section) = bytes.filter(|section| !section.output.is_empty()) {
        let bad = |error: std::io::Error| Malformed(format!("the archive of file contents: {error}"));
        for entry in tar::Archive::new(section.output.as_slice()).entries().map_err(bad)? {
            let mut entry = entry.map_err(bad)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).map_err(bad)?;
            // A file that is there under two names, by a hard link or through a
            // linked directory, is archived once: the other name refers to the first.
            if entry.header().entry_type().is_hard_link() {
                let first = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
                let same = first.as_ref().and_then(|first| files.get(first));
                let same = same
                    .ok_or_else(|| Malformed(format!("the archive of file contents: {path} is a link to nothing")))?;
                data.clone_from(same);
            }
            files.insert(path, data);
        }
    }
    for query in queries.iter() {
        let (Query::Digest(path) | Query::Content(path)) = query else { continue };
        let is_file = host.path(path).ok().and_then(PathState::entry).is_some_and(|e| e.file_type == FileType::File);
        let content = match (is_file, files.remove(path.as_str()), digests.get(path.as_str())) {
            (false, ..) => Content::Absent,
            (true, Some(data), _) => Content::Bytes(data),
            // The bytes may have been asked for by the other question on this path.
            (true, None, _) if matches!(host.content(path), Ok(Content::Bytes(_))) => {
                host.mark_asked(query.clone());
                continue;
            }
            (true, None, Some(digest)) => Content::Digest(digest.clone()),
            (true, None, None) => {
                let why = complaint(sums, path).unwrap_or_else(|| "no answer from the host".into());
                host.set_unreadable(query.clone(), why);
                continue;
            }
        };
        host.answer_content(query, path, content);
    }
    Ok(())
}

fn names(host: &mut HostState, queries: &Queries, section: &Section) {
    let mut found: HashMap<String, BTreeSet<String>> = HashMap::new();
    for pair in section.fields().chunks_exact(2) {
        found.entry(pair[0].clone()).or_default().insert(pair[1].clone());
    }
    for query in queries.iter() {
        let Query::Names(path) = query else { continue };
        match complaint(section, path) {
            Some(why) => host.set_unreadable(query.clone(), why),
            None => host.set_names(path, found.remove(path.as_str()).unwrap_or_default()),
        }
    }
}

/// What an archive of fragments holds: a file's bytes, or none for the null
/// device, by which a name is masked.
fn fragments(host: &mut HostState, queries: &Queries, section: &Section) -> Result<(), Malformed> {
    let bad = |error: std::io::Error| Malformed(format!("the archive of configuration fragments: {error}"));
    let mut found: BTreeMap<AbsPath, BTreeMap<String, Option<Vec<u8>>>> = BTreeMap::new();
    if !section.output.is_empty() {
        for entry in tar::Archive::new(section.output.as_slice()).entries().map_err(bad)? {
            let mut entry = entry.map_err(bad)?;
            let Ok(path) = String::from_utf8_lossy(&entry.path_bytes()).parse::<AbsPath>() else { continue };
            let Some(directory) = path.parent() else { continue };
            let bytes = if entry.header().entry_type().is_character_special() {
                None
            } else {
                let mut data = Vec::new();
                entry.read_to_end(&mut data).map_err(bad)?;
                Some(data)
            };
            found.entry(directory).or_default().insert(path.file_name().to_owned(), bytes);
        }
    }
    let mut directory = |host: &mut HostState, query: &Query, path: &AbsPath| {
        host.set_fragments(path, found.remove(path).unwrap_or_default());
        if let Some(why) = complaint(section, path) {
            host.set_unreadable(query.clone(), why.clone());
            host.set_unreadable(Query::Fragments(path.clone()), why);
        }
    };
    for query in queries.iter() {
        match query {
            Query::Fragments(path) => directory(host, query, path),
            Query::DropIns(name) => {
                host.mark_asked(query.clone());
                drop_in_directories(name).iter().for_each(|path| directory(host, query, path));
            }
            _ => {}
        }
    }
    Ok(())
}

fn sysctl(host: &mut HostState, queries: &Queries, section: &Section) {
    let fields = section.fields();
    let found: HashMap<&str, &str> = fields.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    for query in queries.iter() {
        let Query::Sysctl(key) = query else { continue };
        if let Some(value) = found.get(key.as_str()) {
            host.set_sysctl(key, value);
        } else if let Some(line) = section.complaints().find(|line| line.contains(key.as_str())) {
            host.set_unreadable(query.clone(), line.to_owned());
        } else {
            host.set_sysctl_absent(key);
        }
    }
}

fn modules(host: &mut HostState, queries: &Queries, section: &Section) {
    let text = section.text();
    let (loaded, builtin) = text.split_once("--\n").unwrap_or((&text, ""));
    let same = |a: &str, b: &str| a.replace('-', "_") == b.replace('-', "_");
    for query in queries.iter() {
        let Query::Module(name) = query else { continue };
        let module = Module {
            loaded: loaded.lines().any(|line| same(line, name)),
            builtin: builtin.lines().any(|line| {
                let stem = line.rsplit('/').next().unwrap_or(line).trim_end_matches(".ko");
                same(stem, name)
            }),
        };
        host.set_module(name, module);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_is_none_is_an_error_and_no_guess() {
        assert_eq!(mode_of("4755").unwrap(), Mode::from_bits(0o4755));
        let answer = |mode: &str| {
            let output = format!("/x\0f\0{mode}\0root\0root\0\x003\0").into_bytes();
            let mut host = HostState::default();
            let mut queries = Queries::new();
            queries.ask(Query::Path("/x".parse().unwrap()));
            paths(&mut host, &queries, &Section { output, code: 0, errors: String::new() })
        };
        assert_eq!(answer("644"), Ok(()));
        for bad in ["", "rw", "9", "-1"] {
            assert!(answer(bad).unwrap_err().to_string().contains("is no mode"), "{bad}");
        }
    }
}
