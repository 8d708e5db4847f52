//! The questions that can be asked of a host.

use super::Environment;
use crate::values::{AbsPath, PackageName, SysctlKey, SysctlPattern, UnitName, UserName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One question. All questions of a kind are answered together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Query {
    /// Type, owner, group, mode, link target; a link is not followed.
    Path(AbsPath),
    /// SHA-256 of a regular file; asks for [`Query::Path`] too.
    Digest(AbsPath),
    /// The bytes of a regular file (up to 4 MiB); asks for [`Query::Path`] too.
    Content(AbsPath),
    /// The names in a directory; asks for [`Query::Path`] too.
    Names(AbsPath),
    /// The names and bytes of the files in a directory of configuration
    /// fragments, such as /etc/sysctl.d; links are followed.
    Fragments(AbsPath),
    /// The same for a unit's drop-in directories below every directory that
    /// systemd reads units from; the name is a unit's, or stands for several
    /// (`service`, `foo-.service`; systemd.unit(5)).
    DropIns(String),
    /// All that is below a directory, links not followed; other file systems
    /// only if `across`. Asks for [`Query::Path`] too.
    Tree {
        /// The directory.
        top: AbsPath,
        /// Whether other file systems are entered.
        across: bool,
    },
    /// The user, group and shadow databases.
    Accounts,
    /// Whether there is a user of this name, in whatever source of names.
    User(String),
    /// Whether there is a group of this name, in whatever source of names.
    Group(String),
    /// The installed state of a package.
    Package(PackageName),
    /// What apt would install, and from where.
    Candidate(PackageName),
    /// What apt-get would do if it were called with these words: a verb with
    /// options and names, as [`crate::plan::Op::apt_words`] makes them.
    Transaction(Vec<String>),
    /// The installed packages that provide a name.
    Provided(PackageName),
    /// The packages of the repositories that provide a name.
    Providers(PackageName),
    /// All installed packages, with their versions and marks.
    Packages,
    /// The files of an installed package, and which of them outlast its
    /// removal as long as it is not purged.
    Shipped(PackageName),
    /// A unit's load, active and enabled state.
    Unit(UnitName),
    /// The live value of a kernel parameter.
    Sysctl(SysctlKey),
    /// The live values that all interfaces have of a kernel parameter.
    Sysctls(SysctlPattern),
    /// What runs on the host, and as whom.
    Processes,
    /// Whether a kernel module is loaded, built in or available.
    Module(String),
    /// The exit code and standard output of a command that changes nothing.
    Run(Run),
    /// Whether the host's shell can read a text.
    Syntax(String),
    /// What systemd of the host finds wrong with the text of a unit file or
    /// drop-in of this unit.
    UnitText {
        /// The unit.
        name: UnitName,
        /// The text.
        text: String,
    },
    /// Whether what stands at a path has an access control list.
    Acl(AbsPath),
}

/// A command that only looks. It runs as root unless `user` says otherwise,
/// with no standard input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The program and its arguments; each reaches the host as one word.
    pub argv: Vec<String>,
    /// Who runs it.
    pub user: Option<UserName>,
    /// How a shell takes the text in it.
    #[serde(default)]
    pub text: Text,
    /// What the operator's text is run with.
    #[serde(skip)]
    pub environment: Environment,
}

/// What the shell text of a [`Run`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Text {
    /// There is none, or it is this crate's own.
    #[default]
    Own,
    /// The operator's: the first command that fails ends it.
    Operator,
    /// This crate's own around the operator's, which it gives to `sh -c`.
    Around,
    /// The operator's, with arguments: no failure of a command ends it, and what it
    /// prints as errors is part of its output.
    Script,
}

impl Run {
    /// A command by its words, run as root.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Run {
        let argv = argv.into_iter().map(Into::into).collect();
        Run { argv, user: None, text: Text::Own, environment: Environment::default() }
    }

    /// Shell text written by the operator, run by `sh -e -c`.
    pub fn shell(text: &str) -> Run {
        Run { text: Text::Operator, ..Run::new(["sh", "-c", text]) }
    }

    /// Shell text of this crate's own around text of the operator's.
    pub fn around(text: &str) -> Run {
        Run { text: Text::Around, ..Run::new(["sh", "-c", text]) }
    }

    /// A script written by the operator with its arguments, run by `sh -c`.
    pub fn script(text: &str, arguments: &[String]) -> Run {
        let words = ["sh", "-c", text, "sh"].into_iter().chain(arguments.iter().map(String::as_str));
        Run { text: Text::Script, ..Run::new(words) }
    }

    /// The text and the arguments of [`Run::script`].
    pub(super) fn as_script(&self) -> Option<(&str, &[String])> {
        match (self.text, self.argv.as_slice()) {
            (Text::Script, [_, _, text, _, arguments @ ..]) => Some((text, arguments)),
            _ => None,
        }
    }
}

impl fmt::Display for Query {
    /// What the question is about, as an operator would name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::Path(path) => write!(f, "{path}"),
            Query::Digest(path) | Query::Content(path) => write!(f, "content of {path}"),
            Query::Names(path) => write!(f, "names in {path}"),
            Query::Fragments(path) => write!(f, "files in {path}"),
            Query::DropIns(name) => write!(f, "drop-ins of {name}"),
            Query::Tree { top, .. } => write!(f, "all below {top}"),
            Query::Accounts => write!(f, "users and groups"),
            Query::User(name) => write!(f, "user {}", name.escape_debug()),
            Query::Group(name) => write!(f, "group {}", name.escape_debug()),
            Query::Package(name) => write!(f, "package {name}"),
            Query::Candidate(name) => write!(f, "candidate of package {name}"),
            Query::Transaction(words) => write!(f, "simulation of apt-get {}", words.join(" ").escape_debug()),
            Query::Provided(name) => write!(f, "installed packages that provide {name}"),
            Query::Providers(name) => write!(f, "packages that provide {name}"),
            Query::Packages => write!(f, "installed packages"),
            Query::Shipped(name) => write!(f, "files of package {name}"),
            Query::Unit(name) => write!(f, "unit {name}"),
            Query::Sysctl(key) => write!(f, "kernel parameter {key}"),
            Query::Sysctls(pattern) => write!(f, "kernel parameters {pattern}"),
            Query::Processes => write!(f, "processes"),
            Query::Module(name) => write!(f, "kernel module {name}"),
            Query::Syntax(_) => write!(f, "the syntax of a shell text"),
            Query::UnitText { name, .. } => write!(f, "what systemd makes of the settings of {name}"),
            Query::Acl(path) => write!(f, "access control list of {path}"),
            Query::Run(run) => write!(f, "output of {}", run.argv.join(" ").escape_debug()),
        }
    }
}

/// A set of questions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queries(BTreeSet<Query>);

impl Queries {
    /// No questions.
    pub fn new() -> Queries {
        Queries::default()
    }

    /// Adds a question and what it takes for granted.
    pub fn ask(&mut self, query: Query) {
        if let Query::Digest(path) | Query::Content(path) | Query::Names(path) | Query::Tree { top: path, .. } = &query
        {
            self.0.insert(Query::Path(path.clone()));
        }
        self.0.insert(query);
    }

    /// Adds all of another set.
    pub fn extend(&mut self, queries: impl IntoIterator<Item = Query>) {
        queries.into_iter().for_each(|query| self.ask(query));
    }

    /// Whether a question is in the set.
    pub fn contains(&self, query: &Query) -> bool {
        self.0.contains(query)
    }

    /// The questions, sorted by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = &Query> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
