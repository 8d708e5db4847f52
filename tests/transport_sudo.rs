//! Becoming root on a real host with sudo and PAM: with and without a
//! password, refused, and through login shells that are not POSIX.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "transport/server.rs"]
#[allow(dead_code)] // the sshd of its own is for the other tests
mod server;

use server::Answers;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stockade::shell::Script;
use stockade::transport::{Ask, HostKeyChecking, Policy, Session, Target, TransportError, connect};

const IDLE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "RUN 9 it's $ecret";

/// Users who differ in what they may; `$1` is the public key.
const USERS: &str = r#"set -e
add() { useradd -m -s "$2" "$1"; echo "$1:RUN 9 it's \$ecret" | chpasswd; mkdir -p /home/$1/.ssh
  echo "$key" >/home/$1/.ssh/authorized_keys; chown -R $1: /home/$1/.ssh; chmod 700 /home/$1/.ssh; }
add free /bin/bash; add asked /bin/sh; add barred /bin/bash; add fishy /usr/bin/fish; add cshy /bin/csh; add out /usr/sbin/nologin
rm -f /etc/sudoers.d/test; umask 0337
printf '%s ALL=(ALL) NOPASSWD: ALL\n' free fishy cshy >/etc/sudoers.d/test
echo 'asked ALL=(ALL) ALL' >>/etc/sudoers.d/test
"#;

struct Host {
    target: Target,
}

impl Host {
    fn target(&self, user: &str) -> Target {
        Target { user: Some(user.to_owned()), ..self.target.clone() }
    }

    /// Without a key: what is left is the password.
    fn keyless(&self, user: &str, port: u16) -> Target {
        Target { user: Some(user.to_owned()), port: Some(port), keys: Vec::new(), ..self.target.clone() }
    }
}

fn policy() -> Policy {
    Policy {
        connect_timeout: Duration::from_secs(60),
        use_ssh_config: false,
        host_keys: HostKeyChecking::AcceptNew,
        ..Policy::default()
    }
}

fn answers(part: &str, answer: &str) -> Arc<Answers> {
    Arc::new(Answers { secrets: BTreeMap::from([(part.to_owned(), answer.to_owned())]), ..Answers::default() })
}

/// Who the root shell is, and what its environment's end is.
fn whoami(target: &Target, answers: &Arc<Answers>) -> Result<String, TransportError> {
    let ask: Arc<dyn Ask> = answers.clone();
    let mut session = Session::open("host", connect(target, &policy(), &ask)?)?;
    let mut script = Script::new();
    script.line("id -un; head -c 5");
    let reply = session.run(&script, b"data\n", IDLE)?;
    let again = session.run(&script, b"more\n", IDLE)?;
    Ok(String::from_utf8_lossy(&[reply.output, again.output].concat()).into_owned())
}

const ROOT: &str = "root\ndata\nroot\nmore\n";

#[test]
fn by_hand() {
    let host = Host { target: Target { name: "host".to_owned(), address: "172.17.0.6".to_owned(), port: Some(22), user: None,
        keys: vec![PathBuf::from("/tmp/tr/id")], known_hosts: vec![PathBuf::from("/tmp/tr/kh")], jump: None, local_root: None } };
    check(&host, 2222);
}

fn check(host: &Host, interactive: u16) {
    let nobody = answers("nothing", "");
    for user in ["free", "fishy", "cshy"] {
        assert_eq!(whoami(&host.target(user), &nobody).unwrap(), ROOT, "{user}");
    }
    assert_eq!(nobody.asked.lock().unwrap().len(), 0, "nothing to ask");

    // A sudo that wants a password: asked once, for the sudo of that user.
    let right = answers("sudo", PASSWORD);
    assert_eq!(whoami(&host.target("asked"), &right).unwrap(), ROOT);
    assert_eq!(*right.asked.lock().unwrap(), ["Password of asked for sudo"]);

    // Nobody answers, and a wrong answer.
    let refused = |user: &str, answers: &Arc<Answers>| {
        let error = whoami(&host.target(user), answers).unwrap_err();
        assert!(matches!(error, TransportError::Privilege { .. }), "{error:?}");
        error.to_string()
    };
    let error = refused("asked", &nobody);
    assert!(error.contains("password is required") && error.contains("NOPASSWD"), "{error}");
    let error = refused("asked", &answers("sudo", "wrong one"));
    assert!(error.contains("does not accept") && !error.contains("wrong one"), "{error}");
    // No right at all.
    let error = refused("barred", &answers("sudo", PASSWORD));
    assert!(error.contains("not in the sudoers file"), "{error}");
    // A login shell that lets nobody in.
    let error = whoami(&host.target("out"), &nobody).unwrap_err();
    assert!(matches!(error, TransportError::Closed { .. }), "{error:?}");

    // Login by password, and by keyboard-interactive where that is all there is.
    let right = answers("Password of free", PASSWORD);
    assert_eq!(whoami(&host.keyless("free", host.target.port.unwrap()), &right).unwrap(), ROOT);
    assert_eq!(whoami(&host.keyless("free", interactive), &right).unwrap(), ROOT);
    let error = whoami(&host.keyless("free", interactive), &answers("Password of free", "wrong one")).unwrap_err();
    assert!(matches!(&error, TransportError::Authentication { .. }), "{error:?}");
    assert!(!error.to_string().contains("wrong one"), "{error}");
}
