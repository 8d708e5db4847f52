//! What operations make of places in a predicted state.

use super::Meta;
use crate::observe::{Content, Entry, FileType, PathState, PredictedState, Query};
use crate::values::AbsPath;

/// What is at a place after something was made there.
pub(super) fn predicted_entry(file_type: FileType, meta: &Meta, target: Option<String>) -> PathState {
    let Meta { owner, group, mode } = meta.clone();
    PathState::Present(Entry { file_type, mode, owner, group, target })
}

/// What is at and below a path will be at and below another, which is free.
pub(super) fn moved_tree(host: &mut PredictedState, old: &AbsPath, new: &AbsPath) {
    let within = |top: &AbsPath| -> Vec<AbsPath> {
        let path = |query: &Query| match query {
            Query::Path(path) if path.is_within(top) => Some(path.clone()),
            _ => None,
        };
        host.questions().iter().filter_map(path).collect()
    };
    let (sources, targets) = (within(old), within(new));
    // What nobody looked at before the move is known after it.
    for path in targets {
        host.set_path(&path, PathState::AfterApply);
        host.set_content(&path, Content::AfterApply);
    }
    for path in sources {
        let below = path.as_str().strip_prefix(old.as_str()).unwrap_or_default();
        let Ok(place) = format!("{new}{below}").parse::<AbsPath>() else { continue };
        let content = host.content(&path).ok().cloned();
        if let Ok(state) = host.path(&path).cloned() {
            host.set_path(&place, state);
        }
        if let Some(content) = content {
            host.set_content(&place, content);
        }
    }
    host.remove_tree(old);
}
