//! Files whose readers insist on a mode, after their manuals and sources: most
//! hold passwords or keys, and are not read where others could have read or
//! written them.

use super::in_force::wildcard;
use crate::observe::HostState;
use crate::values::{AbsPath, Mode};

/// A file that is read only with certain modes.
struct PrivateFile {
    /// Its path; `*` and `?` stand for any text.
    path: &'static str,
    who: &'static str,
    /// What becomes of the file otherwise.
    does: &'static str,
    source: &'static str,
    /// Bits of which none may be set.
    forbidden: u16,
}

const fn file(
    path: &'static str,
    (who, does, source): (&'static str, &'static str, &'static str),
    forbidden: u16,
) -> PrivateFile {
    PrivateFile { path, who, does, source, forbidden }
}

const OWNER_ONLY: u16 = 0o077;
const NO_WRITING: u16 = 0o022;
const NOT_EVERYBODY: u16 = 0o007;
const NOT_WRITABLE_BY_EVERYBODY: u16 = 0o002;
const NO_PROGRAM: u16 = 0o111;

const MYSQL: (&str, &str, &str) = ("MySQL and MariaDB", "ignore", "Using Option Files");

/// The first that fits counts.
const PRIVATE_FILES: [PrivateFile; 25] = [
    file("*/.pgpass", ("PostgreSQL's programs", "ignore", "libpq, The Password File"), OWNER_ONLY),
    file("*/.my.cnf", MYSQL, NOT_WRITABLE_BY_EVERYBODY),
    file("/etc/my.cnf", MYSQL, NOT_WRITABLE_BY_EVERYBODY),
    file("/etc/mysql/*.cnf", MYSQL, NOT_WRITABLE_BY_EVERYBODY),
    file("*/.mylogin.cnf", ("MySQL's programs", "ignore", "mysql_config_editor"), OWNER_ONLY),
    file("*/.netrc", ("ftp and Python", "refuse", "netrc(5)"), OWNER_ONLY),
    file("*/.fetchmailrc", ("fetchmail", "refuses", "fetchmail(1)"), OWNER_ONLY),
    file("*/.msmtprc", ("msmtp", "refuses", "msmtp(1)"), OWNER_ONLY),
    file("*/.monitrc", ("monit", "refuses", "monit(1)"), OWNER_ONLY),
    file("/etc/monit/monitrc", ("monit", "refuses", "monit(1)"), OWNER_ONLY),
    file("*/.davfs2/secrets", ("mount.davfs", "refuses", "mount.davfs(8)"), OWNER_ONLY),
    file("/etc/davfs2/secrets", ("mount.davfs", "refuses", "mount.davfs(8)"), OWNER_ONLY),
    file("*/.erlang.cookie", ("Erlang", "refuses", "Distributed Erlang, Security"), OWNER_ONLY),
    file("/etc/munge/munge.key", ("munged", "refuses", "munged(8)"), OWNER_ONLY),
    file("/etc/rsyncd.secrets", ("rsync", "refuses", "rsyncd.conf(5), strict modes"), NOT_EVERYBODY),
    file("/etc/ppp/*-secrets", ("pppd", "warns of", "pppd(8)"), OWNER_ONLY),
    file("/etc/wireguard/*.conf", ("wg-quick", "warns of", "wg-quick(8)"), NOT_EVERYBODY),
    file("/etc/ssh/ssh_host_*_key", ("sshd", "refuses", "sshd(8)"), OWNER_ONLY),
    // Public keys stand beside the private ones.
    file("*/.ssh/*.pub", ("ssh", "refuses", "ssh(1)"), 0),
    file("*/.ssh/id_*", ("ssh", "refuses", "ssh(1)"), OWNER_ONLY),
    file("*/.ssh/config", ("ssh", "refuses", "ssh_config(5)"), NO_WRITING),
    file("*/.ssh/authorized_keys", ("sshd", "ignores", "sshd_config(5), StrictModes"), NO_WRITING),
    file("*/.vault_pass*", ("ansible-vault", "runs as a program", "ansible-vault(1)"), NO_PROGRAM),
    file("/var/spool/cron/crontabs/*", ("cron", "ignores", "cron(8)"), 0o177),
    file("/etc/sudo.conf", ("sudo", "ignores", "sudo.conf(5)"), NOT_WRITABLE_BY_EVERYBODY),
];

/// What is told of a file with a mode that its reader does not take, or with an
/// owner who keeps its user from reading it.
pub(super) fn note(host: &HostState, path: &AbsPath, mode: Mode, owner: Option<&str>) -> Option<String> {
    let found = PRIVATE_FILES.iter().find(|file| wildcard(file.path, path.as_str()))?;
    let PrivateFile { who, does, source, forbidden, .. } = found;
    let bits = mode.bits();
    if bits & forbidden == 0 || hidden_by_directory(host, path, *forbidden) {
        let user = path.as_str().strip_prefix("/home/")?.split_once('/')?.0;
        let unreadable = owner == Some("root") && bits & 0o044 == 0 && *forbidden != 0;
        return unreadable.then(|| {
            format!("{user} cannot read {path}: its owner is root and its mode {mode}; say owner = \"{user}\"")
        });
    }
    let why = match *forbidden {
        NO_PROGRAM => "it is executable",
        NO_WRITING => "others than its owner can write to it",
        NOT_WRITABLE_BY_EVERYBODY => "everybody can write to it",
        NOT_EVERYBODY => "everybody has access to it",
        _ => "others than its owner have access to it",
    };
    let right = Mode::from_bits(bits & !forbidden);
    Some(format!("{who} {does} {path}: {why} (mode {mode}): say mode = \"{right}\" ({source})"))
}

/// Whether a directory keeps out those who are meant by everybody.
fn hidden_by_directory(host: &HostState, path: &AbsPath, forbidden: u16) -> bool {
    let entry = path.parent().and_then(|parent| host.path(&parent).ok().cloned());
    forbidden == NOT_EVERYBODY
        && entry.as_ref().and_then(|state| state.entry()).is_some_and(|entry| entry.mode.bits() & forbidden == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note_of(path: &str, mode: u16, owner: &str) -> Option<String> {
        note(&HostState::default(), &path.parse().unwrap(), Mode::from_bits(mode), Some(owner))
    }

    #[test]
    fn modes_that_a_reader_does_not_take_are_told() {
        for (path, mode, part) in [
            ("/home/ada/.pgpass", 0o644, "PostgreSQL's programs ignore"),
            ("/root/.my.cnf", 0o666, "everybody can write to it"),
            ("/home/ada/.netrc", 0o640, "say mode = \"0600\""),
            ("/home/ada/.ssh/id_ed25519", 0o644, "ssh refuses"),
            ("/home/ada/.ssh/config", 0o664, "can write to it"),
            ("/etc/ssh/ssh_host_rsa_key", 0o644, "sshd refuses"),
            ("/etc/ppp/chap-secrets", 0o644, "pppd warns of"),
            ("/etc/wireguard/wg0.conf", 0o644, "everybody has access to it"),
            ("/srv/app/.vault_pass", 0o700, "it is executable"),
            ("/var/spool/cron/crontabs/ada", 0o644, "cron ignores"),
            ("/var/lib/rabbitmq/.erlang.cookie", 0o440, "say mode = \"0400\""),
        ] {
            let note = note_of(path, mode, "ada");
            assert!(note.as_ref().is_some_and(|note| note.contains(part)), "{path}: {note:?}");
        }
        for (path, mode) in [
            ("/home/ada/.pgpass", 0o600),
            ("/root/.my.cnf", 0o644),
            ("/home/ada/.ssh/id_ed25519.pub", 0o644),
            ("/home/ada/.ssh/known_hosts", 0o644),
            ("/home/ada/.ssh/config", 0o644),
            ("/etc/wireguard/wg0.conf", 0o600),
        ] {
            assert_eq!(note_of(path, mode, "ada"), None, "{path}");
        }
        let roots = note_of("/home/ada/.pgpass", 0o600, "root");
        assert!(roots.as_ref().is_some_and(|note| note.contains("ada cannot read")), "{roots:?}");
    }
}
