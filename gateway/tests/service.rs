//! The token service: what it answers, and that nothing of it tells too much.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot set up must stop

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use stockade_gateway::keys::{self, KeyRing, KeySource};
use stockade_gateway::service::opaque::{self, OpaqueError};
use stockade_gateway::service::{self, LARGEST_FORM, Service, Settings, socket};
use stockade_gateway::store::{OpaqueToken, RedbStore, Session, Store, TokenHash, open};
use stockade_gateway::token::{OwnTokens, Signer, Verifier, VerifierConfig, base64url};

const NOW: u64 = 1_000_000_000;

const ISSUER: &str = "https://gateway.example:2376";

struct Fixture {
    store: Arc<dyn Store>,
    service: Service,
    /// Holds a key that signs from [`NOW`] on.
    _keys: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::over(Arc::new(RedbStore::in_memory().unwrap()))
    }

    fn over(store: Arc<dyn Store>) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        keys::init(folder.path(), NOW).unwrap();
        let keys = KeySource::from(KeyRing::load_dir(folder.path()).unwrap());
        let verifier = Verifier::new(VerifierConfig::new(ISSUER, "docker"), keys.clone());
        let own = OwnTokens::new(Signer::new(ISSUER, "docker", keys), Arc::new(verifier));
        let service = Service::new(Arc::clone(&store), own, Settings::new(ISSUER));
        Fixture { store, service, _keys: folder }
    }

    async fn send(&self, request: http::request::Builder, body: &str, now: u64) -> Response<Bytes> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        self.service.handle(&parts, body.as_bytes(), now).await
    }

    async fn post(&self, path: &str, body: &str, now: u64) -> Response<Bytes> {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request, body, now).await
    }

    async fn refresh(&self, token: &str, now: u64) -> Response<Bytes> {
        self.post("/token", &format!("grant_type=refresh_token&refresh_token={token}"), now).await
    }

    async fn admin(&self, request: Value, now: u64) -> Value {
        self.service.admin_line(request.to_string().as_bytes(), now).await
    }

    /// A session: its id, access token and refresh token.
    async fn session(&self) -> (String, String, String) {
        let request =
            json!({ "command": "issue", "subject": "ann", "tenant": "blue", "role": "deploy", "with_refresh": true });
        let answer = self.admin(request, NOW).await;
        assert_eq!(answer["ok"], true, "{answer}");
        let text = |key: &str| answer["result"][key].as_str().unwrap().to_owned();
        (text("session"), text("access_token"), text("refresh_token"))
    }
}

/// A claim of an access token.
fn claim(token: &str, name: &str) -> String {
    let claims = base64url::decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims[name].as_str().unwrap().to_owned()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

fn body(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap()
}

fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[track_caller]
fn assert_error(answer: &Response<Bytes>, status: u16, error: &str) {
    assert_eq!((answer.status().as_u16(), body(answer)["error"].as_str().unwrap()), (status, error), "{answer:?}");
    assert_eq!((header(answer, "content-type"), header(answer, "cache-control")), ("application/json", "no-store"));
}

#[test]
fn a_refresh_gives_both_tokens_and_nobody_may_keep_the_answer() {
    run(async {
        let fixture = Fixture::new();
        let (session, _, refresh) = fixture.session().await;
        let answer = fixture.refresh(&refresh, NOW + 800).await;
        assert_eq!(answer.status(), 200);
        assert_eq!((header(&answer, "cache-control"), header(&answer, "pragma")), ("no-store", "no-cache"));
        let given = body(&answer);
        assert_eq!((given["token_type"].as_str(), given["expires_in"].as_u64()), (Some("Bearer"), Some(900)));
        assert_eq!(claim(given["access_token"].as_str().unwrap(), "sid"), session);
        let next = given["refresh_token"].as_str().unwrap();
        assert_ne!(next, refresh);
        assert_eq!(fixture.refresh(next, NOW + 1600).await.status(), 200);
    });
}

#[test]
fn an_access_token_never_outlives_its_session() {
    run(async {
        let fixture = Fixture::new();
        let (_, _, mut refresh) = fixture.session().await;
        let end = NOW + 30 * 86_400;
        for (at, lives) in [(end - 901, 900), (end - 100, 100), (end - 2, 2)] {
            let given = body(&fixture.refresh(&refresh, at).await);
            assert_eq!(given["expires_in"], lives);
            refresh = given["refresh_token"].as_str().unwrap().to_owned();
        }
        assert_error(&fixture.refresh(&refresh, end).await, 400, "invalid_grant");
    });
}

#[test]
fn reuse_ends_the_session_and_a_thief_learns_nothing() {
    run(async {
        let fixture = Fixture::new();
        let (session, _, refresh) = fixture.session().await;
        let next = body(&fixture.refresh(&refresh, NOW + 100).await)["refresh_token"].as_str().unwrap().to_owned();
        let race = fixture.refresh(&refresh, NOW + 100).await;
        assert_error(&race, 503, "temporarily_unavailable");
        assert_eq!(header(&race, "retry-after"), "2");
        assert!(!fixture.store.is_revoked(Some(&session), "x").await.unwrap());
        let reuse = fixture.refresh(&refresh, NOW + 200).await;
        assert_error(&reuse, 400, "invalid_grant");
        assert!(fixture.store.is_revoked(Some(&session), "x").await.unwrap());
        let ended = fixture.refresh(&next, NOW + 201).await;
        let unknown = fixture.refresh("sgr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NOW).await;
        assert_eq!(reuse.body(), ended.body());
        assert_eq!(reuse.body(), unknown.body());
    });
}

#[test]
fn a_form_is_read_strictly() {
    run(async {
        let fixture = Fixture::new();
        let (session, _, refresh) = fixture.session().await;
        let good = format!("grant_type=refresh_token&refresh_token={refresh}");
        for (form, error) in [
            (format!("{good}&refresh_token=x"), "invalid_request"),
            (format!("{good}&%72efresh_token=x"), "invalid_request"),
            (format!("{good}&"), "invalid_request"),
            (format!("{good}&scope=operator"), "invalid_scope"),
            (format!("grant_type=refresh_token;refresh_token={refresh}"), "invalid_request"),
            (format!("grant_type=password&refresh_token={refresh}"), "unsupported_grant_type"),
            (format!("refresh_token={refresh}"), "invalid_request"),
            ("grant_type=refresh_token".to_owned(), "invalid_request"),
            ("grant_type=refresh_token&refresh_token=".to_owned(), "invalid_request"),
            (String::new(), "invalid_request"),
            (format!("{{\"grant_type\":\"refresh_token\",\"refresh_token\":\"{refresh}\"}}"), "invalid_request"),
        ] {
            let answer = fixture.post("/token", &form, NOW + 100).await;
            assert_error(&answer, 400, error);
            assert!(!String::from_utf8_lossy(answer.body()).contains(&refresh), "a token in an error");
        }
        let large = format!("{good}&pad={}", "x".repeat(LARGEST_FORM));
        assert_error(&fixture.post("/token", &large, NOW).await, 413, "invalid_request");
        let bare = |path: &str| Request::post(path.to_owned());
        let form = "application/x-www-form-urlencoded";
        for (request, status) in [
            (bare("/token"), 415),
            (bare("/token").header("content-type", "application/json"), 415),
            (bare("/token").header("content-type", "Application/x-www-form-urlencoded; charset=utf-8"), 415),
            (bare("/token").header("content-type", form).header("content-type", form), 415),
            (bare("/token").header("content-type", form).header("content-encoding", "gzip"), 415),
            (bare("/token?refresh_token=x").header("content-type", form), 400),
            (bare("/revoke?token=x").header("content-type", form), 400),
        ] {
            assert_error(&fixture.send(request, &good, NOW + 100).await, status, "invalid_request");
        }
        // None of these used the token up, nor ended its session.
        assert_eq!(fixture.post("/token", &good, NOW + 100).await.status(), 200);
        assert!(!fixture.store.is_revoked(Some(&session), "x").await.unwrap());
    });
}

#[test]
fn methods_and_paths_are_the_listed_ones() {
    run(async {
        let fixture = Fixture::new();
        for (request, allow) in [
            (Request::get("/token"), "POST"),
            (Request::put("/revoke"), "POST"),
            (Request::post("/.well-known/jwks.json"), "GET, HEAD"),
            (Request::delete("/.well-known/oauth-authorization-server"), "GET, HEAD"),
        ] {
            let answer = fixture.send(request, "", NOW).await;
            assert_error(&answer, 405, "invalid_request");
            assert_eq!(header(&answer, "allow"), allow);
        }
        assert_error(&fixture.send(Request::get("/Token"), "", NOW).await, 404, "invalid_request");
        assert!(Service::serves("/token") && !Service::serves("/token/") && !Service::serves("/%74oken"));
    });
}

#[test]
fn metadata_and_keys_are_public() {
    run(async {
        let fixture = Fixture::new();
        let answer = fixture.send(Request::get(service::METADATA_PATH), "", NOW).await;
        let found = body(&answer);
        assert_eq!(found["issuer"], "https://gateway.example:2376");
        assert_eq!(found["token_endpoint"], "https://gateway.example:2376/token");
        assert_eq!(found["revocation_endpoint"], "https://gateway.example:2376/revoke");
        assert_eq!(found["jwks_uri"], "https://gateway.example:2376/.well-known/jwks.json");
        assert_eq!(found["grant_types_supported"], json!(["refresh_token"]));
        let keys = fixture.send(Request::get(service::JWKS_PATH), "", NOW).await;
        let set = body(&keys);
        let [key] = set["keys"].as_array().unwrap().as_slice() else { panic!("one key: {set}") };
        assert_eq!((keys.status().as_u16(), key["kty"].as_str(), key.get("d")), (200, Some("OKP"), None));
        assert_eq!(header(&keys, "cache-control"), "public, max-age=300");
    });
}

#[test]
fn revocation_answers_200_for_any_token_and_ends_what_it_names() {
    run(async {
        let fixture = Fixture::new();
        for unknown in ["nothing", "sgr_x", "a.b.c", "a.b.c.d"] {
            let answer = fixture.post("/revoke", &format!("token={unknown}"), NOW).await;
            assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0), "{unknown}");
        }
        assert_error(&fixture.post("/revoke", "token_type_hint=refresh_token", NOW).await, 400, "invalid_request");

        // An access token ends alone, whatever the hint says.
        let (session, access, refresh) = fixture.session().await;
        let form = format!("token={access}&token_type_hint=refresh_token");
        assert_eq!(fixture.post("/revoke", &form, NOW).await.status(), 200);
        assert!(fixture.store.is_revoked(Some(&session), &claim(&access, "jti")).await.unwrap());
        assert!(!fixture.store.is_revoked(Some(&session), "another").await.unwrap());

        // A refresh token ends the session, even one that was used.
        let given = body(&fixture.refresh(&refresh, NOW + 100).await);
        let second = claim(given["access_token"].as_str().unwrap(), "jti");
        assert!(!fixture.store.is_revoked(Some(&session), &second).await.unwrap());
        assert_eq!(fixture.post("/revoke", &format!("token={refresh}"), NOW + 101).await.status(), 200);
        assert!(fixture.store.is_revoked(Some(&session), &second).await.unwrap());
        let next = given["refresh_token"].as_str().unwrap();
        assert_error(&fixture.refresh(next, NOW + 200).await, 400, "invalid_grant");
    });
}

#[test]
fn an_opaque_token_stands_for_the_same_identity_until_it_is_revoked() {
    run(async {
        let fixture = Fixture::new();
        let request = |days: u64| json!({ "command": "issue", "subject": "ci", "tenant": "blue", "role": "deploy", "opaque": true, "lifetime": days * 86_400 });
        let issued = fixture.admin(request(30), NOW).await["result"].take();
        let token = issued["access_token"].as_str().unwrap();
        let verify = async |at| opaque::verify(&*fixture.store, "https://g", token, at).await.unwrap();
        let identity = verify(NOW + 86_400).await.unwrap();
        assert_eq!((identity.subject.as_str(), identity.tenant.as_deref()), ("ci", Some("blue")));
        assert_eq!((identity.role.as_str(), identity.issuer.as_str()), ("deploy", "https://g"));
        assert_eq!(identity.session.as_deref(), issued["session"].as_str());
        assert_eq!(identity.expires, NOW + 30 * 86_400);
        assert!(verify(NOW + 30 * 86_400).await.is_none());
        let changed = token.replace("sga_", "sgr_");
        assert!(opaque::verify(&*fixture.store, "https://g", &changed, NOW).await.unwrap().is_none());
        assert_eq!(fixture.post("/revoke", &format!("token={token}"), NOW).await.status(), 200);
        assert!(verify(NOW + 1).await.is_none());
        let other = fixture.admin(request(1), NOW).await["result"].take();
        let revoked = fixture.admin(json!({ "command": "revoke", "id": other["session"] }), NOW).await;
        assert_eq!(revoked["result"]["revoked"], "session");
        let dead = opaque::verify(&*fixture.store, "g", other["access_token"].as_str().unwrap(), NOW).await.unwrap();
        assert!(dead.is_none());
        assert_eq!(fixture.admin(request(91), NOW).await["ok"], false);
    });
}

#[test]
fn the_operator_issues_lists_inspects_and_revokes() {
    run(async {
        let fixture = Fixture::new();
        let (session, access, refresh) = fixture.session().await;
        let listed = fixture.admin(json!({ "command": "list" }), NOW).await;
        let entry = &listed["result"][0];
        assert_eq!((entry["session"].as_str(), entry["subject"].as_str()), (Some(session.as_str()), Some("ann")));
        assert!(entry["revoked"].is_null());
        let text = listed.to_string();
        assert!(!text.contains(&access) && !text.contains(&refresh), "a list holds no tokens");

        let revoke = json!({ "command": "revoke", "id": session });
        assert_eq!(fixture.admin(revoke.clone(), NOW + 5).await["result"]["already"], false);
        assert_eq!(fixture.admin(revoke, NOW + 6).await["result"]["already"], true);
        let inspected = fixture.admin(json!({ "command": "inspect", "id": session }), NOW + 7).await;
        assert_eq!(inspected["result"]["revoked"], NOW + 5);
        fixture.admin(json!({ "command": "revoke", "id": "jti_7" }), NOW).await;
        let token = fixture.admin(json!({ "command": "inspect", "id": "jti_7" }), NOW).await;
        assert_eq!(token["result"]["revoked"], true);
    });
}

#[test]
fn the_operator_is_told_what_is_wrong() {
    run(async {
        let fixture = Fixture::new();
        let issue = |extra: Value| {
            let mut request = json!({ "command": "issue", "subject": "ann", "role": "read" });
            request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            request
        };
        for (request, told) in [
            (json!({ "command": "destroy" }), "unknown variant"),
            (json!({ "command": "issue", "subject": "ann" }), "role"),
            (issue(json!({ "rolle": "x" })), "rolle"),
            (issue(json!({ "subject": "" })), "subject"),
            (issue(json!({ "subject": "a\nb" })), "control"),
            (issue(json!({ "role": "r".repeat(64) })), "cannot be a role"),
            (issue(json!({ "subject": "s".repeat(257) })), "256"),
            (issue(json!({ "tenant": "a__b" })), "cannot be a tenant"),
            (issue(json!({ "tenant": "" })), "tenant"),
            (issue(json!({ "lifetime": 0 })), "1 to 900"),
            (issue(json!({ "lifetime": 901 })), "1 to 900"),
            (issue(json!({ "lifetime": -1 })), "invalid value"),
            (issue(json!({ "opaque": true, "with_refresh": true })), "opaque"),
            (issue(json!({ "session_lifetime": 10 })), "session_lifetime"),
            (issue(json!({ "role": "no role" })), "cannot be a role"),
            (json!({ "command": "revoke", "id": "ses_nobody" }), "no session"),
            (json!({ "command": "inspect", "id": "ses_nobody" }), "no session"),
            (json!([]), "cannot be read"),
        ] {
            let answer = fixture.admin(request.clone(), NOW).await;
            assert_eq!(answer["ok"], false, "{request}");
            assert!(answer["error"].as_str().unwrap().contains(told), "{request}: {answer}");
        }
    });
}

#[test]
fn a_store_that_is_gone_is_a_503_and_never_a_success() {
    run(async {
        // Nobody listens on this port, and the kernel gives it to nobody.
        let fixture = Fixture::over(open("redis://127.0.0.1:1/0").await.unwrap());
        for (path, form) in [
            ("/token", "grant_type=refresh_token&refresh_token=sgr_x"),
            ("/revoke", "token=x"),
            ("/revoke", "token=a.b.c"),
        ] {
            let answer = fixture.post(path, form, NOW).await;
            assert_error(&answer, 503, "temporarily_unavailable");
            assert_eq!(header(&answer, "retry-after"), "2");
        }
        let told = fixture.admin(json!({ "command": "list" }), NOW).await["error"].as_str().unwrap().to_owned();
        assert!(told.contains("refused"), "the operator learns why: {told}");
        let token = format!("sga_{}", "a".repeat(43));
        assert!(opaque::verify(&*fixture.store, "g", &token, NOW).await.is_err());
    });
}

#[test]
fn a_key_that_cannot_sign_costs_the_client_no_session() {
    run(async {
        let fixture = Fixture::new();
        let session = Session {
            id: "ses_1".to_owned(),
            subject: "ann".to_owned(),
            tenant: None,
            role: "read".into(),
            lifetime: 900,
            created: NOW,
            expires: NOW + 9000,
            refreshed: NOW,
            revoked: None,
        };
        let first = TokenHash::of("sgr_first");
        fixture.store.create_session(&session, Some(&first)).await.unwrap();
        // By a clock before the key's time.
        let failed = fixture.refresh("sgr_first", NOW - 60).await;
        assert_error(&failed, 503, "temporarily_unavailable");
        assert!(!fixture.store.is_revoked(Some("ses_1"), "x").await.unwrap());
        // It tries again when told to, with what it has.
        assert_eq!(fixture.refresh("sgr_first", NOW).await.status(), 200);
    });
}

/// A store may have records from before there was the rule for names.
#[test]
fn a_record_whose_names_are_not_allowed_any_more_serves_nobody_and_spoils_no_other() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let refresh = TokenHash::of("sgr_old");
        let opaque = format!("sga_{}", "a".repeat(43));
        {
            let store = Fixture::over(Arc::new(RedbStore::open(&path).unwrap())).store;
            for (id, tenant, role) in [("ses_1", Some("a__b"), "read"), ("ses_2", None, "any role")] {
                let session = Session {
                    id: id.to_owned(),
                    subject: "ann".to_owned(),
                    tenant: tenant.map(Into::into),
                    role: role.into(),
                    lifetime: 900,
                    created: NOW,
                    expires: NOW + 9000,
                    refreshed: NOW,
                    revoked: None,
                };
                store.create_session(&session, (id == "ses_1").then_some(&refresh)).await.unwrap();
            }
            let token = OpaqueToken {
                token_id: "tok_1".to_owned(),
                subject: "ann".to_owned(),
                tenant: None,
                role: "any role".into(),
                session: Some("ses_2".to_owned()),
                expires: NOW + 900,
            };
            store.put_opaque(&TokenHash::of(&opaque), &token, NOW).await.unwrap();
        }
        // The store opens with them, and serves others.
        let fixture = Fixture::over(Arc::new(RedbStore::open(&path).unwrap()));
        let (_, _, good) = fixture.session().await;
        assert_eq!(fixture.refresh(&good, NOW).await.status(), 200);
        let answer = fixture.refresh("sgr_old", NOW).await;
        assert_error(&answer, 400, "invalid_grant");
        let told = body(&answer)["error_description"].to_string();
        assert!(told.contains("cannot be a tenant"), "{told}");
        let error = opaque::verify(&*fixture.store, "g", &opaque, NOW).await.unwrap_err();
        assert!(matches!(error, OpaqueError::Record(_)) && error.to_string().contains("cannot be a role"), "{error}");
        // The operator sees them and can end them.
        let listed = fixture.admin(json!({ "command": "list" }), NOW).await["result"].to_string();
        assert!(listed.contains("\"a__b\"") && listed.contains("\"any role\""), "{listed}");
        for id in ["ses_1", "ses_2"] {
            let revoked = fixture.admin(json!({ "command": "revoke", "id": id }), NOW).await;
            assert_eq!(revoked["result"]["already"], false, "{revoked}");
        }
    });
}

#[test]
fn a_request_on_the_admin_socket_carries_the_nonce_that_was_read_there() {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        assert!(socket::ask(&path, &json!({ "command": "list" })).await.is_err(), "nobody listens");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let (fixture, (refused, mut refusals)) = (Arc::new(Fixture::new()), tokio::sync::mpsc::unbounded_channel());
        let of_server = Arc::clone(&fixture);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = |request| -> socket::Answer<'_> {
                    let (fixture, line) = (&of_server, Value::Object(request).to_string());
                    Box::pin(async move { fixture.service.admin_line(line.as_bytes(), NOW).await.to_string() })
                };
                if let Err(closed) = socket::serve(stream, answer).await {
                    refused.send(closed).unwrap();
                }
            }
        });
        let issued =
            socket::ask(&path, &json!({ "command": "issue", "subject": "ann", "role": "read" })).await.unwrap();
        assert_eq!(issued["ok"], true);
        let listed = socket::ask(&path, &json!({ "command": "list" })).await.unwrap();
        assert_eq!(listed["result"][0]["session"], issued["result"]["session"]);
        assert!(socket::ask(&path, &json!("list")).await.is_err(), "a request is an object");

        // A nonce is of one connection, and the first wrong line is the last.
        let mut other = BufReader::new(tokio::net::UnixStream::connect(&path).await.unwrap());
        let mut foreign = String::new();
        other.read_line(&mut foreign).await.unwrap();
        drop(other);
        let foreign: Value = serde_json::from_str(&foreign).unwrap();
        let issue = r#"{"command":"issue","subject":"eve","role":"read"}"#;
        let with = |nonce: &Value| json!({ "command": "issue", "subject": "eve", "role": "read", "nonce": nonce });
        let wrong = [
            issue.to_owned(),
            format!("<30>Jan 1 00:00:00 tag[1]: x\n{issue}"),
            with(&foreign["nonce"]).to_string(),
            with(&json!("")).to_string(),
            with(&Value::Null).to_string(),
            with(&json!(["x"])).to_string(),
            "\n".to_owned(),
            format!("[{issue}]"),
            "x".repeat(70_000),
        ];
        for line in &wrong {
            let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
            let _ = stream.write_all(format!("{line}\n{issue}\n").as_bytes()).await;
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            assert_eq!(String::from_utf8_lossy(&said).lines().count(), 1, "{line}: only the nonce is told");
            // The server says so once the connection is closed.
            let refusal = tokio::time::timeout(Duration::from_secs(20), refusals.recv()).await.unwrap().unwrap();
            assert_eq!(refusal.rule, "admin.nonce", "{line}");
        }
        let listed = socket::ask(&path, &json!({ "command": "list" })).await.unwrap();
        assert_eq!(listed["result"].as_array().unwrap().len(), 1, "nothing was issued: {listed}");
        assert!(refusals.try_recv().is_err(), "one refusal for each connection");
        server.abort();
    });
}
