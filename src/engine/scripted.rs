//! A host for tests: files in memory, and runs that end as the test says.

use super::Host;
use crate::apply::{ApplyError, ApplyReport, Program, RunId};
use crate::observe::{
    Content, Entry, FileType, HostState, Known, Module, Output, Package, PathState, Queries, Query, UnfinishedWork,
    Unit,
};
use crate::plan::HostPlan;
use crate::report::{Reporter, StepStatus};
use crate::shell::Script;
use crate::transport::TransportError;
use crate::values::AbsPath;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a run does to the world, and how it ends.
pub(super) type Act = Box<dyn FnOnce(&mut World, &HostPlan) -> Result<(), ApplyError> + Send>;

/// Everything that is true of the host, and what happened to it.
pub(super) struct World {
    /// The id and the name of its system (os-release(5)).
    pub(super) os: (&'static str, &'static str),
    /// Contents of files; whoever asks for another path finds nothing.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// What runs have left.
    pub(super) left: UnfinishedWork,
    /// The runs to come, in order; a run that nobody has written is an error.
    pub(super) acts: VecDeque<Act>,
    /// Errors that the next looks end with.
    pub(super) lost: VecDeque<TransportError>,
    /// What was done to the host, in words.
    pub(super) log: Vec<String>,
}

/// The host; its world can be looked at from outside.
pub(super) struct Scripted {
    world: Arc<Mutex<World>>,
}

/// A host whose runs do these.
pub(super) fn scripted(files: &[(&str, &str)], acts: Vec<Act>) -> (Scripted, Arc<Mutex<World>>) {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    let world = World {
        os: ("ubuntu", "Ubuntu 24.04"),
        files,
        left: UnfinishedWork::default(),
        acts: acts.into(),
        lost: VecDeque::new(),
        log: Vec::new(),
    };
    let world = Arc::new(Mutex::new(world));
    (Scripted { world: Arc::clone(&world) }, world)
}

/// A run that makes these files what the text says.
pub(super) fn writes(files: &[(&'static str, &'static str)]) -> Act {
    let files = files.to_vec();
    Box::new(move |world, _| {
        world.files.extend(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())));
        Ok(())
    })
}

/// A run that ends with an error.
pub(super) fn fails(error: ApplyError) -> Act {
    Box::new(move |_, _| Err(error))
}

impl World {
    fn path(&self, path: &AbsPath) -> PathState {
        let is_directory = ["/", "/etc", "/run", "/srv"].contains(&path.as_str());
        if !is_directory && !self.files.contains_key(path.as_str()) {
            return PathState::Absent;
        }
        PathState::Present(Entry {
            file_type: if is_directory { FileType::Directory } else { FileType::File },
            mode: if is_directory { "0755" } else { "0644" }.parse().unwrap(),
            owner: "root".into(),
            group: "root".into(),
            target: None,
        })
    }

    fn answer(&self, state: &mut HostState, query: &Query) {
        match query {
            Query::Path(path) => state.set_path(path, self.path(path)),
            Query::Digest(path) | Query::Content(path) => {
                let content =
                    self.files.get(path.as_str()).map_or(Content::Absent, |bytes| Content::Bytes(bytes.clone()));
                state.set_content(path, content);
            }
            Query::Names(path) => state.set_names(path, BTreeSet::new()),
            Query::Fragments(path) => state.set_fragments(path, BTreeMap::new()),
            Query::Package(name) => state.set_package(name, Package::Absent),
            Query::Unit(name) => state.set_unit(name, Known::Is(Unit { load: "not-found".into(), ..Unit::default() })),
            Query::Sysctl(key) => state.set_sysctl_absent(key),
            Query::Module(name) => state.set_module(name, Module { loaded: false, builtin: false }),
            Query::Syntax(text) => state.set_syntax(text, None),
            Query::UnitText { .. } => state.set_unit_text(query, Vec::new()),
            Query::Acl(path) => state.set_acl(path, false),
            // What a command finds is whether a file is there that is named like its last word.
            Query::Run(run) => {
                let there =
                    run.argv.last().is_some_and(|word| self.files.keys().any(|path| word.contains(path.as_str())));
                state.set_output(run, Known::Is(Output { code: i32::from(!there), stdout: String::new() }));
            }
            other => state.mark_asked(other.clone()),
        }
    }
}

impl Scripted {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn is_local(&self) -> bool {
        false
    }

    fn look(&mut self, state: &mut HostState, asked: &Queries, facts: bool) -> anyhow::Result<()> {
        let mut world = self.world();
        if let Some(error) = world.lost.pop_front() {
            return Err(error.into());
        }
        if facts {
            (state.facts.os.id, state.facts.os.name) = (world.os.0.into(), world.os.1.into());
            state.facts.login_user = "root".into();
            state.facts.login_port = 22;
            state.facts.init = "systemd".into();
            state.left = world.left.clone();
        }
        asked.iter().for_each(|query| world.answer(state, query));
        Ok(())
    }

    fn read(&mut self, _: &Script) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("no program is read in this test")
    }

    fn execute(&mut self, plan: &HostPlan, _: &Program, _: &RunId, _: &dyn Reporter) -> ApplyReport {
        let mut world = self.world();
        let due: Vec<&str> =
            plan.steps.iter().filter(|step| !step.ops.is_empty()).map(|step| step.id.as_str()).collect();
        world.log.push(format!("run {}", due.join(" ")));
        let act = world.acts.pop_front();
        let result = act
            .map_or(Err(ApplyError::Lost("a run that the test has not written".into())), |act| act(&mut world, plan));
        let done = if result.is_ok() || matches!(result, Err(ApplyError::Reboot(_))) {
            StepStatus::Done
        } else {
            StepStatus::Failed
        };
        let ending = |ops: bool| if ops { done } else { StepStatus::Unchanged };
        ApplyReport {
            steps: plan.steps.iter().map(|step| ending(!step.ops.is_empty())).collect(),
            result,
            partly: false,
        }
    }

    fn settle(&mut self, run: &str, _: &dyn Reporter) -> anyhow::Result<String> {
        let mut world = self.world();
        world.log.push(format!("settle {run}"));
        world.left.unfinished.retain(|left| left != run);
        Ok("interrupted".into())
    }

    fn conclude(&mut self, _: &str) -> anyhow::Result<()> {
        self.world().log.push("conclude".into());
        Ok(())
    }

    fn renew(&mut self, _: TransportError) -> Result<(), TransportError> {
        self.world().log.push("renew".into());
        Ok(())
    }

    fn revive(&mut self) -> Result<(), TransportError> {
        self.world().log.push("revive".into());
        Ok(())
    }

    fn await_boot(&mut self, from: &str, _: Duration) -> Result<(), String> {
        self.world().log.push(format!("boot after {from}"));
        Ok(())
    }
}
