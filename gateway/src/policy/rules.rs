//! What each row of the table says of tenants: how a request is tied to its
//! owner, and what of the answer is passed on.
//!
//! What must hold: a row cannot be written without either, and every rule is
//! carried out by a `match` without a wildcard ([`super::owner`],
//! [`crate::tenant::filter_json`]).

use super::super::ObjectKind;
use crate::name::TenantName;
use crate::tenant;

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Its description is read.
    Look,
    /// Anything else.
    Use,
}

/// How a request is tied to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantRule {
    /// Never forwarded, whoever asks.
    Never,
    /// The path names an object, which is looked up among the owner's and sent
    /// by the id that was judged.
    Named(ObjectKind, Need),
    /// The path names an image, which must be one that the tenant sees.
    Image(ImageUse),
    /// The query names such images.
    ImagesInQuery,
    /// The filters choose among what is the owner's.
    Filtered(&'static FilterRule),
    /// The filters name images that the tenant sees; which of them a list shows
    /// is decided by the answer.
    ImageFilters,
    /// An object of this kind is made: with the owner's labels, and a name or
    /// tag under the owner's prefix.
    Makes(ObjectKind),
    /// Nothing in the request names an owner; the answer is filtered.
    InAnswer,
    /// A registry is asked, which must be one of the role's; tenants own nothing there.
    Registry,
    /// About the daemon itself, alike for everyone.
    Nobodys,
    /// What it is about belongs to nobody. A tenant is given this answer, which
    /// says that there is nothing, and the daemon is not asked.
    NothingForTenants(&'static str),
    /// Refused to tenants.
    NotForTenants {
        /// The rule's name in the refusal.
        rule: &'static str,
        /// The refusal's sentence.
        message: &'static str,
    },
}

/// What an image of the path is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageUse {
    /// It is sent by its id.
    ById,
    /// It is saved with its names: of a repository, every image must be seen.
    Saved,
    /// It is pushed: its name is one that the tenant may tag.
    Pushed,
    /// It is removed: the name is the tenant's, or the image with all its names.
    Removed,
}

/// How filters are bound to an owner.
#[derive(Debug, PartialEq, Eq)]
pub struct FilterRule {
    /// The label that a tenant's filters require; none where lines of the answer
    /// are chosen here.
    pub label: Option<OwnerLabel>,
    /// Whether the role's label is required without a tenant and the grant
    /// `foreign`: what others made is not removed in passing.
    pub own_role: bool,
    /// The keys whose values name objects, which are looked up among the tenant's.
    pub references: &'static [(&'static str, ObjectKind)],
    /// Whether they may name what is gone or not yet there, so that the name on
    /// the host is asked for besides the id, and `name` is not read here.
    pub over_time: bool,
}

/// A label that names an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerLabel {
    /// [`tenant::LABEL`], of objects of all kinds.
    Object,
    /// [`tenant::CONTAINER`], of containers alone.
    Container,
}

impl OwnerLabel {
    /// The filter that requires it of a tenant.
    #[must_use]
    pub fn required(self, tenant: &TenantName) -> String {
        match self {
            OwnerLabel::Object => tenant::label_filter(tenant),
            OwnerLabel::Container => format!("{}={tenant}", tenant::CONTAINER),
        }
    }
}

const REFERENCES: &[(&str, ObjectKind)] =
    &[("container", ObjectKind::Container), ("network", ObjectKind::Network), ("volume", ObjectKind::Volume)];

/// A list of containers.
pub const CONTAINERS: FilterRule = FilterRule {
    references: &[
        ("before", ObjectKind::Container),
        ("since", ObjectKind::Container),
        ("container", ObjectKind::Container),
        ("network", ObjectKind::Network),
        ("volume", ObjectKind::Volume),
    ],
    ..OBJECTS
};

/// A list of other objects.
pub const OBJECTS: FilterRule =
    FilterRule { label: Some(OwnerLabel::Object), own_role: false, references: REFERENCES, over_time: false };

/// A removal of all objects that nothing uses.
pub const PRUNED: FilterRule = FilterRule { own_role: true, ..OBJECTS };

/// The same of containers, which inherit [`tenant::LABEL`] from their image.
pub const PRUNED_CONTAINERS: FilterRule = FilterRule { label: Some(OwnerLabel::Container), ..PRUNED };

/// The stream of events.
pub const EVENTS: FilterRule = FilterRule { label: None, over_time: true, ..OBJECTS };

/// What becomes of the daemon's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRule {
    /// It is passed on as it came, to everyone.
    Pass,
    /// The connection is taken over, unless the request says otherwise.
    Hijack,
    /// Of a JSON answer a tenant is shown what is its own.
    Filter(JsonFilter, OperatorView),
    /// The same line by line.
    FilterLines(LineFilter, OperatorView),
}

/// What is shown without a tenant of an answer that is filtered for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorView {
    /// All of it.
    Whole,
    /// All of it, with the secrets of what was not made through the gateway masked.
    Masked,
    /// The same of one object, if it was not made through the gateway or exceeds
    /// the role.
    MaskedIfForeign,
}

/// The forms of JSON answers, each filtered in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // named by what the answer holds
pub enum JsonFilter {
    Containers,
    Container,
    Networks,
    Network,
    Volumes,
    Volume,
    Images,
    Image,
    History,
    RemovedImage,
    PrunedImages,
    PrunedNetworks,
    PrunedVolumes,
    Usage,
    Info,
}

/// The forms of streams of JSON lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // named by what a line holds
pub enum LineFilter {
    Events,
    Stats,
}
