//! What the gateway speaks of TLS, asked by OpenSSL: Mozilla's "modern" profile.

use std::io::Write;
use std::process::{Command, Stdio};

use super::harness::{FakeDaemon, Gateway, Options};

const REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What `openssl s_client` says, on both its outputs.
fn client(gateway: &Gateway, words: &[&str], input: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{}", gateway.port), "-servername", "localhost"]);
    command.arg("-CAfile").arg(gateway.path("ca.pem")).args(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end before it has read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

/// Whether a handshake with these words is completed; s_client says so either way.
fn speaks(gateway: &Gateway, words: &[&str]) -> bool {
    // So low that it offers whatever it is told to.
    let said = client(gateway, &[&["-ign_eof", "-cipher", "ALL:@SECLEVEL=0"], words].concat(), REQUEST);
    let (done, refused) = (said.contains("HTTP/1.1 200 OK"), said.contains("alert"));
    assert_ne!(done, refused, "{words:?}: {said}");
    done
}

fn has_openssl() -> bool {
    Command::new("openssl").arg("version").output().is_ok_and(|out| out.status.success())
}

#[test]
fn only_the_modern_profile_is_spoken_unless_tls_1_2_is_asked_for() {
    assert!(has_openssl(), "the openssl program is needed");
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let limits = "attempts_per_client = 0";
    let modern = Gateway::start(&Options { limits, ..Options::before(&socket) });
    let older = Gateway::start(&Options { limits, tls: "min_version = \"1.2\"", ..Options::before(&socket) });
    for (version, of_modern, of_older) in
        [("-tls1_3", true, true), ("-tls1_2", false, true), ("-tls1_1", false, false), ("-tls1", false, false)]
    {
        assert_eq!(speaks(&modern, &[version]), of_modern, "{version}");
        assert_eq!(speaks(&older, &[version]), of_older, "{version} with 1.2 allowed");
    }
    for (suite, fine) in [
        ("TLS_AES_128_GCM_SHA256", true),
        ("TLS_AES_256_GCM_SHA384", true),
        ("TLS_CHACHA20_POLY1305_SHA256", true),
        ("TLS_AES_128_CCM_SHA256", false),
        ("TLS_AES_128_CCM_8_SHA256", false),
    ] {
        assert_eq!(speaks(&modern, &["-tls1_3", "-ciphersuites", suite]), fine, "{suite}");
    }
    for (group, fine) in
        [("X25519", true), ("P-256", true), ("P-384", true), ("P-521", false), ("X448", false), ("ffdhe2048", false)]
    {
        assert_eq!(speaks(&modern, &["-tls1_3", "-groups", group]), fine, "{group}");
    }
    for (suite, fine) in [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", true),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", true),
        ("ECDHE-ECDSA-AES128-SHA256", false),
        ("ECDHE-ECDSA-AES256-SHA", false),
        ("AES128-GCM-SHA256", false),
        ("DHE-RSA-AES128-GCM-SHA256", false),
        ("AECDH-AES128-SHA", false),
    ] {
        assert_eq!(speaks(&older, &["-tls1_2", "-cipher", &format!("{suite}:@SECLEVEL=0")]), fine, "{suite}");
    }
}

#[test]
fn nothing_is_renegotiated_and_nothing_is_sent_early_or_strictly() {
    assert!(has_openssl(), "the openssl program is needed");
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    // A client whose wish is refused waits until it is sent away.
    let limits = "head_seconds = 8";
    let gateway = Gateway::start(&Options { limits, tls: "min_version = \"1.2\"", ..Options::before(&socket) });
    let said = client(&gateway, &["-tls1_2"], "R\n");
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    let said = client(&gateway, &["-tls1_3", "-ign_eof"], REQUEST);
    assert!(said.contains("Max Early Data: 0") && said.contains("Verify return code: 0 (ok)"), "{said}");
    assert!(!said.to_lowercase().contains("strict-transport-security"), "{said}");
    assert!(!gateway.raw(b"GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n").to_lowercase().contains("strict-transport"));
}

#[test]
fn a_session_is_resumed_until_the_gateway_starts_anew() {
    assert!(has_openssl(), "the openssl program is needed");
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    for version in ["-tls1_3", "-tls1_2"] {
        let options = Options { tls: "min_version = \"1.2\"", ..Options::before(&socket) };
        let mut gateway = Gateway::start(&options);
        let file = gateway.path("session.pem");
        let file = file.to_str().unwrap();
        let first = client(&gateway, &[version, "-ign_eof", "-sess_out", file], REQUEST);
        assert!(first.contains("New, TLS") && first.contains("200 OK"), "{first}");
        // The session may be used once with TLS 1.3, and a new one comes with it.
        let again = client(&gateway, &[version, "-ign_eof", "-sess_in", file, "-sess_out", file], REQUEST);
        assert!(again.contains("Reused, TLS") && again.contains("200 OK"), "{again}");
        gateway.restart(&options);
        let after = client(&gateway, &[version, "-ign_eof", "-sess_in", file], REQUEST);
        assert!(after.contains("New, TLS") && after.contains("200 OK"), "{after}");
    }
}
