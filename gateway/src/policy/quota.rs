//! Quotas of an owner: how many containers, and their memory together.
//!
//! What must hold: they are counted by asking the daemon, one after the other, and the lock
//! is kept until the daemon has answered the create that was counted for. So
//! two creates at once cannot both take the last place. The gateway must be
//! the only way by which the owner makes containers, and the only gateway
//! before its daemon.

use super::super::{ContainerUsage, ObjectKind, QuotaGuard, Refusal};
use super::refusal::{denied, unreachable};
use super::scope::Scope;
use crate::tenant;

/// The owner as a label of containers, and in words.
fn owner(scope: &Scope<'_>) -> (String, String) {
    match scope.tenant {
        Some(tenant) => (format!("{}={tenant}", tenant::CONTAINER), format!("the tenant {tenant}")),
        None => (format!("{}={}", tenant::ROLE, scope.role_name), format!("the role {}", scope.role_name)),
    }
}

fn rule(scope: &Scope<'_>, quota: &str) -> String {
    format!("role.{}.quotas.{quota}", scope.role_name)
}

async fn usage(scope: &Scope<'_>, label: &str) -> Result<ContainerUsage, Refusal> {
    let memory = scope.role.quotas.total_memory.is_some();
    scope.docker.usage(label, memory).await.map_err(|error| unreachable(&error))
}

/// Whether there is room for one container more, which may use `memory`.
///
/// # Errors
/// 403 where there is none, 503 where it cannot be told.
pub async fn on_create(scope: &Scope<'_>, memory: Option<u64>) -> Result<QuotaGuard, Refusal> {
    let quotas = &scope.role.quotas;
    if quotas.containers.is_none() && quotas.total_memory.is_none() {
        return Ok(QuotaGuard::default());
    }
    let (label, who) = owner(scope);
    let usage = usage(scope, &label).await?;
    let there = usage.containers.len();
    if let Some(most) = quotas.containers
        && u64::try_from(there).unwrap_or(u64::MAX) >= u64::from(most)
    {
        let message = format!("{who} has {there} of {most} containers, stopped ones included: remove one first");
        return Err(denied(rule(scope, "containers"), message));
    }
    fits(scope, &usage, None, memory, &who)?;
    Ok(usage.quota_guard)
}

/// Networks that a tenant may have where the role does not say: the daemon has
/// some thirty subnets for all.
const NETWORKS: u32 = 8;

/// Whether there is room for one network more.
///
/// # Errors
/// 403 where there is none, 503 where it cannot be told.
pub async fn on_network(scope: &Scope<'_>) -> Result<QuotaGuard, Refusal> {
    let Some(most) = scope.role.quotas.networks.or(scope.tenant.map(|_| NETWORKS)) else {
        return Ok(QuotaGuard::default());
    };
    let (label, who) = owner(scope);
    let label = scope.tenant.map_or(label, tenant::label_filter);
    let quota_guard = scope.docker.lock(&format!("networks {label}")).await.map_err(|error| unreachable(&error))?;
    let networks = scope.docker.list(ObjectKind::Network, Some(&label)).await.map_err(|error| unreachable(&error))?;
    if u64::try_from(networks.len()).unwrap_or(u64::MAX) >= u64::from(most) {
        let message =
            format!("{who} has {} of {most} networks: remove one first, or raise `quotas.networks`", networks.len());
        return Err(denied(rule(scope, "networks"), message));
    }
    Ok(quota_guard)
}

/// Whether a container may be given `memory`; none: it keeps what it has.
///
/// # Errors
/// As [`on_create`].
pub async fn on_update(scope: &Scope<'_>, container: &str, memory: Option<u64>) -> Result<QuotaGuard, Refusal> {
    if scope.role.quotas.total_memory.is_none() || memory.is_none() {
        return Ok(QuotaGuard::default());
    }
    let (label, who) = owner(scope);
    let usage = usage(scope, &label).await?;
    fits(scope, &usage, Some(container), memory, &who)?;
    Ok(usage.quota_guard)
}

fn fits(
    scope: &Scope<'_>,
    usage: &ContainerUsage,
    besides: Option<&str>,
    memory: Option<u64>,
    who: &str,
) -> Result<(), Refusal> {
    let Some(total) = scope.role.quotas.total_memory else { return Ok(()) };
    let others = usage.containers.iter().filter(|(id, _)| besides != Some(id.as_str()));
    // One without a bound may use all there is.
    let bounds = others.map(|(_, memory)| *memory).chain([memory]);
    let sum = bounds.fold(0_u64, |sum, bound| sum.saturating_add(bound.unwrap_or(u64::MAX)));
    if sum <= total {
        return Ok(());
    }
    let asked = memory.map_or_else(String::new, |bytes| format!(", {bytes} of it asked for now"));
    let message = match sum {
        u64::MAX => format!("{who} has a container without a memory limit, and a quota of {total} bytes for all"),
        _ => format!("{who} would have containers with {sum} bytes of memory{asked}; the quota is {total}"),
    };
    Err(denied(rule(scope, "total_memory"), message))
}
