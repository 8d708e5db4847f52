//! Waivers: findings that somebody accepts, for a time.
//!
//! ```toml
//! [[waiver]]
//! control = "S17"
//! hosts = ["web*"]        # all hosts where it is left out
//! reason = "port forwarding to the database of this host, see the runbook"
//! owner = "ann@example.net"
//! expires = 2027-03-31    # the last day on which it holds
//! ```
//!
//! One that has expired is a failure; one that names a control which the playbook
//! does not have is wrong input.

use super::judge::place;
use super::{ControlResult, Place, Status, WaiverUse};
use crate::values::{Diagnostic, Node, NodeValue, TableEntry, parse_document, possible_keys, utf8_source};
use glob::Pattern;
use jiff::civil::Date;

/// The keys of a waiver.
const KEYS: [&str; 5] = ["control", "hosts", "reason", "owner", "expires"];

/// One waiver.
#[derive(Debug, Clone)]
pub struct Waiver {
    control: String,
    control_node: Node,
    hosts: Vec<Pattern>,
    reason: String,
    owner: String,
    expires: Date,
    place: Place,
}

/// Reads a file of waivers. `name`: as the operator named it.
///
/// # Errors
/// All that is wrong with it.
pub fn read_waivers(name: &str, bytes: &[u8]) -> Result<Vec<Waiver>, Vec<Diagnostic>> {
    let source = utf8_source(name, bytes).map_err(|error| vec![error])?;
    let (root, mut errors) = parse_document(&source);
    let mut waivers = Vec::new();
    for entry in root.as_table().unwrap_or_default() {
        match (entry.key.as_str(), entry.node.as_array()) {
            ("waiver", Some(tables)) => waivers.extend(tables.iter().filter_map(|node| waiver(node, &mut errors))),
            ("waiver", None) => {
                let error = Diagnostic::new(entry.node.span.clone(), "'waiver' must be an array of tables");
                errors.push(error.with_help("write [[waiver]]"));
            }
            (unknown, _) => {
                let error =
                    Diagnostic::new(entry.key_span.clone(), format!("unknown key '{unknown}' in a file of waivers"));
                errors.push(error.with_help(possible_keys(unknown, ["waiver"])));
            }
        }
    }
    if errors.is_empty() { Ok(waivers) } else { Err(errors) }
}

fn waiver(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<Waiver> {
    let told = errors.len();
    let Some(entries) = node.as_table() else {
        errors.push(Diagnostic::new(node.span.clone(), "a waiver is a table: write [[waiver]]"));
        return None;
    };
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let error = Diagnostic::new(entry.key_span.clone(), format!("unknown key '{}' in a waiver", entry.key));
        errors.push(error.with_help(possible_keys(&entry.key, KEYS)));
    }
    let mut text = |key: &str| match entries.iter().find(|entry| entry.key == key) {
        Some(TableEntry { node, .. }) => match node.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Some((text.to_owned(), node.clone())),
            _ => {
                errors.push(Diagnostic::new(node.span.clone(), format!("'{key}' must be a string that is not empty")));
                None
            }
        },
        None => {
            errors.push(Diagnostic::new(node.span.clone(), format!("a waiver needs '{key}'")));
            None
        }
    };
    let (control, reason, owner) = (text("control"), text("reason"), text("owner"));
    let hosts = hosts(node.get("hosts"), errors);
    let expires = expires(node, errors);
    if errors.len() > told {
        return None;
    }
    let ((control, control_node), (reason, _), (owner, _)) = (control?, reason?, owner?);
    Some(Waiver { control, control_node, hosts, reason, owner, expires: expires?, place: place(&node.span) })
}

fn hosts(node: Option<&Node>, errors: &mut Vec<Diagnostic>) -> Vec<Pattern> {
    let Some(node) = node else { return Vec::new() };
    let items = match &node.value {
        NodeValue::Array(items) if !items.is_empty() => items.as_slice(),
        NodeValue::String(_) => std::slice::from_ref(node),
        _ => {
            let error = Diagnostic::new(node.span.clone(), "'hosts' must be an array of names or patterns");
            errors.push(error.with_help("leave it out where the waiver is for all hosts"));
            return Vec::new();
        }
    };
    let mut patterns = Vec::new();
    for item in items {
        match item.as_str().map(Pattern::new) {
            Some(Ok(pattern)) => patterns.push(pattern),
            Some(Err(why)) => errors.push(Diagnostic::new(item.span.clone(), format!("this is no pattern: {why}"))),
            None => errors.push(Diagnostic::new(item.span.clone(), "a host is named by a string")),
        }
    }
    patterns
}

/// A date of TOML, or one in a string.
fn expires(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<Date> {
    let Some(given) = node.get("expires") else {
        let error = Diagnostic::new(node.span.clone(), "a waiver needs 'expires'");
        errors.push(error.with_help("the last day on which it holds, such as expires = 2027-03-31"));
        return None;
    };
    let text = match &given.value {
        NodeValue::Datetime(text) | NodeValue::String(text) => Some(text.as_str()),
        _ => None,
    };
    let date = text.filter(|text| text.len() == 10).and_then(|text| text.parse().ok());
    if date.is_none() {
        let error = Diagnostic::new(given.span.clone(), "'expires' must be a date");
        errors.push(error.with_help("year, month and day: 2027-03-31"));
    }
    date
}

/// What is wrong with waivers for these controls.
pub fn check_waivers(waivers: &[Waiver], controls: &[&str]) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for waiver in waivers {
        if !controls.contains(&waiver.control.as_str()) {
            let message = format!("the playbook has no control '{}'", waiver.control.escape_debug());
            let error = Diagnostic::new(waiver.control_node.span.clone(), message);
            errors.push(error.with_suggestion(&waiver.control, controls.iter().copied()));
        }
    }
    errors
}

impl Waiver {
    fn covers(&self, host: &str, control: &str) -> bool {
        self.control == control && (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host)))
    }

    fn used(&self, today: Date) -> WaiverUse {
        WaiverUse {
            reason: self.reason.clone(),
            owner: self.owner.clone(),
            expires: self.expires.to_string(),
            expired: self.expires < today,
            place: self.place.clone(),
        }
    }
}

/// Puts waivers on the results of a host; says those that have expired.
pub fn waive(host: &str, results: &mut [ControlResult], waivers: &[Waiver], today: Date) -> Vec<String> {
    let mut expired = Vec::new();
    for result in results {
        let mut covering: Vec<&Waiver> = waivers.iter().filter(|waiver| waiver.covers(host, &result.id)).collect();
        covering.sort_by_key(|waiver| waiver.expires);
        let Some(last) = covering.last() else { continue };
        let used = last.used(today);
        if used.expired {
            expired.push(format!(
                "{}:{}: the waiver of {} expired on {}, {} owns it",
                used.place.file, used.place.line, result.id, used.expires, used.owner
            ));
            // It is to be renewed or taken out, also where the control holds by now.
            if result.status.is_finding() {
                let expired = format!("the waiver expired on {}", used.expires);
                result.reason = Some(match result.reason.take() {
                    Some(why) => format!("{why}; {expired}"),
                    None => expired,
                });
            }
            result.waiver = result.status.is_finding().then_some(used);
        } else if matches!(result.status, Status::Fail | Status::NotLive) {
            result.status = Status::Waived;
            result.waiver = Some(used);
        }
    }
    expired
}
