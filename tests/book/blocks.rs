//! What the fenced blocks of the pages are, and whether the program reads them.

use super::markdown::{Block, blocks, pages, read};
use super::root;
use crate::support::{gateway_program, program};
use clap::Parser;
use std::path::Path;
use std::process::Command;
use stockade::cli::Cli;

const KNOWN: [&str; 9] =
    ["console", "console host", "console ignore", "sh", "toml", "toml ignore", "text", "json", "rust"];

/// The blocks of the walk in `CONTRIBUTING.md`, which `tests/contributing.rs` follows.
const WALK: [&str; 5] = ["rust walk", "toml walk", "diff walk", "console walk", "console walk host"];

fn all() -> impl Iterator<Item = (String, Block)> {
    pages().into_iter().flat_map(|page| {
        let blocks = blocks(&read(&page));
        blocks.into_iter().map(move |block| (page.clone(), block))
    })
}

/// Every info string is known, and each exception is in its table.
pub fn assert_info_strings(not_run: &[(&str, usize, &str)], not_read: &[(&str, usize, &str)]) {
    for (page, block) in all() {
        let known =
            KNOWN.contains(&block.info.as_str()) || page == "CONTRIBUTING.md" && WALK.contains(&block.info.as_str());
        assert!(known, "{page}:{}: unknown info string {:?}", block.line, block.info);
    }
    for (info, table) in [("console ignore", not_run), ("toml ignore", not_read)] {
        for page in pages() {
            let count = all().filter(|(at, block)| *at == page && block.info == info).count();
            let allowed = table.iter().find(|(name, ..)| *name == page).map_or(0, |(_, count, _)| *count);
            assert_eq!(count, allowed, "{page} has {count} blocks '{info}', the table in tests/book.rs says {allowed}");
        }
        assert!(table.iter().all(|(.., reason)| reason.len() > 20), "an exception needs a reason");
    }
}

/// What a piece of TOML describes.
#[derive(Debug, PartialEq)]
enum Document {
    Playbook,
    Inventory,
    Stage,
    Roles,
    Gateway,
    Waivers,
}

fn document(text: &str) -> Option<Document> {
    let has = |start: &str| text.lines().any(|line| line.starts_with(start));
    let found = [
        (has("[[step]]"), Document::Playbook),
        (has("[hosts.") || has("[groups.") || has("[defaults]"), Document::Inventory),
        (has("[env"), Document::Stage),
        (has("[role."), Document::Roles),
        (has("[[issuers]]"), Document::Gateway),
        (has("[[waiver]]"), Document::Waivers),
    ];
    found.into_iter().find_map(|(yes, document)| yes.then_some(document))
}

pub fn assert_toml_is_read() {
    let mut read = 0;
    for (page, block) in all().filter(|(_, block)| block.info == "toml") {
        let place = format!("{page}:{}", block.line);
        let document = document(&block.text).unwrap_or_else(|| {
            panic!("{place}: neither a playbook, an inventory, a stage, roles, waivers nor a gateway's file")
        });
        let dir = tempfile::tempdir().unwrap();
        let (code, said) = check(dir.path(), &document, &block.text);
        assert_eq!(code, Some(0), "{place}: the program does not read this as a {document:?}:\n{said}");
        read += 1;
    }
    assert!(read > 0, "no page has TOML");
}

const GATEWAY: &str = "\
listen = [\"127.0.0.1:0\"]
socket = \"/run/docker.sock\"
admin = \"admin.sock\"
keys = \"keys\"
store = \"redb:store.redb\"
issuer = \"https://web1:2376\"
audience = \"web1\"
audit = \"journal\"
[tls]
certificate = \"ca/hosts/web1.crt\"
key = \"ca/hosts/web1.key\"
";

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Has the program read a document; the exit code and what it says.
fn check(dir: &Path, document: &Document, text: &str) -> (Option<i32>, String) {
    let put = |name: &str, text: &str| {
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let one_step = "hosts = [\"all\"]\n[[step]]\ndirectory = { path = \"/srv\" }\n";
    let one_host = "[hosts.web1]\naddress = \"192.0.2.10\"\n";
    let mut command = program(dir);
    command.args(["check", "playbook.toml", "-i", "inventory.toml"]);
    match document {
        Document::Playbook => {
            // Files that the steps name.
            for name in ["ada", "grace", "ci"] {
                let key = std::fs::read_to_string(root().join(format!("examples/users-only/keys/{name}.pub"))).unwrap();
                put(&format!("keys/{name}.pub"), &key);
            }
            put("templates/site.conf", "server_name {{ host.name }};\n");
            // A piece of a playbook is for all hosts.
            let hosts = if text.lines().any(|line| line.starts_with("hosts")) { "" } else { "hosts = [\"all\"]\n" };
            put("playbook.toml", &format!("{hosts}{text}"));
            put("stages/prod.toml", "[env]\nLOG_LEVEL = \"info\"\n");
            put("inventory.toml", &format!("{one_host}groups = [\"web\", \"docker\"]\nstage = \"prod\"\n"));
        }
        Document::Inventory => {
            put("playbook.toml", one_step);
            for stage in ["dev", "prod"] {
                put(&format!("stages/{stage}.toml"), "");
            }
            put("inventory.toml", text);
        }
        Document::Stage => {
            put("playbook.toml", one_step);
            put("inventory.toml", one_host);
            put("stages/prod.toml", text);
            command.args(["--stage", "prod"]);
        }
        Document::Waivers => {
            // No host answers there: what is wrong with waivers is told before one is asked.
            let step = "[[step]]\ncontrol = { id = \"S17\", title = \"x\", severity = \"low\" }\n";
            put("playbook.toml", &format!("{step}directory = {{ path = \"/srv\" }}\n"));
            put("waivers.toml", text);
            command = program(dir);
            command.args(["audit", "playbook.toml", "--host", "127.0.0.1:1", "--waivers", "waivers.toml"]);
            let output = command.output().unwrap();
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            // Unreachable, and not wrong input.
            return (output.status.code().map(|code| if code == 4 { 0 } else { code }), said);
        }
        Document::Roles | Document::Gateway => {
            command = Command::new(gateway_program());
            command.arg("check").current_dir(dir);
            if *document == Document::Roles {
                put("roles.toml", text);
                command.args(["--roles", "roles.toml"]);
            } else {
                // What every gateway.toml has, with the keys and certificates that it names.
                put("inventory.toml", one_host);
                succeeds(program(dir).args(["ca", "init", "ca"]));
                succeeds(program(dir).args(["ca", "issue", "ca", "-i", "inventory.toml"]));
                succeeds(Command::new(gateway_program()).args(["keys", "init", "keys"]).current_dir(dir));
                put("gateway.toml", &format!("{GATEWAY}{text}"));
                command.args(["--config", "gateway.toml"]);
            }
        }
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), said)
}

/// Parses each `stockade` command line of blocks that are not run.
pub fn assert_command_lines() {
    let mut parsed = 0;
    for (page, block) in all().filter(|(_, block)| block.info == "sh" || block.info == "console ignore") {
        let commands = block.text.replace("\\\n", " ");
        for line in commands.lines() {
            let line = line.trim().trim_start_matches("$ ");
            let Some(rest) = line.strip_prefix("stockade ") else { continue };
            let words = words(rest);
            let result = Cli::try_parse_from(std::iter::once("stockade".to_owned()).chain(words));
            // --help and --version are results, too.
            let wrong = result.err().filter(clap::Error::use_stderr);
            assert!(wrong.is_none(), "{page}:{}: {line}\n{}", block.line, wrong.unwrap());
            parsed += 1;
        }
    }
    assert!(parsed > 0, "no shell block has a command");
}

/// The words of a simple command, up to what is the shell's own.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            '#' | '|' | '<' | '>' | ';' | '&' if !quoted => break,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
