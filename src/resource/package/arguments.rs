//! From a step's table to the packages that it is about.

use super::{DesiredPackages, Packages, Present, debconf, on_host, upgrade};
use crate::plan::AptOptions;
use crate::resource::{Args, Resource};
use crate::values::PackageName;

/// What has a meaning only for packages that shall be there.
pub(super) const PRESENT_ONLY: [&str; 9] =
    ["version", "origin", "conflicts", "allow_downgrade", "held", "recommends", "default_release", "deb", "debconf"];

pub(super) fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    if args.node("upgrade").is_some() || args.bool("autoremove").unwrap_or(false) {
        return upgrade::build(args);
    }
    if args.node("path").is_some() {
        return on_host::build(args);
    }
    let mut names: Vec<PackageName> = args.parse_list("name");
    let local = local_file(args);
    match (&local, args.node("names").is_some(), args.node("name").is_some()) {
        (Some(_), _, true) | (Some(_), true, _) => {
            args.refuse("deb", "'deb' names its package itself: leave 'name' and 'names' out");
        }
        (None, true, true) | (None, false, false) if args.node("deb").is_none() => {
            args.refuse("names", "there must be exactly one of 'name' and 'names'");
        }
        _ => {}
    }
    names.extend(args.parse_list("names"));
    names.extend(local.as_ref().map(|(name, _, _)| name.clone()));
    if names.is_empty() && args.is_clean() {
        args.refuse("names", "'names' is empty");
    }
    let conflicts: Vec<PackageName> = args.parse_list("conflicts");
    let may_remove: Vec<PackageName> = args.parse_list("may_remove");
    for (field, list) in [("conflicts", &conflicts), ("may_remove", &may_remove)] {
        if let Some(both) = list.iter().find(|name| names.contains(name)) {
            let what = if field == "conflicts" { "in conflict" } else { "one that may go" };
            args.refuse(field, format!("{both} is wanted and {what} at once"));
        }
    }
    if args.absent() {
        for field in PRESENT_ONLY {
            let releases = field == "held" && args.bool(field) == Some(false);
            if args.node(field).is_some() && !releases {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        let release = args.bool("held") == Some(false);
        let wanted = DesiredPackages::Absent { purge: args.bool("purge").unwrap_or(false), release };
        return Some(Box::new(Packages { names, wanted, conflicts, may_remove }));
    }
    if args.node("purge").is_some() {
        args.refuse("purge", "'purge' has a meaning only with state = \"absent\"");
    }
    let latest = args.string("state").as_deref() == Some("latest");
    let given = version(args, latest, names.len());
    let origin = args.string("origin");
    if origin.as_ref().is_some_and(|part| part.is_empty() || part.contains(char::is_whitespace)) {
        args.wrong_value("origin", "'origin' must be a part of an address, without blanks");
    }
    let release = args.string("default_release");
    if let Some(text) = &release {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_./=*".contains(&b);
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.bytes().all(legal) {
            args.wrong_value("default_release", format!("'{}' is not the name of a release", text.escape_debug()));
        }
        if latest {
            args.refuse(
                "default_release",
                "'default_release' and state = \"latest\" contradict each other: 'version' says which one is wanted",
            );
        }
    }
    if args.node("allow_downgrade").is_some() && given.is_none() && local.is_none() {
        args.refuse("allow_downgrade", "'allow_downgrade' has a meaning only with 'version' or 'deb'");
    }
    let answers = debconf::answers(args, &names);
    let options = AptOptions {
        recommends: args.bool("recommends"),
        default_release: release,
        allow_downgrade: args.bool("allow_downgrade").unwrap_or(false),
        any_version: false,
    };
    let held = args.bool("held");
    let (version, file) = match local {
        Some((_, version, content)) => (Some(version), Some(content)),
        None => (given, None),
    };
    let wanted = DesiredPackages::Present(Present { version, latest, origin, options, held, file, answers });
    Some(Box::new(Packages { names, wanted, conflicts, may_remove }))
}

/// Whether a text can be a version (Debian Policy 5.6.12).
fn is_version(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b".+-:~".contains(&b);
    text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(legal)
}

fn version(args: &mut Args<'_>, latest: bool, names: usize) -> Option<String> {
    let text = args.string("version")?;
    if latest {
        args.refuse("version", "'version' and state = \"latest\" contradict each other");
    }
    if names > 1 {
        args.refuse("version", "'version' is for one package: give each its own step");
    }
    // With a last '*' as apt-get(8) takes it.
    if !is_version(text.strip_suffix('*').unwrap_or(&text)) {
        args.wrong_value("version", format!("'{}' is not a version of a package", text.escape_debug()));
    }
    Some(text)
}

/// A local package file: package and version, which its name tells (dpkg-name(1)), and its bytes.
fn local_file(args: &mut Args<'_>) -> Option<(PackageName, String, Vec<u8>)> {
    let path = args.string("deb")?;
    let file = path.rsplit('/').next().unwrap_or(&path);
    let parts: Vec<&str> = file.strip_suffix(".deb").unwrap_or_default().split('_').collect();
    let named = match parts[..] {
        [name, version, arch] if !arch.is_empty() => {
            // An epoch's colon may be written as in an address.
            let version = version.replace("%3a", ":").replace("%3A", ":");
            name.parse::<PackageName>()
                .ok()
                .filter(|name| !name.as_str().contains(':') && is_version(&version))
                .map(|name| (name, version))
        }
        _ => None,
    };
    let Some((name, version)) = named else {
        args.wrong_value(
            "deb",
            format!("'{}' must be named as dpkg names packages: NAME_VERSION_ARCHITECTURE.deb", file.escape_debug()),
        );
        return None;
    };
    for field in ["version", "origin"] {
        if args.node(field).is_some() {
            args.refuse(field, format!("'{field}' has no meaning with 'deb'"));
        }
    }
    if args.string("state").is_some_and(|state| state != "present") {
        args.refuse("state", "'deb' is for state = \"present\"");
    }
    let content = args.assets.read(&path).map_err(|why| args.wrong_value("deb", why)).ok()?;
    if !content.starts_with(b"!<arch>\ndebian-binary") {
        args.wrong_value("deb", format!("'{}' is not a Debian package", path.escape_debug()));
        return None;
    }
    Some((name, version, content))
}
