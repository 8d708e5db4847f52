//! Becoming root on a real host with sudo and PAM: with and without a
//! password, refused, and through login shells that are not POSIX.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support::{TestLab, on_host};
#[allow(dead_code, clippy::print_stderr)] // the sshd in it is for the other tests
use crate::transport::server::Answers;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stockade::shell::Script;
use stockade::transport::{Ask, HostKeyChecking, Policy, Session, Target, TransportError, connect};

const IDLE: Duration = Duration::from_secs(60);

/// Looks like a command of the bootstrap shell and like shell code.
const PASSWORD: &str = "RUN 9 it's $ecret";

/// Users who differ in what they may, all with the password above. `prompted`
/// logs in by keyboard-interactive alone.
const USERS: &str = r#"set -e
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends fish csh >/dev/null
add() {
  useradd -m -s "$2" "$1"
  echo "$1:RUN 9 it's \$ecret" | chpasswd
  install -d -m 700 -o "$1" "/home/$1/.ssh"
  install -m 600 -o "$1" /home/ubuntu/.ssh/authorized_keys "/home/$1/.ssh/authorized_keys"
}
add free /bin/bash; add asked /bin/sh; add barred /bin/bash; add prompted /bin/bash
add fishy /usr/bin/fish; add cshy /bin/csh; add out /usr/sbin/nologin
printf '%s ALL=(ALL) NOPASSWD: ALL\n' free prompted fishy cshy >/etc/sudoers.d/test
echo 'asked ALL=(ALL) ALL' >>/etc/sudoers.d/test
chmod 440 /etc/sudoers.d/test
cat >/etc/ssh/sshd_config.d/00-test.conf <<'END'
PasswordAuthentication yes
KbdInteractiveAuthentication yes
Match User prompted
AuthenticationMethods keyboard-interactive
END
sshd -t
systemctl try-restart ssh.service
"#;

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
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn root_is_reached_as_sudo_allows_and_refusals_say_why() {
    let (test, hosts) = TestLab::with_hosts(1);
    on_host(&hosts[0], USERS);
    let target = |user: &str| Target {
        name: "host".to_owned(),
        address: "127.0.0.1".to_owned(),
        port: hosts[0].port,
        user: Some(user.to_owned()),
        keys: vec![test.lab.key_path()],
        known_hosts: vec![test.lab.known_hosts_path()],
        jump: None,
        local_root: None,
    };
    // What is left without a key is the password.
    let keyless = |user: &str| Target { keys: vec![test.lab.key_path().with_extension("pub")], ..target(user) };
    let nobody = answers("nothing", "");

    // Without a password, whichever the login shell is.
    for user in ["ubuntu", "free", "fishy", "cshy"] {
        assert_eq!(whoami(&target(user), &nobody).unwrap(), ROOT, "{user}");
    }
    assert_eq!(nobody.asked.lock().unwrap().len(), 0, "there was nothing to ask");

    // With one: asked for by what it is for.
    let right = answers("sudo", PASSWORD);
    assert_eq!(whoami(&target("asked"), &right).unwrap(), ROOT);
    assert_eq!(*right.asked.lock().unwrap(), ["Password of asked for sudo"]);

    // Nobody answers; a wrong answer, of which sudo is given one, not three; no right at all.
    let refused = |user: &str, answers: &Arc<Answers>| {
        let error = whoami(&target(user), answers).unwrap_err();
        assert!(matches!(error, TransportError::Privilege { .. }), "{error:?}");
        error.to_string()
    };
    let error = refused("asked", &nobody);
    assert!(error.contains("password is required") && error.contains("NOPASSWD"), "{error}");
    let failures = "journalctl -q -t sudo | grep -c 'authentication failure.*user=asked' || true";
    let before: u32 = on_host(&hosts[0], failures).parse().unwrap();
    let error = refused("asked", &answers("sudo", "wrong one"));
    assert!(error.contains("does not accept") && !error.contains("wrong one"), "{error}");
    assert_eq!(on_host(&hosts[0], failures).parse::<u32>().unwrap(), before + 1);
    let error = refused("barred", &answers("sudo", PASSWORD));
    assert!(error.contains("not in the sudoers file"), "{error}");

    // A login shell that lets nobody in.
    let error = whoami(&target("out"), &nobody).unwrap_err();
    assert!(matches!(error, TransportError::Closed { .. }), "{error:?}");

    // Logging in by password, and by keyboard-interactive where that is all there is.
    for user in ["free", "prompted"] {
        let right = answers(&format!("Password of {user}"), PASSWORD);
        assert_eq!(whoami(&keyless(user), &right).unwrap(), ROOT, "{user}");
        let wrong = answers(&format!("Password of {user}"), "wrong one");
        let error = whoami(&keyless(user), &wrong).unwrap_err();
        assert!(matches!(error, TransportError::Authentication { .. }), "{error:?}");
        assert!(!error.to_string().contains("wrong one"), "{error}");
    }

    a_question_stays_on_the_screen(&test, hosts[0].port.unwrap());

    // The password was in no argument list and in no log of the host.
    let log = on_host(&hosts[0], "journalctl -q --no-pager; cat /var/log/auth.log 2>&- || true");
    assert!(log.contains("sudo") && !log.contains("ecret"), "the password is in the host's log");
}

/// At a terminal of script(1)'s the progress stands still while a question is
/// open: whoever is to type sees what for.
fn a_question_stays_on_the_screen(test: &TestLab, port: u16) {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};
    let folder = test.dir.path();
    std::fs::write(folder.join("p.toml"), "hosts = [\"all\"]\n[[step]]\ndirectory = { path = \"/srv\" }\n").unwrap();
    let line = format!(
        "'{}' plan p.toml --host asked@127.0.0.1:{port} --key lab/id_ed25519 --known-hosts lab/known_hosts",
        env!("CARGO_BIN_EXE_stockade")
    );
    let mut child = Command::new("script")
        .current_dir(folder)
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) of util-linux is needed");
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut buffer, mut typed) = (String::new(), [0; 512], false);
    loop {
        match screen.read(&mut buffer).unwrap() {
            0 => break,
            length => shown.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
        if !typed && shown.contains("Password of asked for sudo: ") {
            typed = true;
            // That nothing is drawn can only be waited for: some turns of the spinner.
            std::thread::sleep(Duration::from_secs(1));
            writeln!(keyboard, "{PASSWORD}").unwrap();
        }
    }
    assert!(child.wait().unwrap().success(), "{shown}");
    let (_, after) = shown.split_once("Password of asked for sudo: ").expect("the question was asked");
    // What comes next is the end of the line that was typed.
    assert!(after.trim_start_matches('\r').starts_with('\n'), "drawn over the question: {after:?}");
    assert!(after.contains("nothing differs") && !shown.contains("ecret"), "{shown}");
}
