//! Tests of `state`.

#![allow(clippy::unwrap_used)]
use super::*;

fn record(port: u16, user: &str) -> Record {
    Record {
        container: "abc".into(),
        port,
        base: "debootstrap:bookworm".into(),
        user: user.into(),
        groups: vec!["lab".into(), "docker".into()],
        host_keys: vec!["ssh-ed25519 AAAA".into(), "ssh-rsa BBBB".into()],
    }
}

fn two() -> Records {
    Records::from([("lab1".into(), record(40001, "ubuntu")), ("bare".into(), record(40002, "root"))])
}

#[test]
fn the_inventory_is_toml_that_names_every_host() {
    let value: toml::Table = inventory(&two()).parse().unwrap();
    assert_eq!(value["defaults"]["key"].as_str(), Some("id_ed25519"));
    assert_eq!(value["defaults"]["known_hosts"].as_str(), Some("known_hosts"));
    let host = &value["hosts"]["lab1"];
    assert_eq!(host["address"].as_str(), Some("127.0.0.1"));
    assert_eq!(host["port"].as_integer(), Some(40001));
    assert_eq!(host["groups"], toml::Value::from(vec!["lab", "docker"]));
    for (name, user) in [("lab1", "ubuntu"), ("bare", "root")] {
        let own = value["hosts"][name].get("user").unwrap_or(&value["defaults"]["user"]);
        assert_eq!(own.as_str(), Some(user));
    }
}

#[test]
fn known_hosts_has_every_key_of_every_host_under_its_port() {
    let text = known_hosts(&two());
    assert_eq!(text.lines().count(), 4);
    assert!(text.contains("[127.0.0.1]:40001 ssh-ed25519 AAAA\n"), "{text}");
    assert!(text.contains("[127.0.0.1]:40002 ssh-rsa BBBB\n"), "{text}");
}

#[test]
fn what_is_saved_is_loaded_and_an_empty_lab_leaves_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(&dir.path().join("a b/lab")).unwrap();
    assert_eq!(state.load().unwrap(), Records::new());
    let public = state.public_key().unwrap();
    assert!(public.starts_with("ssh-ed25519 AAAA"), "{public}");
    assert_eq!(public, state.public_key().unwrap());
    let mode = fs::metadata(state.file("id_ed25519")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    state.save(&two()).unwrap();
    assert_eq!(state.load().unwrap(), two());
    state.save(&Records::new()).unwrap();
    let mut left: Vec<_> = fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".gitignore"]);
}

#[test]
fn a_damaged_hosts_file_is_an_error_and_not_an_empty_lab() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    for content in ["{", "{\"format_version\":9,\"hosts\":{}}", ""] {
        fs::write(state.file("hosts.json"), content).unwrap();
        assert!(matches!(state.load(), Err(LabError::Damaged { .. })), "{content:?}");
    }
}

#[test]
fn a_directory_that_ssh_would_read_differently_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a%h", "a$b", "a\"b", "a\nb"] {
        assert!(StateDir::open(&dir.path().join(name)).is_err(), "{name:?}");
    }
}
