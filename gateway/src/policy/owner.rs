//! How a request is tied to its owner, and which answer is passed on: what the
//! rules of a row ([`super::rules`]) mean.
//!
//! What must hold: no wildcard arm here. A rule that is added must be carried
//! out before it compiles.

use super::filters::Filters;
use super::objects::{FOREIGN, Found};
use super::parse::Call;
use super::refusal::denied;
use super::request_builder::RequestBuilder;
use super::rules::{AnswerRule, FilterRule, ImageUse, JsonFilter, OperatorView, TenantRule};
use super::scope::Scope;
use super::{image, reference};
use crate::{Refusal, ResponseRule, Selection, tenant};

/// What a request was tied to.
#[derive(Debug, Default)]
pub struct Owned {
    /// The object of the path, judged.
    pub object: Option<Found>,
    /// Which items of a list were asked for by what the daemon cannot judge.
    pub selection: Selection,
}

/// Ties a request to its owner, as its row says: what it refers to is looked up
/// and named in the draft by what was judged.
///
/// # Errors
/// 404 for another's and for what is not there, 403 for what may not be used,
/// 503 where the daemon cannot be asked.
pub async fn tie(scope: &Scope<'_>, call: &Call, body: &[u8], draft: &mut RequestBuilder) -> Result<Owned, Refusal> {
    let name = call.name.as_deref().unwrap_or("");
    let mut owned = Owned::default();
    match call.route.tenant {
        TenantRule::Never => return Err(denied("route.never", "this operation is never forwarded")),
        TenantRule::Named(kind, need) => {
            let object = scope.object(kind, name, need).await?;
            draft.name(&object.id);
            owned.object = Some(object);
        }
        TenantRule::Image(ImageUse::ById) => draft.name(scope.view().image(name).await?.exact()),
        TenantRule::Image(ImageUse::Saved) => draft.name(&image::saved(scope, name).await?),
        TenantRule::Image(ImageUse::Pushed) => image::push(scope, call, body, draft).await?,
        TenantRule::Image(ImageUse::Removed) => image::delete(scope, name, draft).await?,
        TenantRule::ImagesInQuery => image::save(scope, call, draft).await?,
        TenantRule::Filtered(rule) => owned.selection = filter(scope, call, rule, draft).await?,
        TenantRule::ImageFilters => {
            if scope.tenant.is_some() {
                owned.selection = image::listed(scope, call, draft).await?;
            }
        }
        TenantRule::NothingForTenants(body) => {
            if scope.tenant.is_some() {
                draft.response = ResponseRule::Answer { status: 200, body: body.to_owned() };
            }
        }
        TenantRule::NotForTenants { rule, message } => {
            if scope.tenant.is_some() {
                return Err(denied(rule, message));
            }
        }
        // Labels, names and registries stand in the body or query, which the
        // operation itself reads.
        TenantRule::Makes(_) | TenantRule::Registry => {}
        TenantRule::InAnswer | TenantRule::Nobodys => {}
    }
    Ok(owned)
}

/// The filters of lists, prunes and events: for a tenant with the owner's label
/// and the host's names. What the daemon cannot judge by is returned.
async fn filter(
    scope: &Scope<'_>,
    call: &Call,
    rule: &FilterRule,
    draft: &mut RequestBuilder,
) -> Result<Selection, Refusal> {
    let mut filters = Filters::read(call.get("filters").unwrap_or(""))?;
    let mut selection = Selection::default();
    if let Some(tenant) = scope.tenant {
        let view = scope.view();
        if let Some(label) = rule.label {
            filters.require_label(&label.required(tenant));
        }
        for value in filters.take("ancestor") {
            filters.add("ancestor", image::ancestor(scope, &value).await?);
        }
        for &(key, kind) in rule.references {
            for value in filters.take(key) {
                filters.add(key, view.sought(kind, &value).await?);
                if rule.over_time && reference::is_name(&value) {
                    // Of what is gone by then, or not yet there, the events have the name.
                    filters.add(key, tenant::names::on_host(tenant, &value));
                }
            }
        }
        if !rule.over_time {
            selection.names = filters.take("name").into_iter().collect();
        }
        // The daemon would count what the names leave out.
        if let Some(limit) = call.given("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0)
            && !selection.names.is_empty()
        {
            selection.limit = Some(limit);
            draft.query.retain(|(key, _)| *key != "limit");
            draft.put("all", "1".to_owned());
        }
    } else if rule.own_role && !scope.role.grants(FOREIGN) {
        filters.require_label(&format!("{}={}", tenant::ROLE, scope.role_name));
    }
    draft.filters(&filters);
    Ok(selection)
}

/// Writes down which answer is passed on, as the row says.
///
/// # Errors
/// 503 where the daemon cannot be asked.
pub async fn choose_answer(
    scope: &Scope<'_>,
    rule: AnswerRule,
    owned: Owned,
    draft: &mut RequestBuilder,
) -> Result<(), Refusal> {
    let foreign = owned.object.as_ref().is_some_and(|object| object.foreign);
    let is_filtered = |operator: OperatorView| {
        scope.tenant.is_some()
            || match operator {
                OperatorView::Whole => false,
                OperatorView::Masked => true,
                OperatorView::MaskedIfForeign => foreign,
            }
    };
    match rule {
        AnswerRule::Pass => {}
        AnswerRule::Hijack => {
            if !draft.detached {
                draft.response = ResponseRule::Hijack;
            }
        }
        AnswerRule::Filter(filter, operator) => {
            if is_filtered(operator) {
                let selection = complete(scope, filter, foreign, owned.selection).await?;
                draft.response = ResponseRule::FilterJson { filter, viewer: scope.viewer(), selection };
            }
        }
        AnswerRule::FilterLines(filter, operator) => {
            if is_filtered(operator) {
                draft.response = ResponseRule::FilterLines { filter, viewer: scope.viewer() };
            }
        }
    }
    Ok(())
}

/// What a filter has to know besides what was asked for.
async fn complete(
    scope: &Scope<'_>,
    filter: JsonFilter,
    foreign: bool,
    mut selection: Selection,
) -> Result<Selection, Refusal> {
    let (containers, images) = match filter {
        JsonFilter::Containers => (true, false),
        JsonFilter::Usage => (true, true),
        JsonFilter::Images
        | JsonFilter::Image
        | JsonFilter::History
        | JsonFilter::RemovedImage
        | JsonFilter::PrunedImages => (false, true),
        JsonFilter::Container
        | JsonFilter::Networks
        | JsonFilter::Network
        | JsonFilter::Volumes
        | JsonFilter::Volume
        | JsonFilter::PrunedNetworks
        | JsonFilter::PrunedVolumes
        | JsonFilter::Info => (false, false),
    };
    if let Some(tenant) = scope.tenant {
        if containers {
            selection.hidden = scope.impostors().await?;
        }
        if images {
            selection.images = image::seen(scope, tenant).await?;
        }
    }
    selection.masked = foreign;
    Ok(selection)
}
