//! The transport against real sshd processes on loopback, each with host keys
//! and users of its own in a temporary directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

#[path = "transport/server.rs"]
pub mod server;

use crate::support::relay::{Cut, Relay, Way};
use server::{Agent, Answers, Server, fingerprint, keygen};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stockade::commands::{Exit, exit_of};
use stockade::shell::{Command, Script};
use stockade::transport::{Ask, HostKeyChecking, Policy, Session, Target, TransportError, connect};

const IDLE: Duration = Duration::from_secs(30);

fn policy() -> Policy {
    Policy { connect_timeout: Duration::from_secs(30), use_ssh_config: false, ..Policy::default() }
}

fn accept_new() -> Policy {
    Policy { host_keys: HostKeyChecking::AcceptNew, ..policy() }
}

fn silent() -> Arc<dyn Ask> {
    Arc::new(Answers::default())
}

fn try_open(target: &Target, policy: &Policy, ask: &Arc<dyn Ask>) -> Result<Session, TransportError> {
    Session::open("host", connect(target, policy, ask)?)
}

fn open(target: &Target) -> Session {
    try_open(target, &policy(), &silent()).expect("a session")
}

/// The error of a connection that must not come about; its exit code is 4.
fn refusal(target: &Target, policy: &Policy) -> TransportError {
    let error = try_open(target, policy, &silent()).err().expect("a refusal");
    assert_eq!(exit_of(&anyhow::Error::from(error.clone())), Exit::Unreachable);
    error
}

fn say(session: &mut Session, text: &str) -> String {
    let mut script = Script::new();
    script.run(Command::new("printf").arg("%s").arg(text));
    let reply = session.run(&script, b"", IDLE).expect("a reply");
    String::from_utf8(reply.output).unwrap()
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_key_that_the_host_knows_opens_a_root_shell_in_one_session() {
    let server = Server::start();
    let mut session = open(&server.target());
    assert_eq!(say(&mut session, "it's $HOME"), "it's $HOME");
    let mut id = Script::new();
    id.run(Command::new("id").arg("-u"));
    assert_eq!(session.run(&id, b"", IDLE).unwrap().output, b"0\n");
    drop(session);
    let log = server.log();
    assert_eq!(log.matches("Starting session").count(), 1, "{log}");
    assert_eq!(log.matches("Failed publickey").count(), 0, "{log}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn megabytes_go_both_ways_at_once_beside_unread_errors() {
    let server = Server::start();
    let mut session = open(&server.target());
    let mut script = Script::new();
    script.line("head -c 4000000 /dev/zero >&2; head -c 8000000 | tr a b; head -c 4000000 /dev/zero >&2");
    let reply = session.run(&script, &vec![b'a'; 8_000_000], IDLE).unwrap();
    assert_eq!((reply.code, reply.output.len()), (0, 8_000_000));
    assert!(reply.output.iter().all(|byte| *byte == b'b'));
    assert_eq!(say(&mut session, "still here"), "still here");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn the_exit_code_of_a_program_comes_back() {
    let server = Server::start();
    let mut script = Script::new();
    script.line("echo out; exit 7");
    let reply = open(&server.target()).run(&script, b"", IDLE).unwrap();
    assert_eq!((reply.code, reply.output.as_slice()), (7, &b"out\n"[..]));
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_shell_that_dies_is_an_error_with_its_last_words() {
    let server = Server::start();
    let mut session = open(&server.target());
    let mut script = Script::new();
    script.line("echo 'the disk is on fire' >&2; kill -9 $$");
    let error = session.run(&script, b"", IDLE).unwrap_err();
    assert!(matches!(&error, TransportError::Closed { said, .. } if said.contains("on fire")), "{error}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_program_that_says_nothing_is_given_up() {
    let server = Server::start();
    let mut session = open(&server.target());
    let mut script = Script::new();
    script.line("sleep 60");
    let error = session.run(&script, b"", Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
    // Giving up does not wait for the sleep either.
    let began = Instant::now();
    drop(session);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_silent_connection_is_kept_alive() {
    let server = Server::with_keys("LogLevel DEBUG3", &[]);
    let policy = Policy { keepalive: Duration::from_secs(2), ..policy() };
    let mut session = try_open(&server.target(), &policy, &silent()).unwrap();
    let mut script = Script::new();
    script.set("log", &server.path("log").to_string_lossy());
    script.line("until grep -q keepalive@libssh2.org \"$log\"; do sleep 0.1; done; echo seen");
    assert_eq!(session.run(&script, b"", IDLE).unwrap().output, b"seen\n");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_key_that_the_host_does_not_know_is_refused_by_name() {
    let server = Server::start();
    keygen(&server.path("other"), "ed25519", "");
    let target = Target { keys: vec![server.path("other")], ..server.target() };
    let error = refusal(&target, &policy());
    assert!(matches!(&error, TransportError::Authentication { why, .. } if why.contains("/other")), "{error}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_key_file_that_is_missing_is_an_error_before_anything_is_offered() {
    let server = Server::start();
    let target = Target { keys: vec![server.path("absent")], ..server.target() };
    let error = refusal(&target, &policy());
    assert!(error.to_string().contains("absent: No such file"), "{error}");
    assert!(!server.log().contains("Failed"), "{}", server.log());
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn every_kind_of_key_file_logs_in() {
    let server = Server::start();
    for (kind, more) in [("rsa", &["-b", "3072"][..]), ("ecdsa", &[]), ("rsa", &["-b", "3072", "-m", "PEM"])] {
        let path = server.path(&format!("{kind}{}", more.len()));
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", "", "-f"])
            .arg(&path)
            .args(more)
            .status();
        assert!(made.unwrap().success());
        server.authorize(&path);
        let target = Target { keys: vec![path], ..server.target() };
        assert_eq!(say(&mut open(&target), kind), kind);
    }
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn an_unknown_host_is_refused_with_its_fingerprint() {
    let server = Server::start();
    server.known_hosts("");
    let error = refusal(&server.target(), &policy()).to_string();
    assert!(error.contains(&fingerprint(&server.path("host_key.pub"))), "{error}");
    assert!(error.contains("not known") && error.contains("accept-new"), "{error}");
    assert_eq!(fs::read_to_string(server.path("known_hosts")).unwrap(), "");
    assert!(!server.log().contains("Accepted"), "{}", server.log());
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn an_unknown_host_is_remembered_when_the_operator_agrees() {
    let server = Server::start();
    // Without a newline at its end, as an editor may leave it.
    server.known_hosts("# mine");
    let answers = Arc::new(Answers { yes: true, ..Answers::default() });
    let ask: Arc<dyn Ask> = answers.clone();
    assert_eq!(say(&mut try_open(&server.target(), &policy(), &ask).unwrap(), "in"), "in");
    let asked = answers.asked.lock().unwrap().join("\n");
    assert!(asked.contains(&fingerprint(&server.path("host_key.pub"))), "{asked}");
    let expected = format!("# mine\n[127.0.0.1]:{} {}\n", server.port, server.public_key("host_key"));
    assert_eq!(fs::read_to_string(server.path("known_hosts")).unwrap(), expected);
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn accept_new_writes_a_file_for_its_owner_alone_and_then_holds_to_it() {
    let server = Server::start();
    let file = server.path("new/known_hosts");
    let target = Target { known_hosts: vec![file.clone()], ..server.target() };
    assert_eq!(say(&mut try_open(&target, &accept_new(), &silent()).unwrap(), "in"), "in");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    assert_eq!(say(&mut open(&target), "known now"), "known now");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_changed_host_key_is_refused_even_by_accept_new_and_shows_both() {
    let server = Server::start();
    keygen(&server.path("before"), "ed25519", "");
    server.know(&server.public_key("before"));
    for policy in [policy(), accept_new()] {
        let error = refusal(&server.target(), &policy);
        assert!(matches!(error, TransportError::HostKey { .. }), "{error}");
        let error = error.to_string();
        for part in [
            fingerprint(&server.path("host_key.pub")),
            fingerprint(&server.path("before.pub")),
            format!("{}:1", server.path("known_hosts").display()),
            format!("-R '[127.0.0.1]:{}'", server.port),
        ] {
            assert!(error.contains(&part), "{part} is not in: {error}");
        }
    }
    assert!(!server.log().contains("Accepted"), "{}", server.log());
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_revoked_host_key_is_refused_even_if_it_is_known() {
    let server = Server::start();
    let key = server.public_key("host_key");
    server.known_hosts(&format!("[127.0.0.1]:{} {key}\n@revoked * {key}\n", server.port));
    let error = refusal(&server.target(), &accept_new()).to_string();
    assert!(error.contains("revoked") && error.contains("known_hosts:2"), "{error}");
    assert!(error.contains(&fingerprint(&server.path("host_key.pub"))), "{error}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_host_known_by_an_authority_alone_is_refused_with_the_reason() {
    let server = Server::start();
    server.known_hosts(&format!("@cert-authority * {}\n", server.public_key("id")));
    let error = refusal(&server.target(), &accept_new()).to_string();
    assert!(error.contains("certificate") && error.contains("not supported"), "{error}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn the_kind_of_key_that_is_known_is_the_kind_that_is_asked_for() {
    // Two host keys; only the one that is not our favourite is known.
    let server = Server::with_keys("HostKey {at}/rsa_key\n", &["rsa_key"]);
    server.know(&server.public_key("rsa_key"));
    assert_eq!(say(&mut open(&server.target()), "rsa"), "rsa");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn several_files_are_read_and_hashed_names_found() {
    let server = Server::start();
    let hashed =
        std::process::Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(server.path("known_hosts")).output();
    assert!(hashed.unwrap().status.success());
    assert!(fs::read_to_string(server.path("known_hosts")).unwrap().starts_with("|1|"));
    let known_hosts = vec![server.path("absent"), server.path("known_hosts")];
    let target = Target { known_hosts, ..server.target() };
    assert_eq!(say(&mut open(&target), "found"), "found");
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let target = Target { port: Some(port), ..nowhere() };
    let error = refusal(&target, &policy());
    assert!(
        matches!(&error, TransportError::Unreachable { address, why, .. }
        if *address == format!("127.0.0.1:{port}") && why.contains("refused")),
        "{error}"
    );
}

#[test]
fn a_host_that_says_nothing_is_given_up_at_the_limit() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let target = Target { port: Some(listener.local_addr().unwrap().port()), ..nowhere() };
    let policy = Policy { connect_timeout: Duration::from_secs(1), ..policy() };
    let began = Instant::now();
    let error = refusal(&target, &policy);
    assert!(matches!(&error, TransportError::Timeout { seconds: 1, doing, .. } if doing.contains("banner")), "{error}");
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_connection_that_is_cut_during_the_login_is_no_refusal() {
    let server = Server::start();
    let relay = Relay::to(server.target().port.unwrap());
    let host_key = server.public_key("host_key");
    server.known_hosts(&format!("[127.0.0.1]:{} {host_key}\n", relay.port));
    let target = Target { port: Some(relay.port), ..server.target() };
    drop(open(&target));
    let total = relay.bytes()[0][1];
    // The host's answers to the login are among its last bytes.
    for after in (total / 2..total).step_by(40) {
        relay.cut(Some(Cut { connection: 0, way: Way::FromHost, after, silent: false }));
        let Err(error) = try_open(&target, &policy(), &silent()) else { continue };
        assert!(relay.has_cut(), "{error}");
        assert!(!matches!(error, TransportError::Authentication { .. }), "after {after} of {total}: {error}");
    }
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_connection_that_ends_before_its_keys_are_agreed_is_made_anew() {
    let server = Server::start();
    let relay = Relay::to(server.target().port.unwrap());
    let host_key = server.public_key("host_key");
    server.known_hosts(&format!("[127.0.0.1]:{} {host_key}\n", relay.port));
    let target = Target { port: Some(relay.port), ..server.target() };
    // Before the banner, within it, and within the key exchange.
    for after in [0, 10, 200, 1000] {
        relay.cut(Some(Cut { connection: 0, way: Way::FromHost, after, silent: false }));
        let mut session = try_open(&target, &policy(), &silent()).unwrap();
        assert!(relay.has_cut(), "after {after} bytes");
        assert_eq!(say(&mut session, "here"), "here");
    }
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_connection_that_loses_everything_without_a_word_is_given_up_and_a_slow_answer_is_not() {
    let server = Server::start();
    let relay = Relay::to(server.target().port.unwrap());
    let host_key = server.public_key("host_key");
    server.known_hosts(&format!("[127.0.0.1]:{} {host_key}\n", relay.port));
    let target = Target { port: Some(relay.port), ..server.target() };
    let policy = Policy { keepalive: Duration::from_secs(1), ..policy() };
    let mut session = try_open(&target, &policy, &silent()).unwrap();
    let mut slow = Script::new();
    slow.line("sleep 7; echo late");
    assert_eq!(session.run(&slow, b"", IDLE).unwrap().output, b"late\n");
    let after = relay.bytes()[0][1];
    relay.cut(Some(Cut { connection: 0, way: Way::FromHost, after, silent: true }));
    let error = session.run(&slow, b"", Duration::from_secs(600)).unwrap_err();
    assert!(relay.has_cut());
    assert!(matches!(&error, TransportError::Closed { said, .. } if said.contains("no sign of life")), "{error}");
}

#[test]
fn a_server_that_is_not_ssh_is_named_so() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let target = Target { port: Some(listener.local_addr().unwrap().port()), ..nowhere() };
    let peer = std::thread::spawn(move || drop(listener.accept()));
    let error = refusal(&target, &policy());
    peer.join().unwrap();
    assert!(matches!(&error, TransportError::Unreachable { why, .. } if why.contains("no SSH server")), "{error}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn an_encrypted_key_is_asked_for_once_in_a_run() {
    let server = Server::start();
    keygen(&server.path("locked"), "ed25519", "open sesame");
    server.authorize(&server.path("locked"));
    let target = Target { keys: vec![server.path("locked")], ..server.target() };
    let answers =
        Arc::new(Answers { secrets: [("locked".to_owned(), "open sesame".to_owned())].into(), ..Answers::default() });
    let ask: Arc<dyn Ask> = answers.clone();
    for _ in 0..2 {
        assert_eq!(say(&mut try_open(&target, &policy(), &ask).unwrap(), "in"), "in");
    }
    assert_eq!(answers.asked.lock().unwrap().len(), 1);
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn an_encrypted_key_without_its_passphrase_says_what_to_do() {
    let server = Server::start();
    for (name, answer) in [("locked", None), ("wrong", Some("not it"))] {
        keygen(&server.path(name), "ed25519", "open sesame");
        server.authorize(&server.path(name));
        let secrets = answer.map(|text| (format!("the key {}", server.path(name).display()), text.to_owned()));
        let ask: Arc<dyn Ask> = Arc::new(Answers { secrets: secrets.into_iter().collect(), ..Answers::default() });
        let target = Target { keys: vec![server.path(name)], ..server.target() };
        let error = try_open(&target, &policy(), &ask).err().expect("a refusal").to_string();
        assert!(error.contains("passphrase") && !error.contains("not it"), "{error}");
    }
    assert!(!server.log().contains("Failed"), "a key that is not open is not offered: {}", server.log());
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn every_identity_of_the_agent_is_tried() {
    let server = Server::start();
    let agent = Agent::start(server.directory.path());
    for name in ["first", "second"] {
        keygen(&server.path(name), "ed25519", "");
        agent.add(&server.path(name));
    }
    agent.add(&server.path("id"));
    let home = server.path("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    // The agent's socket is found by the environment, so this runs the check in a child.
    let output =
        child_with(&[("SSH_AUTH_SOCK", agent.socket.as_os_str()), ("HOME", home.as_os_str())], &server, "agent");
    assert!(output.contains("it works"), "{output}");
    let log = server.log();
    assert_eq!(log.matches("Failed publickey").count(), 2, "{log}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn an_agent_full_of_keys_stays_below_the_limit_of_the_host() {
    let server = Server::start();
    let agent = Agent::start(server.directory.path());
    for number in 0..7 {
        let key = server.path(&format!("key{number}"));
        keygen(&key, "ed25519", "");
        agent.add(&key);
    }
    let home = server.directory.path().as_os_str();
    let output = child_with(&[("SSH_AUTH_SOCK", agent.socket.as_os_str()), ("HOME", home)], &server, "agent");
    assert!(output.contains("more keys than the 5 that are tried"), "{output}");
    let log = server.log();
    assert_eq!(log.matches("Failed publickey").count(), 5, "{log}");
    assert!(!log.contains("Too many authentication failures"), "{log}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn the_agent_answers_for_an_encrypted_key_that_is_named() {
    let server = Server::start();
    let agent = Agent::start(server.directory.path());
    for name in ["first", "second"] {
        keygen(&server.path(name), "ed25519", "");
        agent.add(&server.path(name));
    }
    agent.add(&server.path("id"));
    // The same key, now encrypted on disk: only the agent can use it.
    let locked = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "a passphrase", "-f"])
        .arg(server.path("id"))
        .output();
    assert!(locked.unwrap().status.success());
    let output = child_with(&[("SSH_AUTH_SOCK", agent.socket.as_os_str())], &server, "named");
    assert!(output.contains("it works"), "{output}");
    assert_eq!(server.log().matches("Failed publickey").count(), 0, "{}", server.log());
}

/// Runs [`child`] in a process with an environment of its own.
fn child_with(environment: &[(&str, &std::ffi::OsStr)], server: &Server, mode: &str) -> String {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "transport::child", "--nocapture"])
        .envs(environment.iter().copied())
        .env("TEST_SERVER", format!("{mode} {} {}", server.port, server.directory.path().display()))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Not a test of its own: what needs another SSH_AUTH_SOCK or PATH.
#[test]
#[ignore = "run by other tests, in a process with an environment of its own"]
fn child() {
    let Ok(given) = std::env::var("TEST_SERVER") else { return };
    let mut words = given.splitn(3, ' ');
    let (mode, port, at) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let at = std::path::Path::new(at);
    let known_hosts = vec![at.join("known_hosts")];
    let target = Target { port: Some(port.parse().unwrap()), known_hosts, ..nowhere() };
    let alias = |name: &str| Target { address: name.to_owned(), user: None, known_hosts: Vec::new(), ..nowhere() };
    let (target, use_ssh_config) = match mode {
        "agent" => (target, false),
        "named" => (Target { keys: vec![at.join("id")], ..target }, false),
        name => (alias(name), true),
    };
    let mut session = try_open(&target, &Policy { use_ssh_config, ..policy() }, &silent()).expect("a session");
    println!("{}", say(&mut session, "it works"));
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn ssh_config_says_where_a_host_is_and_how_to_get_there() {
    let server = Server::start();
    let at = server.directory.path().display();
    let config = format!(
        "Host plain proxied jumped\n HostName 127.0.0.1\n Port {port}\n User root\n IdentityFile {at}/id\n \
         UserKnownHostsFile {at}/known_hosts\n IdentityAgent none\n\
         Host proxied\n ProxyCommand ssh -W %h:%p plain\n\
         Host jumped\n ProxyJump plain\n",
        port = server.port
    );
    fs::write(server.path("ssh_config"), config).unwrap();
    // ssh(1) finds its configuration by the password database, not by HOME.
    let found = std::process::Command::new("sh").args(["-c", "command -v ssh"]).output().unwrap();
    let real = String::from_utf8(found.stdout).unwrap();
    fs::create_dir(server.path("bin")).unwrap();
    let wrapper = format!("#!/bin/sh\nexec {} -F {at}/ssh_config \"$@\"\n", real.trim());
    fs::write(server.path("bin/ssh"), wrapper).unwrap();
    fs::set_permissions(server.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut path = server.path("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    for (mode, logins) in [("plain", 1), ("proxied", 3), ("jumped", 5)] {
        let output = child_with(&[("PATH", &path)], &server, mode);
        assert!(output.contains("it works"), "{mode}: {output}");
        assert_eq!(server.log().matches("Accepted publickey").count(), logins, "{mode}: {}", server.log());
    }
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_name_with_several_addresses_is_tried_at_each() {
    let server = Server::start();
    // On many machines localhost is ::1 first, where this sshd does not listen.
    let target = Target { address: "localhost".to_owned(), ..server.target() };
    assert_eq!(say(&mut try_open(&target, &accept_new(), &silent()).unwrap(), "in"), "in");
    let known = fs::read_to_string(server.path("known_hosts")).unwrap();
    assert!(known.contains(&format!("\n[localhost]:{} ssh-ed25519 ", server.port)), "{known}");
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_jump_host_carries_the_connection() {
    let server = Server::start();
    let target = Target { jump: Some(format!("root@127.0.0.1:{}", server.port)), ..server.target() };
    let mut session = open(&target);
    assert_eq!(say(&mut session, "through"), "through");
    let mut script = Script::new();
    script.line("head -c 3000000 | tr a b");
    assert_eq!(session.run(&script, &vec![b'a'; 3_000_000], IDLE).unwrap().output.len(), 3_000_000);
    drop(session);
    assert_eq!(server.log().matches("Accepted publickey").count(), 2, "{}", server.log());
}

#[test]
#[ignore = "starts an sshd, as root: tests/run.sh runs it"]
fn a_jump_host_that_fails_says_why() {
    let server = Server::start();
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let target = Target { jump: Some(format!("root@127.0.0.1:{closed}")), ..server.target() };
    let error = refusal(&target, &policy()).to_string();
    assert!(error.contains("jump host") && error.contains("refused"), "{error}");
}

#[test]
#[ignore = "needs root: tests/run.sh runs it"]
fn this_machine_is_reached_without_ssh() {
    let target = Target { local_root: Some("/".into()), ..nowhere() };
    assert!(rustix::process::geteuid().is_root(), "becoming root here would need sudo");
    assert_eq!(say(&mut open(&target), "here"), "here");
}

#[test]
#[ignore = "needs root: tests/run.sh runs it"]
fn a_root_directory_is_entered_by_chroot() {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| std::path::Path::new(path).exists());
    let busybox = busybox.expect("busybox (package busybox-static) is needed");
    assert!(rustix::process::geteuid().is_root(), "a chroot can only be entered by root");
    let root = tempfile::tempdir().unwrap();
    let target = Target { local_root: Some(root.path().to_owned()), ..nowhere() };
    // Empty: there is no shell in it.
    let error = try_open(&target, &policy(), &silent()).unwrap().run(&Script::new(), b"", IDLE).unwrap_err();
    assert!(matches!(&error, TransportError::Closed { said, .. } if said.contains("/bin/sh")), "{error}");

    fs::create_dir(root.path().join("bin")).unwrap();
    for name in ["sh", "dd", "cat", "ls"] {
        fs::copy(busybox, root.path().join("bin").join(name)).unwrap();
    }
    let mut script = Script::new();
    script.line("ls /; cat");
    assert_eq!(open(&target).run(&script, b"data", IDLE).unwrap().output, b"bin\ndata");
}

fn nowhere() -> Target {
    Target {
        name: "host".to_owned(),
        address: "127.0.0.1".to_owned(),
        port: None,
        user: Some("root".to_owned()),
        keys: Vec::new(),
        known_hosts: vec!["/nonexistent/known_hosts".into()],
        jump: None,
        local_root: None,
    }
}
