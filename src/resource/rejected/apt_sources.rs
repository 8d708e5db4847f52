//! sources.list(5) in both forms, as apt's sourcelist.cc reads them.

use super::Fault;
use super::stanzas::{Stanza, parse};
use super::word::{quoted, words};

const TYPES: [&str; 2] = ["deb", "deb-src"];

const WRONG_TYPE: &str = "apt knows the types deb and deb-src, and this is neither";
const NO_SUITE: &str = "the address or the suite is missing";
const WRONG_ADDRESS: &str = "the address does not begin with a scheme such as https:";
const NO_COMPONENT: &str = "the component, such as main, is missing (only a suite that ends in '/' has none)";
const COMPONENT: &str = "a suite that ends in '/' has no component";

/// The form of one entry a line.
pub(super) fn of_lines(text: &str) -> Vec<Fault> {
    let judged = text.lines().enumerate().filter_map(|(at, line)| Some(Fault::fatal(at + 1, entry(line).err()?)));
    judged.collect()
}

fn entry(line: &str) -> Result<(), &'static str> {
    let line = without_comment(line);
    let Some((kind, rest)) = quoted(line) else {
        return if line.trim().is_empty() { Ok(()) } else { Err("a quotation mark or '[' here has no end") };
    };
    if !TYPES.contains(&kind.as_str()) {
        return Err(WRONG_TYPE);
    }
    let rest = match rest.strip_prefix('[') {
        None => rest,
        Some(rest) => {
            let (options, rest) = rest.split_once(']').ok_or("the '[' of the options has no ']'")?;
            options.split_whitespace().try_for_each(option)?;
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) && !options.is_empty() {
                return Err("a blank must stand behind the ']' of the options");
            }
            rest
        }
    };
    let words = words(rest);
    let [address, suite, components @ ..] = words.as_slice() else { return Err(NO_SUITE) };
    in_suites(&[address], &[suite], components.len())
}

/// A '#' begins a comment unless it stands in brackets.
pub(super) fn without_comment(line: &str) -> &str {
    let mut inside = false;
    for (at, c) in line.char_indices() {
        match c {
            '[' => inside = line[at..].contains(']'),
            ']' => inside = false,
            '#' if !inside => return &line[..at],
            _ => {}
        }
    }
    line
}

fn option(option: &str) -> Result<(), &'static str> {
    match option.split_once('=') {
        Some((key, value)) if !key.trim_end_matches(['+', '-']).is_empty() && !value.is_empty() => Ok(()),
        _ => Err("each option in '[ ]' must have the form name=value"),
    }
}

/// The form of stanzas.
pub(super) fn of_stanzas(text: &str) -> Vec<Fault> {
    match parse(text) {
        Ok(stanzas) => stanzas.iter().filter_map(|stanza| of_stanza(stanza).err()).collect(),
        Err(fault) => vec![fault],
    }
}

fn of_stanza(stanza: &Stanza) -> Result<(), Fault> {
    if stanza.field("Types").is_none() {
        return Err(Fault::fatal(stanza.line, "this stanza has no 'Types' such as deb"));
    }
    let types = stanza.words("Types");
    if types.iter().any(|kind| !TYPES.contains(kind)) {
        return Err(Fault::fatal(stanza.line_of("Types"), WRONG_TYPE));
    }
    if types.is_empty() || is_off(stanza) {
        return Ok(());
    }
    let (addresses, suites) = (stanza.words("URIs"), stanza.words("Suites"));
    if addresses.is_empty() || suites.is_empty() {
        let missing = if addresses.is_empty() { "'URIs'" } else { "'Suites'" };
        return Err(Fault::fatal(stanza.line, format!("this stanza has no {missing}")));
    }
    in_suites(&addresses, &suites, stanza.words("Components").len())
        .map_err(|why| Fault::fatal(stanza.line_of(if why == WRONG_ADDRESS { "URIs" } else { "Suites" }), why))
}

/// Whether a stanza says of itself that it is not to be used.
pub(super) fn is_off(stanza: &Stanza) -> bool {
    let enabled = stanza.field("Enabled").map_or("", |(_, value)| value).to_ascii_lowercase();
    ["no", "false", "without", "off", "disable", "0"].contains(&enabled.as_str())
}

fn in_suites<T: AsRef<str>>(addresses: &[T], suites: &[T], components: usize) -> Result<(), &'static str> {
    let has_scheme = |address: &T| {
        let (scheme, _) = address.as_ref().split_once(':').unwrap_or_default();
        !scheme.is_empty() && !scheme.contains('/')
    };
    if !addresses.iter().all(has_scheme) {
        return Err(WRONG_ADDRESS);
    }
    for suite in suites {
        match (suite.as_ref().ends_with('/'), components) {
            (true, 0) => {}
            (true, _) => return Err(COMPONENT),
            (false, 0) => return Err(NO_COMPONENT),
            (false, _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "apt_sources_tests.rs"]
mod tests;
