//! The connection to Redis: one for commands and for the channel of
//! revocations (RESP3, so Redis 6 or newer), kept up by a task of its own.
//!
//! While it is down every command fails at once with the reason; nothing waits
//! and nothing is taken for granted. A heartbeat finds a peer that is gone
//! without a word. Coming up and going down both count as "something may have
//! been revoked", for messages are lost meanwhile.
//!
//! At each connect, and now and then while one is up (`CONFIG SET` can take a
//! password away), a second connection, which does not log in, asks for a PING.
//! A Redis that answers it lets in without a password whatever reaches its
//! address: programs of the host, containers with the host's network, a daemon
//! that is told to log to it. Such a Redis can be given sessions by anyone and
//! is not used, on loopback and on a Unix socket no more than elsewhere.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo,
    RedisError,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::StoreError;

/// The channel on which gateways tell one another of revocations.
pub(super) const CHANNEL: &str = "stockade:revocations";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A store on a busy machine is slow before it is gone, and a request that waits
/// is better than one refused; shorter than open streams outlive their store.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often a Redis that is up is asked whether it lets in without a password.
const STRANGERS_INTERVAL: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Clone)]
enum State {
    Up(MultiplexedConnection),
    Down(String),
    /// It lets in without a password, or it cannot be told that it does not.
    Open(String),
}

pub(super) struct Link {
    name: String,
    state: watch::Receiver<State>,
    changed: watch::Sender<u64>,
    keeper: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Link {
    /// Starts connecting; waits for the first attempt, whatever becomes of it.
    /// `insecure` takes a Redis that lets in without a password.
    pub(super) async fn open(url: &str, insecure: bool) -> Result<Link, StoreError> {
        let (client, stranger, name) = clients(url)?;
        let stranger = (!insecure).then_some(stranger);
        let changed = watch::Sender::new(0);
        let (set, mut state) = watch::channel(State::Down("not connected yet".to_owned()));
        let keeper = tokio::spawn(keep(client, stranger, set, changed.clone()));
        let _ = tokio::time::timeout(2 * CONNECT_TIMEOUT, state.changed()).await;
        let link = Link { name, state, changed, keeper };
        match &*link.state.borrow() {
            State::Open(reason) => return Err(link.open_to_all(reason)),
            State::Up(_) | State::Down(_) => {}
        }
        Ok(link)
    }

    fn open_to_all(&self, reason: &str) -> StoreError {
        StoreError::Unusable { store: self.name.clone(), reason: reason.to_owned() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        match &*self.state.borrow() {
            State::Up(connection) => Ok(connection.clone()),
            State::Open(reason) => Err(self.open_to_all(reason)),
            State::Down(reason) => {
                Err(StoreError::Unavailable { store: self.name.clone(), reason: format!("{reason}; trying again") })
            }
        }
    }

    pub(super) fn failed(&self, error: &RedisError) -> StoreError {
        StoreError::Unavailable { store: self.name.clone(), reason: error.to_string() }
    }

    pub(super) fn revocations(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// The client for an address, one that does not log in there, and the address
/// without its password.
fn clients(url: &str) -> Result<(Client, Client, String), StoreError> {
    let scheme = || url.split(':').next().unwrap_or_default().to_owned();
    let wrong = |reason: String| StoreError::Unusable { store: scheme(), reason };
    let (url, password) = password_file(url).map_err(wrong)?;
    let info = url.as_str().into_connection_info().map_err(|error| wrong(error.to_string()))?;
    let name = format!("{}://{}", scheme(), info.addr());
    let mut redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    if let Some(password) = password {
        redis = redis.set_password(password.expose_secret());
    }
    let stranger = info.clone().set_redis_settings(RedisConnectionInfo::default());
    let stranger = Client::open(stranger).map_err(|error| wrong(error.to_string()))?;
    let client = Client::open(info.set_redis_settings(redis)).map_err(|error| wrong(error.to_string()))?;
    Ok((client, stranger, name))
}

/// Takes `password_file=PATH` out of the query, and reads the file's first line.
fn password_file(url: &str) -> Result<(String, Option<SecretString>), String> {
    let Some((address, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let mut rest = Vec::new();
    let mut password = None;
    for pair in query.split('&') {
        match pair.strip_prefix("password_file=") {
            None => rest.push(pair),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("password_file {path}: {error}"))?;
                let line = text.lines().next().unwrap_or_default();
                if line.is_empty() {
                    return Err(format!("password_file {path}: its first line is empty"));
                }
                password = Some(SecretString::from(line));
            }
        }
    }
    let address = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
    Ok((address, password))
}

async fn keep(client: Client, stranger: Option<Client>, state: watch::Sender<State>, changed: watch::Sender<u64>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (pushed, mut pushes) = mpsc::unbounded_channel();
        let open = match &stranger {
            Some(stranger) => lets_strangers_in(stranger).await,
            None => Ok(None),
        };
        let connected = match open {
            Ok(None) => connect(&client, pushed).await,
            Ok(Some(reason)) => {
                state.send_replace(State::Open(reason));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            Err(error) => Err(error),
        };
        let reason = match connected {
            Ok(connection) => {
                pause = FIRST_PAUSE;
                state.send_replace(State::Up(connection.clone()));
                bump(&changed);
                let reason = tokio::select! {
                    reason = attend(connection, &mut pushes, &changed) => reason,
                    reason = opened_to_strangers(stranger.as_ref()) => reason,
                };
                state.send_replace(State::Down(reason.clone()));
                bump(&changed);
                reason
            }
            Err(error) => error.to_string(),
        };
        state.send_replace(State::Down(reason));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why a Redis may not be used, if it does not send away whoever has not logged
/// in. Only `NOAUTH` says that it does: a `default` user that needs no password
/// but may do little is answered `NOPERM`, and what it may do is not known.
async fn lets_strangers_in(stranger: &Client) -> Result<Option<String>, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT));
    let answer = match stranger.get_multiplexed_async_connection_with_config(&config).await {
        Ok(mut connection) => redis::cmd("PING").query_async::<String>(&mut connection).await,
        Err(error) => Err(error),
    };
    let said = match answer {
        Ok(_) => "it answered PING".to_owned(),
        Err(error) if error.code() == Some("NOAUTH") => return Ok(None),
        Err(error) if error.code().is_some() => format!("it answered {}", error.code().unwrap_or_default()),
        Err(error) => return Err(error),
    };
    Ok(Some(format!(
        "it lets in without a password ({said} to a client that had not logged in), so whoever reaches it can make \
         sessions; set `requirepass`, or with ACLs `user default off`, and put the password into the address or a \
         `password_file` (the playbook `redis` does so); `serve --insecure-store` accepts it as it is"
    )))
}

/// Returns when Redis has begun to let in without a password, with the reason.
async fn opened_to_strangers(stranger: Option<&Client>) -> String {
    let Some(stranger) = stranger else { return std::future::pending().await };
    loop {
        tokio::time::sleep(STRANGERS_INTERVAL).await;
        // One that does not answer this is told by the heartbeat.
        if let Ok(Some(reason)) = lets_strangers_in(stranger).await {
            return reason;
        }
    }
}

async fn connect(
    client: &Client,
    pushed: mpsc::UnboundedSender<PushInfo>,
) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT))
        .set_push_sender(pushed);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    connection.subscribe(CHANNEL).await?;
    Ok(connection)
}

/// Listens and pings until the connection is lost; why it was.
async fn attend(
    mut connection: MultiplexedConnection,
    pushes: &mut mpsc::UnboundedReceiver<PushInfo>,
    changed: &watch::Sender<u64>,
) -> String {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            push = pushes.recv() => match push.map(|push| push.kind) {
                Some(PushKind::Message) => bump(changed),
                Some(PushKind::Disconnection) | None => return "the connection was lost".to_owned(),
                Some(_) => {}
            },
            _ = heartbeat.tick() => {
                if let Err(error) = redis::cmd("PING").query_async::<String>(&mut connection).await {
                    return format!("no answer to a ping: {error}");
                }
            }
        }
    }
}

fn bump(changed: &watch::Sender<u64>) {
    changed.send_modify(|count| *count = count.wrapping_add(1));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_no_message() {
        let (_, _, name) = clients("redis://user:hunter2@localhost:7777/0").unwrap();
        assert_eq!(name, "redis://localhost:7777");
        for wrong in ["redis://user:hunter2@", "redis://user:hunter2@host:port/0"] {
            let error = clients(wrong).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_password_comes_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let url = format!("redis://localhost:1/0?password_file={}&protocol=resp3", file.path().display());
        let (rest, password) = password_file(&url).unwrap();
        assert_eq!(rest, "redis://localhost:1/0?protocol=resp3");
        assert_eq!(password.unwrap().expose_secret(), "s3cret");
        let (client, stranger, _) = clients(&url).unwrap();
        assert_eq!(stranger.get_connection_info().redis_settings().password(), None);
        assert_eq!(client.get_connection_info().redis_settings().password(), Some("s3cret"));
        std::fs::write(file.path(), "\n").unwrap();
        assert!(password_file(&url).unwrap_err().contains("empty"));
    }
}
