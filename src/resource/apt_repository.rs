//! `apt_repository`: a package repository whose signing key is pinned.
//!
//! Written as deb822 (sources.list(5)) with a key of its own in `Signed-By`,
//! so that the key can vouch for this repository only. `Trusted: yes` is never
//! written. A key given by the operator must have the pinned fingerprint; a
//! key that the host fetches, the given SHA-256.

use super::signing_key::SigningKey;
use super::{Args, Field, Kind, Resource, Type, file, rejected};
use crate::observe::{HostState, PathState, PredictedState, Queries, Query};
use crate::plan::{Action, FileOp, Meta, Op, PackageOp, PlanError, Planned};
use crate::values::AbsPath;

pub(super) const KIND: Kind = Kind {
    name: "apt_repository",
    summary: "A package repository for apt, with its signing key pinned; the package lists are updated from it at once.",
    main: "name",
    fields: &[
        Field::required("name", Type::String, "the name of its files, such as \"docker\""),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional(
            "uris",
            Type::StringOrStrings,
            "its addresses, such as \"https://download.docker.com/linux/ubuntu\"; \"ppa:OWNER/NAME\" is an archive on Launchpad",
        ),
        Field::optional(
            "suites",
            Type::StringOrStrings,
            "its suites, such as \"{{ facts.os.codename }}\", or a path that ends in '/' where it has none",
        ),
        Field::optional(
            "components",
            Type::StringOrStrings,
            "its components, such as \"stable\"; none for a path as suite, \"main\" for a \"ppa:\"",
        ),
        Field::optional(
            "signed_by",
            Type::String,
            "its signing key: a local file, the armored text itself, an absolute path on the host, or a URL that the host fetches",
        ),
        Field::optional(
            "fingerprint",
            Type::StringOrStrings,
            "the whole fingerprints of every key in 'signed_by'; required for a local file and for text",
        ),
        Field::optional("sha256", Type::String, "the SHA-256 of the key file, in hexadecimal; required for a URL"),
        Field::optional(
            "types",
            Type::StringOrStrings,
            "\"deb\" for packages, \"deb-src\" for sources; default \"deb\"",
        ),
        Field::optional(
            "architectures",
            Type::StringOrStrings,
            "only for these, such as \"amd64\"; default: all of the host's",
        ),
    ],
    build,
};

const KEYRINGS: &str = "/etc/apt/keyrings";
const SOURCES: &str = "/etc/apt/sources.list.d";

#[derive(Debug)]
struct Repository {
    sources: AbsPath,
    /// Where our own key is or would be: armored, binary.
    keys: [AbsPath; 2],
    wanted: Option<DesiredRepository>,
}

#[derive(Debug)]
struct DesiredRepository {
    /// For each repository, the files of which one is there once it has been read.
    releases: Vec<[AbsPath; 2]>,
    content: String,
    key: SigningKey,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let name = args.string("name")?;
    // sources.list(5): apt ignores files with other characters in their names.
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.bytes().all(legal) || name.len() > 100 {
        args.wrong_value(
            "name",
            format!("'{}' is not a name for a repository: use letters, digits and '_-.'", name.escape_debug()),
        );
    }
    // The rest is judged whether or not the name is right.
    let file = if args.is_clean() { name.as_str() } else { "repository" };
    let path = |text: String| text.parse::<AbsPath>().ok();
    let sources = path(format!("{SOURCES}/{file}.sources"))?;
    let keys = [path(format!("{KEYRINGS}/{file}.asc"))?, path(format!("{KEYRINGS}/{file}.gpg"))?];
    let fields = ["uris", "suites", "components", "signed_by", "fingerprint", "sha256", "types", "architectures"];
    if args.absent() {
        for field in fields {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        return Some(Box::new(Repository { sources, keys, wanted: None }));
    }
    let key = SigningKey::build(args, &keys);
    let uris = uris(args);
    let suites = words(args, "suites", true);
    let mut components = words(args, "components", false);
    if args.node("components").is_none() && args.string("uris").is_some_and(|uri| archive_of(&uri).is_some()) {
        components.push("main".to_owned());
    }
    let flat = suites.iter().filter(|suite| suite.ends_with('/')).count();
    if flat == 0 && components.is_empty() && !suites.is_empty() && args.node("components").is_none() {
        args.refuse("components", "there must be 'components' (only a suite that ends in '/' has none)");
    }
    if flat > 0 && (flat < suites.len() || !components.is_empty()) {
        args.refuse("suites", "a suite that ends in '/' stands alone, without 'components'");
    }
    let mut types = words(args, "types", false);
    if let Some(other) = types.iter().find(|ty| !["deb", "deb-src"].contains(&ty.as_str())) {
        let message = format!("'types' are \"deb\" and \"deb-src\", not \"{other}\"");
        args.refuse("types", message);
    }
    if types.is_empty() {
        types.push("deb".to_owned());
    }
    let architectures = words(args, "architectures", false);
    let key = key?;
    let mut content = String::new();
    for (field, values) in [
        ("Types", &types),
        ("URIs", &uris),
        ("Suites", &suites),
        ("Components", &components),
        ("Architectures", &architectures),
        ("Signed-By", &vec![key.path().to_string()]),
    ] {
        if !values.is_empty() {
            content.push_str(&format!("{field}: {}\n", values.join(" ")));
        }
    }
    Some(Box::new(Repository {
        sources,
        keys,
        wanted: Some(DesiredRepository { releases: releases(&uris, &suites), content, key }),
    }))
}

/// Where apt keeps what a repository says of itself. An address with signs that
/// apt writes in another way in file names is left out.
fn releases(uris: &[String], suites: &[String]) -> Vec<[AbsPath; 2]> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"./:-".contains(&b));
    let mut files = Vec::new();
    for (uri, suite) in uris.iter().flat_map(|uri| suites.iter().map(move |suite| (uri, suite))) {
        let Some((_, place)) = uri.split_once("://").filter(|(scheme, _)| ["http", "https", "file"].contains(scheme))
        else {
            continue;
        };
        let dists = if suite.ends_with('/') { "" } else { "dists/" };
        let name = format!("{}/{dists}{}/", place.trim_end_matches('/'), suite.trim_end_matches('/')).replace('/', "_");
        let file = |last: &str| format!("/var/lib/apt/lists/{name}{last}").parse().ok();
        if let (true, Some(signed), Some(detached)) = (plain(place) && plain(suite), file("InRelease"), file("Release"))
        {
            files.push([signed, detached]);
        }
    }
    files
}

/// Words of a deb822 field: a blank or a line end in one would begin another.
fn words(args: &mut Args<'_>, field: &str, required: bool) -> Vec<String> {
    let words: Vec<String> = args.parse_list(field);
    if required && words.is_empty() && args.node(field).is_none_or(|node| node.as_array().is_some_and(<[_]>::is_empty))
    {
        args.refuse(field, format!("there must be '{field}'"));
    }
    if let Some(bad) =
        words.iter().find(|word| word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        let message = format!("'{}' in '{field}' must be one word", bad.escape_debug());
        args.refuse(field, message);
    }
    words
}

fn uris(args: &mut Args<'_>) -> Vec<String> {
    let uris: Vec<String> = words(args, "uris", true).into_iter().map(|uri| archive_of(&uri).unwrap_or(uri)).collect();
    for uri in &uris {
        let Some((scheme, rest)) = uri.split_once(':') else {
            args.wrong_value("uris", format!("'{}' is not an address such as https://host/path", uri.escape_debug()));
            continue;
        };
        if !["http", "https", "file", "copy", "mirror+http", "mirror+https", "mirror+file"].contains(&scheme) {
            args.wrong_value("uris", format!("apt does not fetch from '{}:' addresses", scheme.escape_debug()));
        }
        let authority = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
        if authority.contains('@') {
            args.wrong_value(
                "uris",
                "a password does not belong in an address that every user can read: put it in /etc/apt/auth.conf.d",
            );
        }
    }
    uris
}

/// The address of a personal package archive on Launchpad, `ppa:OWNER/NAME`
/// (add-apt-repository(1)).
fn archive_of(uri: &str) -> Option<String> {
    let (owner, name) = uri.strip_prefix("ppa:")?.split_once('/')?;
    let legal = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
    };
    (legal(owner) && legal(name)).then(|| format!("https://ppa.launchpadcontent.net/{owner}/{name}/ubuntu"))
}

impl Resource for Repository {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Content(self.sources.clone()));
        let Some(wanted) = &self.wanted else {
            queries.extend(self.keys.iter().cloned().map(Query::Path));
            return;
        };
        rejected::ask_sources(queries, &self.sources);
        queries.extend(wanted.releases.iter().flatten().cloned().map(Query::Path));
        wanted.key.queries(queries);
        queries.extend(KEYRINGS.parse().ok().map(Query::Path));
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let Some(wanted) = &self.wanted else {
            for path in [&self.sources].into_iter().chain(&self.keys) {
                planned.ops.extend(file::absent(host, path)?.ops);
            }
            if !planned.ops.is_empty() {
                planned.action = Some(Action::Delete);
                planned.change("state", Some("present"), Some("absent"));
                planned.ops.push(Op::Package(PackageOp::AptUpdate { only: None }));
            }
            return Ok(planned);
        };
        wanted.key.plan(host, &mut planned)?;
        if matches!(planned.ops.first(), Some(Op::File(FileOp::WriteFile { .. } | FileOp::Download { .. }))) {
            let keyrings = KEYRINGS.parse().map_err(|_| PlanError::Refused(format!("{KEYRINGS} is not a path")))?;
            if *host.path(&keyrings)? == PathState::Absent {
                planned.ops.insert(0, Op::File(FileOp::MakeDirectory { path: keyrings, meta: Meta::root(0o755) }));
            }
        }
        let sources = file::present(host, &self.sources, wanted.content.as_bytes(), &Meta::root(0o644), &None)?;
        planned.action = sources.action;
        planned.diff = sources.diff;
        planned.changes.extend(sources.changes);
        planned.ops.extend(sources.ops);
        // What an earlier run wrote and then could not fetch is still owed.
        if planned.ops.is_empty() && !host.lists_are_fetched(&self.sources) && wanted.never_read(host)? {
            planned.change("lists", Some("never fetched"), Some("fetched"));
            planned.ops.push(Op::Package(PackageOp::AptUpdate { only: Some(self.sources.clone()) }));
        } else if !planned.ops.is_empty() {
            planned.ops.push(Op::Package(PackageOp::AptUpdate { only: Some(self.sources.clone()) }));
            rejected::check_sources(host, &mut planned)?;
        }
        Ok(planned)
    }
}

impl DesiredRepository {
    fn never_read(&self, host: &HostState) -> Result<bool, PlanError> {
        for release in &self.releases {
            let [signed, detached] = [host.path(&release[0])?, host.path(&release[1])?];
            if *signed == PathState::Absent && *detached == PathState::Absent {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
