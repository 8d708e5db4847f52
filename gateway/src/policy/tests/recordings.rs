//! What the client libraries really send (docker-py 7.1, dockerode 5, bollard
//! 0.21, and further calls of docker 28), recorded by
//! `tests/engine_api/record.py`: every form of theirs is understood, and what
//! is refused is refused for what it means.

use serde_json::Value;

use super::*;

struct Recorded {
    client: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn recorded() -> Vec<Recorded> {
    include_str!("data/clients.jsonl")
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| value[name].as_str().unwrap().to_owned();
            let pair = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
            Recorded {
                client: field("client"),
                method: field("method"),
                target: field("target"),
                headers: value["headers"].as_array().unwrap().iter().map(pair).collect(),
                body: field("body"),
            }
        })
        .collect()
}

impl Recorded {
    fn ask(&self) -> Ask<'_> {
        let mut asked = ask(&self.method, &self.target);
        asked.headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        asked.body = self.body.as_bytes();
        asked
    }
}

/// The usual daemon, with everything that the recordings name.
fn daemon() -> Daemon {
    use ObjectKind::{Container, Image, Network, Volume};
    let containers =
        ["sdk-x", "sdk-x2", "sdk-y", "sdk-z", "sdk-z2", "sdk-w", "sdk-b", "sdk-b2", "sdk-c1", "sdk-r", "a"];
    let images = ["sdk-img:1", "sdk-img:2", "sdk-img:n2", "sdk-img:b2", "localhost:1/x:1", "localhost:1/x:latest"];
    Daemon::usual()
        .with(
            Container,
            &containers,
            Object { details: Arc::new(details(Some(""))), ..object(&hex('0'), "sdk", Some(""), &[]) },
        )
        .with(Network, &["sdk-net", "sdk-net2", "sdk-nnet", "sdk-bnet"], object(&hex('7'), "sdk", Some(""), &[]))
        .with(Volume, &["sdk-vol", "sdk-vol2", "sdk-nvol", "sdk-bvol"], object("sdk-vol", "sdk-vol", Some(""), &[]))
        .with(Image, &images, object(&format!("sha256:{}", hex('6')), "", None, &["sdk-img:1"]))
}

/// Refusals that are meant: by what a call would do, not by how it is written.
const BY_MEANING: &[&str] = &["image.import.fetch"];

#[tokio::test]
async fn every_form_that_client_libraries_send_is_understood() {
    let policy = Policy::bundled().unwrap();
    let mut clients = BTreeMap::new();
    for one in recorded() {
        *clients.entry(one.client.clone()).or_insert(0) += 1;
        let what = format!("{}: {} {} {}", one.client, one.method, one.target, one.body);
        match one.ask().by(&policy, &identity("operator", None), &daemon()).await {
            Ok(forward) => {
                let path = forward.path_and_query;
                assert!(path.starts_with("/v1.") || matches!(path.as_str(), "/_ping" | "/version"), "{what}: {path}");
                for wrong in ["=True", "=False", "=true", "=false", "trunc_cmd", "only_ids", "HostConfig"] {
                    assert!(!path.contains(wrong), "{what}: {path}");
                }
            }
            // The engine does not understand this size either.
            Err(refusal) if one.target.contains("shmsize=10m") => assert_eq!(refusal.rule, "query.type"),
            Err(refusal) => assert!(BY_MEANING.contains(&refusal.rule.as_str()), "{what}: {refusal}"),
        }
    }
    assert!(clients.len() == 4 && clients.values().sum::<u32>() > 250, "{clients:?}");
}
