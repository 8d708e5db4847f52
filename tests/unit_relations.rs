//! What systemd does to other units than the one that a step names: `Also=`,
//! `Alias=`, `Conflicts=` and `Requires=`, on real hosts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;

/// A step that writes a service which runs on, with these settings in [Unit] and [Install].
fn unit(name: &str, settings: &str, install: &str) -> String {
    let content = format!(
        "[Unit]\\n{settings}\\n[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n{install}\\n"
    );
    format!("[[step]]\nunit = {{ name = \"{name}\", content = \"{content}\" }}\n")
}

fn service(name: &str, wish: &str) -> String {
    format!("[[step]]\nservice = {{ name = \"{name}\", {wish} }}\n")
}

const SOCKET: &str = "[[step]]\nunit = { name = \"ak.socket\", content = \"[Socket]\\nListenStream=/run/ak\\n[Install]\\nWantedBy=sockets.target\\n\" }\n";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_also_and_alias_name_is_planned_shown_and_undone() {
    let project = Project::new();
    let enabled = || project.on_host("systemctl is-enabled ak.service ak.socket || :");
    let undo = || project.done(&["undo", &project.host.name, "--yes"]);
    let units = format!("{}{SOCKET}", unit("ak", "", "Also=ak.socket"));
    let both = format!("{units}{}", service("ak", "enabled = true"));
    project.playbook(&both);
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("ak.socket enabled: false → true"), "{plan:?}");
    project.converge();
    assert_eq!(enabled(), "enabled\nenabled");
    project.playbook(&format!("{units}{}", service("ak", "enabled = false")));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("ak.socket enabled: true → false"), "{plan:?}");
    project.converge();
    assert_eq!(enabled(), "disabled\ndisabled");
    undo();
    assert_eq!(enabled(), "enabled\nenabled");

    // What was enabled before stays so when the unit that names it is disabled again.
    project.on_host("systemctl disable ak.service; systemctl enable ak.socket");
    project.playbook(&both);
    project.converge();
    undo();
    assert_eq!(enabled(), "disabled\nenabled");

    // By the texts of the host alone, and by an [Install] section that changes.
    project.playbook(&format!("{}{}", service("ak.socket", "enabled = false"), service("ak", "enabled = true")));
    let refused = project.run(&["plan", "site.toml"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for part in ["site.toml:3", "site.toml:5", "takes back", "ak.service names ak.socket in Also=: put this step after"]
    {
        assert!(refused.err.contains(part), "lacks {part:?}: {refused:?}");
    }
    project.playbook(&both);
    project.converge();
    project.playbook(&format!("{}{SOCKET}{}", unit("ak", "", ""), service("ak", "enabled = true")));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("ak.socket enabled: true → false"), "{plan:?}");
    project.converge();
    assert_eq!(enabled(), "enabled\ndisabled");
    project.playbook(&format!(
        "{units}[[step]]\nunit = {{ name = \"ak\", state = \"absent\" }}\n{}",
        service("ak.socket", "enabled = true")
    ));
    let text = project.run(&["plan", "site.toml"]);
    assert_eq!(text.code, 1, "{text:?}");
    project.playbook(&format!(
        "[[step]]\nunit = {{ name = \"ak\", state = \"absent\" }}\n{}",
        service("ak.socket", "enabled = true")
    ));
    project.converge();

    // An alias that the playbook makes is known from the step on that enables the unit.
    let file = "[[step]]\nfile = { path = \"/etc/el.conf\", content = \"1\" }\nrestart = [\"el\"]\n";
    let alias = unit("al", "", "Alias=el.service");
    project.playbook(&format!("{alias}{file}"));
    let refused = project.run(&["plan", "site.toml"]);
    assert!(refused.code == 1 && refused.err.contains("there is no unit el.service"), "{refused:?}");
    project.playbook(&format!(
        "{alias}{}{}{file}",
        service("al", "enabled = true, running = true"),
        service("el", "running = true")
    ));
    project.converge();
    assert_eq!(
        project.on_host("systemctl is-active al el; systemctl show -p Id --value el"),
        "active\nactive\nal.service"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn services_that_exclude_or_require_each_other_are_refused_with_both_places() {
    let project = Project::new();
    let runs = |name: &str, runs: bool| format!("{}name = \"{name}\"\n", service(name, &format!("running = {runs}")));
    let texts = [
        unit("w2", "Conflicts=w3.service", ""),
        unit("w3", "", ""),
        unit("q1", "", ""),
        unit("q2", "Requires=q1.service", ""),
        unit("b2", "BindsTo=q1.service\\nAfter=q1.service", ""),
    ]
    .concat();
    let cases = [
        (runs("w2", true), runs("w3", true), "w2.service has Conflicts=w3.service"),
        (runs("w3", true), runs("w2", true), "w2.service has Conflicts=w3.service"),
        (runs("q1", false), runs("q2", true), "q2.service requires q1.service"),
        (runs("q2", true), runs("q1", false), "q2.service stops with q1.service"),
        (runs("q1", false), runs("b2", true), "b2.service requires q1.service"),
    ];
    let refuses_all = |texts: &str| {
        for (first, second, why) in &cases {
            project.playbook(&format!("{texts}{first}{second}"));
            let refused = project.run(&["plan", "site.toml"]);
            assert_eq!(refused.code, 1, "{first}{second}\n{refused:?}");
            let line = |part: &str| texts.lines().count() + part.lines().count() + 3;
            for part in
                [&format!("at site.toml:{}:", line("")), &format!("at site.toml:{}:", line(first)), "takes back", *why]
            {
                assert!(refused.err.contains(part), "{first}{second}\nlacks {part:?}: {}", refused.err);
            }
        }
    };
    // By the texts of the run, by those of the host, and where one runs already.
    refuses_all(&texts);
    project.playbook(&texts);
    project.converge();
    refuses_all("");
    project.on_host("systemctl start w3 q1");
    refuses_all("");
    // What goes together is planned as it will be.
    project.playbook(&format!("{}{}{}{}", runs("w3", false), runs("w2", true), runs("q2", true), runs("q1", true)));
    project.converge();
    let active = || project.on_host("systemctl is-active w2 w3 q1 q2 || :");
    assert_eq!(active(), "active\ninactive\nactive\nactive");

    // What no step names is shown, and undone with the unit.
    project.on_host("systemctl stop w2 q1; systemctl start w3");
    project.playbook(&format!("{}{}", runs("w2", true), runs("q2", true)));
    let plan = project.run(&["plan", "site.toml"]);
    for part in ["w3.service running: true → false", "q1.service running: false → true"] {
        assert!(plan.out.contains(part), "lacks {part:?}: {plan:?}");
    }
    project.converge();
    assert_eq!(active(), "active\ninactive\nactive\nactive");
    project.done(&["undo", &project.host.name, "--yes"]);
    assert_eq!(active(), "inactive\nactive\ninactive\ninactive");

    // Texts of the run that say so no more are no contradiction.
    project.on_host("systemctl start w2 q2");
    project.playbook(&format!(
        "{}{}{}{}{}{}",
        unit("w2", "", ""),
        unit("q2", "", ""),
        runs("w2", true),
        runs("w3", true),
        runs("q2", true),
        runs("q1", false)
    ));
    project.converge();
    assert_eq!(active(), "active\nactive\ninactive\nactive");
}
