//! Tenants with a docker client each, and an image for their containers.

#![allow(clippy::unwrap_used)] // a test that cannot set up must stop

use std::process::{Command, Output};

use crate::process::harness::Gateway;

/// An image of one static program, made without the gateway.
pub struct Image(&'static str, #[expect(dead_code, reason = "no other test makes or removes it meanwhile")] Held);

type Held = std::sync::MutexGuard<'static, ()>;

static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

impl Image {
    /// One test of a program has it at a time.
    pub fn named(name: &'static str) -> Image {
        let held = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let script = format!(
            "set -e; mkdir -p bin; cp \"$(command -v busybox)\" bin/busybox; for a in sh cat echo sleep true; do ln -s busybox bin/$a; done; tar -c . | docker import - {name}"
        );
        good(Command::new("sh").args(["-c", &script]).current_dir(dir.path()));
        Image(name, held)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", self.0]).output();
    }
}

/// A tenant of this test program alone. All that is its own goes with it.
pub struct Tenant<'a> {
    pub name: String,
    gateway: &'a Gateway,
    pub token: String,
    config: std::path::PathBuf,
}

impl<'a> Tenant<'a> {
    pub fn new(gateway: &'a Gateway, name: &str, role: &str) -> Tenant<'a> {
        let name = format!("{name}{}", std::process::id());
        let token = gateway.token(&[&format!("--role={role}"), &format!("--tenant={name}"), "--lifetime=900"]);
        let config = gateway.path(&format!("docker-{name}-{role}"));
        std::fs::create_dir_all(&config).unwrap();
        let headers = serde_json::json!({ "HttpHeaders": { "Authorization": format!("Bearer {token}") } });
        std::fs::write(config.join("config.json"), headers.to_string()).unwrap();
        Tenant { name, gateway, token, config }
    }

    /// The ordinary client, through the gateway, with this tenant's token.
    pub fn docker(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .env("DOCKER_HOST", format!("tcp://127.0.0.1:{}", self.gateway.port))
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", self.gateway.dir.path())
            .env("DOCKER_CONFIG", &self.config)
            .env_remove("DOCKER_CONTEXT")
            .args(words);
        command
    }

    /// What a command that succeeds says.
    #[track_caller]
    pub fn said(&self, words: &[&str]) -> String {
        text(&good(&mut self.docker(words)))
    }

    /// What a command that fails complains of.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.docker(words).output().unwrap();
        assert!(!output.status.success(), "docker {words:?} succeeded: {}", text(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Tenant<'_> {
    fn drop(&mut self) {
        let label = format!("label=io.stockade.tenant={}", self.name);
        for (list, remove) in [
            (&["ps", "-aq", "--filter"][..], &["rm", "-f", "-v"][..]),
            (&["volume", "ls", "-q", "--filter"], &["volume", "rm", "-f"]),
            (&["network", "ls", "-q", "--filter"], &["network", "rm"]),
        ] {
            let found = Command::new("docker").args(list).arg(&label).output().map(|output| text(&output));
            for id in found.unwrap_or_default().lines() {
                let _ = Command::new("docker").args(remove).arg(id).output();
            }
        }
    }
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[track_caller]
pub fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output), String::from_utf8_lossy(&output.stderr));
    output
}

/// What the daemon itself says, asked without the gateway.
#[track_caller]
pub fn host(words: &[&str]) -> String {
    text(&good(Command::new("docker").args(words)))
}
