//! Tests of `sshd`.

use super::*;

#[test]
fn lines_are_read_as_sshd_reads_them() {
    let read = |line: &str| directive(line).map(|(keyword, value)| format!("{keyword}|{value}"));
    assert_eq!(read("  PermitRootLogin\tno # why"), Some("permitrootlogin|no".into()));
    assert_eq!(read("Port=22"), Some("port|22".into()));
    assert_eq!(read("Port = 22"), Some("port|22".into()));
    assert_eq!(read("AuthorizedKeysFile \".ssh/a\" %h/b"), Some("authorizedkeysfile|.ssh/a %h/b".into()));
    assert_eq!(read("#Port 22"), None);
}

#[test]
fn values_that_mean_the_same_are_the_same() {
    for (keyword, one, other, holds) in [
        ("permitrootlogin", "without-password", "prohibit-password", true),
        ("permitrootlogin", "yes", "prohibit-password", false),
        ("compression", "delayed", "yes", true),
        ("logingracetime", "2m", "120", true),
        ("logingracetime", "1h30M", "5400s", true),
        ("clientaliveinterval", "5m", "301", false),
        ("rekeylimit", "512M 1h", "512m 3600", true),
        ("rekeylimit", "512M", "512M none", true),
        ("rekeylimit", "512M 1h", "512M", false),
        ("logingracetime", "99999999999999999999w", "1", false),
        ("banner", "5m", "300", false),
    ] {
        assert_eq!(same(keyword, one, other), holds, "{keyword} {one} {other}");
    }
}
