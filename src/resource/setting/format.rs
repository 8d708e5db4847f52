//! What is known of well-known configuration files: how their readers take
//! names, comments and blocks. sshd_config(5), ssh_config(5), login.defs(5),
//! PostgreSQL's "Setting Parameters", MySQL's "Using Option Files",
//! systemd.syntax(7), sysctl.d(5), environment(5) of pam_env.

use crate::values::AbsPath;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// What divides it into sections.
    pub(super) blocks: Blocks,
    /// Whether `key` and `KEY` are one key.
    pub(super) any_case: bool,
    /// Whether `a-b` and `a_b` are one key.
    pub(super) dashes: bool,
    /// Signs that begin a comment behind a value, after a blank.
    pub(super) comment_after_value: &'static str,
    /// What stands between key and value, where it is known.
    pub(super) separator: Option<&'static str>,
    /// Whether an equals sign may be left out.
    pub(super) equals_optional: bool,
    /// Whether a shell reads it, to which a value is one word.
    pub(super) shell: bool,
    /// What begins a comment anywhere, in quotes too.
    pub(super) cut_at: Option<char>,
}

/// What divides a file into sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// Lines such as `[name]`.
    Brackets,
    /// Lines that begin with one of these words; of a key the first value counts.
    Words(&'static [&'static str]),
}

/// A file of which nothing is known.
pub(super) const PLAIN: Format = Format {
    blocks: Blocks::Brackets,
    any_case: false,
    dashes: false,
    comment_after_value: "#",
    separator: None,
    equals_optional: false,
    shell: false,
    cut_at: None,
};

const SSHD: Format =
    Format { blocks: Blocks::Words(&["Match"]), any_case: true, separator: Some(" "), equals_optional: true, ..PLAIN };

const SSH: Format = Format { blocks: Blocks::Words(&["Host", "Match"]), ..SSHD };

/// No comment may follow a value: it would be a part of it.
const EXACT: Format = Format { comment_after_value: "", ..PLAIN };

/// A file of assignments that a shell sources, and systemd's `EnvironmentFile=`
/// reads alike as long as its values are words.
const SHELL: Format = Format { shell: true, separator: Some("="), ..PLAIN };

/// smb.conf(5): parameter names of several words, and comments on lines of their own.
const SAMBA: Format = Format { any_case: true, separator: Some(" = "), ..EXACT };

/// Where a blank stands between a key and its value: redis.conf, chrony.conf(5),
/// openvpn(8), ntp.conf(5), torrc, clamd.conf(5), squid.conf, Apache's and ProFTPD's directives.
const BLANK_DIRECTORIES: [&str; 10] = [
    "/etc/redis/",
    "/etc/chrony/",
    "/etc/openvpn/",
    "/etc/ntpsec/",
    "/etc/tor/",
    "/etc/clamav/",
    "/etc/squid/",
    "/etc/apache2/",
    "/etc/proftpd/",
    "/etc/valkey/",
];
const BLANK_FILES: [&str; 4] = ["/etc/redis.conf", "/etc/chrony.conf", "/etc/ntp.conf", "/etc/squid.conf"];

impl Format {
    /// By the place and the name of a file.
    pub(super) fn of(path: &AbsPath) -> Format {
        let (all, name) = (path.as_str(), path.file_name());
        let below = |tops: &[&str]| tops.iter().any(|top| all.starts_with(top));
        if all == "/etc/ssh/sshd_config" || below(&["/etc/ssh/sshd_config.d/"]) {
            SSHD
        } else if all == "/etc/ssh/ssh_config" || below(&["/etc/ssh/ssh_config.d/"]) || all.ends_with("/.ssh/config") {
            SSH
        } else if all == "/etc/login.defs" {
            Format { separator: Some(" "), ..EXACT }
        } else if name.starts_with("postgresql.") || (below(&["/etc/postgresql/"]) && all.contains("/conf.d/")) {
            Format { any_case: true, equals_optional: true, separator: Some(" = "), ..PLAIN }
        } else if name == "my.cnf" || name == ".my.cnf" || below(&["/etc/mysql/", "/etc/my.cnf.d/"]) {
            Format { dashes: true, ..PLAIN }
        } else if name.ends_with(".ini") {
            Format { comment_after_value: ";", ..PLAIN }
        } else if is_shell(all, name) {
            SHELL
        } else if name == "smb.conf" || below(&["/etc/samba/"]) {
            SAMBA
        } else if below(&BLANK_DIRECTORIES) || BLANK_FILES.contains(&all) {
            Format { any_case: true, separator: Some(" "), ..EXACT }
        } else if all == "/etc/environment" {
            Format { cut_at: Some('#'), ..EXACT }
        } else if below(&["/etc/systemd/", "/etc/sysctl.d/", "/run/systemd/", "/usr/lib/systemd/"])
            || all == "/etc/sysctl.conf"
            || name.ends_with(".env")
            || name.starts_with(".env.")
        {
            EXACT
        } else {
            PLAIN
        }
    }
}

/// Whether a shell sources a file of this path.
fn is_shell(all: &str, name: &str) -> bool {
    const DIRECTORIES: [&str; 4] = ["/etc/default/", "/etc/sysconfig/", "/etc/conf.d/", "/etc/profile.d/"];
    const FILES: [&str; 6] =
        ["/etc/profile", "/etc/bash.bashrc", ".profile", ".bashrc", ".bash_profile", ".bash_aliases"];
    // initramfs.conf(5), update-initramfs.conf(5).
    const INITRAMFS: [&str; 3] = [
        "/etc/initramfs-tools/initramfs.conf",
        "/etc/initramfs-tools/update-initramfs.conf",
        "/etc/initramfs-tools/conf.d/",
    ];
    DIRECTORIES.iter().chain(&INITRAMFS).any(|top| all.starts_with(top))
        || FILES.iter().any(|file| *file == all || *file == name)
        || name.ends_with(".sh")
}
