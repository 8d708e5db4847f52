//! Restarts that systemd refuses, or that take up nothing, as they are: those of
//! sockets whose service is active, and of what is mounted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_socket_is_restarted_and_started_although_its_service_is_active() {
    let project = Project::new();
    let steps = |port: &str| {
        format!(
            "[[step]]\nunit = {{ name = \"rs.socket\", content = \"[Socket]\\nListenStream=127.0.0.1:{port}\\n[Install]\\nWantedBy=sockets.target\\n\" }}\n\
             restart = [\"rs.socket\"]\n\
             [[step]]\nunit = {{ name = \"rs.service\", content = \"[Service]\\nExecStart=/bin/sleep infinity\\n\" }}\n\
             [[step]]\nservice = {{ name = \"rs.socket\", enabled = true, running = true }}\n\
             [[step]]\nservice = {{ name = \"rs.service\", running = true }}\n"
        )
    };
    let state = || project.on_host("systemctl is-active rs.socket rs.service | xargs; systemctl show -p Listen --value rs.socket");
    project.playbook(&steps("9901"));
    project.converge();
    assert_eq!(state(), "active active\n127.0.0.1:9901 (Stream)");
    project.playbook(&steps("9902"));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("rs.service is stopped for rs.socket and started again"), "{plan:?}");
    project.converge();
    assert_eq!(state(), "active active\n127.0.0.1:9902 (Stream)");
    assert_eq!(project.on_host("ls /var/lib/stockade/owed"), "");
    project.done(&["undo", &project.host.name, "--yes"]);
    assert_eq!(state(), "active active\n127.0.0.1:9901 (Stream)");

    // A socket that failed beside its service is started, and what was pending is done.
    project.on_host("systemctl stop rs.socket 2>/dev/null; systemctl start rs.service; systemctl is-active rs.socket || :");
    project.playbook(&steps("9901"));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("rs.service is stopped for rs.socket and started again"), "{plan:?}");
    project.converge();
    assert_eq!(state(), "active active\n127.0.0.1:9901 (Stream)");

    // A socket that cannot listen fails, and its service runs on.
    project.playbook(&steps("22"));
    let failed = project.apply();
    assert_eq!(failed.code, 3, "{failed:?}");
    assert_eq!(project.on_host("systemctl is-active rs.service"), "active");
    project.playbook(&steps("9903"));
    project.converge();
    assert_eq!(state(), "active active\n127.0.0.1:9903 (Stream)");

    // Connections of a socket with a service for each of them stay.
    project.on_host(
        "printf '[Socket]\\nListenStream=127.0.0.1:9910\\nAccept=yes\\n' >/etc/systemd/system/ac.socket; \
         printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/ac@.service; systemctl daemon-reload; systemctl start ac.socket; \
         bash -c 'exec 3<>/dev/tcp/127.0.0.1/9910; sleep 1'; systemctl list-units --state=running --no-legend 'ac@*' | grep -q sleep || :",
    );
    let connections = || project.on_host("systemctl list-units --plain --no-legend 'ac@*.service' | cut -d' ' -f1");
    let before = connections();
    assert!(!before.is_empty());
    project.playbook(
        "[[step]]\ndropin = { unit = \"ac.socket\", name = \"x\", content = \"[Socket]\\nBacklog=9\\n\" }\nrestart = [\"ac.socket\"]\n",
    );
    project.converge();
    assert_eq!(connections(), before);
}
