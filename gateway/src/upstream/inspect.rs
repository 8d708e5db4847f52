//! What the policy asks the daemon: who an object is and whose.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Upstream, read_answer};
use crate::http1::{Decoder, Piece};
use crate::{ContainerUsage, Docker, LookupError, Object, ObjectKind, QuotaGuard, Reply};

/// Largest description of an object.
const MAX_OBJECT: usize = 8 << 20;
/// How long a pull for a build may take.
const PULL_TIMEOUT: Duration = Duration::from_secs(1800);
/// How long others may be before, each of whom has the daemon's time.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

impl Docker for Upstream {
    fn api_version(&self) -> Reply<'_, String> {
        Box::pin(async move { self.version().await.map(str::to_owned) })
    }

    fn inspect<'a>(&'a self, kind: ObjectKind, reference: &'a str) -> Reply<'a, Option<Object>> {
        Box::pin(async move {
            let keeps = matches!(kind, ObjectKind::Container | ObjectKind::Volume);
            if keeps && let Some(object) = self.known.object(kind, reference) {
                return Ok(Some(object));
            }
            if keeps {
                self.known.follow(&self.path, self.version().await?);
            }
            let epoch = self.known.epoch();
            let found = self.get(&path(kind, reference)).await?;
            let Some(found) = found else { return Ok(None) };
            if kind != ObjectKind::Exec {
                let object = object(kind, found).ok_or_else(|| LookupError("its answer has no id".into()))?;
                if keeps {
                    self.known.keep_object(kind, reference, &object, epoch);
                }
                return Ok(Some(object));
            }
            // An exec is its container's.
            let (id, container) = (text(&found, "ID"), text(&found, "ContainerID"));
            let (id, references) = (id.to_owned(), vec![container.to_owned()]);
            Ok(Some(Object { id, references, details: Arc::new(found), ..Object::default() }))
        })
    }

    fn list<'a>(&'a self, kind: ObjectKind, label: Option<&'a str>) -> Reply<'a, Arc<Vec<Object>>> {
        Box::pin(async move {
            let kept = label.filter(|_| kind == ObjectKind::Container);
            if let Some(list) = kept.and_then(|label| self.known.list(label)) {
                return Ok(list);
            }
            if kept.is_some() {
                self.known.follow(&self.path, self.version().await?);
            }
            let epoch = self.known.epoch();
            let filters = label.map(|label| serde_json::json!({ "label": { label: true } }).to_string());
            let filters = filters.map(|filters| format!("filters={}", encoded(&filters, ""))).unwrap_or_default();
            let path = match kind {
                ObjectKind::Container => format!("/containers/json?all=1&{filters}"),
                ObjectKind::Image => format!("/images/json?all=1&{filters}"),
                ObjectKind::Network => format!("/networks?{filters}"),
                ObjectKind::Volume => format!("/volumes?{filters}"),
                ObjectKind::Exec => return Err(LookupError("it does not list execs".into())),
            };
            let mut found = self.get(&path).await?.unwrap_or_default();
            let items = if kind == ObjectKind::Volume { found["Volumes"].take() } else { found };
            let list = match items {
                Value::Array(items) => items.into_iter().filter_map(|item| object(kind, item)).collect(),
                Value::Null if kind == ObjectKind::Volume => Vec::new(),
                _ => return Err(LookupError("it does not list".into())),
            };
            let list = Arc::new(list);
            if let Some(label) = kept {
                self.known.keep_list(label, &list, epoch);
            }
            Ok(list)
        })
    }

    fn lock<'a>(&'a self, name: &'a str) -> Reply<'a, QuotaGuard> {
        Box::pin(async move {
            let quota_guard = tokio::time::timeout(LOCK_TIMEOUT, self.row(name).lock_owned())
                .await
                .map_err(|_| LookupError("others are before, and take long".into()))?;
            Ok(QuotaGuard(vec![Arc::new(quota_guard)]))
        })
    }

    fn pull<'a>(
        &'a self,
        repository: &'a str,
        version: &'a str,
        platform: Option<&'a str>,
        auth: Option<http::HeaderValue>,
    ) -> Reply<'a, Result<(), String>> {
        Box::pin(async move {
            let mut path = format!(
                "/v{}/images/create?fromImage={}&tag={}",
                self.version().await?,
                encoded(repository, ""),
                encoded(version, "")
            );
            if let Some(platform) = platform {
                let _ = write!(path, "&platform={}", encoded(platform, ""));
            }
            let auth = auth.as_ref().and_then(|auth| auth.to_str().ok());
            let line = auth.map(|auth| format!("X-Registry-Auth: {auth}\r\n")).unwrap_or_default();
            let head = format!("POST {path} HTTP/1.1\r\nHost: docker\r\n{line}Content-Length: 0\r\n\r\n");
            let asked = tokio::time::timeout(PULL_TIMEOUT, self.ask(&head)).await;
            let (status, body) = asked
                .map_err(|_| LookupError("a pull takes too long".into()))?
                .map_err(|error| LookupError(error.to_string()))?;
            let said = String::from_utf8_lossy(&body).into_owned();
            if status >= 400 {
                let message = serde_json::from_str::<Value>(&said).ok();
                return Ok(Err(message.as_ref().map_or(said.as_str(), |value| text(value, "message")).to_owned()));
            }
            // Progress, one JSON object a line, with an error among them.
            let errors = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut errors = errors.filter_map(|line| line.get("error").and_then(Value::as_str).map(str::to_owned));
            Ok(errors.next().map_or(Ok(()), Err))
        })
    }

    fn usage<'a>(&'a self, label: &'a str, memory: bool) -> Reply<'a, ContainerUsage> {
        Box::pin(async move {
            let quota_guard = self.lock(label).await?;
            // Counted now, not remembered.
            self.known.forget();
            let list = self.list(ObjectKind::Container, Some(label)).await?;
            let mut containers = Vec::with_capacity(list.len());
            for id in list.iter().map(|object| object.id.as_str()) {
                let mut bound = None;
                if memory {
                    // What is gone by now does not count.
                    let Some(found) = self.get(&path(ObjectKind::Container, id)).await? else { continue };
                    let bytes = found.pointer("/HostConfig/Memory").and_then(Value::as_u64);
                    bound = bytes.filter(|bytes| *bytes > 0);
                }
                containers.push((id.to_owned(), bound));
            }
            Ok(ContainerUsage { containers, quota_guard })
        })
    }
}

impl Upstream {
    /// A GET of the gateway's own; none for 404 and for names that Docker refuses.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, LookupError> {
        let version = self.version().await?;
        let (status, body) = self.fetch(&format!("/v{version}{path}")).await?;
        match status {
            200 => serde_json::from_slice(&body).map(Some).map_err(|error| LookupError(error.to_string())),
            400 | 404 => Ok(None),
            // A prefix of several ids; moby has no status of its own for it.
            500 if String::from_utf8_lossy(&body).contains("multiple IDs found") => Ok(None),
            _ => Err(LookupError(format!("it answered {status}"))),
        }
    }

    /// The version of our own questions: the configured one, or the older of
    /// the daemon's and the newest that is modelled.
    ///
    /// # Errors
    /// When the daemon cannot be asked.
    pub async fn version(&self) -> Result<&str, LookupError> {
        if let Some(version) = self.pinned.get() {
            return Ok(version);
        }
        let (_, body) = self.fetch("/version").await?;
        let daemon: Value = serde_json::from_slice(&body).map_err(|error| LookupError(error.to_string()))?;
        let version = super::clamped(text(&daemon, "ApiVersion").as_bytes(), self.newest());
        Ok(self.pinned.get_or_init(|| version))
    }

    /// The engine's own version (`28.2.2`), if it answers.
    pub async fn engine(&self) -> Option<String> {
        let (_, body) = self.fetch("/version").await.ok()?;
        let daemon: Value = serde_json::from_slice(&body).ok()?;
        Some(text(&daemon, "Version").to_owned())
    }

    async fn fetch(&self, path: &str) -> Result<(u16, Vec<u8>), LookupError> {
        let seconds = self.answer_seconds();
        tokio::time::timeout(Duration::from_secs(seconds), self.fetch_slowly(path))
            .await
            .map_err(|_| LookupError::timeout(seconds))?
            .map_err(|error| LookupError(error.to_string()))
    }

    async fn fetch_slowly(&self, path: &str) -> std::io::Result<(u16, Vec<u8>)> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n")).await
    }

    /// Sends a request without a body; the answer's status and body.
    async fn ask(&self, head: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let mut link = self.link().await?;
        link.stream.write_all(head.as_bytes()).await?;
        let mut answer = read_answer(&mut link.stream, &mut link.buffer, false, self.newest()).await?;
        let mut body = Vec::new();
        let invalid = |why: &'static str| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
        loop {
            match answer.body.next(&mut link.buffer).map_err(|_| invalid("malformed answer"))? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End => break,
                Piece::More => {
                    link.buffer.reserve(8192);
                    if link.stream.read_buf(&mut link.buffer).await? == 0 {
                        if answer.body == Decoder::UntilEof {
                            break;
                        }
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
            if body.len() > MAX_OBJECT {
                return Err(invalid("its answer is too large"));
            }
        }
        if answer.keep {
            self.give_back(link);
        }
        Ok((answer.status, body))
    }
}

fn path(kind: ObjectKind, reference: &str) -> String {
    match kind {
        ObjectKind::Container => format!("/containers/{}/json", encoded(reference, "")),
        ObjectKind::Image => format!("/images/{}/json", encoded(reference, "/:@")),
        ObjectKind::Network => format!("/networks/{}", encoded(reference, "")),
        ObjectKind::Volume => format!("/volumes/{}", encoded(reference, "")),
        ObjectKind::Exec => format!("/exec/{}/json", encoded(reference, "")),
    }
}

/// Percent-encodes all but what names are made of. A segment of dots only
/// would be another path.
fn encoded(reference: &str, also: &str) -> String {
    let mut path = String::with_capacity(reference.len());
    for segment in reference.split_inclusive('/') {
        let dots = segment.trim_end_matches('/').bytes().all(|byte| byte == b'.');
        for byte in segment.bytes() {
            let plain = byte.is_ascii_alphanumeric()
                || b"-_".contains(&byte)
                || (byte == b'.' && !dots)
                || also.as_bytes().contains(&byte);
            if plain {
                path.push(char::from(byte));
            } else {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An object as `inspect` or a list has it.
fn object(kind: ObjectKind, found: Value) -> Option<Object> {
    let config = found.get("Config").filter(|_| matches!(kind, ObjectKind::Container | ObjectKind::Image));
    let labels = config.unwrap_or(&found).get("Labels").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let texts = |key: &str| {
        let list = found.get(key).and_then(Value::as_array).into_iter().flatten();
        // A list has `<none>:<none>` for what has no name.
        list.filter_map(Value::as_str).filter(|text| !text.starts_with("<none>")).map(str::to_owned).collect::<Vec<_>>()
    };
    let id = text(&found, if kind == ObjectKind::Volume { "Name" } else { "Id" }).to_owned();
    // Of the names in a list those with a second slash are links' aliases.
    let listed = texts("Names").into_iter().find(|name| !name.trim_start_matches('/').contains('/'));
    let name = listed.unwrap_or_else(|| text(&found, "Name").to_owned()).trim_start_matches('/').to_owned();
    let references = [texts("RepoTags"), texts("RepoDigests")].concat();
    (!id.is_empty()).then(|| Object { id, name, labels, references, details: Arc::new(found) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_cannot_leave_its_place_in_the_path() {
        assert_eq!(path(ObjectKind::Container, "../images"), "/containers/%2E%2E%2Fimages/json");
        assert_eq!(path(ObjectKind::Container, "a?b#c\r\n d"), "/containers/a%3Fb%23c%0D%0A%20d/json");
        assert_eq!(
            path(ObjectKind::Image, "registry.local:5000/a/b:1.2@sha256:x"),
            "/images/registry.local:5000/a/b:1.2@sha256:x/json"
        );
        assert_eq!(path(ObjectKind::Image, "../containers"), "/images/%2E%2E/containers/json");
    }

    #[test]
    fn labels_are_found_where_each_kind_has_them() {
        let container = serde_json::json!({"Id": "c1", "Name": "/web", "Config": {"Labels": {"a": "b"}}});
        let volume = serde_json::json!({"Name": "data", "Labels": {"a": "c"}});
        let found = object(ObjectKind::Container, container).unwrap();
        assert_eq!((found.id.as_str(), found.name.as_str()), ("c1", "web"));
        assert_eq!(found.labels, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(
            object(ObjectKind::Volume, volume).map(|object| object.labels),
            Some(vec![("a".into(), "c".into())])
        );
        assert_eq!(object(ObjectKind::Container, serde_json::json!({})), None);
        let listed = serde_json::json!({"Id": "c1", "Names": ["/web/db", "/db"], "RepoTags": ["<none>:<none>"]});
        let listed = object(ObjectKind::Container, listed).unwrap();
        assert_eq!((listed.name.as_str(), listed.references.len()), ("db", 0));
    }
}
