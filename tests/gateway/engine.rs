//! The machine's own Docker engine: asked straight, without the gateway, for
//! what a test needs beforehand and for what has come about afterwards.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

pub fn docker_socket() -> Option<&'static Path> {
    let path = Path::new("/var/run/docker.sock");
    if UnixStream::connect(path).is_ok() {
        return Some(path);
    }
    let forbidden = std::env::var_os("STOCKADE_NO_SKIP").is_some_and(|value| value == "1");
    assert!(!forbidden, "may not be skipped: no Docker engine answers");
    eprintln!("SKIP {}: no Docker engine answers", std::thread::current().name().unwrap_or("test"));
    None
}

/// The image's name: another test program may be running on this engine.
pub fn image() -> String {
    format!("stockade-gateway-test/busybox:{}", std::process::id())
}

/// An image of one static program, made without the gateway and removed by the
/// last test that uses it.
pub struct Image;

static USERS: Mutex<usize> = Mutex::new(0);

impl Image {
    pub fn new() -> Image {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        if *users == 0 {
            let dir = tempfile::tempdir().unwrap();
            let script = format!(
                "set -e; mkdir -p bin etc; cp \"$(command -v busybox)\" bin/busybox; for a in sh cat echo id sleep sha256sum true; do ln -s busybox bin/$a; done; tar -c . | docker import - {}",
                image()
            );
            let made = Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        *users += 1;
        Image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        *users -= 1;
        if *users == 0 {
            let _ = Command::new("docker").args(["rmi", "-f", &image()]).output();
        }
    }
}

/// A name of this test program's own, removed with its container at the end.
pub struct Named(pub String);

impl Named {
    pub fn new(what: &str) -> Named {
        Named(format!("stockade-gateway-test-{what}-{}", std::process::id()))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", &self.0]).output();
    }
}
