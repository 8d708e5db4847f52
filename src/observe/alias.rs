//! Paths that lead through links: several names of one place.
//!
//! The kernel follows every link in a path (path_resolution(7)); only what a
//! path ends in is taken as it is. The host answers a question about a path so,
//! by itself. What the run writes at one name is written at all others here,
//! and what a new link leads to is taken from there.

use super::{Content, Entry, FileType, HostState, PathState, Queries, Query};
use crate::values::AbsPath;
use std::collections::BTreeSet;
use std::ops::Bound;

/// After so many links the kernel takes a path for a cycle.
const MOST_LINKS: usize = 40;

/// What writing at a path has written.
pub(super) struct Written {
    /// The names under which it is known what stands there.
    pub(super) names: BTreeSet<AbsPath>,
    /// What must be known of places that names lead to now.
    pub(super) open: Queries,
}

impl HostState {
    /// The name of a place that leads through no link, as far as links are known.
    pub(super) fn real_place(&self, path: &AbsPath) -> AbsPath {
        self.resolve(path, false)
    }

    /// Where a path leads, and what is there as far as it was asked: the path
    /// itself if it is no link. A link in a cycle leads to itself.
    pub fn followed(&self, path: &AbsPath) -> (AbsPath, Option<&PathState>) {
        let end = self.resolve(path, true);
        let state = self.paths.get(&end);
        (end, state)
    }

    fn resolve(&self, path: &AbsPath, to_the_end: bool) -> AbsPath {
        if self.links.is_empty() {
            return path.clone();
        }
        let mut place = String::new();
        let parts = |text: &str| -> Vec<String> {
            text.split('/').filter(|part| !part.is_empty()).rev().map(str::to_owned).collect()
        };
        let mut rest = parts(path.as_str());
        let mut followed = 0;
        while let Some(part) = rest.pop() {
            let above = place.rfind('/').unwrap_or(0);
            match part.as_str() {
                "." => continue,
                ".." => {
                    place.truncate(above);
                    continue;
                }
                _ => {}
            }
            let length = place.len();
            place.push('/');
            place.push_str(&part);
            if rest.is_empty() && !to_the_end {
                break;
            }
            let Ok(reached) = place.parse::<AbsPath>() else { return path.clone() };
            let Some(target) = self.paths.get(&reached).and_then(link_target) else { continue };
            followed += 1;
            if followed > MOST_LINKS {
                return path.clone();
            }
            place.truncate(if target.starts_with('/') { 0 } else { length });
            rest.extend(parts(target));
        }
        let end = if place.is_empty() { "/" } else { &place };
        end.parse().unwrap_or_else(|_| path.clone())
    }

    /// All known names of the place of a path.
    pub(super) fn names_of(&self, path: &AbsPath) -> BTreeSet<AbsPath> {
        let mut names = BTreeSet::from([path.clone()]);
        if !self.links.is_empty() {
            let real = self.real_place(path);
            names.extend(self.below_links(&BTreeSet::new()).into_iter().filter(|name| self.real_place(name) == real));
            names.insert(real);
        }
        names
    }

    /// The known paths below links, and below these paths.
    fn below_links(&self, more: &BTreeSet<AbsPath>) -> BTreeSet<AbsPath> {
        self.links.iter().chain(more).flat_map(|top| self.below(top)).cloned().collect()
    }

    /// The known paths below a path.
    pub(super) fn below(&self, top: &AbsPath) -> impl Iterator<Item = &AbsPath> {
        // In the order of the map, `a-b` and `a.b` stand between `a` and what is below it.
        let inner = format!("{top}/");
        let from = self.paths.range::<str, _>((Bound::Included(inner.as_str()), Bound::Unbounded));
        from.map(|(path, _)| path).take_while(move |path| path.as_str().starts_with(&inner))
    }

    /// The names of places that change with a link, each with its place now.
    pub(super) fn places_through(&self, changed: &BTreeSet<AbsPath>) -> Vec<(AbsPath, AbsPath)> {
        let names = self.below_links(changed).into_iter();
        names.map(|name| (name.clone(), self.real_place(&name))).collect()
    }

    /// A name leads to another place than before: what is known of that holds.
    pub(super) fn lead_elsewhere(&mut self, name: &AbsPath, real: &AbsPath, written: &mut Written) {
        let is_absent = |path: &AbsPath| self.paths.get(path) == Some(&PathState::Absent);
        if real.ancestors().any(|above| is_absent(&above)) {
            written.names.insert(name.clone());
            return self.put_path(name, PathState::Absent);
        }
        if name == real {
            return;
        }
        written.names.insert(name.clone());
        for query in [Query::Path(real.clone()), Query::Digest(real.clone()), Query::Content(real.clone())] {
            let same = match &query {
                Query::Digest(_) => Query::Digest(name.clone()),
                Query::Content(_) => Query::Content(name.clone()),
                _ => Query::Path(name.clone()),
            };
            if self.asked(&same) && !self.asked(&query) {
                written.open.ask(query);
            }
        }
        let wants_content = self.contents.contains_key(name);
        let state = self.paths.get(real).cloned().unwrap_or(PathState::AfterApply);
        let content = self.contents.get(real).cloned().unwrap_or(Content::AfterApply);
        let size = self.size(real);
        let is_file =
            !matches!(&state, PathState::Absent | PathState::Present(Entry { file_type: FileType::Directory, .. }));
        self.put_path(name, state);
        self.set_size(name, size);
        if wants_content && is_file {
            self.put_content(name, content);
        }
    }
}

/// Where a link points; none for everything else.
pub(super) fn link_target(state: &PathState) -> Option<&str> {
    match state {
        PathState::Present(Entry { file_type: FileType::Link, target: Some(target), .. }) => Some(target),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "alias_tests.rs"]
mod tests;
