//! Paths that lead through links are one place under several names: steps that
//! use different names of it work together, and contradict each other, as they
//! would under one name; by the program on a real host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a host that cannot be used must stop the test

use crate::support::project::Project;

fn steps(steps: &[&str]) -> String {
    steps.iter().map(|step| format!("[[step]]\n{step}\n")).collect()
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_one_step_makes_is_there_for_the_next_under_every_name() {
    let project = Project::new();
    project.on_host(
        "mkdir -p /srv/rel2 /opt/real; ln -s rel2 /srv/current; ln -s /opt/near /opt/far; ln -s real /opt/near; \
         rm -rf /run/foo1",
    );
    let playbook = steps(&[
        "directory = { path = \"/run/foo1\" }",
        "file = { path = \"/var/run/foo1/a\", content = \"a\\n\" }",
        "directory = { path = \"/srv/current/sub\" }",
        "file = { path = \"/srv/rel2/sub/x\", content = \"x\\n\" }",
        "line = { path = \"/srv/current/sub/x\", line = \"y\" }",
        // A link to a link: what is between is no step's.
        "directory = { path = \"/opt/real/d\" }",
        "file = { path = \"/opt/far/d/x\", content = \"far\\n\" }",
        // A link that the run makes.
        "directory = { path = \"/srv/new\" }",
        "link = { path = \"/srv/way\", target = \"new\" }",
        "directory = { path = \"/srv/way/sub\" }",
        "file = { path = \"/srv/new/sub/z\", content = \"z\\n\" }",
    ]);
    // The line would be taken back by the file with exact content.
    project.playbook(&playbook.replace("[[step]]\nline = { path = \"/srv/current/sub/x\", line = \"y\" }\n", ""));
    project.converge();
    let found = project.on_host("cat /run/foo1/a /srv/rel2/sub/x /opt/real/d/x /srv/new/sub/z; readlink /srv/way");
    assert_eq!(found, "a\nx\nfar\nz\nnew");
    project.playbook(&playbook);
    let refused = project.run(&["plan", "site.toml"]);
    assert!(refused.code == 1 && refused.err.contains("takes back"), "{refused:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_file_that_is_edited_under_two_names_keeps_what_is_in_it() {
    let project = Project::new();
    // The names sort either way; hard links are names of one file, too.
    project.on_host(
        "mkdir -p /opt/z1 /opt/a2; ln -sfn z1 /opt/l1; ln -sfn a2 /opt/l2; printf 'old1\\nold2\\n' | tee /opt/z1/x >/opt/a2/x; \
         printf 'k=0\\nold=1\\n' >/opt/h1; ln /opt/h1 /opt/h2; printf 'k=0\\n' >/usr/lib/z7.conf",
    );
    let playbook = steps(&[
        "line = { path = \"/opt/z1/x\", line = \"b\" }",
        "line = { path = \"/opt/l1/x\", line = \"c\" }",
        "line = { path = \"/opt/l2/x\", line = \"b\" }",
        "line = { path = \"/opt/a2/x\", line = \"c\" }",
        "line = { path = \"/opt/l2/x\", line = \"d\" }",
        "setting = { path = \"/usr/lib/z7.conf\", key = \"k\", value = \"1\" }",
        "setting = { path = \"/lib/z7.conf\", key = \"l\", value = \"2\" }",
        "setting = { path = \"/opt/h1\", key = \"k\", value = \"1\" }",
        "setting = { path = \"/opt/h2\", key = \"old\", value = \"1\" }",
    ]);
    project.playbook(&playbook);
    let planned = project.run(&["plan", "site.toml"]);
    assert!(!planned.out.contains("@@ -0,0"), "an existing file is shown as empty: {planned:?}");
    project.converge();
    let found =
        project.on_host("cat /opt/z1/x; echo; cat /opt/a2/x; echo; cat /lib/z7.conf; echo; cat /opt/h1 /opt/h2");
    assert_eq!(found, "old1\nold2\nb\nc\n\nold1\nold2\nb\nc\nd\n\nk=1\nl=2\n\nk=1\nold=1\nk=0\nold=1");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn steps_that_contradict_each_other_through_a_link_are_refused() {
    let project = Project::new();
    project.on_host("mkdir -p /srv/d; ln -s d /srv/l; echo 1 >/srv/d/there; rm -rf /run/zz /srv/n*");
    let cases: [&[&str]; 4] = [
        &["file = { path = \"/run/zz\", content = \"1\" }", "file = { path = \"/var/run/zz\", content = \"2\" }"],
        &["file = { path = \"/srv/l/f\", content = \"1\" }", "file = { path = \"/srv/d/f\", state = \"absent\" }"],
        &[
            "file = { path = \"/srv/l/there\", content = \"1\\n\" }",
            "directory = { path = \"/srv/d\", state = \"absent\", recursive = true }",
        ],
        &[
            "directory = { path = \"/srv/new\" }",
            "link = { path = \"/srv/nl\", target = \"/srv/new\" }",
            "file = { path = \"/srv/new/f\", content = \"y\" }",
            "file = { path = \"/srv/nl/f\", content = \"z\" }",
        ],
    ];
    for case in cases {
        project.playbook(&steps(case));
        let planned = project.run(&["plan", "site.toml"]);
        assert!(planned.code == 1 && planned.err.contains("takes back"), "{case:?}\n{planned:?}");
    }
    // The link goes; what it led to stays.
    project.playbook(&steps(&[
        "file = { path = \"/srv/d/f\", content = \"1\" }",
        "link = { path = \"/srv/l\", state = \"absent\" }",
    ]));
    project.converge();
    assert_eq!(project.on_host("cat /srv/d/there; ls /srv"), "1\nd");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_link_is_turned_into_a_directory() {
    let project = Project::new();
    project.on_host("mkdir /srv/old; echo kept >/srv/old/f; ln -s old /srv/l");
    project.playbook(&steps(&[
        "link = { path = \"/srv/l\", state = \"absent\" }",
        "directory = { path = \"/srv/l\" }",
        "file = { path = \"/srv/l/f\", content = \"new\\n\" }",
    ]));
    project.converge();
    assert_eq!(project.on_host("stat -c %F /srv/l; cat /srv/l/f /srv/old/f"), "directory\nnew\nkept");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_link_to_nothing_above_what_is_made_is_refused() {
    let project = Project::new();
    project.on_host("ln -s nowhere /srv/dangling; echo x >/srv/file; ln -s file /srv/to-file");
    let cases = [
        ("file = { path = \"/srv/dangling/a\", content = \"\" }", "/srv/nowhere, which is not there"),
        ("directory = { path = \"/srv/dangling/a/b\", parents = true }", "/srv/nowhere, which is not there"),
        ("link = { path = \"/srv/to-file/a\", target = \"b\" }", "/srv/file, which is a regular file"),
        (
            "link = { path = \"/srv/made\", target = \"/srv/none\" }\n[[step]]\nfile = { path = \"/srv/made/a\", content = \"\" }",
            "/srv/none, which is not there",
        ),
    ];
    for (step, why) in cases {
        project.playbook(&steps(&[step]));
        let planned = project.run(&["plan", "site.toml"]);
        assert!(planned.code == 1 && planned.err.contains(why), "{step}\n{planned:?}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_new_number_of_a_group_or_user_leaves_its_files_to_be_given_to_it_again() {
    let project = Project::new();
    project.on_host(
        "groupadd -g 8800 gg; useradd -u 8700 -m -d /home/gu gu; mkdir /srv/gid /home/gu/own; \
         chown gu:gg /srv/gid; chown gu:gg /home/gu/own; touch /srv/gid/in; chown gu:gg /srv/gid/in",
    );
    project.playbook(&steps(&[
        "group = { name = \"gg\", gid = 8801 }",
        "user = { name = \"gu\", uid = 8701 }",
        "directory = { path = \"/srv/gid\", owner = \"gu\", group = \"gg\", recursive = true }",
        "directory = { path = \"/home/gu/own\", owner = \"gu\", group = \"gg\" }",
    ]));
    project.converge();
    assert_eq!(project.on_host("stat -c %u:%g /srv/gid /srv/gid/in /home/gu/own"), "8701:8801\n8701:8801\n8701:8801");
}
