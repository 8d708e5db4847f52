//! Images between tenants: another's by every name, its layers, the build cache,
//! labels and tags that are another's, tags that all share.

use std::process::Command;

use serde_json::{Value, json};

use super::parties::{Site, encoded, entry, judged, site, site_with, tar};
use crate::process::engine::{ask, image, inspect};
use crate::process::redis::free_port;

/// Requests for an image by a name that stands for NAME: method, target, body.
const USES: &[(&str, &str, &str)] = &[
    ("GET", "/images/NAME/json", ""),
    ("GET", "/images/NAME/history", ""),
    ("GET", "/images/NAME/get", ""),
    ("GET", "/images/get?names=NAME", ""),
    ("GET", "/images/get?names=BASE&names=NAME", ""),
    ("POST", "/images/NAME/tag?repo=THIEF/x&tag=1", ""),
    ("POST", "/images/NAME/push?tag=1", ""),
    ("DELETE", "/images/NAME", ""),
    ("DELETE", "/images/NAME?force=1&noprune=0", ""),
    ("POST", "/containers/create", r#"{"Image":"NAME","Cmd":["/bin/true"]}"#),
    ("GET", "/images/json?filters=%7B%22before%22%3A%5B%22NAME%22%5D%7D", ""),
    ("GET", "/images/json?filters=%7B%22since%22%3A%5B%22NAME%22%5D%7D", ""),
];

/// Dockerfiles that would take from an image NAME: query and text.
const BUILDS: &[(&str, &str)] = &[
    ("", "FROM NAME\n"),
    ("", "from NAME as x\nFROM x\n"),
    ("", "ARG I=NAME\nFROM $I\n"),
    ("buildargs=%7B%22I%22%3A%22NAME%22%7D", "ARG I=scratch\nFROM ${I}\n"),
    ("", "ARG I\nFROM ${I:-NAME}\n"),
    ("", "# escape=`\nFROM `\nNAME\n"),
    ("", "FROM \\\n  NAME\n"),
    ("pull=1", "FROM NAME\n"),
    ("", "FROM BASE\nCOPY --from=NAME /bin/sh /s\n"),
    ("", "FROM BASE\nCOPY --from=\"NAME\" /bin/sh /s\n"),
    ("target=a", "FROM BASE AS a\nCOPY --from=NAME /bin/sh /s\nFROM BASE AS b\n"),
    ("", "FROM NAME AS unused\nFROM BASE\n"),
    ("", "FROM BASE\nONBUILD COPY --from=NAME /bin/sh /s\n"),
    ("", "FROM BASE\nRUN --mount=type=bind,from=NAME,target=/m cat /m/bin/sh\n"),
    ("", "FROM --platform=linux/amd64 NAME\n"),
];

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn anothers_image_and_its_layers_are_not_there_by_any_name() {
    let site = site("img");
    let layers = site.victims_image();
    let (own, middle) = (&layers[0], &layers[layers.len() / 2]);
    let victim = &site.victim.name;
    let digits = |id: &str, count: usize| id[7..7 + count].to_owned();
    let names = [
        format!("{victim}/app:1"),
        format!("docker.io/{victim}/app:1"),
        format!("index.docker.io/{victim}/app:1"),
        own.clone(),
        digits(own, 64),
        digits(own, 12),
        middle.clone(),
        digits(middle, 12),
        // Digits alone would be the number of a build's stage and not an id.
        digits(middle, (6..64).find(|count| digits(middle, *count).contains(|c: char| c.is_alphabetic())).unwrap()),
    ];
    let (mut tried, mut through) = (0, Vec::new());
    for name in &names {
        let put = |text: &str| text.replace("NAME", name).replace("BASE", &image()).replace("THIEF", &site.thief.name);
        for (method, target, body) in USES {
            tried += 1;
            let told = site.send(&site.thief, method, &put(target), "application/json", put(body).as_bytes());
            if !(400..500).contains(&told.status) {
                through.push(format!("{method} {}: {} {}", put(target), told.status, told.text));
            }
        }
        for (query, text) in BUILDS {
            tried += 1;
            let told = site.build(&site.thief, &put(query), &put(text));
            if told.built() || !(400..500).contains(&told.status) {
                through.push(format!("build of {:?}: {} {}", put(text), told.status, told.text));
            }
        }
    }
    for target in [
        "/images/json?all=1",
        "/images/json",
        "/images/json?all=1&filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D",
        "/system/df",
    ] {
        tried += 1;
        let told = site.get(&site.thief, target);
        if told.status != 200 || layers[..3].iter().any(|id| told.text.contains(id)) || told.text.contains(victim) {
            through.push(format!("GET {target}: {} {}", told.status, told.text));
        }
    }
    tried += 1;
    let pruned = site.post(&site.thief, "/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D", &Value::Null);
    if pruned.text.contains(&own[7..]) {
        through.push(format!("prune: {}", pruned.text));
    }
    assert!(inspect(&format!("/images/{own}/json")).is_some(), "the victim's image is gone");
    judged("images by name", tried, &through);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn the_build_cache_of_one_party_serves_no_other() {
    let site = site("cache");
    let text = format!("FROM {}\nRUN cat /proc/sys/kernel/random/uuid > /secret\n", image());
    site.victims_image();
    let tag = format!("{}/cached:1", site.victim.name);
    assert!(site.build(&site.victim, &format!("t={tag}"), &text).built());
    let id = inspect(&format!("/images/{tag}/json")).unwrap()["Id"].as_str().unwrap().to_owned();
    assert!(site.build(&site.victim, "", &text).text.contains("Using cache"), "its own cache serves a tenant");
    let list = |name: &str| format!("cachefrom={}", encoded(&json!([name]).to_string()));
    let (mut tried, mut through) = (0, Vec::new());
    for (party, query) in [
        (&site.thief, String::new()),
        (&site.thief, list(&tag)),
        (&site.thief, list(&id)),
        (&site.operator, String::new()),
    ] {
        tried += 1;
        let told = site.build(party, &query, &text);
        assert!(told.built(), "an ordinary build: {}", told.text);
        // The thief's second build may find its own of before.
        let other = told.text.contains("Using cache") && query.is_empty();
        let made = told.text.rsplit("Successfully built ").next().unwrap_or("").chars().take(12).collect::<String>();
        if other || id[7..].starts_with(&made) {
            through.push(format!("{:?} {query}: {}", party.name, told.text));
        }
        if party.name.is_empty() {
            let _ = ask("DELETE", &format!("/images/{made}?force=1"), &Value::Null);
        }
    }
    judged("build cache", tried, &through);
}

/// Instructions that would write a label of the gateway's.
const LABELS: &[&str] = &[
    "LABEL io.stockade.tenant=VICTIM",
    "LABEL io.stockade.tenant VICTIM",
    "LABEL \"io.stockade.tenant\"=VICTIM",
    "LABEL 'io.stockade.tenant'=VICTIM",
    "LABEL a=b io.stockade.tenant=VICTIM",
    "LABEL a=b \\\n io.stockade.tenant=VICTIM",
    "label IO.STOCKADE.TENANT=VICTIM",
    "LABEL io.stoc\\kade.tenant=VICTIM",
    "LABEL io.\"\"stockade.tenant=VICTIM",
    "ENV K=io.stockade.tenant\nLABEL $K=VICTIM",
    "ENV K=tenant\nLABEL io.stockade.${K}=VICTIM",
    "ONBUILD LABEL io.stockade.tenant=VICTIM",
    "ONBUILD ADD http://127.0.0.1/x /x",
];

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn no_image_is_made_with_anothers_label_or_tag() {
    let site = site("label");
    let (mut tried, mut through) = (0, Vec::new());
    let made = site.post(&site.thief, "/containers/create", &json!({ "Image": image(), "Cmd": ["/bin/true"] }));
    let made: Value = serde_json::from_str(&made.text).unwrap();
    let container = made["Id"].as_str().unwrap();
    let context = tar(&[("x", "y")]);
    for label in LABELS {
        let label = label.replace("VICTIM", &site.victim.name);
        let text = format!("FROM {}\n{label}\n", image());
        let change = encoded(&label);
        let import = format!("/images/create?fromSrc=-&changes={change}");
        for (how, told) in [
            ("build", site.build(&site.thief, "", &text)),
            ("import", site.send(&site.thief, "POST", &import, "application/x-tar", &context)),
            (
                "commit",
                site.post(&site.thief, &format!("/commit?container={container}&changes={change}"), &Value::Null),
            ),
        ] {
            tried += 1;
            if !(400..500).contains(&told.status) {
                through.push(format!("{how} with {label:?}: {} {}", told.status, told.text));
            }
        }
    }
    let labels = json!({ "io.stockade.tenant": site.victim.name });
    let body = json!({ "Labels": labels });
    let other = format!("{}/x", site.victim.name);
    let query = encoded(&labels.to_string());
    for (how, told) in [
        ("build labels", site.build(&site.thief, &format!("labels={query}"), &format!("FROM {}\n", image()))),
        ("build tag", site.build(&site.thief, &format!("t={other}"), &format!("FROM {}\n", image()))),
        (
            "second tag",
            site.build(&site.thief, &format!("t={}/x&t={other}", site.thief.name), &format!("FROM {}\n", image())),
        ),
        ("shared tag", site.build(&site.thief, "t=busybox", &format!("FROM {}\n", image()))),
        ("commit body", site.post(&site.thief, &format!("/commit?container={container}"), &body)),
        ("commit tag", site.post(&site.thief, &format!("/commit?container={container}&repo={other}"), &Value::Null)),
        (
            "import tag",
            site.send(
                &site.thief,
                "POST",
                &format!("/images/create?fromSrc=-&repo={other}"),
                "application/x-tar",
                &context,
            ),
        ),
        ("import URL", site.post(&site.thief, "/images/create?fromSrc=http%3A%2F%2F127.0.0.1%2Fx", &Value::Null)),
        ("tag", site.post(&site.thief, &format!("/images/{}/tag?repo={other}&tag=1", image()), &Value::Null)),
        (
            "tag at another registry",
            site.post(&site.thief, &format!("/images/{}/tag?repo=127.0.0.1:5000/{other}&tag=1", image()), &Value::Null),
        ),
        ("load", site.send(&site.thief, "POST", "/images/load", "application/x-tar", &context)),
    ] {
        tried += 1;
        if !(400..500).contains(&told.status) {
            through.push(format!("{how}: {} {}", told.status, told.text));
        }
    }
    judged("labels and tags", tried, &through);
}

/// Contexts whose Dockerfile is not what it seems: entries (name, kind, link, text).
type Entries = &'static [(&'static str, u8, &'static str, &'static str)];
const CONTEXTS: &[(&str, Entries)] = &[
    (
        "the last Dockerfile of two",
        &[("Dockerfile", b'0', "", "FROM BASE\n"), ("./Dockerfile", b'0', "", "FROM NAME\n")],
    ),
    ("a link to another file", &[("d", b'0', "", "FROM NAME\n"), ("Dockerfile", b'2', "d", "")]),
    ("a hard link to another file", &[("d", b'0', "", "FROM NAME\n"), ("Dockerfile", b'1', "d", "")]),
    (
        "a file, then a link over it",
        &[("d", b'0', "", "FROM NAME\n"), ("Dockerfile", b'0', "", "FROM BASE\n"), ("Dockerfile", b'2', "d", "")],
    ),
    ("the file of small letters alone", &[("dockerfile", b'0', "", "FROM NAME\n")]),
    (
        "a path with dots",
        &[("x/../Dockerfile", b'0', "", "FROM NAME\n"), ("Dockerfile", b'0', "", "FROM BASE\nCOPY --from=NAME / /\n")],
    ),
    ("a link to outside", &[("Dockerfile", b'2', "/etc/passwd", "")]),
];

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn no_trick_of_a_context_hides_a_dockerfile() {
    let site = site("ctx");
    let id = site.victims_image()[0].clone();
    let (mut tried, mut through) = (0, Vec::new());
    for (what, entries) in CONTEXTS {
        tried += 1;
        let mut context = Vec::new();
        for (name, kind, link, text) in *entries {
            let text = text.replace("NAME", &id).replace("BASE", &image());
            entry(&mut context, name, *kind, link, text.as_bytes());
        }
        context.extend_from_slice(&[0; 1024]);
        let told = site.build_of(&site.thief, "", &context);
        if told.built() || told.status < 400 {
            through.push(format!("{what}: {} {}", told.status, told.text));
        }
    }
    for path in ["../Dockerfile", "/../x", "a/../../etc/passwd"] {
        tried += 1;
        let told = site.build_of(
            &site.thief,
            &format!("dockerfile={}", encoded(path)),
            &tar(&[("Dockerfile", "FROM scratch\n")]),
        );
        if told.built() {
            through.push(format!("dockerfile={path}: {}", told.text));
        }
    }
    judged("contexts", tried, &through);
}

/// A registry of the test's own.
struct Registry {
    child: std::process::Child,
    _dir: tempfile::TempDir,
    host: String,
}

impl Registry {
    /// The program is that on the path, or the one that the clients' tests have.
    fn start() -> Registry {
        let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
        let clients = std::env::var_os("STOCKADE_CLIENTS").map_or(beside, std::path::PathBuf::from);
        let programs = ["docker-registry".into(), clients.join("registry/usr/bin/docker-registry")];
        let mut programs = programs.into_iter();
        let Some(program) = programs.find(|program| Command::new(program).arg("--version").output().is_ok()) else {
            panic!("needs docker-registry, which gateway/tests/clients/install.sh installs");
        };
        let dir = tempfile::tempdir().unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            dir.path().join("data").display()
        );
        std::fs::write(dir.path().join("config.yml"), config).unwrap();
        let quiet = std::process::Stdio::null;
        let child = Command::new(program)
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdout(quiet())
            .stderr(quiet())
            .spawn()
            .unwrap();
        let start = std::time::Instant::now();
        while std::net::TcpStream::connect(&host).is_err() {
            assert!(start.elapsed().as_secs() < 60, "the registry does not listen");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Registry { child, _dir: dir, host }
    }

    /// Puts an image there, as from a machine without a gateway; the daemon
    /// does not keep it.
    fn put(&self, name: &str, instructions: &str) {
        let script = "printf 'FROM %s\\n%b\\n' \"$1\" \"$2\" | docker build -q -t \"$0\" - && docker push \"$0\" && docker rmi -f \"$0\"";
        let name = format!("{}/{name}", self.host);
        let done = Command::new("sh")
            .args(["-c", script, &name, &image(), instructions])
            .env("DOCKER_BUILDKIT", "0")
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let script = "docker images --format '{{.Repository}}:{{.Tag}}' \"$0/*/*\" | xargs -r docker rmi -f";
        let _ = Command::new("sh").args(["-c", script, &self.host]).output();
    }
}

fn pull(site: &Site, who: &super::parties::Party, registry: &Registry, name: &str, more: &str) -> super::parties::Told {
    let (repository, tag) = name.split_once(':').unwrap();
    let from = encoded(&format!("{}/{repository}", registry.host));
    site.post(who, &format!("/images/create?fromImage={from}&tag={tag}{more}"), &Value::Null)
}

#[test]
#[ignore = "needs docker-registry and a Docker engine: tests/run.sh runs it"]
fn a_pull_plants_nothing_on_another_tenant() {
    let registry = Registry::start();
    let site = site_with("pull", &registry.host);
    let (mut tried, mut through) = (0, Vec::new());
    let there = |name: &str| inspect(&format!("/images/{}/{name}/json", registry.host)).is_some();

    let planted = format!("{}/app:9", site.victim.name);
    registry.put(&planted, "ENV PLANTED=1");
    for (what, told) in [
        ("pull", pull(&site, &site.thief, &registry, &planted, "")),
        ("FROM", site.build(&site.thief, "", &format!("FROM {}/{planted}\n", registry.host))),
        (
            "COPY --from",
            site.build(
                &site.thief,
                "",
                &format!("FROM {}\nCOPY --from={}/{planted} /bin /b\n", image(), registry.host),
            ),
        ),
    ] {
        tried += 1;
        if there(&planted) {
            through.push(format!("{what} under another's prefix: {}", told.text));
        }
    }
    // Whoever it belongs to pulls it.
    assert!(pull(&site, &site.victim, &registry, &planted, "").text.contains("Digest"));
    assert!(there(&planted));

    // A tag that all share does not move to an image that this host cannot run.
    registry.put("corp/base:1", "ENV SHARED=1");
    for platform in ["linux/arm/v7", "linux%2Friscv64", "windows/amd64"] {
        tried += 1;
        let told = pull(&site, &site.thief, &registry, "corp/base:1", &format!("&platform={platform}"));
        if told.status != 403 {
            through.push(format!("pull for {platform}: {} {}", told.status, told.text));
        }
        tried += 1;
        let text = format!("FROM --platform={} {}/corp/base:1\n", platform.replace("%2F", "/"), registry.host);
        let told = site.build(&site.thief, "", &text);
        if told.status != 403 {
            through.push(format!("FROM for {platform}: {} {}", told.status, told.text));
        }
    }
    let told = pull(&site, &site.thief, &registry, "corp/base:1", "&platform=linux/amd64");
    assert!(!cfg!(target_arch = "x86_64") || told.text.contains("Digest"), "the host's own platform: {}", told.text);

    // A base with triggers that fetch, or whose layers nobody would own.
    registry.put("corp/onbuild:1", "ONBUILD ADD http://127.0.0.1:1/x /x");
    registry.put("corp/onbuild:2", "ONBUILD RUN echo of-the-base > /x");
    for tag in [1, 2] {
        tried += 1;
        let told = site.build(&site.thief, "", &format!("FROM {}/corp/onbuild:{tag}\n", registry.host));
        if told.built() || told.status < 400 {
            through.push(format!("ONBUILD {tag}: {} {}", told.status, told.text));
        }
    }
    judged("pulls", tried, &through);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn the_operators_tags_outlive_a_tenants_prune_and_save() {
    let site = site("prune");
    site.victims_image();
    let told =
        site.build(&site.thief, &format!("t={}/app", site.thief.name), &format!("FROM {}\nRUN echo t > /t\n", image()));
    assert!(told.built(), "{}", told.text);
    let (victims, shared) =
        (format!("{}/app:1", site.victim.name), format!("stockade-gateway-test/operators-{}", std::process::id()));
    let tag = |from: &str, to: &str| {
        assert_eq!(ask("POST", &format!("/images/{from}/tag?repo={to}&tag=1"), &Value::Null).0, 201);
    };
    let (mut tried, mut through) = (0, Vec::new());
    // The operator's tag of a tenant's image.
    tag(&victims, &shared);
    let query = "filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D";
    for request in [format!("/images/prune?{query}"), format!("/images/prune?{}", query.replace("false", "0"))] {
        tried += 1;
        let told = site.post(&site.victim, &request, &Value::Null);
        if told.status != 403 || inspect(&format!("/images/{shared}:1/json")).is_none() {
            through.push(format!("prune: {} {}", told.status, told.text));
        }
    }
    let _ = ask("DELETE", &format!("/images/{shared}:1"), &Value::Null);
    // Another's image under one's own prefix, by the operator: a save of all tags.
    let own = format!("{}/app", site.thief.name);
    tag(&victims, &own);
    for target in [format!("/images/{own}/get"), format!("/images/get?names={own}")] {
        tried += 1;
        let told = site.get(&site.thief, &target);
        if told.status != 404 {
            through.push(format!("{target}: {}", told.status));
        }
    }
    let _ = ask("DELETE", &format!("/images/{own}:1"), &Value::Null);
    assert_eq!(site.get(&site.thief, &format!("/images/{own}/get")).status, 200, "an ordinary save");
    assert_eq!(
        site.post(&site.victim, &format!("/images/prune?{query}"), &Value::Null).status,
        200,
        "an ordinary prune"
    );
    judged("operator's tags", tried, &through);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn what_a_build_shares_with_anothers_layers_does_not_show() {
    let site = site("layer");
    let text = format!("FROM {}\nCOPY f /f\n", image());
    let context = |secret: &str| tar(&[("f", secret), ("Dockerfile", &text)]);
    let own = |what: &str| format!("{}/{what}:1", site.thief.name);
    let told = site.build_of(&site.victim, &format!("t={}/guess:1", site.victim.name), &context("pin 1234"));
    assert!(told.built(), "{}", told.text);
    // One guess is right; what the daemon tells of both is to be the same.
    let mut said = Vec::new();
    for (at, guess) in ["pin 1234", "pin 9999"].into_iter().enumerate() {
        let tag = own(&format!("g{at}"));
        assert!(site.build_of(&site.thief, &format!("t={tag}"), &context(guess)).built());
        let hidden = |text: &str| {
            let digit = |c: char| if c.is_ascii_hexdigit() { 'h' } else { c };
            text.replace(&tag, "TAG").chars().map(digit).collect::<String>()
        };
        let id = inspect(&format!("/images/{tag}/json")).unwrap()["Id"].as_str().unwrap().to_owned();
        let usage = site.get(&site.thief, "/system/df").text;
        let usage: Value = serde_json::from_str(&usage[usage.find('{').unwrap()..=usage.rfind('}').unwrap()]).unwrap();
        let of = usage["Images"].as_array().unwrap().iter().find(|found| found["Id"] == json!(id)).unwrap().clone();
        let removed = site.send(&site.thief, "DELETE", &format!("/images/{tag}"), "application/json", b"");
        assert_eq!(removed.status, 200, "an ordinary removal: {}", removed.text);
        assert!(removed.text.contains("Untagged") && removed.text.contains(&id), "{}", removed.text);
        said.push((of["SharedSize"].clone(), hidden(&removed.text)));
    }
    let through: Vec<String> = if said[0] == said[1] { vec![] } else { vec![format!("a guess shows: {said:?}")] };
    judged("shared layers", 2, &through);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_build_given_a_proxy_leaves_nothing_in_the_cache_of_another_role() {
    let site = site("proxy");
    // As the daemon has it, predefined arguments are no part of what the cache compares.
    let text = format!("FROM {}\nRUN echo via=$HTTP_PROXY-{} > /fetched\n", image(), std::process::id());
    let query = format!("buildargs={}", encoded(&json!({ "HTTP_PROXY": "http://evil.test" }).to_string()));
    let builder =
        super::parties::Party { name: String::new(), token: site.gateway.token(&["--role=shop", "--lifetime=900"]) };
    let mut made = Vec::new();
    let mut build = |party, query: &str| {
        let told = site.build(party, query, &text);
        assert!(told.built(), "{}", told.text);
        made.push(told.text.rsplit("Successfully built ").next().unwrap().chars().take(12).collect::<String>());
        told.text.contains("Using cache")
    };
    build(&builder, &query);
    assert!(build(&builder, ""), "the engine compares proxies, so nothing is proved");
    let mut through = Vec::new();
    for (what, party) in [("the operator", &site.operator), ("a tenant", &site.thief)] {
        if build(party, "") {
            through.push(format!("{what} gets what the builder made"));
        }
    }
    for id in made {
        let _ = ask("DELETE", &format!("/images/{id}?force=1"), &Value::Null);
    }
    judged("poisoned cache", 2, &through);
}
