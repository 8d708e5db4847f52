//! Finds and reads a playbook and every one that it uses.
//!
//! Each file is read once; a circle of `use` is an error that shows the way
//! round. All that is wrong is told at once.

use super::bundled;
use super::files::{Folder, Record, folder_of};
use super::model::{RawAction, Unit};
use super::template::{Engine, Form, form};
use crate::values::{Diagnostic, Source, Span, TableEntry, check_variable, suggest, utf8_source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a playbook is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Disk(PathBuf),
    /// Bundle and path in it.
    Bundled(String, String),
}

impl Place {
    fn show(&self) -> String {
        match self {
            Place::Disk(path) => {
                let parts: PathBuf = path.components().filter(|part| *part != std::path::Component::CurDir).collect();
                parts.display().to_string()
            }
            Place::Bundled(name, file) if file == "playbook.toml" => format!("bundled:{name}"),
            Place::Bundled(name, file) => format!("bundled:{name}/{file}"),
        }
    }

    pub fn folder(&self) -> Folder {
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
    pub kinds: &'k [&'k str],
    pub engine: &'k Engine,
    record: &'k Record,
    /// What is wrong, so far.
    pub errors: Vec<Diagnostic>,
    /// The playbooks being read, outermost first.
    chain: Vec<Place>,
    done: BTreeMap<Place, Option<Arc<Unit>>>,
}

/// Whether a text may be meant as the name of a bundled playbook: one word, or a
/// path into a folder of bundled ones, such as `harden/ssh`.
fn is_bundled_name(text: &str) -> bool {
    let in_bundle =
        |top: &str| bundled::names().any(|name| name.split_once('/').is_some_and(|(known, _)| known == top));
    !text.contains(['.', '\\']) && text.split_once('/').is_none_or(|(top, _)| in_bundle(top))
}

impl<'k> Loader<'k> {
    /// A loader that knows these kinds.
    pub fn new(kinds: &'k [&'k str], engine: &'k Engine, record: &'k Record) -> Loader<'k> {
        Loader { kinds, engine, record, errors: Vec::new(), chain: Vec::new(), done: BTreeMap::new() }
    }

    /// Reads the playbook that the operator named: a file, a folder with a
    /// `playbook.toml` in it, or the name of a bundled one.
    pub fn top(&mut self, path: &Path) -> Option<Arc<Unit>> {
        let is_own = |text: &str| path.is_file() || text.contains('/') && path.exists();
        let name = path.to_str().filter(|text| is_bundled_name(text) && !is_own(text));
        let place = match name {
            Some(name) if bundled::names().any(|known| known == name) => {
                Place::Bundled(name.to_owned(), "playbook.toml".to_owned())
            }
            _ => Place::file(path),
        };
        self.unit(place, None)
    }

    pub fn say(&mut self, at: Option<&Span>, message: String) -> &mut Diagnostic {
        self.errors.push(at.map_or_else(|| Diagnostic::general(&message), |s| Diagnostic::new(s.clone(), &message)));
        let last = self.errors.len() - 1;
        &mut self.errors[last]
    }

    /// Reads one playbook; `from` is the `use` that names it.
    fn unit(&mut self, place: Place, from: Option<&Span>) -> Option<Arc<Unit>> {
        let identity = place.identity();
        if let Some(start) = self.chain.iter().position(|known| known.identity() == identity) {
            let circle: Vec<String> = self.chain[start..].iter().chain([&place]).map(Place::show).collect();
            self.say(from, format!("'use' goes in a circle: {}", circle.join(" → "))).help =
                Some("a playbook cannot use itself: remove one of these 'use' steps".to_owned());
            return None;
        }
        if let Some(done) = self.done.get(&identity).cloned() {
            if done.is_none() {
                // What cannot be read is told at each place that names it.
                self.read(&place, from);
            }
            return done;
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

    pub fn used(&mut self, place: &Place, entry: &TableEntry, with: Option<&TableEntry>) -> Option<RawAction> {
        let text = self.string(entry)?;
        let span = &entry.node.span;
        if form(text) != Form::Plain {
            self.say(Some(span), "'use' is read before anything is rendered and cannot be a template".to_owned())
                .help = Some("use two steps with 'when'".to_owned());
            return None;
        }
        let target = match (is_bundled_name(text), place) {
            // A folder of the operator's comes before a bundled playbook of the same path.
            (true, Place::Disk(path)) if text.contains('/') && folder_of(path).join(text).exists() => {
                Place::file(&folder_of(path).join(text))
            }
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
