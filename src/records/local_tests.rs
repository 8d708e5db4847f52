//! Tests of `local`.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

pub(super) fn run(id: &str) -> Run {
    Run {
        format_version: super::super::FORMAT_VERSION,
        id: id.to_owned(),
        time: "2026-01-01T00:00:00Z".to_owned(),
        who: "ann@desk".to_owned(),
        verb: "apply".to_owned(),
        playbook: "Site".to_owned(),
        inputs: String::new(),
        stage: None,
        seconds: 1.5,
        hosts: Vec::new(),
    }
}

#[test]
fn many_at_once_all_get_their_record_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/stockade/records.redb");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let store = LocalStore::new(path.clone());
            scope.spawn(move || {
                store.check().unwrap();
                store.add(&run(&format!("{number}"))).unwrap();
            });
        }
    });
    let ids: Vec<String> = LocalStore::new(path.clone()).runs().unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.redb");
    std::fs::write(&path, "notes of somebody").unwrap();
    let store = LocalStore::new(path.clone());
    assert!(store.check().unwrap_err().to_string().contains("cannot be used"));
    assert!(store.runs().is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes of somebody");
    assert!(LocalStore::new(dir.path().join("none")).runs().unwrap().is_empty());
    assert!(!dir.path().join("none").exists(), "reading makes nothing");
}
