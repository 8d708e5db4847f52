//! A host as the engine works on it.

use super::RunFailed;
use super::reboot::await_boot;
use super::settle::settle;
use crate::apply::{ApplyReport, HostConnection, Program, RunId, execute};
use crate::observe::{HostState, Queries, probe};
use crate::plan::HostPlan;
use crate::report::Reporter;
use crate::shell::Script;
use crate::transport::{Connector, Session, TransportError};
use std::time::{Duration, Instant};

/// How long the host may be silent while it is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(120);
/// How long a connection that has been idle may take to answer before a new one is made.
const STILL_THERE: Duration = Duration::from_secs(10);

/// What the engine needs of a host: [`Remote`] over a connection, and a scripted
/// one in tests.
pub trait Host: Send {
    /// The host's name in the inventory.
    fn name(&self) -> &str;

    /// Whether it is this machine, or a root directory on it.
    fn is_local(&self) -> bool;

    /// Asks the host and adds the answers to what is known; with `facts`, what
    /// it is and what runs have left on it.
    ///
    /// # Errors
    /// The host cannot be reached, or answers what cannot be read.
    fn look(&mut self, state: &mut HostState, asked: &Queries, facts: bool) -> anyhow::Result<()>;

    /// The output of a program that only reads.
    ///
    /// # Errors
    /// The host cannot be reached, or the program ends with another code than 0.
    fn read(&mut self, program: &Script) -> anyhow::Result<Vec<u8>>;

    /// Carries out a compiled run, and follows it to its end.
    fn execute(&mut self, plan: &HostPlan, program: &Program, run: &RunId, reporter: &dyn Reporter) -> ApplyReport;

    /// Follows a run that has no result to its end, or ends it if its runner
    /// has died; how it ended.
    ///
    /// # Errors
    /// The host cannot be reached, or another run is at work.
    fn settle(&mut self, run: &str, reporter: &dyn Reporter) -> anyhow::Result<String>;

    /// Writes down that an apply whose last run ended before an open step had
    /// nothing more to do.
    ///
    /// # Errors
    /// The host cannot be reached or written to.
    fn conclude(&mut self, run: &str) -> anyhow::Result<()>;

    /// Takes a new connection in place of one that has failed.
    ///
    /// # Errors
    /// The host cannot be reached any more.
    fn renew(&mut self, failed: TransportError) -> Result<(), TransportError>;

    /// Takes a new connection if the one in use has died while it was idle.
    ///
    /// # Errors
    /// The host cannot be reached any more.
    fn revive(&mut self) -> Result<(), TransportError>;

    /// Waits until the host has another boot id than `from`, and has started.
    ///
    /// # Errors
    /// It has not within `limit`: why.
    fn await_boot(&mut self, from: &str, limit: Duration) -> Result<(), String>;
}

/// A host over a connection.
pub struct Remote {
    connector: Connector,
    session: Session,
}

impl Remote {
    /// Connects.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub fn open(connector: Connector) -> Result<Remote, TransportError> {
        let session = connector.open()?;
        Ok(Remote { connector, session })
    }

    fn reach(&mut self) -> HostConnection<'_> {
        HostConnection { session: &mut self.session, dial: &mut self.connector }
    }
}

impl Host for Remote {
    fn name(&self) -> &str {
        &self.connector.target.name
    }

    fn is_local(&self) -> bool {
        self.connector.target.local_root.is_some()
    }

    fn look(&mut self, state: &mut HostState, asked: &Queries, facts: bool) -> anyhow::Result<()> {
        if asked.is_empty() && !facts {
            return Ok(());
        }
        let program = probe::program(asked, facts);
        let reply = self.session.run(&program, &[], LOOK)?;
        probe::read_reply(state, asked, facts, self.session.nonce(), &reply.output)
            .map_err(|error| RunFailed(error.to_string()))?;
        Ok(())
    }

    fn read(&mut self, program: &Script) -> anyhow::Result<Vec<u8>> {
        let reply = self.session.run(program, &[], LOOK)?;
        if reply.code == 0 {
            return Ok(reply.output);
        }
        Err(RunFailed(format!("{}: {}", self.name(), String::from_utf8_lossy(&reply.output).trim())).into())
    }

    fn execute(&mut self, plan: &HostPlan, program: &Program, run: &RunId, reporter: &dyn Reporter) -> ApplyReport {
        execute(&mut self.reach(), plan, program, run, reporter)
    }

    fn settle(&mut self, run: &str, reporter: &dyn Reporter) -> anyhow::Result<String> {
        let name = self.name().to_owned();
        settle(&mut self.reach(), &name, run, reporter)
    }

    fn conclude(&mut self, run: &str) -> anyhow::Result<()> {
        let mut script = Script::new();
        script.set("R", &format!("/var/lib/stockade/runs/{run}"));
        script.line(
            "[ \"$(cat \"$R/result\")\" != phase ] || { printf 'ok\\n' >\"$R/result.new\" && mv -f \"$R/result.new\" \"$R/result\"; }",
        );
        self.read(&script).map(drop)
    }

    fn renew(&mut self, failed: TransportError) -> Result<(), TransportError> {
        self.reach().renew(failed)
    }

    fn revive(&mut self) -> Result<(), TransportError> {
        let mut nothing = Script::new();
        nothing.line(":");
        if self.session.run(&nothing, &[], STILL_THERE).is_err() {
            self.session = self.connector.open()?;
        }
        Ok(())
    }

    fn await_boot(&mut self, from: &str, limit: Duration) -> Result<(), String> {
        self.session = await_boot(&self.connector, from, Instant::now() + limit)?;
        Ok(())
    }
}
