//! What each operation does to a predicted state.

use super::apt::with_released;
use super::harmless::may_configure_apt;
use super::read_from;
use super::unit_files::{self, Brought};
use super::{AptTarget, LISTS_ARE_OLD, Mark, Meta, Op, Verb};
use crate::observe::{
    Account, Content, Entry, FileType, Group, HostState, Known, Module, Package, PathState, Query, Shadow, Transaction,
};
use crate::values::{AbsPath, Mode, Secret};

impl Op {
    /// Plays the operation on a predicted state.
    pub fn effect(&self, host: &mut HostState) {
        if !matches!(self, Op::Check(_)) {
            host.count_change_at(self.own_place());
        }
        host.may_change(self.may_change());
        if self.may_require_reboot() {
            host.reboot_may_become_required();
        }
        if self.configures_apt() {
            host.forget_candidates();
        }
        if let Op::WriteFile { path, .. } | Op::Download { path, .. } | Op::MakeLink { path, .. } = self {
            host.will_be_written(path);
        }
        if self.changes_sources() {
            host.facts.apt.lists_age = None;
        }
        if self.may_bring_repositories() {
            host.apt_may_change();
        }
        if self.calls_dpkg() {
            host.dpkg_will_be_whole();
        }
        match self {
            Op::WriteFile { path, content, meta, .. } => {
                host.set_path(path, present(FileType::File, meta, None));
                host.set_content(path, Content::Bytes(content.clone()));
                unit_files::changed(host, path, Brought::Text(content));
                read_from::changed(host, path, Brought::Text(content));
            }
            Op::Download { sha256, path, meta, .. } => {
                host.set_path(path, present(FileType::File, meta, None));
                host.set_content(path, Content::Digest(sha256.to_ascii_lowercase()));
                unit_files::changed(host, path, Brought::Unread);
            }
            Op::MakeDirectory { path, meta } => host.set_path(path, present(FileType::Directory, meta, None)),
            Op::MakeLink { path, target } => {
                host.set_path(path, present(FileType::Link, &Meta::root(0o777), Some(target.clone())));
                unit_files::changed(host, path, Brought::Link(target));
                read_from::changed(host, path, Brought::Link(target));
            }
            Op::Remove { path, .. } => {
                host.remove_tree(path);
                unit_files::changed(host, path, Brought::Nothing);
                read_from::changed(host, path, Brought::Nothing);
            }
            Op::SetMeta { path, owner, group, mode } => set_meta(host, path, owner, group, *mode),
            Op::SetTree { path, meta, found, .. } => meta.effect(host, path, found),

            Op::GroupAdd { name, gid, .. } => add_group(host, name.as_str(), *gid),
            Op::GroupChange { name, gid } => {
                let old = host
                    .groups_mut()
                    .get_mut(name.as_str())
                    .map(|group| std::mem::replace(&mut group.gid, Known::Is(*gid)));
                if let Some(Known::Is(old)) = old {
                    host.renumber(name.as_str(), (old, *gid), true, None);
                }
            }
            Op::GroupRemove { name } => {
                host.groups_mut().remove(name.as_str());
            }
            Op::UserAdd { name, uid, group, shell, home, comment, .. } => {
                let primary = group.as_ref().map_or(name.as_str(), |g| g.as_str()).to_owned();
                add_group(host, &primary, None);
                let account = Account {
                    uid: uid.map_or(Known::AfterApply, Known::Is),
                    group: primary.clone(),
                    comment: comment.clone().unwrap_or_default(),
                    home: home.as_ref().map_or_else(|| format!("/home/{name}"), ToString::to_string),
                    shell: shell.clone().unwrap_or_else(|| "/bin/sh".to_owned()),
                };
                host.users_mut().insert(name.to_string(), account);
                host.made_locally(Some(name.as_str()), None);
                let locked = Shadow { hash: Secret::new("!"), expires: None };
                host.shadow_mut().insert(name.to_string(), locked);
                if let Some(home) = home {
                    // useradd(8) makes the directories above it too.
                    let missing: Vec<AbsPath> =
                        home.ancestors().filter(|path| host.path(path) == Ok(&PathState::Absent)).collect();
                    missing
                        .iter()
                        .for_each(|path| host.set_path(path, present(FileType::Directory, &Meta::root(0o755), None)));
                    let meta = Meta { owner: name.to_string(), group: primary, mode: Mode::from_bits(0o750) };
                    host.home_will_be_made(home);
                    host.set_path(home, present(FileType::Directory, &meta, None));
                }
            }
            Op::UserChange { name, uid, group, shell, home, move_home, comment } => {
                let old_home: Option<AbsPath> =
                    host.user(name.as_str()).ok().flatten().and_then(|account| account.home.parse().ok());
                if let (true, Some(old), Some(new)) = (move_home, &old_home, home) {
                    move_tree(host, old, new);
                }
                let number = host.user(name.as_str()).ok().flatten().map(|account| account.uid.clone());
                if let (Some(new), Some(Known::Is(old))) = (uid, number) {
                    // usermod(8) gives the user what is in the home.
                    host.renumber(name.as_str(), (old, *new), false, home.as_ref().or(old_home.as_ref()));
                }
                if let Some(account) = host.users_mut().get_mut(name.as_str()) {
                    if let Some(uid) = uid {
                        account.uid = Known::Is(*uid);
                    }
                    if let Some(group) = group {
                        account.group = group.to_string();
                    }
                    if let Some(shell) = shell {
                        account.shell.clone_from(shell);
                    }
                    if let Some(home) = home {
                        account.home = home.to_string();
                    }
                    if let Some(comment) = comment {
                        account.comment.clone_from(comment);
                    }
                }
                if host.facts.login_user == name.as_str() {
                    login_facts(host, shell.as_deref(), home.as_ref());
                }
            }
            Op::UserRemove { name, remove_home } => {
                let account = host.users_mut().remove(name.as_str());
                host.shadow_mut().remove(name.as_str());
                for group in host.groups_mut().values_mut() {
                    group.members.remove(name.as_str());
                }
                // userdel(8): the user's own group goes with it (USERGROUPS_ENAB) if nobody else is in it.
                let own_is_empty = host.groups_mut().get(name.as_str()).is_some_and(|g| g.members.is_empty());
                if own_is_empty && account.as_ref().is_some_and(|a| a.group == name.as_str()) {
                    host.groups_mut().remove(name.as_str());
                }
                if let (true, Some(Ok(home))) = (remove_home, account.map(|a| a.home.parse::<AbsPath>())) {
                    host.remove_tree(&home);
                }
            }
            Op::SetPasswordHash { user, hash } => {
                if let Some(shadow) = host.shadow_mut().get_mut(user.as_str()) {
                    shadow.hash = hash.clone();
                }
            }
            Op::LockPassword { user, lock } => {
                if let Some(shadow) = host.shadow_mut().get_mut(user.as_str()) {
                    let bare = shadow.hash.expose().trim_start_matches('!').to_owned();
                    shadow.hash = Secret::new(if *lock { format!("!{bare}") } else { bare });
                }
            }
            Op::SetExpiry { user, day } => {
                if let Some(shadow) = host.shadow_mut().get_mut(user.as_str()) {
                    shadow.expires = *day;
                }
            }
            Op::Join { user, group } => {
                add_group(host, group.as_str(), None);
                if let Some(group) = host.groups_mut().get_mut(group.as_str()) {
                    group.members.insert(user.to_string());
                }
            }
            Op::Leave { user, group } => {
                if let Some(group) = host.groups_mut().get_mut(group.as_str()) {
                    group.members.remove(user.as_str());
                }
            }

            Op::AptUpdate { only } => {
                host.facts.apt.lists_age = Some(0);
                host.lists_will_be_fetched(only.as_ref());
                host.forget_candidates();
            }
            Op::AptInstall { packages, remove, .. } => {
                let there = |target: &AptTarget| matches!(host.package(&target.name), Ok(Package::Installed { .. }));
                let brings_more = !packages.iter().all(there);
                host.forget_transactions();
                remove.iter().for_each(|name| host.shipped_files_go(name, false));
                for target in packages {
                    host.set_automatic(&target.name, false);
                    host.list_package(&target.name, target.version.as_deref());
                    let version = match &target.version {
                        Some(version) => Known::Is(version.clone()),
                        None => match host.candidate(&target.name) {
                            Ok(candidate) => candidate.version.clone().map_or(Known::AfterApply, Known::Is),
                            Err(_) => Known::AfterApply,
                        },
                    };
                    let held = matches!(host.package(&target.name), Ok(Package::Installed { held: true, .. }));
                    host.set_package(&target.name, Package::Installed { version, held });
                    if let Some(name) = &target.stands_for {
                        host.set_provided(name, [target.name.to_string()]);
                    }
                }
                remove.iter().for_each(|name| host.set_package(name, Package::Absent));
                remove.iter().for_each(|name| host.list_package(name, None));
                if brings_more {
                    host.packages_will_appear();
                }
            }
            Op::AptRemove { packages, purge, .. } => {
                host.forget_transactions();
                let left = if *purge { Package::Absent } else { Package::ConfigFiles };
                packages.iter().for_each(|name| host.set_package(name, left.clone()));
                packages.iter().for_each(|name| host.shipped_files_go(name, *purge));
                packages.iter().for_each(|name| host.list_package(name, None));
            }
            Op::AptUpgrade { .. } | Op::AptAutoremove { .. } => {
                if matches!(self, Op::AptUpgrade { .. })
                    && host.facts.apt.lists_age.is_none_or(|age| age >= LISTS_ARE_OLD)
                {
                    host.facts.apt.lists_age = Some(0);
                    host.forget_candidates();
                }
                // What an upgrade leaves over is known after it.
                if matches!(self, Op::AptUpgrade { .. }) {
                    host.forget_transactions();
                }
                if let Some(words) = self.apt_words() {
                    let words = with_released(words, host.released_packages().iter());
                    host.set_transaction(&words, Transaction::default());
                }
            }
            Op::AptMark { packages, mark } => {
                for name in packages {
                    match mark {
                        Mark::Hold | Mark::Unhold => host.set_hold(name, *mark == Mark::Hold),
                        Mark::Auto | Mark::Manual => host.set_automatic(name, *mark == Mark::Auto),
                    }
                }
            }
            Op::Debconf { .. } => {}

            Op::DaemonReload => host.units_reloaded(),
            Op::Systemctl { verb, unit } | Op::Pending { verb, unit, .. } => unit_files::told(host, *verb, unit),
            Op::Forget { pending } => host.forget_pending(pending),
            Op::Sysctl { key, value } => host.set_sysctl(key, value),
            Op::Module { name, load } => {
                host.set_module(name, Module { loaded: *load, builtin: false });
                if *load {
                    host.module_will_load();
                }
            }
            Op::SetHostname { name } => {
                host.facts.hostname.clone_from(name);
                host.fact_is_decided("hostname");
                if let Ok(path) = "/etc/hostname".parse() {
                    let before = host.path(&path).ok().and_then(PathState::entry).is_some();
                    if !before {
                        host.set_path(&path, present(FileType::File, &Meta::root(0o644), None));
                    }
                    host.set_content(&path, Content::Bytes(format!("{name}\n").into_bytes()));
                }
            }
            Op::SetTimezone { zone } => {
                host.facts.timezone.clone_from(zone);
                host.fact_is_decided("timezone");
                if let Ok(path) = "/etc/localtime".parse() {
                    let target = Some(format!("/usr/share/zoneinfo/{zone}"));
                    host.set_path(&path, present(FileType::Link, &Meta::root(0o777), target));
                }
            }
            Op::Run { achieves, .. } => {
                host.command_will_run();
                achieves.iter().for_each(|outcome| outcome.is_expected(host));
            }
            Op::Exec { achieves, .. } => {
                achieves.iter().for_each(|outcome| outcome.effect(host));
            }
            Op::Check(check) => host.set_asserted(&check.asks),
            Op::Reboot { .. } => {
                for file in ["/run/reboot-required", "/var/run/reboot-required"].iter().filter_map(|f| f.parse().ok()) {
                    host.set_path(&file, PathState::Absent);
                }
                host.will_reboot();
                host.mounts_may_change();
            }
        }
        read_from::accounts_changed(host, self);
    }
}

/// Whether apt reads what stands at a path: its sources, preferences and settings.
pub(super) fn is_apts(path: &AbsPath) -> bool {
    path.as_str().starts_with("/etc/apt/")
}

impl Op {
    /// Whether it may change which packages apt offers, and in which versions:
    /// sources, preferences and settings.
    pub(crate) fn configures_apt(&self) -> bool {
        match self {
            Op::WriteFile { path, .. }
            | Op::Download { path, .. }
            | Op::MakeLink { path, .. }
            | Op::Remove { path, .. } => is_apts(path),
            _ => false,
        }
    }

    /// Whether it changes the sources themselves, which are read anew before the
    /// next package is installed.
    fn changes_sources(&self) -> bool {
        let is_source = |path: &AbsPath| {
            path.as_str() == "/etc/apt/sources.list" || path.as_str().starts_with("/etc/apt/sources.list.d")
        };
        match self {
            Op::WriteFile { path, .. }
            | Op::Download { path, .. }
            | Op::MakeLink { path, .. }
            | Op::Remove { path, .. } => is_source(path),
            _ => false,
        }
    }

    /// Whether it may change which packages apt offers in a way that nobody can
    /// know before: operators' commands, and package files, which may hold the
    /// sources of a repository.
    fn may_bring_repositories(&self) -> bool {
        match self {
            Op::Run { script, user, directory, .. } => may_configure_apt(script, user.as_ref(), directory.as_ref()),
            Op::AptInstall { packages, .. } => {
                packages.iter().any(|target| target.file.is_some() || target.path.is_some())
            }
            _ => false,
        }
    }

    /// The one place that it changes, where there is no other.
    fn own_place(&self) -> Option<&AbsPath> {
        match self {
            Op::WriteFile { path, validate: None, .. }
            | Op::MakeDirectory { path, .. }
            | Op::MakeLink { path, .. }
            | Op::Remove { path, .. }
            | Op::SetMeta { path, .. }
            | Op::Download { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Whether it has apt call dpkg(1), which first ends what it has left unfinished.
    fn calls_dpkg(&self) -> bool {
        matches!(self, Op::AptInstall { .. } | Op::AptRemove { .. } | Op::AptUpgrade { .. } | Op::AptAutoremove { .. })
    }

    /// Whether packages, units or the operator's own text, which this makes
    /// run, may ask for a reboot.
    fn may_require_reboot(&self) -> bool {
        match self {
            Op::AptInstall { .. }
            | Op::AptRemove { .. }
            | Op::AptUpgrade { .. }
            | Op::AptAutoremove { .. }
            | Op::Run { .. }
            | Op::Exec { .. } => true,
            Op::Systemctl { verb, .. } => matches!(verb, Verb::Start | Verb::Restart | Verb::Reload | Verb::Stop),
            _ => false,
        }
    }
}

pub(super) fn present(file_type: FileType, meta: &Meta, target: Option<String>) -> PathState {
    let Meta { owner, group, mode } = meta.clone();
    PathState::Present(Entry { file_type, mode, owner, group, target })
}

fn set_meta(host: &mut HostState, path: &AbsPath, owner: &Option<String>, group: &Option<String>, mode: Option<Mode>) {
    let Ok(PathState::Present(mut entry)) = host.path(path).cloned() else { return };
    let content = host.content(path).ok().cloned();
    let (size, links) = (host.size(path), host.hard_links(path));
    if let Some(owner) = owner {
        entry.owner.clone_from(owner);
    }
    if let Some(group) = group {
        entry.group.clone_from(group);
    }
    entry.mode = mode.unwrap_or(entry.mode);
    host.set_path(path, PathState::Present(entry));
    host.set_size(path, size);
    host.set_hard_links(path, links);
    if let Some(content) = content {
        host.set_content(path, content);
    }
}

/// What is at and below a path will be at and below another, which is free.
fn move_tree(host: &mut HostState, old: &AbsPath, new: &AbsPath) {
    let within = |top: &AbsPath| -> Vec<AbsPath> {
        let path = |query: &Query| match query {
            Query::Path(path) if path.is_within(top) => Some(path.clone()),
            _ => None,
        };
        host.questions().iter().filter_map(path).collect()
    };
    let (sources, targets) = (within(old), within(new));
    // What nobody looked at before the move is known after it.
    for path in targets {
        host.set_path(&path, PathState::AfterApply);
        host.set_content(&path, Content::AfterApply);
    }
    for path in sources {
        let below = path.as_str().strip_prefix(old.as_str()).unwrap_or_default();
        let Ok(place) = format!("{new}{below}").parse::<AbsPath>() else { continue };
        let content = host.content(&path).ok().cloned();
        if let Ok(state) = host.path(&path).cloned() {
            host.set_path(&place, state);
        }
        if let Some(content) = content {
            host.set_content(&place, content);
        }
    }
    host.remove_tree(old);
}

/// What the facts say of who is logged in.
fn login_facts(host: &mut HostState, shell: Option<&str>, home: Option<&AbsPath>) {
    if let Some(shell) = shell {
        shell.clone_into(&mut host.facts.login_shell);
        host.fact_is_decided("login_shell");
    }
    if let Some(home) = home {
        home.as_str().clone_into(&mut host.facts.login_home);
        host.fact_is_decided("login_home");
    }
}

fn add_group(host: &mut HostState, name: &str, gid: Option<u32>) {
    if !host.groups_mut().contains_key(name) {
        host.made_locally(None, Some(name));
    }
    host.groups_mut()
        .entry(name.to_owned())
        .or_insert_with(|| Group { gid: gid.map_or(Known::AfterApply, Known::Is), members: Default::default() });
}
