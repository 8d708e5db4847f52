//! A gateway before the engine, and who asks it: a role, with or without a tenant.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::process::engine::{Image, ask, container, docker_socket, image, inspect};
use crate::process::harness::{Gateway, Options};

/// A gateway with the bundled roles and one more, `own`, which may what these may not.
pub struct Site {
    _image: Image,
    _roles: tempfile::TempDir,
    /// A directory of the host that `own` lists.
    pub listed: tempfile::TempDir,
    pub gateway: Gateway,
    /// A port of this machine that counts who calls.
    pub port: u16,
    calls: Arc<AtomicUsize>,
}

impl Site {
    pub fn new() -> Site {
        let socket = docker_socket();
        let image = Image::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        std::thread::spawn(move || {
            for _ in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        let (roles, listed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = format!(
            "[role.own]\nallow = [\"class:read\", \"class:run\", \"class:change\"]\nregistries = [\"*\"]\n\
             binds = [\"{}\", \"/var/run\", \"/run\"]\nfetch = [\"127.0.0.1:{port}\"]\n\
             log_addresses = [\"udp://127.0.0.1:{port}\"]\n\
             grants = [\"build\", \"privileged\", \"devices\", \"host-network\", \"host-namespaces\", \"log-drivers\", \"foreign\"]\n",
            listed.path().canonicalize().unwrap().display(),
        );
        std::fs::write(roles.path().join("own.toml"), own).unwrap();
        let top = format!("roles = \"{}\"", roles.path().display());
        let options = Options { top: &top, limits: "attempts_per_client = 0", ..Options::before(socket) };
        let gateway = Gateway::start(&options);
        Site { _image: image, _roles: roles, listed, gateway, port, calls }
    }

    /// How many have called the port so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// An answer: its status and its body.
pub type Answer = (u16, String);

/// Who asks. All that has the prefix in its name goes with it.
pub struct Who<'a> {
    pub site: &'a Site,
    pub role: &'static str,
    /// The tenant has the prefix as its name.
    pub tenant: bool,
    /// Whether the row says yes.
    pub may: bool,
    pub prefix: String,
    token: String,
    /// Whether it was lent the prefix of another.
    lent: bool,
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl<'a> Who<'a> {
    pub fn new(site: &'a Site, role: &'static str, tenant: bool, may: bool) -> Who<'a> {
        let prefix = format!("roles{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        Who { token: token(site, role, tenant, &prefix), site, role, tenant, may, prefix, lent: false }
    }

    /// The same owner with another role.
    pub fn with_role(&self, role: &'static str) -> Who<'a> {
        let token = token(self.site, role, self.tenant, &self.prefix);
        Who { token, role, prefix: self.prefix.clone(), lent: true, ..*self }
    }

    /// Another tenant.
    pub fn other(&self) -> Who<'a> {
        Who::new(self.site, "operator", true, true)
    }

    /// A name as this one gives it, and as the host has it.
    pub fn name(&self, what: &str) -> (String, String) {
        let joint = if self.tenant { "__" } else { "-" };
        let on_host = format!("{}{joint}{what}", self.prefix);
        (if self.tenant { what.to_owned() } else { on_host.clone() }, on_host)
    }

    /// Sends a request, with a body that is JSON unless it is null.
    pub fn send(&self, method: &str, target: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send_as(method, target, "application/json", body.as_bytes())
    }

    pub fn send_as(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> Answer {
        let (token, kind) = (format!("Authorization: Bearer {}", self.token), format!("Content-Type: {kind}"));
        let headers = [token.as_str(), kind.as_str()];
        let headers = if body.is_empty() { &headers[..1] } else { &headers[..] };
        self.site.gateway.request(method, &format!("/v1.41{target}"), headers, body)
    }

    pub fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &Value::Null)
    }

    /// `POST` without a body.
    pub fn post(&self, target: &str) -> Answer {
        self.send("POST", target, &Value::Null)
    }

    /// Asks for a container that sleeps.
    pub fn create(&self, name: &str, host: Value) -> Answer {
        let script = "echo begun; exec sleep 600";
        let body = json!({ "Image": image(), "Cmd": ["/bin/sh", "-c", script], "HostConfig": host,
            "ExposedPorts": { "80/tcp": {} }, "Labels": { "prefix": self.prefix } });
        self.send("POST", &format!("/containers/create?name={name}"), &body)
    }

    /// A container of the same owner that runs, made by the role `operator`.
    pub fn running(&self, what: &str) -> (String, String) {
        let (name, on_host) = self.name(what);
        let operator = self.with_role("operator");
        good(&operator.create(&name, json!({})));
        good(&operator.post(&format!("/containers/{name}/start")));
        self.site.gateway.wait_for("the container's first line", || {
            operator.get(&format!("/containers/{name}/logs?stdout=1")).1.contains("begun")
        });
        (name, on_host)
    }

    /// What came of a request: done and seen, or refused by the rule and without
    /// effect. A role that may not call it at all is refused by its own rule.
    #[track_caller]
    pub fn outcome(&self, may: bool, what: &str, answer: &Answer, rule: &str, came_about: bool) {
        let of = format!("{} {}, {what}: {answer:?}", self.role, if self.tenant { "of a tenant" } else { "" });
        if may {
            assert!((200..300).contains(&answer.0), "refused: {of}");
            assert!(came_about, "not seen at the daemon: {of}");
        } else {
            let rule = if self.role == "read" { "role.read.allow" } else { rule };
            assert!(answer.0 == 403 && answer.1.contains(&format!("(rule: {rule}")), "not refused by {rule}: {of}");
            assert!(!came_about, "it has come about: {of}");
        }
    }
}

fn token(site: &Site, role: &str, tenant: bool, prefix: &str) -> String {
    let (role, of) = (format!("--role={role}"), format!("--tenant={prefix}"));
    let words = [role.as_str(), "--lifetime=900", of.as_str()];
    site.gateway.token(if tenant { &words } else { &words[..2] })
}

impl Drop for Who<'_> {
    fn drop(&mut self) {
        if self.lent {
            return;
        }
        let named = |list: &str, of: &str, id: &str| -> Vec<String> {
            let (_, found) = ask("GET", list, &Value::Null);
            let list = if of.is_empty() { found } else { found[of].clone() };
            let list = list.as_array().cloned().unwrap_or_default();
            let ours = list.into_iter().filter(|object| object.to_string().contains(&self.prefix));
            ours.filter_map(|object| object[id].as_str().map(str::to_owned)).collect()
        };
        for id in named("/containers/json?all=1", "", "Id") {
            ask("DELETE", &format!("/containers/{id}?force=1&v=1"), &Value::Null);
        }
        for name in named("/volumes", "Volumes", "Name") {
            ask("DELETE", &format!("/volumes/{name}?force=1"), &Value::Null);
        }
        for id in named("/networks", "", "Id") {
            ask("DELETE", &format!("/networks/{id}"), &Value::Null);
        }
        for id in named("/images/json", "", "Id") {
            let (_, image) = ask("GET", &format!("/images/{id}/json"), &Value::Null);
            for tag in image["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if tag.contains(&self.prefix) {
                    ask("DELETE", &format!("/images/{tag}?force=1"), &Value::Null);
                }
            }
            if image["RepoTags"].as_array().is_none_or(Vec::is_empty) {
                ask("DELETE", &format!("/images/{id}"), &Value::Null);
            }
        }
    }
}

#[track_caller]
pub fn good(answer: &Answer) {
    assert!((200..300).contains(&answer.0), "{answer:?}");
}

/// A member of a container's HostConfig, as the daemon has it.
pub fn host_config(on_host: &str, member: &str) -> Value {
    container(on_host).map_or(Value::Null, |found| found["HostConfig"][member].clone())
}

pub fn there(target: &str) -> bool {
    inspect(target).is_some()
}

/// Whether a container has a file.
pub fn has_file(on_host: &str, path: &str) -> bool {
    let head = format!("HEAD /containers/{on_host}/archive?path={path} HTTP/1.0\r\nHost: docker\r\n\r\n");
    crate::process::engine::straight(head.as_bytes()).split(' ').nth(1) == Some("200")
}

/// The JSON of an answer, whatever its framing.
pub fn json_of(answer: &Answer) -> Value {
    let (from, to) = (answer.1.find(['{', '[']).unwrap_or(0), answer.1.rfind(['}', ']']).map_or(0, |at| at + 1));
    serde_json::from_str(answer.1.get(from..to).unwrap_or("")).unwrap_or_default()
}

/// A text in a query.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A tar archive of one file.
pub fn tar(name: &str, text: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}
