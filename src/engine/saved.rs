//! Saved plans: what `plan --out` writes and `apply FILE` carries out.
//!
//! A plan is a pure function of the input files and of what was found on the
//! host. So a saved plan holds neither operations nor file contents: it holds
//! the arguments, a salted digest of every input, and what was found in words.
//! The apply reads, looks and plans anew; it goes on only if inputs, findings
//! and plan are all the same, and else names what is not. No secret is in the
//! file.

use super::Prepared;
use super::selection::Selection;
use crate::observe::salted;
use crate::plan::HostPlan;
use crate::report::plan_json;
use crate::values::hex;
use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;

/// A saved plan; `S` is how the hosts, steps and values were chosen.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedPlan<S> {
    saved_plan_version: u32,
    stockade: String,
    created: String,
    /// The playbook, as it was named.
    pub playbook: PathBuf,
    /// The choice.
    pub select: S,
    salt: String,
    inputs: BTreeMap<String, String>,
    hosts: Vec<SavedHost>,
    /// For people and programs that read; the apply does not.
    plan: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedHost {
    name: String,
    found: BTreeMap<String, String>,
    digest: String,
}

/// Whether a file looks like a saved plan rather than a playbook.
pub fn is_saved_plan(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|bytes| bytes.trim_ascii_start().starts_with(b"{"))
}

impl<S: Clone + Serialize + DeserializeOwned> SavedPlan<S> {
    /// What is to be saved of a plan.
    ///
    /// # Errors
    /// This machine gives no random numbers.
    pub fn new(playbook: &Path, select: &S, selection: &Selection, hosts: &[Prepared]) -> anyhow::Result<Self> {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).context("no random numbers")?;
        let salt = hex(&random);
        let plans: Vec<HostPlan> = hosts.iter().map(|host| host.plan.clone()).collect();
        Ok(SavedPlan {
            saved_plan_version: FORMAT,
            stockade: env!("CARGO_PKG_VERSION").to_owned(),
            created: jiff::Timestamp::now().to_string(),
            playbook: playbook.to_path_buf(),
            select: select.clone(),
            inputs: inputs(selection, &salt),
            hosts: hosts.iter().map(|host| SavedHost::new(host, &salt)).collect(),
            plan: plan_json(selection.stage(), &selection.title(playbook), &plans),
            salt,
        })
    }

    /// Writes the plan, for its owner's eyes only.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let write = || -> std::io::Result<()> {
            let mut open = std::fs::OpenOptions::new();
            let mut out = open.write(true).create(true).truncate(true).mode(0o600).open(file)?;
            out.write_all(text.as_bytes())?;
            out.write_all(b"\n")
        };
        write().with_context(|| format!("the plan cannot be saved to {}", file.display()))
    }

    /// Reads a saved plan.
    ///
    /// # Errors
    /// The file cannot be read, or is not a saved plan of this version.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let plan: SavedPlan<S> = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a saved plan; make one with 'stockade plan --out'", file.display()))?;
        ensure!(
            plan.saved_plan_version == FORMAT && plan.stockade == env!("CARGO_PKG_VERSION"),
            "{} was saved by stockade {}; this is {}: plan again",
            file.display(),
            plan.stockade,
            env!("CARGO_PKG_VERSION")
        );
        Ok(plan)
    }

    /// That nothing has changed since: neither inputs nor hosts.
    ///
    /// # Errors
    /// Everything that has, by name.
    pub fn verify(&self, selection: &Selection, hosts: &[Prepared]) -> anyhow::Result<()> {
        let mut drift = differences("input", &self.inputs, &inputs(selection, &self.salt));
        let names = |list: Vec<&str>| list.join(", ");
        let planned = names(self.hosts.iter().map(|host| host.name.as_str()).collect());
        let found = names(hosts.iter().map(|host| host.plan.name.as_str()).collect());
        if planned != found {
            drift.push(format!("hosts: planned for {planned}; now {found}"));
        }
        for (then, host) in self.hosts.iter().zip(hosts) {
            let now = SavedHost::new(host, &self.salt);
            let mut lines = differences(&then.name, &then.found, &now.found);
            if lines.is_empty() && then.digest != now.digest {
                lines.push(format!("{}: the plan has changed (a fact of the host changed)", then.name));
            }
            drift.append(&mut lines);
        }
        ensure!(
            drift.is_empty(),
            "the saved plan no longer fits:\n  {}\nnothing was touched; plan again",
            drift.join("\n  ")
        );
        Ok(())
    }
}

impl SavedHost {
    fn new(host: &Prepared, salt: &str) -> SavedHost {
        let operations: Vec<String> =
            host.plan.steps.iter().map(|step| format!("{} {:?}", step.id, step.ops)).collect();
        SavedHost {
            name: host.plan.name.clone(),
            found: host.state.fingerprint(salt),
            digest: salted(salt, &operations.join("\n")),
        }
    }
}

fn inputs(selection: &Selection, salt: &str) -> BTreeMap<String, String> {
    let digest = |(name, bytes): (String, Vec<u8>)| (name, salted(salt, &format!("{bytes:?}")));
    selection.all_inputs().into_iter().map(digest).collect()
}

fn differences(what: &str, then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let missing = "not looked at".to_owned();
    keys.into_iter()
        .filter(|key| then.get(*key) != now.get(*key))
        .map(|key| {
            let side = |map: &BTreeMap<String, String>| map.get(key).unwrap_or(&missing).clone();
            format!("{what}: {key}: {} when planned, {} now", side(then), side(now))
        })
        .collect()
}
