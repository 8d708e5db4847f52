//! One request, from its head to its audit line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};

use super::body::refused;
use super::lease::{End, Lease};
use super::{Client, Next, Proxy, answer, now};
use crate::audit::Record;
use crate::http1::{BadHead, Framing, Head};
use crate::policy::{self, Operation};
use crate::service::Service;
use crate::services::Services;
use crate::{Forward, Identity, Refusal};

/// Largest body of the token service.
const SERVICE_BODY: u64 = 8 * 1024;
/// Longest target in the log.
const MAX_LOGGED: usize = 256;

/// How a request went, for the log.
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) next: Next,
    pub(super) ended: Option<&'static str>,
    /// Refused after the policy had allowed it (daemon gone, body too large).
    pub(super) refusal: Option<Refusal>,
    /// It was a stream: its time says nothing of the gateway.
    pub(super) stream: bool,
}

impl Proxy {
    /// Serves one request.
    pub(super) async fn request<S>(&self, client: &mut Client<S>, head: Head) -> Next
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let started = Instant::now();
        let services = self.services();
        match head.parts.uri.path() {
            "/healthz" => return client.plain(&head, 200, "text/plain", b"ok\n").await,
            path if Service::serves(path) => return self.service(client, &services, head, started).await,
            _ => {}
        }
        let mut record = Record { event: "done", client: client.name(), operation: logged(&head), ..Record::default() };
        let identity = match self.admit(client, &services, &head).await {
            Ok(identity) => identity,
            Err(refused) => return self.refuse(client, &head, refused, record, started).await,
        };
        record.who = Some(identity.subject.clone());
        record.tenant.clone_from(&identity.tenant);
        record.role = Some(identity.role.clone());
        record.token_id = Some(identity.token_id.clone());
        let mut lease = match Lease::begin(self, &identity, &services.sessions).await {
            Ok(lease) => lease,
            Err(end) => return self.refuse(client, &head, of_end(end), record, started).await,
        };
        if head.parts.uri.path() == "/metrics" {
            return self.metrics_page(client, &head, &identity, record, started).await;
        }
        let (forward, follows) = match self.decide(client, &services, &head, &identity).await {
            Ok(decided) => decided,
            Err(refused) if refused.rule == "daemon.timeout" => {
                self.metrics.daemon_timeouts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return self.refuse(client, &head, refused, record, started).await;
            }
            Err(refused) => return self.refuse(client, &head, refused, record, started).await,
        };
        record.operation = forward.operation.name().into();
        record.object.clone_from(&forward.object);
        record.rule.clone_from(&forward.rule);
        record.decision = "allow";
        lease.of_operation(forward.operation);
        let outcome = self.exchange(client, &services, &head, (&forward, follows), &mut lease, &record).await;
        if let Some(refused) = outcome.refusal {
            return self
                .refuse(client, &head, Refusal { operation: Some(forward.operation), ..refused }, record, started)
                .await;
        }
        record.status = outcome.status;
        record.ended = outcome.ended;
        let took = started.elapsed();
        record.duration_us = micros(took);
        self.metrics.request(forward.operation.name(), "allow", (!outcome.stream).then_some(took));
        self.audit.record(record);
        outcome.next
    }

    /// Rates, the log's state, and the token.
    async fn admit<S>(&self, client: &Client<S>, services: &Services, head: &Head) -> Result<Arc<Identity>, Refusal> {
        let (limits, at) = (self.limits(), Instant::now());
        let too_many = || {
            self.metrics.rate_limited.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            refused(429, "limit.rate", "too many requests")
        };
        if let Some(address) = client.address
            && !self.per_client.allows(address, limits.requests_per_client, at)
        {
            return Err(too_many());
        }
        if !self.audit.admits() {
            return Err(refused(
                503,
                "audit.unwritable",
                "the audit log cannot be written (is the disk full?), so nothing is let through",
            ));
        }
        let identity = match self.identify(services, &head.parts.headers).await {
            Ok(identity) => identity,
            Err(refused) => {
                self.metrics.token_failure(&refused.rule);
                if let Some(address) = client.address
                    && !self.attempts.allows(address, limits.attempts_per_client, at)
                {
                    return Err(too_many());
                }
                return Err(refused);
            }
        };
        if limits.requests_per_token != 0
            && !self.per_token.allows(identity.token_id.clone(), limits.requests_per_token, at)
        {
            return Err(too_many());
        }
        Ok(identity)
    }

    /// Asks the policy, with as much of the body as it wants.
    async fn decide<S>(
        &self,
        client: &mut Client<S>,
        services: &Services,
        head: &Head,
        identity: &Identity,
    ) -> Result<(Forward, bool), Refusal>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let call = policy::parse(&head.parts)?;
        let (streamed, follows) = (call.streams_body(), call.follows());
        let body = if streamed {
            Vec::new()
        } else {
            let patience = Duration::from_secs(self.limits().body_seconds);
            let body = client.whole_body(head.framing, head.expects, call.body_limit(), patience).await;
            body.map_err(|refused| Refusal { operation: Some(call.route.operation), ..refused })?
        };
        let forward = services.policy.decide(identity, call, &body, &self.upstream).await?;
        match (streamed, forward.body.is_streamed()) {
            (true, true) | (false, false) => Ok((forward, follows)),
            (true, false) if head.framing == Framing::None => Ok((forward, follows)),
            (true, false) => Err(refused(400, "body.none", "this operation takes no body")),
            (false, true) => Err(refused(500, "body.rule", "a body that was read cannot be streamed")),
        }
    }

    /// Answers with a refusal and logs it.
    pub(super) async fn refuse<S>(
        &self,
        client: &mut Client<S>,
        head: &Head,
        refused: Refusal,
        mut record: Record,
        started: Instant,
    ) -> Next
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // What is left of a body cannot be told from the next request any more.
        let close = head.close
            || head.framing != Framing::None
            || head.upgrade
            || refused.status == 401
            || asks_to_take_over(&head.parts);
        let sent = client.send(&answer::refusal(&refused, head.parts.method == http::Method::HEAD, close)).await;
        record.decision = "refuse";
        record.status = refused.status;
        if let Some(operation) = refused.operation {
            record.operation = operation.name().into();
        }
        record.rule = refused.rule;
        record.duration_us = micros(started.elapsed());
        self.metrics.request(refused.operation.map_or("unknown", Operation::name), "refuse", Some(started.elapsed()));
        self.audit.record(record);
        match sent {
            Err(_) => Next::Gone,
            Ok(()) if close => Next::Close,
            Ok(()) => Next::Again,
        }
    }

    /// Refuses a head that could not be read.
    pub(super) async fn refuse_head<S>(&self, client: &mut Client<S>, bad: BadHead) -> Next
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let refused = refused(bad.status, bad.rule, bad.message);
        self.metrics.request("unknown", "refuse", None);
        self.audit.record(Record {
            event: "done",
            operation: "unreadable".into(),
            decision: "refuse",
            rule: refused.rule.clone(),
            status: bad.status,
            client: client.name(),
            ..Record::default()
        });
        let _ = client.send(&answer::refusal(&refused, false, true)).await;
        Next::Close
    }

    /// The token service: no token is needed, so attempts are counted.
    async fn service<S>(&self, client: &mut Client<S>, services: &Services, head: Head, started: Instant) -> Next
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let limits = self.limits();
        let mut record = Record { event: "done", client: client.name(), operation: logged(&head), ..Record::default() };
        let counted = !head.parts.uri.path().starts_with("/.well-known/");
        if counted
            && let Some(address) = client.address
            && !self.attempts.allows(address, limits.attempts_per_client, started)
        {
            return self.refuse(client, &head, refused(429, "limit.rate", "too many attempts"), record, started).await;
        }
        if !self.audit.admits() {
            let why = refused(503, "audit.unwritable", "the audit log cannot be written, so nothing is let through");
            return self.refuse(client, &head, why, record, started).await;
        }
        let patience = Duration::from_secs(limits.head_seconds);
        let body = match client.whole_body(head.framing, head.expects, SERVICE_BODY, patience).await {
            Ok(body) => body,
            Err(refused) => return self.refuse(client, &head, refused, record, started).await,
        };
        let response = services.service.handle(&head.parts, &body, now()).await;
        record.status = response.status().as_u16();
        record.decision = if response.status().is_success() { "allow" } else { "refuse" };
        record.rule = "service".into();
        record.duration_us = micros(started.elapsed());
        self.metrics.request("TokenService", record.decision, Some(started.elapsed()));
        self.audit.record(record);
        let sent =
            client.send(&answer::of_service(&response, head.parts.method == http::Method::HEAD, head.close)).await;
        if sent.is_err() || head.close { Next::Close } else { Next::Again }
    }

    async fn metrics_page<S>(
        &self,
        client: &mut Client<S>,
        head: &Head,
        identity: &Identity,
        record: Record,
        started: Instant,
    ) -> Next
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if identity.role != "operator" || identity.tenant.is_some() || head.parts.method != http::Method::GET {
            return self
                .refuse(client, head, refused(403, "metrics", "metrics are the operator's"), record, started)
                .await;
        }
        let page = self.metrics.render(self.audit.failures());
        client.plain(head, 200, "text/plain; version=0.0.4", page.as_bytes()).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// The address, for the log.
    pub(super) fn name(&self) -> String {
        self.address.map_or_else(|| "local".into(), |address| address.to_string())
    }

    async fn plain(&mut self, head: &Head, status: u16, content_type: &str, body: &[u8]) -> Next {
        let close = head.close || head.framing != Framing::None;
        let head_only = head.parts.method == http::Method::HEAD;
        let sent = self.send(&answer::render(status, content_type, body, head_only, close, "")).await;
        if sent.is_err() || close { Next::Close } else { Next::Again }
    }
}

fn of_end(end: End) -> Refusal {
    match end {
        End::Expired => refused(401, "token.expired", "the token has expired"),
        End::Revoked => refused(401, "token.revoked", "the token was revoked"),
        End::SessionEnded => refused(401, "token.session", "the session of the token has ended"),
        End::Narrowed => refused(403, "token.role", "the role of the token's session does not allow this any more"),
        End::StoreGone => refused(503, "store.gone", "the session store does not answer, so nothing is let through"),
    }
}

impl From<End> for Refusal {
    fn from(end: End) -> Self {
        of_end(end)
    }
}

/// Whether it is an attach or the start of an exec: what follows such a request
/// may be input, sent before the answer was read.
fn asks_to_take_over(parts: &http::request::Parts) -> bool {
    let path = parts.uri.path().trim_end_matches('/');
    parts.method == http::Method::POST
        && (path.ends_with("/attach") || (path.contains("/exec/") && path.ends_with("/start")))
}

/// Method and path, without the query, cut where it is long.
fn logged(head: &Head) -> String {
    format!("{} {}", head.parts.method, head.parts.uri.path()).chars().take(MAX_LOGGED).collect()
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
