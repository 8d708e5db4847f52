//! Which line of the ssh client's configuration counts (ssh_config(5)).
//!
//! The main file is read from top to bottom with what it includes in place; the
//! first value of a keyword wins. Lines below `Host` or `Match` hold for some
//! connections, those below `Host *` and `Match all` for all of them; such a
//! block in an included file ends with that file.

use super::sshd::directive;
use super::{Said, wildcard};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;
use std::collections::BTreeSet;

pub(super) const MAIN: &str = "/etc/ssh/ssh_config";
pub(super) const FRAGMENTS: &str = "/etc/ssh/ssh_config.d";

/// Keywords of which every line counts.
const CUMULATIVE: [&str; 7] =
    ["certificatefile", "dynamicforward", "identityfile", "localforward", "remoteforward", "sendenv", "setenv"];

/// Includes below includes that are followed (readconf.c, READCONF_MAX_DEPTH).
const DEPTH: usize = 16;

/// One keyword with its value.
struct Directive {
    keyword: String,
    value: String,
    /// The connections that it is for: the words after `Host`, or all of a line
    /// with `Match`; nothing where it is for all.
    scope: Vec<String>,
    file: AbsPath,
    line: usize,
}

#[derive(Default)]
struct Configuration {
    directives: Vec<Directive>,
    files: BTreeSet<AbsPath>,
    follow_up_queries: Vec<Query>,
}

/// Asks for the main file and the usual directory of fragments.
pub(super) fn ask(queries: &mut Queries) {
    queries.extend(MAIN.parse().ok().map(Query::Content));
    queries.extend(FRAGMENTS.parse().ok().map(Query::Fragments));
}

impl Configuration {
    fn read(
        &mut self,
        host: &HostState,
        file: &AbsPath,
        text: &str,
        outer: &[String],
        depth: usize,
    ) -> Result<(), PlanError> {
        self.files.insert(file.clone());
        let mut scope = outer.to_vec();
        for (index, line) in text.lines().enumerate() {
            let Some((keyword, value)) = directive(line) else { continue };
            match keyword.as_str() {
                "host" | "match" => {
                    let for_all = if keyword == "host" {
                        value.split(' ').any(|pattern| pattern == "*") && !value.contains('!')
                    } else {
                        value.eq_ignore_ascii_case("all")
                    };
                    scope = outer.to_vec();
                    if !for_all {
                        scope.push(format!("{keyword} {value}"));
                    }
                }
                "include" if depth < DEPTH => {
                    for pattern in value.split(' ') {
                        self.include(host, pattern, &scope, depth + 1)?;
                    }
                }
                _ => self.directives.push(Directive {
                    keyword,
                    value,
                    scope: scope.clone(),
                    file: file.clone(),
                    line: index + 1,
                }),
            }
        }
        Ok(())
    }

    fn include(&mut self, host: &HostState, pattern: &str, scope: &[String], depth: usize) -> Result<(), PlanError> {
        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
        let Ok(pattern) = pattern.parse::<AbsPath>() else { return Ok(()) };
        let Some(directory) = pattern.parent() else { return Ok(()) };
        let query = Query::Fragments(directory.clone());
        if !host.asked(&query) {
            self.follow_up_queries.push(query);
            return Ok(());
        }
        for (name, bytes) in host.fragments(&directory)? {
            let (Ok(file), Some(bytes)) = (directory.join(&name), bytes) else { continue };
            let hidden = name.starts_with('.') && !pattern.file_name().starts_with('.');
            if !hidden && wildcard(pattern.file_name(), &name) {
                self.read(host, &file, &String::from_utf8_lossy(bytes), scope, depth)?;
            }
        }
        Ok(())
    }
}

/// Whether what holds in one scope holds for all that is in another one.
fn covers(wide: &[String], narrow: &[String]) -> bool {
    let hosts = |scope: &str| -> Option<Vec<String>> {
        let names = scope.strip_prefix("host ")?.split(' ').map(str::to_owned);
        Some(names.collect())
    };
    wide.iter().all(|wide| {
        narrow.contains(wide)
            || narrow.iter().any(|narrow| match (hosts(wide), hosts(narrow)) {
                (Some(wide), Some(narrow)) => narrow.iter().all(|name| {
                    !name.contains(['*', '?', '!'])
                        && wide.iter().any(|pattern| wildcard(pattern, name))
                        && !wide.iter().any(|pattern| pattern.starts_with('!'))
                }),
                _ => false,
            })
    })
}

/// What overrides the settings that a file, or a line of it, gives to the client.
pub(super) fn file(host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let Ok(main) = MAIN.parse::<AbsPath>() else { return Ok(InForce::default()) };
    let Content::Bytes(bytes) = host.content(&main)? else { return Ok(InForce::default()) };
    let mut configuration = Configuration::default();
    configuration.read(host, &main, &String::from_utf8_lossy(bytes), &[], 0)?;
    let Configuration { directives, files, follow_up_queries } = configuration;
    let mut found = InForce { follow_up_queries, ..InForce::default() };
    if !files.contains(path) {
        if path.file_name().ends_with(".conf") && found.follow_up_queries.is_empty() {
            let message = format!(
                "it has no Include line for {path}, so ssh does not read it: add the line 'Include {FRAGMENTS}/*.conf' at its top"
            );
            found.overridden.push(Override::new(MAIN, None, message));
        }
        return Ok(found);
    }
    let Content::Bytes(bytes) = host.content(path)? else { return Ok(found) };
    let own = said.numbers(&String::from_utf8_lossy(bytes));
    let mut own: Vec<&Directive> = directives.iter().filter(|d| d.file == *path && own.contains(&d.line)).collect();
    // Of equal lines one for all connections says most.
    if matches!(said, Said::Line(_) | Said::Setting(..)) && own.iter().any(|d| d.scope.is_empty()) {
        own.retain(|d| d.scope.is_empty());
    }
    for directive in own.into_iter().filter(|d| !CUMULATIVE.contains(&d.keyword.as_str())) {
        let first = directives.iter().find(|d| d.keyword == directive.keyword && covers(&d.scope, &directive.scope));
        let Some(first) = first.filter(|first| !first.value.eq_ignore_ascii_case(&directive.value)) else { continue };
        let message = format!(
            "ssh takes the first value that it reads, and this line says '{} {}': remove it there, or put this setting \
             into a file that is read before it, such as {FRAGMENTS}/00-stockade.conf",
            first.keyword, first.value
        );
        let by = Override::new(&first.file, Some(first.line), message);
        if !found.overridden.contains(&by) {
            found.overridden.push(by);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_covers_what_holds_for_fewer_hosts() {
        for (wide, narrow, holds) in [
            (&[][..], &["host a"][..], true),
            (&["host a"], &[], false),
            (&["host a"], &["host a"], true),
            (&["host *.example.net"], &["host git.example.net"], true),
            (&["host *.example.net"], &["host *.net"], false),
            (&["host *.example.net"], &["host git.example.net other"], false),
            (&["host *.net !git.example.net"], &["host git.example.net"], false),
            (&["match user ada"], &["match user ada"], true),
            (&["match user ada"], &["host a"], false),
            (&["host a"], &["host a", "match user ada"], true),
        ] {
            let owned = |scope: &[&str]| scope.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
            assert_eq!(covers(&owned(wide), &owned(narrow)), holds, "{wide:?} {narrow:?}");
        }
    }
}
