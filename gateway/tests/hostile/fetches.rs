//! What the daemon would fetch for whoever asks: a listener of the test's own
//! on loopback must hear of none of it.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::parties::{encoded, judged, site, tar};
use crate::process::engine::image;

/// Sources of `ADD`; HOST stands for the listener, PORT for its port.
const SOURCES: &[&str] = &[
    "ADD http://HOST/x /x",
    "add http://HOST/x /x",
    "ADD HTTP://HOST/x /x",
    "ADD hTTp://HOST/x /x",
    "ADD [\"http://HOST/x\", \"/x\"]",
    "ADD [\"http:\\u002f/HOST/x\", \"/x\"]",
    "ADD [ \"Dockerfile\", \"http://HOST/x\", \"/x/\" ]",
    "ADD Dockerfile http://HOST/x /x/",
    "ADD \"http://HOST/x\" /x",
    "ADD 'http://HOST/x' /x",
    "ADD http://HO\\\nST/x /x",
    "ADD ht\\\n# a comment\ntp://HOST/x /x",
    "ADD \\\n\\\nhttp://HOST/x /x",
    "ADD h\\ttp://HOST/x /x",
    "ADD --chown=1:1 http://HOST/x /x",
    "ARG U=http://HOST/x\nADD $U /x",
    "ARG U\nADD ${U:-http://HOST/x} /x",
    "ARG S=http\nADD ${S}://HOST/x /x",
    "ENV U=http://HOST/x\nADD ${U} /x",
    "ADD http${X}://HOST/x /x",
    "ADD http://${X}HOST/x /x",
    "ADD http://docker.io@HOST/x /x",
    "ADD http://docker.io:80@HOST/x /x",
    "ADD http://docker.io%40HOST/x /x",
    "ADD http://docker.io#@HOST/x /x",
    "ADD http://docker.io\\@HOST/x /x",
    "ADD http://localhost:PORT/x /x",
    "ADD http://localhost.:PORT/x /x",
    "ADD http://LOCALHOST:PORT/x /x",
    "ADD http://[::1]:PORT/x /x",
    "ADD http://[::ffff:127.0.0.1]:PORT/x /x",
    "ADD http://[0:0:0:0:0:ffff:7f00:1]:PORT/x /x",
    "ADD http://0:PORT/x /x",
    "ADD http://0.0.0.0:PORT/x /x",
    "ADD http://127.1:PORT/x /x",
    "ADD http://2130706433:PORT/x /x",
    "ADD http://0x7f000001:PORT/x /x",
    "ADD http://0177.0.0.1:PORT/x /x",
    "ADD http://127.0.0.1:0PORT/x /x",
    "ADD https://HOST/x /x",
    "ADD http://169.254.169.254/latest/meta-data /x",
    "ADD git://HOST/x.git /x",
    "ADD http://HOST/x.git#main /x",
    "ADD git@127.0.0.1:x.git /x",
    "ADD ssh://HOST/x /x",
    "ADD ftp://HOST/x /x",
    "ADD file:///etc/shadow /x",
    "ONBUILD ADD http://HOST/x /x\nFROM base",
    "# escape=`\nADD http`\n://HOST/x /x",
    "ADD <<EOF /x\nhttp://HOST/x\nEOF",
    "ADD --checksum=sha256:0 http://HOST/x /x",
    "ADD --link http://HOST/x /x",
    "FROM BASE AS other\nADD http://HOST/x /x\nFROM BASE",
];

/// Other operations that take an address: method, target, body.
const CALLS: &[(&str, &str, &str)] = &[
    ("POST", "/build?remote=http%3A%2F%2FHOST%2Fx", ""),
    ("POST", "/build?remote=git%3A%2F%2FHOST%2Fx.git", ""),
    ("POST", "/build?remote=client-session", ""),
    ("POST", "/build?remote=HOST%2Fx.git%23main", ""),
    ("POST", "/images/create?fromSrc=http%3A%2F%2FHOST%2Fx", ""),
    ("POST", "/images/create?fromSrc=HOST%2Fx", ""),
    ("POST", "/images/create?fromImage=HOST%2Fcorp%2Fx&tag=1", ""),
    ("POST", "/images/create?fromImage=localhost%3APORT%2Fcorp%2Fx&tag=1", ""),
    ("POST", "/images/create?fromImage=docker.io%2F..%2FHOST%2Fx&tag=1", ""),
    ("POST", "/images/create?fromImage=%5B%3A%3A1%5D%3APORT%2Fx&tag=1", ""),
    ("POST", "/images/HOST/corp/x/push?tag=1", ""),
    ("GET", "/distribution/HOST/corp/x/json", ""),
    ("GET", "/images/search?term=HOST%2Fx", ""),
    ("GET", "/images/search?term=localhost%3APORT%2Fx", ""),
    ("POST", "/auth", r#"{"serveraddress":"HOST"}"#),
    ("POST", "/auth", r#"{"serveraddress":"http://HOST/v2/"}"#),
    ("POST", "/auth", r#"{"serveraddress":"https://docker.io@HOST/v1/"}"#),
    ("POST", "/auth", r#"{"serveraddress":"localhost:PORT"}"#),
    ("POST", "/plugins/pull?remote=HOST%2Fx", "[]"),
];

/// One who listens on loopback, on both families.
struct Listener {
    port: u16,
    heard: Arc<AtomicUsize>,
}

impl Listener {
    fn start() -> Listener {
        let heard = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let six = TcpListener::bind(("::1", port)).ok();
        for listener in [Some(listener), six].into_iter().flatten() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || {
                for _ in listener.incoming() {
                    heard.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Listener { port, heard }
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn the_daemon_fetches_from_no_host_that_the_role_does_not_list() {
    let site = site("fetch");
    let listener = Listener::start();
    let host = format!("127.0.0.1:{}", listener.port);
    let put =
        |text: &str| text.replace("HOST", &host).replace("PORT", &listener.port.to_string()).replace("BASE", &image());
    let (mut tried, mut through) = (0, Vec::new());
    for source in SOURCES {
        for party in [&site.thief, &site.operator] {
            tried += 1;
            let before = listener.heard();
            let text = match source.strip_prefix("# escape=`\n") {
                Some(rest) => format!("# escape=`\nFROM {}\n{}\n", image(), put(rest)),
                None => format!("FROM {}\n{}\n", image(), put(source)),
            };
            let told = site.build(party, "", &text);
            if told.built() || told.status < 400 || listener.heard() != before {
                through.push(format!("{source:?}: {} {}", told.status, told.text));
            }
        }
    }
    let deploy = super::parties::Party {
        name: site.thief.name.clone(),
        token: site.gateway.token(&["--role=deploy", &format!("--tenant={}", site.thief.name)]),
    };
    for (method, target, body) in CALLS {
        tried += 1;
        let before = listener.heard();
        let told = site.send(&deploy, method, &put(target), "application/json", put(body).as_bytes());
        if !(400..500).contains(&told.status) || listener.heard() != before {
            through.push(format!("{method} {target}: {} {}", told.status, told.text));
        }
    }
    for remote in ["http://HOST/x", "git://HOST/x.git"] {
        for party in [&site.thief, &site.operator] {
            tried += 1;
            let before = listener.heard();
            let context = tar(&[("Dockerfile", "FROM scratch\n")]);
            let told = site.build_of(party, &format!("remote={}", encoded(&put(remote))), &context);
            if told.status < 400 || listener.heard() != before {
                through.push(format!("remote={remote}: {} {}", told.status, told.text));
            }
        }
    }
    // The same straight at the engine is heard of.
    let before = listener.heard();
    let _ = crate::process::engine::ask("POST", &put("/build?remote=http%3A%2F%2FHOST%2Fx"), &Value::Null);
    assert!(listener.heard() > before, "the engine fetches nothing, so nothing is proved");
    judged("fetches", tried, &through);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn no_small_request_costs_much() {
    let site = site("cost");
    let (mut tried, mut through) = (0, Vec::new());
    for kind in ["ENV", "ARG"] {
        tried += 1;
        let mut text = format!("FROM {}\n{kind} a=0123456789abcdef\n", image());
        for _ in 0..40 {
            text.push_str(&format!("{kind} a=$a$a$a$a\n"));
        }
        let told = site.build(&site.thief, "", &text);
        if told.built() || told.status < 400 {
            through.push(format!("{kind} that doubles: {}", told.status));
        }
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!("{{\"label\":[{}]}}", vec!["\"a\""; 20_000].join(","));
    for (what, told) in [
        ("deep JSON", site.send(&site.thief, "POST", "/containers/create", "application/json", deep.as_bytes())),
        ("deep filters", site.get(&site.thief, &format!("/containers/json?filters={}", encoded(&"[".repeat(5_000))))),
        ("huge filters", site.get(&site.thief, &format!("/containers/json?filters={}", encoded(&wide)))),
        ("a gzip bomb", site.build_of(&site.thief, "", &bomb())),
        ("many instructions", site.build(&site.thief, "", &format!("FROM {}\n{}", image(), "ENV a=b\n".repeat(5_000)))),
    ] {
        tried += 1;
        if !(400..500).contains(&told.status) {
            through.push(format!("{what}: {} {}", told.status, told.text));
        }
    }
    // And the gateway still serves.
    assert_eq!(site.get(&site.thief, "/_ping").status, 200);
    judged("costly requests", tried, &through);
}

/// A small gzip archive of more zeros than the role's `stream` allows.
fn bomb() -> Vec<u8> {
    let script = "head -c 200000000 /dev/zero | gzip -c";
    std::process::Command::new("sh").args(["-c", script]).output().unwrap().stdout
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn networks_at_once_stay_within_the_tenants_number() {
    let site = site("net");
    let made: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|at| {
                let site = &site;
                scope.spawn(move || {
                    let told = site.post(&site.thief, "/networks/create", &json!({ "Name": format!("n{at}") }));
                    usize::from(told.status == 201)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    judged("networks at once", 12, &if made > 8 { vec![format!("{made} networks were made")] } else { vec![] });
    assert!(made >= 1, "none was made, so nothing is proved");
}
