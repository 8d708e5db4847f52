//! What the docker client (28.2) really sends, recorded: the deploy role of a
//! tenant lets its ordinary work through, and what it must not is refused by
//! the rule that is meant.

use serde_json::Value;

use super::*;

struct Recorded {
    command: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn recorded() -> Vec<Recorded> {
    let text = include_str!("data/docker-28.jsonl");
    text.lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| value[name].as_str().unwrap_or("").to_owned();
            let headers = value["headers"].as_object().unwrap();
            Recorded {
                command: field("command"),
                method: field("method"),
                target: field("target"),
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                    .collect(),
                body: field("body"),
            }
        })
        .collect()
}

/// Commands that the deploy role does not get through, and by which rule.
const REFUSED: &[(&str, &str)] = &[
    ("cp ", "archive.engine"),
    ("load ", "role.deploy.allow"),
    ("build ", "build.grant"),
    ("login ", "registry.login"),
];

#[tokio::test]
async fn the_client_works_for_a_tenant_that_deploys() {
    let all = recorded();
    assert!(all.len() > 60);
    let policy = Policy::bundled().unwrap();
    let mut daemon = Daemon::usual();
    // `run` without a local image would be refused with 404, and the client pulls.
    daemon = daemon.with(ObjectKind::Container, &["team__w2"], object(&hex('9'), "team__w2", Some("team"), &[]));
    for one in &all {
        let mut asked = ask(&one.method, &one.target);
        asked.headers = one.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        asked.body = one.body.as_bytes();
        let result = asked.by(&policy, &identity("deploy", Some("team")), &daemon).await;
        let expected = REFUSED.iter().find(|(command, _)| one.command.starts_with(command)).map(|(_, rule)| *rule);
        match (result, expected) {
            (Ok(_), None) => {}
            (Err(refusal), Some(rule)) => assert_eq!(refusal.rule, rule, "docker {}", one.command),
            (Ok(forward), Some(rule)) => panic!("docker {} must be refused by {rule}: {forward:?}", one.command),
            (Err(refusal), None) => panic!("docker {}: {} {}: {refusal}", one.command, one.method, one.target),
        }
    }
}

#[tokio::test]
async fn the_client_works_for_the_operator() {
    let policy = Policy::bundled().unwrap();
    for one in recorded() {
        let mut asked = ask(&one.method, &one.target);
        asked.headers = one.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        asked.body = one.body.as_bytes();
        let result = asked.by(&policy, &identity("operator", None), &Daemon::usual()).await;
        if let Err(refusal) = result {
            panic!("docker {}: {} {}: {refusal}", one.command, one.method, one.target);
        }
    }
}

/// `docker run -p 8080:80 -v data:/data --memory 64m`, as the daemon gets it.
#[tokio::test]
async fn a_run_is_sent_with_owner_quotas_and_own_volume() {
    let run = recorded()
        .into_iter()
        .find(|one| one.command.starts_with("run -d --name web") && one.method == "POST")
        .unwrap();
    let forward = ask("POST", "/v1.47/containers/create?name=web").body(&run.body).deploy().await.unwrap();
    assert_eq!(forward.path_and_query, "/v1.47/containers/create?name=team__web");
    let body = sent(&forward);
    assert_eq!(body["Labels"][tenant::LABEL], "team");
    let host = &body["HostConfig"];
    assert_eq!(host["Memory"], 67_108_864);
    assert_eq!(host["NanoCpus"], 2_000_000_000_i64);
    assert_eq!(host["PidsLimit"], 1024);
    assert_eq!(host["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
    assert_eq!(host.get("Binds"), None);
    assert_eq!(host["Mounts"][0]["Source"], "team__data");
    assert_eq!(host["Mounts"][0]["VolumeOptions"]["Labels"][tenant::LABEL], "team");
    assert_eq!(host.get("Privileged"), None);
    assert_eq!(body["Image"], "alpine", "the name shows in docker ps");
}
