//! Names as Docker's grammars have them: containers, volumes, networks, and
//! image references with their registry.

use std::fmt;

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255: containers, volumes, networks, ids.
pub fn is_name(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// A full id: 64 small hexadecimal digits.
pub fn is_full_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A name that could be taken for an id or the beginning of one.
pub fn looks_like_id(text: &str) -> bool {
    text.len() >= 12 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// An image reference, normalised: `alpine` is `docker.io/library/alpine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry's host, with its port where it has one.
    pub host: String,
    /// The path, `library/alpine`.
    pub path: String,
    /// The tag.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a reference; none for what is not one.
    pub fn read(text: &str) -> Option<Reference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.strip_prefix("sha256:").filter(|hex| is_full_id(hex))?)),
            None => (text, None),
        };
        let last = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest.get(last..)?.find(':') {
            Some(at) => (rest.get(..last + at)?, Some(rest.get(last + at + 1..)?)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path };
        if !is_host(host) || path.len() > 255 || !path.split('/').all(is_component) {
            return None;
        }
        Some(Reference {
            host: host.to_owned(),
            path,
            tag: tag.map(str::to_owned),
            digest: digest.map(|hex| format!("sha256:{hex}")),
        })
    }

    /// Host and path, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// Whether this, as a client writes it, stands for an image with that name:
    /// the same repository, and the same digest, else the same tag (`latest`
    /// where none is written).
    pub fn means(&self, name: &Reference) -> bool {
        let same = match &self.digest {
            Some(digest) => name.digest.as_ref() == Some(digest),
            None => name.digest.is_none() && name.tag.as_deref() == Some(self.tag.as_deref().unwrap_or("latest")),
        };
        same && self.host == name.host && self.path == name.path
    }

    /// Whether the path lies under a tenant's prefix: its first part is the tenant.
    pub fn is_under(&self, tenant: &str) -> bool {
        self.path.split_once('/').is_some_and(|(first, _)| first == tenant)
    }

    /// Whether an entry of a role's `registries` covers it: `*`, a host, or a
    /// host and whole parts of a path. Never by a mere prefix of the text.
    pub fn is_within(&self, entry: &str) -> bool {
        if entry == "*" {
            return true;
        }
        let (host, path) = entry.split_once('/').unwrap_or((entry, ""));
        self.host == host
            && (path.is_empty()
                || self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// `[\w][\w.-]{0,127}`.
pub fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// A registry's host name or address, perhaps with a port.
pub fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port))
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

fn is_component(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && !text.contains("..")
}
