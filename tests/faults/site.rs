//! A host that faults happen on, and what is asked of it after each.

use crate::support::relay::Relay;
use crate::support::{ChildLink, TestLab, program};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use stockade::lab::LabHost;
use stockade::shell::Script;
use stockade::transport::Session;

/// What a controller gave.
pub struct Ran {
    /// -1: it was killed.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |text: &str| text.chars().rev().take(900).collect::<Vec<_>>().into_iter().rev().collect::<String>();
        write!(
            f,
            "exit code {}\n--- standard error ends in\n{}\n--- output ends in\n{}",
            self.code,
            end(&self.err),
            end(&self.out)
        )
    }
}

/// Seconds that a guard waits for a login that comes: enough on a busy machine.
pub const GUARD: &str = "60";
/// How long anything may take before it counts as hung.
pub const LIMIT: Duration = Duration::from_secs(150);

/// A call of a program on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `runner`, `guard` or `session`.
    pub place: String,
    /// The program and its words; a pattern of the shell's.
    pub pattern: String,
    /// Which of the calls that look like this; the first is 1.
    pub nth: usize,
}

/// A run without a fault, on the way to each state.
#[derive(Default)]
pub struct Normal {
    /// What the host's programs were called for.
    pub calls: BTreeMap<&'static str, Vec<Call>>,
    /// Bytes of each connection: to the host, from the host.
    pub bytes: BTreeMap<&'static str, Vec<[usize; 2]>>,
}

impl Normal {
    /// All calls of a place that are wanted, with the state they lead to.
    pub fn calls_in(&self, place: &str, wanted: impl Fn(&str) -> bool) -> Vec<(&'static str, Call)> {
        let of = |(to, list): (&&'static str, &Vec<Call>)| {
            let fits = |call: &&Call| call.place == place && wanted(&call.pattern);
            let to = *to;
            list.iter().filter(fits).cloned().map(move |call| (to, call)).collect::<Vec<_>>()
        };
        self.calls.iter().flat_map(of).collect()
    }
}

/// A lab host with a relay before it.
pub struct Site {
    pub lab: TestLab,
    pub host: LabHost,
    pub relay: Relay,
    pub hands: Session,
    pub at: &'static str,
    /// How everything looks in each state.
    pub states: BTreeMap<&'static str, Vec<String>>,
    /// When it was made, as journalctl takes it.
    pub since: String,
}

impl Site {
    pub fn new() -> Site {
        let (lab, mut hosts) = TestLab::with_hosts(1);
        let host = hosts.remove(0);
        let relay = Relay::to(host.port.unwrap());
        let hands = hands_on(&host);
        let states = BTreeMap::new();
        let mut site = Site { lab, host, relay, hands, at: "new", states, since: String::new() };
        let trap = include_bytes!("trap.sh");
        site.host.exec_with_input(&["sh", "-c", "cat >/usr/local/lib/fault-trap"], trap).unwrap();
        site.on(&format!("chmod 755 /usr/local/lib/fault-trap\n{}", include_str!("host.sh")));
        site.since = site.on("date +@%s");
        site.write_project();
        for to in ["old", "new", "old"] {
            site.turn();
            let seen = site.look();
            site.states.insert(to, seen);
        }
        for (old, new) in site.states["old"].iter().zip(&site.states["new"]) {
            assert_ne!(old, new, "both states differ in everything");
        }
        site
    }

    fn write_project(&self) {
        let folder = self.lab.dir.path();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("site.toml", include_str!("site.toml"));
        std::fs::create_dir(folder.join("stages")).unwrap();
        for (v, mode) in [("old", "0750"), ("new", "0755")] {
            let key = folder.join(v);
            let mut keygen = Command::new("ssh-keygen");
            let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
            assert!(made.success());
            let filler = "x".repeat(20_000);
            let text = format!(
                "[vars]\nv = \"{v}\"\nmode = \"{mode}\"\nkey = \"{v}.pub\"\nfiller = \"{filler}\"\n[env]\nTOKEN = \"s3cr3t-{v}\"\n"
            );
            write(&format!("stages/{v}.toml"), &text);
        }
        self.write_inventory();
    }

    fn write_inventory(&self) {
        let folder = self.lab.dir.path();
        let (port, relay) = (self.host.port.unwrap(), self.relay.port);
        let known = std::fs::read_to_string(self.lab.lab.known_hosts_path()).unwrap();
        let known = known.replace(&format!("]:{port} "), &format!("]:{relay} "));
        std::fs::write(folder.join("known_hosts"), known).unwrap();
        let text = format!(
            "[defaults]\nuser = \"ubuntu\"\nkey = {:?}\nknown_hosts = \"known_hosts\"\n[hosts.{}]\naddress = \"127.0.0.1\"\nport = {relay}\n",
            self.lab.lab.key_path().display().to_string(),
            self.host.name
        );
        std::fs::write(folder.join("hosts.toml"), text).unwrap();
    }

    /// The state that the host is in, and the other one.
    pub fn other(&self) -> &'static str {
        if self.at == "old" { "new" } else { "old" }
    }

    /// Runs text on the host as root, past sshd and past the traps.
    pub fn try_on(&mut self, text: &str) -> (i32, String) {
        let mut script = Script::new();
        script.set("PATH", "/usr/sbin:/usr/bin").line("export PATH").append(&text_of(text));
        let reply = self.hands.run(&script, &[], LIMIT).unwrap();
        (reply.code, String::from_utf8_lossy(&reply.output).trim_end().to_owned())
    }

    pub fn on(&mut self, text: &str) -> String {
        let (code, output) = self.try_on(text);
        assert_eq!(code, 0, "{text}: {output}");
        output
    }

    /// Waits on the host until a condition of the shell's holds.
    pub fn until(&mut self, condition: &str) -> Result<(), String> {
        let (code, _) = self.try_on(&format!("timeout 140 sh -c 'until {condition}; do sleep 0.02; done'"));
        if code == 0 { Ok(()) } else { Err(format!("never came true on the host: {condition}")) }
    }

    /// The state of every managed thing.
    pub fn look(&mut self) -> Vec<String> {
        self.on(include_str!("look.sh")).lines().map(str::to_owned).collect()
    }

    // ---- the program

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(self.lab.dir.path());
        command.args(arguments).args(["-i", "hosts.toml"]);
        command
    }

    pub fn apply_to(&self, to: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["apply", "site.toml", "--stage", to, "--yes"]);
        if !more.contains(&"--guard-timeout") {
            command.args(["--guard-timeout", GUARD]);
        }
        if !more.contains(&"--tags") {
            command.args(["--skip-tags", "package"]);
        }
        command.args(more);
        command
    }

    /// The same playbook with more steps in the guarded phase.
    pub fn extend(&self, steps: &str) {
        let text = include_str!("site.toml").replace("# in the same phase", steps);
        std::fs::write(self.lab.dir.path().join("site.toml"), text).unwrap();
    }

    pub fn apply(&self, more: &[&str]) -> Ran {
        ended(start(self.apply_to(self.other(), more)))
    }

    pub fn start_apply(&self, more: &[&str]) -> Child {
        start(self.apply_to(self.other(), more))
    }

    /// A plain apply to the other state.
    pub fn turn(&mut self) {
        let ran = self.apply(&[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        self.at = self.other();
        self.on("rm -rf /var/lib/stockade/runs/*");
    }

    // ---- traps

    pub fn arm(&mut self, call: &Call, fault: &str) {
        let mut script = Script::new();
        script.set("ARMED", &format!("{}\n{}\n{fault}\n{}", call.place, call.nth, call.pattern));
        script.line("rm -rf /run/fault; mkdir /run/fault; printf '%s\\n' \"$ARMED\" >/run/fault/armed");
        assert_eq!(self.hands.run(&script, &[], LIMIT).unwrap().code, 0);
    }

    pub fn has_fired(&mut self) -> bool {
        self.try_on("[ -e /run/fault/fired ]").0 == 0
    }

    pub fn disarm(&mut self) {
        self.on("rm -f /run/fault/armed");
    }

    /// Waits until a run stands at the armed call.
    pub fn await_pause(&mut self, controller: &mut Child) -> Result<(), String> {
        let began = Instant::now();
        while self.try_on("timeout 1 sh -c 'until [ -e /run/fault/paused ]; do sleep 0.01; done'").0 != 0 {
            if let Some(status) = controller.try_wait().unwrap() {
                return Err(format!("the run ended ({status}) without the call that is waited for"));
            }
            if began.elapsed() > LIMIT {
                return Err("the call that is waited for did not come".into());
            }
        }
        Ok(())
    }

    pub fn go(&mut self) {
        self.on("[ ! -e /run/fault/paused ] || timeout 20 sh -c 'echo >/run/fault/go'");
    }

    /// The run that stands after a held call ends there.
    pub fn end(&mut self) {
        self.on("timeout 20 sh -c 'echo end >/run/fault/go; while [ -e /run/fault/paused ]; do sleep 0.02; done'");
    }

    /// What a run calls on its way to each state.
    pub fn normal(&mut self) -> Normal {
        let mut normal = Normal::default();
        for _ in 0..2 {
            let to = self.other();
            self.arm(&Call { place: "nowhere".into(), pattern: "*".into(), nth: 1 }, "none");
            self.relay.cut(None);
            self.turn();
            normal.bytes.insert(to, self.relay.bytes());
            let log = self.on("cat /run/fault/calls; rm -rf /run/fault");
            let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
            let mut list = Vec::new();
            for line in log.split("\u{1e}\n").filter(|line| !line.is_empty()) {
                let (place, words) = line.split_once(' ').unwrap();
                let pattern = pattern_of(words);
                let nth = seen.entry((place.to_owned(), pattern.clone())).or_default();
                *nth += 1;
                list.push(Call { place: place.to_owned(), pattern, nth: *nth });
            }
            assert!(list.len() > 100, "{list:?}");
            normal.calls.insert(to, list);
        }
        normal
    }

    /// After a fault that was not survived: the host is made fit for the next.
    pub fn heal(&mut self) {
        self.relay.cut(None);
        self.extend("");
        self.on(
            "rm -rf /run/fault; for m in $(awk '$2 ~ \"^/(srv|etc|var/lib|run/stockade|home)\" && $2 !~ \"^/etc/(hosts|hostname|resolv.conf)$\" {print $2}' /proc/mounts); do umount -l $m; done; \
             for u in $(systemctl list-units --all --plain --no-legend 'stockade-run*' 'stockade-guard*' | cut -d' ' -f1); do systemctl kill --kill-who=all -s KILL $u; systemctl stop $u; done 2>/dev/null; \
             find /srv /etc /home -xdev -name '.stockade-*' -exec rm -rf {} +; find /etc/systemd/system -name 'stockade-guard*' -delete; \
             rm -rf /var/lib/stockade/* /run/stockade/* /run/lock/stockade.lock; rm -f /etc/sudoers.d/00-* /etc/ssh/sshd_config.d/01-*; \
             dpkg --configure -a >/dev/null 2>&1; apt-get -qq -y -f install >/dev/null 2>&1; dpkg --purge --force-all fault >/dev/null 2>&1; systemctl daemon-reload; systemctl restart ssh.service fault.service; rm -f /run/fault.*; :",
        );
        self.on("systemctl restart fault.service || :");
        self.at = "new";
        self.turn();
        let restart = self.on("systemctl restart ssh.service fault.service; cat /run/fault.started");
        assert_eq!(restart, "old old old");
    }

    /// The host is restarted, as a loss of power would.
    pub fn restart(&mut self) {
        self.host = self.lab.lab.restart(&self.host.name).unwrap();
        self.hands = hands_on(&self.host);
        self.relay.turn_to(self.host.port.unwrap());
        self.write_inventory();
        self.until("[ -e /run/fault.started ]").unwrap();
    }
}

/// Text of the test's own as a program.
pub fn text_of(text: &str) -> Script {
    let mut script = Script::new();
    script.set("TEXT", text).line("eval \"$TEXT\"");
    script
}

fn hands_on(host: &LabHost) -> Session {
    Session::open(&host.name, Box::new(ChildLink::into_host(host))).unwrap()
}

/// What a call looks like in every run: the run's own names stand open.
fn pattern_of(words: &str) -> String {
    // A folder's files come in no certain order.
    let all_of_a_run = "sync -- /var/lib/stockade/runs/";
    if words.starts_with(all_of_a_run) {
        return format!("{all_of_a_run}*");
    }
    let words = &without_temporary_names(words);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "/._=:,- ".contains(c) { c } else { '?' };
    let pattern: String = words.chars().take(200).map(plain).collect();
    let mut open = String::new();
    for part in pattern.split_inclusive(['/', ' ', '.']) {
        match run_id(part) {
            Some((before, after)) => open.push_str(&format!("{before}*{after}")),
            // A fault may be injected into a run whose guard has another time.
            None if part.starts_with("--on-active=") => open.push_str("--on-active=* "),
            None => open.push_str(part),
        }
    }
    // What stands for any text is one such place, whatever it was before.
    let open = open.replace(TEMPORARY, "*");
    if words.chars().count() > 200 { format!("{open}*") } else { open }
}

/// Stands for the random part of a name (only letters, so that it stays as it is).
const TEMPORARY: &str = "TEMPORARYNAME";

/// Names that mktemp(1) has made are other ones in each run.
fn without_temporary_names(words: &str) -> String {
    let mut words = words.to_owned();
    for start in ["/run/stockade-verify.", "/tmp/tmp."] {
        let parts: Vec<String> = words.split(start).map(str::to_owned).collect();
        let open = |part: &String| {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
            format!("{TEMPORARY}{}", &part[end..])
        };
        let first = parts.first().cloned().unwrap_or_default();
        let rest: String = parts.iter().skip(1).map(|part| format!("{start}{}", open(part))).collect();
        words = first + &rest;
    }
    words
}

/// Text before and after a run's name and all that hangs on it.
fn run_id(part: &str) -> Option<(&str, &str)> {
    let at = part.find("20").filter(|at| {
        let rest = &part[*at..];
        rest.len() >= 23 && rest.as_bytes()[8] == b'T' && rest.as_bytes()[15] == b'Z'
    })?;
    let after = &part[at + 23..];
    // A process's number, where one follows.
    let digits = after.strip_prefix('-').map_or(0, |rest| rest.chars().take_while(char::is_ascii_digit).count());
    Some((&part[..at], if digits > 2 { &after[1 + digits..] } else { after }))
}

pub fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a controller gave; one that was killed, or had to be, has the code -1.
pub fn ended(child: Child) -> Ran {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let controller = rustix::process::Pid::from_child(&child);
    let watchdog = std::thread::spawn(move || {
        let hangs = is_done.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if hangs {
            let _ = rustix::process::kill_process(controller, rustix::process::Signal::KILL);
        }
        hangs
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    let hung = if watchdog.join().unwrap() { "\nIT HUNG AND WAS KILLED" } else { "" };
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned() + hung,
    }
}
