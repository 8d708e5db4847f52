//! Answers of the gateway's own, in the form that Docker's clients show.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::Refusal;

/// An answer without a body limit of its own: status, content type, body.
pub(super) fn render(
    status: u16,
    content_type: &str,
    body: &[u8],
    head_only: bool,
    close: bool,
    more: &str,
) -> Vec<u8> {
    let mut text = String::with_capacity(256);
    let _ = write!(
        text,
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n",
        reason(status),
        body.len()
    );
    text.push_str(more);
    text.push_str(if close { "Connection: close\r\n\r\n" } else { "\r\n" });
    let mut out = text.into_bytes();
    if !head_only {
        out.extend_from_slice(body);
    }
    out
}

/// A refusal as `{"message": …}`.
pub(super) fn refusal(refused: &Refusal, head_only: bool, close: bool) -> Vec<u8> {
    let body = serde_json::json!({ "message": format!("stockade: {} (rule: {})", refused.message, refused.rule) });
    let more = match refused.status {
        401 => "WWW-Authenticate: Bearer realm=\"stockade\"\r\n",
        429 | 503 => "Retry-After: 1\r\n",
        _ => "",
    };
    render(refused.status, "application/json", body.to_string().as_bytes(), head_only, close, more)
}

/// An answer of the token service.
pub(super) fn of_service(response: &http::Response<Bytes>, head_only: bool, close: bool) -> Vec<u8> {
    let mut more = String::new();
    for (name, value) in response.headers() {
        if name != http::header::CONTENT_TYPE
            && name != http::header::CONTENT_LENGTH
            && let Ok(value) = value.to_str()
        {
            let _ = write!(more, "{name}: {value}\r\n");
        }
    }
    let content_type = response.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    render(
        response.status().as_u16(),
        content_type.unwrap_or("application/json"),
        response.body(),
        head_only,
        close,
        &more,
    )
}

/// The status line and headers that begin the daemon's answer.
pub(super) fn begin(status: u16, lines: &[u8], framing: &str, close: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() + 128);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(lines);
    out.extend_from_slice(framing.as_bytes());
    out.extend_from_slice(if close { b"Connection: close\r\n\r\n" } else { b"\r\n" });
    out
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_json_and_cannot_break_out_of_it() {
        let refused = Refusal { status: 403, message: "no\r\n\"x\"".into(), rule: "role".into(), operation: None };
        let text = String::from_utf8(refusal(&refused, false, false)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["message"], "stockade: no\r\n\"x\" (rule: role)");
    }
}
