//! Outside issuers whose keys come from a URL: a real TLS server that rotates
//! them, goes away, or answers what it should not.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use stockade_gateway::token::base64url;

use super::harness::{FakeDaemon, Gateway, Options, PROGRAM, write_certificate};

const ISSUER: &str = "https://ci.test";

/// How the issuer's server answers.
#[derive(Clone)]
enum Reply {
    /// 200 and this text.
    Text(String),
    /// These bytes as they are.
    Raw(String),
    /// A body that does not end.
    Endless,
    /// It takes the request and says nothing.
    Silence,
    /// It closes before the handshake.
    Away,
}

/// An outside issuer with its TLS server.
struct Issuer {
    dir: tempfile::TempDir,
    port: u16,
    reply: Arc<Mutex<Reply>>,
    /// Connections that were accepted.
    connections: Arc<AtomicUsize>,
    /// First lines of the requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    fn start(reply: Reply) -> Issuer {
        let dir = tempfile::tempdir().unwrap();
        write_certificate(dir.path());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(dir.path().join("ca.pem")).unwrap()],
                PrivateKeyDer::from_pem_file(dir.path().join("key.pem")).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let issuer = Issuer {
            dir,
            port,
            reply: Arc::new(Mutex::new(reply)),
            connections: Arc::default(),
            asked: Arc::default(),
        };
        let (reply, connections, asked) =
            (Arc::clone(&issuer.reply), Arc::clone(&issuer.connections), Arc::clone(&issuer.asked));
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (reply, asked, config) = (reply.lock().unwrap().clone(), Arc::clone(&asked), Arc::clone(&config));
                std::thread::spawn(move || converse(stream, &reply, &asked, config));
            }
        });
        issuer
    }

    fn says(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The table of a gateway that trusts this issuer; `settings` may name the authority.
    fn table(&self, settings: &str) -> String {
        format!(
            "attempts_per_client = 0\n[[issuers]]\nissuer = \"{ISSUER}\"\naudience = \"gateway.ci\"\nplain_jwt = true\n\
             jwks_url = \"https://127.0.0.1:{}/keys?tenant=7\"\n{settings}\n\
             [[issuers.rule]]\nclaims = {{ repository = \"acme/shop\" }}\ntenant = \"shop\"\nrole = \"deploy\"\n",
            self.port
        )
    }

    fn pinned(&self, settings: &str) -> String {
        self.table(&format!("jwks_ca = \"{}\"\n{settings}", self.dir.path().join("ca.pem").display()))
    }
}

fn converse(mut stream: TcpStream, reply: &Reply, asked: &Mutex<Vec<String>>, config: Arc<rustls::ServerConfig>) {
    if matches!(reply, Reply::Away) {
        return;
    }
    let Ok(mut session) = rustls::ServerConnection::new(config) else { return };
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    let (mut got, mut part) = (Vec::new(), [0; 4096]);
    while !got.windows(4).any(|four| four == b"\r\n\r\n") {
        match tls.read(&mut part) {
            Ok(count) if count > 0 => got.extend_from_slice(&part[..count]),
            _ => return,
        }
    }
    asked.lock().unwrap().push(String::from_utf8_lossy(&got).lines().next().unwrap().to_owned());
    match reply {
        Reply::Text(text) => {
            let _ = write!(tls, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        }
        Reply::Raw(bytes) => {
            let _ = tls.write_all(bytes.as_bytes());
        }
        Reply::Endless => {
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"keys\":[\"");
            while tls.write_all(&[b'x'; 16 * 1024]).is_ok() {}
            return;
        }
        // Until the other side has enough of it.
        Reply::Silence | Reply::Away => while tls.read(&mut part).is_ok_and(|count| count > 0) {},
    }
    let _ = tls.flush();
    session.send_close_notify();
    let _ = session.write_tls(&mut stream);
}

/// One of the issuer's keys.
struct Key(&'static str, Ed25519KeyPair);

impl Key {
    fn new(kid: &'static str) -> Key {
        Key(kid, Ed25519KeyPair::generate().unwrap())
    }

    fn set(&self) -> Reply {
        let x = base64url::encode(self.1.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.0, "x": x});
        Reply::Text(json!({ "keys": [jwk] }).to_string())
    }

    fn token(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": ISSUER, "sub": "repo:acme/shop", "aud": "gateway.ci", "iat": now, "exp": now + 600,
            "jti": format!("ci-{}", self.0), "repository": "acme/shop"});
        let header = json!({"typ": "JWT", "alg": "EdDSA", "kid": self.0});
        let signed = format!("{}.{}", base64url::encode(header.to_string()), base64url::encode(claims.to_string()));
        format!("{signed}.{}", base64url::encode(self.1.sign(signed.as_bytes()).as_ref()))
    }
}

fn before(daemon: &FakeDaemon, table: &str) -> Gateway {
    Gateway::start(&Options { limits: table, ..Options::before(&daemon.socket()) })
}

#[test]
fn an_issuers_keys_come_from_its_url_and_their_rotation_is_noticed() {
    let (daemon, old, new) = (FakeDaemon::start(), Key::new("k-1"), Key::new("k-2"));
    let issuer = Issuer::start(old.set());
    let gateway = before(&daemon, &issuer.pinned("jwks_refresh_seconds = 3600\njwks_retry_seconds = 1"));
    // The first request may come before the keys; it waits for them a moment.
    gateway.wait_for("the keys", || gateway.get("/_ping", &old.token()).0 == 200);
    assert_eq!(gateway.get("/_ping", &new.token()).0, 401);
    issuer.says(new.set());
    gateway.wait_for("the new key", || gateway.get("/_ping", &new.token()).0 == 200);
    let (status, body) = gateway.get("/_ping", &old.token());
    assert_eq!(status, 401, "a key that was taken back still counts, and so does a verdict with it: {body}");
    assert!(issuer.asked.lock().unwrap().iter().all(|line| line == "GET /keys?tenant=7 HTTP/1.1"));
}

#[test]
fn made_up_key_ids_cause_no_storm_of_fetches() {
    let (daemon, key) = (FakeDaemon::start(), Key::new("k-1"));
    let issuer = Issuer::start(key.set());
    let gateway = before(&daemon, &issuer.pinned("jwks_refresh_seconds = 86400\njwks_retry_seconds = 86400"));
    gateway.wait_for("the keys", || gateway.get("/_ping", &key.token()).0 == 200);
    for kid in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        assert_eq!(gateway.get("/_ping", &Key::new(kid).token()).0, 401, "{kid}");
    }
    assert_eq!(issuer.requests(), 1);
    assert_eq!(gateway.get("/_ping", &key.token()).0, 200);
}

#[test]
fn an_issuer_that_is_away_keeps_its_last_keys_until_they_are_too_old() {
    let (daemon, key) = (FakeDaemon::start(), Key::new("k-1"));
    let issuer = Issuer::start(key.set());
    let age = "jwks_refresh_seconds = 1\njwks_retry_seconds = 1\njwks_max_age_seconds = 20";
    let gateway = before(&daemon, &issuer.pinned(age));
    gateway.wait_for("the keys", || gateway.get("/_ping", &key.token()).0 == 200);
    let own = gateway.token(&["--role=operator"]);

    issuer.says(Reply::Away);
    let before = issuer.connections.load(Ordering::SeqCst);
    gateway.wait_for("a fetch in vain", || issuer.connections.load(Ordering::SeqCst) > before + 1);
    assert_eq!(gateway.get("/_ping", &key.token()).0, 200);
    // A reload is no reason to forget them.
    gateway.signal("HUP");
    gateway.wait_for("the reload", || gateway.said().contains("loaded anew"));
    assert_eq!(gateway.get("/_ping", &key.token()).0, 200);

    // A verdict that is remembered does not outlive the keys.
    let token = key.token();
    gateway.wait_for("the end of the last keys", || gateway.get("/_ping", &token).0 == 503);
    let (_, body) = gateway.get("/_ping", &token);
    assert!(body.contains("issuer.keys") && body.contains("older than 20 s"), "{body}");
    assert!(
        body.contains(&format!("https://127.0.0.1:{}/keys: ", issuer.port)) && !body.contains("tenant=7"),
        "{body}"
    );
    assert_eq!(gateway.get("/_ping", &own).0, 200, "our own tokens do not depend on others");
    gateway.wait_for("a word to the operator", || gateway.said().contains("an issuer's keys were not fetched"));

    issuer.says(key.set());
    gateway.wait_for("the keys again", || gateway.get("/_ping", &token).0 == 200);
}

#[test]
fn what_is_no_key_set_is_not_taken_and_the_reason_is_told() {
    let (daemon, key) = (FakeDaemon::start(), Key::new("k-1"));
    let issuer = Issuer::start(Reply::Away);
    let gateway = before(&daemon, &issuer.pinned("jwks_refresh_seconds = 1\njwks_retry_seconds = 1"));
    let elsewhere = format!("https://localhost:{}/elsewhere", issuer.port);
    let redirect = |status: u16, to: &str| {
        Reply::Raw(format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))
    };
    let Reply::Text(good) = key.set() else { unreachable!() };
    let secret = json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": "k-1", "k": base64url::encode([7; 32])}]});
    for (reply, reason) in [
        (redirect(302, &elsewhere), "redirect (302)"),
        (redirect(307, "/elsewhere"), "redirect (307)"),
        (redirect(301, "http://127.0.0.1/elsewhere"), "redirect (301)"),
        (Reply::Raw("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into()), "answers 500"),
        (Reply::Endless, "larger than 256 KiB"),
        (
            Reply::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{}", " ".repeat(999_999))),
            "larger than",
        ),
        (
            Reply::Raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{good}",
                good.len()
            )),
            "compressed",
        ),
        (Reply::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{good}")), "broken"),
        (Reply::Raw("SSH-2.0-OpenSSH_9.2\r\n".into()), "broken"),
        (Reply::Text("<html>".into()), "JSON"),
        (Reply::Text("{\"keys\":[]}".into()), "no key that can be used"),
        (Reply::Text(secret.to_string()), "keys: "),
        (Reply::Silence, "no whole answer within 10 s"),
    ] {
        issuer.says(reply);
        let mut last = String::new();
        gateway.wait_for(reason, || {
            let (status, body) = gateway.get("/_ping", &key.token());
            assert_eq!(status, 503, "{body}");
            last = body;
            last.contains(reason)
        });
        assert!(last.contains("issuer.keys"), "{last}");
    }
    assert!(!issuer.asked.lock().unwrap().iter().any(|line| line.contains("elsewhere")), "a redirect was followed");
    assert_eq!(daemon.requests(), Vec::<String>::new());
    issuer.says(key.set());
    gateway.wait_for("the keys", || gateway.get("/_ping", &key.token()).0 == 200);
}

#[test]
fn a_server_that_the_authority_does_not_vouch_for_is_asked_nothing() {
    let (daemon, key, other) = (FakeDaemon::start(), Key::new("k-1"), tempfile::tempdir().unwrap());
    let issuer = Issuer::start(key.set());
    write_certificate(other.path());
    let wrong = format!("jwks_ca = \"{}\"\njwks_retry_seconds = 1", other.path().join("ca.pem").display());
    let gateway = before(&daemon, &issuer.table(&wrong));
    gateway.wait_for("the refusal", || gateway.get("/_ping", &key.token()).1.contains("its TLS is refused"));
    assert_eq!(gateway.get("/_ping", &key.token()).0, 503);
    assert_eq!(issuer.requests(), 0);

    // Without a pinned authority the system's roots count, these and no others.
    let table = issuer.table("jwks_retry_seconds = 1");
    for (roots, expected) in [(other.path(), 503), (issuer.dir.path(), 200)] {
        let roots = roots.join("ca.pem");
        let env = [("SSL_CERT_FILE", roots.to_str().unwrap())];
        let gateway = Gateway::start(&Options { limits: &table, env: &env, ..Options::before(&daemon.socket()) });
        gateway.wait_for("an answer", || {
            let (status, body) = gateway.get("/_ping", &key.token());
            status == expected && (status == 200 || body.contains("its TLS is refused"))
        });
    }
}

#[test]
fn a_server_that_says_nothing_holds_up_no_request() {
    let (daemon, key) = (FakeDaemon::start(), Key::new("k-1"));
    let issuer = Issuer::start(Reply::Silence);
    let gateway = before(&daemon, &issuer.pinned("jwks_retry_seconds = 1"));
    let own = gateway.token(&["--role=operator"]);
    gateway.wait_for("the question", || issuer.requests() > 0);
    assert_eq!(gateway.get("/_ping", &own).0, 200);
    let (status, body) = gateway.get("/_ping", &key.token());
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("issuer.keys"), "{body}");
}

#[test]
fn a_url_that_proves_nothing_is_refused_before_the_gateway_serves() {
    let (daemon, key) = (FakeDaemon::start(), Key::new("k-1"));
    let issuer = Issuer::start(key.set());
    let good = issuer.pinned("");
    let gateway = before(&daemon, &good);
    let config = fs::read_to_string(gateway.path("gateway.toml")).unwrap();
    let url = format!("jwks_url = \"https://127.0.0.1:{}/keys?tenant=7\"", issuer.port);
    let check = |text: String| {
        let file = gateway.path("other.toml");
        fs::write(&file, text).unwrap();
        let out = Command::new(PROGRAM).args(["check", "--config"]).arg(&file).output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    assert!(check(config.clone()).0);
    for (wrong, reason) in [
        (format!("jwks_url = \"http://127.0.0.1:{}/keys\"", issuer.port), "is not https"),
        ("jwks_url = \"ftp://127.0.0.1/keys\"".into(), "is not https"),
        ("jwks_url = \"https://u:p@127.0.0.1/keys\"".into(), "neither a user nor a fragment"),
        (format!("{url}\njwks = \"/etc/keys.json\""), "either 'jwks', a file, or 'jwks_url'"),
        (format!("{url}\njwks_retry_seconds = 0"), "at least a second"),
        (format!("{url}\njwks_max_age_seconds = 10"), "maximum age"),
    ] {
        assert!(config.contains(&url));
        let (fine, told) = check(config.replace(&url, &wrong));
        assert!(!fine && told.contains(reason), "{wrong}: {told}");
    }
    // One token judged by the command: it fetches once, and needs no gateway.
    let verify = |issuer_says: Reply| -> Value {
        issuer.says(issuer_says);
        let mut command = Command::new(PROGRAM);
        command.args(["verify", "--config"]).arg(gateway.path("gateway.toml"));
        let mut child =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{}\n", key.token()).as_bytes()).unwrap();
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
    };
    assert_eq!(verify(key.set())["ok"], true);
    let verdict = verify(Reply::Away);
    assert_eq!(verdict["ok"], false);
    assert!(verdict["reason"].as_str().unwrap().contains("keys cannot be had"), "{verdict}");
}
