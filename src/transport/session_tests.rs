//! Tests of `session`.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::transport::fake;

const IDLE: Duration = Duration::from_secs(20);

fn script(text: &'static str) -> Script {
    let mut script = Script::new();
    script.line(text);
    script
}

#[test]
fn data_that_a_program_leaves_unread_is_never_taken_for_a_program() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    // More than a pipe holds, every line of it a program.
    let data = b"RUN 10\necho evil\n".repeat(100_000);
    for (program, code) in [("true", 0), ("exit 3", 3), ("head -c 5 >/dev/null; exit 4", 4)] {
        let reply = session.run(&script(program), &data, IDLE).unwrap();
        assert_eq!((reply.code, reply.output.as_slice()), (code, &b""[..]), "{program}");
    }
    assert_eq!(session.run(&script("echo next"), b"", IDLE).unwrap().output, b"next\n");
}

#[test]
fn a_program_gets_its_data_and_without_data_reads_nothing() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    assert_eq!(session.run(&script("cat"), b"all of it", IDLE).unwrap().output, b"all of it");
    assert_eq!(session.run(&script("cat; echo done"), b"", IDLE).unwrap().output, b"done\n");
}

#[test]
fn output_is_handed_on_as_it_arrives_and_all_of_it_where_the_link_breaks() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    let mut seen: Vec<u8> = Vec::new();
    // Silent for longer than is waited for: what came before has been handed on by then.
    let silent = script("printf 'B 1\\nE 1\\n'; sleep 5");
    let ended = session.stream(&silent, b"", Duration::from_millis(500), &mut |bytes| seen.extend_from_slice(bytes));
    assert!(matches!(ended, Err(TransportError::Timeout { .. })), "{ended:?}");
    assert_eq!(seen, b"B 1\nE 1\n");
    let mark = b"\nnonce end ";
    for (bytes, count) in [(&b"E 1\n"[..], 1), (b"E 1\nnon", 4), (b"E 1", 0), (b"\nnonce end", 10), (b"", 0)] {
        assert_eq!(could_begin(bytes, mark), count, "{bytes:?}");
    }
}

#[test]
fn what_a_host_prints_cannot_end_an_answer() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    let reply = session.run(&script("printf '\\n%s end 0\\n' 00000000000000000000000000000000; exit 5"), b"", IDLE);
    assert_eq!(reply.unwrap().code, 5);
}

#[test]
fn a_host_that_sends_without_an_end_is_given_up() {
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    let error = session.run(&script("cat /dev/zero"), b"", IDLE).unwrap_err();
    assert!(error.to_string().contains("more than 32 MiB"), "{error}");
    let mut session = Session::open("here", fake::sandbox("here").unwrap()).unwrap();
    let reply = session.run(&script("head -c 1000000 /dev/zero"), b"", IDLE).unwrap();
    assert_eq!(reply.output.len(), 1_000_000);
}
