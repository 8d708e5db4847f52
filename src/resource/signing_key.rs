//! The signing key of an `apt_repository`: where it comes from and what pins it.

use super::keyring::{Keyring, parse_fingerprint};
use super::{Args, file};
use crate::observe::{Content, Entry, PredictedState, Queries, Query};
use crate::plan::{FileOp, Meta, Op, PlanError, Planned};
use crate::values::{AbsPath, Secret};

/// Where the key comes from.
#[derive(Debug)]
pub(super) enum SigningKey {
    /// Given by the operator, the pinned fingerprints found in it.
    Given { path: AbsPath, content: String, fingerprints: String },
    /// Fetched by the host.
    Fetched { path: AbsPath, url: Secret, sha256: String },
    /// On the host already; its fingerprints are checked if any are pinned.
    OnHost { path: AbsPath, pinned: Vec<String> },
}

impl SigningKey {
    /// The key that `signed_by` and its sister fields describe. `keys` is where a
    /// key of our own is put: armored, binary.
    pub(super) fn build(args: &mut Args<'_>, keys: &[AbsPath; 2]) -> Option<SigningKey> {
        let [armored, binary] = keys;
        let Some(signed_by) = args.string("signed_by") else {
            args.refuse(
                "signed_by",
                "there must be 'signed_by': without a key of its own a repository cannot be told from a forged one",
            );
            return None;
        };
        let mut pinned = Vec::new();
        for text in args.parse_list::<String>("fingerprint") {
            match parse_fingerprint(&text) {
                Ok(fingerprint) => pinned.push(fingerprint),
                Err(why) => args.refuse("fingerprint", why),
            }
        }
        if signed_by.starts_with("https://") || signed_by.starts_with("http://") {
            if args.node("fingerprint").is_some() {
                args.refuse("fingerprint", "the fingerprint of a key that the host fetches cannot be checked before: give its 'sha256', or the key as a local file");
            }
            let sha256 = args.string("sha256").unwrap_or_default().to_ascii_lowercase();
            if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                args.refuse("sha256", "a key from a URL needs its 'sha256', 64 hexadecimal digits");
            }
            if signed_by.contains(|c: char| c.is_whitespace() || c.is_control()) {
                args.refuse("signed_by", "a URL must be one word");
            }
            let path = if signed_by.ends_with(".gpg") { binary } else { armored };
            return Some(SigningKey::Fetched { path: path.clone(), url: Secret::new(signed_by), sha256 });
        }
        if args.node("sha256").is_some() {
            args.refuse("sha256", "'sha256' is for a key from a URL; any other is checked by its 'fingerprint'");
        }
        if signed_by.starts_with('/') {
            return Some(SigningKey::OnHost { path: args.parse("signed_by")?, pinned });
        }
        let bytes = if signed_by.contains("-----BEGIN") {
            signed_by.into_bytes()
        } else {
            match args.assets.read(&signed_by) {
                Ok(bytes) => bytes,
                Err(why) => {
                    args.refuse("signed_by", why);
                    return None;
                }
            }
        };
        match Keyring::parse(&bytes).and_then(|keyring| {
            if pinned.is_empty() {
                let found = keyring.fingerprints.join(", ");
                return Err(format!(
                    "'fingerprint' must say which key is meant (this one is {found}: compare it with its publisher's)"
                ));
            }
            check_pinned(&keyring, &pinned).map(|()| keyring)
        }) {
            Ok(keyring) => Some(SigningKey::Given {
                path: armored.clone(),
                content: keyring.armored(),
                fingerprints: keyring.fingerprints.join(", "),
            }),
            Err(why) => {
                args.refuse("signed_by", format!("this signing key is refused: {why}"));
                None
            }
        }
    }

    /// Where the key is on the host, for `Signed-By`.
    pub(super) fn path(&self) -> &AbsPath {
        let (SigningKey::Given { path, .. } | SigningKey::Fetched { path, .. } | SigningKey::OnHost { path, .. }) =
            self;
        path
    }

    /// The questions that [`SigningKey::plan`] needs.
    pub(super) fn queries(&self, queries: &mut Queries) {
        queries.ask(match self {
            SigningKey::Given { path, .. } | SigningKey::OnHost { path, .. } => Query::Content(path.clone()),
            SigningKey::Fetched { path, .. } => Query::Digest(path.clone()),
        });
    }

    /// What differs about the key, and what to do.
    ///
    /// # Errors
    /// The key on the host is missing or not the pinned one.
    pub(super) fn plan(&self, host: &PredictedState, planned: &mut Planned) -> Result<(), PlanError> {
        match self {
            SigningKey::Given { path, content, fingerprints } => {
                let key = file::present(host, path, content.as_bytes(), &Meta::root(0o644), &None)?;
                let before = match host.content(path)? {
                    Content::Bytes(bytes) if *bytes != content.as_bytes() => {
                        Some(Keyring::parse(bytes).map_or("not a key".to_owned(), |old| old.fingerprints.join(", ")))
                    }
                    Content::Bytes(_) => {
                        planned.changes.extend(key.changes.into_iter().map(|mut change| {
                            change.field = format!("key {}", change.field);
                            change
                        }));
                        planned.ops.extend(key.ops);
                        return Ok(());
                    }
                    _ => None,
                };
                planned.change("key", before, Some(fingerprints));
                planned.ops.extend(key.ops);
            }
            SigningKey::Fetched { path, url, sha256 } => {
                let before = match host.content(path)? {
                    Content::Digest(found) => Some(found.clone()),
                    Content::Bytes(bytes) => Some(crate::values::sha256(bytes)),
                    Content::Absent | Content::AfterApply => None,
                };
                let is_roots = |e: &Entry| host.is_same_user(&e.owner, "root") && host.is_same_group(&e.group, "root");
                let kept = host.path(path)?.entry().is_some_and(|e| is_roots(e) && e.mode.bits() == 0o644);
                if before.as_ref() != Some(sha256) || !kept {
                    planned.change("key sha256", before, Some(sha256));
                    let (url, sha256, path) = (url.clone(), sha256.clone(), path.clone());
                    planned.ops.push(Op::File(FileOp::Download { url, sha256, path, meta: Meta::root(0o644) }));
                }
            }
            SigningKey::OnHost { path, pinned } => {
                let refuse = |why: String| Err(PlanError::Refused(format!("the signing key {path} on the host {why}")));
                if let Some(target) = host.path(path)?.entry().and_then(|entry| entry.target.as_ref()) {
                    if !pinned.is_empty() {
                        return refuse(format!("is a link: name the file it points to ({})", target.escape_debug()));
                    }
                    return Ok(());
                }
                match host.content(path)? {
                    Content::Absent if host.accounts_may_appear() => {
                        planned
                            .notes
                            .push(format!("{path} is not there yet: a package installed before must bring it"));
                    }
                    Content::Absent => {
                        return refuse("is not there: install the package that brings it before this step, or give the key as a local file".to_owned());
                    }
                    Content::Bytes(bytes) if !pinned.is_empty() => {
                        if let Err(why) = Keyring::parse(bytes).and_then(|keyring| check_pinned(&keyring, pinned)) {
                            return refuse(format!("is refused: {why}"));
                        }
                    }
                    Content::Digest(_) if !pinned.is_empty() => return refuse("is too large to be checked".to_owned()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Every key is pinned, and every pinned key is there.
fn check_pinned(keyring: &Keyring, pinned: &[String]) -> Result<(), String> {
    let strange = keyring.fingerprints.iter().find(|found| !pinned.contains(found));
    let missing = pinned.iter().find(|wanted| !keyring.fingerprints.contains(wanted));
    match (strange, missing) {
        (None, None) => Ok(()),
        (Some(found), _) => Err(format!("its fingerprint is {found}, pinned is {}", pinned.join(", "))),
        (None, Some(wanted)) => {
            Err(format!("the pinned {wanted} is not in it, only {}", keyring.fingerprints.join(", ")))
        }
    }
}
