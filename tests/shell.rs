//! The encoder against real shells: whatever a value holds, it arrives as it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a shell that cannot be run must stop the test

use proptest::prelude::*;
use std::process::Command;
use stockade::shell::{Command as ShellCommand, NulByte, Script, quote};

/// The shells that may be `/bin/sh` or a login shell on a host, as far as this machine has them.
fn shells() -> Vec<&'static str> {
    let all = ["/bin/sh", "/bin/dash", "/bin/bash", "/usr/bin/ksh", "/bin/busybox"];
    all.into_iter().filter(|path| std::path::Path::new(path).exists()).collect()
}

fn words_as_seen_by(shell: &str, words: &[String]) -> Vec<String> {
    let mut script = Script::new();
    script.run(ShellCommand::new("printf").arg("%s\\0").args(words));
    let mut command = Command::new(shell);
    if shell.ends_with("busybox") {
        command.arg("sh");
    }
    let output = command.arg("-c").arg(script.build().unwrap()).output().unwrap();
    assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stderr, b"", "{shell} said something");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut seen: Vec<String> = text.split('\0').map(str::to_owned).collect();
    seen.pop();
    seen
}

#[test]
fn hostile_words_arrive_as_they_are() {
    let words: Vec<String> = [
        "",
        " ",
        "'",
        "''",
        "\"",
        "\\",
        "\\'",
        "$HOME",
        "$(touch /tmp/owned)",
        "`id`",
        "${IFS}",
        "a;b",
        "a|b",
        "a&b",
        "a\nb",
        "\n",
        "\t",
        "\r",
        "*",
        "?",
        "[a]",
        "~",
        "~root",
        "-rf",
        "--",
        "-",
        "!",
        "!!",
        "#x",
        "a#b",
        "=",
        "a=b",
        "{a,b}",
        "<x",
        ">x",
        "(x)",
        "é",
        "日本",
        "\u{202e}x",
        "\u{1}\u{7f}\u{1b}[2J",
        "%s",
        "%n",
        "\\0",
        "\\n",
        "x'y'z",
        "'; rm -rf / #",
    ]
    .map(str::to_owned)
    .to_vec();
    for shell in shells() {
        assert_eq!(words_as_seen_by(shell, &words), words, "{shell}");
    }
}

#[test]
fn a_nul_byte_is_refused_wherever_it_stands() {
    assert_eq!(quote("a\0b"), Err(NulByte));
    assert_eq!(Script::new().run(ShellCommand::new("true").arg("\0")).build(), Err(NulByte));
    assert_eq!(Script::new().set("V", "\0").build(), Err(NulByte));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_words_arrive_as_they_are(words in proptest::collection::vec("[^\0]{0,24}", 1..40)) {
        prop_assert_eq!(words_as_seen_by("/bin/sh", &words), words);
    }

    #[test]
    fn words_made_of_shell_syntax_arrive_as_they_are(
        words in proptest::collection::vec("[-'\"\\\\$`(){}\\[\\];&|<>*?~#!=%\n\t a]{0,16}", 1..40)
    ) {
        for shell in shells() {
            prop_assert_eq!(words_as_seen_by(shell, &words), words.clone());
        }
    }

    #[test]
    fn a_variable_keeps_any_value(value in "[^\0]{0,200}") {
        let mut script = Script::new();
        script.set("V", &value).line("printf %s \"$V\"");
        let output = Command::new("/bin/sh").arg("-c").arg(script.build().unwrap()).output().unwrap();
        prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    }
}

/// Texts with what fails in each place where something can; what they print and end with.
const TEXTS: [(&str, &str, bool); 17] = [
    ("false\necho after", "", false),
    ("echo a; cp /no/such /etc/; echo after", "a", false),
    ("echo a\nfalse", "a", false),
    ("true | false; echo after", "", false),
    ("false | true; echo after", "after", true),
    ("(echo a; false; echo in); echo after", "a", false),
    ("f() { echo a; false; echo in; }\nf\necho after", "a", false),
    ("x=$(false); echo after", "", false),
    ("for i in 1 2; do echo $i; false; done", "1", false),
    ("cd /no/such; echo after", "", false),
    ("no-such-program; echo after", "", false),
    ("echo a; if", "", false),
    ("echo a\nexit 0\nfalse", "a", true),
    ("false || echo other; ! true || :; if false; then :; fi; echo after", "other\nafter", true),
    ("d=$(mktemp -d); cd \"$d\"; rmdir \"$d\"; echo a; false; echo after", "a", false),
    ("cat <<'E'\na\nE\ntest -e /no/such\necho after", "a", false),
    ("set +e\nfalse\necho after", "after", true),
];

/// Runs a text by the function that a host has for it; its exit code and output.
fn run_text(shell: &str, user: &str, words: &[&str]) -> (i32, String) {
    // sh is the shell that is tried.
    let bin = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(shell, bin.path().join("sh")).unwrap();
    std::fs::set_permissions(bin.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut script = Script::new();
    script.set("PATH", &format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.path().display())).line("LIMIT=20");
    script.line(stockade::shell::RUN_TEXT).line("export PATH").run(ShellCommand::new("run_text").arg(user).args(words));
    let output = Command::new(shell).arg("-c").arg(script.build().unwrap()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

#[test]
fn a_text_ends_at_the_first_command_that_fails() {
    let users: &[&str] = if rustix::process::getuid().is_root() { &["", "nobody"] } else { &[""] };
    for shell in ["/bin/dash", "/bin/bash"].into_iter().filter(|path| std::path::Path::new(path).exists()) {
        for user in users {
            for (text, printed, well) in TEXTS {
                let (code, output) = run_text(shell, user, &["-c", text]);
                assert_eq!(output, printed, "{shell} as {user:?}: {text}");
                assert_eq!(code == 0, well, "{shell} as {user:?}: {text}: exit code {code}");
            }
            assert_eq!(run_text(shell, user, &["-c", "echo a; exit 3; echo b"]), (3, "a".to_owned()), "{shell}");
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), "echo \"$1\"; false; echo after").unwrap();
            std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
            let words = [file.path().to_str().unwrap(), "it's"];
            assert_eq!(run_text(shell, user, &words), (1, "it's".to_owned()), "{shell} as {user:?}: from a file");
        }
    }
}
