//! `docker ps`, asked most of all, without a tree of values for each container:
//! of an item only its owner and what can hold a name is read, the rest is
//! passed on as it was written.
//!
//! What must hold: the same answer as by the whole tree, which a test compares.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::Selection;
use super::super::name::TenantName;
use super::{CONTAINER, LABEL, filter, mask, names};

/// A container of the list, each member as it was written.
#[derive(Default)]
struct Item<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Item<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Item<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a container")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Item<'de>, A::Error> {
                let mut item = Item::default();
                while let Some(member) = access.next_entry()? {
                    item.0.push(member);
                }
                Ok(item)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The owner among labels, and whether the label of containers is among them.
#[derive(Default)]
struct Owner<'a> {
    name: Option<Cow<'a, str>>,
    labelled: bool,
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Owner<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Labels;
        impl<'de> Visitor<'de> for Labels {
            type Value = Owner<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }
            fn visit_unit<E>(self) -> Result<Owner<'de>, E> {
                Ok(Owner::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Owner<'de>, A::Error> {
                let mut owner = Owner::default();
                while let Some(Text(name)) = access.next_key()? {
                    if name == LABEL {
                        let Text(value) = access.next_value()?;
                        owner.name = Some(value).filter(|name| !name.is_empty());
                    } else if name == CONTAINER {
                        let Text(value) = access.next_value()?;
                        owner.labelled = !value.is_empty();
                    } else {
                        access.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(owner)
            }
        }
        deserializer.deserialize_any(Labels)
    }
}

impl<'a> Item<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn owner(&self) -> Result<Owner<'a>, serde_json::Error> {
        self.get("Labels").map_or(Ok(Owner::default()), |labels| serde_json::from_str(labels.get()))
    }

    fn is_hidden(&self, selection: &Selection) -> Result<bool, serde_json::Error> {
        let Some(id) = self.get("Id").filter(|_| !selection.hidden.is_empty()) else { return Ok(false) };
        let Text(id) = serde_json::from_str(id.get())?;
        Ok(selection.hidden.iter().any(|hidden| *hidden == id))
    }

    /// The members of a foreign container that may hold secrets, masked.
    fn masked(&self) -> Result<Map<String, Value>, serde_json::Error> {
        let mut members = Map::new();
        for name in ["Command", "Labels"] {
            if let Some(value) = self.get(name) {
                members.insert(name.to_owned(), serde_json::from_str(value.get())?);
            }
        }
        let mut read = Value::Object(members);
        mask::listed(&mut read);
        match read {
            Value::Object(members) => Ok(members),
            _ => Ok(Map::new()),
        }
    }

    /// The members that hold a name of the tenant's, in the tenant's names.
    fn renamed(&self, tenant: &TenantName) -> Result<Map<String, Value>, serde_json::Error> {
        let prefix = format!("{tenant}{}", names::SEPARATOR);
        let holds = |name: &str| self.get(name).is_some_and(|value| value.get().contains(&prefix));
        let networks = self.get("NetworkSettings").is_some()
            && (holds("NetworkSettings") || self.get("HostConfig").is_some_and(|host| host.get().len() > 64));
        let mut members = Map::new();
        for (name, read) in [
            ("Names", holds("Names")),
            ("Mounts", holds("Mounts")),
            ("HostConfig", networks),
            ("NetworkSettings", networks),
        ] {
            if let Some(value) = self.get(name).filter(|_| read) {
                members.insert(name.to_owned(), serde_json::from_str(value.get())?);
            }
        }
        let mut read = Value::Object(members);
        filter::container(&mut read, tenant);
        match read {
            Value::Object(members) => Ok(members),
            _ => Ok(Map::new()),
        }
    }
}

/// A list of containers with the tenant's only, of those what was selected, in the
/// tenant's names; for the operator all of them, the foreign ones masked.
pub(super) fn containers(
    tenant: Option<&TenantName>,
    selection: &Selection,
    body: &[u8],
) -> Result<Vec<u8>, serde_json::Error> {
    // Nothing in what is no list has to be masked.
    if tenant.is_none() && !body.trim_ascii_start().starts_with(b"[") {
        return Ok(body.to_vec());
    }
    let items: Option<Vec<Item<'_>>> = serde_json::from_slice(body)?;
    let chosen = filter::Chosen::new(selection);
    let (mut out, mut count) = (Vec::with_capacity(body.len()), 0);
    out.push(b'[');
    for item in items.unwrap_or_default() {
        let owner = item.owner()?;
        let members = match tenant {
            Some(tenant) if owner.name.as_deref() == Some(tenant.as_str()) && !item.is_hidden(selection)? => {
                item.renamed(tenant)?
            }
            Some(_) => continue,
            None if owner.labelled => Map::new(),
            None => item.masked()?,
        };
        if selection.limit.is_some_and(|limit| count >= limit) {
            continue;
        }
        if !selection.names.is_empty() {
            let names: Vec<String> = match (members.get("Names"), item.get("Names")) {
                (Some(names), _) => serde_json::from_value(names.clone())?,
                (None, Some(names)) => serde_json::from_str(names.get())?,
                (None, None) => Vec::new(),
            };
            if !chosen.has(names.first().map_or("", String::as_str)) {
                continue;
            }
        }
        out.push(if count == 0 { b'{' } else { b',' });
        if count > 0 {
            out.push(b'{');
        }
        count += 1;
        for (at, (name, value)) in item.0.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, name)?;
            out.push(b':');
            match members.get(*name) {
                Some(renamed) => serde_json::to_writer(&mut out, renamed)?,
                None => out.extend_from_slice(value.get().as_bytes()),
            }
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(out)
}
