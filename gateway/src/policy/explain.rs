//! Which rule decides a request, in words; and what each role may do, as a table.

use std::fmt::Write as _;
use std::sync::Arc;

use super::super::{Docker, Identity, LookupError, Object, ObjectKind, Reply, ResponseRule, TokenVerified};
use super::parse::NEWEST;
use super::routes::{Class, ROUTES, Route};
use super::{Operation, Policy, Role, parse};
use crate::name::{NameError, RoleName, TenantName};

/// Explains what would become of a request: `POST /v1.47/containers/create`,
/// a body for it, in the name of an identity. Nothing is sent.
pub async fn explain(
    policy: &Policy,
    identity: &Identity,
    request_line: &str,
    body: &[u8],
    docker: &dyn Docker,
) -> String {
    let mut words = request_line.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let request = http::Request::builder()
        .method(method)
        .uri(target)
        .header(http::header::HOST, "docker")
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::CONTENT_LENGTH, body.len());
    let mut parts = match request.body(()) {
        Ok(request) => request.into_parts().0,
        Err(error) => return format!("refused: 400 http.target: {error}\n"),
    };
    let path = target.split('?').next().unwrap_or("");
    let hijacked = path.ends_with("/attach") || (path.contains("/exec/") && path.ends_with("/start"));
    if hijacked {
        parts.headers.insert(http::header::UPGRADE, http::HeaderValue::from_static("tcp"));
    }
    let decision = match parse(&parts) {
        Ok(call) => policy.decide(identity, call, body, docker).await,
        Err(refusal) => Err(refusal),
    };
    match decision {
        Ok(forward) => {
            let mut text = format!("allowed: {} by {}\n", forward.operation, forward.rule);
            let _ = writeln!(text, "sent as: {} {}", forward.method, forward.path_and_query);
            // A login's body holds a password.
            if let super::super::Body::Bytes(body) = &forward.body
                && forward.operation != Operation::SystemAuth
            {
                let _ = writeln!(text, "body: {}", String::from_utf8_lossy(body));
            }
            if let Some(words) = answer(&forward.response) {
                let _ = writeln!(text, "answer: {words}");
            }
            text
        }
        Err(refusal) => {
            let operation = refusal.operation.map_or("no known operation", Operation::name);
            format!("refused: {operation}: {} by {}\n{}\n", refusal.status, refusal.rule, refusal.message)
        }
    }
}

/// What becomes of the daemon's answer; nothing where it is passed on as it is.
fn answer(rule: &ResponseRule) -> Option<String> {
    Some(match rule {
        ResponseRule::Pass => return None,
        ResponseRule::Hijack => "the connection, both ways, until the token ends".to_owned(),
        ResponseRule::FilterJson { viewer, .. } | ResponseRule::FilterLines { viewer, .. } => match &viewer.tenant {
            Some(tenant) => format!("only what {tenant} sees, in its own names"),
            None => "with the secrets of foreign containers masked".to_owned(),
        },
        ResponseRule::Answer { status, body } => format!("the gateway's own, {status}: {body}"),
    })
}

/// The same for a role and a tenant without a token: "what would such a token allow?"
pub async fn explain_as(
    policy: &Policy,
    role: &str,
    tenant: Option<&str>,
    request_line: &str,
    body: &[u8],
    docker: Option<&dyn Docker>,
) -> String {
    let refused = |rule: &str, error: NameError| format!("refused: no known operation: 403 by {rule}\n{error}\n");
    let role = match RoleName::parse(role) {
        Ok(role) => role,
        Err(error) => return refused("role.unknown", error),
    };
    let tenant = match tenant.map(TenantName::parse).transpose() {
        Ok(tenant) => tenant,
        Err(error) => return refused("tenant.name", error),
    };
    let supposed = Identity {
        issuer: String::new(),
        subject: String::new(),
        tenant,
        role,
        session: None,
        token_id: String::new(),
        expires: 0,
        proof: TokenVerified(()),
    };
    explain(policy, &supposed, request_line, body, docker.unwrap_or(&Unasked)).await
}

/// A daemon that is not asked: what depends on an owner stays open.
struct Unasked;

impl Docker for Unasked {
    fn api_version(&self) -> Reply<'_, String> {
        Box::pin(async { Ok(format!("1.{NEWEST}")) })
    }

    fn inspect<'a>(&'a self, kind: ObjectKind, reference: &'a str) -> Reply<'a, Option<Object>> {
        let message = format!("the decision depends on who owns the {kind:?} {reference:?}");
        Box::pin(async move { Err(LookupError(message)) })
    }

    fn list<'a>(&'a self, kind: ObjectKind, _: Option<&'a str>) -> Reply<'a, Arc<Vec<Object>>> {
        let message = format!("the decision depends on which {}s the tenant has", format!("{kind:?}").to_lowercase());
        Box::pin(async move { Err(LookupError(message)) })
    }
}

/// What each role may do, as a Markdown table: a line for each operation that
/// some role may be given, and one for all that none may.
pub fn roles_table(policy: &Policy) -> String {
    let names: Vec<&RoleName> = policy.roles().keys().collect();
    let mut text = String::from("| Operation | Class |");
    for name in &names {
        let _ = write!(text, " {name} |");
    }
    text.push_str("\n|---|---|");
    text.push_str(&"---|".repeat(names.len()));
    text.push('\n');
    for route in ROUTES.iter().filter(|route| route.class != Class::Never) {
        let _ = write!(text, "| {} `{} {}` | {} |", route.operation, route.method, route.path, route.class.name());
        for role in policy.roles().values() {
            let _ = write!(text, " {} |", cell(role, route));
        }
        text.push('\n');
    }
    let never = ROUTES.iter().filter(|route| route.class == Class::Never);
    let never: Vec<&str> = never.map(|route| route.operation.name()).collect();
    let _ = writeln!(text, "\nNever, whatever the role: {}.", never.join(", "));
    text
}

fn cell(role: &Role, route: &Route) -> &'static str {
    let needs = match route.operation {
        Operation::ImageBuild => Some("build"),
        Operation::ContainerArchiveInfo | Operation::ContainerArchive | Operation::PutContainerArchive => {
            Some("archive")
        }
        _ => None,
    };
    match (role.allows(route), needs) {
        (None, _) => "",
        (Some(_), Some("archive")) if !role.grants("archive") => "engine ≥ 29.5.1",
        (Some(_), Some(grant)) if !role.grants(grant) => "",
        _ => "yes",
    }
}
