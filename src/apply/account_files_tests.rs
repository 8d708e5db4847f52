//! Tests of `account_files`.

use super::*;

fn texts(files: &[(&'static str, &str)]) -> Texts {
    Texts(files.iter().map(|(file, text)| (*file, text.as_bytes().to_vec())).collect())
}

#[test]
fn only_named_entries_go_back_and_others_stay_in_their_places() {
    let before = texts(&[
        ("/etc/passwd", "root:x:0:0\nadm\u{e9}:x:5:5\ngone:x:9:9\nold:x:7:7\n"),
        ("/etc/group", "root:x:0:\nsudo:x:27:old,gone\ngone:x:9:\n"),
    ]);
    let now = texts(&[
        ("/etc/passwd", "root:x:0:0\nadm\u{e9}:x:5:5\nold:x:70:7\ntcpdump:x:8:8\nnew:x:10:10\n"),
        ("/etc/group", "root:x:0:\nsudo:x:27:old,theirs,new\ntcpdump:x:8:new\nnew:x:10:\n"),
    ]);
    let mut named = NamedAccounts::default();
    named.users.extend(["gone", "old", "new"].map(|name| name.parse().unwrap()));
    named.groups.extend(["gone", "new"].map(|name| name.parse().unwrap()));
    let back = now.with(&before, &named);
    assert_eq!(
        String::from_utf8_lossy(back.get("/etc/passwd")),
        "root:x:0:0\nadm\u{e9}:x:5:5\ngone:x:9:9\nold:x:7:7\ntcpdump:x:8:8\n"
    );
    assert_eq!(
        String::from_utf8_lossy(back.get("/etc/group")),
        "root:x:0:\nsudo:x:27:old,theirs,gone\ngone:x:9:\ntcpdump:x:8:\n"
    );
    // Without others' entries the files are byte for byte what they were.
    let alone = before.with(&now, &named).with(&before, &named);
    assert_eq!(
        (alone.get("/etc/passwd"), alone.get("/etc/group")),
        (before.get("/etc/passwd"), before.get("/etc/group"))
    );
}
