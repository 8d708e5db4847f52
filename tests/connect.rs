//! `connect` between real sockets: clients on a Unix socket, a gateway that
//! speaks TLS, and what must hold between them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stockade::authority::Authority;
use stockade::connect::{Access, Gateway, Granted, LocalSocket, Relay};
use stockade::values::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;

/// A gateway that counts and remembers.
#[derive(Default)]
struct Fake {
    renewals: AtomicUsize,
    connections: AtomicUsize,
    requests: AtomicUsize,
    revoked: Mutex<Vec<String>>,
    /// Tokens with a lower number are refused.
    from: usize,
    /// Ends each connection after its answer.
    close: bool,
    /// For how many seconds a token is good; 0: 900.
    lifetime: u64,
    /// Renewals that are to fail first.
    failures: AtomicUsize,
    /// The session is over: streams break off, tokens are refused and not renewed.
    over: tokio::sync::watch::Sender<bool>,
}

impl Fake {
    fn lifetime(&self) -> Duration {
        Duration::from_secs(if self.lifetime == 0 { 900 } else { self.lifetime })
    }

    /// Returns when a stream has to end: at the end of a token that has not
    /// been renewed by then, or with the session.
    async fn end_of_stream(&self) {
        let mut over = self.over.subscribe();
        let mut before = self.renewals.load(Ordering::SeqCst);
        loop {
            tokio::select! {
                _ = over.wait_for(|over| *over) => return,
                () = tokio::time::sleep(self.lifetime()) => {}
            }
            let now = self.renewals.load(Ordering::SeqCst);
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Whether a token is good: one that was given, and not too old.
    fn good(&self, authorization: &str) -> bool {
        let number = authorization.strip_prefix("Bearer access-").and_then(|number| number.parse::<usize>().ok());
        !*self.over.borrow()
            && number.is_some_and(|number| (self.from..=self.renewals.load(Ordering::SeqCst)).contains(&number))
    }

    async fn answer(self: Arc<Fake>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let authorization = parts.headers.get_all(header::AUTHORIZATION).iter().cloned().collect::<Vec<_>>();
        let text = |status: u16, text: String| {
            let mut answer = Response::new(Full::new(Bytes::from(text)));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        };
        if parts.uri.path() == "/token" {
            let form = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return text(503, String::new());
            }
            if *self.over.borrow() {
                return text(400, "{\"error\":\"invalid_grant\"}".into());
            }
            let before = self.renewals.load(Ordering::SeqCst);
            assert_eq!(form, format!("grant_type=refresh_token&refresh_token=refresh-{before}"));
            let number = self.renewals.fetch_add(1, Ordering::SeqCst) + 1;
            let json = serde_json::json!({
                "access_token": format!("access-{number}"),
                "refresh_token": format!("refresh-{number}"),
                "token_type": "Bearer",
                "expires_in": self.lifetime().as_secs(),
            });
            return text(200, json.to_string());
        }
        if parts.uri.path() == "/revoke" {
            let form = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            self.revoked.lock().unwrap().push(form);
            return text(200, String::new());
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        let [authorization] = &authorization[..] else { return text(400, "not one Authorization".into()) };
        if !self.good(authorization.to_str().unwrap()) {
            return text(401, "{\"message\":\"expired\"}".into());
        }
        if let Some(upgrade) = upgrade {
            // Says what came only after its end: that end must get here, and the answer back.
            tokio::spawn(async move {
                let mut stream = TokioIo::new(upgrade.await.unwrap());
                let mut all = Vec::new();
                tokio::select! {
                    read = stream.read_to_end(&mut all) => { read.unwrap(); }
                    () = self.end_of_stream() => return,
                }
                stream.write_all(&all).await.unwrap();
                stream.shutdown().await.unwrap();
            });
            let mut answer = text(101, String::new());
            answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
            answer.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("tcp"));
            return answer;
        }
        let body = body.collect().await.unwrap().to_bytes();
        let mut answer = text(200, format!("{} {} {}", parts.method, parts.uri, body.len()));
        if self.close {
            answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        answer
    }

    async fn serve(self: Arc<Fake>, listener: TcpListener, tls: TlsAcceptor) {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (fake, tls) = (Arc::clone(&self), tls.clone());
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(socket).await else { return };
                fake.connections.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(|request| {
                    let fake = Arc::clone(&fake);
                    async move { Ok::<_, Infallible>(fake.answer(request).await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
            });
        }
    }
}

/// A gateway, a relay to it and the relay's socket.
struct Site {
    fake: Arc<Fake>,
    gateway: Gateway,
    access: Arc<Access>,
    socket: PathBuf,
    folder: tempfile::TempDir,
}

async fn site(fake: Fake) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::at(folder.path().join("ca"));
    authority.init("a test").unwrap();
    authority.issue("gw", &["127.0.0.1".to_owned()], 10, false).unwrap();
    let hosts = folder.path().join("ca/hosts");
    let certificate = CertificateDer::from_pem_file(hosts.join("gw.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(hosts.join("gw.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let lifetime = fake.lifetime();
    let fake = Arc::new(fake);
    tokio::spawn(Arc::clone(&fake).serve(listener, TlsAcceptor::from(Arc::new(config))));
    let trusted = std::fs::read(authority.certificate()).unwrap();
    let gateway = Gateway::new(&address, "127.0.0.1", &trusted).unwrap();
    let (access, socket) = relay(&gateway, folder.path(), "a", lifetime);
    Site { fake, gateway, access, socket, folder }
}

/// A relay that serves for as long as the test runs.
fn relay(gateway: &Gateway, folder: &Path, name: &str, lifetime: Duration) -> (Arc<Access>, PathBuf) {
    let granted =
        Granted { access: Secret::new("access-0"), refresh: Some(Secret::new("refresh-0")), session: None, lifetime };
    let access = Arc::new(Access::new(granted, Arc::new(gateway.clone())));
    let mut socket = LocalSocket::bind(&folder.join("run").join(format!("{name}.sock"))).unwrap();
    let path = socket.path().to_owned();
    let relay = Relay::new(gateway.clone(), Arc::clone(&access));
    tokio::spawn(async move {
        let listener = socket.listener().unwrap();
        relay.serve(&listener).await;
    });
    (access, path)
}

fn block<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

/// Sends bytes on a new connection and reads to its end.
async fn raw(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A connection that the daemon has taken over.
async fn taken_over(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = b"POST /exec/1/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("upgrade: tcp"), "{head}");
    stream
}

/// What comes back from a stream after the end of its input.
async fn echo(mut stream: UnixStream) -> Vec<u8> {
    stream.write_all(b"still here").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut output = Vec::new();
    stream.read_to_end(&mut output).await.unwrap();
    output
}

const GET: &[u8] = b"GET /containers/json?all=1 HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";

#[test]
fn fifty_clients_whose_token_has_ended_cause_one_renewal_and_all_are_served() {
    block(async {
        let site = site(Fake { from: 1, ..Fake::default() }).await;
        let clients: Vec<_> = (0..50)
            .map(|_| {
                let socket = site.socket.clone();
                tokio::spawn(async move { raw(&socket, GET).await })
            })
            .collect();
        for client in clients {
            let answer = client.await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("GET /containers/json?all=1 0"), "{answer}");
        }
        assert_eq!(site.fake.renewals.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_request_with_a_body_is_not_sent_twice_but_the_next_one_has_a_new_token() {
    block(async {
        let site = site(Fake { from: 1, ..Fake::default() }).await;
        let post = b"POST /build HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
        assert!(raw(&site.socket, post).await.starts_with("HTTP/1.1 401"));
        assert_eq!(site.fake.requests.load(Ordering::SeqCst), 1);
        assert!(raw(&site.socket, post).await.ends_with("POST /build 3"));
        assert_eq!(site.fake.renewals.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn the_end_of_input_is_carried_and_the_output_still_comes() {
    block(async {
        let site = site(Fake::default()).await;
        let mut stream = taken_over(&site.socket).await;
        let input: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        stream.write_all(&input).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut output = Vec::new();
        stream.read_to_end(&mut output).await.unwrap();
        assert!(output == input, "{} of {} bytes came back", output.len(), input.len());
    });
}

#[test]
fn a_connection_carries_many_requests_and_a_gateway_that_closed_is_dialled_again() {
    for close in [false, true] {
        block(async {
            let site = site(Fake { close, ..Fake::default() }).await;
            let mut three = Vec::new();
            for _ in 0..2 {
                three.extend_from_slice(b"GET /a HTTP/1.1\r\nHost: docker\r\n\r\n");
            }
            three.extend_from_slice(GET);
            let answers = raw(&site.socket, &three).await;
            assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
            assert_eq!(site.fake.connections.load(Ordering::SeqCst), if close { 3 } else { 1 });
        });
    }
}

#[test]
fn a_body_is_passed_on_whole_and_credentials_of_the_client_are_not() {
    block(async {
        let site = site(Fake::default()).await;
        let mut request = b"PUT /containers/x/archive HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\
            Authorization: Bearer mine\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
        for _ in 0..100 {
            request.extend_from_slice(b"2710\r\n");
            request.extend_from_slice(&[b'x'; 10_000]);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"0\r\n\r\n");
        let answer = raw(&site.socket, &request).await;
        assert!(answer.ends_with("PUT /containers/x/archive 1000000"), "{answer}");
    });
}

#[test]
fn a_gateway_of_another_authority_gets_no_request_and_no_token() {
    block(async {
        let site = site(Fake::default()).await;
        let other = Authority::at(site.folder.path().join("other"));
        other.init("another").unwrap();
        let trusted = std::fs::read(other.certificate()).unwrap();
        let stranger = Gateway::new(site.gateway.authority(), "127.0.0.1", &trusted).unwrap();
        assert!(stranger.check(Duration::from_secs(15)).await.unwrap_err().to_string().contains("certificate"));
        let (_access, socket) = relay(&stranger, site.folder.path(), "b", Duration::from_secs(900));
        let answer = raw(&socket, GET).await;
        assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("\"message\""), "{answer}");
        let own = std::fs::read(site.folder.path().join("ca/ca.crt")).unwrap();
        let misnamed = Gateway::new(site.gateway.authority(), "other.example", &own).unwrap();
        assert!(misnamed.check(Duration::from_secs(15)).await.is_err());
        assert_eq!(site.fake.connections.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn signing_out_revokes_the_refresh_token_in_use() {
    block(async {
        let site = site(Fake::default()).await;
        site.access.refused(&Secret::new("access-0"));
        assert!(raw(&site.socket, GET).await.starts_with("HTTP/1.1 200"));
        site.gateway.revoke(&site.access.sign_out().await).await.unwrap();
        assert_eq!(*site.fake.revoked.lock().unwrap(), ["token=refresh-1"]);
        let answer = raw(&site.socket, GET).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("signed out"), "{answer}");
    });
}

#[test]
fn a_stream_outlives_its_token_though_no_request_asks_for_a_new_one() {
    block(async {
        let site = site(Fake { lifetime: 2, ..Fake::default() }).await;
        let access = Arc::clone(&site.access);
        let kept = tokio::spawn(async move { access.keep(|_| ()).await });
        let stream = taken_over(&site.socket).await;
        while site.fake.renewals.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(echo(stream).await, b"still here");
        assert_eq!(site.fake.requests.load(Ordering::SeqCst), 1);
        assert!(!kept.is_finished());
    });
}

#[test]
fn a_renewal_that_fails_is_tried_again_while_the_token_lasts() {
    block(async {
        let site = site(Fake { lifetime: 6, failures: AtomicUsize::new(2), ..Fake::default() }).await;
        let access = Arc::clone(&site.access);
        let reports = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&reports);
        tokio::spawn(async move { access.keep(|_| _ = told.fetch_add(1, Ordering::SeqCst)).await });
        let stream = taken_over(&site.socket).await;
        while site.fake.renewals.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(echo(stream).await, b"still here");
        assert_eq!((site.fake.failures.load(Ordering::SeqCst), reports.load(Ordering::SeqCst)), (0, 0));
    });
}

#[test]
fn a_token_that_ended_without_a_new_one_is_told_once_and_tried_on() {
    block(async {
        let site = site(Fake { lifetime: 1, failures: AtomicUsize::new(12), ..Fake::default() }).await;
        let access = Arc::clone(&site.access);
        let reports = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&reports);
        tokio::spawn(async move { access.keep(|error| told.lock().unwrap().push(error.to_string())).await });
        while site.fake.renewals.load(Ordering::SeqCst) < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let reports = reports.lock().unwrap().clone();
        assert!(reports.len() == 1 && reports[0].contains("503"), "{reports:?}");
    });
}

#[test]
fn a_stream_that_breaks_off_shows_at_once_that_the_session_has_ended() {
    block(async {
        let site = site(Fake::default()).await;
        let access = Arc::clone(&site.access);
        let kept = tokio::spawn(async move { access.keep(|_| ()).await });
        let mut stream = taken_over(&site.socket).await;
        site.fake.over.send(true).unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        // The token itself is good for a quarter of an hour.
        let why = tokio::time::timeout(Duration::from_secs(20), kept).await.unwrap().unwrap();
        assert!(why.to_string().contains("has ended (it was revoked"), "{why}");
    });
}
