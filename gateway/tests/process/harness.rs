//! A real gateway process on loopback ports, before a real daemon or one that
//! remembers every byte it was sent.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_stockade-gateway");

/// A gateway that runs until it is dropped.
pub struct Gateway {
    pub dir: tempfile::TempDir,
    pub child: Child,
    pub port: u16,
    /// What it said on standard error so far.
    said: Arc<Mutex<String>>,
}

/// What differs from the usual configuration.
pub struct Options<'a> {
    pub socket: &'a Path,
    /// Lines for the top of the file; may not hold tables.
    pub top: &'a str,
    /// Lines of `[limits]`, and tables after it.
    pub limits: &'a str,
    pub store: Option<&'a str>,
    /// `iss` and `aud`.
    pub names: (&'a str, &'a str),
    /// Further arguments of `serve`.
    pub serve: &'a [&'a str],
    /// Lines of `[tls]`.
    pub tls: &'a str,
    pub audit: Option<&'a str>,
    /// Its environment, besides that of the test.
    pub env: &'a [(&'a str, &'a str)],
    /// A program and its arguments that start it, where it needs preparing.
    pub starter: &'a [&'a str],
}

impl<'a> Options<'a> {
    pub fn before(socket: &'a Path) -> Self {
        Options {
            socket,
            top: "",
            limits: "",
            store: None,
            names: ("https://gateway.test", "gateway.test"),
            serve: &[],
            tls: "",
            audit: None,
            env: &[],
            starter: &[],
        }
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Starts the program; what it says goes on being read.
fn serve(config: &Path, options: &Options<'_>) -> (Child, u16, Arc<Mutex<String>>) {
    let words: Vec<&str> = options.starter.iter().copied().chain([PROGRAM]).collect();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .arg("serve")
        .args(options.serve)
        .arg("--config")
        .arg(config)
        .envs(options.env.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    let port = port.unwrap_or_else(|| panic!("the gateway did not start: {line}"));
    let said = Arc::new(Mutex::new(line));
    let saying = Arc::clone(&said);
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            saying.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
    (child, port, said)
}

impl Gateway {
    pub fn start(options: &Options<'_>) -> Gateway {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        run(Command::new(PROGRAM).args(["keys", "init"]).arg(at("keys")));
        write_certificate(dir.path());
        let store = options.store.map_or_else(|| format!("redb:{}", at("store.redb").display()), str::to_owned);
        let audit = options.audit.map_or_else(|| at("audit.log").display().to_string(), str::to_owned);
        // What a test does not set may not be short: the machine may be busy.
        let patient = if options.limits.contains("head_seconds") { "" } else { "head_seconds = 60\n" };
        let config = format!(
            "listen = [\"127.0.0.1:0\"]\nlocal = \"{local}\"\nsocket = \"{socket}\"\nadmin = \"{admin}\"\nkeys = \"{keys}\"\nstore = \"{store}\"\n\
             issuer = \"{issuer}\"\naudience = \"{audience}\"\naudit = \"{audit}\"\n{top}\n\
             [tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{tls}\n[limits]\n{patient}{limits}\n",
            local = at("local.sock").display(),
            socket = options.socket.display(),
            admin = at("admin.sock").display(),
            keys = at("keys").display(),
            certificate = at("ca.pem").display(),
            key = at("key.pem").display(),
            top = options.top,
            issuer = options.names.0,
            audience = options.names.1,
            tls = options.tls,
            limits = options.limits,
        );
        fs::write(at("gateway.toml"), config).unwrap();
        let (child, port, said) = serve(&at("gateway.toml"), options);
        let gateway = Gateway { dir, child, port, said };
        gateway.wait_for("the administrator's socket", || UnixStream::connect(gateway.path("admin.sock")).is_ok());
        gateway
    }

    /// Kills it and starts it anew over the same files, on another port.
    pub fn restart(&mut self, options: &Options<'_>) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.port, self.said) = serve(&self.path("gateway.toml"), options);
        self.wait_for("the administrator's socket", || UnixStream::connect(self.path("admin.sock")).is_ok());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come about");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it said on standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// `token issue …`: all that was given.
    pub fn issue(&self, words: &[&str]) -> Value {
        let mut command = Command::new(PROGRAM);
        command.args(["token", "issue", "--subject=tester", "--config"]).arg(self.path("gateway.toml")).args(words);
        serde_json::from_str(&run(&mut command)).unwrap()
    }

    pub fn token(&self, words: &[&str]) -> String {
        self.issue(words)["access_token"].as_str().unwrap().to_owned()
    }

    pub fn revoke(&self, id: &str) {
        run(Command::new(PROGRAM).args(["token", "revoke", "--config"]).arg(self.path("gateway.toml")).arg(id));
    }

    pub fn signal(&self, name: &str) {
        run(Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()));
    }

    /// What the administrator's socket answers to the gateway's own program.
    pub fn admin(&self, asked: &Value) -> Value {
        let mut command = Command::new(PROGRAM);
        command.args(["admin", "--config"]).arg(self.path("gateway.toml"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{asked}\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{asked}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A number of the metrics page.
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.admin(&serde_json::json!({ "command": "metrics" }));
        let page = page["metrics"].as_str().unwrap();
        let found = page.lines().find_map(|line| line.strip_prefix(&format!("stockade_gateway_{name} ")));
        found.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{page}"))
    }

    /// The audit log's lines so far.
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("audit.log")).unwrap();
        // A line that is just being written is not there yet.
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A TLS connection.
    pub fn connect(&self) -> Tls {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let session =
            rustls::ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        Tls(rustls::StreamOwned::new(session, stream))
    }

    /// Sends bytes on a connection of their own; what comes back until its end.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        let _ = stream.0.write_all(bytes);
        stream.rest()
    }

    /// One request that closes; status and body.
    pub fn request(&self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> (u16, String) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let answer = self.raw(&[head.as_bytes(), b"\r\n", body].concat());
        (status(&answer), answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }

    pub fn get(&self, target: &str, token: &str) -> (u16, String) {
        self.request("GET", target, &[&format!("Authorization: Bearer {token}")], b"")
    }

    /// An ordinary docker client that goes through this gateway.
    pub fn docker(&self, token: &str) -> Command {
        let config = self.path("docker");
        fs::create_dir_all(&config).unwrap();
        let headers = serde_json::json!({ "HttpHeaders": { "Authorization": format!("Bearer {token}") } });
        // Whole or not at all: another client may be reading it.
        fs::write(config.join("new"), headers.to_string()).unwrap();
        fs::rename(config.join("new"), config.join("config.json")).unwrap();
        let mut command = Command::new("docker");
        command
            .env("DOCKER_HOST", format!("tcp://127.0.0.1:{}", self.port))
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", self.dir.path())
            .env("DOCKER_CONFIG", config)
            .env("DOCKER_BUILDKIT", "0")
            .env_remove("DOCKER_CONTEXT");
        command
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Makes a certificate for localhost that is its own authority.
pub fn write_certificate(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    fs::write(dir.join("ca.pem"), made.cert.pem()).unwrap();
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(dir.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A client's TLS connection.
pub struct Tls(pub rustls::StreamOwned<rustls::ClientConnection, TcpStream>);

impl Tls {
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.flush().unwrap();
    }

    /// Everything until the connection ends, in whatever way.
    pub fn rest(&mut self) -> String {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(count) = self.0.read(&mut part) {
            if count == 0 {
                break;
            }
            all.extend_from_slice(&part[..count]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Reads until `mark` has come.
    pub fn until(&mut self, mark: &str) -> String {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&all).contains(mark) {
            match self.0.read(&mut part) {
                Ok(count) if count > 0 => all.extend_from_slice(&part[..count]),
                other => panic!("{other:?} before {mark:?}, after {:?}", String::from_utf8_lossy(&all)),
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// The container `c1` as the daemon describes it: one that the gateway made for
/// a role without a tenant.
pub fn made_here(config: &str) -> String {
    let host = r#"{"MaskedPaths":["/proc/kcore"],"ReadonlyPaths":["/proc/sys"],"ContainerIDFile":"stockade-gateway:tenant=:role=operator"}"#;
    format!(r#"{{"Id":"c1","Name":"/c","Config":{config},"HostConfig":{host}}}"#)
}

/// A daemon that answers little and remembers all.
pub struct FakeDaemon {
    pub dir: tempfile::TempDir,
    pub seen: Arc<Mutex<Vec<u8>>>,
}

impl FakeDaemon {
    pub fn start() -> FakeDaemon {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("d.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&all);
                std::thread::spawn(move || converse(stream, &seen));
            }
        });
        FakeDaemon { dir, seen }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("d.sock")
    }

    /// The requests it got, without the gateway's own questions.
    pub fn requests(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        let lines = text.lines().filter(|line| line.ends_with(" HTTP/1.1"));
        lines
            .filter(|line| !line.contains(" /version ") && !line.contains("/events?since="))
            .map(str::to_owned)
            .collect()
    }
}

fn converse(mut stream: UnixStream, seen: &Mutex<Vec<u8>>) {
    let (mut got, mut part) = (Vec::new(), [0; 65536]);
    loop {
        while let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&got[..end + 4]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .and_then(|length| length.parse().ok());
            let length: usize = length.unwrap_or(0);
            while got.len() < end + 4 + length {
                match stream.read(&mut part) {
                    Ok(count) if count > 0 => {
                        got.extend_from_slice(&part[..count]);
                        seen.lock().unwrap().extend_from_slice(&part[..count]);
                    }
                    _ => return,
                }
            }
            got.drain(..end + 4 + length);
            let line = head.lines().next().unwrap_or_default();
            if head.starts_with("GET /version ") {
                let body = r#"{"Version":"29.6.0","ApiVersion":"1.52"}"#;
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            } else if line.contains("/exec/") && line.contains("/json") {
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: 72\r\n\r\n{:<72}",
                    r#"{"ID":"e1","ContainerID":"c1"}"#
                );
            } else if line.contains("/containers/c1/json") {
                let body = made_here("{}");
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            } else if line.contains("/start ") && head.contains("Upgrade: tcp") {
                // Echoes, and tells when its input has ended.
                let _ = write!(stream, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
                while let Ok(count) = stream.read(&mut part) {
                    if count == 0 {
                        break;
                    }
                    let _ = stream.write_all(&part[..count]);
                }
                let _ = stream.write_all(b"input ended");
                return;
            } else if line.contains("/events") {
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{{}}\n\r\n");
            } else {
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nApi-Version: 1.99\r\nContent-Length: 2\r\n\r\nOK");
            }
        }
        match stream.read(&mut part) {
            Ok(count) if count > 0 => {
                got.extend_from_slice(&part[..count]);
                seen.lock().unwrap().extend_from_slice(&part[..count]);
            }
            _ => return,
        }
    }
}
