//! Carries rows out below a directory of their own, by the runner itself: the
//! files that it finds, makes and puts back are real, all else of a host is absent.

use super::answers::compiled;
use super::facts;
use super::rows::{Row, difference, said};
use super::shell::Sh;
use crate::tables::{entries, host_state, list, text};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use stockade::apply::{Program, Record, RunMetadata, States, UndoPackages, plan_undo};
use stockade::observe::{HostState, PredictedState, Queries, Query, probe};
use stockade::plan::{Forecast, plan_host, queries};
use stockade::shell::Script;
use stockade::values::Node;

/// What the runner calls of coreutils, findutils and their like.
const PROGRAMS: [&str; 24] = [
    "awk",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "find",
    "grep",
    "head",
    "id",
    "install",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "rmdir",
    "sed",
    "sha256sum",
    "stat",
    "sync",
    "tail",
    "tar",
];

/// A directory that stands for a host's root: `files` is what rows call /opt.
struct Site {
    top: tempfile::TempDir,
    shell: &'static Sh,
}

/// Carries a row out and takes it back.
pub fn run(row: &Row, shell: &'static Sh) -> Result<(), String> {
    let site = Site::new(shell);
    let server = served(text(&row.node, "serves"));
    let row = row.moved(&site.files(), &server);
    site.prepare(&row.node)?;
    let before = site.tree();
    let (host, forecast) = site.plan(&row)?;
    let (place, all) = row.chosen(&forecast.plan)?;
    let is_last = place + 1 == all.len();
    site.text(&row.node, "meanwhile")?;
    let at_start = site.tree();
    let program = compiled(&forecast.plan, &RunMetadata::default());
    let ran = site.carry_out(&program);
    if let Some(part) = text(&row.node, "fails") {
        return match ran {
            Ok(()) => Err("it is expected to fail".to_owned()),
            Err(why) if !why.contains(&part) => Err(format!("it fails otherwise than by {part:?}: {why}")),
            Err(_) if site.tree() != at_start => {
                Err(format!("it fails and leaves: {:#?}", difference(&at_start, &site.tree())))
            }
            Err(_) => Ok(()),
        };
    }
    ran?;
    let after = site.tree();
    site.is_as_predicted(&forecast.predicted, &host, &after)?;
    if is_last {
        says(&row, &before, &after)?;
    }
    site.text(&row.node, "since")?;
    let leaves: BTreeSet<String> = list(&row.node, "undo_leaves").into_iter().collect();
    site.take_back(&program.undo.record)?;
    let mut left = difference(&at_start, &site.tree());
    left.retain(|line| !leaves.iter().any(|path| line.starts_with(path)));
    if left.is_empty() { Ok(()) } else { Err(format!("the undo leaves: {left:#?}")) }
}

/// Whether the tree is as the row's own lines say.
fn says(row: &Row, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Result<(), String> {
    let effect = row.expected("effect").unwrap_or_default();
    for line in effect.as_array().into_iter().flatten().filter_map(|line| line.as_str()) {
        let Some((what, is)) = line.split_once(": ").filter(|(what, _)| what.contains('/')) else { continue };
        // What only the apply tells is not known to the row either.
        if is == "known after apply"
            || is.starts_with("sha256 ")
            || before.get(what).is_none() && after.get(what).is_none()
        {
            continue;
        }
        let found = after.get(what).map_or("absent", String::as_str);
        if found != is {
            return Err(format!("{what} is {found}, and the row says {is}"));
        }
    }
    Ok(())
}

impl Site {
    fn new(shell: &'static Sh) -> Site {
        let top = tempfile::Builder::new().prefix("ops").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::set_permissions(top.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["bin", "files", "lock", "run", "var/runs"] {
            std::fs::create_dir_all(top.path().join(folder)).unwrap();
        }
        if !shell.has_own_programs() {
            shell.install(&top.path().join("bin"));
        }
        Site { top, shell }
    }

    fn files(&self) -> String {
        self.top.path().join("files").display().to_string()
    }

    /// The runner's text with the places of a host below the directory. busybox
    /// takes its own programs before those of the host, which a host never has.
    fn placed(&self, text: &str) -> String {
        let top = self.top.path().display();
        let own = |name: &&str| format!("{name}() {{ /usr/bin/{name} \"$@\"; }}\n");
        let programs: String = match self.shell.has_own_programs() {
            true => PROGRAMS.iter().map(own).chain(["sh() { /bin/dash \"$@\"; }\n".to_owned()]).collect(),
            false => String::new(),
        };
        format!("{programs}{text}")
            .replace("/var/lib/stockade", &format!("{top}/var"))
            .replace("/run/lock/stockade.lock", &format!("{top}/lock/lock"))
            .replace("/run/stockade", &format!("{top}/run"))
            .replace("PATH=/usr/local/sbin:", &format!("PATH={top}/bin:/usr/local/sbin:"))
    }

    /// Runs a text of the row, where it has one, in the directory of the files.
    fn text(&self, row: &Node, key: &str) -> Result<(), String> {
        let Some(text) = text(row, key) else { return Ok(()) };
        let output = Command::new("/bin/bash").args(["-euc", &text]).current_dir(self.files()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("'{key}' fails: {errors}")) }
    }

    /// Makes what the row says of the host's paths.
    fn prepare(&self, row: &Node) -> Result<(), String> {
        let mut paths: Vec<_> = entries(row.get("host"), "paths").iter().collect();
        paths.retain(|entry| entry.key.starts_with(&self.files()) && entry.node.as_str().is_none());
        paths.sort_by_key(|entry| &entry.key);
        for entry in &paths {
            let (path, node) = (Path::new(&entry.key), &entry.node);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text(node, "type").as_deref().unwrap_or("file") {
                "directory" => std::fs::create_dir(path).unwrap(),
                "link" => symlink(text(node, "target").unwrap(), path).unwrap(),
                _ => std::fs::write(path, text(node, "content").unwrap_or_default()).unwrap(),
            }
        }
        // Owners first: chown(2) clears set-id bits. The deepest first, so that all can be entered.
        for entry in paths.iter().rev() {
            let (path, node) = (Path::new(&entry.key), &entry.node);
            let id = |key: &str, file: &str| number(file, text(node, key).as_deref().unwrap_or("root"));
            lchown(path, Some(id("owner", "/etc/passwd")), Some(id("group", "/etc/group"))).unwrap();
            if !path.is_symlink() {
                let usual = if path.is_dir() { "0755" } else { "0644" };
                let mode = text(node, "mode").unwrap_or_else(|| usual.to_owned());
                let mode = u32::from_str_radix(&mode, 8).unwrap();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        self.text(row, "prepare")
    }

    /// All that is below the directory of the files, as lines of [`facts`].
    fn tree(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        let mut open = vec![std::path::PathBuf::from(self.files())];
        while let Some(path) = open.pop() {
            let name = path.display().to_string();
            let found = path.symlink_metadata().unwrap();
            let (owner, group) = (named("/etc/passwd", found.uid()), named("/etc/group", found.gid()));
            let mode = format!("{:04o}", found.mode() & 0o7777);
            let line = if found.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                format!("directory {mode} {owner}:{group}")
            } else if found.is_symlink() {
                format!("link {owner}:{group} -> {}", path.read_link().unwrap().display())
            } else {
                if found.is_file() {
                    lines.insert(format!("content of {name}"), facts::bytes(&std::fs::read(&path).unwrap()));
                }
                let sort = if found.is_file() { "file" } else { "other" };
                format!("{sort} {mode} {owner}:{group}")
            };
            let mut list = vec![0; 4096];
            let length = rustix::fs::llistxattr(&path, &mut list).unwrap_or(0);
            if length > 0 {
                let names = String::from_utf8_lossy(&list[..length]).replace('\0', " ");
                lines.insert(format!("attributes of {name}"), names.trim_end().to_owned());
            }
            lines.insert(name, line);
        }
        lines
    }

    /// Asks as a plan does.
    fn look(&self, host: &mut HostState, queries: &Queries) -> Result<(), String> {
        let mut script = Script::new();
        script.set("N", "nonce").append(&probe::program(queries, false));
        let output =
            Command::new("/bin/sh").args(["-c", script.build().unwrap()]).stdin(Stdio::null()).output().unwrap();
        probe::read_reply(host, queries, false, "nonce", &output.stdout).map_err(|error| error.to_string())
    }

    fn plan(&self, row: &Row) -> Result<(HostState, Forecast), String> {
        let steps = row.steps()?;
        let mut asked = queries(&steps);
        for _ in 0..8 {
            let mut host = host_state(&row.node, &Queries::new());
            self.look(&mut host, &asked)?;
            let forecast = plan_host("host", &steps, &host).map_err(said)?;
            if forecast.follow_up_queries.iter().all(|query| asked.contains(query)) {
                return Ok((host, forecast));
            }
            asked.extend(forecast.follow_up_queries.iter().cloned());
        }
        Err("planning never stops asking".to_owned())
    }

    /// Has the runner carry a program out.
    fn carry_out(&self, program: &Program) -> Result<(), String> {
        let id = &program.undo.record.id;
        let (kept, data) = (self.top.path().join("var/runs").join(id), self.top.path().join("run").join(id));
        std::fs::create_dir_all(kept.join("undo")).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        let put = |name: &str, text: &[u8]| std::fs::write(kept.join(name), text).unwrap();
        put("journal", b"");
        put("script", self.placed(&program.script).as_bytes());
        put("before", program.undo.before.as_bytes());
        put("after", program.undo.after.as_bytes());
        for (number, bytes) in program.payloads.iter().enumerate() {
            std::fs::write(data.join(number.to_string()), bytes).unwrap();
        }
        let mut command = Command::new(self.shell.program());
        if self.shell.has_own_programs() {
            command.arg("sh");
        }
        let output = command.arg(kept.join("script")).stdin(Stdio::null()).output().unwrap();
        let read = |name: &str| std::fs::read_to_string(kept.join(name)).unwrap_or_default();
        if read("result") == "ok\n" {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let (result, journal, failed) = (read("result"), read("journal"), read("failed"));
        Err(format!("the run ends with {result:?}: {failed}{errors}\n{}\n{journal}", self.shell.program()))
    }

    /// Whether what is there is what was predicted of every path that was asked about.
    fn is_as_predicted(
        &self,
        predicted: &PredictedState,
        host: &HostState,
        after: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let (was, will) = (facts::of(&PredictedState::of(host)), facts::of(predicted));
        let ours = |what: &String| what.contains(&self.files());
        for (what, is) in will.iter().filter(|(what, _)| ours(what)).filter(|(_, is)| *is != "known after apply") {
            let found = after.get(what).map_or("absent", String::as_str);
            // What was found below a directory does not tell where links lead.
            let is_link = is.starts_with("link ") && !is.contains(" -> ") && found.starts_with(is.as_str());
            let same = found == is || is_link || is.starts_with("sha256 ") || is.starts_with("exit code");
            if !same && was.get(what) != will.get(what) {
                return Err(format!("{what} is {found}, and {is} was predicted"));
            }
        }
        Ok(())
    }

    /// Takes a run back by what it has kept.
    fn take_back(&self, record: &Record) -> Result<(), String> {
        let kept = self.top.path().join("var/runs").join(&record.id).join("undo");
        let read = |name: &str| std::fs::read(kept.join(name)).map_err(|error| format!("{name}: {error}"));
        let states = record.states(&read("before")?, &read("after")?);
        let (before, after) = states.map_err(|error| error.to_string())?;
        let mut asked = record.questions();
        let made = |query: &Query| match query {
            Query::Path(path) => Some(Query::Names(path.clone())),
            _ => None,
        };
        asked.extend(record.questions().iter().filter_map(made).collect::<Vec<_>>());
        let mut now = HostState::default();
        now.facts = after.facts.clone();
        self.look(&mut now, &asked)?;
        let undo =
            plan_undo("host", record, &States { before, after, now: PredictedState::of(&now) }, &UndoPackages::Leave);
        let plan = undo.map_err(|error| error.to_string())?.plan;
        self.carry_out(&compiled(&plan, &RunMetadata::of_undo(record, "row"))).map_err(|why| format!("the undo: {why}"))
    }
}

/// Where an HTTP server answers whatever is asked with this text; without one nothing listens.
fn served(text: Option<String>) -> String {
    let Some(text) = text else { return "http://127.0.0.1:1".to_owned() };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // Once: no other row asks this server.
        let (mut connection, _) = listener.accept().unwrap();
        _ = connection.read(&mut [0; 4096]);
        _ = write!(connection, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    });
    address
}

/// The number of a name in a file such as /etc/passwd; a number stands for itself.
fn number(file: &str, name: &str) -> u32 {
    name.parse().unwrap_or_else(|_| {
        let text = std::fs::read_to_string(file).unwrap();
        let line = text.lines().find(|line| line.split(':').next() == Some(name));
        line.and_then(|line| line.split(':').nth(2)?.parse().ok()).unwrap_or_else(|| panic!("{file} has no {name}"))
    })
}

/// The name of a number; the number where it has none.
fn named(file: &str, number: u32) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let number = number.to_string();
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(&number));
    line.and_then(|line| line.split(':').next()).map_or(number.clone(), str::to_owned)
}
