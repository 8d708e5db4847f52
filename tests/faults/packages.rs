//! dpkg interrupted at what it calls, and apt's locks held by another.

use super::site::{Site, ended, start};
use super::{Fault, fault, runner};

/// Whether the host has the package whole, or not at all.
fn has_package(site: &mut Site) -> Result<bool, String> {
    let state = site.try_on("dpkg-query -W -f '${db:Status-Status}' fault 2>/dev/null").1;
    let audit = site.on("dpkg --audit; ls /var/lib/dpkg/updates");
    match (state.as_str(), audit.as_str()) {
        ("installed", "") => Ok(true),
        ("" | "not-installed" | "config-files", "") => Ok(false),
        _ => Err(format!("the package is {state:?}, dpkg says {audit:?}")),
    }
}

fn converge_package(site: &mut Site, to: &str) -> Result<(), String> {
    let ran = ended(start(site.apply_to(to, &["--tags", "package", "--resume"])));
    if ran.code != 0 {
        return Err(format!("the next apply does not heal it: {ran:?}"));
    }
    if has_package(site)? != (to == "new") {
        return Err(format!("the package is not as it should be: {ran:?}"));
    }
    site.on("rm -rf /var/lib/stockade/runs/* /run/fault");
    Ok(())
}

pub fn faults() -> Vec<Fault> {
    let mut all = Vec::new();
    for (to, pattern) in [
        ("new", "touch /run/fault.preinst"),
        ("new", "touch /run/fault.postinst"),
        ("new", "dpkg-deb --control *"),
        ("new", "dpkg-deb --fsys-tarfile *"),
        ("new", "rm -rf -- /var/lib/dpkg/tmp.ci"),
        ("old", "touch /run/fault.prerm"),
        ("old", "touch /run/fault.postrm"),
    ] {
        for kind in ["before", "after"] {
            if pattern.starts_with("rm") && kind == "after" {
                continue;
            }
            all.push(fault("dpkg is interrupted", format!("{kind} {pattern:?}, to {to}"), move |site| {
                converge_package(site, if to == "new" { "old" } else { "new" })?;
                site.arm(&runner(pattern), kind);
                let ran = ended(start(site.apply_to(to, &["--tags", "package"])));
                if !site.has_fired() {
                    return Err(format!("the fault did not happen: {ran:?}"));
                }
                if ran.code == 0 {
                    return Err(format!("exit code 0: {ran:?}"));
                }
                converge_package(site, to)?;
                site.is_settled()
            }));
        }
    }
    for lock in ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"] {
        all.push(fault("apt's lock is held", format!("{lock}, until the run waits for it"), move |site| {
            converge_package(site, "old")?;
            let holder = format!(
                "import fcntl, os, time\nf = open('{lock}', 'w')\nfcntl.lockf(f, fcntl.LOCK_EX)\nopen('/run/held', 'w').close()\n\
                 while not os.path.exists('/run/released'): time.sleep(0.05)\n"
            );
            site.host.exec_with_input(&["sh", "-c", "cat >/run/holder.py"], holder.as_bytes()).unwrap();
            site.on("rm -f /run/held /run/released; setsid python3 /run/holder.py >/dev/null 2>&1 </dev/null &");
            site.until("[ -e /run/held ]")?;
            let apply = start(site.apply_to("new", &["--tags", "package"]));
            let waited = site.until("grep -qs -e Waiting -e lock /run/stockade/*/out");
            site.on("touch /run/released");
            let ran = ended(apply);
            waited?;
            if ran.code != 0 {
                return Err(format!("the lock was not awaited: {ran:?}"));
            }
            converge_package(site, "new")
        }));
    }
    all
}
