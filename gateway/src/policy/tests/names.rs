//! Each tenant has names of its own.

use super::*;
use crate::policy::rules::{JsonFilter, LineFilter};
use crate::policy::{filter_json, filter_line};
use crate::{ResponseRule, Selection};

fn filtered(filter: JsonFilter, selection: &Selection, answer: &Value) -> Value {
    serde_json::from_slice(&filter_json(filter, &team(), selection, answer.to_string().as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_made_has_the_tenants_name_on_the_host() {
    let body = r#"{"Image":"alpine","HostConfig":{"NetworkMode":"mynet"}}"#;
    let made = ask("POST", "/v1.47/containers/create?name=fresh").body(body).deploy().await.unwrap();
    assert_eq!(made.path_and_query, "/v1.47/containers/create?name=team__fresh");
    let aliases = &sent(&made)["NetworkingConfig"]["EndpointsConfig"][hex('1')]["Aliases"];
    assert_eq!(*aliases, json!(["fresh"]), "the others find it by its short name");
    let default = ask("POST", "/v1.47/containers/create?name=fresh").body(r#"{"Image":"alpine"}"#).deploy().await;
    assert_eq!(sent(&default.unwrap())["NetworkingConfig"]["EndpointsConfig"], json!({}), "the bridge has no aliases");
    let renamed = ask("POST", "/v1.47/containers/web/rename?name=fresh").deploy().await.unwrap();
    assert!(renamed.path_and_query.ends_with("/rename?name=team__fresh"), "{}", renamed.path_and_query);
    let network = ask("POST", "/v1.47/networks/create").body(r#"{"Name":"net"}"#).deploy().await.unwrap();
    assert_eq!(sent(&network)["Name"], "team__net");
    let connect = ask("POST", "/v1.47/networks/n/connect").body(r#"{"Container":"web"}"#).deploy().await.unwrap();
    assert_eq!(sent(&connect)["EndpointConfig"]["Aliases"], json!(["web"]));
    let operators = ask("POST", "/v1.47/containers/create?name=fresh").body(body).operator().await.unwrap();
    assert_eq!(operators.path_and_query, "/v1.47/containers/create?name=fresh");
    let long = format!("/v1.47/containers/create?name={}", "x".repeat(253));
    assert_eq!(ask("POST", &long).body(r#"{"Image":"alpine"}"#).rule().await, "tenant.name");
}

#[tokio::test]
async fn the_name_on_the_host_is_no_name_for_the_tenant() {
    for target in ["/v1.47/containers/team__web/json", "/v1.47/networks/team__n", "/v1.47/volumes/team__v"] {
        assert_eq!(ask("GET", target).rule().await, "tenant.owner", "{target}");
    }
    for target in ["/v1.47/containers/web/json", "/v1.47/networks/n", "/v1.47/volumes/v", "/v1.47/volumes/old"] {
        assert!(ask("GET", target).deploy().await.is_ok(), "{target}");
    }
}

#[tokio::test]
async fn filters_ask_for_the_hosts_names_and_patterns_are_applied_here() {
    let asked = |target: &str, filters: Value| {
        let encoded: String = filters.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        let target = format!("{target}filters={encoded}");
        async move { ask("GET", &target).deploy().await.unwrap() }
    };
    let list = asked("/v1.47/containers/json?limit=3&", json!({"name": ["^web$"], "network": ["n", "gone"]})).await;
    let ResponseRule::FilterJson { selection, .. } = &list.response else { panic!("{list:?}") };
    assert_eq!(*selection, Selection { names: vec!["^web$".to_owned()], limit: Some(3), ..Selection::default() });
    assert!(!list.path_and_query.contains("limit") && list.path_and_query.contains("all=1"), "{list:?}");
    assert!(list.path_and_query.contains(&hex('1')) && list.path_and_query.contains("team__gone"), "{list:?}");
    let events = asked("/v1.47/events?", json!({"container": ["web"]})).await;
    assert!(events.path_and_query.contains(&hex('a')) && events.path_and_query.contains("team__web"), "{events:?}");
}

#[test]
fn answers_have_the_tenants_names() {
    let labels = json!({tenant::LABEL: "team"});
    let item = |name: &str| {
        json!({
            "Id": name, "Names": [format!("/team__{name}"), format!("/team__app/{name}")], "Labels": labels,
            "HostConfig": {"NetworkMode": "1", "Mounts": [{"Type": "volume", "Source": "team__data"}]},
            "Mounts": [{"Type": "volume", "Name": "team__data", "Source": "/v/team__data/_data"},
                       {"Type": "bind", "Source": "/srv/team__x"}],
            "NetworkSettings": {"Networks": {"team__net": {"NetworkID": "1"}, "bridge": {"NetworkID": "2"}}},
        })
    };
    let all = json!([item("web"), item("webber"), item("db")]);
    let list = filtered(JsonFilter::Containers, &Selection::default(), &all);
    assert!(!list.to_string().replace("/srv/team__x", "").contains("team__"), "{list}");
    assert_eq!(list[0]["Names"], json!(["/web", "/app/web"]));
    assert_eq!(list[0]["HostConfig"]["NetworkMode"], "net");
    assert_eq!(list[0]["Mounts"][0]["Source"], "/v/data/_data");
    assert_eq!(list[0]["Mounts"][1]["Source"], "/srv/team__x", "a path of the host is no name");
    let ids = |names: &[&str], limit| {
        let selection =
            Selection { names: names.iter().map(|name| (*name).to_owned()).collect(), limit, ..Selection::default() };
        let list = filtered(JsonFilter::Containers, &selection, &all);
        let ids: Vec<String> = list.as_array().unwrap().iter().map(|item| item["Id"].to_string()).collect();
        ids.join(" ").replace('"', "")
    };
    for (names, limit, expected) in [
        (&["^web$"][..], None, "web"),
        (&["^/web$"], None, "web"),
        (&["web"], None, "web webber"),
        (&["eb", "db"], None, "web webber db"),
        (&["team"], None, ""),
        (&["("], None, ""),
        (&["web"], Some(1), "web"),
    ] {
        assert_eq!(ids(names, limit), expected, "{names:?}");
    }
    let volume = json!({"Name": "team__data", "Mountpoint": "/v/team__data/_data", "Labels": labels});
    assert_eq!(filtered(JsonFilter::Volume, &Selection::default(), &volume)["Mountpoint"], "/v/data/_data");
    let pruned = json!({"VolumesDeleted": ["team__data", "0123"], "SpaceReclaimed": 7});
    assert_eq!(
        filtered(JsonFilter::PrunedVolumes, &Selection::default(), &pruned)["VolumesDeleted"],
        json!(["data", "0123"])
    );
    let stats = filter_line(LineFilter::Stats, &team(), br#"{"name":"/team__web","read":1}"#).unwrap().unwrap();
    assert_eq!(stats, br#"{"name":"/web","read":1}"#);
    let event =
        json!({"Actor": {"Attributes": {tenant::CONTAINER: "team", "name": "team__web", "oldName": "/team__w"}}});
    let event = filter_line(LineFilter::Events, &team(), event.to_string().as_bytes()).unwrap().unwrap();
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["Actor"]["Attributes"]["name"], "web");
    assert_eq!(event["Actor"]["Attributes"]["oldName"], "/w");
}
