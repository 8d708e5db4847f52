//! Records, shared locks and `@failed`, by the program as an operator runs it,
//! with a real Redis and real hosts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // what cannot be used must stop the test

use crate::support::project::{CONNECT_TIMEOUT, Project};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "hunter2-of-redis";

/// A Redis of the test's own, with a password, ended with it.
struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Redis {
    fn start() -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]);
        command.arg("--dir").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("redis-server is not installed");
        await_that("Redis listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Redis { folder, port, child }
    }

    fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string(), "--no-auth-warning", "-a", PASSWORD]).args(arguments);
        String::from_utf8(command.current_dir(self.folder.path()).output().unwrap().stdout).unwrap().trim().to_owned()
    }

    fn locks(&self) -> String {
        self.cli(&["KEYS", "stockade:lock:*"])
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + CONNECT_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn playbook(site: &Project, file: &str, name: &str, steps: &str) {
    site.write(file, &format!("name = \"{name}\"\nhosts = [\"all\"]\n{steps}"));
}

/// A step that says that it is there and waits for leave.
fn waiting(site: &Project) {
    playbook(
        site,
        "wait.toml",
        "Wait",
        "[[step]]\ncommand = { run = \"touch /srv/waiting; until [ -e /srv/go ]; do sleep 0.1; done\", creates = \"/srv/go\" }\n",
    );
}

fn await_waiting(site: &Project) {
    site.await_on(0, "test -e /srv/waiting");
}

fn run(site: &Project, arguments: &[&str]) -> (i32, String) {
    told(site.command(arguments).output().unwrap())
}

/// The recorded runs, oldest first.
fn records(site: &Project, arguments: &[&str]) -> Vec<Value> {
    let (code, text) = run(site, &[&["history", "--records", "--json"], arguments].concat());
    assert_eq!(code, 0, "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["format_version"], 1);
    document["runs"].as_array().unwrap().clone()
}

/// The exit code and all that was printed; the password never is.
fn told(output: Output) -> (i32, String) {
    let (code, text) = crate::support::project::told(output);
    assert!(!text.contains(PASSWORD), "{text}");
    (code, text)
}

const STEPS: &str = "[[step]]\nfile = { path = \"/srv/new\", content = \"value-of-the-file\\n\" }\n\
                     [[step]]\nname = \"the gate\"\ncheck = { command = \"test -e /srv/healthy\" }\n";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn runs_are_recorded_here_and_the_hosts_that_failed_are_found_by_them() {
    let site = Project::with_hosts(3);
    playbook(&site, "site.toml", "Site", STEPS);
    let names: Vec<&str> = site.hosts.iter().map(|host| host.name.as_str()).collect();
    let (code, text) = run(&site, &["apply", "site.toml", "--yes", "--limit", "@failed"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("no run of 'Site' is recorded"), "{text}");

    site.on(0, "touch /srv/healthy");
    let (code, text) = run(&site, &["apply", "site.toml", "--yes"]);
    assert_eq!(code, 3, "{text}");
    let runs = records(&site, &[]);
    assert_eq!(runs.len(), 1);
    let results: Vec<&Value> = runs[0]["hosts"].as_array().unwrap().iter().map(|host| &host["result"]).collect();
    assert_eq!(results, ["converged", "failed", "failed"]);
    assert_eq!((&runs[0]["verb"], &runs[0]["playbook"]), (&"apply".into(), &"Site".into()));
    assert_eq!(runs[0]["hosts"][1]["failed"], "run check the gate");
    assert_eq!(runs[0]["hosts"][0]["changes"][0], "create file /srv/new");
    assert!(!runs[0].to_string().contains("value-of-the-file"), "no values: {}", runs[0]);
    let on_the_host = site.on(0, "ls /var/lib/stockade/runs");
    assert_eq!(runs[0]["hosts"][0]["runs"], serde_json::json!([on_the_host]), "the host's own name for it");

    // The plan of @failed is about those hosts alone, and so is the apply; names are added to them.
    let (code, text) = run(&site, &["plan", "site.toml", "--limit", "@failed", "--format", "json"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        !text.contains(&format!("\"{}\"", names[0])) && text.contains(names[1]) && text.contains(names[2]),
        "{text}"
    );
    let both = format!("@failed,{}*,!{}", names[0], names[2]);
    let (_, text) = run(&site, &["plan", "site.toml", "--limit", &both, "--format", "json"]);
    assert!(text.contains(names[0]) && text.contains(names[1]) && !text.contains(names[2]), "{text}");
    site.on(1, "touch /srv/healthy");
    site.on(2, "touch /srv/healthy");
    let (code, text) = run(&site, &["apply", "site.toml", "--yes", "--limit", "@failed"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(records(&site, &[]).len(), 2);
    assert_eq!(records(&site, &[names[0]]).len(), 1, "filtered by host");
    let (code, text) = run(&site, &["apply", "site.toml", "--yes", "--limit", "@failed"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("no host failed in the last run of 'Site'"), "{text}");

    let (code, text) = run(&site, &["undo", names[0], "--yes"]);
    assert_eq!(code, 0, "{text}");
    let undone = records(&site, &[]).pop().unwrap();
    assert_eq!((&undone["verb"], &undone["hosts"][0]["result"]), (&"undo".into(), &"converged".into()));
    assert_eq!(undone["playbook"], format!("undo of {on_the_host}"));
    let (code, text) = run(&site, &["history", names[0]]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(": 2 runs") && !text.contains(names[1]), "{text}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_run_that_cannot_be_recorded_does_not_begin() {
    let site = Project::with_hosts(1);
    playbook(&site, "site.toml", "Site", "[[step]]\nfile = { path = \"/srv/new\", content = \"x\\n\" }\n");
    let store = site.lab.dir.path().join("state/stockade/records.redb");
    std::fs::create_dir_all(store.parent().unwrap()).unwrap();
    std::fs::write(&store, "no store at all").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = format!("redis://:{PASSWORD}@127.0.0.1:{gone}/0");
    for record in [&[][..], &["--record", &redis], &["--record", &format!("rediss://:{PASSWORD}@h")]] {
        let (code, text) = run(&site, &[&["apply", "site.toml", "--yes"], record].concat());
        assert_eq!(code, 1, "{record:?}: {text}");
    }
    assert_eq!(
        site.on(0, "ls /srv /var/lib/stockade 2>/dev/null | grep -c ."),
        "1",
        "nothing was touched: only '/srv:'"
    );
    let (code, text) = run(&site, &["apply", "site.toml", "--yes", "--record", "none"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(std::fs::read_to_string(&store).unwrap(), "no store at all");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn two_who_share_a_redis_never_work_on_one_host_at_once_and_a_dead_holder_lets_go() {
    let (redis, site) = (Redis::start(), Project::with_hosts(1));
    let url = redis.url();
    waiting(&site);
    playbook(&site, "site.toml", "Site", "[[step]]\nfile = { path = \"/srv/new\", content = \"x\\n\" }\n");
    let shared = |arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env("STOCKADE_RECORD", &url).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let first = shared(&["apply", "wait.toml", "--yes"]).spawn().unwrap();
    await_waiting(&site);
    // The holder gives it its life anew; what was lost is taken again.
    let key = redis.locks();
    redis.cli(&["PERSIST", &key]);
    await_that("the lock is renewed", || redis.cli(&["PTTL", &key]).parse::<i64>().unwrap() > 0);
    redis.cli(&["DEL", &key]);
    await_that("the lock is taken again", || redis.locks() == key);
    let (code, text) = told(shared(&["apply", "site.toml", "--yes"]).env("USER", "bob").output().unwrap());
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("is at work on this host since ") && text.contains("nothing was touched"), "{text}");
    assert_eq!(site.on(0, "ls /var/lib/stockade/runs | wc -l; ls /srv/new 2>/dev/null || echo none"), "1\nnone");
    let (code, text) = told(shared(&["undo", &site.hosts[0].name, "--yes"]).output().unwrap());
    assert_eq!(code, 3, "{text}");
    site.on(0, "touch /srv/go");
    let (code, text) = told(first.wait_with_output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert_eq!(redis.locks(), "", "a lock ends with its run");
    assert_eq!(told(shared(&["apply", "site.toml", "--yes"]).output().unwrap()).0, 0);

    // A holder that is killed renews nothing: its lock ends by itself.
    site.on(0, "rm -f /srv/go /srv/waiting");
    let mut killed = shared(&["apply", "wait.toml", "--yes"]).spawn().unwrap();
    await_waiting(&site);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_ne!(redis.locks(), "", "nobody released it");
    site.on(0, "touch /srv/go");
    await_that("the lock of the dead holder ends", || redis.locks().is_empty());
    await_that("the host has finished the run by itself", || {
        told(shared(&["apply", "site.toml", "--yes"]).output().unwrap()).0 == 0
    });
    let runs = records(&site, &["--record", &url]);
    let results: Vec<&str> = runs.iter().map(|run| run["hosts"][0]["result"].as_str().unwrap()).collect();
    assert_eq!(results[..4], ["converged", "failed", "converged", "unfinished"], "{runs:#?}");
    assert!(!redis.cli(&["HGETALL", "stockade:records"]).contains(PASSWORD));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_redis_that_goes_away_in_mid_run_stops_nothing_and_the_record_is_kept_here() {
    let (mut redis, site) = (Redis::start(), Project::with_hosts(1));
    waiting(&site);
    let url = redis.url();
    let run = site.start(&["apply", "wait.toml", "--yes", "--record", &url]);
    await_waiting(&site);
    redis.kill();
    site.on(0, "touch /srv/go");
    let (code, text) = told(run.wait_with_output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("THE RECORD OF THIS RUN COULD NOT BE KEPT") && text.contains("it is kept in"), "{text}");
    let runs = records(&site, &[]);
    assert_eq!((runs.len(), &runs[0]["hosts"][0]["result"]), (1, &"converged".into()), "{runs:#?}");
}
