//! Names of a tenant's own: the container, network or volume that `shop` calls
//! `web` is `shop__web` on the host.
//!
//! What must hold: no two tenants' names meet on the host. A tenant's name
//! holds no `__` and ends in a letter or digit, and an object's begins with
//! one, so the first `__` parts the two in one way only.

use crate::name::TenantName;

/// What stands between a tenant and its object's name.
pub const SEPARATOR: &str = "__";

/// The name on the host.
#[must_use]
pub fn on_host(tenant: &TenantName, name: &str) -> String {
    format!("{tenant}{SEPARATOR}{name}")
}

/// The tenant's name for what the host calls `name`; none for a name that the
/// gateway did not give (an id, a random name, or one from before).
#[must_use]
pub fn own<'a>(tenant: &TenantName, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(tenant.as_str())?
        .strip_prefix(SEPARATOR)
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// The same for what stands between slashes: `/shop__web/db`, `/var/lib/docker/volumes/shop__data/_data`.
#[must_use]
pub fn own_path(tenant: &TenantName, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').map(|part| own(tenant, part).unwrap_or(part)).collect();
    parts.join("/")
}

/// A text of the daemon's, such as an error, in the tenant's names.
#[must_use]
pub fn own_text(tenant: &TenantName, text: &str) -> String {
    let prefix = format!("{tenant}{SEPARATOR}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&prefix) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let within = out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
        let after = &from[prefix.len()..];
        if within || !after.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            out.push_str(&prefix);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(text: &str) -> TenantName {
        TenantName::parse(text).unwrap()
    }

    #[test]
    fn a_name_goes_to_the_host_and_back() {
        assert_eq!(own(&name("shop"), &on_host(&name("shop"), "web")), Some("web"));
        assert_eq!(own(&name("shop"), "web"), None);
        assert_eq!(own(&name("shop"), "shopper__web"), None);
        assert_eq!(own(&name("shop"), "shop__"), None);
        assert_eq!(own(&name("shop"), "shop____web"), None, "it could be that of another: no name begins with _");
        assert_eq!(own(&name("a"), &on_host(&name("a"), "b__c")), Some("b__c"));
        assert_eq!(own_path(&name("shop"), "/shop__web/db"), "/web/db");
        assert_eq!(own_path(&name("shop"), "/v/shop__data/_data"), "/v/data/_data");
    }

    #[test]
    fn only_whole_names_are_changed_in_a_text() {
        for (text, expected) in [
            (r#"name "/shop__web" is in use"#, r#"name "/web" is in use"#),
            ("shop__web, shop__db", "web, db"),
            ("myshop__web a.shop__web shop__", "myshop__web a.shop__web shop__"),
            ("é shop__é", "é shop__é"),
        ] {
            assert_eq!(own_text(&name("shop"), text), expected);
        }
    }
}
