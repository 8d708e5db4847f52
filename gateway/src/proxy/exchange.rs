//! One exchange with the daemon: the request as the policy rebuilt it goes up,
//! the answer comes down, both at once, for no longer than the lease holds.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::body::{decoder, refused};
use super::deadline::{Clock, Limit};
use super::lease::{End, Lease};
use super::request::Outcome;
use super::{Client, Next, Proxy, answer};
use crate::audit::Record;
use crate::build::{ContextError, ContextOptions, rewrite};
use crate::gate::Gate;
use crate::http1::{Decoder, Framing, Head, Piece, chunk_end, chunk_start};
use crate::metrics::Open;
use crate::upstream::{Answer, Link, read_answer};
use crate::{Body, Build, Forward, Refusal, ResponseRule, Turn, policy, tenant};

/// How long an owner's turn is kept for an answer that nobody waits for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// After this long an exchange is watched for the end of its lease and its limit.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_millis(50);
/// First size of a buffer; grows with what comes.
const SMALL: usize = 4 * 1024;
/// Largest size of a buffer.
const LARGE: usize = 64 * 1024;
/// Largest answer that is filtered whole.
const MAX_FILTERED: usize = 64 << 20;
/// Clients choose their builder by the answer to a ping (docker/cli,
/// `BuildKitEnabled`); sessions of BuildKit are not let through.
const CLASSIC_BUILDER: &[u8] = b"Builder-Version: 1\r\n";
/// Most entries of a build context.
const MAX_ENTRIES: u64 = 1_000_000;
/// Longest line of a stream that is filtered.
const MAX_LINE: usize = 1 << 20;

/// Operations after which a container or volume is not what it was.
const CHANGES_CONTAINERS: &[&str] = &[
    "ContainerCreate",
    "ContainerRename",
    "ContainerUpdate",
    "ContainerDelete",
    "ContainerPrune",
    "VolumeCreate",
    "VolumeDelete",
    "VolumePrune",
];

/// Operations that take ports of the host.
const TAKES_PORTS: &[&str] = &["ContainerStart", "ContainerRestart"];
/// How often a container is started before a port that others hold is an error
/// (moby `libnetwork/drivers/bridge`, `maxAllocatePortAttempts`).
const PORT_ATTEMPTS: usize = 10;

/// What stops an exchange.
enum Trouble {
    /// The client went away or broke its framing midway.
    Client,
    /// The daemon did.
    Daemon(String),
    /// The lease is over.
    Lease(End),
    /// The daemon has not answered within so many seconds.
    Late(u64),
    /// The gateway says no.
    Refused(Refusal),
}

/// How a client takes a connection over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takeover {
    /// It asked for `Upgrade: tcp`: 101, and nothing is sent before.
    Upgrade,
    /// It did not, as old clients: a head of 200 without framing, and whatever
    /// follows the request is input. The daemon is asked with `Upgrade` all the
    /// same: its 101 alone says that it switched, where a 200 could be an
    /// ordinary answer.
    Raw,
}

/// What a client that says or ends something beside its request means by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Its next request follows; one that ends its side still waits for the
    /// answer, as the daemon itself has it.
    NextRequest,
    /// The same, but the answer is a stream: one that ends its side leaves.
    Leaves,
    /// Nothing may come before the switch.
    Forbidden,
    /// It is input of what is being started.
    Input,
}

/// How an exchange went well.
enum Done {
    /// The answer is complete; the connection may serve again.
    Complete { keep: bool },
    /// The daemon switched to raw bytes.
    Switched(Answer),
    /// The daemon chose a port that something else listens on; it chooses the
    /// next one when it is asked again. The connection may serve again.
    PortTaken { keep: bool },
}

/// What both directions know of each other.
struct Progress {
    clock: Clock,
    status: AtomicU16,
    /// Something of the answer has been written to the client.
    begun: AtomicBool,
    /// All of the request has been read and sent.
    uploaded: AtomicBool,
    /// Ports that the daemon could not have.
    taken: std::sync::Mutex<Vec<String>>,
}

impl Progress {
    /// Whether a start that failed with this answer is tried again: the engine
    /// gives a container the next port of its range then. One that it has named
    /// before is no choice of its own.
    fn tries_another_port(&self, body: &[u8]) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match port_in_use(body) {
            Some(port) if taken.len() + 1 < PORT_ATTEMPTS && !taken.contains(&port) => {
                taken.push(port);
                true
            }
            _ => false,
        }
    }
}

/// The address and port that a container could not have, in the engine's words
/// (moby `libnetwork/portallocator`, `cmd/docker-proxy`).
fn port_in_use(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let message = body.get("message")?.as_str()?;
    let (before, _) = message
        .split_once(": bind: address already in use")
        .or_else(|| message.split_once(" failed: port is already allocated"))?;
    before.rsplit(' ').next().map(str::to_owned)
}

impl Proxy {
    /// Carries out what the policy allowed.
    pub(super) async fn exchange<S>(
        &self,
        client: &mut Client<S>,
        gate: &Gate,
        head: &Head,
        (forward, follows): (&Forward, bool),
        lease: &mut Lease<'_>,
        record: &Record,
    ) -> Outcome
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if let ResponseRule::Answer { status, body } = &forward.response {
            let close = head.close || (head.framing != Framing::None && forward.body.is_streamed());
            let bytes = answer::render(
                *status,
                "application/json",
                body.as_bytes(),
                head.parts.method == http::Method::HEAD,
                close,
                "",
            );
            let sent = client.send(&bytes).await;
            let next = if sent.is_err() || close { Next::Close } else { Next::Again };
            return Outcome { status: *status, next, ended: None, refusal: None, stream: false };
        }
        let takeover = (forward.response == ResponseRule::Hijack).then_some(match head.upgrade {
            true => Takeover::Upgrade,
            false => Takeover::Raw,
        });
        let uploads = forward.body.is_streamed();
        let stream = takeover.is_some() || follows || uploads;
        let limit = Limit::of(forward.operation, follows, uploads);
        let _open = stream.then(|| Open::new(&self.metrics.streams));
        if stream {
            self.audit.record(Record { event: "open", ..record.clone() });
        }
        let progress = Progress {
            clock: Clock::start(),
            status: AtomicU16::new(0),
            begun: AtomicBool::new(false),
            uploaded: AtomicBool::new(!uploads),
            taken: std::sync::Mutex::default(),
        };
        let seconds = self.limits().answer_seconds;
        let found =
            async { if takeover.is_some() { self.upstream.new_link().await } else { self.upstream.link().await } };
        let mut link = match tokio::time::timeout(std::time::Duration::from_secs(seconds), found).await {
            Ok(Ok(link)) => link,
            Err(_) => return refusal(self.too_late(seconds), stream),
            Ok(Err(error)) => return refusal(daemon_gone(&error.to_string()), stream),
        };
        let result = loop {
            let result =
                self.both_ways(client, gate, head, forward, lease, &mut link, (&progress, takeover, limit)).await;
            let Ok(Done::PortTaken { keep }) = result else { break result };
            progress.status.store(0, Ordering::Relaxed);
            if !keep {
                link = match self.upstream.link().await {
                    Ok(link) => link,
                    Err(error) => return refusal(daemon_gone(&error.to_string()), stream),
                };
            }
        };
        if CHANGES_CONTAINERS.contains(&forward.operation) {
            // It may have come about, however this ended.
            self.upstream.forget_containers();
        }
        let status = progress.status.load(Ordering::Relaxed);
        let begun = progress.begun.load(Ordering::Relaxed);
        let uploaded = progress.uploaded.load(Ordering::Relaxed);
        let outcome = |next, ended| Outcome { status, next, ended, refusal: None, stream };
        if matches!(result, Err(Trouble::Client | Trouble::Lease(_) | Trouble::Late(_)))
            && !begun
            && !forward.turn.is_empty()
        {
            // What was counted must be there, or not, before it is counted again.
            tokio::spawn(await_answer(link, forward.turn.clone(), self.upstream.newest()));
            return match result {
                Err(Trouble::Lease(end)) => refusal(end.into(), stream),
                Err(Trouble::Late(seconds)) => refusal(self.too_late(seconds), stream),
                _ => outcome(Next::Gone, Some("client gone")),
            };
        }
        match result {
            Ok(Done::Complete { keep }) => {
                if keep && uploaded {
                    self.upstream.give_back(link);
                }
                // What follows a request for a raw stream is not the next one.
                let close = head.close || !uploaded || takeover == Some(Takeover::Raw);
                outcome(if close { Next::Close } else { Next::Again }, None)
            }
            // It is begun again above.
            Ok(Done::PortTaken { .. }) => outcome(Next::Gone, Some("daemon gone")),
            Ok(Done::Switched(answer)) => {
                let takeover = takeover.unwrap_or(Takeover::Upgrade);
                let ended = client.take_over(&answer, takeover, link, lease).await;
                let status = if takeover == Takeover::Raw { 200 } else { 101 };
                Outcome { status, next: Next::Gone, ended, refusal: None, stream }
            }
            Err(Trouble::Client) => outcome(Next::Gone, Some("client gone")),
            Err(Trouble::Daemon(_)) if begun => outcome(Next::Gone, Some("daemon gone")),
            Err(Trouble::Lease(end)) if begun => outcome(Next::Gone, Some(end.word())),
            Err(Trouble::Late(seconds)) if begun => {
                drop(self.too_late(seconds));
                outcome(Next::Gone, Some("daemon timeout"))
            }
            Err(Trouble::Refused(_)) if begun => outcome(Next::Gone, Some("refused midway")),
            Err(Trouble::Daemon(why)) => refusal(daemon_gone(&why), stream),
            Err(Trouble::Late(seconds)) => refusal(self.too_late(seconds), stream),
            Err(Trouble::Lease(end)) => refusal(end.into(), stream),
            Err(Trouble::Refused(refused)) => refusal(refused, stream),
        }
    }

    /// Sends a build context on, rewritten, with the Dockerfile that the policy
    /// writes. False if the daemon stopped reading. After an error the daemon
    /// has no whole archive: the connection to it is closed.
    async fn build_context<R, W>(
        &self,
        gate: &Gate,
        build: &Build,
        (from, buffer): &mut (R, &mut BytesMut),
        to: &mut W,
        framing: Framing,
    ) -> Result<bool, Trouble>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (ask, mut asked) = tokio::sync::mpsc::channel::<(Vec<u8>, oneshot::Sender<Result<Vec<u8>, Refusal>>)>(1);
        let options = ContextOptions { dockerfile: build.dockerfile.clone(), limit: build.limit, entries: MAX_ENTRIES };
        let gone = || refused(503, "build.context", "the build was given up");
        let (input, mut output) = rewrite(options, move |text| async move {
            let (answer, answered) = oneshot::channel();
            ask.send((text, answer)).await.map_err(|_| gone())?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        });
        let feed = async {
            let (mut decoder, mut last) = (decoder(framing), 0);
            loop {
                let piece = decoder
                    .next(buffer)
                    .map_err(|_| Trouble::Refused(refused(400, "http.framing", "malformed chunked body")))?;
                match piece {
                    // Whether it was read is told by the output.
                    Piece::Data(data) => {
                        if !input.send(data).await {
                            return Ok(());
                        }
                    }
                    Piece::End => {
                        input.finish().await;
                        return Ok(());
                    }
                    Piece::More => {
                        room(buffer, last);
                        last = from.read_buf(buffer).await.unwrap_or(0);
                        if last == 0 {
                            return Err(Trouble::Client);
                        }
                    }
                }
            }
        };
        tokio::pin!(feed);
        let (mut fed, mut out) = (false, Vec::new());
        loop {
            tokio::select! {
                ended = &mut feed, if !fed => {
                    ended?;
                    fed = true;
                }
                Some((text, answer)) = asked.recv() => {
                    // Who asks has ended where it does not wait any more.
                    let _ = answer.send(gate.policy.dockerfile(build, &text, &self.upstream).await);
                }
                piece = output.next() => match piece {
                    Some(Ok(piece)) => {
                        out.clear();
                        frame(&mut out, &piece);
                        if to.write_all(&out).await.is_err() {
                            return Ok(false);
                        }
                    }
                    None => return Ok(to.write_all(b"0\r\n\r\n").await.is_ok()),
                    Some(Err(error)) => return Err(Trouble::Refused(of_context(error))),
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // one call; a struct for it would only rename the parameters
    async fn both_ways<S>(
        &self,
        client: &mut Client<S>,
        gate: &Gate,
        head: &Head,
        forward: &Forward,
        lease: &mut Lease<'_>,
        link: &mut Link,
        (progress, takeover, limit): (&Progress, Option<Takeover>, Limit),
    ) -> Result<Done, Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let request = render(forward, head.framing, takeover.is_some())?;
        let beside = match takeover {
            Some(Takeover::Upgrade) => Beside::Forbidden,
            Some(Takeover::Raw) => Beside::Input,
            None if limit.bounds_all() => Beside::NextRequest,
            None => Beside::Leaves,
        };
        let head_only = forward.method == http::Method::HEAD;
        if head.expects && forward.body.is_streamed() {
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| Trouble::Client)?;
        }
        let Client { io, buffer: from_buffer, .. } = client;
        let (mut from_client, mut to_client) = tokio::io::split(io);
        let (mut from_daemon, mut to_daemon) = link.stream.split();
        let up = async {
            // A daemon that answers early may stop reading; its answer counts.
            let mut open = to_daemon.write_all(&request).await.is_ok();
            if let Body::Stream { limit } = forward.body {
                open = open && upload(&mut from_client, from_buffer, &mut to_daemon, head.framing, limit).await?;
                progress.uploaded.store(open, Ordering::Relaxed);
            }
            if let Body::Context(build) = &forward.body {
                let mut from = (&mut from_client, &mut *from_buffer);
                open = open && self.build_context(gate, build, &mut from, &mut to_daemon, head.framing).await?;
                progress.uploaded.store(open, Ordering::Relaxed);
            }
            watch(&mut from_client, from_buffer, beside).await
        };
        let down = async {
            let mut answer = read_answer(&mut from_daemon, &mut link.buffer, head_only, self.upstream.newest())
                .await
                .map_err(|error| Trouble::Daemon(error.to_string()))?;
            progress.status.store(answer.status, Ordering::Relaxed);
            if CHANGES_CONTAINERS.contains(&forward.operation) {
                self.upstream.forget_containers();
            }
            if answer.status == 101 {
                let switched = if takeover.is_some() {
                    Ok(Done::Switched(answer))
                } else {
                    Err(Trouble::Daemon("it switched protocols unasked".into()))
                };
                return switched;
            }
            if !answer.builder && matches!(forward.operation, "SystemPing" | "SystemPingHead") {
                answer.lines.extend_from_slice(CLASSIC_BUILDER);
            }
            let close = head.close || takeover == Some(Takeover::Raw);
            let mut relay = Relay { to_client: &mut to_client, progress, close };
            match &forward.response {
                ResponseRule::FilterJson { operation, viewer, wanted } if passed(answer.status) && !head_only => {
                    let body = collect(&mut from_daemon, &mut link.buffer, &mut answer).await?;
                    let body = policy::filter_json(operation, viewer, wanted, &body).map_err(Trouble::Refused)?;
                    relay.whole(&answer, &body).await?;
                }
                ResponseRule::FilterLines { operation, viewer } if passed(answer.status) && !head_only => {
                    let filter = |line: &[u8]| policy::filter_line(operation, viewer, line);
                    relay.lines(&mut from_daemon, &mut link.buffer, &mut answer, filter).await?;
                }
                _ if answer.status == 500 && TAKES_PORTS.contains(&forward.operation) => {
                    let body = collect(&mut from_daemon, &mut link.buffer, &mut answer).await?;
                    if progress.tries_another_port(&body) {
                        return Ok(Done::PortTaken { keep: answer.keep });
                    }
                    relay.whole(&answer, &told(forward, body)).await?;
                }
                _ if (answer.status >= 400 || forward.replace.is_some()) && !head_only && forward.tenant.is_some() => {
                    let body = collect(&mut from_daemon, &mut link.buffer, &mut answer).await?;
                    relay.whole(&answer, &told(forward, body)).await?;
                }
                _ => relay.pass(&mut from_daemon, &mut link.buffer, &mut answer).await?,
            }
            Ok(Done::Complete { keep: answer.keep })
        };
        let headed = || progress.status.load(Ordering::Relaxed) != 0;
        let bounds = async {
            // Most answers are there by then, and have cost one timer. Nothing is missed: what was
            // revoked meanwhile is seen at the first look, and the clock runs already.
            tokio::time::sleep(FIRST_LOOK).await;
            tokio::select! {
                end = lease.ended() => Trouble::Lease(end),
                seconds = self.late(forward, limit, &progress.clock, headed) => Trouble::Late(seconds),
            }
        };
        tokio::select! {
            biased;
            done = down => done,
            stopped = up => stopped,
            trouble = bounds => Err(trouble),
        }
    }
}

/// An answer of the daemon in the names that the client uses.
fn told(forward: &Forward, body: Vec<u8>) -> Vec<u8> {
    let Some(tenant) = forward.tenant.as_deref() else { return body };
    let body = tenant::names::own_text(tenant, &String::from_utf8_lossy(&body)).into_bytes();
    match &forward.replace {
        Some((from, to)) => String::from_utf8_lossy(&body).replace(from, to).into_bytes(),
        None => body,
    }
}

fn of_context(error: ContextError<Refusal>) -> Refusal {
    match error {
        ContextError::Dockerfile(refusal) => refusal,
        ContextError::TooLarge => refused(413, "body.size", &error.to_string()),
        ContextError::Refused(_) | ContextError::Aborted | ContextError::Lost => {
            refused(400, "build.context", &error.to_string())
        }
    }
}

fn passed(status: u16) -> bool {
    matches!(status, 200 | 201)
}

fn refusal(refused: Refusal, stream: bool) -> Outcome {
    Outcome { status: refused.status, next: Next::Close, ended: None, refusal: Some(refused), stream }
}

/// Keeps a turn until the daemon has answered, though nobody waits for it.
async fn await_answer(mut link: Link, turn: Turn, newest: (u16, u16)) {
    let _ = tokio::time::timeout(PATIENCE, read_answer(&mut link.stream, &mut link.buffer, false, newest)).await;
    drop(turn);
}

fn daemon_gone(why: &str) -> Refusal {
    refused(503, "daemon.gone", &format!("the Docker daemon does not answer: {why}"))
}

/// The request as it is sent: nothing in it is the client's own bytes.
fn render(forward: &Forward, framing: Framing, hijack: bool) -> Result<Vec<u8>, Trouble> {
    if !forward.path_and_query.starts_with('/') || !forward.path_and_query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::Refused(refused(500, "rebuild.target", "the rebuilt request has a malformed target")));
    }
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(forward.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(forward.path_and_query.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: docker\r\nUser-Agent: stockade-gateway\r\n");
    for (name, value) in &forward.headers {
        if is_framing(name) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if hijack {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: tcp\r\n");
    }
    let bytes: &[u8] = match (&forward.body, framing) {
        (Body::Bytes(bytes), _) => bytes,
        (Body::Stream { .. }, Framing::Chunked) | (Body::Context(_), _) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            return Ok(out);
        }
        (Body::Stream { limit }, Framing::Length(length)) => {
            if length > *limit {
                return Err(Trouble::Refused(too_large(*limit)));
            }
            out.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
            return Ok(out);
        }
        (Body::Stream { .. }, Framing::None) | (Body::Empty, _) => &[],
    };
    if !bytes.is_empty() || (forward.method != http::Method::GET && forward.method != http::Method::HEAD) {
        out.extend_from_slice(format!("Content-Length: {}\r\n", bytes.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    Ok(out)
}

fn is_framing(name: &http::HeaderName) -> bool {
    use http::header;
    [
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::AUTHORIZATION,
        header::TE,
        header::USER_AGENT,
    ]
    .contains(name)
}

fn too_large(limit: u64) -> Refusal {
    refused(413, "body.size", &format!("the body is larger than {limit} bytes"))
}

/// Makes room for the next read: much, once much has come.
fn room(buffer: &mut BytesMut, last: usize) {
    if last >= SMALL {
        buffer.reserve(LARGE);
    } else if buffer.is_empty() && buffer.capacity() > SMALL {
        // A stream with little to say waits with little memory.
        *buffer = BytesMut::with_capacity(SMALL);
    } else {
        buffer.reserve(SMALL);
    }
}

/// Sends the client's body on, framed anew. False if the daemon stopped reading.
async fn upload<R, W>(
    from: &mut R,
    buffer: &mut BytesMut,
    to: &mut W,
    framing: Framing,
    limit: u64,
) -> Result<bool, Trouble>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut decoder, mut sent, mut last, mut out) = (decoder(framing), 0_u64, 0, Vec::new());
    loop {
        out.clear();
        let piece = decoder
            .next(buffer)
            .map_err(|_| Trouble::Refused(refused(400, "http.framing", "malformed chunked body")))?;
        match piece {
            Piece::Data(data) => {
                sent += data.len() as u64;
                if sent > limit {
                    return Err(Trouble::Refused(too_large(limit)));
                }
                let written = if framing == Framing::Chunked {
                    frame(&mut out, &data);
                    to.write_all(&out).await
                } else {
                    to.write_all(&data).await
                };
                if written.is_err() {
                    return Ok(false);
                }
            }
            Piece::End => return Ok(framing != Framing::Chunked || to.write_all(b"0\r\n\r\n").await.is_ok()),
            Piece::More => {
                room(buffer, last);
                last = from.read_buf(buffer).await.unwrap_or(0);
                if last == 0 {
                    return Err(Trouble::Client);
                }
            }
        }
    }
}

/// Returns when the client goes away, and keeps what it sends meanwhile.
async fn watch<R: AsyncRead + Unpin>(from: &mut R, buffer: &mut BytesMut, beside: Beside) -> Result<Done, Trouble> {
    loop {
        if beside == Beside::Forbidden && !buffer.is_empty() {
            return Err(Trouble::Refused(refused(
                400,
                "hijack.early",
                "bytes were sent before the connection was switched",
            )));
        }
        if buffer.len() >= LARGE {
            if beside == Beside::Leaves {
                // The end of one that sends on and on would not be seen.
                return Err(Trouble::Client);
            }
            std::future::pending::<()>().await;
        }
        if buffer.capacity() == buffer.len() {
            buffer.reserve(SMALL);
        }
        match from.read_buf(buffer).await {
            Ok(0) if matches!(beside, Beside::NextRequest | Beside::Input) => std::future::pending::<()>().await,
            Ok(0) | Err(_) => return Err(Trouble::Client),
            Ok(_) => {}
        }
    }
}

fn frame(out: &mut Vec<u8>, data: &[u8]) {
    chunk_start(out, data.len());
    out.extend_from_slice(data);
    chunk_end(out);
}

/// Reads more of the answer. False at its end by closing.
async fn more<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    last: &mut usize,
    until_eof: bool,
) -> Result<bool, Trouble> {
    room(buffer, *last);
    match from.read_buf(buffer).await {
        Ok(0) if until_eof => Ok(false),
        Ok(0) => Err(Trouble::Daemon("it closed the connection midway".into())),
        Ok(count) => {
            *last = count;
            Ok(true)
        }
        Err(error) => Err(Trouble::Daemon(error.to_string())),
    }
}

fn next(body: &mut Decoder, buffer: &mut BytesMut) -> Result<Piece, Trouble> {
    body.next(buffer).map_err(|_| Trouble::Daemon("its answer is malformed".into()))
}

async fn collect<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    answer: &mut Answer,
) -> Result<Vec<u8>, Trouble> {
    let (mut whole, mut last) = (Vec::new(), 0);
    loop {
        match next(&mut answer.body, buffer)? {
            Piece::Data(data) => whole.extend_from_slice(&data),
            Piece::End => return Ok(whole),
            Piece::More => {
                if !more(from, buffer, &mut last, answer.body == Decoder::UntilEof).await? {
                    return Ok(whole);
                }
            }
        }
        if whole.len() > MAX_FILTERED {
            return Err(Trouble::Refused(refused(
                503,
                "filter.size",
                "the daemon's answer is too large to be filtered",
            )));
        }
    }
}

/// Writes an answer to the client.
struct Relay<'a, W> {
    to_client: &'a mut W,
    progress: &'a Progress,
    close: bool,
}

impl<W: AsyncWrite + Unpin> Relay<'_, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.progress.begun.store(true, Ordering::Relaxed);
        let written = self.progress.clock.of_client(async {
            self.to_client.write_all(bytes).await?;
            self.to_client.flush().await
        });
        written.await.map_err(|_| Trouble::Client)
    }

    /// An answer whose body is at hand.
    async fn whole(&mut self, answer: &Answer, body: &[u8]) -> Result<(), Trouble> {
        let mut out =
            answer::begin(answer.status, &answer.lines, &format!("Content-Length: {}\r\n", body.len()), self.close);
        out.extend_from_slice(body);
        self.write(&out).await
    }

    /// An answer passed on as it comes.
    async fn pass<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        buffer: &mut BytesMut,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        let (framing, chunked) = match &answer.body {
            Decoder::Done => (String::new(), false),
            Decoder::Length(length) => (format!("Content-Length: {length}\r\n"), false),
            Decoder::Chunked(_) | Decoder::UntilEof => ("Transfer-Encoding: chunked\r\n".to_owned(), true),
        };
        let mut out = answer::begin(answer.status, &answer.lines, &framing, self.close);
        let mut last = 0;
        loop {
            let mut ended = loop {
                match next(&mut answer.body, buffer)? {
                    Piece::Data(data) if chunked => frame(&mut out, &data),
                    Piece::Data(data) => out.extend_from_slice(&data),
                    Piece::End => break true,
                    Piece::More => break false,
                }
            };
            if !ended && !out.is_empty() && out.len() < LARGE {
                // The daemon writes an answer in pieces, a moment apart: what is
                // there by now goes out in one record.
                tokio::task::yield_now().await;
                tokio::select! {
                    biased;
                    come = more(from, buffer, &mut last, answer.body == Decoder::UntilEof) => {
                        if come? {
                            continue;
                        }
                        ended = true;
                    }
                    () = std::future::ready(()) => {}
                }
            }
            if !ended && !out.is_empty() {
                self.write(&out).await?;
                out.clear();
            }
            if !ended {
                ended = !more(from, buffer, &mut last, answer.body == Decoder::UntilEof).await?;
            }
            if ended {
                if chunked {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                return if out.is_empty() { Ok(()) } else { self.write(&out).await };
            }
        }
    }

    /// A stream of JSON documents, one a line, each passed on as `filter` has it.
    async fn lines<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        buffer: &mut BytesMut,
        answer: &mut Answer,
        filter: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, Refusal>,
    ) -> Result<(), Trouble> {
        let filtered = |line: &mut Vec<u8>, out: &mut Vec<u8>| {
            if let Some(mut kept) = filter(line.trim_ascii()).map_err(Trouble::Refused)? {
                kept.push(b'\n');
                frame(out, &kept);
            }
            line.clear();
            Ok(())
        };
        let mut out = answer::begin(answer.status, &answer.lines, "Transfer-Encoding: chunked\r\n", self.close);
        let (mut line, mut last) = (Vec::new(), 0);
        loop {
            let mut ended = match next(&mut answer.body, buffer)? {
                Piece::Data(data) => {
                    for byte in data {
                        line.push(byte);
                        if byte == b'\n' {
                            filtered(&mut line, &mut out)?;
                        }
                    }
                    if line.len() > MAX_LINE {
                        return Err(Trouble::Daemon("a line is too long".into()));
                    }
                    continue;
                }
                Piece::End => true,
                Piece::More => false,
            };
            if !ended {
                if !out.is_empty() {
                    self.write(&out).await?;
                    out.clear();
                }
                ended = !more(from, buffer, &mut last, answer.body == Decoder::UntilEof).await?;
            }
            if ended {
                filtered(&mut line, &mut out)?;
                out.extend_from_slice(b"0\r\n\r\n");
                return self.write(&out).await;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn forward(path: &str, body: Body) -> Forward {
        Forward {
            operation: "ContainerStart",
            object: None,
            rule: "r".into(),
            method: http::Method::POST,
            path_and_query: path.into(),
            headers: vec![
                (http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json")),
                (http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer secret")),
                (http::header::TRANSFER_ENCODING, http::HeaderValue::from_static("chunked")),
            ],
            body,
            response: ResponseRule::Pass,
            tenant: None,
            replace: None,
            turn: Turn::default(),
        }
    }

    fn text(forward: &Forward, framing: Framing) -> String {
        render(forward, framing, false).map_or_else(|_| "refused".into(), |bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_sent_has_one_framing_and_no_token() {
        let sent = text(&forward("/v1.41/x", Body::Bytes(b"{}".to_vec())), Framing::Chunked);
        assert!(sent.starts_with("POST /v1.41/x HTTP/1.1\r\nHost: docker\r\n"), "{sent}");
        assert!(sent.ends_with("Content-Length: 2\r\n\r\n{}"), "{sent}");
        assert!(!sent.contains("secret") && !sent.contains("ransfer-"), "{sent}");
        assert!(text(&forward("/v1.41/x", Body::Empty), Framing::None).contains("Content-Length: 0"));
    }

    #[test]
    fn a_target_that_would_break_the_request_line_is_not_sent() {
        for path in ["/x HTTP/1.1\r\nX: y", "/a b", "x", "/\u{e9}"] {
            assert_eq!(text(&forward(path, Body::Empty), Framing::None), "refused", "{path}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_told_from_other_failures() {
        let taken = |message: &str| port_in_use(serde_json::json!({ "message": message }).to_string().as_bytes());
        let bind = "driver failed programming external connectivity on endpoint a (b): Error starting userland \
                    proxy: listen tcp4 0.0.0.0:8000: bind: address already in use";
        assert_eq!(taken(bind).as_deref(), Some("0.0.0.0:8000"));
        let held = "driver failed programming external connectivity on endpoint a (b): Bind for 127.0.0.1:8001 \
                    failed: port is already allocated";
        assert_eq!(taken(held).as_deref(), Some("127.0.0.1:8001"));
        assert_eq!(taken("no such container"), None);
        assert_eq!(port_in_use(b"not JSON"), None);
    }

    #[test]
    fn a_stream_that_says_it_is_too_long_is_not_begun() {
        assert_eq!(text(&forward("/x", Body::Stream { limit: 5 }), Framing::Length(6)), "refused");
    }
}
