//! `download`: a file that the host fetches itself, pinned by its digest.
//!
//! The part of a URL after `?` may be a signature that grants access; with
//! any user name and password in it, it is a secret and is never shown.

use super::{Args, Field, Kind, Resource, Type, binary, file, ignored, ownership, parents};
use crate::observe::{Content, FileType, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, Meta, Op, PlanError, Planned};
use crate::values::{AbsPath, Secret, sha256};

pub(super) const KIND: Kind = Kind {
    name: "download",
    summary: "A file that the host fetches over HTTP, pinned by its SHA-256.",
    main: "path",
    fields: &[
        Field::required("url", Type::String, "an http or https URL; what follows the '?' is kept secret"),
        Field::required("sha256", Type::String, "the digest of the content, 64 hexadecimal digits"),
        Field::required("path", Type::String, "absolute path on the host"),
        Field::optional("owner", Type::String, "default \"root\""),
        Field::optional("group", Type::String, "default \"root\""),
        Field::optional("mode", Type::String, "default \"0644\""),
        parents::FIELD,
    ],
    build,
};

#[derive(Debug)]
struct Download {
    url: Secret,
    shown: String,
    sha256: String,
    path: AbsPath,
    meta: Meta,
    parents: bool,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let url = args.string("url")?;
    let shown = shown(&url);
    if shown.is_none() {
        args.wrong_value("url", "'url' must be an http or https URL without spaces, quotes and control characters");
    }
    let sha256 = binary::digest(args, "sha256");
    let path: Option<AbsPath> = args.parse("path");
    let meta = ownership::meta(args, 0o644);
    let path = path?;
    ignored::refuse(args, &path);
    let parents = parents::given(args);
    Some(Box::new(Download { url: Secret::new(url), shown: shown?, sha256: sha256?, path, meta: meta?, parents }))
}

/// The URL without what may be secret in it; none if it is no usable URL
/// (RFC 3986: spaces and quotes would have to be percent-encoded).
fn shown(url: &str) -> Option<String> {
    if url.chars().any(|c| c.is_control() || c.is_whitespace() || "\"'\\<>".contains(c)) {
        return None;
    }
    let scheme = ["https://", "http://"].into_iter().find(|scheme| url.starts_with(scheme))?;
    let rest = &url[scheme.len()..];
    let (rest, secret) = rest.split_once(['?', '#']).map_or((rest, false), |(rest, _)| (rest, true));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, host) = authority.rsplit_once('@').map_or((false, authority), |(_, host)| (true, host));
    if host.is_empty() {
        return None;
    }
    let login = if login { format!("{}@", Secret::MASK) } else { String::new() };
    Some(format!("{scheme}{login}{host}{path}{}", if secret { format!("?{}", Secret::MASK) } else { String::new() }))
}

impl Resource for Download {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Digest(self.path.clone()));
        parents::queries(&self.path, queries);
        ownership::queries(&self.meta, queries);
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let fetch = Op::File(FileOp::Download {
            url: self.url.clone(),
            sha256: self.sha256.clone(),
            path: self.path.clone(),
            meta: self.meta.clone(),
        });
        let entry = match host.path(&self.path)? {
            PathState::Absent | PathState::AfterApply => {
                planned.action = Some(Action::Create);
                planned.change("url", None::<&str>, Some(&self.shown));
                planned.change("sha256", None::<&str>, Some(&self.sha256));
                planned.change("mode", None::<&str>, Some(self.meta.mode.to_string()));
                planned.change("owner", None::<&str>, Some(format!("{}:{}", self.meta.owner, self.meta.group)));
                planned.ops.push(fetch);
                parents::plan(host, &self.path, self.parents, &mut planned)?;
                ownership::check(host, &self.meta, &mut planned)?;
                ignored::note(host, &mut planned);
                return Ok(planned);
            }
            PathState::Present(entry) if entry.file_type == FileType::Directory => {
                return Err(PlanError::Refused(format!(
                    "{} is a directory on the host; name the file in it that is to be written",
                    self.path
                )));
            }
            PathState::Present(entry) => entry,
        };
        let meta = ownership::as_found(host, &self.meta, entry);
        file::meta_changes(&mut planned, entry, &meta);
        let found = match (entry.file_type, host.content(&self.path)?) {
            (FileType::File, Content::Digest(digest)) => Some(digest.clone()),
            (FileType::File, Content::Bytes(bytes)) => Some(sha256(bytes)),
            _ => None,
        };
        if found.as_ref() != Some(&self.sha256) {
            planned.change("url", None::<&str>, Some(&self.shown));
            let before = found.unwrap_or_else(|| format!("{:?}", entry.file_type).to_lowercase());
            planned.change("sha256", Some(before), Some(&self.sha256));
            planned.ops.push(fetch);
        } else if !planned.changes.is_empty() {
            planned.ops.push(file::set_meta(&self.path, entry, &meta));
        }
        ownership::check(host, &self.meta, &mut planned)?;
        ignored::note(host, &mut planned);
        Ok(planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_signature_and_login() {
        for (url, wanted) in [
            ("https://h/p?sig=hunter2", Some("https://h/p?•••")),
            ("http://u:hunter2@h:8/p", Some("http://•••@h:8/p")),
            ("https://h/p#frag", Some("https://h/p?•••")),
            ("https://h", Some("https://h")),
            ("ftp://h/p", None),
            ("file:///etc/shadow", None),
            ("https://", None),
            ("https://h/\nurl = x", None),
            ("https://h/\"", None),
        ] {
            assert_eq!(shown(url).as_deref(), wanted, "{url}");
        }
    }
}
