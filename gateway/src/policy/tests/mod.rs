//! The policy against a daemon of the tests' own: what is allowed and how it
//! is sent, what is refused and by which rule.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bodies;
mod bypass;
mod client;
mod forms;
mod names;
mod quotas;
mod recordings;
mod robust;
mod roles;
mod routes;
mod tenants;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::policy::{Policy, parse};
use crate::{
    Body, ContainerUsage, Docker, Forward, Identity, LookupError, Object, ObjectKind, Refusal, Reply, RoleName,
    TenantName, TokenVerified, Viewer, tenant,
};

/// A daemon that knows a few objects.
#[derive(Default)]
pub struct Daemon {
    objects: BTreeMap<(String, String), Object>,
    broken: bool,
    usage: Vec<(String, Option<u64>)>,
}

pub fn hex(digit: char) -> String {
    std::iter::repeat_n(digit, 64).collect()
}

/// What the daemon tells of a container that asked for nothing.
pub fn details(tenant: Option<&str>) -> Value {
    let mark = tenant.map(|tenant| format!("stockade-gateway:tenant={tenant}:role=deploy"));
    json!({
        "Config": {"User": "1000"},
        "HostConfig": {"MaskedPaths": ["/proc/kcore"], "ReadonlyPaths": ["/proc/sys"], "ContainerIDFile": mark},
        "Mounts": [],
    })
}

pub fn object(id: &str, name: &str, owner: Option<&str>, tags: &[&str]) -> Object {
    Object {
        id: id.to_owned(),
        name: name.to_owned(),
        labels: owner.map(|owner| (tenant::LABEL.to_owned(), owner.to_owned())).into_iter().collect(),
        references: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        details: Arc::new(details(owner)),
    }
}

impl Daemon {
    pub fn with(mut self, kind: ObjectKind, names: &[&str], object: Object) -> Daemon {
        for name in names {
            self.objects.insert((format!("{kind:?}"), (*name).to_owned()), object.clone());
        }
        self.objects.insert((format!("{kind:?}"), object.id.clone()), object);
        self
    }

    /// `team` owns a container, an exec, a network, a volume and an image;
    /// `rival` the same; `alpine` is nobody's.
    pub fn usual() -> Daemon {
        use ObjectKind::{Container, Exec, Image, Network, Volume};
        Daemon::default()
            .with(Container, &["team__web"], object(&hex('a'), "team__web", Some("team"), &[]))
            .with(Container, &["theirs"], object(&hex('b'), "theirs", Some("rival"), &[]))
            .with(Container, &["system"], object(&hex('c'), "system", None, &[]))
            .with(
                Container,
                &["web", "w2", "w3"],
                Object { details: Arc::new(details(Some(""))), ..object(&hex('d'), "web", Some(""), &[]) },
            )
            .with(Exec, &[], object(&hex('e'), "", Some("team"), &[&hex('a')]))
            .with(Exec, &[], object(&hex('f'), "", Some("rival"), &[&hex('b')]))
            .with(Network, &["team__n", "team__mynet"], object(&hex('1'), "team__n", Some("team"), &[]))
            .with(Network, &["rivalnet"], object(&hex('2'), "rivalnet", Some("rival"), &[]))
            .with(Network, &["mynet", "n"], object(&hex('8'), "mynet", Some(""), &[]))
            .with(Volume, &["v", "v2"], object("v", "v", Some(""), &[]))
            .with(Volume, &[], object("team__v", "team__v", Some("team"), &[]))
            .with(Volume, &[], object("old", "old", Some("team"), &[]))
            .with(Volume, &[], object("theirvol", "theirvol", Some("rival"), &[]))
            .with(
                Image,
                &["alpine", "alpine:latest", "docker.io/library/alpine:latest", "b", "c"],
                object(&format!("sha256:{}", hex('3')), "", None, &["alpine:latest", "b:latest", "c:latest"]),
            )
            .with(
                Image,
                &["team/x:1", "docker.io/team/x:1", "docker.io/team/x"],
                object(&format!("sha256:{}", hex('4')), "", Some("team"), &["team/x:1"]),
            )
            .with(
                Image,
                &["rival/x:1", "docker.io/rival/x:1"],
                object(&format!("sha256:{}", hex('5')), "", Some("rival"), &["rival/x:1"]),
            )
    }

    /// Under every label it counts these.
    pub fn with_containers(mut self, containers: &[(&str, Option<u64>)]) -> Daemon {
        self.usage = containers.iter().map(|(id, memory)| ((*id).to_owned(), *memory)).collect();
        self
    }

    /// One that does not answer.
    pub fn broken() -> Daemon {
        Daemon { broken: true, ..Daemon::default() }
    }
}

impl Docker for Daemon {
    fn api_version(&self) -> Reply<'_, String> {
        let broken = self.broken;
        Box::pin(async move { if broken { Err(LookupError("no answer".to_owned())) } else { Ok("1.50".to_owned()) } })
    }

    fn inspect<'a>(&'a self, kind: ObjectKind, reference: &'a str) -> Reply<'a, Option<Object>> {
        let found = self.objects.get(&(format!("{kind:?}"), reference.to_owned())).cloned();
        let broken = self.broken;
        Box::pin(async move { if broken { Err(LookupError("no answer".to_owned())) } else { Ok(found) } })
    }

    fn list<'a>(&'a self, kind: ObjectKind, label: Option<&'a str>) -> Reply<'a, Arc<Vec<Object>>> {
        let kind = format!("{kind:?}");
        let carries = |object: &Object| {
            label.is_none_or(|label| object.labels.iter().any(|(name, value)| format!("{name}={value}") == label))
        };
        let all = self.objects.iter().filter(|((of, _), object)| *of == kind && carries(object));
        let named = |(name, object): (&str, &Object)| match name == object.id || kind == "Image" {
            true => object.clone(),
            false => Object { name: name.to_owned(), ..object.clone() },
        };
        let list: Vec<Object> = all.map(|((_, name), object)| named((name, object))).collect();
        let broken = self.broken;
        Box::pin(async move { if broken { Err(LookupError("no answer".to_owned())) } else { Ok(Arc::new(list)) } })
    }

    fn usage<'a>(&'a self, _: &'a str, _: bool) -> Reply<'a, ContainerUsage> {
        let usage = ContainerUsage { containers: self.usage.clone(), ..ContainerUsage::default() };
        Box::pin(async move { Ok(usage) })
    }
}

/// For whom answers are filtered.
pub fn viewer(tenant: &str) -> Viewer {
    Viewer { tenant: Some(TenantName::parse(tenant).unwrap()), ..Viewer::default() }
}

pub fn team() -> Viewer {
    viewer("team")
}

pub fn identity(role: &str, tenant: Option<&str>) -> Identity {
    Identity {
        issuer: "gateway".to_owned(),
        subject: "ci".to_owned(),
        tenant: tenant.map(|tenant| TenantName::parse(tenant).unwrap()),
        role: RoleName::parse(role).unwrap(),
        session: None,
        token_id: "1".to_owned(),
        expires: u64::MAX,
        proof: TokenVerified(()),
    }
}

/// A request: method, target, headers besides Host, body.
#[derive(Clone)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: &'a [u8],
}

pub fn ask<'a>(method: &'a str, target: &'a str) -> Ask<'a> {
    Ask { method, target, headers: vec![], body: b"" }
}

impl<'a> Ask<'a> {
    pub fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn body(mut self, body: &'a str) -> Self {
        self.body = body.as_bytes();
        self
    }

    pub fn parts(&self) -> http::request::Parts {
        let mut request = http::Request::builder().method(self.method).uri(self.target).header("host", "docker");
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        let named = |name: &str| self.headers.iter().any(|(known, _)| *known == name);
        if !self.body.is_empty() && !named("content-length") && !named("transfer-encoding") {
            request = request.header("content-length", self.body.len());
        }
        if !self.body.is_empty() && !named("content-type") {
            request = request.header("content-type", "application/json");
        }
        request.body(()).unwrap().into_parts().0
    }

    pub async fn by(&self, policy: &Policy, identity: &Identity, daemon: &Daemon) -> Result<Forward, Refusal> {
        let call = parse(&self.parts())?;
        policy.decide(identity, call, self.body, daemon).await
    }

    /// For the team's deploy role.
    pub async fn deploy(&self) -> Result<Forward, Refusal> {
        self.by(&Policy::bundled().unwrap(), &identity("deploy", Some("team")), &Daemon::usual()).await
    }

    /// For the operator.
    pub async fn operator(&self) -> Result<Forward, Refusal> {
        self.by(&Policy::bundled().unwrap(), &identity("operator", None), &Daemon::usual()).await
    }

    /// For an operator's role within the team.
    pub async fn operator_of_team(&self) -> Result<Forward, Refusal> {
        self.by(&Policy::bundled().unwrap(), &identity("operator", Some("team")), &Daemon::usual()).await
    }

    /// The rule that refuses, for the team's deploy role.
    pub async fn rule(&self) -> String {
        match self.deploy().await {
            Ok(forward) => panic!("{} {} was allowed: {forward:?}", self.method, self.target),
            Err(refusal) => refusal.rule,
        }
    }
}

/// A create body with these members of HostConfig.
pub fn create_body(host: Value) -> String {
    json!({"Image": "alpine", "HostConfig": host}).to_string()
}

pub async fn create(body: &str) -> Result<Value, Refusal> {
    ask("POST", "/v1.47/containers/create").body(body).deploy().await.map(|forward| sent(&forward))
}

pub async fn create_rule(host: Value) -> String {
    match create(&create_body(host.clone())).await {
        Ok(sent) => panic!("{host} was allowed as {sent}"),
        Err(refusal) => refusal.rule,
    }
}

pub fn sent(forward: &Forward) -> Value {
    match &forward.body {
        Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap(),
        other => panic!("no JSON body: {other:?}"),
    }
}
