//! Whether cloud-init sets the host's name otherwise (cloud-init's module "set
//! hostname"). The main file is read first, then cloud.cfg.d by name; the last
//! value of a key counts. A name that only the cloud's metadata give overrides
//! nothing: cloud-init leaves what was changed since.

use super::ConfigFile;
use crate::observe::{Content, HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::AbsPath;

const MAIN: &str = "/etc/cloud/cloud.cfg";
const DIRECTORY: &str = "/etc/cloud/cloud.cfg.d";

/// Asks for cloud-init's configuration.
pub(in crate::resource) fn ask_cloud(queries: &mut Queries) {
    queries.extend(MAIN.parse().ok().map(Query::Content));
    queries.extend(DIRECTORY.parse().ok().map(Query::Fragments));
}

/// What gives the host another name at boot.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn hostname(host: &HostState, name: &str) -> Result<InForce, PlanError> {
    let mut found = InForce::default();
    if matches!(host.facts.cloud_init.as_str(), "absent" | "disabled" | "") {
        return Ok(found);
    }
    let mut files = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Ok(path) = MAIN.parse::<AbsPath>()
        && let Content::Bytes(bytes) = host.content(&path)?
    {
        files.push(ConfigFile { text: text(bytes), path });
    }
    let directory: AbsPath = DIRECTORY.parse().map_err(|_| PlanError::Refused(format!("{DIRECTORY} is not a path")))?;
    for (file, bytes) in host.fragments(&directory)? {
        if let (true, Some(bytes), Ok(path)) = (file.ends_with(".cfg"), bytes, directory.join(&file)) {
            files.push(ConfigFile { path, text: text(bytes) });
        }
    }
    let keeps = last(&files, "preserve_hostname").is_some_and(|(_, _, value)| is_true(&value));
    let said = last(&files, "hostname").or_else(|| last(&files, "fqdn"));
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if let Some((file, line, other)) = said.filter(|(_, _, other)| !keeps && short(other) != short(name)) {
        let message = format!(
            "cloud-init gives the host the name {other}: say the same there, or 'preserve_hostname: true' in a file of \
             {DIRECTORY}"
        );
        found.overridden.push(Override::new(&file.path, Some(line), message));
    }
    Ok(found)
}

/// The last value of a key at the top of the YAML files.
fn last<'a>(files: &'a [ConfigFile], key: &str) -> Option<(&'a ConfigFile, usize, String)> {
    let value = |line: &str| {
        let value = line.strip_prefix(key)?.strip_prefix(':')?.split(" #").next()?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let of_file =
        |file: &'a ConfigFile| file.lines().filter_map(move |(number, line)| Some((file, number, value(line)?))).last();
    files.iter().filter_map(of_file).next_back()
}

fn is_true(value: &str) -> bool {
    ["true", "yes", "on", "1"].contains(&value.to_ascii_lowercase().as_str())
}
