//! From a request's head to a [`Call`]: one operation of the table, the object
//! it names and its query, all typed. What could be read in two ways is refused.
//!
//! What must hold: only a `Call` goes on to be decided, and what is forwarded
//! is written from it, never copied from the request.

use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::super::Refusal;
use super::json;
use super::refusal::{denied, malformed, shown, too_large};
use super::routes::{BodyRule, Kind, Route, StreamRule, find};

/// The oldest API version understood; older ones change namespace defaults.
pub const OLDEST: u16 = 41;
/// The newest API version modelled in the table.
pub const NEWEST: u16 = 56;
/// Bytes of a JSON body that are read.
const JSON_LIMIT: u64 = 1024 * 1024;
/// Bytes of a path with its query.
const TARGET_LIMIT: usize = 16 * 1024;

/// A request that was understood; nothing is decided yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its line in the table.
    pub route: &'static Route,
    /// The minor version of `v1.N`; none where the path had none.
    pub version: Option<u16>,
    /// What the path's variable stands for, as the client wrote it.
    pub name: Option<String>,
    /// Query keys and values, decoded and typed, in the client's order.
    pub query: Vec<(&'static str, String)>,
    /// `X-Registry-Auth` or `X-Registry-Config`, as it came; read where it is used.
    pub registry_auth: Option<String>,
    /// `Upgrade: tcp` was asked for.
    pub upgrade: bool,
}

impl Call {
    /// How many bytes of body may be read before deciding: 0 for a route
    /// without one, and for a stream, which is not read at all.
    pub fn body_limit(&self) -> u64 {
        match self.route.body {
            BodyRule::Json | BodyRule::JsonOrNone => JSON_LIMIT,
            BodyRule::None | BodyRule::Stream => 0,
        }
    }

    /// Whether the body is passed on as a stream, with the limit that `decide` sets.
    pub fn streams_body(&self) -> bool {
        self.route.body == BodyRule::Stream
    }

    /// Whether the answer may stay open with nothing said.
    pub fn follows(&self) -> bool {
        self.route.stream != StreamRule::Plain
    }

    /// The value of a query key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// The same where an empty value means nothing.
    pub fn given(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }
}

/// Reads a request's head.
///
/// # Errors
/// 400 for what is malformed, 403 for what is unknown, 413 for what is too long.
pub fn parse(parts: &Parts) -> Result<Call, Refusal> {
    if parts.uri.scheme().is_some() || parts.uri.authority().is_some() || parts.method == Method::CONNECT {
        return Err(malformed("http.target", "the request target must be a path"));
    }
    if parts.version != http::Version::HTTP_11 {
        return Err(malformed("http.version", "only HTTP/1.1 is spoken here"));
    }
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > TARGET_LIMIT {
        return Err(too_large("http.target", "the request target is too long"));
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = canonical(path)?;
    let (version, rest) = split_version(&path)?;
    let Some((route, name)) = find(parts.method.as_str(), rest) else {
        return Err(denied("route.unknown", format!("{} {} is not a known operation", parts.method, shown(rest))));
    };
    named(route, || {
        if version.is_none() && !matches!(route.id, "SystemPing" | "SystemPingHead" | "SystemVersion") {
            return Err(malformed("path.version", "the path must begin with an API version, such as /v1.47"));
        }
        let query = read_query(route, query.unwrap_or(""))?;
        let upgrade = check_headers(route, &parts.headers)?;
        let registry_auth = match route.id {
            "ImageCreate" | "ImagePush" => single(&parts.headers, "x-registry-auth")?,
            "ImageBuild" => single(&parts.headers, "x-registry-config")?,
            _ => None,
        };
        Ok(Call { route, version, name, query, registry_auth, upgrade })
    })
}

/// Gives a refusal the operation it is about.
fn named<T>(route: &'static Route, work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    work().map_err(|refusal| Refusal { operation: Some(route.id), ..refusal })
}

/// The path, decoded. Only `@`, `:` and `+` may be written encoded; everything
/// else has one spelling: itself.
fn canonical(path: &str) -> Result<String, Refusal> {
    let bad = |message: &str| Err(malformed("path.form", format!("the path is not acceptable: {message}")));
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '%' => {
                let c = match rest.get(..2) {
                    Some("40") => '@',
                    Some("3A" | "3a") => ':',
                    Some("2B" | "2b") => '+',
                    _ => return bad("a character is percent-encoded that must not be"),
                };
                decoded.push(c);
                rest = rest.get(2..).unwrap_or("");
            }
            c if c.is_ascii_alphanumeric() || "/._-:@+".contains(c) => decoded.push(c),
            c => return bad(&format!("it holds {c:?}")),
        }
    }
    let Some(relative) = decoded.strip_prefix('/') else { return bad("it does not begin with a slash") };
    if relative.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return bad("it has an empty segment, `.` or `..`");
    }
    Ok(decoded)
}

/// The version, and the path after it.
fn split_version(path: &str) -> Result<(Option<u16>, &str), Refusal> {
    let first = path.split('/').nth(1).unwrap_or("");
    let looks_like_one =
        first.strip_prefix(['v', 'V']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if !looks_like_one {
        return Ok((None, path));
    }
    let minor = first.strip_prefix("v1.").filter(|minor| minor.len() == 2 && minor.bytes().all(|b| b.is_ascii_digit()));
    let minor = minor.and_then(|minor| minor.parse::<u16>().ok()).filter(|minor| (OLDEST..=NEWEST).contains(minor));
    match minor {
        Some(minor) => Ok((Some(minor), path.get(first.len() + 1..).unwrap_or(""))),
        None => Err(malformed(
            "path.version",
            format!("API version {} is not supported: use v1.{OLDEST} to v1.{NEWEST}", shown(first)),
        )),
    }
}

fn read_query(route: &'static Route, query: &str) -> Result<Vec<(&'static str, String)>, Refusal> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key)?, decoded(value)?);
        let Some((key, kind)) = route.query.iter().find(|(known, _)| *known == key) else {
            return Err(denied("query.unknown", format!("the query key {:?} is not allowed here", shown(&key))));
        };
        if *kind != Kind::Texts && found.iter().any(|(known, _)| known == key) {
            return Err(malformed("query.duplicate", format!("the query key {key:?} is there twice")));
        }
        found.push((key, typed(key, *kind, value)?));
    }
    Ok(found)
}

/// Percent-decoding of a query, with `+` for a space as in a form.
fn decoded(text: &str) -> Result<String, Refusal> {
    let bad = || malformed("query.form", "the query is not acceptable");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next()).ok_or_else(bad)?, digit(rest.next()).ok_or_else(bad)?);
                u8::try_from(high * 16 + low).map_err(|_| bad())?
            }
            b';' => return Err(bad()),
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    if text.chars().any(char::is_control) {
        return Err(malformed("query.control", "the query holds a control character"));
    }
    Ok(text)
}

fn typed(key: &str, kind: Kind, value: String) -> Result<String, Refusal> {
    let wrong = |what: &str| Err(malformed("query.type", format!("the query key {key:?} must be {what}")));
    match kind {
        Kind::Flag => match value.as_str() {
            "1" | "true" => Ok("1".to_owned()),
            "" | "0" | "false" => Ok("0".to_owned()),
            _ => wrong("0, 1, true or false"),
        },
        Kind::Number => match value.parse::<i64>() {
            Ok(number) if number.to_string() == value => Ok(value),
            _ if value.is_empty() => Ok(value),
            _ => wrong("a number"),
        },
        Kind::Text | Kind::Texts => Ok(value),
        Kind::Json if value.is_empty() => Ok(value),
        Kind::Json => Ok(json::parse(value.as_bytes())?.to_string()),
        Kind::Filters => Ok(super::filters::Filters::read(&value)?.write()),
    }
}

/// Headers that frame the message, and the upgrade. Returns whether `Upgrade: tcp` is asked for.
fn check_headers(route: &Route, headers: &HeaderMap) -> Result<bool, Refusal> {
    let bad = |message: &str| Err(malformed("http.framing", message.to_owned()));
    single(headers, "host")?;
    let length = single(headers, "content-length")?;
    let encoding = single(headers, "transfer-encoding")?;
    if length.is_some() && encoding.is_some() {
        return bad("Content-Length and Transfer-Encoding must not come together");
    }
    if encoding.as_deref().is_some_and(|encoding| encoding != "chunked") {
        return bad("the only transfer encoding is chunked");
    }
    if length.as_deref().is_some_and(|length| length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit())) {
        return bad("Content-Length must be a number");
    }
    if headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key("http2-settings") {
        return bad("encoded bodies and HTTP/2 settings are not accepted");
    }
    let content = single(headers, "content-type")?.unwrap_or_default().to_ascii_lowercase();
    let content = content.split(';').next().unwrap_or("").trim();
    let empty = encoding.is_none() && length.as_deref().is_none_or(|length| length.bytes().all(|b| b == b'0'));
    match route.body {
        BodyRule::None if !empty => return Err(malformed("body.none", "this operation takes no body")),
        BodyRule::Json if empty => return Err(malformed("body.required", "this operation needs a JSON body")),
        BodyRule::Json if content != "application/json" => {
            return Err(malformed("body.type", "the body must be application/json"));
        }
        BodyRule::JsonOrNone if !empty && content != "application/json" => {
            return Err(malformed("body.type", "the body must be application/json"));
        }
        _ => {}
    }
    if matches!(content, "application/x-www-form-urlencoded" | "multipart/form-data") {
        return Err(malformed("body.form", "form bodies are not accepted"));
    }
    match single(headers, "upgrade")?.as_deref() {
        None => Ok(false),
        Some("tcp") if route.stream == StreamRule::Hijack => Ok(true),
        Some(_) => Err(malformed("http.upgrade", "this upgrade is not possible here")),
    }
}

/// A header that may be there once.
fn single(headers: &HeaderMap, name: &str) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let again = values.next().is_some();
    match value.to_str() {
        Ok(text) if !again => Ok(Some(text.to_owned())),
        _ => Err(malformed("http.header", format!("the header {name} must be there once, in ASCII"))),
    }
}
