//! What must hold after every fault, whatever it was.

use super::site::{GUARD, LIMIT, Ran, Site, ended, start, text_of};
use stockade::shell::Script;

impl Site {
    /// Every managed thing is the old one or the new one, whole; true if all are new.
    pub fn whole(&mut self) -> Result<bool, String> {
        let (old, new) = (self.states[self.at].clone(), self.states[self.other()].clone());
        let seen = self.look();
        let mut all = true;
        for ((seen, old), new) in seen.iter().zip(&old).zip(&new) {
            all &= seen == new;
            if seen != old && seen != new {
                return Err(format!("half-made: {seen}\n  was {old}\n  to be {new}"));
            }
        }
        Ok(all)
    }

    /// After a fault: nothing is half-made, the next apply brings all to its
    /// end, and nothing of the fault is left.
    pub fn survives(&mut self, ran: &Ran) -> Result<(), String> {
        self.disarm();
        self.relay.cut(None);
        self.extend("");
        let done = self.whole()?;
        if ran.code == 0 && !done {
            return Err(format!("exit code 0, but the change is not in place: {ran:?}"));
        }
        secretless(ran)?;
        let next = self.apply(&["--resume"]);
        secretless(&next)?;
        if next.code != 0 {
            return Err(format!("the next apply does not converge: {next:?}\nafter {ran:?}"));
        }
        self.at = self.other();
        self.is_settled().map_err(|why| format!("{why}\nafter {ran:?}\nthen {next:?}"))
    }

    /// After a fault: what the run did is taken back.
    pub fn is_taken_back(&mut self, ran: &Ran) -> Result<(), String> {
        self.disarm();
        self.whole()?;
        let undone = ended(start(self.command(&["undo", &self.host.name, "--yes", "--guard-timeout", GUARD])));
        if undone.code != 0 && !undone.out.contains("no such run") && !undone.err.contains("no such run") {
            return Err(format!("undo: {undone:?}\nafter {ran:?}"));
        }
        let differ = self.differs_from(self.at);
        if !differ.is_empty() {
            return Err(format!("undo left {differ:?}\n{undone:?}\nafter {ran:?}"));
        }
        // The undo keeps what it found, as it was in the files: the new secret, too.
        self.on("rm -rf /var/lib/stockade/runs/*");
        self.survives(ran)
    }

    /// What is not as in a state, but for what a command did, which nobody knows.
    pub fn differs_from(&mut self, state: &str) -> Vec<(String, String)> {
        let seen = self.look();
        let pairs = seen.into_iter().zip(self.states[state].clone());
        pairs.filter(|(seen, wanted)| seen != wanted && !seen.starts_with("/srv/fault/stamp")).collect()
    }

    /// All is in place, live, and nothing is left over; a plan is empty.
    pub fn is_settled(&mut self) -> Result<(), String> {
        let seen = self.look();
        if seen != self.states[self.at] {
            let differ = seen.iter().zip(&self.states[self.at]).filter(|(a, b)| a != b);
            return Err(format!("not in place: {:?}", differ.collect::<Vec<_>>()));
        }
        let plan = ended(start(self.command(&[
            "plan",
            "site.toml",
            "--stage",
            self.at,
            "--skip-tags",
            "package",
            "--detailed-exitcode",
        ])));
        if plan.code != 0 {
            return Err(format!("a plan is not empty: {plan:?}"));
        }
        let live = banner(self.relay.port)?;
        if !live.ends_with(self.at) {
            return Err(format!("sshd runs with what is not in its file: {live:?}, not {:?}", self.at));
        }
        let mut script = Script::new();
        script.set("PATH", "/usr/sbin:/usr/bin").line("export PATH").set("V", self.at).set("SINCE", &self.since);
        script
            .set("SECRETS", &format!("s3cr3t-{}\ns3cr3t-command", self.at))
            .append(&text_of(include_str!("settled.sh")));
        let reply = self.hands.run(&script, &[], LIMIT).unwrap();
        let wrong = String::from_utf8_lossy(&reply.output).into_owned();
        if !wrong.is_empty() || reply.code != 0 {
            return Err(format!("not settled: {wrong}"));
        }
        self.on("rm -rf /var/lib/stockade/runs/* /run/fault");
        Ok(())
    }
}

fn secretless(ran: &Ran) -> Result<(), String> {
    if ran.err.ends_with("IT HUNG AND WAS KILLED") {
        return Err(format!("the controller did not end: {ran:?}"));
    }
    if ran.out.contains("s3cr3t") || ran.err.contains("s3cr3t") {
        Err(format!("a secret was printed: {ran:?}"))
    } else {
        Ok(())
    }
}

/// sshd's first line: it tells with which configuration it runs.
fn banner(port: u16) -> Result<String, String> {
    use std::io::{BufRead, BufReader};
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line.trim_end().to_owned())
}
