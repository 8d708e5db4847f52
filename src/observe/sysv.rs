//! Units that systemd-sysv-generator makes of the scripts in /etc/init.d: the
//! links in /etc/rc?.d decide whether they start at boot (update-rc.d(8)).

use super::Unit;
use crate::values::AbsPath;
use std::collections::BTreeMap;

/// What begins the links in the probe's answer, after all units.
pub(super) const SEPARATOR: &str = "\n==\n";

/// Where scripts stand.
pub(crate) const SCRIPTS: &str = "/etc/init.d/";

/// The links of a script, with their targets.
pub type RcLinks = BTreeMap<AbsPath, String>;

/// The links of a script among all: lines `path<TAB>target`.
pub(super) fn links_of(script: &str, all: &str) -> RcLinks {
    let link = |line: &str| {
        let (path, target) = line.split_once('\t')?;
        let path: AbsPath = path.parse().ok()?;
        let name = path.file_name().strip_prefix(['S', 'K'])?;
        let (order, name) = name.split_at_checked(2)?;
        (name == script && order.bytes().all(|b| b.is_ascii_digit())).then(|| (path, target.to_owned()))
    };
    all.lines().filter_map(link).collect()
}

/// The enabled state that such links stand for: whether any runlevel in which a
/// host works starts the script, which systemd-sysv-generator heeds then.
pub(super) fn state_of(links: &RcLinks) -> &'static str {
    const LEVELS: [&str; 5] = ["/etc/rcS.d/S", "/etc/rc2.d/S", "/etc/rc3.d/S", "/etc/rc4.d/S", "/etc/rc5.d/S"];
    let starts = links.keys().any(|path| LEVELS.iter().any(|level| path.as_str().starts_with(level)));
    if starts { "enabled" } else { "disabled" }
}

impl Unit {
    /// The script of which the unit is made, by the unit's name.
    pub(crate) fn script_of(unit: &crate::values::UnitName) -> Option<AbsPath> {
        format!("{SCRIPTS}{}", unit.as_str().strip_suffix(".service")?).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_count_by_name_and_runlevel() {
        let all = "/etc/rc5.d/S01app\t../init.d/app\n/etc/rc0.d/K01app\t../init.d/app\n/etc/rc5.d/S01app2\tx\n\
                   /etc/rc5.d/Sxxapp\tx\n/etc/rc5.d/S0\tx\n/etc/rc5.d/README\tx";
        let links = links_of("app", all);
        assert_eq!(links.len(), 2);
        for (text, state) in [
            (all, "enabled"),
            ("/etc/rcS.d/S01app\tx", "enabled"),
            ("/etc/rc3.d/S01app\tx\n/etc/rc5.d/K01app\tx", "enabled"),
            ("/etc/rc5.d/K01app\tx\n/etc/rc0.d/S01app\tx", "disabled"),
            ("", "disabled"),
        ] {
            assert_eq!(state_of(&links_of("app", text)), state, "{text}");
        }
    }
}
