//! Containers and volumes that were not made through the gateway, as those without the
//! grant `foreign` see them: what they are and where they are connected, but
//! not what they were told. Values of variables, arguments and options may be
//! passwords.

use serde_json::{Map, Value};

/// What stands in place of a value.
const MASK: &str = "•••";

/// Labels whose values are likely to be secrets.
const LIKELY: &[&str] = &["pass", "secret", "token", "key", "auth", "credential", "users"];

fn masked(value: &mut Value) {
    match value {
        Value::String(text) if !text.is_empty() => *text = MASK.to_owned(),
        Value::Array(list) => list.iter_mut().for_each(masked),
        Value::Object(map) => map.values_mut().for_each(masked),
        _ => {}
    }
}

/// `inspect` of a container.
pub(super) fn inspected(container: &mut Map<String, Value>) {
    masked(container.get_mut("Args").unwrap_or(&mut Value::Null));
    let mut whole = Value::Object(std::mem::take(container));
    for path in [
        "/Config/Cmd",
        "/Config/Entrypoint",
        "/Config/Healthcheck/Test",
        "/Config/Shell",
        "/HostConfig/LogConfig/Config",
        "/HostConfig/Annotations",
        "/State/Health/Log",
        "/State/Error",
    ] {
        masked(whole.pointer_mut(path).unwrap_or(&mut Value::Null));
    }
    for mount in whole.pointer_mut("/HostConfig/Mounts").and_then(Value::as_array_mut).into_iter().flatten() {
        masked(mount.pointer_mut("/VolumeOptions/DriverConfig/Options").unwrap_or(&mut Value::Null));
    }
    for variable in whole.pointer_mut("/Config/Env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::String(text) = variable {
            let name = text.split('=').next().unwrap_or_default();
            *text = format!("{name}={MASK}");
        }
    }
    labels(whole.pointer_mut("/Config/Labels"));
    if let Value::Object(map) = whole {
        *container = map;
    }
}

fn labels(labels: Option<&mut Value>) {
    for (name, value) in labels.and_then(Value::as_object_mut).into_iter().flatten() {
        let name = name.to_lowercase();
        if LIKELY.iter().any(|part| name.contains(part)) {
            masked(value);
        }
    }
}

/// A volume. Of those made through the gateway none has options.
pub(super) fn volume(volume: &mut Value) {
    masked(volume.get_mut("Options").unwrap_or(&mut Value::Null));
    labels(volume.get_mut("Labels"));
}

/// An item of a list of containers.
pub(super) fn listed(container: &mut Value) {
    masked(container.get_mut("Command").unwrap_or(&mut Value::Null));
    labels(container.get_mut("Labels"));
}

/// An event: `exec_create: sh -c …` tells a command.
pub(super) fn event(event: &mut Value) {
    for member in ["status", "Action"] {
        if let Some(Value::String(text)) = event.get_mut(member)
            && let Some((action, _)) = text.split_once(':')
        {
            *text = format!("{action}: {MASK}");
        }
    }
    labels(event.pointer_mut("/Actor/Attributes"));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_value_that_a_container_was_told_is_seen() {
        let mut container = serde_json::json!({
            "Id": "1", "Path": "/bin/db", "Args": ["--password", "hunter2"], "State": {"Health": {"Log": [{"Output": "hunter2"}]}},
            "Config": {"Env": ["PASSWORD=hunter2", "EMPTY"], "Cmd": ["hunter2"], "Entrypoint": "hunter2",
                "Healthcheck": {"Test": ["CMD", "hunter2"], "Interval": 3}, "Labels": {"basicauth.users": "hunter2", "team": "a"}},
            "HostConfig": {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "hunter2"}}}
        });
        inspected(container.as_object_mut().unwrap());
        assert!(!container.to_string().contains("hunter2"), "{container}");
        assert_eq!(container["Config"]["Env"][0], "PASSWORD=•••");
        assert_eq!(container["Config"]["Labels"]["team"], "a");
        assert_eq!(container["Config"]["Healthcheck"]["Interval"], 3);
        let mut said = serde_json::json!({"Action": "exec_create: sh -c hunter2", "status": "start"});
        event(&mut said);
        assert_eq!(said, serde_json::json!({"Action": "exec_create: •••", "status": "start"}));
    }
}
