//! The playbooks that come with the program.
//!
//! Each is a folder under `playbooks/` with a `playbook.toml` in it; the files
//! that it puts on hosts are under `templates/`, in a folder of the same name,
//! and stand beside it in the program. Every file has one line in the tables
//! (proved by a test), so that the program needs no files beside it.

/// One file of a bundled playbook.
#[derive(Debug, Clone, Copy)]
pub struct BundledFile {
    /// Its path below `playbooks/` or `templates/`, such as `docker/playbook.toml`.
    pub path: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

macro_rules! bundle {
    ($(($top:literal, $path:literal)),* $(,)?) => {
        &[$(BundledFile {
            path: $path,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $top, "/", $path)),
        }),*]
    };
}

/// Every file of every bundled playbook, sorted by path.
pub static BUNDLED: &[BundledFile] = bundle![
    ("playbooks", "docker-host/playbook.toml"),
    ("templates", "docker/daemon.json.tera"),
    ("playbooks", "docker/playbook.toml"),
    ("templates", "gateway/gateway.toml.tera"),
    ("templates", "gateway/limits.conf.tera"),
    ("templates", "gateway/no-tcp.conf"),
    ("playbooks", "gateway/playbook.toml"),
    ("templates", "gateway/stockade-gateway.service"),
    ("playbooks", "harden/accounts/accounts.sh"),
    ("playbooks", "harden/accounts/pam.sh"),
    ("playbooks", "harden/accounts/playbook.toml"),
    ("playbooks", "harden/accounts/shell.sh"),
    ("playbooks", "harden/accounts/sudo.sh"),
    ("playbooks", "harden/base/base.sh"),
    ("playbooks", "harden/base/playbook.toml"),
    ("playbooks", "harden/docker/containers.sh"),
    ("playbooks", "harden/docker/daemon.sh"),
    ("playbooks", "harden/docker/files.sh"),
    ("playbooks", "harden/docker/gateway.sh"),
    ("playbooks", "harden/docker/playbook.toml"),
    ("playbooks", "harden/filesystem/found.toml"),
    ("playbooks", "harden/filesystem/modes.sh"),
    ("playbooks", "harden/filesystem/modules.sh"),
    ("playbooks", "harden/filesystem/mounts.sh"),
    ("playbooks", "harden/filesystem/playbook.toml"),
    ("playbooks", "harden/filesystem/scan.sh"),
    ("playbooks", "harden/kernel/core.sh"),
    ("playbooks", "harden/kernel/interfaces.toml"),
    ("playbooks", "harden/kernel/network.sh"),
    ("playbooks", "harden/kernel/playbook.toml"),
    ("templates", "harden/logging/aide.conf"),
    ("templates", "harden/logging/audit.rules"),
    ("playbooks", "harden/logging/audit.sh"),
    ("playbooks", "harden/logging/logs.sh"),
    ("playbooks", "harden/logging/playbook.toml"),
    ("templates", "harden/logging/stockade-aide-init.service"),
    ("playbooks", "harden/network/firewall.sh"),
    ("playbooks", "harden/network/listeners.sh"),
    ("playbooks", "harden/network/modules.sh"),
    ("playbooks", "harden/network/playbook.toml"),
    ("playbooks", "harden/network/published.sh"),
    ("playbooks", "harden/network/radio.sh"),
    ("playbooks", "harden/network/services.sh"),
    ("templates", "harden/network/stockade-docker-user.service"),
    ("playbooks", "harden/server/playbook.toml"),
    ("playbooks", "harden/ssh/playbook.toml"),
    ("playbooks", "harden/updates/playbook.toml"),
    ("playbooks", "harden/updates/updates.sh"),
    ("playbooks", "redis/playbook.toml"),
    ("templates", "redis/redis.conf.tera"),
    ("templates", "redis/sandbox.conf"),
    ("templates", "redis/users.acl.tera"),
    ("playbooks", "users/playbook.toml"),
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
    fn every_file_under_playbooks_and_templates_is_in_the_table() {
        let mut on_disk = Vec::new();
        for top in ["playbooks", "templates"] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
            walk(&root, &root, &mut on_disk);
        }
        on_disk.sort();
        let in_table: Vec<&str> = BUNDLED.iter().map(|file| file.path).collect();
        assert_eq!(in_table, on_disk, "add or remove a line in the table in src/playbook/bundled.rs");
    }
}
