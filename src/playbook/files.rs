//! The files around a playbook: read once, and the same to every host.

use super::bundled;
use super::scope::Scope;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the paths of a playbook begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    /// A folder of the operator's.
    Disk(PathBuf),
    /// The folder of a bundled playbook.
    Bundled(String),
}

/// Every file read so far with its bytes, by the name it is shown under. A
/// file is read once; all hosts of a run see the same bytes.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<BTreeMap<String, Arc<[u8]>>>);

impl Record {
    /// The bytes under a name; `read` is asked the first time.
    pub fn get(&self, name: &str, read: impl FnOnce() -> std::io::Result<Vec<u8>>) -> std::io::Result<Arc<[u8]>> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = files.get(name) {
            return Ok(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = read()?.into();
        files.insert(name.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// All of them, sorted by name.
    pub fn all(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect()
    }
}

/// A path as written, with `~/` replaced by the operator's home directory.
pub(super) fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

impl Folder {
    /// How a file in this folder is named to the operator.
    pub fn show(&self, path: &str) -> String {
        match self {
            Folder::Disk(folder) => folder.join(expand_home(path)).display().to_string(),
            Folder::Bundled(name) => format!("bundled:{name}/{path}"),
        }
    }

    /// The bytes of a file; none if there is no such file.
    fn read(&self, path: &str, record: &Record) -> Result<Option<Arc<[u8]>>, String> {
        let shown = self.show(path);
        let bytes = match self {
            Folder::Disk(folder) => record.get(&shown, || std::fs::read(folder.join(expand_home(path)))),
            Folder::Bundled(name) => match bundled::file(name, path) {
                Some(file) => record.get(&shown, || Ok(file.bytes.to_vec())),
                None => return Ok(None),
            },
        };
        match bytes {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read '{path}': {error} ({shown})")),
        }
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let bad = |error: &dyn std::fmt::Display| format!("'{pattern}' is not a pattern of file names: {error}");
        let folder = match self {
            Folder::Bundled(name) => {
                return Ok(bundled::matching(name, &glob::Pattern::new(pattern).map_err(|error| bad(&error))?));
            }
            Folder::Disk(folder) => folder,
        };
        let wanted = expand_home(pattern);
        let root = PathBuf::from(glob::Pattern::escape(&folder.display().to_string()));
        let full = if wanted.is_absolute() { wanted } else { root.join(wanted) };
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
        let found = glob::glob_with(&full.display().to_string(), options).map_err(|error| bad(&error))?;
        let mut paths = Vec::new();
        for path in found {
            let path = path.map_err(|error| format!("cannot look for '{pattern}': {error}"))?;
            if path.is_file() {
                paths.push(path.strip_prefix(folder).unwrap_or(&path).display().to_string());
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// The files that a step may name, and the variables its templates see.
///
/// A path is looked for beside the playbook in which the step stands, then
/// beside the playbook that uses that one, and so on outwards: so a value given
/// by `with` may name a file of the playbook that gives it.
#[derive(Debug, Clone)]
pub struct StepFiles {
    /// Nearest first.
    pub(super) folders: Vec<Folder>,
    pub(super) record: Arc<Record>,
    pub(super) scope: Arc<Scope>,
}

impl StepFiles {
    /// The bytes of a file.
    ///
    /// # Errors
    /// The file is missing or cannot be read; a sentence for the operator.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.find(path).map(|bytes| bytes.to_vec())
    }

    fn find(&self, path: &str) -> Result<Arc<[u8]>, String> {
        if let Some(name) = path.strip_prefix("program:") {
            return self.program(name);
        }
        if let Some(path) = path.strip_prefix("authority:") {
            return self.find(path).map_err(|why| unmade(path, &why));
        }
        for folder in &self.folders {
            if let Some(bytes) = folder.read(path, &self.record)? {
                return Ok(bytes);
            }
        }
        let looked: Vec<String> = self.folders.iter().map(|folder| folder.show(path)).collect();
        Err(format!("there is no file '{path}' (looked for {})", looked.join(", then ")))
    }

    /// A program that is installed beside this one: `program:NAME`.
    fn program(&self, name: &str) -> Result<Arc<[u8]>, String> {
        if name.is_empty() || name.contains('/') {
            return Err(format!("'program:{name}' must name a program that lies beside this one, without a folder"));
        }
        let own = std::env::current_exe().map_err(|error| format!("cannot tell where this program is: {error}"))?;
        let path = folder_of(&own).join(name);
        let shown = path.display().to_string();
        let read = self.record.get(&shown, || std::fs::read(&path));
        read.map_err(|error| format!("the program '{name}' is not beside this one: {error} ({shown})"))
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let bytes = self.find(path)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(format!(
                "'{path}' is not UTF-8 text (byte {}); use 'source' for a file that is not text",
                error.valid_up_to()
            )),
        }
    }

    /// A file rendered as a template with the step's variables. Where it needs
    /// facts that are not known, its text comes back as it is.
    ///
    /// # Errors
    /// The file or one that it includes is missing, or the template is wrong:
    /// all that is, a line each, with its place.
    pub fn render(&self, path: &str) -> Result<String, String> {
        let files = self.with_includes(path)?;
        self.scope.render_files(&files).map_err(|wrong| wrong.join("\n"))
    }

    /// The probes whose answers the step's templates needed and that are not
    /// known, so far.
    pub fn open_probes(&self) -> BTreeSet<String> {
        self.scope.open_probes()
    }

    /// A template and every file it includes or extends, itself first.
    pub(super) fn with_includes(&self, path: &str) -> Result<Vec<(String, String)>, String> {
        let mut files = vec![(path.to_owned(), self.text(path)?)];
        let mut next = 0;
        while let Some((name, text)) = files.get(next) {
            next += 1;
            let mut found = Vec::new();
            for wanted in included(text) {
                if !files.iter().chain(&found).any(|(known, _)| *known == wanted) {
                    let text = self.text(&wanted).map_err(|why| format!("'{name}' includes '{wanted}': {why}"))?;
                    found.push((wanted, text));
                }
            }
            files.extend(found);
        }
        Ok(files)
    }

    /// The files that match a pattern, sorted, as paths for [`StepFiles::read`].
    ///
    /// # Errors
    /// The pattern is malformed.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        for folder in &self.folders {
            let found = folder.glob(pattern)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

/// A file that `stockade ca` makes, `authority:PATH`, is not there: how to make
/// it, and how to do without.
fn unmade(path: &str, why: &str) -> String {
    let folder = path.split('/').next().unwrap_or(path);
    format!(
        "{why}; make an authority with `stockade ca init {folder}` (once) and a certificate for each host with \
         `stockade ca issue {folder} -i INVENTORY`, or set `gateway = false` for a host without the token gateway"
    )
}

/// The names in `{% include "x" %}` and `{% extends "x" %}`.
fn included(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for tag in text.split("{%").skip(1) {
        let tag = tag.trim_start_matches('-').trim_start();
        let Some(rest) = tag.strip_prefix("include").or_else(|| tag.strip_prefix("extends")) else { continue };
        let rest = rest.trim_start();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))
            && let Some(name) = rest[1..].split(quote).next()
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// The folder that holds a file.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
