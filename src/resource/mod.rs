//! Resource kinds: one file each, and the table of all.
//!
//! A kind turns the (rendered) table of a step into a [`Resource`], which
//! states its questions and plans. Kinds do no I/O: what they need from the
//! project's files comes through [`Assets`].

mod account;
mod also;
mod apt_repository;
mod args;
mod authorized_keys;
mod binary;
mod block;
mod busy;
mod check_step;
mod command;
mod directory;
mod docker_daemon;
mod download;
mod dropin;
mod elf;
mod env;
pub mod environment_file;
mod fields;
mod file;
mod firewall;
mod flush;
mod followed;
mod group;
mod hostname;
mod ignored;
mod in_force;
mod inspect;
mod kernel_module;
mod key_file;
mod keyring;
mod known;
mod line;
mod link;
mod ownership;
mod package;
mod parents;
mod password;
mod pattern;
mod places;
mod plan_builder;
mod private_files;
mod readers;
mod reboot;
mod rejected;
mod replace;
mod service;
mod setting;
mod shell_text;
mod signing_key;
mod ssh_dir;
mod sshd;
mod sudoers;
mod sysctl;
mod text;
mod text_file;
mod timezone;
mod tree;
mod unit;
mod user;

pub use crate::plan::{GivenTree, Resource};
pub use args::Args;
pub use fields::{Field, Kind, Type, check};
pub use known::check_known;
pub use places::may_make;

use crate::values::{EnvKey, Node, Secret};
use std::collections::BTreeMap;

/// The project around a playbook, as far as kinds may see it. Paths are
/// relative to the playbook's folder; errors are sentences for the operator.
pub trait Assets {
    /// The bytes of a file.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// A file rendered as a template with the step's variables.
    ///
    /// # Errors
    /// The file cannot be read or rendered; a line for each thing that is wrong.
    fn render(&self, path: &str) -> Result<String, String>;

    /// The files that match a pattern, sorted; an empty result is no error here.
    ///
    /// # Errors
    /// The pattern is malformed.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String>;

    /// The environment of the stage in use, if one is.
    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>>;
}

/// Every kind, in the order of the documentation.
pub static KINDS: &[Kind] = &[
    user::KIND,
    group::KIND,
    authorized_keys::KIND,
    sudoers::KIND,
    directory::KIND,
    file::KIND,
    link::KIND,
    line::KIND,
    setting::KIND,
    sshd::KIND,
    replace::KIND,
    block::KIND,
    package::KIND,
    apt_repository::KIND,
    service::KIND,
    unit::KIND,
    dropin::KIND,
    sysctl::KIND,
    kernel_module::KIND,
    firewall::KIND,
    hostname::KIND,
    timezone::KIND,
    env::KIND,
    binary::KIND,
    download::KIND,
    command::KIND,
    flush::KIND,
    reboot::KIND,
    check_step::KIND,
    inspect::KIND,
];

/// The kind of a name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Makes the resource that a step's table describes, or says everything that
/// is wrong with it.
///
/// # Errors
/// All that is wrong with the table.
pub fn build(
    kind: &'static Kind,
    table: &Node,
    assets: &dyn Assets,
) -> Result<Box<dyn Resource>, Vec<crate::values::Diagnostic>> {
    let errors = check(kind, table);
    if !errors.is_empty() {
        return Err(known::beside(kind, table, assets, errors));
    }
    let mut args = Args::new(kind, table, assets);
    let resource = (kind.build)(&mut args);
    match (resource, args.into_errors()) {
        (Some(resource), errors) if errors.is_empty() => Ok(resource),
        (_, mut errors) => {
            if errors.is_empty() {
                errors.push(crate::values::Diagnostic::new(table.span.clone(), "this step cannot be understood"));
            }
            Err(errors)
        }
    }
}
