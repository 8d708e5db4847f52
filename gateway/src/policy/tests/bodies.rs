//! Create bodies, member by member.

use super::*;

#[tokio::test]
async fn what_gives_the_host_away_is_refused_by_its_own_rule() {
    for (member, value) in [
        ("Privileged", json!(true)),
        ("Devices", json!([{"PathOnHost": "/dev/kvm"}])),
        ("DeviceRequests", json!([{"Count": -1}])),
        ("DeviceCgroupRules", json!(["c 1:1 rwm"])),
        ("CapAdd", json!(["SYS_ADMIN"])),
        ("Binds", json!(["/:/host"])),
        ("Binds", json!(["/var/run/docker.sock:/s"])),
        ("NetworkMode", json!("host")),
        ("PidMode", json!("host")),
        ("IpcMode", json!("host")),
        ("UTSMode", json!("host")),
        ("UsernsMode", json!("host")),
        ("CgroupnsMode", json!("host")),
        ("Cgroup", json!("container:x")),
        ("CgroupParent", json!("/x")),
        ("Runtime", json!("crun")),
        ("SecurityOpt", json!(["seccomp=unconfined"])),
        ("SecurityOpt", json!(["no-new-privileges", "apparmor=unconfined"])),
        ("MaskedPaths", json!([])),
        ("ReadonlyPaths", json!([])),
        ("Sysctls", json!({"kernel.core_pattern": "|/x"})),
        ("Sysctls", json!({"net.ipv4.ip_forward": "1\n"})),
        ("OomScoreAdj", json!(-1)),
        ("OomKillDisable", json!(true)),
        ("GroupAdd", json!(["disk"])),
        ("PortBindings", json!({"80/tcp": [{"HostPort": "80"}]})),
        ("PortBindings", json!({"80/tcp": [{"HostPort": "7999-8001"}]})),
        ("PublishAllPorts", json!(true)),
        ("Annotations", json!({"a": "b"})),
        ("StorageOpt", json!({"size": "1t"})),
        ("ExtraHosts", json!(["h:host-gateway"])),
        ("BlkioDeviceReadBps", json!([{"Path": "/dev/sda", "Rate": 1}])),
        ("Tmpfs", json!({"/t": "dev"})),
        ("Tmpfs", json!({"/t": "size=4g"})),
        ("Ulimits", json!([{"Name": "rtprio", "Soft": 99, "Hard": 99}])),
    ] {
        let rule = create_rule(json!({member: value})).await;
        assert_eq!(rule, format!("create.HostConfig.{member}"), "{member}: {value}");
    }
    assert_eq!(
        create_rule(json!({"LogConfig": {"Type": "syslog", "Config": {}}})).await,
        "create.HostConfig.LogConfig.Type"
    );
    assert_eq!(create_rule(json!({"NoSuchThing": 1})).await, "create.HostConfig.unknown");
    assert_eq!(create_rule(json!({"Memory": "1"})).await, "create.HostConfig.Memory");
    assert_eq!(create_rule(json!({"Memory": 1.5})).await, "create.HostConfig.Memory");
}

#[tokio::test]
async fn defaults_count_as_absent_and_are_left_out() {
    let host = json!({"Privileged": false, "Devices": [], "CgroupParent": "", "MaskedPaths": null, "CapAdd": null,
        "GroupAdd": [], "OomScoreAdj": 0, "KernelMemory": 0, "MemorySwappiness": -1});
    let sent = create(&create_body(host)).await.unwrap();
    for member in ["Privileged", "Devices", "CgroupParent", "MaskedPaths", "CapAdd", "GroupAdd", "MemorySwappiness"] {
        assert_eq!(sent["HostConfig"].get(member), None, "{member}");
    }
}

#[tokio::test]
async fn zero_does_not_mean_unlimited() {
    let sent =
        create(&create_body(json!({"Memory": 0, "NanoCpus": 0, "PidsLimit": -1, "CpuQuota": -1}))).await.unwrap();
    assert_eq!(sent["HostConfig"]["Memory"], 2_i64 << 30);
    assert_eq!(sent["HostConfig"]["NanoCpus"], 2_000_000_000_i64);
    assert_eq!(sent["HostConfig"]["PidsLimit"], 1024);
    for (member, value) in [
        ("Memory", 3_i64 << 30),
        ("Memory", -1),
        ("MemorySwap", -1),
        ("NanoCpus", 2_000_000_001),
        ("PidsLimit", 1025),
        ("CpuQuota", 200_001),
        ("ShmSize", 3 << 30),
    ] {
        assert_eq!(create_rule(json!({member: value})).await, format!("create.HostConfig.{member}"));
    }
    let update = |body| async move { ask("POST", "/v1.47/containers/web/update").body(body).deploy().await };
    for body in [
        r#"{"PidsLimit":0}"#,
        r#"{"PidsLimit":-1}"#,
        r#"{"MemorySwap":-1}"#,
        r#"{"CpuQuota":-1}"#,
        r#"{"Memory":9999999999}"#,
    ] {
        assert!(update(body).await.unwrap_err().rule.starts_with("update."), "{body}");
    }
    assert!(update(r#"{"Memory":67108864}"#).await.is_ok());
}

#[tokio::test]
async fn a_free_port_is_taken_from_the_roles_range() {
    let sent =
        create(&create_body(json!({"PortBindings": {"80/tcp": [{"HostPort": ""}], "81/tcp": [], "82/tcp": null}})))
            .await
            .unwrap();
    assert_eq!(sent["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "8000-8999");
    assert_eq!(sent["HostConfig"]["PortBindings"]["81/tcp"][0]["HostPort"], "8000-8999");
    assert_eq!(sent["HostConfig"]["PortBindings"]["82/tcp"][0]["HostPort"], "8000-8999");
}

/// A directory of root, in which tests make what is mounted.
fn directories() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for path in ["srv/data", "srv-other", "site/a"] {
        std::fs::create_dir_all(root.join(path)).unwrap();
    }
    std::os::unix::fs::symlink("/etc", root.join("srv/link")).unwrap();
    std::os::unix::fs::symlink(root.join("srv"), root.join("moved")).unwrap();
    let root = root.display().to_string();
    (dir, root)
}

fn mounting(root: &str, binds: &[&str]) -> Policy {
    let binds: Vec<String> = binds.iter().map(|bind| format!("{root}/{bind}")).collect();
    Policy::from_text("t", &format!("[role.m]\nallow = [\"class:run\"]\nbinds = {binds:?}\n")).unwrap()
}

/// A container of somebody's with a directory of the host.
fn holder(id: char, source: &str, writes: bool) -> Object {
    let mounts = json!([{"Type": "bind", "Source": source, "Destination": "/x", "RW": writes}]);
    Object { details: std::sync::Arc::new(json!({"Mounts": mounts})), ..object(&hex(id), "holder", None, &[]) }
}

async fn mounted(policy: &Policy, daemon: &Daemon, path: &str, read_only: bool) -> Result<(), Refusal> {
    let mut results = Vec::new();
    let mode = if read_only { ":ro" } else { "" };
    for host in [
        json!({"Binds": [format!("{path}:/x{mode}")]}),
        json!({"Mounts": [{"Type": "bind", "Source": path, "Target": "/x", "ReadOnly": read_only}]}),
    ] {
        let body = create_body(host);
        let asked =
            ask("POST", "/v1.47/containers/create").body(&body).by(policy, &identity("m", Some("team")), daemon).await;
        results.push(asked.map(|_| ()));
    }
    assert_eq!(results[0].is_ok(), results[1].is_ok(), "{path}: {results:?}");
    results.pop().unwrap()
}

#[tokio::test]
async fn a_directory_of_the_host_is_mounted_exactly_as_the_role_lists_it() {
    let (_dir, root) = directories();
    let policy = mounting(&root, &["srv", "site:ro", "moved", "srv/link"]);
    for (path, writes, reads) in [
        ("srv", true, true),
        ("srv/", true, true),
        ("srv/data", false, false),
        ("srv/link", false, false),
        ("srv/link/passwd", false, false),
        ("srv/../srv", false, false),
        ("srv-other", false, false),
        ("srv/missing", false, false),
        ("moved", false, false),
        ("site", false, true),
        ("site/a", false, true),
        ("site/missing", false, false),
        ("", false, false),
    ] {
        for (read_only, allowed) in [(false, writes), (true, reads)] {
            let result = mounted(&policy, &Daemon::usual(), &format!("{root}/{path}"), read_only).await;
            assert_eq!(result.is_ok(), allowed, "{path}, read-only {read_only}: {result:?}");
        }
    }
}

#[tokio::test]
async fn no_path_is_mounted_that_a_container_could_have_changed() {
    let (_dir, root) = directories();
    let at = |path: &str| format!("{root}/{path}");
    let policy = mounting(&root, &["srv", "srv/data", "site:ro"]);
    let with = |source: &str, writes| Daemon::usual().with(ObjectKind::Container, &[], holder('9', source, writes));
    for (other, writes, path, read_only, allowed) in [
        // The role lists what it lies in for writing: one that had that may have handed it on.
        ("srv", false, "srv/data", false, false),
        ("srv", true, "srv/data", false, false),
        ("srv", true, "srv/data", true, false),
        ("srv", true, "srv", false, true),
        ("srv/data", false, "srv", false, false),
        ("srv/data", true, "srv", false, false),
        ("srv/data", true, "srv", true, true),
        ("site", false, "site/a", true, true),
        ("site", true, "site/a", true, false),
        ("srv-other", true, "srv", false, true),
    ] {
        let result = mounted(&policy, &with(&at(other), writes), &at(path), read_only).await;
        assert_eq!(result.is_ok(), allowed, "{other} ({writes}) and {path} ({read_only}): {result:?}");
    }
    let reading = mounting(&root, &["srv:ro", "srv/data"]);
    assert!(mounted(&reading, &with(&at("srv"), false), &at("srv/data"), false).await.is_ok());
    assert!(mounted(&reading, &with(&at("srv"), true), &at("srv/data"), false).await.is_err());
    // One that holds everything, as monitoring does, may only read.
    assert!(mounted(&policy, &with("/", false), &at("srv"), false).await.is_ok());
    assert!(mounted(&policy, &with("/", true), &at("srv"), false).await.is_err());
    let both = create_body(json!({"Binds": [format!("{}:/x", at("srv")), format!("{}:/y", at("srv/data"))]}));
    let asked = ask("POST", "/v1.47/containers/create").body(&both);
    assert!(asked.by(&policy, &identity("m", Some("team")), &Daemon::usual()).await.is_err());
}

#[tokio::test]
async fn mounts_are_judged_again_at_each_start() {
    let (_dir, root) = directories();
    let policy = mounting(&root, &["srv", "site:ro"]);
    let own = |source: &str, writes, restart: &str| {
        let mut described = details(Some("team"));
        described["Mounts"] = holder('a', &format!("{root}/{source}"), writes).details["Mounts"].clone();
        described["HostConfig"]["RestartPolicy"] = json!({"Name": restart});
        let web =
            Object { details: std::sync::Arc::new(described), ..object(&hex('a'), "team__web", Some("team"), &[]) };
        Daemon::usual().with(ObjectKind::Container, &["team__web"], web)
    };
    let started = |daemon: Daemon| {
        let policy = policy.clone();
        async move {
            let mut last = None;
            for (method, path) in [("POST", "start"), ("POST", "restart")] {
                let target = format!("/v1.47/containers/web/{path}");
                let asked = ask(method, &target).by(&policy, &identity("m", Some("team")), &daemon).await;
                last = Some(asked.map(|_| ()));
            }
            last.unwrap()
        }
    };
    assert!(started(own("srv", true, "always")).await.is_ok());
    assert!(started(own("site/a", false, "no")).await.is_ok());
    assert!(started(own("site/a", false, "always")).await.is_err(), "the daemon would start it unasked");
    assert!(started(own("srv/data", true, "no")).await.is_err());
    let swapped = own("srv", true, "no");
    std::fs::rename(format!("{root}/srv"), format!("{root}/gone")).unwrap();
    std::os::unix::fs::symlink("/", format!("{root}/srv")).unwrap();
    assert!(started(swapped).await.is_err(), "it is a link by now");
}

#[tokio::test]
async fn even_a_root_of_everything_does_not_give_the_docker_socket() {
    let policy = Policy::from_text("t", "[role.m]\nallow = [\"ContainerCreate\"]\nbinds = [\"/\"]\n").unwrap();
    for path in ["/", "/var/run/docker.sock", "/run", "/var/run", "/proc/1/root", "/proc/self/root/etc", "/dev", "/sys"]
    {
        let body = create_body(json!({"Binds": [format!("{path}:/x")]}));
        let result = ask("POST", "/v1.47/containers/create")
            .body(&body)
            .by(&policy, &identity("m", None), &Daemon::usual())
            .await;
        assert!(result.is_err(), "{path}: {result:?}");
    }
}

#[tokio::test]
async fn grants_open_what_they_name() {
    let text = "[role.g]\nallow = [\"ContainerCreate\"]\ngrants = [\"host-network\", \"security-opt\"]\ncaps = [\"NET_ADMIN\"]\n";
    let policy = Policy::from_text("t", text).unwrap();
    let asked = |host: Value| {
        let (policy, body) = (policy.clone(), create_body(host));
        async move {
            ask("POST", "/v1.47/containers/create")
                .body(&body)
                .by(&policy, &identity("g", None), &Daemon::usual())
                .await
        }
    };
    assert!(asked(json!({"NetworkMode": "host"})).await.is_ok());
    let unmasked = asked(json!({"MaskedPaths": []})).await.unwrap();
    assert_eq!(sent(&unmasked)["HostConfig"]["MaskedPaths"], json!([]));
    assert_eq!(
        sent(&asked(json!({"CapAdd": ["cap_net_admin"]})).await.unwrap())["HostConfig"]["CapAdd"],
        json!(["NET_ADMIN"])
    );
    assert!(asked(json!({"CapAdd": ["ALL"]})).await.is_err());
    assert!(asked(json!({"Privileged": true})).await.is_err());
}

#[tokio::test]
async fn networks_are_plain_bridges() {
    for body in [
        r#"{"Name":"n2","Driver":"macvlan"}"#,
        r#"{"Name":"n2","Driver":"host"}"#,
        r#"{"Name":"n2","Ingress":true}"#,
        r#"{"Name":"n2","ConfigFrom":{"Network":"x"}}"#,
        r#"{"Name":"n2","Options":{"com.docker.network.bridge.name":"docker0"}}"#,
        r#"{"Name":"n2","IPAM":{"Config":[{"Subnet":"169.254.0.0/16"}]}}"#,
        r#"{"Name":"n2","IPAM":{"Driver":"evil"}}"#,
        r#"{"Name":"host"}"#,
        r#"{"Name":"n2","Labels":{"io.stockade.tenant":"rival"}}"#,
        r#"{"Name":"n2","Labels":{"IO.STOCKADE.x":"rival"}}"#,
    ] {
        assert!(ask("POST", "/v1.47/networks/create").body(body).rule().await.starts_with("network."), "{body}");
    }
    // A whole id is no name; what only looks like the beginning of one is, and
    // testcontainers for Node gives such names.
    for (name, allowed) in [("88cff0bb9e87".to_owned(), true), ("ab".repeat(32), false)] {
        let body = json!({ "Name": name }).to_string();
        assert_eq!(ask("POST", "/v1.47/networks/create").body(&body).operator().await.is_ok(), allowed, "{name}");
    }
    let forward = ask("POST", "/v1.47/networks/create").body(r#"{"Name":"n2"}"#).deploy().await.unwrap();
    assert_eq!(sent(&forward), json!({"Name": "team__n2", "Labels": {tenant::LABEL: "team"}, "CheckDuplicate": true}));
}

#[tokio::test]
async fn credentials_are_read_and_written_anew_and_never_shown() {
    use base64::Engine as _;
    let encoded = |text: &str| base64::engine::general_purpose::URL_SAFE.encode(text);
    let target = "/v1.47/images/create?fromImage=alpine&tag=3";
    let good = encoded(r#"{"username":"u","password":"hunter2","serveraddress":"https://index.docker.io/v1/"}"#);
    let tenants = ask("POST", target).header("x-registry-auth", &good);
    assert_eq!(tenants.rule().await, "image.pull.credentials", "what is pulled is seen by all tenants");
    let forward = ask("POST", target).header("x-registry-auth", &good).operator().await.unwrap();
    let header = &forward.headers.iter().find(|(name, _)| name.as_str() == "x-registry-auth").unwrap().1;
    assert!(header.is_sensitive());
    assert!(!format!("{forward:?}").contains(good.as_str()));
    for bad in
        [encoded(r#"{"password":"hunter2","Password":"x"}"#), encoded(r#"{"password":"hunter2"}x"#), "%%".to_owned()]
    {
        let refusal = ask("POST", target).header("x-registry-auth", &bad).deploy().await.unwrap_err();
        assert!(!format!("{refusal:?}").contains("hunter2"));
    }
    let login = ask("POST", "/v1.47/auth").body(r#"{"username":"u","password":"p","serveraddress":"127.0.0.1:22"}"#);
    assert_eq!(login.rule().await, "registry.login");
}

#[tokio::test]
async fn top_runs_only_known_arguments_of_ps() {
    for (args, allowed) in
        [("aux", true), ("-eo%20pid,args", true), ("-ef%20--sort%20x", false), ("-o%20pid%20e", false), ("e", false)]
    {
        let target = format!("/v1.47/containers/web/top?ps_args={args}");
        assert_eq!(ask("GET", &target).deploy().await.is_ok(), allowed, "{args}");
    }
}
