//! What is below a directory: every entry with its type, owner, group and mode.

use super::reply::{Malformed, Section, mode_of};
use super::{Entry, FileType, HostState, PathState, Queries, Query, StateError};
use crate::values::AbsPath;
use std::collections::BTreeMap;

/// All that is below a directory. Links are not followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// By their paths relative to the directory. A name that is not UTF-8
    /// stands here with replacement characters.
    pub entries: BTreeMap<String, Entry>,
    /// Where other file systems are mounted that were not entered.
    pub mounts: Vec<String>,
}

impl HostState {
    /// What is below a directory ([`Query::Tree`]); empty if there is none.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn tree(&self, top: &AbsPath, across: bool) -> Result<&Tree, StateError> {
        self.look(Query::Tree { top: top.clone(), across }, self.trees.get(&(top.clone(), across)))
    }

    /// What will be below a directory, or was found there.
    pub fn set_tree(&mut self, top: &AbsPath, across: bool, tree: Tree) {
        self.mark_asked(Query::Tree { top: top.clone(), across });
        self.trees.insert((top.clone(), across), tree);
    }

    /// Notes in every tree around a path what will stand there.
    pub(super) fn set_in_trees(&mut self, path: &AbsPath, state: &PathState) {
        for ((top, _), tree) in self.trees.iter_mut() {
            let Some(below) = below(top, path) else { continue };
            match state {
                PathState::Present(entry) => _ = tree.entries.insert(below.to_owned(), entry.clone()),
                PathState::Absent => {
                    let inner = format!("{below}/");
                    tree.entries.retain(|name, _| name != below && !name.starts_with(&inner));
                }
                PathState::AfterApply => {}
            }
        }
    }
}

/// A path relative to a directory that it is below.
pub(super) fn below<'a>(top: &AbsPath, path: &'a AbsPath) -> Option<&'a str> {
    path.as_str().strip_prefix(top.as_str().trim_end_matches('/'))?.strip_prefix('/').filter(|name| !name.is_empty())
}

/// The entries as find(1) prints them: top, path below it, type, mode, owner,
/// group, device, each ended by a NUL.
pub(super) fn read(host: &mut HostState, queries: &Queries, section: &Section, across: bool) -> Result<(), Malformed> {
    let fields = section.fields();
    let mut found: BTreeMap<&str, Vec<&[String]>> = BTreeMap::new();
    for entry in fields.chunks_exact(7) {
        found.entry(entry[0].as_str()).or_default().push(entry);
    }
    for query in queries.iter() {
        let Query::Tree { top, across: asked } = query else { continue };
        if *asked != across {
            continue;
        }
        if let Some(why) = section.complaint(top) {
            host.set_unreadable(query.clone(), why);
            continue;
        }
        let mut tree = Tree::default();
        let lines = found.remove(top.as_str()).unwrap_or_default();
        let device = lines.iter().find(|entry| entry[1].is_empty()).map(|entry| entry[6].clone());
        for entry in lines {
            let [_, name, kind, mode, owner, group, on] = entry else { continue };
            if name.is_empty() {
                continue;
            }
            if !across && device.as_ref() != Some(on) {
                tree.mounts.push(name.clone());
                continue;
            }
            let file_type = FileType::of_letter(kind);
            let mode = mode_of(mode)?;
            let (owner, group) = host.read_owner(owner, group);
            let entry = Entry { file_type, mode, owner, group, target: None };
            tree.entries.insert(name.clone(), entry);
        }
        host.set_tree(top, across, tree);
    }
    Ok(())
}
