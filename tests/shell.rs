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
