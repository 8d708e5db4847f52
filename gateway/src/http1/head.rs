//! A request's head: every doubtful form is a refusal, and the reason is told.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Largest head, in bytes. A token may have 8 KiB, registry credentials as much.
pub const MAX_HEAD: usize = 32 * 1024;
/// Most header lines. Docker's clients send about ten.
const MAX_LINES: usize = 64;

/// How the body that follows is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A head that could be read in one way only.
#[derive(Debug)]
pub struct Head {
    /// Method, target and headers.
    pub parts: http::request::Parts,
    /// The body's framing.
    pub framing: Framing,
    /// The client closes after this request.
    pub close: bool,
    /// The client asks to take the connection over (`Upgrade: tcp`).
    pub upgrade: bool,
    /// The client waits for `100 Continue`.
    pub expects: bool,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message} (rule: {rule})")]
pub struct BadHead {
    /// HTTP status.
    pub status: u16,
    /// One sentence for the client.
    pub message: &'static str,
    /// The rule, for the audit log.
    pub rule: &'static str,
}

const fn bad(rule: &'static str, message: &'static str) -> BadHead {
    BadHead { status: 400, message, rule }
}

/// Where the head ends, counted after the empty line, if it is complete.
#[must_use]
pub fn head_end(buffer: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = buffer[from..].iter().position(|byte| *byte == b'\n') {
        let end = from + at + 1;
        // A bare line feed ends the search too: `parse` refuses it with its name.
        if buffer[..end].ends_with(b"\r\n\r\n") || buffer[..end].ends_with(b"\n\n") || !buffer[..end].ends_with(b"\r\n")
        {
            return Some(end);
        }
        from = end;
    }
    None
}

/// Reads a complete head, as `head_end` delimits it.
///
/// # Errors
/// When it can be read in two ways, is not HTTP/1.1, or asks for what a Docker
/// client never asks for.
pub fn parse(bytes: &[u8]) -> Result<Head, BadHead> {
    lines_are_clean(bytes)?;
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(BadHead { status: 431, message: "too many header lines", rule: "http.headers" });
        }
        Err(httparse::Error::Version) => return Err(version()),
        Ok(httparse::Status::Partial) | Err(_) => return Err(bad("http.head", "malformed request head")),
    }
    if request.version != Some(1) {
        return Err(version());
    }
    let method = http::Method::from_bytes(request.method.unwrap_or_default().as_bytes())
        .map_err(|_| bad("http.method", "malformed method"))?;
    if method == http::Method::CONNECT {
        return Err(bad("http.connect", "CONNECT is not allowed"));
    }
    let uri = target(request.path.unwrap_or_default())?;
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for line in request.headers.iter() {
        let name =
            HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| bad("http.header", "malformed header name"))?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| bad("http.header", "malformed header value"))?;
        headers.append(name, value);
    }
    if count(&headers, &header::HOST) != 1 {
        return Err(bad("http.host", "exactly one Host header is needed"));
    }
    let framing = framing(&headers)?;
    let (close, asks_upgrade) = connection(&headers)?;
    let upgrade = upgrade(&headers, asks_upgrade)?;
    let expects = expects(&headers)?;
    let mut made = http::Request::new(());
    *made.method_mut() = method;
    *made.uri_mut() = uri;
    *made.headers_mut() = headers;
    Ok(Head { parts: made.into_parts().0, framing, close, upgrade, expects })
}

const fn version() -> BadHead {
    BadHead { status: 505, message: "only HTTP/1.1 is spoken here", rule: "http.version" }
}

/// No bare CR or LF, no NUL, nothing outside ASCII, no folded line.
fn lines_are_clean(bytes: &[u8]) -> Result<(), BadHead> {
    let mut previous = b'\n';
    if bytes.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) {
        return Err(bad("http.head", "malformed request head"));
    }
    for &byte in bytes {
        match byte {
            b'\n' if previous != b'\r' => return Err(bad("http.bare_lf", "a line must end with CR LF")),
            _ if previous == b'\r' && byte != b'\n' => return Err(bad("http.bare_cr", "a line must end with CR LF")),
            b' ' | b'\t' if previous == b'\n' => return Err(bad("http.folded", "folded header lines are not allowed")),
            b'\t' | b'\r' | b'\n' | 0x20..=0x7e => {}
            _ => return Err(bad("http.bytes", "control or non-ASCII byte in the request head")),
        }
        previous = byte;
    }
    Ok(())
}

/// Origin form only (RFC 9112, 3.2.1); a fragment would be cut off silently.
fn target(path: &str) -> Result<http::Uri, BadHead> {
    if !path.starts_with('/') || path.starts_with("//") || path.contains('#') {
        return Err(bad("http.target", "the request target must be a path"));
    }
    path.parse().map_err(|_| bad("http.target", "malformed request target"))
}

fn count(headers: &HeaderMap, name: &HeaderName) -> usize {
    headers.get_all(name).iter().count()
}

fn framing(headers: &HeaderMap) -> Result<Framing, BadHead> {
    let (length, coding) = (headers.get(header::CONTENT_LENGTH), headers.get(header::TRANSFER_ENCODING));
    if count(headers, &header::CONTENT_LENGTH) > 1 || count(headers, &header::TRANSFER_ENCODING) > 1 {
        return Err(bad("http.framing", "repeated Content-Length or Transfer-Encoding"));
    }
    match (length, coding) {
        (Some(_), Some(_)) => Err(bad("http.framing", "Content-Length together with Transfer-Encoding")),
        (None, None) => Ok(Framing::None),
        (None, Some(coding)) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (None, Some(_)) => Err(bad("http.framing", "the only transfer coding is chunked")),
        (Some(length), None) => {
            let text = length.to_str().unwrap_or_default();
            let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
            match text.parse() {
                Ok(0) if digits => Ok(Framing::None),
                Ok(length) if digits => Ok(Framing::Length(length)),
                _ => Err(bad("http.framing", "malformed Content-Length")),
            }
        }
    }
}

fn connection(headers: &HeaderMap) -> Result<(bool, bool), BadHead> {
    let (mut close, mut upgrade) = (false, false);
    for value in headers.get_all(header::CONNECTION) {
        let text = value.to_str().map_err(|_| bad("http.connection", "malformed Connection header"))?;
        for option in text.split(',').map(str::trim) {
            close |= option.eq_ignore_ascii_case("close");
            upgrade |= option.eq_ignore_ascii_case("upgrade");
        }
    }
    Ok((close, upgrade))
}

/// `tcp` is what Docker's attach and exec ask for; `h2c` would open a second
/// protocol that nobody inspects.
fn upgrade(headers: &HeaderMap, asked: bool) -> Result<bool, BadHead> {
    match (headers.get(header::UPGRADE), asked) {
        (None, false) => Ok(false),
        (Some(protocol), true) if protocol == "tcp" && count(headers, &header::UPGRADE) == 1 => Ok(true),
        (Some(protocol), _) if protocol.as_bytes().eq_ignore_ascii_case(b"h2c") => Err(BadHead {
            status: 403,
            message: "upgrading to h2c (BuildKit) is not allowed: builds are made by the classic builder here, set DOCKER_BUILDKIT=0",
            rule: "http.upgrade",
        }),
        _ => Err(bad("http.upgrade", "the only upgrade is to tcp")),
    }
}

fn expects(headers: &HeaderMap) -> Result<bool, BadHead> {
    match headers.get(header::EXPECT) {
        None => Ok(false),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(BadHead { status: 417, message: "unknown expectation", rule: "http.expect" }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rule(text: &str) -> &'static str {
        let end = head_end(text.as_bytes()).unwrap_or(text.len());
        parse(&text.as_bytes()[..end]).map_or_else(|refused| refused.rule, |_| "accepted")
    }

    #[test]
    fn an_ordinary_request_is_read() {
        let head = parse(b"POST /v1.41/exec/x/start HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            .unwrap();
        assert_eq!((head.framing, head.upgrade, head.close), (Framing::Length(12), true, false));
        assert_eq!(head.parts.uri.path(), "/v1.41/exec/x/start");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "accepted"),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "http.version"),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "http.version"),
            ("GET / HTTP/1.1\r\n\r\n", "http.host"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "http.host"),
            ("GET / HTTP/1.1\nHost: a\n\n", "http.bare_lf"),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "http.bare_lf"),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "http.bare_cr"),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "http.folded"),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "http.head"),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "http.head"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n", "http.bytes"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", "http.bytes"),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "http.connect"),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "http.target"),
            ("GET //a/ HTTP/1.1\r\nHost: a\r\n\r\n", "http.target"),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "http.target"),
            ("GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", "http.target"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "http.framing"),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "http.framing"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "http.framing"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", "http.framing"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", "http.framing"),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "http.framing"),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "http.framing"),
            ("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "http.upgrade"),
            ("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp, h2c\r\n\r\n", "http.upgrade"),
            ("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: tcp\r\n\r\n", "http.upgrade"),
            ("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n", "http.upgrade"),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", "http.expect"),
        ] {
            assert_eq!(rule(text), expected, "{text:?}");
        }
    }

    #[test]
    fn too_many_lines_are_refused() {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(80));
        assert_eq!(rule(&text), "http.headers");
    }
}
