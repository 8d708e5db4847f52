//! What whoever reads a directory passes over: a file of such a name, mode,
//! owner or form is written and never in force.

use super::Args;
use super::in_force::wildcard;
use crate::observe::{HostState, PathState};
use crate::plan::{Op, Planned};
use crate::values::{AbsPath, Mode};

/// A directory whose reader takes certain files only.
struct Reader {
    /// The directory; `*` and `?` stand for any text.
    directory: &'static str,
    /// Who reads it, and where that is documented.
    who: &'static str,
    source: &'static str,
    /// Whether a name is read.
    reads: fn(&str) -> bool,
    /// What a name must be, in words.
    rule: &'static str,
    needs: Needs,
}

/// What else a file must be to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Others than root can read it, by any of these bits: its reader is not root.
    Read(u16),
    /// A program.
    Executable,
    /// A program of root's, that nobody else can write.
    RootsProgram,
    /// Root's, and nobody else can write it.
    Roots,
    /// The same, with a newline at its end.
    Crontab,
    /// Root's, and nobody else can read it.
    Private,
    /// A key in the form that its name says, which apt's own user can read.
    Key,
}

const fn reader(
    directory: &'static str,
    (who, source): (&'static str, &'static str),
    (reads, rule): (fn(&str) -> bool, &'static str),
    needs: Needs,
) -> Reader {
    Reader { directory, who, source, reads, rule, needs }
}

type Names = (fn(&str) -> bool, &'static str);

const ANY: Names = (|_| true, "may be any");
const RUN_PARTS: Names = (run_parts, "may hold only letters, digits, '_' and '-'");
const LSB: Names = (lsb, "may hold only small letters, digits and '-'; '_' and '.' before its last '-'");
const CONF: Names = (|name| name.ends_with(".conf"), "must end in .conf");
const RULES: Names = (|name| name.ends_with(".rules"), "must end in .rules");
const CFG: Names = (|name| name.ends_with(".cfg"), "must end in .cfg");
const CNF: Names = (|name| name.ends_with(".cnf"), "must end in .cnf");
const LOCAL: Names = (|name| name.ends_with(".conf") || name.ends_with(".local"), "must end in .conf or .local");
const BACKUP: Names = (no_backup, "may not be that of a backup, such as one that ends in '~', .bak or .dpkg-old");

const SYSTEMD: &str = "systemd";

use Needs::{Crontab, Executable, Key, Nothing, Private, Read, Roots, RootsProgram};

/// The first directory that fits counts.
const READERS: [Reader; 90] = [
    // Schedules and hooks that run-parts(8) runs.
    reader("/etc/cron.d", ("cron", "cron(8)"), RUN_PARTS, Crontab),
    reader("/etc/cron.daily", ("cron", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/cron.hourly", ("cron", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/cron.monthly", ("cron", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/cron.weekly", ("cron", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/cron.yearly", ("cron", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/update-motd.d", ("pam_motd", "run-parts(8), --lsbsysinit"), LSB, Executable),
    reader("/etc/network/if-*.d", ("ifupdown", "interfaces(5)"), RUN_PARTS, Executable),
    reader("/etc/ppp/ip*.d", ("pppd", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/kernel/*.d", ("the kernel's package", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/ca-certificates/update.d", ("update-ca-certificates", "run-parts(8)"), RUN_PARTS, Executable),
    reader("/etc/dhcp/dhclient-*-hooks.d", ("dhclient", "dhclient-script(8)"), RUN_PARTS, Nothing),
    reader("/etc/NetworkManager/dispatcher.d", ("NetworkManager", "NetworkManager-dispatcher(8)"), ANY, RootsProgram),
    reader("/etc/networkd-dispatcher/*.d", ("networkd-dispatcher", "networkd-dispatcher(8)"), ANY, RootsProgram),
    reader("/etc/letsencrypt/renewal-hooks/*", ("certbot", "certbot(1)"), BACKUP, Executable),
    reader("/etc/grub.d", ("grub-mkconfig", "grub-mkconfig(8)"), BACKUP, Executable),
    reader("/etc/initramfs-tools/hooks", ("update-initramfs", "initramfs-tools(7)"), BACKUP, Executable),
    reader("/etc/initramfs-tools/scripts/*", ("update-initramfs", "initramfs-tools(7)"), BACKUP, Executable),
    reader("/etc/systemd/system-generators", (SYSTEMD, "systemd.generator(7)"), ANY, Executable),
    reader("/etc/systemd/system-sleep", (SYSTEMD, "systemd-sleep(8)"), ANY, Executable),
    reader("/etc/systemd/system-shutdown", (SYSTEMD, "systemd-shutdown(8)"), ANY, Executable),
    reader("/etc/init.d", ("the init system", "run-parts(8)"), ANY, Executable),
    // apt.
    reader("/etc/apt/apt.conf.d", ("apt", "apt.conf(5)"), (apt_conf, APT_CONF), Nothing),
    reader(
        "/etc/apt/auth.conf.d",
        ("apt", "apt_auth.conf(5)"),
        (|name| apt(name, &["conf"]), "must end in .conf"),
        Nothing,
    ),
    reader("/etc/apt/preferences.d", ("apt", "apt_preferences(5)"), (apt_pins, APT_PINS), Nothing),
    reader("/etc/apt/sources.list.d", ("apt", "sources.list(5)"), (sources, SOURCES), Nothing),
    reader(
        "/etc/apt/trusted.gpg.d",
        ("apt", "apt-secure(8)"),
        (|name| apt(name, &["gpg", "asc"]), "must end in .gpg or .asc"),
        Key,
    ),
    reader("/etc/apt/keyrings", ("apt", "sources.list(5)"), ANY, Key),
    // Logins and what is set for them.
    reader(
        "/etc/profile.d",
        ("the shell", "/etc/profile"),
        (|name| name.ends_with(".sh"), "must end in .sh"),
        Read(0o004),
    ),
    reader("/etc/security/limits.d", ("pam_limits", "limits.conf(5)"), CONF, Nothing),
    reader("/etc/security/namespace.d", ("pam_namespace", "namespace.conf(5)"), CONF, Nothing),
    reader("/etc/security/pwquality.conf.d", ("pam_pwquality", "pwquality.conf(5)"), CONF, Nothing),
    reader("/etc/ssh/sshd_config.d", ("sshd", "/etc/ssh/sshd_config"), CONF, Nothing),
    reader("/etc/ssh/ssh_config.d", ("ssh", "/etc/ssh/ssh_config"), CONF, Read(0o004)),
    reader("/etc/sudoers.d", ("sudo", "sudoers(5)"), ANY, Roots),
    reader("/etc/polkit-1/rules.d", ("polkit", "polkit(8)"), RULES, Nothing),
    reader("/etc/dbus-1/*.d", ("D-Bus", "dbus-daemon(1)"), CONF, Nothing),
    reader("/etc/environment.d", (SYSTEMD, "environment.d(5)"), CONF, Read(0o004)),
    reader("/etc/apparmor.d", ("AppArmor", "apparmor_parser(8)"), BACKUP, Nothing),
    // The kernel, its devices and modules.
    reader("/etc/modprobe.d", ("modprobe", "modprobe.d(5)"), CONF, Nothing),
    reader("/etc/depmod.d", ("depmod", "depmod.d(5)"), CONF, Nothing),
    reader("/etc/modules-load.d", (SYSTEMD, "modules-load.d(5)"), CONF, Nothing),
    reader("/etc/sysctl.d", ("sysctl", "sysctl.d(5)"), CONF, Nothing),
    reader("/etc/binfmt.d", (SYSTEMD, "binfmt.d(5)"), CONF, Nothing),
    reader("/etc/udev/rules.d", ("udev", "udev(7)"), RULES, Nothing),
    reader("/etc/udev/hwdb.d", ("udev", "hwdb(7)"), (|name| name.ends_with(".hwdb"), "must end in .hwdb"), Nothing),
    reader("/etc/default/grub.d", ("grub-mkconfig", "/etc/default/grub.d"), CFG, Nothing),
    reader("/etc/ld.so.conf.d", ("ldconfig", "/etc/ld.so.conf"), CONF, Nothing),
    reader("/etc/audit/rules.d", ("augenrules", "augenrules(8)"), RULES, Nothing),
    // systemd.
    reader("/etc/tmpfiles.d", (SYSTEMD, "tmpfiles.d(5)"), CONF, Nothing),
    reader("/etc/sysusers.d", (SYSTEMD, "sysusers.d(5)"), CONF, Nothing),
    reader("/etc/systemd/system", (SYSTEMD, "systemd.unit(5)"), (unit, UNIT), Nothing),
    reader("/etc/systemd/user", (SYSTEMD, "systemd.unit(5)"), (unit, UNIT), Nothing),
    reader(
        "/etc/systemd/system-preset",
        (SYSTEMD, "systemd.preset(5)"),
        (|name| name.ends_with(".preset"), "must end in .preset"),
        Nothing,
    ),
    reader(
        "/etc/systemd/user-preset",
        (SYSTEMD, "systemd.preset(5)"),
        (|name| name.ends_with(".preset"), "must end in .preset"),
        Nothing,
    ),
    reader("/etc/systemd/network", ("systemd-networkd", "systemd.network(5)"), (network, NETWORK), Read(0o044)),
    reader("/etc/systemd/network/*.d", ("systemd-networkd", "systemd.network(5)"), CONF, Read(0o044)),
    reader("/etc/systemd/networkd.conf.d", ("systemd-networkd", "networkd.conf(5)"), CONF, Read(0o044)),
    reader("/etc/systemd/resolved.conf.d", ("systemd-resolved", "resolved.conf(5)"), CONF, Read(0o044)),
    reader("/etc/systemd/timesyncd.conf.d", ("systemd-timesyncd", "timesyncd.conf(5)"), CONF, Read(0o044)),
    reader(
        "/etc/systemd/nspawn",
        (SYSTEMD, "systemd.nspawn(5)"),
        (|name| name.ends_with(".nspawn"), "must end in .nspawn"),
        Nothing,
    ),
    reader(
        "/etc/systemd/dnssd",
        ("systemd-resolved", "systemd.dnssd(5)"),
        (|name| name.ends_with(".dnssd"), "must end in .dnssd"),
        Nothing,
    ),
    // Drop-ins of units, networks, daemons and tools: `foo.service.d`, `journald.conf.d`.
    reader("/etc/systemd/*.d", (SYSTEMD, "systemd.unit(5)"), CONF, Nothing),
    // Networks.
    reader("/etc/netplan", ("netplan", "netplan(5)"), (|name| name.ends_with(".yaml"), "must end in .yaml"), Nothing),
    reader("/etc/NetworkManager/conf.d", ("NetworkManager", "NetworkManager.conf(5)"), CONF, Nothing),
    reader("/etc/NetworkManager/system-connections", ("NetworkManager", "nm-settings-keyfile(5)"), BACKUP, Private),
    reader("/etc/wireguard", ("wg-quick", "wg-quick(8)"), CONF, Nothing),
    reader("/etc/chrony/conf.d", ("chronyd", "/etc/chrony/chrony.conf"), CONF, Nothing),
    reader(
        "/etc/chrony/sources.d",
        ("chronyd", "chrony.conf(5)"),
        (|name| name.ends_with(".sources"), "must end in .sources"),
        Nothing,
    ),
    reader("/etc/dnsmasq.d", ("dnsmasq", "dnsmasq(8)"), BACKUP, Nothing),
    reader("/etc/unbound/unbound.conf.d", ("unbound", "/etc/unbound/unbound.conf"), CONF, Nothing),
    // Logs and what watches a host.
    reader("/etc/rsyslog.d", ("rsyslogd", "/etc/rsyslog.conf"), CONF, Nothing),
    reader("/etc/logrotate.d", ("logrotate", "logrotate(8)"), BACKUP, Roots),
    reader("/etc/fail2ban/jail.d", ("fail2ban", "jail.conf(5)"), LOCAL, Nothing),
    reader("/etc/fail2ban/fail2ban.d", ("fail2ban", "jail.conf(5)"), LOCAL, Nothing),
    reader("/etc/fail2ban/filter.d", ("fail2ban", "jail.conf(5)"), LOCAL, Nothing),
    reader("/etc/needrestart/conf.d", ("needrestart", "/etc/needrestart/needrestart.conf"), CONF, Nothing),
    reader("/etc/snmp/snmpd.conf.d", ("snmpd", "/etc/snmp/snmpd.conf"), CONF, Nothing),
    reader("/etc/cloud/cloud.cfg.d", ("cloud-init", "/etc/cloud/cloud.cfg"), CFG, Nothing),
    // Servers.
    reader("/etc/nginx/conf.d", ("nginx", "/etc/nginx/nginx.conf"), CONF, Nothing),
    reader("/etc/nginx/modules-enabled", ("nginx", "/etc/nginx/nginx.conf"), CONF, Nothing),
    reader("/etc/apache2/sites-*", ("apache2", "a2ensite(8)"), CONF, Nothing),
    reader("/etc/apache2/conf-*", ("apache2", "a2enconf(8)"), CONF, Nothing),
    reader("/etc/mysql/*conf.d", ("the database server", "/etc/mysql/my.cnf"), CNF, Nothing),
    reader("/etc/postgresql/*/conf.d", ("PostgreSQL", "include_dir in postgresql.conf"), CONF, Nothing),
    reader(
        "/etc/php/*/conf.d",
        ("PHP", "PHP_INI_SCAN_DIR"),
        (|name| name.ends_with(".ini"), "must end in .ini"),
        Nothing,
    ),
    reader("/etc/php/*/pool.d", ("PHP-FPM", "php-fpm.conf"), CONF, Nothing),
    reader(
        "/etc/dovecot/conf.d",
        ("dovecot", "/etc/dovecot/dovecot.conf"),
        (|name| name.ends_with(".conf") || name.ends_with(".ext"), "must end in .conf"),
        Nothing,
    ),
    reader("/etc/supervisor/conf.d", ("supervisord", "/etc/supervisor/supervisord.conf"), CONF, Nothing),
    reader(
        "/usr/local/share/ca-certificates*",
        ("update-ca-certificates", "update-ca-certificates(8)"),
        (|name| name.ends_with(".crt"), "must end in .crt"),
        Nothing,
    ),
];

const APT_CONF: &str = "must end in .conf or hold no '.'; letters, digits, '_' and '-' may stand before that";
const APT_PINS: &str = "must end in .pref or hold no '.'; letters, digits, '_' and '-' may stand before that";
const SOURCES: &str = "must end in .list or .sources";
const UNIT: &str = "must end in a type of unit, such as .service";
const NETWORK: &str = "must end in .network, .netdev or .link";

/// run-parts(8), and cron(8) for /etc/cron.d.
fn run_parts(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// run-parts(8) with --lsbsysinit: the names of the LSB, and those of cron's in small letters.
fn lsb(name: &str) -> bool {
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let hierarchical = || {
        let name = name.strip_prefix('_').unwrap_or(name);
        let Some((before, last)) = name.rsplit_once('-') else { return false };
        let part = |part: &str| !part.is_empty() && part.chars().all(|c| small(c) || c == '_' || c == '.');
        !last.is_empty() && last.chars().all(small) && before.split('-').all(part) && no_backup(name)
    };
    let plain = !name.starts_with('-') && name.chars().all(|c| small(c) || c == '-');
    plain || hierarchical()
}

/// A name that apt takes (apt.conf(5), "The APT configuration directory").
fn apt(name: &str, endings: &[&str]) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    name.chars().all(known) && endings.contains(&ending)
}

fn apt_conf(name: &str) -> bool {
    apt(name, &["", "conf"])
}

fn apt_pins(name: &str) -> bool {
    apt(name, &["", "pref"])
}

fn sources(name: &str) -> bool {
    apt(name, &["list", "sources"])
}

fn unit(name: &str) -> bool {
    const TYPES: [&str; 11] =
        ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];
    name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && TYPES.contains(&kind))
}

fn network(name: &str) -> bool {
    [".network", ".netdev", ".link"].iter().any(|ending| name.ends_with(ending))
}

/// What editors and dpkg leave beside a file.
fn no_backup(name: &str) -> bool {
    const ENDINGS: [&str; 10] = [
        "~",
        ".bak",
        ".dpkg-old",
        ".dpkg-dist",
        ".dpkg-new",
        ".dpkg-tmp",
        ".swp",
        ".ucf-old",
        ".ucf-dist",
        ".disabled",
    ];
    !ENDINGS.iter().any(|ending| name.ends_with(ending)) && !name.starts_with('#')
}

/// Refuses a file whose name sudo passes over (sudoers(5), "Including other
/// files"): rights or limits that are written there would not hold.
pub(super) fn refuse(args: &mut Args<'_>, path: &AbsPath) {
    let name = path.file_name();
    if is_in(path, "/etc/sudoers.d") && (name.contains('.') || name.ends_with('~')) {
        args.wrong_value(
            "path",
            format!("sudo ignores {path}: the name of a file in /etc/sudoers.d may not hold '.' nor end in '~'"),
        );
    }
}

/// A file as a plan leaves it; what is not known is none.
struct Left<'a> {
    path: &'a AbsPath,
    owner: Option<&'a str>,
    mode: Option<Mode>,
    content: Option<&'a [u8]>,
}

impl<'a> Left<'a> {
    fn by(op: &'a Op, host: &'a HostState) -> Option<Left<'a>> {
        Some(match op {
            Op::WriteFile { path, content, meta, .. } => {
                Left { path, owner: Some(&meta.owner), mode: Some(meta.mode), content: Some(content) }
            }
            Op::Download { path, meta, .. } => {
                Left { path, owner: Some(&meta.owner), mode: Some(meta.mode), content: None }
            }
            Op::MakeLink { path, .. } => Left { path, owner: None, mode: None, content: None },
            Op::SetMeta { path, owner, mode, .. } => {
                let entry = match host.path(path) {
                    Ok(PathState::Present(entry)) if entry.file_type == crate::observe::FileType::File => entry,
                    _ => return None,
                };
                let owner = owner.as_deref().unwrap_or(&entry.owner);
                Left { path, owner: Some(owner), mode: Some(mode.unwrap_or(entry.mode)), content: None }
            }
            _ => return None,
        })
    }

    /// What the reader of its directory passes it over for.
    fn ignored(&self, reader: &Reader) -> Option<String> {
        let Reader { who, source, rule, .. } = reader;
        let path = self.path;
        if !(reader.reads)(path.file_name()) {
            return Some(format!("{who} ignores {path}: a name there {rule} ({source})"));
        }
        let bits = self.mode.map_or(0o755, Mode::bits);
        let (foreign, shown) =
            (self.owner.filter(|owner| *owner != "root"), self.mode.unwrap_or(Mode::from_bits(0o755)));
        let is_program = bits & 0o111 != 0;
        let why = match reader.needs {
            Needs::Executable | Needs::RootsProgram if !is_program => {
                format!("it must be executable, and its mode is {shown}: say mode = \"0755\"")
            }
            Needs::RootsProgram | Needs::Roots | Needs::Crontab if bits & 0o022 != 0 => {
                format!("others than its owner can write to it (mode {shown}): say mode = \"0644\"")
            }
            Needs::Read(by) if bits & by == 0 => {
                format!("its reader is not root and cannot read it (mode {shown}): say mode = \"0644\"")
            }
            Needs::Key if bits & 0o004 == 0 => {
                format!("apt's own user cannot read it (mode {shown}): say mode = \"0644\"")
            }
            Needs::Private if self.mode.is_some() && bits & 0o077 != 0 => {
                format!("others than root can read it (mode {shown}): say mode = \"0600\"")
            }
            Needs::RootsProgram | Needs::Roots | Needs::Crontab | Needs::Private if foreign.is_some() => {
                format!("it must belong to root, and its owner is {}", foreign.unwrap_or_default())
            }
            Needs::Crontab if self.content.is_some_and(|text| !text.is_empty() && !text.ends_with(b"\n")) => {
                "its last line does not end in a newline".to_owned()
            }
            Needs::Key => wrong_form(path.file_name(), self.content?)?.to_owned(),
            Needs::Executable
            | Needs::RootsProgram
            | Needs::Roots
            | Needs::Crontab
            | Needs::Private
            | Needs::Read(_)
            | Needs::Nothing => {
                return None;
            }
        };
        Some(format!("{who} ignores {path}: {why} ({source})"))
    }
}

/// apt takes keys in the form that the name of their file says (apt-secure(8)).
fn wrong_form(name: &str, key: &[u8]) -> Option<&'static str> {
    let armored = key.trim_ascii_start().starts_with(b"-----BEGIN");
    match (name.rsplit_once('.')?.1, armored) {
        ("gpg", true) => Some("its key is in the ASCII form, so its name must end in .asc"),
        ("asc", false) if !key.is_empty() => Some("its key is in the binary form, so its name must end in .gpg"),
        _ => None,
    }
}

/// Tells of the files that a step writes which are passed over. Names that
/// begin with a dot are meant to be.
pub(super) fn note(host: &HostState, planned: &mut Planned) {
    let mut notes: Vec<String> = Vec::new();
    for left in planned.ops.iter().filter_map(|op| Left::by(op, host)) {
        let reader = READERS.iter().find(|reader| is_in(left.path, reader.directory));
        let note = reader.filter(|_| !left.path.file_name().starts_with('.')).and_then(|reader| left.ignored(reader));
        notes.extend(note.filter(|note| !planned.notes.contains(note)));
    }
    planned.notes.extend(notes);
}

fn is_in(path: &AbsPath, directory: &str) -> bool {
    path.parent().is_some_and(|parent| wildcard(directory, parent.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note_of(path: &str, mode: u16, owner: &str, content: Option<&[u8]>) -> Option<String> {
        let path: AbsPath = path.parse().unwrap();
        let reader = READERS.iter().find(|reader| is_in(&path, reader.directory))?;
        Left { path: &path, owner: Some(owner), mode: Some(Mode::from_bits(mode)), content }.ignored(reader)
    }

    #[test]
    fn each_reader_takes_the_names_that_its_manual_says() {
        for path in [
            "/etc/apt/apt.conf.d/foo.bak",
            "/etc/apt/apt.conf.d/a b",
            "/etc/security/limits.d/foo",
            "/etc/systemd/system/x.service.d/foo",
            "/etc/systemd/system/foo",
            "/etc/systemd/journald.conf.d/foo",
            "/etc/netplan/01-a.yml",
            "/etc/update-motd.d/50-x.sh",
            "/etc/cron.daily/x.sh",
            "/etc/apt/preferences.d/foo.pin",
            "/etc/apt/trusted.gpg.d/foo.key",
            "/etc/udev/rules.d/99-foo",
            "/etc/sysusers.d/foo",
            "/etc/environment.d/foo",
            "/etc/ld.so.conf.d/foo",
            "/etc/systemd/network/10-foo.conf",
            "/etc/default/grub.d/50-x.conf",
            "/etc/rsyslog.d/foo",
            "/etc/polkit-1/rules.d/foo",
            "/etc/logrotate.d/app.bak",
            "/etc/php/8.2/fpm/conf.d/x.conf",
            "/usr/local/share/ca-certificates/own.pem",
        ] {
            assert!(note_of(path, 0o755, "root", None).is_some_and(|note| note.contains("a name there")), "{path}");
        }
        for path in [
            "/etc/apt/apt.conf.d/50foo",
            "/etc/apt/apt.conf.d/50unattended-upgrades.conf",
            "/etc/systemd/system/x.service.d/foo.conf",
            "/etc/systemd/system/getty@tty1.service",
            "/etc/systemd/network/10-foo.network",
            "/etc/systemd/network/10-foo.network.d/x.conf",
            "/etc/update-motd.d/50-x",
            "/etc/update-motd.d/50-app.net-news",
            "/etc/apt/preferences.d/foo",
            "/etc/logrotate.d/app.conf",
            "/etc/motd",
            "/usr/local/share/ca-certificates/own.crt",
        ] {
            assert_eq!(note_of(path, 0o755, "root", None), None, "{path}");
        }
    }

    #[test]
    fn each_reader_takes_the_modes_owners_and_forms_that_its_manual_says() {
        for (path, mode, owner, content, why) in [
            ("/etc/cron.daily/x1", 0o644, "root", "#!/bin/sh\n", "must be executable"),
            ("/etc/update-motd.d/50-x", 0o644, "root", "", "must be executable"),
            ("/etc/cron.d/x", 0o664, "root", "# x\n", "can write to it"),
            ("/etc/cron.d/x", 0o644, "ada", "# x\n", "must belong to root"),
            ("/etc/cron.d/x", 0o644, "root", "# x", "newline"),
            ("/etc/logrotate.d/x", 0o666, "root", "", "can write to it"),
            ("/etc/profile.d/x.sh", 0o640, "root", "", "cannot read it"),
            ("/etc/systemd/network/x.network", 0o600, "root", "", "cannot read it"),
            ("/etc/systemd/resolved.conf.d/x.conf", 0o600, "root", "", "cannot read it"),
            ("/etc/apt/keyrings/x.gpg", 0o600, "root", "\u{1}", "apt's own user cannot read it"),
            ("/etc/NetworkManager/system-connections/x", 0o644, "root", "", "can read it"),
            ("/etc/apt/trusted.gpg.d/x.gpg", 0o644, "root", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n", ".asc"),
            ("/etc/apt/keyrings/x.asc", 0o644, "root", "\u{1}", ".gpg"),
        ] {
            let note = note_of(path, mode, owner, Some(content.as_bytes()));
            assert!(note.as_ref().is_some_and(|note| note.contains(why)), "{path}: {note:?}");
        }
        for (path, mode, content) in [
            ("/etc/cron.daily/x1", 0o755, "#!/bin/sh\n"),
            ("/etc/cron.d/x", 0o644, "# x\n"),
            ("/etc/cron.d/x", 0o600, ""),
            ("/etc/logrotate.d/x", 0o640, ""),
            ("/etc/apt/keyrings/x.asc", 0o644, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
        ] {
            assert_eq!(note_of(path, mode, "root", Some(content.as_bytes())), None, "{path}");
        }
    }
}
