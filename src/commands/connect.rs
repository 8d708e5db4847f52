//! `connect`: signs in to a host's gateway over SSH, serves a local socket
//! with the session, and signs out at the end.

use super::gateway_host::GatewayHost;
use super::select::HostArgs;
use super::token::GrantArgs;
use super::{Exit, RunFailed};
use crate::connect::{Access, Context as DockerContext, Gateway, Granted, LocalSocket, Relay};
use crate::report::{Console, Remarks};
use crate::transport::Target;
use anyhow::Context;
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// The port that gateways listen on.
const PORT: u16 = 2376;

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
    /// Where the gateway is reached [default: the host's address, port 2376]
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    gateway: Option<String>,
    /// The name or address that its certificate must have [default: the one it is reached by]
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
    /// Runs this with DOCKER_HOST set, and signs out when it ends.
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
    let mut words = args.grant.words();
    words.push("--with-refresh".to_owned());
    let granted = Granted::parse(&host.token("issue", &words, &[])?)?;
    let session = granted.session.clone();
    let outcome = prepare(args, &target, &mut host).and_then(|(gateway, socket, runtime)| {
        let serving = Serving { gateway, socket, session: session.clone() };
        runtime.block_on(async { serving.gateway.check().await })?;
        Ok((serving, runtime))
    });
    let (serving, runtime) = match outcome {
        Ok(ready) => ready,
        Err(error) => {
            // Nobody will use it.
            if let Some(session) = &session
                && let Err(more) = host.token("revoke", std::slice::from_ref(session), &[])
            {
                console.remark(&format!("the session {session} could not be revoked: {more:#}"));
            }
            return Err(error);
        }
    };
    // From here on nothing needs root on the host any more.
    drop(host);
    let ended = runtime.block_on(serving.run(args, granted, console));
    // A command that goes on after a signal is not waited for.
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

/// All that can be wrong before anything is served.
fn prepare(
    args: &ConnectArgs,
    target: &Target,
    host: &mut GatewayHost,
) -> anyhow::Result<(Gateway, LocalSocket, tokio::runtime::Runtime)> {
    let (address, name) = address(args.gateway.as_deref().unwrap_or(&target.address))?;
    let authority = match &args.ca {
        Some(path) => std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?,
        None => host.authority()?,
    };
    let gateway = Gateway::new(&address, args.server_name.as_deref().unwrap_or(&name), &authority)?;
    let path = args.socket.clone().unwrap_or_else(|| LocalSocket::default_path(&context_name(args)));
    let socket = LocalSocket::bind(&path)?;
    let runtime = tokio::runtime::Runtime::new().context("no thread can be started")?;
    Ok((gateway, socket, runtime))
}

/// `host:port` and the host alone, from `host`, `host:port`, `v6` or `[v6]:port`.
fn address(text: &str) -> anyhow::Result<(String, String)> {
    let wrong = || format!("'{}' is not the address of a gateway; write ADDRESS or ADDRESS:PORT", text.escape_debug());
    let join = |host: &str, port: u16| {
        let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        (shown, host.to_owned())
    };
    if let Ok(ip) = text.parse::<std::net::IpAddr>() {
        return Ok(join(&ip.to_string(), PORT));
    }
    if let Ok(both) = text.parse::<std::net::SocketAddr>() {
        return Ok(join(&both.ip().to_string(), both.port()));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().with_context(wrong)?),
        None => (text, PORT),
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
    Command(ExitStatus),
}

impl Serving {
    async fn run(mut self, args: &ConnectArgs, granted: Granted, console: &mut Console) -> anyhow::Result<Exit> {
        let access = Arc::new(Access::new(granted, Arc::new(self.gateway.clone())));
        let result = self.serve(args, &access, console).await;
        self.sign_out(&access, console.remarks()).await;
        match result? {
            Ended::Told => Ok(Exit::Done),
            Ended::Session(why) => Err(RunFailed(why).into()),
            Ended::Command(status) if status.success() => Ok(Exit::Done),
            Ended::Command(status) => Err(RunFailed(format!("the command ended with {status}")).into()),
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
        let mut told = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
            .into_iter()
            .map(signal)
            .collect::<Result<Vec<_>, _>>()
            .context("signals cannot be waited for")?;
        let path = self.socket.path().to_owned();
        let context = match args.command.is_empty() || args.context.is_some() {
            true => DockerContext::create(&context_name(args), &path)?,
            false => None,
        };
        if args.command.is_empty() {
            console.line(&format!("DOCKER_HOST=unix://{}", path.display()));
            match &context {
                Some(context) => {
                    console.remark(&format!("docker --context {} … until this ends (Ctrl-C)", context.name()));
                }
                None => console.remark("there is no Docker client here, so no context; set DOCKER_HOST yourself"),
            }
        }
        let command = run_command(&args.command, &path);
        Ok(tokio::select! {
            () = relay.serve(&listener) => Ended::Told,
            () = any(&mut told) => Ended::Told,
            why = access.keep() => Ended::Session(why.to_string()),
            status = command => Ended::Command(status?),
        })
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

/// Any of the signals.
async fn any(signals: &mut [tokio::signal::unix::Signal]) {
    std::future::poll_fn(|context| match signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
        true => std::task::Poll::Ready(()),
        false => std::task::Poll::Pending,
    })
    .await;
}

/// Runs the command; without one, waits for ever.
async fn run_command(words: &[OsString], socket: &Path) -> anyhow::Result<ExitStatus> {
    let Some((program, arguments)) = words.split_first() else { return std::future::pending().await };
    let mut host = OsString::from("unix://");
    host.push(socket);
    let mut child = Command::new(program)
        .args(arguments)
        .env("DOCKER_HOST", host)
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_TLS")
        .env_remove("DOCKER_TLS_VERIFY")
        .spawn()
        .with_context(|| format!("'{}' cannot be started", program.to_string_lossy()))?;
    Ok(tokio::task::spawn_blocking(move || child.wait()).await??)
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
            assert_eq!(address(text).unwrap(), (address_.to_owned(), name.to_owned()));
        }
        for text in ["", "a b", "a:b", "a:99999", "https://x"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
