//! The gateway on its host: what the bundled playbook says for each choice of
//! variables, and the whole path on a real host: certificates, apply, a token
//! over SSH, and an ordinary Docker client through `stockade connect`.
//!
//! The second part is ignored unless it is asked for, as `tests/run.sh` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use crate::support::files::Files;
use crate::support::{TestLab, gateway_program, on_host, program};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use stockade::authority::Authority;
use stockade::lab::LabHost;
use stockade::playbook::{self, HostScope, Step};
use stockade::resource::{self, KINDS};
use stockade::values::Diagnostic;

/// A project with an authority and a program, and the steps of a playbook of
/// its that uses a bundled one. Every resource must be sound.
fn steps(bundled: &str, with: &str) -> Result<Vec<Step>, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::at(folder.path().join("ca"));
    authority.init("a test").unwrap();
    authority.issue("web1", &["web1".to_owned()], 10, false).unwrap();
    std::fs::write(folder.path().join("program"), "#!/bin/sh\n").unwrap();
    let file = folder.path().join("playbook.toml");
    let text = format!("vars.gateway_binary = \"program\"\n[[step]]\nuse = \"{bundled}\"\nwith = {with}\n");
    std::fs::write(&file, text).unwrap();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let facts = json!({ "os": { "id": "ubuntu", "codename": "noble" }, "login_port": 22 });
    let scope = HostScope {
        host: "web1".into(),
        address: "192.0.2.1".into(),
        facts: Some(facts),
        stage: Some(("prod".into(), playbook::Vars::new())),
        ..HostScope::default()
    };
    let steps = playbook::load(&file, &kinds)?.render(&scope)?;
    for step in &steps {
        assert!(!step.unknown, "{}", step.id);
        let kind = resource::kind(&step.kind).unwrap();
        resource::build(kind, &step.table, &Files(step, None))?;
    }
    Ok(steps)
}

fn tables(steps: &[Step], kind: &str) -> Vec<Value> {
    steps.iter().filter(|step| step.kind == kind).map(|step| step.table.to_json()).collect()
}

fn by<'a>(tables: &'a [Value], field: &str, value: &str) -> &'a Value {
    tables.iter().find(|table| table[field] == value).unwrap_or_else(|| panic!("no {field} = {value}: {tables:?}"))
}

#[test]
fn keys_of_certificate_and_tokens_are_for_the_gateways_user_alone() {
    let steps = steps("gateway", "{}").unwrap();
    let files = tables(&steps, "file");
    let key = by(&files, "path", "/etc/stockade-gateway/tls/server.key");
    assert_eq!((&key["owner"], &key["mode"]), (&json!("stockade-gateway"), &json!("0600")));
    let step = steps.iter().find(|step| step.table.to_json() == *key).unwrap();
    assert!(step.sensitive, "its content would be shown in a diff");
    let folders = tables(&steps, "directory");
    assert_eq!(by(&folders, "path", "/etc/stockade-gateway/keys")["mode"], "0700");
    assert_eq!(by(&folders, "path", "/etc/stockade-gateway")["mode"], "0750");
    for command in tables(&steps, "command") {
        assert_eq!(command["as"], "stockade-gateway", "{command}");
    }
}

#[test]
fn the_settings_are_toml_with_what_was_chosen() {
    let with =
        "{ gateway_listen = [\"127.0.0.1:9\", \"[::1]:9\"], gateway_audience = \"x\", gateway_max_lifetime = 60 }";
    let steps = steps("gateway", with).unwrap();
    let step = steps.iter().find(|step| step.table.to_json()["path"] == "/etc/stockade-gateway/gateway.toml").unwrap();
    let text = step.files.render("gateway.toml.tera").unwrap();
    let settings: toml::Table = text.parse().unwrap();
    assert_eq!(settings["listen"], toml::Value::try_from(["127.0.0.1:9", "[::1]:9"]).unwrap());
    assert_eq!(settings["audience"].as_str(), Some("x"));
    assert_eq!(settings["issuer"].as_str(), Some("https://web1:2376"));
    assert_eq!(settings["token"]["max_lifetime"].as_integer(), Some(60));
}

#[test]
fn shared_images_tls_and_an_insecure_store_are_as_they_were_chosen() {
    let rendered = |with: &str| {
        let steps = steps("gateway", with).unwrap();
        let of = |member: &str, value: &str| steps.iter().find(|step| step.table.to_json()[member] == value).unwrap();
        let config = of("path", "/etc/stockade-gateway/gateway.toml").files.render("gateway.toml.tera").unwrap();
        let limits = of("name", "10-limits").files.render("limits.conf.tera").unwrap();
        (config.parse::<toml::Table>().unwrap(), limits)
    };
    let (config, limits) = rendered("{}");
    assert!(!config.contains_key("shared_images") && !config["tls"].as_table().unwrap().contains_key("min_version"));
    assert!(!limits.contains("ExecStart"), "{limits}");
    let (config, limits) = rendered(
        "{ gateway_shared_images = [\"docker.io/library\", \"registry.test/base\"], gateway_tls_min_version = \"1.2\", gateway_insecure_store = true }",
    );
    assert_eq!(config["shared_images"], toml::Value::try_from(["docker.io/library", "registry.test/base"]).unwrap());
    assert_eq!(config["tls"]["min_version"].as_str(), Some("1.2"));
    let unit = include_str!("../templates/gateway/stockade-gateway.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let insecure = command.replace(" serve ", " serve --insecure-store ");
    assert!(limits.ends_with(&format!("\nExecStart=\nExecStart={insecure}\n")), "{limits}");
}

#[test]
fn roles_of_ones_own_are_sent_only_where_they_are_given() {
    let settings = |with: &str| {
        let steps = steps("gateway", with).unwrap();
        let of_path = |path: &str| steps.iter().find(|step| step.table.to_json()["path"] == path).cloned();
        let config = of_path("/etc/stockade-gateway/gateway.toml").unwrap();
        let text = config.files.render("gateway.toml.tera").unwrap();
        let roles = of_path("/etc/stockade-gateway/roles.toml").map(|step| step.table.to_json()["source"].clone());
        (text.parse::<toml::Table>().unwrap().get("roles").cloned(), roles)
    };
    assert_eq!(settings("{}"), (None, None));
    // Any file that is there will do here.
    let (path, source) = settings("{ gateway_roles = \"program\" }");
    assert_eq!(path.unwrap().as_str(), Some("/etc/stockade-gateway/roles.toml"));
    assert_eq!(source, Some(json!("program")));
}

#[test]
fn the_firewall_lets_in_whom_it_is_told_and_nobody_where_it_is_left_alone() {
    let rules = |with: &str| tables(&steps("gateway", with).unwrap(), "firewall");
    let with = "{ gateway_port = 99, gateway_allow_from = [\"192.0.2.0/24\", \"2001:db8::/32\"] }";
    let [one, two] = &rules(with)[..] else { panic!("two steps") };
    assert_eq!(one["rules"], json!([{ "allow": "99/tcp", "from": "192.0.2.0/24", "comment": "token gateway" }]));
    assert_eq!(two["rules"][0]["from"], "2001:db8::/32");
    assert_eq!(rules("{}").len(), 1);
    assert!(rules("{ gateway_firewall = false }").is_empty());
}

#[test]
fn a_stage_and_the_daemon_get_their_drop_ins() {
    let steps = steps("gateway", "{ gateway_memory_max = \"64M\" }").unwrap();
    let drop_ins = tables(&steps, "dropin");
    assert!(by(&drop_ins, "name", "20-stage")["content"].as_str().unwrap().contains("STOCKADE_STAGE=prod"));
    assert_eq!(by(&drop_ins, "name", "20-no-tcp")["unit"], "docker.service");
    let limits = steps.iter().find(|step| step.table.to_json()["name"] == "10-limits").unwrap();
    assert!(limits.files.render("limits.conf.tera").unwrap().contains("MemoryMax=64M"));
}

#[test]
fn keys_are_never_rotated_where_that_is_not_wanted() {
    assert_eq!(tables(&steps("gateway", "{}").unwrap(), "command").len(), 2);
    assert_eq!(tables(&steps("gateway", "{ gateway_rotate_keys_after_days = 0 }").unwrap(), "command").len(), 1);
}

#[test]
fn a_docker_host_has_a_gateway_unless_it_is_told_to_have_none() {
    let has = |with: &str| {
        let steps = steps("docker-host", with).unwrap();
        (tables(&steps, "binary").len(), tables(&steps, "firewall").len())
    };
    assert_eq!(has("{}"), (1, 2));
    assert_eq!(has("{ gateway = false }"), (0, 1));
    // Its rule would be taken away by the rules that are exclusive.
    assert_eq!(has("{ firewall_exclusive = true }"), (1, 1));
}

#[test]
fn without_a_program_beside_this_one_the_plan_says_where_it_looked() {
    let error = steps("gateway", "{ gateway_binary = \"program:no-such-program\" }").unwrap_err();
    let text = error[0].to_string();
    assert!(text.contains("no-such-program") && text.contains("beside this one"), "{text}");
}

#[test]
fn without_certificates_every_verb_says_how_to_make_them_and_how_to_do_without() {
    let folder = tempfile::tempdir().unwrap();
    let stockade = |words: &[&str]| program(folder.path()).args(words).output().unwrap();
    let playbook = |with: &str| {
        let text = format!("hosts = [\"all\"]\n[[step]]\nuse = \"docker-host\"\nwith = {with}\n");
        std::fs::write(folder.path().join("playbook.toml"), text).unwrap();
    };
    std::fs::write(folder.path().join("inventory.toml"), "[hosts.web1]\naddress = \"192.0.2.1\"\n").unwrap();
    let check = ["check", "playbook.toml", "-i", "inventory.toml"];
    playbook("{}");
    let refused = stockade(&check);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for wanted in ["stockade ca init ca", "stockade ca issue ca -i INVENTORY", "gateway = false", "ca/hosts/web1.crt"] {
        assert!(said.contains(wanted), "no {wanted:?} in: {said}");
    }
    playbook("{ gateway = false }");
    ended(&stockade(&check), 0);
    playbook("{}");
    ended(&stockade(&["ca", "init", "ca"]), 0);
    let said = String::from_utf8_lossy(&stockade(&check).stderr).into_owned();
    assert!(said.contains("stockade ca issue ca -i INVENTORY") && !said.contains("no file 'ca/ca.crt'"), "{said}");
    ended(&stockade(&["ca", "issue", "ca", "-i", "inventory.toml"]), 0);
    ended(&stockade(&check), 0);
}

/// What the host is called in its own network only.
const BEHIND: &str = "behind.internal";

/// A project whose host has a gateway.
struct Site<'a> {
    host: &'a LabHost,
    inventory: PathBuf,
    folder: tempfile::TempDir,
    address: String,
}

impl<'a> Site<'a> {
    fn new(lab: &TestLab, host: &'a LabHost) -> Site<'a> {
        let folder = tempfile::tempdir().unwrap();
        let inspect = ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &host.container];
        let address = Command::new("docker").args(inspect).output().unwrap().stdout;
        let address = String::from_utf8(address).unwrap().trim().to_owned();
        let gateway = gateway_program().display().to_string();
        let playbook = format!(
            "hosts = [\"all\"]\n[[step]]\nuse = \"docker-host\"\n[step.with]\nsource = \"distribution\"\n\
             gateway_binary = \"{gateway}\"\n"
        );
        std::fs::write(folder.path().join("playbook.toml"), playbook).unwrap();
        Site { host, inventory: lab.lab.inventory_path(), folder, address }
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = program(self.folder.path());
        command
            .args(verb)
            .arg("-i")
            .arg(&self.inventory)
            .env("DOCKER_CONFIG", self.folder.path().join("docker"))
            .env_remove("XDG_RUNTIME_DIR");
        command
    }

    fn stockade(&self, verb: &[&str]) -> Output {
        self.command(verb).output().unwrap()
    }

    fn connect(&self, more: &[&str]) -> Command {
        let mut command = self.command(&["connect", &self.host.name, "--via", "direct", "--gateway", &self.address]);
        command.arg("--socket").arg(self.folder.path().join("run/s")).args(more);
        command
    }

    /// As an operator without further options: by SSH, for a lab host's
    /// gateway has no port on this machine.
    fn connect_plainly(&self, more: &[&str]) -> Command {
        let mut command = self.command(&["connect", &self.host.name]);
        command.arg("--socket").arg(self.folder.path().join("run/s")).args(more);
        command
    }

    /// A Docker client on the socket of a `connect` that runs.
    fn docker(&self, words: &[&str]) -> Output {
        let socket = self.folder.path().join("run/s");
        Command::new("docker")
            .arg("--host")
            .arg(format!("unix://{}", socket.display()))
            .args(words)
            .env("DOCKER_CONFIG", self.folder.path().join("docker"))
            .output()
            .unwrap()
    }

    /// The sessions of a role: whether each was revoked.
    fn sessions(&self, role: &str) -> Vec<(String, bool)> {
        let list: Value = serde_json::from_str(&ended(&self.stockade(&["token", "list"]), 0)).unwrap();
        let list = list["hosts"][&self.host.name].as_array().unwrap().clone();
        let of_role = list.iter().filter(|session| session["role"] == role);
        of_role
            .map(|session| (session["session"].as_str().unwrap().to_owned(), !session["revoked"].is_null()))
            .collect()
    }
}

/// Standard output of a command that ended with a code.
fn ended(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A `connect` that serves; told to stop and awaited when it is done with.
struct Connected(Child);

impl Connected {
    fn start(mut command: Command) -> Connected {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("DOCKER_HOST=unix://"), "{line}");
        Connected(child)
    }

    fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_docker_client_works_through_connect_and_only_while_it_may() {
    let (lab, hosts) = TestLab::with_hosts(1);
    let site = Site::new(&lab, &hosts[0]);
    let host = site.host;

    ended(&program(site.folder.path()).args(["ca", "init", "ca"]).output().unwrap(), 0);
    ended(&site.stockade(&["ca", "issue", "ca", "--san", &site.address, "--san", BEHIND]), 0);
    ended(&site.stockade(&["apply", "playbook.toml", "--yes"]), 0);
    ended(&site.stockade(&["plan", "playbook.toml", "--detailed-exitcode"]), 0);

    the_service_is_shut_in(host);
    an_image(host);
    an_ordinary_client_runs_lists_and_execs(&site);
    sessions_outlive_a_rotation_of_keys(&site);
    a_revoked_session_is_over_at_once(&site);
    a_stream_outlives_its_token_and_ends_with_its_session(&site);
    a_read_token_reads(&site);
    connect_ends_as_its_command_does(&site);
    many_streams_go_over_ssh_beside_each_other(&site);
    a_host_behind_a_jump_host_is_reached_through_it(&site);
    what_is_in_the_way_is_told(&site);
}

fn the_service_is_shut_in(host: &LabHost) {
    let told = on_host(host, "systemd-analyze security --no-pager stockade-gateway.service | tail -n 1");
    let exposure: f64 = told.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    eprintln!("systemd-analyze security: {exposure}");
    assert!(exposure <= 1.5, "{told}");
    assert_eq!(on_host(host, "stat -c '%a %U' /etc/stockade-gateway/tls/server.key"), "600 stockade-gateway");
    let modes = on_host(host, "find /etc/stockade-gateway/keys -type f -printf '%m %u\\n' | sort -u");
    assert_eq!(modes, "600 stockade-gateway");
    assert!(on_host(host, "ufw status").contains("2376/tcp"));
}

/// An image without a registry.
fn an_image(host: &LabHost) {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    let busybox = busybox.expect("busybox (package busybox-static) is needed");
    let target = format!("{}:/srv/busybox", host.container);
    assert!(Command::new("docker").args(["cp", "-L", busybox, &target]).output().unwrap().status.success());
    on_host(
        host,
        "mkdir -p /srv/image/bin && cp /srv/busybox /srv/image/bin/busybox
         tar -C /srv/image -c . | docker import - box:1 >/dev/null",
    );
}

fn an_ordinary_client_runs_lists_and_execs(site: &Site<'_>) {
    let connected = Connected::start(site.connect(&["--role", "operator", "--context", "gw"]));
    let contexts = Command::new("docker")
        .args(["context", "ls", "--format", "{{.Name}} {{.DockerEndpoint}}"])
        .env("DOCKER_CONFIG", site.folder.path().join("docker"))
        .output()
        .unwrap();
    assert!(ended(&contexts, 0).contains(&format!("gw unix://{}", site.folder.path().join("run/s").display())));

    ended(&site.docker(&["run", "-d", "--name", "one", "box:1", "/bin/busybox", "sleep", "900"]), 0);
    assert_eq!(ended(&site.docker(&["ps", "--format", "{{.Names}}"]), 0).trim(), "one");
    assert_eq!(ended(&site.docker(&["exec", "one", "/bin/busybox", "echo", "hello"]), 0), "hello\n");
    assert_eq!(ended(&site.docker(&["run", "--rm", "box:1", "/bin/busybox", "echo", "bye"]), 0), "bye\n");
    twenty_megabytes_through_exec(site);

    let socket = site.folder.path().join("run/s");
    assert_eq!(connected.stop(), Some(0));
    assert!(!socket.exists());
    assert!(!site.folder.path().join("docker/contexts/meta").read_dir().is_ok_and(|mut left| left.next().is_some()));
    assert!(site.sessions("operator").iter().all(|(_, revoked)| *revoked), "signing out did not revoke");
}

/// The end of the input arrives, and all of the output after it.
fn twenty_megabytes_through_exec(site: &Site<'_>) {
    let input: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut child = Command::new("docker")
        .arg("--host")
        .arg(format!("unix://{}", site.folder.path().join("run/s").display()))
        .args(["exec", "-i", "one", "/bin/busybox", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = input.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let output = child.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    let journal = || on_host(site.host, "journalctl -q -o short-precise -n 40 -u stockade-gateway -u ssh");
    assert!(
        written.is_ok() && output.stdout == input,
        "{} of {} bytes came back; {written:?}; the host says: {}",
        output.stdout.len(),
        input.len(),
        journal()
    );
}

fn sessions_outlive_a_rotation_of_keys(site: &Site<'_>) {
    let connected = Connected::start(site.connect(&["--role", "operator"]));
    ended(&site.docker(&["ps"]), 0);
    let keys = "find /etc/stockade-gateway/keys/signing -type f";
    let before = on_host(site.host, keys);
    // As the playbook does once the newest key is old.
    on_host(site.host, &format!("{keys} -exec touch -d '100 days ago' {{}} +"));
    ended(&site.stockade(&["apply", "playbook.toml", "--yes"]), 0);
    assert_ne!(on_host(site.host, keys), before, "no new key");
    ended(&site.docker(&["ps"]), 0);
    assert_eq!(connected.stop(), Some(0));
}

fn a_revoked_session_is_over_at_once(site: &Site<'_>) {
    let connected = Connected::start(site.connect(&["--role", "operator"]));
    ended(&site.docker(&["ps"]), 0);
    let (session, _) = site.sessions("operator").into_iter().find(|(_, revoked)| !revoked).unwrap();
    ended(&site.stockade(&["token", "revoke", &session]), 0);
    assert!(!site.docker(&["ps"]).status.success());
    // The session is over, and so is what served it.
    let mut connected = connected;
    assert_eq!(connected.0.wait().unwrap().code(), Some(3));
}

/// `connect` renews the session meanwhile, though nobody asks for anything.
fn a_stream_outlives_its_token_and_ends_with_its_session(site: &Site<'_>) {
    let connected = Connected::start(site.connect(&["--role", "operator", "--lifetime", "12"]));
    let script = "sleep 40; echo the end";
    assert_eq!(ended(&site.docker(&["exec", "one", "/bin/busybox", "sh", "-c", script]), 0), "the end\n");
    assert_eq!(connected.stop(), Some(0));

    // Its token is good for a quarter of an hour; that the session is over shows by the stream.
    let mut command = site.connect(&["--role", "operator"]);
    let mut connected = Connected::start({
        command.stderr(Stdio::piped());
        command
    });
    let script = "echo begun; sleep 600";
    let socket = format!("unix://{}", site.folder.path().join("run/s").display());
    let mut stream = Command::new("docker")
        .args(["--host", &socket, "exec", "one", "/bin/busybox", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(stream.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    let (session, _) = site.sessions("operator").into_iter().find(|(_, revoked)| !revoked).unwrap();
    ended(&site.stockade(&["token", "revoke", &session]), 0);
    assert_eq!(connected.0.wait().unwrap().code(), Some(3));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut connected.0.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("the session has ended (it was revoked"), "{said}");
    stream.wait().unwrap();
}

fn a_read_token_reads(site: &Site<'_>) {
    let run = |words: &[&str]| {
        let mut command = site.connect(&["--role", "read", "--"]);
        command.args(words).output().unwrap()
    };
    assert!(ended(&run(&["docker", "ps", "--format", "{{.Names}}"]), 0).contains("one"));
    let refused = run(&["docker", "rm", "--force", "one"]);
    assert_eq!(refused.status.code(), Some(1), "the code of docker itself");
    assert!(on_host(site.host, "docker ps --format '{{.Names}}'").contains("one"));

    let config = site.stockade(&["connect", &site.host.name, "--print-config"]);
    let text: Value = serde_json::from_str(&ended(&config, 0)).unwrap();
    let header = text["HttpHeaders"]["Authorization"].as_str().unwrap();
    assert!(header.starts_with("Bearer "), "{text}");
    let warning = String::from_utf8_lossy(&config.stderr).into_owned();
    assert!(warning.contains("warning") && !warning.contains(&header[7..]), "{warning}");
}

fn connect_ends_as_its_command_does(site: &Site<'_>) {
    let code =
        |words: &[&str]| site.connect(&[&["--role", "deploy", "--"], words].concat()).output().unwrap().status.code();
    assert_eq!(code(&["sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), Some(128 + 9));
    assert_eq!(code(&["no-such-command"]), Some(127));
    assert_eq!(code(&["/etc"]), Some(126));

    // Told to end, it lets the command end, and ends as that does.
    let up = site.folder.path().join("up");
    let script = format!("trap 'exit 7' TERM; : >{}; while :; do sleep 0.1; done", up.display());
    let mut child = site.connect(&["--role", "deploy", "--", "sh", "-c", &script]).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !up.exists() {
        assert!(std::time::Instant::now() < end, "the command was never started");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(site.sessions("deploy").iter().all(|(_, revoked)| *revoked), "signing out did not revoke");
}

fn many_streams_go_over_ssh_beside_each_other(site: &Site<'_>) {
    let script = "head -c 5000000 /dev/urandom >big; sum=$(cksum <big)
        for i in $(seq 20); do
          (got=$(docker exec -i one /bin/busybox cat <big | cksum); [ \"$got\" = \"$sum\" ] && echo same) &
        done; wait";
    let run = site.connect_plainly(&["--role", "operator", "--", "sh", "-c", script]).output().unwrap();
    assert_eq!(ended(&run, 0).matches("same").count(), 20);

    let connected = Connected::start(site.connect_plainly(&["--role", "operator"]));
    twenty_megabytes_through_exec(site);
    assert_eq!(connected.stop(), Some(0));
    assert!(site.sessions("operator").iter().all(|(_, revoked)| *revoked), "signing out did not revoke");
}

/// The host is its own jump host, in whose network alone it has this name.
fn a_host_behind_a_jump_host_is_reached_through_it(site: &Site<'_>) {
    on_host(site.host, &format!("grep -q {BEHIND} /etc/hosts || echo '127.0.0.1 {BEHIND}' >>/etc/hosts"));
    let key = on_host(site.host, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
    let lab = site.inventory.parent().unwrap();
    let known = std::fs::read_to_string(lab.join("known_hosts")).unwrap();
    std::fs::write(site.folder.path().join("known"), format!("{known}{BEHIND} {key}\n")).unwrap();
    let inventory = format!(
        "[hosts.{}]\naddress = \"{BEHIND}\"\nuser = \"ubuntu\"\njump = \"ubuntu@127.0.0.1:{}\"\n\
         key = \"{}\"\nknown_hosts = \"known\"\n",
        site.host.name,
        site.host.port.unwrap(),
        lab.join("id_ed25519").display()
    );
    std::fs::write(site.folder.path().join("behind.toml"), inventory).unwrap();
    let connect = |more: &[&str]| {
        let mut command = program(site.folder.path());
        command.args(["connect", &site.host.name, "-i", "behind.toml", "--socket"]);
        command.arg(site.folder.path().join("run/s")).args(more).output().unwrap()
    };
    let names = ["docker", "ps", "--format", "{{.Names}}"];
    assert_eq!(ended(&connect(&[&["--"][..], &names].concat()), 0), "one\n");
    let direct = connect(&["--via", "direct", "--", "true"]);
    ended(&direct, 4);
    // An authority's certificate for an inventory is for the addresses that are connected to.
    let issue = ["ca", "issue", "ca", "-i", "behind.toml", "--renew"];
    let issued = ended(&program(site.folder.path()).args(issue).output().unwrap(), 0);
    assert!(issued.contains(&format!("for {}, {BEHIND}", site.host.name)), "{issued}");

    let jump = format!("ubuntu@127.0.0.1:{}", site.host.port.unwrap());
    let nowhere =
        std::fs::read_to_string(site.folder.path().join("behind.toml")).unwrap().replace(&jump, "u@127.0.0.1:1");
    std::fs::write(site.folder.path().join("behind.toml"), nowhere).unwrap();
    let said = told(&connect(&["--", "true"]), 4);
    assert!(said.contains("through the jump host") && said.contains("127.0.0.1 port 1"), "{said}");
}

/// Standard error of a command that ended with a code.
fn told(output: &Output, code: i32) -> String {
    ended(output, code);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn what_is_in_the_way_is_told(site: &Site<'_>) {
    let run = |mut command: Command, code: i32, wanted: &[&str]| {
        let said = told(&command.output().unwrap(), code);
        for wanted in wanted {
            assert!(said.contains(wanted), "no {wanted:?} in: {said}");
        }
    };
    let plain = ["--", "true"];
    run(site.connect_plainly(&["--role", "nobody", "--", "true"]), 3, &["no role 'nobody'", "deploy, operator, read"]);
    let misnamed = ["--server-name", "web.example", "--", "true"];
    let names = ["not for 'web.example'", &site.address, "stockade ca issue DIR --san web.example", "--server-name"];
    run(site.connect_plainly(&misnamed), 4, &names);
    run(site.connect(&misnamed), 4, &names);

    on_host(site.host, "systemctl stop stockade-gateway");
    let stopped = ["directly: connection refused", "over SSH", "systemctl status stockade-gateway", "--gateway"];
    run(site.connect_plainly(&plain), 4, &stopped);
    run(site.connect(&plain), 4, &["connection refused", "--via ssh"]);
    on_host(site.host, "systemctl start stockade-gateway");

    let settings = "/etc/ssh/sshd_config.d/00-test.conf";
    on_host(
        site.host,
        // Where its socket listens, sshd ends by a reload, which fails if systemd sees that first.
        &format!("mkdir -p /etc/ssh/sshd_config.d; echo 'AllowTcpForwarding no' >{settings}; systemctl restart ssh"),
    );
    run(site.connect_plainly(&plain), 4, &["administratively prohibited", "AllowTcpForwarding"]);
    on_host(site.host, &format!("rm {settings}; systemctl restart ssh"));

    on_host(site.host, "mv /etc/stockade-gateway/gateway.toml /srv/");
    run(site.connect_plainly(&plain), 3, &["there is no gateway on this host", "apply the playbook 'gateway'"]);
    on_host(site.host, "mv /srv/gateway.toml /etc/stockade-gateway/");
}
