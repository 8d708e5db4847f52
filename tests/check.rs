//! The commands that need no host: check, schema, completions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

fn stockade(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_stockade")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_playbook_is_checked_for_every_host_without_one() {
    let project = project(&[
        (
            "p.toml",
            r#"hosts = ["web"]
[[step]]
when = "facts.os.id == 'ubuntu'"
file = { path = "/etc/{{ facts.os.codename }}", content = "{{ who }}", owner = "{{ facts.login_user }}" }
[[step]]
when = "stage == 'prod'"
tags = ["prod"]
file = { path = "/etc/{{ who }}", template = "t.conf", mode = "{{ mode }}" }
"#,
        ),
        ("t.conf", "{{ host.address }} {{ facts.machine }}\n"),
        ("i.toml", "[hosts.a]\ngroups = ['web']\nvars = { who = 'x' }\n[hosts.b]\ngroups = ['web']\nstage = 'prod'\n"),
        ("stages/prod.toml", "[vars]\nwho = 'y'\nmode = '0600'\n"),
    ]);
    let check = |args: &[&str]| stockade(project.path(), &[&["check", "p.toml", "-i", "i.toml"], args].concat());
    assert_eq!(check(&[]), (0, "2 steps, 2 hosts: no error\n".into(), String::new()));
    assert_eq!(check(&["--limit", "a"]), (0, "1 step, 1 host: no error\n".into(), String::new()));
    let (code, _, told) = check(&["--var", "mode=999"]);
    assert_eq!(code, 1);
    assert!(told.contains("'mode' of 'file' must be a string, not an integer"), "{told}");
    for (args, says) in [
        (&["--tags", "pord"][..], "--tags: no step has the tag 'pord'\n  help: did you mean 'prod'?"),
        (&["--var", "modes=1"], "--var: unused variable 'modes'"),
        (&["--var", "mode"], "write --var NAME=VALUE"),
        (&["--var", "facts=1"], "the variable 'facts' is the program's own"),
        (&["--limit", "c"], "there is no host or group 'c'"),
        (&["--stage", "test"], "host 'b' belongs to stage 'prod'"),
        (&["--host", "-x"], "names no host"),
    ] {
        let joined: Vec<String> = args.chunks(2).map(|pair| format!("{}={}", pair[0], pair[1])).collect();
        let (code, out, told) = check(&joined.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((code, out.as_str()), (1, ""), "{told}");
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn errors_of_every_sort_are_told_in_one_run() {
    let project = project(&[(
        "p.toml",
        r#"[[step]]
file = { path = "/etc/../shadow", content = "x", mode = "999" }
[[step]]
file = { path = "/a", contents = "x", mode = 644 }
[[step]]
file = { path = "/a", source = "gone" }
[[step]]
file = { path = "/{{ nowhere }}", content = "x" }
"#,
    )]);
    let (code, out, told) = stockade(project.path(), &["check", "p.toml", "--host", "192.0.2.1"]);
    assert_eq!((code, out.as_str()), (1, ""), "{told}");
    for says in [
        "'/etc/../shadow' is not a usable path",
        "p.toml:2:17",
        "'999' is not a file mode",
        "unknown key 'contents' in 'file'",
        "did you mean 'content'?",
        "'mode' of 'file' must be a string, not an integer",
        "there is no file 'gone'",
        "undefined variable 'nowhere'",
        "4 | file = { path = \"/a\", contents",
    ] {
        assert!(told.contains(says), "{says:?} is not told in\n{told}");
    }
}

#[test]
fn what_cannot_be_read_hides_nothing_that_is_wrong_elsewhere() {
    let project = project(&[(
        "p.toml",
        r#"[vars]
port = 8080
[probes]
motd = { pth = "/etc/motd" }
[[step]]
fiel = { path = "/a" }
[[step]]
file = { path = "/b", contents = "x", mode = "999" }
[[step]]
file = { path = "/c", content = "{{ port }}" }
[[step]]
file = { path = "/d", content = "x", mode = 644 }
[[step]]
when = 7
user = { name = "a b" }
[[step]]
file = { path = "/e", content = "{{ nowhere }}" }
[[step]]
use = "no-such-playbook"
[[step]]
setting = { path = "/f", kye = "a", value = "b" }
[[step]]
file = { path = "/g", content = "a\n{{.Names}}\n" }
[[step]]
firewall = { rules = [{ alow = "22/tcp" }] }
"#,
    )]);
    let (code, out, told) = stockade(project.path(), &["check", "p.toml", "--host", "192.0.2.1"]);
    assert_eq!((code, out.as_str()), (1, ""), "{told}");
    for says in [
        "unknown key 'pth' in a probe",
        "did you mean 'path'? possible keys: path, package, unit, command, as",
        "unknown kind 'fiel' in a step",
        "did you mean 'file'? possible keys: user, group,",
        "unknown key 'contents' in 'file'",
        "did you mean 'content'? possible keys: path,",
        "'999' is not a file mode",
        "'content' of 'file' must be a string, not an integer",
        "write {{ port | str }}, which turns the value into a string",
        "'mode' of 'file' must be a string, not an integer",
        "write it in quotes: \"644\"",
        "'when' must be an expression in a string, or a boolean, not an integer",
        "'a b' is not a valid user name",
        "undefined variable 'nowhere'",
        "there is no bundled playbook 'no-such-playbook'",
        "unknown key 'kye' in 'setting'",
        "stands between {% raw %} and {% endraw %}",
        "unknown key 'alow' in a rule",
    ] {
        assert!(told.contains(says), "{says:?} is not told in\n{told}");
    }
    // A misspelt key is not told as a missing one, too.
    assert!(!told.contains("needs the key 'key'"), "{told}");
}

#[test]
fn without_hosts_one_stands_for_any_and_its_missing_groups_do_not_matter() {
    let project =
        project(&[("p.toml", "hosts = ['db']\n[[step]]\nfile = { path = '/a', content = '{{ host.name }}' }\n")]);
    assert_eq!(stockade(project.path(), &["check", "p.toml"]), (0, "1 step, 1 host: no error\n".into(), String::new()));
    let (code, _, told) = stockade(project.path(), &["check", "none.toml"]);
    assert_eq!(code, 1);
    assert!(told.contains("cannot read the playbook 'none.toml'"), "{told}");
}

#[test]
fn every_bundled_playbook_is_right_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    // What the operator brings: the gateway's certificates, as 'stockade ca' lays them out.
    std::fs::create_dir_all(folder.path().join("ca/hosts")).unwrap();
    for file in ["ca/ca.crt", "ca/hosts/any.crt", "ca/hosts/any.key"] {
        std::fs::write(folder.path().join(file), "-\n").unwrap();
    }
    let mut names = 0;
    for name in stockade::playbook::bundled_names() {
        let (code, _, told) = stockade(folder.path(), &["check", name]);
        assert_eq!(code, 0, "{name}: {told}");
        names += 1;
    }
    assert!(names >= 3);
}

#[test]
fn a_bundled_playbook_is_used_by_name_with_files_of_the_playbook_that_uses_it() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2C5zdHdCjcbQ3T0rBCSBd6bNIHd4xbdWAYiqpSDsGe me\n";
    let playbook = |keys: &str| {
        format!(
            "[[step]]\nuse = 'users'\nwith = {{ users = [{{ name = 'deploy', keys = ['{keys}'], sudo = 'nopasswd' }}] }}\n"
        )
    };
    let project = project(&[
        ("good.toml", &playbook("keys/*.pub")),
        ("none.toml", &playbook("keyz/*.pub")),
        ("slip.toml", "[[step]]\nuse = 'users'\nwith = { usres = [] }\n"),
        ("name.toml", "[[step]]\nuse = 'usrs'\n"),
        ("part.toml", "[[step]]\nuse = 'harden/shs'\n"),
        ("own.toml", "[[step]]\nuse = 'harden/own'\n"),
        ("harden/own/playbook.toml", "[[step]]\nfile = { path = '/etc/x', content = '' }\n"),
        ("keys/me.pub", key),
    ]);
    for file in ["good.toml", "own.toml"] {
        let (code, out, told) = stockade(project.path(), &["check", file]);
        assert_eq!((code, out.as_str()), (0, "1 step, 1 host: no error\n"), "{told}");
    }
    for (file, says) in [
        ("none.toml", "keyz/*.pub"),
        ("slip.toml", "the playbook 'users' has no variable 'usres'"),
        ("name.toml", "there is no bundled playbook 'usrs'"),
        ("part.toml", "did you mean 'harden/ssh'?"),
        ("harden/shs", "did you mean the bundled playbook 'harden/ssh'?"),
    ] {
        let (code, _, told) = stockade(project.path(), &["check", file]);
        assert_eq!(code, 1);
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn every_schema_is_json_and_every_shell_is_served() {
    let folder = tempfile::tempdir().unwrap();
    for of in ["playbook", "inventory", "stage"] {
        let (code, out, _) = stockade(folder.path(), &["schema", of]);
        let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, schema["$schema"].as_str()), (0, Some("https://json-schema.org/draft/2020-12/schema")));
    }
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = stockade(folder.path(), &["completions", shell]);
        assert_eq!(code, 0);
        for word in ["completions", "check", "skip-tags"] {
            assert!(out.contains(word), "{shell}: {word}");
        }
    }
}

/// An error as it is printed: its place, its message and its advice.
fn told_errors(shown: &str) -> Vec<(String, String, String)> {
    let part = |block: &str, before: &str| {
        let line = block.lines().find_map(|line| line.trim_start().strip_prefix(before));
        line.unwrap_or_default().to_owned()
    };
    let blocks = shown.split("\n\n").filter(|block| block.starts_with("error: "));
    blocks.map(|block| (part(block, "--> "), part(block, "error: "), part(block, "help: "))).collect()
}

/// Each file of `tests/playbooks/wrong` says in its first lines what `check`
/// must tell of it: all of that, in that order, nothing else and nothing twice.
/// `# expect: LINE:COLUMN MESSAGE`, or `FILE:LINE:COLUMN` for another file than
/// its own; `# help: ADVICE` of the error before.
#[test]
fn all_that_is_wrong_with_a_playbook_is_told_in_one_run_and_in_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playbooks/wrong");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= 20, "{}", files.len());
    // tests/run.sh adds these up.
    println!("table: playbooks {}", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut wanted: Vec<(String, &str, &str)> = Vec::new();
        for line in text.lines().take_while(|line| line.starts_with("# ")) {
            if let Some(rest) = line.strip_prefix("# expect: ") {
                let (place, message) = rest.split_once(' ').unwrap();
                let own = place.matches(':').count() == 1;
                wanted.push((if own { format!("{name}:{place}") } else { place.to_owned() }, message, ""));
            } else if let Some(help) = line.strip_prefix("# help: ") {
                wanted.last_mut().unwrap().2 = help;
            }
        }
        assert!(!wanted.is_empty(), "{name} expects nothing");
        let (code, out, shown) = stockade(&folder, &["check", name]);
        let told = told_errors(&shown);
        let fits = told.len() == wanted.len()
            && told.iter().zip(&wanted).all(|((at, message, help), (place, part, advice))| {
                at == place && message.contains(part) && help.contains(advice)
            });
        if !fits || (code, out.as_str()) != (1, "") {
            wrong.push(format!("{name}: code {code}, wanted {wanted:#?}, told {told:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn files_that_are_no_text_of_toml_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (bytes, place, says) in [
        (utf16("\u{feff}[[step]]\n"), "p.toml:1:1", "this file is UTF-16, not UTF-8"),
        (b"# caf\xe9\n".to_vec(), "p.toml:1:6", "this file is not UTF-8: byte 5 is 0xe9"),
        (b"[[step]]\nfile = { path = \"/a\0\" }\n".to_vec(), "p.toml:2:20", "a control character (0x00) stands here"),
        (b"\xef\xbb\xbf[[step]]\nfiel = {}\n".to_vec(), "p.toml:2:1", "unknown kind 'fiel' in a step"),
        (b"[[step]]\r\n\tfiel = {}\r\n".to_vec(), "p.toml:2:2", "unknown kind 'fiel' in a step"),
    ] {
        std::fs::write(folder.path().join("p.toml"), bytes).unwrap();
        let (code, out, shown) = stockade(folder.path(), &["check", "p.toml"]);
        let told = told_errors(&shown);
        assert_eq!((code, out.as_str(), told.len()), (1, "", 1), "{shown}");
        assert_eq!((told[0].0.as_str(), told[0].1.as_str()), (place, says), "{shown}");
        assert!(!told[0].2.is_empty(), "{shown}");
    }
}

#[test]
fn a_wrong_inventory_stage_or_host_hides_nothing_that_is_wrong_with_the_playbook() {
    let project = project(&[
        (
            "p.toml",
            "hosts = [\"webs\"]\n[vars]\nmode = \"to be set by the inventory\"\n[[step]]\nwhen = \"stage == 'prod'\"\nfile = { path = \"x\", contents = \"{{ of_the_inventory }}\", mode = \"{{ mode }}\" }\n[[step]]\nfile = { path = \"/a\", content = \"{{ host.nmae }}{{ item }}\" }\n",
        ),
        ("broken.toml", "[hosts.web1]\nadress = '192.0.2.1'\n"),
        ("right.toml", "[hosts.web1]\naddress = '192.0.2.1'\ngroups = ['web']\n"),
        ("staged.toml", "[hosts.web1]\naddress = '192.0.2.1'\ngroups = ['webs']\nstage = 'prd'\n"),
        ("stages/prod.toml", "[vars]\n"),
    ]);
    for (inventory, says) in [
        ("broken.toml", "unknown key 'adress'"),
        ("right.toml", "there is no host or group 'webs'"),
        ("staged.toml", "there is no stage 'prd'"),
        ("gone.toml", "cannot read the inventory 'gone.toml'"),
    ] {
        let (code, _, shown) = stockade(project.path(), &["check", "p.toml", "-i", inventory]);
        let told = told_errors(&shown);
        assert_eq!(code, 1, "{shown}");
        for says in [
            says,
            "'x' is not a usable path",
            "unknown key 'contents' in 'file'",
            "'host.nmae' is undefined",
            "undefined variable 'item'",
        ] {
            assert_eq!(told.iter().filter(|(_, message, _)| message.contains(says)).count(), 1, "{says}: {shown}");
        }
        // Of variables that the inventory sets nothing is said.
        assert_eq!(told.len(), 5, "{shown}");
    }
}

#[test]
fn what_a_step_needs_beside_its_table_is_checked_where_a_probe_makes_it_late() {
    let project = project(&[
        (
            "p.toml",
            r#"
[probes]
m = { path = "/srv/m" }
[[step]]
env = { path = "/etc/app.env", values = { SIZE = "{{ probes.m.size }}" } }
[[step]]
file = { path = "/etc/{{ probes.m.size }}", template = "none.tera" }
[[step]]
env = { path = "/etc/gone.env", state = "{{ probes.m.type }}" }
"#,
        ),
        (
            "s.toml",
            "[probes]\nm = { path = '/srv/m' }\n[[step]]\nenv = { path = '/etc/a', values = { A = '{{ probes.m.size }}' } }\n",
        ),
        ("stages/prod.toml", "[vars]\n"),
    ]);
    let (code, _, told) = stockade(project.path(), &["check", "p.toml"]);
    assert_eq!(code, 1, "{told}");
    for said in ["'env' needs a stage, and none is in use\n --> p.toml:5:7", "there is no file 'none.tera'"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert_eq!(told.matches("needs a stage").count(), 1, "{told}");
    let (code, _, told) = stockade(project.path(), &["check", "s.toml", "--stage", "prod"]);
    assert_eq!(code, 0, "{told}");
}
