//! Directories whose readers take certain files only, after their manuals.

/// A directory whose reader takes certain files only.
pub(super) struct Reader {
    /// The directory, or the one file; `*` and `?` stand for any text.
    pub(super) directory: &'static str,
    /// Who reads it, and where that is documented.
    pub(super) who: &'static str,
    pub(super) source: &'static str,
    /// Whether a name is read.
    pub(super) reads: fn(&str) -> bool,
    /// What a name must be, in words.
    pub(super) rule: &'static str,
    pub(super) needs: Needs,
}

/// What else a file must be to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// Others than root can read it, by any of these bits: its reader is not root.
    Read(u16),
    /// A program.
    Executable,
    /// A program of which a script says in its first line what runs it.
    Script,
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

use Needs::{Crontab, Executable, Key, Nothing, Private, Read, Roots, RootsProgram, Script};

/// The first directory that fits counts.
pub(super) const READERS: [Reader; 91] = [
    // Schedules and hooks that run-parts(8) runs.
    reader("/etc/cron.d", ("cron", "cron(8)"), RUN_PARTS, Crontab),
    reader("/etc/cron.daily", ("cron", "run-parts(8)"), RUN_PARTS, Script),
    reader("/etc/cron.hourly", ("cron", "run-parts(8)"), RUN_PARTS, Script),
    reader("/etc/cron.monthly", ("cron", "run-parts(8)"), RUN_PARTS, Script),
    reader("/etc/cron.weekly", ("cron", "run-parts(8)"), RUN_PARTS, Script),
    reader("/etc/cron.yearly", ("cron", "run-parts(8)"), RUN_PARTS, Script),
    reader("/etc/update-motd.d", ("pam_motd", "run-parts(8), --lsbsysinit"), LSB, Script),
    reader("/etc/network/if-*.d", ("ifupdown", "interfaces(5)"), RUN_PARTS, Script),
    reader("/etc/ppp/ip*.d", ("pppd", "run-parts(8)"), RUN_PARTS, Script),
    reader("/etc/kernel/*.d", ("the kernel's package", "run-parts(8)"), RUN_PARTS, Script),
    reader("/etc/ca-certificates/update.d", ("update-ca-certificates", "run-parts(8)"), RUN_PARTS, Script),
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
    reader("/etc/rc.local", (SYSTEMD, "systemd-rc-local-generator(8)"), ANY, Executable),
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
pub(super) fn run_parts(name: &str) -> bool {
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

pub(super) fn apt_conf(name: &str) -> bool {
    apt(name, &["", "conf"])
}

pub(super) fn apt_pins(name: &str) -> bool {
    apt(name, &["", "pref"])
}

pub(super) fn sources(name: &str) -> bool {
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
pub(super) fn no_backup(name: &str) -> bool {
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
