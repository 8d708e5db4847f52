//! The service's metadata (RFC 8414).

use bytes::Bytes;
use http::Response;
use serde_json::json;

use super::answer::public;
use super::{JWKS_PATH, REVOKE_PATH, Settings, TOKEN_PATH};

pub(super) fn metadata(settings: &Settings) -> Response<Bytes> {
    let issuer = settings.issuer.trim_end_matches('/');
    public(&json!({
        "issuer": settings.issuer,
        "token_endpoint": format!("{issuer}{TOKEN_PATH}"),
        "revocation_endpoint": format!("{issuer}{REVOKE_PATH}"),
        "jwks_uri": format!("{issuer}{JWKS_PATH}"),
        "grant_types_supported": ["refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    }))
}
