//! Docker's clients as their makers publish them, straight to the daemon and
//! through the gateway, side by side: what passes the one way passes the other.
//!
//! Each client has a program of flows in `clients/`, which prints `ok NAME` or
//! `not ok NAME:: why` a line. `clients/install.sh` installs the libraries,
//! without which the test fails. What the role refuses by design is listed in
//! `clients/refused.toml` with its reason and what would allow it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::process::engine::docker_socket;
use crate::process::harness::{Gateway, Options};
use crate::sample::share;

/// How a client gives its token.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// A header of its own, over TLS: `HttpHeaders`, or the library's option.
    Tls,
    /// A header of its own, to the gateway's local socket.
    Local,
    /// None: a socket that adds it, as `stockade connect` serves one.
    Relay,
}

struct Client {
    name: &'static str,
    /// Its program and arguments; `{here}` and `{clients}` are directories.
    program: &'static [&'static str],
    way: Way,
    /// As many flows as must at least pass directly, or nothing is proved.
    least: usize,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "docker-compose",
        program: &["{clients}/py/bin/python", "{here}/compose.py"],
        way: Way::Relay,
        least: 18,
    },
    Client { name: "docker", program: &["bash", "{here}/cli.sh"], way: Way::Tls, least: 117 },
    Client {
        name: "docker-py",
        program: &["{clients}/py/bin/python", "{here}/docker_py.py"],
        way: Way::Relay,
        least: 35,
    },
    Client { name: "dockerode", program: &["node", "{here}/dockerode.mjs"], way: Way::Tls, least: 38 },
    Client { name: "bollard", program: &["{clients}/bollard/debug/bollard-flows"], way: Way::Local, least: 27 },
    Client { name: "testcontainers-node", program: &["node", "{here}/testcontainers.mjs"], way: Way::Relay, least: 10 },
    Client {
        name: "testcontainers",
        program: &["{clients}/py/bin/python", "{here}/testcontainers_py.py"],
        way: Way::Relay,
        least: 9,
    },
];

/// A flow that the role refuses by design.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    client: String,
    flow: String,
    /// Part of the refusal that the client shows.
    says: String,
    /// Why it is refused.
    reason: String,
    /// What allows it.
    allowed_by: String,
}

#[derive(Deserialize)]
struct RefusedFile {
    refused: Vec<Refused>,
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Where `install.sh` has put the libraries.
fn installed() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
    let dir = std::env::var_os("STOCKADE_CLIENTS").map_or(beside, PathBuf::from);
    for name in ["py", "compose", "node", "registry", "bollard"] {
        let done = dir.join(format!("{name}.done"));
        assert!(done.exists(), "{} is not there; run gateway/tests/clients/install.sh", done.display());
    }
    dir.canonicalize().unwrap()
}

/// The docker program, straight to the daemon.
fn docker(words: &[&str]) -> String {
    let mut command = Command::new("docker");
    for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
        command.env_remove(name);
    }
    String::from_utf8_lossy(&command.args(words).output().unwrap().stdout).into_owned()
}

/// An image of this machine's busybox; removed when dropped.
struct Base(String);

impl Base {
    fn new() -> Base {
        let name = format!("stk-clients/base:{}", std::process::id());
        let script = format!("'{}'/image.sh | docker import --change 'CMD [\"/bin/sh\"]' - {name}", here().display());
        let made = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Base(name)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

/// A registry on a port of loopback, where the engine needs no TLS.
fn registry(clients: &Path, dir: &Path) -> (Running, String) {
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = dir.join("registry.yml");
        let root = dir.join("registry");
        let text = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: '{}' }} }}\nhttp: {{ addr: '{address}' }}\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(dir.join("registry.log")).unwrap();
        let child = Command::new(clients.join("registry/usr/bin/docker-registry"))
            .arg("serve")
            .arg(&config)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut child = Running(child);
        let start = Instant::now();
        // It ends where another program has taken the port meanwhile.
        while child.0.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(60) {
            if TcpStream::connect(&address).is_ok() {
                return (child, address);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("no registry: {}", fs::read_to_string(dir.join("registry.log")).unwrap_or_default());
}

/// A socket that adds the token for clients that cannot.
fn relay(gateway: &Gateway) -> Running {
    let mut child = Command::new("python3")
        .arg(here().join("relay.py"))
        .args([gateway.path("relay.sock"), gateway.path("local.sock"), gateway.path("token")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    Running(child)
}

/// What every run of flows is given.
struct Site {
    clients: PathBuf,
    image: String,
    registry: String,
    gateway: Gateway,
    token: String,
}

/// How the flows of a client ended, one way: none where they passed, else why not.
type Flows = BTreeMap<String, Option<String>>;

impl Site {
    /// Runs a client's flows one way.
    fn flows(&self, client: &Client, through: bool) -> Flows {
        let side = if through { "through" } else { "direct" };
        // A prefix of all names: others may use this engine at the same time, and a
        // client that is run again finds neither files nor names of its first run.
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("stk-{}-{side}-{run}-{}", client.name, std::process::id());
        let work = self.gateway.path(&name);
        fs::create_dir_all(&work).unwrap();
        let fill = |word: &&str| {
            word.replace("{here}", here().to_str().unwrap()).replace("{clients}", self.clients.to_str().unwrap())
        };
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "480"]).args(client.program.iter().map(fill));
        for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("DOCKER_")) {
            command.env_remove(variable);
        }
        command
            .env("CLIENTS", &self.clients)
            .env("CLIENTS_IMAGE", &self.image)
            .env("CLIENTS_REGISTRY", &self.registry)
            .env("CLIENTS_NAME", &name)
            .env("CLIENTS_WORK", &work)
            .env("CLIENTS_THROUGH", if through { "1" } else { "0" })
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let socket = |path: &Path| format!("unix://{}", path.display());
        let config = self.gateway.path(&format!("{name}.config"));
        fs::create_dir_all(&config).unwrap();
        match client.way {
            _ if !through => {
                command.env("DOCKER_HOST", socket(Path::new("/var/run/docker.sock")));
            }
            Way::Tls => {
                let headers =
                    serde_json::json!({ "HttpHeaders": { "Authorization": format!("Bearer {}", self.token) } });
                fs::write(config.join("config.json"), headers.to_string()).unwrap();
                command
                    .env("DOCKER_HOST", format!("tcp://127.0.0.1:{}", self.gateway.port))
                    .env("DOCKER_TLS_VERIFY", "1")
                    .env("DOCKER_CERT_PATH", self.gateway.path("tls"))
                    .env("CLIENTS_TOKEN", &self.token);
            }
            Way::Local => {
                command.env("DOCKER_HOST", socket(&self.gateway.path("local.sock"))).env("CLIENTS_TOKEN", &self.token);
            }
            Way::Relay => {
                command.env("DOCKER_HOST", socket(&self.gateway.path("relay.sock")));
            }
        }
        let output = command.env("DOCKER_CONFIG", config).stdin(Stdio::null()).output().unwrap();
        sweep(&name);
        let told = String::from_utf8_lossy(&output.stdout);
        let mut flows = Flows::new();
        for line in told.lines() {
            if let Some(name) = line.strip_prefix("ok ") {
                flows.insert(name.to_owned(), None);
            } else if let Some((name, why)) = line.strip_prefix("not ok ").and_then(|rest| rest.split_once(":: ")) {
                flows.insert(name.to_owned(), Some(why.to_owned()));
            }
        }
        if flows.is_empty() || !output.status.success() {
            let why = format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
            flows.insert("the program itself".to_owned(), Some(why));
        }
        flows
    }
}

/// Removes what flows that failed left behind.
fn sweep(name: &str) {
    let (label, named) = (format!("label={name}"), format!("name={name}"));
    let remove = |list: &[&str], remove: &[&str]| {
        let found = docker(list);
        let found: Vec<&str> = found.split_whitespace().collect();
        if !found.is_empty() {
            docker(&[remove, &found].concat());
        }
    };
    for filter in [&label, &named] {
        remove(&["ps", "-aq", "--filter", filter], &["rm", "-fv"]);
        remove(&["network", "ls", "-q", "--filter", filter], &["network", "rm"]);
        remove(&["volume", "ls", "-q", "--filter", filter], &["volume", "rm"]);
    }
    let images = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let tags: Vec<&str> = images.lines().filter(|tag| tag.contains(name)).collect();
    if !tags.is_empty() {
        docker(&[&["rmi", "-f"], &tags[..]].concat());
    }
    remove(&["images", "-q", "--filter", &label], &["rmi", "-f"]);
}

#[test]
#[ignore = "needs a Docker engine and the installed clients, takes minutes: tests/run.sh runs it"]
fn every_flow_of_every_client_ends_through_the_gateway_as_it_does_directly() {
    let socket = docker_socket();
    let clients = installed();
    let refused: RefusedFile = toml::from_str(&fs::read_to_string(here().join("refused.toml")).unwrap()).unwrap();
    let image = Base::new();
    let limits = "attempts_per_client = 0\n[token]\nmax_lifetime = 7200";
    let gateway = Gateway::start(&Options { limits, ..Options::before(socket) });
    let (_registry, registry) = registry(&clients, gateway.dir.path());
    let token = gateway.token(&["--role=operator", "--lifetime=7200"]);
    fs::write(gateway.path("token"), &token).unwrap();
    fs::create_dir(gateway.path("tls")).unwrap();
    for (from, to) in [("ca.pem", "ca.pem"), ("ca.pem", "cert.pem"), ("key.pem", "key.pem")] {
        fs::copy(gateway.path(from), gateway.path("tls").join(to)).unwrap();
    }
    let _relay = relay(&gateway);
    let site = Site { clients, image: image.0.clone(), registry, gateway, token };

    // The longest first, three clients at a time, each both ways at once.
    let clients = share(CLIENTS.iter().collect());
    let queue = Mutex::new(clients.iter());
    let ended = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(client) = next else { return };
                    let start = Instant::now();
                    let other = std::thread::scope(|both| {
                        let direct = both.spawn(|| site.flows(client, false));
                        let through = site.flows(client, true);
                        (direct.join().unwrap(), through)
                    });
                    ended.lock().unwrap().insert(client.name, (other, start.elapsed()));
                }
            });
        }
    });

    // The engine prunes for one client at a time and refuses the others, and a
    // client's own time limit can pass while others have the machine: who failed
    // in company is run again, alone, and what it says then counts.
    let mut ended = ended.into_inner().unwrap();
    let listed = |client: &str, flow: &str| refused.refused.iter().any(|at| at.client == client && at.flow == flow);
    for (name, ((direct, through), _)) in &mut ended {
        let client = CLIENTS.iter().find(|client| client.name == *name).unwrap();
        for (way, flows) in [(false, direct), (true, through)] {
            let failed = flows.iter().filter(|(flow, why)| why.is_some() && !(way && listed(name, flow)));
            let failed: Vec<String> = failed.map(|(flow, why)| format!("{flow}: {why:?}")).collect();
            if !failed.is_empty() {
                println!("{name} alone again, {}: {}", ["directly", "through"][usize::from(way)], failed.join("; "));
                *flows = site.flows(client, way);
            }
        }
    }

    let mut wrong = Vec::new();
    println!("clients: {} of {}", clients.len(), CLIENTS.len());
    println!(
        "clients: {:19}{:>7}{:>10}{:>9}{:>9}{:>7}{:>9}",
        "client", "flows", "directly", "through", "refused", "wrong", "seconds"
    );
    for (name, ((direct, through), took)) in ended {
        let client = CLIENTS.iter().find(|client| client.name == name).unwrap();
        let passed = |flows: &Flows| flows.values().filter(|why| why.is_none()).count();
        let (mut by_design, before) = (0, wrong.len());
        for (flow, why) in &direct {
            if let Some(why) = why {
                wrong.push(format!("{name}: {flow}: not even directly: {why}"));
                continue;
            }
            let listed = refused.refused.iter().find(|entry| entry.client == name && entry.flow == *flow);
            match (through.get(flow), listed) {
                (Some(None), None) => {}
                (Some(None), Some(_)) => wrong.push(format!("{name}: {flow}: passes, though refused.toml lists it")),
                (Some(Some(why)), Some(entry)) if why.contains(&entry.says) => {
                    assert!(
                        !entry.reason.is_empty() && !entry.allowed_by.is_empty(),
                        "{flow}: refused.toml says not why"
                    );
                    by_design += 1;
                }
                (Some(Some(why)), _) => wrong.push(format!("{name}: {flow}: {why}")),
                (None, _) => wrong.push(format!("{name}: {flow}: did not run through the gateway")),
            }
        }
        for (flow, why) in through.iter().filter(|(flow, _)| !direct.contains_key(*flow)) {
            wrong.push(format!("{name}: {flow}: ran only through the gateway: {why:?}"));
        }
        if passed(&direct) < client.least {
            wrong.push(format!("{name}: only {} flows pass directly, {} are needed", passed(&direct), client.least));
        }
        println!(
            "clients: {name:19}{:>7}{:>10}{:>9}{by_design:>9}{:>7}{:>9}",
            direct.len(),
            passed(&direct),
            passed(&through),
            wrong.len() - before,
            took.as_secs(),
        );
    }
    assert!(wrong.is_empty(), "{} flows end differently:\n{}", wrong.len(), wrong.join("\n"));
}
