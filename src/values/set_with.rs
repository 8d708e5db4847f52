//! Kernel parameters that the kernel sets when another one is written.
//!
//! After the kernel's source (net/ipv4/devinet.c, net/ipv6/addrconf.c,
//! net/core/neighbour.c, mm/page-writeback.c, mm/util.c, kernel/watchdog.c) and
//! its ip-sysctl.rst and vm.rst. What the planner predicts, what `undo` keeps,
//! what contradicts and what a boot makes of sysctl.d all come from [`ROWS`].

use super::SysctlKey;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A name of a parameter, or one with a `*` for the name of any interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SysctlPattern(String);

/// What a written value makes of the other parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It gets the same value.
    Same,
    /// It is 0 where the written value is another, and else 1.
    Opposite,
    /// It becomes 0.
    Zero,
    /// It becomes 0 with a 0; any other value leaves it alone.
    OffWithIt,
    /// It becomes 0 with a 0, and what it was set to before with any other value.
    Switch,
    /// It gets the same value where it has not been set by itself.
    IfNeverSet,
    /// It becomes something that only the kernel tells.
    Somehow,
}

/// What becomes of a parameter when another one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetTo {
    /// It has this value then.
    Value(String),
    /// It may have this value, or the one it had.
    Perhaps(String),
    /// It may have any value.
    Unknown,
}

/// The written parameter, the one that is set with it, and how. `*` stands for
/// the name of any interface, `%` for one and the same name on both sides.
const ROWS: [(&str, &str, How); 32] = [
    ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", How::Same),
    ("net.ipv4.ip_forward", "net.ipv4.conf.default.forwarding", How::Same),
    ("net.ipv4.ip_forward", "net.ipv4.conf.*.forwarding", How::Same),
    ("net.ipv4.ip_forward", "net.ipv4.conf.all.accept_redirects", How::Opposite),
    ("net.ipv4.conf.all.forwarding", "net.ipv4.ip_forward", How::Same),
    ("net.ipv4.conf.all.forwarding", "net.ipv4.conf.default.forwarding", How::Same),
    ("net.ipv4.conf.all.forwarding", "net.ipv4.conf.*.forwarding", How::Same),
    ("net.ipv4.conf.all.forwarding", "net.ipv4.conf.all.accept_redirects", How::Opposite),
    ("net.ipv4.conf.default.%", "net.ipv4.conf.*.%", How::IfNeverSet),
    ("net.ipv4.neigh.default.%", "net.ipv4.neigh.*.%", How::IfNeverSet),
    ("net.ipv6.neigh.default.%", "net.ipv6.neigh.*.%", How::IfNeverSet),
    ("net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding", How::Same),
    ("net.ipv6.conf.all.forwarding", "net.ipv6.conf.*.forwarding", How::Same),
    ("net.ipv6.conf.all.forwarding", "net.ipv6.conf.*.force_forwarding", How::OffWithIt),
    ("net.ipv6.conf.all.force_forwarding", "net.ipv6.conf.*.force_forwarding", How::Same),
    ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6", How::Same),
    ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.*.disable_ipv6", How::Same),
    ("net.ipv6.conf.all.ignore_routes_with_linkdown", "net.ipv6.conf.default.ignore_routes_with_linkdown", How::Same),
    ("net.ipv6.conf.all.ignore_routes_with_linkdown", "net.ipv6.conf.*.ignore_routes_with_linkdown", How::Same),
    ("net.ipv6.conf.all.addr_gen_mode", "net.ipv6.conf.default.addr_gen_mode", How::Same),
    ("net.ipv6.conf.all.addr_gen_mode", "net.ipv6.conf.*.addr_gen_mode", How::Same),
    ("net.nf_conntrack_max", "net.netfilter.nf_conntrack_max", How::Same),
    ("net.netfilter.nf_conntrack_max", "net.nf_conntrack_max", How::Same),
    ("net.ipv4.tcp_congestion_control", "net.ipv4.tcp_allowed_congestion_control", How::Somehow),
    ("vm.dirty_bytes", "vm.dirty_ratio", How::Zero),
    ("vm.dirty_ratio", "vm.dirty_bytes", How::Zero),
    ("vm.dirty_background_bytes", "vm.dirty_background_ratio", How::Zero),
    ("vm.dirty_background_ratio", "vm.dirty_background_bytes", How::Zero),
    ("vm.overcommit_kbytes", "vm.overcommit_ratio", How::Zero),
    ("vm.overcommit_ratio", "vm.overcommit_kbytes", How::Zero),
    ("kernel.watchdog", "kernel.nmi_watchdog", How::Switch),
    ("kernel.watchdog", "kernel.soft_watchdog", How::Switch),
];

/// Parameters of `net.ipv4.conf.default` that the kernel copies to no interface.
const NOT_COPIED: [&str; 5] = ["forwarding", "disable_xfrm", "disable_policy", "promote_secondaries", "route_localnet"];

/// Names in place of an interface's that are none.
const NO_INTERFACES: [&str; 2] = ["all", "default"];

impl SysctlPattern {
    /// A name with one `*` in place of an interface's, in either form of sysctl.d(5).
    pub(super) fn of_interfaces(name: &str) -> Option<SysctlPattern> {
        // The key that it would be for an interface, in its dotted form.
        const PLACE: &str = "STOCKADE";
        let (head, tail) = name.split_once('*')?;
        let key: SysctlKey = format!("{head}{PLACE}{tail}").parse().ok()?;
        let pattern = SysctlPattern(key.as_str().replacen(PLACE, "*", 1));
        pattern.proc_paths().is_some().then_some(pattern)
    }

    /// Whether it stands for this parameter.
    pub fn matches(&self, key: &SysctlKey) -> bool {
        let key = key.as_str();
        match self.0.split_once('*') {
            None => self.0 == key,
            Some((head, tail)) => key
                .strip_prefix(head)
                .and_then(|rest| rest.strip_suffix(tail))
                .is_some_and(|name| !name.is_empty() && !name.contains('.') && !NO_INTERFACES.contains(&name)),
        }
    }

    /// The one parameter that it stands for, where there is no `*` in it.
    pub fn key(&self) -> Option<SysctlKey> {
        self.0.parse().ok()
    }

    /// The directory of all interfaces and the file's name in that of each.
    pub fn proc_paths(&self) -> Option<(String, &str)> {
        let (head, tail) = self.0.split_once(".*.")?;
        Some((format!("/proc/sys/{}", head.replace('.', "/")), tail))
    }

    /// The parameter of an interface.
    pub fn of(&self, interface: &str) -> Option<SysctlKey> {
        let key: SysctlKey = self.0.replace('*', &interface.replace('.', "/")).parse().ok()?;
        self.matches(&key).then_some(key)
    }
}

impl SetTo {
    /// What the kernel does to a parameter when another one is written, as the end of a sentence.
    pub fn when_written(&self, key: &SysctlKey) -> String {
        match self {
            SetTo::Value(_) => format!("with which the kernel sets {key}"),
            SetTo::Perhaps(_) | SetTo::Unknown => format!("with which the kernel may change {key}"),
        }
    }
}

impl fmt::Display for SysctlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl How {
    fn set_to(self, value: &str) -> Option<SetTo> {
        let is_off = value.trim() == "0";
        let text = |text: &str| Some(SetTo::Value(text.to_owned()));
        match self {
            How::Same => text(value),
            How::Opposite => text(if is_off { "1" } else { "0" }),
            How::Zero => text("0"),
            How::OffWithIt => is_off.then(|| SetTo::Value("0".to_owned())),
            How::Switch if is_off => text("0"),
            How::IfNeverSet => Some(SetTo::Perhaps(value.to_owned())),
            How::Switch | How::Somehow => Some(SetTo::Unknown),
        }
    }
}

/// The row as it is for a written parameter, none where it is about others.
fn pattern(written: &str, row: &(&str, &str, How)) -> Option<SysctlPattern> {
    let (setter, set, _) = row;
    let Some(head) = setter.strip_suffix('%') else {
        return (*setter == written).then(|| SysctlPattern((*set).to_owned()));
    };
    let name = written.strip_prefix(head)?;
    let is_not_copied = head.contains(".ipv4.conf.") && NOT_COPIED.contains(&name);
    (!is_not_copied && !name.contains('.')).then(|| SysctlPattern(set.replace('%', name)))
}

impl SysctlKey {
    /// The parameters that the kernel may set when this one is written.
    pub fn sets(&self) -> Vec<SysctlPattern> {
        ROWS.iter().filter_map(|row| pattern(self.as_str(), row)).collect()
    }

    /// What becomes of another parameter where this one is given a new value;
    /// none if nothing does.
    pub fn set_to(&self, value: &str, other: &SysctlKey) -> Option<SetTo> {
        let mut rows = ROWS.iter().filter(|row| pattern(self.as_str(), row).is_some_and(|set| set.matches(other)));
        rows.find_map(|(_, _, how)| how.set_to(value))
    }

    /// Whether the kernel sets this one with another of these, and not the other
    /// way around: of values that are put back together it comes last.
    pub fn is_set_with_one_of<'a>(&self, others: impl IntoIterator<Item = &'a SysctlKey>) -> bool {
        let sets = |a: &SysctlKey, b: &SysctlKey| a.sets().iter().any(|set| set.matches(b));
        others.into_iter().any(|other| sets(other, self) && !sets(self, other))
    }

    /// Whether no kernel can have both values: each sets the other otherwise, or
    /// one keeps the other switched off.
    pub fn excludes(&self, value: &str, other: &SysctlKey, others: &str) -> bool {
        let changes = |set: Option<SetTo>, wanted: &str| matches!(set, Some(SetTo::Value(set)) if set != wanted);
        let (there, back) = (changes(self.set_to(value, other), others), changes(other.set_to(others, self), value));
        (there && (back || self.switches(other))) || (back && other.switches(self))
    }

    /// Whether the other one is off as long as this one is.
    fn switches(&self, other: &SysctlKey) -> bool {
        let is_switch = |(setter, set, how): &(&str, &str, How)| {
            *how == How::Switch && *setter == self.as_str() && *set == other.as_str()
        };
        ROWS.iter().any(is_switch)
    }

    /// What it has when the kernel starts, where the kernel sets others with a
    /// new value only and always starts with the same one.
    pub fn at_start(&self) -> Option<&'static str> {
        let is_forwarding = ["net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"].contains(&self.as_str());
        if is_forwarding { Some("0") } else { None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "set_with_tests.rs"]
mod tests;
