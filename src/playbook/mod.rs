//! Playbooks: what the operator writes, read whole and rendered per host.
//!
//! [`load`] reads a playbook and every one it uses; [`Playbook::render`] makes
//! the [`Step`]s of one host. Both tell everything that is wrong in one go,
//! with its place and advice, and no input makes them panic. The kinds of
//! resources are known here only by name; what their tables mean is theirs.

mod bundled;
mod changes;
mod code;
mod controls;
mod deferred;
mod facts;
mod fault;
mod files;
mod literal;
mod load;
mod members;
mod model;
mod parse;
mod probes;
mod profile;
mod reference;
mod render;
mod renderer;
mod scope;
mod template;

pub use bundled::{BUNDLED, BundledFile, names as bundled_names};
pub use changes::Follower;
pub use controls::ControlStep;
pub use deferred::{Deferred, Piece, StepAtTurn};
pub use facts::{FactsAtTurn, LASTING_FACTS};
pub use files::StepFiles;
pub use probes::{PROBE_KINDS, PROBE_OPTIONS, Probe, ProbeAnswers, ProbeField, ProbeKind, ProbeQuestion};
pub use reference::{TEMPLATE_FILTERS, TEMPLATE_FUNCTIONS, TEMPLATE_TESTS, TemplateWord};

use crate::values::{Control, Diagnostic, Node, Span, UnitName};
use changes::Outline;
use files::{Folder, Record};
use model::{RawAction, Unit};
use render::Depth;
use scope::Scope;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use template::Engine;

/// Variables by name; their values may hold templates.
pub type Vars = BTreeMap<String, Node>;

/// The keys at the top of a playbook.
pub const TOP_KEYS: [&str; 5] = ["name", "hosts", "vars", "probes", "step"];

/// The keys that every step takes beside its kind.
pub const COMMON_KEYS: [&str; 11] =
    ["name", "when", "each", "tags", "restart", "reload", "guard", "sensitive", "control", "use", "with"];

/// A playbook, with all that it uses.
#[derive(Debug)]
pub struct Playbook {
    /// What it is called, if it says so.
    pub name: Option<String>,
    /// The hosts it is for: names, groups or `all`; empty if it does not say.
    pub hosts: Vec<Node>,
    unit: Arc<Unit>,
    engine: Engine,
    record: Arc<Record>,
}

/// What is known of a host when its steps are rendered.
#[derive(Debug, Clone, Default)]
pub struct HostScope {
    /// Its name in the inventory.
    pub host: String,
    /// The address that is connected to.
    pub address: String,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// The inventory's variables for it: defaults, groups and host, merged.
    pub vars: Vars,
    /// The stage it belongs to, with the stage's variables.
    pub stage: Option<(String, Vars)>,
    /// What the command line says (`--var`).
    pub cli: Vars,
    /// What the host says of itself; none before it is asked, and what depends
    /// on it then stays unrendered.
    pub facts: Option<serde_json::Value>,
    /// An example of facts: what has no such member is wrong before any host is asked.
    pub known_facts: Option<serde_json::Value>,
    /// Whether it stands for hosts of which nothing is known: all variables are
    /// then expected from elsewhere, and only what is said outright is judged.
    pub open: bool,
    /// Which steps are wanted.
    pub tags: TagFilter,
}

/// Which steps are wanted, by tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagFilter {
    /// Only steps with one of these; all if empty.
    pub only: Vec<String>,
    /// No step with one of these.
    pub skip: Vec<String>,
}

impl TagFilter {
    fn wants(&self, tags: &[String]) -> bool {
        self.only.is_empty() || tags.iter().any(|tag| self.only.contains(tag))
    }

    fn skips(&self, tags: &[String]) -> bool {
        tags.iter().any(|tag| self.skip.contains(tag))
    }
}

/// One thing a host shall have: a resource to be.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number; `3.2[0]` is the first item of the second step of the
    /// playbook that the third step uses.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What tells it from the other steps of a host and stays when its text is
    /// corrected: its playbook's name, then its own and those of the `use` steps
    /// around it; without a name its kind and place among those of the kind.
    pub identity: String,
    /// What it has in common with the other items of an `each`: its identity
    /// without their numbers.
    pub stem: String,
    /// Whether it stands for all items of an `each`, which are not known yet.
    pub items_open: bool,
    /// Its kind.
    pub kind: String,
    /// Where the kind stands.
    pub kind_span: Span,
    /// The kind's table, rendered.
    pub table: Node,
    /// The files it may name.
    pub files: StepFiles,
    /// Units to restart at the end if it changed something.
    pub restart: Vec<UnitName>,
    /// Units to reload at the end if it changed something.
    pub reload: Vec<UnitName>,
    /// Whether what it changes must be confirmed or reverted.
    pub guard: bool,
    /// Whether its values must not be shown.
    pub sensitive: bool,
    /// The control it satisfies, for audits.
    pub control: Option<Arc<Control>>,
    /// Its tags and those of the steps that use its playbook.
    pub tags: Vec<String>,
    /// The names of the `use` steps that it comes through.
    pub within: Vec<String>,
    /// What it names in `when_changed`, as far as that is known.
    pub follows: Vec<String>,
    /// The commands that follow its changes, whether or not they are part of this run.
    pub followed_by: Vec<Follower>,
    /// Whether something in it stayed unrendered because facts are not known.
    pub unknown: bool,
    /// Where it stands.
    pub span: Span,
}

/// Reads a playbook: a file, a folder with a `playbook.toml` in it, or the name
/// of a bundled one. `kinds` are the names of the kinds that steps may have.
///
/// # Errors
/// All that is wrong with it and with the playbooks it uses.
pub fn load(path: &Path, kinds: &[&str]) -> Result<Playbook, Vec<Diagnostic>> {
    match load_what_is_right(path, kinds) {
        (Some(playbook), errors) if errors.is_empty() => Ok(playbook),
        (_, errors) => Err(errors),
    }
}

/// Reads a playbook as [`load`] does. Beside all that is wrong it gives what is
/// right, if there is any, for checks, which tell as much as they can.
pub fn load_what_is_right(path: &Path, kinds: &[&str]) -> (Option<Playbook>, Vec<Diagnostic>) {
    let engine = Engine::new();
    let record = Arc::new(Record::default());
    let mut loader = load::Loader::new(kinds, &engine, &record);
    let unit = loader.top(path);
    let errors = told_once(loader.errors);
    let playbook =
        unit.map(|unit| Playbook { name: unit.name.clone(), hosts: unit.hosts.clone(), unit, engine, record });
    (playbook, errors)
}

impl Playbook {
    /// The steps of a host, in the order of apply.
    ///
    /// # Errors
    /// All that is wrong for this host.
    pub fn render(&self, host: &HostScope) -> Result<Vec<Step>, Vec<Diagnostic>> {
        let (pieces, errors) = self.rendered(host, Depth::Known);
        let steps = pieces.into_iter().filter_map(Piece::into_step).collect();
        if errors.is_empty() { Ok(steps) } else { Err(errors) }
    }

    /// The steps of a host that can be rendered, and all that is wrong with the
    /// others: for checks, which tell as much as they can.
    pub fn render_all(&self, host: &HostScope) -> (Vec<Step>, Vec<Diagnostic>) {
        let (pieces, errors) = self.rendered(host, Depth::All);
        (pieces.into_iter().filter_map(Piece::into_step).collect(), errors)
    }

    /// The steps of a host in the order of apply, those of playbooks with
    /// probes left for their turn.
    ///
    /// # Errors
    /// All that is wrong for this host and is known to be before any probe is answered.
    pub fn pieces(&self, host: &HostScope) -> Result<Vec<Piece>, Vec<Diagnostic>> {
        let (mut pieces, mut errors) = self.rendered(host, Depth::AtTurn);
        if pieces.iter().any(|piece| matches!(piece, Piece::Deferred(_))) {
            errors.extend(self.rendered(host, Depth::All).1);
        }
        let mut any_follows = false;
        self.unit.walk(&mut |unit| any_follows |= unit.source.text.contains(changes::WHEN_CHANGED));
        if any_follows {
            let outline = Arc::new(self.outline(host));
            pieces.iter_mut().for_each(|piece| piece.follow(&outline));
        }
        if errors.is_empty() { Ok(pieces) } else { Err(told_once(errors)) }
    }

    fn rendered(&self, host: &HostScope, depth: Depth) -> (Vec<Piece>, Vec<Diagnostic>) {
        let scope = Arc::new(Scope::new(&self.engine, &self.unit, host));
        let mut steps = render::Steps::new(&host.tags, &self.record, depth);
        steps.playbook(&self.unit, &scope);
        let (pieces, mut errors) = (steps.pieces, steps.errors);
        // What is left for its turn is judged where nothing is.
        if !pieces.iter().any(|piece| matches!(piece, Piece::Deferred(_))) {
            let steps: Vec<&Step> = pieces.iter().filter_map(Piece::step).collect();
            errors.extend(changes::check(&self.unit, &steps));
        }
        (pieces, told_once(errors))
    }

    /// Which command follows what, of all steps: what a run leaves out by tags,
    /// too, follows the changes that are made without it.
    fn outline(&self, host: &HostScope) -> Outline {
        let scope = Arc::new(Scope::new(&self.engine, &self.unit, host));
        let all = TagFilter::default();
        let mut steps = render::Steps::new(&all, &self.record, Depth::Outline);
        steps.playbook(&self.unit, &scope);
        Outline::of(steps.pieces.iter().filter_map(Piece::step))
    }

    /// Whether the steps of a host depend on its facts: whether any template,
    /// of the playbook, of a file it names or of a variable, speaks of them.
    /// True where it cannot be told.
    pub fn needs_facts(&self, host: &HostScope) -> bool {
        let speaks = |text: &str| text.contains("facts");
        let in_vars = |vars: &Vars| vars.values().any(|node| speaks(&node.to_json().to_string()));
        let mut needed =
            in_vars(&host.vars) || in_vars(&host.cli) || host.stage.as_ref().is_some_and(|(_, vars)| in_vars(vars));
        self.unit.walk(&mut |unit| needed |= speaks(&unit.source.text));
        needed || self.any_template(&self.unit, &[], &speaks)
    }

    /// Whether a template file that a step names passes a test; true where its
    /// name is itself a template or it cannot be read.
    fn any_template(&self, unit: &Unit, outer: &[Folder], test: &dyn Fn(&str) -> bool) -> bool {
        let mut folders = vec![unit.folder.clone()];
        folders.extend(outer.iter().cloned());
        let scope = Arc::new(Scope::new(&self.engine, unit, &HostScope::default()));
        let files = StepFiles { folders: folders.clone(), record: Arc::clone(&self.record), scope };
        unit.steps.iter().any(|step| match &step.action {
            RawAction::Use { unit, .. } => self.any_template(unit, &folders, test),
            RawAction::Resource { table, .. } => match table.get("template").and_then(Node::as_str) {
                None => false,
                Some(path) if template::form(path) != template::Form::Plain => true,
                Some(path) => files.with_includes(path).map_or(true, |files| files.iter().any(|(_, text)| test(text))),
            },
        })
    }

    /// Every file read so far with its bytes, sorted by name: the playbook,
    /// those it uses, and what its steps have read.
    pub fn inputs(&self) -> Vec<(String, Vec<u8>)> {
        self.record.all()
    }

    /// The variables that the playbook and those it uses give a value to.
    pub fn variables(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.unit.walk(&mut |unit| names.extend(unit.vars.keys().cloned()));
        names
    }

    /// Whether a word stands anywhere in the playbook, in those it uses, or in
    /// the template files they name; true where a file's name is not yet known.
    pub fn mentions(&self, word: &str) -> bool {
        let holds = |text: &str| text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|part| part == word);
        let mut found = false;
        self.unit.walk(&mut |unit| found |= holds(&unit.source.text));
        found || self.any_template(&self.unit, &[], &holds)
    }

    /// Every tag that a step has.
    pub fn tags(&self) -> BTreeSet<String> {
        let mut tags = BTreeSet::new();
        self.unit.walk(&mut |unit| tags.extend(unit.steps.iter().flat_map(|step| step.tags.iter().cloned())));
        tags
    }
}

/// The same error is told once, however many steps run into it.
fn told_once(errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut told: Vec<Diagnostic> = Vec::with_capacity(errors.len());
    for error in errors {
        if !told.contains(&error) {
            told.push(error);
        }
    }
    told
}
