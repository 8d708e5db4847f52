//! What stops the next boot before anybody can log in: no login proves it, so
//! that it is judged in the plan, by the lines that a step adds.
//!
//! A file system of /etc/fstab that is not there keeps local-fs.target from being
//! reached, and the host ends in emergency.target, without sshd, unless the line
//! has `nofail` or `noauto` (systemd.mount(5), FSTAB). The same holds for devices
//! of /etc/crypttab (crypttab(5)), for mount units that a target of the boot
//! requires, and for what grub-mkconfig(8) sources.

use super::{FileOp, Op, PlanError, Planned};
use crate::observe::{Content, FileType, Known, PathState, PredictedState, Query, Run};
use crate::values::{AbsPath, UnitFile};

/// The names of devices by their file systems and partitions (`d`), sorts of
/// file systems (`f`; `n` of those that need no device), and whether these are
/// all that the kernel can load (`m`).
const SOURCES: &str = "for t in uuid label partuuid partlabel; do \
    for l in /dev/disk/by-$t/*; do [ ! -e \"$l\" ] || printf 'd %s\\n' \"$t/${l##*/}\"; done; done; \
    while read -r a b; do if [ -n \"$b\" ]; then echo \"n $b\"; else echo \"f $a\"; fi; done </proc/filesystems; \
    for l in /sbin/mount.* /usr/sbin/mount.*; do [ ! -e \"$l\" ] || echo \"f ${l##*/mount.}\"; done; \
    a=/lib/modules/$(uname -r)/modules.alias; [ ! -r \"$a\" ] || { echo m; sed -n 's/^alias fs-\\([^ ]*\\) .*/f \\1/p' \"$a\"; }";

/// File systems of the network: their mount units do not hold up local-fs.target.
const NETWORK: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.sshfs", "davfs"];

/// Targets without which a host does not come as far as sshd.
const TARGETS: [&str; 6] =
    ["local-fs.target", "sysinit.target", "basic.target", "sockets.target", "multi-user.target", "default.target"];

/// Words of the kernel's command line with which a host boots to a shell on its
/// console (systemd(1), KERNEL COMMAND LINE; bootparam(7)).
const NO_BOOT: [&str; 9] = ["single", "s", "S", "1", "emergency", "rescue", "-b", "rd.break", "break"];

/// What the kernel starts in any case.
const INITS: [&str; 4] = ["/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd"];

/// A file system that is mounted when the host starts.
struct Mounted {
    /// Where that is said, as in "/etc/fstab:3".
    place: String,
    source: String,
    target: String,
    sort: String,
    options: Vec<String>,
    /// Whether the boot goes on without it.
    optional: bool,
}

impl Mounted {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }
}

/// Judges what a step writes; of a `sensitive` one nothing is repeated.
///
/// # Errors
/// The next boot would stop at it.
pub(super) fn check(planned: &mut Planned, host: &PredictedState, sensitive: bool) -> Result<(), PlanError> {
    let mut found = Found { host, sensitive, notes: Vec::new(), follow_up_queries: Vec::new(), open: None };
    for op in &planned.ops {
        let Op::File(FileOp::WriteFile { path, content, .. }) = op else { continue };
        let Some(reader) = Reader::of(path) else { continue };
        let new = String::from_utf8_lossy(content);
        let Some(lines) = found.added(path, &new) else { continue };
        match reader {
            Reader::Fstab => found.fstab(&lines)?,
            Reader::Crypttab => found.crypttab(&lines)?,
            Reader::Grub => found.grub(path, &new, &lines)?,
            Reader::MountUnit => found.mount_unit(path, &new)?,
        }
    }
    let Found { notes, follow_up_queries, open, .. } = found;
    planned.notes.extend(notes);
    planned.follow_up_queries.extend(follow_up_queries);
    if let Some(on) = open.filter(|_| planned.open.is_none()) {
        planned.leave_open(&on);
    }
    Ok(())
}

/// Lines with their numbers.
type Lines<'a> = Vec<(usize, &'a str)>;
/// Who reads a file when the host starts.
#[derive(Clone, Copy)]
enum Reader {
    Fstab,
    Crypttab,
    Grub,
    MountUnit,
}

impl Reader {
    fn of(path: &AbsPath) -> Option<Reader> {
        let path = path.as_str();
        let is_in = |top: &str, end: &str| path.starts_with(top) && path.ends_with(end);
        match path {
            "/etc/fstab" => Some(Reader::Fstab),
            "/etc/crypttab" => Some(Reader::Crypttab),
            "/etc/default/grub" => Some(Reader::Grub),
            _ if is_in("/etc/default/grub.d/", ".cfg") => Some(Reader::Grub),
            _ if is_in("/etc/systemd/system/", ".mount") => Some(Reader::MountUnit),
            _ => None,
        }
    }
}

/// What is found wrong, or still to be asked.
struct Found<'a> {
    host: &'a PredictedState,
    /// Whether nothing of the text may be shown.
    sensitive: bool,
    notes: Vec<String>,
    follow_up_queries: Vec<Query>,
    /// The earlier step that may bring what is missing.
    open: Option<String>,
}

impl Found<'_> {
    /// The lines of a text that its file does not have yet; none while that has to be asked.
    fn added<'t>(&mut self, path: &AbsPath, new: &'t str) -> Option<Lines<'t>> {
        let query = Query::Content(path.clone());
        let old = match self.host.content(path) {
            Ok(Content::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Ok(Content::Digest(_)) | Err(_) if !self.host.asked(&query) => {
                self.follow_up_queries.push(query);
                return None;
            }
            Ok(Content::Absent | Content::AfterApply | Content::Digest(_)) | Err(_) => String::new(),
        };
        let is_new = |line: &&str| !old.lines().any(|known| known == *line);
        let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let lines = new.lines().enumerate().map(|(index, line)| (index + 1, line));
        Some(lines.filter(|(_, line)| is_said(line) && is_new(line)).collect())
    }

    fn fstab(&mut self, lines: &[(usize, &str)]) -> Result<(), PlanError> {
        for (number, line) in lines {
            let place = format!("/etc/fstab:{number}");
            let fields: Vec<String> = line.split_whitespace().map(unescaped).collect();
            let [source, target, sort, rest @ ..] = &fields[..] else {
                let text = "a line needs a device, a mount point and the sort of its file system (fstab(5))";
                return Err(PlanError::Refused(format!("{place}: {text}")));
            };
            let options: Vec<String> = rest.first().map(|options| words(options)).unwrap_or_default();
            let lasts = ["nofail", "noauto"].iter().any(|free| options.iter().any(|one| one == free));
            let optional = lasts || sort == "swap" || is_remote(sort, &options);
            let (source, target, sort) = (source.clone(), target.clone(), sort.clone());
            self.mounted(&Mounted { place, source, target, sort, options, optional })?;
        }
        Ok(())
    }

    fn mount_unit(&mut self, path: &AbsPath, text: &str) -> Result<(), PlanError> {
        // What is no unit file is refused elsewhere.
        let Ok(unit) = UnitFile::parse(text) else { return Ok(()) };
        let value = |key: &str| unit.values("Mount", key).last().unwrap_or_default().to_owned();
        let wanted_by =
            |key| unit.values("Install", key).flat_map(str::split_whitespace).any(|by| TARGETS.contains(&by));
        if !wanted_by("RequiredBy") {
            return Ok(());
        }
        let (sort, options) = (value("Type"), words(&value("Options")));
        let sort = if sort.is_empty() { "auto".to_owned() } else { sort };
        let optional = is_remote(&sort, &options);
        let place = path.to_string();
        self.mounted(&Mounted { place, source: value("What"), target: value("Where"), sort, options, optional })
    }

    fn mounted(&mut self, mounted: &Mounted) -> Result<(), PlanError> {
        let Mounted { place, source, target, sort, .. } = mounted;
        if sort != "swap" && !target.starts_with('/') {
            let target = if self.sensitive { "" } else { target };
            return Err(PlanError::Refused(format!(
                "{place}: the mount point {target} is no absolute path (fstab(5))"
            )));
        }
        let Some(sources) = self.sources() else { return Ok(()) };
        let listed = |mark: &str, name: &str| sources.lines().any(|line| line.split_once(' ') == Some((mark, name)));
        let is_bind = mounted.has("bind") || mounted.has("rbind");
        if !is_bind && !["auto", "swap", "none"].contains(&sort.as_str()) && !listed("f", sort) && !listed("n", sort) {
            let family = sort.split('.').next().unwrap_or_default();
            if !listed("f", family) {
                let problem = format!("the host knows no file system {sort}");
                // Where the kernel's modules are not there to be looked at, it may know more.
                let certain = sources.lines().any(|line| line == "m");
                self.problem(place, mounted.optional || !certain, &problem)?;
            }
        }
        if !listed("n", sort) && !is_remote(sort, &mounted.options) {
            self.device(place, source, &sources, mounted.optional)?;
        }
        self.mount_point(mounted, is_bind)
    }

    /// A device that is named by its path, or by what is on it.
    fn device(&mut self, place: &str, source: &str, sources: &str, optional: bool) -> Result<(), PlanError> {
        let is_there = match source.split_once('=') {
            Some((tag @ ("UUID" | "LABEL" | "PARTUUID" | "PARTLABEL"), name)) => {
                let wanted = format!("d {}/{}", tag.to_lowercase(), encoded(name.trim_matches('"')));
                let is_it = |line: &str| line == wanted || tag.ends_with("UUID") && line.eq_ignore_ascii_case(&wanted);
                Some(sources.lines().any(is_it))
            }
            _ => self.stands(source),
        };
        if is_there == Some(false) {
            self.problem(place, optional, &format!("there is no {source} on the host"))
        } else {
            Ok(())
        }
    }

    /// Whether something stands at a path; none where that is not known.
    fn stands(&mut self, path: &str) -> Option<bool> {
        let path: AbsPath = path.parse().ok()?;
        match self.host.path(&path) {
            Ok(PathState::Present(_)) => Some(true),
            Ok(PathState::Absent) => Some(false),
            Ok(PathState::AfterApply) => None,
            Err(_) => {
                self.follow_up_queries.push(Query::Path(path));
                None
            }
        }
    }

    fn mount_point(&mut self, mounted: &Mounted, is_bind: bool) -> Result<(), PlanError> {
        let Mounted { place, target, .. } = mounted;
        let Ok(path) = target.parse::<AbsPath>() else { return Ok(()) };
        match self.stands(target) {
            Some(true) => {}
            Some(false) => {
                let target = if self.sensitive { "the mount point" } else { target };
                self.notes.push(format!("{place}: {target} is not there: systemd makes the directory when it mounts"));
                return Ok(());
            }
            None => return Ok(()),
        }
        let is_place = |state: &PathState| {
            state.entry().is_none_or(|entry| matches!(entry.file_type, FileType::Directory | FileType::Link))
        };
        if is_bind || self.host.path(&path).map(is_place).unwrap_or(true) {
            return Ok(());
        }
        self.problem(place, mounted.optional, &format!("{target} is no directory"))
    }

    fn crypttab(&mut self, lines: &[(usize, &str)]) -> Result<(), PlanError> {
        for (number, line) in lines {
            let place = format!("/etc/crypttab:{number}");
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, device, rest @ ..] = &fields[..] else {
                return Err(PlanError::Refused(format!("{place}: a line needs a name and a device (crypttab(5))")));
            };
            let options = rest.get(1).map(|options| words(options)).unwrap_or_default();
            let has = |option: &str| options.iter().any(|one| one.split('=').next() == Some(option));
            let optional = ["nofail", "noauto"].iter().any(|option| has(option));
            if let Some(sources) = self.sources() {
                self.device(&place, device, &sources, optional)?;
            }
            let key = rest.first().copied().unwrap_or("none");
            let has_token =
                ["tpm2-device", "fido2-device", "pkcs11-uri", "swap", "tmp", "plain"].iter().any(|option| has(option));
            if ["none", "-"].contains(&key) && !optional && !has_token {
                self.notes.push(format!(
                    "{place}: the next boot asks for a passphrase on the console, and sshd starts only after it; with \
                     nofail and noauto the boot goes on without"
                ));
            }
        }
        Ok(())
    }

    /// grub-mkconfig(8) sources these files, after every new kernel as well.
    fn grub(&mut self, path: &AbsPath, text: &str, lines: &[(usize, &str)]) -> Result<(), PlanError> {
        match self.host.syntax(text) {
            Ok(None) => {}
            Ok(Some(why)) => {
                let why = if self.sensitive { "a syntax error" } else { why };
                return Err(PlanError::Refused(format!(
                    "{path} is read by a shell (grub-mkconfig(8)), which cannot read the new text: {why}"
                )));
            }
            Err(_) => self.follow_up_queries.push(Query::Syntax(text.to_owned())),
        }
        for (number, line) in lines.iter().filter(|(_, line)| line.trim_start().starts_with("GRUB_CMDLINE_LINUX")) {
            let value = line.split_once('=').map(|(_, value)| value).unwrap_or_default();
            let mut given = value.split(|c: char| c.is_whitespace() || "'\"".contains(c));
            let stops = |word: &&str| {
                let shells = ["systemd.unit=rescue.target", "systemd.unit=emergency.target"];
                let init = word.strip_prefix("init=").is_some_and(|program| !INITS.contains(&program));
                NO_BOOT.contains(word) || init || word.starts_with("rdinit=") || shells.contains(word)
            };
            if let Some(word) = given.find(stops).filter(|_| !self.sensitive) {
                self.notes.push(format!(
                    "{path}:{number}: with {word} on its command line the host does not boot as far as sshd, once \
                     update-grub has taken it up"
                ));
            }
        }
        Ok(())
    }

    /// What the host has to mount, once that was asked.
    fn sources(&mut self) -> Option<String> {
        // An image is for another machine, of whose devices nothing is known here.
        if self.host.facts.init != "systemd" {
            return None;
        }
        let run = Run::new(["sh", "-c", SOURCES]);
        match self.host.output(&run) {
            Ok(Known::Is(output)) => Some(output.stdout.clone()),
            Ok(Known::AfterApply) => None,
            Err(_) => {
                self.follow_up_queries.push(Query::Run(run));
                None
            }
        }
    }

    /// Something is not there: decided at the step's turn where an earlier one may bring it.
    fn problem(&mut self, place: &str, optional: bool, what: &str) -> Result<(), PlanError> {
        let what = if self.sensitive { "what it names is not there" } else { what };
        if optional {
            self.notes.push(format!("{place}: {what}; the boot goes on without it"));
            return Ok(());
        }
        if let Some(on) = self.host.brought_by() {
            self.open = Some(on.to_owned());
            self.notes.push(format!("{place}: {what} yet"));
            return Ok(());
        }
        Err(PlanError::Refused(format!(
            "{place}: {what}: the next boot would end in the emergency shell, before sshd starts. Correct it, have an \
             earlier step bring it, or say that the boot can do without it (the option nofail in /etc/fstab and \
             /etc/crypttab, WantedBy= in place of RequiredBy= in a unit)"
        )))
    }
}

fn is_remote(sort: &str, options: &[String]) -> bool {
    NETWORK.contains(&sort) || options.iter().any(|option| option == "_netdev")
}

fn words(options: &str) -> Vec<String> {
    options.split(',').map(|option| option.trim().to_owned()).collect()
}

/// A field of fstab(5), where blanks and backslashes are octal.
pub(super) fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |field, (escape, plain)| field.replace(escape, plain))
}

/// A label as udev names its link: what is no plain character is written as `\x20`.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte) || !byte.is_ascii();
    let bytes: Vec<u8> = name
        .bytes()
        .flat_map(|byte| if plain(byte) { vec![byte] } else { format!("\\x{byte:02x}").into_bytes() })
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
