//! Links at the path of what a step edits or gives an owner or mode: what they
//! point to is meant, as path_resolution(7) finds it.
//!
//! A link is followed out of a directory only where nobody else could have put
//! it there: whoever may write the directory would choose the file that root edits.

use crate::observe::{Entry, FileType, HostState, PathState, PredictedState, Query};
use crate::plan::{PlanError, Planned};
use crate::values::AbsPath;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Links that one path may lead through.
const MOST: usize = 10;

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// To this one: itself where it is no link.
    To(AbsPath),
    /// To this one, where nothing stands.
    Nowhere(AbsPath),
    /// Only the apply tells.
    AfterApply,
    /// This is known when these are answered.
    Asks(Vec<Query>),
}

/// Follows the link at a path, if one is there. Needs [`Query::Path`] of the
/// path; `content`: whether [`Query::Content`] of what it leads to is needed too.
///
/// # Errors
/// The link must not be followed, or leads through too many others.
pub(super) fn follow(host: &HostState, path: &AbsPath, content: bool) -> Result<Followed, PlanError> {
    let is_link = |state: &PathState| state.entry().is_some_and(|entry| entry.file_type == FileType::Link);
    let Some(root) = path.ancestors().last().filter(|_| host.path(path).is_ok_and(is_link)) else {
        return Ok(Followed::To(path.clone()));
    };
    let refuse = |why: String| Err(PlanError::Refused(format!("the link {path} is not followed: {why}")));
    let mut parts: VecDeque<String> = path.as_str().split('/').map(str::to_owned).collect();
    let (mut here, mut links, mut open_to_others) = (root.clone(), 0, Vec::new());
    while let Some(part) = parts.pop_front() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                here = here.parent().unwrap_or(here);
                continue;
            }
            _ => {}
        }
        let next = match here.join(&part) {
            Ok(next) => next,
            Err(error) => return refuse(error.to_string()),
        };
        if !host.asked(&Query::Path(next.clone())) {
            return Ok(Followed::Asks(questions(next, &parts, content)));
        }
        match host.path(&next)? {
            PathState::AfterApply => return Ok(Followed::AfterApply),
            PathState::Absent => {
                let below = |path: AbsPath, part: &String| path.join(part).unwrap_or(path);
                return Ok(Followed::Nowhere(parts.iter().fold(next, below)));
            }
            PathState::Present(entry) if entry.file_type == FileType::Link => {
                links += 1;
                if links > MOST {
                    return refuse(format!("it leads through more than {MOST} links"));
                }
                open_to_others.extend(open_directory(host, &next));
                let target = entry.target.as_deref().unwrap_or_default();
                if target.starts_with('/') {
                    here = root.clone();
                }
                target.split('/').rev().for_each(|part| parts.push_front(part.to_owned()));
            }
            PathState::Present(_) => here = next,
        }
    }
    if let Some((directory, who)) = open_to_others.iter().find(|(directory, _)| !here.is_within(directory)) {
        return refuse(format!(
            "it leads out of {directory}, which {who} may write, to {here}; name the file that is meant"
        ));
    }
    let question = Query::Content(here.clone());
    if content && !host.asked(&question) {
        return Ok(Followed::Asks(vec![question]));
    }
    Ok(Followed::To(here))
}

/// What is asked of the rest of a path, were there no further link in it.
fn questions(next: AbsPath, parts: &VecDeque<String>, content: bool) -> Vec<Query> {
    let mut paths = vec![next];
    for part in parts.iter().filter(|part| !matches!(part.as_str(), "" | ".")) {
        match paths.last().and_then(|path| path.join(part).ok()) {
            Some(path) => paths.push(path),
            None => break,
        }
    }
    let last = paths.last().filter(|_| content).cloned().map(Query::Content);
    paths.into_iter().map(Query::Path).chain(last).collect()
}

/// The highest directory above a path that others than root may write, and who.
fn open_directory(host: &HostState, path: &AbsPath) -> Option<(AbsPath, String)> {
    let open = path.ancestors().filter_map(|directory| {
        let who = others(host, host.path(&directory).ok()?.entry()?)?;
        Some((directory, who))
    });
    open.last()
}

fn others(host: &HostState, entry: &Entry) -> Option<String> {
    match entry.mode.bits() {
        mode if mode & 0o002 != 0 => Some("everybody".to_owned()),
        _ if !host.is_same_user(&entry.owner, "root") => Some(format!("the user {}", entry.owner)),
        mode if mode & 0o020 != 0 && !host.is_same_group(&entry.group, "root") => {
            Some(format!("the group {}", entry.group))
        }
        _ => None,
    }
}

/// What is planned for a step where only the apply or further answers tell
/// where its path leads; otherwise it goes on with the path that is given.
///
/// # Errors
/// Nothing stands where the link leads to, and nothing may bring it.
pub(super) fn wait(
    host: &PredictedState,
    path: &AbsPath,
    followed: Followed,
) -> Result<ControlFlow<Planned, AbsPath>, PlanError> {
    let mut planned = Planned::nothing();
    match followed {
        Followed::To(place) => return Ok(ControlFlow::Continue(place)),
        Followed::Asks(follow_up_queries) => planned.follow_up_queries = follow_up_queries,
        Followed::AfterApply => planned.leave_open(host.brought_by().unwrap_or("an earlier step")),
        Followed::Nowhere(place) => match host.appears_by(&place) {
            Some(on) => planned.leave_open(on),
            None => {
                return Err(PlanError::Refused(format!(
                    "{path} is a link to {place}, where nothing stands: have a step before this one bring that file, or \
                     remove the link"
                )));
            }
        },
    }
    Ok(ControlFlow::Break(planned))
}

/// What a plan says of a link that was followed.
pub(super) fn note(path: &AbsPath, place: &AbsPath, planned: &mut Planned) {
    if path != place {
        planned.notes.push(format!("{path} is a link: {place}, to which it leads, is meant"));
    }
}
