//! `env`: the environment of the stage in use, as a file that systemd reads.
//!
//! Every value is a secret: a plan names the variables that differ and masks
//! what they hold; there is never a diff.

use super::environment_file;
use super::file::{meta_changes, set_meta};
use super::{Args, Field, Kind, Resource, Type, in_force, ownership, parents};
use crate::observe::{Content, FileType, HostState, Known, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, InForce, Meta, Op, PlanError, Planned, UnitOp};
use crate::values::{AbsPath, Diagnostic, EnvKey, NodeValue, Secret, UnitName, sha256};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const KIND: Kind = Kind {
    name: "env",
    summary: "The environment of the stage in use, written as an EnvironmentFile and loaded by a unit.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path of the file on the host"),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional("from", Type::Enum(&["stage"]), "where the variables come from; default \"stage\""),
        Field::optional("required", Type::Strings, "names of variables that must be there"),
        Field::optional("values", Type::Map, "further variables; none of them may be in the stage too"),
        Field::optional(
            "unit",
            Type::String,
            "a unit that loads the file, by a drop-in of its own; name it in 'restart' too, so that changes reach it",
        ),
        Field::optional("owner", Type::String, "default \"root\""),
        Field::optional("group", Type::String, "default \"root\""),
        Field::optional("mode", Type::String, "default \"0600\": values are secrets"),
        parents::FIELD,
    ],
    build,
};

/// The name of the drop-in that loads the file.
const DROP_IN: &str = "50-stockade-env.conf";

#[derive(Debug)]
struct Env {
    path: AbsPath,
    /// None: the file and the drop-in are to be absent.
    wanted: Option<DesiredEnvironment>,
    unit: Option<Loader>,
}

struct DesiredEnvironment {
    environment: BTreeMap<EnvKey, Secret>,
    content: Vec<u8>,
    meta: Meta,
    parents: bool,
}

impl std::fmt::Debug for DesiredEnvironment {
    /// Without the content: it is made of secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DesiredEnvironment").field("environment", &self.environment).field("meta", &self.meta).finish()
    }
}

/// A unit with the drop-in that makes it read the file.
#[derive(Debug)]
struct Loader {
    unit: UnitName,
    folder: AbsPath,
    drop_in: AbsPath,
    content: Vec<u8>,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let path: Option<AbsPath> = args.parse("path");
    let unit =
        super::service::unit_name(args, "unit").zip(path.as_ref()).and_then(|(unit, path)| loader(args, unit, path));
    if args.absent() {
        for field in ["from", "required", "values"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        parents::refuse(args);
        return Some(Box::new(Env { path: path?, wanted: None, unit }));
    }
    let meta = ownership::meta(args, 0o600);
    let environment = environment(args)?;
    let content = environment_file::write(&environment).map_err(|why| args.refuse("path", why.to_string())).ok()?;
    Some(Box::new(Env {
        path: path?,
        wanted: Some(DesiredEnvironment { environment, content, meta: meta?, parents: parents::given(args) }),
        unit,
    }))
}

/// The stage's variables and those of the step, with all that is required.
fn environment(args: &mut Args<'_>) -> Option<BTreeMap<EnvKey, Secret>> {
    let Some(mut environment) = args.assets.stage_env().cloned() else {
        args.lacks(
            Diagnostic::new(args.span("from"), "'env' needs a stage, and none is in use")
                .with_help("name one by --stage NAME, or by 'stage' of the host in the inventory"),
        );
        return None;
    };
    for entry in args.node("values").and_then(|node| node.as_table()).unwrap_or_default() {
        let text = match &entry.node.value {
            NodeValue::String(text) | NodeValue::Datetime(text) => text.clone(),
            NodeValue::Integer(number) => number.to_string(),
            NodeValue::Float(number) => format!("{number:?}"),
            NodeValue::Bool(flag) => flag.to_string(),
            NodeValue::Array(_) | NodeValue::Table(_) => continue,
        };
        match entry.key.parse::<EnvKey>() {
            Err(why) => args.wrong(Diagnostic::new(entry.key_span.clone(), why.to_string())),
            Ok(key) if environment.contains_key(&key) => args.wrong(
                Diagnostic::new(entry.key_span.clone(), format!("'{key}' is set by the stage too"))
                    .with_help("remove one of the two: which of them counts would be a guess"),
            ),
            Ok(key) => {
                environment.insert(key, Secret::new(text));
            }
        }
    }
    for key in args.parse_list::<EnvKey>("required") {
        if !environment.contains_key(&key) {
            let known: Vec<&str> = environment.keys().map(EnvKey::as_str).collect();
            args.error(
                Diagnostic::new(args.span("required"), format!("the required variable '{key}' is not in the stage"))
                    .with_suggestion(key.as_str(), known),
            );
        }
    }
    args.is_clean().then_some(environment)
}

/// The drop-in for a unit.
fn loader(args: &mut Args<'_>, unit: UnitName, path: &AbsPath) -> Option<Loader> {
    let section = match unit.as_str().rsplit('.').next() {
        Some("service") => "Service",
        Some("socket") => "Socket",
        Some("mount") => "Mount",
        Some("swap") => "Swap",
        _ => {
            args.refuse("unit", format!("'{unit}' runs no program and so has no environment"));
            return None;
        }
    };
    // systemd expands wildcards in this path (glob(7)) and cuts white space off its ends.
    let path = path.as_str();
    if path.contains(['*', '?', '[', ']', '\\']) || path.trim() != path {
        args.refuse("path", "with 'unit', the path may hold none of '*?[]\\' and no white space at its end");
        return None;
    }
    // '%' begins a specifier (systemd.unit(5)).
    let content = format!(
        "# Written by stockade; changes made here are overwritten.\n[{section}]\nEnvironmentFile={}\n",
        path.replace('%', "%%")
    );
    let folder: AbsPath = format!("/etc/systemd/system/{unit}.d").parse().ok()?;
    let drop_in = folder.join(DROP_IN).ok()?;
    Some(Loader { unit, folder, drop_in, content: content.into_bytes() })
}

impl Resource for Env {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Digest(self.path.clone()));
        if let Some(wanted) = &self.wanted {
            parents::queries(&self.path, queries);
            ownership::queries(&wanted.meta, queries);
        }
        if let Some(Loader { unit, folder, drop_in, .. }) = &self.unit {
            queries.ask(Query::Path(folder.clone()));
            queries.ask(Query::Content(drop_in.clone()));
            queries.ask(Query::Unit(unit.clone()));
            if self.wanted.is_some() {
                in_force::ask_unit(queries, unit.as_str());
            }
        }
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match (&self.wanted, &self.unit) {
            (Some(DesiredEnvironment { environment, .. }), Some(Loader { unit, drop_in, .. })) => {
                in_force::environment(host, unit.as_str(), drop_in, environment)
            }
            _ => Ok(InForce::default()),
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        match &self.wanted {
            Some(wanted) => {
                plan_file(&mut planned, host, &self.path, wanted)?;
                ownership::check(host, &wanted.meta, &mut planned)?;
                if planned.action == Some(Action::Create) {
                    parents::plan(host, &self.path, wanted.parents, &mut planned)?;
                }
            }
            None => {
                plan_absence(&mut planned, host, &self.path, "state")?;
            }
        }
        if let Some(loader) = &self.unit {
            match self.wanted {
                Some(_) => plan_drop_in(&mut planned, host, loader)?,
                None if plan_absence(&mut planned, host, &loader.drop_in, "drop-in")? => {
                    planned.ops.push(Op::Unit(UnitOp::DaemonReload));
                }
                None => {}
            }
        }
        Ok(planned)
    }
}

fn plan_file(
    planned: &mut Planned,
    host: &HostState,
    path: &AbsPath,
    wanted: &DesiredEnvironment,
) -> Result<(), PlanError> {
    let DesiredEnvironment { environment, content, meta, .. } = wanted;
    let write = Op::File(FileOp::WriteFile {
        path: path.clone(),
        content: content.clone(),
        meta: meta.clone(),
        validate: None,
    });
    let entry = match host.path(path)? {
        PathState::Absent | PathState::AfterApply => {
            planned.action = Some(Action::Create);
            planned.change("mode", None::<&str>, Some(meta.mode.to_string()));
            planned.change("owner", None::<&str>, Some(format!("{}:{}", meta.owner, meta.group)));
            key_changes(planned, &BTreeMap::new(), environment);
            planned.ops.push(write);
            return Ok(());
        }
        PathState::Present(entry) if entry.file_type == FileType::Directory => {
            return Err(PlanError::Refused(format!("{path} is a directory on the host; name a file")));
        }
        PathState::Present(entry) => entry,
    };
    let meta = &ownership::as_found(host, meta, entry);
    meta_changes(planned, entry, meta);
    let same = match (entry.file_type, host.content(path)?) {
        (FileType::File, Content::Bytes(bytes)) => {
            if bytes != content && !key_changes(planned, &environment_file::read(bytes), environment) {
                planned.change("form", Some("written otherwise"), Some("as stockade writes it"));
            }
            bytes == content
        }
        (FileType::File, Content::Digest(digest)) => {
            let ours = sha256(content);
            if *digest != ours {
                planned.follow_up_queries.push(Query::Content(path.clone()));
                planned.change("values", Some(Secret::MASK), Some(Secret::MASK));
            }
            *digest == ours
        }
        (kind, _) => {
            if kind != FileType::File {
                planned.change("type", Some(format!("{kind:?}").to_lowercase()), Some("file"));
            }
            false
        }
    };
    if !same {
        planned.ops.push(write);
    } else if !planned.changes.is_empty() {
        planned.ops.push(set_meta(path, entry, meta));
    }
    Ok(())
}

/// Names the variables that are added, changed or removed; false if none is.
fn key_changes(planned: &mut Planned, old: &BTreeMap<EnvKey, Secret>, new: &BTreeMap<EnvKey, Secret>) -> bool {
    let keys: BTreeSet<&EnvKey> = old.keys().chain(new.keys()).collect();
    let differing: Vec<&EnvKey> = keys.into_iter().filter(|key| old.get(key) != new.get(key)).collect();
    let mask = |side: Option<&Secret>| side.map(|_| Secret::MASK);
    differing.iter().for_each(|key| planned.change(key.as_str(), mask(old.get(key)), mask(new.get(key))));
    !differing.is_empty()
}

fn plan_drop_in(planned: &mut Planned, host: &HostState, loader: &Loader) -> Result<(), PlanError> {
    let Loader { unit, folder, drop_in, content } = loader;
    let meta = Meta::root(0o644);
    match host.path(folder)? {
        PathState::Present(entry) if entry.file_type == FileType::Directory => {}
        PathState::Present(_) => {
            return Err(PlanError::Refused(format!("{folder} is not a directory on the host; remove it first")));
        }
        PathState::Absent | PathState::AfterApply => {
            planned.ops.push(Op::File(FileOp::MakeDirectory { path: folder.clone(), meta: Meta::root(0o755) }));
        }
    }
    let before = match (host.path(drop_in)?, host.content(drop_in)?) {
        (PathState::Present(entry), Content::Bytes(bytes)) if entry.file_type == FileType::File => {
            Some((entry, bytes.as_slice()))
        }
        (PathState::Present(entry), _) if entry.file_type == FileType::Directory => {
            return Err(PlanError::Refused(format!("{drop_in} is a directory on the host; remove it first")));
        }
        _ => None,
    };
    let differs = before.is_none_or(|(entry, bytes)| {
        let meta = ownership::as_found(host, &meta, entry);
        let same_meta = (&entry.owner, &entry.group, entry.mode) == (&meta.owner, &meta.group, meta.mode);
        bytes != content || !same_meta
    });
    let stale = matches!(host.unit(unit)?, Known::Is(unit) if unit.needs_reload);
    if differs {
        planned.change("drop-in", before.map(|_| "other"), Some(drop_in.as_str()));
        planned.ops.push(Op::File(FileOp::WriteFile {
            path: drop_in.clone(),
            content: content.clone(),
            meta,
            validate: None,
        }));
    } else if stale {
        planned.change("drop-in", Some("written, not loaded"), Some("loaded"));
    }
    if differs || stale {
        planned.ops.push(Op::Unit(UnitOp::DaemonReload));
    }
    Ok(())
}

/// Plans that a file is gone; true if it is there now.
fn plan_absence(planned: &mut Planned, host: &HostState, path: &AbsPath, field: &str) -> Result<bool, PlanError> {
    match host.path(path)? {
        PathState::Absent => return Ok(false),
        PathState::Present(entry) if entry.file_type == FileType::Directory => {
            return Err(PlanError::Refused(format!("{path} is a directory on the host; name a file")));
        }
        PathState::Present(_) | PathState::AfterApply => {}
    }
    planned.action = Some(Action::Delete);
    planned.change(field, Some("present"), Some("absent"));
    planned.ops.push(Op::File(FileOp::Remove { path: path.clone(), recursive: false }));
    Ok(true)
}
