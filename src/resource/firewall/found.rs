//! What ufw has on a host, read from its own files (ufw-framework(8)).

use super::rule::{Line, parse_list};
use crate::observe::{Content, HostState, Known, Package, Queries, Query, Run};
use crate::plan::PlanError;
use crate::values::{AbsPath, PackageName, UnitName};

/// Where ufw keeps its state, and who else may keep a firewall.
#[derive(Debug)]
pub struct Files {
    package: PackageName,
    /// `ENABLED`, `LOGLEVEL`.
    pub conf: AbsPath,
    /// Policies, and whether IPv6 is filtered.
    pub defaults: AbsPath,
    /// The lists of IPv4 and IPv6.
    pub rules: [AbsPath; 2],
    /// What is loaded after them.
    pub after: [AbsPath; 2],
    /// Units of other firewalls.
    pub rivals: Vec<UnitName>,
    /// ufw's own unit, and Docker's, whose ports pass by it.
    pub units: Vec<UnitName>,
}

/// Policies in ufw's words; none where they are not known, or not wanted.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// For connections to this host.
    pub incoming: Option<String>,
    /// For connections from this host.
    pub outgoing: Option<String>,
    /// For forwarded connections.
    pub routed: Option<String>,
}

/// ufw as found, or as predicted.
#[derive(Debug)]
pub struct Found {
    /// Whether its files are there; not so while its package is still to be installed.
    pub known: bool,
    /// Whether it is to be loaded at boot.
    pub enabled: bool,
    /// Whether its chains are in the kernel.
    pub live: bool,
    /// Whether IPv6 is filtered too.
    pub v6: bool,
    /// The default policies.
    pub policies: Policies,
    /// The log level.
    pub logging: Option<String>,
    /// The rules of IPv4 and IPv6.
    pub lists: [Vec<Line>; 2],
    /// The text of the after files; none where it is not known.
    pub after: [Option<String>; 2],
    /// The text of `ufw.conf`.
    pub conf_text: String,
    /// The text of `/etc/default/ufw`.
    pub defaults_text: String,
}

/// Succeeds where ufw's chains are in the kernel.
pub fn live_question() -> Run {
    Run::new(["iptables", "-w", "-n", "-L", "ufw-user-input"])
}

impl Files {
    /// The places of Debian's and Ubuntu's package.
    pub fn new() -> Option<Files> {
        let path = |text: &str| text.parse().ok();
        Some(Files {
            package: "ufw".parse().ok()?,
            conf: path("/etc/ufw/ufw.conf")?,
            defaults: path("/etc/default/ufw")?,
            rules: [path("/etc/ufw/user.rules")?, path("/etc/ufw/user6.rules")?],
            after: [path("/etc/ufw/after.rules")?, path("/etc/ufw/after6.rules")?],
            rivals: vec!["nftables.service".parse().ok()?, "firewalld.service".parse().ok()?],
            units: vec!["ufw.service".parse().ok()?, "docker.service".parse().ok()?],
        })
    }

    /// Asks for all of it.
    pub fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Package(self.package.clone()));
        queries.ask(Query::Run(live_question()));
        for path in [&self.conf, &self.defaults].into_iter().chain(&self.rules).chain(&self.after) {
            queries.ask(Query::Content(path.clone()));
        }
    }

    /// What the answers say.
    ///
    /// # Errors
    /// ufw is not installed, or its files cannot be read.
    pub fn read(&self, host: &HostState) -> Result<Found, PlanError> {
        match host.package(&self.package)? {
            Package::Installed { .. } => {}
            Package::Absent | Package::ConfigFiles => {
                return Err(PlanError::Refused(
                    "ufw is not installed on this host; put a step package = { name = \"ufw\" } before this one".into(),
                ));
            }
            Package::Broken(state) => {
                return Err(PlanError::Refused(format!(
                    "ufw is {state} on this host; run 'dpkg --configure -a' there first"
                )));
            }
        }
        let conf_text = self.text(host, &self.conf)?;
        let known = conf_text.is_some();
        let conf_text = conf_text.unwrap_or_default();
        let defaults_text = self.text(host, &self.defaults)?.unwrap_or_default();
        let list = |family: usize| -> Result<Vec<Line>, PlanError> {
            Ok(parse_list(&self.text(host, &self.rules[family])?.unwrap_or_default()))
        };
        let after = |family: usize| -> Result<Option<String>, PlanError> {
            let text = self.text(host, &self.after[family])?;
            // ufw itself needs the files; where only they are missing there is nothing to keep.
            Ok(if known { Some(text.unwrap_or_default()) } else { None })
        };
        let live = matches!(host.output(&live_question())?, Known::Is(output) if output.code == 0);
        Ok(Found {
            known,
            enabled: variable(&conf_text, "ENABLED").as_deref() == Some("yes"),
            live,
            v6: variable(&defaults_text, "IPV6").as_deref() != Some("no"),
            policies: Policies::read(&defaults_text),
            logging: variable(&conf_text, "LOGLEVEL"),
            lists: [list(0)?, list(1)?],
            after: [after(0)?, after(1)?],
            conf_text,
            defaults_text,
        })
    }

    fn text(&self, host: &HostState, path: &AbsPath) -> Result<Option<String>, PlanError> {
        match host.content(path)? {
            Content::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(PlanError::Refused(format!("{path} is not UTF-8 text; ufw cannot have written it"))),
            },
            Content::Absent | Content::AfterApply => Ok(None),
            Content::Digest(_) => Err(PlanError::Refused(format!("{path} is too large to be ufw's"))),
        }
    }
}

const POLICIES: [(&str, &str); 3] = [("DROP", "deny"), ("ACCEPT", "allow"), ("REJECT", "reject")];

impl Policies {
    fn read(text: &str) -> Policies {
        let policy = |key: &str| {
            let value = variable(text, key)?;
            POLICIES.iter().find(|(target, _)| *target == value).map(|(_, word)| (*word).to_owned())
        };
        Policies {
            incoming: policy("DEFAULT_INPUT_POLICY"),
            outgoing: policy("DEFAULT_OUTPUT_POLICY"),
            routed: policy("DEFAULT_FORWARD_POLICY"),
        }
    }

    /// The text of `/etc/default/ufw` once these are set.
    pub fn write(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let pairs = [
            ("DEFAULT_INPUT_POLICY", &self.incoming),
            ("DEFAULT_OUTPUT_POLICY", &self.outgoing),
            ("DEFAULT_FORWARD_POLICY", &self.routed),
        ];
        for (key, wanted) in pairs {
            if let Some((target, _)) = POLICIES.iter().find(|(_, word)| wanted.as_deref() == Some(word)) {
                text = set_variable(&text, key, &format!("\"{target}\""));
            }
        }
        text
    }
}

/// The last value that a file of shell assignments gives a variable.
fn variable(text: &str, key: &str) -> Option<String> {
    let value = |line: &str| Some(line.trim().strip_prefix(key)?.strip_prefix('=')?.trim().to_owned());
    let value = text.lines().filter_map(value).next_back()?;
    let bare = value.trim_matches(|c| c == '"' || c == '\'');
    Some(bare.to_owned())
}

/// The text with a variable set, in place or at the end.
pub fn set_variable(text: &str, key: &str, value: &str) -> String {
    let ours = |line: &str| line.trim().strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
    let wanted = format!("{key}={value}");
    if !text.lines().any(ours) {
        return format!("{text}{}{wanted}\n", if text.is_empty() || text.ends_with('\n') { "" } else { "\n" });
    }
    text.lines().map(|line| if ours(line) { wanted.as_str() } else { line }.to_owned() + "\n").collect()
}
