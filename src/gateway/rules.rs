//! The policy behind what the proxy asks for. Until there is one, nothing is allowed.

use std::sync::Arc;

use super::Refusal;
use super::config::Config;
use super::gate::{Asked, Rules};

/// The rules of a configuration.
///
/// # Errors
/// When its roles cannot be used.
pub fn rules(_: &Config) -> Result<Arc<dyn Rules>, String> {
    Ok(Arc::new(Closed))
}

struct Closed;

fn closed() -> Refusal {
    Refusal { status: 403, message: "no policy is loaded".into(), rule: "policy.none".into(), operation: None }
}

impl Rules for Closed {
    fn parse(&self, _: &http::request::Parts) -> Result<Box<dyn Asked>, Refusal> {
        Err(closed())
    }

    fn filter_json(&self, _: &'static str, _: &str, _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(closed())
    }

    fn filter_event(&self, _: &str, _: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        Err(closed())
    }
}
