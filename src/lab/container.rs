//! One host as a container: how it is started, what is waited for, and what is
//! read from it.
//!
//! No `--privileged`. What a host gets, and why:
//!
//! | granted | because |
//! |---|---|
//! | `SYS_ADMIN` | systemd mounts and unmounts (its own API file systems, `PrivateTmp` of units); a nested engine mounts overlays; the host name can be set |
//! | `NET_ADMIN` | ufw, iptables, `net.*` sysctls, a nested engine's bridge |
//! | `SYS_PTRACE` | `ss -p` and `/proc/PID/{exe,root}` of other users' processes, as root has on a machine |
//! | `SYSLOG` | `dmesg`, and the kernel log that ufw and journald read |
//! | `AUDIT_WRITE` | PAM and sudo report logins to the audit system |
//! | seccomp and AppArmor unconfined | their default profiles forbid the mounts and namespaces above, and those of sandboxed units |
//! | a cgroup namespace, which `recipe/init.sh` remounts writable | systemd keeps its units there, a nested engine its containers; the machine's own tree is out of sight, on cgroup v1 and v2 alike, and nothing of it is left when the host is removed |
//!
//! `SYS_ADMIN` is close to root on the machine: a lab host is for playbooks you
//! would run on a server of yours, not for hostile code.
//!
//! A host reboots as a machine does: `systemctl reboot` ends the container, the
//! engine starts it again on the same disk and port, and `recipe/init.sh` gives
//! it a new boot id. (`poweroff` does the same.)
//!
//! `/proc/sys` stays read-only but for `/proc/sys/net`, so a playbook that sets
//! `kernel.*` finds "persisted, not live" and the operator's kernel stays as it
//! was. `/var/lib/docker` and `/var/lib/containerd` are volumes, because an
//! overlay cannot lie on an overlay and a nested engine needs one.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::LabError;
use super::engine::Engine;
use super::names::HostKeyType;
use super::process::{Input, tail};

/// A host is up within seconds; this is for machines under heavy load.
pub(crate) const READY: Duration = Duration::from_secs(180);
/// For short commands inside a host.
const SHORT: Duration = Duration::from_secs(30);
/// Between two looks at something that cannot be waited for.
const PAUSE: Duration = Duration::from_millis(50);

const LABEL: &str = "stockade.lab";

/// Ports below those that Linux gives to outgoing connections
/// (`net.ipv4.ip_local_port_range`), so that nobody else has a host's port
/// while the host reboots.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A loopback port that is free now, at random.
///
/// # Errors
/// None is, or this machine gives no random numbers.
pub(crate) fn free_port() -> Result<u16, LabError> {
    let none = |detail: String| LabError::Engine { action: "run (choose a port)".to_owned(), detail };
    for _ in 0..200 {
        let mut random = [0u8; 2];
        getrandom::fill(&mut random).map_err(|error| none(error.to_string()))?;
        let port = PORTS.start + u16::from_le_bytes(random) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(none(format!("no port of {} to {} is free", PORTS.start, PORTS.end)))
}

/// Starts a host on a port of its own and returns its id.
pub(crate) fn start(engine: &Engine, spec: &Spec<'_>) -> Result<String, LabError> {
    let mut tries = 0;
    loop {
        match engine.call(&run_args(spec, free_port()?)) {
            Err(LabError::Engine { detail, .. })
                if tries < 5 && detail.contains("port") && detail.contains("already") =>
            {
                // Somebody was faster. What was made of the host is in the way of the next try.
                remove(engine, spec.container)?;
                tries += 1;
            }
            result => return result,
        }
    }
}

/// From now on the engine starts the host again when it ends by itself: a
/// container cannot reboot, it can only end. The disk and the port stay.
pub(crate) fn keep_alive(engine: &Engine, container: &str) -> Result<(), LabError> {
    engine.call(&["update", "--restart", "unless-stopped", container]).map(drop)
}

/// Everything that makes up one host.
pub(crate) struct Spec<'a> {
    /// The container's name, and its volumes' prefix.
    pub(crate) container: &'a str,
    /// The host's name.
    pub(crate) host: &'a str,
    /// The lab's state directory, absolute.
    pub(crate) lab: &'a str,
    /// The base, as the user writes it.
    pub(crate) base: &'a str,
    /// The user who logs in.
    pub(crate) user: &'a str,
    /// The inventory groups, joined by commas.
    pub(crate) groups: &'a str,
    /// The image to run.
    pub(crate) image: &'a str,
    /// The types of the host keys that it makes.
    pub(crate) host_keys: &'a [HostKeyType],
}

/// The arguments of `docker` that start a host, whose sshd is on a loopback port.
fn run_args(spec: &Spec<'_>, port: u16) -> Vec<String> {
    let mut args: Vec<String> =
        ["run", "--detach", "--name", spec.container, "--hostname", spec.host].map(str::to_owned).to_vec();
    let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    for capability in ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYSLOG", "AUDIT_WRITE"] {
        add(&["--cap-add", capability]);
    }
    add(&["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]);
    add(&["--tmpfs", "/run", "--tmpfs", "/run/lock", "--env", "container=docker"]);
    add(&["--cgroupns=private"]);
    let [docker, containerd] = volumes(spec.container);
    add(&["--volume", &format!("{docker}:/var/lib/docker")]);
    add(&["--volume", &format!("{containerd}:/var/lib/containerd")]);
    add(&["--publish", &format!("127.0.0.1:{port}:22")]);
    for (key, value) in
        [("", spec.lab), (".name", spec.host), (".base", spec.base), (".user", spec.user), (".groups", spec.groups)]
    {
        add(&["--label", &format!("{LABEL}{key}={value}")]);
    }
    add(&[spec.image, "/usr/local/lib/stockade-lab/init"]);
    args.extend(spec.host_keys.iter().map(ToString::to_string));
    args
}

/// The volumes of a container.
pub(crate) fn volumes(container: &str) -> [String; 2] {
    [format!("{container}-docker"), format!("{container}-containerd")]
}

/// Removes a host's container and volumes, as far as there are any.
pub(crate) fn remove(engine: &Engine, container: &str) -> Result<(), LabError> {
    engine.remove(container, &volumes(container))
}

/// Removes volumes whose container was removed by other means. `prefix` is
/// what the names of all containers of one lab begin with.
pub(crate) fn sweep(engine: &Engine, prefix: &str) -> Result<(), LabError> {
    let names = engine.call(&["volume", "ls", "--quiet", "--filter", &format!("name={prefix}")])?;
    let ours: Vec<String> = names.lines().filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
    engine.remove_volumes(&ours)
}

/// A container as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) base: String,
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
    /// `running`, `exited`, …
    pub(crate) status: String,
    /// The loopback port of sshd, while it runs.
    pub(crate) port: Option<u16>,
}

/// The containers of a lab, by their label.
pub(crate) fn of_lab(engine: &Engine, lab: &str) -> Result<Vec<Seen>, LabError> {
    let ids = engine.call(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("label={LABEL}={lab}")])?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut args = vec!["container", "inspect"];
    args.extend(ids.lines());
    // One that went away in between makes it fail, with the others on stdout.
    let output = engine.output(&args, Input::Null, SHORT)?;
    let unreadable = |_| LabError::Engine { action: "container inspect".to_owned(), detail: tail(&output, 5) };
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).map_err(unreadable)?;
    let mut seen: Vec<Seen> = all.iter().filter_map(read).collect();
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(seen)
}

/// Reads what `docker container inspect` says of one container.
fn read(value: &Value) -> Option<Seen> {
    let label = |key: &str| value["Config"]["Labels"][format!("{LABEL}{key}")].as_str();
    let port = value["NetworkSettings"]["Ports"]["22/tcp"][0]["HostPort"].as_str();
    Some(Seen {
        name: label(".name")?.to_owned(),
        id: value["Id"].as_str()?.to_owned(),
        base: label(".base")?.to_owned(),
        user: label(".user")?.to_owned(),
        groups: label(".groups")?.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        status: value["State"]["Status"].as_str()?.to_owned(),
        port: port.and_then(|port| port.parse().ok()),
    })
}

/// How a host came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// systemd says `running`.
    Running,
    /// systemd says `degraded`; these units failed.
    Degraded(Vec<String>),
}

/// A host whose systemd has started everything.
pub(crate) struct Started {
    pub(crate) health: Health,
    /// The host's own public keys, read inside it and not from the network:
    /// `type base64` each, ed25519 first.
    pub(crate) host_keys: Vec<String>,
}

/// Who may log in to a host.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    /// The lab's public key.
    pub(crate) key: &'a str,
}

/// Waits until systemd has started everything, and gives a new host its `login`.
///
/// # Errors
/// The reason, as words, when it has not by `deadline` or the container ended.
pub(crate) fn wait_for_systemd(
    engine: &Engine,
    container: &str,
    login: Option<Login<'_>>,
    deadline: Instant,
) -> Result<Started, String> {
    const SCRIPT: &str = include_str!("ready.sh");
    let Login { user, key } = login.unwrap_or(Login { user: "", key: "" });
    let mut state = String::from("no answer");
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let answer = engine.exec(container, &["sh", "-c", SCRIPT, "sh", user], Input::Bytes(key.as_bytes()), left);
        let output = answer.map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (word, keys) = said.split_once('\n').unwrap_or((&said, ""));
        let started = |health| Started { health, host_keys: public_keys(keys) };
        match word {
            "running" => return Ok(started(Health::Running)),
            "degraded" => {
                return failed_units(engine, container)
                    .map(|units| started(Health::Degraded(units)))
                    .map_err(|error| error.to_string());
            }
            "" if !output.status.success() => state = tail(&output, 5),
            "" => {}
            _ => state = word.to_owned(),
        }
        let status = engine.call(&["container", "inspect", "--format", "{{.State.Status}}", container]);
        let status = status.map_err(|error| error.to_string())?;
        if status != "running" {
            return Err(format!("its container is {status}"));
        }
        sleep(PAUSE);
    }
    Err(format!("systemd is not up: {state}"))
}

fn failed_units(engine: &Engine, container: &str) -> Result<Vec<String>, LabError> {
    let args = ["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"];
    let output = engine.exec(container, &args, Input::Null, SHORT)?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Waits until an SSH server greets on a loopback port (RFC 4253 section 4.2).
///
/// # Errors
/// The reason, as words, when none has by `deadline`.
pub(crate) fn wait_for_banner(port: u16, deadline: Instant) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
        let reason = match banner(&address, left) {
            Ok(line) if line.starts_with("SSH-2.0-") => return Ok(()),
            Ok(line) => format!("port {port} greets with {line:?}"),
            Err(error) => format!("port {port}: {error}"),
        };
        if Instant::now() >= deadline {
            return Err(reason);
        }
        sleep(PAUSE);
    }
}

fn banner(address: &SocketAddr, limit: Duration) -> std::io::Result<String> {
    let stream = TcpStream::connect_timeout(address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let mut line = Vec::new();
    BufReader::new(stream.take(255)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// The public keys of a host, as [`Started`] has them.
///
/// # Errors
/// It has none, or the engine cannot run the command.
pub(crate) fn host_keys(engine: &Engine, container: &str) -> Result<Vec<String>, LabError> {
    let args = ["sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"];
    let output = engine.exec(container, &args, Input::Null, SHORT)?;
    let keys = public_keys(&String::from_utf8_lossy(&output.stdout));
    if keys.is_empty() {
        return Err(LabError::Engine { action: "exec (read the host keys)".to_owned(), detail: tail(&output, 5) });
    }
    Ok(keys)
}

fn public_keys(text: &str) -> Vec<String> {
    let mut keys: Vec<String> = text.lines().filter_map(key).collect();
    keys.sort_by_key(|key| !key.starts_with("ssh-ed25519 "));
    keys
}

/// A public key line without its comment, if it is one.
fn key(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (kind, data) = (words.next()?, words.next()?);
    let kind_ok = kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-");
    let data_ok = data.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    (kind_ok && data_ok).then(|| format!("{kind} {data}"))
}

/// The end of what a host said, for an error.
pub(crate) fn last_words(engine: &Engine, container: &str) -> String {
    let journal = ["journalctl", "--boot", "--lines=20", "--no-pager", "--quiet"];
    let outputs = [
        engine.output(&["logs", "--tail", "20", container], Input::Null, SHORT),
        engine.exec(container, &journal, Input::Null, SHORT),
    ];
    let parts: Vec<String> =
        outputs.iter().flatten().map(|output| tail(output, 20)).filter(|text| !text.is_empty()).collect();
    if parts.is_empty() { "(nothing)".to_owned() } else { parts.join("\n") }
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
