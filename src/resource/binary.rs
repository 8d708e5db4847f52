//! `binary`: a local executable that the host is able to run.
//!
//! What it needs (machine, program loader or interpreter, glibc) is compared
//! with the host before anything is sent: a program that cannot start there is
//! refused when the plan is made.

use super::elf::{Glibc, Needs};
use super::{Args, Field, Kind, Resource, Type, file, ignored, ownership, parents};
use crate::observe::{PathState, PredictedState, Queries, Query};
use crate::plan::{Action, Meta, PlanError, Planned};
use crate::values::{AbsPath, sha256};

pub(super) const KIND: Kind = Kind {
    name: "binary",
    summary: "A local executable, checked against the host's machine, loader and glibc before it is sent.",
    main: "path",
    fields: &[
        Field::required("source", Type::String, "the local program or script"),
        Field::required("path", Type::String, "absolute path on the host"),
        Field::optional("owner", Type::String, "default \"root\""),
        Field::optional("group", Type::String, "default \"root\""),
        Field::optional("mode", Type::String, "default \"0755\""),
        Field::optional("sha256", Type::String, "the digest that the local file must have, 64 hexadecimal digits"),
        parents::FIELD,
    ],
    build,
};

#[derive(Debug)]
struct Binary {
    source: String,
    path: AbsPath,
    content: Vec<u8>,
    meta: Meta,
    needs: Needs,
    parents: bool,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let source = args.string("source")?;
    let path: Option<AbsPath> = args.parse("path");
    let wanted = digest(args, "sha256");
    let meta = ownership::meta(args, 0o755);
    let content = args.assets.read(&source).map_err(|why| args.wrong_value("source", why)).ok()?;
    let found = sha256(&content);
    if wanted.is_some_and(|wanted| wanted != found) {
        args.refuse("sha256", format!("'{source}' has the digest {found}, not the one given here"));
    }
    let needs = Needs::read(&content).map_err(|why| args.wrong_value("source", format!("'{source}' {why}"))).ok()?;
    let path = path?;
    ignored::refuse(args, &path);
    let parents = parents::given(args);
    Some(Box::new(Binary { source, path, content, meta: meta?, needs, parents }))
}

/// A SHA-256 in hexadecimal, in lower case.
pub(super) fn digest(args: &mut Args<'_>, field: &str) -> Option<String> {
    let text = args.string(field)?.to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(text);
    }
    args.wrong_value(field, format!("'{field}' must be a SHA-256 of 64 hexadecimal digits"));
    None
}

impl Resource for Binary {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Digest(self.path.clone()));
        parents::queries(&self.path, queries);
        ownership::queries(&self.meta, queries);
        if let Some(interpreter) = &self.needs.interpreter {
            queries.ask(Query::Path(interpreter.clone()));
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let missing = self.check(host)?;
        let mut planned = file::present(host, &self.path, &self.content, &self.meta, &None)?;
        // Digests say enough about programs; their bytes are not fetched for a diff.
        if !std::mem::take(&mut planned.follow_up_queries).is_empty() {
            planned.diff = None;
        }
        ownership::check(host, &self.meta, &mut planned)?;
        ignored::note(host, &mut planned);
        if planned.action == Some(Action::Create) {
            parents::plan(host, &self.path, self.parents, &mut planned)?;
        }
        if !planned.ops.is_empty() {
            planned.notes.extend(missing);
        }
        Ok(planned)
    }
}

impl Binary {
    /// Compares needs and host; what a package may still bring is a note.
    fn check(&self, host: &PredictedState) -> Result<Option<String>, PlanError> {
        let (facts, source) = (&host.facts, &self.source);
        let refuse = |why: String| Err(PlanError::Refused(format!("'{source}' cannot run on this host: {why}")));
        if !self.needs.runs_on(&facts.machine) {
            let built = self.needs.machine.unwrap_or_default();
            return refuse(format!(
                "it is built for {built}, the host is {}; build it for {0}",
                if facts.machine.is_empty() { "of an unknown machine" } else { &facts.machine }
            ));
        }
        if let Some(needed) = self.needs.glibc {
            let advice = "build it on an older system, or statically";
            match Glibc::parse(&facts.libc) {
                Some(found) if found >= needed => {}
                Some(found) => {
                    return refuse(format!("it needs glibc {needed} or newer, the host has {found}; {advice}"));
                }
                None => return refuse(format!("it needs glibc {needed} or newer, the host has none; {advice}")),
            }
        }
        let Some(interpreter) = &self.needs.interpreter else { return Ok(None) };
        match host.path(interpreter)? {
            PathState::Absent if host.accounts_may_appear() => {
                Ok(Some(format!("it needs {interpreter}, which a package planned before must bring")))
            }
            PathState::Absent => refuse(format!("it needs {interpreter}, which the host does not have")),
            PathState::Present(_) | PathState::AfterApply => Ok(None),
        }
    }
}
