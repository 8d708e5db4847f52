//! Stages: the variables and the environment of `prod`, `staging`, …
//!
//! `stages/common.toml` lies beneath `stages/<name>.toml`; each may have the
//! tables `[vars]` (for playbooks), `[env]` (name → value) and
//! `[env.required]` (name → type). All of `[env]` is held as secret: it is
//! masked even in the source lines that errors show. Encrypted values are not
//! supported by this version, and a stage that has some is refused whole: a
//! service must not start with half of its settings.

mod file;
mod name;
mod required;

pub use name::{InvalidStageName, StageName};

use crate::values::{Diagnostic, EnvKey, Node, Secret};
use file::StageFile;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs, io};

/// The folder of stages in a project.
const FOLDER: &str = "stages";

/// One stage, with what lies beneath it.
#[derive(Clone, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// Variables for playbooks; those of the stage itself win.
    pub vars: Vec<(String, Node)>,
    /// The environment.
    pub env: BTreeMap<EnvKey, Secret>,
    /// Every file that was read, with its bytes: for a digest of all inputs.
    /// They hold secrets.
    pub inputs: Vec<(String, Vec<u8>)>,
}

impl fmt::Debug for Stage {
    /// Without the bytes of the inputs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.inputs.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Stage")
            .field("name", &self.name)
            .field("vars", &self.vars.len())
            .field("env", &self.env)
            .field("inputs", &names)
            .finish()
    }
}

impl Stage {
    /// Reads a stage of the project in `dir`.
    ///
    /// # Errors
    /// All that is wrong: no such stage (with those that exist), an unreadable
    /// file, encrypted values, TOML errors, unknown keys, values that are not
    /// scalars, and required variables that are missing or of the wrong type.
    pub fn load(dir: &Path, name: &StageName) -> Result<Stage, Vec<Diagnostic>> {
        let folder = dir.join(FOLDER);
        let path = folder.join(format!("{name}.toml"));
        refuse_encrypted(&folder, name)?;
        let Some(own) = read(&path)? else { return Err(vec![undefined(dir, name, &path)]) };
        let common_path = folder.join("common.toml");
        let common = read(&common_path)?;

        let mut errors = Vec::new();
        let mut inputs = Vec::new();
        let mut files = Vec::new();
        for (path, bytes) in common.map(|bytes| (common_path, bytes)).into_iter().chain([(path, own)]) {
            let shown = path.display().to_string();
            files.extend(StageFile::parse(&shown, &bytes, &mut errors));
            inputs.push((shown, bytes));
        }
        let mut vars: Vec<(String, Node)> = Vec::new();
        for (key, node) in files.iter().flat_map(|file| &file.vars) {
            match vars.iter_mut().find(|(existing, _)| existing == key) {
                Some(slot) => slot.1 = node.clone(),
                None => vars.push((key.clone(), node.clone())),
            }
        }
        let mut env = BTreeMap::new();
        for (key, value) in files.iter().flat_map(|file| &file.env) {
            env.insert(key.clone(), value.clone());
        }
        required::check(&files, &env, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let env = env.into_iter().map(|(key, value)| (key, value.text)).collect();
        Ok(Stage { name: name.clone(), vars, env, inputs })
    }

    /// The stages of the project in `dir`, sorted; none if it has no such folder.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(dir: &Path) -> io::Result<Vec<StageName>> {
        let entries = match fs::read_dir(dir.join(FOLDER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            let stem = file.to_str().and_then(|name| name.strip_suffix(".toml"));
            names.extend(stem.and_then(|stem| stem.parse::<StageName>().ok()));
        }
        names.sort();
        Ok(names)
    }
}

/// The stage for a host: what the command says and what the inventory says of
/// the host must not contradict each other, so that one stage's values never
/// reach another's host.
///
/// # Errors
/// They name different stages.
pub fn choose<'a>(
    host: &str,
    command: Option<&'a StageName>,
    inventory: Option<&'a StageName>,
) -> Result<Option<&'a StageName>, Diagnostic> {
    match (command, inventory) {
        (Some(asked), Some(own)) if asked != own => {
            let message =
                format!("host '{host}' belongs to stage '{own}' by the inventory, but '{asked}' is asked for");
            Err(Diagnostic::general(message)
                .with_help(format!("leave the host out with --limit, or use --stage {own}; nothing was sent")))
        }
        (asked, own) => Ok(asked.or(own)),
    }
}

fn refuse_encrypted(folder: &Path, name: &StageName) -> Result<(), Vec<Diagnostic>> {
    let errors: Vec<Diagnostic> = ["common", name.as_str()]
        .into_iter()
        .map(|stem| folder.join(format!("{stem}.secrets.age")))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| {
            Diagnostic::general(format!("{}: encrypted values are not supported by this version", path.display()))
                .with_help("without them the stage would be incomplete, so it is refused; nothing was read")
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The bytes of a file; none if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Vec<Diagnostic>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(vec![Diagnostic::general(format!("{} cannot be read: {error}", path.display()))]),
    }
}

fn undefined(dir: &Path, name: &StageName, path: &Path) -> Diagnostic {
    let names = Stage::list(dir).unwrap_or_default();
    let names: Vec<&str> = names.iter().map(StageName::as_str).collect();
    let message = format!("there is no stage '{name}': no file {}", path.display());
    let near = crate::values::suggest(name.as_str(), names.iter().copied());
    let existing = match names.len() {
        0 => "no stage is defined there yet".to_owned(),
        _ => format!("stages that exist: {}", names.join(", ")),
    };
    Diagnostic::general(message).with_help(match near {
        Some(near) => format!("did you mean '{near}'? {existing}"),
        None => existing,
    })
}
