//! Tests of `elf`.

use super::*;

#[test]
fn the_test_program_itself_is_read() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let needs = Needs::read(&own).unwrap();
    assert_eq!(needs.machine, Some(if cfg!(target_arch = "x86_64") { "x86_64" } else { std::env::consts::ARCH }));
    assert!(needs.interpreter.unwrap().as_str().contains("ld-linux"));
    assert!(needs.glibc.unwrap() >= Glibc(2, 2));
}

#[test]
fn versions_compare_as_numbers() {
    assert!(Glibc::parse("2.9") < Glibc::parse("2.39"));
    assert_eq!(Glibc::parse("2.2.5"), Some(Glibc(2, 2)));
    assert_eq!(Glibc::parse("PRIVATE"), None);
}

#[test]
fn what_is_cut_off_anywhere_is_an_error_or_a_lesser_answer_but_never_a_panic() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    for length in (0..4096).chain([own.len() / 2, own.len() - 1]) {
        let _ = Needs::read(&own[..length]);
    }
    let mut mutated = own[..4096].to_vec();
    for at in 0..mutated.len() {
        let kept = mutated[at];
        mutated[at] = !kept;
        let _ = Needs::read(&mutated);
        mutated[at] = kept;
    }
    assert!(Needs::read(&own[..64]).is_err());
}

#[test]
fn scripts_name_their_interpreter() {
    let path = Needs::read(b"#! /usr/bin/env python3\nx").unwrap().interpreter.unwrap();
    assert_eq!(path.as_str(), "/usr/bin/env");
    for bad in ["#!\n", "#!python\n", "#!/bin/sh\r\n", "hello", ""] {
        assert!(Needs::read(bad.as_bytes()).is_err(), "{bad:?}");
    }
}
