//! Inventories: which hosts there are, how they are reached, what they are told.
//!
//! A setting of a host wins over one of its groups (of two groups, the later in
//! its list), and that over `[defaults]`. Selecting hosts never guesses: a name
//! that matches nothing is an error, and so is a selection that is empty.

mod address;
mod load;
mod select;

pub use load::{HOST_KEYS, SETTINGS};

use crate::values::{Diagnostic, Node};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The hosts that a run may be about.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// How it is named to the operator; none if it comes from the command line.
    pub source: Option<String>,
    hosts: Vec<Host>,
    groups: Vec<String>,
    /// Whether its hosts were named one by one, so that what a playbook says
    /// of hosts does not matter.
    named: bool,
    inputs: Vec<(String, Vec<u8>)>,
}

/// One host with all that its groups and the defaults say of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// What is connected to; its name if nothing else is said.
    pub address: String,
    /// None: what ssh_config says, else 22.
    pub port: Option<u16>,
    /// Whom to log in as; none: what ssh_config says.
    pub user: Option<String>,
    /// Private keys to offer.
    pub keys: Vec<PathBuf>,
    /// Files of known host keys; empty: the usual ones.
    pub known_hosts: Vec<PathBuf>,
    /// The host to go through, as `user@address:port` or an alias of ssh_config.
    pub jump: Option<String>,
    /// Its groups, in the order of its own list.
    pub groups: Vec<String>,
    /// Its variables: defaults, groups and host, merged.
    pub vars: BTreeMap<String, Node>,
    /// The stage it belongs to.
    pub stage: Option<String>,
    /// Not reached by SSH: this machine (`/`) or a chroot on it.
    pub local_root: Option<PathBuf>,
}

impl Inventory {
    /// Reads an inventory file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(path: &Path) -> Result<Inventory, Vec<Diagnostic>> {
        load::load(path)
    }

    /// Hosts named one by one, as `user@address:port`.
    ///
    /// # Errors
    /// All that cannot be read so.
    pub fn from_hosts(hosts: &[String]) -> Result<Inventory, Vec<Diagnostic>> {
        let empty = Inventory { source: None, hosts: Vec::new(), groups: Vec::new(), named: true, inputs: Vec::new() };
        empty.with_named(hosts, &Host::default())
    }

    /// Every host, in the order of the file.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Every group that a host is in or the file describes.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The files that were read, with their bytes.
    pub fn inputs(&self) -> &[(String, Vec<u8>)] {
        &self.inputs
    }

    /// Only these hosts: those of the inventory by name, others by address.
    ///
    /// # Errors
    /// All that is neither.
    pub fn only(&self, hosts: &[String]) -> Result<Inventory, Vec<Diagnostic>> {
        let mut only = Inventory { hosts: Vec::new(), named: true, ..self.clone() };
        let (known, others): (Vec<&String>, Vec<&String>) =
            hosts.iter().partition(|name| self.hosts.iter().any(|host| host.name == **name));
        for name in known {
            only.hosts.extend(self.hosts.iter().find(|host| host.name == *name).cloned());
        }
        let others: Vec<String> = others.into_iter().cloned().collect();
        only.with_named(&others, &Host::default())
    }

    fn with_named(mut self, hosts: &[String], like: &Host) -> Result<Inventory, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        for text in hosts {
            match address::parse(text) {
                Ok(found) => {
                    let name = found.name();
                    let twice = self.hosts.iter().any(|host| host.name == name);
                    if !twice {
                        let host = Host { name, address: found.address, port: found.port, user: found.user, ..like.clone() };
                        self.hosts.push(host);
                    }
                }
                Err(why) => errors.push(
                    Diagnostic::general(format!("'{}' names no host: {why}", text.escape_debug()))
                        .with_help("write user@address:port; user and port may be left out, an IPv6 address with a port stands in [ ]"),
                ),
            }
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }
}
