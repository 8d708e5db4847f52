//! Answers of the token service.

use bytes::Bytes;
use http::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PRAGMA, RETRY_AFTER};
use serde_json::{Value, json};

use crate::store::StoreError;

/// A JSON answer that nobody may keep (RFC 6749 §5.1).
pub(super) fn private(status: u16, body: &Value) -> Response<Bytes> {
    let mut answer = json_answer(status, body);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    answer
}

/// A JSON answer that may be kept for five minutes.
pub(super) fn public(body: &Value) -> Response<Bytes> {
    let mut answer = json_answer(200, body);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    answer
}

fn json_answer(status: u16, body: &Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An error as RFC 6749 §5.2 has it.
pub(super) fn oauth_error(status: u16, error: &str, description: &str) -> Response<Bytes> {
    private(status, &json!({ "error": error, "error_description": description }))
}

/// An error after which the same request may be sent again.
pub(super) fn try_again(seconds: u64, description: &str) -> Response<Bytes> {
    let mut answer = oauth_error(503, "temporarily_unavailable", description);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// The store cannot be asked: the client learns that, the log learns why.
pub(super) fn store_gone(error: &StoreError) -> Response<Bytes> {
    let mut answer = try_again(2, "the session store cannot be asked; nothing was decided");
    answer.extensions_mut().insert(error.clone());
    answer
}

/// 405 with the methods there are.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Bytes> {
    let mut answer = oauth_error(405, "invalid_request", "the method is not allowed here");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
