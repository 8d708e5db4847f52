//! Which hosts a run is about.

use super::{Host, Inventory};
use crate::values::{Diagnostic, Node, suggest};

impl Inventory {
    /// The hosts that a playbook is for, cut down to `limit`, in the order of
    /// the inventory. Both take names, groups, `all`, patterns such as `web*`,
    /// and each of these with `!` before it to leave hosts out. Of hosts named
    /// one by one, what the playbook says does not matter.
    ///
    /// # Errors
    /// A name that matches no host and no group; a selection that is empty.
    pub fn select(&self, playbook: &[Node], limit: &[String]) -> Result<Vec<Host>, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        if self.hosts.is_empty() {
            return Err(vec![
                Diagnostic::general(match &self.source {
                    Some(source) => format!("the inventory '{source}' has no host"),
                    None => "no host is named".to_owned(),
                })
                .with_help("describe one under [hosts.NAME], or name it with --host user@address"),
            ]);
        }
        let patterns: Vec<(&str, Option<&Node>)> =
            playbook.iter().filter_map(|node| Some((node.as_str()?, Some(node)))).collect();
        let meant = if self.named {
            vec![true; self.hosts.len()]
        } else if patterns.is_empty() && limit.is_empty() {
            return Err(vec![
                Diagnostic::general("the playbook does not say which hosts it is for")
                    .with_help("write hosts = [\"all\"] (or names and groups) into it, or use --limit"),
            ]);
        } else {
            self.matching(&patterns, &mut errors)
        };
        let limits: Vec<(&str, Option<&Node>)> = limit.iter().map(|text| (text.as_str(), None)).collect();
        let limited = self.matching(&limits, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let chosen: Vec<Host> = self
            .hosts
            .iter()
            .zip(meant.iter().zip(&limited))
            .filter(|(_, (meant, limited))| **meant && **limited)
            .map(|(host, _)| host.clone())
            .collect();
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        let names = |chosen: &[bool]| {
            let names: Vec<&str> =
                self.hosts.iter().zip(chosen).filter(|(_, yes)| **yes).map(|(h, _)| h.name.as_str()).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let hosts: Vec<&str> = patterns.iter().map(|(text, _)| *text).collect();
        Err(vec![
            Diagnostic::general(format!(
                "no host is left: the playbook is for {} ({}), --limit allows {} ({})",
                if hosts.is_empty() { "all".to_owned() } else { hosts.join(", ") },
                names(&meant),
                if limit.is_empty() { "all".to_owned() } else { limit.join(", ") },
                names(&limited),
            ))
            .with_help("change 'hosts' of the playbook or --limit"),
        ])
    }

    /// For every host whether the patterns take it; without a pattern that
    /// takes hosts in, all are in.
    fn matching(&self, patterns: &[(&str, Option<&Node>)], errors: &mut Vec<Diagnostic>) -> Vec<bool> {
        let all_in = patterns.iter().all(|(text, _)| text.starts_with('!'));
        let mut chosen = vec![all_in; self.hosts.len()];
        for takes_in in [true, false] {
            for (text, node) in patterns {
                let (pattern, found_sign) = text.strip_prefix('!').map_or((*text, true), |rest| (rest, false));
                if found_sign != takes_in {
                    continue;
                }
                match self.one(pattern) {
                    Ok(matched) => {
                        for (chosen, matched) in chosen.iter_mut().zip(matched) {
                            *chosen = if matched { takes_in } else { *chosen };
                        }
                    }
                    Err((message, help)) => {
                        let error = match node {
                            Some(node) => Diagnostic::new(node.span.clone(), message),
                            None => Diagnostic::general(format!("--limit: {message}")),
                        };
                        errors.push(error.with_help(help));
                    }
                }
            }
        }
        chosen
    }

    fn one(&self, pattern: &str) -> Result<Vec<bool>, (String, String)> {
        if pattern == "all" {
            return Ok(vec![true; self.hosts.len()]);
        }
        let matched: Vec<bool> = if pattern.contains(['*', '?', '[']) {
            let glob = glob::Pattern::new(pattern)
                .map_err(|error| (format!("'{pattern}' is not a pattern: {error}"), "write web* or web?".to_owned()))?;
            let fits = |host: &Host| glob.matches(&host.name) || host.groups.iter().any(|group| glob.matches(group));
            self.hosts.iter().map(fits).collect()
        } else {
            let fits = |host: &Host| host.name == pattern || host.groups.iter().any(|group| group == pattern);
            self.hosts.iter().map(fits).collect()
        };
        if matched.contains(&true) || self.groups.iter().any(|group| group == pattern) {
            return Ok(matched);
        }
        let names = || self.hosts.iter().map(|host| host.name.as_str()).chain(self.groups.iter().map(String::as_str));
        let help = match suggest(pattern, names()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("there are: {}", names().take(20).collect::<Vec<_>>().join(", ")),
        };
        Err((format!("there is no host or group '{}'", pattern.escape_debug()), help))
    }
}
