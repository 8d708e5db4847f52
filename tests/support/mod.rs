//! What several test programs share: hosts to test on.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod audits;
pub mod files;
pub mod project;
pub mod relay;
pub mod sample;

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use stockade::lab::{Base, HostKeyType, Lab, LabHost, UpOptions};
use stockade::transport::{BOOTSTRAP, Link, TransportError};

/// A lab of a test's own; its hosts are taken down when it goes out of scope.
pub struct TestLab {
    pub lab: Lab,
    pub dir: tempfile::TempDir,
}

impl TestLab {
    /// A lab with hosts. A test that calls this is an ignored one, which
    /// `tests/run.sh` runs: where no Docker engine answers, it fails.
    pub fn with_hosts(count: usize) -> (TestLab, Vec<LabHost>) {
        TestLab::up(UpOptions { count, ..TestLab::options() })
    }

    /// The same with one host that has an RSA host key too, as a cloud image has.
    pub fn with_host_of_all_keys() -> (TestLab, Vec<LabHost>) {
        TestLab::up(UpOptions::default())
    }

    /// An RSA host key is half of what a start costs, and most tests need none.
    pub fn options() -> UpOptions {
        UpOptions { host_keys: vec![HostKeyType::Ecdsa, HostKeyType::Ed25519], ..UpOptions::default() }
    }

    /// The same with one host of this name.
    pub fn with_host_named(name: &str) -> (TestLab, Vec<LabHost>) {
        TestLab::up(UpOptions { name: Some(name.to_owned()), ..TestLab::options() })
    }

    /// A lab without hosts yet.
    pub fn new() -> TestLab {
        let dir = tempfile::tempdir().unwrap();
        let lab = Lab::open(dir.path().join("lab")).unwrap();
        if let Err(error) = lab.check_engine() {
            panic!("lab hosts need a Docker engine; without one, leave --include-ignored out: {error}");
        }
        TestLab { lab, dir }
    }

    fn up(options: UpOptions) -> (TestLab, Vec<LabHost>) {
        let lab = TestLab::new();
        let base: Base =
            std::env::var("STOCKADE_LAB_BASE").as_deref().unwrap_or("debootstrap:bookworm").parse().unwrap();
        let hosts = lab.lab.up(&UpOptions { base: Some(base), ..options }).unwrap();
        // tests/run.sh counts the tests that say so.
        eprintln!("on a real host: {}", std::thread::current().name().unwrap_or("test"));
        (lab, hosts)
    }
}

impl Drop for TestLab {
    fn drop(&mut self) {
        if let Err(error) = self.lab.down_all() {
            eprintln!("a test host could not be taken down: {error}");
        }
    }
}

/// The program as an operator runs it in a folder, with its record of runs
/// kept there and not in that of the user who runs the tests.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
    command.current_dir(folder).stdin(Stdio::null()).env("NO_COLOR", "1");
    command.env("XDG_STATE_HOME", folder.join("state")).env_remove("STOCKADE_RECORD");
    command
}

/// The gateway's program, which is another package's: beside this package's
/// own, and built if it is not there yet.
pub fn gateway_program() -> std::path::PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_stockade")).with_file_name("stockade-gateway");
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "stockade-gateway"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success(), "{build:?}");
    });
    beside
}

/// Runs shell text on a host as root, from outside the product; its trimmed output.
pub fn on_host(host: &LabHost, text: &str) -> String {
    let output = host.exec(&["sh", "-c", text]).unwrap();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let journal = host.exec(&["journalctl", "-q", "--no-pager", "-o", "short-precise", "-n", "15"]);
        let journal = journal.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        panic!("{text}: {said}\nthe last lines of the host's journal:\n{journal}");
    }
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A link to the bootstrap shell through a child process of this machine.
pub struct ChildLink {
    child: Child,
    stdin: ChildStdin,
    output: Receiver<Vec<u8>>,
}

impl ChildLink {
    /// Over `docker exec` into a lab host, as root.
    pub fn into_host(host: &LabHost) -> ChildLink {
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &host.container, "/bin/sh", "-c", BOOTSTRAP]);
        ChildLink::start(command)
    }

    fn start(mut command: Command) -> ChildLink {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        ChildLink { child, stdin, output }
    }
}

impl Link for ChildLink {
    fn exchange(
        &mut self,
        input: &[u8],
        idle: Duration,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TransportError> {
        let closed = || TransportError::Closed { host: "child".into(), said: String::new() };
        self.stdin.write_all(input).and_then(|()| self.stdin.flush()).map_err(|_| closed())?;
        loop {
            let bytes = self.output.recv_timeout(idle).map_err(|_| closed())?;
            if sink(&bytes).is_break() {
                return Ok(());
            }
        }
    }
}

impl Drop for ChildLink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds for `--guard-timeout` where the host's own timer is what is waited for:
/// short, but longer where more programs than these tests want the processors, since
/// the change itself must be done within that time.
pub fn guard_seconds(least: u32) -> &'static str {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    format!("{:.0}", f64::from(least) + (2.0 * load).min(60.0)).leak()
}
