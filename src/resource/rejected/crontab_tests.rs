//! Tests of `crontab`.

use super::*;

#[test]
fn what_cron_takes_is_taken() {
    for line in [
        "# x",
        "",
        "PATH=/bin:/usr/bin",
        "MAILTO = \"\"",
        "'A B' = x",
        "*/5 * * * * root /bin/x",
        "0 3 1,15 jan-mar mon-fri root test -x /x && a=b /x",
        "@reboot root /bin/x",
        "1-59/2 0-23 * 12 0,7 www-data x y",
        "0\t3\t*\t*\tSun\troot\tx",
        "10-5 * * * * root x",
        "A = x y",
        "0~30 * * * * root x",
        "-*/5 * * * * root x",
    ] {
        assert_eq!(faults(line, true), [], "{line}");
    }
    assert_eq!(faults("* * * * * x\n@daily x", false), []);
}

#[test]
fn what_cron_rejects_is_a_fault_of_its_line() {
    for line in [
        "* * * * root /bin/x",
        "* * * * * /usr/bin/x y",
        "60 * * * * root x",
        "* 24 * * * root x",
        "* * 0 * * root x",
        "* * * 13 * root x",
        "* * * * 8 root x",
        "*/0 * * * * root x",
        "5/10 * * * * root x",
        "1, * * * * root x",
        "A=\"x\" y",
        "a * * * * root x",
        "* * * * sunday root x",
        "@dayly root x",
        "@daily",
        "foo",
    ] {
        let found = faults(&format!("# x\n{line}\n"), true);
        assert!(matches!(found[..], [Fault { line: 2, fatal: true, .. }]), "{line}: {found:?}");
    }
    let found = faults("* * * * * root date +%F\n0 1 * * * root date +\\%F\n", true);
    assert!(matches!(found[..], [Fault { line: 1, fatal: false, .. }]), "{found:?}");
    let found = faults("* * * * * root\n", true);
    assert!(matches!(found[..], [Fault { line: 1, fatal: false, .. }]), "{found:?}");
}
