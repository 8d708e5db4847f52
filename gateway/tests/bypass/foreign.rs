//! A2: nobody gains through what root, or a stronger role, has made.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{Attack, By, Seen, Site, Step, step};

const OPERATOR: By = By::Token("operator", "");
const DEPLOY: By = By::Token("deploy", "");
const STRONG: By = By::Token("strong", "");
const PLAIN: By = By::Token("plain", "");
const TEAM: By = By::Token("shared", "bypass-team");
const STRONG_TEAM: By = By::Token("strong", "bypass-team");

fn make(by: By, rest: &str, more: &Value) -> Vec<Step> {
    let mut body =
        json!({ "Image": "{i}", "Cmd": ["/bin/sleep", "600"], "StopTimeout": 1, "Env": ["PASSWORD=hunter2"] });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    vec![
        step(by, "POST", &format!("/containers/create?name={{n}}{rest}"), body),
        step(by, "POST", &format!("/containers/{{n}}{rest}/start"), Value::Null),
    ]
}

fn answered() -> Seen {
    Arc::new(|tried| (200..300).contains(&tried.status()))
}

/// The engine began the exec: one that runs in a container may not give it all
/// capabilities, and says so.
fn begun() -> Seen {
    Arc::new(|tried| {
        let told = tried.answers.last().map_or("", |(_, text)| text.as_str());
        (200..300).contains(&tried.status()) || told.contains("OCI runtime exec failed")
    })
}

/// What can be done with a container `{c}`, by one request.
fn uses() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let exec = json!({ "Cmd": ["/bin/id"], "AttachStdout": true });
    let create = |host: Value| json!({ "Image": "{i}", "Cmd": ["/bin/true"], "HostConfig": host });
    vec![
        ("exec", "POST", "/containers/{c}/exec", exec),
        ("logs", "GET", "/containers/{c}/logs?stdout=1", Value::Null),
        ("top", "GET", "/containers/{c}/top", Value::Null),
        ("stats", "GET", "/containers/{c}/stats?stream=0", Value::Null),
        ("changes", "GET", "/containers/{c}/changes", Value::Null),
        ("pause", "POST", "/containers/{c}/pause", Value::Null),
        ("kill", "POST", "/containers/{c}/kill", Value::Null),
        ("stop", "POST", "/containers/{c}/stop?t=0", Value::Null),
        ("restart", "POST", "/containers/{c}/restart?t=0", Value::Null),
        ("rename", "POST", "/containers/{c}/rename?name={n}new", Value::Null),
        ("update", "POST", "/containers/{c}/update", json!({ "RestartPolicy": { "Name": "always" } })),
        ("remove", "DELETE", "/containers/{c}?force=1", Value::Null),
        ("export", "GET", "/containers/{c}/export", Value::Null),
        ("archive", "GET", "/containers/{c}/archive?path=/bin/sh", Value::Null),
        ("stat of a path", "HEAD", "/containers/{c}/archive?path=/bin/sh", Value::Null),
        ("attach", "POST", "/containers/{c}/attach?logs=1&stdout=1", Value::Null),
        ("commit", "POST", "/commit?container={c}&repo=bypass-team/{n}image", json!({})),
        ("VolumesFrom", "POST", "/containers/create?name={n}v", create(json!({ "VolumesFrom": ["{c}"] }))),
        (
            "VolumesFrom, read-only",
            "POST",
            "/containers/create?name={n}v",
            create(json!({ "VolumesFrom": ["{c}:ro"] })),
        ),
        ("NetworkMode", "POST", "/containers/create?name={n}v", create(json!({ "NetworkMode": "container:{c}" }))),
        ("PidMode", "POST", "/containers/create?name={n}v", create(json!({ "PidMode": "container:{c}" }))),
        ("IpcMode", "POST", "/containers/create?name={n}v", create(json!({ "IpcMode": "container:{c}" }))),
        ("Links", "POST", "/containers/create?name={n}v", create(json!({ "Links": ["{c}:other"] }))),
    ]
}

/// Each use of a container that `before` makes, by each of the attackers.
fn matrix(what: &str, before: &[Step], container: &str, attackers: &[By], only: &[&str]) -> Vec<Attack> {
    let mut rows = Vec::new();
    for by in attackers {
        for (name, method, target, body) in uses() {
            if !only.is_empty() && !only.contains(&name) {
                continue;
            }
            let put = |text: &str| text.replace("{c}", container);
            let body = serde_json::from_str(&put(&body.to_string())).unwrap();
            let mut steps = before.to_vec();
            steps.push(step(*by, method, &put(target), body));
            let By::Token(role, tenant) = by else { continue };
            let name = format!("{what}: {name} by {role} {tenant}");
            rows.push(Attack::new(name.trim_end(), "A2", steps, answered()));
        }
    }
    rows
}

const KEY: &[&str] = &["exec", "logs", "remove", "commit", "VolumesFrom", "NetworkMode", "PidMode", "rename"];

pub fn rows(_: &Site) -> Vec<Attack> {
    let mut rows = Vec::new();
    let quiet = json!({ "HostConfig": { "IpcMode": "shareable" } });
    let of_root = make(By::Root, "r", &quiet);
    rows.extend(matrix("root's container", &of_root, "{n}r", &[OPERATOR, TEAM], &[]));
    rows.extend(matrix("root's container", &of_root, "{n}r", &[DEPLOY], KEY));
    rows.extend(matrix("root's container by id", &of_root, "{0}", &[OPERATOR, TEAM], KEY));
    let privileged = make(
        By::Root,
        "r",
        &json!({ "HostConfig": { "Privileged": true, "PidMode": "host", "Binds": ["/var/run/docker.sock:/d.sock"] } }),
    );
    rows.extend(matrix(
        "root's privileged container",
        &privileged[..1],
        "{n}r",
        &[OPERATOR],
        &["commit", "archive", "rename", "VolumesFrom"],
    ));

    // Labels that root copied, as from an inspect or a compose file.
    let tenants =
        json!({ "io.stockade.tenant": "bypass-team", "io.stockade.role": "", "io.stockade.container": "bypass-team" });
    let roles = json!({ "io.stockade.tenant": "", "io.stockade.role": "operator", "io.stockade.container": "-" });
    let copied = make(By::Root, "r", &json!({ "Labels": tenants }));
    rows.extend(matrix("root copied a tenant's labels", &copied, "{n}r", &[TEAM, OPERATOR], KEY));
    let copied = make(By::Root, "r", &json!({ "Labels": roles }));
    rows.extend(matrix("root copied a role's labels", &copied, "{n}r", &[OPERATOR, DEPLOY], KEY));

    // Labels that came with an image: root commits what a tenant has, and runs it.
    for (what, by) in [("a tenant's", TEAM), ("an operator's", OPERATOR)] {
        let host = if by == TEAM { "bypass-team__{n}c" } else { "{n}c" };
        let mut inherited = make(by, "c", &json!({}));
        inherited.push(step(By::Root, "POST", &format!("/commit?container={host}&repo={{n}}image"), json!({})));
        inherited.extend(make(By::Root, "r", &json!({ "Image": "{n}image" })));
        // The maker is the attacker too: at the engine directly its name is another.
        let rest: Vec<Attack> =
            matrix(&format!("root runs a commit of {what} container"), &inherited, "{n}r", &[by], KEY);
        rows.extend(rest.into_iter().map(Attack::uncontrolled));
        let mut stopped = inherited.clone();
        stopped.push(step(By::Root, "POST", "/containers/{n}r/stop?t=0", Value::Null));
        if by == TEAM {
            stopped.push(step(by, "POST", "/containers/prune", Value::Null));
            let gone: Seen = Arc::new(|tried| tried.of_root("r").is_none());
            rows.push(
                Attack::new(&format!("prune of a run of a commit of {what} container"), "A2", stopped, gone)
                    .uncontrolled(),
            );
            let mut listed = inherited;
            listed.push(step(by, "GET", "/containers/json?all=1", Value::Null));
            let seen: Seen = Arc::new(|tried| {
                tried.answers.last().is_some_and(|(_, text)| text.contains(&format!("{}r", tried.name)))
            });
            rows.push(Attack::new("list shows a run of a commit", "A2", listed, seen).uncontrolled());
        }
    }
    let mut copied = make(By::Root, "r", &json!({ "Labels": tenants }));
    copied.push(step(By::Root, "POST", "/containers/{n}r/stop?t=0", Value::Null));
    copied.push(step(TEAM, "POST", "/containers/prune", Value::Null));
    let gone: Seen = Arc::new(|tried| tried.of_root("r").is_none());
    rows.push(Attack::new("prune of a container with copied labels", "A2", copied, gone).uncontrolled());

    // Secrets of what root made.
    for (by, who) in [(OPERATOR, "operator"), (DEPLOY, "deploy"), (By::Token("read", ""), "read")] {
        // The secret is this try's own: other objects are listed beside its.
        let secret: Seen = Arc::new(|tried| {
            let secret = format!("hunter2-{}", tried.name);
            tried.answers.last().is_some_and(|(_, text)| text.contains(&secret))
        });
        let told = make(
            By::Root,
            "r",
            &json!({ "Cmd": ["/bin/sleep", "600", "hunter2-{n}"], "Labels": { "io.stockade.role": "operator", "a.token": "hunter2-{n}" } }),
        );
        for (what, target) in
            [("inspect", "/containers/{n}r/json"), ("list", "/containers/json?all=1"), ("system df", "/system/df")]
        {
            let mut steps = told.clone();
            steps.push(step(by, "GET", target, Value::Null));
            rows.push(Attack::new(
                &format!("a secret of root's container: {what} by {who}"),
                "A2",
                steps,
                Arc::clone(&secret),
            ));
        }
        let options = json!({ "type": "cifs", "device": "//192.0.2.1/x", "o": "username=u,password=hunter2-{n}" });
        let volume = step(By::Root, "POST", "/volumes/create", json!({ "Name": "{n}x", "DriverOpts": options }));
        for (what, target) in [("inspect", "/volumes/{n}x"), ("list", "/volumes"), ("system df", "/system/df")] {
            let steps = vec![volume.clone(), step(by, "GET", target, Value::Null)];
            let row =
                Attack::new(&format!("a secret of root's volume: {what} by {who}"), "A2", steps, Arc::clone(&secret));
            // The engine counts volumes without options alone (volume/service, LocalVolumesSize).
            rows.push(if what == "system df" { row.uncontrolled() } else { row });
        }
    }

    // What a stronger role made, used by a weaker.
    for (what, more) in [
        ("privileged", json!({ "HostConfig": { "Privileged": true } })),
        ("the host's pids", json!({ "HostConfig": { "PidMode": "host" } })),
        ("the host's network", json!({ "HostConfig": { "NetworkMode": "host" } })),
        ("the host's uts", json!({ "HostConfig": { "UTSMode": "host" } })),
        ("a capability", json!({ "HostConfig": { "CapAdd": ["SYS_ADMIN"] } })),
        ("a bind", json!({ "HostConfig": { "Binds": ["{d}/strong:/h"] } })),
        ("unmasked paths", json!({ "HostConfig": { "MaskedPaths": [], "ReadonlyPaths": [] } })),
        ("unconfined", json!({ "HostConfig": { "SecurityOpt": ["seccomp=unconfined"] } })),
        (
            "a device",
            json!({ "HostConfig": { "Devices": [{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm" }] } }),
        ),
        (
            "a port",
            json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "1023", "HostIp": "127.0.0.1" }] } } }),
        ),
    ] {
        // Not started: an engine in a container may not give all of these.
        let strong = &make(STRONG, "s", &more)[..1];
        let only = ["commit", "VolumesFrom", "rename", "archive"];
        rows.extend(matrix(&format!("a stronger role's container ({what})"), strong, "{n}s", &[DEPLOY], &only));
        let strong = &make(STRONG_TEAM, "s", &more)[..1];
        let rest = matrix(
            &format!("a stronger role's container ({what})"),
            strong,
            "{n}s",
            &[TEAM],
            &["exec", "restart", "rename"],
        );
        rows.extend(rest.into_iter().map(Attack::uncontrolled));
    }
    let strong = make(STRONG, "s", &json!({}));
    rows.extend(matrix(
        "a container that runs as root",
        &strong,
        "{n}s",
        &[PLAIN],
        &["exec", "commit", "attach", "restart"],
    ));
    let secret: Seen = Arc::new(|tried| tried.answers.last().is_some_and(|(_, text)| text.contains("hunter2")));
    for (what, maker, by) in [("", STRONG, DEPLOY), (" of the same tenant", STRONG_TEAM, TEAM)] {
        let mut steps = make(maker, "s", &json!({ "HostConfig": { "Privileged": true } }));
        steps.pop();
        steps.push(step(by, "GET", "/containers/{n}s/json", Value::Null));
        rows.push(
            Attack::new(&format!("a secret of a stronger role's container{what}"), "A2", steps, Arc::clone(&secret))
                .uncontrolled(),
        );
    }
    // An exec that a stronger role prepared.
    for (what, maker, by, more, exec) in [
        ("privileged", STRONG, DEPLOY, json!({}), json!({ "Cmd": ["/bin/true"], "Privileged": true })),
        (
            "privileged, of the same tenant",
            STRONG_TEAM,
            TEAM,
            json!({}),
            json!({ "Cmd": ["/bin/true"], "Privileged": true }),
        ),
        ("as root", STRONG, PLAIN, json!({ "User": "1000:1000" }), json!({ "Cmd": ["/bin/true"], "User": "0" })),
    ] {
        let mut steps = make(maker, "s", &more);
        steps.push(step(maker, "POST", "/containers/{n}s/exec", exec));
        steps.push(step(by, "POST", "/exec/{2}/start", json!({ "Detach": true })));
        rows.push(Attack::new(&format!("a stronger role's exec, {what}: start"), "A2", steps, begun()));
    }
    // Exec ids of root's containers.
    for by in [OPERATOR, TEAM] {
        for (method, what, body) in [("POST", "start", json!({ "Detach": true })), ("GET", "json", Value::Null)] {
            let mut steps = of_root.clone();
            steps.push(step(By::Root, "POST", "/containers/{n}r/exec", json!({ "Cmd": ["/bin/true"] })));
            steps.push(step(by, method, &format!("/exec/{{2}}/{what}"), body));
            rows.push(Attack::new(&format!("root's exec in root's container: {what}"), "A2", steps, answered()));
        }
    }

    // Networks and volumes of root's.
    let network = step(By::Root, "POST", "/networks/create", json!({ "Name": "{n}net" }));
    let volume = step(By::Root, "POST", "/volumes/create", json!({ "Name": "{n}vol" }));
    for by in [OPERATOR, TEAM] {
        let By::Token(role, _) = by else { continue };
        let create = |host: Value, endpoints: Value| {
            let body =
                json!({ "Image": "{i}", "HostConfig": host, "NetworkingConfig": { "EndpointsConfig": endpoints } });
            step(by, "POST", "/containers/create?name={n}v", body)
        };
        for (what, first, last) in [
            ("NetworkMode", &network, create(json!({ "NetworkMode": "{n}net" }), json!({}))),
            ("NetworkMode by id", &network, create(json!({ "NetworkMode": "{0}" }), json!({}))),
            ("endpoint", &network, create(json!({ "NetworkMode": "{n}net" }), json!({ "{n}net": {} }))),
            ("volume by Binds", &volume, create(json!({ "Binds": ["{n}vol:/v"] }), json!({}))),
            (
                "volume by Mounts",
                &volume,
                create(json!({ "Mounts": [{ "Type": "volume", "Source": "{n}vol", "Target": "/v" }] }), json!({})),
            ),
            ("remove the network", &network, step(by, "DELETE", "/networks/{n}net", Value::Null)),
            ("remove the volume", &volume, step(by, "DELETE", "/volumes/{n}vol", Value::Null)),
        ] {
            // A tenant's volume of that name is another.
            let ours: Seen = Arc::new(move |tried| {
                (200..300).contains(&tried.status())
                    && tried.container("v").is_none_or(|found| {
                        let volumes = found["Mounts"].as_array().cloned().unwrap_or_default();
                        volumes.is_empty() || volumes.iter().any(|mount| mount["Name"] == format!("{}vol", tried.name))
                    })
            });
            let steps = vec![first.clone(), last];
            rows.push(Attack::new(&format!("root's network or volume: {what} by {role}"), "A2", steps, ours));
        }
        let mut steps = make(by, "v", &json!({}));
        steps.insert(0, network.clone());
        steps.push(step(by, "POST", "/networks/{n}net/connect", json!({ "Container": "{n}v" })));
        rows.push(Attack::new(&format!("root's network: connect by {role}"), "A2", steps, answered()));
        // Root's container on one's own network, and as a link there.
        let own = step(by, "POST", "/networks/create", json!({ "Name": "{n}own" }));
        for (what, last) in [
            ("connect", step(by, "POST", "/networks/{n}own/connect", json!({ "Container": "{n}r" }))),
            (
                "disconnect",
                step(by, "POST", "/networks/{n}own/disconnect", json!({ "Container": "{n}r", "Force": true })),
            ),
            (
                "endpoint's Links",
                create(json!({ "NetworkMode": "{n}own" }), json!({ "{n}own": { "Links": ["{n}r:other"] } })),
            ),
        ] {
            let mut steps = of_root.clone();
            steps.push(own.clone());
            steps.push(last);
            let row = Attack::new(
                &format!("root's container on one's own network: {what} by {role}"),
                "A2",
                steps,
                answered(),
            );
            rows.push(if what == "disconnect" { row.uncontrolled() } else { row });
        }
    }
    rows
}
