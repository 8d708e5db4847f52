//! Why a token is refused.

use crate::strict_json::JsonError;

/// Why a token is refused. The text names the rule and holds nothing of the
/// token, so that it may be logged; what a client is told is less (401).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // each is said by its message
pub enum TokenError {
    #[error("the token is empty")]
    Empty,
    #[error("the token is longer than 8192 bytes")]
    TooLong,
    #[error("the token does not have exactly three parts")]
    Parts,
    #[error("a part of the token is not strict base64url without padding")]
    Encoding,
    #[error("the header {0}")]
    HeaderJson(JsonError),
    #[error("the header member '{0}' is missing or of the wrong type")]
    HeaderMember(&'static str),
    #[error("the header member '{0}' is refused")]
    HeaderForbidden(&'static str),
    #[error("the algorithm 'none' is refused")]
    AlgorithmNone,
    #[error("the header's algorithm is not the key's")]
    Algorithm,
    #[error("the header's 'typ' is not 'at+jwt'")]
    Type,
    #[error("no key of this id may be used now")]
    UnknownKey,
    #[error("the issuer's keys cannot be had: {0}")]
    IssuerKeys(String),
    #[error("the signature is wrong")]
    Signature,
    #[error("the claims: the payload {0}")]
    ClaimsJson(JsonError),
    #[error("the claim '{0}' is missing")]
    ClaimMissing(&'static str),
    #[error("the claim '{0}' has the wrong type or form")]
    ClaimForm(&'static str),
    #[error("the issuer is not one whose tokens are accepted")]
    Issuer,
    #[error("the audience is not this gateway alone")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is issued in the future")]
    IssuedInFuture,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token's life is longer than allowed, or ends before it begins")]
    Lifetime,
    #[error("no rule of this issuer maps the claims to a tenant and role")]
    NoMapping,
    #[error("the token is nested, and nested tokens are refused")]
    Nested,
    #[error("the token is nested more than two deep")]
    NestedTooDeep,
    #[error("a claim repeated in the outer header is not that of the token within")]
    NestedClaims,
    #[error("the encrypted layer is refused: {0}")]
    Encryption(&'static str),
}
