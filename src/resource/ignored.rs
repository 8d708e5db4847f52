//! Names that whoever reads a directory passes over: such a file is written
//! and never in force.

use super::Args;
use crate::plan::Planned;
use crate::values::AbsPath;

/// A directory whose reader takes certain names only.
struct Reader {
    directory: &'static str,
    /// Who reads it.
    who: &'static str,
    /// Whether a name is read.
    reads: fn(&str) -> bool,
    /// What a name must be, in words.
    rule: &'static str,
}

const READERS: [Reader; 12] = [
    Reader { directory: "/etc/cron.d", who: "cron", reads: run_parts, rule: RUN_PARTS },
    Reader { directory: "/etc/cron.daily", who: "cron", reads: run_parts, rule: RUN_PARTS },
    Reader { directory: "/etc/cron.hourly", who: "cron", reads: run_parts, rule: RUN_PARTS },
    Reader { directory: "/etc/cron.monthly", who: "cron", reads: run_parts, rule: RUN_PARTS },
    Reader { directory: "/etc/cron.weekly", who: "cron", reads: run_parts, rule: RUN_PARTS },
    Reader { directory: "/etc/apt/sources.list.d", who: "apt", reads: sources, rule: "must end in .list or .sources" },
    Reader { directory: "/etc/modprobe.d", who: "modprobe", reads: conf, rule: CONF },
    Reader { directory: "/etc/modules-load.d", who: "systemd", reads: conf, rule: CONF },
    Reader {
        directory: "/etc/profile.d",
        who: "the shell",
        reads: |name| name.ends_with(".sh"),
        rule: "must end in .sh",
    },
    Reader { directory: "/etc/ssh/sshd_config.d", who: "sshd", reads: conf, rule: CONF },
    Reader { directory: "/etc/sysctl.d", who: "sysctl", reads: conf, rule: CONF },
    Reader { directory: "/etc/tmpfiles.d", who: "systemd", reads: conf, rule: CONF },
];

const CONF: &str = "must end in .conf";
const RUN_PARTS: &str = "may hold only letters, digits, '_' and '-'";

fn conf(name: &str) -> bool {
    name.ends_with(".conf")
}

fn sources(name: &str) -> bool {
    name.ends_with(".list") || name.ends_with(".sources")
}

/// run-parts(8), and cron(8) for /etc/cron.d.
fn run_parts(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Refuses a file whose name sudo passes over (sudoers(5), "Including other
/// files"): rights or limits that are written there would not hold.
pub(super) fn refuse(args: &mut Args<'_>, path: &AbsPath) {
    let name = path.file_name();
    if is_in(path, "/etc/sudoers.d") && (name.contains('.') || name.ends_with('~')) {
        args.wrong_value(
            "path",
            format!("sudo ignores {path}: the name of a file in /etc/sudoers.d may not hold '.' nor end in '~'"),
        );
    }
}

/// Tells where the name of a file that is written is one that is passed over.
/// Names that begin with a dot are meant to be.
pub(super) fn note(path: &AbsPath, planned: &mut Planned) {
    let name = path.file_name();
    let reader = READERS.iter().find(|reader| is_in(path, reader.directory) && !(reader.reads)(name));
    if let Some(Reader { who, rule, .. }) = reader.filter(|_| !planned.ops.is_empty() && !name.starts_with('.')) {
        planned.notes.push(format!("{who} ignores {path}: a name there {rule}"));
    }
}

fn is_in(path: &AbsPath, directory: &str) -> bool {
    path.parent().is_some_and(|parent| parent.as_str() == directory)
}
