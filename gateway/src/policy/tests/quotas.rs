//! What all containers of an owner may be together.

use super::*;

const TEXT: &str = "[role.few]\nallow = [\"class:run\", \"class:change\"]\n\
    quotas = { memory = \"100m\", containers = 2, total_memory = \"250m\" }\n";
const MB: u64 = 1 << 20;

async fn create_with(memory: u64, there: &[(&str, Option<u64>)]) -> Result<Forward, Refusal> {
    let policy = Policy::from_text("t", TEXT).unwrap();
    let daemon = Daemon::usual().with_containers(there);
    let body = json!({"Image": "alpine", "HostConfig": {"Memory": memory}}).to_string();
    let asked = ask("POST", "/v1.47/containers/create").body(&body);
    asked.by(&policy, &identity("few", Some("team")), &daemon).await
}

#[tokio::test]
async fn a_container_over_the_number_or_the_sum_is_refused_by_the_rule_of_the_role() {
    let one = ("1", Some(100 * MB));
    assert!(create_with(0, &[]).await.is_ok());
    assert!(create_with(0, &[one]).await.is_ok());
    let refusal = create_with(0, &[one, ("2", Some(1))]).await.unwrap_err();
    assert_eq!((refusal.status, refusal.rule.as_str()), (403, "role.few.quotas.containers"));
    assert!(refusal.message.contains("2 of 2"), "{}", refusal.message);
    let big = ("1", Some(200 * MB));
    assert!(create_with(50 * MB, &[big]).await.is_ok());
    // None asked for: the role's quota of one container is written, and counts.
    for memory in [0, 51 * MB] {
        assert_eq!(create_with(memory, &[big]).await.unwrap_err().rule, "role.few.quotas.total_memory");
    }
    let refusal = create_with(6 * MB, &[("1", None)]).await.unwrap_err();
    assert!(refusal.message.contains("without a memory limit"), "{}", refusal.message);
}

#[tokio::test]
async fn an_update_counts_the_container_once() {
    let policy = Policy::from_text("t", TEXT).unwrap();
    let (own, other) = (hex('a'), hex('b'));
    let daemon = Daemon::usual().with_containers(&[(&own, Some(90 * MB)), (&other, Some(160 * MB))]);
    for (memory, fits) in [(90, true), (91, false), (0, true)] {
        let body = json!({"Memory": memory * MB}).to_string();
        let asked = ask("POST", "/v1.47/containers/web/update").body(&body);
        let result = asked.by(&policy, &identity("few", Some("team")), &daemon).await;
        let rule = result.map_or_else(|refusal| refusal.rule, |_| "allowed".to_owned());
        assert_eq!(rule, if fits { "allowed" } else { "role.few.quotas.total_memory" }, "{memory}m");
    }
}

#[test]
fn a_sum_without_a_bound_for_each_is_no_role() {
    for quotas in ["total_memory = \"1g\"", "memory = \"2g\", total_memory = \"1g\""] {
        let text = format!("[role.x]\nallow = []\nquotas = {{ {quotas} }}\n");
        let error = Policy::from_text("t", &text).unwrap_err().to_string();
        assert!(error.contains("total_memory"), "{error}");
    }
}

#[tokio::test]
async fn where_it_cannot_be_counted_nothing_is_made() {
    /// Knows the image, and cannot list.
    struct Uncounted(Daemon);
    impl Docker for Uncounted {
        fn inspect<'a>(&'a self, kind: ObjectKind, reference: &'a str) -> Reply<'a, Option<Object>> {
            self.0.inspect(kind, reference)
        }

        fn list<'a>(&'a self, kind: ObjectKind, label: Option<&'a str>) -> Reply<'a, Arc<Vec<Object>>> {
            self.0.list(kind, label)
        }
    }
    let policy = Policy::from_text("t", TEXT).unwrap();
    let asked = ask("POST", "/v1.47/containers/create").body(r#"{"Image":"alpine"}"#);
    let call = parse(&asked.parts()).unwrap();
    let decided = policy.decide(&identity("few", Some("team")), call, asked.body, &Uncounted(Daemon::usual())).await;
    assert_eq!(decided.unwrap_err().status, 503);
}
