//! The forms in which one thing may be asked for, and what is sent instead:
//! always the same one, or nothing where the daemon reads nothing.

use super::*;

/// What is sent for a query, for the operator and without the version.
async fn sent_for(method: &str, target: &str) -> Result<String, Refusal> {
    let asked = ask(method, target);
    let forward = asked.operator().await?;
    let path = forward.path_and_query;
    Ok(path.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()))
}

#[tokio::test]
async fn a_boolean_is_what_go_and_the_daemon_both_take_for_it() {
    for (written, sent) in [
        ("1", "all=1"),
        ("t", "all=1"),
        ("T", "all=1"),
        ("true", "all=1"),
        ("True", "all=1"),
        ("TRUE", "all=1"),
        ("0", "all=0"),
        ("false", "all=0"),
        ("False", "all=0"),
        ("FALSE", "all=0"),
        ("", "all=0"),
    ] {
        assert_eq!(sent_for("GET", &format!("/v1.47/containers/json?all={written}")).await.unwrap(), sent, "{written}");
    }
    assert_eq!(sent_for("GET", "/v1.47/containers/json?all").await.unwrap(), "all=0");
    // One of the two reads these otherwise than the other.
    for written in ["f", "F", "no", "none", "yes", "on", "tRUE", "2", "-1", "+true", "1.0", "null"] {
        let refusal = sent_for("GET", &format!("/v1.47/containers/json?all={written}")).await.unwrap_err();
        assert_eq!((refusal.status, refusal.rule.as_str()), (400, "query.type"), "{written}");
    }
}

#[tokio::test]
async fn an_empty_boolean_is_left_out_where_the_daemons_default_is_true() {
    let commit = format!("/v1.47/commit?container={}&pause=", hex('d'));
    assert!(!sent_for("POST", &commit).await.unwrap().contains("pause"));
    assert!(sent_for("POST", &format!("{commit}False")).await.unwrap().contains("pause=0"));
}

#[tokio::test]
async fn numbers_are_written_anew_and_empty_ones_left_out() {
    assert_eq!(sent_for("GET", "/v1.47/containers/json?limit=%2B03").await.unwrap(), "limit=3");
    assert_eq!(sent_for("GET", "/v1.47/containers/json?limit=-1").await.unwrap(), "limit=-1");
    assert_eq!(sent_for("GET", "/v1.47/containers/json?limit=").await.unwrap(), "");
    for written in ["1.0", "1e3", "0x10", "1_000", "%203", "9223372036854775808"] {
        let refusal = sent_for("GET", &format!("/v1.47/containers/json?limit={written}")).await.unwrap_err();
        assert_eq!(refusal.rule, "query.type", "{written}");
    }
}

#[tokio::test]
async fn what_the_daemon_does_not_read_is_left_out() {
    for (method, target) in [
        ("GET", "/v1.47/containers/json?trunc_cmd=0&since=x&before=y&trunc_cmd=1"),
        ("GET", "/v1.47/images/json?only_ids=1&filter=busybox"),
        ("DELETE", "/v1.47/containers/web?link=False&link=0"),
        ("GET", "/v1.47/images/alpine/json?size=1"),
    ] {
        let asked = sent_for(method, target).await;
        match target.contains("link") {
            true => assert_eq!(asked.unwrap_err().rule, "query.duplicate"),
            false => assert_eq!(asked.unwrap(), "", "{target}"),
        }
    }
    assert_eq!(sent_for("DELETE", "/v1.47/containers/web?link=False&v=True").await.unwrap(), "v=1");
    assert_eq!(sent_for("DELETE", "/v1.47/containers/web?link=1").await.unwrap_err().rule, "query.link");
    let start = "/v1.47/containers/web/start?checkpoint=x";
    assert_eq!(sent_for("POST", start).await.unwrap_err().rule, "query.checkpoint");
}

#[tokio::test]
async fn a_body_that_is_repeated_in_the_query_counts_once_as_the_body() {
    let target = "/containers/create?Image=other&Cmd=a&Cmd=b&HostConfig=%7B%22Privileged%22%3Atrue%7D&name=web2";
    let forward = ask("POST", target).body(r#"{"Image":"alpine","name":"web3"}"#).deploy().await.unwrap();
    assert_eq!(forward.path_and_query, "/v1.50/containers/create?name=team__web2");
    let body = sent(&forward);
    assert_eq!((&body["Image"], body.get("name"), body.get("Cmd")), (&json!("alpine"), None, None));
    assert_eq!(body["HostConfig"].get("Privileged"), None);
    // A member of no body is still unknown, and so is one of another body.
    for unknown in ["hostconfig=1", "HostConfig.Privileged=1", "EndpointConfig=1"] {
        let asked = format!("/v1.47/containers/create?{unknown}");
        assert_eq!(ask("POST", &asked).body(r#"{"Image":"alpine"}"#).rule().await, "query.unknown");
    }
}

#[tokio::test]
async fn a_body_that_the_daemon_does_not_read_is_not_sent() {
    for target in [
        "/v1.47/containers/web/kill?signal=9",
        "/v1.47/containers/web/restart?t=0",
        "/v1.47/containers/web/wait",
        "/v1.47/containers/web/resize?h=1&w=2",
        "/v1.47/containers/web/pause",
        "/v1.47/containers/prune",
        "/v1.47/images/team/x:1/tag?repo=team/x&tag=2&force=1",
        "/v1.47/images/create?fromImage=alpine&tag=1",
        "/v1.47/containers/web/attach?stream=1&hijack=1",
    ] {
        for body in ["{}", "null", r#"{"anything":{"at":["all"]}}"#] {
            let forward = ask("POST", target).body(body).operator_of_team().await.unwrap();
            assert_eq!(forward.body, Body::Empty, "{target} {body}");
        }
        assert_eq!(ask("POST", target).body("{").operator_of_team().await.unwrap_err().rule, "json.form");
        let plain = ask("POST", target).header("content-type", "text/plain").body("{}");
        assert_eq!(plain.operator_of_team().await.unwrap_err().rule, "body.type");
        assert!(ask("POST", target).header("content-type", "text/plain").operator_of_team().await.is_ok());
    }
    // Where there was never a body there is none.
    assert_eq!(ask("GET", "/v1.47/info").body("{}").rule().await, "body.none");
    assert_eq!(ask("DELETE", "/v1.47/containers/web").body("{}").rule().await, "body.none");
}

#[tokio::test]
async fn json_is_known_by_its_type_however_often_it_is_named() {
    let create = |headers: &'static [&'static str]| {
        let asked = ask("POST", "/v1.47/volumes/create").body(r#"{"Name":"data"}"#);
        headers.iter().fold(asked, |asked, value| asked.header("content-type", value))
    };
    for headers in [
        &["application/json"][..],
        &["application/json; charset=utf-8"],
        &["Application/JSON;charset=UTF-8"],
        &["application/json", "application/json"],
    ] {
        assert!(create(headers).operator().await.is_ok(), "{headers:?}");
    }
    for headers in [
        &["application/json; charset=utf-16"][..],
        &["application/json", "application/x-www-form-urlencoded"],
        &["text/plain"],
        &["application/jsonx"],
        &[""],
    ] {
        assert_eq!(create(headers).operator().await.unwrap_err().rule, "body.type", "{headers:?}");
    }
    let gzip = create(&["application/json"]).header("content-encoding", "gzip");
    assert_eq!(gzip.operator().await.unwrap_err().rule, "body.encoding");
}

#[test]
fn an_archive_may_be_compressed_and_called_anything_but_a_form() {
    let build = |headers: &[(&'static str, &'static str)]| {
        let asked = ask("POST", "/v1.47/build").header("transfer-encoding", "chunked");
        let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(name, value));
        parse(&asked.parts()).map(|call| call.streams_body()).map_err(|refusal| refusal.rule)
    };
    assert_eq!(build(&[]), Ok(true));
    assert_eq!(build(&[("content-type", "application/tar"), ("content-encoding", "gzip")]), Ok(true));
    assert_eq!(build(&[("content-type", "application/x-tar"), ("content-type", "application/json")]), Ok(true));
    assert_eq!(build(&[("content-encoding", "br")]), Err("body.encoding".to_owned()));
    assert_eq!(
        build(&[("content-type", "application/x-tar"), ("content-type", "multipart/form-data; boundary=a")]),
        Err("body.form".to_owned())
    );
}

#[test]
fn a_pull_reads_no_body_and_an_import_takes_one_as_a_stream() {
    let call = |query: &str| {
        let target = format!("/v1.47/images/create?{query}");
        parse(&ask("POST", &target).header("content-length", "2").header("content-type", "application/json").parts())
            .unwrap()
    };
    let pull = call("fromImage=alpine&tag=1&fromSrc=-");
    assert!(!pull.streams_body() && pull.body_limit() > 0);
    for query in ["fromSrc=-&repo=x", "fromImage=&fromSrc=-"] {
        let import = call(query);
        assert!(import.streams_body() && import.body_limit() == 0, "{query}");
    }
    // Lines of a Dockerfile, in one value or in several.
    let import = call("fromSrc=-&changes=ENV+A%3Db%0AENV+C%3Dd&changes=&changes=USER+1");
    let changes: Vec<&str> =
        import.query.iter().filter(|(key, _)| *key == "changes").map(|(_, line)| line.as_str()).collect();
    assert_eq!(changes, ["ENV A=b", "ENV C=d", "USER 1"]);
    for control in ["%0D", "%00", "%1B"] {
        let target = format!("/v1.47/images/create?fromSrc=-&changes=A{control}B");
        assert_eq!(parse(&ask("POST", &target).parts()).unwrap_err().rule, "query.control");
    }
}

#[test]
fn a_key_may_be_repeated_where_the_daemon_takes_a_list() {
    let known = |target: &str| {
        let call = parse(&ask("POST", target).header("transfer-encoding", "chunked").parts())?;
        Ok::<_, Refusal>(call.query)
    };
    let pairs = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    };
    assert_eq!(
        known("/v1.47/build?t=a&t=b&t=&extrahosts=a:1&extrahosts=b:2&cachefrom=[%22a%22]&ulimits=null").unwrap(),
        pairs(&[("t", "a"), ("t", "b"), ("extrahosts", "a:1"), ("extrahosts", "b:2"), ("cachefrom", "[\"a\"]")])
    );
    for (query, rule) in [
        ("cachefrom=[]&cachefrom=[]", "query.duplicate"),
        ("remote=http://127.0.0.1/", "query.remote"),
        ("remote=default", "query.remote"),
        ("outputs=[]", "query.outputs"),
        ("squash=1", "query.squash"),
        ("securityopt=x", "query.securityopt"),
        ("cgroupparent=/x", "query.cgroupparent"),
        ("session=x", "query.session"),
    ] {
        assert_eq!(known(&format!("/v1.47/build?{query}")).unwrap_err().rule, rule, "{query}");
    }
    assert_eq!(known("/v1.47/build?remote=&outputs=&squash=False&session=&buildid=x").unwrap(), []);
}

#[tokio::test]
async fn keys_that_detach_are_those_that_the_daemon_knows() {
    let attach = |keys: &str| format!("/v1.47/containers/web/attach?detachKeys={keys}");
    let exec = |member: &str, keys: &str| {
        let body = json!({"Cmd": ["true"], member: keys}).to_string();
        async move { ask("POST", "/v1.47/containers/web/exec").body(&body).deploy().await }
    };
    for keys in ["", "ctrl-p,ctrl-q", "a", "ctrl-@,x", "ctrl-[", "ctrl-\\", "ctrl-_", "DEL"] {
        let encoded = keys.replace('[', "%5B").replace('\\', "%5C");
        assert!(ask("POST", &attach(&encoded)).deploy().await.is_ok(), "{keys}");
        for member in ["DetachKeys", "detachKeys"] {
            let body = sent(&exec(member, keys).await.unwrap());
            assert_eq!(body.get("detachKeys"), None);
            assert_eq!(body["DetachKeys"], keys);
        }
    }
    for keys in ["ctrl-A", "ctrl-", "ctrl-pq", "ab", ",", "a,", "del", "\u{e9}"] {
        assert!(exec("DetachKeys", keys).await.is_err(), "{keys}");
    }
    assert_eq!(ask("POST", &attach("ctrl-1")).rule().await, "query.type");
    let both = r#"{"Cmd":["true"],"DetachKeys":"a","detachKeys":"b"}"#;
    assert_eq!(ask("POST", "/v1.47/containers/web/exec").body(both).rule().await, "exec.unknown");
}

#[tokio::test]
async fn members_of_a_body_that_the_daemon_ignores_are_left_out() {
    let exec = r#"{"Container":"other","Cmd":["true"],"User":""}"#;
    let forward = ask("POST", "/v1.47/containers/web/exec").body(exec).deploy().await.unwrap();
    assert_eq!(sent(&forward).get("Container"), None);
    let start = format!("/v1.47/exec/{}/start", hex('e'));
    let own = r#"{"hijack":true,"stdin":true,"OutputCapacity":null,"Tty":true}"#;
    let forward = ask("POST", &start).body(own).deploy().await.unwrap();
    assert_eq!(sent(&forward), json!({"Tty": true}));
    // docker-py's network, in the place of the settings by network.
    let networking = |value: Value| {
        let body = json!({"Image": "alpine", "NetworkingConfig": value}).to_string();
        async move { create(&body).await }
    };
    assert!(networking(json!({"mynet": null})).await.is_ok());
    assert!(networking(json!({"EndpointsConfig": {"mynet": null}})).await.is_ok());
    for spelling in ["endpointsconfig", "Endpoint\u{17f}Config"] {
        let refusal = networking(json!({spelling: {"mynet": {"MacAddress": "02:42:ac:11:00:09"}}})).await.unwrap_err();
        assert_eq!(refusal.rule, "create.NetworkingConfig.unknown", "{spelling}");
    }
    let nulls = json!({"Image": "alpine", "PortSpecs": null, "HostConfig": {"LxcConf": null, "DiskQuota": null}});
    assert_eq!(create(&nulls.to_string()).await.unwrap()["HostConfig"].get("LxcConf"), None);
    let other = json!({"Image": "alpine", "HostConfig": {}, "hostconfig": null}).to_string();
    assert_eq!(create(&other).await.unwrap_err().rule, "create.unknown");
    let ports =
        json!({"Image": "alpine", "ExposedPorts": {"80/tcp": null}, "VolumesFrom": [], "Memory": 0}).to_string();
    assert_eq!(create(&ports).await.unwrap()["ExposedPorts"], json!({"80/tcp": {}}));
    let outer = json!({"Image": "alpine", "VolumesFrom": ["system"]}).to_string();
    assert_eq!(create(&outer).await.unwrap_err().rule, "create.VolumesFrom");
}

#[tokio::test]
async fn credentials_that_say_nothing_are_none_in_every_encoding() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    let pull = |header: String| async move {
        let asked = ask("POST", "/v1.47/images/create?fromImage=alpine&tag=1").header("x-registry-auth", &header);
        asked.operator().await.map(|forward| forward.headers)
    };
    for text in ["{}", "null", r#"{"username":null,"password":null,"auth":null}"#, r#"{"username":""}"#] {
        for encoded in
            [STANDARD.encode(text), STANDARD_NO_PAD.encode(text), URL_SAFE.encode(text), URL_SAFE_NO_PAD.encode(text)]
        {
            assert_eq!(pull(encoded.clone()).await.unwrap(), [], "{text} {encoded}");
        }
    }
    for plain in ["", "{}", "null"] {
        assert_eq!(pull(plain.to_owned()).await.unwrap(), [], "{plain}");
    }
    for text in ["[]", "1", r#"{"user":"x"}"#, "{} {}"] {
        assert!(pull(STANDARD.encode(text)).await.is_err(), "{text}");
    }
    // A push always has the header: an engine before 25 would look for a body.
    let push = ask("POST", "/v1.47/images/team/x/push?tag=1").body("{}").operator().await.unwrap();
    assert_eq!(push.headers.iter().find(|(name, _)| name == "x-registry-auth").unwrap().1, "e30=");
    let own =
        ask("POST", "/v1.47/images/team/x/push?tag=1").body(r#"{"username":"a","password":"b"}"#).operator().await;
    assert_eq!(own.unwrap_err().rule, "push.username");
}

#[tokio::test]
async fn filters_are_a_map_of_sets_or_of_lists() {
    let listed = |filters: &str| {
        let target = format!("/v1.47/containers/json?filters={filters}");
        async move { sent_for("GET", &target).await }
    };
    let map = "filters=%7B%22is-task%22%3A%7B%22false%22%3Atrue%7D%7D";
    assert_eq!(listed("%7B%22is-task%22:%5B%22false%22%5D%7D").await.unwrap(), map);
    assert_eq!(listed("%7B%22is-task%22:%7B%22false%22:true%7D%7D").await.unwrap(), map);
    for nothing in ["", "null", "%7B%7D", "%7B%22label%22:null%7D"] {
        assert_eq!(listed(nothing).await.unwrap(), "", "{nothing}");
    }
    // What the daemon refuses too, or reads as a value that nothing has.
    for wrong in
        ["%5B%5D", "1", "%7B%22label%22:%22a%22%7D", "%7B%22exited%22:%5B0%5D%7D", "%7B%22a%22:%7B%22b%22:false%7D%7D"]
    {
        assert_eq!(listed(wrong).await.unwrap_err().status, 400, "{wrong}");
    }
}
