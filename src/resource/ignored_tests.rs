//! Tests of `ignored`.

use super::*;

fn note_of(path: &str, mode: u16, owner: &str, content: Option<&[u8]>) -> Option<String> {
    let path: AbsPath = path.parse().unwrap();
    let reader = READERS.iter().find(|reader| is_in(&path, reader.directory))?;
    PlannedFile { path: &path, owner: Some(owner), mode: Some(Mode::from_bits(mode)), content }.ignored(reader)
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
        ("/etc/rc.local", 0o644, "root", "#!/bin/sh\n", "must be executable"),
        ("/etc/cron.weekly/x", 0o755, "root", "echo x\n", "does not begin with '#!'"),
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
        ("/etc/rc.local", 0o755, "#!/bin/sh\n"),
        ("/etc/cron.weekly/x", 0o755, "\u{7f}ELF"),
        ("/etc/cron.d/x", 0o644, "# x\n"),
        ("/etc/cron.d/x", 0o600, ""),
        ("/etc/logrotate.d/x", 0o640, ""),
        ("/etc/apt/keyrings/x.asc", 0o644, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
    ] {
        assert_eq!(note_of(path, mode, "root", Some(content.as_bytes())), None, "{path}");
    }
}
