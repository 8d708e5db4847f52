//! The group of a user's own name, which userdel(8) removes with the user.

use crate::observe::{Content, HostState};
use crate::values::UserName;

/// The settings of the account tools (login.defs(5)).
pub const LOGIN_DEFS: &str = "/etc/login.defs";

/// Whether userdel(8) removes the group of the user's name with the user: where
/// login.defs(5) says so, it is the user's primary group and nobody else is in it.
pub fn goes_with_user(host: &HostState, user: &UserName) -> bool {
    let name = user.as_str();
    let (Ok(Some(group)), Ok(users)) = (host.group(name), host.users()) else { return false };
    let is_primary = |user: &str| users.get(user).is_some_and(|account| account.group == name);
    let is_anybody_elses = users.keys().any(|other| other != name && is_primary(other))
        || group.members.iter().any(|member| member != name);
    is_primary(name) && !is_anybody_elses && !host.is_remote_group(name) && own_groups_go(host) != Some(false)
}

/// Whether groups go with their users (USERGROUPS_ENAB); none where the host's login.defs(5) is not known.
pub fn own_groups_go(host: &HostState) -> Option<bool> {
    let Ok(Content::Bytes(bytes)) = host.content(&LOGIN_DEFS.parse().ok()?) else { return None };
    let text = String::from_utf8_lossy(bytes);
    let value = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("USERGROUPS_ENAB")).then(|| words.next().unwrap_or_default().to_ascii_lowercase())
    };
    Some(text.lines().filter_map(value).next_back().is_some_and(|value| value == "yes"))
}
