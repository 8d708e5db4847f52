//! Packages on real hosts: the plan tells all that apt does, nothing goes that
//! the playbook does not name, and names mean what apt means by them. What came
//! of it is asked of dpkg.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::{Project, Ran};

/// A host whose only repository is a local one of these packages, with fresh lists.
fn site(packages: &str) -> Project {
    let site = Project::new();
    // Whatever the lab's image names must not be waited for.
    site.on_host("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*");
    offer(&site, packages);
    site
}

/// Adds packages to the local repository.
fn offer(site: &Project, packages: &str) {
    let script = include_str!("fixtures/local-repository.sh");
    site.host.exec_with_input(&["sh", "-c", "cat >/root/repository.sh"], script.as_bytes()).unwrap();
    let made =
        site.host.exec_with_input(&["sh", "/root/repository.sh", "/srv/repository"], packages.as_bytes()).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn step(site: &Project, package: &str) {
    site.playbook(&format!("[[step]]\npackage = {{ {package} }}\n"));
}

fn plan(site: &Project, package: &str) -> Ran {
    step(site, package);
    site.run(&["plan", "site.toml", "--detailed-exitcode"])
}

/// A plan that is refused, and touches nothing.
fn refused(site: &Project, package: &str, parts: &[&str]) {
    let before = packages(site);
    let planned = plan(site, package);
    assert_eq!(planned.code, 1, "{planned:?}");
    for part in parts {
        assert!(planned.err.contains(part), "{part}: {planned:?}");
    }
    let applied = site.apply();
    assert_eq!(applied.code, 1, "{applied:?}");
    assert_eq!(before, packages(site));
}

fn converge(site: &Project, package: &str) -> String {
    step(site, package);
    site.converge()
}

/// All that dpkg knows, with versions and marks.
fn packages(site: &Project) -> String {
    site.on_host(
        "dpkg-query -W -f '${binary:Package} ${Version} ${db:Status-Abbrev}\\n'; cat /var/lib/apt/extended_states",
    )
}

/// The state of packages, such as `ii 1.0`, in a line each.
fn state(site: &Project, names: &str) -> String {
    site.on_host(&format!(
        "for n in {names}; do dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}\\n' $n 2>/dev/null | grep -v ^un || echo none; done"
    ))
}

/// A playbook of one package step after the other.
fn steps(site: &Project, packages: &[&str]) {
    let step = |package: &&str| format!("[[step]]\npackage = {{ {package} }}\n");
    site.playbook(&packages.iter().map(step).collect::<String>());
}

/// A playbook that is refused with all of these words and none of those, and touches nothing.
fn refused_for(site: &Project, blamed: &[&str], innocent: &[&str]) {
    let before = packages(site);
    for arguments in [&["plan", "site.toml"][..], &["apply", "site.toml", "--yes"]] {
        let ran = site.run(arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        for part in blamed {
            assert!(ran.err.contains(part), "{part}: {ran:?}");
        }
        for part in innocent {
            assert!(!ran.err.contains(part), "{part}: {ran:?}");
        }
    }
    assert_eq!(before, packages(site));
}

const FIREWALLS: &str = "wall 1.0 Depends: wall-lib\nwall-lib 1.0\ntables 2.0 Depends: tables-lib; Conflicts: wall\ntables-lib 2.0\nneeds-wall 1.0 Depends: wall\n";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_plan_tells_all_that_apt_does_and_nothing_goes_that_is_not_named() {
    let site = site(FIREWALLS);
    let planned = plan(&site, "name = \"wall\"");
    assert_eq!(planned.code, 2, "{planned:?}");
    for part in ["version: 1.0", "package wall-lib: 1.0", "download: ", "disk space: "] {
        assert!(planned.out.contains(part), "{part}: {planned:?}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&site.run(&["plan", "site.toml", "--format", "json"]).out).unwrap();
    let changes = json["hosts"][0]["steps"][0]["changes"].as_array().unwrap();
    assert!(changes.iter().any(|c| c["field"] == "package wall-lib" && c["after"] == "1.0"), "{json:#}");
    let markdown = site.done(&["plan", "site.toml", "--format", "markdown"]);
    assert!(markdown.contains("wall-lib"), "{markdown}");
    site.converge();
    assert_eq!(state(&site, "wall wall-lib"), "ii 1.0\nii 1.0");

    let tables = "name = \"tables\"";
    refused(&site, tables, &["apt would also remove wall 1.0", "may_remove", "site.toml:"]);
    assert_eq!(state(&site, "wall tables"), "ii 1.0\nnone");
    let planned = plan(&site, "name = \"tables\", may_remove = \"wall\"");
    assert!(planned.out.contains("package wall: 1.0 → (none)"), "{planned:?}");
    let marks = site.on_host("apt-mark showauto | sort");
    site.converge();
    assert_eq!(state(&site, "wall tables tables-lib"), "none\nii 2.0\nii 2.0");
    assert!(marks.contains("wall-lib"), "{marks}");

    // What went comes back, with its mark and version; what came goes, though nobody named it.
    let name = site.host.name.clone();
    let shown = site.done(&["undo", &name, "--packages", "--plan"]);
    assert!(shown.contains("wall") && shown.contains("tables-lib"), "{shown}");
    site.done(&["undo", &name, "--packages", "--yes"]);
    assert_eq!(state(&site, "wall tables tables-lib"), "ii 1.0\nnone\nnone");
    assert_eq!(site.on_host("apt-mark showauto | sort"), marks);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_package_goes_only_with_those_that_the_playbook_names() {
    let site = site(&format!("{FIREWALLS}left 1.0 Depends: left-lib\nleft-lib 1.0\n"));
    converge(&site, "names = [\"needs-wall\", \"left\"]");
    refused(&site, "name = \"wall\", state = \"absent\"", &["needs-wall 1.0", "does not name"]);
    // Two steps name both; what apt would clean up besides stays, whatever the host's configuration says.
    site.on_host("echo 'APT::Get::AutomaticRemove \"true\";' >/etc/apt/apt.conf.d/99auto");
    site.playbook(
        "[[step]]\npackage = { name = \"wall\", state = \"absent\" }\n[[step]]\npackage = { name = \"needs-wall\", state = \"absent\" }\n",
    );
    site.converge();
    assert_eq!(state(&site, "wall needs-wall wall-lib"), "none\nnone\nii 1.0");

    let planned = plan(&site, "autoremove = true");
    assert!(planned.out.contains("package wall-lib: 1.0 → (none)"), "{planned:?}");
    assert!(!planned.out.contains("left-lib"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "wall-lib left-lib"), "none\nii 1.0");

    // What a removal of the same run leaves is decided when it has happened.
    site.playbook(
        "[[step]]\npackage = { name = \"left\", state = \"absent\" }\n[[step]]\npackage = { autoremove = true }\n",
    );
    let planned = site.run(&["plan", "site.toml"]);
    assert!(planned.out.contains("decided at its turn"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "left left-lib"), "none\nnone");

    // What the playbook names stays, though it came for another package.
    converge(&site, "name = \"left\"");
    site.playbook(
        "[[step]]\npackage = { name = \"left-lib\" }\n[[step]]\npackage = { name = \"left\", state = \"absent\" }\n\
         [[step]]\npackage = { autoremove = true }\n",
    );
    site.converge();
    assert_eq!(state(&site, "left left-lib"), "none\nii 1.0");
    site.playbook("[[step]]\npackage = { autoremove = true }\n[[step]]\npackage = { name = \"left-lib\" }\n");
    site.converge();
    assert_eq!(state(&site, "left-lib"), "ii 1.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_only_the_apply_can_know_is_asked_of_apt_by_the_host_before_anything_goes() {
    let site = site(FIREWALLS);
    converge(&site, "name = \"wall\"");
    // Old lists say nothing of what an update brings.
    site.on_host("rm -rf /var/lib/apt/lists/*");
    let planned = plan(&site, "name = \"tables\"");
    assert_eq!(planned.code, 2, "{planned:?}");
    assert!(planned.out.contains("other packages: (known after apply)"), "{planned:?}");
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert!(applied.out.contains("apt would also remove wall"), "{applied:?}");
    assert_eq!(state(&site, "wall tables"), "ii 1.0\nnone");
    // A plan that was made before is checked too.
    let marks = site.on_host("sha256sum /var/lib/apt/extended_states");
    assert_eq!(plan(&site, "name = \"tables-lib\"").code, 2);
    assert_eq!(site.on_host("sha256sum /var/lib/apt/extended_states"), marks, "a plan rewrites no marks");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn packages_that_are_there_are_not_asked_of_apt() {
    let site = site("bare 1.0\nvirtue 1.0 Provides: grace\n");
    let all = "names = [\"bare\", \"virtue\"], held = false";
    converge(&site, all);
    site.on_host(
        "for p in apt-get apt-cache apt-mark; do printf '#!/bin/sh\\necho \"$0 $*\" >>/run/asked\\nexec /usr/bin/%s \"$@\"\\n' $p \
         >/usr/local/sbin/$p; chmod 755 /usr/local/sbin/$p; done",
    );
    assert_eq!(plan(&site, all).code, 0);
    assert_eq!(site.on_host("cat /run/asked 2>/dev/null || :"), "");
    assert_eq!(plan(&site, "name = \"bare\", version = \"9\"").code, 2);
    assert_ne!(site.on_host("cat /run/asked"), "", "the watcher sees what is asked");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn names_mean_what_apt_means_by_them() {
    let site = site(
        "native 1.0\neverywhere 1.0 Architecture: all\nvirtue 1.0 Provides: grace\nmta-one 1.0 Provides: mta\nmta-two 1.0 Provides: mta (= 3)\n\
         strong 1.0 Recommends: weak\nweak 1.0\n",
    );
    let arch = site.on_host("dpkg --print-architecture");
    converge(&site, &format!("names = [\"native:{arch}\", \"everywhere:{arch}\"]"));
    converge(&site, "names = [\"native:all\", \"everywhere:all\", \"native\", \"everywhere\"]");
    assert_eq!(state(&site, "native everywhere"), "ii 1.0\nii 1.0");
    converge(&site, &format!("names = [\"native:{arch}\", \"everywhere:all\"], state = \"absent\""));
    assert_eq!(state(&site, "native everywhere"), "none\nnone");

    let planned = plan(&site, "name = \"grace\"");
    assert!(planned.out.contains("virtue") && planned.out.contains("virtual package"), "{planned:?}");
    assert!(planned.out.contains("version: 1.0"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "virtue"), "ii 1.0");
    refused(&site, "name = \"mta\"", &["virtual package that several provide", "mta-one, mta-two"]);
    converge(&site, "name = \"mta-two\"");
    assert_eq!(plan(&site, "name = \"mta\"").code, 0, "one of them is there");

    // Without lists nobody knows whether a package has the name of a virtual one.
    offer(&site, "claims 1.0 Provides: real\nreal 1.0\n");
    converge(&site, "name = \"claims\"");
    site.on_host("rm -rf /var/lib/apt/lists/*");
    converge(&site, "names = [\"everywhere\", \"real\", \"mta\"]");
    assert_eq!(state(&site, "everywhere real"), "ii 1.0\nii 1.0");
    site.on_host("rm -rf /var/lib/apt/lists/*");
    converge(&site, "name = \"mta\"");

    // A name is no expression.
    step(&site, "name = \"nat.ve\"");
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert_eq!(state(&site, "native"), "none");

    converge(&site, "name = \"strong\", recommends = false");
    assert_eq!(state(&site, "strong weak"), "ii 1.0\nnone");
    site.on_host("apt-get -qq -y purge strong >/dev/null");
    let planned = plan(&site, "name = \"strong\", recommends = true");
    assert!(planned.out.contains("package weak: 1.0"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "strong weak"), "ii 1.0\nii 1.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn versions_go_down_only_where_that_is_permitted_and_holds_are_kept() {
    let site = site(
        "app 1.0\napp 1.1\napp 2.0\nsuite testing\nfresh 5.0\nsuite stable\nfresh 4.0\nleft-conf 1.0\nruled-out 1.0\n",
    );
    converge(&site, "name = \"app\", version = \"1.1\"");
    refused(&site, "name = \"app\", version = \"1.0\"", &["installed in version 1.1", "allow_downgrade"]);
    refused(&site, "name = \"app\", version = \"1.0*\"", &["allow_downgrade"]);
    refused(&site, "name = \"app\", version = \"1.7\", allow_downgrade = true", &["1.7"]);
    let planned = plan(&site, "name = \"app\", version = \"1.0*\", allow_downgrade = true");
    assert!(planned.out.contains("version: 1.1 → 1.0\n"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "app"), "ii 1.0");

    converge(&site, "name = \"app\", held = true");
    assert_eq!(site.on_host("apt-mark showhold"), "app");
    refused(&site, "name = \"app\", version = \"2.0\"", &["is held on this host"]);
    let planned = plan(&site, "upgrade = \"safe\"");
    assert_eq!(planned.code, 0, "what is held is not upgraded: {planned:?}");
    converge(&site, "name = \"app\", version = \"1.1\", held = false");
    assert_eq!(state(&site, "app"), "ii 1.1");
    let planned = plan(&site, "upgrade = \"safe\"");
    assert!(planned.out.contains("package app: 1.1 → 2.0"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "app"), "ii 2.0");

    // What the host's preferences rule out is not said to be unknown.
    site.on_host("printf 'Package: ruled-out\\nPin: version *\\nPin-Priority: -1\\n' >/etc/apt/preferences.d/no");
    refused(&site, "name = \"ruled-out\"", &["preferences", "(1.0)"]);
    site.playbook(
        "[[step]]\nfile = { path = \"/etc/apt/preferences.d/no\", state = \"absent\" }\n\
         [[step]]\nfile = { path = \"/etc/apt/preferences.d/new\", content = \"Package: fresh\\nPin: release a=testing\\nPin-Priority: 999\\n\" }\n\
         [[step]]\npackage = { names = [\"ruled-out\", \"fresh\"] }\n",
    );
    let planned = site.run(&["plan", "site.toml"]);
    assert!(planned.out.contains("fresh: (known after apply)"), "no version by the preferences before: {planned:?}");
    site.converge();
    assert_eq!(state(&site, "ruled-out fresh"), "ii 1.0\nii 5.0");
    site.on_host("rm /etc/apt/preferences.d/new; apt-get -qq -y purge fresh >/dev/null");

    let planned = plan(&site, "name = \"fresh\", default_release = \"testing\"");
    assert!(planned.out.contains("version: 5.0"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "fresh"), "ii 5.0");

    converge(&site, "name = \"left-conf\"");
    converge(&site, "name = \"left-conf\", state = \"absent\"");
    assert_eq!(site.on_host("cat /etc/left-conf.conf"), "x");
    converge(&site, "name = \"left-conf\", state = \"absent\", purge = true");
    assert_eq!(site.on_host("test -e /etc/left-conf.conf || echo gone"), "gone");
    assert_eq!(state(&site, "left-conf"), "none");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_full_upgrade_removes_only_what_is_named() {
    let site = site("old 1.0\nbig 1.0\n");
    converge(&site, "names = [\"old\", \"big\"]");
    offer(&site, "big 2.0 Depends: new; Conflicts: old\nnew 1.0\n");
    let planned = plan(&site, "upgrade = \"safe\"");
    assert_eq!(planned.code, 0, "{planned:?}");
    refused(&site, "upgrade = \"full\"", &["apt would also remove old 1.0"]);
    let planned = plan(&site, "upgrade = \"full\", may_remove = [\"old\"]");
    for part in ["package big: 1.0 → 2.0", "package new: 1.0", "package old: 1.0 → (none)"] {
        assert!(planned.out.contains(part), "{part}: {planned:?}");
    }
    site.converge();
    assert_eq!(state(&site, "old big new"), "none\nii 2.0\nii 1.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_local_file_is_installed_with_what_it_needs_and_questions_are_answered() {
    let site = site("lib 1.0\nit-asks 1.0 Depends: debconf\n");
    offer(&site, "suite other\nown 1.2 Depends: lib\n");
    let deb = site.host.exec(&["sh", "-c", "cat /srv/repository/pool/other/own_1.2_*.deb"]).unwrap().stdout;
    let arch = site.on_host("dpkg --print-architecture");
    std::fs::write(site.folder().join(format!("own_1.2_{arch}.deb")), &deb).unwrap();
    site.on_host("sed -i '/ other /d' /etc/apt/sources.list.d/local.list; rm -f /var/lib/apt/lists/*other*");
    let own = format!("deb = \"own_1.2_{arch}.deb\"");
    let planned = plan(&site, &own);
    assert!(planned.out.contains("version: 1.2") && planned.out.contains("known after apply"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "own lib"), "ii 1.2\nii 1.0");
    // A file that is of another version than it says changes nothing.
    std::fs::write(site.folder().join(format!("own_1.3_{arch}.deb")), &deb).unwrap();
    step(&site, &format!("deb = \"own_1.3_{arch}.deb\""));
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert!(applied.out.contains("not 'own 1.3'"), "{applied:?}");
    assert_eq!(state(&site, "own"), "ii 1.2");

    converge(&site, "name = \"it-asks\", debconf = { \"it-asks/answer\" = { type = \"select\", value = \"green\" } }");
    assert_eq!(site.on_host("cat /etc/it-asks.colour"), "green");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_dead_repository_is_named_and_does_not_decide_whether_lists_were_there_before() {
    let site = site("bare 1.0\nmore 1.0\n");
    site.on_host("echo 'deb [trusted=yes] http://127.0.0.1:9/gone stable main' >/etc/apt/sources.list.d/gone.list");
    converge(&site, "name = \"bare\"");
    site.on_host("rm -rf /var/lib/apt/lists/*");
    step(&site, "name = \"more\"");
    let applied = site.apply();
    assert_eq!(applied.code, 0, "{applied:?}");
    assert!(format!("{applied:?}").contains("127.0.0.1:9/gone"), "{applied:?}");
    assert_eq!(state(&site, "bare more"), "ii 1.0\nii 1.0");
    // Where nothing can be read nothing is taken for up to date.
    site.on_host(
        "rm -rf /var/lib/apt/lists/*; rm /etc/apt/sources.list.d/local.list; apt-get -qq -y purge more >/dev/null",
    );
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_steps_that_apt_refuses_are_the_ones_that_are_named() {
    let site = site(
        "one 1.0\ntwo 1.0\nthree 1.0\nmail-a 1.0 Provides: mta; Conflicts: mta\nmail-b 1.0 Provides: mta; Conflicts: mta\n\
         broken 1.0 Depends: not-there\nold-wall 1.0\nnew-wall 1.0 Conflicts: old-wall\nlib 1.0\nlib 2.0\n\
         tied 1.0 Depends: lib (= 1.0)\npinned 1.0 Depends: lib (>= 2)\n",
    );
    // What cannot be installed at all.
    steps(&site, &["name = \"one\"", "name = \"broken\"", "name = \"two\""]);
    refused_for(&site, &["step 2 (package broken) at site.toml:5", "not-there"], &["step 1 ", "step 3 ", "together"]);
    // A version that does not exist.
    steps(&site, &["name = \"one\"", "name = \"two\"", "name = \"three\", version = \"0.7\""]);
    refused_for(&site, &["step 3 (package three) at site.toml:7", "was not found"], &["step 1 ", "step 2 "]);
    // Two that exclude each other, with another between them.
    steps(&site, &["name = \"mail-a\"", "name = \"one\"", "name = \"mail-b\""]);
    refused_for(
        &site,
        &["step 3 (package mail-b) at site.toml:7", "together with step 1 (package mail-a) at site.toml:3"],
        &["step 2 "],
    );
    // Two at once, which have nothing to do with each other.
    steps(&site, &["name = \"broken\"", "name = \"one\"", "name = \"two\", version = \"0.7\""]);
    refused_for(&site, &["step 1 (package broken)", "step 3 (package two)"], &["step 2 ", "together"]);
    // What one wants in one version and the other needs in another.
    steps(&site, &["name = \"lib\", version = \"1.0\"", "name = \"tied\"", "name = \"pinned\""]);
    refused_for(&site, &["step 3 (package pinned)", "together with step 1 (package lib)"], &["step 2 "]);
    // What can only be had beside another step is not to blame.
    steps(&site, &["name = \"tied\"", "name = \"lib\", version = \"1.0\"", "name = \"one\", version = \"0.7\""]);
    refused_for(&site, &["step 3 (package one)"], &["step 1 ", "step 2 "]);
    // What is removed without being named.
    converge(&site, "name = \"old-wall\"");
    steps(&site, &["name = \"one\"", "name = \"new-wall\"", "name = \"two\""]);
    refused_for(
        &site,
        &["step 2 (package new-wall)", "apt would also remove old-wall 1.0", "may_remove"],
        &["step 1 ", "step 3 "],
    );
    // What is held keeps another step from what it needs.
    converge(&site, "name = \"lib\", version = \"1.0\", held = true");
    steps(&site, &["name = \"one\"", "name = \"pinned\""]);
    refused_for(&site, &["step 2 (package pinned)", "lib"], &["step 1 "]);
    // Released by a step before it, it does not; by one after it, it does.
    steps(&site, &["name = \"lib\", held = false", "name = \"one\"", "name = \"pinned\""]);
    let planned = site.run(&["plan", "site.toml"]);
    assert!(planned.out.contains("package lib: 1.0 → 2.0"), "{planned:?}");
    steps(&site, &["name = \"pinned\"", "name = \"lib\", held = false"]);
    refused_for(&site, &["step 1 (package pinned)"], &["step 2 "]);
    // A removal takes along what another step installs.
    site.on_host("apt-mark unhold lib >/dev/null");
    steps(&site, &["name = \"lib\", state = \"absent\"", "name = \"one\"", "name = \"tied\""]);
    refused_for(&site, &["step 3 (package tied)", "step 1 (package lib)"], &["step 2 "]);

    // Where only the host can know, it is asked again once it has failed there.
    steps(&site, &["name = \"one\"", "name = \"broken\"", "name = \"two\""]);
    site.on_host("rm -rf /var/lib/apt/lists/*");
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    let text = format!("{applied:?}");
    assert!(text.contains("step 2 (package broken) at site.toml:5"), "{applied:?}");
    assert!(!text.contains("nothing was touched") && text.contains("what was done before stays"), "{applied:?}");
    // Newer lists could have had this version.
    steps(&site, &["name = \"one\"", "name = \"two\"", "name = \"three\", version = \"7\""]);
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert!(applied.err.contains("about step 3 (package three) at site.toml:7"), "{applied:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn undo_brings_packages_to_their_former_versions() {
    let site = site("app 1.0 Depends: app-lib\napp-lib 1.0\nlost 1.0\nlocked 1.0\n");
    converge(&site, "names = [\"app\", \"lost\", \"locked\"]");
    let marks = site.on_host("apt-mark showauto | sort");
    offer(&site, "app 2.0 Depends: app-lib (= 2.0), app-more\napp-lib 2.0\napp-more 1.0\nlost 2.0\nlocked 2.0\n");
    // Nobody offers the old version of this one any more.
    site.on_host(
        "cd /srv/repository/dists/stable/main/binary-* && awk 'BEGIN { RS = \"\"; ORS = \"\\n\\n\" } !(/Package: lost\\n/ && /Version: 1.0\\n/)' \
         Packages >/root/new && cat /root/new >Packages && echo 'other 1.0' | sh /root/repository.sh /srv/repository",
    );
    steps(
        &site,
        &[
            "name = \"app\", state = \"latest\"",
            "name = \"lost\", state = \"latest\"",
            "name = \"locked\", state = \"latest\"",
            "name = \"locked\", held = true",
        ],
    );
    site.converge();
    let all = "app app-lib app-more lost locked";
    assert_eq!(state(&site, all), "ii 2.0\nii 2.0\nii 1.0\nii 2.0\nhi 2.0");
    let name = site.host.name.clone();
    let left = site.done(&["undo", &name, "--plan"]);
    assert!(left.contains("app-lib") && left.contains("only with --packages"), "{left}");
    let shown = site.done(&["undo", &name, "--packages", "--plan"]);
    for part in ["2.0 → 1.0", "no repository offers 1.0 any more", "app-more"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(state(&site, all), "ii 2.0\nii 2.0\nii 1.0\nii 2.0\nhi 2.0", "--plan only shows");
    site.done(&["undo", &name, "--packages", "--yes"]);
    assert_eq!(state(&site, all), "ii 1.0\nii 1.0\nnone\nii 2.0\nii 1.0");
    assert_eq!(site.on_host("apt-mark showauto | sort"), marks);
    assert_eq!(site.on_host("apt-mark showhold"), "");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn undo_of_an_apply_in_phases_tells_each_version_on_the_way_back() {
    let site = site("app 1.0\n");
    converge(&site, "name = \"app\"");
    offer(&site, "app 2.0\nuser-a 1.0 Depends: app (>= 2)\n");
    site.playbook(
        "[[step]]\npackage = { name = \"user-a\" }\n\
         [[step]]\ncommand = { run = \"echo app 3.0 | sh /root/repository.sh /srv/repository && touch /srv/done\", creates = \"/srv/done\" }\n\
         [[step]]\npackage = { upgrade = \"safe\" }\n",
    );
    site.converge();
    assert_eq!(state(&site, "app"), "ii 3.0");
    let name = site.host.name.clone();
    let shown = site.done(&["undo", &name, "--packages", "--plan"]);
    assert!(shown.contains("3.0 → 2.0") && shown.contains("2.0 → 1.0"), "{shown}");
    site.done(&["undo", &name, "--packages", "--yes"]);
    assert_eq!(state(&site, "app user-a"), "ii 1.0\nnone");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn undo_leaves_a_version_that_another_package_needs_by_now() {
    let site = site("lib 1.0\nalone 1.0\n");
    converge(&site, "names = [\"lib\", \"alone\"]");
    offer(&site, "lib 2.0\nalone 2.0\nuser 1.0 Depends: lib (>= 2)\n");
    converge(&site, "names = [\"lib\", \"alone\"], state = \"latest\"");
    let run = site.done(&["history"]);
    let run = run.lines().rfind(|line| line.contains("Test")).and_then(|line| line.split_whitespace().next()).unwrap();
    converge(&site, "name = \"user\"");
    let undo = ["undo", &site.host.name.clone(), run, "--packages"];
    let shown = site.done(&[&undo[..], &["--plan"]].concat());
    assert!(shown.contains("apt refuses the way back") && shown.contains("user"), "{shown}");
    site.done(&[&undo[..], &["--yes"]].concat());
    assert_eq!(state(&site, "lib alone user"), "ii 2.0\nii 1.0\nii 1.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_goes_with_a_package_is_not_wanted_by_another_step() {
    let site = site("daemon-conf 1.0 Unit: yes\nother 1.0\n");
    converge(&site, "names = [\"daemon-conf\", \"other\"]");
    assert_eq!(site.on_host("systemctl is-active daemon-conf"), "active");
    let absent = "[[step]]\npackage = { name = \"daemon-conf\", state = \"absent\" }\n";
    let purged = "[[step]]\npackage = { name = \"daemon-conf\", state = \"absent\", purge = true }\n";
    let service = "[[step]]\nservice = { name = \"daemon-conf\", running = true }\n";
    let enabled = "[[step]]\nservice = { name = \"daemon-conf\", enabled = true }\n";
    let line = "[[step]]\nline = { path = \"/etc/daemon-conf.conf\", line = \"y\" }\n";
    let meta = "[[step]]\nfile = { path = \"/etc/daemon-conf.conf\", mode = \"0600\" }\n";
    for (first, last) in [(service, absent), (enabled, absent), (service, purged), (line, purged), (meta, purged)] {
        site.playbook(&format!("{first}{last}"));
        refused_for(&site, &["site.toml:3", "site.toml:5", "takes back"], &[]);
    }
    for (first, last) in [(absent, service), (absent, enabled), (purged, meta)] {
        site.playbook(&format!("{first}{last}"));
        refused_for(&site, &["step 2 ", "site.toml:5"], &[]);
    }
    // What agrees is done.
    let stopped = "[[step]]\nservice = { name = \"daemon-conf\", running = false, enabled = false }\n";
    site.playbook(&format!("{line}{stopped}{absent}"));
    site.converge();
    assert_eq!(state(&site, "daemon-conf other"), "rc 1.0\nii 1.0");
    assert_eq!(site.on_host("cat /etc/daemon-conf.conf"), "x\ny");
    assert_eq!(site.on_host("systemctl is-active daemon-conf || :"), "inactive");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_upgrade_leaves_out_what_the_playbook_pins_or_holds() {
    let site = site("pinned 1.0\nkept 1.0\nother 1.0\nlate 1.0\n");
    converge(&site, "names = [\"pinned\", \"kept\", \"other\", \"late\"]");
    offer(&site, "pinned 2.0\npinned 3.0\nkept 3.0\nother 3.0\nlate 2.0\nlate 3.0\n");
    let pins = ["name = \"pinned\", version = \"2.0\", held = true", "name = \"kept\", held = true"];
    let after = "name = \"late\", version = \"2.0\"";
    steps(&site, &["upgrade = \"safe\"", pins[0], pins[1], after]);
    let planned = site.run(&["plan", "site.toml"]);
    assert!(planned.out.contains("package other: 1.0 → 3.0"), "{planned:?}");
    assert!(!planned.out.contains("kept: 1.0 → 3.0") && !planned.out.contains("1.0 → 2.0 → 3.0"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "pinned kept other late"), "hi 2.0\nhi 1.0\nii 3.0\nii 2.0");
    // The other order, and a full upgrade.
    site.on_host(
        "apt-mark unhold pinned kept >/dev/null; apt-get -qq -y install --allow-downgrades other=1.0 >/dev/null",
    );
    steps(&site, &[after, pins[0], pins[1], "upgrade = \"full\""]);
    site.converge();
    assert_eq!(state(&site, "pinned kept other late"), "hi 2.0\nhi 1.0\nii 3.0\nii 2.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_held_version_is_raised_and_held_again_in_one_step() {
    let site = site("app 1.0\ngone 1.0\n");
    converge(&site, "name = \"app\", version = \"1.0\", held = true");
    offer(&site, "app 3.0\n");
    refused(&site, "name = \"app\", version = \"3.0\"", &["is held on this host", "held = true"]);
    let planned = plan(&site, "name = \"app\", version = \"3.0\", held = true");
    assert!(planned.out.contains("version: 1.0 → 3.0"), "{planned:?}");
    site.converge();
    assert_eq!(state(&site, "app"), "hi 3.0");
    // What is held goes where its step releases it, as the refusal advises.
    converge(&site, "name = \"gone\", held = true");
    refused(&site, "name = \"gone\", state = \"absent\"", &["held = false in this step"]);
    converge(&site, "name = \"gone\", state = \"absent\", held = false");
    assert_eq!(state(&site, "gone"), "none");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_package_that_the_playbook_names_does_not_go_with_what_needed_it() {
    let site = site("leaf 1.0 Architecture: all\nparent 1.0 Depends: leaf\n");
    site.on_host("apt-get -qq -y install parent >/dev/null 2>&1");
    assert_eq!(site.on_host("apt-mark showauto leaf"), "leaf");
    steps(&site, &["name = \"leaf\"", "name = \"parent\", state = \"absent\""]);
    let planned = site.run(&["plan", "site.toml"]);
    assert!(planned.out.contains("automatic: true → false"), "{planned:?}");
    site.converge();
    assert_eq!(site.on_host("apt-mark showmanual leaf; apt-get -qq -y autoremove >/dev/null"), "leaf");
    assert_eq!(state(&site, "leaf parent"), "ii 1.0\nnone");
    // The mark comes back with what a run is taken back.
    site.on_host("apt-mark auto leaf >/dev/null");
    converge(&site, "name = \"leaf\"");
    let undone = site.done(&["undo", "lab1", "--packages", "--yes"]);
    assert_eq!(site.on_host("apt-mark showauto leaf"), "leaf", "{undone}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_lock_of_the_package_lists_is_waited_for() {
    let site = site("app 1.0\n");
    site.on_host("rm -rf /var/lib/apt/lists/*_*");
    let hold = "import fcntl, os, time\n\
                lock = open('/var/lib/apt/lists/lock', 'w')\n\
                fcntl.lockf(lock, fcntl.LOCK_EX)\n\
                open('/run/locked', 'w')\n\
                while not os.path.exists('/run/release'): time.sleep(0.1)\n";
    site.host.exec_with_input(&["sh", "-c", "cat >/root/hold.py"], hold.as_bytes()).unwrap();
    site.on_host("setsid python3 /root/hold.py >/dev/null 2>&1 </dev/null &");
    site.await_on(0, "test -e /run/locked");
    step(&site, "name = \"app\"");
    let applying = site.start(&["apply", "site.toml", "--yes"]);
    site.await_on(0, "grep -qs 'Could not get lock' /run/stockade/*/update");
    site.on_host("touch /run/release");
    let ended = applying.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(state(&site, "app"), "ii 1.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn lists_that_name_what_is_gone_are_updated_once() {
    let site = site("app 1.0\n");
    site.on_host("cp -rL /var/lib/apt/lists /root/lists");
    offer(&site, "app 2.0\n");
    site.on_host(
        "rm -rf /var/lib/apt/lists; cp -a /root/lists /var/lib/apt/lists; touch /var/lib/apt/lists; \
         rm /srv/repository/pool/stable/app_1.0_*",
    );
    let planned = plan(&site, "name = \"app\"");
    assert!(planned.out.contains("version: 1.0"), "{planned:?}");
    let applied = site.apply();
    assert_eq!(applied.code, 0, "{applied:?}");
    assert!(format!("{applied:?}").contains("the lists were updated"), "{applied:?}");
    assert_eq!(state(&site, "app"), "ii 2.0");
    // A version that is gone for good is no endless loop, and nothing is said to have changed.
    offer(&site, "lost 1.0\n");
    site.on_host("rm /srv/repository/pool/stable/lost_1.0_*");
    step(&site, "name = \"lost\"");
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert!(format!("{applied:?}").contains("nothing changed"), "{applied:?}");
}

/// The action and the notes of a step of the plan.
fn planned_step(site: &Project, id: &str) -> (String, String) {
    let json: serde_json::Value = serde_json::from_str(&site.done(&["plan", "site.toml", "--format", "json"])).unwrap();
    let steps = json["hosts"][0]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id}: {json:#}"));
    (step["action"].as_str().unwrap().to_owned(), step["notes"].to_string())
}

/// A repository of its own for packages, which no sources name yet.
fn hide(site: &Project, packages: &str, directory: &str) {
    let script = include_str!("fixtures/local-repository.sh");
    site.host.exec_with_input(&["sh", "-c", "cat >/root/repository.sh"], script.as_bytes()).unwrap();
    site.on_host("cp /etc/apt/sources.list.d/local.list /root/before.list");
    let made = site.host.exec_with_input(&["sh", "/root/repository.sh", directory], packages.as_bytes()).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    site.on_host(
        "cp /root/before.list /etc/apt/sources.list.d/local.list; apt-get -qq update; touch /var/lib/apt/lists",
    );
}

const HIDDEN: &str = "deb [trusted=yes] file:/srv/hidden stable main";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_command_may_do_to_apt_is_decided_at_the_turn_of_a_package() {
    let site = site("tool 1.0\nplain 1.0\n");
    hide(&site, "tool 2.0\nfresh 1.0\n", "/srv/hidden");
    let steps = |command: &str| {
        site.playbook(&format!(
            "[[step]]\ncommand = {{ {command} }}\n[[step]]\npackage = {{ name = \"tool\" }}\n[[step]]\npackage = {{ name = \"fresh\" }}\n"
        ));
    };
    // With and without an update of the lists.
    for update in ["; apt-get -qq update", ""] {
        steps(&format!(
            "run = \"echo '{HIDDEN}' >/etc/apt/sources.list.d/hidden.list{update}\", creates = \"/etc/apt/sources.list.d/hidden.list\""
        ));
        for id in ["2", "3"] {
            let (action, notes) = planned_step(&site, id);
            assert_eq!(action, "unknown", "{notes}");
            assert!(notes.contains("decided at its turn: depends on step 1"), "{notes}");
        }
        let planned = site.run(&["plan", "site.toml"]);
        assert!(!planned.out.contains("1.0"), "a version that is not certain: {planned:?}");
        site.converge();
        assert_eq!(state(&site, "tool fresh"), "ii 2.0\nii 1.0");
        site.on_host("rm /etc/apt/sources.list.d/hidden.list; apt-get -qq -y purge tool fresh >/dev/null 2>&1; apt-get -qq update; touch /var/lib/apt/lists");
    }
    // What cannot be about apt leaves the plan exact.
    site.playbook(
        "[[step]]\ncommand = { run = \"touch /root/x\", creates = \"/root/x\" }\n[[step]]\npackage = { name = \"plain\" }\n",
    );
    let planned = site.run(&["plan", "site.toml"]);
    assert!(planned.out.contains("version: 1.0"), "{planned:?}");
    assert_eq!(planned_step(&site, "2").0, "create");
    site.converge();
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn sources_that_a_file_or_line_changes_are_read_before_packages_come_from_them() {
    let site = site("tool 1.0\n");
    hide(&site, "tool 2.0\n", "/srv/hidden");
    converge(&site, "name = \"tool\"");
    assert_eq!(state(&site, "tool"), "ii 1.0");
    site.playbook(&format!(
        "[[step]]\nline = {{ path = \"/etc/apt/sources.list.d/local.list\", line = \"{HIDDEN}\" }}\n\
         [[step]]\npackage = {{ name = \"tool\", state = \"latest\" }}\n"
    ));
    assert_eq!(planned_step(&site, "2").0, "unknown");
    site.converge();
    assert_eq!(state(&site, "tool"), "ii 2.0");
    // Sources that somebody else has changed since they were read.
    site.on_host(&format!("sed -i '\\,hidden,d' /etc/apt/sources.list.d/local.list; apt-get -qq update; apt-get -qq -y --allow-downgrades install tool=1.0 >/dev/null; sleep 1; echo '{HIDDEN}' >/etc/apt/sources.list.d/more.list"));
    converge(&site, "name = \"tool\", state = \"latest\"");
    assert_eq!(state(&site, "tool"), "ii 2.0");
    // Sources that come after a package in its newest version.
    site.on_host("rm /etc/apt/sources.list.d/more.list; apt-get -qq update; apt-get -qq -y --allow-downgrades install tool=1.0 >/dev/null; touch /var/lib/apt/lists");
    site.playbook(&format!(
        "[[step]]\npackage = {{ name = \"tool\", state = \"latest\" }}\n\
         [[step]]\nline = {{ path = \"/etc/apt/sources.list.d/local.list\", line = \"{HIDDEN}\" }}\n"
    ));
    assert_eq!(planned_step(&site, "1").0, "unknown");
    site.converge();
    assert_eq!(state(&site, "tool"), "ii 2.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_package_may_bring_the_repository_of_a_later_one() {
    let site = site("bring-release 1.0\n");
    hide(&site, "later 1.0\n", "/srv/hidden");
    // As the packages do with which vendors set up their repositories.
    site.on_host(&format!(
        "set -e; mkdir /tmp/u; cd /tmp/u; dpkg-deb -R /srv/repository/pool/stable/bring-release_*.deb t; mkdir -p t/etc/apt/sources.list.d; \
         echo '{HIDDEN}' >t/etc/apt/sources.list.d/bring.list; touch -d 2020-01-01 t/etc/apt/sources.list.d/bring.list; \
         dpkg-deb --root-owner-group -b t /root/bring-release.deb >/dev/null; \
         cp /root/bring-release.deb /srv/repository/pool/stable/bring-release_1.0_$(dpkg --print-architecture).deb; \
         cd /srv/repository/dists/stable/main/binary-*; f=$(ls /srv/repository/pool/stable/bring*); \
         sed -i \"s/^Size: .*/Size: $(stat -c %s $f)/; s/^SHA256: .*/SHA256: $(sha256sum <$f | cut -d' ' -f1)/\" Packages; \
         cd /srv/repository/dists/stable; sed -i '/^SHA256:/,$d' Release; printf 'SHA256:\\n %s %s %s\\n' \
         $(sha256sum <main/binary-*/Packages | cut -d' ' -f1) $(stat -c %s main/binary-*/Packages) $(ls main/binary-*/Packages) >>Release; \
         apt-get -qq update; touch /var/lib/apt/lists"
    ));
    steps(&site, &["name = \"bring-release\"", "name = \"later\""]);
    let (action, notes) = planned_step(&site, "2");
    assert_eq!(action, "unknown", "{notes}");
    site.converge();
    assert_eq!(state(&site, "bring-release later"), "ii 1.0\nii 1.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_package_file_on_the_host_is_read_there() {
    let site = site("lib 1.0\nroad 1.0\n");
    hide(&site, "own 1.2 Depends: lib\nown2 1.0 Conflicts: road\n", "/srv/hidden");
    site.on_host("cp /srv/hidden/pool/stable/own_*.deb /root/own.deb; cp /srv/hidden/pool/stable/own2_*.deb /root/own2.deb; echo none >/root/none.deb");
    let planned = plan(&site, "path = \"/root/own.deb\"");
    assert_eq!(planned.code, 2, "{planned:?}");
    for part in ["package: own", "version: 1.2", "package lib: 1.0"] {
        assert!(planned.out.contains(part), "{part}: {planned:?}");
    }
    site.converge();
    assert_eq!(state(&site, "own lib"), "ii 1.2\nii 1.0");
    refused(&site, "path = \"/root/missing.deb\"", &["there is no /root/missing.deb on the host", "site.toml:"]);
    refused(&site, "path = \"/root/none.deb\"", &["/root/none.deb on the host is not a Debian package"]);
    converge(&site, "name = \"road\"");
    refused(&site, "path = \"/root/own2.deb\"", &["apt would also remove road 1.0"]);

    // What a step of the run brings is read at the turn of the package.
    site.on_host("apt-get -qq -y purge own lib >/dev/null 2>&1");
    let arch = site.on_host("dpkg --print-architecture");
    let deb = site.host.exec(&["sh", "-c", "cat /root/own.deb"]).unwrap().stdout;
    std::fs::write(site.folder().join(format!("own_1.2_{arch}.deb")), &deb).unwrap();
    for bring in [
        format!("file = {{ path = \"/opt/own.deb\", source = \"own_1.2_{arch}.deb\" }}"),
        "command = { run = \"cp /root/own.deb /srv/own.deb\", creates = \"/srv/own.deb\" }".to_owned(),
    ] {
        let place = if bring.starts_with("file") { "/opt" } else { "/srv" };
        site.playbook(&format!("[[step]]\n{bring}\n[[step]]\npackage = {{ path = \"{place}/own.deb\" }}\n"));
        let (action, notes) = planned_step(&site, "2");
        assert_eq!(action, "unknown", "{notes}");
        assert!(notes.contains("depends on step 1"), "{notes}");
        site.converge();
        assert_eq!(state(&site, "own lib"), "ii 1.2\nii 1.0");
        site.on_host("apt-get -qq -y purge own lib >/dev/null 2>&1");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_package_that_another_step_needs_is_not_wanted_absent() {
    let site = site("app 1.0 Depends: app-lib\napp-lib 1.0\nsoft 1.0 Recommends: extra\nextra 1.0\n");
    let both = ["name = \"app\"", "name = \"app-lib\", state = \"absent\""];
    let place = ["step 1 (package app)", "step 2 (package app-lib)", "the host would never be as both say"];
    steps(&site, &both);
    refused_for(&site, &place, &[]);
    steps(&site, &["name = \"app-lib\", state = \"absent\"", "name = \"app\""]);
    refused_for(&site, &["step 1 (package app-lib)", "step 2 (package app)", "as both say"], &[]);
    // Also where both are there already, and where something else cleans up.
    converge(&site, "name = \"app\"");
    for playbook in [&both[..], &["name = \"app-lib\", state = \"absent\"", "name = \"app\"", "autoremove = true"][..]]
    {
        steps(&site, playbook);
        refused_for(&site, &["apt would also remove app, which step", "as both say"], &[]);
    }
    // What apt can do without is no contradiction.
    steps(&site, &["name = \"soft\", recommends = true", "name = \"extra\", state = \"absent\""]);
    site.converge();
    assert_eq!(state(&site, "soft extra"), "ii 1.0\nnone");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn other_answers_for_a_package_that_is_there_are_told() {
    let site = site("it-asks 1.0 Depends: debconf\napp 1.0 Depends: it-asks\n");
    let answer = |value: &str| {
        format!("name = \"it-asks\", debconf = {{ \"it-asks/answer\" = {{ type = \"select\", value = \"{value}\" }} }}")
    };
    converge(&site, &answer("green"));
    let planned = plan(&site, &answer("green"));
    assert!(planned.code == 0 && !planned.out.contains("debconf"), "{planned:?}");
    let planned = plan(&site, &answer("red"));
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.out.contains("it-asks/answer") && planned.out.contains("dpkg-reconfigure it-asks"), "{planned:?}");

    // Beside a package that is to be installed the answer of one that is there changes nothing either.
    let both =
        "names = [\"app\", \"it-asks\"], debconf = { \"it-asks/answer\" = { type = \"select\", value = \"red\" } }";
    let planned = plan(&site, both);
    assert!(planned.out.contains("dpkg-reconfigure it-asks") && !planned.out.contains("debconf: "), "{planned:?}");
    site.converge();
    let planned = plan(&site, both);
    assert!(planned.code == 0 && planned.out.contains("dpkg-reconfigure it-asks"), "{planned:?}");
    assert_eq!(site.on_host("cat /etc/it-asks.colour"), "green");
    // What the note says helps.
    site.on_host(
        "echo 'it-asks it-asks/answer select red' | debconf-set-selections; \
         DEBIAN_FRONTEND=noninteractive dpkg-reconfigure it-asks 2>&1",
    );
    assert_eq!(site.on_host("cat /etc/it-asks.colour"), "red");
    let planned = plan(&site, both);
    assert!(planned.code == 0 && !planned.out.contains("debconf"), "{planned:?}");

    // An answer comes before the package of a step before it that brings the one which asks.
    site.on_host("apt-get -qq -y purge app it-asks >/dev/null 2>&1");
    steps(&site, &["name = \"app\"", &answer("green")]);
    site.converge();
    assert_eq!(site.on_host("cat /etc/it-asks.colour"), "green");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn one_apply_converges_in_whatever_order_holds_removals_and_upgrades_come() {
    let site = site("app 1.0\nleaf 1.0\nparent 1.0 Depends: leaf\nstray-leaf 1.0\nstray 1.0 Depends: stray-leaf\n");
    // A hold that is lifted before the upgrade, and after it.
    let mut version = 1;
    for order in
        [["name = \"app\", held = false", "upgrade = \"safe\""], ["upgrade = \"safe\"", "name = \"app\", held = false"]]
    {
        converge(&site, "name = \"app\", held = true");
        offer(&site, &format!("app {}.0\n", version + 1));
        steps(&site, &order);
        let planned = site.run(&["plan", "site.toml"]);
        let change = format!("package app: {version}.0 → {}.0", version + 1);
        assert!(planned.out.contains(&change), "{planned:?}");
        version += 1;
        site.converge();
        assert_eq!(state(&site, "app"), format!("ii {version}.0"));
        assert_eq!(site.on_host("apt-mark showhold"), "");
    }
    // What is left over by a removal after the autoremove; at first nothing is, then something.
    for with_stray in [false, true] {
        site.on_host("apt-get -qq -y install parent >/dev/null 2>&1; apt-mark auto leaf >/dev/null");
        if with_stray {
            site.on_host("apt-get -qq -y install stray >/dev/null 2>&1; apt-get -qq -y remove stray >/dev/null 2>&1");
            assert_eq!(state(&site, "stray-leaf"), "ii 1.0");
        }
        steps(&site, &["autoremove = true", "name = \"parent\", state = \"absent\""]);
        let (action, notes) = planned_step(&site, "1");
        assert_eq!(action, if with_stray { "delete" } else { "unknown" }, "{notes}");
        assert!(notes.contains("at the end of the run: depends on step 2"), "{notes}");
        let text = site.converge();
        assert!(!text.contains("beyond the plan"), "it was said: {text}");
        assert_eq!(state(&site, "leaf parent stray-leaf"), "none\nnone\nnone");
    }
    // What an upgrade leaves over.
    site.on_host("apt-get -qq -y install parent >/dev/null 2>&1");
    offer(&site, "parent 2.0\n");
    steps(&site, &["upgrade = \"safe\"", "autoremove = true"]);
    let text = site.converge();
    assert!(!text.contains("beyond the plan"), "it was said: {text}");
    assert_eq!(state(&site, "leaf parent"), "none\nii 2.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_step_has_removed_is_gone_for_the_steps_after_it() {
    let site = site(
        "wall 1.0\ntables 2.0 Conflicts: wall\nlib 1.0\nlib 2.0\npinned 1.0 Depends: lib (>= 2)\n\
         ground 1.0\ndaemon-conf 1.0 Unit: yes; Depends: ground\nrival 1.0 Conflicts: daemon-conf\n",
    );
    converge(&site, "names = [\"wall\", \"daemon-conf\", \"pinned\"]");
    steps(&site, &["name = \"tables\", may_remove = \"wall\"", "name = \"wall\""]);
    refused_for(&site, &["step 2 (package wall)", "step 1 (package tables)"], &[]);
    steps(
        &site,
        &["name = \"lib\", version = \"1.0\", allow_downgrade = true, may_remove = \"pinned\"", "name = \"pinned\""],
    );
    refused_for(&site, &["step 2 (package pinned)", "step 1 (package lib)"], &[]);
    let rival = "[[step]]\npackage = { name = \"rival\", may_remove = \"daemon-conf\" }\n";
    let service = "[[step]]\nservice = { name = \"daemon-conf\", running = true }\n";
    let ground = "[[step]]\npackage = { name = \"ground\", state = \"absent\", may_remove = \"daemon-conf\" }\n";
    site.playbook(&format!("{ground}{service}"));
    refused_for(&site, &["step 2 ", "site.toml:5"], &["step 1 "]);
    // What is installed instead may bring a unit of that name.
    site.playbook(&format!("{rival}{service}"));
    let planned = site.run(&["plan", "site.toml"]);
    assert!(planned.out.contains("running: (known after apply) → true"), "{planned:?}");
    // What it ships goes with it, and comes again.
    site.playbook(&format!(
        "{rival}[[step]]\nfile = {{ path = \"/usr/share/daemon-conf/file\", content = \"own\\n\", parents = true }}\n"
    ));
    site.converge();
    assert_eq!(state(&site, "daemon-conf rival"), "rc 1.0\nii 1.0");
    assert_eq!(site.on_host("cat /usr/share/daemon-conf/file"), "own");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_dpkg_has_left_unfinished_is_named() {
    let site = site("good 1.0\nhalf 1.0\nmore 1.0\n");
    converge(&site, "name = \"half\"");
    let leave = |site: &Project| {
        site.on_host(
            "sed -i '/^Package: half$/,/^$/ s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status",
        );
        assert_eq!(state(site, "half"), "iF 1.0");
    };
    leave(&site);
    let named = |planned: &Ran| {
        assert!(
            planned.out.contains("half (half-configured)") && planned.out.contains("--configure -a"),
            "{planned:?}"
        );
    };
    let planned = plan(&site, "name = \"good\"");
    assert!(planned.out.contains("package good") || planned.out.contains("version: 1.0"), "{planned:?}");
    named(&planned);
    site.converge();
    assert_eq!(state(&site, "good half"), "ii 1.0\nii 1.0");
    // Where nothing has to be done, it is left; an upgrade is about all packages.
    leave(&site);
    let planned = plan(&site, "name = \"good\"");
    assert_eq!(planned.code, 0, "{planned:?}");
    named(&planned);
    let planned = plan(&site, "upgrade = \"safe\"");
    assert_eq!(planned.code, 2, "{planned:?}");
    named(&planned);
    site.converge();
    assert_eq!(state(&site, "half"), "ii 1.0");
    // Once for all steps.
    leave(&site);
    steps(&site, &["name = \"more\"", "name = \"good\", state = \"absent\""]);
    let planned = site.run(&["plan", "site.toml"]);
    assert_eq!(planned.out.matches("half (half-configured)").count(), 1, "{planned:?}");
    site.converge();
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_carries_the_connection_is_not_removed_while_the_host_uses_it() {
    let site = site(
        "network-manager 1.0\nnetplan.io 1.0\nisc-dhcp-client 1.0\nneeds-dhcp 1.0 Depends: isc-dhcp-client\ncloud-init 1.0\n\
         rival 1.0 Conflicts: network-manager\n",
    );
    converge(&site, "names = [\"network-manager\", \"netplan.io\", \"cloud-init\"]");
    site.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/NetworkManager.service; systemctl daemon-reload; \
         systemctl start NetworkManager; mkdir -p /etc/netplan; touch /etc/netplan/50-cloud-init.yaml; \
         apt-get -qq -y install needs-dhcp >/dev/null 2>&1; apt-get -qq -y remove needs-dhcp >/dev/null 2>&1; \
         cp /bin/sleep /root/dhclient; setsid /root/dhclient infinity >/dev/null 2>&1 </dev/null &",
    );
    let remove = |name: &str| format!("name = \"{name}\", state = \"absent\"");
    refused(&site, &remove("network-manager"), &["NetworkManager.service is active", "can cut you off"]);
    refused(&site, "name = \"rival\", may_remove = \"network-manager\"", &["NetworkManager.service is active"]);
    refused(&site, "name = \"rival\", conflicts = \"network-manager\"", &["NetworkManager.service is active"]);
    refused(&site, &remove("netplan.io"), &["/etc/netplan/50-cloud-init.yaml is there"]);
    refused(&site, &remove("cloud-init"), &["/etc/sudoers.d/90-cloud-init-users is there"]);
    refused(&site, "autoremove = true", &["isc-dhcp-client", "dhclient runs"]);
    // What something else carries by then may go.
    site.playbook(
        "[[step]]\nservice = { name = \"NetworkManager\", running = false }\n\
         [[step]]\nfile = { path = \"/etc/netplan/50-cloud-init.yaml\", state = \"absent\" }\n\
         [[step]]\nfile = { path = \"/etc/sudoers.d/10-own\", content = \"ubuntu ALL=(ALL) NOPASSWD:ALL\\n\", mode = \"0440\" }\n\
         [[step]]\nfile = { path = \"/etc/sudoers.d/90-cloud-init-users\", state = \"absent\" }\n\
         [[step]]\npackage = { names = [\"network-manager\", \"netplan.io\", \"cloud-init\"], state = \"absent\" }\n",
    );
    site.converge();
    assert_eq!(state(&site, "network-manager netplan.io cloud-init"), "none\nnone\nnone");

    // A module of PAM that a login goes through.
    site.on_host(
        "set -e; mkdir -p /root/b/DEBIAN /root/b/usr/lib/security; touch /root/b/usr/lib/security/pam_own.so; cd /root/b; \
         printf 'Package: libpam-own\\nVersion: 1\\nArchitecture: all\\nMaintainer: t <t@invalid>\\nDescription: a test\\n' >DEBIAN/control; \
         dpkg-deb --root-owner-group -b . /root/own.deb >/dev/null; dpkg -i /root/own.deb >/dev/null; \
         echo 'session optional pam_own.so' >/etc/pam.d/own",
    );
    refused(&site, &remove("libpam-own"), &["/etc/pam.d/own names pam_own.so"]);
    site.playbook(&format!(
        "[[step]]\nfile = {{ path = \"/etc/pam.d/own\", content = \"\" }}\n[[step]]\npackage = {{ {} }}\n",
        remove("libpam-own")
    ));
    site.converge();
    assert_eq!(state(&site, "libpam-own"), "none");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn undo_takes_back_a_repository_and_what_came_from_it() {
    let site = site("tool 1.0\n");
    hide(&site, "tool 2.0\nfresh 1.0\n", "/srv/hidden");
    converge(&site, "name = \"tool\"");
    let before = packages(&site);
    site.playbook(&format!(
        "[[step]]\nfile = {{ path = \"/etc/apt/sources.list.d/hidden.list\", content = \"{HIDDEN}\\n\" }}\n\
         [[step]]\npackage = {{ name = \"tool\", state = \"latest\" }}\n[[step]]\npackage = {{ name = \"fresh\" }}\n"
    ));
    site.converge();
    assert_eq!(state(&site, "tool fresh"), "ii 2.0\nii 1.0");
    let undone = site.done(&["undo", &site.host.name, "--packages", "--yes"]);
    assert_eq!(packages(&site), before, "{undone}");
    assert_eq!(site.on_host("ls /etc/apt/sources.list.d"), "local.list");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn packages_wait_for_a_source_that_waits_for_a_probe() {
    let site = site("app 1.0\n");
    let source = site.on_host(
        "cat /etc/apt/sources.list.d/local.list; rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*; apt-get -qq update",
    );
    site.playbook(&format!(
        "[probes]\nready = {{ path = \"/srv/ready\" }}\n\
         [[step]]\ncommand = {{ run = \"touch /srv/ready\", creates = \"/srv/ready\" }}\n\
         [[step]]\nfile = {{ path = \"/etc/apt/sources.list.d/own.list\", content = \"# {{{{ probes.ready.size }}}}\\n{source}\\n\" }}\n\
         [[step]]\npackage = {{ name = \"app\" }}\n"
    ));
    let (action, notes) = planned_step(&site, "3");
    assert!(action == "unknown" && notes.contains("depends on step 2"), "{action}: {notes}");
    site.converge();
    assert_eq!(state(&site, "app"), "ii 1.0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn undo_leaves_the_packages_that_the_host_is_reached_by() {
    let site = site("dropbear 1.0 Unit: yes; Depends: dropbear-bin\ndropbear-bin 1.0\nmore 1.0\n");
    site.playbook(
        "[[step]]\npackage = { names = [\"dropbear\", \"more\"] }\n\
         [[step]]\nservice = { name = \"dropbear\", running = true, enabled = true }\n",
    );
    site.converge();
    let name = site.host.name.clone();
    let shown = site.done(&["undo", &name, "--packages", "--plan"]);
    for part in [
        "left alone: it lets logins in (dropbear.service is active)",
        "left alone: it would also remove dropbear",
        "left alone: its package stays",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    site.done(&["undo", &name, "--packages", "--yes"]);
    assert_eq!(state(&site, "dropbear dropbear-bin more"), "ii 1.0\nii 1.0\nnone");
    assert_eq!(site.on_host("systemctl is-active dropbear; systemctl is-enabled dropbear"), "active\nenabled");
    // What logs in by nothing of it any more may go.
    site.on_host("systemctl disable --now dropbear 2>/dev/null");
    site.done(&["undo", &name, &run_of(&site, 0), "--packages", "--yes"]);
    assert_eq!(state(&site, "dropbear dropbear-bin"), "none\nnone");
}

/// The name of the run of this number, from the first.
fn run_of(site: &Project, at: usize) -> String {
    let history: serde_json::Value = serde_json::from_str(&site.done(&["history", &site.host.name, "--json"])).unwrap();
    history["hosts"][&site.host.name][at]["id"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn holds_go_and_come_back_with_the_packages_of_a_run() {
    let site = site("app 1.0\nfresh 1.0\nwas-held 1.0 Unit: yes\nraised 1.0\nguest 1.0\n");
    converge(&site, "names = [\"app\", \"was-held\", \"raised\"]");
    site.on_host("apt-mark hold was-held raised >/dev/null");
    offer(&site, "app 2.0\nraised 2.0\n");
    steps(
        &site,
        &[
            "name = \"fresh\", held = true",
            "name = \"guest\"",
            "name = \"was-held\", state = \"absent\", held = false",
            "name = \"raised\", version = \"2.0\", held = true",
            "name = \"app\", version = \"2.0\"",
        ],
    );
    site.converge();
    let all = "fresh guest was-held raised app";
    assert_eq!(state(&site, all), "hi 1.0\nii 1.0\nrc 1.0\nhi 2.0\nii 2.0");
    // What somebody has held since is left alone.
    site.on_host("apt-mark hold guest app >/dev/null");
    let shown = site.done(&["undo", "lab1", "--packages", "--plan"]);
    for part in ["held: true → false", "held: false → true", "it has been held since by someone else"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let undone = site.done(&["undo", "lab1", "--packages", "--yes"]);
    assert_eq!(state(&site, all), "none\nhi 1.0\nhi 1.0\nhi 1.0\nhi 2.0", "{undone}");

    // A hold that a later step releases is released where it is in the way.
    site.on_host("apt-mark unhold guest app >/dev/null");
    offer(&site, "raised 3.0\nrival 1.0 Conflicts: was-held\nfoe 1.0 Conflicts: raised\n");
    steps(
        &site,
        &[
            "name = \"rival\", conflicts = \"was-held\"",
            "name = \"was-held\", state = \"absent\", held = false, purge = true",
            "name = \"raised\", state = \"latest\"",
            "name = \"raised\", held = false",
        ],
    );
    site.converge();
    assert_eq!(state(&site, "rival was-held raised"), "ii 1.0\nnone\nii 3.0");
    site.on_host("apt-mark hold raised >/dev/null");
    steps(&site, &["name = \"foe\", may_remove = \"raised\"", "name = \"raised\", state = \"absent\", held = false"]);
    site.converge();
    assert_eq!(state(&site, "foe raised"), "ii 1.0\nnone");
}
