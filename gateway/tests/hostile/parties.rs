//! A gateway before the engine, with two tenants that may build.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::engine::{Image, docker_socket, image};
use crate::process::harness::{Gateway, Options, status};

/// A role that may do all that a tenant can, and build.
const ROLES: &str = r#"
[role.shop]
allow = ["class:read", "class:run", "class:change", "ImageBuild", "ImageLoad"]
grants = ["build"]
registries = ["docker.io", "REGISTRY"]
root = true
stream = "64m"
"#;

/// One who uses the gateway.
pub struct Party {
    pub name: String,
    pub token: String,
}

/// Two tenants and an operator.
pub struct Site {
    pub gateway: Gateway,
    pub victim: Party,
    pub thief: Party,
    pub operator: Party,
    _image: Image,
    _roles: tempfile::TempDir,
}

/// An answer: its status, its text, and how long it took.
pub struct Told {
    pub status: u16,
    pub text: String,
    pub time: Duration,
}

impl Told {
    /// Whether a build made an image.
    pub fn built(&self) -> bool {
        self.text.contains("Successfully built")
    }
}

pub fn site(what: &str) -> Site {
    site_with(what, "registry.test")
}

/// Tenants who may pull from a registry besides.
pub fn site_with(what: &str, registry: &str) -> Site {
    let socket = docker_socket();
    let image = Image::new();
    let roles = tempfile::tempdir().unwrap();
    std::fs::write(roles.path().join("roles.toml"), ROLES.replace("REGISTRY", registry)).unwrap();
    let top = format!("roles = \"{}\"", roles.path().display());
    let options = Options { top: &top, limits: "attempts_per_client = 0", ..Options::before(socket) };
    let gateway = Gateway::start(&options);
    let party = |name: String| {
        let tenant = format!("--tenant={name}");
        let token = gateway.token(&["--role=shop", &tenant, "--lifetime=900"]);
        Party { name, token }
    };
    let id = std::process::id();
    let (victim, thief) = (party(format!("{what}v{id}")), party(format!("{what}t{id}")));
    let token = gateway.token(&["--role=operator", "--lifetime=900"]);
    let site =
        Site { victim, thief, operator: Party { name: String::new(), token }, gateway, _image: image, _roles: roles };
    // Both are known from their first request on.
    for party in [&site.victim, &site.thief] {
        assert_eq!(site.get(party, "/_ping").status, 200);
    }
    site
}

impl Site {
    /// One request on the gateway's local socket, which TLS does not slow down.
    pub fn send(&self, party: &Party, method: &str, target: &str, kind: &str, body: &[u8]) -> Told {
        let mut stream = UnixStream::connect(self.gateway.path("local.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let head = format!(
            "{method} /v1.41{target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            party.token,
            body.len()
        );
        let start = Instant::now();
        // A refusal may come before all is sent.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let time = start.elapsed();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let text = answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned());
        Told { status: status(&answer), text, time }
    }

    pub fn get(&self, party: &Party, target: &str) -> Told {
        self.send(party, "GET", target, "application/json", b"")
    }

    pub fn post(&self, party: &Party, target: &str, body: &Value) -> Told {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(party, "POST", target, "application/json", body.as_bytes())
    }

    pub fn build(&self, party: &Party, query: &str, dockerfile: &str) -> Told {
        self.build_of(party, query, &tar(&[("Dockerfile", dockerfile)]))
    }

    pub fn build_of(&self, party: &Party, query: &str, context: &[u8]) -> Told {
        self.send(party, "POST", &format!("/build?{query}"), "application/x-tar", context)
    }

    /// An image of the victim's with a file that its last layer has not, and
    /// its layers, the image itself first.
    pub fn victims_image(&self) -> Vec<String> {
        let text = format!("FROM {}\nRUN echo of-the-victim > /secret\nRUN /bin/busybox rm /secret\n", image());
        let told = self.build(&self.victim, &format!("t={}/app:1", self.victim.name), &text);
        assert!(told.built(), "{}", told.text);
        let (_, layers) =
            crate::process::engine::ask("GET", &format!("/images/{}/app:1/history", self.victim.name), &Value::Null);
        let ids = layers.as_array().unwrap().iter().filter_map(|layer| layer["Id"].as_str());
        ids.filter(|id| id.starts_with("sha256:")).map(str::to_owned).collect()
    }
}

/// All that the tenants have goes with the test.
impl Drop for Site {
    fn drop(&mut self) {
        for name in [&self.victim.name, &self.thief.name] {
            let script = "f=label=io.stockade.tenant=$0
                docker ps -aq -f $f | xargs -r docker rm -fv
                docker images -q -f $f | xargs -r docker rmi -f; docker images -aq -f $f | xargs -r docker rmi -f
                docker network ls -q -f $f | xargs -r docker network rm
                docker volume ls -q -f $f | xargs -r docker volume rm";
            let _ = Command::new("sh").args(["-c", script, name]).output();
        }
    }
}

/// An archive of plain files.
pub fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, text) in files {
        entry(&mut out, name, b'0', "", text.as_bytes());
    }
    out.extend_from_slice(&[0; 1024]);
    out
}

/// One entry of an archive.
pub fn entry(out: &mut Vec<u8>, name: &str, kind: u8, link: &str, data: &[u8]) {
    let mut head = [0_u8; 512];
    let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", data.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(157, link);
    put(257, "ustar\x0000");
    head[156] = kind;
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// Percent-encodes all but letters and digits.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Says how many rows were tried, and fails with those that got through.
#[track_caller]
pub fn judged(table: &str, tried: usize, through: &[String]) {
    println!("bypass table: {tried} tried, {} through ({table})", through.len());
    assert!(through.is_empty(), "{table}:\n{}", through.join("\n"));
}
