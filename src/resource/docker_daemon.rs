//! What a playbook may not do to the Docker daemon, whichever kind does it.
//!
//! Two rules, told at plan time. The API listens on no network address unless
//! it asks its callers for certificates: whoever can call it is root on the
//! host (docs.docker.com, "Protect the Docker daemon socket"). And `hosts` in
//! daemon.json stands beside no `-H` on the command line: dockerd does not
//! start with both, and Docker's own unit has one (dockerd(8)).

use super::Args;
use crate::observe::{Content, HostState, Queries, Query, StateError};
use crate::plan::{PlanError, Planned};
use crate::values::{AbsPath, UnitFile, UnitName};

const DAEMON_JSON: &str = "/etc/docker/daemon.json";
const UNIT: &str = "/etc/systemd/system/docker.service";
const DROP_INS: &str = "/etc/systemd/system/docker.service.d";

/// Where the daemon listens, as one of its two configurations says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listens {
    /// None if this configuration does not say.
    addresses: Option<Vec<String>>,
    tls_verify: bool,
}

impl Listens {
    /// What daemon.json says; a sentence if it is not what dockerd can read.
    fn from_json(bytes: &[u8]) -> Result<Listens, String> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Listens::default());
        }
        let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let Some(object) = json.as_object() else { return Err("it must be one JSON object".to_owned()) };
        let tls_verify = object.get("tlsverify") == Some(&serde_json::Value::Bool(true));
        let addresses = match object.get("hosts") {
            None => None,
            Some(hosts) => {
                let texts = hosts.as_array().map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)));
                Some(texts.and_then(Iterator::collect).ok_or("'hosts' must be an array of strings")?)
            }
        };
        Ok(Listens { addresses, tls_verify })
    }

    /// What a command line says (dockerd(8): `-H`, `--host`, `--tlsverify`).
    fn from_command(command: &str) -> Listens {
        let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        let mut listens = Listens::default();
        while let Some(word) = words.next() {
            let address = match word {
                "-H" | "--host" => words.next(),
                "--tlsverify" | "--tlsverify=true" => {
                    listens.tls_verify = true;
                    None
                }
                _ => {
                    word.strip_prefix("--host=").or_else(|| word.strip_prefix("-H")).map(|a| a.trim_start_matches('='))
                }
            };
            if let Some(address) = address {
                listens.addresses.get_or_insert_default().push(address.trim_matches(['"', '\'']).to_owned());
            }
        }
        listens
    }

    /// The first network address.
    fn network(&self) -> Option<&str> {
        // dockerd takes an address without a scheme for TCP.
        let local = |address: &str| ["unix://", "fd://", "npipe://"].iter().any(|scheme| address.starts_with(scheme));
        self.addresses.iter().flatten().map(String::as_str).find(|address| !local(address))
    }
}

/// Why a network listener is refused.
fn open_api(address: &str) -> String {
    format!(
        "the Docker daemon would listen on {} and ask nobody who they are: an open Docker API makes everyone who \
         reaches it root on this host. Leave the API on its Unix socket with the token gateway before it, or have \
         the daemon demand client certificates (tlsverify)",
        address.escape_debug()
    )
}

/// The last command that `ExecStart=` lines leave in force; none if they say nothing.
fn command(file: &UnitFile) -> Option<&str> {
    file.values("Service", "ExecStart").last().filter(|command| !command.is_empty())
}

/// Checks content written to daemon.json by the field of that name.
pub(super) fn check_daemon_json(args: &mut Args<'_>, field: &str, path: &AbsPath, content: &[u8]) {
    if path.as_str() != DAEMON_JSON {
        return;
    }
    match Listens::from_json(content) {
        Err(why) => args.wrong_value(field, format!("dockerd cannot start with this {DAEMON_JSON}: {why}")),
        Ok(listens) => {
            if let (Some(address), false) = (listens.network(), listens.tls_verify) {
                args.refuse(field, open_api(address));
            }
        }
    }
}

/// The questions that [`check_daemon_json_clash`] needs.
pub(super) fn daemon_json_queries(path: &AbsPath, content: &[u8], queries: &mut Queries) {
    if !sets_hosts(path, content) {
        return;
    }
    if let (Ok(drop_ins), Ok(unit)) = (DROP_INS.parse(), UNIT.parse()) {
        queries.extend([Query::Names(drop_ins), Query::Content(unit)]);
    }
}

fn sets_hosts(path: &AbsPath, content: &[u8]) -> bool {
    path.as_str() == DAEMON_JSON && Listens::from_json(content).is_ok_and(|listens| listens.addresses.is_some())
}

/// Refuses `hosts` in daemon.json where the unit's command line has `-H`.
pub(super) fn check_daemon_json_clash(
    host: &HostState,
    path: &AbsPath,
    content: &[u8],
    planned: &mut Planned,
) -> Result<(), PlanError> {
    let (true, Ok(drop_ins), Ok(unit)) = (sets_hosts(path, content), DROP_INS.parse::<AbsPath>(), UNIT.parse()) else {
        return Ok(());
    };
    // The unit that Docker's packages bring runs dockerd with -H fd://.
    let mut in_force = Some("/usr/bin/dockerd -H fd://".to_owned());
    let mut files: Vec<AbsPath> = vec![unit];
    let names = host.names(&drop_ins)?.iter().filter(|name| name.ends_with(".conf"));
    files.extend(names.filter_map(|name| drop_ins.join(name).ok()));
    for file in files {
        match host.content(&file) {
            Ok(Content::Bytes(bytes)) => {
                let parsed = UnitFile::parse(&String::from_utf8_lossy(bytes)).unwrap_or_default();
                if let Some(found) = command(&parsed) {
                    in_force = Some(found.to_owned());
                }
            }
            Ok(Content::Absent) => {}
            Ok(Content::Digest(_) | Content::AfterApply) => in_force = None,
            Err(StateError::NotAsked(_)) => {
                planned.follow_up_queries.push(Query::Content(file));
                in_force = None;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(found) = in_force.filter(|found| Listens::from_command(found).addresses.is_some()) {
        return Err(PlanError::Refused(format!(
            "'hosts' in {DAEMON_JSON} and -H on the command line ({}) exclude each other: dockerd would not start. \
             Leave 'hosts' out, or put a 'dropin' step for docker.service before this one that clears ExecStart= and \
             sets it without -H",
            found.escape_debug()
        )));
    }
    Ok(())
}

/// The question that [`check_unit`] needs.
pub(super) fn unit_queries(unit: &UnitName, queries: &mut Queries) {
    if let ("docker.service", Ok(path)) = (unit.as_str(), DAEMON_JSON.parse()) {
        queries.ask(Query::Content(path));
    }
}

/// Checks a unit file or drop-in of `docker.service` or `docker.socket`.
pub(super) fn check_unit(host: &HostState, unit: &UnitName, file: &UnitFile) -> Result<(), PlanError> {
    match unit.as_str() {
        "docker.socket" => {
            // systemd.socket(5): a path, an abstract name, or else a network address; empty clears.
            let network = |address: &&str| !address.is_empty() && !address.starts_with(['/', '@', '%']);
            match file.values("Socket", "ListenStream").find(network) {
                Some(address) => Err(PlanError::Refused(open_api(address))),
                None => Ok(()),
            }
        }
        "docker.service" => {
            let listens = Listens::from_command(command(file).unwrap_or_default());
            let daemon = match host.content(&DAEMON_JSON.parse().map_err(|_| not_a_path())?)? {
                Content::Bytes(bytes) => Listens::from_json(bytes).unwrap_or_default(),
                _ => Listens::default(),
            };
            let tls = listens.tls_verify || daemon.tls_verify;
            if let (Some(address), false) = (listens.network().or(daemon.network()), tls) {
                return Err(PlanError::Refused(open_api(address)));
            }
            if listens.addresses.is_some() && daemon.addresses.is_some() {
                return Err(PlanError::Refused(format!(
                    "-H in ExecStart= and 'hosts' in {DAEMON_JSON} on this host exclude each other: dockerd would not \
                     start. Leave -H out here, or take 'hosts' out of {DAEMON_JSON} with a 'file' step before this one"
                )));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn not_a_path() -> PlanError {
    PlanError::Refused(format!("{DAEMON_JSON} is not a path"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "docker_daemon_tests.rs"]
mod tests;
