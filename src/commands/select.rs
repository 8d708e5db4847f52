//! Which playbook, on which hosts, with which stage and variables: the
//! arguments that plan, apply and check share.

use super::InputErrors;
use crate::inventory::{Host, Inventory};
use crate::playbook::{self, HostScope, Playbook, TagFilter};
use crate::resource::KINDS;
use crate::stage::{self, Stage, StageName};
use crate::values::{Diagnostic, Node, NodeValue, Source, Span, check_variable, parse_document};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The shared arguments.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct SelectArgs {
    /// A playbook, or the name of a bundled one.
    playbook: PathBuf,
    /// The inventory; inventory.toml in this folder if there is one and no --host is given.
    #[arg(short, long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// A host: a name of the inventory, or user@address:port (repeatable).
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// The stage whose environment and variables are used.
    #[arg(short, long)]
    stage: Option<String>,
    /// Only these hosts: names, groups, patterns with *, !name to leave out.
    #[arg(short, long, value_delimiter = ',', value_name = "PATTERN")]
    limit: Vec<String>,
    /// Only steps with one of these tags.
    #[arg(short, long, value_delimiter = ',')]
    tags: Vec<String>,
    /// No step with one of these tags.
    #[arg(long, value_delimiter = ',')]
    skip_tags: Vec<String>,
    /// A variable, as name=value; the value is read as TOML if it can be (repeatable).
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
    /// A private key to log in with, before those of the inventory (repeatable).
    #[arg(short, long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// A file of known host keys, in place of the inventory's (repeatable).
    #[arg(long, value_name = "FILE")]
    known_hosts: Vec<PathBuf>,
}

/// A host with what its steps are rendered from.
#[derive(Debug)]
pub struct Selected {
    /// How it is reached.
    pub host: Host,
    /// What templates see.
    pub scope: HostScope,
    /// Its stage.
    pub stage: Option<Arc<Stage>>,
}

/// Everything that was selected.
#[derive(Debug)]
pub struct Selection {
    /// The playbook.
    pub playbook: Playbook,
    /// The hosts, in the inventory's order.
    pub hosts: Vec<Selected>,
    name: String,
    stage: Option<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Selection {
    /// What results call the playbook.
    pub fn playbook_name(&self) -> &str {
        &self.name
    }

    /// The stage, where all hosts have the same.
    pub fn stage_name(&self) -> Option<&str> {
        self.stage.as_deref()
    }

    /// Every input file with its bytes.
    pub fn inputs(&self) -> Vec<(String, Vec<u8>)> {
        let mut inputs = self.playbook.inputs();
        inputs.extend(self.files.iter().cloned());
        inputs
    }
}

impl SelectArgs {
    /// The playbook as it was given.
    pub fn playbook_path(&self) -> &Path {
        &self.playbook
    }

    /// Reads the playbook, the inventory and the stages.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn load(&self) -> anyhow::Result<Selection> {
        let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let playbook = playbook::load(&self.playbook, &kinds);
        let (playbook, inventory, cli) = match (playbook, self.inventory(), variables(&self.var)) {
            (Ok(playbook), Ok(inventory), Ok(cli)) => (playbook, inventory, cli),
            (playbook, inventory, cli) => {
                let all = [playbook.err(), inventory.err(), cli.err()];
                return Err(InputErrors(all.into_iter().flatten().flatten().collect()).into());
            }
        };
        let hosts = inventory.select(&playbook.hosts, &self.limit).map_err(InputErrors)?;
        self.selection(playbook, &inventory, hosts, &cli)
    }

    fn inventory(&self) -> Result<Inventory, Vec<Diagnostic>> {
        let usual = Path::new("inventory.toml");
        match &self.inventory {
            Some(file) if self.host.is_empty() => Inventory::load(file),
            Some(file) => Inventory::load(file)?.only(&self.host),
            None if !self.host.is_empty() => Inventory::from_hosts(&self.host),
            None if usual.exists() => Inventory::load(usual),
            None => Err(vec![
                Diagnostic::general("no hosts are given")
                    .with_help("name an inventory with -i FILE, or hosts with --host user@address:port"),
            ]),
        }
    }

    fn selection(
        &self,
        playbook: Playbook,
        inventory: &Inventory,
        hosts: Vec<Host>,
        cli: &BTreeMap<String, Node>,
    ) -> anyhow::Result<Selection> {
        let mut errors = Vec::new();
        let mut files = inventory.inputs().to_vec();
        let mut stages: BTreeMap<StageName, Arc<Stage>> = BTreeMap::new();
        let asked = self.stage.as_deref().map(str::parse::<StageName>).transpose()?;
        let mut selected = Vec::with_capacity(hosts.len());
        for mut host in hosts {
            let own = host.stage.as_deref().map(str::parse::<StageName>).transpose()?;
            let stage = match stage::choose(&host.name, asked.as_ref(), own.as_ref()) {
                Ok(name) => match name.map(|name| self.stage(name, &mut stages)).transpose() {
                    Ok(stage) => stage,
                    Err(found) => {
                        errors.extend(found);
                        continue;
                    }
                },
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            host.keys.splice(0..0, self.key.iter().cloned());
            if !self.known_hosts.is_empty() {
                host.known_hosts.clone_from(&self.known_hosts);
            }
            let scope = HostScope {
                host: host.name.clone(),
                address: host.address.clone(),
                groups: host.groups.clone(),
                vars: host.vars.clone(),
                stage: stage.as_ref().map(|s| (s.name.to_string(), s.vars.iter().cloned().collect())),
                cli: cli.clone(),
                facts: None,
                tags: TagFilter { only: self.tags.clone(), skip: self.skip_tags.clone() },
            };
            selected.push(Selected { host, scope, stage });
        }
        if !errors.is_empty() {
            return Err(InputErrors(errors).into());
        }
        files.extend(stages.values().flat_map(|stage| stage.inputs.clone()));
        let stage = match &stages.keys().collect::<Vec<_>>()[..] {
            [one] => Some(one.to_string()),
            _ => None,
        };
        let name = playbook.name.clone().unwrap_or_else(|| self.playbook.display().to_string());
        Ok(Selection { playbook, hosts: selected, name, stage, files })
    }

    fn stage(
        &self,
        name: &StageName,
        stages: &mut BTreeMap<StageName, Arc<Stage>>,
    ) -> Result<Arc<Stage>, Vec<Diagnostic>> {
        if let Some(stage) = stages.get(name) {
            return Ok(Arc::clone(stage));
        }
        let stage = Arc::new(Stage::load(&self.project(), name)?);
        stages.insert(name.clone(), Arc::clone(&stage));
        Ok(stage)
    }

    /// The folder that holds `stages`: the playbook's, the inventory's, or this one.
    fn project(&self) -> PathBuf {
        let folder = |file: &Path| {
            let parent = if file.is_dir() { Some(file) } else { file.parent() };
            parent.map(|dir| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() })
        };
        let candidates = [folder(&self.playbook), self.inventory.as_deref().and_then(folder)];
        let found = candidates.into_iter().flatten().find(|dir| dir.join("stages").is_dir());
        found.unwrap_or_else(|| PathBuf::from("."))
    }
}

/// The values of `--var`.
fn variables(texts: &[String]) -> Result<BTreeMap<String, Node>, Vec<Diagnostic>> {
    let (mut vars, mut errors) = (BTreeMap::new(), Vec::new());
    for text in texts {
        let Some((name, value)) = text.split_once('=') else {
            errors.push(Diagnostic::general(format!("--var {text}: write name=value")));
            continue;
        };
        let source = Source::new(format!("--var {name}"), format!("value = {value}"));
        let all = Span { range: 0..source.text.len(), source: Arc::clone(&source) };
        if let Some(error) = check_variable(name, &all) {
            errors.push(error);
            continue;
        }
        let (tree, wrong) = parse_document(&source);
        let node = match (wrong.is_empty(), tree.get("value"), tree.as_table().map(<[_]>::len)) {
            (true, Some(node), Some(1)) => node.clone(),
            _ => Node { span: all, value: NodeValue::String(value.to_owned()) },
        };
        vars.insert(name.to_owned(), node);
    }
    if errors.is_empty() { Ok(vars) } else { Err(errors) }
}
