//! Lines of /etc/fstab of which systemd makes a mount unit (systemd.mount(5)):
//! a unit file of that name in /etc/systemd/system comes before it, and drop-ins
//! of the unit say otherwise.

use super::mounted::{self, DesiredMount};
use super::units::{ask_unit, assignments, drop_ins};
use super::{Said, paths};
use crate::observe::{Content, HostState, PathState, PredictedState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;
use std::collections::BTreeSet;

pub(super) const MAIN: &str = "/etc/fstab";

/// Where administrators' units and drop-ins stand.
const OWN: &str = "/etc/systemd/system";

/// Options that are not the file system's: systemd and mount(8) take them off.
const OTHERS: [&str; 8] = ["auto", "noauto", "fail", "nofail", "_netdev", "defaults", "user", "nouser"];

pub(super) fn ask(queries: &mut Queries) {
    queries.extend(paths(&[OWN]).into_iter().map(Query::Names));
}

pub(super) fn file(host: &PredictedState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let mut found = InForce::default();
    let Ok(Content::Bytes(bytes)) = host.content(path) else { return Ok(found) };
    let text = String::from_utf8_lossy(bytes).into_owned();
    let own = said.numbers(&text);
    let Some(directory) = paths(&[OWN]).pop() else { return Ok(found) };
    let names = host.names(&directory)?;
    for (_, line) in (1..).zip(text.lines()).filter(|(number, _)| own.contains(number)) {
        let Some(entry) = Entry::of(line) else { continue };
        let unit = unit_of(&entry.target);
        if names.contains(&unit)
            && let Ok(at) = directory.join(&unit)
        {
            instead(host, &at, &unit, &mut found);
        }
        // Only where there are drop-ins they are asked for.
        if super::units::names(&unit).iter().any(|name| names.contains(&format!("{name}.d"))) {
            otherwise(host, &unit, &entry, &mut found)?;
        }
        if found.overridden.is_empty() {
            let Entry { source, target, kind, options } = &entry;
            mounted::otherwise(host, &DesiredMount { unit: &unit, source, target, kind, options }, &mut found);
        }
    }
    Ok(found)
}

/// Says what stands where systemd looks first.
fn instead(host: &HostState, at: &AbsPath, unit: &str, found: &mut InForce) {
    let query = Query::Path(at.clone());
    if !host.asked(&query) {
        found.follow_up_queries.push(query);
        return;
    }
    let Ok(PathState::Present(entry)) = host.path(at) else { return };
    let message = if entry.target.as_deref() == Some("/dev/null") {
        format!("it masks {unit}, so that systemd mounts nothing there: take the mask off")
    } else {
        format!("systemd takes {unit} from this file in place of the line: remove one of the two")
    };
    found.overridden.push(Override::new(at, None, message));
}

/// Says which drop-ins give another device, type or options.
fn otherwise(host: &HostState, unit: &str, entry: &Entry, found: &mut InForce) -> Result<(), PlanError> {
    let mut queries = Queries::new();
    ask_unit(&mut queries, unit);
    let open: Vec<Query> = queries.iter().filter(|query| !host.asked(query)).cloned().collect();
    if !open.is_empty() {
        found.follow_up_queries.extend(open);
        return Ok(());
    }
    let files = drop_ins(host, unit)?;
    for key in ["What", "Type", "Options"] {
        let mut all = files.iter().flat_map(assignments).filter(|said| said.section == "Mount" && said.key == key);
        let Some(last) = all.next_back() else { continue };
        let agrees = match key {
            "What" => last.value == entry.source,
            "Type" => last.value == entry.kind,
            _ => options(&entry.options).is_subset(&options(&last.value)),
        };
        if !agrees {
            let message = format!(
                "this drop-in of {unit} sets {key} otherwise than the line: remove it there, or make the two agree"
            );
            found.overridden.push(Override::new(last.file, Some(last.line), message));
        }
    }
    Ok(())
}

fn options(text: &str) -> BTreeSet<&str> {
    let own = |option: &&str| !option.is_empty() && !option.starts_with("x-") && !OTHERS.contains(option);
    text.split(',').map(str::trim).filter(own).collect()
}

/// What a line mounts.
struct Entry {
    source: String,
    target: String,
    kind: String,
    options: String,
}

impl Entry {
    /// None where systemd makes no mount unit of the line.
    fn of(line: &str) -> Option<Entry> {
        let fields: Vec<String> = line.split_whitespace().map(unescaped).collect();
        let [source, target, kind, options @ ..] = fields.as_slice() else { return None };
        let options = options.first().cloned().unwrap_or_default();
        let is_mount = !source.starts_with('#') && target.starts_with('/') && kind != "swap";
        let (source, target, kind) = (source.clone(), target.clone(), kind.clone());
        is_mount.then_some(Entry { source, target, kind, options })
    }
}

/// A field without its escapes (fstab(5)).
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, c)| text.replace(code, c))
}

/// The mount unit of a mount point (systemd-escape(1), --path).
fn unit_of(target: &str) -> String {
    let parts: Vec<&str> = target.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let mut name = String::new();
    for (at, byte) in parts.join("/").bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b if b.is_ascii_alphanumeric() || b":_.".contains(&b) => name.push(char::from(b)),
            b => name.push_str(&format!("\\x{b:02x}")),
        }
    }
    if name.is_empty() { "-.mount".to_owned() } else { format!("{name}.mount") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_has_its_unit() {
        for (target, unit) in [
            ("/", "-.mount"),
            ("/srv/data/", "srv-data.mount"),
            ("/srv//my data", "srv-my\\x20data.mount"),
            ("/a-b/.c", "a\\x2db-.c.mount"),
            ("/.a", "\\x2ea.mount"),
        ] {
            assert_eq!(unit_of(target), unit);
        }
        assert!(Entry::of("# /a /b ext4").is_none() && Entry::of("/swap none swap sw 0 0").is_none());
    }
}
