//! The transport against real sshd processes on loopback, each with host keys
//! and users of its own in a temporary directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "transport/server.rs"]
mod server;

use server::{Answers, Server};
use std::sync::Arc;
use std::time::Duration;
use stockade::shell::{Command, Script};
use stockade::transport::{Ask, Policy, Session, Target, TransportError, connect};

const IDLE: Duration = Duration::from_secs(20);

fn policy() -> Policy {
    Policy { connect_timeout: Duration::from_secs(20), use_ssh_config: false, ..Policy::default() }
}

fn silent() -> Arc<dyn Ask> {
    Arc::new(Answers::default())
}

fn open(target: &Target) -> Result<Session, TransportError> {
    Session::open("host", connect(target, &policy(), &silent())?)
}

fn say(session: &mut Session, text: &str) -> String {
    let mut script = Script::new();
    script.run(Command::new("printf").arg("%s").arg(text));
    let reply = session.run(&script, b"", IDLE).expect("a reply");
    String::from_utf8(reply.output).unwrap()
}

#[test]
fn a_key_that_the_host_knows_opens_a_root_shell() {
    let Some(server) = Server::start() else { return };
    let mut session = open(&server.target()).expect("a session");
    assert_eq!(say(&mut session, "it's $HOME"), "it's $HOME");
    assert_eq!(say(&mut session, "again"), "again");
    let mut id = Script::new();
    id.run(Command::new("id").arg("-u"));
    assert_eq!(session.run(&id, b"", IDLE).unwrap().output, b"0\n");
}
