//! A1: no path that a container could have changed is mounted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{Attack, By, Seen, Site, Step, is_there, step};

const NESTED: By = By::Token("nested", "");
const SHARED: By = By::Token("shared", "");
const READER: By = By::Token("reader", "");
const CARELESS: By = By::Token("careless", "");
const TEAM: By = By::Token("nested", "bypass-team");

fn create(by: By, rest: &str, cmd: &str, host: Value) -> Step {
    let body = json!({ "Image": "{i}", "Cmd": ["/bin/sh", "-c", cmd], "HostConfig": host });
    step(by, "POST", &format!("/containers/create?name={{n}}{rest}"), body)
}

fn act(by: By, rest: &str, what: &str) -> Step {
    step(by, "POST", &format!("/containers/{{n}}{rest}/{what}"), Value::Null)
}

/// Replaces the directory that another binds by a link to the host's root.
const SWAP: &str = "busybox mv /s/b /s/old; busybox ln -s / /s/b";
/// Ends well only with the host's root under `/h`.
const READ: &str = "cat /h{d}/secret";

fn has_root() -> Seen {
    Arc::new(|tried| {
        tried.container("v").is_some_and(|found| {
            let state = &found["State"];
            state["ExitCode"] == 0 && state["StartedAt"] != "0001-01-01T00:00:00Z"
        })
    })
}

fn made() -> Seen {
    Arc::new(|tried| tried.container("v").is_some())
}

fn swap(name: &str, writer: By, victim: By, host: &Value, last: &str) -> [Attack; 3] {
    let w = create(writer, "w", SWAP, json!({ "Binds": ["{d}/shared:/s"] }));
    let v = create(victim, "v", READ, host.clone());
    let (run, waited, end, over) =
        (act(writer, "w", "start"), act(writer, "w", "wait"), act(victim, "v", last), act(victim, "v", "wait"));
    let rows = [
        ("the victim first", vec![v.clone(), w.clone(), run.clone(), waited.clone(), end.clone(), over.clone()]),
        ("the writer first", vec![w.clone(), v.clone(), run.clone(), waited.clone(), end.clone(), over.clone()]),
        ("after the writer", vec![w, run, waited, v, end, over]),
    ];
    rows.map(|(order, steps)| {
        let steps = steps.into_iter().map(|step| Step { by: victim, ..step }).collect();
        Attack::new(&format!("swap: {name}, {order}"), "A1", steps, has_root())
    })
}

pub fn rows(_: &Site) -> Vec<Attack> {
    let mut rows = Vec::new();
    let bind = json!({ "Binds": ["{d}/shared/b:/h"] });
    let mount = json!({ "Mounts": [{ "Type": "bind", "Source": "{d}/shared/b", "Target": "/h" }] });
    rows.extend(swap("by Binds", NESTED, NESTED, &bind, "start"));
    rows.extend(swap("by Mounts", NESTED, NESTED, &mount, "start"));
    rows.extend(swap("by restart", NESTED, NESTED, &bind, "restart"));
    rows.extend(swap("of a tenant", TEAM, TEAM, &bind, "start"));
    rows.extend(swap(
        "with a restart policy",
        NESTED,
        NESTED,
        &json!({ "Binds": ["{d}/shared/b:/h"], "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 1 } }),
        "start",
    ));
    // The writer is gone before the other is made, and its link is left.
    let steps = vec![
        create(NESTED, "w", SWAP, json!({ "Binds": ["{d}/shared:/s"] })),
        act(NESTED, "w", "start"),
        act(NESTED, "w", "wait"),
        step(NESTED, "DELETE", "/containers/{n}w?force=1", Value::Null),
        create(NESTED, "v", READ, bind.clone()),
        act(NESTED, "v", "start"),
        act(NESTED, "v", "wait"),
    ];
    rows.push(Attack::new("swap: the writer is removed", "A1", steps, has_root()));
    // docker cp mounts the binds of a stopped container anew.
    let steps = vec![
        create(NESTED, "v", "true", bind.clone()),
        create(NESTED, "w", SWAP, json!({ "Binds": ["{d}/shared:/s"] })),
        act(NESTED, "w", "start"),
        act(NESTED, "w", "wait"),
        step(NESTED, "GET", "/containers/{n}v/archive?path=/h{d}/secret", Value::Null),
    ];
    rows.push(Attack::new("swap: docker cp out of a stopped container", "A1", steps, Arc::new(|t| t.status() == 200)));
    // Through what another container lends.
    let steps = vec![
        create(NESTED, "l", "true", bind.clone()),
        create(NESTED, "v", READ, json!({ "VolumesFrom": ["{n}l"] })),
        create(NESTED, "w", SWAP, json!({ "Binds": ["{d}/shared:/s"] })),
        act(NESTED, "w", "start"),
        act(NESTED, "w", "wait"),
        act(NESTED, "v", "start"),
        act(NESTED, "v", "wait"),
    ];
    rows.push(Attack::new("swap: through VolumesFrom", "A1", steps, has_root()));

    // Below a directory that is listed for writing.
    for (what, host) in [
        ("below", json!({ "Binds": ["{d}/shared/b:/h"] })),
        ("below, read-only", json!({ "Binds": ["{d}/shared/b:/h:ro"] })),
        ("two slashes", json!({ "Binds": ["{d}/shared//b:/h"] })),
        ("dots", json!({ "Binds": ["{d}/shared/./b:/h"] })),
        ("dot dot", json!({ "Binds": ["{d}/shared/../shared/b:/h"] })),
        ("dot dot out", json!({ "Binds": ["{d}/shared/..:/h"] })),
        ("slash at the end", json!({ "Binds": ["{d}/shared/b/:/h"] })),
        ("a Mount", json!({ "Mounts": [{ "Type": "bind", "Source": "{d}/shared/b", "Target": "/h" }] })),
        (
            "a Mount, dot dot",
            json!({ "Mounts": [{ "Type": "bind", "Source": "{d}/shared/../secret", "Target": "/h" }] }),
        ),
        (
            "a Mount, read-only",
            json!({ "Mounts": [{ "Type": "bind", "Source": "{d}/shared/b", "Target": "/h", "ReadOnly": true }] }),
        ),
        ("propagation", json!({ "Binds": ["{d}/shared:/h:rslave"] })),
        (
            "propagation of a Mount",
            json!({ "Mounts": [{ "Type": "bind", "Source": "{d}/shared", "Target": "/h",
            "BindOptions": { "Propagation": "rslave" } }] }),
        ),
        ("a sibling with the same beginning", json!({ "Binds": ["{d}/shared-too:/h"] })),
        ("its parent", json!({ "Binds": ["{d}:/h"] })),
        ("relabelled", json!({ "Binds": ["{d}/shared/b:/h:Z"] })),
    ] {
        let step = create(SHARED, "v", "true", host);
        rows.push(Attack::new(&format!("below a listed directory: {what}"), "A1", vec![step], made()));
    }
    // A volume that is a directory.
    let options = json!({ "type": "none", "o": "bind", "device": "{d}/shared/b" });
    for (what, host) in [
        (
            "in a Mount",
            json!({ "Mounts": [{ "Type": "volume", "Source": "{n}x", "Target": "/h",
            "VolumeOptions": { "DriverConfig": { "Name": "local", "Options": options } } }] }),
        ),
        (
            "in a Mount without a name",
            json!({ "Mounts": [{ "Type": "volume", "Target": "/h",
            "VolumeOptions": { "DriverConfig": { "Options": options } } }] }),
        ),
        (
            "in another case",
            json!({ "Mounts": [{ "Type": "volume", "Target": "/h",
            "volumeoptions": { "driverconfig": { "options": options } } }] }),
        ),
    ] {
        let step = create(SHARED, "v", "true", host);
        rows.push(Attack::new(&format!("a volume that is a directory: {what}"), "A1", vec![step], made()));
    }
    for (what, by) in [("", SHARED), (" of a tenant", TEAM)] {
        let volume = step(By::Root, "POST", "/volumes/create", json!({ "Name": "{n}x", "DriverOpts": options }));
        for (how, host) in [
            ("Binds", json!({ "Binds": ["{n}x:/h"] })),
            ("Mounts", json!({ "Mounts": [{ "Type": "volume", "Source": "{n}x", "Target": "/h" }] })),
        ] {
            let uses = |tried: &super::table::Try<'_>| {
                tried.container("v").is_some_and(|found| {
                    found["Mounts"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .any(|mount| mount["Name"] == format!("{}x", tried.name))
                })
            };
            let steps = vec![volume.clone(), create(by, "v", "true", host)];
            rows.push(Attack::new(&format!("root's volume with options{what}: by {how}"), "A1", steps, Arc::new(uses)));
        }
        let made = |tried: &super::table::Try<'_>| tried.status() == 201;
        let body = json!({ "Name": "{n}y", "Driver": "local", "DriverOpts": options });
        let steps = vec![step(by, "POST", "/volumes/create", body)];
        rows.push(Attack::new(&format!("a volume with options is made{what}"), "A1", steps, Arc::new(made)));
    }
    // The owner's label was copied by root.
    let labels = json!({ "io.stockade.tenant": "bypass-team" });
    let labelled = json!({ "Name": "bypass-team__{n}x", "DriverOpts": options, "Labels": labels });
    let steps = vec![
        step(By::Root, "POST", "/volumes/create", labelled),
        create(TEAM, "v", "true", json!({ "Binds": ["{n}x:/h"] })),
    ];
    rows.push(Attack::new("root's volume with options and the tenant's label", "A1", steps, made()).uncontrolled());

    // A container that had it for writing may have handed the open directory on.
    for (what, by) in [("", NESTED), (" by a tenant", TEAM)] {
        let step = create(by, "v", "true", json!({ "Binds": ["{d}/shared/b:/h"] }));
        rows.push(Attack::new(&format!("listed, in a directory listed for writing{what}"), "A1", vec![step], made()));
    }
    // A listed path that is a link, or is not there.
    rows.push(Attack::new(
        "a listed path that is a link",
        "A1",
        vec![
            create(NESTED, "v", "cat /h/secret", json!({ "Binds": ["{d}/link:/h"] })),
            act(NESTED, "v", "start"),
            act(NESTED, "v", "wait"),
        ],
        has_root(),
    ));
    rows.push(Attack::new(
        "a listed path that is not there is made",
        "A1",
        vec![create(NESTED, "v", "true", json!({ "Binds": ["{d}/missing:/h"] })), act(NESTED, "v", "start")],
        Arc::new(|tried| is_there(&tried.site.dir.join("missing"))),
    ));

    // A root that is listed to be read only.
    for (what, host) in [
        ("for writing", json!({ "Binds": ["{d}/shared:/h"] })),
        ("for writing, rw", json!({ "Binds": ["{d}/shared:/h:rw"] })),
        ("a Mount for writing", json!({ "Mounts": [{ "Type": "bind", "Source": "{d}/shared", "Target": "/h" }] })),
        ("below, for writing", json!({ "Binds": ["{d}/shared/b:/h"] })),
        ("below, always restarting", json!({ "Binds": ["{d}/shared/b:/h:ro"], "RestartPolicy": { "Name": "always" } })),
        (
            "below, unless-stopped",
            json!({ "Binds": ["{d}/shared/b:/h:ro"], "RestartPolicy": { "Name": "unless-stopped" } }),
        ),
    ] {
        let step = create(READER, "v", "true", host);
        rows.push(Attack::new(&format!("a read-only root: {what}"), "A1", vec![step], made()));
    }
    // Another role lists it for writing.
    let writer = create(SHARED, "w", "true", json!({ "Binds": ["{d}/shared:/s"] }));
    let below = create(READER, "v", "true", json!({ "Binds": ["{d}/shared/b:/h:ro"] }));
    rows.push(Attack::new(
        "a read-only root: below, while another writes",
        "A1",
        vec![writer.clone(), below.clone()],
        made(),
    ));
    let deeper = create(READER, "v", "true", json!({ "Binds": ["{d}/shared/b/c:/h:ro"] }));
    rows.push(Attack::new("a read-only root: deeper, while another writes", "A1", vec![writer, deeper], made()));
    let update = step(READER, "POST", "/containers/{n}v/update", json!({ "RestartPolicy": { "Name": "always" } }));
    let restarts: Seen = Arc::new(|tried| {
        tried.container("v").is_some_and(|found| found["HostConfig"]["RestartPolicy"]["Name"] == "always")
    });
    rows.push(Attack::new("a read-only root: below, made to restart", "A1", vec![below, update], restarts));

    // What holds the host itself, whatever a role lists.
    for path in [
        "/",
        "/run",
        "/var/run",
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/var",
        "/var/lib",
        "/var/lib/docker",
        "/etc",
        "/proc",
        "/dev",
        "/sys",
    ] {
        for mode in ["", ":ro"] {
            let step = create(CARELESS, "v", "true", json!({ "Binds": [format!("{path}:/h{mode}")] }));
            rows.push(Attack::new(&format!("a careless role: {path}{mode}"), "A1", vec![step], made()));
        }
    }
    rows
}
