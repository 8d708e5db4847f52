//! Tests of `set_with`.

use super::*;

fn key(text: &str) -> SysctlKey {
    text.parse().unwrap()
}

#[test]
fn every_row_is_about_parameters() {
    for (setter, set, _) in ROWS {
        let concrete = |text: &str| text.replace('%', "x").replace('*', "eth0/1").parse::<SysctlKey>().is_ok();
        assert!(concrete(setter) && concrete(set), "{setter} {set}");
        assert_eq!(setter.contains('%'), set.contains('%'), "{setter} {set}");
    }
}

#[test]
fn a_parameter_sets_those_of_interfaces_and_its_other_name() {
    let value = |text: &str| Some(SetTo::Value(text.to_owned()));
    let forward = key("net.ipv4.ip_forward");
    assert_eq!(forward.set_to("1", &key("net.ipv4.conf.all.accept_redirects")), value("0"));
    assert_eq!(forward.set_to("0", &key("net.ipv4.conf.all.accept_redirects")), value("1"));
    assert_eq!(forward.set_to("1", &key("net.ipv4.conf.eth0/1.forwarding")), value("1"));
    assert_eq!(forward.set_to("1", &key("net.ipv4.conf.eth0.accept_redirects")), None);
    assert_eq!(forward.set_to("1", &key("net.ipv6.conf.all.forwarding")), None);
    let default = key("net.ipv4.conf.default.rp_filter");
    assert_eq!(default.set_to("2", &key("net.ipv4.conf.lo.rp_filter")), Some(SetTo::Perhaps("2".to_owned())));
    assert_eq!(default.set_to("2", &key("net.ipv4.conf.all.rp_filter")), None);
    assert_eq!(key("net.ipv4.conf.default.forwarding").set_to("1", &key("net.ipv4.conf.lo.forwarding")), None);
}

#[test]
fn what_sets_others_is_put_back_before_them() {
    let keys = ["net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.lo.forwarding", "net.ipv4.ip_forward"].map(key);
    assert_eq!(keys.each_ref().map(|key| key.is_set_with_one_of(&keys)), [true, true, false]);
    let pair = ["vm.dirty_bytes", "vm.dirty_ratio"].map(key);
    assert_eq!(pair.each_ref().map(|key| key.is_set_with_one_of(&pair)), [false, false]);
}

#[test]
fn patterns_name_the_files_of_interfaces() {
    let patterns = key("net.ipv6.conf.all.disable_ipv6").sets();
    let of_interfaces = patterns.iter().find(|pattern| pattern.key().is_none()).unwrap();
    assert_eq!(of_interfaces.proc_paths(), Some(("/proc/sys/net/ipv6/conf".to_owned(), "disable_ipv6")));
    assert_eq!(of_interfaces.of("eth0.1"), Some(key("net.ipv6.conf.eth0/1.disable_ipv6")));
    assert_eq!(of_interfaces.of("all"), None);
    assert_eq!(of_interfaces.of("a b"), None);
}

#[test]
fn values_that_no_kernel_can_have_exclude_each_other() {
    for (a, x, b, y, excluded) in [
        ("net.ipv4.ip_forward", "1", "net.ipv4.conf.all.forwarding", "0", true),
        ("net.ipv4.ip_forward", "1", "net.ipv4.conf.all.forwarding", "1", false),
        ("net.ipv4.ip_forward", "1", "net.ipv4.conf.all.accept_redirects", "1", false),
        ("vm.dirty_bytes", "1048576", "vm.dirty_ratio", "20", true),
        ("vm.dirty_bytes", "0", "vm.dirty_ratio", "20", false),
        ("kernel.watchdog", "0", "kernel.nmi_watchdog", "1", true),
        ("kernel.watchdog", "1", "kernel.nmi_watchdog", "0", false),
    ] {
        assert_eq!(key(a).excludes(x, &key(b), y), excluded, "{a} {b}");
        assert_eq!(key(b).excludes(y, &key(a), x), excluded, "{b} {a}");
    }
}
