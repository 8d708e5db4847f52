//! The copy of the working tree in which the walk is followed.

use super::root;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Copy {
    pub tree: PathBuf,
    /// One run at a time has the copy.
    _lock: File,
}

impl Copy {
    /// What git has or would add, as it is now; its build goes on from the last one.
    pub fn make() -> Copy {
        // target/debug/stockade is the program.
        let main_build = Path::new(env!("CARGO_BIN_EXE_stockade")).parent().unwrap();
        let place = main_build.parent().unwrap().join("contributing");
        fs::create_dir_all(&place).unwrap();
        let lock = File::create(place.join("lock")).unwrap();
        lock.lock().unwrap();
        let (tree, build) = (place.join("tree"), place.join("target"));
        if tree.exists() {
            fs::remove_dir_all(&tree).unwrap();
        }
        for file in files() {
            copy(&root().join(&file), &tree.join(&file));
        }
        if !build.exists() {
            take_over(main_build, &place.join("target.new"));
            fs::rename(place.join("target.new"), &build).unwrap();
        }
        symlink(&build, tree.join("target")).unwrap();
        Copy { tree, _lock: lock }
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.tree.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Makes a lab the copy's own.
    pub fn link_lab(&self, lab: &Path) {
        fs::create_dir(self.tree.join(".stockade")).unwrap();
        symlink(lab, self.tree.join(".stockade/lab")).unwrap();
    }
}

fn files() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let output = git.output().unwrap();
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let files: Vec<PathBuf> = names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect();
    // A file that was removed and not yet committed is still listed.
    files.into_iter().filter(|file| root().join(file).symlink_metadata().is_ok()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    match fs::read_link(from) {
        Ok(target) => symlink(target, to).unwrap(),
        Err(_) => _ = fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display())),
    }
}

/// Begins a build directory with what another build made of the packages that are
/// not of this workspace. Times of files are kept: cargo goes by them.
fn take_over(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    // Cargo removes a library before it writes it anew: a link is as good as a copy.
    for (dir, how) in [(".fingerprint", "-a"), ("build", "-a"), ("deps", "-al")] {
        let made = to.join("debug").join(dir);
        fs::create_dir_all(&made).unwrap();
        let Ok(entries) = fs::read_dir(from.join(dir)) else { continue };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let others: Vec<String> = names
            .filter(|name| !name.starts_with("stockade") && !name.starts_with("libstockade"))
            .filter(|name| dir != "deps" || name.starts_with("lib") && !name.ends_with(".d"))
            .collect();
        let mut cp = Command::new("cp");
        cp.arg(how).arg("-t").arg(&made).args(&others).current_dir(from.join(dir));
        assert!(others.is_empty() || cp.status().unwrap().success(), "{dir} of {}", from.display());
    }
}
