//! Tests of `container`.

#![allow(clippy::unwrap_used)]
use super::*;

fn args() -> Vec<String> {
    let spec = Spec {
        container: "c",
        host: "lab1",
        lab: "/a b/lab",
        base: "ubuntu:24.04",
        user: "ubuntu",
        groups: "lab,docker",
        image: "image:1",
        host_keys: &HostKeyType::ALL,
    };
    run_args(&spec, 21000)
}

fn has(args: &[String], words: &[&str]) -> bool {
    args.windows(words.len()).any(|window| window == words)
}

#[test]
fn a_host_is_never_privileged_and_listens_on_loopback_only() {
    let args = args();
    assert!(!args.iter().any(|arg| arg.contains("privileged") || arg == "ALL" || arg.contains("--net")));
    let after = |flag: &str| -> Vec<&str> {
        args.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].as_str()).collect()
    };
    assert_eq!(after("--publish"), ["127.0.0.1:21000:22"]);
    assert_eq!(after("--cap-add"), ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYSLOG", "AUDIT_WRITE"]);
    let words = ["image:1", "/usr/local/lib/stockade-lab/init", "rsa", "ecdsa", "ed25519"];
    assert_eq!(args[args.len() - words.len()..], words);
}

#[test]
fn nothing_of_the_machine_is_mounted_but_volumes_of_the_host_s_own() {
    let args = args();
    let volumes: Vec<_> = args.windows(2).filter(|pair| pair[0] == "--volume").map(|pair| &pair[1]).collect();
    assert_eq!(volumes, ["c-docker:/var/lib/docker", "c-containerd:/var/lib/containerd"]);
    assert!(args.contains(&"--cgroupns=private".to_owned()));
}

#[test]
fn labels_are_enough_to_find_a_host_again() {
    let args = args();
    for label in ["stockade.lab=/a b/lab", "stockade.lab.name=lab1", "stockade.lab.user=ubuntu"] {
        assert!(has(&args, &["--label", label]), "{label}");
    }
    let inspected = serde_json::json!({
        "Id": "abc", "State": {"Status": "running"},
        "Config": {"Labels": {"stockade.lab.name": "lab1", "stockade.lab.base": "b", "stockade.lab.user": "ubuntu",
            "stockade.lab.groups": "lab,docker"}},
        "NetworkSettings": {"Ports": {"22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40001"}]}},
    });
    let seen = read(&inspected).unwrap();
    assert_eq!((seen.name.as_str(), seen.port), ("lab1", Some(40001)));
    assert_eq!(seen.groups, ["lab", "docker"]);
    let stopped = serde_json::json!({"Id": "abc", "State": {"Status": "exited"},
            "Config": inspected["Config"], "NetworkSettings": {"Ports": {}}});
    assert_eq!(read(&stopped).unwrap().port, None);
    assert_eq!(read(&serde_json::json!({"Id": "foreign"})), None);
}

#[test]
fn only_key_lines_become_host_keys() {
    assert_eq!(key("ssh-ed25519 AAAA+/= root@lab1").as_deref(), Some("ssh-ed25519 AAAA+/="));
    for bad in ["", "ssh-ed25519", "# x y", "@revoked ssh-rsa AAAA", "ssh-rsa A\u{7}"] {
        assert_eq!(key(bad), None, "{bad:?}");
    }
}

#[test]
fn a_port_without_an_ssh_server_is_told_from_one_with() {
    use std::io::Write;
    use std::net::TcpListener;
    for (greeting, good) in [("SSH-2.0-x\r\n", true), ("220 smtp\r\n", false), ("", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.write_all(greeting.as_bytes());
            }
        });
        let limit = if good { READY } else { Duration::from_millis(100) };
        assert_eq!(wait_for_banner(port, Instant::now() + limit).is_ok(), good, "{greeting:?}");
    }
}
