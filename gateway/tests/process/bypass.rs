//! The ways around a proxy that were shown to work on a real daemon, tried on
//! the real gateway before this machine's engine, byte for byte.
//!
//! Each test asks the engine itself whether the forbidden has come about. Where
//! the engine of this machine falls for the attack, the same bytes are then sent
//! straight to it, and it must have come about: so no test passes for nothing.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use stockade_gateway::tenant::LABEL;

use super::engine::{Image, Named, ask, container, docker_socket, image, inspect, running, straight};
use super::harness::{Gateway, Options, status};

/// A gateway before the engine, and tokens of roles for it.
struct Site {
    _image: Image,
    gateway: Gateway,
    /// The version of the API that gateway and engine both speak.
    version: String,
}

/// Roles of the tests' own, besides the bundled ones.
const ROLES: &str = "
[role.plain]
allow = [\"class:run\"]
root = false
[role.builder]
allow = [\"class:read\", \"ImageBuild\"]
grants = [\"build\"]
root = true
stream = \"1m\"
";

fn site() -> Site {
    site_with("")
}

fn site_with(top: &str) -> Site {
    let socket = docker_socket();
    let image = Image::new();
    let limits = "attempts_per_client = 0";
    let gateway = Gateway::start(&Options { top, limits, ..Options::before(socket) });
    let (_, version) = ask("GET", "/version", &Value::Null);
    let version = format!("/v{}", version["ApiVersion"].as_str().unwrap());
    Site { _image: image, gateway, version }
}

/// Bytes of a request; the token's line takes this one's place.
const TOKEN: &str = "X-Token: here\r\n";

fn request(line: &str, headers: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: docker\r\n{TOKEN}Connection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn json_request(line: &str, body: &str) -> String {
    request(line, "Content-Type: application/json\r\n", body)
}

impl Site {
    fn token(&self, words: &[&str]) -> String {
        self.gateway.token(words)
    }

    /// Sends it through the gateway, with the operator's token.
    fn through(&self, bytes: &str) -> String {
        self.through_as(bytes, &self.token(&["--role=operator"]))
    }

    fn through_as(&self, bytes: &str, token: &str) -> String {
        self.gateway.raw(bytes.replace(TOKEN, &format!("Authorization: Bearer {token}\r\n")).as_bytes())
    }

    /// Refused by the gateway, and without effect; sent straight it has one.
    #[track_caller]
    fn keeps_out(&self, what: &str, bytes: &str, came_about: impl Fn() -> bool) {
        self.refuses(what, bytes, &came_about);
        let answer = straight(bytes.replace(TOKEN, "").as_bytes());
        assert!(came_about(), "{what}: this engine does not fall for it, so nothing is proved: {answer}");
    }

    #[track_caller]
    fn refuses(&self, what: &str, bytes: &str, came_about: impl Fn() -> bool) {
        let answer = self.through(bytes);
        assert!((400..500).contains(&status(&answer)), "{what}: {answer}");
        assert!(answer.contains("(rule: "), "{what}: the engine itself answered: {answer}");
        assert!(!came_about(), "{what}: it came about: {answer}");
    }

    /// A create with this body may not make a container that is privileged.
    #[track_caller]
    fn never_privileged(&self, what: &str, body: &str) {
        let name = Named::new(what);
        let body = body.replace("IMAGE", &image());
        let bytes = json_request(&format!("POST {}/containers/create?name={}", self.version, name.0), &body);
        self.keeps_out(what, &bytes, || privileged(&name));
    }

    /// Whether the engine still speaks a version of the API.
    fn speaks(&self, version: &str) -> bool {
        let (status, _) = ask("GET", &format!("/{version}/version"), &Value::Null);
        status == 200
    }
}

fn privileged(name: &Named) -> bool {
    container(&name.0).is_some_and(|found| found["HostConfig"]["Privileged"] == true)
}

const PRIVILEGED: &str = r#"{"Image":"IMAGE","HostConfig":{"Privileged":true}}"#;

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_01_no_letter_case_of_a_key_makes_a_container_privileged() {
    let site = site();
    for (what, body) in [
        ("01a", r#"{"Image":"IMAGE","hostconfig":{"Privileged":true}}"#),
        ("01b", r#"{"Image":"IMAGE","HOSTCONFIG":{"PRIVILEGED":true}}"#),
        ("01c", r#"{"Image":"IMAGE","HostConfig":{"privileged":true}}"#),
    ] {
        site.never_privileged(what, body);
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_02_unicode_folding_makes_no_container_privileged() {
    let site = site();
    site.never_privileged("02a", "{\"Image\":\"IMAGE\",\"Ho\u{17f}tConfig\":{\"Privileged\":true}}");
    let name = Named::new("02b");
    let body = format!("{{\"Image\":\"{}\",\"HostConfig\":{{\"Networ\u{212a}Mode\":\"host\"}}}}", image());
    let bytes = json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body);
    site.keeps_out("02b", &bytes, || {
        container(&name.0).is_some_and(|found| found["HostConfig"]["NetworkMode"] == "host")
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_03_duplicate_keys_are_not_merged_into_a_privileged_container() {
    let site = site();
    site.never_privileged("03a", r#"{"Image":"IMAGE","HostConfig":{"Privileged":true},"HostConfig":{}}"#);
    site.never_privileged("03b", r#"{"Image":"IMAGE","HostConfig":{},"HostConfig":{"Privileged":true}}"#);
    site.never_privileged("03c", r#"{"Image":"IMAGE","HostConfig":{"Privileged":false,"Privileged":true}}"#);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_04_an_escaped_key_makes_no_container_privileged() {
    let site = site();
    site.never_privileged("04a", r#"{"Image":"IMAGE","\u0048ostConfig":{"Privileged":true}}"#);
    site.never_privileged("04b", r#"{"Image":"IMAGE","HostConfig":{"\u0050rivileged":true}}"#);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_05_what_follows_a_body_hides_no_privileged_one() {
    let site = site();
    let name = Named::new("05");
    let body = format!("{}{{\"Image\":\"IMAGE\",\"HostConfig\":{{}}}}", PRIVILEGED).replace("IMAGE", &image());
    let bytes = json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body);
    site.refuses("05", &bytes, || container(&name.0).is_some());
    // Engines differ in whether they read on after the first object.
    straight(bytes.replace(TOKEN, "").as_bytes());
    assert!(container(&name.0).is_none() || privileged(&name));
    // The benign one first: what is checked and what follows it.
    let name = Named::new("05b");
    let body = format!("{{\"Image\":\"IMAGE\"}}{PRIVILEGED}").replace("IMAGE", &image());
    let bytes = json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body);
    site.refuses("05b", &bytes, || container(&name.0).is_some());
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_06_no_size_and_no_framing_of_a_body_skips_inspection() {
    let site = site();
    let large = PRIVILEGED.replace("}}", &format!("}},\"Labels\":{{\"pad\":\"{}\"}}}}", "x".repeat(2 << 20)));
    site.never_privileged("06a", &large);
    let name = Named::new("06b");
    let line = format!("POST {}/containers/create?name={} HTTP/1.1", site.version, name.0);
    let body = PRIVILEGED.replace("IMAGE", &image());
    let chunked = format!(
        "{line}\r\nHost: docker\r\n{TOKEN}Connection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    site.keeps_out("06b", &chunked, || privileged(&name));
    let name = Named::new("06c");
    let line = format!("POST {}/containers/create?name={} HTTP/1.1", site.version, name.0);
    // Said to be empty, and not.
    let empty = format!(
        "{line}\r\nHost: docker\r\n{TOKEN}Content-Type: application/json\r\nContent-Length: 0\r\n\r\n{body}\r\n\r\n"
    );
    site.refuses("06c", &empty, || container(&name.0).is_some());
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_07_a_form_body_does_not_take_the_place_of_the_query() {
    let site = site();
    let (name, evil, good) = (Named::new("07"), Named::new("07-evil"), Named::new("07-good"));
    running(&name, json!({}));
    let line = format!("POST {}/containers/{}/rename?name={}", site.version, name.0, good.0);
    let form = request(&line, "Content-Type: application/x-www-form-urlencoded\r\n", &format!("name={}", evil.0));
    site.keeps_out("07", &form, || container(&evil.0).is_some());
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_08_of_duplicate_query_keys_none_is_used() {
    let site = site();
    let (name, evil, good) = (Named::new("08"), Named::new("08-evil"), Named::new("08-good"));
    running(&name, json!({}));
    for query in [format!("name={}&name={}", evil.0, good.0), format!("n%61me={}&name={}", evil.0, good.0)] {
        let line = format!("POST {}/containers/{}/rename?{query}", site.version, name.0);
        site.refuses("08", &request(&line, "", ""), || container(&evil.0).is_some() || container(&good.0).is_some());
    }
    let line = format!("POST {}/containers/{}/rename?name={}&name={}", site.version, name.0, evil.0, good.0);
    site.keeps_out("08", &request(&line, "", ""), || container(&evil.0).is_some());
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_09_no_spelling_of_a_path_reaches_create() {
    let site = site();
    let body = PRIVILEGED.replace("IMAGE", &image());
    for (what, target) in [
        ("09a", format!("{}/containers/%63reate", site.version)),
        ("09b", format!("{}/containers%2Fcreate", site.version)),
        ("09c", format!("http://docker{}/containers/create", site.version)),
    ] {
        let name = Named::new(what);
        let bytes = json_request(&format!("POST {target}?name={}", name.0), &body);
        site.keeps_out(what, &bytes, || privileged(&name));
    }
    for (what, target) in [
        ("09d", format!("{}//containers/create", site.version)),
        ("09e", format!("{}/./containers/create", site.version)),
        ("09f", format!("{}/images/%2e%2e/containers/create", site.version)),
    ] {
        let name = Named::new(what);
        let bytes = json_request(&format!("POST {target}?name={}", name.0), &body);
        site.refuses(what, &bytes, || container(&name.0).is_some());
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_10_without_a_usual_version_nothing_is_made() {
    let site = site();
    let body = PRIVILEGED.replace("IMAGE", &image());
    for (what, version) in [("10a", ""), ("10b", "/v1.24"), ("10c", "/v1.99"), ("10d", "/v1.041")] {
        let name = Named::new(what);
        let bytes = json_request(&format!("POST {version}/containers/create?name={}", name.0), &body);
        if version.is_empty() || (version == "/v1.24" && site.speaks("v1.24")) {
            site.keeps_out(what, &bytes, || privileged(&name));
        } else {
            site.refuses(what, &bytes, || container(&name.0).is_some());
        }
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_11_a_start_with_a_body_makes_no_container_privileged() {
    let site = site();
    let name = Named::new("11");
    let made = json!({ "Image": image(), "Cmd": ["/bin/sleep", "600"] });
    assert_eq!(ask("POST", &format!("/containers/create?name={}", name.0), &made).0, 201);
    let started = || container(&name.0).is_some_and(|found| found["State"]["Running"] == true);
    let body = r#"{"HostConfig":{"Privileged":true},"Privileged":true}"#;
    let start = |version: &str| json_request(&format!("POST {version}/containers/{}/start", name.0), body);
    for version in [site.version.as_str(), "", "/v1.23"] {
        site.refuses("11", &start(version), started);
    }
    if site.speaks("v1.23") {
        straight(start("/v1.23").replace(TOKEN, "").as_bytes());
        assert!(privileged(&name), "the engine did not fall for it");
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_12_no_old_version_changes_the_namespaces_of_a_container() {
    let site = site();
    let ipc = |name: &Named| container(&name.0).map(|found| found["HostConfig"]["IpcMode"].clone());
    let body = json!({ "Image": image(), "HostConfig": {} }).to_string();
    let create =
        |version: &str, name: &Named| json_request(&format!("POST {version}/containers/create?name={}", name.0), &body);
    let old = Named::new("12a");
    if site.speaks("v1.39") {
        site.keeps_out("12", &create("/v1.39", &old), || ipc(&old) == Some(json!("shareable")));
    } else {
        site.refuses("12", &create("/v1.39", &old), || ipc(&old).is_some());
    }
    let new = Named::new("12b");
    let answer = site.through(&create(&site.version, &new));
    assert_eq!(status(&answer), 201, "{answer}");
    assert_eq!(ipc(&new), Some(json!("private")));
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_13_a_name_with_slashes_reaches_no_other_route() {
    let site = site();
    let body = PRIVILEGED.replace("IMAGE", &image());
    for (what, path) in [
        ("13a", "/images/../containers/create"),
        ("13b", "/images/x/../../containers/create"),
        ("13c", "/distribution/x/../../containers/create"),
        ("13d", "/plugins/x/../../containers/create"),
        ("13e", "/images/x%2f..%2f..%2fcontainers%2fcreate"),
    ] {
        let name = Named::new(what);
        let bytes = json_request(&format!("POST {}{path}?name={}", site.version, name.0), &body);
        site.refuses(what, &bytes, || container(&name.0).is_some());
    }
    // A name that is a route's: what may look at images sees no container by it.
    let name = Named::new("13f");
    running(&name, json!({}));
    let reader = site.token(&["--role=read"]);
    let line = format!("GET {}/images/../containers/{}/json", site.version, name.0);
    let answer = site.through_as(&request(&line, "", ""), &reader);
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(!answer.contains("HostConfig"), "{answer}");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_14_no_framing_smuggles_a_second_request() {
    let site = site();
    let body = PRIVILEGED.replace("IMAGE", &image());
    for (what, framing) in [
        ("14a", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("14b", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ("14c", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("14d", "Content-Length: 0\r\nContent-Length: 400\r\n\r\n"),
        ("14e", "Content-Length: +0\r\n\r\n"),
        ("14f", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ] {
        let name = Named::new(what);
        let inner = json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body);
        let bytes =
            format!("POST {}/containers/prune HTTP/1.1\r\nHost: docker\r\n{TOKEN}{framing}{inner}", site.version);
        site.refuses(what, &bytes, || container(&name.0).is_some());
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_15_nothing_is_carried_raw_before_the_engine_has_switched() {
    let site = site();
    let running_one = Named::new("15-runs");
    let id = running(&running_one, json!({}));
    let (_, exec) =
        ask("POST", &format!("/containers/{id}/exec"), &json!({ "Cmd": ["/bin/cat"], "AttachStdin": true }));
    let body = PRIVILEGED.replace("IMAGE", &image());
    let started = r#"{"Detach":false,"Tty":false}"#;
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n";
    let exec = format!(
        "POST {}/exec/{}/start HTTP/1.1\r\nHost: docker\r\n{TOKEN}{upgrade}Content-Length: {}\r\n\r\n{started}",
        site.version,
        exec["Id"].as_str().unwrap(),
        started.len()
    );
    // An upgrade that the engine will not make: its connection still serves requests.
    let missing = format!(
        "POST {}/exec/{}/start HTTP/1.1\r\nHost: docker\r\n{TOKEN}{upgrade}Content-Length: {}\r\n\r\n{started}",
        site.version,
        "0".repeat(64),
        started.len()
    );
    for (what, first) in [("15a", exec), ("15b", missing.clone())] {
        let name = Named::new(what);
        // The second request brings no token: it would be the engine's alone.
        let second = json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body);
        let answer = site.through(&format!("{first}{}", second.replace(TOKEN, "")));
        assert!((400..500).contains(&status(&answer)), "{answer}");
        assert!(container(&name.0).is_none(), "{what}: {answer}");
    }
    let name = Named::new("15c");
    let second = json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body);
    straight(format!("{missing}{second}").replace(TOKEN, "").as_bytes());
    assert!(privileged(&name), "the engine does not read on after an upgrade that it did not make");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_16_no_other_protocol_is_switched_to() {
    let site = site();
    for path in ["/session", "/grpc"] {
        let line = format!("POST {}{path} HTTP/1.1", site.version);
        // The engine has one session of a name at a time.
        let session = format!("X-Docker-Expose-Session-Uuid: stockade-gateway-test-{}\r\n", std::process::id());
        let bytes = format!(
            "{line}\r\nHost: docker\r\n{TOKEN}{session}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = site.through(&bytes);
        assert_eq!(status(&answer), 403, "{path}: {answer}");
        let mut stream = std::os::unix::net::UnixStream::connect("/var/run/docker.sock").unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        std::io::Write::write_all(&mut stream, bytes.replace(TOKEN, "").as_bytes()).unwrap();
        let mut first = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 101", "the engine does not switch at {path}");
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_17_no_container_is_named_like_anothers_id() {
    let site = site();
    let victim = Named::new("17");
    let id = running(&victim, json!({ LABEL: "rival" }));
    let team = site.token(&["--role=deploy", "--tenant=team"]);
    let body = json!({ "Image": image() }).to_string();
    let named_like = |name: &str| {
        container(&victim.0).unwrap()["Id"] != json!(id)
            || inspect(&format!("/containers/{name}/json")).unwrap()["Id"] != json!(id)
    };
    for name in [&id[..12], &id[..]] {
        let create = json_request(&format!("POST {}/containers/create?name={name}", site.version), &body);
        let answer = site.through_as(&create, &team);
        assert_eq!(status(&answer), 403, "{answer}");
        assert!(!named_like(name));
        // And what is asked for by it is what is not there.
        for line in [
            format!("POST {}/containers/{name}/kill", site.version),
            format!("GET {}/containers/{name}/json", site.version),
        ] {
            let answer = site.through_as(&request(&line, "", ""), &team);
            assert_eq!(status(&answer), 404, "{answer}");
        }
        assert_eq!(container(&victim.0).unwrap()["State"]["Running"], true);
    }
    let create = json_request(&format!("POST {}/containers/create?name={}", site.version, &id[..12]), &body);
    straight(create.replace(TOKEN, "").as_bytes());
    let fooled = named_like(&id[..12]);
    let taken = inspect(&format!("/containers/{}/json", &id[..12])).unwrap()["Id"].as_str().unwrap().to_owned();
    if taken != id {
        ask("DELETE", &format!("/containers/{taken}?force=1"), &Value::Null);
    }
    assert!(fooled, "the engine takes no name that is another's id");
}

/// Sets a flag when it goes out of scope.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_18_a_name_that_moves_between_check_and_use_harms_nobody() {
    let site = site();
    let (mine, theirs, target) = (Named::new("18-mine"), Named::new("18-theirs"), Named::new("18-target"));
    let my_id = running(&mine, json!({ LABEL: "team" }));
    let their_id = running(&theirs, json!({ LABEL: "rival" }));
    let team = site.token(&["--role=deploy", "--tenant=team"]);
    let rename = |id: &str, name: &str| ask("POST", &format!("/containers/{id}/rename?name={name}"), &Value::Null).0;
    let paused = |id: &str| container(id).unwrap()["State"]["Paused"] == true;
    let done = AtomicBool::new(false);
    let (mut good, mut moves) = (0, 0);
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let mut moves = 0;
            while !done.load(Ordering::SeqCst) {
                rename(&my_id, &target.0);
                rename(&my_id, &mine.0);
                rename(&their_id, &target.0);
                rename(&their_id, &theirs.0);
                moves += 1;
            }
            moves
        });
        // The mover ends whatever becomes of the test.
        let _end = OnDrop(&done);
        let line = format!("POST {}/containers/{}/pause", site.version, target.0);
        for _ in 0..150 {
            let answer = site.through_as(&request(&line, "", ""), &team);
            assert!(!paused(&their_id), "another's container was paused: {answer}");
            if paused(&my_id) {
                good += 1;
                assert_eq!(ask("POST", &format!("/containers/{my_id}/unpause"), &Value::Null).0, 204);
            }
        }
        done.store(true, Ordering::SeqCst);
        moves = mover.join().unwrap();
    });
    assert!(good > 0 && moves > 1, "{good} of 150 hit their own, {moves} moves");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_19_no_spelling_of_root_runs_as_root() {
    let roles = tempfile::tempdir().unwrap();
    std::fs::write(roles.path().join("own.toml"), ROLES).unwrap();
    let site = site_with(&format!("roles = \"{}\"", roles.path().display()));
    let plain = site.token(&["--role=plain"]);
    let create = |name: &Named, user: &str| {
        let body = json!({ "Image": image(), "User": user, "Cmd": ["/bin/id", "-u"] }).to_string();
        json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body)
    };
    for (at, user) in ["", "0", "00", "000:0", "root", "+0", "1000:0", "4294967296"].into_iter().enumerate() {
        let name = Named::new(&format!("19-{at}"));
        let answer = site.through_as(&create(&name, user), &plain);
        assert_eq!(status(&answer), 403, "{user}: {answer}");
        assert!(container(&name.0).is_none(), "{user}");
    }
    let ran = |name: &Named| {
        assert_eq!(ask("POST", &format!("/containers/{}/start", name.0), &Value::Null).0, 204);
        assert_eq!(ask("POST", &format!("/containers/{}/wait", name.0), &Value::Null).0, 200);
        let logs =
            straight(format!("GET /containers/{}/logs?stdout=1 HTTP/1.0\r\nHost: docker\r\n\r\n", name.0).as_bytes());
        logs.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned()
    };
    let name = Named::new("19-root");
    straight(create(&name, "00").replace(TOKEN, "").as_bytes());
    assert_eq!(ran(&name), "0", "the engine does not read 00 as root");
    let name = Named::new("19-user");
    let answer = site.through_as(&create(&name, "01000"), &plain);
    assert_eq!(status(&answer), 201, "{answer}");
    assert_eq!(ran(&name), "1000");
}

/// A tar of files, in order; a name may come twice.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Removes an image at the end.
struct Built(String);

impl Drop for Built {
    fn drop(&mut self) {
        ask("DELETE", &format!("/images/{}?force=1", self.0), &Value::Null);
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_20_no_build_goes_beyond_its_role_whatever_its_tar_holds() {
    let roles = tempfile::tempdir().unwrap();
    std::fs::write(roles.path().join("own.toml"), ROLES).unwrap();
    let site = site_with(&format!("roles = \"{}\"", roles.path().display()));
    let team = site.token(&["--role=builder", "--tenant=team"]);
    let plain = site.token(&["--role=plain", "--tenant=team"]);
    let from = format!("FROM {}\n", image());
    let rival = format!("{from}LABEL {LABEL}=rival\n");
    // Which of two files of one name counts is the engine's affair.
    let context = tar(&[("Dockerfile", &from), ("Dockerfile", &rival), ("Other", &rival)]);
    let build = |query: &str, context: &[u8]| {
        let line = format!("POST {}/build?{query} HTTP/1.1\r\nHost: docker\r\n{TOKEN}", site.version);
        let head = format!(
            "{line}Content-Type: application/x-tar\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            context.len()
        );
        [head.as_bytes(), context].concat()
    };
    let send = |bytes: &[u8], token: &str| {
        let at = bytes.windows(TOKEN.len()).position(|part| part == TOKEN.as_bytes()).unwrap();
        let line = format!("Authorization: Bearer {token}\r\n");
        site.gateway.raw(&[&bytes[..at], line.as_bytes(), &bytes[at + TOKEN.len()..]].concat())
    };
    let without_token = |bytes: &[u8]| {
        let at = bytes.windows(TOKEN.len()).position(|part| part == TOKEN.as_bytes()).unwrap();
        straight(&[&bytes[..at], &bytes[at + TOKEN.len()..]].concat())
    };
    let tag = |what: &str| Built(format!("team/stockade-gateway-test-{what}-{}", std::process::id()));
    let built = |tag: &Built| inspect(&format!("/images/{}/json", tag.0));

    for (what, query, token) in [
        ("20a", "networkmode=host", &team),
        ("20b", "remote=http%3A%2F%2F127.0.0.1%3A1%2F", &team),
        ("20c", "securityopt=seccomp%3Dunconfined", &team),
        ("20d", "cgroupparent=%2F", &team),
        ("20e", "dockerfile=Other", &plain),
    ] {
        let tag = tag(what);
        let answer = send(&build(&format!("t={}&{query}", tag.0), &context), token);
        assert!((400..500).contains(&status(&answer)), "{query}: {answer}");
        assert!(built(&tag).is_none(), "{query}: {answer}");
    }
    let straight_tag = tag("20f");
    without_token(&build(&format!("t={}&networkmode=host&dockerfile=Other", straight_tag.0), &context));
    assert_eq!(built(&straight_tag).unwrap()["Config"]["Labels"][LABEL], "rival");

    for (what, query) in [("20g", ""), ("20h", "&dockerfile=Other")] {
        let tag = tag(what);
        let answer = send(&build(&format!("t={}{query}", tag.0), &context), &team);
        assert!(status(&answer) == 400 && answer.contains("is reserved"), "{answer}");
        assert!(built(&tag).is_none(), "{answer}");
    }
    let plainly = tag("20j");
    let context = tar(&[("Dockerfile", &rival), ("Dockerfile", &format!("{from}LABEL a=b\n"))]);
    let answer = send(&build(&format!("t={}", plainly.0), &context), &team);
    let image = built(&plainly).unwrap_or_else(|| panic!("it was not built: {answer}"));
    assert_eq!((&image["Config"]["Labels"][LABEL], &image["Config"]["Labels"]["a"]), (&json!("team"), &json!("b")));
    // More than the role's megabyte.
    let tag = tag("20i");
    let large = "x".repeat(3 << 20);
    let bomb = tar_with(&context, &large);
    let answer = send(&build(&format!("t={}", tag.0), &bomb), &team);
    assert_eq!(status(&answer), 413, "{answer}");
    assert!(built(&tag).is_none());
}

/// A context with one large file before the rest.
fn tar_with(context: &[u8], large: &str) -> Vec<u8> {
    let mut first = tar(&[("large", large)]);
    // Without the two empty blocks that end it.
    first.truncate(512 + large.len());
    first.extend_from_slice(context);
    first
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_21_no_equivalent_field_or_endpoint_is_left_unchecked() {
    let site = site();
    let present = |name: &Named| container(&name.0).is_some();
    for (at, host) in [
        json!({ "Binds": ["/etc:/host"] }),
        json!({ "Mounts": [{ "Type": "bind", "Source": "/etc", "Target": "/host" }] }),
        json!({ "Mounts": [{ "Type": "volume", "Target": "/host", "VolumeOptions":
            { "DriverConfig": { "Name": "local", "Options": { "type": "none", "o": "bind", "device": "/etc" } } } }] }),
        json!({ "Devices": [{ "PathOnHost": "/dev/mem", "PathInContainer": "/dev/mem", "CgroupPermissions": "rwm" }] }),
        json!({ "DeviceCgroupRules": ["a *:* rwm"] }),
        json!({ "CapAdd": ["SYS_ADMIN"] }),
        json!({ "PidMode": "host" }),
        json!({ "NetworkMode": "host" }),
        json!({ "IpcMode": "host" }),
        json!({ "UTSMode": "host" }),
        json!({ "SecurityOpt": ["seccomp=unconfined"] }),
        json!({ "MaskedPaths": [], "ReadonlyPaths": [] }),
        json!({ "CgroupParent": "stockade.slice" }),
        json!({ "Binds": ["/var/run/docker.sock:/s"] }),
    ]
    .into_iter()
    .enumerate()
    {
        let name = Named::new(&format!("21-{at}"));
        let body = json!({ "Image": image(), "HostConfig": host }).to_string();
        let create = json_request(&format!("POST {}/containers/create?name={}", site.version, name.0), &body);
        site.keeps_out(&host.to_string(), &create, || present(&name));
    }
    let volume = format!("stockade-gateway-test-21-{}", std::process::id());
    let body = json!({ "Name": volume, "DriverOpts": { "type": "none", "o": "bind", "device": "/etc" } }).to_string();
    let create = json_request(&format!("POST {}/volumes/create", site.version), &body);
    site.keeps_out("a volume that is a folder of the host", &create, || {
        inspect(&format!("/volumes/{volume}")).is_some()
    });
    assert_eq!(ask("DELETE", &format!("/volumes/{volume}"), &Value::Null).0, 204);

    let name = Named::new("21-exec");
    running(&name, json!({}));
    let body = json!({ "Cmd": ["/bin/true"], "Privileged": true }).to_string();
    let exec = json_request(&format!("POST {}/containers/{}/exec", site.version, name.0), &body);
    site.keeps_out("a privileged exec", &exec, || {
        let execs = container(&name.0).unwrap()["ExecIDs"].clone();
        execs.as_array().into_iter().flatten().any(|id| {
            let exec = inspect(&format!("/exec/{}/json", id.as_str().unwrap())).unwrap();
            exec["ProcessConfig"]["privileged"] == true
        })
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_23_no_registry_outside_the_list_is_dialled() {
    let site = site();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialled = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&dialled);
    std::thread::spawn(move || {
        for _ in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let deploy = site.token(&["--role=deploy"]);
    let pull = |from: &str| request(&format!("POST {}/images/create?fromImage={from}&tag=1", site.version), "", "");
    for from in [
        format!("127.0.0.1:{port}/x"),
        format!("127.0.0.1:{port}/docker.io/x"),
        format!("docker.io@127.0.0.1:{port}/x"),
    ] {
        let answer = site.through_as(&pull(&from), &deploy);
        assert!((400..500).contains(&status(&answer)), "{from}: {answer}");
    }
    assert_eq!(dialled.load(Ordering::SeqCst), 0);
    straight(pull(&format!("127.0.0.1:{port}/x")).replace(TOKEN, "").as_bytes());
    site.gateway.wait_for("the engine's call", || dialled.load(Ordering::SeqCst) > 0);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn daemon_24_no_file_is_copied_by_an_engine_that_races() {
    let site = site();
    let (_, about) = ask("GET", "/version", &Value::Null);
    let engine = about["Version"].as_str().unwrap();
    let mut parts = engine.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let safe = (parts.next(), parts.next(), parts.next()) >= (Some(29), Some(5), Some(1));
    let name = Named::new("24");
    running(&name, json!({ LABEL: "team" }));
    let team = site.token(&["--role=deploy", "--tenant=team"]);
    let archive = String::from_utf8(tar(&[("planted", "x")])).unwrap();
    let line = format!("PUT {}/containers/{}/archive?path=%2F", site.version, name.0);
    let put = request(&line, "Content-Type: application/x-tar\r\n", &archive);
    let planted = || {
        let answer = straight(
            format!("HEAD /containers/{}/archive?path=/planted HTTP/1.0\r\nHost: docker\r\n\r\n", name.0).as_bytes(),
        );
        answer.split(' ').nth(1) == Some("200")
    };
    assert!(!planted());
    let answer = site.through_as(&put, &team);
    assert_eq!((status(&answer) == 200, planted()), (safe, safe), "{engine}: {answer}");
    straight(put.replace(TOKEN, "").as_bytes());
    assert!(planted(), "the engine does not take an archive");
    // Nor read from one.
    let get = request(&format!("GET {}/containers/{}/archive?path=%2Fplanted", site.version, name.0), "", "");
    assert_eq!(status(&site.through_as(&get, &team)) == 200, safe);
}
