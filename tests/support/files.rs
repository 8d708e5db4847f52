//! What a step reads beside its playbook, for resources that are built without a host.

use std::collections::BTreeMap;
use stockade::playbook::Step;
use stockade::resource::Assets;
use stockade::values::{EnvKey, Secret};

/// The step, and the stage's environment if there is a stage.
pub struct Files<'a>(pub &'a Step, pub Option<BTreeMap<EnvKey, Secret>>);

impl Assets for Files<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.files.read(path)
    }
    fn render(&self, path: &str) -> Result<String, String> {
        self.0.files.render(path)
    }
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        self.0.files.glob(pattern)
    }
    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>> {
        self.1.as_ref()
    }
}
