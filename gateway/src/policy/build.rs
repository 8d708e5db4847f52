//! What a build may take in: its Dockerfile, once it is known, with every
//! image that it refers to resolved for the token that builds and pinned by id.
//!
//! What must hold: the daemon builds from images that were judged here and
//! from nothing else; every image that a build makes carries its owner's label
//! from its first layer on, so that neither the layers nor the daemon's cache
//! of them are another's; the daemon fetches only from hosts that the role
//! lists.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use serde_json::Value;

use super::super::{Build, Object, ObjectKind, Refusal};
use super::image::{NOWHERE, familiar};
use super::reference::{Reference, is_full_id};
use super::refusal::{denied, malformed, not_found, shown, unreachable};
use super::scope::Scope;
use crate::build::{Dockerfile, DockerfileError, Fetch, ImageReference, ReferenceUse};
use crate::name::TenantName;
use crate::tenant;

/// A registry's host and the header with which it is asked.
pub type Credentials = Vec<(String, HeaderValue)>;

fn refused(error: &DockerfileError) -> Refusal {
    malformed("build.dockerfile", format!("Dockerfile, line {}: {}", error.line, error.message))
}

/// The Dockerfile to send in place of the client's.
///
/// # Errors
/// What cannot be decided, is not allowed or is not there, with its line.
pub async fn dockerfile(scope: &Scope<'_>, build: &Build, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let parsed = Dockerfile::parse(bytes).map_err(|error| refused(&error))?;
    let target = build.target.as_deref();
    for fetch in parsed.fetches(target).map_err(|error| refused(&error))? {
        fetched(scope, &fetch)?;
    }
    bounded(&parsed)?;
    let mut pins: HashMap<String, Object> = HashMap::new();
    for reference in parsed.references(&build.args, target).map_err(|error| refused(&error))? {
        if !pins.contains_key(&reference.reference) {
            let image = base(scope, build, &reference).await?;
            pins.insert(reference.reference.clone(), image);
        }
        let Some(image) = pins.get(&reference.reference).filter(|_| reference.usage == ReferenceUse::From) else {
            continue;
        };
        let triggers = image.details.pointer("/Config/OnBuild").and_then(Value::as_array).into_iter().flatten();
        let triggers: Vec<String> = triggers.filter_map(Value::as_str).map(str::to_owned).collect();
        let made = parsed.check_onbuild(reference.stage, &triggers).map_err(|error| refused(&error))?;
        if made.unlabelled > 0 && scope.tenant.is_some() && tenant::owner(image) != scope.tenant.map(TenantName::as_str)
        {
            let message = format!(
                "Dockerfile, line {}: the base image {:?} has ONBUILD triggers, whose layers would have no owner: \
                 a tenant builds from it only after an own image was made of it without them",
                reference.line,
                shown(&reference.reference)
            );
            return Err(denied("build.onbuild", message));
        }
    }
    let mut labels = scope.image_made_by();
    if scope.tenant.is_none() {
        labels.insert(tenant::BUILDER.to_owned(), scope.role_name.as_str().into());
    }
    let labels: Vec<(String, String)> =
        labels.into_iter().map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned())).collect();
    let pinned = |reference: &ImageReference| pins.get(&reference.reference).map(|image| image.id.clone());
    parsed.render(&build.args, target, &labels, &pinned).map_err(|error| refused(&error))
}

/// Bytes that a variable of a build may grow to.
const VARIABLE: usize = 1 << 20;

/// The daemon expands variables in memory: `ENV a=$a$a`, repeated, doubles
/// without end.
fn bounded(parsed: &Dockerfile) -> Result<(), Refusal> {
    use crate::build::Keyword;
    let stages = parsed.stages(None).map_err(|error| refused(&error))?;
    let mut longest = 0_usize;
    for instruction in parsed.meta_args().iter().chain(stages.iter().flat_map(|stage| &stage.instructions)) {
        if !matches!(instruction.keyword, Keyword::Env | Keyword::Arg) {
            continue;
        }
        let used = instruction.args.matches('$').count();
        longest = longest.max(used.saturating_mul(longest).saturating_add(instruction.args.len()));
        if longest > VARIABLE {
            let message =
                format!("Dockerfile, line {}: a variable could grow beyond {VARIABLE} bytes", instruction.line);
            return Err(denied("build.variables", message));
        }
    }
    Ok(())
}

/// `ADD` of a URL: only from a host that the role lists. The daemon follows
/// redirects and resolves names by itself, so no class of hosts is allowed.
fn fetched(scope: &Scope<'_>, fetch: &Fetch) -> Result<(), Refusal> {
    let host = &fetch.host;
    let with_port = format!("{host}:{}", fetch.port);
    let usual = matches!(fetch.port, 80 | 443);
    let listed = scope.role.fetch.iter().any(|entry| *entry == with_port || (usual && entry == host));
    if listed {
        return Ok(());
    }
    let message = format!(
        "Dockerfile, line {}: ADD makes the daemon fetch from {:?}, which is not among the role's `fetch`",
        fetch.line,
        shown(&with_port)
    );
    Err(denied("build.fetch", message))
}

/// An image by reference, as the daemon describes it. One that is not there is
/// pulled, as the daemon would.
async fn base(scope: &Scope<'_>, build: &Build, reference: &ImageReference) -> Result<Object, Refusal> {
    let text = &reference.reference;
    let named = Reference::read(text).filter(|_| !is_full_id(text.strip_prefix("sha256:").unwrap_or(text)));
    let found = seen(scope, text).await?;
    let pulls = named.filter(|_| found.is_none() || build.pull);
    let Some(named) = pulls else { return found.ok_or_else(|| not_found(ObjectKind::Image, text)) };
    let named = scope.reachable(&named.to_string(), "build.registry")?;
    let platform = reference.platform.as_deref().or(build.platform.as_deref());
    if let Some(platform) = platform {
        scope.pulled_platform(&named, platform)?;
    }
    pull(scope, build, &named, platform).await?;
    seen(scope, text).await?.ok_or_else(|| not_found(ObjectKind::Image, text))
}

/// The image that a reference stands for, if the token's tenant sees it.
async fn seen(scope: &Scope<'_>, text: &str) -> Result<Option<Object>, Refusal> {
    let view = scope.view();
    match view.image(text).await {
        Ok(image) => view.look(ObjectKind::Image, image.exact()).await,
        Err(refusal) if refusal.status == 404 => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

async fn pull(scope: &Scope<'_>, build: &Build, named: &Reference, platform: Option<&str>) -> Result<(), Refusal> {
    let auth = build.credentials.iter().find(|(host, _)| *host == named.host).map(|(_, header)| header.clone());
    let version = named.digest.clone().or_else(|| named.tag.clone()).unwrap_or_else(|| "latest".to_owned());
    // As in a pull: another's tag is not moved, and answers as what is not there.
    let taken = match scope.tenant {
        Some(tenant) => scope.taken_by_another(tenant, named).await?,
        None => false,
    };
    let asked = if taken { NOWHERE.to_owned() } else { version.clone() };
    let pulled = scope.docker.pull(&named.repository(), &asked, platform, auth).await;
    pulled.map_err(|error| unreachable(&error))?.map_err(|why| {
        let (from, to) = (format!("{}@{NOWHERE}", familiar(named)), format!("{}:{version}", familiar(named)));
        Refusal { status: 404, message: why.replace(&from, &to), rule: "build.pull".to_owned(), operation: None }
    })
}

/// The instructions of `commit --change` and `import --change`, one a text: only
/// such as set the configuration, and no label of the gateway's.
///
/// # Errors
/// The first that is not one.
pub fn changes<'a>(changes: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    use crate::build::Keyword;
    let texts: Vec<&str> = changes.collect();
    // The daemon reads them joined to one Dockerfile.
    let text = format!("FROM scratch\n{}\n", texts.join("\n"));
    let wrong = |error: DockerfileError| {
        malformed("image.changes", format!("change {}: {}", error.line.saturating_sub(1), error.message))
    };
    let parsed = Dockerfile::parse(text.as_bytes()).map_err(wrong)?;
    let instructions = match parsed.stages(None).map_err(wrong)? {
        [stage] => &stage.instructions,
        _ => return Err(denied("image.changes", "a change is no FROM")),
    };
    let lines = texts.iter().flat_map(|text| text.split('\n')).filter(|line| !line.trim().is_empty()).count();
    if instructions.len() != lines {
        return Err(malformed("image.changes", "a change is one instruction on one line"));
    }
    for instruction in instructions {
        let allowed = matches!(
            instruction.keyword,
            Keyword::Cmd
                | Keyword::Entrypoint
                | Keyword::Env
                | Keyword::Expose
                | Keyword::Healthcheck
                | Keyword::Label
                | Keyword::Onbuild
                | Keyword::StopSignal
                | Keyword::User
                | Keyword::Volume
                | Keyword::Workdir
        );
        if !allowed {
            let message = format!("{} is no change of an image's configuration", instruction.keyword.text());
            return Err(denied("image.changes", message));
        }
    }
    Ok(())
}

/// The labels of an image that is made, as an instruction.
pub fn label_instruction(scope: &Scope<'_>) -> String {
    let labels = scope.image_made_by();
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("\"{name}\"=\"{}\"", value.as_str().unwrap_or_default())).collect();
    format!("LABEL {}", pairs.join(" "))
}

/// Credentials by host as `X-Registry-Auth` headers.
pub fn credentials(map: &serde_json::Map<String, Value>) -> Arc<Credentials> {
    use base64::Engine as _;
    let header = |(host, entry): (&String, &Value)| {
        let text = base64::engine::general_purpose::URL_SAFE.encode(entry.to_string());
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some((super::bodies::registry_host(host), header))
    };
    Arc::new(map.iter().filter_map(header).collect())
}
