//! The shell of each operation.
//!
//! Names and paths stand in the script as quoted words; bulk data and secrets
//! stand in payload files, which travel apart from the script and live on a
//! memory file system for the time of the run only.

use super::{AptTarget, Guard, Op, Outcome};
use crate::observe::Environment;
use crate::shell::{Command, NulByte, STRICT, Script, quote};
use crate::values::{AbsPath, UserName};

/// An operation as shell text, with the data it needs.
///
/// The text runs in a subshell under `set -e`, with no standard input, where
/// the functions of `apply/runner.sh` are defined; `$P` names the directory of
/// the payload files.
#[derive(Debug, Clone, Default)]
pub struct OpScript {
    /// The text.
    pub script: Script,
    /// Payload files, by number from the first that was given to [`OpScript::new`].
    pub payloads: Vec<Vec<u8>>,
    first: usize,
}

impl OpScript {
    /// The script of an operation whose first payload file has this number.
    ///
    /// # Errors
    /// [`NulByte`] if a value holds one.
    pub fn new(op: &Op, first: usize) -> Result<OpScript, NulByte> {
        let mut out = OpScript { first, ..OpScript::default() };
        out.write(op)?;
        out.script.build()?;
        Ok(out)
    }

    fn payload(&mut self, data: impl Into<Vec<u8>>) -> String {
        self.payloads.push(data.into());
        (self.first + self.payloads.len() - 1).to_string()
    }

    fn run(&mut self, command: Command) {
        self.script.run(command);
    }

    /// A user can put a link in place of the own `.ssh` after it was looked at:
    /// keys must not land where it points.
    fn refuse_swapped_keys(&mut self, path: &AbsPath) {
        if let Some(directory) = path.parent().filter(|parent| parent.file_name() == ".ssh") {
            self.run(Command::new("not_a_link").arg(directory));
        }
    }

    fn write(&mut self, op: &Op) -> Result<(), NulByte> {
        match op {
            Op::WriteFile { path, content, meta, validate } => {
                self.refuse_swapped_keys(path);
                let number = self.payload(content.clone());
                let check = match validate {
                    Some(text) => self.payload(text.replace("%s", "\"$1\"")),
                    None => String::new(),
                };
                let words = [&number, path.as_str(), &meta.owner, &meta.group, &meta.mode.to_string(), &check];
                self.run(Command::new("put").args(words));
            }
            Op::Download { url, sha256, path, meta } => {
                // curl reads the URL from a configuration file: it never is an argument.
                let escaped = url.expose().replace('\\', r"\\").replace('"', "\\\"").replace(['\n', '\r'], "");
                let number = self.payload(format!("url = \"{escaped}\"\n"));
                let words = [&number, sha256, path.as_str(), &meta.owner, &meta.group, &meta.mode.to_string()];
                self.run(Command::new("download").args(words));
            }
            Op::MakeDirectory { path, meta } => self.run(Command::new("make_directory").args([
                path.as_str(),
                &meta.owner,
                &meta.group,
                &meta.mode.to_string(),
            ])),
            Op::MakeLink { path, target } => self.run(Command::new("make_link").arg(path).arg(target)),
            Op::Remove { path, recursive } => {
                // -d takes an empty directory too; a tree is not followed into what is mounted in it.
                let flags: &[&str] = if *recursive { &["-rf", "--one-file-system"] } else { &["-fd"] };
                self.run(Command::new("rm").args(flags).args(["--", path.as_str()]));
            }
            Op::SetMeta { path, owner, group, mode } => {
                self.refuse_swapped_keys(path);
                if owner.is_some() || group.is_some() {
                    let who = format!(
                        "{}{}",
                        owner.as_deref().unwrap_or(""),
                        group.as_ref().map(|g| format!(":{g}")).unwrap_or_default()
                    );
                    self.run(Command::new("note_capabilities").arg(path));
                    self.run(Command::new("chown").args(["-h", "--", &who, path.as_str()]));
                    self.run(Command::new("give_capabilities"));
                }
                // After chown, which clears the set-id bits.
                // Five digits: with fewer, chmod(1) keeps the set-id bits of a directory.
                if let Some(mode) = mode {
                    // chmod(1) would follow it.
                    self.run(Command::new("not_a_link").arg(path));
                    self.run(Command::new("chmod").args(["--", &format!("0{mode}"), path.as_str()]));
                }
            }

            Op::SetTree { path, across, meta, found } => {
                self.run(Command::new("not_a_link").arg(path));
                let chowns = meta.owner.is_some() || meta.group.is_some();
                if chowns {
                    self.run(Command::new("note_capabilities").arg(path));
                }
                meta.commands(path, *across, &found.mounts).into_iter().for_each(|command| self.run(command));
                if chowns {
                    self.run(Command::new("give_capabilities"));
                }
            }

            Op::GroupAdd { name, gid, system } => {
                let gid = gid.map_or(String::new(), |gid| gid.to_string());
                let command = Command::new("group_add").args([name.as_str(), &gid]);
                self.run(if *system { command.arg("--system") } else { command });
            }
            Op::GroupChange { name, gid } => {
                self.run(Command::new("groupmod").args(["--gid", &gid.to_string(), "--", name.as_str()]));
            }
            Op::GroupRemove { name } => self.run(Command::new("group_remove").arg(name)),
            Op::UserAdd { name, uid, group, groups, system, shell, home, defaults, comment } => {
                let primary = group.as_ref().map_or("", |group| group.as_str());
                let names: Vec<&str> = groups.iter().map(|group| group.as_str()).collect();
                let at = home.as_ref().map_or("", AbsPath::as_str);
                let shell = shell.as_deref().unwrap_or("");
                let mut command = Command::new("user_add");
                command = command.args([name.as_str(), primary, &names.join(","), at, shell, &defaults.join(" ")]);
                if *system {
                    command = command.arg("--system");
                }
                if let Some(uid) = uid {
                    command = command.args(["--uid", &uid.to_string()]);
                }
                if let Some(comment) = comment {
                    command = command.args(["--comment", comment]);
                }
                self.run(command);
            }
            Op::UserChange { name, uid, group, shell, home, move_home, comment } => {
                if uid.is_some() || home.is_some() {
                    self.run(Command::new("user_is_out").arg(name));
                }
                let mut command = Command::new("usermod");
                if let Some(uid) = uid {
                    command = command.args(["--uid", &uid.to_string()]);
                }
                if let Some(group) = group {
                    command = command.args(["--gid", group.as_str()]);
                }
                if let Some(shell) = shell {
                    command = command.args(["--shell", shell]);
                }
                if let Some(home) = home {
                    command = command.args(["--home", home.as_str()]);
                    if *move_home {
                        command = command.arg("--move-home");
                    }
                }
                if let Some(comment) = comment {
                    command = command.args(["--comment", comment]);
                }
                self.run(command.args(["--", name.as_str()]));
            }
            Op::UserRemove { name, remove_home } => {
                let command = Command::new("user_remove").arg(name);
                self.run(if *remove_home { command.arg("--remove") } else { command });
            }
            Op::SetPasswordHash { user, hash } => {
                let number = self.payload(format!("{user}:{}\n", hash.expose()));
                self.run(Command::new("set_password_hash").arg(number));
            }
            Op::LockPassword { user, lock } => {
                let flag = if *lock { "--lock" } else { "--unlock" };
                self.run(Command::new("usermod").args([flag, "--", user.as_str()]));
            }
            Op::SetExpiry { user, day } => {
                let day = day.map_or("-1".to_owned(), |day| day.to_string());
                self.run(Command::new("chage").args(["--expiredate", &day, "--", user.as_str()]));
            }
            Op::Join { user, group } => {
                self.run(Command::new("gpasswd").args(["--add", user.as_str(), group.as_str()]));
            }
            Op::Leave { user, group } => {
                self.run(Command::new("leave_group").arg(user).arg(group));
            }

            Op::AptUpdate { only } => {
                let mut command = Command::new("apt_update");
                if let Some(file) = only {
                    command = command.arg(file);
                }
                self.run(command);
            }
            Op::AptInstall { packages, options, .. } => {
                self.before_install(packages);
                let verb = if options.any_version { "apt_again" } else { "apt_get" };
                self.run(Command::new(verb).args(op.apt_words().unwrap_or_default()));
            }
            Op::AptRemove { .. } | Op::AptUpgrade { .. } => {
                self.run(Command::new("apt_get").args(op.apt_words().unwrap_or_default()));
            }
            Op::AptAutoremove { .. } => self.run(Command::new("apt_clean").args(op.apt_words().unwrap_or_default())),
            Op::AptMark { packages, mark } => {
                self.run(Command::new("apt-mark").arg(mark.word()).arg("--").args(packages));
            }
            Op::Debconf { answers } => {
                let number = self.payload(answers.expose().to_owned());
                self.run(Command::new("debconf_answers").arg(number));
            }

            Op::DaemonReload => self.run(Command::new("daemon_reload")),
            Op::Systemctl { verb, unit } => self.run(Command::new("unit_verb").args([verb.word(), unit.as_str()])),
            Op::Sysctl { key, value } => {
                self.run(Command::new("sysctl").args(["-q", "-w", "--", &format!("{key}={value}")]))
            }
            Op::Module { name, load } => {
                let command = Command::new("modprobe");
                let command = if *load { command } else { command.arg("-r") };
                self.run(command.args(["--", name]));
            }
            Op::SetHostname { name } => self.run(Command::new("set_hostname").arg(name)),
            Op::SetTimezone { zone } => self.run(Command::new("set_timezone").arg(zone)),

            Op::Pending { verb, unit, first } => {
                let when = if *first { "first" } else { "" };
                self.run(Command::new("pending").args([verb.word(), unit.as_str(), when]));
            }
            Op::Forget { pending } => self.run(Command::new("paid").arg(pending)),
            Op::Run { script, guard, environment, user, directory, achieves } => {
                if let Some(guard) = guard {
                    self.guard(guard, user.as_ref(), environment)?;
                }
                if user.is_some() || directory.is_some() {
                    let user = user.as_ref().map_or("", UserName::as_str);
                    let directory = directory.as_ref().map_or("", AbsPath::as_str);
                    self.run(Command::new("may_run").args([user, directory]));
                }
                let mut text = String::new();
                if let Some(directory) = directory {
                    text.push_str(&format!("cd -- {}\n", quote(directory.as_str())?));
                }
                text.push_str(script);
                text.push('\n');
                let number = self.payload(environment.around(&text)?);
                let user = user.as_ref().map_or("", UserName::as_str);
                self.run(Command::new("run_payload").args([number.as_str(), user]));
                for outcome in achieves {
                    if let Outcome::Followed(pending) = outcome {
                        self.run(Command::new("paid").arg(pending));
                    }
                }
            }
            Op::Exec { argv, .. } => {
                self.run(Command::new("env").arg("--").args(argv));
            }
            Op::Reboot { message, .. } => self.run(Command::new("reboot_host").arg(message)),
            Op::Check(check) => {
                let number = self.payload(format!("{STRICT}{}\n", check.script));
                self.run(Command::new("await_check").args([
                    &number,
                    &check.tries.to_string(),
                    &check.pause.to_string(),
                ]));
            }
        }
        Ok(())
    }

    /// Ends the operation, as one that was not due, where its guard says so.
    fn guard(&mut self, guard: &Guard, user: Option<&UserName>, environment: &Environment) -> Result<(), NulByte> {
        let path = |path: &Option<AbsPath>| path.as_ref().map_or(String::new(), ToString::to_string);
        let unless = match &guard.unless {
            Some(text) => self.payload(environment.around(&format!("{text}\n"))?),
            None => String::new(),
        };
        let user = user.map_or("", UserName::as_str);
        let (creates, removes) = (path(&guard.creates), path(&guard.removes));
        for (noted, names) in &guard.hands_on {
            self.run(Command::new("hand_on").arg(noted).args(names));
        }
        let pending = guard.pending.as_deref().unwrap_or_default();
        self.run(Command::new("if_due").args([creates.as_str(), &removes, &unless, user, pending]));
        Ok(())
    }

    fn before_install(&mut self, packages: &[AptTarget]) {
        for target in packages {
            if let Some(origin) = &target.origin {
                self.run(Command::new("candidate_from").args([target.name.as_str(), origin]));
            }
            if target.unless_provided {
                self.run(Command::new("unless_provided").arg(&target.name));
            }
            if let Some(file) = &target.file {
                let number = self.payload(file.clone());
                let version = target.version.as_deref().unwrap_or_default();
                self.run(Command::new("apt_file").args([number.as_str(), target.name.bare(), version]));
            }
        }
    }
}
