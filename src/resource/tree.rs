//! The fields of `directory` for all that is below it, and what a plan says of it.

use super::ownership::KEEP;
use super::{Args, GivenTree, directory};
use crate::observe::{Entry, PredictedState, Queries, Query, Tree};
use crate::plan::{FileOp, Meta, Op, PlanError, Planned, TreeMeta};
use crate::values::AbsPath;

/// What is wanted of all that is below a directory.
#[derive(Debug)]
pub(super) struct Below {
    meta: TreeMeta,
    across: bool,
}

/// Names that a plan shows of those that differ.
const SHOWN: usize = 3;

impl Below {
    /// From the fields `recursive`, `file_mode`, `directory_mode`,
    /// `other_file_systems`, and owner and group of the directory itself where
    /// the step gives them; none without `recursive`.
    pub(super) fn of(args: &mut Args<'_>, own: &Option<Meta>) -> Option<Below> {
        if args.bool("recursive") != Some(true) {
            for field in ["file_mode", "directory_mode", "other_file_systems"] {
                if args.node(field).is_some() {
                    args.refuse(field, format!("'{field}' has a meaning only with recursive = true"));
                }
            }
            return None;
        }
        let given = |field: &str, of: fn(&Meta) -> &String| {
            own.as_ref()
                .filter(|_| args.node(field).is_some() && args.string(field).as_deref() != Some(KEEP))
                .map(of)
                .cloned()
        };
        let (owner, group) = (given("owner", |own| &own.owner), given("group", |own| &own.group));
        let meta = TreeMeta { owner, group, files: args.parse("file_mode"), directories: args.parse("directory_mode") };
        if meta.is_empty() && args.is_clean() {
            args.refuse(
                "recursive",
                "recursive = true needs an 'owner', 'group', 'file_mode' or 'directory_mode' for what is in the directory; \
                 'mode' is that of the directory itself",
            );
        }
        if let Some(path) = args.string("path").and_then(|path| path.parse::<AbsPath>().ok())
            && directory::is_kept_whole(&path)
        {
            args.refuse("recursive", format!("{path} is part of the system: what is in it is not changed as a whole"));
        }
        Some(Below { meta, across: args.bool("other_file_systems").unwrap_or(false) })
    }

    pub(super) fn given<'a>(&'a self, top: &'a AbsPath) -> GivenTree<'a> {
        GivenTree { top, across: self.across, meta: &self.meta }
    }

    pub(super) fn queries(&self, path: &AbsPath, queries: &mut Queries) {
        queries.ask(Query::Tree { top: path.clone(), across: self.across });
    }

    /// Plans what differs below a directory. What a command or a package of the
    /// run may put there before is known at the step's turn only.
    pub(super) fn plan(&self, host: &PredictedState, path: &AbsPath, planned: &mut Planned) -> Result<(), PlanError> {
        if let Some(on) = host.brought_by() {
            planned.leave_open(on);
            return Ok(());
        }
        let tree = host.tree(path, self.across)?;
        let numbers = host.account_numbers();
        let differing: Vec<(&str, &Entry, Entry)> = tree
            .entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry, self.meta.of(entry, &numbers)))
            .filter(|(_, entry, new)| *entry != new)
            .collect();
        if differing.is_empty() {
            return Ok(());
        }
        type Field = fn(&Entry) -> String;
        let fields: [(&str, Field); 3] =
            [("owner", |e| e.owner.clone()), ("group", |e| e.group.clone()), ("mode", |e| e.mode.to_string())];
        for (field, value) in fields {
            let changed: Vec<_> = differing.iter().filter(|(_, entry, new)| value(entry) != value(new)).collect();
            let Some((_, _, first)) = changed.first() else { continue };
            let mut wanted: Vec<String> = changed.iter().map(|(_, _, new)| value(new)).collect();
            wanted.sort();
            wanted.dedup();
            let mut shown: Vec<String> = changed
                .iter()
                .take(SHOWN)
                .map(|(name, entry, _)| format!("{} {}", name.escape_debug(), value(entry)))
                .collect();
            if changed.len() > SHOWN {
                shown.push(format!("and {} more", changed.len() - SHOWN));
            }
            let before = format!("{} of {} differ ({})", changed.len(), tree.entries.len(), shown.join(", "));
            let after = if wanted.len() > 1 { wanted.join(" or ") } else { value(first) };
            planned.change(format!("{field} below"), Some(before), Some(after));
        }
        if !tree.mounts.is_empty() {
            planned.notes.push(mounts(tree));
        }
        planned.ops.push(Op::File(FileOp::SetTree {
            path: path.clone(),
            across: self.across,
            meta: self.meta.clone(),
            found: tree.clone(),
        }));
        Ok(())
    }
}

fn mounts(tree: &Tree) -> String {
    let names: Vec<String> = tree.mounts.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect();
    let more =
        if tree.mounts.len() > SHOWN { format!(" and {} more", tree.mounts.len() - SHOWN) } else { String::new() };
    format!(
        "another file system is mounted at {}{more}: it is left alone (other_file_systems = true enters it)",
        names.join(", ")
    )
}
