//! Making refusals, so that each names its rule the same way.

use super::super::{LookupError, ObjectKind, Refusal};
pub use crate::shown::shown;

/// A refusal by the policy proper: 403.
pub fn denied(rule: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { status: 403, message: message.into(), rule: rule.into(), operation: None }
}

/// A request that is not well formed: 400.
pub fn malformed(rule: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { status: 400, message: message.into(), rule: rule.into(), operation: None }
}

/// Larger than what is read: 413.
pub fn too_large(rule: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { status: 413, message: message.into(), rule: rule.into(), operation: None }
}

/// The daemon could not be asked: 503. Nothing is forwarded unasked.
pub fn unreachable(error: &LookupError) -> Refusal {
    if let Some(seconds) = error.late() {
        let message = format!("the Docker daemon has not answered within {seconds} s");
        return Refusal { status: 503, message, rule: "daemon.timeout".to_owned(), operation: None };
    }
    Refusal { status: 503, message: error.to_string(), rule: "daemon.unreachable".to_owned(), operation: None }
}

/// Not there, or another's: one text for both, in the daemon's own words.
pub fn not_found(kind: ObjectKind, reference: &str) -> Refusal {
    let message = match kind {
        ObjectKind::Container => format!("No such container: {reference}"),
        ObjectKind::Image => format!("No such image: {reference}"),
        ObjectKind::Network => format!("network {reference} not found"),
        ObjectKind::Volume => format!("get {reference}: no such volume"),
        ObjectKind::Exec => format!("No such exec instance: {reference}"),
    };
    Refusal { status: 404, message, rule: "tenant.owner".to_owned(), operation: None }
}
