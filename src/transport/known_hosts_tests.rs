//! Tables for the known_hosts reader.

#![allow(clippy::unwrap_used)]

use super::*;

/// A key blob of a type; `seed` makes it another key.
fn blob(kind: &str, seed: u8) -> Vec<u8> {
    let mut blob = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
    blob.extend_from_slice(kind.as_bytes());
    blob.extend_from_slice(&[0, 0, 0, 1, seed]);
    blob
}

fn ed(seed: u8) -> Vec<u8> {
    blob("ssh-ed25519", seed)
}

/// `type base64` of a key.
fn words(blob: &[u8]) -> String {
    format!("{} {}", blob_type(blob).unwrap(), STANDARD.encode(blob))
}

fn known(text: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add(Path::new("kh"), text.as_bytes());
    known
}

/// The verdict in a word, with the lines it names.
fn verdict(known: &KnownHosts, host: &str, blob: &[u8]) -> String {
    let lines = |entries: &[&Entry]| entries.iter().map(|e| e.line.to_string()).collect::<Vec<_>>().join(",");
    match known.check(host, blob) {
        Verdict::Known => "known".to_owned(),
        Verdict::Revoked(entry) => format!("revoked {}", entry.line),
        Verdict::Changed(entries) => format!("changed {}", lines(&entries)),
        Verdict::AuthorityOnly(entry) => format!("authority {}", entry.line),
        Verdict::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn names_ports_wildcards_lists_and_negation() {
    let key = words(&ed(1));
    // (the hosts field, who is asked for, whether the line is about it)
    let table = [
        ("web1", "web1", true),
        ("web1", "web11", false),
        ("WEB1", "web1", true),
        ("web1", "[web1]:2222", false),
        ("[web1]:2222", "[web1]:2222", true),
        ("[web1]:2222", "web1", false),
        ("[web1]:2222", "[web1]:2223", false),
        ("web1,192.0.2.1", "192.0.2.1", true),
        ("*", "anything", true),
        ("*.example", "a.b.example", true),
        ("*.example", "example", false),
        ("web?", "web1", true),
        ("web?", "web", false),
        ("web?", "web12", false),
        ("w*b*1", "wxbyb1", true),
        ("*.example,!bad.example", "good.example", true),
        ("*.example,!bad.example", "bad.example", false),
        ("!bad.example,*.example", "bad.example", false),
        ("!bad.example", "good.example", false),
        ("2001:db8::1", "2001:db8::1", true),
        ("[2001:db8::1]:2222", "[2001:db8::1]:2222", true),
        (",,web1,", "web1", true),
    ];
    for (hosts, asked, about) in table {
        let found = verdict(&known(&format!("{hosts} {key}\n")), asked, &ed(1));
        assert_eq!(found, if about { "known" } else { "unknown" }, "{hosts} for {asked}");
    }
}

#[test]
fn hashed_names_are_found_as_openssh_writes_them() {
    let salt = [7u8; 20];
    let line = |host: &str| {
        let hash = hmac_sha1(&salt, host.as_bytes()).unwrap();
        format!("|1|{}|{} {}\n", STANDARD.encode(salt), STANDARD.encode(hash), words(&ed(1)))
    };
    let known = known(&(line("web1.example") + &line("[192.0.2.7]:2222")));
    assert_eq!(verdict(&known, "web1.example", &ed(1)), "known");
    assert_eq!(verdict(&known, "[192.0.2.7]:2222", &ed(1)), "known");
    assert_eq!(verdict(&known, "192.0.2.7", &ed(1)), "unknown");
    assert_eq!(verdict(&known, "web1.example", &ed(2)), "changed 1");
}

#[test]
fn what_ssh_keygen_hashed_is_read_here() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kh");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(directory.path().join("k"))
        .status();
    assert!(made.expect("ssh-keygen is missing").success());
    let public = std::fs::read_to_string(directory.path().join("k.pub")).unwrap();
    let key: Vec<&str> = public.split_whitespace().take(2).collect();
    std::fs::write(&file, format!("[web1.example]:2222 {}\n", key.join(" "))).unwrap();
    let hashed = std::process::Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output().unwrap();
    assert!(hashed.status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    let known = KnownHosts::load(&[directory.path().join("absent"), file]).unwrap();
    assert_eq!(known.types("[web1.example]:2222"), ["ssh-ed25519"]);
    assert_eq!(verdict(&known, "[web1.example]:2222", &STANDARD.decode(key[1]).unwrap()), "known");
}

#[test]
fn revoked_changed_and_authority() {
    let (one, two, rsa) = (words(&ed(1)), words(&ed(2)), words(&blob("ssh-rsa", 3)));
    let text = format!(
        "web1 {one}\nweb1 {rsa}\n@revoked * {two}\n@cert-authority *.example {one}\n@cert-authority web1 {two}\nweb9 {two}\n"
    );
    let known = known(&text);
    for (host, key, expected) in [
        ("web1", ed(1), "known"),
        ("web1", blob("ssh-rsa", 3), "known"),
        ("web1", ed(4), "changed 1,2"),
        // Revoked wins over everything, for hosts that know the key too.
        ("web9", ed(2), "revoked 3"),
        ("new", ed(2), "revoked 3"),
        ("new", ed(4), "unknown"),
        ("a.example", ed(4), "authority 4"),
        // The authority's own key is no host key.
        ("a.example", ed(1), "authority 4"),
    ] {
        assert_eq!(verdict(&known, host, &key), expected, "{host}");
    }
    assert_eq!(known.types("web1"), ["ssh-ed25519", "ssh-rsa"]);
    assert!(known.types("a.example").is_empty());
}

#[test]
fn lines_that_cannot_be_read_are_skipped_and_never_trusted() {
    let key = words(&ed(1));
    let base64 = STANDARD.encode(ed(1));
    let bad = [
        String::new(),
        "# web1 comment".to_owned(),
        "web1".to_owned(),
        "web1 ssh-ed25519".to_owned(),
        "web1 ssh-ed25519 not*base64".to_owned(),
        "web1 ssh-ed25519 AAAA".to_owned(),
        // Another type than the key itself says.
        format!("web1 ssh-rsa {base64}"),
        // SSH protocol 1.
        "web1 1024 35 1234567890".to_owned(),
        "@revoked".to_owned(),
        "@revoked web1".to_owned(),
        format!("@unknown web1 {key}"),
        format!("|1|short|short {key}"),
        format!("|1|AAAA|AAAA {key}"),
        format!("|2|AAAA|AAAA {key}"),
        format!("|1| {key}"),
        format!("| {key}"),
        // A length that reaches past the end.
        format!("web1 ssh-ed25519 {}", STANDARD.encode([0xff, 0xff, 0xff, 0xff, 1])),
    ];
    let found = known(&bad.join("\n"));
    assert_eq!(verdict(&found, "web1", &ed(1)), "unknown", "{found:?}");
    assert!(found.entries.is_empty(), "{found:?}");

    let mut bytes = b"\xff\xfe web1\n\0\n".to_vec();
    bytes.extend_from_slice(format!("web1 {key} a comment\r").as_bytes());
    let mut mixed = KnownHosts::default();
    mixed.add(Path::new("kh"), &bytes);
    assert_eq!(verdict(&mixed, "web1", &ed(1)), "known");
}

#[test]
fn a_name_with_a_port_other_than_22_is_bracketed() {
    assert_eq!(host_field("Web1", 22), "web1");
    assert_eq!(host_field("2001:db8::1", 2222), "[2001:db8::1]:2222");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let mut known = KnownHosts::default();
        known.add(Path::new("kh"), &bytes);
        let _ = known.check("web1", &bytes);
        let _ = blob_type(&bytes);
    }

    #[test]
    fn a_name_fits_its_own_wildcards(name in "[a-z.]{0,12}", at in 0usize..12) {
        let at = at.min(name.len());
        let pattern = format!("{}*{}", &name[..at], &name[at..]);
        proptest::prop_assert!(fits(pattern.as_bytes(), name.as_bytes()));
    }
}
