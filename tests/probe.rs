//! The probe on a real host: every kind of question, against outside witnesses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::{ChildLink, TestLab, on_host};
use std::time::Duration;
use stockade::observe::{Content, FileType, HostState, Known, Package, PathState, Queries, Query, Run, probe};
use stockade::transport::Session;
use stockade::values::{AbsPath, PackageName, SysctlKey, UnitName};

fn path(text: &str) -> AbsPath {
    text.parse().unwrap()
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn every_kind_of_question_is_answered_as_the_host_itself_says() {
    let (_lab, hosts) = TestLab::with_hosts(1);
    let host = &hosts[0];
    on_host(
        host,
        r#"mkdir -p '/srv/odd '"'"'"$(x)' && printf 'a\0b\nc' >'/srv/odd '"'"'"$(x)/-rf' && ln -s /nowhere /srv/link
           head -c 6000000 /dev/zero >/srv/big && mkfifo /srv/pipe && mkdir /srv/dir && touch /srv/dir/a '/srv/dir/b c'
           chown ubuntu:adm /srv/big && chmod 4750 /srv/big"#,
    );
    let odd = path("/srv/odd '\"$(x)/-rf");
    let mut queries = Queries::new();
    queries.ask(Query::Content(odd.clone()));
    for file in ["/srv/link", "/srv/pipe", "/srv/absent", "/etc/passwd/below", "/srv/big"] {
        queries.ask(Query::Digest(path(file)));
    }
    queries.ask(Query::Content(path("/srv/big")));
    queries.ask(Query::Names(path("/srv/dir")));
    queries.ask(Query::Names(path("/srv/nothing")));
    queries.ask(Query::Accounts);
    for name in ["openssh-server", "no-such-package"] {
        queries.ask(Query::Package(name.parse().unwrap()));
    }
    for name in ["ssh.socket", "no-such.service", "dbus.service"] {
        queries.ask(Query::Unit(name.parse().unwrap()));
    }
    for key in ["net.ipv4.ip_forward", "net.ipv4.tcp_rmem", "net.no.such"] {
        queries.ask(Query::Sysctl(key.parse().unwrap()));
    }
    let failing = Run::shell("echo 'it is'; exit 7");
    queries.ask(Query::Run(failing.clone()));
    queries.ask(Query::Run(Run { user: Some("ubuntu".parse().unwrap()), ..Run::shell("id -un") }));

    let mut session = Session::open("lab", Box::new(ChildLink::into_host(host))).unwrap();
    let mut state = HostState::default();
    let reply = session.run(&probe::program(&queries, true), &[], Duration::from_secs(60)).unwrap();
    probe::read_reply(&mut state, &queries, true, session.nonce(), &reply.output).unwrap();

    assert_eq!(state.content(&odd).unwrap(), &Content::Bytes(b"a\0b\nc".to_vec()));
    let PathState::Present(big) = state.path(&path("/srv/big")).unwrap() else { panic!("big is there") };
    assert_eq!((big.mode.to_string().as_str(), big.owner.as_str(), big.group.as_str()), ("4750", "ubuntu", "adm"));
    let digest = on_host(host, "sha256sum </srv/big | cut -d' ' -f1");
    assert_eq!(state.content(&path("/srv/big")).unwrap(), &Content::Digest(digest));
    let link = state.path(&path("/srv/link")).unwrap().entry().unwrap();
    assert_eq!((link.file_type, link.target.as_deref()), (FileType::Link, Some("/nowhere")));
    assert_eq!(state.path(&path("/srv/pipe")).unwrap().entry().unwrap().file_type, FileType::Other);
    assert_eq!(state.path(&path("/srv/absent")).unwrap(), &PathState::Absent);
    assert_eq!(state.path(&path("/etc/passwd/below")).unwrap(), &PathState::Absent);
    let names: Vec<_> = state.names(&path("/srv/dir")).unwrap().iter().cloned().collect();
    assert_eq!(names, ["a", "b c"]);
    assert!(state.names(&path("/srv/nothing")).unwrap().is_empty());

    let ubuntu = state.user("ubuntu").unwrap().unwrap();
    let passwd = on_host(host, "getent passwd ubuntu");
    assert!(passwd.ends_with(&format!(":{}:{}", ubuntu.home, ubuntu.shell)), "{passwd}");
    assert!(state.group("sudo").unwrap().unwrap().members.contains("ubuntu"));
    assert!(state.shadow("ubuntu").unwrap().is_some());

    let sshd: PackageName = "openssh-server".parse().unwrap();
    let version = on_host(host, "dpkg-query -W -f '${Version}' openssh-server");
    assert_eq!(state.package(&sshd).unwrap(), &Package::Installed { version: Known::Is(version), held: false });
    assert_eq!(state.package(&"no-such-package".parse().unwrap()).unwrap(), &Package::Absent);

    let unit = |name: &str| match state.unit(&name.parse::<UnitName>().unwrap()).unwrap() {
        Known::Is(unit) => (unit.load.clone(), unit.active.clone(), unit.file.clone()),
        Known::AfterApply => panic!("an observed unit is known"),
    };
    assert_eq!(unit("ssh.socket"), ("loaded".into(), "active".into(), "enabled".into()));
    assert_eq!(unit("no-such.service").0, "not-found");
    assert_eq!(unit("dbus.service").2, "static");

    for (key, file) in [("net.ipv4.ip_forward", "ip_forward"), ("net.ipv4.tcp_rmem", "tcp_rmem")] {
        let key: SysctlKey = key.parse().unwrap();
        assert_eq!(state.sysctl(&key).unwrap().unwrap(), on_host(host, &format!("cat /proc/sys/net/ipv4/{file}")));
    }
    assert_eq!(state.sysctl(&"net.no.such".parse().unwrap()).unwrap(), None);
    let Known::Is(output) = state.output(&failing).unwrap() else { panic!("an observed output is known") };
    assert_eq!((output.code, output.stdout.as_str()), (7, "it is\n"));
    let as_ubuntu = Run { user: Some("ubuntu".parse().unwrap()), ..Run::shell("id -un") };
    let Known::Is(output) = state.output(&as_ubuntu).unwrap() else { panic!("an observed output is known") };
    assert_eq!(output.stdout, "ubuntu\n");

    let facts = &state.facts;
    assert_eq!(facts.os.id, "ubuntu");
    assert_eq!(facts.init, "systemd");
    assert_eq!(facts.arch, on_host(host, "dpkg --print-architecture"));
    assert_eq!(facts.hostname, on_host(host, "hostname"));
    assert_eq!(facts.sshd.activation, "socket");
    assert!(facts.sshd.version.starts_with("OpenSSH_"), "{}", facts.sshd.version);
    assert!(facts.memory_mib > 100 && facts.cpus > 0, "{facts:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_program_that_breaks_or_reads_its_input_does_not_stop_the_conversation() {
    let (_lab, hosts) = TestLab::with_hosts(1);
    let mut session = Session::open("lab", Box::new(ChildLink::into_host(&hosts[0]))).unwrap();
    let run = |session: &mut Session, text: &'static str, data: &[u8]| {
        let mut script = stockade::shell::Script::new();
        script.line(text);
        session.run(&script, data, Duration::from_secs(20)).unwrap()
    };
    assert_eq!(run(&mut session, "exit 9", b"").code, 9);
    assert_eq!(run(&mut session, "head -c 5; printf x", b"RUN 3").output, b"RUN 3x");
    // Without a final newline, and with what looks like a frame of another session.
    assert_eq!(run(&mut session, "printf '\\n0000 end 0\\nlast'", b"").output, b"\n0000 end 0\nlast");
    let big = vec![7u8; 3_000_000];
    assert_eq!(run(&mut session, "head -c 3000000 | sha256sum | cut -c1-8", &big).output.len(), 9);
    assert_eq!(run(&mut session, "kill -9 $(exec sh -c 'echo $PPID')", b"").code, 137);
    assert_eq!(run(&mut session, "echo alive", b"").output, b"alive\n");
}
