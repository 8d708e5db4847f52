//! Whom a `Match` block of sshd's configuration is about (sshd_config(5)).

use super::wildcard;
use crate::observe::HostState;
use crate::plan::PlanError;
use std::net::IpAddr;

/// Whom the criteria of a `Match` line are asked about.
pub(in crate::resource) struct Client<'a> {
    pub(super) user: &'a str,
    pub(in crate::resource) groups: Vec<&'a str>,
    /// The address that it connects from, and the host's address and port;
    /// empty for whatever connection.
    pub(super) from: &'a str,
    address: &'a str,
    port: String,
}

impl<'a> Client<'a> {
    /// A user by whatever connection; none where the host does not have the user.
    pub(in crate::resource) fn anywhere(host: &'a HostState, user: &'a str) -> Result<Option<Client<'a>>, PlanError> {
        let Some(account) = host.user(user)? else { return Ok(None) };
        let members = host.groups()?.iter().filter(|(_, group)| group.members.contains(user));
        let groups = members.map(|(name, _)| name.as_str()).chain([account.group.as_str()]).collect();
        Ok(Some(Client { user, groups, from: "", address: "", port: String::new() }))
    }

    /// The operator, by the connection in use.
    pub(super) fn connected(host: &'a HostState) -> Result<Option<Client<'a>>, PlanError> {
        let facts = &host.facts;
        if facts.login_user.is_empty() || facts.login_from.is_empty() {
            return Ok(None);
        }
        let client = Client::anywhere(host, &facts.login_user)?;
        let port = facts.login_port.to_string();
        Ok(client.map(|client| Client { from: &facts.login_from, address: &facts.login_address, port, ..client }))
    }

    /// Whether the criteria of a `Match` line hold for every such connection.
    pub(super) fn matches(&self, criteria: &str) -> bool {
        let holds = |(word, list): (String, &str)| match word.as_str() {
            "all" => true,
            "user" => in_list(list, &[self.user]),
            "group" => in_list(list, &self.groups),
            "address" => in_addresses(list, self.from),
            "localaddress" => in_addresses(list, self.address),
            "localport" => list.split(',').any(|port| port == self.port),
            // What the host's resolver would say is not known.
            _ => false,
        };
        let mut pairs = pairs(criteria).peekable();
        pairs.peek().is_some() && pairs.all(holds)
    }
}

/// The criteria of a `Match` line: each word in small letters with its list, which is
/// empty for `all` and where the line ends before it.
fn pairs(criteria: &str) -> impl Iterator<Item = (String, &str)> {
    let mut words = criteria.split([' ', '=']).filter(|word| !word.is_empty());
    std::iter::from_fn(move || {
        let word = words.next()?.to_ascii_lowercase();
        let list = if word == "all" { "" } else { words.next().unwrap_or_default() };
        Some((word, list))
    })
}

/// Whether the criteria of a `Match` line may hold for a user, by some connection and
/// with some groups.
pub(super) fn may_hold_for(criteria: &str, user: &str) -> bool {
    pairs(criteria).all(|(word, list)| word != "user" || in_list(list, &[user]))
}

/// A list of addresses, networks and patterns (ssh_config(5), PATTERNS; CIDR).
fn in_addresses(list: &str, address: &str) -> bool {
    let holds = |item: &str| match item.split_once('/') {
        Some((network, prefix)) => in_network(network, prefix, address).unwrap_or(false),
        None => wildcard(item, address),
    };
    !address.is_empty()
        && !list.split(',').any(|item| item.strip_prefix('!').is_some_and(holds))
        && list.split(',').any(|item| !item.starts_with('!') && holds(item))
}

fn in_network(network: &str, prefix: &str, address: &str) -> Option<bool> {
    let bits = |text: &str| -> Option<(u128, u32)> {
        Some(match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        })
    };
    let ((network, family), (address, other), prefix) = (bits(network)?, bits(address)?, prefix.parse::<u32>().ok()?);
    let differ = (network ^ address).checked_shr(128_u32.checked_sub(prefix)?).unwrap_or(0);
    Some(family == other && prefix <= family && differ == 0)
}

/// A list of patterns; one after '!' that matches ends it (ssh_config(5), PATTERNS).
fn in_list(list: &str, names: &[&str]) -> bool {
    let any = |pattern: &str| names.iter().any(|name| wildcard(pattern, name));
    if list.split(',').any(|item| item.strip_prefix('!').is_some_and(any)) {
        return false;
    }
    list.split(',').any(|item| !item.starts_with('!') && any(item))
}

#[cfg(test)]
mod tests {
    use super::{Client, may_hold_for};

    #[test]
    fn what_names_no_user_may_hold_for_each() {
        for (criteria, holds) in [
            ("Address 10.0.0.0/8", true),
            ("user root,deploy", true),
            ("User *,!root", false),
            ("Group sudo User deploy", false),
            ("group user address 10.0.0.0/8", true),
            ("all", true),
        ] {
            assert_eq!(may_hold_for(criteria, "root"), holds, "{criteria}");
        }
    }

    #[test]
    fn only_what_holds_for_every_connection_of_a_user_matches() {
        for (criteria, holds) in [
            ("all", true),
            ("User deploy", true),
            ("user dep*,root", true),
            ("User *,!deploy", false),
            ("Group sudo", true),
            ("Group wheel", false),
            ("User deploy Address 192.0.2.0/24", false),
            ("User deploy Group sudo", true),
            ("Address 2001:db8::/32,192.0.2.0/24", true),
            ("Address *,!2001:db8::/16", false),
            ("Address 2001:db9::/32,::/129,x/8", false),
            ("LocalPort 2222,22 User deploy", true),
            ("LocalAddress 192.0.2.0/24", false),
            ("", false),
        ] {
            let groups = vec!["sudo", "deploy"];
            let client = Client { user: "deploy", groups, from: "2001:db8::7", address: "", port: "22".to_owned() };
            assert_eq!(client.matches(criteria), holds, "{criteria}");
        }
    }
}
