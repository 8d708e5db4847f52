//! Tenants do not see, touch or learn of one another's objects.

use super::*;
use crate::policy::rules::{JsonFilter, LineFilter};
use crate::policy::{explain_as, filter_json, filter_line};
use crate::{ResponseRule, Selection};

#[tokio::test]
async fn anothers_and_missing_are_refused_with_the_same_words() {
    for (method, before, after) in [
        ("GET", "/v1.47/containers/", "/json"),
        ("POST", "/v1.47/containers/", "/start"),
        ("POST", "/v1.47/containers/", "/kill"),
        ("DELETE", "/v1.47/containers/", ""),
        ("GET", "/v1.47/containers/", "/logs"),
    ] {
        let answer = |name: &str| {
            let (name, target) = (name.to_owned(), format!("{before}{name}{after}"));
            async move {
                let refusal = ask(method, &target).deploy().await.unwrap_err();
                (refusal.status, refusal.rule, refusal.message.replace(&name, "NAME"))
            }
        };
        let missing = answer("missing").await;
        assert_eq!(missing, (404, "tenant.owner".to_owned(), "No such container: NAME".to_owned()));
        for name in ["theirs", "system", &hex('b')] {
            assert_eq!(answer(name).await, missing);
        }
    }
    for (kind, theirs, missing) in [("/v1.47/networks/", "rivalnet", "nonet"), ("/v1.47/volumes/", "theirvol", "novol")]
    {
        let mut texts = Vec::new();
        for name in [theirs, missing] {
            let target = format!("{kind}{name}");
            texts.push(ask("GET", &target).deploy().await.unwrap_err().message.replace(name, "NAME"));
        }
        assert_eq!(texts[0], texts[1]);
    }
    for target in ["/v1.47/images/rival/x:1/json", "/v1.47/images/rival/none:1/json"] {
        let refusal = ask("GET", target).deploy().await.unwrap_err();
        assert!(refusal.status == 404 && refusal.message.starts_with("No such image: rival/"), "{refusal:?}");
    }
}

#[tokio::test]
async fn an_exec_follows_its_container() {
    let target = |digit| format!("/v1.47/exec/{}/json", hex(digit));
    assert!(ask("GET", &target('e')).deploy().await.is_ok());
    assert_eq!(ask("GET", &target('f')).deploy().await.unwrap_err().status, 404);
}

#[tokio::test]
async fn an_exec_that_a_stronger_role_prepared_is_not_started_by_a_weaker() {
    for (process, allowed) in [
        (json!({"privileged": false, "user": ""}), true),
        (json!({"privileged": true, "user": ""}), false),
        (json!({"privileged": false, "user": "0"}), true),
    ] {
        let exec = Object {
            details: Arc::new(json!({"ProcessConfig": process})),
            ..object(&hex('9'), "", Some("team"), &[&hex('a')])
        };
        let daemon = Daemon::usual().with(ObjectKind::Exec, &[], exec);
        let target = format!("/v1.47/exec/{}/json", hex('9'));
        let asked = ask("GET", &target);
        let policy = Policy::bundled().unwrap();
        let decided = asked.by(&policy, &identity("deploy", Some("team")), &daemon).await;
        assert_eq!(decided.is_ok(), allowed, "{process}: {decided:?}");
    }
}

#[tokio::test]
async fn labels_alone_do_not_make_a_container_ones_own() {
    let copied = Object { details: Arc::new(details(None)), ..object(&hex('9'), "team__copied", Some("team"), &[]) };
    let daemon = Daemon::usual().with(ObjectKind::Container, &["team__copied"], copied);
    let policy = Policy::bundled().unwrap();
    let team = identity("deploy", Some("team"));
    let missing = ask("POST", "/v1.47/containers/copied/stop").by(&policy, &team, &daemon).await.unwrap_err();
    assert_eq!(missing.status, 404);
    let pruned = ask("POST", "/v1.47/containers/prune").by(&policy, &team, &daemon).await.unwrap_err();
    assert_eq!(pruned.rule, "prune.foreign");
}

#[tokio::test]
async fn a_create_reaches_no_objects_of_others() {
    for host in [
        json!({"VolumesFrom": ["theirs"]}),
        json!({"Links": ["theirs:db"]}),
        json!({"NetworkMode": "container:theirs"}),
        json!({"PidMode": "container:theirs"}),
        json!({"IpcMode": "container:theirs"}),
        json!({"NetworkMode": "rivalnet"}),
    ] {
        assert_eq!(create_rule(host).await, "tenant.owner");
    }
    let refusal = create(r#"{"Image":"rival/x:1"}"#).await.unwrap_err();
    assert_eq!((refusal.status, refusal.rule.as_str()), (404, "tenant.owner"));
    // A name of another's is, here, the tenant's own.
    let mount = json!({"Type": "volume", "Source": "theirvol", "Target": "/y"});
    let sent = create(&create_body(json!({"Binds": ["theirvol:/x", "v:/v", "old:/o"], "Mounts": [mount]}))).await;
    let mounts = sent.unwrap()["HostConfig"]["Mounts"].clone();
    let sources: Vec<&str> = mounts.as_array().unwrap().iter().map(|mount| mount["Source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["team__theirvol", "team__theirvol", "team__v", "old"]);
    let own =
        json!({"VolumesFrom": ["web:ro"], "Links": ["web:db"], "PidMode": "container:web", "NetworkMode": "mynet"});
    let sent = create(&create_body(own)).await.unwrap();
    assert_eq!(sent["HostConfig"]["VolumesFrom"][0], format!("{}:ro", hex('a')));
    assert_eq!(sent["HostConfig"]["Links"][0], format!("{}:db", hex('a')));
    assert_eq!(sent["HostConfig"]["PidMode"], format!("container:{}", hex('a')));
    assert_eq!(sent["HostConfig"]["NetworkMode"], hex('1'));
}

#[tokio::test]
async fn reserved_labels_are_the_gateways() {
    for label in ["io.stockade.tenant", "io.stockade.x", "IO.Stockade.tenant"] {
        let body = json!({"Image": "alpine", "Labels": {label: "rival"}}).to_string();
        assert_eq!(create(&body).await.unwrap_err().rule, "create.Labels");
    }
    // An image's own label must not make the operator's container a tenant's.
    let forward = ask("POST", "/v1.47/containers/create").body(r#"{"Image":"x"}"#).operator().await.unwrap();
    assert_eq!(sent(&forward)["Labels"][tenant::LABEL], "");
}

#[tokio::test]
async fn anonymous_volumes_are_made_with_their_owner() {
    let sent = create(r#"{"Image":"alpine","Volumes":{"/data":{}}}"#).await.unwrap();
    assert_eq!(sent.get("Volumes"), None);
    let mount = &sent["HostConfig"]["Mounts"][0];
    assert_eq!((&mount["Target"], &mount["VolumeOptions"]["Labels"][tenant::LABEL]), (&json!("/data"), &json!("team")));
    assert!(create(r#"{"Image":"alpine","Volumes":{"/etc:/x":{}}}"#).await.is_err());
}

#[tokio::test]
async fn the_name_of_anothers_volume_is_not_handed_out() {
    let create = |body: &str| {
        let body = body.to_owned();
        async move { ask("POST", "/v1.47/volumes/create").body(&body).deploy().await }
    };
    for (name, on_host) in [("theirvol", "team__theirvol"), ("v", "team__v"), ("old", "old")] {
        let sent = sent(&create(&json!({"Name": name}).to_string()).await.unwrap());
        assert_eq!((&sent["Name"], &sent["Labels"][tenant::LABEL]), (&json!(on_host), &json!("team")));
    }
    let squatted = Daemon::usual().with(ObjectKind::Volume, &[], object("team__taken", "team__taken", None, &[]));
    let asked = ask("POST", "/v1.47/volumes/create").body(r#"{"Name":"taken"}"#);
    let refused = asked.by(&Policy::bundled().unwrap(), &identity("deploy", Some("team")), &squatted).await;
    assert_eq!(refused.unwrap_err().rule, "tenant.owner");
}

#[tokio::test]
async fn networks_are_joined_by_their_owner_with_own_containers() {
    let forward = ask("POST", "/v1.47/networks/n/connect").body(r#"{"Container":"web"}"#).deploy().await.unwrap();
    assert_eq!(forward.path_and_query, format!("/v1.47/networks/{}/connect", hex('1')));
    assert_eq!(sent(&forward)["Container"], hex('a'));
    for (network, container) in [("n", "theirs"), ("rivalnet", "web"), ("bridge", "web")] {
        let target = format!("/v1.47/networks/{network}/connect");
        let body = json!({"Container": container}).to_string();
        assert_eq!(ask("POST", &target).body(&body).rule().await, "tenant.owner");
    }
}

#[tokio::test]
async fn lists_prunes_and_events_are_filtered_twice() {
    for (method, target) in [
        ("GET", "/v1.47/containers/json"),
        ("GET", "/v1.47/networks"),
        ("GET", "/v1.47/volumes"),
        ("POST", "/v1.47/containers/prune"),
        ("POST", "/v1.47/images/prune"),
        ("POST", "/v1.47/networks/prune"),
        ("POST", "/v1.47/volumes/prune"),
        ("GET", "/v1.47/events"),
    ] {
        // The team asks for another's; both labels are then required.
        let filters = "filters=%7B%22label%22%3A%5B%22io.stockade.tenant%3Drival%22%5D%7D";
        let asked = format!("{target}?{filters}");
        for target in [target, &asked] {
            let forward = ask(method, target).deploy().await.unwrap();
            // The lines of events are filtered by the gateway alone.
            assert!(
                forward.path_and_query.contains("%3Dteam%22%3Atrue") || target.contains("/events"),
                "{}",
                forward.path_and_query
            );
            if method == "GET" {
                assert!(
                    matches!(forward.response, ResponseRule::FilterJson { .. } | ResponseRule::FilterLines { .. }),
                    "{target}"
                );
            }
        }
        let forward = ask(method, target).operator().await.unwrap();
        // A prune by a role removes what that role made.
        let narrowed = target.contains("prune") && !target.contains("images");
        assert_eq!(forward.path_and_query.contains("io.stockade.role%3Doperator"), narrowed, "{target}");
        assert!(forward.path_and_query.starts_with(target));
    }
    let forward = ask("POST", "/v1.47/build/prune?all=1&filters=").deploy().await.unwrap();
    assert!(matches!(forward.response, ResponseRule::Answer { status: 200, .. }));
}

#[test]
fn answers_hold_only_the_tenants_objects() {
    let item = |owner: Option<&str>| match owner {
        Some(owner) => json!({"Id": owner, "Labels": {tenant::LABEL: owner}}),
        None => json!({"Id": "none", "Labels": null}),
    };
    let all = json!([item(Some("team")), item(Some("rival")), item(None), item(Some(""))]);
    let image = |owner: Option<&str>, tags: &[&str]| json!({"Id": "i", "ParentId": "p", "RepoTags": tags, "Labels": {tenant::LABEL: owner.unwrap_or("")}});
    let images = json!([
        image(Some("team"), &["team/x:1"]),
        image(Some("rival"), &["rival/x:1"]),
        image(None, &[]),
        image(None, &["<none>:<none>"]),
        image(None, &["alpine:3", "rival/alpine:3"]),
        image(None, &["rival/y:1"]),
    ]);
    let filtered = |filter: JsonFilter, answer: &Value| -> Value {
        serde_json::from_slice(
            &filter_json(filter, &team(), &Selection::default(), answer.to_string().as_bytes()).unwrap(),
        )
        .unwrap()
    };
    for filter in [JsonFilter::Containers, JsonFilter::Networks] {
        assert_eq!(filtered(filter, &all), json!([item(Some("team"))]));
    }
    let viewer = team();
    viewer.sharing.learn(&TenantName::parse("rival").unwrap());
    let selection = Selection::default();
    let list = filter_json(JsonFilter::Images, &viewer, &selection, images.to_string().as_bytes()).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let tags: Vec<&Value> = list.as_array().unwrap().iter().map(|image| &image["RepoTags"]).collect();
    assert_eq!(tags, [&json!(["team/x:1"]), &json!(["alpine:3"])]);
    assert!(list.as_array().unwrap().iter().all(|image| image["ParentId"] == ""));
    let volumes = filtered(JsonFilter::Volumes, &json!({"Volumes": all, "Warnings": ["x"]}));
    assert_eq!(volumes["Volumes"], json!([item(Some("team"))]));
    let usage = filtered(
        JsonFilter::Usage,
        &json!({"LayersSize": 9, "Containers": all, "Images": all, "Volumes": null,
        "BuildCache": [1], "New": all}),
    );
    assert_eq!(usage["Containers"], json!([item(Some("team"))]));
    assert_eq!(usage.get("New"), None);
    let info = filtered(JsonFilter::Info, &json!({"Containers": 5, "NCPU": 2, "Name": "host", "Swarm": {}}));
    assert_eq!(info, json!({"NCPU": 2}));
    for bad in [&b"{"[..], b"{}", b"7", b""] {
        assert!(filter_json(JsonFilter::Containers, &team(), &Selection::default(), bad).is_err());
    }
}

#[test]
fn events_of_others_and_without_owner_are_dropped() {
    let event = |label: &str| json!({"Type": "container", "Actor": {"Attributes": {label: "team"}}}).to_string();
    let own = event(tenant::CONTAINER);
    // Inherited from the tenant's image, by a container of root's.
    assert_eq!(filter_line(LineFilter::Events, &team(), event(tenant::LABEL).as_bytes()).unwrap(), None);
    let filter_event = |tenant: &str, line: &[u8]| filter_line(LineFilter::Events, &viewer(tenant), line);
    assert_eq!(filter_event("team", own.as_bytes()).unwrap().as_deref(), Some(own.as_bytes()));
    assert_eq!(filter_event("rival", own.as_bytes()).unwrap(), None);
    assert_eq!(filter_event("team", event("name").as_bytes()).unwrap(), None);
    assert_eq!(filter_event("team", b"\n").unwrap(), None);
    assert!(filter_event("team", b"{").is_err());
}

#[tokio::test]
async fn tags_are_set_and_removed_under_the_own_prefix_only() {
    let tag = |repo: &str| {
        let target = format!("/v1.47/images/alpine/tag?repo={repo}&tag=1");
        async move { ask("POST", &target).deploy().await }
    };
    let forward = tag("team/app").await.unwrap();
    assert_eq!(
        forward.path_and_query,
        format!("/v1.47/images/sha256:{}/tag?repo=docker.io%2Fteam%2Fapp&tag=1", hex('3'))
    );
    for repo in ["rival/app", "alpine", "library/alpine", "teamster/app", "team", "docker.io/library/team"] {
        assert_eq!(tag(repo).await.unwrap_err().rule, "tenant.tag", "{repo}");
    }
    assert_eq!(ask("DELETE", "/v1.47/images/alpine").rule().await, "tenant.owner");
    assert_eq!(ask("DELETE", "/v1.47/images/rival/x:1").deploy().await.unwrap_err().status, 404);
    assert!(ask("DELETE", "/v1.47/images/team/x:1").deploy().await.is_ok());
    let commit = "/v1.47/commit?container=web&repo=rival/x&tag=1";
    assert_eq!(ask("POST", commit).rule().await, "tenant.tag");
    let commit = "/v1.47/commit?container=theirs&repo=team/x&tag=1";
    assert_eq!(ask("POST", commit).rule().await, "tenant.owner");
    assert_eq!(ask("POST", "/v1.47/images/rival/x/push?tag=1").rule().await, "tenant.tag");
    // The registry is asked for what it cannot have: the tag stays where it is.
    let pull = ask("POST", "/v1.47/images/create?fromImage=rival/x&tag=1").deploy().await.unwrap();
    assert!(pull.path_and_query.contains("tag=sha256%3A0000"), "{}", pull.path_and_query);
    assert_eq!(pull.replace.unwrap().1, "rival/x:1");
}

#[tokio::test]
async fn a_daemon_that_cannot_be_asked_closes_everything() {
    for (method, target) in [("GET", "/v1.47/containers/web/json"), ("POST", "/v1.47/containers/web/start")] {
        let asked = ask(method, target);
        let refusal = asked
            .by(&Policy::bundled().unwrap(), &identity("deploy", Some("team")), &Daemon::broken())
            .await
            .unwrap_err();
        assert_eq!((refusal.status, refusal.rule.as_str()), (503, "daemon.unreachable"));
    }
}

#[tokio::test]
async fn what_is_no_name_is_explained_to_be_refused() {
    let policy = Policy::bundled().unwrap();
    let explained = |role, tenant| explain_as(&policy, role, Some(tenant), "GET /v1.47/containers/json", b"", None);
    assert!(explained("deploy", "library").await.contains("403 by tenant.name\n'library' cannot be a tenant"));
    assert!(explained("no role", "team").await.contains("403 by role.unknown\n'no role' cannot be a role"));
}

#[tokio::test]
async fn a_name_that_another_has_is_told_without_its_id() {
    let squatted = Daemon::usual()
        .with(ObjectKind::Container, &["team__theirs"], object(&hex('b'), "team__theirs", Some("rival"), &[]))
        .with(ObjectKind::Container, &["team__system"], object(&hex('c'), "team__system", None, &[]))
        .with(ObjectKind::Container, &["unnamed"], object(&hex('d'), "unnamed", Some("team"), &[]));
    for name in ["theirs", "system", "unnamed"] {
        let create = format!("/v1.47/containers/create?name={name}");
        let rename = format!("/v1.47/containers/web/rename?name={name}");
        for asked in [ask("POST", &create).body(r#"{"Image":"alpine"}"#), ask("POST", &rename)] {
            let refused = asked.by(&Policy::bundled().unwrap(), &identity("deploy", Some("team")), &squatted).await;
            let refusal = refused.unwrap_err();
            assert_eq!((refusal.status, refusal.rule.as_str()), (409, "tenant.taken"));
            assert!(!refusal.message.contains(&hex('b')) && !refusal.message.contains(&hex('c')));
        }
    }
}
