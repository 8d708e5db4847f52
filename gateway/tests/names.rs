//! Two tenants of one real daemon, each with the ordinary docker client: both
//! have a container `web`, a volume `data` and a network `net`, and neither
//! sees that the other has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use crate::process::engine::docker_socket;
use crate::process::harness::{Gateway, Options};
use crate::tenants::{Image, Tenant, good, host, text};

const IMAGE: &str = "stockade-gateway-names/busybox:1";

/// A network, a volume and a container, all with the names that the other has too.
fn furnish(tenant: &Tenant<'_>) {
    assert_eq!(tenant.said(&["volume", "create", "data"]), "data");
    tenant.said(&["network", "create", "net"]);
    let script = format!("echo {} >/data/who; echo begun; sleep 600", tenant.name);
    tenant.said(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "net",
        "-v",
        "data:/data",
        IMAGE,
        "/bin/sh",
        "-c",
        &script,
    ]);
    tenant.said(&["run", "-d", "--name", "db", "--network", "net", IMAGE, "/bin/sleep", "600"]);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn two_tenants_have_the_same_names_and_do_not_meet() {
    let socket = docker_socket();
    let _image = Image::named(IMAGE);
    let gateway = Gateway::start(&Options::before(socket));
    let shop = Tenant::new(&gateway, "shop", "deploy");
    let ware = Tenant::new(&gateway, "ware", "deploy");
    furnish(&shop);
    furnish(&ware);

    for tenant in [&shop, &ware] {
        lists_have_the_own_names(tenant);
        descriptions_have_the_own_names(tenant);
        containers_find_one_another(tenant);
        what_is_named_is_the_own(tenant);
        gateway.wait_for("the end of other streams", || gateway.metric("streams") == 0);
        streams_have_the_own_names(&gateway, tenant);
        errors_have_the_own_names(tenant);
        what_ends_has_the_own_names(tenant);
    }

    // On the host each has its owner before it, and there the operator sees both.
    let names = host(&["ps", "--format", "{{.Names}}"]);
    for tenant in [&shop, &ware] {
        assert!(names.lines().any(|name| name == format!("{}__db", tenant.name)), "{names}");
    }
    // Neither the other's nor one's own is reached by that name.
    for (tenant, other) in [(&shop, &ware), (&ware, &shop), (&shop, &shop)] {
        for kind in ["container", "network", "volume"] {
            let name = match kind {
                "container" => format!("{}__db", other.name),
                "network" => format!("{}__net", other.name),
                _ => format!("{}__data", other.name),
            };
            let refused = tenant.refused(&[kind, "inspect", &name]);
            assert!(refused.to_lowercase().contains("no such") || refused.contains("not found"), "{refused}");
        }
    }
}

fn lists_have_the_own_names(tenant: &Tenant<'_>) {
    let list = |words: &[&str]| {
        let mut lines: Vec<String> = tenant.said(words).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(list(&["ps", "--format", "{{.Names}} {{.Networks}} {{.Mounts}}"]), ["db net ", "web net data"]);
    for (filter, expected) in [
        ("name=^web$", &["web"][..]),
        ("name=^/db$", &["db"]),
        ("name=b", &["db", "web"]),
        ("network=net", &["db", "web"]),
        ("volume=data", &["web"]),
        ("since=web", &["db"]),
        ("before=db", &["web"]),
    ] {
        assert_eq!(list(&["ps", "-a", "--filter", filter, "--format", "{{.Names}}"]), expected, "{filter}");
    }
    assert!(list(&["ps", "--filter", &format!("name={}", tenant.name), "--format", "{{.Names}}"]).is_empty());
    assert_eq!(list(&["ps", "-n", "1", "--filter", "name=web", "--format", "{{.Names}}"]), ["web"]);
    assert_eq!(list(&["volume", "ls", "--format", "{{.Name}}"]), ["data"]);
    assert_eq!(list(&["volume", "ls", "--filter", "name=dat", "--format", "{{.Name}}"]), ["data"]);
    assert_eq!(list(&["network", "ls", "--filter", "name=net", "--format", "{{.Name}}"]), ["net"]);
}

fn descriptions_have_the_own_names(tenant: &Tenant<'_>) {
    for words in [
        &["inspect", "web"][..],
        &["network", "inspect", "net"],
        &["volume", "inspect", "data"],
        &["system", "df", "-v"],
    ] {
        let text = tenant.said(words);
        assert!(text.contains("web") || text.contains("data"), "{words:?}: {text}");
        assert!(!text.contains("__"), "{words:?}: {text}");
    }
    let inspect = |format: &str| tenant.said(&["inspect", "--format", format, "web"]);
    assert_eq!(inspect("{{.Name}} {{.HostConfig.NetworkMode}} {{(index .Mounts 0).Name}}"), "/web net data");
    assert_eq!(inspect("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"), "net");
}

fn containers_find_one_another(tenant: &Tenant<'_>) {
    let address = |name: &str| {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        tenant.said(&["inspect", "--format", format, name])
    };
    for (from, to) in [("web", "db"), ("db", "web")] {
        let found = tenant.said(&["exec", from, "/bin/busybox", "nslookup", to]);
        assert!(found.contains(&address(to)), "{from} does not find {to}: {found}");
    }
    // One that joins later is found as well.
    tenant.said(&["network", "create", "later"]);
    tenant.said(&["network", "connect", "later", "web"]);
    let lookup = ["run", "--rm", "--network", "later", IMAGE, "/bin/busybox", "nslookup", "web"];
    let found = tenant.said(&lookup);
    assert!(found.lines().filter(|line| line.starts_with("Address")).count() >= 2, "{found}");
    tenant.said(&["network", "disconnect", "later", "web"]);
    assert_eq!(tenant.said(&["network", "rm", "later"]), "later");
}

fn what_is_named_is_the_own(tenant: &Tenant<'_>) {
    let who = ["/bin/cat", "/data/who"];
    let run = |more: &[&str]| tenant.said(&[&["run", "--rm"][..], more, &[IMAGE], &who].concat());
    assert_eq!(run(&["-v", "data:/data:ro"]), tenant.name);
    assert_eq!(run(&["--mount", "type=volume,source=data,target=/data"]), tenant.name);
    assert_eq!(run(&["--volumes-from", "web:ro"]), tenant.name);
    assert_eq!(run(&["--network", "container:web", "--volumes-from", "web"]), tenant.name);
    assert_eq!(tenant.said(&["exec", "web", "/bin/cat", "/data/who"]), tenant.name);
    let linked = ["run", "--rm", "--name", "linked", "--link", "old:backend", IMAGE, "/bin/cat", "/etc/hosts"];
    tenant.said(&["run", "-d", "--name", "old", IMAGE, "/bin/sleep", "600"]);
    assert!(tenant.said(&linked).contains("backend"));
    assert_eq!(tenant.said(&["rename", "old", "older"]), "");
    assert_eq!(tenant.said(&["rm", "-f", "older"]), "older");
}

/// `docker events` that runs; what it has said so far.
struct Events {
    child: std::process::Child,
    said: Arc<Mutex<String>>,
}

impl Events {
    fn of(tenant: &Tenant<'_>, filter: &str) -> Events {
        let format = "{{.Action}} {{.Actor.Attributes.name}}";
        let mut command = tenant.docker(&["events", "--filter", filter, "--format", format]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Arc<Mutex<String>> = Arc::default();
        let kept = Arc::clone(&said);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| *kept.lock().unwrap() += &(line + "\n"))
        });
        Events { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn streams_have_the_own_names(gateway: &Gateway, tenant: &Tenant<'_>) {
    assert_eq!(gateway.metric("streams"), 0);
    // One that is there, one that is not yet there, and all.
    let [of_web, of_later, all] =
        ["container=web", "container=later", "type=container"].map(|filter| Events::of(tenant, filter));
    gateway.wait_for("the streams", || gateway.metric("streams") == 3);
    tenant.said(&["run", "-d", "--name", "other", IMAGE, "/bin/sleep", "600"]);
    tenant.said(&["rename", "other", "another"]);
    tenant.said(&["run", "--rm", "--name", "later", IMAGE, "/bin/true"]);
    tenant.said(&["rm", "-f", "another"]);
    tenant.said(&["pause", "web"]);
    tenant.said(&["unpause", "web"]);
    gateway.wait_for("the last event", || {
        of_web.said().contains("unpause web")
            && of_later.said().contains("destroy later")
            && all.said().contains("unpause web")
    });
    assert_eq!(of_web.said(), "pause web\nunpause web\n");
    assert!(of_later.said().lines().all(|line| line.ends_with(" later")), "{}", of_later.said());
    let all = all.said();
    for event in ["start other", "rename another", "start later", "destroy another"] {
        assert!(all.lines().any(|line| line == event), "no {event:?} in {all}");
    }
    assert!(!all.contains("__"), "{all}");
    assert_eq!(tenant.said(&["logs", "web"]), "begun");
    assert_eq!(tenant.said(&["stats", "--no-stream", "--format", "{{.Name}}", "web"]), "web");
}

fn errors_have_the_own_names(tenant: &Tenant<'_>) {
    for (words, expected) in [
        (&["run", "--name", "db", IMAGE, "/bin/true"][..], "\"/db\" is already in use"),
        (&["volume", "rm", "data"], "data: volume is in use"),
        (&["network", "rm", "net"], "network net id"),
        (&["network", "create", "net"], "network with name net already exists"),
        (&["start", "none"], "No such container: none"),
    ] {
        let said = tenant.refused(words);
        assert!(said.contains(expected) && !said.contains("__"), "{words:?}: {said}");
    }
}

fn what_ends_has_the_own_names(tenant: &Tenant<'_>) {
    tenant.said(&["volume", "create", "spare"]);
    tenant.said(&["network", "create", "spare"]);
    let pruned = tenant.said(&["volume", "prune", "--force"]);
    assert!(pruned.lines().any(|line| line == "spare") && !pruned.contains("__"), "{pruned}");
    let pruned = tenant.said(&["network", "prune", "--force"]);
    assert!(pruned.lines().any(|line| line == "spare") && !pruned.contains("__"), "{pruned}");
    assert_eq!(tenant.said(&["rm", "-f", "web"]), "web");
    assert_eq!(tenant.said(&["volume", "rm", "data"]), "data");
    let again = ["run", "-d", "--name", "web", "--network", "net", IMAGE, "/bin/sleep", "600"];
    tenant.said(&again);
    assert_eq!(tenant.said(&["volume", "create", "data"]), "data");
}

/// What was made before names were mapped, or by the operator for a tenant, is
/// the tenant's under the name that it has.
#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn what_the_operator_made_for_a_tenant_keeps_its_name() {
    let socket = docker_socket();
    let _image = Image::named(IMAGE);
    let gateway = Gateway::start(&Options::before(socket));
    let tenant = Tenant::new(&gateway, "elder", "deploy");
    let label = format!("io.stockade.tenant={}", tenant.name);
    let name = format!("elder-{}", std::process::id());
    host(&["run", "-d", "--name", &name, "--label", &label, IMAGE, "/bin/sleep", "600"]);
    assert_eq!(tenant.said(&["ps", "--format", "{{.Names}}"]), name);
    assert_eq!(tenant.said(&["exec", &name, "/bin/echo", "here"]), "here");
    let taken = tenant.refused(&["run", "--name", &name, IMAGE, "/bin/true"]);
    assert!(taken.contains("already in use") && taken.contains("tenant.taken"), "{taken}");
    assert_eq!(text(&good(&mut tenant.docker(&["rm", "-f", &name]))), name);
}
