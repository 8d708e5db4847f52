//! The shell encoder: a real `/bin/sh`, and a model of how POSIX reads words
//! (XCU 2.2), both get the exact bytes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::process::Command;
use stockade::shell::{Command as ShellCommand, Script, quote};

fuzz_target!(|data: &[u8]| {
    // 0xff is in no UTF-8 text, so it can part the words.
    let words: Vec<&str> = data.split(|byte| *byte == 0xff).filter_map(|word| std::str::from_utf8(word).ok()).collect();
    let refused = words.iter().any(|word| word.contains('\0'));
    let mut script = Script::new();
    script.run(ShellCommand::new("printf").arg("%s\\0").args(&words));
    script.set("value", words.first().unwrap_or(&""));
    script.line(r#"printf '%s' "$value""#);
    let Ok(text) = script.build() else {
        assert!(refused, "{words:?} is refused");
        return;
    };
    assert!(!refused, "a NUL byte in {text:?}");
    for word in &words {
        assert_eq!(read(&quote(word).expect("no NUL byte")), [*word], "by the model");
    }
    let output = Command::new("/bin/sh").env_clear().arg("-c").arg(text).output().expect("/bin/sh");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?} of {text:?}");
    let mut expected = Vec::new();
    for word in &words {
        expected.extend_from_slice(word.as_bytes());
        expected.push(0);
    }
    if words.is_empty() {
        // Without a word printf writes its format once.
        expected.push(0);
    }
    expected.extend_from_slice(words.first().unwrap_or(&"").as_bytes());
    assert_eq!(output.stdout, expected, "by /bin/sh, of {text:?}");
});

/// The words of a text without expansions. Whatever would expand or end the
/// command is a failure: an encoder has to quote it.
fn read(text: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, text.chars());
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().expect("a quote that does not end") {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '\\' => match chars.next().expect("a backslash at the end") {
                '\n' => {}
                c => word.get_or_insert_default().push(c),
            },
            '~' | '#' | '=' if word.is_none() => panic!("{c:?} begins a word in {text:?}"),
            '"' | '$' | '`' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '\n' | '*' | '?' | '[' | '!' | '{' | '}' => {
                panic!("{c:?} stands unquoted in {text:?}")
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
