//! Values that are parsed once: whoever holds one holds a valid one.
//!
//! Nothing here does I/O and nothing here imports another module.

mod control;
mod diagnostic;
mod document;
mod hex;
mod key_options;
mod mode;
mod name;
mod node;
mod password_hash;
mod path;
mod public_key;
mod secret;
mod set_with;
mod sysctl_file;
mod unit_file;

pub use key_options::{InvalidOptions, KeyOptions};
mod variable;
mod version;

pub use control::{Control, Demand, Severity};
pub use diagnostic::{Diagnostic, possible_keys, suggest};
pub use document::{Document, parse_document, utf8_source};
pub use hex::{hex, sha256};
pub use mode::Mode;
pub use name::{EnvKey, GroupName, HostName, InvalidName, PackageName, SysctlKey, UnitName, UserName};
pub use node::{Node, NodeValue, Source, Span, TableEntry};
pub use password_hash::{InvalidHash, PasswordHash};
pub use path::AbsPath;
pub use public_key::{InvalidKey, MIN_RSA_BITS, PublicKey, fingerprint, is_key_type};
pub use secret::Secret;
pub use set_with::{SetTo, SysctlPattern};
pub use sysctl_file::{sysctl_assignments, sysctl_named};
pub use unit_file::{InvalidUnitFile, UnitFile};
pub use variable::{OWN_VARIABLES, RESERVED_VARIABLES, check_variable};
pub use version::compare_versions;
