//! What operations do to units: their files in all directories of systemd, what
//! its generators make units of, and the verbs of systemctl(1).

use super::relations::{self, Related};
use super::{FileOp, KNOWN_AFTER_APPLY, Meta, Op, PackageOp, Planned, UnitOp, Verb};
use crate::observe::probe::UNIT_DIRECTORIES;
use crate::observe::{FileType, HostState, Known, PathState, PredictedState, Query, RcLinks, Unit};
use crate::values::{AbsPath, UnitFile, UnitName};
use std::collections::BTreeMap;

/// Where the operator's own units stand, and the links that mask others.
const OWN_UNITS: &str = "/etc/systemd/system";

/// What stands at a path that has changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Brought<'a> {
    /// A file with this text.
    Text(&'a [u8]),
    /// A link to this target.
    Link(&'a str),
    /// A file whose text is not known here.
    Unread,
    /// Nothing any more.
    Nothing,
}

/// Whether systemd makes units of what stands there, or takes its own settings from
/// it, so that it must read them again (systemd.unit(5), systemd.generator(7),
/// systemd-system.conf(5)).
pub(crate) fn is_unit_source(path: &AbsPath) -> bool {
    let below = |top: &&str| path.as_str().strip_prefix(*top).is_some_and(|rest| rest.starts_with('/'));
    let is_of_manager = path.as_str() == "/etc/systemd/system.conf" || below(&"/etc/systemd/system.conf.d");
    UNIT_DIRECTORIES.iter().any(below) || is_generators_source(path) || is_of_manager
}

fn is_generators_source(path: &AbsPath) -> bool {
    matches!(path.as_str(), "/etc/fstab" | "/etc/crypttab") || path.as_str().starts_with("/etc/init.d/")
}

/// Has systemd read its units again after the last operation that writes,
/// links or removes what they are made of, whatever kind of step does so.
pub(super) fn read_again(planned: &mut Planned, host: &HostState) {
    if host.facts.init != "systemd" || planned.ops.contains(&Op::Unit(UnitOp::DaemonReload)) {
        return;
    }
    let changes = |op: &Op| op.replaced().is_some_and(is_unit_source);
    if let Some(last) = planned.ops.iter().rposition(changes) {
        planned.ops.insert(last + 1, Op::Unit(UnitOp::DaemonReload));
    }
}

/// A path was written, linked or removed: the units that it belongs to must be
/// read again, and a new one is there.
pub(super) fn changed(host: &mut PredictedState, path: &AbsPath, brought: Brought<'_>) {
    if is_generators_source(path) {
        if !matches!(brought, Brought::Nothing) {
            generated(host.units_mut(), path);
        }
        return;
    }
    let below = |top: &str| path.as_str().strip_prefix(top)?.strip_prefix('/');
    let found = UNIT_DIRECTORIES.iter().enumerate().find_map(|(rank, top)| Some((rank, below(top)?)));
    let Some((rank, rest)) = found else { return };
    let (file, drop_in) = match rest.split_once('/') {
        None => (rest, false),
        Some((directory, name)) => match directory.strip_suffix(".d") {
            Some(unit) if name.ends_with(".conf") => (unit, true),
            _ => return wanted(host, directory, name, brought),
        },
    };
    for (name, state) in host.units_mut() {
        if !is_file_of(file, name) {
            continue;
        }
        match state {
            Known::Is(unit) if drop_in => {
                if unit.load != "not-found" {
                    unit.needs_reload = true;
                    heal(unit);
                    if let Brought::Text(text) = brought {
                        let said = Said::of(text);
                        unit.cannot_reload &= !said.reloads;
                        said.related.add(unit);
                    }
                }
            }
            _ if drop_in => {}
            // The file of a mask is the link that it is.
            Known::Is(unit) if unit.load == "masked" && matches!(brought, Brought::Nothing) => {
                if UNIT_DIRECTORIES.get(rank) == Some(&OWN_UNITS) {
                    unit.load = "loaded".to_owned();
                    unit.file = KNOWN_AFTER_APPLY.to_owned();
                    unit.fragment.clear();
                    unit.needs_reload = true;
                }
            }
            Known::Is(unit) if ["loaded", "bad-setting", "error"].contains(&unit.load.as_str()) => {
                unit.needs_reload = true;
                // The first directory that has a file decides.
                if rank_of(&unit.fragment).is_none_or(|own| rank <= own) {
                    heal(unit);
                    if let Some(new) = replaced(unit, path, brought) {
                        *state = new;
                    }
                }
            }
            _ => *state = new(path, brought),
        }
    }
    if let (false, Brought::Text(text)) = (drop_in, brought) {
        let said = Said::of(text).related;
        if let Ok(unit) = file.parse::<UnitName>() {
            relations::named_by(host, &unit, &said.aliases);
        }
        let made_of_it = |(_, unit): &(&UnitName, &Unit)| unit.fragment == path.as_str();
        let units: Vec<UnitName> = host.known_units().filter(made_of_it).map(|(name, _)| name.clone()).collect();
        units.iter().for_each(|unit| relations::tied(host, unit, &said));
    }
}

/// A link by which another unit wants or requires a unit comes or goes: that is
/// what enables it (systemctl(1)).
fn wanted(host: &mut PredictedState, directory: &str, unit: &str, brought: Brought<'_>) {
    let Some(by) = [".wants", ".requires"].iter().find_map(|suffix| directory.strip_suffix(suffix)) else { return };
    let Some(Known::Is(unit)) = unit.parse::<UnitName>().ok().and_then(|name| host.units_mut().get_mut(&name)) else {
        return;
    };
    match brought {
        Brought::Nothing if unit.file == "enabled" => {
            // Others may want it too.
            unit.started_by.retain(|other| other != by);
            let is_wanted = unit.started_by.iter().any(|other| other.ends_with(".target"));
            unit.file = if is_wanted { KNOWN_AFTER_APPLY } else { "disabled" }.to_owned();
        }
        Brought::Link(_) if matches!(unit.file.as_str(), "disabled" | KNOWN_AFTER_APPLY) => {
            unit.file = "enabled".to_owned();
        }
        _ => {}
    }
}

/// Where the directory of a unit's file comes among all of them.
fn rank_of(fragment: &str) -> Option<usize> {
    let directory = fragment.rsplit_once('/')?.0;
    UNIT_DIRECTORIES.iter().position(|top| *top == directory)
}

/// What systemd could not use may be right now.
fn heal(unit: &mut Unit) {
    if matches!(unit.load.as_str(), "bad-setting" | "error") {
        unit.load = "loaded".to_owned();
    }
}

/// A unit whose file has changed; none where it is changed in its place.
fn replaced(unit: &mut Unit, path: &AbsPath, brought: Brought<'_>) -> Option<Known<Unit>> {
    unit.fragment = path.to_string();
    let before = unit.file.clone();
    match (brought, before.as_str()) {
        // Whether there is a vendor's file, and what it says, is not known.
        (Brought::Nothing, _) if unit.active == "inactive" => Some(Known::Is(Unit {
            load: KNOWN_AFTER_APPLY.to_owned(),
            file: KNOWN_AFTER_APPLY.to_owned(),
            active: unit.active.clone(),
            needs_reload: true,
            ..Unit::default()
        })),
        (Brought::Nothing, _) => Some(Known::AfterApply),
        (Brought::Text(text), _) => {
            let said = Said::of(text);
            // A file comes before what a generator makes of fstab, crypttab or a script.
            let was_script = unit.rc_links.take().is_some();
            if was_script || matches!(before.as_str(), "static" | "disabled" | "generated" | "") {
                said.state().clone_into(&mut unit.file);
            }
            (unit.runs_once, unit.is_on_bus) = (said.runs_once, said.is_on_bus);
            unit.cannot_reload = said.cannot_reload(path);
            said.related.replace(unit);
            unit.started_by.push(KNOWN_AFTER_APPLY.to_owned());
            None
        }
        (Brought::Link("/dev/null"), _) => {
            "masked".clone_into(&mut unit.load);
            "masked".clone_into(&mut unit.file);
            None
        }
        (Brought::Link(_) | Brought::Unread, _) => None,
    }
}

/// A unit that was not there.
fn new(path: &AbsPath, brought: Brought<'_>) -> Known<Unit> {
    let unit = |load: &str, file: &str| Unit {
        load: load.to_owned(),
        active: "inactive".to_owned(),
        file: file.to_owned(),
        fragment: path.to_string(),
        needs_reload: true,
        // Other units may want it.
        started_by: vec![KNOWN_AFTER_APPLY.to_owned()],
        ..Unit::default()
    };
    match brought {
        Brought::Text(text) => {
            let said = Said::of(text);
            let mut unit = Unit {
                runs_once: said.runs_once,
                is_on_bus: said.is_on_bus,
                cannot_reload: said.cannot_reload(path),
                ..unit("loaded", said.state())
            };
            said.related.replace(&mut unit);
            Known::Is(unit)
        }
        Brought::Link("/dev/null") => Known::Is(unit("masked", "masked")),
        Brought::Link(_) | Brought::Unread | Brought::Nothing => Known::AfterApply,
    }
}

/// What a unit's own file says of it.
struct Said {
    installable: bool,
    runs_once: bool,
    is_on_bus: bool,
    reloads: bool,
    related: Related,
}

impl Said {
    fn of(text: &[u8]) -> Said {
        let file = UnitFile::parse(&String::from_utf8_lossy(text)).unwrap_or_default();
        let last = |key: &str| file.values("Service", key).last().unwrap_or_default().to_owned();
        let remains = ["yes", "true", "on", "1", "y", "t"].contains(&last("RemainAfterExit").to_lowercase().as_str());
        Said {
            installable: file.can_be_enabled(),
            runs_once: last("Type") == "oneshot" && !remains,
            is_on_bus: last("Type") == "dbus" || !last("BusName").is_empty(),
            reloads: !last("ExecReload").is_empty() || last("Type") == "notify-reload",
            related: Related::of(&file),
        }
    }

    /// The state of a unit that is not enabled, in the words of systemctl(1).
    fn state(&self) -> &'static str {
        if self.installable { "disabled" } else { "static" }
    }

    /// Of services alone: other types of units say otherwise whether they reload.
    fn cannot_reload(&self, path: &AbsPath) -> bool {
        !self.reloads && path.file_name().ends_with(".service")
    }
}

/// The units that systemd's generators make of a file, as far as they are not there.
fn generated(units: &mut BTreeMap<UnitName, Known<Unit>>, path: &AbsPath) {
    let script =
        path.as_str().strip_prefix("/etc/init.d/").map(|name| format!("{}.service", name.trim_end_matches(".sh")));
    for (name, state) in units {
        let suffix = name.as_str().rsplit('.').next().unwrap_or_default();
        let of_this = match path.as_str() {
            "/etc/fstab" => ["mount", "automount", "swap"].contains(&suffix),
            "/etc/crypttab" => name.as_str().starts_with("systemd-cryptsetup@"),
            _ => script.as_deref() == Some(name.as_str()),
        };
        if of_this && matches!(state, Known::Is(unit) if unit.load == "not-found") {
            // Links of the script may stand there before it does.
            let file = if script.is_some() { KNOWN_AFTER_APPLY } else { "generated" };
            *state = Known::Is(Unit {
                load: "loaded".to_owned(),
                active: "inactive".to_owned(),
                file: file.to_owned(),
                rc_links: script.is_some().then(RcLinks::new),
                needs_reload: true,
                ..Unit::default()
            });
        }
    }
}

/// Whether a file of this name is that of the unit, or of the template it is an instance of.
fn is_file_of(file: &str, unit: &UnitName) -> bool {
    let template = || {
        let (stem, rest) = unit.as_str().split_once('@')?;
        let (_, suffix) = rest.rsplit_once('.')?;
        Some(format!("{stem}@.{suffix}"))
    };
    file == unit.as_str() || template().is_some_and(|template| template == file)
}

/// Whether an operation removes a file that a unit is made of, itself or with the package that has it.
pub(super) fn removes_file_of(op: &Op, unit: &UnitName, host: &HostState) -> bool {
    let is_its = |path: &str| {
        path.rsplit_once('/').is_some_and(|(directory, file)| {
            UNIT_DIRECTORIES.contains(&directory) && is_file_of(file, unit)
                || directory == "/etc/init.d" && format!("{}.service", file.trim_end_matches(".sh")) == unit.as_str()
        })
    };
    match op {
        Op::File(FileOp::Remove { path, .. }) => is_its(path.as_str()),
        Op::Package(PackageOp::AptRemove { packages, .. }) => packages
            .iter()
            .filter_map(|package| host.shipped(package).ok())
            .any(|shipped| shipped.files.iter().any(|file| is_its(file))),
        _ => false,
    }
}

/// A verb was said to a unit.
pub(super) fn told(host: &mut PredictedState, verb: Verb, name: &UnitName) {
    if let Some(stem) = [".mount", ".automount"].iter().find_map(|suffix| name.as_str().strip_suffix(suffix)) {
        host.mounts_may_change();
        let hides = matches!(verb, Verb::Start | Verb::Stop | Verb::Restart);
        mounted_at(stem).filter(|_| hides).iter().for_each(|path| host.leave_tree_uncertain(path));
    }
    if matches!(verb, Verb::Start | Verb::Restart) {
        host.service_will_start(None);
    }
    let mut unit = match host.unit(name) {
        Ok(Known::Is(unit)) => unit.clone(),
        // What a package will bring is loaded by the time the verb is said; the
        // rest stays unknown until something is said about it.
        _ => Unit {
            load: "loaded".into(),
            active: KNOWN_AFTER_APPLY.into(),
            file: KNOWN_AFTER_APPLY.into(),
            ..Unit::default()
        },
    };
    match verb {
        Verb::Enable | Verb::Disable => {
            let enable = verb == Verb::Enable;
            // One with nothing but Also= stays as it is.
            if unit.file != "indirect" {
                unit.file = if enable { "enabled" } else { "disabled" }.into();
            }
            relations::installed(host, name, &unit, enable);
        }
        Verb::Start | Verb::Restart => {
            unit.active = "active".into();
            relations::started(host, name, &unit);
        }
        Verb::Stop => {
            unit.active = "inactive".into();
            relations::stop_with(host, name, &unit);
        }
        Verb::Reload => {}
        Verb::Mask => {
            // The mask of an alias has the alias's name and is nothing to the unit.
            if unit.real.take().is_some() {
                unit.active = "inactive".into();
            }
            unit.load = "masked".into();
            unit.file = "masked".into();
            mask(host, name, Some("/dev/null"));
        }
        Verb::Unmask => {
            unit.load = "loaded".into();
            unit.file = "disabled".into();
            mask(host, name, None);
        }
    }
    host.set_unit(name, Known::Is(unit));
}

/// The mount point that the name of a mount unit stands for (systemd-escape(1)).
pub(super) fn mounted_at(stem: &str) -> Option<AbsPath> {
    let mut path = vec![b'/'];
    let mut rest = if stem == "-" { &[] } else { stem.as_bytes() };
    while let [first, more @ ..] = rest {
        let escaped = rest.strip_prefix(b"\\x").and_then(|hex| std::str::from_utf8(hex.get(..2)?).ok());
        rest = match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                path.push(byte);
                more.get(3..).unwrap_or_default()
            }
            None => {
                path.push(if *first == b'-' { b'/' } else { *first });
                more
            }
        };
    }
    String::from_utf8(path).ok()?.parse().ok()
}

/// The link that masks a unit stands, or is gone, where somebody asks for that path.
fn mask(host: &mut PredictedState, name: &UnitName, target: Option<&str>) {
    let Some(path) =
        format!("{OWN_UNITS}/{name}").parse().ok().filter(|path| host.asked(&Query::Path(AbsPath::clone(path))))
    else {
        return;
    };
    let state = match target {
        Some(target) => super::predicted_entry(FileType::Link, &Meta::root(0o777), Some(target.to_owned())),
        None => PathState::Absent,
    };
    host.set_path(&path, state);
}

#[cfg(test)]
mod tests {
    use super::mounted_at;

    #[test]
    fn the_name_of_a_mount_unit_is_that_of_its_mount_point() {
        for (stem, path) in
            [("-", "/"), ("srv-data", "/srv/data"), ("home-my\\x20data", "/home/my data"), ("a\\x2db", "/a-b")]
        {
            assert_eq!(mounted_at(stem).map(|path| path.to_string()).as_deref(), Some(path), "{stem}");
        }
    }
}
