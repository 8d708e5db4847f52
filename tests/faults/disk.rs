//! Disks that are full or become so, and file systems that are read-only.

use super::site::ended;
use super::{Fault, fault, runner};

pub fn faults() -> Vec<Fault> {
    let mut all = full_disks();
    all.extend(read_only());
    all
}

/// A folder on a disk of its own, with what was in it and so many free pages.
fn small(folder: &str, pages: usize) -> String {
    format!(
        "set -e; D={folder}; mkdir -p $D; rm -rf /root/kept; cp -aT $D /root/kept; mount -t tmpfs -o size=8m,mode=755 tmpfs $D; \
         cp -aT /root/kept $D; head -c 8388608 /dev/zero >$D/.fill 2>/dev/null || :; \
         truncate -s $(($(stat -c %s $D/.fill) - {pages} * 4096)) $D/.fill"
    )
}

/// The small disk goes; what has become of the folder stays.
fn large_again(folder: &str) -> String {
    format!(
        "set -e; D={folder}; rm -rf /root/kept; cp -aT $D /root/kept; umount -l $D; rm -rf $D/* $D/.[!.]*; cp -aT /root/kept $D; rm -rf /root/kept; \
         systemctl daemon-reload"
    )
}

fn full_disks() -> Vec<Fault> {
    let mut all = Vec::new();
    let class = "the disk is full";
    let folders: [(&'static str, &[usize]); 5] = [
        ("/var/lib/stockade", &[0, 1, 2, 4, 8, 16, 24, 32]),
        ("/run/stockade", &[0, 2, 8, 20, 40]),
        ("/srv/fault", &[0, 1, 3, 6]),
        ("/etc/sudoers.d", &[0]),
        ("/etc/ssh/sshd_config.d", &[0]),
    ];
    for (folder, sizes) in folders {
        for pages in sizes {
            let pages = *pages;
            all.push(fault(class, format!("{folder}, {pages} pages are left"), move |site| {
                site.on(&small(folder, pages));
                let ran = site.apply(&[]);
                let whole = site.whole();
                site.on(&format!("rm {folder}/.fill"));
                whole?;
                let result = site.survives(&ran);
                site.on(&large_again(folder));
                result
            }));
        }
    }
    for pattern in ["cat /run/stockade/*", "usermod *", "sync -- */guard/1 *", "systemctl daemon-reload"] {
        for folder in ["/var/lib/stockade", "/srv/fault"] {
            all.push(fault(class, format!("{folder}, from the call of {pattern:?} on"), move |site| {
                site.on(&small(folder, 1000));
                site.arm(&runner(pattern), "pause");
                let mut controller = site.start_apply(&[]);
                let paused = site.await_pause(&mut controller);
                site.on(&format!("head -c 8388608 /dev/zero >>{folder}/.fill 2>/dev/null || :"));
                site.go();
                let ran = ended(controller);
                let whole = site.whole();
                site.on(&format!("rm {folder}/.fill"));
                paused?;
                whole?;
                let result = site.survives(&ran);
                site.on(&large_again(folder));
                result
            }));
        }
    }
    all
}

fn read_only() -> Vec<Fault> {
    let class = "a file system is read-only";
    let lock = |folder: &str| {
        format!("mkdir -p {folder}; mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}")
    };
    let mut all = Vec::new();
    for folder in [
        "/srv/fault",
        "/etc/sudoers.d",
        "/etc/ssh/sshd_config.d",
        "/etc/systemd/system",
        "/home/worker",
        "/var/lib/stockade",
        "/run/stockade",
    ] {
        all.push(fault(class, folder, move |site| {
            site.on(&lock(folder));
            let ran = site.apply(&[]);
            site.on(&format!("umount {folder}"));
            if ran.code == 0 {
                return Err(format!("exit code 0: {ran:?}"));
            }
            site.survives(&ran)
        }));
    }
    for pattern in
        ["sh */before", "cat /run/stockade/*", "usermod *", "sync -- */guard/1 *", "systemctl stop ssh.service"]
    {
        for folder in ["/var/lib/stockade", "/srv/fault"] {
            all.push(fault(class, format!("{folder}, from the call of {pattern:?} on"), move |site| {
                site.arm(&runner(pattern), "pause");
                let mut controller = site.start_apply(&[]);
                let paused = site.await_pause(&mut controller);
                site.on(&lock(folder));
                site.go();
                let ran = ended(controller);
                site.on(&format!("umount -l {folder}"));
                paused?;
                site.survives(&ran)
            }));
        }
    }
    all
}
