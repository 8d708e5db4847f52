//! Tests of `docker_daemon`.

use super::*;

#[test]
fn every_way_to_write_a_network_listener_is_seen() {
    for command in [
        "dockerd -H tcp://0.0.0.0:2375",
        "dockerd -H=tcp://0.0.0.0:2375",
        "dockerd --host tcp://127.0.0.1:2375",
        "dockerd --host=tcp://[::]:2375 -H fd://",
        "dockerd -H fd:// -H \"tcp://0.0.0.0\"",
        "dockerd -Htcp://0.0.0.0:2375",
        "dockerd -H :2375",
    ] {
        assert!(Listens::from_command(command).network().is_some(), "{command}");
    }
    let quiet = Listens::from_command("dockerd -H fd:// --containerd=/run/containerd/containerd.sock --tlsverify");
    assert_eq!((quiet.network(), quiet.tls_verify), (None, true));
    assert_eq!(Listens::from_command("dockerd --containerd=/x").addresses, None);
}

#[test]
fn daemon_json_is_read_as_dockerd_does() {
    assert_eq!(Listens::from_json(b"  ").unwrap(), Listens::default());
    let json = Listens::from_json(br#"{"hosts": ["unix:///run/docker.sock", "0.0.0.0:2375"]}"#).unwrap();
    assert_eq!(json.network(), Some("0.0.0.0:2375"));
    for bad in ["[]", "{", r#"{"hosts": "tcp://x"}"#, r#"{"hosts": [1]}"#] {
        assert!(Listens::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
}
