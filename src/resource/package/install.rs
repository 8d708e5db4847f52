//! Which packages of a step are to be installed, and in which versions.

use super::{Present, field, installed, is_released_later, refuse_held};
use crate::observe::{Candidate, Package, PredictedState, Query};
use crate::plan::{Action, AptOptions, AptTarget, KNOWN_AFTER_APPLY, LISTS_ARE_OLD, PlanError, Planned};
use crate::values::{PackageName, compare_versions};
use std::cmp::Ordering;

/// The packages of a step on their way into one transaction.
pub(super) struct Install<'a> {
    host: &'a PredictedState,
    present: &'a Present,
    /// Whether the lists must be updated first, because they are known not to help.
    pub(super) update: bool,
    pub(super) targets: Vec<AptTarget>,
    /// What is held and gets another version, at which it is held again.
    pub(super) raised: Vec<PackageName>,
    /// What is held, gets another version, and is released by a later step.
    pub(super) freed: Vec<PackageName>,
    /// Whether apt knows no package of a name.
    pub(super) unknown: bool,
}

impl<'a> Install<'a> {
    pub(super) fn new(host: &'a PredictedState, present: &'a Present) -> Install<'a> {
        Install {
            host,
            present,
            update: false,
            targets: Vec::new(),
            raised: Vec::new(),
            freed: Vec::new(),
            unknown: false,
        }
    }

    pub(super) fn package(
        &mut self,
        name: &PackageName,
        several: bool,
        planned: &mut Planned,
    ) -> Result<(), PlanError> {
        let Present { version: pin, latest, held: hold, options, file, .. } = self.present;
        let before = installed(self.host, name)?;
        if let Package::Broken(state) = self.host.package(name)? {
            // Whatever half there is, apt brings the whole.
            let after = pin.clone().unwrap_or_else(|| KNOWN_AFTER_APPLY.to_owned());
            planned.action.get_or_insert(Action::Update);
            planned.change(field(name, "version", several), Some(state.as_str()), Some(after));
            self.target(name, None);
            return Ok(());
        }
        let installed = before.as_ref().map(|(version, _)| version.as_str());
        // A package that this step releases, or a later one, is not held any more.
        let is_held = before.as_ref().is_some_and(|(_, held)| *held);
        let frees = is_held && hold.is_none() && is_released_later(self.host, name);
        let held = is_held && *hold != Some(false) && !frees;
        let after = match (installed, pin) {
            (Some(found), Some(pin)) if matches_pin(found, pin) => return Ok(()),
            (_, Some(pin)) => {
                let advice = ", or say in this step whether it is held at that version (held = true) or no longer (held = false)";
                refuse_held(name, held && hold.is_none(), &format!("brought to version {pin}"), advice)?;
                if held {
                    self.raised.push(name.clone());
                    planned.notes.push(format!("package {name} is held: it is released for this and held again"));
                }
                refuse_downgrade(name, installed, pin, options.allow_downgrade)?;
                self.update |= file.is_none() && self.is_missing(pin, options, name, planned);
                pin.clone()
            }
            (Some(_), None) if !latest => return Ok(()),
            // What an earlier step of this run installs is the newest there is.
            (Some(found), None) if found == KNOWN_AFTER_APPLY => return Ok(()),
            (Some(found), None) => match self.newer(name, found, planned) {
                None => return Ok(()),
                Some(_) if held => {
                    planned.notes.push(format!("package {name} is held on this host at {found} and is left alone"));
                    return Ok(());
                }
                Some(newer) => newer,
            },
            (None, None) => match self.first(name, planned)? {
                First::Provided(by) => {
                    planned.notes.push(format!("{name} is a virtual package, which {by} provides"));
                    return Ok(());
                }
                First::Perhaps(by) => {
                    planned.action = Some(Action::Create);
                    planned.change(field(name, "version", several), None::<&str>, Some(KNOWN_AFTER_APPLY));
                    planned.notes.push(format!(
                        "{by} provides a virtual package of the name {name}, which is enough unless a package has the \
                         name: that is known when the package lists are read"
                    ));
                    self.target(name, None);
                    self.targets
                        .iter_mut()
                        .filter(|target| target.name == *name)
                        .for_each(|t| t.unless_provided = true);
                    return Ok(());
                }
                First::By(provider) => {
                    planned.action = Some(Action::Create);
                    planned.change(field(name, "version", several), None::<&str>, Some(KNOWN_AFTER_APPLY));
                    planned.notes.push(format!(
                        "{name} is a virtual package: {provider} is installed, the only one that provides it"
                    ));
                    self.target(&provider, Some(name));
                    return Ok(());
                }
                First::Version(version) => version,
            },
        };
        planned.action = Some(match (planned.action, installed) {
            (Some(Action::Create), _) | (_, None) => Action::Create,
            (None | Some(Action::Unknown), Some(_)) if after == KNOWN_AFTER_APPLY => Action::Unknown,
            _ => Action::Update,
        });
        planned.change(field(name, "version", several), installed, Some(after));
        self.freed.extend(frees.then(|| name.clone()));
        self.target(name, None);
        Ok(())
    }

    /// Whether the lists are to be updated for a version that they do not have yet.
    fn is_missing(&mut self, pin: &str, options: &AptOptions, name: &PackageName, planned: &mut Planned) -> bool {
        let offered = self.candidate(name, planned).and_then(|candidate| candidate.version.as_deref());
        let is_newer = offered.is_some_and(|offered| !matches_pin(offered, pin) && is_newer(pin, offered));
        self.lists_are_fresh() && options.default_release.is_none() && is_newer
    }

    fn target(&mut self, name: &PackageName, stands_for: Option<&PackageName>) {
        let Present { version, origin, file, .. } = self.present;
        self.targets.push(AptTarget {
            version: version.clone(),
            origin: origin.clone(),
            stands_for: stands_for.cloned(),
            file: file.clone(),
            ..AptTarget::new(name.clone())
        });
    }

    fn lists_are_fresh(&self) -> bool {
        self.host.facts.apt.lists_age.is_some_and(|age| age < LISTS_ARE_OLD)
    }

    /// What apt would install, if that is known and will still be so at apply;
    /// otherwise it is asked for, where asking can help.
    fn candidate(&self, name: &PackageName, planned: &mut Planned) -> Option<&Candidate> {
        if !self.lists_are_fresh() {
            return None;
        }
        let known = self.host.candidate(name).ok();
        if known.is_none() {
            planned.follow_up_queries.push(Query::Candidate(name.clone()));
        }
        known
    }

    /// What a package that is not there will be.
    fn first(&mut self, name: &PackageName, planned: &mut Planned) -> Result<First, PlanError> {
        let unknown = || Ok(First::Version(KNOWN_AFTER_APPLY.to_owned()));
        if self.present.file.is_some() {
            return unknown();
        }
        // Another package may provide the name, and is then enough, unless there is a package of the name.
        let Ok(provided) = self.host.provided(name) else {
            planned.follow_up_queries.push(Query::Provided(name.clone()));
            return unknown();
        };
        let by = provided.iter().next().cloned();
        let Some(candidate) = self.candidate(name, planned) else {
            return match by {
                Some(by) if self.host.facts.apt.lists_age.is_none() => Ok(First::Perhaps(by)),
                // Old lists know well enough whether there is a package of the name.
                Some(by) if !self.lists_are_fresh() => match self.host.candidate(name) {
                    Ok(Candidate { version: None, .. }) => Ok(First::Provided(by)),
                    Ok(_) => unknown(),
                    Err(_) => {
                        planned.follow_up_queries.push(Query::Candidate(name.clone()));
                        unknown()
                    }
                },
                _ => unknown(),
            };
        };
        let Candidate { version, origins, offered } = candidate.clone();
        match (version, by) {
            (None, Some(by)) => Ok(First::Provided(by)),
            (None, None) if !offered.is_empty() && self.present.options.default_release.is_none() => {
                Err(PlanError::Refused(format!(
                    "apt's preferences on this host (/etc/apt/preferences.d) rule out every version of {name} that is \
                     offered ({}): change them in a step before this one, or name a version with 'version'",
                    offered.join(", ")
                )))
            }
            (None, None) => self.by_provider(name, planned),
            // Its version is that of the release, which the candidate is not of.
            (Some(_), _) if self.present.options.default_release.is_some() => unknown(),
            (Some(version), _) => match &self.present.origin {
                Some(part) if !origins.iter().any(|origin| is_from(origin, part)) => {
                    planned.notes.push(format!(
                        "{name} {version} comes from {} now, not from {part}: this is checked again before the install, which fails if it is still so",
                        if origins.is_empty() { "nowhere".to_owned() } else { origins.join(", ") }
                    ));
                    unknown()
                }
                _ => Ok(First::Version(version)),
            },
        }
    }

    /// A name that no package of the lists has: a virtual package, or one that newer lists may have.
    fn by_provider(&mut self, name: &PackageName, planned: &mut Planned) -> Result<First, PlanError> {
        let Ok(providers) = self.host.providers(name) else {
            planned.follow_up_queries.push(Query::Providers(name.clone()));
            return Ok(First::Version(KNOWN_AFTER_APPLY.to_owned()));
        };
        let providers: Vec<PackageName> = providers.iter().filter_map(|one| one.parse().ok()).collect();
        match &providers[..] {
            [only] => Ok(First::By(only.clone())),
            // A package of an earlier step may bring the repository that has it.
            [] if self.host.packages_by().is_some() => {
                planned.notes.push(format!("apt on this host knows no package {name} yet"));
                self.unknown = true;
                Ok(First::Version(KNOWN_AFTER_APPLY.to_owned()))
            }
            [] => {
                planned.notes.push(format!(
                    "apt on this host knows no package {name} yet: the lists are updated first, and the apply fails if that does not help"
                ));
                self.update = true;
                Ok(First::Version(KNOWN_AFTER_APPLY.to_owned()))
            }
            several => Err(PlanError::Refused(format!(
                "{name} is a virtual package that several provide: name one of {}",
                several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// The version that is newer than the installed one, if there is one or may be one.
    fn newer(&mut self, name: &PackageName, found: &str, planned: &mut Planned) -> Option<String> {
        match self.candidate(name, planned) {
            // No repository offers it (any longer): what is there is the newest.
            Some(Candidate { version: None, .. }) => None,
            Some(Candidate { version: Some(version), .. }) => (version != found).then(|| version.clone()),
            None if self.lists_are_fresh() => Some(KNOWN_AFTER_APPLY.to_owned()),
            None => {
                planned.notes.push(format!(
                    "the package lists are old: whether {name} has a newer version is known after their update"
                ));
                self.update = true;
                Some(KNOWN_AFTER_APPLY.to_owned())
            }
        }
    }
}

/// What a package that is not there will be.
enum First {
    /// Installed in a version.
    Version(String),
    /// Provided by another that is installed.
    Provided(String),
    /// Provided by another that is installed, unless there is a package of the name.
    Perhaps(String),
    /// Provided by another that will be installed.
    By(PackageName),
}

/// Whether newer lists could have this version: those that are there offer only older ones.
fn is_newer(pin: &str, offered: &str) -> bool {
    compare_versions(pin.trim_end_matches('*'), offered) == Ordering::Greater
}

fn refuse_downgrade(name: &PackageName, found: Option<&str>, pin: &str, allowed: bool) -> Result<(), PlanError> {
    // With a '*', apt itself must say which version is meant.
    let Some(found) = found.filter(|found| *found != KNOWN_AFTER_APPLY && !allowed && !pin.ends_with('*')) else {
        return Ok(());
    };
    if compare_versions(pin, found) != Ordering::Less {
        return Ok(());
    }
    Err(PlanError::Refused(format!(
        "package {name} is installed in version {found}, and {pin} is older: allow_downgrade = true permits that"
    )))
}

fn matches_pin(version: &str, pin: &str) -> bool {
    pin.strip_suffix('*').map_or(version == pin, |start| version.starts_with(start))
}

/// Whether a line of apt-cache(8) policy names this address, or one with these
/// whole parts; the runner's `candidate_from` asks the same. `docker.com` is no
/// part of `docker.com.example.org`.
fn is_from(line: &str, part: &str) -> bool {
    line.match_indices(part).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_none_or(|c| " /.@".contains(c));
        let after = line[at + part.len()..].chars().next().is_none_or(|c| " /:".contains(c));
        before && (after || part.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::is_from;

    #[test]
    fn an_address_is_compared_by_whole_parts() {
        let line = "https://download.docker.com/linux/ubuntu noble/stable amd64 Packages";
        for part in [
            "download.docker.com",
            "docker.com",
            "https://download.docker.com/linux/ubuntu",
            "https://download.docker.com/",
        ] {
            assert!(is_from(line, part), "{part}");
        }
        for part in ["ocker.com", "download.docker", "docker.com/lin", "example.org"] {
            assert!(!is_from(line, part), "{part}");
        }
        for other in [
            "https://download.docker.com.example.org/ noble",
            "https://not-docker.com/ noble",
            "http://example.org/?docker.com_x",
        ] {
            assert!(!is_from(other, "docker.com"), "{other}");
        }
    }
}
