//! `connect`: signs in to a host's gateway over SSH, serves a local socket
//! with the session, and signs out at the end.

use super::Exit;
use super::gateway_host::GatewayHost;
use super::select::HostArgs;
use super::token::GrantArgs;
use crate::connect::{
    Access, AccessError, Context as DockerContext, Gateway, GatewayError, Granted, LocalSocket, Relay, Tunnel,
};
use crate::engine::RunFailed;
use crate::report::{Console, Remarks};
use crate::transport::{self, Forward, Policy, Target};
use anyhow::Context;
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

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
    let serving = Serving { gateway, socket, session: granted.session.clone() };
    // From here on nothing needs root on the host any more.
    drop(host);
    let ended = runtime.block_on(serving.run(args, granted, console));
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

fn context_name(args: &ConnectArgs) -> String {
    let usual = || {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        format!("stockade-{}", args.host.chars().map(plain).collect::<String>())
    };
    args.context.clone().unwrap_or_else(usual)
}

/// A session that is about to be served.
struct Serving {
    gateway: Gateway,
    socket: LocalSocket,
    session: Option<String>,
}

/// Why serving ended.
enum Ended {
    Told,
    Session(String),
    Command(u8),
}

impl Serving {
    async fn run(mut self, args: &ConnectArgs, granted: Granted, console: &mut Console) -> anyhow::Result<Exit> {
        let access = Arc::new(Access::new(granted, Arc::new(self.gateway.clone())));
        let result = self.serve(args, &access, console).await;
        // There is nothing to sign out of once the session has ended.
        if !matches!(result, Ok(Ended::Session(_))) {
            self.sign_out(&access, console.remarks()).await;
        }
        match result? {
            Ended::Told => Ok(Exit::Done),
            Ended::Session(why) => Err(RunFailed(format!("{}: {why}", args.host)).into()),
            Ended::Command(code) => Ok(Exit::Command(code)),
        }
    }

    async fn serve(
        &mut self,
        args: &ConnectArgs,
        access: &Arc<Access>,
        console: &mut Console,
    ) -> anyhow::Result<Ended> {
        let listener = self.socket.listener()?;
        let relay = Relay::new(self.gateway.clone(), Arc::clone(access));
        let mut signals = Signals::new().context("signals cannot be waited for")?;
        let path = self.socket.path().to_owned();
        let context = match args.command.is_empty() || args.context.is_some() {
            true => DockerContext::create(&context_name(args), &path)?,
            false => None,
        };
        let remarks = console.remarks();
        let report = |error: &AccessError| {
            remarks.line(&format!("{}: {error}; open streams may end; it is tried again", args.host));
        };
        if args.command.is_empty() {
            console.line(&format!("DOCKER_HOST=unix://{}", path.display()));
            match &context {
                Some(context) => {
                    console.remark(&format!("docker --context {} … until this ends (Ctrl-C)", context.name()));
                }
                None => console.remark("there is no Docker client here, so no context; set DOCKER_HOST yourself"),
            }
            return Ok(tokio::select! {
                () = relay.serve(&listener) => Ended::Told,
                _ = signals.next() => Ended::Told,
                why = access.keep(report) => Ended::Session(why.to_string()),
            });
        }
        let mut child = match start(&args.command, &path) {
            Ok(child) => child,
            Err(error) => {
                let program = args.command.first().cloned().unwrap_or_default();
                remarks.line(&format!("'{}' cannot be run: {error}", program.to_string_lossy()));
                // As env(1), nohup(1) and timeout(1) have it.
                return Ok(Ended::Command(if error.kind() == ErrorKind::NotFound { 127 } else { 126 }));
            }
        };
        // The command is not ours to end: its requests are refused from now on, and it sees that.
        let session = async {
            let why = access.keep(report).await;
            remarks.line(&format!("{}: {why}", args.host));
            std::future::pending().await
        };
        tokio::select! {
            () = relay.serve(&listener) => Ok(Ended::Told),
            never = session => never,
            status = wait(&mut child, &mut signals) => Ok(Ended::Command(exit_code(status?))),
        }
    }

    async fn sign_out(&self, access: &Access, remarks: Remarks) {
        let token = access.sign_out().await;
        if let Err(why) = self.gateway.revoke(&token).await {
            let session = self.session.as_deref().unwrap_or("of this token");
            remarks.line(&format!(
                "the session {session} could not be revoked ({why}); revoke it with 'stockade token revoke', or it ends by itself"
            ));
        }
    }
}

/// The signals that tell this program to end.
struct Signals(Vec<(Signal, tokio::signal::unix::Signal)>);

impl Signals {
    fn new() -> std::io::Result<Signals> {
        let all = [
            (Signal::INT, SignalKind::interrupt()),
            (Signal::TERM, SignalKind::terminate()),
            (Signal::HUP, SignalKind::hangup()),
        ];
        Ok(Signals(all.into_iter().map(|(name, kind)| Ok((name, signal(kind)?))).collect::<std::io::Result<_>>()?))
    }

    /// The next of them.
    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            let come =
                self.0.iter_mut().find_map(|(name, signal)| signal.poll_recv(context).is_ready().then_some(*name));
            come.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// Starts the command with the socket as its Docker daemon.
fn start(words: &[OsString], socket: &Path) -> std::io::Result<Child> {
    let Some((program, arguments)) = words.split_first() else { return Err(ErrorKind::InvalidInput.into()) };
    let mut host = OsString::from("unix://");
    host.push(socket);
    Command::new(program)
        .args(arguments)
        .env("DOCKER_HOST", host)
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_TLS")
        .env_remove("DOCKER_TLS_VERIFY")
        .spawn()
}

/// Waits for the command. SIGTERM and SIGHUP are passed on to it; SIGINT is
/// not, for the terminal's Ctrl-C reaches it by itself: in either case it is
/// the command that decides when it ends.
async fn wait(child: &mut Child, signals: &mut Signals) -> anyhow::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    // Not collected there, so that its number is its own as long as it may be sent a signal.
    let mut ended = tokio::task::spawn_blocking(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    });
    loop {
        tokio::select! {
            _ = &mut ended => return child.wait().context("the command cannot be waited for"),
            signal = signals.next() => {
                if signal != Signal::INT {
                    let _ = kill_process(pid, signal);
                }
            }
        }
    }
}

/// As a shell has it: 128 and the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| signal.saturating_add(128)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_usual_port_and_lose_their_brackets_as_a_name() {
        for (text, address_, name) in [
            ("192.0.2.1", "192.0.2.1:2376", "192.0.2.1"),
            ("2001:db8::1", "[2001:db8::1]:2376", "2001:db8::1"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7", "2001:db8::1"),
            ("web1.example", "web1.example:2376", "web1.example"),
            ("web1:99", "web1:99", "web1"),
        ] {
            assert_eq!(address(text, 2376).unwrap(), (address_.to_owned(), name.to_owned()));
        }
        for text in ["", "a b", "a:b", "a:99999", "https://x"] {
            assert!(address(text, 2376).is_err(), "{text}");
        }
    }

    #[test]
    fn the_host_reaches_its_gateway_where_that_listens() {
        let listens = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect::<Vec<SocketAddr>>();
        for (all, port, to) in [
            (&["[::]:2376"][..], Some(2376), ("localhost", 2376)),
            (&["0.0.0.0:99"], None, ("127.0.0.1", 99)),
            (&["192.0.2.1:1", "[2001:db8::1]:2"], Some(2), ("2001:db8::1", 2)),
            // A port that is forwarded to the host under another number.
            (&["192.0.2.1:1", "[2001:db8::1]:2"], Some(3), ("192.0.2.1", 1)),
        ] {
            assert_eq!(listening(&listens(all), port), (to.0.to_owned(), to.1), "{all:?}");
        }
    }

    #[test]
    fn a_command_that_a_signal_ended_is_told_as_a_shell_does() {
        assert_eq!(exit_code(ExitStatus::from_raw(42 << 8)), 42);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }
}
