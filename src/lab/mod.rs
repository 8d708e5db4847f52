//! Disposable test hosts: containers of a local Docker engine that behave like
//! fresh servers, with real systemd, sshd, sudo and apt.
//!
//! A lab is a directory (`.stockade/lab` by default) with a key pair, a
//! `known_hosts` file, and an `inventory.toml` that every other command can
//! use at once. What must hold: hosts listen on loopback only; their public
//! keys come from inside them and never from the network; every container
//! carries labels that name its lab, so that nothing is lost when the
//! directory is; a host that does not come up is removed again.
//!
//! Nothing here prints: progress is told to a callback.
//!
//! ```no_run
//! use stockade::lab::{Lab, UpOptions};
//! let lab = Lab::open(".stockade/lab")?;
//! let hosts = lab.up(&UpOptions { count: 2, ..UpOptions::default() })?;
//! let sshd = hosts[0].exec(&["sshd", "-T"])?;
//! lab.down_all()?;
//! # Ok::<(), stockade::lab::LabError>(())
//! ```

mod container;
mod engine;
mod error;
mod host;
mod image;
mod names;
mod process;
mod sources;
mod state;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

pub use error::LabError;
pub use host::{HostState, LabHost, StartedHosts, UpOptions};
pub use names::{Base, HostKeyType, HostProfile};

use container::{Health, Login, Seen, Started};
use engine::Engine;
use state::{Record, Records, StateDir};

/// The lab's directory when none is given.
pub const DEFAULT_DIR: &str = ".stockade/lab";

/// A group of test hosts and the directory that describes them.
#[derive(Debug, Clone)]
pub struct Lab {
    state: StateDir,
    engine: Engine,
}

impl Lab {
    /// Opens the lab in `dir`, creating the directory if needed. The engine is
    /// not asked for anything yet.
    ///
    /// # Errors
    /// When the directory cannot be made or its path cannot be used.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, LabError> {
        Ok(Self { state: StateDir::open(dir.as_ref())?, engine: Engine })
    }

    /// The lab's directory, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.state.path()
    }

    /// The inventory file; it exists while the lab has hosts.
    #[must_use]
    pub fn inventory_path(&self) -> PathBuf {
        self.state.file("inventory.toml")
    }

    /// The private key that logs in; it exists while the lab has hosts.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.state.file("id_ed25519")
    }

    /// The known_hosts file; it exists while the lab has hosts.
    #[must_use]
    pub fn known_hosts_path(&self) -> PathBuf {
        self.state.file("known_hosts")
    }

    /// Asks whether an engine answers; tests that need one fail where none does.
    ///
    /// # Errors
    /// [`LabError::DockerMissing`] or [`LabError::EngineUnreachable`].
    pub fn check_engine(&self) -> Result<(), LabError> {
        self.engine.check()
    }

    /// Brings hosts up and waits until each can be logged in to.
    ///
    /// # Errors
    /// As [`Lab::up_with`].
    pub fn up(&self, options: &UpOptions) -> Result<Vec<LabHost>, LabError> {
        self.up_with(options, &mut |_| {}).map(|raised| raised.hosts)
    }

    /// As [`Lab::up`], telling `say` one line a step.
    ///
    /// # Errors
    /// Any [`LabError`]; no host of this call is left behind then.
    pub fn up_with(&self, options: &UpOptions, say: &mut dyn FnMut(&str)) -> Result<StartedHosts, LabError> {
        options.groups.iter().try_for_each(|group| names::check_group_name(group))?;
        names::choose(options.name.as_deref(), options.count, &[])?;
        self.engine.check()?;
        let mut notices = Vec::new();
        let image = image::ensure(&self.engine, options.base.as_ref(), options.profile, say, &mut notices)?;

        let _lock = self.state.lock()?;
        let mut records = self.state.load()?;
        let mut taken: Vec<String> = records.keys().cloned().collect();
        taken.extend(container::of_lab(&self.engine, &self.label())?.into_iter().map(|seen| seen.name));
        let names = names::choose(options.name.as_deref(), options.count, &taken)?;

        let raised = self.start(&names, options, &image, say).and_then(|started| {
            let mut up = Vec::new();
            for (name, id) in started {
                let (record, notice) = self.settle(&name, &id, options, &image)?;
                say(&format!("{name} is ready on 127.0.0.1:{}", record.port));
                notices.extend(notice);
                up.push((name, record));
            }
            records.extend(up.iter().cloned());
            self.state.save(&records)?;
            Ok(up)
        });
        match raised {
            Ok(up) => {
                let hosts =
                    up.into_iter().map(|(name, record)| self.host(&name, &record, HostState::Running)).collect();
                Ok(StartedHosts { hosts, notices })
            }
            Err(error) => {
                for name in &names {
                    // The first error is the one to report.
                    let _ = container::remove(&self.engine, &self.container(name));
                }
                Err(error)
            }
        }
    }

    /// Starts the containers, all before any is waited for: they boot at once.
    fn start(
        &self,
        names: &[String],
        options: &UpOptions,
        image: &image::Image,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<(String, String)>, LabError> {
        let mut started = Vec::new();
        for name in names {
            say(&format!("starting {name} from {}", image.base));
            let spec = container::Spec {
                container: &self.container(name),
                host: name,
                lab: &self.label(),
                base: &image.base.to_string(),
                user: options.profile.user(),
                groups: &options.groups.join(","),
                image: &image.reference,
                host_keys: &options.host_keys,
            };
            started.push((name.clone(), container::start(&self.engine, &spec)?));
        }
        Ok(started)
    }

    /// Waits until a started host is ready and reads what identifies it.
    fn settle(
        &self,
        name: &str,
        id: &str,
        options: &UpOptions,
        image: &image::Image,
    ) -> Result<(Record, Option<String>), LabError> {
        let key = self.state.public_key()?;
        let login = Login { user: options.profile.user(), key: &key };
        let (port, started) = self.wait(name, id, Some(login))?;
        container::keep_alive(&self.engine, id)?;
        let record = Record {
            container: id.to_owned(),
            port,
            base: image.base.to_string(),
            user: options.profile.user().to_owned(),
            groups: options.groups.clone(),
            host_keys: started.host_keys,
        };
        let notice = match started.health {
            Health::Running => None,
            Health::Degraded(units) => Some(format!("{name} is up, but these units failed: {}", units.join(", "))),
        };
        Ok((record, notice))
    }

    /// Waits for systemd and for sshd; returns sshd's port. A new host is given its `login`.
    fn wait(&self, name: &str, id: &str, login: Option<Login<'_>>) -> Result<(u16, Started), LabError> {
        let deadline = Instant::now() + container::READY;
        let ready = container::wait_for_systemd(&self.engine, id, login, deadline).and_then(|started| {
            let seen = container::of_lab(&self.engine, &self.label()).map_err(|error| error.to_string())?;
            let port = seen.iter().find(|seen| seen.id == id).and_then(|seen| seen.port);
            let port = port.ok_or("the engine published no port for it")?;
            container::wait_for_banner(port, deadline)?;
            Ok((port, started))
        });
        ready.map_err(|reason| self.not_ready(name, id, reason))
    }

    fn not_ready(&self, name: &str, id: &str, reason: String) -> LabError {
        LabError::NotReady { name: name.to_owned(), reason, log: container::last_words(&self.engine, id) }
    }

    /// The hosts of the lab, by name: what is remembered and what the engine
    /// has. Ports that changed (a container that an earlier version made gets a new one)
    /// and hosts that were forgotten are written to the lab's files.
    ///
    /// # Errors
    /// When the engine does not answer or a file cannot be read or written.
    pub fn list(&self) -> Result<Vec<LabHost>, LabError> {
        let _lock = self.state.lock()?;
        self.survey()
    }

    /// [`Lab::list`] under a lock that is held already.
    fn survey(&self) -> Result<Vec<LabHost>, LabError> {
        let before = self.state.load()?;
        let mut records = before.clone();
        let mut hosts = BTreeMap::new();
        for seen in container::of_lab(&self.engine, &self.label())? {
            let state = match seen.status.as_str() {
                "running" => HostState::Running,
                other => HostState::Stopped(other.to_owned()),
            };
            if let (HostState::Running, Some(port)) = (&state, seen.port) {
                let old = records.get(&seen.name).filter(|old| old.container == seen.id && old.port == port);
                // One that has no host keys yet is still starting; the next look finds them.
                if let (None, Ok(record)) = (old, self.adopt(&seen, port)) {
                    records.insert(seen.name.clone(), record);
                }
            }
            hosts.insert(seen.name.clone(), self.seen_host(seen, state));
        }
        for (name, record) in &records {
            hosts.entry(name.clone()).or_insert_with(|| self.host(name, record, HostState::Gone));
        }
        if records != before {
            self.state.save(&records)?;
        }
        Ok(hosts.into_values().collect())
    }

    fn adopt(&self, seen: &Seen, port: u16) -> Result<Record, LabError> {
        Ok(Record {
            container: seen.id.clone(),
            port,
            base: seen.base.clone(),
            user: seen.user.clone(),
            groups: seen.groups.clone(),
            host_keys: container::host_keys(&self.engine, &seen.id)?,
        })
    }

    /// One host by name.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`], or as [`Lab::list`].
    pub fn find(&self, name: &str) -> Result<LabHost, LabError> {
        let hosts = self.list()?;
        pick(name, hosts)
    }

    /// Takes one host down: its container and volumes are removed, and what is
    /// remembered of it.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`], or when the engine refuses.
    pub fn down(&self, name: &str) -> Result<(), LabError> {
        let _lock = self.state.lock()?;
        let host = pick(name, self.survey()?)?;
        self.take_down(&[host])
    }

    /// Takes all hosts of the lab down; returns their names. Without hosts the
    /// lab's key pair and files are removed too.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn down_all(&self) -> Result<Vec<String>, LabError> {
        let _lock = self.state.lock()?;
        let hosts = self.survey()?;
        self.take_down(&hosts)?;
        container::sweep(&self.engine, &self.container(""))?;
        Ok(hosts.into_iter().map(|host| host.name).collect())
    }

    fn take_down(&self, hosts: &[LabHost]) -> Result<(), LabError> {
        let mut records: Records = self.state.load()?;
        for host in hosts {
            container::remove(&self.engine, &self.container(&host.name))?;
            records.remove(&host.name);
        }
        // Stopped hosts may have no record, but they need the key pair.
        if records.is_empty() && !container::of_lab(&self.engine, &self.label())?.is_empty() {
            return Ok(());
        }
        self.state.save(&records)
    }

    /// Restarts a host as a reboot would and waits until it is ready.
    ///
    /// # Errors
    /// When there is no such host or it does not come up again; it is kept.
    pub fn restart(&self, name: &str) -> Result<LabHost, LabError> {
        let _lock = self.state.lock()?;
        let host = pick(name, self.survey()?)?;
        if host.state == HostState::Gone {
            return Err(LabError::NotRunning { name: host.name, state: host.state.to_string() });
        }
        self.engine.call(&["restart", "--time", "20", &host.container])?;
        self.wait(name, &host.container, None)?;
        pick(name, self.survey()?)
    }

    /// The real `ssh` client, set up for a host: its key, its known host keys,
    /// no configuration of the user's. `remote` is the command, as ssh takes it.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`] or [`LabError::NotRunning`].
    pub fn ssh<S: Into<OsString> + Clone>(&self, name: &str, remote: &[S]) -> Result<Command, LabError> {
        let host = self.find(name)?;
        let (HostState::Running, Some(port)) = (&host.state, host.port) else {
            return Err(LabError::NotRunning { name: host.name, state: host.state.to_string() });
        };
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes"]);
        command.args(["-o", "GlobalKnownHostsFile=/dev/null", "-o"]);
        command.arg(format!("UserKnownHostsFile=\"{}\"", self.known_hosts_path().display()));
        command.arg("-i").arg(self.key_path()).arg("-p").arg(port.to_string());
        command.arg("-l").arg(&host.user).arg("127.0.0.1");
        if !remote.is_empty() {
            command.arg("--").args(remote.iter().cloned().map(Into::into));
        }
        Ok(command)
    }

    fn label(&self) -> String {
        // The state directory was checked to be UTF-8 when it was opened.
        self.state.path().to_string_lossy().into_owned()
    }

    fn container(&self, name: &str) -> String {
        names::container(self.state.path(), name)
    }

    fn host(&self, name: &str, record: &Record, state: HostState) -> LabHost {
        LabHost {
            name: name.to_owned(),
            port: Some(record.port),
            user: record.user.clone(),
            base: record.base.clone(),
            container: record.container.clone(),
            state,
            engine: self.engine.clone(),
        }
    }

    fn seen_host(&self, seen: Seen, state: HostState) -> LabHost {
        LabHost {
            name: seen.name,
            port: seen.port,
            user: seen.user,
            base: seen.base,
            container: seen.id,
            state,
            engine: self.engine.clone(),
        }
    }
}

fn pick(name: &str, hosts: Vec<LabHost>) -> Result<LabHost, LabError> {
    let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let unknown = || LabError::UnknownHost { name: name.to_owned(), known };
    hosts.into_iter().find(|host| host.name == name).ok_or_else(unknown)
}
