//! What the lines of files set that are read one after the other (`ordered`).

use super::ordered::{Setting, Statement};

/// `name = value`, `name value` or a name alone (read_config_file of libpwquality).
pub(super) fn pwquality(line: &str) -> Option<Setting> {
    let line = line.split('#').next()?.trim();
    let (name, value) = line.split_once(|c: char| c == '=' || c.is_whitespace()).unwrap_or((line, ""));
    (!name.is_empty()).then(|| (vec![name.to_owned()], value.trim_start_matches(['=', ' ', '\t']).to_owned()))
}

/// Directives of chrony.conf(5) that have one value; those that add up, such as
/// `server` and `allow`, are left out.
const CHRONY: &str = "
    acquisitionport bindacqaddress bindaddress bindacqdevice bindcmddevice binddevice clockprecision cmdport
    cmdratelimit combinelimit corrtimeratio driftfile dscp dumpdir hwclockfile keyfile leapsecmode leapseclist
    leapsectz local logbanner logchange logdir makestep manual maxchange maxclockerror maxdistance maxdrift
    maxjitter maxntsconnections maxsamples maxslewrate maxupdateskew minsamples minsources nocerttimecheck
    ntsdumpdir ntsport ntsprocesses ntsrotate ntsserverkey pidfile port ptpport ratelimit refresh reselectdist
    rtcautotrim rtcdevice rtcfile sched_priority smoothtime stratumweight user";

/// `directive values`, in small or capital letters.
pub(super) fn chrony(line: &str) -> Option<Setting> {
    let line = line.trim();
    // A comment begins with one of these; the directives of one value have no other signs.
    if line.starts_with(['!', ';', '#', '%']) {
        return None;
    }
    let mut words = line.split_whitespace();
    let name = words.next()?.to_ascii_lowercase();
    let has_one = CHRONY.split_whitespace().any(|one| one == name);
    has_one.then(|| (vec![name], words.collect::<Vec<_>>().join(" ")))
}

/// `key = value` of php.ini, of all requests: what stands below [PATH=…] or
/// [HOST=…] is of some only, other sections are for the reader.
pub(super) fn php(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut of_some = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.to_ascii_uppercase();
            of_some = section.starts_with("PATH=") || section.starts_with("HOST=");
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !of_some && !line.starts_with([';', '#'])) {
            let key = key.trim();
            // Each of these lines counts; what an expression gives is not known.
            if !["extension", "zend_extension"].contains(&key) && !value.contains("${") {
                found.push((at + 1, vec![key.to_owned()], php_value(value)));
            }
        }
    }
    found
}

/// A value as PHP compares it: the words for yes are 1, those for no are nothing.
fn php_value(value: &str) -> String {
    let value = match value.trim().strip_prefix('"') {
        Some(quoted) => return quoted.split('"').next().unwrap_or_default().to_owned(),
        None => value.split(';').next().unwrap_or_default().trim(),
    };
    match value.to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" => "1".to_owned(),
        "off" | "no" | "false" | "none" | "" => "0".to_owned(),
        _ => value.to_owned(),
    }
}

/// `domain type item value`; the type `-` means both.
pub(super) fn limit(line: &str) -> Option<Setting> {
    let words: Vec<&str> = line.split('#').next()?.split_whitespace().collect();
    let [domain, kind, item, value] = words[..] else { return None };
    let kinds = if kind == "-" { vec!["soft", "hard"] } else { vec![kind] };
    Some((kinds.iter().map(|kind| format!("{domain} {kind} {item}")).collect(), value.to_owned()))
}

/// `NAME=value` or `export NAME=value`. What is indented may be conditional, and
/// what a shell makes of `$` is not known.
pub(super) fn variable(line: &str) -> Option<Setting> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let value = match value.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next()?,
        None => value.split([' ', '\t', ';', '#']).next()?,
    };
    (is_name && !value.contains(['$', '`', '\\'])).then(|| (vec![name.to_owned()], value.to_owned()))
}

/// `$nrconf{key} = value;`
pub(super) fn perl(line: &str) -> Option<Setting> {
    let (name, value) = line.trim().strip_prefix("$nrconf{")?.split_once('=')?;
    let key = name.trim_end().strip_suffix('}')?.trim_matches(['\'', '"', ' ']);
    let value = value.split_once(';')?.0.trim();
    // What is no plain value is not compared.
    let plain = !value.starts_with(['[', '{', '(']) && !value.contains('$');
    plain.then(|| (vec![format!("$nrconf{{{key}}}")], value.trim_matches(['\'', '"']).to_owned()))
}

/// `key: value` at the left edge, of what is neither a list nor a table.
pub(super) fn plain_key(line: &str) -> Option<Setting> {
    let (key, value) = line.split_once(": ")?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let value = value.split(" #").next()?.trim().trim_matches(['"', '\'']);
    (is_key && !value.is_empty() && !value.starts_with(['[', '{', '|', '>', '&', '*']))
        .then(|| (vec![key.to_owned()], value.to_owned()))
}

/// `key = value` below `[section]`. A value may go on in indented lines.
pub(super) fn sections(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut section = String::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
        } else if !line.starts_with(['#', ';', ' ', '\t'])
            && let Some((key, value)) = line.split_once('=')
        {
            let value = value.split(" ;").next().unwrap_or_default().trim();
            found.push((at + 1, vec![format!("[{section}] {}", key.trim())], value.to_owned()));
        }
    }
    found
}

/// The same as a database server reads it: indented or not, with `-` for `_`, and
/// options without a value.
pub(super) fn options(text: &str) -> Vec<Statement> {
    // Options of which every line counts.
    const EACH: [&str; 5] =
        ["plugin_load_add", "replicate_do_db", "replicate_ignore_db", "binlog_do_db", "binlog_ignore_db"];
    let mut found = Vec::new();
    let mut section = String::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
        } else if !line.is_empty() && !line.starts_with(['#', ';', '!']) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let key = key.trim().replace('-', "_").to_ascii_lowercase();
            let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            if !EACH.contains(&key.as_str()) {
                found.push((at + 1, vec![format!("[{section}] {key}")], value.to_owned()));
            }
        }
    }
    found
}

/// The records of apt_preferences(5), by each package and what is pinned of it.
pub(super) fn pins(text: &str) -> Vec<Statement> {
    let mut pins = Vec::new();
    let (mut packages, mut pin) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            (packages, pin) = (Vec::new(), None);
        }
        let Some((field, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) else { continue };
        let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
        match field.to_ascii_lowercase().as_str() {
            "package" => packages = words,
            "pin" => pin = Some(words.join(" ")),
            "pin-priority" => {
                if let Some(pin) = &pin {
                    let keys = packages.iter().map(|package| format!("the priority of {package} from '{pin}'"));
                    pins.push((at + 1, keys.collect(), words.join(" ")));
                }
            }
            _ => {}
        }
    }
    pins
}

#[cfg(test)]
#[path = "directives_tests.rs"]
mod tests;
