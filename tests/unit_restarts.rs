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
    let state = || {
        project.on_host("systemctl is-active rs.socket rs.service | xargs; systemctl show -p Listen --value rs.socket")
    };
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
    project.on_host(
        "systemctl stop rs.socket 2>/dev/null; systemctl start rs.service; systemctl is-active rs.socket || :",
    );
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

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_is_mounted_from_elsewhere_or_of_another_type_is_mounted_anew_and_only_then() {
    let project = Project::new();
    project.on_host("mkdir -p /srv/a /srv/b /srv/bind /srv/t /srv/data; echo a >/srv/a/file; echo b >/srv/b/file");
    let fstab = |lines: [&str; 2], restart: bool| {
        let restarts = |unit: &str| if restart { format!("restart = [\"{unit}\"]\n") } else { String::new() };
        format!(
            "[[step]]\nline = {{ path = \"/etc/fstab\", line = \"{}\", match = '\\s/srv/bind\\s', create = true }}\n{}\
             [[step]]\nline = {{ path = \"/etc/fstab\", line = \"{}\", match = '\\s/srv/t\\s' }}\n{}\
             [[step]]\nservice = {{ name = \"srv-bind.mount\", running = true }}\n\
             [[step]]\nservice = {{ name = \"srv-t.mount\", running = true }}\n",
            lines[0],
            restarts("srv-bind.mount"),
            lines[1],
            restarts("srv-t.mount")
        )
    };
    let mounted = || project.on_host("cat /srv/bind/file; findmnt -n -o FSTYPE /srv/t");
    let anew = |text: &str, unit: &str| text.contains(&format!("{unit} is unmounted and mounted anew"));
    project.playbook(&fstab(["/srv/a /srv/bind none bind 0 0", "tmpfs /srv/t tmpfs size=1m 0 0"], true));
    project.converge();
    assert_eq!(mounted(), "a\ntmpfs");
    project.playbook(&fstab(["/srv/b /srv/bind none bind 0 0", "tmpfs /srv/t ramfs defaults 0 0"], true));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(anew(&plan.out, "srv-bind.mount") && anew(&plan.out, "srv-t.mount"), "{plan:?}");
    project.converge();
    assert_eq!(mounted(), "b\nramfs");
    project.playbook(&fstab(["/srv/b /srv/bind none bind,noatime 0 0", "tmpfs /srv/t ramfs noatime 0 0"], true));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(!plan.out.contains("mounted anew") && plan.out.contains("srv-bind.mount is remounted"), "{plan:?}");
    project.converge();

    // Without a restart the old ones are in force, now and in every later run.
    project.playbook(&fstab(["/srv/a /srv/bind none bind 0 0", "tmpfs /srv/t tmpfs size=1m 0 0"], false));
    for ran in [project.run(&["plan", "site.toml"]), project.apply(), project.apply()] {
        let text = format!("{}{}", ran.out, ran.err);
        assert!(text.contains("srv-bind.mount") && text.contains("not /srv/a"), "{ran:?}");
        assert!(text.contains("srv-t.mount") && text.contains("ramfs"), "{ran:?}");
    }
    assert_eq!(project.apply().code, 3);
    project.on_host("systemctl restart srv-bind.mount srv-t.mount");
    project.converge();
    // A link to what is mounted is no other source.
    project.on_host("ln -s a /srv/link");
    project.playbook(&fstab(["/srv/link /srv/bind none bind 0 0", "tmpfs /srv/t tmpfs size=1m 0 0"], false));
    project.converge();

    // Of a unit of its own only options change: a remount, and what is below stays.
    let unit = |what: &str, options: &str| {
        format!(
            "[[step]]\nunit = {{ name = \"srv-data.mount\", content = \"[Mount]\\nWhat={what}\\nWhere=/srv/data\\nType=tmpfs\\nOptions={options}\\n\" }}\n\
             restart = [\"srv-data.mount\"]\n\
             [[step]]\nservice = {{ name = \"srv-data.mount\", running = true }}\n\
             [[step]]\nfile = {{ path = \"/srv/data/file\", content = \"x\" }}\n"
        )
    };
    project.playbook(&unit("tmpfs", "size=8m"));
    project.converge();
    project.on_host("echo kept >/srv/data/own");
    project.playbook(&unit("tmpfs", "size=9m"));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(!anew(&plan.out, "srv-data.mount") && plan.out.contains("srv-data.mount is remounted"), "{plan:?}");
    project.converge();
    assert_eq!(project.on_host("cat /srv/data/own; findmnt -n -o OPTIONS /srv/data | grep -o size=9"), "kept\nsize=9");
    // From elsewhere: what is below is decided when that is mounted.
    project.playbook(&unit("other", "size=9m"));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(anew(&plan.out, "srv-data.mount") && plan.out.contains("decided at its turn"), "{plan:?}");
    project.converge();
    assert_eq!(project.on_host("ls /srv/data; findmnt -n -o SOURCE /srv/data"), "file\nother");
    project.done(&["undo", &project.host.name, "--yes"]);
    assert_eq!(project.on_host("findmnt -n -o SOURCE /srv/data"), "tmpfs");
}
