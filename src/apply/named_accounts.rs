//! The question for the entries of the users and groups that a run names.

use crate::observe::Run;
use crate::plan::NamedAccounts;

/// Prints digests of the entries of users and groups: of the lines that
/// [`super::account_files`] compares.
const DIGESTS: &str = include_str!("account_digests.sh");

/// The question for digests of their entries, which hold no secret.
pub(super) fn question(accounts: &NamedAccounts) -> Option<Run> {
    if accounts.users.is_empty() && accounts.groups.is_empty() {
        return None;
    }
    let users = accounts.users.iter().map(|user| user.as_str());
    let groups = accounts.groups.iter().map(|group| group.as_str());
    let words = ["sh", "-c", DIGESTS, "sh"].into_iter().chain(users).chain(["--"]).chain(groups);
    Some(Run::new(words))
}
