//! What a run is about: a playbook, its hosts, and what each host is told.

use crate::playbook::{HostScope, Playbook, StepFiles};
use crate::resource::Assets;
use crate::stage::Stage;
use crate::transport::Target;
use crate::values::{EnvKey, Secret};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What was selected.
#[derive(Debug)]
pub struct Selection {
    /// The playbook.
    pub playbook: Playbook,
    /// The hosts, in the order of the inventory; at least one.
    pub hosts: Vec<SelectedHost>,
    /// Inventory and stages: the files read, with their bytes (they may hold
    /// secrets). Those of the playbook are its own to tell.
    pub inputs: Vec<(String, Vec<u8>)>,
}

impl Selection {
    /// What results call the playbook: its name, else its file.
    pub fn title(&self, path: &Path) -> String {
        self.playbook.name.clone().unwrap_or_else(|| path.display().to_string())
    }

    /// The stage, where all hosts have the same.
    pub fn stage(&self) -> Option<&str> {
        let name = |host: &SelectedHost| host.stage.as_ref().map(|stage| stage.name.to_string());
        let first = self.hosts.first().and_then(name)?;
        let same = self.hosts.iter().all(|host| name(host).as_ref() == Some(&first));
        if same { self.hosts.first()?.stage.as_ref().map(|stage| stage.name.as_str()) } else { None }
    }

    /// Every file that was read, with its bytes.
    pub fn all_inputs(&self) -> Vec<(String, Vec<u8>)> {
        let mut inputs = self.playbook.inputs();
        inputs.extend(self.inputs.iter().cloned());
        inputs
    }
}

/// One host of a run.
#[derive(Debug, Clone)]
pub struct SelectedHost {
    /// How it is reached.
    pub target: Target,
    /// What its steps are rendered with; facts are added when they are known.
    pub scope: HostScope,
    /// Its stage.
    pub stage: Option<Arc<Stage>>,
}

/// The files and the environment that the kinds may see of a step.
#[derive(Debug)]
pub struct StepAssets<'a> {
    /// The step's files.
    pub files: &'a StepFiles,
    /// The host's stage.
    pub stage: Option<&'a Stage>,
}

impl Assets for StepAssets<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.read(path)
    }

    fn render(&self, path: &str) -> Result<String, String> {
        self.files.render(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        self.files.glob(pattern)
    }

    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>> {
        self.stage.map(|stage| &stage.env)
    }
}
