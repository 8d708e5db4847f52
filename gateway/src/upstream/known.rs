//! What the daemon said of containers and volumes, kept for as long as it stays
//! true: the daemon's events tell when one is made, renamed, updated or removed.
//!
//! What must hold: nothing is kept while the events are not being followed, and
//! an answer that was asked for before a change is not kept after it. What is
//! kept is used to find the full id and the facts that never change; whatever
//! is forwarded names that id.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::read_answer;
use crate::http1::Piece;
use crate::{Object, ObjectKind};

/// Answers that are kept.
const MOST: usize = 4096;
/// Longest line of an event.
const MAX_EVENT: usize = 1 << 20;
/// Between two attempts to follow the events.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How far back events are asked for, so that none is missed between the
/// answer's head and the daemon's subscription: it sends the head first.
const OVERLAP: Duration = Duration::from_secs(2);

/// Events after which a container is not what it was. All others (`start`,
/// `exec_create: …`, `health_status: …`) change nothing that is kept.
const CHANGES: &[&str] = &["create", "rename", "update", "destroy"];

/// What is kept.
#[derive(Default)]
pub(super) struct Known {
    followed: AtomicBool,
    started: AtomicBool,
    epoch: AtomicU64,
    objects: Mutex<HashMap<String, Object>>,
    lists: Mutex<HashMap<String, Arc<Vec<Object>>>>,
}

fn kept<T: Clone>(map: &Mutex<HashMap<String, T>>, key: &str) -> Option<T> {
    map.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn keep<T>(map: &Mutex<HashMap<String, T>>, key: &str, value: T) {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    if map.len() >= MOST {
        map.clear();
    }
    map.insert(key.to_owned(), value);
}

fn key(kind: ObjectKind, reference: &str) -> String {
    format!("{kind:?} {reference}")
}

impl Known {
    /// The object that a reference stood for when it was last asked for.
    pub(super) fn object(&self, kind: ObjectKind, reference: &str) -> Option<Object> {
        kept(&self.objects, &key(kind, reference)).filter(|_| self.followed.load(Ordering::Acquire))
    }

    /// The containers that carried a label.
    pub(super) fn list(&self, label: &str) -> Option<Arc<Vec<Object>>> {
        kept(&self.lists, label).filter(|_| self.followed.load(Ordering::Acquire))
    }

    /// To be read before the daemon is asked.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn holds(&self, epoch: u64) -> bool {
        self.followed.load(Ordering::Acquire) && self.epoch() == epoch
    }

    /// Keeps an object, unless something has changed since `epoch`.
    pub(super) fn keep_object(&self, kind: ObjectKind, reference: &str, object: &Object, epoch: u64) {
        if self.holds(epoch) {
            keep(&self.objects, &key(kind, reference), object.clone());
            if !self.holds(epoch) {
                self.forget();
            }
        }
    }

    /// Keeps a list, unless something has changed since `epoch`.
    pub(super) fn keep_list(&self, label: &str, list: &Arc<Vec<Object>>, epoch: u64) {
        if self.holds(epoch) {
            keep(&self.lists, label, Arc::clone(list));
            if !self.holds(epoch) {
                self.forget();
            }
        }
    }

    /// Forgets all.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Follows the events from the first look-up on, until nobody has `self` any more.
    pub(super) fn follow(self: &Arc<Self>, socket: &std::path::Path, version: &str) {
        if self.started.swap(true, Ordering::AcqRel) {
            return;
        }
        let (known, socket, version) = (Arc::downgrade(self), socket.to_owned(), version.to_owned());
        tokio::spawn(async move {
            while known.strong_count() > 0 {
                let _ = follow_once(&known, &socket, &version).await;
                let Some(known) = known.upgrade() else { return };
                known.followed.store(false, Ordering::Release);
                known.forget();
                drop(known);
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        });
    }
}

/// Follows until the daemon ends the stream.
async fn follow_once(known: &Weak<Known>, socket: &PathBuf, version: &str) -> std::io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(OVERLAP).as_secs();
    let mut stream = UnixStream::connect(socket).await?;
    // {"type":{"container":true,"volume":true}}
    let filters = "%7B%22type%22%3A%7B%22container%22%3Atrue%2C%22volume%22%3Atrue%7D%7D";
    let request = format!(
        "GET /v{version}/events?since={since}&filters={filters} HTTP/1.1\r\nHost: docker\r\nUser-Agent: stockade-gateway\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = BytesMut::new();
    let mut answer = read_answer(&mut stream, &mut buffer, false, (1, 41)).await?;
    let invalid = |why: &'static str| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    if answer.status != 200 {
        return Err(invalid("the daemon does not tell its events"));
    }
    {
        let Some(known) = known.upgrade() else { return Ok(()) };
        known.forget();
        known.followed.store(true, Ordering::Release);
    }
    let mut line = Vec::new();
    loop {
        match answer.body.next(&mut buffer).map_err(|_| invalid("malformed events"))? {
            Piece::Data(data) => {
                for byte in data {
                    line.push(byte);
                    if byte == b'\n' {
                        let Some(known) = known.upgrade() else { return Ok(()) };
                        if changes(&line) {
                            known.forget();
                        }
                        line.clear();
                    }
                }
                if line.len() > MAX_EVENT {
                    return Err(invalid("an event is too long"));
                }
            }
            Piece::End => return Ok(()),
            Piece::More => {
                buffer.reserve(4096);
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether an event says that a container is not what it was; one that cannot
/// be read may say so.
fn changes(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Event<'a> {
        #[serde(rename = "Action", borrow, default)]
        action: std::borrow::Cow<'a, str>,
    }
    match serde_json::from_slice::<Event<'_>>(line) {
        Ok(event) => event.action.is_empty() || CHANGES.contains(&event.action.as_ref()),
        Err(_) => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_before_a_change_is_not_kept_after_it() {
        let known = Known::default();
        let web = Object { id: "1".into(), ..Object::default() };
        known.keep_object(ObjectKind::Container, "web", &web, known.epoch());
        assert_eq!(known.object(ObjectKind::Container, "web"), None, "the events are not followed");
        known.followed.store(true, Ordering::Release);
        let before = known.epoch();
        known.keep_object(ObjectKind::Container, "web", &web, before);
        assert_eq!(known.object(ObjectKind::Container, "web"), Some(web.clone()));
        known.forget();
        known.keep_object(ObjectKind::Container, "web", &web, before);
        assert_eq!(known.object(ObjectKind::Container, "web"), None);
    }

    #[test]
    fn only_events_that_change_a_container_forget_it() {
        for action in ["create", "rename", "update", "destroy", ""] {
            assert!(changes(format!(r#"{{"Type":"container","Action":"{action}"}}"#).as_bytes()), "{action}");
        }
        assert!(changes(b"{"));
        for action in ["start", "die", "exec_create: sh", "health_status: healthy", "kill"] {
            assert!(!changes(format!(r#"{{"Type":"container","Action":"{action}"}}"#).as_bytes()), "{action}");
        }
    }
}
