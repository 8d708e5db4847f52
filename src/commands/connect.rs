//! `connect`: signs in to a host's gateway over SSH, serves a local socket
//! with the session, and signs out at the end.

use super::Exit;
use super::gateway_host::GatewayHost;
use super::select::HostArgs;
use super::serving::Serving;
use super::token::GrantArgs;
use crate::connect::{Gateway, GatewayError, Granted, LocalSocket, Tunnel};
use crate::report::{Console, Remarks};
use crate::transport::{self, Forward, Policy, Target};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// For a direct connection, TCP and TLS together, where there is another way.
const DIRECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For a connection where there is no other way.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How the gateway's port is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Via {
    /// Directly, and over SSH where that does not work within three seconds, or the host is behind a jump host.
    Auto,
    /// By TCP from this machine.
    Direct,
    /// By a channel of an SSH connection, from the host itself.
    Ssh,
}

/// `stockade connect HOST`
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// The host: its name in the inventory, or its address.
    #[arg(value_name = "HOST")]
    host: String,
    /// The inventory of hosts.
    #[arg(short, long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// A private key to log in with, instead of the inventory's; may be repeated.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// A file of known host keys, instead of the inventory's; may be repeated.
    #[arg(long = "known-hosts", value_name = "FILE")]
    known_hosts: Vec<PathBuf>,
    #[command(flatten)]
    grant: GrantArgs,
    /// How the gateway's port is reached.
    #[arg(long, value_enum, default_value_t = Via::Auto)]
    via: Via,
    /// Where the gateway is reached directly [default: the host's address, the port it listens on]
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    gateway: Option<String>,
    /// The name or address that its certificate must have [default: the address that is reached directly]
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// The certificate of the authority to trust [default: the one on the host, read over SSH]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The Docker context and the socket are called this [default: stockade-HOST]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The local socket [default: in $XDG_RUNTIME_DIR/stockade, else in .stockade/connect]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Prints settings for the Docker client that hold a token, and ends; nothing is served.
    #[arg(long, conflicts_with_all = ["context", "socket", "command"])]
    print_config: bool,
    /// Runs this with DOCKER_HOST set, signs out when it ends, and ends with its exit code: 128 and the signal's
    /// number if a signal ended it, 127 if there is no such command, 126 if it cannot be run.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Serves until it is told to stop, the session ends, or the command does.
///
/// # Errors
/// The host or its gateway cannot be reached, something is in the way of the
/// socket, the session ended, or the command failed.
pub fn run(args: &ConnectArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let target = target(args)?;
    let mut host = GatewayHost::open(&target)?;
    if args.print_config {
        return print_config(args, &mut host, console);
    }
    let runtime = Runtime::new().context("no thread can be started")?;
    let (gateway, socket) = prepare(args, &target, &mut host, &runtime, console)?;
    let mut words = args.grant.words();
    words.push("--with-refresh".to_owned());
    let granted = Granted::parse(&host.token("issue", &words, &[])?)?;
    let wants_context = args.command.is_empty() || args.context.is_some();
    let serving = Serving {
        gateway,
        socket,
        session: granted.session.clone(),
        host: args.host.clone(),
        context: wants_context.then(|| context_name(args)),
        command: args.command.clone(),
    };
    // From here on nothing needs root on the host any more.
    drop(host);
    let ended = runtime.block_on(serving.run(granted, console));
    runtime.shutdown_background();
    ended
}

fn target(args: &ConnectArgs) -> anyhow::Result<Target> {
    let hosts = HostArgs {
        inventory: args
            .inventory
            .clone()
            .or_else(|| Some(PathBuf::from("inventory.toml")).filter(|path| path.exists())),
        hosts: vec![args.host.clone()],
        limit: Vec::new(),
        keys: args.keys.clone(),
        known_hosts: args.known_hosts.clone(),
    };
    super::token::one(&hosts)
}

fn print_config(args: &ConnectArgs, host: &mut GatewayHost, console: &mut Console) -> anyhow::Result<Exit> {
    let granted = Granted::parse(&host.token("issue", &args.grant.words(), &[])?)?;
    let config = serde_json::json!({
        "HttpHeaders": { "Authorization": format!("Bearer {}", granted.access.expose()) }
    });
    console.line(&serde_json::to_string_pretty(&config)?);
    console.remark(&format!(
        "warning: in config.json this token is sent to every daemon that the client talks to, plain ones too, and \
         lies in a file; it ends in {} s and is not renewed. 'stockade connect {}' without --print-config does neither",
        granted.lifetime.as_secs(),
        args.host
    ));
    Ok(Exit::Done)
}

/// All that can be wrong before there is a session.
fn prepare(
    args: &ConnectArgs,
    target: &Target,
    host: &mut GatewayHost,
    runtime: &Runtime,
    console: &mut Console,
) -> anyhow::Result<(Gateway, LocalSocket)> {
    let listens = host.listens()?;
    let port = listens.first().map_or(2376, SocketAddr::port);
    let (address, name) = address(args.gateway.as_deref().unwrap_or(&target.address), port)?;
    let authority = match &args.ca {
        Some(path) => std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?,
        None => host.authority()?,
    };
    let gateway = Gateway::new(&address, args.server_name.as_deref().unwrap_or(&name), &authority)?;
    let path = args.socket.clone().unwrap_or_else(|| LocalSocket::default_path(&context_name(args)));
    let socket = LocalSocket::bind(&path)?;
    let gateway = reach(args, target, gateway, &listens, runtime, console)?;
    Ok((gateway, socket))
}

/// The gateway by the way that was chosen, or the first that works; it has
/// shown its certificate.
fn reach(
    args: &ConnectArgs,
    target: &Target,
    gateway: Gateway,
    listens: &[SocketAddr],
    runtime: &Runtime,
    console: &mut Console,
) -> anyhow::Result<Gateway> {
    let only = match args.via {
        Via::Direct => true,
        Via::Auto => target.local_root.is_some(),
        Via::Ssh => false,
    };
    if only {
        let other_way = target.local_root.is_none();
        runtime.block_on(gateway.check(CONNECT_TIMEOUT)).map_err(anyhow::Error::from).map_err(
            |error| match other_way {
                true => error.context("directly; '--via ssh' takes the way of the SSH connection"),
                false => error,
            },
        )?;
        return Ok(gateway);
    }
    // The address of a host behind a jump host is one of the jump host's network.
    let try_direct =
        args.via == Via::Auto && (args.gateway.is_some() || !transport::is_behind_jump(target, &Policy::default())?);
    let direct = match try_direct.then(|| runtime.block_on(gateway.check(DIRECT_TIMEOUT))) {
        Some(Ok(())) => return Ok(gateway),
        Some(Err(why)) => Some(why),
        None => None,
    };
    let port = gateway.authority().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let over_ssh = tunnel(target, listening(listens, port), console.remarks())
        .map(|tunnel| gateway.through(tunnel))
        .map_err(anyhow::Error::from)
        .and_then(|gateway| Ok(runtime.block_on(gateway.check(CONNECT_TIMEOUT)).map(|()| gateway)?));
    match (over_ssh, direct) {
        (Ok(gateway), Some(why)) => {
            if args.command.is_empty() {
                console.remark(&format!("{why}; this connection goes over SSH"));
            }
            Ok(gateway)
        }
        (Ok(gateway), None) => Ok(gateway),
        (Err(error), Some(GatewayError::Unreachable { why, .. })) if !error.to_string().contains(&why) => {
            Err(error.context(format!("{}: no way to the gateway: directly: {why}; over SSH", target.name)))
        }
        (Err(error), _) => Err(error),
    }
}

/// A forwarding to the gateway's port on the host. What it asks, a passphrase
/// say, it asks now: later nobody may look at the terminal.
fn tunnel(target: &Target, to: (String, u16), remarks: Remarks) -> Result<Arc<Tunnel>, transport::TransportError> {
    let target = target.clone();
    let name = target.name.clone();
    let report = move |why: &str| {
        remarks
            .line(&format!("{name}: the SSH connection has ended ({why}), and its streams with it; connecting again"));
    };
    let open = move |batch: bool| Forward::open(&target, &Policy::default(), (&to.0, to.1), batch);
    let forward = open(false)?;
    Ok(Tunnel::new(forward, move || open(true), report))
}

/// Where the host itself reaches its gateway: the address with this port, else
/// the first. `localhost` is tried by sshd with both families of addresses.
fn listening(listens: &[SocketAddr], port: Option<u16>) -> (String, u16) {
    let same = |one: &&SocketAddr| Some(one.port()) == port;
    let Some(one) = listens.iter().find(same).or(listens.first()) else { return ("localhost".to_owned(), 2376) };
    let host = match one.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "localhost".to_owned(),
        ip => ip.to_string(),
    };
    (host, one.port())
}

/// `host:port` and the host alone, from `host`, `host:port`, `v6` or `[v6]:port`.
fn address(text: &str, port: u16) -> anyhow::Result<(String, String)> {
    let wrong = || format!("'{}' is not the address of a gateway; write ADDRESS or ADDRESS:PORT", text.escape_debug());
    let join = |host: &str, port: u16| {
        let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        (shown, host.to_owned())
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(join(&ip.to_string(), port));
    }
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Ok(join(&both.ip().to_string(), both.port()));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().with_context(wrong)?),
        None => (text, port),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    anyhow::ensure!(!host.is_empty() && host.chars().all(plain), wrong());
    Ok(join(host, port))
}

/// The name of the Docker context that is made.
fn context_name(args: &ConnectArgs) -> String {
    let usual = || {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        format!("stockade-{}", args.host.chars().map(plain).collect::<String>())
    };
    args.context.clone().unwrap_or_else(usual)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "connect_tests.rs"]
mod tests;
