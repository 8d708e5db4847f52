//! The table is complete, and says one thing about each request.

use std::collections::BTreeSet;

use super::*;
use crate::policy::routes::{API_OPERATIONS, Class, ROUTES, StreamRule, find};
use crate::policy::rules::{AnswerRule, JsonFilter, LineFilter, OperatorView, TenantRule};
use crate::policy::{Operation, filter_json, filter_line};
use crate::{Selection, Viewer};

/// The operations of the Engine API v1.56, by their ids in its reference.
const OPERATIONS: &str = "
ContainerList ContainerCreate ContainerInspect ContainerTop ContainerLogs ContainerChanges ContainerExport
ContainerStats ContainerResize ContainerStart ContainerStop ContainerRestart ContainerKill ContainerUpdate
ContainerRename ContainerPause ContainerUnpause ContainerAttach ContainerAttachWebsocket ContainerWait
ContainerDelete ContainerArchiveInfo ContainerArchive PutContainerArchive ContainerPrune
ImageList ImageBuild BuildPrune ImageCreate ImageInspect ImageHistory ImageAttestations ImagePush ImageTag
ImageDelete ImageSearch ImagePrune ImageCommit ImageGet ImageGetAll ImageLoad
NetworkList NetworkInspect NetworkDelete NetworkCreate NetworkConnect NetworkDisconnect NetworkPrune
VolumeList VolumeCreate VolumeInspect VolumeUpdate VolumeDelete VolumePrune
ContainerExec ExecStart ExecResize ExecInspect
SwarmInspect SwarmInit SwarmJoin SwarmLeave SwarmUpdate SwarmUnlockkey SwarmUnlock
NodeList NodeInspect NodeDelete NodeUpdate
ServiceList ServiceCreate ServiceInspect ServiceDelete ServiceUpdate ServiceLogs
TaskList TaskInspect TaskLogs
SecretList SecretCreate SecretInspect SecretDelete SecretUpdate
ConfigList ConfigCreate ConfigInspect ConfigDelete ConfigUpdate
PluginList GetPluginPrivileges PluginPull PluginInspect PluginDelete PluginEnable PluginDisable PluginUpgrade
PluginCreate PluginPush PluginSet
SystemAuth SystemInfo SystemVersion SystemPing SystemPingHead SystemEvents SystemDataUsage
DistributionInspect Session";

#[test]
fn every_operation_of_the_api_is_classified() {
    let known: BTreeSet<&str> = OPERATIONS.split_whitespace().collect();
    assert_eq!(known.len(), API_OPERATIONS);
    let table: Vec<&str> = ROUTES.iter().map(|route| route.operation.name()).collect();
    let first: BTreeSet<&str> = table.iter().take(API_OPERATIONS).copied().collect();
    assert_eq!(first, known);
    assert_eq!(table.iter().collect::<BTreeSet<_>>().len(), table.len(), "an id is there twice");
    assert_eq!(table.len() - API_OPERATIONS, 14, "the daemon's further routes");
    assert!(ROUTES.iter().skip(API_OPERATIONS).all(|route| route.class == Class::Never));
}

#[test]
fn every_line_is_found_by_a_request_for_it_and_no_other() {
    let mut seen = BTreeSet::new();
    for route in &ROUTES {
        assert!(seen.insert((route.method, route.path)), "{} {} is there twice", route.method, route.path);
        let path: Vec<&str> =
            route.path.split('/').map(|part| if part.starts_with('{') { "some-thing" } else { part }).collect();
        let (found, name) = find(route.method, &path.join("/")).unwrap();
        assert_eq!(found.operation, route.operation);
        assert_eq!(name.as_deref(), route.path.contains('{').then_some("some-thing"));
    }
}

#[test]
fn an_image_name_with_slashes_ends_where_the_route_says() {
    let named =
        |method, path| find(method, path).map(|(route, name)| (route.operation.name(), name.unwrap_or_default()));
    assert_eq!(named("GET", "/images/a/b/c/json"), Some(("ImageInspect", "a/b/c".to_owned())));
    assert_eq!(named("GET", "/images/json"), Some(("ImageList", String::new())));
    assert_eq!(named("GET", "/images/get/json"), Some(("ImageInspect", "get".to_owned())));
    assert_eq!(named("POST", "/images/create"), Some(("ImageCreate", String::new())));
    assert_eq!(named("POST", "/images/x/create"), None);
    assert_eq!(named("DELETE", "/images/a/b"), Some(("ImageDelete", "a/b".to_owned())));
}

#[tokio::test]
async fn what_is_not_in_the_table_is_refused() {
    for (method, target) in [
        ("GET", "/v1.47/secret-new-thing"),
        ("PATCH", "/v1.47/containers/json"),
        ("OPTIONS", "/v1.47/containers/json"),
        ("HEAD", "/v1.47/containers/json"),
        ("POST", "/v1.47/containers/web/start/x"),
        ("DELETE", "/v1.47/containers"),
    ] {
        let refusal = ask(method, target).operator().await.unwrap_err();
        assert_eq!((refusal.status, refusal.rule.as_str()), (403, "route.unknown"), "{method} {target}");
    }
}

#[tokio::test]
async fn what_is_never_forwarded_is_refused_to_every_role() {
    for route in ROUTES.iter().filter(|route| route.class == Class::Never) {
        let path =
            route.path.replace("{id}", "x").replace("{name}", "x").replace("{name*}", "x").replace("{checkpoint}", "x");
        let target = format!("/v1.47{path}");
        let refusal = ask(route.method, &target).operator().await.unwrap_err();
        // `docker inspect` asks for a plugin last, and ends with that it is not there.
        let status = if route.operation == Operation::PluginInspect { 404 } else { 403 };
        assert_eq!((refusal.status, refusal.rule.as_str()), (status, "role.operator.allow"), "{target}");
        assert_eq!(refusal.operation, Some(route.operation));
    }
}

#[test]
fn a_route_is_closed_by_its_class_exactly_where_its_tenant_rule_says_so() {
    for route in &ROUTES {
        assert_eq!(route.class == Class::Never, route.tenant == TenantRule::Never, "{}", route.operation);
        let hijacks = route.stream == StreamRule::Hijack;
        assert_eq!(hijacks, route.answer == AnswerRule::Hijack, "{}", route.operation);
    }
}

/// An answer that is passed on whole to a tenant holds nothing but the object
/// that was judged, an image's content, or what is alike for everyone.
#[test]
fn no_route_that_lists_objects_passes_its_answer_on() {
    for route in &ROUTES {
        let lists = match route.tenant {
            // A prune of containers tells ids of containers that carry the tenant's label.
            TenantRule::Filtered(_) => route.operation != Operation::ContainerPrune,
            TenantRule::ImageFilters | TenantRule::InAnswer => true,
            TenantRule::Never
            | TenantRule::Named(..)
            | TenantRule::Image(_)
            | TenantRule::ImagesInQuery
            | TenantRule::Makes(_)
            | TenantRule::Registry
            | TenantRule::Nobodys
            | TenantRule::NothingForTenants(_)
            | TenantRule::NotForTenants { .. } => false,
        };
        assert!(!lists || !matches!(route.answer, AnswerRule::Pass | AnswerRule::Hijack), "{}", route.operation);
    }
}

#[test]
fn what_a_row_shows_the_operator_masked_can_be_masked() {
    let operator = Viewer::default();
    for route in &ROUTES {
        let (read, whole) = match route.answer {
            AnswerRule::Pass | AnswerRule::Hijack => continue,
            AnswerRule::Filter(filter, view) => {
                let list = matches!(filter, JsonFilter::Containers);
                let body: &[u8] = if list { b"[]" } else { b"{}" };
                (filter_json(filter, &operator, &Selection::default(), body).map(drop), view == OperatorView::Whole)
            }
            AnswerRule::FilterLines(filter, view) => {
                (filter_line(filter, &operator, b"{}").map(drop), view == OperatorView::Whole)
            }
        };
        // The same filter may serve a route of which the operator is shown all.
        assert!(whole || read.is_ok(), "{}: {read:?}", route.operation);
    }
    assert!(filter_line(LineFilter::Stats, &operator, b"{}").is_err(), "what is not masked is not passed on");
    assert!(filter_json(JsonFilter::Info, &operator, &Selection::default(), b"{}").is_err());
}
