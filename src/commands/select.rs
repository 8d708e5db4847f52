//! The arguments that say what a run is about.
//!
//! The same ones mean the same to check, plan and apply.

use crate::engine::{InputErrors, SelectedHost, Selection};
use crate::inventory::{Host, Inventory};
use crate::observe::Facts;
use crate::playbook::{self, HostScope, Playbook, TagFilter, Vars};
use crate::resource::KINDS;
use crate::stage::{self, Stage, StageName};
use crate::transport::Target;
use crate::values::{Diagnostic, Node, NodeValue, Source, Span, check_variable, parse_document, suggest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which hosts, and how to log in to them.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
pub struct HostArgs {
    /// The inventory of hosts; inventory.toml in this folder if there is one and no --host is given.
    #[arg(short, long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// A host by address, without or beside an inventory; may be repeated.
    #[arg(long = "host", value_name = "[USER@]ADDRESS[:PORT]")]
    pub hosts: Vec<String>,
    /// Only these of the playbook's hosts: names, groups, patterns such as 'web*', '!name' to leave out.
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub limit: Vec<String>,
    /// A private key to log in with, instead of the inventory's; may be repeated.
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// A file of known host keys, instead of the inventory's; may be repeated.
    #[arg(long = "known-hosts", value_name = "FILE")]
    pub known_hosts: Vec<PathBuf>,
}

/// The arguments that say which hosts, which steps and which values.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
pub struct SelectArgs {
    #[command(flatten)]
    at: HostArgs,
    /// The stage whose variables and environment are used.
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<StageName>,
    /// The folder that holds 'stages'; looked for around playbook and inventory if not given.
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Only steps with one of these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// No step with one of these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Sets a variable, above all other places; the value is read as TOML if it is TOML, else as text.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Whether all hosts of the inventory are meant, whichever the playbook is for.
    #[arg(skip)]
    #[serde(skip)]
    pub(super) all_hosts: bool,
}

/// The names of all kinds.
pub fn kind_names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

/// The word for all hosts of an inventory.
fn all_hosts() -> Node {
    let source = Source::new("all hosts", "all");
    Node { span: Span { range: 0..3, source }, value: NodeValue::String("all".to_owned()) }
}

impl HostArgs {
    /// How each host is reached, whatever a playbook says.
    ///
    /// # Errors
    /// All that is wrong with the inventory or the names.
    pub fn targets(&self) -> Result<Vec<Target>, InputErrors> {
        let inventory = self.inventory(false).map_err(InputErrors)?;
        let hosts = inventory.select(&[all_hosts()], &self.limit).map_err(InputErrors)?;
        Ok(hosts.iter().map(|host| self.target(host)).collect())
    }

    /// How the host of a name is reached: one of the inventory, else an address.
    ///
    /// # Errors
    /// The inventory is wrong, or the name is neither.
    pub fn target_named(&self, name: &str) -> Result<Target, InputErrors> {
        let named = HostArgs { hosts: vec![name.to_owned()], ..self.clone() };
        let mut targets = named.targets()?;
        targets.pop().ok_or_else(|| InputErrors(vec![Diagnostic::general(format!("there is no host '{name}'"))]))
    }

    fn inventory(&self, any: bool) -> Result<Inventory, Vec<Diagnostic>> {
        let usual = Path::new("inventory.toml");
        match &self.inventory {
            Some(path) if self.hosts.is_empty() => Inventory::load(path),
            Some(path) => Inventory::load(path)?.only(&self.hosts),
            None if !self.hosts.is_empty() => Inventory::from_hosts(&self.hosts),
            None if usual.exists() => Inventory::load(usual),
            None if any => Inventory::from_hosts(&["any".to_owned()]),
            None => Err(vec![
                Diagnostic::general("no host is named").with_help("give an inventory with -i, or --host user@address"),
            ]),
        }
    }

    fn target(&self, host: &Host) -> Target {
        let or = |own: &Vec<PathBuf>, given: &Vec<PathBuf>| if given.is_empty() { own.clone() } else { given.clone() };
        Target {
            name: host.name.clone(),
            address: host.address.clone(),
            port: host.port,
            user: host.user.clone(),
            keys: or(&host.keys, &self.keys),
            known_hosts: or(&host.known_hosts, &self.known_hosts),
            jump: host.jump.clone(),
            local_root: host.local_root.clone(),
        }
    }
}

impl SelectArgs {
    /// The words of `--limit`.
    pub(super) fn limit_mut(&mut self) -> &mut Vec<String> {
        &mut self.at.limit
    }

    /// Reads playbook, inventory and stages and selects the hosts.
    ///
    /// # Errors
    /// All that is wrong with any of them.
    pub fn select(&self, path: &Path) -> Result<Selection, InputErrors> {
        match self.load(path, false) {
            (Some(selection), errors) if errors.is_empty() => Ok(selection),
            (_, errors) => Err(InputErrors(errors)),
        }
    }

    /// The same, with a host that stands for any if none is named: all that is
    /// wrong, and what is right as far as anything can be told of it.
    pub fn select_or_any(&self, path: &Path) -> (Option<Selection>, Vec<Diagnostic>) {
        self.load(path, true)
    }

    fn load(&self, path: &Path, any: bool) -> (Option<Selection>, Vec<Diagnostic>) {
        let (playbook, mut errors) = playbook::load_what_is_right(path, &kind_names());
        let readable = errors.is_empty();
        let mut keep = |found: Vec<Diagnostic>| errors.extend(found);
        let cli = self.variables().map_err(&mut keep).unwrap_or_default();
        let inventory = self.at.inventory(any).map_err(&mut keep).ok();
        if let Some(playbook) = playbook.as_ref().filter(|_| readable) {
            keep(self.unknown_tags(playbook));
        }
        let Some(playbook) = playbook else { return (None, errors) };
        // Where the hosts cannot be told, the playbook is judged all the same.
        let without_hosts = |playbook: Playbook, cli: &Vars| {
            let hosts = if any { self.any_host(cli) } else { Vec::new() };
            Some(Selection { playbook, hosts, inputs: Vec::new() })
        };
        let Some(inventory) = inventory else { return (without_hosts(playbook, &cli), errors) };
        let all = [all_hosts()];
        let meant = if self.all_hosts { &all[..] } else { &playbook.hosts };
        let hosts = match inventory.select(meant, &self.at.limit) {
            Ok(hosts) => hosts,
            Err(found) => {
                errors.extend(found);
                return (without_hosts(playbook, &cli), errors);
            }
        };
        let mut inputs = inventory.inputs().to_vec();
        let mut wrong = Vec::new();
        let stages = self.stages(path, &hosts, &mut inputs, &mut wrong);
        let of_hosts = hosts.iter().flat_map(|host| host.vars.values());
        let of_stages = stages.iter().flatten().flat_map(|stage| stage.vars.iter().map(|(_, node)| node));
        let texts: Vec<String> = of_hosts.chain(of_stages).map(|node| node.to_json().to_string()).collect();
        if readable {
            wrong.extend(unknown_variables(&playbook, &cli, &texts));
        }
        let broken = !wrong.is_empty();
        errors.append(&mut wrong);
        // Without its stage a host's variables are not known.
        if broken {
            return (without_hosts(playbook, &cli), errors);
        }
        let hosts = hosts.into_iter().zip(stages).map(|(host, stage)| self.selected(host, stage, &cli)).collect();
        (Some(Selection { playbook, hosts, inputs }), errors)
    }

    /// The variables of `--var`.
    fn variables(&self) -> Result<Vars, Vec<Diagnostic>> {
        let mut vars = Vars::new();
        let mut errors = Vec::new();
        for text in &self.vars {
            match variable(text) {
                Ok((name, node)) => _ = vars.insert(name, node),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(vars) } else { Err(errors) }
    }

    fn unknown_tags(&self, playbook: &Playbook) -> Vec<Diagnostic> {
        let known = playbook.tags();
        let asked = [("--tags", &self.tags), ("--skip-tags", &self.skip_tags)];
        let unknown = asked.iter().flat_map(|(option, tags)| tags.iter().map(move |tag| (option, tag)));
        unknown
            .filter(|(_, tag)| !known.contains(*tag))
            .map(|(option, tag)| {
                let error = Diagnostic::general(format!("{option}: no step has the tag '{}'", tag.escape_debug()));
                match suggest(tag, known.iter().map(String::as_str)) {
                    Some(near) => error.with_help(format!("did you mean '{near}'?")),
                    None if known.is_empty() => error,
                    None => error.with_help(format!("tags: {}", Vec::from_iter(known.iter().cloned()).join(", "))),
                }
            })
            .collect()
    }

    /// For every host its stage; each stage is read once.
    fn stages(
        &self,
        playbook: &Path,
        hosts: &[Host],
        inputs: &mut Vec<(String, Vec<u8>)>,
        errors: &mut Vec<Diagnostic>,
    ) -> Vec<Option<Arc<Stage>>> {
        let mut read: BTreeMap<StageName, Option<Arc<Stage>>> = BTreeMap::new();
        let mut chosen = Vec::with_capacity(hosts.len());
        for host in hosts {
            let own = match host.stage.as_deref().map(str::parse::<StageName>).transpose() {
                Ok(own) => own,
                Err(why) => {
                    errors.push(Diagnostic::general(format!("host '{}': {why}", host.name)));
                    continue;
                }
            };
            let name = match stage::choose(&host.name, self.stage.as_ref(), own.as_ref()) {
                Ok(name) => name.cloned(),
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let stage = name.and_then(|name| {
                let load = || match Stage::load(&self.project_folder(playbook), &name) {
                    Ok(stage) => {
                        inputs.extend(stage.inputs.iter().cloned());
                        errors.extend(stage.vars.iter().filter_map(|(name, node)| check_variable(name, &node.span)));
                        Some(Arc::new(stage))
                    }
                    Err(found) => {
                        errors.extend(found);
                        None
                    }
                };
                read.entry(name.clone()).or_insert_with(load).clone()
            });
            chosen.push(stage);
        }
        inputs.sort();
        inputs.dedup();
        chosen
    }

    /// The folder that holds `stages`: as said, else around the playbook, the
    /// inventory, or where the program runs.
    fn project_folder(&self, playbook: &Path) -> PathBuf {
        if let Some(project) = &self.project {
            return project.clone();
        }
        let playbook = if playbook.is_dir() { playbook.join("playbook.toml") } else { playbook.to_path_buf() };
        let near = [Some(playbook), self.at.inventory.clone()];
        let near = near.into_iter().flatten().filter_map(|path| std::path::absolute(path).ok());
        near.flat_map(|path| path.ancestors().skip(1).take(2).map(Path::to_path_buf).collect::<Vec<_>>())
            .find(|folder| folder.join("stages").is_dir())
            .unwrap_or_else(|| PathBuf::from("."))
    }

    /// A host that stands for those that cannot be told.
    fn any_host(&self, cli: &Vars) -> Vec<SelectedHost> {
        let source = Source::new("any host", "all");
        let all = Node { span: Span { range: 0..3, source }, value: NodeValue::String("all".to_owned()) };
        let hosts = Inventory::from_hosts(&["any".to_owned()]).and_then(|inventory| inventory.select(&[all], &[]));
        let open = |host| {
            let mut selected = self.selected(host, None, cli);
            selected.scope.open = true;
            selected
        };
        hosts.unwrap_or_default().into_iter().map(open).collect()
    }

    fn selected(&self, host: Host, stage: Option<Arc<Stage>>, cli: &Vars) -> SelectedHost {
        let stage_vars = |stage: &Arc<Stage>| (stage.name.to_string(), stage.vars.iter().cloned().collect());
        SelectedHost {
            target: self.at.target(&host),
            scope: HostScope {
                host: host.name.clone(),
                address: host.address.clone(),
                groups: host.groups,
                vars: host.vars,
                stage: stage.as_ref().map(stage_vars),
                cli: cli.clone(),
                facts: None,
                known_facts: serde_json::to_value(Facts::example()).ok(),
                open: false,
                tags: TagFilter { only: self.tags.clone(), skip: self.skip_tags.clone() },
            },
            stage,
        }
    }
}

/// The variables of the command line that neither the playbook nor a variable
/// of a host or a stage speaks of: a slip there would silently do nothing.
fn unknown_variables(playbook: &Playbook, cli: &Vars, texts: &[String]) -> Vec<Diagnostic> {
    let known = playbook.variables();
    cli.keys()
        .filter(|name| !playbook.mentions(name) && !texts.iter().any(|text| text.contains(name.as_str())))
        .map(|name| {
            Diagnostic::general(format!("--var: unused variable '{name}'"))
                .with_suggestion(name, known.iter().map(String::as_str))
        })
        .collect()
}

/// Reads `NAME=VALUE`.
fn variable(text: &str) -> Result<(String, Node), Diagnostic> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Diagnostic::general(format!("--var '{}' has no '='", text.escape_debug()))
            .with_help("write --var NAME=VALUE"));
    };
    let source = Source::new("--var", text);
    let span = |range| Span { source: Arc::clone(&source), range };
    if let Some(bad) = check_variable(name, &span(0..name.len())) {
        return Err(bad);
    }
    let as_text = Node { span: span(name.len() + 1..text.len()), value: NodeValue::String(value.to_owned()) };
    let (root, errors) = parse_document(&source);
    let node = match root.as_table() {
        Some([entry]) if errors.is_empty() && entry.key == name => entry.node.clone(),
        _ => as_text,
    };
    Ok((name.to_owned(), node))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_variable_is_toml_where_it_is_toml_and_text_where_it_is_not() {
        for (text, value) in [
            ("a=1", json!(1)),
            ("a=true", json!(true)),
            ("a=[\"x\", 2]", json!(["x", 2])),
            ("a={ b = 1 }", json!({ "b": 1 })),
            ("a=\"1\"", json!("1")),
            ("a=hello world", json!("hello world")),
            ("a=", json!("")),
            ("a=x=y", json!("x=y")),
            ("a=1.2.3", json!("1.2.3")),
            ("a=1\nb=2", json!("1\nb=2")),
            ("a=yes # no", json!("yes # no")),
        ] {
            let (name, node) = variable(text).unwrap();
            assert_eq!((name.as_str(), node.to_json()), ("a", value), "{text}");
        }
        for bad in ["a", "=1", "a.b=1", "a b=1", "facts=1", "1a=2"] {
            assert!(variable(bad).is_err(), "{bad}");
        }
    }
}
