//! Ordinary uses, which must go on working: for a tenant, and for the operator.

use std::process::Command;

use serde_json::Value;

use super::table::Site;
use crate::process::engine::{ask, image};

/// A user of the docker client, whose names are a test's own.
struct User<'a> {
    site: &'a Site,
    role: &'a str,
    tenant: &'a str,
    name: String,
}

impl User<'_> {
    fn command(&self, words: &str) -> Command {
        let token = self.site.token(self.role, self.tenant);
        let mut command = self.site.gateway.docker(&token);
        for word in words.split_whitespace() {
            command.arg(self.filled(word));
        }
        command
    }

    fn filled(&self, text: &str) -> String {
        let dir = self.site.dir.to_str().unwrap();
        // Line ends and spaces within a word.
        let text = text.replace("{n}", &self.name).replace("{i}", &image()).replace("{d}", dir);
        text.replace('^', "\n").replace('~', " ")
    }

    /// Must end well; what it prints.
    #[track_caller]
    fn docker(&self, words: &str) -> String {
        self.told(&mut self.command(words))
    }

    #[track_caller]
    fn told(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {}: {:?}: {out}{err}", self.role, self.tenant, command.get_args());
        out.into_owned()
    }

    /// Waits until a command prints a text.
    #[track_caller]
    fn until(&self, words: &str, text: &str) {
        let mut told = String::new();
        for _ in 0..300 {
            told = String::from_utf8_lossy(&self.command(words).output().unwrap().stdout).into_owned();
            if told.contains(text) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{words}: {text:?} is not in {told:?}");
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let mine = |name: &Value| name.as_str().is_some_and(|name| name.contains(&self.name));
        let gone = |path: String| drop(ask("DELETE", &path, &Value::Null));
        for found in ask("GET", "/containers/json?all=1", &Value::Null).1.as_array().into_iter().flatten() {
            if found["Names"].as_array().into_iter().flatten().any(mine) {
                gone(format!("/containers/{}?force=1&v=1", found["Id"].as_str().unwrap()));
            }
        }
        for found in
            ask("GET", "/networks", &Value::Null).1.as_array().into_iter().flatten().filter(|n| mine(&n["Name"]))
        {
            gone(format!("/networks/{}", found["Id"].as_str().unwrap()));
        }
        for found in ask("GET", "/volumes", &Value::Null).1["Volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|v| mine(&v["Name"]))
        {
            gone(format!("/volumes/{}", found["Name"].as_str().unwrap()));
        }
        for found in ask("GET", "/images/json", &Value::Null).1.as_array().into_iter().flatten() {
            for tag in found["RepoTags"].as_array().into_iter().flatten().filter(|tag| mine(tag)) {
                gone(format!("/images/{}?force=1", tag.as_str().unwrap()));
            }
        }
    }
}

fn for_each_user(uses: impl Fn(&User<'_>)) {
    let site = Site::start();
    static TESTS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    for (role, tenant) in [("daily", "bypass-ordinary"), ("daily", ""), ("operator", "")] {
        let test = TESTS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let name = format!("ordinary-{}-{test}-", std::process::id());
        uses(&User { site: &site, role, tenant, name });
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_container_runs_with_variables_ports_volume_network_policy_and_health() {
    for_each_user(|user| {
        user.docker("network create {n}net");
        user.docker("volume create {n}data");
        user.docker(
            "run -d --name {n}web -e WHO=x -e LINES=a^b -p 80 -p 127.0.0.1::81 -v {n}data:/data --network {n}net \
             --restart unless-stopped --health-cmd true --health-interval 1s --memory 64m --cpus 0.5 --init \
             --log-driver json-file --log-opt max-size=1m --log-opt max-file=2 --label team=x --hostname web \
             --add-host db:192.0.2.1 --tmpfs /t --read-only --cap-drop ALL --ulimit nofile=64:64 --user 1000:1000 \
             {i} /bin/sh -c echo~$WHO^exec~sleep~600",
        );
        user.until("logs {n}web", "x\n");
        user.until("inspect --format {{.State.Health.Status}} {n}web", "healthy");
        assert!(user.docker("port {n}web").contains("80/tcp ->"));
        user.docker("update --memory 96m --memory-swap 192m --restart no {n}web");
        user.docker("restart -t 0 {n}web");
        user.docker("stop -t 0 {n}web");
        user.docker("start {n}web");
        user.docker("rename {n}web {n}new");
        assert!(user.docker("ps --all --format {{.Names}}").contains("new"));
        user.docker("rm -f -v {n}new");
        user.docker("volume rm {n}data");
        user.docker("network rm {n}net");
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_port_of_the_range_is_published() {
    for_each_user(|user| {
        let port = 8100 + std::process::id() % 700;
        user.docker(&format!("run -d --name {{n}}web -p 127.0.0.1:{port}:80 {{i}} /bin/sleep 600"));
        assert_eq!(user.docker("port {n}web 80").trim(), format!("127.0.0.1:{port}"));
        user.docker("rm -f {n}web");
    });
}

/// The engine of a range takes its next port; that something else listens
/// there is no reason to fail.
#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_free_port_is_one_that_nothing_listens_on() {
    for_each_user(|user| {
        let published = |name: &str| -> u16 {
            user.docker(&format!("run -d --name {{n}}{name} -p 80 {{i}} /bin/sleep 600"));
            let told = user.docker(&format!("port {{n}}{name} 80"));
            told.lines().next().and_then(|line| line.rsplit(':').next()).unwrap().parse().unwrap()
        };
        let first = published("first");
        let held: Vec<_> =
            (first + 1..first + 5).filter_map(|port| std::net::TcpListener::bind(("0.0.0.0", port)).ok()).collect();
        let second = published("second");
        assert!(held.iter().all(|listener| listener.local_addr().unwrap().port() != second));
        user.docker("rm -f {n}first {n}second");
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn exec_attach_logs_top_stats_and_events_work() {
    for_each_user(|user| {
        user.docker("run -d --name {n}c {i} /bin/sh -c echo~first^exec~sleep~600");
        assert_eq!(user.docker("exec {n}c /bin/echo a^b"), "a\nb\n");
        assert!(user.docker("exec -e A=b -w /bin {n}c /bin/sh -c echo~$A").contains('b'));
        let mut terminal = user.command("");
        let line: Vec<String> = [terminal.get_program().to_str().unwrap().to_owned()]
            .into_iter()
            .chain(user.filled("exec -it {n}c /bin/echo on-a-terminal").split(' ').map(str::to_owned))
            .collect();
        let mut script = Command::new("script");
        for (key, value) in terminal.get_envs() {
            if let Some(value) = value {
                script.env(key, value);
            }
        }
        terminal = script;
        terminal.args(["-qec", &line.join(" "), "/dev/null"]).stdin(std::process::Stdio::null());
        assert!(user.told(&mut terminal).contains("on-a-terminal"));
        let mut follow = user.command("logs -f {n}c");
        let mut follow = follow.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut first = [0; 5];
        std::io::Read::read_exact(follow.stdout.as_mut().unwrap(), &mut first).unwrap();
        assert_eq!(&first, b"first");
        assert!(user.docker("top {n}c").contains("sleep"));
        assert!(user.docker("stats --no-stream --format {{.Name}} {n}c").contains('c'));
        let name = "{n}c".to_owned();
        user.docker("kill {n}c");
        user.docker("wait {n}c");
        let _ = follow.wait();
        let until = user.docker("info --format {{.SystemTime}}");
        let events = user.docker(&format!("events --since 10m --until {} --filter container={name}", until.trim()));
        assert!(events.contains("kill"), "{events}");
        user.docker("diff {n}c");
        user.docker("rm {n}c");
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn services_of_a_network_reach_each_other_by_name() {
    for_each_user(|user| {
        user.docker("network create --label com.docker.compose.project={n} {n}net");
        user.docker("run -d --name {n}db --network {n}net --network-alias db {i} /bin/sh -c busybox~nc~-l~-p~9000~-e~/bin/echo~hello;~sleep~600");
        let asked = "run --rm --network {n}net {i} /bin/sh -c i=0;~while~[~$i~-lt~50~];~do~i=$((i+1));~busybox~nc~db~9000~</dev/null~&&~exit~0;~busybox~sleep~0.2;~done;~exit~1";
        assert_eq!(user.docker(asked), "hello\n");
        user.docker("run -d --name {n}peer --network container:{n}db --pid container:{n}db {i} /bin/sleep 600");
        user.docker("network disconnect {n}net {n}db");
        user.docker("network connect --alias again {n}net {n}db");
        user.docker("rm -f {n}peer {n}db");
        user.docker("network rm {n}net");
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn volumes_are_shared_by_name_and_from_another_container() {
    for_each_user(|user| {
        user.docker("run --name {n}a -v {n}data:/data -v /anonymous {i} /bin/sh -c echo~kept~>~/data/x");
        assert_eq!(user.docker("run --rm -v {n}data:/data:ro {i} /bin/cat /data/x"), "kept\n");
        assert_eq!(user.docker("run --rm --volumes-from {n}a {i} /bin/cat /data/x"), "kept\n");
        assert_eq!(user.docker("run --rm --mount type=volume,source={n}data,target=/m {i} /bin/cat /m/x"), "kept\n");
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn an_image_of_ones_own_is_committed_tagged_run_and_saved() {
    for_each_user(|user| {
        let prefix = if user.tenant.is_empty() { String::new() } else { format!("{}/", user.tenant) };
        user.docker("run --name {n}c {i} /bin/sh -c echo~mine~>~/file");
        user.docker(&format!("commit -m message -a author {{n}}c {prefix}{{n}}own:1"));
        user.docker(&format!("tag {prefix}{{n}}own:1 {prefix}{{n}}own:2"));
        assert_eq!(user.docker(&format!("run --rm {prefix}{{n}}own:2 /bin/cat /file")), "mine\n");
        user.docker(&format!("history {prefix}{{n}}own:1"));
        user.docker(&format!("save -o {{d}}/saved.tar {prefix}{{n}}own:1"));
        user.docker(&format!("rmi {prefix}{{n}}own:1"));
        user.docker("rm {n}c");
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn an_image_is_built_and_files_are_copied() {
    for_each_user(|user| {
        let prefix = if user.tenant.is_empty() { String::new() } else { format!("{}/", user.tenant) };
        let context = user.site.dir.join("context");
        std::fs::create_dir_all(&context).unwrap();
        let dockerfile = format!(
            "FROM {}\nARG WHO=x\nCOPY file /file\nRUN /bin/echo $WHO > /who\nCMD [\"/bin/cat\", \"/file\", \"/who\"]\n",
            image()
        );
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        std::fs::write(context.join("file"), "copied\n").unwrap();
        user.docker(&format!("build --build-arg WHO=me -t {prefix}{{n}}built {{d}}/context"));
        assert_eq!(user.docker(&format!("run --name {{n}}c {prefix}{{n}}built")), "copied\nme\n");
        user.docker("cp {n}c:/file {d}/back");
        assert_eq!(std::fs::read_to_string(user.site.dir.join("back")).unwrap(), "copied\n");
        user.docker("cp {d}/back {n}c:/there");
        user.docker("export -o {d}/exported.tar {n}c");
    });
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn listed_directories_are_mounted_as_they_are_listed() {
    let site = Site::start();
    for name in ["shared/b", "ro/b"] {
        std::fs::create_dir_all(site.dir.join(name)).unwrap();
    }
    for name in ["shared/file", "ro/b/file"] {
        std::fs::write(site.dir.join(name), "listed\n").unwrap();
    }
    for (role, tenant, words) in [
        ("shared", "", "run --name {n}c -v {d}/shared:/s {i} /bin/cat /s/file"),
        ("shared", "bypass-ordinary", "run --name {n}c -v {d}/shared/:/s {i} /bin/cat /s/file"),
        ("shared", "", "run --name {n}c --restart on-failure:1 -v {d}/shared:/s:ro {i} /bin/cat /s/file"),
        ("shared", "", "run --name {n}c --mount type=bind,source={d}/shared,target=/s {i} /bin/cat /s/file"),
        ("reader", "", "run --name {n}c -v {d}/shared:/s:ro {i} /bin/cat /s/file"),
        ("calm", "", "run --name {n}c -v {d}/ro/b:/b:ro {i} /bin/cat /b/file"),
        ("calm", "bypass-ordinary", "run --name {n}c -v {d}/ro/b:/b:ro -v {d}/ro:/s:ro {i} /bin/cat /s/b/file"),
    ] {
        let name = format!("ordinary-{}-binds-", std::process::id());
        let user = User { site: &site, role, tenant, name };
        assert_eq!(user.docker(words), "listed\n", "{words}");
        user.docker("start {n}c");
        user.docker("wait {n}c");
        user.docker("update --memory 64m --memory-swap 64m {n}c");
        user.docker("rm {n}c");
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn what_is_ones_own_is_pruned() {
    let site = Site::start();
    // Not the bundled roles: what other tests make by them is not to be pruned.
    for (role, tenant) in [("daily", "bypass-pruned"), ("pruning", "")] {
        let user = User { site: &site, role, tenant, name: format!("ordinary-{}-prune-", std::process::id()) };
        user.docker("run --name {n}c {i} /bin/true");
        user.docker("network create {n}net");
        user.docker("volume create {n}vol");
        user.docker("container prune -f");
        user.docker("network prune -f");
        user.docker("volume prune -f");
        assert!(!user.docker("ps -a --format {{.Names}}").contains(&user.name));
        assert!(!user.docker("network ls --format {{.Name}}").contains(&user.name));
        assert!(!user.docker("volume ls --format {{.Name}}").contains(&user.name));
    }
}
