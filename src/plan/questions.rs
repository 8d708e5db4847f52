//! What a host is asked before its steps are planned.

use super::DesiredStep;
use crate::observe::{Queries, Query};
use crate::values::AbsPath;

/// The questions of all steps.
pub fn queries(steps: &[DesiredStep]) -> Queries {
    let mut queries = Queries::new();
    steps.iter().for_each(|step| step.resource.queries(&mut queries));
    // Whether there is what a step restarts is known before it is done.
    queries.extend(steps.iter().flat_map(|step| step.restart.iter().chain(&step.reload)).cloned().map(Query::Unit));
    ask_above(&mut queries);
    queries
}

/// Directories that are links on hosts with a merged /usr (FHS 3.0; usrmerge), and
/// where they lead.
const MERGED: [(&str, &str); 4] =
    [("/bin", "/usr/bin"), ("/sbin", "/usr/sbin"), ("/lib", "/usr/lib"), ("/lib64", "/usr/lib64")];

/// Asks for the directories above all paths: two paths are one place where these are links.
/// Where usual links lead is asked with them, so that no second look is needed for it.
pub(super) fn ask_above(queries: &mut Queries) {
    let above: Vec<AbsPath> = queries.iter().filter_map(path_of).flat_map(|path| path.ancestors()).collect();
    let merged = |(link, _): &&(&str, &str)| above.iter().any(|above| above.as_str() == *link);
    let targets: Vec<AbsPath> = MERGED.iter().filter(merged).filter_map(|(_, target)| target.parse().ok()).collect();
    let all = above.into_iter().chain(targets.iter().flat_map(AbsPath::ancestors)).chain(targets.iter().cloned());
    queries.extend(all.filter(|above| above.as_str() != "/").map(Query::Path).collect::<Vec<_>>());
}

/// The path that a question is about.
fn path_of(query: &Query) -> Option<&AbsPath> {
    match query {
        Query::Path(path) | Query::Digest(path) | Query::Content(path) | Query::Names(path) => Some(path),
        Query::Tree { top, .. } => Some(top),
        _ => None,
    }
}
