//! Which file has the last word on a kernel parameter at boot
//! (sysctl.d(5), systemd-sysctl).
//!
//! All directories together are read in the order of the files' names. The
//! last file that names a parameter wins; a pattern such as
//! `net.ipv4.conf.*.rp_filter` never wins over a name, and `-name` without a
//! value takes the parameter out of what is set.
//!
//! Where ufw is on it applies a file of its own whenever it starts, after all
//! of these (ufw-framework(8)).

use super::{ConfigFile, Said, boot_order as boot, hidden_by, merged, paths, wildcard};
use crate::observe::{Content, HostState, PredictedState, Queries, Query};
use crate::plan::{Dormant, InForce, Override, PlanError};
use crate::values::{AbsPath, SysctlKey};

/// What stands first wins over a file of the same name in what stands later.
pub(super) const DIRECTORIES: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// The old main file; systemd reads it only by way of [`LINK`].
pub(super) const MAIN: &str = "/etc/sysctl.conf";
const LINK: &str = "99-sysctl.conf";

/// Whether ufw is on, and where it says which file it applies.
const UFW: [&str; 2] = ["/etc/ufw/ufw.conf", "/etc/default/ufw"];
/// What ufw applies, unless IPT_SYSCTL says otherwise.
const UFW_SYSCTL: &str = "/etc/ufw/sysctl.conf";

/// One line that names a parameter.
pub(super) struct Statement<'a> {
    /// As a path below /proc/sys.
    pub(super) key: String,
    pub(super) shown: &'a str,
    /// None: the parameter is taken out.
    pub(super) value: Option<String>,
    pub(super) line: usize,
}

/// Asks for the files in all directories, and for those of ufw.
pub(in crate::resource) fn ask_sysctl(queries: &mut Queries) {
    queries.extend(paths(&DIRECTORIES).into_iter().map(Query::Fragments));
    queries.extend(paths(&UFW).into_iter().chain(paths(&[UFW_SYSCTL])).map(Query::Content));
}

/// A text file, where it is there and known.
fn known(host: &HostState, path: &str) -> Option<ConfigFile> {
    let path: AbsPath = path.parse().ok()?;
    let Ok(Content::Bytes(bytes)) = host.content(&path) else { return None };
    let text = String::from_utf8_lossy(bytes).into_owned();
    Some(ConfigFile { path, text })
}

/// The file of parameters that ufw applies, where ufw is on.
fn of_ufw(host: &HostState) -> Option<ConfigFile> {
    let [conf, defaults] = UFW.map(|path| known(host, path));
    let variable = |file: &ConfigFile, name: &str| {
        let values =
            file.lines().filter_map(|(_, line)| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='));
        values.last().map(|value| value.trim().trim_matches(['"', '\'']).to_ascii_lowercase())
    };
    let is_on = conf.and_then(|conf| variable(&conf, "ENABLED")).as_deref() == Some("yes");
    let other = defaults.and_then(|defaults| variable(&defaults, "IPT_SYSCTL")).is_some_and(|path| path != UFW_SYSCTL);
    if is_on && !other { known(host, UFW_SYSCTL) } else { None }
}

/// What ufw sets otherwise whenever it starts.
fn by_ufw(ufw: Option<&ConfigFile>, key: &str, value: &str) -> Option<Override> {
    let file = ufw?;
    let wanted = proc_key(key);
    let last = file.lines().filter_map(|(at, line)| statement(at, line)).filter(|s| s.key == wanted).last()?;
    let other = last.value.filter(|other| other != value)?;
    let message = format!(
        "ufw applies this file whenever it starts, and it sets {key} to {other}: say the same value there, for example \
         with a 'line' step, or here"
    );
    Some(Override::new(&file.path, Some(last.line), message))
}

/// The value that a file in the form of sysctl.d(5) gives to a key; the last one counts.
pub(in crate::resource) fn last_value(text: &str, key: &str) -> Option<String> {
    let key = proc_key(key);
    text.lines().enumerate().filter_map(|(at, line)| statement(at + 1, line)).filter(|s| s.key == key).last()?.value
}

/// What overrides a parameter that a file of its own sets.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn parameter(
    host: &HostState,
    path: &AbsPath,
    key: &str,
    value: &str,
) -> Result<InForce, PlanError> {
    let files = merged(host, &paths(&DIRECTORIES), ".conf")?;
    let ufw = of_ufw(host);
    let by = later(&files, path.file_name(), key, value)
        .or_else(|| boot::reset(&files, ufw.as_ref(), key, value))
        .or_else(|| by_ufw(ufw.as_ref(), key, value));
    Ok(InForce { overridden: by.into_iter().collect(), ..InForce::default() })
}

/// The line of a file by which a boot gives a parameter a value, whoever wrote it;
/// none where it ends with another one, or where that is not certain.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn persisted_by(
    host: &HostState,
    key: &str,
    value: &str,
) -> Result<Option<(AbsPath, usize)>, PlanError> {
    // Without systemd these files are another program's.
    if host.facts.init != "systemd" {
        return Ok(None);
    }
    let files = merged(host, &paths(&DIRECTORIES), ".conf")?;
    let ufw = of_ufw(host);
    let wanted = proc_key(key);
    let said = || {
        files.iter().flat_map(|file| file.lines().filter_map(|(at, line)| statement(at, line)).map(move |s| (file, s)))
    };
    let by_name = said().filter(|(_, said)| said.key == wanted).last();
    let is_certain = by_name.is_some() || !boot::is_set_with_others(&files, ufw.as_ref(), key);
    // What no line names, the last pattern sets.
    let last = by_name.or_else(|| said().filter(|(_, said)| wildcard(&said.key, &wanted)).last());
    let Some((file, last)) = last.filter(|_| is_certain) else { return Ok(None) };
    let is_right = last.value.is_some_and(|written| is_value(value, &written));
    let is_reset =
        boot::reset(&files, ufw.as_ref(), key, value).is_some() || by_ufw(ufw.as_ref(), key, value).is_some();
    Ok((is_right && !is_reset).then(|| (file.path.clone(), last.line)))
}

/// What overrides the parameters that a file sets.
pub(super) fn file(host: &PredictedState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let files = merged(host, &paths(&DIRECTORIES), ".conf")?;
    let mut found = InForce::default();
    if let Some(by) = hidden_by(&files, path) {
        found.overridden.push(by);
        return Ok(found);
    }
    let main = (path.as_str() == MAIN).then_some(LINK);
    let read_as = main.unwrap_or(path.file_name());
    if !files.iter().any(|file| file.path.file_name() == read_as) {
        if main.is_some() && host.facts.init == "systemd" && !matches!(host.content(path)?, Content::AfterApply) {
            let message = format!(
                "systemd does not read it at boot, where nothing in /etc/sysctl.d leads to it as {LINK}: put this into \
                 a file of /etc/sysctl.d"
            );
            found.overridden.push(Override::new(MAIN, None, message));
        }
        return Ok(found);
    }
    let Content::Bytes(bytes) = host.content(path)? else { return Ok(found) };
    let own = ConfigFile { path: path.clone(), text: String::from_utf8_lossy(bytes).into_owned() };
    let ufw = of_ufw(host);
    for (number, line) in own.lines().filter(|(_, line)| said.covers(line)) {
        let Some(Statement { shown, value: Some(value), .. }) = statement(number, line) else { continue };
        // A later line of the same file is the file's own last word.
        if last_value(&own.text, shown).as_deref() != Some(value.as_str()) {
            continue;
        }
        let by = later(&files, read_as, shown, &value)
            .or_else(|| boot::reset(&files, ufw.as_ref(), shown, &value))
            .or_else(|| by_ufw(ufw.as_ref(), shown, &value));
        match by {
            Some(by) => found.overridden.push(by),
            None => found.dormant.extend(not_live(host, number, line)),
        }
    }
    Ok(found)
}

/// Asks for the live values of what a text in the form of sysctl.d(5) names.
pub(super) fn ask_live(queries: &mut Queries, text: &str) {
    let statements = text.lines().enumerate().filter_map(|(at, line)| statement(at + 1, line));
    let set = statements.filter(|statement| statement.value.is_some());
    queries.extend(set.filter_map(|statement| statement.shown.parse().ok()).map(Query::Sysctl));
}

/// A line of a file that the next boot applies, where the live value is another one.
fn not_live(host: &PredictedState, number: usize, line: &str) -> Option<Dormant> {
    let Statement { shown, value: Some(value), .. } = statement(number, line)? else { return None };
    let key: SysctlKey = shown.parse().ok()?;
    let live = host.sysctl(&key).ok().filter(|_| !host.facts.init.is_empty())?;
    let is = match live.map(normal) {
        Some(live) if is_value(&live, &value) => return None,
        Some(live) => format!("{key} is {live} now and becomes {value} at the next boot"),
        // systemd-sysctl passes over what is not there.
        None if line.trim_start().starts_with('-') || host.sysctl_may_appear() => return None,
        None => format!("the kernel of this host has no parameter {key} now: it becomes {value} at a boot that has it"),
    };
    let text = format!("{is}, or with 'systemctl restart systemd-sysctl'; a 'sysctl' step sets it at once");
    Some(Dormant { text, until: "systemd-sysctl.service".parse().ok()? })
}

/// The last later line that names the parameter, if it wants something else.
fn later(files: &[ConfigFile], name: &str, key: &str, value: &str) -> Option<Override> {
    let wanted = proc_key(key);
    let after = files.iter().filter(|file| file.path.file_name() > name);
    let (file, last) = after
        .flat_map(|file| file.lines().filter_map(|(number, line)| statement(number, line)).map(move |s| (file, s)))
        .filter(|(_, statement)| statement.key == wanted)
        .last()?;
    if last.value.as_deref() == Some(value) {
        return None;
    }
    let what = match &last.value {
        Some(other) => format!("it is read later and sets {key} to {other}"),
        None => format!("it is read later and takes {key} out of what is set at boot"),
    };
    let message = format!("{what}: remove that line there, for example with a 'line' step, or say the same value here");
    Some(Override::new(&file.path, Some(last.line), message))
}

pub(super) fn statement(number: usize, line: &str) -> Option<Statement<'_>> {
    let text = line.trim();
    if text.is_empty() || text.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.trim().trim_start_matches('-'), Some(normal(value))),
        None => (text.strip_prefix('-')?.trim(), None),
    };
    Some(Statement { key: proc_key(name), shown: name, value, line: number })
}

/// The kernel separates several numbers by tabs, people by spaces.
pub(super) fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the kernel tells a value that was written so: it takes numbers of
/// the forms `0x10` and `010` too, and tells them in decimal.
pub(in crate::resource) fn is_value(live: &str, written: &str) -> bool {
    let number = |word: &str| {
        let (digits, radix) = match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None => (word.strip_prefix('0')?, 8),
        };
        u64::from_str_radix(digits, radix).ok().map(|number| number.to_string())
    };
    let is_word = |(live, written): (&str, &str)| live == written || number(written).as_deref() == Some(live);
    let (live, written): (Vec<&str>, Vec<&str>) =
        (live.split_whitespace().collect(), written.split_whitespace().collect());
    live.len() == written.len() && live.into_iter().zip(written).all(is_word)
}

/// A key below /proc/sys: if its first separator is a dot, dots and slashes change places.
fn proc_key(key: &str) -> String {
    let swap = |c: char| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let key = key.trim_start_matches('/');
    match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('.') => key.chars().map(swap).collect(),
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_in_each_of_their_forms() {
        for form in ["net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"] {
            assert_eq!(proc_key(form), "net/ipv4/conf/eth0.1/rp_filter", "{form}");
        }
    }

    #[test]
    fn a_number_is_told_in_decimal_however_it_was_written() {
        for (live, written) in [("16", "0x10"), ("8", "010"), ("0", "00"), ("4096\t16", "4096 0x10"), ("a", "a")] {
            assert!(is_value(live, written), "{live} {written}");
        }
        for (live, written) in [("10", "0x10"), ("0", ""), ("1", "1 1"), ("08", "8"), ("16", "0x")] {
            assert!(!is_value(live, written), "{live} {written}");
        }
    }

    #[test]
    fn the_last_value_counts_and_a_bare_minus_takes_a_key_out() {
        assert_eq!(last_value("a.b=1\na/b = 2\t 3\n# a.b=4\n", "a.b").as_deref(), Some("2 3"));
        assert_eq!(last_value("a.b=1\n-a.b\n", "a.b"), None);
        assert_eq!(last_value("-a.b = 5\n", "a.b").as_deref(), Some("5"));
    }
}
