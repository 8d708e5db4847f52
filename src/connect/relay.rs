//! From the local socket to the gateway, request by request.
//!
//! A local connection has one connection to the gateway, which is opened when
//! it is first needed and again when the gateway has closed it. Each request
//! gets the token of its own moment. A connection that the daemon takes over
//! (101) is carried as bytes, each direction ending for itself: the end of
//! `docker exec -i`'s input is not the end of its output.
//!
//! A stream that breaks off may be all that is seen of a session that has ended,
//! so the gateway is then asked whether the token still is good.

use super::access::Access;
use super::gateway::{CONNECT_TIMEOUT, Gateway, RelayBody};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;

/// Bytes carried at once in each direction of a connection that was taken over.
const BUFFER: usize = 64 * 1024;

/// A stream that was taken over and ends before this is over is not asked
/// about: an ordinary `docker exec` costs no further connection.
const BRIEF: Duration = Duration::from_secs(1);

/// Carries requests with the token of one session.
pub struct Relay {
    gateway: Gateway,
    access: Arc<Access>,
    /// Whether the gateway is being asked about the token.
    asking: AtomicBool,
}

/// The connection to the gateway that belongs to a local one.
type Upstream = Arc<Mutex<Option<SendRequest<RelayBody>>>>;

impl Relay {
    /// A relay to a gateway.
    pub fn new(gateway: Gateway, access: Arc<Access>) -> Arc<Relay> {
        Arc::new(Relay { gateway, access, asking: AtomicBool::new(false) })
    }

    /// Serves all who connect, until the future is dropped; their connections
    /// end with it.
    pub async fn serve(self: Arc<Relay>, listener: &UnixListener) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(Arc::clone(&self).connection(stream));
                    }
                    // Out of descriptors, say: wait rather than spin.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(self: Arc<Relay>, stream: UnixStream) {
        let upstream = Upstream::default();
        // Streams that were taken over end with this connection's task.
        let streams = Arc::new(Mutex::new(tokio::task::JoinSet::new()));
        let service = service_fn(|request| {
            let (relay, upstream, streams) = (Arc::clone(&self), Arc::clone(&upstream), Arc::clone(&streams));
            async move {
                let answer = relay.request(request, &upstream, &streams).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(|refusal| refusal))
            }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        // A client that goes away is no error of ours.
        drop(served);
        let mut streams = streams.lock().await;
        while streams.join_next().await.is_some() {}
    }

    async fn request(
        self: &Arc<Relay>,
        mut request: Request<Incoming>,
        upstream: &Upstream,
        streams: &Mutex<tokio::task::JoinSet<()>>,
    ) -> Result<Response<RelayBody>, Response<RelayBody>> {
        let upgrade = upgrade_of(request.headers());
        let local = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        clean(&mut parts.headers, upgrade.as_ref());
        let host = HeaderValue::from_str(self.gateway.authority())
            .map_err(|_| refuse(StatusCode::BAD_GATEWAY, "the gateway's address cannot be sent"))?;
        parts.headers.insert(HOST, host);
        // A request without a body can be sent twice.
        let again = body.is_end_stream();
        let mut body = Some(body.boxed());
        let mut tries = 0;
        let mut answer = loop {
            tries += 1;
            let token =
                self.access.token().await.map_err(|error| refuse(StatusCode::UNAUTHORIZED, &error.to_string()))?;
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| refuse(StatusCode::BAD_GATEWAY, "the token cannot be sent"))?;
            bearer.set_sensitive(true);
            parts.headers.insert(AUTHORIZATION, bearer);
            let body = body.take().unwrap_or_else(empty);
            let answer = self.send(Request::from_parts(parts.clone(), body), upstream).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                break answer;
            }
            // This machine's clock, or the token was revoked but not the session.
            self.access.refused(&token);
            if !again || tries == 2 {
                break answer;
            }
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(local), Some(protocol)) = (local, upgrade) else {
                return Err(refuse(StatusCode::BAD_GATEWAY, "the gateway changed the protocol unasked"));
            };
            let remote = hyper::upgrade::on(&mut answer);
            // What was taken over is not for other requests.
            upstream.lock().await.take();
            let relay = Arc::clone(self);
            streams.lock().await.spawn(async move {
                let begun = Instant::now();
                if carry(local, remote).await.is_err() || begun.elapsed() > BRIEF {
                    relay.broke_off();
                }
            });
            clean(answer.headers_mut(), Some(&protocol));
        } else {
            clean(answer.headers_mut(), None);
        }
        let relay = Arc::clone(self);
        Ok(answer.map(|body| body.map_err(move |error| (relay.broke_off(), error).1).boxed()))
    }

    /// Asks, aside, whether the token still is good; a refusal has it renewed,
    /// and where that is refused too the session is over and is said to be.
    fn broke_off(self: &Arc<Relay>) {
        if self.asking.swap(true, Ordering::SeqCst) {
            return;
        }
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            relay.ask().await;
            relay.asking.store(false, Ordering::SeqCst);
        });
    }

    /// What goes wrong here goes wrong for the next client too, who is told.
    async fn ask(&self) -> Option<()> {
        let token = self.access.token().await.ok()?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
        bearer.set_sensitive(true);
        let request = Request::get("/_ping").header(HOST, self.gateway.authority()).header(AUTHORIZATION, bearer);
        let mut sender = self.gateway.open().await.ok()?;
        let answer = tokio::time::timeout(CONNECT_TIMEOUT, sender.send_request(request.body(empty()).ok()?)).await;
        if answer.ok()?.ok()?.status() == StatusCode::UNAUTHORIZED {
            self.access.refused(&token);
        }
        Some(())
    }

    /// Sends over the connection that is there; one that the gateway closed
    /// before it took the request is replaced.
    async fn send(
        &self,
        mut request: Request<RelayBody>,
        upstream: &Upstream,
    ) -> Result<Response<Incoming>, Response<RelayBody>> {
        let mut slot = upstream.lock().await;
        loop {
            let (mut sender, fresh) = match slot.take() {
                Some(sender) if !sender.is_closed() => (sender, false),
                _ => {
                    let opened = self.gateway.open().await;
                    (opened.map_err(|error| refuse(StatusCode::BAD_GATEWAY, &error.to_string()))?, true)
                }
            };
            let sent = match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) if !fresh => continue,
                Err(error) => return Err(refuse(StatusCode::BAD_GATEWAY, &format!("the gateway: {error}"))),
            };
            match sent {
                Ok(answer) => {
                    *slot = Some(sender);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => {
                        let why = format!("the connection to the gateway failed: {}", error.into_error());
                        return Err(refuse(StatusCode::BAD_GATEWAY, &why));
                    }
                },
            }
        }
    }
}

/// The protocol that a request asks to change to.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let upgrade = asked.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| upgrade).cloned()
}

/// Takes away what is between two neighbours only (RFC 9110, 7.6.1) and any
/// credentials that are not ours; keeps a wanted upgrade.
fn clean(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, UPGRADE, TRANSFER_ENCODING, AUTHORIZATION] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"] {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
}

/// Both directions of a connection that was taken over; each ends for itself.
/// Whichever side breaks off, the client sees its connection end.
async fn carry(local: hyper::upgrade::OnUpgrade, remote: hyper::upgrade::OnUpgrade) -> std::io::Result<()> {
    if let (Ok(local), Ok(remote)) = tokio::join!(local, remote) {
        let (mut local, mut remote) = (TokioIo::new(local), TokioIo::new(remote));
        tokio::io::copy_bidirectional_with_sizes(&mut local, &mut remote, BUFFER, BUFFER).await?;
    }
    Ok(())
}

fn empty() -> RelayBody {
    Full::default().map_err(|never| match never {}).boxed()
}

/// An error in the form that Docker's clients show.
fn refuse(status: StatusCode, message: &str) -> Response<RelayBody> {
    let text = serde_json::json!({ "message": format!("stockade connect: {message}") }).to_string();
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_neighbours_and_foreign_credentials_are_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "Upgrade, X-Hop"),
            ("upgrade", "tcp"),
            ("x-hop", "1"),
            ("authorization", "Bearer other"),
            ("transfer-encoding", "chunked"),
            ("x-registry-auth", "kept"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let upgrade = upgrade_of(&headers);
        clean(&mut headers, upgrade.as_ref());
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["connection", "upgrade", "x-registry-auth"]);
        assert_eq!(headers.get(CONNECTION).unwrap(), "Upgrade");
        headers.remove(CONNECTION);
        assert_eq!(upgrade_of(&headers), None);
    }
}
