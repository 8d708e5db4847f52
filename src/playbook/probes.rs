//! `[probes]`: what a playbook asks of the host before it decides.
//!
//! Each playbook has its own. A probe says what is asked; what was found, or
//! is predicted at a step's turn, comes from outside as [`ProbeAnswers`]. Names
//! and fields are known before any host is asked, so that a slip in
//! `probes.name.field` is an error in `check`.

use super::code::PathUse;
use super::fault::Fault;
use super::load::Loader;
use super::renderer::Renderer;
use super::scope::Scope;
use super::template::Needs;
use crate::values::{
    AbsPath, Diagnostic, Node, NodeValue, PackageName, Span, TableEntry, UnitName, UserName, check_variable,
    possible_keys, suggest,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// A sort of probe: the key that asks, and what its answer holds.
#[derive(Debug, PartialEq, Eq)]
pub struct ProbeKind {
    /// The key in the probe's table.
    pub key: &'static str,
    /// What the key takes, and what is asked.
    pub doc: &'static str,
    /// The fields of its answer.
    pub fields: &'static [ProbeField],
}

/// A field of a probe's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct ProbeField {
    /// Its name, as in `probes.name.field`.
    pub name: &'static str,
    /// Its type.
    pub ty: &'static str,
    /// What it says.
    pub doc: &'static str,
}

const fn field(name: &'static str, ty: &'static str, doc: &'static str) -> ProbeField {
    ProbeField { name, ty, doc }
}

/// Every sort of probe, in the order of the documentation.
pub static PROBE_KINDS: [ProbeKind; 4] = [
    ProbeKind {
        key: "path",
        doc: "an absolute path on the host; a link is not followed",
        fields: &[
            field("exists", "boolean", "whether anything stands there, a dangling link included"),
            field("type", "string", "\"file\", \"directory\", \"link\", \"other\"; empty if nothing stands there"),
            field("mode", "string", "the permission bits, such as \"0644\"; empty if nothing stands there"),
            field("owner", "string", "the owner's name; empty if nothing stands there"),
            field("group", "string", "the group's name; empty if nothing stands there"),
            field("size", "integer", "the size of a regular file in bytes, otherwise 0"),
            field("target", "string", "where a link points, otherwise empty"),
        ],
    },
    ProbeKind {
        key: "package",
        doc: "the name of a package",
        fields: &[
            field("installed", "boolean", "whether it is installed and configured"),
            field("version", "string", "the installed version, otherwise empty"),
        ],
    },
    ProbeKind {
        key: "unit",
        doc: "the name of a systemd unit; \".service\" is added to a name without a unit type",
        fields: &[
            field("exists", "boolean", "whether systemd knows it; a masked unit exists"),
            field("active", "boolean", "whether it runs"),
            field("enabled", "boolean", "whether it is enabled for the next start of the host"),
            field("masked", "boolean", "whether it is masked"),
            field("state", "string", "systemd's word: \"active\", \"inactive\", \"failed\", \"activating\", …"),
        ],
    },
    ProbeKind {
        key: "command",
        doc: "shell text that changes nothing on the host; it runs in every plan",
        fields: &[
            field("ok", "boolean", "whether it ended with exit code 0"),
            field("code", "integer", "its exit code; 124 if it took longer than a minute"),
            field("output", "string", "its standard output without the line ends at its end"),
        ],
    },
];

/// The keys that a probe may have beside that of its sort.
pub const PROBE_OPTIONS: [(&str, &str); 1] = [("as", "the user who runs the command, default \"root\"")];

/// A probe as it was written.
#[derive(Debug, Clone)]
pub(super) struct RawProbe {
    kind: &'static ProbeKind,
    subject: Node,
    user: Option<Node>,
}

/// The probes of a playbook as they were written, by name.
pub(super) type RawProbes = BTreeMap<String, RawProbe>;

/// A probe of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// What is asked.
    pub question: ProbeQuestion,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeQuestion {
    /// What stands at a path.
    Path(AbsPath),
    /// Whether a package is installed.
    Package(PackageName),
    /// The state of a unit.
    Unit(UnitName),
    /// What a command that changes nothing gives.
    Command {
        /// The shell text.
        text: String,
        /// Who runs it; root if not given.
        user: Option<UserName>,
    },
}

/// For each probe the fields of its answer; none where only the apply can tell.
pub type ProbeAnswers = BTreeMap<String, BTreeMap<&'static str, Option<Value>>>;

impl Loader<'_> {
    /// The table `[probes]`.
    pub(super) fn probes(&mut self, entry: &TableEntry) -> RawProbes {
        let mut probes = RawProbes::new();
        let Some(entries) = entry.node.as_table() else {
            self.wrong_type(entry, "a table");
            return probes;
        };
        for entry in entries {
            self.errors.extend(probe_name(entry));
            if let Some(probe) = self.probe(entry) {
                probes.insert(entry.key.clone(), probe);
            }
        }
        probes
    }

    fn probe(&mut self, probe: &TableEntry) -> Option<RawProbe> {
        let sorts = || PROBE_KINDS.iter().map(|kind| kind.key);
        let sorts_named = || sorts().collect::<Vec<_>>().join(", ");
        let Some(entries) = probe.node.as_table() else {
            self.say(
                Some(&probe.node.span),
                format!("the probe '{}' must be a table, not {}", probe.key, probe.node.type_name()),
            )
            .help = Some(format!("write {{ path = \"/etc/motd\" }}; a probe asks for one of: {}", sorts_named()));
            return None;
        };
        let mut asked: Vec<(&'static ProbeKind, &TableEntry)> = Vec::new();
        let mut user = None;
        let told = self.errors.len();
        for entry in entries {
            self.syntax(&entry.node);
            match (PROBE_KINDS.iter().find(|kind| kind.key == entry.key), entry.key.as_str()) {
                (Some(kind), _) => {
                    self.string(entry);
                    asked.push((kind, entry));
                }
                (None, "as") => {
                    self.string(entry);
                    user = Some(entry);
                }
                (None, unknown) => {
                    let help = possible_keys(unknown, sorts().chain(["as"]));
                    self.say(Some(&entry.key_span), format!("unknown key '{unknown}' in a probe")).help = Some(help);
                }
            }
        }
        match (&asked[..], user) {
            ([(kind, _)], Some(user)) if kind.key != "command" => {
                self.say(Some(&user.key_span), "'as' goes only with 'command'".to_owned());
                None
            }
            ([(kind, entry)], user) => {
                Some(RawProbe { kind, subject: entry.node.clone(), user: user.map(|entry| entry.node.clone()) })
            }
            ([], _) => {
                if self.errors.len() == told {
                    self.say(Some(&probe.node.span), format!("the probe '{}' asks nothing", probe.key)).help =
                        Some(format!("a probe asks for one of: {}", sorts_named()));
                }
                None
            }
            ([(first, _), (second, entry), ..], _) => {
                let message =
                    format!("a probe asks one thing: '{}' has '{}' and '{}'", probe.key, first.key, second.key);
                self.say(Some(&entry.key_span), message).help = Some("give each a name of its own".to_owned());
                None
            }
        }
    }
}

/// What is wrong with a probe's name: templates name it as they name a variable.
fn probe_name(entry: &TableEntry) -> Option<Diagnostic> {
    let reserved = crate::values::RESERVED_VARIABLES.contains(&entry.key.as_str());
    let bad = check_variable(&entry.key, &entry.key_span).filter(|_| !reserved)?;
    Some(Diagnostic { message: bad.message.replace("a variable", "a probe"), ..bad })
}

/// The probes of a playbook for one host. What depends on facts that are not
/// known is left out.
pub(super) fn rendered(raw: &RawProbes, scope: &Scope, errors: &mut Vec<Diagnostic>) -> Vec<Probe> {
    let scope = scope.for_probes();
    raw.iter().filter_map(|(name, raw)| raw.rendered(name, &scope, errors)).collect()
}

impl RawProbe {
    fn rendered(&self, name: &str, scope: &Scope, errors: &mut Vec<Diagnostic>) -> Option<Probe> {
        let subject = text(&self.subject, self.kind.key, scope, errors);
        let user =
            self.user.as_ref().map(|user| text(user, "as", scope, errors).and_then(|(t, s)| parsed(&t, &s, errors)));
        let (text, span) = subject?;
        let question = match self.kind.key {
            "path" => ProbeQuestion::Path(parsed(&text, &span, errors)?),
            "package" => ProbeQuestion::Package(parsed(&text, &span, errors)?),
            "unit" => match UnitName::named(&text) {
                Ok(name) => ProbeQuestion::Unit(name),
                Err(error) => {
                    errors.push(Diagnostic::new(span, error.to_string()));
                    return None;
                }
            },
            _ if text.trim().is_empty() || text.contains('\0') => {
                let why = if text.contains('\0') { "holds a NUL byte, which no shell can take" } else { "is empty" };
                errors.push(Diagnostic::new(span, format!("the command of the probe '{name}' {why}")));
                return None;
            }
            _ => ProbeQuestion::Command { text, user: user.map_or(Some(None), |user| user.map(Some))? },
        };
        Some(Probe { name: name.to_owned(), question })
    }
}

/// A rendered string of a probe; none if it is not known or wrong.
fn text(node: &Node, key: &str, scope: &Scope, errors: &mut Vec<Diagnostic>) -> Option<(String, Span)> {
    let mut renderer = Renderer::new(scope);
    let rendered = renderer.node(node);
    let unknown = renderer.unknown || !renderer.errors.is_empty();
    errors.append(&mut renderer.errors);
    match rendered.map(|node| (node.value, node.span)) {
        _ if unknown => None,
        Some((NodeValue::String(text), span)) => Some((text, span)),
        Some((other, span)) => {
            let found = Node { value: other, span: span.clone() };
            let message = format!("'{key}' of a probe must give a string, not {}", found.type_name());
            errors.push(Diagnostic::new(span, message));
            None
        }
        None => {
            errors.push(Diagnostic::new(
                node.span.clone(),
                format!("'{key}' of a probe must give a string, not nothing"),
            ));
            None
        }
    }
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str, span: &Span, errors: &mut Vec<Diagnostic>) -> Option<T> {
    text.parse().map_err(|error: T::Err| errors.push(Diagnostic::new(span.clone(), error.to_string()))).ok()
}

/// The probes that a scope sees.
#[derive(Debug, Default)]
pub(super) struct SeenProbes {
    declared: BTreeMap<String, &'static ProbeKind>,
    /// None before the host was asked.
    answers: Option<ProbeAnswers>,
    /// The probes whose answers were needed and are not known.
    open: Mutex<BTreeSet<String>>,
    /// Why there is none, where the reason is not that none was declared.
    refused: Option<&'static str>,
}

impl SeenProbes {
    /// Those of a playbook, before the host was asked.
    pub fn of(raw: &RawProbes) -> Arc<SeenProbes> {
        let declared = raw.iter().map(|(name, probe)| (name.clone(), probe.kind)).collect();
        Arc::new(SeenProbes { declared, ..SeenProbes::default() })
    }

    /// The same with answers.
    pub fn answered(&self, answers: ProbeAnswers) -> Arc<SeenProbes> {
        Arc::new(SeenProbes { declared: self.declared.clone(), answers: Some(answers), ..SeenProbes::default() })
    }

    /// None, inside a probe's own table.
    pub fn within_probes() -> Arc<SeenProbes> {
        let refused = Some("all probes are asked at once: none can depend on another");
        Arc::new(SeenProbes { refused, ..SeenProbes::default() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// The probes whose answers were needed and are not known, so far.
    pub fn open(&self) -> BTreeSet<String> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that these were needed.
    pub fn note_open(&self, names: impl IntoIterator<Item = String>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    /// What `probes` stands for in a template; none if it is not known.
    pub fn value(&self, needs: &Needs) -> Result<Option<Value>, Vec<Fault>> {
        let paths: Vec<&PathUse> = needs.paths.iter().filter(|path| path.names[0] == "probes").collect();
        if self.declared.is_empty() {
            let range = paths.first().map(|path| path.range.start..path.range.start + "probes".len());
            let help = self.refused.unwrap_or("probes stand under [probes] of the playbook that uses them");
            return Err(vec![Fault {
                help: Some(help.to_owned()),
                file: paths.first().and_then(|path| path.elsewhere.clone()),
                ..Fault::new("there are no probes here".to_owned(), range)
            }]);
        }
        let mut asked: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut faults: Vec<Fault> = Vec::new();
        for path in &paths {
            match self.asked(path) {
                Ok(fields) => asked.extend(fields),
                Err(fault) if faults.iter().any(|known| known.message == fault.message) => {}
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if paths.is_empty() {
            asked.extend(self.all());
        }
        let Some(answers) = &self.answers else {
            self.note_open(asked.iter().map(|(name, _)| (*name).to_owned()));
            return Ok(None);
        };
        let known = |name: &str, field: &str| {
            answers.get(name).and_then(|fields| fields.get(field)).is_some_and(Option::is_some)
        };
        let open: BTreeSet<String> =
            asked.iter().filter(|(name, field)| !known(name, field)).map(|(name, _)| (*name).to_owned()).collect();
        if !open.is_empty() {
            self.note_open(open);
            return Ok(None);
        }
        let fields = |fields: &BTreeMap<&str, Option<Value>>| -> Value {
            let known = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
            Value::Object(known.collect::<Map<String, Value>>())
        };
        Ok(Some(Value::Object(answers.iter().map(|(name, of)| (name.clone(), fields(of))).collect())))
    }

    fn all(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.declared.iter().flat_map(|(name, kind)| kind.fields.iter().map(move |field| (name.as_str(), field.name)))
    }

    /// The fields that a path asks for.
    fn asked(&self, path: &PathUse) -> Result<Vec<(&str, &'static str)>, Fault> {
        // `probes.name.field`: where the second and the third word stand.
        let place = |depth: usize| -> Range<usize> {
            if path.written.len() != path.range.len() {
                return path.range.clone();
            }
            let before: usize = path.names[..depth].iter().map(|name| name.len() + 1).sum();
            let start = path.range.start + before;
            start..start + path.names[depth].len()
        };
        let wrong = |message: String, depth: usize, wrong: &str, names: Vec<&str>, listed: &str| {
            let possible = Some(format!("{listed}: {}", names.join(", ")));
            let help = suggest(wrong, names).map(|near| format!("did you mean '{near}'?"));
            Fault { help, possible, file: path.elsewhere.clone(), ..Fault::new(message, Some(place(depth))) }
        };
        let Some(name) = path.names.get(1) else { return Ok(self.all().collect()) };
        let Some((name, kind)) = self.declared.get_key_value(name) else {
            let names = self.declared.keys().map(String::as_str).collect();
            return Err(wrong(format!("there is no probe '{name}'"), 1, name, names, "probes"));
        };
        let Some(wanted) = path.names.get(2) else {
            return Ok(kind.fields.iter().map(|field| (name.as_str(), field.name)).collect());
        };
        let Some(found) = kind.fields.iter().find(|field| field.name == wanted) else {
            let names = kind.fields.iter().map(|field| field.name).collect();
            let message = format!("the probe '{name}' asks for a {} and has no field '{wanted}'", kind.key);
            return Err(wrong(message, 2, wanted, names, "its fields"));
        };
        if path.names.len() > 3 {
            let message = format!("'{}' is undefined", path.written);
            let help = format!("'probes.{name}.{wanted}' is a {} and has no members", found.ty);
            let range = Some(path.range.clone());
            return Err(Fault { help: Some(help), file: path.elsewhere.clone(), ..Fault::new(message, range) });
        }
        Ok(vec![(name.as_str(), found.name)])
    }
}
