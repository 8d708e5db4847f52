//! Tests of `directives`.

use super::*;

#[test]
fn lines_are_read_as_their_readers_do() {
    let one = |key: &str, value: &str| Some((vec![key.to_owned()], value.to_owned()));
    assert_eq!(pwquality(" minlen = 14 # x"), one("minlen", "14"));
    assert_eq!(pwquality("minlen 14"), one("minlen", "14"));
    assert_eq!(pwquality("enforce_for_root"), one("enforce_for_root", ""));
    assert_eq!(pwquality("# minlen = 8"), None);
    assert_eq!(chrony("MakeStep 1.0  3"), one("makestep", "1.0 3"));
    for line in ["server a iburst", "! makestep 1 3", "# x", "allow 10/8", ""] {
        assert_eq!(chrony(line), None, "{line}");
    }
    let text =
        "[PHP]\n; x = 1\nmemory_limit = 128M ; x\nextension = a\nexpose_php = Off\nx = \"a b\"\n[PATH=/srv]\ny = 1\n";
    let shown: Vec<String> =
        php(text).into_iter().map(|(at, keys, value)| format!("{at} {} {value}", keys[0])).collect();
    assert_eq!(shown, ["3 memory_limit 128M", "5 expose_php 0", "6 x a b"]);
}

#[test]
fn values_of_one_key_are_found_under_one_name() {
    let both = Some((vec!["* soft nofile".to_owned(), "* hard nofile".to_owned()], "4096".to_owned()));
    assert_eq!(limit("*  -  nofile 4096 # x"), both);
    assert_eq!(limit("# * - nofile 1"), None);
    let plain = Some((vec!["LANG".to_owned()], "C.UTF-8".to_owned()));
    for line in ["LANG=C.UTF-8", "export LANG=\"C.UTF-8\"", "LANG='C.UTF-8'; export LANG"] {
        assert_eq!(variable(line), plain, "{line}");
    }
    for line in ["  LANG=C", "PATH=$PATH:/x", "# LANG=C", "if [ a = b ]"] {
        assert_eq!(variable(line), None, "{line}");
    }
    let held = Some((vec!["$nrconf{restart}".to_owned()], "a".to_owned()));
    assert_eq!(perl("$nrconf{restart} = 'a';"), held);
    assert_eq!(perl("$nrconf{'restart'}='a'; # x"), held);
    assert_eq!(perl("#$nrconf{restart} = 'i';"), None);
    assert_eq!(plain_key("preserve_hostname: true # x"), Some((vec!["preserve_hostname".into()], "true".into())));
    assert_eq!(plain_key("users:"), None);
    let one = |key: &str, value: &str| vec![(2, vec![key.to_owned()], value.to_owned())];
    assert_eq!(sections("[sshd]\nmaxretry = 3\n  x = 1\n# y = 2\n"), one("[sshd] maxretry", "3"));
    assert_eq!(options("[mysqld]\n bind-address=127.0.0.1\n#x=1\n"), one("[mysqld] bind_address", "127.0.0.1"));
    let text = "Package: a b\nPin: release  o=X\nPin-Priority: 900\n\n# x: y\nPackage: c\nPin-Priority: 1\n";
    let key = |name: &str| format!("the priority of {name} from 'release o=X'");
    assert_eq!(pins(text), [(3, vec![key("a"), key("b")], "900".to_owned())]);
}
