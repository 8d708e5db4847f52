//! Tests of `local`.

#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::shell::Script;
use crate::transport::{Session, fake};

const IDLE: Duration = Duration::from_secs(20);

#[test]
fn megabytes_go_both_ways_at_once() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    let mut script = Script::new();
    script.line("head -c 8000000 | tr a b; head -c 4000000 /dev/zero >&2");
    let reply = session.run(&script, &vec![b'a'; 8_000_000], IDLE).unwrap();
    assert_eq!((reply.code, reply.output.len()), (0, 8_000_000));
    assert!(reply.output.iter().all(|byte| *byte == b'b'));
}

#[test]
fn a_shell_that_ends_says_why() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    let mut script = Script::new();
    script.line("echo 'no more' >&2; kill $$");
    let error = session.run(&script, b"", IDLE).unwrap_err();
    assert!(matches!(&error, TransportError::Closed { said, .. } if said.contains("no more")), "{error}");
}

#[test]
fn a_program_that_says_nothing_is_given_up() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    let mut script = Script::new();
    script.line("sleep 60");
    let error = session.run(&script, b"", Duration::from_millis(100)).unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    let error = connect("here", Path::new("/nowhere/at/all")).err().expect("an error");
    assert!(error.to_string().contains("not a directory"), "{error}");
}
