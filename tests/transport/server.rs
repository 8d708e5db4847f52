//! An sshd of the test's own, and an operator who answers as told.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use stockade::transport::{Ask, Target};
use stockade::values::Secret;
use tempfile::TempDir;

/// A running sshd; it ends with this value.
pub struct Server {
    pub directory: TempDir,
    pub port: u16,
    child: Child,
}

impl Server {
    /// Starts one with an ed25519 host key that is in `known_hosts`, and a
    /// user key in `authorized_keys`. None, with the reason printed, where
    /// that is not possible.
    pub fn start() -> Server {
        Server::with_keys("", &[])
    }

    /// The same with further lines of sshd_config (`{at}`: the directory) and
    /// further RSA keys for them.
    pub fn with_keys(config: &str, rsa: &[&str]) -> Server {
        assert!(Path::new("/usr/sbin/sshd").exists(), "/usr/sbin/sshd is missing");
        assert!(rustix::process::geteuid().is_root(), "an sshd that logs root in must be started by root");
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        keygen(&at.join("host_key"), "ed25519", "");
        keygen(&at.join("id"), "ed25519", "");
        for name in rsa {
            keygen(&at.join(name), "rsa", "");
        }
        fs::copy(at.join("id.pub"), at.join("authorized_keys")).unwrap();
        let _ = fs::DirBuilder::new().mode(0o755).create("/run/sshd");
        // A port may be taken between the look and the start: try another.
        for _ in 0..5 {
            let port = free_port();
            fs::write(at.join("config"), settings(at, config)).unwrap();
            let child = Command::new("/usr/sbin/sshd")
                .args(["-D", "-p", &port.to_string(), "-E"])
                .arg(at.join("log"))
                .arg("-f")
                .arg(at.join("config"))
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let mut server = Server { directory: tempfile::tempdir().unwrap(), port, child };
            if server.answers() {
                server.directory = directory;
                server.know(&server.public_key("host_key"));
                return server;
            }
        }
        panic!("sshd does not start: {}", fs::read_to_string(at.join("log")).unwrap_or_default());
    }

    /// Waits for the banner.
    fn answers(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                let mut banner = [0u8; 4];
                if stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-" {
                    return true;
                }
            }
            std::thread::yield_now();
        }
        false
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The type and base64 of a public key file.
    pub fn public_key(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Lets root log in with one more key.
    pub fn authorize(&self, key: &Path) {
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let mut text = fs::read_to_string(self.path("authorized_keys")).unwrap();
        text.push_str(&public);
        fs::write(self.path("authorized_keys"), text).unwrap();
    }

    /// Makes the host's line in known_hosts this key.
    pub fn know(&self, key: &str) {
        self.known_hosts(&format!("[127.0.0.1]:{} {key}\n", self.port));
    }

    pub fn known_hosts(&self, text: &str) {
        fs::write(self.path("known_hosts"), text).unwrap();
    }

    pub fn target(&self) -> Target {
        Target {
            name: "host".to_owned(),
            address: "127.0.0.1".to_owned(),
            port: Some(self.port),
            user: Some("root".to_owned()),
            keys: vec![self.path("id")],
            known_hosts: vec![self.path("known_hosts")],
            jump: None,
            local_root: None,
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(at: &Path, more: &str) -> String {
    let at = at.display();
    format!(
        "{}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/authorized_keys\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin yes\nLogLevel VERBOSE\nPidFile none\n",
        more.replace("{at}", &at.to_string())
    )
}

/// Makes a key pair.
pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"]).arg(path).status();
    assert!(made.unwrap().success(), "ssh-keygen");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// `SHA256:…` as ssh-keygen gives it.
pub fn fingerprint(public: &Path) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(public).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

/// An ssh-agent of the test's own; it ends with this value.
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
}

impl Agent {
    /// Starts one. None, with the reason printed, where that is not possible.
    pub fn start(at: &Path) -> Agent {
        let socket = at.join("agent");
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
        let child = child.expect("ssh-agent is missing");
        let until = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < until, "ssh-agent does not start");
            std::thread::yield_now();
        }
        Agent { socket, child }
    }

    pub fn add(&self, key: &Path) {
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status();
        assert!(added.unwrap().success(), "ssh-add");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// An operator with prepared answers, by a part of the prompt.
#[derive(Default)]
pub struct Answers {
    pub secrets: BTreeMap<String, String>,
    pub yes: bool,
    pub asked: Mutex<Vec<String>>,
}

impl Ask for Answers {
    fn secret(&self, prompt: &str) -> Option<Secret> {
        self.asked.lock().unwrap().push(prompt.to_owned());
        self.secrets.iter().find(|(part, _)| prompt.contains(*part)).map(|(_, answer)| Secret::new(answer))
    }

    fn confirm(&self, question: &str) -> bool {
        self.asked.lock().unwrap().push(question.to_owned());
        self.yes
    }
}
