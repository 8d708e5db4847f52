//! Packages that carry the connection, or that a login goes through, where the
//! host uses them: what would cut off access is not removed, for no guard
//! brings packages back.
//!
//! `Access::packages` has those without which nobody logs in, whatever else is
//! on the host. Of these here the host shows whether it uses them: by a unit
//! that is active, a process, files that are theirs, or PAM's own files.

use super::{Access, Op, PackageOp, PlanError, Planned};
use crate::observe::{HostState, Known, Query, ShippedFiles};
use crate::values::{AbsPath, PackageName};

/// What shows that a host uses a package.
enum Sign {
    /// This unit is active.
    Unit(&'static str),
    /// A process of this name runs.
    Process(&'static str),
    /// There are files of this ending in this directory.
    Files(&'static str, &'static str),
    /// One of these files is there.
    Paths(&'static [&'static str]),
    /// The user that logs in is in no file of the host.
    RemoteUser,
}

/// What the packages of this table do for the connection or the login.
const NETWORK: &str = "carries this host's network";
const NAMES: &str = "resolves names for this host";
const ACCOUNTS: &str = "tells this host who the user is that logs in";

/// The packages, what they do, and what shows that they do it.
const NEEDED: [(&str, &str, Sign); 26] = [
    ("ifupdown", NETWORK, Sign::Unit("networking.service")),
    ("ifupdown2", NETWORK, Sign::Unit("networking.service")),
    ("ifupdown-ng", NETWORK, Sign::Unit("networking.service")),
    ("netplan.io", NETWORK, Sign::Files("/etc/netplan", ".yaml")),
    ("netplan-generator", NETWORK, Sign::Files("/etc/netplan", ".yaml")),
    ("network-manager", NETWORK, Sign::Unit("NetworkManager.service")),
    ("connman", NETWORK, Sign::Unit("connman.service")),
    ("wpasupplicant", NETWORK, Sign::Unit("wpa_supplicant.service")),
    ("iwd", NETWORK, Sign::Unit("iwd.service")),
    ("isc-dhcp-client", NETWORK, Sign::Process("dhclient")),
    ("udhcpc", NETWORK, Sign::Process("udhcpc")),
    ("dhcpcd", NETWORK, Sign::Process("dhcpcd")),
    ("dhcpcd5", NETWORK, Sign::Process("dhcpcd")),
    ("dhcpcd-base", NETWORK, Sign::Process("dhcpcd")),
    ("tailscale", NETWORK, Sign::Unit("tailscaled.service")),
    ("zerotier-one", NETWORK, Sign::Unit("zerotier-one.service")),
    ("systemd-resolved", NAMES, Sign::Unit("systemd-resolved.service")),
    ("dropbear", "lets logins in", Sign::Unit("dropbear.service")),
    (
        "cloud-init",
        "has written this host's network or sudo rules, which can go with it",
        Sign::Paths(&[
            "/etc/sudoers.d/90-cloud-init-users",
            "/etc/netplan/50-cloud-init.yaml",
            "/etc/network/interfaces.d/50-cloud-init",
            "/etc/network/interfaces.d/50-cloud-init.cfg",
        ]),
    ),
    ("sssd", ACCOUNTS, Sign::RemoteUser),
    ("sssd-common", ACCOUNTS, Sign::RemoteUser),
    ("libnss-sss", ACCOUNTS, Sign::RemoteUser),
    ("libnss-ldapd", ACCOUNTS, Sign::RemoteUser),
    ("nslcd", ACCOUNTS, Sign::RemoteUser),
    ("winbind", ACCOUNTS, Sign::RemoteUser),
    ("libnss-winbind", ACCOUNTS, Sign::RemoteUser),
];

/// Where PAM's services are described.
const PAM: &str = "/etc/pam.d";

/// Refuses operations that remove what the host is reached by, with what goes
/// besides for them. What must be known of the host first goes to the plan's wants.
///
/// # Errors
/// The refusal.
pub(super) fn check(
    access: &Access,
    besides: &[PackageName],
    host: &HostState,
    planned: &mut Planned,
) -> Result<(), PlanError> {
    // What is open is judged at its turn.
    if !access.remote || planned.open.is_some() {
        return Ok(());
    }
    let own = |op: &Op| match op {
        Op::Package(PackageOp::AptRemove { packages, .. }) => packages.clone(),
        Op::Package(PackageOp::AptInstall { remove, .. }) => remove.clone(),
        _ => Vec::new(),
    };
    let gone: Vec<PackageName> = planned.ops.iter().flat_map(own).chain(besides.iter().cloned()).collect();
    for name in &gone {
        if let Some(Carrier { why, remedy }) = carries(access, name, host, &mut planned.follow_up_queries) {
            return Err(PlanError::Refused(format!("package {name} {why}. If it may go, {remedy}")));
        }
    }
    Ok(())
}

/// A package that the host is reached by.
pub(crate) struct Carrier {
    /// What it does, what shows that, and why it stays, after its name.
    pub(crate) why: String,
    /// What makes its removal safe.
    remedy: String,
}

/// Whether the host is reached by a package: what it does, and what shows that.
/// What must be known of the host first goes to the `wants`.
pub(crate) fn carries(
    access: &Access,
    name: &PackageName,
    host: &HostState,
    follow_up_queries: &mut Vec<Query>,
) -> Option<Carrier> {
    let carrier = |does: &str, shown: &str, remedy: String| {
        let why = format!("{does} ({shown}), and its removal can cut you off: no guard brings packages back");
        Some(Carrier { why, remedy })
    };
    for (_, does, sign) in NEEDED.iter().filter(|(package, _, _)| *package == name.bare()) {
        let Some(shown) = sign.shows(access, host, follow_up_queries) else { continue };
        return carrier(does, &shown, sign.remedy());
    }
    let shown = pam_names(name, host, follow_up_queries)?;
    carrier("has a module of PAM that logins use", &shown, "take that line out in a step before this one".to_owned())
}

impl Sign {
    /// What shows that the host uses the package; none if nothing does, or if
    /// that is still to be asked. Unknown is taken for use.
    fn shows(&self, access: &Access, host: &HostState, follow_up_queries: &mut Vec<Query>) -> Option<String> {
        let mut asked = |query: Query| {
            let asked = host.asked(&query);
            follow_up_queries.extend((!asked).then_some(query));
            asked
        };
        match self {
            Sign::Unit(name) => {
                let unit = name.parse().ok()?;
                if !asked(Query::Unit(unit)) {
                    return None;
                }
                let rests = matches!(host.unit(&name.parse().ok()?), Ok(Known::Is(unit)) if ["inactive", "failed"].contains(&unit.active.as_str()));
                (!rests).then(|| format!("{name} is active"))
            }
            Sign::Process(name) => {
                let runs = asked(Query::Processes) && host.runs_process(name);
                runs.then(|| format!("{name} runs"))
            }
            Sign::Files(directory, ending) => {
                let directory: AbsPath = directory.parse().ok()?;
                if !asked(Query::Names(directory.clone())) {
                    return None;
                }
                let names = host.names(&directory).ok()?;
                let file = names.iter().find(|name| name.ends_with(ending))?;
                Some(format!("{directory}/{file} is there"))
            }
            Sign::Paths(paths) => {
                let paths = paths.iter().filter_map(|path| path.parse::<AbsPath>().ok());
                // Who logs in as root needs no rule of sudo.
                let counts = |path: &AbsPath| access.user != "root" || !path.as_str().starts_with("/etc/sudoers.d/");
                let known: Vec<AbsPath> =
                    paths.filter(|path| counts(path)).filter(|path| asked(Query::Path(path.clone()))).collect();
                let found = known.iter().find(|path| host.may_be_there(path))?;
                Some(format!("{found} is there"))
            }
            Sign::RemoteUser => {
                let is_remote = asked(Query::Accounts) && host.is_remote_user(&access.user);
                is_remote.then(|| format!("'{}' is in no file of the host", access.user))
            }
        }
    }

    /// What makes the removal safe.
    fn remedy(&self) -> String {
        match self {
            Sign::Unit(name) => format!(
                "have something else take over, and stop {name} in a step before this one ('service' with running = \
                 false): a new login confirms that"
            ),
            Sign::Process(name) => format!("have something else take over, and end {name} before this run"),
            Sign::Files(directory, _) => {
                format!("have something else take over, and remove its files in {directory} in steps before this one")
            }
            Sign::Paths(_) => {
                "put what is in these files into others of your own, and remove them in steps before this one"
                    .to_owned()
            }
            Sign::RemoteUser => "log in as a user of the host's own".to_owned(),
        }
    }
}

/// The file of PAM that names a module which goes with a package. What the
/// package has had `pam-auth-update` write, that takes out again.
fn pam_names(name: &PackageName, host: &HostState, follow_up_queries: &mut Vec<Query>) -> Option<String> {
    let shipped = host.shipped(name).ok()?;
    let modules = modules(shipped);
    if modules.is_empty() {
        return None;
    }
    let directory: AbsPath = PAM.parse().ok()?;
    let query = Query::Fragments(directory.clone());
    if !host.asked(&query) {
        follow_up_queries.push(query);
        return None;
    }
    let is_managed = shipped.files.iter().any(|file| file.starts_with("/usr/share/pam-configs/"));
    let files = host.fragments(&directory).ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    files.iter().filter(|(file, _)| !(is_managed && file.starts_with("common-"))).find_map(|(file, bytes)| {
        let text = text((*bytes)?);
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let module = lines.flat_map(str::split_whitespace).find_map(|word| {
            let word = word.rsplit('/').next().unwrap_or(word);
            modules.iter().find(|module| **module == word)
        })?;
        Some(format!("{PAM}/{file} names {module}"))
    })
}

/// The modules of PAM among a package's files (pam.d(5)).
fn modules(shipped: &ShippedFiles) -> Vec<&str> {
    let module = |file: &'_ String| -> Option<usize> {
        let (directory, name) = file.rsplit_once('/')?;
        (directory.ends_with("/security") && name.starts_with("pam_") && name.ends_with(".so"))
            .then(|| file.len() - name.len())
    };
    shipped.files.iter().filter_map(|file| file.get(module(file)?..)).collect()
}
