//! Tests of `apt_conflicts`.

use super::*;

fn found(first: &str, second: &str) -> (Vec<&'static str>, usize) {
    let file = |name: &str, text: &str| ((true, format!("{PARTS}/{name}").parse().unwrap()), format!("{text}\n"));
    let end = |text: &str| if text.contains("Types:") { "sources" } else { "list" };
    let files = [file(&format!("a.{}", end(first)), first), file(&format!("b.{}", end(second)), second)];
    let found = judge(&files.into(), "amd64");
    (found.conflicts.iter().map(|conflict| conflict.option).collect(), found.twice.len())
}

/// Two lines of one-line form, and the option of which apt 2.6 says that their values conflict.
#[test]
fn entries_conflict_as_they_do_for_apt() {
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let key = |option: &str| format!("deb [signed-by={option}] http://x y main");
    for (first, second, option) in [
        (key("/a"), "deb http://x/ y b".to_owned(), "Signed-By"),
        ("deb http://x y main".to_owned(), key("/a").replace("main", "b"), ""),
        (key("/a"), key("/b").replace("main", "b"), "Signed-By"),
        (key("/b,/a"), key("/a,/b").replace("main", "b"), "Signed-By"),
        (key("/a,"), key("/a").replace("main", "b"), ""),
        (key(KEY), key(&KEY.to_lowercase()).replace("main", "b"), ""),
        (key(KEY), key(&format!("{KEY}!")).replace("main", "b"), "Signed-By"),
        (key("/a"), "deb [Signed-By=/b] http://x y b".to_owned(), "Signed-By"),
        ("deb [Signed-By=/b] http://x y b".to_owned(), key("/a"), ""),
        (key("/a"), "deb [signed-by+=/a] http://x y b".to_owned(), "Signed-By"),
        (key("/b signed-by=/a"), key("/a").replace("main", "b"), ""),
        (key("/a"), key("/b").replace("http:", "https:"), ""),
        (key("/a"), key("/b").replace("//x", "//x//"), ""),
        (key("/a"), key("/b").replace(" y ", " z "), ""),
        (key("/a"), key("/b").replace("deb ", "deb-src "), "Signed-By"),
        (key("/a").replace("//x", "//x/$(ARCH)"), key("/b").replace("//x", "//x/amd64"), "Signed-By"),
        (key("/a").replace("http://x", "\"http://x\""), key("/b"), "Signed-By"),
        (key("/a").replace("y main", "y/"), key("/b").replace("y main", "y//"), ""),
        (key("\"/a\""), key("/a").replace("main", "b"), ""),
    ] {
        let options = if option.is_empty() { vec![] } else { vec![option] };
        assert_eq!(found(&first, &second).0, options, "{first}\n{second}");
    }
    for (first, second, conflicts) in [
        ("trusted=yes", "", true),
        ("", "trusted=yes", true),
        ("trusted=no", "", true),
        ("trusted=no", "trusted=yes", true),
        ("trusted=true", "trusted=yes", false),
        ("trusted+=yes", "", false),
        ("check-date=no", "", true),
        ("check-valid-until=no", "", true),
        ("allow-insecure=yes", "", true),
        ("", "allow-insecure=yes", true),
        ("allow-insecure=no", "", false),
        ("allow-downgrade-to-insecure=yes", "", true),
        ("valid-until-min=3", "", true),
        ("", "valid-until-min=3", false),
        ("valid-until-min=030", "valid-until-min=30", false),
        ("valid-until-min=3", "valid-until-min=0", true),
        ("valid-until-max=0", "valid-until-max=3", false),
        ("date-max-future=30", "date-max-future=31", true),
        ("by-hash=yes", "", false),
        ("foo=bar", "foo=baz", false),
        ("arch=armel", "", false),
    ] {
        let line = |options: &str, part: &str| format!("deb [{options}] http://x y {part}");
        let first = line(first, "main").replace("[] ", "");
        let second = line(second, "b").replace("[] ", "");
        assert_eq!(!found(&first, &second).0.is_empty(), conflicts, "{first}\n{second}");
    }
}

#[test]
fn stanzas_count_as_all_the_entries_they_stand_for() {
    let stanza = |rest: &str| format!("Types: deb\nURIs: http://x\nSuites: y z\nComponents: main\n{rest}");
    let line = "deb [signed-by=/a,/b] http://x/ z main";
    assert_eq!(found(&stanza("Signed-By: /a /b"), line), (vec![], 1));
    assert_eq!(found(&stanza("Signed-By: /a"), line), (vec!["Signed-By"], 1));
    assert_eq!(found(&stanza("Signed-By: /a\nEnabled: no"), line), (vec![], 0));
    assert_eq!(found(&stanza("trusted: yes\nSigned-By: /a,/b"), line).0, ["Trusted"]);
    let key = |text: &str| {
        stanza(&format!(
            "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n {text}\n -----END PGP PUBLIC KEY BLOCK-----"
        ))
    };
    assert_eq!(found(&key("abc"), &key("abc")).0, Vec::<&str>::new());
    assert_eq!(found(&key("abc"), &key("abd")).0, ["Signed-By", "Signed-By"]);
}
