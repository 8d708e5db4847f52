//! Tests of `schema`.

use super::*;
use crate::inventory::{HOST_KEYS, SETTINGS};
use crate::playbook::COMMON_KEYS;

#[test]
fn the_schema_has_the_keys_that_the_reader_knows() {
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    let own = |keys: &[&str]| sorted(keys.iter().map(|key| (*key).to_owned()).collect());
    let found = |schema: &Value| sorted(schema["properties"].as_object().unwrap().keys().cloned().collect());
    let step = &playbook()["properties"]["step"]["items"];
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(found(step), own(&[&COMMON_KEYS[..], &kinds].concat()));
    assert_eq!(found(&playbook()), own(&crate::playbook::TOP_KEYS));
    assert_eq!(found(&inventory()["properties"]["defaults"]), own(&SETTINGS));
    let host = &inventory()["properties"]["hosts"]["additionalProperties"];
    assert_eq!(found(host), own(&[&SETTINGS[..], &HOST_KEYS].concat()));
}

#[test]
fn the_schemas_in_the_package_are_current() {
    for (name, of) in [("playbook", Document::Playbook), ("inventory", Document::Inventory), ("stage", Document::Stage)]
    {
        let path = format!("{}/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let wanted = text(of).unwrap();
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == wanted, "schema/{name}.json is not current: run this test with UPDATE_SCHEMA=1");
    }
}
