//! From files to the model: reads a playbook and every one that it uses.
//!
//! All that is wrong is told at once; nothing is rendered, but the syntax of
//! every template is checked, so that a step that is seldom reached cannot hide
//! a slip.

use super::bundled;
use super::files::{Folder, Record, folder_of};
use super::model::{RawAction, RawStep, Unit};
use super::scope::diagnose;
use super::template::{Engine, Form, form};
use super::{COMMON_KEYS, TOP_KEYS, Vars};
use crate::values::{
    Diagnostic, Node, NodeValue, Source, Span, TableEntry, check_variable, parse_document, suggest, utf8_source,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a playbook is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Disk(PathBuf),
    /// Bundle and path in it.
    Bundled(String, String),
}

impl Place {
    fn show(&self) -> String {
        match self {
            Place::Disk(path) => path.display().to_string(),
            Place::Bundled(name, file) if file == "playbook.toml" => format!("bundled:{name}"),
            Place::Bundled(name, file) => format!("bundled:{name}/{file}"),
        }
    }

    fn folder(&self) -> Folder {
        match self {
            Place::Disk(path) => Folder::Disk(folder_of(path)),
            Place::Bundled(name, _) => Folder::Bundled(name.clone()),
        }
    }

    /// What tells this playbook from others however its path is written.
    fn identity(&self) -> Place {
        match self {
            Place::Disk(path) => Place::Disk(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
            Place::Bundled(..) => self.clone(),
        }
    }

    fn file(path: &Path) -> Place {
        Place::Disk(if path.is_dir() { path.join("playbook.toml") } else { path.to_path_buf() })
    }
}

/// Reads playbooks.
pub(super) struct Loader<'k> {
    kinds: &'k [&'k str],
    engine: &'k Engine,
    record: &'k Record,
    /// What is wrong, so far.
    pub errors: Vec<Diagnostic>,
    /// The playbooks being read, outermost first.
    chain: Vec<Place>,
    done: BTreeMap<Place, Option<Arc<Unit>>>,
}

fn is_bundled_name(text: &str) -> bool {
    !text.contains(['/', '.', '\\'])
}

impl<'k> Loader<'k> {
    /// A loader that knows these kinds.
    pub fn new(kinds: &'k [&'k str], engine: &'k Engine, record: &'k Record) -> Loader<'k> {
        Loader { kinds, engine, record, errors: Vec::new(), chain: Vec::new(), done: BTreeMap::new() }
    }

    /// Reads the playbook that the operator named: a file, a folder with a
    /// `playbook.toml` in it, or the name of a bundled one.
    pub fn top(&mut self, path: &Path) -> Option<Arc<Unit>> {
        let name = path.to_str().filter(|text| is_bundled_name(text) && !path.is_file());
        let place = match name {
            Some(name) if bundled::names().any(|known| known == name) => {
                Place::Bundled(name.to_owned(), "playbook.toml".to_owned())
            }
            _ => Place::file(path),
        };
        self.unit(place, None)
    }

    fn say(&mut self, at: Option<&Span>, message: String) -> &mut Diagnostic {
        self.errors.push(at.map_or_else(|| Diagnostic::general(&message), |s| Diagnostic::new(s.clone(), &message)));
        let last = self.errors.len() - 1;
        &mut self.errors[last]
    }

    /// Reads one playbook; `from` is the `use` that names it.
    fn unit(&mut self, place: Place, from: Option<&Span>) -> Option<Arc<Unit>> {
        let identity = place.identity();
        if let Some(start) = self.chain.iter().position(|known| known.identity() == identity) {
            let circle: Vec<String> = self.chain[start..].iter().chain([&place]).map(Place::show).collect();
            self.say(from, format!("'use' goes in a circle: {}", circle.join(" → ")));
            return None;
        }
        if let Some(done) = self.done.get(&identity) {
            return done.clone();
        }
        let unit = self.read(&place, from).and_then(|source| {
            self.chain.push(place.clone());
            let unit = self.parse(&place, source);
            self.chain.pop();
            unit.map(Arc::new)
        });
        self.done.insert(identity, unit.clone());
        unit
    }

    fn read(&mut self, place: &Place, from: Option<&Span>) -> Option<Arc<Source>> {
        let shown = place.show();
        let bytes = match place {
            Place::Disk(path) => self.record.get(&shown, || std::fs::read(path)),
            Place::Bundled(name, file) => match bundled::file(name, file) {
                Some(file) => self.record.get(&shown, || Ok(file.bytes.to_vec())),
                None => Err(std::io::ErrorKind::NotFound.into()),
            },
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                let names: Vec<&str> = bundled::names().collect();
                let near = suggest(&shown, names.iter().copied());
                let error = self.say(from, format!("cannot read the playbook '{shown}': {error}"));
                error.help = match near {
                    Some(near) => Some(format!("did you mean the bundled playbook '{near}'?")),
                    None if names.is_empty() => None,
                    None => Some(format!("bundled playbooks: {}", names.join(", "))),
                };
                return None;
            }
        };
        utf8_source(&shown, &bytes).map_err(|error| self.errors.push(error)).ok()
    }

    fn parse(&mut self, place: &Place, source: Arc<Source>) -> Option<Unit> {
        let (root, errors) = parse_document(&source);
        if !errors.is_empty() {
            self.errors.extend(errors);
            return None;
        }
        let mut unit = Unit {
            source,
            folder: place.folder(),
            name: None,
            hosts: Vec::new(),
            vars: Vars::new(),
            steps: Vec::new(),
        };
        let told = self.errors.len();
        for entry in root.as_table().unwrap_or_default() {
            match entry.key.as_str() {
                "name" => unit.name = self.string(entry).map(str::to_owned),
                "hosts" => unit.hosts = self.strings(entry),
                "vars" => unit.vars = self.vars(entry),
                "step" => {
                    for node in self.tables(entry) {
                        let step = self.step(place, node);
                        unit.steps.extend(step);
                    }
                }
                unknown => {
                    let near = suggest(unknown, TOP_KEYS.iter().copied());
                    let step = self.kinds.contains(&unknown) || COMMON_KEYS.contains(&unknown);
                    self.say(Some(&entry.key_span), format!("unknown key '{unknown}' in a playbook")).help = near
                        .map(|near| format!("did you mean '{near}'?"))
                        .or_else(|| step.then(|| "it belongs under [[step]]".to_owned()));
                }
            }
        }
        if root.get("step").is_none() && self.errors.len() == told {
            self.say(Some(&root.span), "this playbook has no step".to_owned()).help =
                Some("describe what the host shall have under [[step]]".to_owned());
        }
        Some(unit)
    }

    fn string<'n>(&mut self, entry: &'n TableEntry) -> Option<&'n str> {
        if entry.node.as_str().is_none() {
            self.wrong_type(entry, "a string");
        }
        entry.node.as_str()
    }

    fn wrong_type(&mut self, entry: &TableEntry, wanted: &str) {
        let message = format!("'{}' must be {wanted}, not {}", entry.key, entry.node.type_name());
        self.say(Some(&entry.node.span), message);
    }

    /// A string or an array of strings.
    fn strings(&mut self, entry: &TableEntry) -> Vec<Node> {
        let items = match &entry.node.value {
            NodeValue::String(_) => std::slice::from_ref(&entry.node),
            NodeValue::Array(items) if items.iter().all(|item| item.as_str().is_some()) => items,
            _ => {
                self.wrong_type(entry, "a string or an array of strings");
                return Vec::new();
            }
        };
        items.to_vec()
    }

    fn tables<'n>(&mut self, entry: &'n TableEntry) -> &'n [Node] {
        match &entry.node.value {
            NodeValue::Array(items) if items.iter().all(|item| item.as_table().is_some()) => items,
            _ => {
                let message = format!("'{}' must be an array of tables, not {}", entry.key, entry.node.type_name());
                self.say(Some(&entry.key_span), message).help = Some(format!("write [[{}]]", entry.key));
                &[]
            }
        }
    }

    fn vars(&mut self, entry: &TableEntry) -> Vars {
        let Some(entries) = entry.node.as_table() else {
            self.wrong_type(entry, "a table");
            return Vars::new();
        };
        for entry in entries {
            self.errors.extend(check_variable(&entry.key, &entry.key_span));
            self.syntax(&entry.node);
        }
        entries.iter().map(|entry| (entry.key.clone(), entry.node.clone())).collect()
    }

    /// Tells what is wrong with the templates in a value.
    fn syntax(&mut self, node: &Node) {
        match &node.value {
            NodeValue::String(text) => {
                let (checked, offset) = match form(text) {
                    Form::Plain => return,
                    Form::Expression(code, offset) => (self.engine.expression_needs(code), offset),
                    Form::Text => (self.engine.text_needs(text), 0),
                };
                self.errors.extend(checked.err().map(|fault| diagnose(node, offset, fault)));
            }
            NodeValue::Array(items) => items.iter().for_each(|item| self.syntax(item)),
            NodeValue::Table(entries) => entries.iter().for_each(|entry| self.syntax(&entry.node)),
            _ => {}
        }
    }

    /// Tells what is wrong with an expression given bare or as `{{ }}`.
    fn expression_syntax(&mut self, node: &Node) {
        let Some(text) = node.as_str() else { return };
        let (code, offset) = match form(text) {
            Form::Expression(code, offset) => (code, offset),
            _ => (text, 0),
        };
        if let Err(fault) = self.engine.expression_needs(code) {
            self.errors.push(diagnose(node, offset, fault));
        }
    }

    fn step(&mut self, place: &Place, node: &Node) -> Option<RawStep> {
        let mut found = BTreeMap::new();
        let mut tags = Vec::new();
        let mut actions: Vec<&TableEntry> = Vec::new();
        let mut with = None;
        let mut unknown = false;
        for entry in node.as_table().unwrap_or_default() {
            let key = entry.key.as_str();
            let text = entry.node.as_str();
            let flag = matches!(entry.node.value, NodeValue::Bool(_));
            match key {
                "name" | "control" if text.is_none() => self.wrong_type(entry, "a string"),
                "when" if text.is_none() && !flag => self.wrong_type(entry, "an expression in a string, or a boolean"),
                "each" if text.is_none() && entry.node.as_array().is_none() => {
                    self.wrong_type(entry, "an array, or an expression in a string");
                }
                "guard" | "sensitive" if !flag && !text.is_some_and(|t| t.contains("{{")) => {
                    self.wrong_type(entry, "a boolean");
                }
                "restart" | "reload" => _ = self.strings(entry),
                "tags" => tags = self.tags(entry),
                "with" => with = Some(entry),
                "use" => actions.push(entry),
                _ if COMMON_KEYS.contains(&key) => {}
                _ if self.kinds.contains(&key) => actions.push(entry),
                _ => {
                    unknown = true;
                    self.unknown_key(entry);
                }
            }
            if key == "when" || key == "each" && text.is_some() {
                self.expression_syntax(&entry.node);
            } else if key != "use" {
                self.syntax(&entry.node);
            }
            found.insert(key, entry.node.clone());
        }
        let action = match actions[..] {
            [entry] if entry.key == "use" => self.used(place, entry, with),
            [entry] => self.resource(entry, with),
            [] => {
                if !unknown {
                    self.say(Some(&node.span), "this step says nothing to do".to_owned()).help =
                        Some(format!("a step needs 'use' or exactly one of: {}", self.kinds.join(", ")));
                }
                None
            }
            [first, second, ..] => {
                let message = format!("a step describes one thing: this one has '{}' and '{}'", first.key, second.key);
                self.say(Some(&second.key_span), message).help =
                    Some("put the second under a [[step]] of its own".to_owned());
                None
            }
        }?;
        let mut take = |key: &str| found.remove(key);
        Some(RawStep {
            name: take("name"),
            when: take("when"),
            each: take("each"),
            tags,
            restart: take("restart"),
            reload: take("reload"),
            guard: take("guard"),
            sensitive: take("sensitive"),
            control: take("control"),
            action,
            span: node.span.clone(),
        })
    }

    fn unknown_key(&mut self, entry: &TableEntry) {
        let key = &entry.key;
        let known = COMMON_KEYS.iter().chain(self.kinds).copied();
        let near = suggest(key, known);
        // What holds a table can only be meant as a kind.
        let sort = if entry.node.as_table().is_some() { "unknown kind" } else { "unknown key" };
        let error = Diagnostic::new(entry.key_span.clone(), format!("{sort} '{key}' in a step"));
        self.errors.push(match near {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help(format!("kinds: {}", self.kinds.join(", "))),
        });
    }

    fn tags(&mut self, entry: &TableEntry) -> Vec<String> {
        let nodes = self.strings(entry);
        for node in &nodes {
            if node.as_str().is_some_and(|text| form(text) != Form::Plain) {
                let message = "a tag is not a template: it is chosen before anything is rendered".to_owned();
                self.say(Some(&node.span), message);
            }
        }
        nodes.iter().filter_map(Node::as_str).map(str::to_owned).collect()
    }

    fn resource(&mut self, entry: &TableEntry, with: Option<&TableEntry>) -> Option<RawAction> {
        if let Some(with) = with {
            self.say(Some(&with.key_span), "'with' goes only with 'use'".to_owned()).help =
                Some(format!("what '{}' needs stands in its own table", entry.key));
        }
        if entry.node.as_table().is_none() {
            self.wrong_type(entry, "a table");
            return None;
        }
        Some(RawAction::Resource {
            kind: entry.key.clone(),
            kind_span: entry.key_span.clone(),
            table: entry.node.clone(),
        })
    }

    fn used(&mut self, place: &Place, entry: &TableEntry, with: Option<&TableEntry>) -> Option<RawAction> {
        let text = self.string(entry)?;
        let span = &entry.node.span;
        if form(text) != Form::Plain {
            self.say(Some(span), "'use' is read before anything is rendered and cannot be a template".to_owned())
                .help = Some("use two steps with 'when'".to_owned());
            return None;
        }
        let target = match (is_bundled_name(text), place) {
            (true, _) if bundled::names().any(|name| name == text) => {
                Place::Bundled(text.to_owned(), "playbook.toml".to_owned())
            }
            (true, Place::Disk(path)) if !folder_of(path).join(text).exists() => {
                let names: Vec<&str> = bundled::names().collect();
                let near = suggest(text, names.iter().copied());
                self.say(Some(span), format!("there is no bundled playbook '{text}'")).help = Some(match near {
                    Some(near) => format!("did you mean '{near}'?"),
                    None if names.is_empty() => "a path ends in .toml".to_owned(),
                    None => format!("a path ends in .toml; bundled playbooks: {}", names.join(", ")),
                });
                return None;
            }
            (_, Place::Disk(path)) => Place::file(&folder_of(path).join(text)),
            (_, Place::Bundled(name, _)) => Place::Bundled(name.clone(), text.trim_start_matches("./").to_owned()),
        };
        let unit = self.unit(target, Some(span));
        let entries = match with {
            None => &[][..],
            Some(with) => match with.node.as_table() {
                Some(entries) => entries,
                None => {
                    self.wrong_type(with, "a table");
                    &[]
                }
            },
        };
        let unit = unit?;
        self.with(text, &unit, entries);
        Some(RawAction::Use { unit, with: entries.to_vec() })
    }

    /// A value given by `with` must be one the used playbook knows: it stands
    /// in its [vars] or is mentioned in its text.
    fn with(&mut self, used: &str, unit: &Unit, entries: &[TableEntry]) {
        let mut known: Vec<String> = Vec::new();
        let mut texts: Vec<Arc<Source>> = Vec::new();
        unit.walk(&mut |unit| {
            known.extend(unit.vars.keys().cloned());
            texts.push(Arc::clone(&unit.source));
        });
        for entry in entries {
            let key = entry.key.as_str();
            if let Some(bad) = check_variable(key, &entry.key_span) {
                self.errors.push(bad);
                continue;
            }
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let mentioned = |source: &Arc<Source>| source.text.split(|c| !is_word(c)).any(|word| word == key);
            if known.iter().any(|name| name == key) || texts.iter().any(mentioned) {
                continue;
            }
            let near = suggest(key, known.iter().map(String::as_str)).map(str::to_owned);
            self.say(Some(&entry.key_span), format!("the playbook '{used}' has no variable '{key}'")).help =
                Some(match near {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("its variables: {}", known.join(", ")),
                });
        }
    }
}
