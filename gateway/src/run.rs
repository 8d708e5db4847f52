//! From a configuration to a running gateway, and its signals.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::audit::{Audit, Record, Sink};
use super::config::{Config, api_version};
use super::keys::Remotes;
use super::proxy::{Proxy, now};
use super::server::Server;
use super::services::{self, Services, ServicesError};
use super::store::{self, Store, Tenants};
use super::upstream::Upstream;
use super::{service, tls};

type Failure = Box<dyn std::error::Error>;

/// How often what has expired is forgotten.
const PURGE: Duration = Duration::from_secs(60);
/// How long a daemon that does not answer may delay the start; until its version
/// is known, what depends on it is refused.
const FIRST_ENGINE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the store is asked whether it is there.
const HEALTH: Duration = Duration::from_secs(5);

/// Whether everything that a configuration names can be used.
///
/// # Errors
/// The first thing that cannot.
pub fn check(config: &Config) -> Result<(), Failure> {
    if let Some(files) = &config.tls {
        tls::server_config(files)?;
    }
    let keys = super::keys::KeySource::follow_dir(&config.keys)?;
    services::verifier(config, keys, &Remotes::default())?;
    services::policy(config, None)?;
    Ok(())
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When something that is needed to begin cannot be had.
pub fn serve(
    path: &Path,
    insecure_store: bool,
    journal: Box<dyn Write + Send>,
    err: &mut dyn Write,
) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve_here(path, config, insecure_store, journal, err));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn serve_here(
    path: &Path,
    config: Config,
    insecure_store: bool,
    journal: Box<dyn Write + Send>,
    err: &mut dyn Write,
) -> Result<(), Failure> {
    let sink = if config.audit == "journal" { Sink::Writer(journal) } else { Sink::File(config.audit.clone().into()) };
    let audit = Audit::start(sink).map_err(|error| format!("the audit log {}: {error}", config.audit))?;
    let tls = config.tls.as_ref().map(tls::server_config).transpose()?;
    let store = if insecure_store {
        audit.record(note("store.insecure"));
        store::open_insecure(&config.store).await?
    } else {
        store::open(&config.store).await?
    };
    let newest = api_version(&config.docker_api.max).unwrap_or((1, 41));
    let upstream = Upstream::new(config.socket.clone(), newest, config.docker_api.pinned.clone());
    let engine = tokio::time::timeout(FIRST_ENGINE_TIMEOUT, upstream.engine()).await.ok().flatten();
    let remotes = Remotes::default();
    let tenants = Arc::new(Tenants::new(Arc::clone(&store)));
    let shared = Shared { store, tenants, remotes };
    let services = shared.services(&config, engine.as_deref()).await?;
    let proxy = Arc::new(Proxy::new(services, config.limits, upstream, audit));
    let server = Server::new(Arc::clone(&proxy), tls);
    let (mut terminate, mut interrupt, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    for address in &config.listen {
        let bound = server.listen(*address).await.map_err(|error| format!("{address}: {error}"))?;
        writeln!(err, "stockade-gateway: listening on {bound}")?;
    }
    if insecure_store {
        writeln!(
            err,
            "stockade-gateway: --insecure-store: a session store that lets in without a password is accepted; whoever reaches it can make sessions"
        )?;
    }
    if let Some(local) = &config.local {
        server.listen_local(local)?;
    }
    let admin = config.admin.clone().unwrap_or_else(|| service::socket::DEFAULT_PATH.into());
    let (notices, mut noticed) = tokio::sync::mpsc::channel(64);
    server
        .listen_admin(&admin, &config.socket, notices)
        .map_err(|error| format!("the administrator's socket {}: {error}", admin.display()))?;
    tokio::spawn(keep_store(Arc::clone(&shared.store), Arc::clone(&shared.tenants), Arc::clone(&proxy)));
    // Asked apart from the loop: a daemon that hangs must not delay a signal.
    let (tell, mut engines) = tokio::sync::mpsc::channel(1);
    tokio::spawn(watch_engine(Arc::clone(&proxy), tell));
    let (mut known, mut look, mut faults) = (engine, tokio::time::interval(HEALTH), Vec::new());
    loop {
        tokio::select! {
            _ = look.tick() => {
                let now = shared.remotes.faults();
                for fault in now.iter().filter(|fault| !faults.contains(*fault)) {
                    writeln!(err, "stockade-gateway: an issuer's keys were not fetched, the last count for now: {fault}")?;
                }
                faults = now;
            }
            // What an engine may be asked depends on its version; it may be upgraded, or start later.
            Some(engine) = engines.recv() => {
                if known.as_ref() != Some(&engine) && reload(path, &server, &proxy, &shared, Some(&engine)).await.is_ok() {
                    known = Some(engine);
                }
            }
            Some(notice) = noticed.recv() => writeln!(err, "stockade-gateway: {notice}")?,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => match reload(path, &server, &proxy, &shared, known.as_deref()).await {
                Ok(()) => writeln!(err, "stockade-gateway: keys, roles, certificate and limits loaded anew")?,
                Err(error) => writeln!(err, "stockade-gateway: nothing loaded, the old stay in force: {error}")?,
            },
        }
    }
    server.drain(Duration::from_secs(proxy.limits().drain_seconds)).await;
    let _ = std::fs::remove_file(&admin);
    if let Some(local) = &config.local {
        let _ = std::fs::remove_file(local);
    }
    Ok(())
}

/// A line of the audit log about the gateway itself.
fn note(rule: &str) -> Record {
    Record {
        event: "start",
        operation: "serve".to_owned(),
        decision: "allow",
        rule: rule.to_owned(),
        client: "local".to_owned(),
        ..Record::default()
    }
}

/// What outlives a reload.
struct Shared {
    store: Arc<dyn Store>,
    tenants: Arc<Tenants>,
    remotes: Remotes,
}

impl Shared {
    async fn services(&self, config: &Config, engine: Option<&str>) -> Result<Services, ServicesError> {
        Services::load(config, engine, &*self.store, Arc::clone(&self.tenants), &self.remotes).await
    }
}

/// All of it is made before any of it is put in place.
async fn reload(
    path: &Path,
    server: &Server,
    proxy: &Proxy,
    shared: &Shared,
    engine: Option<&str>,
) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let tls = config.tls.as_ref().map(tls::server_config).transpose()?;
    let services = shared.services(&config, engine).await?;
    server.set_tls(tls);
    proxy.reload(services, config.limits);
    proxy.audit.reopen();
    Ok(())
}

/// Tells the engine's version again and again, whenever it answers.
async fn watch_engine(proxy: Arc<Proxy>, tell: tokio::sync::mpsc::Sender<String>) {
    loop {
        tokio::time::sleep(HEALTH).await;
        if let Some(engine) = proxy.upstream.engine().await
            && tell.send(engine).await.is_err()
        {
            return;
        }
    }
}

async fn keep_store(store: Arc<dyn Store>, tenants: Arc<Tenants>, proxy: Arc<Proxy>) {
    let mut until_purge = Duration::ZERO;
    loop {
        proxy.metrics.store_up.store(i64::from(store.health().await.is_ok()), Ordering::Relaxed);
        if until_purge.is_zero() {
            let _ = store.purge(now()).await;
            let _ = tenants.load().await;
            until_purge = PURGE;
        }
        tokio::time::sleep(HEALTH).await;
        until_purge = until_purge.saturating_sub(HEALTH);
    }
}
