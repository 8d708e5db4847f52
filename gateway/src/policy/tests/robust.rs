//! Whatever comes in, there is an answer; and what goes on reads back as itself.

use proptest::prelude::*;

use super::*;
use crate::policy::reference::Reference;

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    #[test]
    fn any_target_has_an_answer(target in "/[ -~]{0,80}", method in "GET|POST|PUT|DELETE|HEAD") {
        if let Ok(request) = http::Request::builder().method(method.as_str()).uri(&target).body(()) {
            let _ = parse(&request.into_parts().0);
        }
    }

    #[test]
    fn an_allowed_path_holds_only_what_was_written_anew(
        name in "[a-zA-Z0-9_.%/:@-]{1,40}",
        query in "[a-z]{1,6}=[ -~]{0,20}",
    ) {
        let target = format!("/v1.47/containers/{name}/logs?stdout=1&{query}");
        if http::Uri::try_from(&target).is_ok() && let Ok(forward) = run(ask("GET", &target).operator()) {
            let uri: http::Uri = forward.path_and_query.parse().unwrap();
            let name = uri.path().strip_prefix("/v1.47/containers/").and_then(|rest| rest.strip_suffix("/logs")).unwrap();
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
        }
    }

    #[test]
    fn any_body_has_an_answer(body in proptest::collection::vec(any::<u8>(), 1..200)) {
        let asked = Ask { method: "POST", target: "/v1.47/containers/create", headers: vec![], body: &body };
        prop_assert!(run(asked.deploy()).is_err());
    }

    #[test]
    fn any_member_of_a_body_has_an_answer(name in "[A-Z][A-Za-z]{2,12}", value in "[0-9]{1,20}|\"[a-z:/]{0,9}\"|\\[\\]|\\{\\}|true|null|-1|1e400") {
        let body = format!(r#"{{"Image":"alpine","HostConfig":{{"{name}":{value}}}}}"#);
        let _ = run(create(&body));
    }

    #[test]
    fn a_reference_reads_back_as_itself(text in "[a-z0-9.:/@_-]{1,40}") {
        if let Some(reference) = Reference::read(&text) {
            prop_assert_eq!(Reference::read(&reference.to_string()), Some(reference));
        }
    }

    #[test]
    fn deep_and_long_json_is_refused_not_followed(depth in 30_usize..3000) {
        let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"Image":{body}}}"#);
        prop_assert!(run(create(&body)).is_err());
    }
}
