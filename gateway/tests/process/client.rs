//! The ordinary docker client through the gateway, before a real daemon.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::engine::{Image, Named, docker_socket, image};
use super::harness::{Gateway, Options};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output), String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs with `input` on standard input.
#[track_caller]
fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A client whose first line has come.
struct Lines(std::process::Child, std::io::BufReader<std::process::ChildStdout>, String);

impl Lines {
    fn of(mut child: std::process::Child) -> Lines {
        let (mut out, mut first) = (std::io::BufReader::new(child.stdout.take().unwrap()), String::new());
        assert_ne!(out.read_line(&mut first).unwrap(), 0, "it ended without a line");
        Lines(child, out, first.trim_end().to_owned())
    }

    /// Its lines to the last, by which it has ended well or with the container's code.
    fn rest(mut self) -> Vec<String> {
        let mut lines = vec![self.2];
        lines.extend(self.1.lines().map(Result::unwrap));
        self.0.wait().unwrap();
        lines
    }
}

fn started() -> (Image, Gateway, String) {
    let socket = docker_socket();
    let image = Image::new();
    let gateway = Gateway::start(&Options::before(socket));
    let token = gateway.token(&["--role=operator"]);
    (image, gateway, token)
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn run_exec_attach_logs_and_wait_work() {
    let (_image, gateway, token) = started();
    let docker = |words: &[&str]| {
        let mut command = gateway.docker(&token);
        command.args(words);
        command
    };
    let name = Named::new("run");
    let script = "echo begun; while [ ! -e /go ]; do echo alive; sleep 0.1; done; echo ended; exit 7";
    good(&mut docker(&["run", "-d", "--name", &name.0, &image(), "/bin/sh", "-c", script]));
    assert!(text(&good(&mut docker(&["ps", "--format", "{{.Names}}"]))).contains(&name.0));

    // 20 MB in, the same 20 MB out, and the end of the input is carried.
    let blob: Vec<u8> = (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let back = fed(&mut docker(&["exec", "-i", &name.0, "/bin/cat"]), &blob);
    assert!(back.stdout == blob, "{} bytes came back of {}", back.stdout.len(), blob.len());

    let logs = docker(&["logs", "-f", &name.0]).stdout(Stdio::piped()).spawn().unwrap();
    let attached = docker(&["attach", "--no-stdin", &name.0]).stdout(Stdio::piped()).spawn().unwrap();
    let waiting = docker(&["wait", &name.0]).stdout(Stdio::piped()).spawn().unwrap();
    // Both are there once something has come through them.
    let (logs, attached) = (Lines::of(logs), Lines::of(attached));
    gateway.wait_for("the streams", || gateway.metric("streams") >= 3);
    good(&mut docker(&["exec", &name.0, "/bin/sh", "-c", ": > /go"]));
    let logs = logs.rest();
    assert!(logs.first().unwrap() == "begun" && logs.last().unwrap() == "ended", "{logs:?}");
    assert!(logs[1..logs.len() - 1].iter().all(|line| line == "alive"), "{logs:?}");
    assert_eq!(attached.rest().last().unwrap(), "ended");
    assert_eq!(text(&waiting.wait_with_output().unwrap()), "7");

    let tty = Named::new("tty");
    let line = format!("docker run --rm -it --name {} {} /bin/sh -c 'echo on a terminal'", tty.0, image());
    let mut on_terminal = Command::new("script");
    for (key, value) in docker(&[]).get_envs() {
        if let Some(value) = value {
            on_terminal.env(key, value);
        }
    }
    let output = on_terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    assert!(text(&output).contains("on a terminal"), "{}", text(&output));

    let piped = Named::new("pipe");
    let output = fed(&mut docker(&["run", "--rm", "-i", "--name", &piped.0, &image(), "/bin/cat"]), b"through run -i");
    assert_eq!(text(&output), "through run -i");
    let refused = docker(&["run", "--rm", "--privileged", &image(), "/bin/true"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("rule:"), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_no_token(&gateway, &token);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn copy_build_save_and_load_work() {
    let (_image, gateway, token) = started();
    let docker = |words: &[&str]| {
        let mut command = gateway.docker(&token);
        command.args(words);
        command
    };
    let (name, dir) = (Named::new("copy"), tempfile::tempdir().unwrap());
    good(&mut docker(&["run", "-d", "--name", &name.0, &image(), "/bin/sleep", "600"]));
    let blob: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_246_822_519) >> 11) as u8).collect();
    let (there, back) = (dir.path().join("there"), dir.path().join("back"));
    std::fs::write(&there, &blob).unwrap();
    good(&mut docker(&["cp", path(&there), &format!("{}:/blob", name.0)]));
    good(&mut docker(&["cp", &format!("{}:/blob", name.0), path(&back)]));
    assert!(std::fs::read(&back).unwrap() == blob, "the copy differs");

    let context = dir.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(
        context.join("Dockerfile"),
        format!("FROM {}\nCOPY big /big\nRUN [\"/bin/sha256sum\", \"/big\"]\n", image()),
    )
    .unwrap();
    std::fs::write(context.join("big"), &blob).unwrap();
    let tag = format!("stockade-gateway-test/built:{}", std::process::id());
    let built = good(&mut docker(&["build", "-t", &tag, path(&context)]));
    assert!(text(&built).contains("Successfully tagged"), "{}", text(&built));

    let saved = good(&mut docker(&["save", &tag])).stdout;
    assert!(saved.len() > blob.len(), "{} bytes were saved", saved.len());
    good(&mut docker(&["rmi", &tag]));
    assert!(text(&fed(&mut docker(&["load"]), &saved)).contains("Loaded image"));
    good(&mut docker(&["rmi", &tag]));
    good(&mut docker(&["kill", &name.0]));
    assert_no_token(&gateway, &token);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn expiry_ends_logs_and_revocation_ends_events() {
    let (_image, gateway, token) = started();
    let name = Named::new("follow");
    good(gateway.docker(&token).args(["run", "-d", "--name", &name.0, &image(), "/bin/sleep", "600"]));

    let ended = |why: &str| gateway.audit().iter().any(|line| line["ended"] == why);
    // A machine that is busy may not even begin within the life of a short token.
    for lifetime in ["--lifetime=3", "--lifetime=20", "--lifetime=60"] {
        let short = gateway.token(&["--role=operator", lifetime]);
        let logs = gateway.docker(&short).args(["logs", "-f", &name.0]).stderr(Stdio::piped()).spawn().unwrap();
        let output = logs.wait_with_output().unwrap();
        assert!(!output.status.success(), "logs -f outlived its token");
        let began = gateway.audit().iter().any(|line| line["event"] == "open" && line["operation"] == "ContainerLogs");
        if began {
            gateway.wait_for("its end in the log", || ended("token expired"));
            break;
        }
    }
    assert!(ended("token expired"));

    let issued = gateway.issue(&["--role=operator"]);
    let doomed = issued["access_token"].as_str().unwrap();
    let events = gateway.docker(doomed).arg("events").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let opened = |line: &serde_json::Value| line["event"] == "open" && line["operation"] == "SystemEvents";
    gateway.wait_for("the stream", || gateway.audit().iter().any(opened));
    gateway.revoke(issued["session"].as_str().unwrap());
    let output = events.wait_with_output().unwrap();
    assert!(!output.status.success(), "events outlived its session");
    assert_eq!(gateway.get("/v1.41/containers/json", doomed).0, 401);
    gateway.wait_for("its end in the log", || ended("token revoked"));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn assert_no_token(gateway: &Gateway, token: &str) {
    let log = std::fs::read_to_string(gateway.path("audit.log")).unwrap();
    let signature = token.rsplit('.').next().unwrap();
    assert!(!log.is_empty() && !log.contains(token) && !log.contains(signature), "a token is in the audit log");
}
