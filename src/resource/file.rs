//! `file`: a regular file with exact content, owner, group and mode; without
//! content, the owner, group and mode of what exists already.

use super::in_force::{self, Said, Thing};
use super::ownership::{Given, Keep};
use super::{
    Args, Field, Kind, Resource, Type, directory, docker_daemon, followed, ignored, ownership, parents, rejected,
    shell_text, sudoers, text_file,
};
use crate::observe::{Content, FileType, HostState, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, InForce, Meta, Op, PlanError, Planned, diff_files, diff_unread};
use crate::values::{AbsPath, sha256};
use std::ops::ControlFlow;

pub(super) const KIND: Kind = Kind {
    name: "file",
    summary: "A regular file with exact content, owner, group and mode; without content, those of the file, directory, device or socket that is there or that a link there leads to: nothing is made.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path on the host"),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional("content", Type::String, "the content itself"),
        Field::optional("source", Type::String, "a local file whose bytes are the content"),
        Field::optional("template", Type::String, "a local file that is rendered to the content"),
        Field::optional(
            "owner",
            Type::String,
            "a user's name or number, or \"keep\": as it is, root where the file is made; default \"root\", without content \"keep\"",
        ),
        Field::optional(
            "group",
            Type::String,
            "a group's name or number, or \"keep\" as with owner; default \"root\", without content \"keep\"",
        ),
        Field::optional("mode", Type::String, "default \"0644\"; without content: as it is"),
        parents::FIELD,
        Field::optional(
            "validate",
            Type::String,
            "a command that accepts the new file, named %s, before it is put in place",
        ),
        Field::optional(
            "if_missing",
            Type::Bool,
            "with content: true makes the file only where nothing stands at the path; what is there is left as it is, with its content, owner, group and mode; default false",
        ),
        Field::optional(
            "missing",
            Type::Enum(&["error", "skip"]),
            "without content: what a path where nothing stands means: \"error\", or \"skip\" to leave the step out; default \"error\"",
        ),
    ],
    build,
};

#[derive(Debug)]
enum File {
    Present {
        path: AbsPath,
        content: Vec<u8>,
        meta: Meta,
        keep: Keep,
        validate: Option<String>,
        parents: bool,
        /// Whether what stands there already is left as it is.
        if_missing: bool,
    },
    /// Whatever stands there, with what is given of owner, group and mode.
    Existing {
        path: AbsPath,
        given: Given,
        skip: bool,
    },
    Absent {
        path: AbsPath,
    },
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let path: Option<AbsPath> = args.parse("path");
    if args.absent() {
        no_content(args);
        parents::refuse(args);
        if args.node("if_missing").is_some() {
            args.refuse("if_missing", "'if_missing' has no meaning with state = \"absent\"");
        }
        return Some(Box::new(File::Absent { path: path? }));
    }
    let has_content = CONTENT.iter().any(|field| args.node(field).is_some());
    if !has_content && ["owner", "group", "mode"].iter().any(|field| args.node(field).is_some()) {
        return existing(args, path);
    }
    if args.node("missing").is_some() {
        args.refuse("missing", "'missing' has a meaning only without content: a file with content is made");
    }
    let content = content(args);
    let validate = args.string("validate");
    if validate.as_ref().is_some_and(|text| !text.contains("%s")) {
        args.wrong_value("validate", "'validate' must name the file to check as %s");
    }
    let (meta, keep) = ownership::meta_or_kept(args, 0o644);
    if let (Some(path), Some(content)) = (&path, &content) {
        docker_daemon::check_daemon_json(args, content_field(args), path, content);
        rejected::refuse(args, content_field(args), path, content);
    }
    let path = path?;
    ignored::refuse(args, &path);
    if let Some(meta) = &meta {
        sudoers::refuse_meta(args, &path, &Given::all(meta));
    }
    let parents = parents::given(args);
    let if_missing = args.bool("if_missing").unwrap_or(false);
    Some(Box::new(File::Present { path, content: content?, meta: meta?, keep, validate, parents, if_missing }))
}

fn existing(args: &mut Args<'_>, path: Option<AbsPath>) -> Option<Box<dyn Resource>> {
    let given = Given::of(args);
    for field in ["validate", "parents", "if_missing"] {
        if args.node(field).is_some() {
            args.refuse(field, format!("'{field}' has a meaning only with content"));
        }
    }
    let path = path?;
    if directory::is_system(&path) {
        args.wrong_value(
            "path",
            format!("{path} is part of the system: its owner and mode are not a playbook's to set"),
        );
    }
    sudoers::refuse_meta(args, &path, &given);
    Some(Box::new(File::Existing { path, given, skip: text_file::skips(args) }))
}

/// The fields that give content, one of which does.
const CONTENT: [&str; 3] = ["content", "source", "template"];

/// The field that gives the content, for errors about it.
pub(super) fn content_field(args: &Args<'_>) -> &'static str {
    CONTENT.into_iter().find(|field| args.node(field).is_some()).unwrap_or("content")
}

/// Refuses content for what shall be absent.
pub(super) fn no_content(args: &mut Args<'_>) {
    for field in CONTENT {
        if args.node(field).is_some() {
            args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
        }
    }
}

/// The content from whichever of the fields `content`, `source` and `template` is given.
pub(super) fn content(args: &mut Args<'_>) -> Option<Vec<u8>> {
    let given: Vec<&str> = CONTENT.into_iter().filter(|f| args.node(f).is_some()).collect();
    let [field] = given[..] else {
        args.refuse(given.get(1).unwrap_or(&"path"), "there must be exactly one of 'content', 'source' and 'template'; or none, and an owner, group or mode for what is there already");
        return None;
    };
    let text = args.string(field)?;
    let loaded = match field {
        "content" => Ok(text.into_bytes()),
        "source" => args.assets.read(&text),
        _ => args.assets.render(&text).map(String::into_bytes),
    };
    loaded.map_err(|wrong| wrong.lines().for_each(|why| args.wrong_value(field, why))).ok()
}

impl Resource for File {
    fn queries(&self, queries: &mut Queries) {
        match self {
            File::Present { path, content, meta, validate, .. } => {
                queries.ask(Query::Digest(path.clone()));
                parents::queries(path, queries);
                ownership::queries(meta, queries);
                docker_daemon::daemon_json_queries(path, content, queries);
                rejected::ask_users(queries, path, content);
                rejected::ask_sources(queries, path);
                in_force::ask(queries, path);
                in_force::ask_live(queries, path, &String::from_utf8_lossy(content));
                in_force::ask_boot(queries, path);
                validate.iter().for_each(|text| shell_text::ask(queries, text));
            }
            File::Existing { path, given, .. } => {
                in_force::ask_boot(queries, path);
                queries.ask(Query::Path(path.clone()));
                ownership::queries(&given.accounts(), queries);
            }
            File::Absent { path } => queries.ask(Query::Path(path.clone())),
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        match self {
            File::Present { path, content, meta, keep, validate, parents, if_missing } => {
                validate.iter().try_for_each(|text| shell_text::check(host, "validate", text))?;
                let found = host.path(path)?;
                if *if_missing && found.entry().is_some() {
                    return Ok(Planned::nothing());
                }
                let mut planned = present(host, path, content, &keep.meta(meta, found), validate)?;
                if let Some(on) = host.rewritten_by(path).filter(|_| *if_missing) {
                    planned.leave_open(on);
                }
                ownership::check(host, meta, &mut planned)?;
                rejected::check_users(host, &mut planned)?;
                rejected::check_sources(host, &mut planned)?;
                rejected::check_units(host, rejected::Whose::Own, &mut planned)?;
                ignored::note(host, &mut planned);
                if planned.action == Some(Action::Create) {
                    parents::plan(host, path, *parents, &mut planned)?;
                }
                docker_daemon::check_daemon_json_clash(host, path, content, &mut planned)?;
                Ok(planned)
            }
            File::Existing { path, given, skip } => {
                let mut planned = keep(host, path, given, *skip)?;
                ownership::check(host, &given.accounts(), &mut planned)?;
                ignored::note(host, &mut planned);
                Ok(planned)
            }
            File::Absent { path } => absent(host, path),
        }
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match self {
            // What is left as it is need not be in force.
            File::Present { if_missing: true, .. } => Ok(InForce::default()),
            File::Present { path, content, meta, keep, .. } => {
                let mut found = in_force::text(host, path, Said::File)?;
                let at_boot = in_force::at_boot(host, path, &keep.given(meta), Thing::File(Some(content)))?;
                found.overridden.extend(at_boot.overridden);
                Ok(found)
            }
            File::Existing { path, given, .. } => in_force::at_boot(host, path, given, Thing::File(None)),
            File::Absent { .. } => Ok(InForce::default()),
        }
    }

    fn says(&self, path: &str, _line: &str) -> bool {
        matches!(self, File::Present { path: own, if_missing: false, .. } if own.as_str() == path)
    }

    fn layer(&self) -> Option<&AbsPath> {
        match self {
            File::Present { path, if_missing: false, .. } => Some(path).filter(|path| in_force::is_drop_in(path)),
            File::Present { .. } | File::Existing { .. } | File::Absent { .. } => None,
        }
    }
}

/// Plans owner, group and mode of what is there.
fn keep(host: &PredictedState, path: &AbsPath, given: &Given, skip: bool) -> Result<Planned, PlanError> {
    let refuse = |why: String| Err(PlanError::Refused(why));
    let link = path;
    let path = &match followed::wait(host, path, followed::follow(host, path, false)?)? {
        ControlFlow::Continue(place) => place,
        ControlFlow::Break(mut planned) => {
            if planned.open.is_some() {
                given.expected(&mut planned);
            }
            return Ok(planned);
        }
    };
    if directory::is_system(path) {
        return refuse(format!(
            "{link} leads to {path}, which is part of the system: its owner and mode are not a playbook's to set"
        ));
    }
    let mut planned = Planned::nothing();
    let on = match host.path(path)? {
        PathState::Absent => host.appears_by(path),
        PathState::AfterApply => Some(host.uncertain_by(path)),
        PathState::Present(_) => None,
    };
    if let Some(on) = on {
        planned.leave_open(on);
        given.expected(&mut planned);
        return Ok(planned);
    }
    match host.path(path)? {
        PathState::Absent if skip => planned.notes.push(text_file::skipped(path)),
        PathState::Absent | PathState::AfterApply => {
            return refuse(format!(
                "there is no {path} on the host, and a 'file' step without content makes none: give it one of 'content', \
                 'source' and 'template', say missing = \"skip\" to leave this step out, or have a step before this one bring it"
            ));
        }
        PathState::Present(entry) => given.plan(host, path, entry, &mut planned),
    }
    if !planned.ops.is_empty() {
        followed::note(link, path, &mut planned);
    }
    Ok(planned)
}

/// Plans a regular file with these bytes. Needs [`Query::Digest`] of the path.
pub(super) fn present(
    host: &HostState,
    path: &AbsPath,
    content: &[u8],
    meta: &Meta,
    validate: &Option<String>,
) -> Result<Planned, PlanError> {
    let mut planned = Planned::nothing();
    let write = |meta: &Meta| {
        Op::File(FileOp::WriteFile {
            path: path.clone(),
            content: content.to_vec(),
            meta: meta.clone(),
            validate: validate.clone(),
        })
    };
    let entry = match host.path(path)? {
        PathState::Absent | PathState::AfterApply => {
            planned.action = Some(Action::Create);
            planned.change("mode", None::<&str>, Some(meta.mode.to_string()));
            planned.change("owner", None::<&str>, Some(format!("{}:{}", meta.owner, meta.group)));
            planned.diff = Some(diff_files(path.as_str(), None, Some(content)));
            planned.ops.push(write(meta));
            return Ok(planned);
        }
        PathState::Present(entry) if entry.file_type == FileType::Directory => {
            return Err(PlanError::Refused(format!(
                "{path} is a directory on the host; remove it first with a 'directory' step (state = \"absent\")"
            )));
        }
        PathState::Present(entry) => entry,
    };
    let meta = &ownership::as_found(host, meta, entry);
    meta_changes(&mut planned, entry, meta);
    let same = match (entry.file_type, host.content(path)?) {
        (FileType::File, Content::Bytes(bytes)) => {
            if bytes != content {
                planned.diff = Some(diff_files(path.as_str(), Some(bytes), Some(content)));
            }
            bytes == content
        }
        (FileType::File, Content::Digest(digest)) => {
            let same = *digest == sha256(content);
            if !same {
                planned.follow_up_queries.push(Query::Content(path.clone()));
                planned.diff = Some(diff_unread(content));
                planned.change("sha256", Some(digest), Some(sha256(content)));
            }
            same
        }
        (kind, _) => {
            if kind != FileType::File {
                planned.change("type", Some(format!("{kind:?}").to_lowercase()), Some("file"));
            }
            false
        }
    };
    if !same {
        planned.ops.push(write(meta));
    } else if !planned.changes.is_empty() {
        planned.ops.push(set_meta(path, entry, meta));
    }
    Ok(planned)
}

/// What gives an entry its owner, group and mode.
pub(super) fn set_meta(path: &AbsPath, entry: &crate::observe::Entry, meta: &Meta) -> Op {
    Op::File(FileOp::SetMeta {
        path: path.clone(),
        owner: (entry.owner != meta.owner).then(|| meta.owner.clone()),
        group: (entry.group != meta.group).then(|| meta.group.clone()),
        // Always: chown(2) clears the set-id bits of a file.
        mode: Some(meta.mode),
    })
}

/// Notes in which of owner, group and mode an entry differs.
pub(super) fn meta_changes(planned: &mut Planned, entry: &crate::observe::Entry, meta: &Meta) {
    if entry.owner != meta.owner {
        planned.change("owner", Some(&entry.owner), Some(&meta.owner));
    }
    if entry.group != meta.group {
        planned.change("group", Some(&entry.group), Some(&meta.group));
    }
    if entry.mode != meta.mode {
        planned.change("mode", Some(entry.mode.to_string()), Some(meta.mode.to_string()));
    }
}

/// Plans that no file or link stands at a path. Needs [`Query::Path`].
pub(super) fn absent(host: &PredictedState, path: &AbsPath) -> Result<Planned, PlanError> {
    let mut planned = Planned::nothing();
    match host.path(path)? {
        PathState::Absent => planned.absent_unless_brought(host.rewritten_by(path)),
        PathState::Present(entry) if entry.file_type == FileType::Directory => {
            return Err(PlanError::Refused(format!(
                "{path} is a directory on the host; a 'file' step does not remove directories"
            )));
        }
        PathState::Present(_) | PathState::AfterApply => {
            planned.action = Some(Action::Delete);
            planned.change("state", Some("present"), Some("absent"));
            planned.ops.push(Op::File(FileOp::Remove { path: path.clone(), recursive: false }));
        }
    }
    Ok(planned)
}
