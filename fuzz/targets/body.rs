//! JSON bodies of a tenant's deploy role: what is accepted is written anew, and
//! what is written anew, read as Go reads it, asks for nothing that is denied.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use stockade_fuzz::daemon::{Daemon, id, outcome};
use stockade_fuzz::go::Json;
use stockade_fuzz::{Bytes, request};
use stockade_gateway::Body;
use stockade_gateway::policy::{Operation, parse};

const TARGETS: &[&str] = &[
    "/v1.47/containers/create?name=fresh",
    "/v1.47/containers/web/exec",
    "/v1.47/containers/web/update",
    "/v1.47/networks/create",
    "/v1.47/networks/web/connect",
    "/v1.47/volumes/create",
];

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let target = bytes.of(TARGETS);
    let body = match bytes.byte() % 4 {
        0 | 2 => bytes.0.to_vec(),
        1 => made(&mut bytes).to_string().into_bytes(),
        _ => asked(&mut bytes).to_string().into_bytes(),
    };
    let request = http::Request::builder().method("POST").uri(target).header("host", "docker");
    let request = request.header("content-type", "application/json").header("content-length", body.len());
    let parts = request.body(()).expect("a request").into_parts().0;
    let Ok(call) = parse(&parts) else { return };
    let Ok(forward) = outcome(request::policy().decide(&request::people()[1], call, &body, &Daemon)) else { return };
    let Body::Bytes(sent) = forward.body else { panic!("no body is sent") };
    let said: Json = serde_json::from_slice(&sent).expect("JSON is sent");
    let text = String::from_utf8_lossy(&sent).into_owned();
    match forward.operation {
        Operation::ContainerCreate => create(&said, &text),
        Operation::ContainerExec => absent(&said, &[&["Privileged"]], &text),
        Operation::ContainerUpdate => update(&said, &text),
        Operation::NetworkCreate => network(&said, &text),
        Operation::NetworkConnect => connect(&said, &text),
        Operation::VolumeCreate => volume(&said, &text),
        other => panic!("{other}"),
    }
});

/// What is asked for by those who want the host, among what is allowed.
fn asked(bytes: &mut Bytes<'_>) -> Value {
    let (mut top, mut host) = (json!({"Image": "alpine", "Cmd": ["x"]}), Map::new());
    // Few: one that is denied hides all others.
    for _ in 0..=bytes.byte() % 3 {
        let wish: Map<String, Value> = serde_json::from_str(bytes.of(WISHES)).expect("the list is of objects");
        let place = bytes.byte() % 8;
        for (name, value) in wish {
            let name = if place == 7 { name.to_lowercase() } else { name };
            if place == 0 { top[name] = value } else { drop(host.insert(name, value)) }
        }
    }
    top["HostConfig"] = Value::Object(host);
    top
}

const WISHES: &[&str] = &[
    r#"{"Privileged":true}"#,
    r#"{"Binds":["/:/host"]}"#,
    r#"{"Binds":["data:/x","theirs:/y"]}"#,
    r#"{"Binds":["/var/run/docker.sock:/s:ro"]}"#,
    r#"{"Mounts":[{"Type":"bind","Source":"/","Target":"/x"}]}"#,
    r#"{"Mounts":[{"Type":"volume","Source":"theirs","Target":"/x"}]}"#,
    r#"{"Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"DriverConfig":{"Options":{"o":"bind"}}}}]}"#,
    r#"{"Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"Labels":{"io.stockade.tenant":"rival"}}}]}"#,
    r#"{"PortBindings":{"80/tcp":[{"HostPort":"22"}]}}"#,
    r#"{"PortBindings":{"80/tcp":[{"HostPort":"8000-9000"}]}}"#,
    r#"{"PortBindings":{"80/tcp":[{"HostPort":"8080","HostIp":"127.0.0.1"}]}}"#,
    r#"{"NetworkMode":"host"}"#,
    r#"{"NetworkMode":"container:theirs"}"#,
    r#"{"NetworkMode":"web"}"#,
    r#"{"PidMode":"host"}"#,
    r#"{"PidMode":"container:theirs"}"#,
    r#"{"IpcMode":"host"}"#,
    r#"{"UTSMode":"host"}"#,
    r#"{"UsernsMode":"host"}"#,
    r#"{"CgroupnsMode":"host"}"#,
    r#"{"CapAdd":["ALL"]}"#,
    r#"{"SecurityOpt":["seccomp=unconfined"]}"#,
    r#"{"SecurityOpt":["no-new-privileges"]}"#,
    r#"{"MaskedPaths":[]}"#,
    r#"{"ReadonlyPaths":[]}"#,
    r#"{"Devices":[{"PathOnHost":"/dev/sda"}]}"#,
    r#"{"DeviceCgroupRules":["a *:* rwm"]}"#,
    r#"{"Memory":0,"PidsLimit":-1,"NanoCpus":0}"#,
    r#"{"Memory":2147483649}"#,
    r#"{"CpuQuota":-1,"CpuPeriod":1000}"#,
    r#"{"CpuQuota":3000000}"#,
    r#"{"CgroupParent":"/"}"#,
    r#"{"Runtime":"x"}"#,
    r#"{"VolumesFrom":["theirs"]}"#,
    r#"{"VolumesFrom":["web:ro"],"Links":["web:db"]}"#,
    r#"{"Links":["theirs:db"]}"#,
    r#"{"Sysctls":{"kernel.core_pattern":"|x"}}"#,
    r#"{"LogConfig":{"Type":"syslog"}}"#,
    r#"{"ExtraHosts":["h:host-gateway"]}"#,
    r#"{"PublishAllPorts":true}"#,
    r#"{"GroupAdd":["0"]}"#,
    r#"{"OomScoreAdj":-1000,"OomKillDisable":true}"#,
    r#"{"Tmpfs":{"/tmp":"size=9g"}}"#,
    r#"{"Labels":{"io.stockade.tenant":"rival"}}"#,
    r#"{"Labels":{"a":"b"},"Volumes":{"/data":{}}}"#,
    r#"{"NetworkingConfig":{"EndpointsConfig":{"theirs":{}}}}"#,
    r#"{"NetworkingConfig":{"EndpointsConfig":{"web":{"Aliases":["db"],"MacAddress":"02:00:00:00:00:01"}}}}"#,
];

/// A body of members and values that matter, some spelt for Go alone.
fn made(bytes: &mut Bytes<'_>) -> Value {
    let mut top = json!({"Image": "alpine", "Cmd": ["x"]});
    if bytes.byte() % 2 == 0 {
        top = json!({});
    }
    let mut host = Map::new();
    for _ in 0..=bytes.byte() % 8 {
        let mut name = bytes.of(MEMBERS).to_owned();
        match bytes.byte() % 16 {
            0 => name = name.to_lowercase(),
            1 => name = name.replace('s', "\u{17f}"),
            2 => name = name.replace('k', "\u{212a}"),
            _ => {}
        }
        let value: Value = serde_json::from_str(bytes.of(VALUES)).expect("the list is of JSON");
        let value = match bytes.byte() % 4 {
            0 => json!([value]),
            1 => json!({bytes.of(MEMBERS): value}),
            _ => value,
        };
        if bytes.byte() % 4 == 0 { top[name] = value } else { drop(host.insert(name, value)) }
    }
    if !host.is_empty() {
        top["HostConfig"] = Value::Object(host);
    }
    top
}

const MEMBERS: &[&str] = &[
    "Image",
    "Name",
    "User",
    "Labels",
    "Volumes",
    "HostConfig",
    "NetworkingConfig",
    "EndpointsConfig",
    "MacAddress",
    "Binds",
    "Mounts",
    "Privileged",
    "Devices",
    "DeviceRequests",
    "DeviceCgroupRules",
    "CapAdd",
    "CapDrop",
    "NetworkMode",
    "PidMode",
    "IpcMode",
    "UTSMode",
    "UsernsMode",
    "CgroupnsMode",
    "Cgroup",
    "CgroupParent",
    "Runtime",
    "SecurityOpt",
    "MaskedPaths",
    "ReadonlyPaths",
    "Sysctls",
    "OomScoreAdj",
    "OomKillDisable",
    "GroupAdd",
    "LogConfig",
    "Type",
    "ExtraHosts",
    "PortBindings",
    "PublishAllPorts",
    "Memory",
    "MemorySwap",
    "MemoryReservation",
    "NanoCpus",
    "CpuQuota",
    "CpuPeriod",
    "PidsLimit",
    "ShmSize",
    "Tmpfs",
    "VolumesFrom",
    "Links",
    "Ulimits",
    "StorageOpt",
    "Annotations",
    "VolumeDriver",
    "Driver",
    "DriverOpts",
    "DriverConfig",
    "VolumeOptions",
    "BindOptions",
    "Source",
    "Target",
    "Options",
    "IPAM",
    "Config",
    "Internal",
    "Ingress",
    "ConfigOnly",
    "ConfigFrom",
    "Scope",
    "Container",
    "EndpointConfig",
    "Aliases",
    "ExposedPorts",
    "80/tcp",
    "io.stockade.tenant",
    "io.stockade.role",
    "Isolation",
    "Init",
    "RestartPolicy",
    "KernelMemory",
    "CpuRealtimeRuntime",
];

const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2147483648",
    "2147483649",
    "1025",
    "1024",
    "3000000000",
    "9223372036854775807",
    "1e3",
    "\"\"",
    "\"host\"",
    "\"default\"",
    "\"bridge\"",
    "\"none\"",
    "\"private\"",
    "\"container:web\"",
    "\"container:theirs\"",
    "\"web\"",
    "\"theirs\"",
    "\"web:ro\"",
    "\"theirs:db\"",
    "\"data:/data\"",
    "\"theirs:/x\"",
    "\"/:/host\"",
    "\"/var/run/docker.sock:/s\"",
    "\"/x\"",
    "\"data\"",
    "\"ALL\"",
    "\"SYS_ADMIN\"",
    "\"seccomp=unconfined\"",
    "\"no-new-privileges\"",
    "\"root\"",
    "\"local\"",
    "\"json-file\"",
    "\"syslog\"",
    "\"macvlan\"",
    "\"runc\"",
    "{\"Type\":\"bind\",\"Source\":\"/\",\"Target\":\"/x\"}",
    "{\"Type\":\"volume\",\"Source\":\"data\",\"Target\":\"/x\"}",
    "{\"Type\":\"tmpfs\",\"Target\":\"/x\"}",
    "{\"Type\":\"volume\",\"Target\":\"/x\",\"VolumeOptions\":{\"DriverConfig\":{\"Name\":\"local\",\"Options\":{\"o\":\"bind\"}}}}",
    "{\"80/tcp\":[{\"HostPort\":\"8080\"}]}",
    "{\"80/tcp\":[{\"HostPort\":\"22\"}]}",
    "{\"80/tcp\":[{}]}",
    "{\"80/tcp\":{}}",
    "{\"io.stockade.tenant\":\"rival\"}",
    "{\"IO.STOCKADE.tenant\":\"rival\"}",
    "{\"a\":\"b\"}",
    "{\"Name\":\"always\"}",
    "{\"web\":{}}",
    "{\"theirs\":{}}",
    "{\"/tmp\":\"size=1g\"}",
    "{\"kernel.core_pattern\":\"|x\"}",
    "[]",
    "{}",
];

fn absent(said: &Json, paths: &[&[&str]], text: &str) {
    for path in paths {
        assert!(said.at(path).into_iter().all(Json::is_zero), "{path:?} is sent in {text}");
    }
}

fn own_label(labels: Vec<&Json>, text: &str) {
    let all: Vec<_> = labels.iter().flat_map(|labels| labels.members()).collect();
    let reserved: Vec<_> = all.iter().filter(|(name, _)| name.to_lowercase().starts_with("io.stockade.")).collect();
    assert!(reserved.iter().any(|(name, _)| name == "io.stockade.tenant"), "{text}");
    for (name, owner) in &reserved {
        let expected = if name == "io.stockade.role" { "" } else { "team" };
        assert_eq!(owner.text(), expected, "{name} in {text}");
    }
}

fn own_volume(name: &str, text: &str) {
    assert!(name.is_empty() || name.starts_with("team__"), "the volume {name:?} in {text}");
}

fn create(said: &Json, text: &str) {
    own_label(said.all("Labels"), text);
    absent(said, &[&["MacAddress"], &["Volumes"]], text);
    let host = |name: &'static str| said.at(&["HostConfig", name]);
    for name in [
        "Privileged",
        "PublishAllPorts",
        "OomKillDisable",
        "Devices",
        "DeviceRequests",
        "DeviceCgroupRules",
        "GroupAdd",
        "CgroupParent",
        "Cgroup",
        "Runtime",
        "StorageOpt",
        "Annotations",
        "CapAdd",
        "Binds",
        "KernelMemory",
        "CpuRealtimeRuntime",
    ] {
        assert!(host(name).into_iter().all(Json::is_zero), "{name} is sent in {text}");
    }
    for name in ["MaskedPaths", "ReadonlyPaths"] {
        assert!(host(name).into_iter().all(|value| *value == Json::Null), "{name} is sent in {text}");
    }
    let (own, network) = (format!("container:{}", id('a')), id('a'));
    for (name, more) in [
        ("NetworkMode", &["default", "bridge", "none", &network][..]),
        ("PidMode", &[]),
        ("IpcMode", &["private", "none", "shareable"]),
        ("UTSMode", &[]),
        ("UsernsMode", &[]),
        ("CgroupnsMode", &["private"]),
    ] {
        for mode in host(name) {
            let mode = mode.text();
            let joins = matches!(name, "NetworkMode" | "PidMode" | "IpcMode") && mode == own;
            assert!(mode.is_empty() || joins || more.contains(&mode), "{name} is {mode:?} in {text}");
        }
    }
    for (list, separator) in [("VolumesFrom", ':'), ("Links", ':')] {
        for entry in host(list).into_iter().flat_map(Json::list) {
            assert_eq!(entry.text().split(separator).next(), Some(id('a').as_str()), "{list} in {text}");
        }
    }
    for option in host("SecurityOpt").into_iter().flat_map(Json::list) {
        assert!(option.text().starts_with("no-new-privileges"), "{text}");
    }
    for mount in host("Mounts").into_iter().flat_map(Json::list) {
        for kind in mount.all("Type") {
            assert!(matches!(kind.text(), "volume" | "tmpfs" | "image"), "{text}");
            if kind.text() == "volume" {
                mount.all("Source").into_iter().for_each(|name| own_volume(name.text(), text));
                own_label(mount.at(&["VolumeOptions", "Labels"]), text);
            }
        }
        absent(mount, &[&["VolumeOptions", "DriverConfig"], &["BindOptions"], &["ClusterOptions"]], text);
    }
    for (_, bindings) in host("PortBindings").into_iter().flat_map(Json::members) {
        for port in bindings.list().iter().flat_map(|binding| binding.all("HostPort")) {
            let within =
                port.text().split('-').all(|port| port.parse().is_ok_and(|port: u16| (8000..=8999).contains(&port)));
            assert!(within, "the port {port:?} in {text}");
        }
    }
    let one = |name: &'static str| host(name).into_iter().map(Json::number).collect::<Vec<f64>>();
    assert!(
        one("Memory").iter().all(|bytes| (1.0..=2_147_483_648.0).contains(bytes)) && one("Memory").len() == 1,
        "{text}"
    );
    assert!(one("PidsLimit").iter().all(|pids| (1.0..=1024.0).contains(pids)) && one("PidsLimit").len() == 1, "{text}");
    let (nano, quota) = (one("NanoCpus"), one("CpuQuota"));
    assert!(nano.iter().all(|nano| (0.0..=2e9).contains(nano)), "{text}");
    assert!(nano.iter().chain(&quota).any(|bound| *bound > 0.0), "the processors are not bounded in {text}");
    assert!(one("OomScoreAdj").iter().all(|score| (0.0..=1000.0).contains(score)), "{text}");
    for driver in said.at(&["HostConfig", "LogConfig", "Type"]) {
        assert!(matches!(driver.text(), "" | "json-file" | "local" | "none"), "{text}");
    }
    for (name, _) in host("Sysctls").into_iter().flat_map(Json::members) {
        assert!(!name.starts_with("kernel.core") && !name.starts_with("vm."), "{text}");
    }
    for (name, _) in said.at(&["NetworkingConfig", "EndpointsConfig"]).into_iter().flat_map(Json::members) {
        assert!(["default", "bridge", "none", &network].contains(&name.as_str()), "the network {name:?} in {text}");
    }
}

fn update(said: &Json, text: &str) {
    let zero: &[&[&str]] =
        &[&["Devices"], &["DeviceCgroupRules"], &["CgroupParent"], &["OomKillDisable"], &["KernelMemory"]];
    absent(said, zero, text);
    for (name, most) in [("Memory", 2_147_483_648.0), ("MemorySwap", 4_294_967_296.0), ("NanoCpus", 2e9)] {
        assert!(said.all(name).iter().all(|value| (0.0..=most).contains(&value.number())), "{name} in {text}");
    }
    assert!(said.all("PidsLimit").iter().all(|value| (1.0..=1024.0).contains(&value.number())), "{text}");
}

fn network(said: &Json, text: &str) {
    own_label(said.all("Labels"), text);
    absent(
        said,
        &[&["Ingress"], &["ConfigOnly"], &["ConfigFrom"], &["Options"], &["IPAM", "Config"], &["IPAM", "Options"]],
        text,
    );
    assert!(said.all("Driver").iter().all(|driver| matches!(driver.text(), "" | "bridge")), "{text}");
    assert!(said.all("Name").iter().all(|name| name.text().starts_with("team__")), "{text}");
    assert_eq!(said.all("Name").len(), 1, "{text}");
}

fn connect(said: &Json, text: &str) {
    assert!(said.all("Container").iter().all(|container| container.text() == id('a')), "{text}");
    absent(said, &[&["EndpointConfig", "MacAddress"], &["EndpointConfig", "DriverOpts"]], text);
}

fn volume(said: &Json, text: &str) {
    own_label(said.all("Labels"), text);
    absent(said, &[&["DriverOpts"], &["ClusterVolumeSpec"]], text);
    assert!(said.all("Driver").iter().all(|driver| matches!(driver.text(), "" | "local")), "{text}");
    said.all("Name").iter().for_each(|name| own_volume(name.text(), text));
}
