//! The variables that an operator's text is run with.

use crate::shell::{NulByte, quote};
use crate::values::{EnvKey, Secret};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Variables with secret values. They have no serialised form and stand in no
/// argument list: the text itself sets them, and travels as data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(EnvKey, Secret)>);

impl Environment {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn keys(&self) -> impl Iterator<Item = &EnvKey> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Shell text that sets them, and then this text.
    ///
    /// # Errors
    /// [`NulByte`] if a value holds one.
    pub fn around(&self, text: &str) -> Result<String, NulByte> {
        let mut whole = String::new();
        for (key, value) in &self.0 {
            whole.push_str(&format!("export {key}={}\n", quote(value.expose())?));
        }
        whole.push_str(text);
        Ok(whole)
    }

    fn exposed(&self) -> impl Iterator<Item = (&EnvKey, &str)> {
        self.0.iter().map(|(key, value)| (key, value.expose()))
    }
}

impl FromIterator<(EnvKey, Secret)> for Environment {
    fn from_iter<I: IntoIterator<Item = (EnvKey, Secret)>>(variables: I) -> Environment {
        Environment(variables.into_iter().collect())
    }
}

impl Ord for Environment {
    fn cmp(&self, other: &Environment) -> Ordering {
        self.exposed().cmp(other.exposed())
    }
}

impl PartialOrd for Environment {
    fn partial_cmp(&self, other: &Environment) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Environment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.exposed().for_each(|variable| variable.hash(state));
    }
}
