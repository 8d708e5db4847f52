//! The playbooks that come with the program.
//!
//! Each is a folder under `playbooks/` with a `playbook.toml` in it; every file
//! of every folder has one line in the table (proved by a test), so that the
//! program needs no files beside it.

/// One file of a bundled playbook.
#[derive(Debug, Clone, Copy)]
pub struct BundledFile {
    /// Its path below `playbooks/`, such as `docker/playbook.toml`.
    pub path: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

macro_rules! bundle {
    ($($path:literal),* $(,)?) => {
        &[$(BundledFile {
            path: $path,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/", $path)),
        }),*]
    };
}

/// Every file of every bundled playbook, sorted by path.
pub static BUNDLED: &[BundledFile] = bundle![
    "docker-host/playbook.toml",
    "docker/daemon.json.tera",
    "docker/playbook.toml",
    "gateway/gateway.toml.tera",
    "gateway/limits.conf.tera",
    "gateway/no-tcp.conf",
    "gateway/playbook.toml",
    "gateway/stockade-gateway.service",
    "redis/playbook.toml",
    "redis/redis.conf.tera",
    "redis/sandbox.conf",
    "redis/users.acl.tera",
    "users/playbook.toml",
];

/// The names of the bundled playbooks.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().filter_map(|file| file.path.strip_suffix("/playbook.toml"))
}

/// The bytes of a file of a bundled playbook.
pub(super) fn file(playbook: &str, path: &str) -> Option<&'static BundledFile> {
    let wanted = format!("{playbook}/{}", path.trim_start_matches("./"));
    BUNDLED.iter().find(|file| file.path == wanted)
}

/// The files of a bundled playbook that match a pattern, relative to its folder.
pub(super) fn matching(playbook: &str, pattern: &glob::Pattern) -> Vec<String> {
    let prefix = format!("{playbook}/");
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    BUNDLED
        .iter()
        .filter_map(|file| file.path.strip_prefix(&prefix))
        .filter(|path| pattern.matches_with(path, options))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::path::Path;

    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_under_playbooks_is_in_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
        let mut on_disk = Vec::new();
        if root.is_dir() {
            walk(&root, &root, &mut on_disk);
        }
        on_disk.sort();
        let in_table: Vec<&str> = BUNDLED.iter().map(|file| file.path).collect();
        assert_eq!(in_table, on_disk, "add or remove a line in the table in src/playbook/bundled.rs");
    }
}
