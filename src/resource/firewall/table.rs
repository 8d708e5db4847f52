//! The `rules` of a firewall step.

use super::docker_user::interface;
use super::rule::{Match, Net, Ports, Rule};
use crate::values::{Diagnostic, Node, NodeValue, possible_keys};
use std::str::FromStr;

const ACTIONS: [&str; 4] = ["allow", "deny", "limit", "reject"];
const KEYS: [&str; 11] =
    ["allow", "deny", "limit", "reject", "from", "to", "port", "proto", "interface", "direction", "comment"];

/// The rules; what is wrong goes into `errors`.
pub fn rules(node: &Node, errors: &mut Vec<Diagnostic>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for item in node.as_array().unwrap_or_default() {
        let count = errors.len();
        let rule = Reader { table: item, errors }.rule();
        let Some(rule) = rule.filter(|_| errors.len() == count) else { continue };
        if rules.iter().any(|earlier| earlier.matches == rule.matches) {
            errors.push(Diagnostic::new(item.span.clone(), "an earlier rule of this list matches exactly the same"));
        } else {
            rules.push(rule);
        }
    }
    rules
}

struct Reader<'a, 'e> {
    table: &'a Node,
    errors: &'e mut Vec<Diagnostic>,
}

impl<'a> Reader<'a, '_> {
    fn refuse(&mut self, node: &Node, message: impl Into<String>) {
        self.errors.push(Diagnostic::new(node.span.clone(), message));
    }

    fn text(&mut self, key: &str) -> Option<(&'a Node, String)> {
        let node = self.table.get(key)?;
        match &node.value {
            NodeValue::String(text) => Some((node, text.clone())),
            NodeValue::Integer(number) => Some((node, number.to_string())),
            _ => {
                self.refuse(node, format!("'{key}' of a rule takes a string, not {}", node.type_name()));
                None
            }
        }
    }

    fn parse<T: FromStr<Err = String>>(&mut self, key: &str) -> Option<T> {
        let (node, text) = self.text(key)?;
        if text == "any" {
            return None;
        }
        text.parse().map_err(|why: String| self.refuse(node, why)).ok()
    }

    fn rule(&mut self) -> Option<Rule> {
        for entry in self.table.as_table().unwrap_or_default() {
            if !KEYS.contains(&entry.key.as_str()) {
                self.errors.push(
                    Diagnostic::new(entry.key_span.clone(), format!("unknown key '{}' in a rule", entry.key))
                        .with_help(possible_keys(&entry.key, KEYS)),
                );
            }
        }
        let given: Vec<&str> = ACTIONS.into_iter().filter(|action| self.table.get(action).is_some()).collect();
        let [action] = given[..] else {
            self.refuse(self.table, "a rule needs exactly one of 'allow', 'deny', 'limit' and 'reject'");
            return None;
        };
        let (ports, protocol) = self.what(action)?;
        let rule = Rule {
            action: action.to_owned(),
            matches: Match {
                out: self.outgoing(),
                interface: self.checked("interface", interface),
                protocol,
                from: self.net("from"),
                from_ports: None,
                to: self.net("to"),
                ports,
            },
            profile: None,
            comment: self.checked("comment", comment).unwrap_or_default(),
        };
        let m = &rule.matches;
        if m.protocol.is_none() && m.ports.as_ref().is_some_and(Ports::need_protocol) {
            self.refuse(self.table, "several ports in one rule need a protocol, such as \"80,443/tcp\"");
        }
        if m.from.zip(m.to).is_some_and(|(from, to)| from.is_v6() != to.is_v6()) {
            self.refuse(self.table, "'from' and 'to' are of different IP versions");
        }
        Some(rule)
    }

    /// Ports and protocol, from the action's value or the keys of their own.
    fn what(&mut self, action: &str) -> Option<(Option<Ports>, Option<String>)> {
        let (node, text) = self.text(action)?;
        let (ports, protocol) = text.split_once('/').map_or((text.as_str(), None), |(p, q)| (p, Some(q.to_owned())));
        let ports = match ports {
            "any" | "from" | "to" => None,
            text => match text.parse() {
                Ok(ports) => Some(ports),
                Err(why) => {
                    let help = "write \"22/tcp\", a port, \"80,443/tcp\", \"6000:6010/tcp\" or \"any\"; names of \
                                services and of application profiles are not looked up";
                    self.errors.push(Diagnostic::new(node.span.clone(), why).with_help(help));
                    return None;
                }
            },
        };
        let (own_ports, own_protocol) = (self.parse::<Ports>("port"), self.text("proto").map(|(_, text)| text));
        if ports.is_some() && own_ports.is_some() || protocol.is_some() && own_protocol.is_some() {
            self.refuse(node, format!("'{action}' and 'port' or 'proto' say the same thing twice"));
        }
        let protocol = protocol.or(own_protocol).filter(|protocol| protocol != "any");
        if protocol.as_deref().is_some_and(|p| !["tcp", "udp"].contains(&p)) {
            self.refuse(node, "the protocol must be tcp, udp or any");
        }
        Some((ports.or(own_ports), protocol))
    }

    fn net(&mut self, key: &str) -> Option<Net> {
        let net: Net = self.parse(key)?;
        if let Some(node) = self.table.get(key).filter(|_| net.is_everything()) {
            self.refuse(node, format!("leave out '{key}' where it is anywhere"));
        }
        Some(net)
    }

    fn outgoing(&mut self) -> bool {
        match self.text("direction") {
            None => false,
            Some((_, text)) if text == "in" => false,
            Some((_, text)) if text == "out" => true,
            Some((node, _)) => {
                self.refuse(node, "'direction' must be \"in\" or \"out\"");
                false
            }
        }
    }

    fn checked(&mut self, key: &str, check: fn(&str) -> Result<String, String>) -> Option<String> {
        let (node, text) = self.text(key)?;
        check(&text).map_err(|why| self.refuse(node, why)).ok()
    }
}

/// ufw refuses a single quote, and a comment must stay one line.
fn comment(text: &str) -> Result<String, String> {
    if text.contains('\'') || text.chars().any(char::is_control) || text.len() > 200 {
        return Err("a comment must be one line of at most 200 bytes without a single quote".into());
    }
    Ok(text.to_owned())
}
