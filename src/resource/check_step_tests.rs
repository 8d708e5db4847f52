//! Tests of `check_step`.

use super::*;
use crate::observe::Output;
use crate::plan::UnitOp;
use std::io::{Read, Write};

fn ask(script: &str) -> bool {
    std::process::Command::new("sh").args(["-c", script]).status().unwrap().success()
}

#[test]
fn a_check_that_holds_is_asked_again_only_after_a_change() {
    let asks = Run::shell("true");
    let check = Check { script: "true".into(), asks: asks.clone(), tries: 1, pause: 1 };
    let assertion = Assertion { what: "true".into(), text: None, check: check.clone() };
    let mut host = PredictedState::default();
    host.set_output(&asks, Known::Is(Output { code: 0, stdout: String::new() }));
    assert_eq!(assertion.plan(&host).unwrap().action(), Action::None);
    Op::Unit(UnitOp::DaemonReload).effect(&mut host);
    assert_eq!(assertion.plan(&host).unwrap().action(), Action::Run);
    Op::Command(CommandOp::Check(check)).effect(&mut host);
    assert_eq!(assertion.plan(&host).unwrap().action(), Action::None);
    Op::Unit(UnitOp::DaemonReload).effect(&mut host);
    assert_eq!(assertion.plan(&host).unwrap().action(), Action::Run);
}

/// Answers `n` requests on a free loopback port.
fn server(answer: &'static str, n: usize) -> (u16, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        for _ in 0..n {
            let mut stream = listener.accept().unwrap().0;
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    (port, thread)
}

#[test]
fn http_is_asked_by_bash_where_there_is_no_curl() {
    let (port, thread) = server("HTTP/1.0 200 OK\r\nX: y\r\n\r\nall is well", 4);
    let http = |status, body: &str| Http {
        url: format!("http://127.0.0.1:{port}/x"),
        status,
        body: Some(body.into()),
        headers: vec!["A: b".into()],
        socket: None,
    };
    let hidden = |http: Http| http.script().unwrap().replace("command -v curl", "false");
    assert!(ask(&hidden(http(200, "is well"))));
    assert!(!ask(&hidden(http(404, "is well"))));
    assert!(!ask(&hidden(http(200, "is bad"))));
    assert!(ask(&format!("timeout 3 bash -c 'exec 3<>/dev/tcp/$1/$2' - 127.0.0.1 {port}")));
    thread.join().unwrap();
    assert!(!ask(&hidden(http(200, "is well"))));
}

#[test]
fn output_is_compared_as_text_not_as_a_pattern() {
    let script =
        |part: &str| format!("out=$(echo 'a*b'); case $out in *{}*) ;; *) false ;; esac", quote(part).unwrap());
    assert!(ask(&script("a*b")));
    assert!(!ask(&script("a?b")));
    assert!(!ask(&script("[a]")));
}
