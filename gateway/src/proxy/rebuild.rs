//! The head of the request to the daemon, written from what the policy decided.

use super::body::refused;
use super::exchange::Trouble;
use crate::http1::Framing;
use crate::{Body, Forward, Refusal};

/// The request as it is sent: nothing in it is the client's own bytes.
pub(super) fn render(forward: &Forward, framing: Framing, hijack: bool) -> Result<Vec<u8>, Trouble> {
    if !forward.path_and_query.starts_with('/') || !forward.path_and_query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::Refused(refused(500, "rebuild.target", "the rebuilt request has a malformed target")));
    }
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(forward.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(forward.path_and_query.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: docker\r\nUser-Agent: stockade-gateway\r\n");
    for (name, value) in &forward.headers {
        if is_framing(name) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if hijack {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: tcp\r\n");
    }
    let bytes: &[u8] = match (&forward.body, framing) {
        (Body::Bytes(bytes), _) => bytes,
        (Body::Stream { .. }, Framing::Chunked) | (Body::Context(_), _) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            return Ok(out);
        }
        (Body::Stream { limit }, Framing::Length(length)) => {
            if length > *limit {
                return Err(Trouble::Refused(too_large(*limit)));
            }
            out.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
            return Ok(out);
        }
        (Body::Stream { .. }, Framing::None) | (Body::Empty, _) => &[],
    };
    if !bytes.is_empty() || (forward.method != http::Method::GET && forward.method != http::Method::HEAD) {
        out.extend_from_slice(format!("Content-Length: {}\r\n", bytes.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    Ok(out)
}

fn is_framing(name: &http::HeaderName) -> bool {
    use http::header;
    [
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::AUTHORIZATION,
        header::TE,
        header::USER_AGENT,
    ]
    .contains(name)
}

/// A body that the role does not let through.
pub(super) fn too_large(limit: u64) -> Refusal {
    refused(413, "body.size", &format!("the body is larger than {limit} bytes"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::Operation;
    use crate::{QuotaGuard, ResponseRule};

    fn forward(path: &str, body: Body) -> Forward {
        Forward {
            operation: Operation::ContainerStart,
            object: None,
            rule: "r".into(),
            method: http::Method::POST,
            path_and_query: path.into(),
            headers: vec![
                (http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json")),
                (http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer secret")),
                (http::header::TRANSFER_ENCODING, http::HeaderValue::from_static("chunked")),
            ],
            body,
            response: ResponseRule::Pass,
            tenant: None,
            replace: None,
            quota_guard: QuotaGuard::default(),
        }
    }

    fn text(forward: &Forward, framing: Framing) -> String {
        render(forward, framing, false).map_or_else(|_| "refused".into(), |bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_sent_has_one_framing_and_no_token() {
        let sent = text(&forward("/v1.41/x", Body::Bytes(b"{}".to_vec())), Framing::Chunked);
        assert!(sent.starts_with("POST /v1.41/x HTTP/1.1\r\nHost: docker\r\n"), "{sent}");
        assert!(sent.ends_with("Content-Length: 2\r\n\r\n{}"), "{sent}");
        assert!(!sent.contains("secret") && !sent.contains("ransfer-"), "{sent}");
        assert!(text(&forward("/v1.41/x", Body::Empty), Framing::None).contains("Content-Length: 0"));
    }

    #[test]
    fn a_target_that_would_break_the_request_line_is_not_sent() {
        for path in ["/x HTTP/1.1\r\nX: y", "/a b", "x", "/\u{e9}"] {
            assert_eq!(text(&forward(path, Body::Empty), Framing::None), "refused", "{path}");
        }
    }

    #[test]
    fn a_stream_that_says_it_is_too_long_is_not_begun() {
        assert_eq!(text(&forward("/x", Body::Stream { limit: 5 }), Framing::Length(6)), "refused");
    }
}
