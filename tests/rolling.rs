//! Rolling runs over real hosts, by the program as an operator runs it. What
//! came of them is asked of the hosts themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::{Project, told};

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_check_that_fails_is_the_gate_between_batches() {
    let site = Project::with_hosts(3);
    site.playbook(
        "[[step]]\nfile = { path = \"/srv/new\", content = \"x\\n\" }\n\
         [[step]]\nname = \"the gate\"\ncheck = { command = \"test -e /srv/healthy\" }\n",
    );
    site.on(0, "touch /srv/healthy");
    let here = "test -e /srv/new && echo begun || echo not begun";

    let output = site.command(&["apply", "site.toml", "--yes", "--serial", "1", "--format", "json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (code, text) = told(output);
    assert_eq!(code, 3, "{text}");
    let results: Vec<&str> =
        json["hosts"].as_array().unwrap().iter().map(|host| host["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["converged", "failed", "not-begun"], "{text}");
    assert_eq!(json["hosts"][1]["failure"]["name"], "the gate", "{text}");
    assert_eq!([0, 1, 2].map(|host| site.on(host, here)), ["begun", "begun", "not begun"]);
    assert_eq!(site.on(2, "ls /var/lib/stockade 2>/dev/null || echo untouched"), "untouched");

    // One failure is allowed: the third has its turn, and the gate holds there.
    site.on(2, "touch /srv/healthy");
    let (code, text) = site.told(&["apply", "site.toml", "--yes", "--serial", "34%", "--max-failures", "1"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("3 hosts: 2 converged, 1 failed"), "{text}");
    assert_eq!(site.on(2, here), "begun");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_later_host_is_looked_at_again_and_not_touched_if_its_plan_is_another_one() {
    let site = Project::with_hosts(2);
    let first = &site.hosts[0].name;
    site.playbook(&format!(
        "[[step]]\nfile = {{ path = \"/srv/new\", content = \"x\\n\" }}\n\
         [[step]]\nwhen = \"host.name == '{first}'\"\n\
         command = {{ run = \"touch /srv/waiting; until [ -e /srv/go ]; do sleep 0.1; done; rm /srv/waiting\", creates = \"/srv/go\" }}\n"
    ));
    // The second host drifts, and its connection dies, while the first one is at work.
    let disturb = || {
        site.await_on(0, "test -e /srv/waiting");
        site.on(1, "mkdir -p /srv; printf 'theirs\\n' >/srv/new; pkill -f '[s]shd: ubuntu' || :");
        site.on(0, "touch /srv/go");
    };
    let (code, text) = site.told(&["plan", "site.toml", "--out", "plan.json"]);
    assert_eq!(code, 0, "{text}");
    let child = site.start(&["apply", "plan.json", "--serial", "1"]);
    disturb();
    let (code, text) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("the plan has changed since it was shown") && text.contains("nothing was touched"), "{text}");
    assert_eq!(site.on(1, "cat /srv/new; ls /var/lib/stockade 2>/dev/null || echo untouched"), "theirs\nuntouched");

    site.on(0, "rm /srv/go");
    site.on(1, "rm /srv/new");
    let child = site.start(&["apply", "site.toml", "--serial", "1", "--yes"]);
    disturb();
    let (code, text) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("the plan has changed since it was shown"), "{text}");
    assert_eq!(site.on(1, "cat /srv/new"), "x");
}
