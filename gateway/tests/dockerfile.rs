//! The build module against the real daemon: what is accepted of a Dockerfile
//! means to the daemon what the gateway thinks it means, and what is rendered
//! is the same build; a rewritten context is one that the daemon takes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_gateway::build::{BuildArgs, ContextOptions, Dockerfile, DockerfilePath, ReferenceUse, rewrite};

use crate::process::engine;

/// A registry that has nothing and remembers what it was asked for: a name that
/// the daemon does not know is asked for here, and nowhere else.
struct Registry {
    host: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn start() -> Registry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let log = Arc::clone(&log);
                std::thread::spawn(move || {
                    let mut first = Vec::new();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    if reader.read_until(b'\n', &mut first).is_err() {
                        return;
                    }
                    let first = String::from_utf8_lossy(&first).into_owned();
                    let Some(path) = first.split(' ').nth(1).filter(|path| path.starts_with("/v2/")) else { return };
                    if let Some((name, tag)) = path.trim_start_matches("/v2/").split_once("/manifests/") {
                        log.lock().unwrap().push(format!("{name}:{tag}"));
                    }
                    let (status, body) = if path == "/v2/" {
                        ("200 OK", "{}")
                    } else {
                        ("404 Not Found", r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"none"}]}"#)
                    };
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                });
            }
        });
        Registry { host, asked }
    }
}

fn docker(args: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("docker")
        .args(args)
        .env("DOCKER_HOST", "unix:///var/run/docker.sock")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        archive.append_data(&mut header, path, *data).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Images by name, and everything that builds left, removed at the end.
struct Images {
    ids: HashMap<String, String>,
    left: Mutex<Vec<String>>,
}

impl Images {
    fn new(names: &[String]) -> Images {
        let import = |name: &String| {
            let id = docker(&["import", "-", name], &tar(&[("f", name.as_bytes())]));
            assert!(id.starts_with("sha256:"), "{name}: {id:?}");
            (name.clone(), id)
        };
        Images { ids: names.iter().map(import).collect(), left: Mutex::new(Vec::new()) }
    }

    fn id(&self, reference: &str) -> Option<&String> {
        let tagged = reference.rsplit('/').next().is_some_and(|last| last.contains(':'));
        self.ids.get(&if tagged { reference.to_owned() } else { format!("{reference}:latest") })
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        let left = std::mem::take(&mut *self.left.lock().unwrap());
        let mut ids: Vec<&str> = left.iter().rev().map(String::as_str).collect();
        ids.extend(self.ids.keys().map(String::as_str));
        for some in ids.chunks(200) {
            docker(&[&["rmi", "-f"], some].concat(), b"");
        }
    }
}

/// What the daemon said of a build.
#[derive(Debug, Default)]
struct Told {
    /// `N` of `Step 1/N`.
    total: usize,
    /// Each step's keyword, and the id of the image after it; none if it failed.
    steps: Vec<(String, Option<String>)>,
    error: Option<String>,
    last: Option<String>,
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn build(images: &Images, context: &[u8], query: &str) -> Told {
    let head = format!(
        "POST /v1.41/build?nocache=1&rm=1&forcerm=1&{query} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        context.len()
    );
    let answer = engine::straight(&[head.as_bytes(), context].concat());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut told = Told::default();
    let mut text = String::new();
    for message in serde_json::Deserializer::from_str(body).into_iter::<Value>() {
        let message = message.unwrap_or_else(|error| panic!("{error}: {body}"));
        // A step is a message of its own; a warning before it has no line feed.
        text.push_str(message["stream"].as_str().unwrap_or_default());
        text.push('\n');
        let error = message["error"].as_str().or(message["message"].as_str());
        told.error = error.map(str::to_owned).or(told.error.take());
        told.last = message["aux"]["ID"].as_str().map(str::to_owned).or(told.last.take());
    }
    for line in text.lines() {
        if let Some((numbers, code)) = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : ")) {
            told.total = numbers.split_once('/').unwrap().1.parse().unwrap();
            told.steps.push((code.split_whitespace().next().unwrap().to_uppercase(), None));
        } else if let Some(id) = line.strip_prefix(" ---> ")
            && id.len() <= 12
            && id.bytes().all(|b| b.is_ascii_hexdigit())
            && let Some(step) = told.steps.last_mut()
        {
            step.1 = Some(id.to_owned());
        }
    }
    let mut left = images.left.lock().unwrap();
    let bases: HashSet<&str> = images.ids.values().filter_map(|id| id.get(7..19)).collect();
    let made = told.steps.iter().filter_map(|(_, id)| id.clone());
    left.extend(made.filter(|id| !id.is_empty() && !bases.contains(id.as_str())));
    told
}

/// Choices from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

/// One Dockerfile, the query's build arguments and target. Every image name
/// begins with `prefix`, so that nothing else is ever asked for.
fn generated(dice: &mut Dice, prefix: &str) -> (String, BuildArgs, Option<String>) {
    let escape = if dice.roll(3) == 0 { "`" } else { "\\" };
    let mut lines: Vec<String> = Vec::new();
    let top = ["# syntax=x/y", "#Syntax = z", "# a comment", "", "  ", "# unknown=1", "#\tescape\t=\t`"];
    for _ in 0..dice.roll(3) {
        lines.push(dice.of(&top).to_owned());
    }
    if escape == "`" {
        lines.insert(
            dice.roll(lines.len() + 1).min(1),
            dice.of(&["# escape=`", "#ESCAPE=`  ", "  # escape = `"]).to_owned(),
        );
    }
    let metas = [
        "ARG A=a",
        "ARG A=\"b\" T='2'",
        "ARG T=1",
        "ARG T",
        "ARG X=${T:-2}",
        "arg N=$A",
        "ARG A=${T:+b}",
        "ARG Q=\"$A b\"",
        "ARG N=x#y",
        "ARG A=a^",
        "ARG A=${T-1}",
        "ARG N=$A$A",
    ];
    lines.extend(["ARG A=a".to_owned(), "ARG T=1".to_owned()]);
    for _ in 0..dice.roll(3) {
        lines.push(dice.of(&metas).replace('^', escape));
    }
    let images = [
        "FROM P/a:1",
        "from P/$A:${T:-2}",
        "FROM P/${A}:\"$T\"",
        "FROM P/a:1 AS s1",
        "FROM 'P/a':2 as S2",
        "FROM --platform=linux/amd64 P/b",
        "FROM P/zz:$T",
        "FROM P/a^:1",
        "FROM P/${A:-a}:1 AS s3",
        "FROM P/b As s1",
        "FROM \"P/b\":latest",
        "FROM P/${N:+b}",
        "FROM P/a:${X:-2}",
        "FROM --platform=\"linux/amd64\" P/a:2",
    ];
    let stages = ["FROM s1", "FROM S1", "FROM scratch", "FROM S2 AS s4", "FROM \"s\"1", "FROM s3"];
    let good = [
        "ENV a=b c=d",
        "ENV a b  c",
        "ENV a=b^ c",
        "LABEL a=b",
        "LABEL \"k y\"='v $x'",
        "LABEL a b",
        "CMD [\"x\", \"y\"]",
        "CMD x y",
        "CMD [ x ]",
        "USER u",
        "EXPOSE 80 81/udp",
        "COPY f /g",
        "COPY [\"f\", \"/g h\"]",
        "COPY --from=0 f /h",
        "COPY --from=P/b f /h",
        "COPY --chown=1:1 --from=P/a:2 f /h",
        "STOPSIGNAL 9",
        "ONBUILD RUN x",
        "onbuild copy --from=0 a b",
        "MAINTAINER a  b",
        "VOLUME /v /w",
        "VOLUME [\"/v\"]",
        "HEALTHCHECK NONE",
        "HEALTHCHECK --interval=5s CMD x",
        "ENTRYPOINT [\"a\"]",
        "ENTRYPOINT a b",
        "ARG Q=1",
        "ARG Q R=2",
        "SHELL [\"/x\", \"-c\"]",
        "ADD f /i",
        "WORKDIR /w",
        "CMD -- --x",
        "EXPOSE\u{b}82",
        "USER u^^",
        "# comment",
        "",
        " \t",
    ];
    let rare = [
        "COPY --from=s1 f /h",
        "COPY --from=S2 f /h",
        "COPY --from=\"s1\" f /h",
        "COPY --from=1 f /h",
        "RUN x y",
        "RUN [\"x\"]",
        "ENV a='b",
        "LABEL a",
        "CMD --x",
        "RUN <<E",
        "NOTHING x",
        "CMD [\"x\"] y",
        "ENV a=`b",
        "LABEL a=\\\"b",
        "COPY f",
        "SHELL x",
        "USER",
        "RUN --mount=type=tmpfs,target=/x y",
    ];
    let placed = |line: &str| line.replace('^', escape).replace("P/", &format!("{prefix}/"));
    for stage in 0..1 + dice.roll(3) {
        let from = if stage > 0 && dice.roll(2) == 0 { dice.of(&stages) } else { dice.of(&images) };
        lines.push(from.strip_prefix("FROM").map_or_else(|| placed(from), |rest| format!("FROM{}", placed(rest))));
        for _ in 0..dice.roll(4) {
            let line = if dice.roll(20) == 0 { dice.of(&rare) } else { dice.of(&good) };
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            lines.push(format!("{word} {}", placed(rest)));
        }
    }
    for line in &mut lines {
        let image = line.contains(prefix);
        match dice.roll(30) {
            0 => *line = line.replacen(' ', dice.of(&["\t", "   ", " \u{b}", " \t \u{c}"]), 1),
            1 => {
                let joint = dice.of(&[" E\n", "E\n ", " E\n# c\n ", " E \t\n\n ", " E\n  # c E\n\t", " E\n \n# d\n"]);
                *line = line.replacen(' ', &joint.replace('E', escape), 1);
            }
            2 => line.push_str(dice.of(&[" ", "\t ", "\u{b}"])),
            3 if !line.starts_with('#') => line.insert_str(0, dice.of(&[" ", "\t", "\u{a0}", " \u{b}"])),
            4 if !image => line.push_str(&dice.of(&["E", " E", "EE", "E ", " EEE"]).replace('E', escape)),
            5 if !image && !line.is_empty() => {
                let at = (0..=dice.roll(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap();
                line.insert_str(
                    at,
                    dice.of(&["\"", "'", "$", "\\", "`", "#", "[", "]", "=", "-", " ", "<<", "\u{a0}", "é", "{"]),
                );
            }
            6 => {
                let word = line.split(' ').next().unwrap_or_default().to_owned();
                if !word.is_empty() && word.is_ascii() && !word.contains('#') {
                    let mixed: String =
                        word.chars().map(|c| if dice.roll(2) == 0 { c.to_ascii_lowercase() } else { c }).collect();
                    *line = line.replacen(&word, &mixed, 1);
                }
            }
            _ => {}
        }
    }
    let mut text = lines.join(if dice.roll(4) == 0 { "\r\n" } else { "\n" });
    text.push_str(dice.of(&["", "\n", "\n\n", "\n# end", "\r"]));
    if dice.roll(8) == 0 {
        text.insert(0, '\u{feff}');
    }
    let mut build_args = BuildArgs::new();
    for (key, values) in [("A", ["a", "b", "zz"]), ("T", ["1", "2", "9"]), ("X", ["1", "2", ""])] {
        match dice.roll(8) {
            0 => drop(build_args.insert(key.to_owned(), None)),
            1 => drop(build_args.insert(key.to_owned(), Some(dice.of(&values).to_owned()))),
            _ => {}
        }
    }
    let target = (dice.roll(6) == 0).then(|| dice.of(&["s1", "S1", "s2", "none"]).to_owned());
    (text, build_args, target)
}

/// What must hold between the gateway's reading and the daemon's.
fn compare(
    images: &Images,
    registry: &Registry,
    prefix: &str,
    text: &str,
    args: &BuildArgs,
    target: Option<&str>,
) -> Result<bool, String> {
    let pin = |reference: &str| images.id(reference).cloned();
    let Ok(dockerfile) = Dockerfile::parse(text.as_bytes()) else { return Ok(false) };
    let Ok(references) = dockerfile.references(args, target) else { return Ok(false) };
    // Anything else would be asked for elsewhere.
    if !references.iter().all(|reference| reference.reference.starts_with(prefix)) {
        return Ok(false);
    }
    let query = format!("buildargs={}&target={}", escaped(&json!(args).to_string()), target.unwrap_or_default());
    let context = |dockerfile: &[u8]| tar(&[("f", b"context"), ("Dockerfile", dockerfile)]);
    registry.asked.lock().unwrap().clear();
    let told = build(images, &context(text.as_bytes()), &query);
    let asked = std::mem::take(&mut *registry.asked.lock().unwrap());
    let total = dockerfile.steps(target).unwrap();
    // An argument that no FROM uses may be one that older engines cannot expand.
    if told.total == 0 && told.error.as_ref().is_some_and(|error| error.contains("substitution")) {
        return Ok(false);
    }
    if told.total != total {
        return Err(format!("{total} steps were expected: {told:?}"));
    }
    let (host, names) = (format!("{}/", registry.host), &references);
    let wanted: HashSet<String> = names
        .iter()
        .filter(|reference| images.id(&reference.reference).is_none())
        .map(|reference| reference.reference.trim_start_matches(&host).to_owned())
        .collect();
    if let Some(other) = asked
        .iter()
        .find(|asked| !wanted.contains(asked.as_str()) && !wanted.contains(asked.trim_end_matches(":latest")))
    {
        return Err(format!("the daemon asked for {other}, and {wanted:?} was expected"));
    }
    let mut keywords: Vec<&str> = dockerfile.meta_args().iter().map(|meta| meta.keyword.text()).collect();
    for (index, stage) in dockerfile.stages(target).unwrap().iter().enumerate() {
        let base =
            references.iter().find(|reference| reference.stage == index && reference.usage == ReferenceUse::From);
        if let Some((_, Some(id))) = told.steps.get(keywords.len())
            && let Some(base) = base
            && images.id(&base.reference).is_none_or(|whole| whole.get(7..19) != Some(id))
        {
            return Err(format!("stage {index} is based on {id}, and {} was expected", base.reference));
        }
        keywords.push("FROM");
        keywords.extend(stage.instructions.iter().map(|instruction| instruction.keyword.text()));
    }
    let found: Vec<&str> = told.steps.iter().map(|(keyword, _)| keyword.as_str()).collect();
    if !keywords.starts_with(&found) {
        return Err(format!("{keywords:?} was expected: {told:?}"));
    }
    let Ok(rendered) = dockerfile.render(args, target, &[], &|reference| pin(&reference.reference)) else {
        // An image that is not there, which ends the daemon's build as well.
        return if told.error.is_some() { Ok(true) } else { Err(format!("not rendered: {told:?}")) };
    };
    let again = build(images, &context(&rendered), &query);
    let outline = |told: &Told| {
        let bases = told.steps.iter().enumerate().filter(|(_, (keyword, _))| keyword == "FROM");
        let known: HashSet<&str> = images.ids.values().filter_map(|id| id.get(7..19)).collect();
        let bases = bases.map(|(_, (_, id))| id.clone().filter(|id| known.contains(id.as_str())));
        let keywords: Vec<String> = told.steps.iter().map(|(keyword, _)| keyword.clone()).collect();
        (told.total, keywords, bases.collect::<Vec<_>>(), told.error.is_some())
    };
    if outline(&told) != outline(&again) {
        return Err(format!("{told:?}\nrendered {}: {again:?}", String::from_utf8_lossy(&rendered)));
    }
    Ok(true)
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn what_is_accepted_means_to_the_daemon_what_the_gateway_thinks() {
    let registry = Registry::start();
    let prefix = format!("{}/stockade-gateway-test-{}", registry.host, std::process::id());
    let images = Images::new(&["a:1", "a:2", "b:latest", "b:1"].map(|name| format!("{prefix}/{name}")));
    let count = std::env::var("STOCKADE_DOCKERFILES").ok().and_then(|text| text.parse().ok()).unwrap_or(240);
    let (mut accepted, mut wrong) = (0, Vec::new());
    for seed in 1..=count {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let (text, args, target) = generated(&mut dice, &prefix);
        match compare(&images, &registry, &prefix, &text, &args, target.as_deref()) {
            Ok(taken) => accepted += u64::from(taken),
            Err(error) => wrong.push(format!("seed {seed} {args:?} {target:?}\n{text:?}\n{error}")),
        }
    }
    println!("{accepted} of {count} Dockerfiles accepted, {} read otherwise by the daemon", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(accepted * 4 > count, "only {accepted} of {count} were accepted");
}

fn options(dockerfile: Option<&str>) -> ContextOptions {
    ContextOptions { dockerfile: DockerfilePath::read(dockerfile).unwrap(), limit: 2 << 30, entries: 1_000_000 }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// The context as the daemon gets it, with this Dockerfile.
fn rewritten(context: &[u8], dockerfile: Option<&str>, rendered: &'static str) -> Vec<u8> {
    runtime().block_on(async {
        let (input, mut output) =
            rewrite(options(dockerfile), move |_| async move { Ok::<_, String>(rendered.into()) });
        let context = Bytes::copy_from_slice(context);
        let feed = tokio::spawn(async move { input.send(context).await && input.finish().await });
        let mut whole = Vec::new();
        while let Some(piece) = output.next().await {
            whole.extend_from_slice(&piece.unwrap());
        }
        assert!(feed.await.unwrap());
        whole
    })
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn the_daemon_builds_the_dockerfile_of_the_gateway_whatever_the_context_holds() {
    let images = Images::new(&[]);
    let client = &b"FROM scratch\nLABEL who=client\n"[..];
    let long = format!("{}/{}", "d".repeat(150), "n".repeat(150));
    let link = |path: &str, target: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_link(&mut header, path, target).unwrap();
        let mut all = archive.into_inner().unwrap();
        all.truncate(all.len() - 1024);
        all
    };
    let file = |path: &str, data: &[u8]| {
        let mut all = tar(&[(path, data)]);
        all.truncate(all.len() - 1024);
        all
    };
    let zip = |data: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let many = file(&long, b"long");
    for (name, entries, path) in [
        ("twice", vec![file("Dockerfile", client), many.clone(), file("./Dockerfile", client)], None),
        ("in small letters", vec![many.clone(), file("dockerfile", client)], None),
        // Through the link, the daemon would find this one before the other.
        (
            "behind a link",
            vec![many.clone(), link("l", "."), file("dockerfile", client), file("l/Dockerfile", client)],
            None,
        ),
        ("below a directory", vec![many.clone(), file("x/y", client), file("Dockerfile", client)], Some("./x/y")),
        ("a name like a compressor's", vec![file("BZh91AY&SY", b""), many, file("Dockerfile", client)], None),
    ] {
        let mut context = entries.concat();
        context.resize(context.len() + 1024, 0);
        // Not compressed, the last would be taken for compressed.
        let zipped = zip(&context);
        let plain = (!context.starts_with(b"BZh")).then_some(context);
        for context in plain.into_iter().chain([zipped]) {
            let sent = rewritten(&context, path, "FROM scratch\nLABEL who=gateway\nCOPY d* /\n");
            let path = DockerfilePath::read(path).unwrap();
            let told = build(&images, &sent, &format!("dockerfile={}", escaped(path.as_str())));
            assert_eq!((told.total, &told.error), (3, &None), "{name}: {told:?}");
            let made = engine::inspect(&format!("/images/{}/json", told.last.unwrap())).unwrap();
            assert_eq!(made["Config"]["Labels"], json!({ "who": "gateway" }), "{name}");
        }
    }
}

/// The most memory that this process has had, in KiB, without the pages of its
/// program's file: how many of these are mapped depends on what else is in it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    kib("VmHWM:") - kib("RssFile:")
}

#[test]
fn a_context_of_a_gibibyte_takes_a_few_mebibytes() {
    const NAME: &str = "dockerfile::a_context_of_a_gibibyte_takes_a_few_mebibytes";
    const SIZE: u64 = 1 << 30;
    if std::env::var_os("STOCKADE_MEASURE").is_none() {
        // Alone in a process, so that no other test's memory counts.
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("STOCKADE_MEASURE", "1")
            .output()
            .unwrap();
        print!("{}", String::from_utf8_lossy(&run.stdout));
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&run.stderr));
        return;
    }
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[0] = b'x';
    header.set_mode(0o644);
    header.set_size(SIZE);
    header.set_cksum();
    let mut end = tar(&[("Dockerfile", b"FROM scratch\n")]);
    end.extend([0; 1024]);
    let before = peak();
    let total = runtime().block_on(async {
        let (input, mut output) = rewrite(options(None), |bytes| async move { Ok::<_, String>(bytes) });
        let header = Bytes::copy_from_slice(header.as_bytes());
        let feed = tokio::spawn(async move {
            let piece = Bytes::from(vec![b'x'; 64 * 1024]);
            assert!(input.send(header).await);
            for _ in 0..SIZE / piece.len() as u64 {
                // A buffer of its own, as a connection gives.
                assert!(input.send(Bytes::copy_from_slice(&piece)).await);
            }
            assert!(input.send(end.into()).await && input.finish().await);
        });
        let mut total = 0;
        while let Some(piece) = output.next().await {
            total += piece.unwrap().len() as u64;
        }
        feed.await.unwrap();
        total
    });
    let grown = peak() - before;
    println!("{total} bytes written, {grown} KiB more memory at the most");
    assert!(total > SIZE && grown < 6 * 1024, "{grown} KiB");
}
