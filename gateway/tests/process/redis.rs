//! A Redis of a test's own on a port that nothing else takes: not one of those
//! that the kernel hands to clients, and known by its process, so that it can be
//! killed and come back where it was.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// For a Redis to listen, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Redis that is ended with its value.
pub struct Redis {
    folder: tempfile::TempDir,
    pub port: u16,
    child: Child,
    settings: Vec<String>,
    /// Of its user `default`; a Redis without one is of no use to a gateway.
    password: &'static str,
}

/// The password of a Redis that is given no other.
pub const PASSWORD: &str = "of-this-test";

/// A port below those that the kernel chooses from, on which nobody listens.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that run at once begin far apart.
    let first = (std::process::id() * 61 % 10_000) as u16;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Redis {
    /// A test that calls this is an ignored one, which `tests/run.sh` runs: where
    /// there is no `redis-server`, it fails.
    pub fn start() -> Redis {
        Redis::start_as(PASSWORD, &["--requirepass", PASSWORD])
    }

    /// One that lets everybody in, or as its settings say.
    pub fn start_with(settings: &[&str]) -> Redis {
        Redis::start_as("", settings)
    }

    fn start_as(password: &'static str, settings: &[&str]) -> Redis {
        let found = Command::new("redis-server").arg("--version").output().is_ok_and(|out| out.status.success());
        assert!(found, "needs redis-server (apt-get install redis-server); without it, leave --include-ignored out");
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        // Another program may be faster to take the port.
        for _ in 0..20 {
            let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
            let child = spawn(folder.path(), port, &settings);
            let mut redis = Redis { folder, port, child, settings: settings.clone(), password };
            if redis.listens() {
                return redis;
            }
        }
        panic!("Redis finds no port");
    }

    /// Waits until it listens; false if it ended instead.
    fn listens(&mut self) -> bool {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "Redis does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whoever lost the port to another ends at once.
        std::thread::sleep(Duration::from_millis(10));
        self.child.try_wait().unwrap().is_none()
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same, through what listens on another port.
    pub fn url_at(&self, port: u16) -> String {
        let login = if self.password.is_empty() { String::new() } else { format!(":{}@", self.password) };
        format!("redis://{login}127.0.0.1:{port}/0")
    }

    /// From the next start on; none if it is empty.
    pub fn set_password(&mut self, password: &'static str) {
        self.password = password;
        self.settings = if password.is_empty() { vec![] } else { vec!["--requirepass".into(), password.into()] };
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// On the same port, with what it had written before it was killed.
    pub fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.port, &self.settings);
        assert!(self.listens(), "Redis does not start again");
    }

    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        if !self.password.is_empty() {
            command.env("REDISCLI_AUTH", self.password);
        }
        let out = command.args(["-p", &self.port.to_string()]).args(arguments).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, port: u16, settings: &[String]) -> Child {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
    // Written before it is answered; a killed process needs no more, and waiting
    // for a busy disk would be a fault of the store's.
    command.args(["--appendonly", "yes", "--appendfsync", "no", "--dir"]).arg(folder).args(settings);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
