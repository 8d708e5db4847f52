//! Images: pull, push, tag, delete, save, commit, build, search, and the
//! credentials that go with them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::super::{Body, Build, ObjectKind, Refusal, Selection};
use super::filters::Filters;
use super::parse::Call;
use super::reference::{Reference, is_tag};
use super::refusal::{denied, malformed, not_found, shown, unreachable};
use super::request_builder::RequestBuilder;
use super::scope::Scope;
use super::{bodies, build, create, json, limits, members, shape};
use crate::build::{BuildArgs, DockerfilePath};
use crate::name::TenantName;
use crate::tenant;

/// Bytes of a credentials header.
const AUTH_LIMIT: usize = 32 * 1024;

/// `POST /images/create`: a pull, of one tag or digest, from a listed registry.
pub async fn pull(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    let Some(from) = call.given("fromImage") else { return import(scope, call, draft) };
    let mut reference = scope.reachable(from, "image.pull.registry")?;
    match call.given("tag") {
        Some(tag) if reference.tag.is_none() && reference.digest.is_none() => {
            let joint = if tag.starts_with("sha256:") { '@' } else { ':' };
            let whole = format!("{}{joint}{tag}", reference.repository());
            reference = Reference::read(&whole)
                .ok_or_else(|| malformed("image.reference", format!("{:?} is not an image", shown(&whole))))?;
        }
        Some(_) => return Err(malformed("image.reference", "the tag is given twice")),
        None if reference.tag.is_none() && reference.digest.is_none() && scope.tenant.is_some() => {
            let message = "a tenant pulls one tag or digest: all of a repository could move tags of others";
            return Err(denied("image.pull.all", message));
        }
        None => {}
    }
    let auth = credentials(call.registry_auth.as_deref())?;
    if scope.tenant.is_some() && auth.is_some() && !scope.role.grants("private-pull") {
        let message = "an image that is pulled with credentials would be seen by every tenant of this host: \
                       pull without (docker logout), or with a role that has the grant \"private-pull\"";
        return Err(denied("image.pull.credentials", message));
    }
    if let Some(tenant) = scope.tenant
        && scope.taken_by_another(tenant, &reference).await?
    {
        // The registry is asked all the same, for what no registry has, so that
        // the answer is that of an image that is not there.
        let asked = format!("{}@{NOWHERE}", familiar(&reference));
        draft.replace =
            Some((asked, format!("{}:{}", familiar(&reference), reference.tag.as_deref().unwrap_or("latest"))));
        reference.digest = Some(NOWHERE.to_owned());
        reference.tag = None;
    }
    let version = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => digest.clone(),
        (None, tag) => tag.clone().unwrap_or_default(),
    };
    draft.object = Some(reference.to_string());
    draft.query = vec![("fromImage", reference.repository())];
    // Without one the daemon pulls all tags.
    if !version.is_empty() {
        draft.query.push(("tag", version));
    }
    if let Some(platform) = call.given("platform") {
        scope.pulled_platform(&reference, platform)?;
        draft.query.push(("platform", platform_text(platform)?));
    }
    draft.auth("x-registry-auth", auth)
}

/// A digest that no content has.
pub const NOWHERE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A repository as the daemon names it in its messages.
pub fn familiar(reference: &Reference) -> String {
    let repository = reference.repository();
    let short = repository.strip_prefix("docker.io/").unwrap_or(&repository);
    short.strip_prefix("library/").unwrap_or(short).to_owned()
}

impl Scope<'_> {
    /// Whether a tenant sees every image that has a name in a repository.
    async fn sees_all_of(&self, tenant: &TenantName, repository: &Reference) -> Result<(), Refusal> {
        let images = self.docker.list(ObjectKind::Image, None).await.map_err(|error| unreachable(&error))?;
        let mut named = images.iter().filter(|image| {
            let mut names = image.references.iter().filter_map(|name| Reference::read(name));
            names.any(|name| name.host == repository.host && name.path == repository.path)
        });
        match named.all(|image| self.sharing.shows(tenant, tenant::owner(image), &image.references)) {
            true => Ok(()),
            false => Err(not_found(ObjectKind::Image, &repository.repository())),
        }
    }

    /// Whether a tag is on an image that a tenant does not see, or would be one
    /// under another tenant's prefix, which that tenant takes for its own. All
    /// images are listed whatever the answer, so that its time does not tell.
    pub async fn taken_by_another(&self, tenant: &TenantName, reference: &Reference) -> Result<bool, Refusal> {
        let images = self.docker.list(ObjectKind::Image, None).await.map_err(|error| unreachable(&error))?;
        let taken = images.iter().any(|image| {
            let tagged =
                image.references.iter().filter_map(|name| Reference::read(name)).any(|name| reference.means(&name));
            tagged && !self.sharing.shows(tenant, tenant::owner(image), &image.references)
        });
        Ok(taken || self.sharing.is_of_another(tenant, reference))
    }

    /// A platform that a tenant may pull for: a tag of what all share stays on an
    /// image that this host runs.
    ///
    /// # Errors
    /// 403 for a tag outside the tenant's prefix and another platform.
    pub fn pulled_platform(&self, reference: &Reference, platform: &str) -> Result<(), Refusal> {
        let own = self.tenant.is_none_or(|tenant| reference.is_under(tenant));
        if own || reference.digest.is_some() || is_hosts(platform) {
            return Ok(());
        }
        let message = format!(
            "pulling {} for the platform {:?} would move a tag that every tenant of this host uses: \
             pull by digest, or without a platform",
            reference.repository(),
            shown(platform)
        );
        Err(denied("image.pull.platform", message))
    }
}

/// `POST /images/create` without `fromImage`: the body, a tar archive, becomes
/// an image with its owner's label.
fn import(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    match call.given("fromSrc") {
        Some("-") => {}
        Some(_) => {
            let message = "an import from an address is not possible through the gateway: the daemon would fetch it";
            return Err(denied("image.import.fetch", message));
        }
        None => return Err(malformed("image.reference", "the image is missing (fromImage)")),
    }
    build::changes(call.all("changes"))?;
    if call.given("repo").is_some() {
        retag(scope, call, draft)?;
    } else {
        draft.query.retain(|(key, _)| !matches!(*key, "repo" | "tag"));
    }
    if let Some(platform) = call.given("platform") {
        platform_text(platform)?;
    }
    draft.query.push(("changes", build::label_instruction(scope)));
    Ok(())
}

/// Whether a platform (`linux/amd64`, or a part of it) is this host's.
fn is_hosts(platform: &str) -> bool {
    let platform = platform.to_ascii_lowercase();
    let (system, machine) = match platform.split_once('/') {
        Some((system, rest)) => (system, Some(rest)),
        None if platform == "linux" => (platform.as_str(), None),
        None => ("linux", Some(platform.as_str())),
    };
    let names: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["amd64", "x86_64", "x86-64"],
        "aarch64" => &["arm64", "aarch64", "arm64/v8"],
        own => &[own],
    };
    system == "linux" && machine.is_none_or(|machine| names.contains(&machine))
}

fn platform_text(text: &str) -> Result<String, Refusal> {
    let plain = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    if plain { Ok(text.to_owned()) } else { Err(malformed("query.platform", "the platform is not understood")) }
}

/// `POST /images/{name}/push`.
pub async fn push(scope: &Scope<'_>, call: &Call, body: &[u8], draft: &mut RequestBuilder) -> Result<(), Refusal> {
    bodies::nothing(scope, call.route, body)?;
    let reference = scope.reachable(call.name.as_deref().unwrap_or(""), "image.push.registry")?;
    let tag = call.given("tag").or(reference.tag.as_deref()).map(str::to_owned);
    if reference.digest.is_some() || tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
        return Err(malformed("image.reference", "a push names a tag, or all of a repository"));
    }
    let repository = reference.repository();
    scope.view().taggable(&repository)?;
    draft.name(&repository);
    draft.query.retain(|(key, _)| *key != "tag");
    match (tag, scope.tenant) {
        (Some(tag), _) => {
            scope.view().image(&format!("{repository}:{tag}")).await?;
            draft.query.push(("tag", tag));
        }
        // All tags: of images that the tenant sees, each of them.
        (None, Some(tenant)) => scope.sees_all_of(tenant, &reference).await?,
        (None, None) => {}
    }
    // Without a header an engine before 25 wants the credentials in a body.
    let auth = credentials(call.registry_auth.as_deref())?;
    draft.auth("x-registry-auth", Some(auth.unwrap_or_else(|| URL_SAFE.encode("{}"))))
}

/// Passes on the credentials of a call that only looks at a registry.
pub fn with_credentials(call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    draft.auth("x-registry-auth", credentials(call.registry_auth.as_deref())?)
}

/// `POST /images/{name}/tag`, and the tag of a commit: under the tenant's prefix.
pub fn retag(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    let Some(repo) = call.given("repo") else { return Err(malformed("image.reference", "the repository is missing")) };
    let reference = scope.view().taggable(repo)?;
    let tag = match (call.given("tag"), &reference.tag) {
        (Some(_), Some(_)) => return Err(malformed("image.reference", "the tag is given twice")),
        (Some(tag), None) => tag.to_owned(),
        (None, tag) => tag.clone().unwrap_or_else(|| "latest".to_owned()),
    };
    if !is_tag(&tag) {
        return Err(malformed("image.reference", "the tag is not acceptable"));
    }
    draft.query.retain(|(key, _)| !matches!(*key, "repo" | "tag"));
    draft.query.extend([("repo", reference.repository()), ("tag", tag)]);
    Ok(())
}

/// The ids of the images that a tenant sees.
pub async fn seen(scope: &Scope<'_>, tenant: &TenantName) -> Result<Arc<Vec<String>>, Refusal> {
    let images = scope.view().images(tenant).await?;
    Ok(Arc::new(images.into_iter().map(|image| image.id).collect()))
}

/// An image in a filter of containers: the id of one that is seen, else one
/// that no image has.
pub async fn ancestor(scope: &Scope<'_>, text: &str) -> Result<String, Refusal> {
    match scope.view().image(text).await {
        Ok(image) => Ok(image.exact().to_owned()),
        Err(refusal) if refusal.status == 503 => Err(refusal),
        Err(_) => Ok(NOWHERE.to_owned()),
    }
}

/// `GET /images/json` for a tenant: names are compared with what the tenant
/// sees, so by the gateway; images in filters are those that are seen.
pub async fn listed(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<Selection, Refusal> {
    let mut filters = Filters::read(call.get("filters").unwrap_or(""))?;
    for key in ["before", "since"] {
        for value in filters.take(key) {
            filters.add(key, scope.view().image(&value).await?.exact().to_owned());
        }
    }
    let references = filters.take("reference").into_iter().collect();
    draft.filters(&filters);
    Ok(Selection { references, ..Selection::default() })
}

/// `DELETE /images/{name}`: a tag under the tenant's prefix, or an image that
/// is the tenant's with all its tags.
pub async fn delete(scope: &Scope<'_>, name: &str, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    let image = scope.view().image(name).await?;
    let (Some(tenant), Some(object)) = (scope.tenant, &image.object) else {
        draft.name(name);
        return Ok(());
    };
    let prefixed = |text: &str| Reference::read(text).is_some_and(|reference| reference.is_under(tenant));
    // By that name it was found, and not by an id that reads like one.
    let named = Reference::read(name).is_some_and(|wanted| {
        object.references.iter().filter_map(|tag| Reference::read(tag)).any(|tag| wanted.means(&tag))
    });
    if prefixed(name) && named {
        draft.name(name);
        return Ok(());
    }
    let owned = tenant::owner(object) == Some(tenant.as_str()) && object.references.iter().all(|tag| prefixed(tag));
    if !owned {
        return Err(denied("tenant.owner", "this image is shared: only the operator removes it"));
    }
    draft.name(image.exact());
    Ok(())
}

/// An image to be saved, as the daemon is told. Of a repository without a tag
/// the daemon saves every tag, so a tenant has to see each of them.
///
/// # Errors
/// As [`crate::tenant::View::image`].
pub async fn saved(scope: &Scope<'_>, name: &str) -> Result<String, Refusal> {
    let image = scope.view().image(name).await?;
    let sent = image.stable(scope.tenant);
    let named = Reference::read(sent).filter(|named| named.tag.is_none() && named.digest.is_none());
    if let (Some(tenant), Some(repository)) = (scope.tenant, named)
        && image.exact() != sent
    {
        scope.sees_all_of(tenant, &repository).await?;
    }
    Ok(sent.to_owned())
}

/// `POST /images/prune`: with `dangling=false` the daemon removes every tag of
/// what it prunes, so a tenant's images may have none of the operator's.
///
/// # Errors
/// 403 naming the first such tag.
pub async fn prune(scope: &Scope<'_>, call: &Call) -> Result<(), Refusal> {
    let Some(tenant) = scope.tenant else { return Ok(()) };
    let mut filters = Filters::read(call.get("filters").unwrap_or(""))?;
    let dangling = filters.take("dangling");
    // As the daemon, which takes only these for false.
    if !dangling.iter().any(|value| !matches!(value.as_str(), "true" | "1")) {
        return Ok(());
    }
    let images = scope.view().images(tenant).await?;
    let own = images.iter().filter(|image| tenant::owner(image) == Some(tenant.as_str()));
    let others = |name: &&String| Reference::read(name).is_none_or(|name| !name.is_under(tenant));
    match own.flat_map(|image| &image.references).find(others) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "{:?} is a tag of the operator's on an image of yours, which dangling=false would remove: \
                 remove images by name (docker rmi), or prune without -a",
                shown(name)
            );
            Err(denied("image.prune.shared", message))
        }
    }
}

/// `GET /images/get`: each image one that may be seen.
pub async fn save(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    let mut names = Vec::new();
    for (_, name) in call.query.iter().filter(|(key, _)| *key == "names") {
        names.push(("names", saved(scope, name).await?));
    }
    if names.is_empty() {
        return Err(malformed("query.names", "no image is named"));
    }
    draft.query.retain(|(key, _)| *key != "names");
    draft.query.extend(names);
    Ok(())
}

/// `POST /commit`: of a container of the owner's, which passes on its label.
pub async fn commit(scope: &Scope<'_>, call: &Call, body: &[u8], draft: &mut RequestBuilder) -> Result<(), Refusal> {
    let mut map = bodies::commit(scope, body)?;
    create::printable("commit", &map)?;
    create::labels(&mut map, "commit.Labels", scope.image_made_by())?;
    build::changes(call.all("changes"))?;
    let id = scope.used_container(call.given("container").unwrap_or("")).await?.id;
    draft.json(Value::Object(map).to_string().into_bytes());
    if call.given("repo").is_some() {
        retag(scope, call, draft)?;
    } else {
        draft.query.retain(|(key, _)| !matches!(*key, "repo" | "tag"));
    }
    draft.query.retain(|(key, _)| *key != "container");
    draft.query.push(("container", id.clone()));
    draft.object = Some(id);
    Ok(())
}

/// `GET /images/search`: the term may name a registry, which the daemon then calls.
pub fn search(scope: &Scope<'_>, call: &Call) -> Result<(), Refusal> {
    let term = call.given("term").unwrap_or("");
    let plain = !term.is_empty() && term.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-:".contains(&b));
    let named =
        term.split_once('/').map(|(host, _)| host).filter(|host| host.contains(['.', ':']) || *host == "localhost");
    let host = bodies::registry_host(named.unwrap_or("docker.io"));
    if plain && scope.role.registries.iter().any(|entry| bodies::covers_host(entry, &host)) {
        return Ok(());
    }
    Err(denied("registry.search", format!("the registry {:?} is not allowed for this role", shown(&host))))
}

/// `POST /build`, the classic builder. What its Dockerfile refers to is judged
/// once it is there ([`super::build`]).
pub async fn build(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    if !scope.role.grants("build") {
        let message = "building needs the grant \"build\"";
        return Err(denied("build.grant", message));
    }
    if !matches!(call.given("version"), None | Some("1")) {
        return Err(denied(
            "build.version",
            "builds are made by the classic builder here, not by BuildKit: set DOCKER_BUILDKIT=0",
        ));
    }
    for (key, value) in &mut draft.query {
        match *key {
            "t" => *value = scope.view().taggable(value)?.to_string(),
            "networkmode" if !matches!(value.as_str(), "" | "default" | "bridge" | "none") => {
                return Err(denied("build.networkmode", "a build's network is the default or none"));
            }
            "extrahosts" if value.contains("host-gateway") && !scope.role.grants("host-gateway") => {
                return Err(denied("build.extrahosts", "host-gateway is not allowed"));
            }
            _ => {}
        }
    }
    let mut labels = match call.given("labels").map(|text| json::parse_object(text.as_bytes())).transpose()? {
        Some(labels) if labels.values().all(Value::is_string) => labels,
        Some(_) => return Err(malformed("build.labels", "labels must be texts")),
        None => Map::new(),
    };
    if labels.keys().any(|name| json::folded(name).starts_with(tenant::RESERVED)) {
        return Err(denied("build.labels", "labels of the gateway are reserved"));
    }
    // Written last by the builder, so a LABEL in the Dockerfile cannot change it.
    labels.extend(scope.image_made_by());
    draft.put("labels", Value::Object(labels).to_string());
    cache(scope, call, draft).await?;
    build_quotas(scope, call, draft)?;
    let Some(dockerfile) = DockerfilePath::read(call.given("dockerfile")) else {
        return Err(malformed("build.dockerfile", "the Dockerfile lies outside the build context"));
    };
    draft.put("dockerfile", dockerfile.as_str().to_owned());
    let args = match call.given("buildargs").map(|text| json::parse_object(text.as_bytes())).transpose()? {
        None => BuildArgs::new(),
        Some(map) => map
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(value) => Ok((name, Some(value))),
                Value::Null => Ok((name, None)),
                _ => Err(malformed("build.buildargs", "build arguments must be texts")),
            })
            .collect::<Result<_, _>>()?,
    };
    let known = build_credentials(scope, call.registry_auth.as_deref())?;
    // What a tenant pulls with credentials every tenant sees; without them a base
    // that needs them is not found.
    let own = scope.tenant.is_none() || scope.role.grants("private-pull");
    let limit = scope.role.stream;
    let text = |key: &str| call.given(key).map(str::to_owned);
    // Images are pinned by id, which no registry knows: the gateway pulls.
    let pull = call.get("pull") == Some("1");
    draft.query.retain(|(key, _)| *key != "pull");
    draft.tar(limit);
    draft.body = Body::Context(Box::new(Build {
        limit,
        dockerfile,
        args,
        target: text("target"),
        pull,
        platform: text("platform").map(|platform| platform_text(&platform)).transpose()?,
        credentials: if own { build::credentials(&known) } else { Arc::default() },
        role: scope.role_name.to_owned(),
        tenant: scope.tenant.cloned(),
    }));
    Ok(())
}

/// `cachefrom`: of a tenant only images that it sees, by id.
async fn cache(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    let Some(text) = call.given("cachefrom").filter(|_| scope.tenant.is_some()) else { return Ok(()) };
    let list = json::parse(text.as_bytes())?;
    let Some(list) = list.as_array().filter(|list| list.iter().all(Value::is_string)) else {
        return Err(malformed("build.cachefrom", "cachefrom must be a list of images"));
    };
    let mut seen = Vec::new();
    for name in list.iter().filter_map(Value::as_str) {
        match scope.view().image(name).await {
            Ok(image) => seen.push(Value::from(image.exact())),
            // The daemon passes over what is not there.
            Err(refusal) if matches!(refusal.status, 400 | 404) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    draft.put("cachefrom", Value::Array(seen).to_string());
    Ok(())
}

fn build_quotas(scope: &Scope<'_>, call: &Call, draft: &mut RequestBuilder) -> Result<(), Refusal> {
    let number = |key: &str| call.given(key).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let mut host = Map::new();
    for (key, member) in [
        ("memory", "Memory"),
        ("memswap", "MemorySwap"),
        ("cpuquota", "CpuQuota"),
        ("cpuperiod", "CpuPeriod"),
        ("shmsize", "ShmSize"),
    ] {
        host.insert(member.to_owned(), number(key).into());
    }
    limits::on_create(scope.role, &mut host)?;
    let mut set = |key: &'static str, value: i64| {
        draft.query.retain(|(known, _)| *known != key);
        if value != 0 {
            draft.query.push((key, value.to_string()));
        }
    };
    set("memory", host.get("Memory").and_then(Value::as_i64).unwrap_or(0));
    // A build knows no billionths: the role's processors as quota per period.
    if let Some(nano) = host.get("NanoCpus").and_then(Value::as_i64) {
        set("cpuperiod", 100_000);
        set("cpuquota", nano / 10_000);
    }
    Ok(())
}

/// `X-Registry-Auth`, read and written anew; none if it says nothing.
fn credentials(header: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(mut map) = decoded(header)? else { return Ok(None) };
    shape::check(&mut map, members::AUTH, "registry.auth", &[])?;
    map.retain(|_, value| !shape::zero(value));
    Ok((!map.is_empty()).then(|| URL_SAFE.encode(Value::Object(map).to_string())))
}

/// `X-Registry-Config`: credentials by host, of which only the role's registries' go on.
fn build_credentials(scope: &Scope<'_>, header: Option<&str>) -> Result<Map<String, Value>, Refusal> {
    let Some(map) = decoded(header)? else { return Ok(Map::new()) };
    let mut kept = Map::new();
    for (host, entry) in map {
        let Value::Object(mut entry) = entry else {
            return Err(malformed("registry.auth", "the credentials header is not acceptable"));
        };
        shape::check(&mut entry, members::AUTH, "registry.auth", &[])?;
        let name = bodies::registry_host(&host);
        if scope.role.registries.iter().any(|allowed| bodies::covers_host(allowed, &name)) {
            kept.insert(host, Value::Object(entry));
        }
    }
    Ok(kept)
}

fn decoded(header: Option<&str>) -> Result<Option<Map<String, Value>>, Refusal> {
    let bad = || malformed("registry.auth", "the credentials header is not acceptable");
    // Not encoded, the daemon takes it for none.
    let Some(text) = header.filter(|text| !matches!(*text, "" | "{}" | "null")) else { return Ok(None) };
    if text.len() > AUTH_LIMIT {
        return Err(bad());
    }
    // Base64 for URLs is asked for; older clients write the standard alphabet.
    let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    match json::parse(&bytes) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(Value::Null) => Ok(None),
        // The parser's message could quote a secret.
        Ok(_) | Err(_) => Err(bad()),
    }
}
