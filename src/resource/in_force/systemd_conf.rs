//! The settings of systemd's own daemons and tools, such as journald.conf(5):
//! a main file, and drop-ins of all directories in the order of their names.

use super::units::said_otherwise;
use super::{ConfigFile, Said, hidden_by, merged};
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, PlanError};
use crate::values::AbsPath;

/// What stands first wins over a file of the same name in what stands later.
const TOPS: [&str; 5] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"];

/// The main file, such as `journald.conf`, whose configuration a path belongs to.
pub(super) fn of_path(path: &AbsPath) -> Option<String> {
    let directory = path.parent()?;
    if !path.file_name().ends_with(".conf") {
        return None;
    }
    if TOPS.contains(&directory.as_str()) {
        return Some(path.file_name().to_owned());
    }
    let main = directory.file_name().strip_suffix(".d").filter(|main| main.ends_with(".conf"))?;
    TOPS.contains(&directory.parent()?.as_str()).then(|| main.to_owned())
}

fn directories(main: &str) -> Vec<AbsPath> {
    TOPS.iter().filter_map(|top| format!("{top}/{main}.d").parse().ok()).collect()
}

/// Asks for the drop-ins of all directories.
pub(super) fn ask(queries: &mut Queries, main: &str) {
    queries.extend(directories(main).into_iter().map(Query::Fragments));
}

/// What overrides the settings that a file, or a line of it, gives.
pub(super) fn file(host: &HostState, main: &str, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let mut files = merged(host, &directories(main), ".conf")?;
    let mut found = InForce::default();
    if path.file_name() == main {
        let Content::Bytes(bytes) = host.content(path)? else { return Ok(found) };
        files.insert(0, ConfigFile { path: path.clone(), text: String::from_utf8_lossy(bytes).into_owned() });
    } else if let Some(by) = hidden_by(&files, path) {
        found.overridden.push(by);
        return Ok(found);
    }
    found.overridden.extend(said_otherwise(&files, path, said));
    Ok(found)
}
