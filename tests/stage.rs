//! Stages as an operator meets them: files in a project, the `env` command, and
//! the proof that every value arrives in a real unit as it was written.
//!
//! The last is ignored unless it is asked for, as `tests/run.sh` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use stockade::lab::{Lab, UpOptions};
use stockade::observe::{Content, Entry, FileType, HostState, Known, PathState, PredictedState, Queries, Query, Unit};
use stockade::plan::{FileOp, Op, UnitOp};
use stockade::resource::{self, Assets};
use stockade::stage::{Stage, StageName, choose};
use stockade::values::*;

/// A project with these files.
fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("stages")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join("stages").join(name), text).unwrap();
    }
    dir
}

fn name(text: &str) -> StageName {
    text.parse().unwrap()
}

fn load(files: &[(&str, &str)]) -> Result<Stage, Vec<Diagnostic>> {
    Stage::load(project(files).path(), &name("prod"))
}

/// All that is wrong with a project's stage `prod`, as the operator reads it.
fn errors(files: &[(&str, &str)]) -> String {
    load(files).unwrap_err().iter().map(|error| format!("{error}\n")).collect()
}

fn contains(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "{part:?} is missing in\n{text}"));
}

#[test]
fn the_stage_lies_above_what_is_common_to_all() {
    let common = "[vars]\nzone = \"a\"\nsize = 1\n[env]\nA = \"common\"\nB = 2\n[env.required]\nC = \"boolean\"\n";
    let own = "[vars]\nsize = 3\n[env]\nA = \"own\"\nC = true\n";
    let stage = load(&[("common.toml", common), ("prod.toml", own)]).unwrap();
    let env: Vec<(&str, &str)> = stage.env.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
    assert_eq!(env, [("A", "own"), ("B", "2"), ("C", "true")]);
    let vars: Vec<(&str, serde_json::Value)> = stage.vars.iter().map(|(k, n)| (k.as_str(), n.to_json())).collect();
    assert_eq!(vars, [("zone", "a".into()), ("size", 3.into())]);
    let inputs: Vec<&[u8]> = stage.inputs.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(inputs, [common.as_bytes(), own.as_bytes()]);
    assert!(!format!("{stage:?}").contains("own\""), "{stage:?}");
}

#[test]
fn everything_required_and_missing_or_mistyped_is_told_at_once_and_no_value_is_shown() {
    let text = errors(&[
        ("common.toml", "[env.required]\nURL = \"url\"\nPORT = \"port\"\n"),
        (
            "prod.toml",
            "[env]\nPORT = \"hunter2\" # a comment\nDIR = \"\"\"\nhunter2\nhunter2\"\"\"\n\n[env.required]\nDIR = \"path\"\n\
             KEY = \"string\"\nMAYBE = \"integer?\"\nODD = \"sting\"\n",
        ),
    ]);
    contains(
        &text,
        &[
            "the required variable 'URL' is missing",
            "stages/common.toml:2:1",
            "the value of 'PORT' is not of type 'port'",
            "stages/prod.toml:2:8",
            "2 | PORT = ********* # a comment\n",
            "the value of 'DIR' is not of type 'path'",
            "the required variable 'KEY' is missing",
            "add KEY = \"…\" (any text) under [env] in ",
            "did you mean 'string'?",
        ],
    );
    assert!(!text.contains("hunter2") && !text.contains("MAYBE"), "{text}");
}

#[test]
fn an_optional_variable_may_be_missing_but_not_wrong() {
    let required = "[env.required]\nN = \"integer?\"\n";
    assert!(load(&[("prod.toml", required)]).is_ok());
    contains(&errors(&[("prod.toml", &format!("[env]\nN = \"x\"\n{required}"))]), &["not of type 'integer'"]);
}

#[test]
fn what_a_stage_file_may_not_hold_is_told_with_its_place() {
    let text = errors(&[(
        "prod.toml",
        "PASSWORD = \"hunter2\"\n[evn]\nX = \"hunter2\"\n[env]\n\"A-B\" = \"hunter2\"\nL = [\"hunter2\"]\nD = 2024-01-01\n\
         N = \"hunter2\\u0000\"\nrequired = \"hunter2\"\n",
    )]);
    contains(
        &text,
        &[
            "unknown key 'PASSWORD' in a stage",
            "1 | PASSWORD = *********\n",
            "unknown key 'evn' in a stage",
            "did you mean 'env'?",
            "not a valid environment variable name",
            "stages/prod.toml:5:1",
            "'L' must be a string, number or boolean, not an array",
            "'D' must be a string, number or boolean, not a date",
            "the value of 'N' has a NUL character",
            "'required' cannot be the name of a variable in [env]",
        ],
    );
    assert!(!text.contains("hunter2"), "{text}");
    contains(&errors(&[("prod.toml", "env = \"hunter2\"\nvars = 1\n")]), &["'env' must be a table", "1 | env = ****"]);
}

#[test]
fn broken_toml_and_broken_text_are_told_without_values() {
    let text = errors(&[("prod.toml", "[env]\nA = \"hunter2\nB = hunter2\nC = \"\"\"\nhunter2\n")]);
    contains(&text, &["stages/prod.toml:2:"]);
    assert!(!text.contains("hunter2"), "{text}");
    let dir = project(&[]);
    std::fs::write(dir.path().join("stages/prod.toml"), b"[env]\nA = \"\xff\"\n").unwrap();
    let error = Stage::load(dir.path(), &name("prod")).unwrap_err();
    contains(&error[0].to_string(), &["stages/prod.toml:2: the file is not UTF-8"]);
}

#[test]
fn encrypted_values_are_refused_rather_than_left_out() {
    for file in ["prod.secrets.age", "common.secrets.age"] {
        contains(&errors(&[("prod.toml", ""), (file, "x")]), &[file, "encrypted values are not supported"]);
    }
    assert!(load(&[("prod.toml", ""), ("test.secrets.age", "x")]).is_ok());
}

#[test]
fn an_undefined_stage_is_told_with_those_that_exist() {
    let files = [("prd.toml", ""), ("test.toml", ""), ("common.toml", ""), ("notes.txt", "")];
    contains(&errors(&files), &["there is no stage 'prod'", "did you mean 'prd'?", "stages that exist: prd, test\n"]);
    let empty = tempfile::tempdir().unwrap();
    let error = Stage::load(empty.path(), &name("prod")).unwrap_err();
    contains(&error[0].to_string(), &["no stage is defined there yet"]);
}

#[test]
fn command_and_inventory_must_not_name_different_stages() {
    let (prod, test) = (name("prod"), name("test"));
    assert_eq!(choose("web1", Some(&prod), None).unwrap(), Some(&prod));
    assert_eq!(choose("web1", None, Some(&prod)).unwrap(), Some(&prod));
    assert_eq!(choose("web1", Some(&prod), Some(&prod)).unwrap(), Some(&prod));
    assert_eq!(choose("web1", None, None).unwrap(), None);
    let error = choose("web1", Some(&test), Some(&prod)).unwrap_err().to_string();
    contains(&error, &["host 'web1' belongs to stage 'prod'", "'test' is asked for"]);
}

fn stockade(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
    command.arg("env").args(arguments).current_dir(dir).env_remove("A").output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn two_stages() -> tempfile::TempDir {
    project(&[
        ("common.toml", "[env]\nSAME = \"s\"\n"),
        ("prod.toml", "[env]\nA = \"x $HOME\\ny\\u001b\"\nOWN = \"o\"\n"),
        ("test.toml", "[env]\nA = \"z\"\nNEW = \"n\"\n"),
    ])
}

#[test]
fn show_masks_values_unless_told_otherwise() {
    let dir = two_stages();
    let masked = stockade(dir.path(), &["show", "--stage", "prod"]);
    assert_eq!(stdout(&masked), "A=•••\nOWN=•••\nSAME=•••\n");
    let revealed = stockade(dir.path(), &["show", "--stage", "prod", "--reveal"]);
    assert_eq!(stdout(&revealed), "A=x $HOME\\ny\\x1b\nOWN=o\nSAME=s\n");
    let json = stockade(dir.path(), &["show", "--stage", "test", "--format", "json", "--reveal"]);
    let json: serde_json::Value = serde_json::from_str(stdout(&json)).unwrap();
    assert_eq!(json, serde_json::json!({"A": "z", "NEW": "n", "SAME": "s"}));
    let dotenv = stockade(dir.path(), &["show", "--stage", "test", "--format", "dotenv", "--reveal"]);
    contains(stdout(&dotenv), &["\nA=\"z\"\nNEW=\"n\"\nSAME=\"s\"\n"]);
    let refused = stockade(dir.path(), &["show", "--stage", "test", "--format", "dotenv"]);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(1), ""));
}

#[test]
fn diff_names_what_differs_and_codes_it_on_request() {
    let dir = two_stages();
    let output = stockade(dir.path(), &["diff", "prod", "test"]);
    let lines = "-A=•••  (differs)\n+A=•••  (differs)\n+NEW=•••\n-OWN=•••\n";
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), &*format!("--- prod\n+++ test\n{lines}")));
    let coded = stockade(dir.path(), &["diff", "prod", "test", "--exit-code", "--reveal"]);
    assert_eq!(coded.status.code(), Some(2));
    contains(stdout(&coded), &["+A=z\n"]);
    let same = stockade(dir.path(), &["diff", "prod", "prod", "--exit-code"]);
    assert_eq!((same.status.code(), stdout(&same)), (Some(0), "'prod' and 'prod' have the same environment\n"));
}

#[test]
fn exec_adds_the_environment_and_ends_as_the_command_does() {
    let dir = two_stages();
    let script = "printf '%s|%s|%s' \"$A\" \"$SAME\" \"$KEPT\"; exit 7";
    let output = Command::new(env!("CARGO_BIN_EXE_stockade"))
        .args(["env", "exec", "--stage", "prod", "--project"])
        .arg(dir.path())
        .args(["--", "sh", "-c", script])
        .env("KEPT", "k")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), stdout(&output)), (Some(7), "x $HOME\ny\x1b|s|k"));
    let missing = stockade(dir.path(), &["exec", "--stage", "prod", "--", "/nonexistent/program"]);
    assert_eq!(missing.status.code(), Some(1));
    contains(stderr(&missing), &["'/nonexistent/program' cannot be started"]);
}

#[test]
fn a_stage_that_is_wrong_ends_in_code_1() {
    let dir = two_stages();
    for arguments in [vec!["show", "--stage", "prd"], vec!["exec", "--stage", "prd", "--", "touch", "ran"]] {
        let output = stockade(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(1));
        contains(stderr(&output), &["there is no stage 'prd'", "did you mean 'prod'?"]);
    }
    assert!(!dir.path().join("ran").exists());
}

/// Nothing but an environment.
struct Only(BTreeMap<EnvKey, Secret>);

impl Assets for Only {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(path.to_owned())
    }
    fn render(&self, path: &str) -> Result<String, String> {
        Err(path.to_owned())
    }
    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>> {
        Some(&self.0)
    }
}

/// Values that a careless writer or reader would spoil.
fn hard_values() -> BTreeMap<EnvKey, Secret> {
    let mut values: Vec<String> = [
        "",
        " ",
        " leading and trailing ",
        "two\nlines",
        "\n",
        "\n\nA=injected\n# no comment\n",
        "ends in a backslash\\",
        "\\",
        "\\\\",
        "\\n is no newline",
        "backslash at the end of a line\\\nnext",
        "\"",
        "'",
        "\"quoted\"",
        "'quoted'",
        "it's \"both\"",
        "$HOME ${HOME} $(id) `id` $$",
        "# no comment",
        "; no comment",
        "a # b ; c",
        "%h %% %n",
        "tab\there",
        "carriage\rreturn\r\n",
        "ünïcödé ☃ 🦀 e\u{301} \u{feff} \u{200d}",
        "a=b=c",
        "-n",
        "!history",
        "{\"json\": [\"a\\\"b\", 1]}",
        "-----BEGIN KEY-----\nabc+/=\n-----END KEY-----\n",
    ]
    .map(str::to_owned)
    .into();
    values.push("long ".repeat(20_000));
    for c in ' '..='~' {
        values.extend([format!("{c}"), format!("{c}{c}"), format!("\\{c}"), format!("a{c}\nb")]);
    }
    values.iter().enumerate().map(|(n, v)| (format!("STOCKADE_{n}").parse().unwrap(), Secret::new(v))).collect()
}

/// Writes an environment as the `env` kind plans it, starts a unit that loads
/// it, and compares what its program is given, byte for byte.
///
/// `root` runs a shell script as root on a host with systemd, gives it the
/// bytes on standard input, and returns its standard output.
fn prove_the_round_trip(root: &dyn Fn(&str, &[u8]) -> Vec<u8>) {
    let service = "[Service]\nType=oneshot\nExecStart=/usr/bin/env -0\nStandardOutput=truncate:/run/roundtrip.out\n";
    root("cat > /etc/systemd/system/roundtrip.service", service.as_bytes());
    let assets = Only(hard_values());
    let (step, _) =
        parse_document(&Source::new("step", "path = \"/etc/100% safe.env\"\nunit = \"roundtrip.service\"\n"));
    let env = resource::build(resource::kind("env").unwrap(), &step, &assets).unwrap();
    let mut host = HostState::default();
    let mut queries = Queries::new();
    env.queries(&mut queries);
    for query in queries.iter() {
        match query {
            Query::Path(path) if ["/etc", "/etc/systemd/system"].contains(&path.as_str()) => {
                let (owner, group) = ("root".to_owned(), "root".to_owned());
                let (file_type, mode) = (FileType::Directory, Mode::from_bits(0o755));
                host.set_path(path, PathState::Present(Entry { file_type, mode, owner, group, target: None }));
            }
            Query::Path(path) => host.set_path(path, PathState::Absent),
            Query::Digest(path) | Query::Content(path) => host.set_content(path, Content::Absent),
            Query::Unit(unit) => host.set_unit(unit, Known::Is(Unit::default())),
            // The unit has none.
            Query::DropIns(_) => {}
            other => panic!("unexpected question {other:?}"),
        }
    }
    let quote = |path: &AbsPath| stockade::shell::quote(path.as_str()).unwrap();
    for op in env.plan(&PredictedState::of(&host)).unwrap().ops {
        match op {
            Op::File(FileOp::MakeDirectory { path, .. }) => drop(root(&format!("mkdir -p {}", quote(&path)), b"")),
            Op::File(FileOp::WriteFile { path, content, .. }) => {
                drop(root(&format!("cat > {}", quote(&path)), &content))
            }
            Op::Unit(UnitOp::DaemonReload) => drop(root("systemctl daemon-reload", b"")),
            other => panic!("unexpected operation {other:?}"),
        }
    }
    root("systemctl start roundtrip.service", b"");
    let given = root("cat /run/roundtrip.out", b"");
    let given: BTreeMap<&str, &str> = given
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).unwrap().split_once('='))
        .filter(|(key, _)| key.starts_with("STOCKADE_"))
        .collect();
    let sent: BTreeMap<&str, &str> = assets.0.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
    for (key, value) in &sent {
        assert_eq!(given.get(key), Some(value), "{key} did not arrive as it was written");
    }
    assert_eq!(given.len(), sent.len());
    root(
        "rm -r /etc/systemd/system/roundtrip.service* '/etc/100% safe.env' /run/roundtrip.out; systemctl daemon-reload",
        b"",
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn every_value_arrives_in_a_real_unit_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::open(dir.path().join("lab")).unwrap();
    lab.check_engine().unwrap();
    let base = Some("debootstrap:bookworm".parse().unwrap());
    let hosts = lab.up(&UpOptions { count: 1, base, ..UpOptions::default() }).unwrap();
    // However the proof ends, the host is taken down before it is judged.
    let proof = std::panic::catch_unwind(|| {
        prove_the_round_trip(&|script, input| {
            let output = hosts[0].exec_with_input(&["sh", "-ec", script], input).unwrap();
            assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        });
    });
    lab.down_all().unwrap();
    if let Err(why) = proof {
        std::panic::resume_unwind(why);
    }
}
