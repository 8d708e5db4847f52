//! Dockerfiles: what is accepted is written anew, reads back as the same, and
//! names no image but by its id; no trigger that is accepted does either.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_gateway::build::{BuildArgs, Dockerfile, ImageReference};

const LABEL: &str = "com.example.owner";

fuzz_target!(|data: &[u8]| {
    let (first, text) = data.split_first().unwrap_or((&0, data));
    let mut build_args = BuildArgs::new();
    if first & 1 != 0 {
        build_args.insert("A".to_owned(), Some("given".to_owned()));
        build_args.insert("B".to_owned(), None);
    }
    let target = [None, Some("b"), Some("0")][usize::from(first >> 1) % 3];
    let Ok(dockerfile) = Dockerfile::parse(text) else { return };
    trigger(&dockerfile, text);
    let labels = if first & 8 != 0 { vec![(LABEL.to_owned(), "a\"b$c\\d`e".to_owned())] } else { Vec::new() };
    let Ok(rendered) = dockerfile.render(&build_args, target, &labels, &pin) else { return };
    let again = Dockerfile::parse(&rendered).expect("what is rendered is read");
    let twice = again.render(&build_args, None, &[], &pin).expect("what is rendered is rendered again");
    let rendered = String::from_utf8(rendered).expect("UTF-8 is rendered");
    assert_eq!(rendered, String::from_utf8_lossy(&twice));
    let added = labels.len() * again.stages(None).expect("no target").len();
    assert_eq!(dockerfile.steps(target), again.steps(None).map(|steps| steps - added));
    assert_eq!(dockerfile.fetches(target).map(|list| list.len()), again.fetches(None).map(|list| list.len()));
    pinned(&rendered);
});

/// An id of its own for each image, itself for an id.
fn pin(reference: &ImageReference) -> Option<String> {
    let text = &reference.reference;
    Some(format!("sha256:{}", if is_id(text) { text.clone() } else { format!("{:064x}", text.len()) }))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Reads the rendered text without the gateway's parser: it has one line for
/// each instruction.
fn pinned(text: &str) {
    let mut names: Vec<&str> = Vec::new();
    let mut escape = '\\';
    for (index, line) in text.lines().enumerate() {
        if line == "# escape=`" && index == 0 {
            escape = '`';
            continue;
        }
        let line = line.strip_prefix("ONBUILD ").unwrap_or(line).trim_start();
        let continued = line.trim_end_matches([' ', '\t']);
        assert!(!continued.ends_with(escape) || continued.ends_with(&format!("{escape}{escape}")), "{line:?}");
        let mut words = words(line).skip_while(|word| word.starts_with("--"));
        let keyword = words.next().expect("no line is empty").to_uppercase();
        let flags: Vec<&str> = words.clone().take_while(|word| word.starts_with("--") && *word != "--").collect();
        if keyword == "FROM" {
            let rest: Vec<&str> = words.skip(flags.len()).collect();
            assert!(rest[0] == "scratch" || is_id(rest[0]) || names.contains(&rest[0]), "{line:?}");
            names.extend(rest.get(2));
        }
        for from in flags.iter().filter_map(|flag| flag.strip_prefix("--from=")) {
            let from = &from.replace(['"', '\''], "");
            assert!(from.is_empty() || is_id(from) || from.bytes().all(|b| b.is_ascii_digit()), "{line:?}");
        }
        if keyword == "LABEL" {
            let folded = line.to_lowercase().replace('\u{17f}', "s");
            // In a value it may stand; not where a name begins.
            assert!(!folded.starts_with("label io.stockade."), "{line:?}");
        }
    }
}

/// The same bytes as the trigger of a base image.
fn trigger(dockerfile: &Dockerfile, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for line in text.lines() {
        if dockerfile.check_onbuild(0, &[line.to_owned()]).is_ok() {
            let folded = line.to_lowercase();
            let mut words = words(&folded);
            let word = words.next().unwrap_or_default();
            assert!(!matches!(word, "from" | "onbuild" | "maintainer" | ""), "{line:?}");
            let mut flags = words.take_while(|word| word.starts_with("--") && *word != "--");
            let from = flags.find_map(|flag| flag.strip_prefix("--from=")).unwrap_or_default();
            assert!(word != "copy" || from.replace(['"', '\''], "").is_empty(), "{line:?}");
        }
    }
}

/// Words between the white space that ends a flag, which is ASCII.
fn words(line: &str) -> impl Iterator<Item = &str> + Clone {
    line.split(['\t', '\u{b}', '\u{c}', ' ']).filter(|word| !word.is_empty())
}
