//! The 24 ways around a proxy that were shown to work on a real daemon, as far
//! as the policy meets them; framing on the wire is the server's.

use super::*;

const CREATE: &str = "/v1.47/containers/create";

async fn raw_create(body: &str) -> String {
    ask("POST", CREATE).body(body).rule().await
}

#[tokio::test]
async fn class_01_any_letter_case_of_a_key_is_refused() {
    for key in ["hostconfig", "HOSTCONFIG", "hostConfig"] {
        let body = format!(r#"{{"Image":"alpine","{key}":{{"Privileged":true}}}}"#);
        assert_eq!(raw_create(&body).await, "create.unknown");
    }
    assert_eq!(create_rule(json!({"privileged": true})).await, "create.HostConfig.unknown");
}

#[tokio::test]
async fn class_02_unicode_folding_is_refused() {
    assert_eq!(raw_create(r#"{"Image":"alpine","HoſtConfig":{"Privileged":true}}"#).await, "create.unknown");
    assert_eq!(create_rule(json!({"Networ\u{212a}Mode": "host"})).await, "create.HostConfig.unknown");
}

#[tokio::test]
async fn class_03_duplicate_keys_are_refused_at_every_level() {
    for body in [
        r#"{"Image":"alpine","HostConfig":{},"HostConfig":{"Privileged":true}}"#,
        r#"{"Image":"alpine","HostConfig":{"Memory":1,"Memory":2}}"#,
        r#"{"Image":"alpine","Labels":{"a":"1","a":"2"}}"#,
        r#"{"Image":"alpine","HostConfig":{},"\u0048ostConfig":{}}"#,
    ] {
        assert_eq!(raw_create(body).await, "json.form", "{body}");
    }
}

#[tokio::test]
async fn class_04_an_escaped_key_is_the_key_it_stands_for() {
    let body = r#"{"Image":"alpine","\u0048ostConfig":{"Privileged":true}}"#;
    assert_eq!(raw_create(body).await, "create.HostConfig.Privileged");
}

#[tokio::test]
async fn class_05_nothing_may_follow_the_body() {
    for body in [
        r#"{"Image":"alpine"}{"HostConfig":{"Privileged":true}}"#,
        r#"{"Image":"alpine"}x"#,
        "{\"Image\":\"alpine\"}\0",
    ] {
        assert_eq!(raw_create(body).await, "json.form");
    }
    assert!(create("{\"Image\":\"alpine\"}\n").await.is_ok(), "the client ends its body with a newline");
}

#[tokio::test]
async fn class_06_an_empty_or_unread_body_is_refused() {
    assert_eq!(ask("POST", CREATE).rule().await, "body.required");
    assert_eq!(ask("POST", CREATE).header("content-length", "0").rule().await, "body.required");
    let chunked = ask("POST", CREATE).header("transfer-encoding", "chunked").header("content-type", "application/json");
    assert_eq!(chunked.rule().await, "body.required");
    // The server reads at most this much before it asks.
    assert_eq!(parse(&chunked.parts()).unwrap().body_limit(), 1024 * 1024);
    for body in ["null", "[]", "\"x\"", "1", "{"] {
        assert_eq!(raw_create(body).await, "json.form", "{body}");
    }
}

#[tokio::test]
async fn class_07_a_form_body_is_refused() {
    let form = ask("POST", CREATE).header("content-type", "application/x-www-form-urlencoded").body("name=x");
    assert_eq!(form.rule().await, "body.type");
    let stop = "/v1.47/containers/web/stop?t=5";
    let form = ask("POST", stop).header("content-type", "application/x-www-form-urlencoded").body("t=1");
    assert_eq!(form.rule().await, "body.type");
    let build = ask("POST", "/v1.47/build").header("content-type", "multipart/form-data; boundary=x").body("t=1");
    assert_eq!(build.rule().await, "body.form");
    assert_eq!(ask("POST", stop).body("t=1").rule().await, "json.form");
    // A type without a body, or JSON that the daemon would not read: none is sent.
    let form = ask("POST", stop).header("content-type", "application/x-www-form-urlencoded");
    for asked in [form, ask("POST", stop).body(r#"{"t":1}"#)] {
        let forward = asked.deploy().await.unwrap();
        assert_eq!(forward.body, Body::Empty);
        assert!(forward.headers.is_empty() && forward.path_and_query.ends_with("/stop?t=5"), "{forward:?}");
    }
}

#[tokio::test]
async fn class_08_duplicate_and_unknown_query_keys_are_refused() {
    for (target, rule) in [
        ("/v1.47/containers/json?all=0&all=1", "query.duplicate"),
        ("/v1.47/containers/json?all=0&al%6c=1", "query.duplicate"),
        ("/v1.47/containers/json?foo=1", "query.unknown"),
        ("/v1.47/containers/json?All=1", "query.unknown"),
        ("/v1.47/containers/json?all=yes", "query.type"),
        ("/v1.47/containers/json?all=1;limit=1", "query.form"),
        ("/v1.47/containers/json?all=%zz", "query.form"),
        ("/v1.47/containers/json?limit=%ff", "query.form"),
        ("/v1.47/containers/json?filters=[]", "json.form"),
        ("/v1.47/containers/json?filters=%7B%22label%22%3A%5B%5D%2C%22label%22%3A%5B%5D%7D", "json.form"),
    ] {
        assert_eq!(ask("GET", target).rule().await, rule, "{target}");
    }
}

#[tokio::test]
async fn class_09_encoded_paths_and_absolute_targets_are_refused() {
    for target in [
        "/v1.47/containers/%63reate",
        "/v1.47/containers%2Fcreate",
        "/v1.47/containers%2fcreate",
        "/v1.47/containers/%2e%2e/create",
        "/v1.47/containers/../containers/create",
        "/v1.47/./containers/create",
        "/v1.47//containers/create",
        "/v1.47/containers/create/",
        "/v1.47/containers/create%00",
        "/v1.47/containers/create%252f",
        "/%76",
    ] {
        assert_eq!(ask("POST", target).body("{}").rule().await, "path.form", "{target}");
    }
    assert_eq!(ask("POST", "http://docker/v1.47/containers/create").body("{}").rule().await, "http.target");
}

#[tokio::test]
async fn class_10_a_version_must_be_a_usual_one_and_one_is_always_sent() {
    for target in [
        "/v1.9/containers/json",
        "/v1.40/containers/json",
        "/v1.57/containers/json",
        "/v1.047/containers/json",
        "/v1.47.1/containers/json",
        "/v1/containers/json",
        "/v2.47/containers/json",
        "/V1.47/containers/json",
        "/v1.4７/containers/json".split('７').next().unwrap(),
        "/v1.99/containers/json",
    ] {
        assert_eq!(ask("GET", target).rule().await, "path.version", "{target}");
    }
    for target in ["/_ping", "/version", "/v1.41/_ping", "/v1.56/containers/json"] {
        assert!(ask("GET", target).deploy().await.is_ok(), "{target}");
    }
    let sent = |policy: Policy| async move {
        let daemon = Daemon::usual();
        let asked = ask("GET", "/info");
        asked.by(&policy, &identity("operator", None), &daemon).await.map(|forward| forward.path_and_query)
    };
    let policy = Policy::bundled().unwrap();
    // The daemon's own is 1.50.
    assert_eq!(sent(policy.clone()).await.unwrap(), "/v1.50/info");
    assert_eq!(sent(policy.clone().with_api(41, 44, None)).await.unwrap(), "/v1.44/info");
    assert_eq!(sent(policy.clone().with_api(41, 56, Some(43))).await.unwrap(), "/v1.43/info");
    assert_eq!(sent(policy.clone().with_api(52, 56, None)).await.unwrap_err().rule, "path.version");
    let broken = ask("GET", "/info").by(&policy, &identity("operator", None), &Daemon::broken()).await;
    assert_eq!(broken.unwrap_err().status, 503);
}

#[tokio::test]
async fn class_11_start_takes_no_body() {
    let body = r#"{"HostConfig":{"Privileged":true}}"#;
    assert_eq!(ask("POST", "/v1.23/containers/web/start").body(body).rule().await, "path.version");
    assert_eq!(ask("POST", "/v1.47/containers/web/start").body(body).rule().await, "body.none");
    let chunked = ask("POST", "/v1.47/containers/web/start").header("transfer-encoding", "chunked");
    assert_eq!(chunked.rule().await, "body.type");
    for nothing in ["{}", "null"] {
        let forward = ask("POST", "/v1.47/containers/web/start").body(nothing).deploy().await.unwrap();
        assert_eq!(forward.body, Body::Empty);
    }
}

#[tokio::test]
async fn class_12_versions_with_other_namespace_defaults_are_refused_and_the_pinned_one_is_sent() {
    assert_eq!(ask("GET", "/v1.40/containers/json").rule().await, "path.version");
    let policy = Policy::bundled().unwrap().with_api(44, 47, Some(45));
    let team = identity("deploy", Some("team"));
    let sent = ask("GET", "/v1.47/containers/web/json").by(&policy, &team, &Daemon::usual()).await.unwrap();
    assert_eq!(sent.path_and_query, format!("/v1.45/containers/{}/json", hex('a')));
    for target in ["/v1.43/containers/json", "/v1.48/containers/json"] {
        let refusal = ask("GET", target).by(&policy, &team, &Daemon::usual()).await.unwrap_err();
        assert_eq!(refusal.rule, "path.version");
    }
}

#[tokio::test]
async fn class_13_greedy_names_do_not_reach_other_routes() {
    for target in [
        "/v1.47/images/../containers/web/json",
        "/v1.47/images/a//b/json",
        "/v1.47/images/A/json",
        "/v1.47/images/a/-b/json",
    ] {
        let rule = ask("GET", target).rule().await;
        assert!(rule == "path.form" || rule == "image.reference", "{target}: {rule}");
    }
    let forward = ask("GET", "/v1.47/images/team/x:1/json").deploy().await.unwrap();
    assert_eq!(forward.path_and_query, format!("/v1.47/images/sha256:{}/json", hex('4')));
    assert_eq!(ask("GET", "/v1.47/containers/a/b/json").rule().await, "route.unknown");
}

#[tokio::test]
async fn class_14_ambiguous_framing_is_refused() {
    let both = ask("POST", CREATE).header("content-length", "2").header("transfer-encoding", "chunked").body("{}");
    assert_eq!(both.rule().await, "http.framing");
    let coded = ask("POST", CREATE).header("transfer-encoding", "gzip, chunked").body("{}");
    assert_eq!(coded.rule().await, "http.framing");
    let signed = ask("POST", CREATE).header("content-length", "+2").body("{}");
    assert_eq!(signed.rule().await, "http.framing");
    assert_eq!(ask("GET", "/v1.47/info").header("host", "other").rule().await, "http.header");
    let twice = ask("POST", CREATE).header("content-length", "2").header("content-length", "2").body("{}");
    assert_eq!(twice.rule().await, "http.header");
    let mut old = ask("GET", "/v1.47/info").parts();
    old.version = http::Version::HTTP_10;
    assert_eq!(parse(&old).unwrap_err().rule, "http.version");
    let mut tunnel = ask("GET", "/").parts();
    tunnel.method = http::Method::CONNECT;
    assert_eq!(parse(&tunnel).unwrap_err().rule, "http.target");
}

#[tokio::test]
async fn class_15_a_connection_is_taken_over_where_the_operation_does_so() {
    let start = format!("/v1.47/exec/{}/start", hex('e'));
    for asked in [ask("POST", "/v1.47/containers/web/attach?stream=1"), ask("POST", &start).body(r#"{"Detach":false}"#)]
    {
        // Without an upgrade the stream follows a 200: the proxy knows by the call.
        assert!(!parse(&asked.parts()).unwrap().upgrade);
        assert_eq!(asked.deploy().await.unwrap().response, crate::ResponseRule::Hijack);
    }
    let forward =
        ask("POST", &start).header("upgrade", "tcp").body(r#"{"Detach":false,"Tty":true}"#).deploy().await.unwrap();
    assert_eq!(forward.response, crate::ResponseRule::Hijack);
    let forward = ask("POST", &start).body(r#"{"Detach":true}"#).deploy().await.unwrap();
    assert_eq!(forward.response, crate::ResponseRule::Pass);
}

#[tokio::test]
async fn class_16_other_upgrades_are_refused() {
    for upgrade in ["h2c", "websocket", "TCP", "tcp, h2c"] {
        let attach = ask("POST", "/v1.47/containers/web/attach").header("upgrade", upgrade);
        assert_eq!(attach.rule().await, "http.upgrade", "{upgrade}");
    }
    assert_eq!(ask("GET", "/v1.47/info").header("upgrade", "tcp").rule().await, "http.upgrade");
    let settings = ask("GET", "/v1.47/info").header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA");
    assert_eq!(settings.rule().await, "http.framing");
}

#[tokio::test]
async fn class_17_a_name_cannot_stand_for_another_containers_id() {
    for name in [hex('b'), "bbbbbbbbbbbb".to_owned()] {
        let target = format!("{CREATE}?name={name}");
        assert_eq!(ask("POST", &target).body(r#"{"Image":"alpine"}"#).rule().await, "container.name");
        let target = format!("/v1.47/containers/web/rename?name={name}");
        assert_eq!(ask("POST", &target).rule().await, "container.name");
    }
    let forward = ask("POST", "/v1.47/containers/aaaaaaaaaaaa/stop").deploy().await.unwrap();
    assert_eq!(forward.path_and_query, format!("/v1.47/containers/{}/stop", hex('a')));
}

#[tokio::test]
async fn class_18_what_was_checked_is_what_is_used() {
    for (target, method) in [("/v1.47/containers/web/kill", "POST"), ("/v1.47/containers/web", "DELETE")] {
        let forward = ask(method, target).deploy().await.unwrap();
        assert!(forward.path_and_query.contains(&hex('a')) && !forward.path_and_query.contains("web"));
    }
    // A tag that another could move is replaced by the id that was looked at.
    let daemon = Daemon::usual().with(
        ObjectKind::Image,
        &["someone/app:1"],
        object(&format!("sha256:{}", hex('6')), "", None, &["someone/app:1"]),
    );
    let forward = ask("POST", CREATE)
        .body(r#"{"Image":"someone/app:1"}"#)
        .by(&Policy::bundled().unwrap(), &identity("deploy", Some("team")), &daemon)
        .await
        .unwrap();
    assert_eq!(sent(&forward)["Image"], format!("sha256:{}", hex('6')));
}

#[tokio::test]
async fn class_19_every_spelling_of_root_is_root() {
    let policy = Policy::from_text("t", "[role.plain]\nallow = [\"class:run\"]\nroot = false\n").unwrap();
    let plain = identity("plain", Some("team"));
    for user in ["", "0", "00", "000:0", "root", "+0", "-0", "0x0", "1000:0", "1000:root", "4294967296", " 1", "app"] {
        let body = json!({"Image": "alpine", "User": user}).to_string();
        let refusal = ask("POST", CREATE).body(&body).by(&policy, &plain, &Daemon::usual()).await.unwrap_err();
        assert_eq!(refusal.rule, "create.User", "{user:?}");
        let body = json!({"Cmd": ["id"], "User": user}).to_string();
        let asked = ask("POST", "/v1.47/containers/web/exec").body(&body);
        assert_eq!(asked.by(&policy, &plain, &Daemon::usual()).await.unwrap_err().rule, "exec.User", "{user:?}");
    }
    let body = json!({"Image": "alpine", "User": "01000"}).to_string();
    let forward = ask("POST", CREATE).body(&body).by(&policy, &plain, &Daemon::usual()).await.unwrap();
    assert_eq!(sent(&forward)["User"], "1000:1000");
}

#[tokio::test]
async fn class_20_a_build_is_bounded_by_rules_that_do_not_read_its_tar() {
    let target = "/v1.47/build?t=team/x:2&labels=%7B%22a%22%3A%22b%22%7D&dockerfile=Other";
    let build = ask("POST", target).header("transfer-encoding", "chunked").header("content-type", "application/x-tar");
    assert_eq!(build.rule().await, "build.grant");
    let text = "[role.b]\nallow = [\"ImageBuild\"]\ngrants = [\"build\"]\nquotas = { memory = \"256m\", cpus = 1.5 }\nstream = \"10m\"\n";
    let policy = Policy::from_text("t", text).unwrap();
    let forward = build.by(&policy, &identity("b", Some("team")), &Daemon::usual()).await.unwrap();
    let Body::Context(context) = &forward.body else { panic!("the context is not rewritten: {forward:?}") };
    assert_eq!((context.limit, context.dockerfile.as_str()), (10 << 20, "Other"));
    assert!(forward.path_and_query.contains("&memory=268435456"), "{}", forward.path_and_query);
    assert!(forward.path_and_query.contains("&cpuquota=150000"), "{}", forward.path_and_query);
    assert!(forward.path_and_query.contains("io.stockade.tenant%22%3A%22team"), "{}", forward.path_and_query);
    for query in [
        "remote=http://169.254.169.254/",
        "networkmode=host",
        "securityopt=x",
        "session=x",
        "outputs=x",
        "version=2",
        "t=rival/x",
        "labels=%7B%22io.stockade.tenant%22%3A%22rival%22%7D",
        "cgroupparent=/",
        "memory=999999999999",
    ] {
        let target = format!("/v1.47/build?{query}");
        let build = ask("POST", &target).header("transfer-encoding", "chunked");
        assert!(build.by(&policy, &identity("b", Some("team")), &Daemon::usual()).await.is_err(), "{query}");
    }
}

#[tokio::test]
async fn class_21_every_equivalent_field_and_endpoint_is_checked() {
    for host in [
        json!({"Binds": ["/etc:/x"]}),
        json!({"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]}),
        json!({"Mounts": [{"Type": "volume", "Source": "v2", "Target": "/x", "VolumeOptions":
            {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]}),
        json!({"VolumesFrom": ["theirs"]}),
        json!({"Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}]}),
        json!({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}),
    ] {
        let rule = create_rule(host.clone()).await;
        assert!(rule.starts_with("create.HostConfig") || rule == "tenant.owner", "{host}: {rule}");
    }
    let volume = ask("POST", "/v1.47/volumes/create")
        .body(r#"{"Name":"x","DriverOpts":{"type":"none","o":"bind","device":"/"}}"#);
    assert_eq!(volume.rule().await, "volume.DriverOpts");
    let exec = ask("POST", "/v1.47/containers/web/exec").body(r#"{"Cmd":["sh"],"Privileged":true}"#);
    assert_eq!(exec.rule().await, "exec.Privileged");
    let update = ask("POST", "/v1.47/containers/web/update").body(r#"{"Devices":[{"PathOnHost":"/dev/sda"}]}"#);
    assert_eq!(update.rule().await, "update.Devices");
}

#[tokio::test]
async fn class_22_line_ends_reach_no_log() {
    assert_eq!(ask("GET", "/v1.47/containers/json?limit=1%0d%0aX").rule().await, "query.control");
    let refusal = create("{\"Image\":\"alpine\",\"x\\r\\ny\":1}").await.unwrap_err();
    assert!(!refusal.message.contains(['\r', '\n']) && !refusal.rule.contains(['\r', '\n']), "{refusal:?}");
    let refusal = create(&json!({"Image": "al\r\npine"}).to_string()).await.unwrap_err();
    assert!(!refusal.message.contains(['\r', '\n']), "{refusal:?}");
}

#[tokio::test]
async fn class_23_registries_and_paths_match_whole_parts() {
    let text = "[role.r]\nallow = [\"class:run\"]\nregistries = [\"ghcr.io/team\", \"reg.example:5000\"]\n";
    let policy = Policy::from_text("t", text).unwrap();
    let team = identity("r", Some("team"));
    for (from, allowed) in [
        ("ghcr.io/team/app", true),
        ("ghcr.io/team", true),
        ("reg.example:5000/a/b", true),
        ("ghcr.io/team-evil/app", false),
        ("ghcr.io/teams", false),
        ("ghcr.io.evil.example/team/app", false),
        ("reg.example/a", false),
        ("reg.example:5001/a", false),
        ("reg.example:50000/a", false),
        ("alpine", false),
        ("127.0.0.1:2375/x", false),
        ("user@ghcr.io/team/app", false),
        ("GHCR.io/team/app", false),
    ] {
        let target = format!("/v1.47/images/create?fromImage={from}&tag=1");
        let result = ask("POST", &target).by(&policy, &team, &Daemon::usual()).await;
        assert_eq!(result.is_ok(), allowed, "{from}: {result:?}");
    }
}

#[tokio::test]
async fn class_24_docker_cp_is_refused_on_engines_that_race() {
    let team = identity("deploy", Some("team"));
    let get = ask("GET", "/v1.47/containers/web/archive?path=/etc/hostname");
    for (engine, allowed) in
        [("28.2.2", false), ("29.5.0", false), ("29.5.1", true), ("30.0.0-rc.1", true), ("?", false)]
    {
        let policy = Policy::bundled().unwrap().with_engine(engine);
        assert_eq!(get.by(&policy, &team, &Daemon::usual()).await.is_ok(), allowed, "{engine}");
    }
    assert_eq!(get.rule().await, "archive.engine", "an unknown engine counts as an old one");
}
