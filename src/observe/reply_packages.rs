//! Packages and their candidates in the probe's answer.

use super::reply::Section;
use super::{Candidate, HostState, Known, Package, Queries, Query};
use std::collections::HashMap;

pub(super) fn packages(host: &mut HostState, queries: &Queries, section: &Section) {
    let text = section.text();
    let broken_tool = section.code > 1;
    let native = host.facts.arch.clone();
    for query in queries.iter() {
        let Query::Package(name) = query else { continue };
        if broken_tool {
            host.set_unreadable(query.clone(), section.errors.clone());
            continue;
        }
        let states = text.lines().filter_map(|line| {
            let [binary, arch, version, status, want] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
            let is_it = binary.split(':').next() == Some(name.bare()) && name.takes(arch, &native);
            is_it.then(|| match status {
                "installed" => Package::Installed { version: Known::Is(version.to_owned()), held: want == "hold" },
                "not-installed" => Package::Absent,
                "config-files" => Package::ConfigFiles,
                other => Package::Broken(other.to_owned()),
            })
        });
        // Of several architectures, an installed one answers for the name.
        let mut states: Vec<Package> = states.collect();
        states.sort_by_key(|state| match state {
            Package::Installed { .. } | Package::Broken(_) => 0,
            Package::ConfigFiles => 1,
            Package::Absent => 2,
        });
        host.set_package(name, states.into_iter().next().unwrap_or(Package::Absent));
    }
}

pub(super) fn candidates(host: &mut HostState, queries: &Queries, section: &Section) {
    let mut found: HashMap<String, Candidate> = HashMap::new();
    let (mut current, mut listed) = (String::new(), None);
    for line in section.text().lines() {
        let depth = line.len() - line.trim_start().len();
        let text = line.trim();
        if depth == 0 && text.ends_with(':') {
            current = text.trim_end_matches(':').to_owned();
            found.insert(current.clone(), Candidate::default());
            listed = None;
        }
        let Some(candidate) = found.get_mut(&current) else { continue };
        if let Some(version) = text.strip_prefix("Candidate: ") {
            candidate.version = (version != "(none)").then(|| version.to_owned());
        } else if depth == 5 || text.starts_with("*** ") {
            // " *** 5.2.15 500" or "     5.2.15 500": a version of the table.
            listed = text.trim_start_matches("*** ").split_whitespace().next().map(str::to_owned);
        } else if depth >= 8 {
            let origin = text.split_once(' ').map_or(text, |(_, origin)| origin);
            if listed == candidate.version {
                candidate.origins.push(origin.to_owned());
            }
            // What only dpkg knows is installed and nowhere to be had.
            let is_offered = origin != "/var/lib/dpkg/status";
            candidate.offered.extend(listed.clone().filter(|one| is_offered && !candidate.offered.contains(one)));
        }
    }
    for query in queries.iter() {
        let Query::Candidate(name) = query else { continue };
        if section.code != 0 {
            host.set_unreadable(query.clone(), section.errors.clone());
        } else {
            // apt names a package without its architecture where that is the host's own.
            let own = name.takes(&host.facts.arch, &host.facts.arch).then(|| found.get(name.bare())).flatten();
            let candidate = found.get(name.as_str()).or(own).cloned().unwrap_or_default();
            host.set_candidate(name, candidate);
        }
    }
}
