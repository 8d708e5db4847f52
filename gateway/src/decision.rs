//! What the policy decides, and what it must ask to decide.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::build::{BuildArgs, DockerfilePath};
use super::name::{RoleName, TenantName};
use super::policy::Operation;
use super::policy::rules::{JsonFilter, LineFilter};
use super::store::Tenants;

/// A request as it will be sent to the daemon: made anew from what was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The operation, for the audit log.
    pub operation: Operation,
    /// The object, as its full id where it has one, for the audit log.
    pub object: Option<String>,
    /// The rule that allowed it, for the audit log and `explain`.
    pub rule: String,
    /// The method.
    pub method: http::Method,
    /// Pinned version, path and query, each part encoded anew.
    pub path_and_query: String,
    /// Headers to send; `Host`, framing and connection headers are the proxy's own.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// The body to send.
    pub body: Body,
    /// What becomes of the answer.
    pub response: ResponseRule,
    /// The tenant in whose names an error is told.
    pub tenant: Option<TenantName>,
    /// A text in the daemon's answer and what the client reads in its place.
    pub replace: Option<(String, String)>,
    /// Held until the daemon has answered.
    pub quota_guard: QuotaGuard,
}

/// Locks of the gateway that are held until the daemon has answered: while one
/// is held, nobody else counts the same owner's objects, or mounts a directory
/// of the host. Always taken in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct QuotaGuard(pub Vec<Arc<tokio::sync::OwnedMutexGuard<()>>>);

impl QuotaGuard {
    /// Whether no lock is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a lock is held says nothing of the request.
impl PartialEq for QuotaGuard {
    fn eq(&self, _: &QuotaGuard) -> bool {
        true
    }
}

impl Eq for QuotaGuard {}

/// Which objects of a list a client asked for by what the daemon cannot judge:
/// the names that a tenant has for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Patterns of the filter `name`, one of which must match; none for all.
    pub names: Vec<String>,
    /// Patterns of the filter `reference` of images, one of which must match; none for all.
    pub references: Vec<String>,
    /// At most so many, newest first.
    pub limit: Option<usize>,
    /// Ids of containers that carry the tenant's label and are not the tenant's.
    pub hidden: Vec<String>,
    /// Whether the secrets of what is inspected are masked: it exceeds the role.
    pub masked: bool,
    /// Ids of the images that may be named in an answer (history, parents).
    pub images: Arc<Vec<String>>,
}

impl Selection {
    /// Whether an item of a list is one of the hidden.
    #[must_use]
    pub fn hides(&self, item: &Value) -> bool {
        item.get("Id").and_then(Value::as_str).is_some_and(|id| self.hidden.iter().any(|hidden| hidden == id))
    }
}

/// For whom an answer of the daemon is filtered.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// The tenant; `None` is the operator's view, in which only the secrets of
    /// foreign containers are masked.
    pub tenant: Option<TenantName>,
    /// What is known of images that tenants share.
    pub sharing: Arc<Sharing>,
}

impl PartialEq for Viewer {
    fn eq(&self, other: &Viewer) -> bool {
        self.tenant == other.tenant
    }
}

impl Eq for Viewer {}

/// Which images are everybody's: those without an owner that have a name
/// outside every tenant's prefix and within the operator's list.
#[derive(Debug, Default)]
pub struct Sharing {
    /// Registries and repositories whose images are shared, as in a role's
    /// `registries`; empty: all.
    pub shared: Vec<String>,
    /// Tenants that asked for something since this was made.
    tenants: RwLock<BTreeSet<TenantName>>,
    /// Tenants that are known to the store.
    known: Option<Arc<Tenants>>,
    /// Containers that carry a label by their own right, as `LABEL ID`.
    own: RwLock<BTreeSet<String>>,
}

/// Most containers whose labels were judged.
const MOST_JUDGED: usize = 16_384;

impl Sharing {
    /// With the operator's list, and the tenants of the store.
    #[must_use]
    pub fn new(shared: Vec<String>, known: Arc<Tenants>) -> Sharing {
        Sharing { shared, tenants: RwLock::default(), known: Some(known), own: RwLock::default() }
    }

    /// Whether a container was found to carry a label by its own right.
    #[must_use]
    pub fn has_judged(&self, label: &str, id: &str) -> bool {
        self.own.read().unwrap_or_else(PoisonError::into_inner).contains(&format!("{label} {id}"))
    }

    /// Remembers that.
    pub fn judged(&self, label: &str, id: &str) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= MOST_JUDGED {
            own.clear();
        }
        own.insert(format!("{label} {id}"));
    }

    /// Learns the name of a tenant; whether it is new.
    pub fn learn(&self, tenant: &TenantName) -> bool {
        if self.knows(tenant) {
            return false;
        }
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone())
    }

    /// Whether a name is a tenant's.
    #[must_use]
    pub fn knows(&self, tenant: &str) -> bool {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).contains(tenant)
            || self.known.as_ref().is_some_and(|known| known.snapshot().contains(tenant))
    }
}

/// An owner's containers.
#[derive(Debug, Clone, Default)]
pub struct ContainerUsage {
    /// The full id of each and, where it was asked for and is bounded, its memory in bytes.
    pub containers: Vec<(String, Option<u64>)>,
    /// Nobody else counts them until it is dropped.
    pub quota_guard: QuotaGuard,
}

/// A body to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// These bytes, made anew from the parsed body.
    Bytes(Vec<u8>),
    /// The client's stream (a tar of `build`, `cp`, `load`), at most this many bytes.
    Stream {
        /// The limit.
        limit: u64,
    },
    /// The client's build context, rewritten on the way with a Dockerfile that
    /// the policy writes.
    Context(Box<Build>),
}

impl Body {
    /// Whether it comes from the client while it is sent.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        matches!(self, Body::Stream { .. } | Body::Context(_))
    }
}

/// What must be known of a build once its Dockerfile is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The most bytes of the context, decompressed.
    pub limit: u64,
    /// Where the Dockerfile is.
    pub dockerfile: DockerfilePath,
    /// The build arguments.
    pub args: BuildArgs,
    /// The last stage to build.
    pub target: Option<String>,
    /// Whether images by name are pulled though they are there.
    pub pull: bool,
    /// The platform to pull for.
    pub platform: Option<String>,
    /// By host, the credentials for pulls.
    pub credentials: Arc<Vec<(String, http::HeaderValue)>>,
    /// The role that builds.
    pub role: RoleName,
    /// The tenant that builds.
    pub tenant: Option<TenantName>,
}

/// What becomes of the daemon's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseRule {
    /// Passed on; a stream stays open until the token ends or is revoked.
    Pass,
    /// The connection is taken over (attach, exec start): both ways, half-close carried.
    Hijack,
    /// A JSON body of which only what the viewer may see is passed on, in a tenant's names.
    FilterJson {
        /// What the answer holds.
        filter: JsonFilter,
        /// For whom.
        viewer: Viewer,
        /// What of it was asked for.
        selection: Selection,
    },
    /// A stream of JSON lines of which only what the viewer may see is passed on.
    FilterLines {
        /// What a line holds.
        filter: LineFilter,
        /// For whom.
        viewer: Viewer,
    },
    /// Answered by the gateway itself, without asking the daemon.
    Answer {
        /// The status.
        status: u16,
        /// The JSON body.
        body: String,
    },
}

/// Why a request is refused, as the client sees it and as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (rule: {rule})")]
pub struct Refusal {
    /// HTTP status: 400 malformed, 401 no valid token, 403 not allowed, 404 not
    /// there or not yours, 413 too large, 503 the store or daemon is gone.
    pub status: u16,
    /// One sentence; goes into `{"message": …}`. Never holds a token or a secret.
    pub message: String,
    /// The rule that refused, e.g. `create.HostConfig.Privileged`.
    pub rule: String,
    /// The operation, where it was recognised.
    pub operation: Option<Operation>,
}

/// The sorts of objects that have owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ObjectKind {
    Container,
    Image,
    Network,
    Volume,
    Exec,
}

/// An object as the daemon knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// The full id (for a volume its name).
    pub id: String,
    /// Its name, without a leading slash.
    pub name: String,
    /// Its labels (of an exec: those of its container).
    pub labels: Vec<(String, String)>,
    /// Tags and digests of an image; the container id of an exec.
    pub references: Vec<String>,
    /// All that `inspect` tells of it, or a list where it comes from one.
    pub details: Arc<Value>,
}

/// The daemon could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Docker daemon cannot be asked: {0}")]
pub struct LookupError(pub String);

/// An answer of the daemon, later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, LookupError>> + Send + 'a>>;

impl LookupError {
    /// The daemon took longer than these seconds.
    #[must_use]
    pub fn timeout(seconds: u64) -> LookupError {
        LookupError(format!("{LATE}{seconds} s"))
    }

    /// The seconds that the daemon had, if that is why.
    #[must_use]
    pub fn late(&self) -> Option<u64> {
        self.0.strip_prefix(LATE)?.strip_suffix(" s")?.parse().ok()
    }
}

/// How the text of a time-out begins.
const LATE: &str = "no answer within ";

/// What the policy may ask the daemon before it decides.
pub trait Docker: Send + Sync {
    /// The object that a name, id or unambiguous prefix stands for; none if there is none.
    fn inspect<'a>(&'a self, kind: ObjectKind, reference: &'a str) -> Reply<'a, Option<Object>>;

    /// All objects of a kind, those with a label (`name=value`) where one is
    /// given: containers running or not, images with their layers.
    fn list<'a>(&'a self, kind: ObjectKind, label: Option<&'a str>) -> Reply<'a, Arc<Vec<Object>>> {
        let _ = (kind, label);
        Box::pin(async { Err(LookupError("objects cannot be listed here".to_owned())) })
    }

    /// A lock of this name, which nobody else has until it is dropped.
    fn lock<'a>(&'a self, name: &'a str) -> Reply<'a, QuotaGuard> {
        let _ = name;
        Box::pin(async { Ok(QuotaGuard::default()) })
    }

    /// Pulls a tag or digest; within the outer result, why the registry or the
    /// daemon did not.
    fn pull<'a>(
        &'a self,
        repository: &'a str,
        version: &'a str,
        platform: Option<&'a str>,
        auth: Option<http::HeaderValue>,
    ) -> Reply<'a, Result<(), String>> {
        let _ = (repository, version, platform, auth);
        Box::pin(async { Err(LookupError("images cannot be pulled here".to_owned())) })
    }

    /// The API version that the daemon itself speaks (`1.41`), for a path without one.
    fn api_version(&self) -> Reply<'_, String> {
        Box::pin(async { Err(LookupError("its API version is not known".to_owned())) })
    }

    /// The containers that carry a label (`name=value`), running or not, counted
    /// in turn; with `memory` also what each may use.
    fn usage<'a>(&'a self, label: &'a str, memory: bool) -> Reply<'a, ContainerUsage> {
        let _ = (label, memory);
        Box::pin(async { Err(LookupError("containers cannot be counted here".to_owned())) })
    }
}
