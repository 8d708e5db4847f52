//! The form of an attack, and how a table of them is run.
//!
//! In the texts of a row `{n}` is a name of that try's own, under which it
//! names whatever it makes, `{i}` the tests' image, `{d}` a directory of root's
//! on this host, and `{0}`, `{1}` … the id in the answer to that step. All that
//! carries the name is removed afterwards.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::engine::{Image, ask, docker_socket, image, inspect};
use crate::process::harness::{Gateway, Options};

/// Who does a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Root on the host, at the engine itself.
    Root,
    /// The holder of a token of this role, and tenant where it has one.
    Token(&'static str, &'static str),
}

/// A request.
#[derive(Clone)]
pub struct Step {
    pub by: By,
    pub method: &'static str,
    pub target: String,
    pub body: Value,
}

pub fn step(by: By, method: &'static str, target: &str, body: Value) -> Step {
    Step { by, method, target: target.to_owned(), body }
}

/// What shows at the engine, after the steps, that it has come about.
pub type Seen = Arc<dyn Fn(&Try<'_>) -> bool + Send + Sync>;

/// An attack: the last steps by the last one's token are the attacker's.
#[derive(Clone)]
pub struct Attack {
    pub name: String,
    /// The item of the issue.
    pub item: &'static str,
    pub steps: Vec<Step>,
    pub came_about: Seen,
    /// Whether the attacker's steps, done at the engine, must bring it about.
    pub control: bool,
}

impl Attack {
    pub fn new(name: &str, item: &'static str, steps: Vec<Step>, came_about: Seen) -> Attack {
        Attack { name: name.to_owned(), item, steps, came_about, control: true }
    }

    fn uses_directory(&self) -> bool {
        self.steps.iter().any(|step| step.target.contains("{d}") || step.body.to_string().contains("{d}"))
    }

    /// Without the proof at the engine: it would do harm, or this engine has a
    /// refusal of its own.
    pub fn uncontrolled(self) -> Attack {
        Attack { control: false, ..self }
    }
}

/// A gateway before the engine, and what the rows need.
pub struct Site {
    _image: Image,
    pub gateway: Gateway,
    /// A directory of root's whose parents are root's.
    pub dir: PathBuf,
    _kept: [tempfile::TempDir; 2],
}

/// Roles of the table's own; `{d}` as in the rows.
const ROLES: &str = include_str!("roles.toml");

impl Site {
    pub fn start() -> Site {
        let socket = docker_socket();
        let image = Image::new();
        let (roles, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/var/lib").unwrap());
        let at = dir.path().to_owned();
        std::fs::write(roles.path().join("own.toml"), ROLES.replace("{d}", at.to_str().unwrap())).unwrap();
        let top = format!("roles = \"{}\"", roles.path().display());
        let limits = "attempts_per_client = 0";
        let gateway = Gateway::start(&Options { top: &top, limits, ..Options::before(socket) });
        Site { _image: image, gateway, dir: at, _kept: [roles, dir] }
    }

    /// The directory as every try finds it.
    fn reset(&self) {
        let at = |name: &str| self.dir.join(name);
        for entry in std::fs::read_dir(&self.dir).unwrap().flatten() {
            let path = entry.path();
            let gone = if path.is_dir() && !path.is_symlink() {
                std::fs::remove_dir_all(path)
            } else {
                std::fs::remove_file(path)
            };
            gone.unwrap();
        }
        for name in ["shared/b/c", "strong"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("secret"), "secret").unwrap();
        std::fs::write(at("strong/secret"), "secret").unwrap();
        std::os::unix::fs::symlink(at("strong"), at("link")).unwrap();
    }

    pub fn token(&self, role: &str, tenant: &str) -> String {
        let role = format!("--role={role}");
        let tenant = format!("--tenant={tenant}");
        let words = [role.as_str(), tenant.as_str()];
        self.gateway.token(if tenant == "--tenant=" { &words[..1] } else { &words })
    }

    /// A request through the gateway: status and body. The engine adds up its disk
    /// usage for one at a time and refuses the others: these ask again.
    pub fn ask(&self, by: By, method: &str, target: &str, body: &Value) -> (u16, String) {
        let start = Instant::now();
        loop {
            let (status, answer) = self.ask_once(by, method, target, body);
            let is_busy = status >= 400 && answer.contains("a disk usage operation is already running");
            if !is_busy || start.elapsed() > Duration::from_secs(60) {
                return (status, answer);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn ask_once(&self, by: By, method: &str, target: &str, body: &Value) -> (u16, String) {
        let By::Token(role, tenant) = by else {
            let (status, answer) = ask(method, target, body);
            return (status, answer.to_string());
        };
        let token = format!("Authorization: Bearer {}", self.token(role, tenant));
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) =
            self.gateway.request(method, target, &[&token, "Content-Type: application/json"], text.as_bytes());
        (status, unchunked(&answer))
    }
}

/// A body without the lengths of its chunks, if it has such.
fn unchunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let Some(length) = usize::from_str_radix(length, 16).ok().filter(|length| *length <= after.len()) else {
            break;
        };
        if length == 0 {
            return whole;
        }
        let Some((data, next)) = after.split_at_checked(length) else { break };
        whole.push_str(data);
        rest = next.strip_prefix("\r\n").unwrap_or(next);
    }
    body.to_owned()
}

/// A try of an attack.
pub struct Try<'a> {
    pub site: &'a Site,
    /// What stands for `{n}`.
    pub name: String,
    /// Before the names of what the attacker makes: the tenant's, through the gateway.
    prefix: String,
    /// The answers to the steps.
    pub answers: Vec<(u16, String)>,
}

impl Try<'_> {
    fn filled(&self, text: &str) -> String {
        let mut text =
            text.replace("{n}", &self.name).replace("{i}", &image()).replace("{d}", self.site.dir.to_str().unwrap());
        for (at, (_, answer)) in self.answers.iter().enumerate() {
            let place = format!("{{{at}}}");
            if text.contains(&place) {
                let answer: Value = serde_json::from_str(answer).unwrap_or_default();
                text = text.replace(&place, answer["Id"].as_str().unwrap_or("none"));
            }
        }
        text
    }

    /// A container that the attacker made, by the rest of its name.
    pub fn container(&self, rest: &str) -> Option<Value> {
        inspect(&format!("/containers/{}{}{rest}/json", self.prefix, self.name))
    }

    /// One that root made.
    pub fn of_root(&self, rest: &str) -> Option<Value> {
        inspect(&format!("/containers/{}{rest}/json", self.name))
    }

    /// The status of the last answer.
    pub fn status(&self) -> u16 {
        self.answers.last().map_or(0, |(status, _)| *status)
    }

    fn perform(&mut self, attack: &Attack, straight: bool) -> Result<(), String> {
        let attacker = attack.steps.last().map(|step| step.by);
        for step in &attack.steps {
            let by = if straight && Some(step.by) == attacker { By::Root } else { step.by };
            let target = self.filled(&step.target);
            let body = serde_json::from_str(&self.filled(&step.body.to_string())).unwrap();
            let answer = self.site.ask(by, step.method, &target, &body);
            if Some(step.by) != attacker && answer.0 >= 400 {
                return Err(format!("{}: what precedes it fails: {} {target}: {answer:?}", attack.name, step.method));
            }
            self.answers.push(answer);
        }
        Ok(())
    }

    /// Removes whatever carries the name.
    fn clean(&self) {
        let list = |path: &str| ask("GET", path, &Value::Null).1;
        let mine = |name: &Value| name.as_str().is_some_and(|name| name.contains(&self.name));
        for container in list("/containers/json?all=1").as_array().into_iter().flatten() {
            if container["Names"].as_array().into_iter().flatten().any(mine) || mine(&container["Image"]) {
                ask("DELETE", &format!("/containers/{}?force=1&v=1", container["Id"].as_str().unwrap()), &Value::Null);
            }
        }
        for network in list("/networks").as_array().into_iter().flatten().filter(|network| mine(&network["Name"])) {
            ask("DELETE", &format!("/networks/{}", network["Id"].as_str().unwrap()), &Value::Null);
        }
        for volume in
            list("/volumes")["Volumes"].as_array().into_iter().flatten().filter(|volume| mine(&volume["Name"]))
        {
            ask("DELETE", &format!("/volumes/{}?force=1", volume["Name"].as_str().unwrap()), &Value::Null);
        }
        for image in list("/images/json").as_array().into_iter().flatten() {
            for tag in image["RepoTags"].as_array().into_iter().flatten().filter(|tag| mine(tag)) {
                ask("DELETE", &format!("/images/{}?force=1", tag.as_str().unwrap()), &Value::Null);
            }
        }
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        self.clean();
    }
}

fn tried<'a>(site: &'a Site, attack: &Attack, at: &str, straight: bool) -> Result<Try<'a>, String> {
    let prefix = match attack.steps.last().map(|step| step.by) {
        Some(By::Token(_, tenant)) if !straight && !tenant.is_empty() => format!("{tenant}__"),
        _ => String::new(),
    };
    let name = format!("bypass-{}-{at}-", std::process::id());
    if attack.uses_directory() {
        site.reset();
    }
    let mut tried = Try { site, name, prefix, answers: Vec::new() };
    tried.perform(attack, straight)?;
    Ok(tried)
}

/// How many rows are tried at once.
const LANES: usize = 4;

/// What came of a row: that it got through, and that nothing was proved.
type Outcome = (Option<String>, Option<String>);

fn outcome(site: &Site, at: usize, attack: &Attack) -> Outcome {
    let by_gateway = match tried(site, attack, &format!("{at}g"), false) {
        Ok(by_gateway) => by_gateway,
        Err(why) => return (None, Some(why)),
    };
    let through = (attack.came_about)(&by_gateway)
        .then(|| format!("{} ({}): {:?}", attack.name, attack.item, by_gateway.answers));
    drop(by_gateway);
    if !attack.control {
        return (through, None);
    }
    let unproved = match tried(site, attack, &format!("{at}s"), true) {
        Ok(straight) if (attack.came_about)(&straight) => None,
        Ok(straight) => Some(format!("{}: {:?}", attack.name, straight.answers)),
        Err(why) => Some(why),
    };
    (through, unproved)
}

/// Runs the rows; prints how many were tried and how many got through. Those
/// that use the directory have it to themselves.
pub fn run(site: &Site, rows: &[Attack]) {
    let only = std::env::var("BYPASS_ONLY").unwrap_or_default();
    let chosen = rows.iter().enumerate().filter(|(_, attack)| attack.name.contains(&only));
    let (with, without): (Vec<_>, Vec<_>) = chosen.partition(|(_, attack)| attack.uses_directory());
    site.reset();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (at, attack) in &with {
                let outcome = outcome(site, *at, attack);
                found.lock().unwrap().push(outcome);
            }
        });
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((at, attack)) = without.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let outcome = outcome(site, *at, attack);
                    found.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let through: Vec<&str> = found.iter().filter_map(|(through, _)| through.as_deref()).collect();
    let unproved: Vec<&str> = found.iter().filter_map(|(_, unproved)| unproved.as_deref()).collect();
    println!("bypass table: {} tried, {} through", found.len(), through.len());
    assert!(through.is_empty(), "got through:\n{}", through.join("\n"));
    assert!(
        unproved.is_empty(),
        "does not come about at the engine either, so nothing is proved:\n{}",
        unproved.join("\n")
    );
}

/// Whether a path is there.
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
