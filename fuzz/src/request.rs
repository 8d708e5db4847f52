//! What is sent instead of a request is read again: it must be the operation
//! that was decided, in one reading only, and be decided in the same way.

use std::sync::OnceLock;

use http::request::Parts;
use stockade_gateway::policy::routes::{BodyRule, Class, Kind, ROUTES, Route, StreamRule, of};
use stockade_gateway::policy::rules::AnswerRule;
use stockade_gateway::policy::{Operation, Policy, parse};
use stockade_gateway::{Forward, Identity, ResponseRule};

use crate::daemon::{Daemon, outcome};
use crate::go;
use crate::identity::identity;

/// The bundled roles, on an engine on which `cp` is safe.
pub fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| Policy::bundled().expect("the bundled roles").with_engine("29.6.0"))
}

/// The operator, and somebody of the tenant `team`.
pub fn people() -> &'static [Identity; 2] {
    static PEOPLE: OnceLock<[Identity; 2]> = OnceLock::new();
    PEOPLE.get_or_init(|| [identity("operator", None), identity("deploy", Some("team"))])
}

/// A body that an operation takes.
fn body(route: Option<&Route>) -> &'static [u8] {
    match route.map(|route| (route.operation.name(), route.body)) {
        Some(("ContainerCreate", _)) => br#"{"Image":"alpine"}"#,
        Some(("NetworkCreate", _)) => br#"{"Name":"net"}"#,
        Some(("NetworkConnect" | "NetworkDisconnect", _)) => br#"{"Container":"web"}"#,
        Some(("SystemAuth", _)) => br#"{"serveraddress":"docker.io"}"#,
        Some((_, BodyRule::Json)) => b"{}",
        _ => b"",
    }
}

fn head(method: &str, target: &str, route: Option<&Route>) -> Option<Parts> {
    let mut request = http::Request::builder().method(method).uri(target).header("host", "docker");
    let body = body(route);
    if !body.is_empty() {
        request = request.header("content-type", "application/json").header("content-length", body.len());
    }
    if route.is_some_and(|route| route.stream == StreamRule::Hijack) {
        request = request.header("upgrade", "tcp").header("connection", "Upgrade");
    }
    request.body(()).ok().map(|request| request.into_parts().0)
}

fn decided(method: &str, target: &str, who: &Identity) -> Option<Forward> {
    // Which line it is tells which body it needs; the policy finds it by itself.
    let path = target.split('?').next().unwrap_or("");
    let path = path.strip_prefix("/v1.").and_then(|rest| rest.get(2..)).unwrap_or(path);
    let line = ROUTES
        .iter()
        .find(|route| go::operations(method, path).iter().any(|(operation, _)| *operation == route.operation));
    let parts = head(method, target, line)?;
    let call = parse(&parts).ok()?;
    let body = body(Some(call.route));
    outcome(policy().decide(who, call, body, &Daemon)).ok()
}

/// Decides a request, and holds what is sent instead against the daemon's reading.
pub fn judge(method: &str, target: &str, who: &Identity) {
    let Some(forward) = decided(method, target, who) else { return };
    if matches!(forward.response, ResponseRule::Answer { .. }) {
        return;
    }
    let sent = &forward.path_and_query;
    assert!(sent.starts_with('/') && sent.bytes().all(|byte| byte.is_ascii_graphic()), "{sent:?}");
    assert!(!sent.contains('#'), "{sent:?}");
    let (path, query) = sent.split_once('?').unwrap_or((sent, ""));
    let decoded = go::unescaped(path, false);
    assert!(decoded.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..")), "Go would clean {sent:?}");
    let unversioned = match decoded.strip_prefix("/v1.") {
        Some(rest) => {
            let (minor, rest) = rest.split_at(2);
            assert!((41..=56).contains(&minor.parse::<u16>().expect("a version")), "{sent:?}");
            rest.to_owned()
        }
        None => decoded,
    };
    let all = go::operations(forward.method.as_str(), &unversioned);
    assert!(all.iter().any(|(operation, _)| *operation == forward.operation), "{sent:?} is not {}", forward.operation);
    assert!(all.iter().all(|(_, class)| *class != Class::Never), "{sent:?} could be {all:?}");

    let route = of(forward.operation);
    let pairs = go::query(query);
    for (at, (key, value)) in pairs.iter().enumerate() {
        let (_, kind) =
            route.query.iter().find(|(known, _)| known == key).unwrap_or_else(|| panic!("{key} in {sent:?}"));
        assert!(kind.repeats() || pairs[..at].iter().all(|(other, _)| other != key), "{key} twice in {sent:?}");
        assert!(!value.chars().any(char::is_control), "{sent:?}");
        match kind {
            Kind::Flag | Kind::FlagOrDefault => assert!(matches!(value.as_str(), "0" | "1"), "{sent:?}"),
            Kind::Number => assert!(value.is_empty() || value.parse::<i64>().is_ok(), "{sent:?}"),
            Kind::Ignored | Kind::Off | Kind::Refused => panic!("{key} in {sent:?}"),
            Kind::Filters | Kind::Json | Kind::Jsons if !value.is_empty() => {
                serde_json::from_str::<go::Json>(value).unwrap_or_else(|_| panic!("{sent:?}"));
            }
            _ => {}
        }
    }
    if who.tenant.is_some() {
        own_things_only(&forward, &pairs);
    } else if !matches!(forward.operation, Operation::ImageBuild | Operation::ImagePush) {
        let again = decided(forward.method.as_str(), sent, who)
            .unwrap_or_else(|| panic!("{target:?} was allowed as {sent:?}, and that is refused"));
        assert_eq!((again.operation, &again.path_and_query, &again.body), (forward.operation, sent, &forward.body));
    }
}

/// A tenant's request names what is the tenant's by its id, and asks lists for the owner's label.
fn own_things_only(forward: &Forward, pairs: &[(String, String)]) {
    let sent = &forward.path_and_query;
    for foreign in ["theirs", "nobodys", "rival", &crate::daemon::id('b'), &crate::daemon::id('c')] {
        let path = sent.split('?').next().unwrap_or("");
        let image =
            forward.operation.name().starts_with("Image") || forward.operation == Operation::DistributionInspect;
        assert!(image || !path.contains(foreign), "{sent:?} names {foreign}");
    }
    let label = match forward.operation {
        Operation::ContainerPrune => Some("io.stockade.container=team"),
        Operation::ContainerList
        | Operation::NetworkList
        | Operation::VolumeList
        | Operation::ImagePrune
        | Operation::NetworkPrune
        | Operation::VolumePrune => Some("io.stockade.tenant=team"),
        _ => None,
    };
    if let Some(label) = label {
        let filters = pairs.iter().find(|(key, _)| key == "filters").map_or("", |(_, value)| value);
        let filters: go::Json = serde_json::from_str(filters).expect("filters");
        let go::Json::Object(names) = &filters else { panic!("{sent:?}") };
        let labels: Vec<_> = names.iter().filter(|(name, _)| name == "label").collect();
        let [(_, go::Json::Object(labels))] = labels[..] else { panic!("{sent:?}") };
        let own = (label.to_owned(), go::Json::Flag(true));
        assert!(labels.contains(&own), "{sent:?} does not ask for the owner's label");
    }
    if matches!(of(forward.operation).answer, AnswerRule::Filter(..) | AnswerRule::FilterLines(..)) {
        let filtered = matches!(forward.response, ResponseRule::FilterJson { .. } | ResponseRule::FilterLines { .. });
        assert!(filtered, "the answer to {sent:?} is not filtered");
    }
}
