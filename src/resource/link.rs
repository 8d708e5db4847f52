//! `link`: a symbolic link with an exact target.

use super::{Args, Field, Kind, Resource, Type, directory::in_the_way, ignored, in_force, ownership::Given, parents};
use crate::observe::{FileType, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, InForce, Op, PlanError, Planned};
use crate::values::AbsPath;

pub(super) const KIND: Kind = Kind {
    name: "link",
    summary: "A symbolic link with an exact target.",
    main: "path",
    fields: &[
        Field::required("path", Type::String, "absolute path of the link on the host"),
        Field::optional(
            "target",
            Type::String,
            "where it points, absolute or relative to the link's directory; needs not be there",
        ),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional("force", Type::Bool, "replaces a regular file at the path; default false"),
        parents::FIELD,
    ],
    build,
};

#[derive(Debug)]
enum Link {
    Present { path: AbsPath, target: String, force: bool, parents: bool },
    Absent { path: AbsPath },
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let path: Option<AbsPath> = args.parse("path");
    if args.absent() {
        for field in ["target", "force"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        parents::refuse(args);
        return Some(Box::new(Link::Absent { path: path? }));
    }
    let Some(target) = args.string("target") else {
        args.refuse("target", "a link needs a 'target'");
        return None;
    };
    // symlink(7): a target has at most PATH_MAX - 1 bytes.
    if target.is_empty() || target.len() > 4095 || target.chars().any(char::is_control) {
        args.wrong_value("target", "'target' must be a path of 1 to 4095 bytes without control characters");
    }
    let path = path?;
    ignored::refuse(args, &path);
    let (force, parents) = (args.bool("force").unwrap_or(false), parents::given(args));
    Some(Box::new(Link::Present { path, target, force, parents }))
}

impl Resource for Link {
    fn queries(&self, queries: &mut Queries) {
        let (Link::Present { path, .. } | Link::Absent { path }) = self;
        queries.ask(Query::Path(path.clone()));
        if matches!(self, Link::Present { .. }) {
            parents::queries(path, queries);
            in_force::ask_boot(queries, path);
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        match self {
            Link::Present { path, target, force, parents } => {
                let before = match host.path(path)? {
                    PathState::Absent | PathState::AfterApply => None,
                    PathState::Present(entry) => match entry.file_type {
                        FileType::Link if entry.target.as_ref() == Some(target) => return Ok(planned),
                        FileType::Link => entry.target.as_deref(),
                        FileType::File if *force => {
                            planned.change("type", Some("file"), Some("link"));
                            None
                        }
                        FileType::File => {
                            return Err(PlanError::Refused(format!(
                                "{path} is a regular file on the host: say force = true to replace it with the link"
                            )));
                        }
                        other => return Err(blocked(path, other)),
                    },
                };
                let replaces = before.is_some() || !planned.changes.is_empty();
                planned.action = Some(if replaces { Action::Update } else { Action::Create });
                planned.change("target", before, Some(target));
                planned.ops.push(Op::File(FileOp::MakeLink { path: path.clone(), target: target.clone() }));
                ignored::note(host, &mut planned);
                if !replaces {
                    parents::plan(host, path, *parents, &mut planned)?;
                }
            }
            Link::Absent { path } => match host.path(path)? {
                PathState::Absent => planned.absent_unless_brought(host.rewritten_by(path)),
                // A step of the run that turns the link into a directory finds it so the next time.
                PathState::Present(entry) if entry.file_type == FileType::Directory => {
                    planned.notes.push(format!("{path} is a directory on the host, not a link: it is left alone"));
                }
                PathState::Present(entry) if entry.file_type != FileType::Link => {
                    return Err(blocked(path, entry.file_type));
                }
                found => {
                    planned.action = Some(Action::Delete);
                    planned.change("target", found.entry().and_then(|entry| entry.target.as_deref()), None::<&str>);
                    planned.ops.push(Op::File(FileOp::Remove { path: path.clone(), recursive: false }));
                }
            },
        }
        Ok(planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match self {
            Link::Present { path, target, .. } => {
                in_force::at_boot(host, path, &Given::default(), in_force::Thing::Link(target))
            }
            Link::Absent { .. } => Ok(InForce::default()),
        }
    }
}

fn blocked(path: &AbsPath, file_type: FileType) -> PlanError {
    PlanError::Refused(format!(
        "{path} is {} on the host: a 'link' step neither replaces nor removes it",
        in_the_way(file_type)
    ))
}
