//! What was found, in words that can be compared later and shown to anyone.
//!
//! A saved plan holds these words, not the state: file contents and password
//! hashes appear only as a salted digest.

use super::{Content, HostState, Known, Package, PathState, Query, Transaction};
use crate::values::{hex, sha256};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

impl HostState {
    /// One line for each question that was asked: what about, and what was found.
    pub fn fingerprint(&self, salt: &str) -> BTreeMap<String, String> {
        let mut lines: BTreeMap<String, String> =
            self.questions().iter().map(|query| (query.to_string(), self.finding(query, salt))).collect();
        if !self.left.pending.is_empty() {
            lines.insert("restarts owed".into(), self.left.pending.iter().cloned().collect::<Vec<_>>().join(", "));
        }
        lines
    }

    fn finding(&self, query: &Query, salt: &str) -> String {
        let exists = |found: bool| if found { "exists" } else { "absent" }.to_owned();
        let unknown = |error: super::StateError| format!("unknown ({error})");
        match query {
            Query::Path(path) => self.path(path).map_or_else(unknown, of_path),
            // The bytes and their digest are the same finding, whichever was asked for.
            Query::Digest(path) | Query::Content(path) => self.content(path).map_or_else(unknown, |content| {
                let digest = match content {
                    Content::Absent => return "absent".into(),
                    Content::AfterApply => return "known after apply".into(),
                    Content::Digest(digest) => digest.clone(),
                    Content::Bytes(bytes) => sha256(bytes),
                };
                salted(salt, &digest)
            }),
            Query::Names(path) => self.names(path).map_or_else(unknown, |names| {
                names.iter().map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(" ")
            }),
            Query::Fragments(path) => {
                self.fragments(path).map_or_else(unknown, |files| salted(salt, &format!("{files:?}")))
            }
            Query::DropIns(name) => {
                let files: Vec<_> = super::probe::drop_in_directories(name)
                    .iter()
                    .map(|path| format!("{:?}", self.fragments(path)))
                    .collect();
                salted(salt, &files.join("\n"))
            }
            Query::Tree { top, across } => self.tree(top, *across).map_or_else(unknown, |tree| {
                format!("{} entries, {}", tree.entries.len(), salted(salt, &format!("{:?}", tree.entries)))
            }),
            Query::Accounts => self.users().map_or_else(unknown, |users| {
                salted(salt, &format!("{users:?} {:?} {}", self.groups, self.shadow_text()))
            }),
            Query::User(name) => self.has_user(name).map_or_else(unknown, exists),
            Query::Group(name) => self.has_group(name).map_or_else(unknown, exists),
            Query::Package(name) => self.package(name).map_or_else(unknown, of_package),
            Query::Candidate(name) => self.candidate(name).map_or_else(unknown, |c| {
                format!("{} from {}", c.version.as_deref().unwrap_or("none"), c.origins.join(", "))
            }),
            Query::Transaction(words) => self.transaction(words).map_or_else(unknown, of_transaction),
            Query::Provided(name) => {
                self.provided(name).map_or_else(unknown, |by| by.iter().cloned().collect::<Vec<_>>().join(" "))
            }
            Query::Providers(name) => {
                self.providers(name).map_or_else(unknown, |by| by.iter().cloned().collect::<Vec<_>>().join(" "))
            }
            Query::Packages => self.installed_packages().map_or_else(unknown, |all| salted(salt, &format!("{all:?}"))),
            Query::Shipped(name) => {
                self.shipped(name).map_or_else(unknown, |files| salted(salt, &format!("{files:?}")))
            }
            Query::Unit(name) => self.unit(name).map_or_else(unknown, |unit| match unit {
                Known::Is(unit) => format!("{} {} {}", unit.load, unit.active, unit.file),
                Known::AfterApply => "known after apply".into(),
            }),
            Query::Sysctl(key) => {
                self.sysctl(key).map_or_else(unknown, |value| value.unwrap_or("no such parameter").to_owned())
            }
            Query::Sysctls(pattern) => {
                let shown = self.sysctls_of(pattern).map(|(key, value)| format!("{key} = {value}"));
                shown.collect::<Vec<_>>().join(", ")
            }
            // What runs changes all the time; what matters of it is judged at each look.
            Query::Processes => "listed".into(),
            Query::Module(name) => self.module(name).map_or_else(unknown, |module| format!("{module:?}")),
            Query::Syntax(text) => {
                self.syntax(text).map_or_else(unknown, |wrong| if wrong.is_some() { "wrong" } else { "right" }.into())
            }
            Query::UnitText { .. } => self
                .unit_text(query)
                .map_or_else(unknown, |wrong| if wrong.is_empty() { "right" } else { "wrong" }.into()),
            Query::Acl(path) => exists(self.has_acl(path)),
            Query::Run(run) => self.output(run).map_or_else(unknown, |output| match output {
                Known::Is(output) => format!("exit code {}, {}", output.code, salted(salt, &output.stdout)),
                Known::AfterApply => "known after apply".into(),
            }),
        }
    }

    fn shadow_text(&self) -> String {
        let line = |(name, shadow): (&String, &super::Shadow)| {
            format!("{name}:{}:{:?}\n", shadow.hash.expose(), shadow.expires)
        };
        self.shadow.iter().map(line).collect()
    }
}

fn of_path(state: &PathState) -> String {
    match state {
        PathState::Present(entry) => {
            let target = entry.target.as_ref().map(|t| format!(" -> {t}")).unwrap_or_default();
            format!("{} {} {}:{}{target}", entry.file_type.name(), entry.mode, entry.owner, entry.group)
        }
        PathState::Absent => "absent".into(),
        PathState::AfterApply => "known after apply".into(),
    }
}

fn of_package(package: &Package) -> String {
    match package {
        Package::Absent => "absent".into(),
        Package::ConfigFiles => "removed, its configuration left".into(),
        Package::Installed { version: Known::Is(version), held } => {
            format!("installed {version}{}", if *held { ", held" } else { "" })
        }
        Package::Installed { .. } => "installed".into(),
        Package::Broken(state) => state.clone(),
    }
}

fn of_transaction(transaction: &Transaction) -> String {
    let line = |change: &super::PackageChange| {
        let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "absent".into());
        format!("{} {} to {}", change.name, side(&change.before), side(&change.after))
    };
    let lines: Vec<String> = transaction.changes.iter().map(line).collect();
    transaction.refusal.clone().unwrap_or_else(|| lines.join(", "))
}

/// A digest that tells nothing about short or guessable values without the salt.
pub fn salted(salt: &str, text: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt.as_bytes());
    hasher.update([0]);
    hasher.update(text.as_bytes());
    format!("#{}", &hex(&hasher.finalize())[..16])
}
