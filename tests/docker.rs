//! The bundled playbooks `docker` and `docker-host`: what they say for each
//! choice of variables, and the whole path on a real host, from a signed
//! repository of the layout of Docker's own to a daemon that answers.
//!
//! The second part is ignored unless it is asked for, as `tests/run.sh` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use crate::support::files::Files;
use crate::support::{TestLab, on_host, program};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use stockade::lab::LabHost;
use stockade::playbook::{self, HostScope, Step};
use stockade::resource::{self, KINDS};
use stockade::values::Diagnostic;

/// The steps of a playbook that uses a bundled one, on an Ubuntu host whose
/// operator is connected on port 2222. Every resource must be sound.
fn steps(bundled: &str, with: &str) -> Result<Vec<Step>, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("playbook.toml");
    std::fs::write(&file, format!("[[step]]\nuse = \"{bundled}\"\nwith = {with}\n")).unwrap();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let facts = json!({ "os": { "id": "ubuntu", "codename": "noble" }, "login_port": 2222 });
    let scope = HostScope { facts: Some(facts), ..HostScope::default() };
    let steps = playbook::load(&file, &kinds)?.render(&scope)?;
    for step in &steps {
        assert!(!step.unknown, "{}", step.id);
        let kind = resource::kind(&step.kind).unwrap();
        resource::build(kind, &step.table, &Files(step, Some(BTreeMap::new())))?;
    }
    Ok(steps)
}

fn of_kind<'a>(steps: &'a [Step], kind: &str) -> Vec<&'a Step> {
    steps.iter().filter(|step| step.kind == kind).collect()
}

#[test]
fn by_default_docker_comes_from_its_own_repository_with_the_pinned_key() {
    let steps = steps("docker", "{}").unwrap();
    let [repository] = of_kind(&steps, "apt_repository")[..] else { panic!("one repository") };
    assert_eq!(
        repository.table.to_json(),
        json!({
            "name": "docker",
            "uris": ["https://download.docker.com/linux/ubuntu"],
            "suites": ["noble"],
            "components": ["stable"],
            "signed_by": "https://download.docker.com/linux/ubuntu/gpg",
            "sha256": "1500c1f56fa9e26b9b8f42452a553675796ade0807cdce11975eb98170b3a570",
        })
    );
    let [package] = of_kind(&steps, "package")[..] else { panic!("one package step") };
    let package = package.table.to_json();
    assert_eq!(package["origin"], "https://download.docker.com/linux/ubuntu");
    assert_eq!(package["names"][0], "docker-ce");
    assert!(package["conflicts"].as_array().unwrap().contains(&json!("docker.io")));
}

#[test]
fn the_daemons_settings_are_one_json_object() {
    let steps = steps("docker", "{ log_max_size = \"5m\", live_restore = false }").unwrap();
    let [file] = of_kind(&steps, "file")[..] else { panic!("one file") };
    let text = file.files.render(file.table.get("template").unwrap().as_str().unwrap()).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    let wanted = json!({
        "log-driver": "json-file",
        "log-opts": { "max-size": "5m", "max-file": "3" },
        "live-restore": false,
    });
    assert_eq!(settings, wanted);
}

#[test]
fn settings_given_whole_replace_them() {
    let steps = steps("docker", "{ daemon_json = '{\"debug\":true}' }").unwrap();
    let [file] = of_kind(&steps, "file")[..] else { panic!("one file") };
    assert_eq!(file.table.get("content").unwrap().as_str(), Some("{\"debug\":true}"));
}

#[test]
fn the_distributions_engine_needs_no_repository() {
    let steps = steps("docker", "{ source = \"distribution\" }").unwrap();
    assert!(of_kind(&steps, "apt_repository").is_empty());
    let [package] = of_kind(&steps, "package")[..] else { panic!("one package step") };
    assert_eq!(package.table.to_json()["names"], json!(["docker.io"]));
}

#[test]
fn whether_packages_can_be_fetched_is_asked_before_anything_else() {
    for (bundled, with) in [("docker", "{}"), ("docker-host", "{ gateway = false, users = [{ name = \"a\" }] }")] {
        let steps = steps(bundled, with).unwrap();
        let kinds: Vec<&str> = steps.iter().map(|step| step.kind.as_str()).collect();
        assert_eq!(kinds[..3], ["check", "check", "group"], "{bundled}");
        let check = steps[0].table.to_json();
        assert_eq!(
            check["says"],
            "https://download.docker.com/linux/ubuntu can be reached from the host, or the engine is installed"
        );
    }
    let steps = steps("docker", "{ source = \"distribution\" }").unwrap();
    assert_eq!(of_kind(&steps, "check").len(), 2);
}

#[test]
fn an_address_is_a_word_of_the_checks_and_never_more() {
    let with = "{ repository_url = \"http://x/'; touch /srv/y; '\", repository_suite = \"a'b\" }";
    // The steps themselves refuse such an address; the checks are rendered all the same.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("playbook.toml");
    std::fs::write(&file, format!("[[step]]\nuse = \"docker\"\nwith = {with}\n")).unwrap();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let facts = json!({ "os": { "id": "ubuntu", "codename": "noble" }, "login_port": 22 });
    let scope = HostScope { facts: Some(facts), ..HostScope::default() };
    let steps = playbook::load(&file, &kinds).unwrap().render(&scope).unwrap();
    for check in of_kind(&steps, "check") {
        let command = check.table.to_json()["command"].as_str().unwrap().to_owned();
        assert!(!command.contains("x/'") && !command.contains("a'b"), "{command}");
    }
}

#[test]
fn another_source_is_an_error_not_an_empty_plan() {
    let errors = steps("docker", "{ source = \"snap\" }").unwrap_err();
    assert!(errors[0].message.contains("packages[source]"), "{}", errors[0]);
}

#[test]
fn a_docker_host_admits_the_port_in_use_and_drops_published_ports() {
    let steps =
        steps("docker-host", "{ gateway = false, published_from = [\"10.0.0.0/8\"], env_path = \"/etc/app.env\" }")
            .unwrap();
    let [firewall] = of_kind(&steps, "firewall")[..] else { panic!("one firewall") };
    let firewall = firewall.table.to_json();
    assert_eq!(firewall["rules"], json!([{ "allow": "2222/tcp", "comment": "ssh" }]));
    assert_eq!(firewall["docker_user"], json!({ "allow_from": ["10.0.0.0/8"], "allow_ports": [] }));
    assert_eq!(of_kind(&steps, "env").len(), 1);
    let place = |kind: &str| steps.iter().position(|step| step.kind == kind).unwrap();
    assert!(place("firewall") > steps.iter().rposition(|step| step.kind == "package").unwrap());
}

/// A host beside a signed repository that it serves to itself.
struct Site<'a> {
    test: &'a TestLab,
    host: &'a LabHost,
    fingerprint: String,
}

const PORT: u16 = 8098;

impl<'a> Site<'a> {
    fn new(test: &'a TestLab, host: &'a LabHost) -> Site<'a> {
        let made = test.dir.path().join("repositories");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/docker-repository.sh");
        let run = Command::new(script).arg(&made).arg("noble").output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let target = format!("{}:/srv/repositories", host.container);
        assert!(Command::new("docker").arg("cp").arg(&made).arg(target).output().unwrap().status.success());
        on_host(
            host,
            &format!(
                "systemd-run --quiet python3 -m http.server {PORT} --bind 127.0.0.1 --directory /srv/repositories
                 until bash -c 'exec 3<>/dev/tcp/127.0.0.1/{PORT}' 2>/dev/null; do sleep 0.1; done"
            ),
        );
        std::fs::copy(made.join("good/gpg"), test.dir.path().join("docker.asc")).unwrap();
        let fingerprint = std::fs::read_to_string(made.join("fingerprint")).unwrap().trim().to_owned();
        Site { test, host, fingerprint }
    }

    /// `stockade VERB` of a playbook with Docker from one of the repositories.
    fn stockade(&self, verb: &[&str], repository: &str, fingerprint: &str) -> Output {
        self.play(verb, "docker", "users = [\"ubuntu\"]", repository, fingerprint)
    }

    /// `stockade VERB` of a playbook that uses a bundled one.
    fn play(&self, verb: &[&str], bundled: &str, with: &str, repository: &str, fingerprint: &str) -> Output {
        let text = format!(
            "[[step]]\nuse = \"{bundled}\"\n[step.with]\n{with}\n\
             repository_url = \"http://127.0.0.1:{PORT}/{repository}\"\nrepository_suite = \"noble\"\n\
             repository_key = \"docker.asc\"\nrepository_key_fingerprint = \"{fingerprint}\"\n"
        );
        self.run(verb, &text)
    }

    /// `stockade VERB` of a playbook with these steps.
    fn run(&self, verb: &[&str], steps: &str) -> Output {
        let text = format!("hosts = [\"all\"]\n{steps}");
        std::fs::write(self.test.dir.path().join("playbook.toml"), text).unwrap();
        let mut command = program(self.test.dir.path());
        command.arg(verb[0]).arg("playbook.toml").args(&verb[1..]);
        command.arg("-i").arg(self.test.lab.inventory_path()).output().unwrap()
    }

    fn apply(&self, repository: &str, code: i32) -> String {
        let output = self.stockade(&["apply", "--yes"], repository, &self.fingerprint);
        ended(&output, code)
    }

    fn is_bare(&self) {
        let installed = "dpkg-query -W -f '${Status} ${Package}\\n' docker-ce docker.io containerd.io 2>/dev/null";
        assert_eq!(on_host(self.host, &format!("{installed} | grep '^install ok' || :")), "");
    }
}

fn ended(output: &Output, code: i32) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn docker_is_installed_from_a_repository_with_the_right_key_and_from_no_other() {
    let (test, hosts) = TestLab::with_hosts(1);
    let host = &hosts[0];
    let site = Site::new(&test, host);

    a_repository_out_of_reach_is_told_before_the_first_change(&site);

    // A key that is not the pinned one is found before anything is touched.
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    let said = ended(&site.stockade(&["plan"], "good", other), 1);
    assert!(said.contains(other) && said.contains(&site.fingerprint), "{said}");

    // Lists that are signed by another key, or not at all, are not believed.
    assert!(site.apply("wrong-key", 3).contains("NO_PUBKEY"));
    site.is_bare();
    assert!(site.apply("unsigned", 3).contains("is not signed"));
    site.is_bare();
    // Nor is a package that is not the one that was signed for.
    assert!(site.apply("tampered", 3).contains("unexpected size"));
    site.is_bare();

    // Nor one from elsewhere than it must come, which is known once the lists are there.
    let steps = format!(
        "[[step]]\napt_repository = {{ name = \"docker\", uris = [\"http://127.0.0.1:{PORT}/good\"], suites = [\"noble\"], \
         components = [\"stable\"], signed_by = \"docker.asc\", fingerprint = \"{}\" }}\n\
         [[step]]\npackage = {{ name = \"docker-ce\", origin = \"http://127.0.0.1:{PORT}/elsewhere\" }}\n",
        site.fingerprint
    );
    let said = ended(&site.run(&["apply", "--yes"], &steps), 3);
    assert!(said.contains(&format!("docker-ce does not come from http://127.0.0.1:{PORT}/elsewhere")), "{said}");
    site.is_bare();

    assert!(site.apply("good", 0).contains("converged"));
    let again = site.stockade(&["plan", "--detailed-exitcode"], "good", &site.fingerprint);
    assert!(ended(&again, 0).contains("nothing differs"));

    let ping = "curl --silent --unix-socket /run/docker.sock http://localhost/_ping";
    assert_eq!(on_host(host, &format!("runuser -u ubuntu -- {ping}")), "OK");
    let info = on_host(host, "docker info --format '{{.LoggingDriver}} {{.LiveRestoreEnabled}}'");
    assert_eq!(info, "json-file true");
    assert!(
        on_host(host, "apt-cache policy docker-ce").contains(&format!("http://127.0.0.1:{PORT}/good noble/stable"))
    );
    assert!(on_host(host, "systemctl cat docker.service").contains("LimitNOFILE=1048576"));
    assert_eq!(on_host(host, "systemctl is-enabled docker.service"), "enabled");

    published_ports_are_dropped_but_for_what_is_listed(&site);
}

/// Whatever it is that cannot be reached: nothing is done, and it is said what to do.
fn a_repository_out_of_reach_is_told_before_the_first_change(site: &Site<'_>) {
    let look = "find /etc /usr/local /var/lib/dpkg/status -newer /srv/before -not -name '*.lock' | sort";
    on_host(site.host, "touch /srv/before");
    let play = |verb: &[&str], bundled: &str, with: &str| {
        site.run(verb, &format!("[[step]]\nuse = \"{bundled}\"\n[step.with]\n{with}\n"))
    };
    let nowhere = "http://127.0.0.1:1/linux/debian";
    let away = format!("repository_url = \"{nowhere}\"\nrepository_suite = \"noble\"");
    let no_key = format!(
        "repository_url = \"http://127.0.0.1:{PORT}/good\"\nrepository_suite = \"noble\"\nrepository_key = \"{nowhere}/gpg\""
    );
    for (bundled, with, wanted) in [
        ("docker", &away, format!("{nowhere}/dists/noble/InRelease")),
        ("docker-host", &format!("gateway = false\nusers = [{{ name = \"newcomer\" }}]\n{away}"), nowhere.to_owned()),
        ("docker", &no_key, format!("{nowhere}/gpg")),
    ] {
        let plan = ended(&play(&["plan"], bundled, with), 0);
        assert!(plan.contains("does not hold") && plan.contains(nowhere), "{plan}");
        let said = ended(&play(&["apply", "--yes"], bundled, with), 3);
        for wanted in [&wanted, "nothing changed", "Connection refused", "source = \"distribution\"", "proxy"] {
            let found = said.to_lowercase().contains(&wanted.to_lowercase());
            assert!(
                found || wanted == "Connection refused" && said.contains("Couldn't connect"),
                "no {wanted} in: {said}"
            );
        }
    }
    // The distribution's own packages, where the host's sources are out of reach.
    let (hide, show) = ("mv /etc/apt/sources.list", "mv /srv/sources.list /etc/apt/sources.list");
    on_host(
        site.host,
        &format!(
            "{hide} /srv/; mkdir -p /etc/apt/sources.list.d; echo 'deb {nowhere} x main' >/etc/apt/sources.list.d/x.list"
        ),
    );
    let said = ended(&play(&["apply", "--yes"], "docker", "source = \"distribution\""), 3);
    assert!(said.contains(&format!("{nowhere}/dists/x/InRelease")) && said.contains("nothing changed"), "{said}");
    on_host(site.host, &format!("{show}; rm /etc/apt/sources.list.d/x.list"));
    let changed =
        on_host(site.host, &format!("{look} | grep -v '^/etc/apt$' | grep -v '^/etc/apt/sources.list.d$' || :"));
    assert_eq!(changed, "");
    site.is_bare();
}

/// A container publishes port 8080; this machine reaches it only where the
/// chain DOCKER-USER lets it.
fn published_ports_are_dropped_but_for_what_is_listed(site: &Site<'_>) {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    let busybox = busybox.expect("busybox (package busybox-static) is needed");
    let target = format!("{}:/srv/busybox", site.host.container);
    assert!(Command::new("docker").args(["cp", "-L", busybox, &target]).output().unwrap().status.success());
    on_host(
        site.host,
        "mkdir -p /srv/image/bin /srv/image/www && cp /srv/busybox /srv/image/bin/busybox && echo hi >/srv/image/www/x
         tar -C /srv/image -c . | docker import - web >/dev/null
         docker run -d --name web -p 8080:80 web /bin/busybox httpd -f -p 80 -h /www",
    );
    let inspect = ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &site.host.container];
    let address = Command::new("docker").args(inspect).output().unwrap().stdout;
    let address = format!("{}:8080", String::from_utf8(address).unwrap().trim()).parse().unwrap();
    // A dropped packet has no answer: that none comes can only be waited for.
    let reaches = || TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok();
    assert!(reaches(), "the container does not serve");
    for (with, open) in [
        ("", false),
        ("published_from = [\"172.16.0.0/12\", \"192.168.0.0/16\", \"10.0.0.0/8\"]", true),
        ("published_from = [\"203.0.113.0/24\"]", false),
        ("published_ports = [\"8080/tcp\"]", true),
        // The port of the container is not the one that is published.
        ("published_ports = [\"80/tcp\"]", false),
    ] {
        let with = format!("gateway = false\n{with}");
        ended(&site.play(&["apply", "--yes"], "docker-host", &with, "good", &site.fingerprint), 0);
        assert_eq!(reaches(), open, "{with}");
    }
    on_host(site.host, "ufw status | grep -q '^Status: active' && ufw status | grep -q '^22/tcp .*# ssh'");
}
