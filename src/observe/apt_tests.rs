//! Tests of `apt`.

use super::*;

fn read(output: &str, code: i32, errors: &str) -> Transaction {
    let section = Section { output: output.as_bytes().to_vec(), code, errors: errors.to_owned() };
    let (mut host, words) = (HostState::default(), vec!["install".to_owned()]);
    transaction(&mut host, &words, &section);
    host.apt.transactions.remove(&words).unwrap_or_default()
}

#[test]
fn a_simulation_tells_what_comes_goes_and_changes() {
    let found = read(
        "Reading package lists...\nRemv ufw [0.36.2-1]\nInst libc6 [2.36-9] (2.36-9+deb12u4 Debian:12.5/stable [amd64]) []\n\
             Inst bc (1.07.1-3+b1 Debian:12.5/stable [amd64])\nConf bc (1.07.1-3+b1 Debian:12.5/stable [amd64])\n\
             Remv again [1]\nInst again (2 a [all])\nSizes 3000 20 5\n",
        0,
        "",
    );
    let told: Vec<String> = found
        .changes
        .iter()
        .map(|c| format!("{} {:?} {:?}", c.name, c.before.as_deref(), c.after.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            "ufw Some(\"0.36.2-1\") None",
            "libc6 Some(\"2.36-9\") Some(\"2.36-9+deb12u4\")",
            "bc None Some(\"1.07.1-3+b1\")",
            "again Some(\"1\") Some(\"2\")",
        ]
    );
    assert_eq!((found.download, found.disk, found.refusal), (3000, 15 * 1024, None));
}

#[test]
fn a_refusal_is_in_the_words_of_apt() {
    let found = read("Reading package lists...\n", 100, "E: Unable to locate package x");
    assert_eq!(found.refusal.as_deref(), Some("E: Unable to locate package x"));
}
