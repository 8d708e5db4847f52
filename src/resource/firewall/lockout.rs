//! Whether a rule set lets the operator's own connection in.

use super::rule::{Line, Rule};
use crate::observe::Facts;
use crate::plan::PlanError;
use std::net::IpAddr;

/// Refuses a rule set that shuts the port of the connection in use.
///
/// A rule that admits counts only if it surely matches (one bound to an
/// interface or a destination may not); a rule that denies counts if it might.
///
/// # Errors
/// The refusal: port, source, and the rule to add.
pub fn refuse(facts: &Facts, lists: &[Vec<Line>; 2], open: bool, v6_filtered: bool) -> Result<(), PlanError> {
    if facts.login_port == 0 {
        return Ok(());
    }
    let bare = facts.login_from.split('%').next().unwrap_or_default();
    let from = bare.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    let families = match from {
        Some(IpAddr::V4(_)) => vec![0],
        Some(IpAddr::V6(_)) => vec![1],
        None => vec![0, 1],
    };
    for family in families.into_iter().filter(|family| *family == 0 || v6_filtered) {
        let Err(by) = admits(&lists[family], facts.login_port, from, open) else { continue };
        let port = facts.login_port;
        let (source, advice) = match from {
            Some(from) => (format!(" from {from}"), format!(", or narrower with from = \"{from}\"")),
            None => (String::new(), String::new()),
        };
        return Err(PlanError::Refused(format!(
            "this firewall would shut port {port}/tcp, over which you are connected{source}: {by}; add \
             {{ allow = \"{port}/tcp\" }} to its rules{advice} (a rule bound to an interface or a destination \
             does not count, as no plan can tell which of them your connection uses)"
        )));
    }
    Ok(())
}

fn admits(list: &[Line], port: u16, from: Option<IpAddr>, open: bool) -> Result<(), String> {
    for line in list {
        let rule = match line {
            Line::Rule(rule) => rule,
            Line::Other(text) if text.contains("deny") || text.contains("reject") => {
                return Err(format!("a rule that is not understood may do so ('{text}')"));
            }
            Line::Other(_) | Line::Route(_) => continue,
        };
        match meets(rule, port, from) {
            Meets::Surely if rule.admits() => return Ok(()),
            Meets::Surely | Meets::Perhaps if !rule.admits() => return Err(format!("the rule '{rule}' does so")),
            _ => {}
        }
    }
    if open { Ok(()) } else { Err("no rule admits it and the default policy is to deny".into()) }
}

enum Meets {
    Surely,
    Perhaps,
    Not,
}

fn meets(rule: &Rule, port: u16, from: Option<IpAddr>) -> Meets {
    let m = &rule.matches;
    let protocol = m.protocol.as_deref().is_none_or(|protocol| protocol == "tcp");
    if m.out || !protocol || m.ports.as_ref().is_some_and(|ports| !ports.hold(port)) {
        return Meets::Not;
    }
    let source_unknown = match (m.from, from) {
        (Some(net), Some(address)) if !net.holds(address) => return Meets::Not,
        (Some(_), None) => true,
        _ => false,
    };
    if source_unknown || m.interface.is_some() || m.to.is_some() || m.from_ports.is_some() {
        return Meets::Perhaps;
    }
    Meets::Surely
}
