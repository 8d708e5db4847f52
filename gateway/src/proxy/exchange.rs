//! One exchange with the daemon: the request as the policy rebuilt it goes up,
//! the answer comes down, both at once, for no longer than the lease holds.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::body::refused;
use super::deadline::{Clock, Limit};
use super::lease::{End, Lease};
use super::ports::{TakenPorts, takes_ports};
use super::rebuild::render;
use super::relay::{Relay, collect};
use super::request::Outcome;
use super::upload::{Beside, upload, watch};
use super::{Client, Next, Proxy, answer};
use crate::audit::Record;
use crate::http1::{Framing, Head};
use crate::metrics::Open;
use crate::policy::{self, Operation};
use crate::services::Services;
use crate::upstream::{Answer, Link, read_answer};
use crate::{Body, Forward, QuotaGuard, Refusal, ResponseRule, tenant};

/// How long an owner's lock is kept for an answer that nobody waits for.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
/// After this long an exchange is watched for the end of its lease and its limit.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_millis(50);
/// Clients choose their builder by the answer to a ping (docker/cli,
/// `BuildKitEnabled`); sessions of BuildKit are not let through.
const CLASSIC_BUILDER: &[u8] = b"Builder-Version: 1\r\n";

/// Operations after which a container or volume is not what it was.
const CHANGES_CONTAINERS: &[Operation] = &[
    Operation::ContainerCreate,
    Operation::ContainerRename,
    Operation::ContainerUpdate,
    Operation::ContainerDelete,
    Operation::ContainerPrune,
    Operation::VolumeCreate,
    Operation::VolumeDelete,
    Operation::VolumePrune,
];

/// What stops an exchange.
pub(super) enum Trouble {
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

/// How an exchange went well.
pub(super) enum Done {
    /// The answer is complete; the connection may serve again.
    Complete { keep: bool },
    /// The daemon switched to raw bytes.
    Switched(Answer),
    /// The daemon chose a port that something else listens on; it chooses the
    /// next one when it is asked again. The connection may serve again.
    PortTaken { keep: bool },
}

/// What both directions know of each other.
pub(super) struct Progress {
    pub(super) clock: Clock,
    status: AtomicU16,
    /// Something of the answer has been written to the client.
    pub(super) begun: AtomicBool,
    /// All of the request has been read and sent.
    uploaded: AtomicBool,
    taken: TakenPorts,
}

impl Progress {
    fn begin(uploads: bool) -> Progress {
        Progress {
            clock: Clock::start(),
            status: AtomicU16::new(0),
            begun: AtomicBool::new(false),
            uploaded: AtomicBool::new(!uploads),
            taken: TakenPorts::default(),
        }
    }
}

impl Proxy {
    /// Carries out what the policy allowed.
    pub(super) async fn exchange<S>(
        &self,
        client: &mut Client<S>,
        services: &Services,
        head: &Head,
        (forward, follows): (&Forward, bool),
        lease: &mut Lease<'_>,
        record: &Record,
    ) -> Outcome
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if let ResponseRule::Answer { status, body } = &forward.response {
            return answer_here(client, head, forward, *status, body).await;
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
        let progress = Progress::begin(uploads);
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
                self.both_ways(client, services, head, forward, lease, &mut link, (&progress, takeover, limit)).await;
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
            && !forward.quota_guard.is_empty()
        {
            // What was counted must be there, or not, before it is counted again.
            tokio::spawn(await_answer(link, forward.quota_guard.clone(), self.upstream.newest()));
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
            Err(trouble) => self.stopped(trouble, status, begun, stream),
        }
    }

    /// What is told, or not, of an exchange that did not come to its end.
    fn stopped(&self, trouble: Trouble, status: u16, begun: bool, stream: bool) -> Outcome {
        let gone = |ended| Outcome { status, next: Next::Gone, ended: Some(ended), refusal: None, stream };
        match trouble {
            Trouble::Client => gone("client gone"),
            Trouble::Daemon(_) if begun => gone("daemon gone"),
            Trouble::Lease(end) if begun => gone(end.word()),
            Trouble::Late(seconds) if begun => {
                drop(self.too_late(seconds));
                gone("daemon timeout")
            }
            Trouble::Refused(_) if begun => gone("refused midway"),
            Trouble::Daemon(why) => refusal(daemon_gone(&why), stream),
            Trouble::Late(seconds) => refusal(self.too_late(seconds), stream),
            Trouble::Lease(end) => refusal(end.into(), stream),
            Trouble::Refused(refused) => refusal(refused, stream),
        }
    }

    #[allow(clippy::too_many_arguments)] // one call; a struct for it would only rename the parameters
    async fn both_ways<S>(
        &self,
        client: &mut Client<S>,
        services: &Services,
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
                open = open && self.build_context(services, build, &mut from, &mut to_daemon, head.framing).await?;
                progress.uploaded.store(open, Ordering::Relaxed);
            }
            watch(&mut from_client, from_buffer, beside).await
        };
        let answer = Answering { head, forward, progress, takeover };
        let down = self.relay_answer(&answer, &mut from_daemon, &mut link.buffer, &mut to_client);
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

    /// The daemon's answer, as far as its route lets it through.
    async fn relay_answer<R, W>(
        &self,
        answering: &Answering<'_>,
        from_daemon: &mut R,
        buffer: &mut BytesMut,
        to_client: &mut W,
    ) -> Result<Done, Trouble>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let Answering { head, forward, progress, takeover } = *answering;
        let head_only = forward.method == http::Method::HEAD;
        let mut answer = read_answer(from_daemon, buffer, head_only, self.upstream.newest())
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
        if !answer.builder && matches!(forward.operation, Operation::SystemPing | Operation::SystemPingHead) {
            answer.lines.extend_from_slice(CLASSIC_BUILDER);
        }
        let close = head.close || takeover == Some(Takeover::Raw);
        let mut relay = Relay { to_client, progress, close };
        match &forward.response {
            ResponseRule::FilterJson { filter, viewer, selection } if passed(answer.status) && !head_only => {
                let body = collect(from_daemon, buffer, &mut answer).await?;
                let body = policy::filter_json(*filter, viewer, selection, &body).map_err(Trouble::Refused)?;
                relay.whole(&answer, &body).await?;
            }
            ResponseRule::FilterLines { filter, viewer } if passed(answer.status) && !head_only => {
                let filter = |line: &[u8]| policy::filter_line(*filter, viewer, line);
                relay.lines(from_daemon, buffer, &mut answer, filter).await?;
            }
            // Errors and answers without a body have nothing to be filtered.
            ResponseRule::FilterJson { .. }
            | ResponseRule::FilterLines { .. }
            | ResponseRule::Pass
            | ResponseRule::Hijack
            | ResponseRule::Answer { .. } => {
                if answer.status == 500 && takes_ports(forward.operation) {
                    let body = collect(from_daemon, buffer, &mut answer).await?;
                    if progress.taken.tries_another(&body) {
                        return Ok(Done::PortTaken { keep: answer.keep });
                    }
                    relay.whole(&answer, &told(forward, body)).await?;
                } else if (answer.status >= 400 || forward.replace.is_some()) && !head_only && forward.tenant.is_some()
                {
                    let body = collect(from_daemon, buffer, &mut answer).await?;
                    relay.whole(&answer, &told(forward, body)).await?;
                } else {
                    relay.pass(from_daemon, buffer, &mut answer).await?;
                }
            }
        }
        Ok(Done::Complete { keep: answer.keep })
    }
}

/// What an answer belongs to.
struct Answering<'a> {
    head: &'a Head,
    forward: &'a Forward,
    progress: &'a Progress,
    takeover: Option<Takeover>,
}

/// Answers without the daemon.
async fn answer_here<S>(client: &mut Client<S>, head: &Head, forward: &Forward, status: u16, body: &str) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let close = head.close || (head.framing != Framing::None && forward.body.is_streamed());
    let head_only = head.parts.method == http::Method::HEAD;
    let bytes = answer::render(status, "application/json", body.as_bytes(), head_only, close, "");
    let sent = client.send(&bytes).await;
    let next = if sent.is_err() || close { Next::Close } else { Next::Again };
    Outcome { status, next, ended: None, refusal: None, stream: false }
}

/// An answer of the daemon in the names that the client uses.
fn told(forward: &Forward, body: Vec<u8>) -> Vec<u8> {
    let Some(tenant) = forward.tenant.as_ref() else { return body };
    let body = tenant::names::own_text(tenant, &String::from_utf8_lossy(&body)).into_bytes();
    match &forward.replace {
        Some((from, to)) => String::from_utf8_lossy(&body).replace(from, to).into_bytes(),
        None => body,
    }
}

/// Whether an answer has what was asked for in its body, whatever the status of
/// its success.
fn passed(status: u16) -> bool {
    (200..300).contains(&status) && status != 204
}

fn refusal(refused: Refusal, stream: bool) -> Outcome {
    Outcome { status: refused.status, next: Next::Close, ended: None, refusal: Some(refused), stream }
}

/// Keeps the locks until the daemon has answered, though nobody waits for it.
async fn await_answer(mut link: Link, quota_guard: QuotaGuard, newest: (u16, u16)) {
    let _ = tokio::time::timeout(ANSWER_TIMEOUT, read_answer(&mut link.stream, &mut link.buffer, false, newest)).await;
    drop(quota_guard);
}

fn daemon_gone(why: &str) -> Refusal {
    refused(503, "daemon.gone", &format!("the Docker daemon does not answer: {why}"))
}
