//! From a request's head to a [`Call`]: one operation of the table, the object
//! it names and its query, all typed. What could be read in two ways is refused.
//!
//! What must hold: only a `Call` goes on to be decided, and what is forwarded
//! is written from it, never copied from the request.

use http::request::Parts;
use http::{HeaderMap, Method, header};
use serde_json::Value;

use super::super::{Refusal, percent};
use super::refusal::{denied, malformed, shown, too_large};
use super::routes::{BodyRule, Class, Kind, Route, StreamRule, find};
use super::{Operation, json};

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
    /// The minor version of `v1.N`; none where the path had none, which then
    /// means the configured version or the daemon's own.
    pub version: Option<u16>,
    /// What the path's variable stands for, as the client wrote it.
    pub name: Option<String>,
    /// Query keys and values, decoded and typed, in the client's order; what
    /// the daemon does not read is left out.
    pub query: Vec<(&'static str, String)>,
    /// What becomes of the body: the route's rule, except that `ImageCreate`
    /// takes a stream where it imports.
    pub body: BodyRule,
    /// `X-Registry-Auth` or `X-Registry-Config`, as it came; read where it is used.
    pub registry_auth: Option<String>,
    /// `Upgrade: tcp` was asked for. A route that takes the connection over
    /// does so without it too, after a 200 instead of a 101.
    pub upgrade: bool,
}

impl Call {
    /// How many bytes of body may be read before deciding: 0 for a route
    /// without one, and for a stream, which is not read at all.
    pub fn body_limit(&self) -> u64 {
        match self.body {
            BodyRule::Json | BodyRule::JsonOrNone | BodyRule::Ignored => JSON_LIMIT,
            BodyRule::None | BodyRule::Stream => 0,
        }
    }

    /// Whether the body is passed on as a stream, with the limit that `decide` sets.
    pub fn streams_body(&self) -> bool {
        self.body == BodyRule::Stream
    }

    /// Whether the answer may stay open with nothing said.
    pub fn follows(&self) -> bool {
        self.route.stream != StreamRule::Plain
    }

    /// The value of a query key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// All values of a query key that may be there more than once.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(name, _)| *name == key).map(|(_, value)| value.as_str())
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
    if route.class == Class::Never {
        // Refused whatever it says, by that it is never forwarded; its body is not read.
        let call = Call {
            route,
            version,
            name,
            query: Vec::new(),
            body: BodyRule::Stream,
            registry_auth: None,
            upgrade: false,
        };
        return Ok(call);
    }
    named(route, || {
        let query = read_query(route, query.unwrap_or(""))?;
        let body = body_rule(route, &query);
        let upgrade = check_headers(route, body, &parts.headers)?;
        let registry_auth = match route.credentials {
            Some(header) => single(&parts.headers, header)?,
            None => None,
        };
        Ok(Call { route, version, name, query, body, registry_auth, upgrade })
    })
}

/// `POST /images/create` is a pull where `fromImage` says something, whose body
/// the daemon does not read, and else an import, whose body may be the archive.
fn body_rule(route: &Route, query: &[(&'static str, String)]) -> BodyRule {
    let pulls = query.iter().any(|(key, value)| *key == "fromImage" && !value.is_empty());
    if route.operation == Operation::ImageCreate && !pulls { BodyRule::Stream } else { route.body }
}

/// Gives a refusal the operation it is about.
fn named<T>(route: &'static Route, work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    work().map_err(|refusal| Refusal { operation: Some(route.operation), ..refusal })
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
    let mut seen: Vec<&'static str> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key)?, decoded(value)?);
        let Some((key, kind)) = route.query.iter().find(|(known, _)| *known == key) else {
            // Some clients repeat the members of the body here, where the daemon does not read them.
            if route.members.is_some_and(|body| body.iter().any(|(known, _)| *known == key)) {
                continue;
            }
            return Err(denied("query.unknown", format!("the query key {:?} is not allowed here", shown(&key))));
        };
        if !kind.repeats() && seen.contains(key) {
            return Err(malformed("query.duplicate", format!("the query key {key:?} is there twice")));
        }
        seen.push(key);
        typed(key, *kind, value, &mut found)?;
    }
    Ok(found)
}

/// A key or value of the query, decoded as a form's.
fn decoded(text: &str) -> Result<String, Refusal> {
    let plain = |byte| byte != b';';
    percent::decode_form(text, plain).ok_or_else(|| malformed("query.form", "the query is not acceptable"))
}

/// Reads a value and keeps what is to be sent of it: in one spelling, and not
/// at all where it says nothing.
fn typed(key: &'static str, kind: Kind, value: String, found: &mut Vec<(&'static str, String)>) -> Result<(), Refusal> {
    let wrong = |what: &str| malformed("query.type", format!("the query key {key:?} must be {what}"));
    if kind != Kind::Ignored && value.chars().any(|c| c.is_control() && !(kind == Kind::Lines && c == '\n')) {
        return Err(malformed("query.control", format!("the query key {key:?} holds a control character")));
    }
    let kept = match kind {
        Kind::Ignored => return Ok(()),
        Kind::Refused if value.is_empty() => return Ok(()),
        Kind::Off if flag(&value) == Some(false) => return Ok(()),
        Kind::Off | Kind::Refused => {
            return Err(denied(
                format!("query.{key}"),
                format!("the query key {key:?} is not allowed through the gateway"),
            ));
        }
        Kind::FlagOrDefault if value.is_empty() => return Ok(()),
        Kind::Flag | Kind::FlagOrDefault => match flag(&value) {
            Some(true) => "1".to_owned(),
            Some(false) => "0".to_owned(),
            None => return Err(wrong("true or false (1, 0)")),
        },
        Kind::Number if value.is_empty() => return Ok(()),
        Kind::Number => value.parse::<i64>().map_err(|_| wrong("a number"))?.to_string(),
        Kind::Texts | Kind::Jsons if value.is_empty() => return Ok(()),
        Kind::Text | Kind::Texts => value,
        Kind::Keys if is_key_sequence(&value) => value,
        Kind::Keys => return Err(wrong("keys such as \"ctrl-p,ctrl-q\"")),
        Kind::Lines => {
            found.extend(value.split('\n').filter(|line| !line.is_empty()).map(|line| (key, line.to_owned())));
            return Ok(());
        }
        Kind::Json if value.is_empty() => return Ok(()),
        Kind::Json | Kind::Jsons => match json::parse(value.as_bytes())? {
            Value::Null => return Ok(()),
            value => value.to_string(),
        },
        Kind::Filters => super::filters::Filters::read(&value)?.write(),
    };
    found.push((key, kept));
    Ok(())
}

/// A boolean that both readings judge alike: Go's `strconv.ParseBool`, by which
/// clients write one, and the daemon's own (moby, `httputils.BoolValue`), to
/// which `""`, `0`, `no`, `false` and `none` in any case are false and all else
/// is true. So `f`, `yes` and `no` are none.
fn flag(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "" | "0" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whether the daemon takes a text for a sequence of keys (moby, `term.ToBytes`):
/// single characters, `ctrl-` with a letter or one of `@[\]^_`, and `DEL`.
pub fn is_key_sequence(text: &str) -> bool {
    text.is_empty()
        || text.split(',').all(|key| match key.strip_prefix("ctrl-") {
            Some(with) => with.len() == 1 && with.bytes().all(|b| b.is_ascii_lowercase() || b"@[\\]^_".contains(&b)),
            None => key == "DEL" || (key.len() == 1 && key.is_ascii()),
        })
}

/// Headers that frame the message, and the upgrade. Returns whether `Upgrade: tcp` is asked for.
fn check_headers(route: &Route, body: BodyRule, headers: &HeaderMap) -> Result<bool, Refusal> {
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
    if headers.contains_key("http2-settings") {
        return bad("HTTP/2 settings are not accepted");
    }
    let empty = encoding.is_none() && length.as_deref().is_none_or(|length| length.bytes().all(|b| b == b'0'));
    match body {
        BodyRule::None if !empty => return Err(malformed("body.none", "this operation takes no body")),
        BodyRule::Json if empty => return Err(malformed("body.required", "this operation needs a JSON body")),
        BodyRule::Json | BodyRule::JsonOrNone | BodyRule::Ignored if !empty => json_only(headers)?,
        BodyRule::Stream if !empty => stream_only(headers)?,
        // The type of a body that is not there says nothing.
        BodyRule::None | BodyRule::Json | BodyRule::JsonOrNone | BodyRule::Ignored | BodyRule::Stream => {}
    }
    match single(headers, "upgrade")?.as_deref() {
        None => Ok(false),
        Some("tcp") if route.stream == StreamRule::Hijack => Ok(true),
        Some(_) => Err(malformed("http.upgrade", "this upgrade is not possible here")),
    }
}

/// The media types that are named, small and without parameters. More than one
/// line is read: some clients write a default and their own. None is passed on.
fn media_types(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let mut types = Vec::new();
    for value in headers.get_all(header::CONTENT_TYPE) {
        let text = value.to_str().map_err(|_| malformed("http.header", "Content-Type must be in ASCII"))?;
        let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
        types.push(parts.next().unwrap_or_default());
        if parts.any(|part| part.strip_prefix("charset=").is_some_and(|set| !is_utf8(set.trim_matches('"')))) {
            return Err(malformed("body.type", "the body's character set must be UTF-8"));
        }
    }
    Ok(types)
}

fn is_utf8(charset: &str) -> bool {
    matches!(charset, "utf-8" | "utf8" | "us-ascii")
}

fn json_only(headers: &HeaderMap) -> Result<(), Refusal> {
    let types = media_types(headers)?;
    if types.is_empty() || types.iter().any(|name| name != "application/json") {
        return Err(malformed("body.type", "the body must be application/json"));
    }
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        return Err(malformed("body.encoding", "a JSON body must not be compressed"));
    }
    Ok(())
}

/// A stream is an archive, whatever it is called, but never a form, which Go's
/// `ParseForm` would read. Its compression is told by its first bytes (moby,
/// `archive.DetectCompression`); the header says it for the client alone.
fn stream_only(headers: &HeaderMap) -> Result<(), Refusal> {
    let form = |name: &String| matches!(name.as_str(), "application/x-www-form-urlencoded" | "multipart/form-data");
    if media_types(headers)?.iter().any(form) {
        return Err(malformed("body.form", "form bodies are not accepted"));
    }
    let known = |coding: &header::HeaderValue| {
        ["identity", "gzip", "x-gzip", "bzip2", "xz", "zstd"].iter().any(|known| coding == known)
    };
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(known) {
        return Err(malformed("body.encoding", "the content coding is not known"));
    }
    Ok(())
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
