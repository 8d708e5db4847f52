//! What a text in the form of sysctl.d(5) sets.

use super::{SysctlKey, SysctlPattern};

/// The names and values of the lines that set parameters, as they are written;
/// a name may be a pattern.
pub fn sysctl_assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (name, value) = line.split_once('=')?;
        Some((name.trim().trim_start_matches('-'), value.trim()))
    })
}

/// The parameters that a name of such a text stands for: one, or those of all
/// interfaces and the two that stand beside these.
pub fn sysctl_named(name: &str) -> (Vec<SysctlKey>, Option<SysctlPattern>) {
    if !name.contains(['*', '?', '[']) {
        return (name.parse().into_iter().collect(), None);
    }
    let Some(pattern) = SysctlPattern::of_interfaces(name) else { return (Vec::new(), None) };
    let beside = ["all", "default"].map(|word| name.replacen('*', word, 1).parse());
    (beside.into_iter().flatten().collect(), Some(pattern))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_set_something_are_read_as_systemd_reads_them() {
        let text = "# a.b=1\n;c.d=2\n\n-net/ipv4/ip_forward = 1 \n-e.f\nnet.ipv4.conf.*.rp_filter=2\n";
        let found: Vec<_> = sysctl_assignments(text).collect();
        assert_eq!(found, [("net/ipv4/ip_forward", "1"), ("net.ipv4.conf.*.rp_filter", "2")]);
    }

    #[test]
    fn a_name_stands_for_one_parameter_or_for_those_of_all_interfaces() {
        let told = |name: &str| {
            let (keys, pattern) = sysctl_named(name);
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            (keys.join(" "), pattern.map(|pattern| pattern.to_string()).unwrap_or_default())
        };
        let pair = |keys: &str, pattern: &str| (keys.to_owned(), pattern.to_owned());
        assert_eq!(told("net/ipv4/ip_forward"), pair("net.ipv4.ip_forward", ""));
        let both = "net.ipv4.conf.all.rp_filter net.ipv4.conf.default.rp_filter";
        for name in ["net.ipv4.conf.*.rp_filter", "net/ipv4/conf/*/rp_filter"] {
            assert_eq!(told(name), pair(both, "net.ipv4.conf.*.rp_filter"), "{name}");
        }
        for name in ["net.*.conf.*.rp_filter", "net.ipv4.conf.eth?.rp_filter", "kernel.*"] {
            assert_eq!(told(name), pair("", ""), "{name}");
        }
    }
}
