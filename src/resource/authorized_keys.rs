//! `authorized_keys`: public keys with which a user may log in.
//!
//! For a user that another step makes, or that the host has; several steps
//! for one user add up, unless one of them is exclusive. For a user that only a
//! package or a command of the run can bring, it is decided at its turn.

use super::in_force;
use super::key_file;
use super::ownership;
use super::plan_builder::PlanBuilder;
use super::ssh_dir::{self, Keys};
use super::{Args, Field, Kind, Resource, Type};
use crate::observe::{PredictedState, Queries, Query};
use crate::plan::{Action, InForce, PlanError, Planned};
use crate::values::{KeyOptions, UserName};

pub(super) const KIND: Kind = Kind {
    name: "authorized_keys",
    summary: "Public keys with which a user may log in, and the exact permissions that sshd asks for.",
    main: "user",
    fields: &[
        Field::required(
            "user",
            Type::String,
            "the user, who must exist or be made by an earlier step: its own, or a package or command that brings it",
        ),
        Field::required(
            "keys",
            Type::StringOrStrings,
            "keys: literal (\"ssh-ed25519 AAAA… comment\"), or paths and patterns of local files with one key each",
        ),
        Field::optional(
            "options",
            Type::String,
            "options of sshd(8) before each of these keys, such as from=\"192.0.2.0/24\",restrict; default: as they are",
        ),
        Field::optional("exclusive", Type::Bool, "whether every other line of the file is removed; default false"),
    ],
    build,
};

#[derive(Debug)]
struct AuthorizedKeys {
    user: UserName,
    keys: Keys,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let user: Option<UserName> = args.parse("user");
    let options: Option<KeyOptions> = args.parse("options");
    let wanted = key_file::given(args, "keys", options.as_ref());
    let exclusive = args.bool("exclusive").unwrap_or(false);
    Some(Box::new(AuthorizedKeys { user: user?, keys: Keys { wanted, exclusive } }))
}

impl Resource for AuthorizedKeys {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Accounts);
        queries.ask(Query::User(self.user.to_string()));
        if let Some(home) = ssh_dir::default_home(&self.user) {
            ssh_dir::ask(queries, &home);
        }
        in_force::ask_login(queries);
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut draft = PlanBuilder::new(host);
        if host.user(self.user.as_str())?.is_none() {
            ownership::missing(host, "user", self.user.as_str(), &mut draft.planned)?;
            for wanted in &self.keys.wanted {
                draft.change("authorized_keys", None::<&str>, Some(wanted.label()));
            }
            return Ok(draft.planned);
        }
        if ssh_dir::plan(&mut draft, &self.user, &self.keys)? {
            draft.planned.action = Some(Action::Create);
        }
        Ok(draft.planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        ssh_dir::in_force(host, &self.user, &self.keys, false)
    }
}
