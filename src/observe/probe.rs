//! The batched probe: all questions in one program.
//!
//! Whatever the number of questions, the program starts a constant number of
//! processes (xargs may split a very long list) and is one message over one
//! channel. Texts that the operator wrote (`unless`) are one process each.
//!
//! Answers come in sections: a line `<nonce>:<name>`, the section's standard
//! output, a line `<nonce>!<exit code>`, its standard error. The nonce is made
//! anew for each session, so no file content can look like a section.

use super::{Facts, HostState, Queries, Query, Run, Text, acl, apt, mounts, processes, reply, shipped, syntax, verify};
use crate::shell::{Command, RUN_TEXT, STRICT, Script};
use crate::values::{AbsPath, UserName};

/// Size above which a file's bytes are not fetched.
pub const CONTENT_LIMIT: u64 = 4 << 20;

/// The files that every change to an account rewrites.
pub const ACCOUNT_DATABASES: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];

const SECTION: &str = r#"
exec 3>&1
section() {
  printf '\n%s:%s\n' "$N" "$1"
  shift
  e=$("$@" 2>&1 >&3 3>&- </dev/null); r=$?
  printf '\n%s!%s\n%s\n' "$N" "$r" "$e"
}
q_find() { xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -printf "%p\0%y\0%m\0%u:%U\0%g:%G\0%l\0%s:%n\0"' find; }
q_files() { xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -type f -print0' find; }
q_small() { xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -type f -size -4194305c -print0' find; }
q_sum() { q_files | xargs -0 -r sha256sum -z --; }
q_tar() { q_small | tar -c -f - -P --hard-dereference --no-recursion --format=gnu --null -T -; }
q_flags() { xargs -0 -r lsattr -d -- 2>/dev/null; :; }
q_names() { xargs -0 -r sh -c 'exec find "$@" -mindepth 1 -maxdepth 1 -printf "%H\0%f\0"' find; }
# Directories that are not there have no fragments; the test needs no process.
q_fragments() { xargs -0 -r sh -c 'n=$#; while [ "$n" -gt 0 ]; do d=$1; shift; n=$((n-1)); [ ! -d "$d" ] || set -- "$@" "$d"; done
  [ $# -eq 0 ] || exec find -L "$@" -mindepth 1 -maxdepth 1 \( -type f -size -4194305c -o -type c \) -print0' find |
  tar -c -f - -P -h --hard-dereference --no-recursion --format=gnu --null -T -; }
q_tree() { xargs -0 -r sh -c 'exec find "$@" -xdev -printf "%H\0%P\0%y\0%m\0%u:%U\0%g:%G\0%D\0"' find; }
q_trees() { xargs -0 -r sh -c 'exec find "$@" -printf "%H\0%P\0%y\0%m\0%u:%U\0%g:%G\0%D\0"' find; }
q_local() { awk -F: '{ print FILENAME ":" $1 }' /etc/passwd /etc/group; }
q_units() {
  if [ -d /run/systemd/system ]; then
    o=$(systemctl show -p Id -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload -p FragmentPath -p DropInPaths -p Result -p ExecMainStatus \
      -p Type -p CanReload -p RemainAfterExit -p RequiredBy -p RequisiteOf -p BoundBy -p ConsistsOf -p PropagatesStopTo -p WantedBy -p UpheldBy -p TriggeredBy -- "$@")
    printf '%s\n' "$o"
    # A unit that is not enabled has no links by its aliases: its file tells them.
    case $o in *LoadState=not-found*) printf -- '--\n'
      grep -s '^Alias=' /etc/systemd/system/*.* /usr/local/lib/systemd/system/*.* /usr/lib/systemd/system/*.* /lib/systemd/system/*.*;; esac
    case $o in *ActiveState=inactive*) q_conditions "$o";; esac; :
  else for u in "$@"; do s=$(systemctl is-enabled -- "$u" 2>/dev/null)
    case $s in ''|not-found) l=not-found; s=;; masked) l=masked;; *) l=loaded;; esac
    printf 'Id=%s\nLoadState=%s\nActiveState=inactive\nUnitFileState=%s\nNeedDaemonReload=no\nFragmentPath=\nDropInPaths=\n\n' "$u" "$l" "$s"
  done; fi
}
# Units that do not run and have conditions or assertions in their files.
q_conditions() { printf -- '++\n'
  printf '%s\n' "$1" | awk -v RS= -F '\n' '/LoadState=loaded/ && /ActiveState=inactive/ { u = ""; p = ""
    for (i = 1; i <= NF; i++) { if ($i ~ /^Id=/) u = substr($i, 4); if ($i ~ /^(FragmentPath|DropInPaths)=\//) { sub(/^[^=]*=/, "", $i); p = p " " $i } }
    n = split(p, f, " "); has = 0
    for (i = 1; i <= n; i++) { while ((getline l <f[i]) > 0) if (l ~ /(^|\n)[ \t]*(Condition|Assert)[A-Za-z]+[ \t]*=/) has = 1; close(f[i]) }
    if (has) print u }'
}
q_sysctl() { n=$#
  while [ "$n" -gt 1 ]; do k=$1 f=$2; shift 2; n=$((n-2)); [ ! -e "$f" ] || set -- "$@" "$k" "$f"; done
  # The kernel gives a list of numbers to one read only; dash reads byte by byte.
  [ $# -eq 0 ] || awk 'BEGIN { for (i = 1; i < ARGC; i += 2) { v = ""; f = ARGV[i + 1]
    if ((getline v <f) < 0) printf "%s: cannot be read\n", ARGV[i] >"/dev/stderr"
    else printf "%s%c%s%c", ARGV[i], 0, v, 0
    close(f) } }' "$@"; }
# The mode of such a file binds root too, and so does a file system that is read-only.
q_fixed() { while [ $# -gt 1 ]; do [ ! -e "$2" ] || [ -w "$2" ] || printf '%s\0' "$1"; shift 2; done; }
q_provided() { dpkg-query -W -f '${db:Status-Status}\t${binary:Package}\t${Provides}\n'; }
q_installed() {
  dpkg-query -W -f '${binary:Package}\t${Architecture}\t${Version}\t${db:Status-Status}\t${db:Status-Want}\n' || return
  printf '%s\n' --
  q_automatic
}
q_automatic() {
  [ ! -e /var/lib/apt/extended_states ] || awk '/^Package:/ { p = $2 } /^Architecture:/ { a = $2 }
    /^Auto-Installed: 1/ { print p ":" a }' /var/lib/apt/extended_states
}
# One search where there is nothing, as nearly always.
q_unfinished() {
  s=/var/lib/dpkg/status
  ! grep -q -e '^Status: [a-z]* reinstreq ' -e '^Status: [a-z]* ok \(unpacked\|half-\|triggers-\)' "$s" || awk '/^Package:/ { p = $2 }
    /^Status:/ && ($3 == "reinstreq" || $4 ~ /^(unpacked|half-|triggers-)/) { print p "\t" $3 "\t" $4 }' "$s"
}
# Without what is large and no step's.
q_shipped() {
  f=$1
  shift
  dpkg-query -W -f "$f" -- "$@" 2>/dev/null |
    sed -e '/^ \/usr\/share\/\(doc\|man\|locale\)\//d' -e '/^ \/usr\/\(src\|include\)\//d' -e '/^ \(\/usr\)\?\/lib\/modules\//d'
  # Its directories, and how many packages have each.
  { for n; do cat "/var/lib/dpkg/info/$n.list" "/var/lib/dpkg/info/$n":*.list; done 2>/dev/null; q_scripts "$@" | cut -f 3; } |
    sort -u | while IFS= read -r p; do [ ! -d "$p" ] || printf '%s\n' "$p"; done |
    grep -Fxh -f - /var/lib/dpkg/info/*.list | sort | uniq -c | awk '{ n = $1; sub(/^ *[0-9]+ /, ""); print "D\t" n "\t" $0 }'
  q_scripts "$@"
}
# The paths that scripts name which run after a removal.
q_scripts() {
  for n; do
    for f in "/var/lib/dpkg/info/$n.postrm" "/var/lib/dpkg/info/$n":*.postrm; do
      [ ! -f "$f" ] || sed 's/^[[:space:]]*#.*//' "$f" | grep -oE '/(etc|home|opt|root|run|srv|usr|var)/[A-Za-z0-9._+@/-]*[A-Za-z0-9]' |
        sort -u | awk -v n="$n" '{ print "R\t" n "\t" $0 }'
    done
  done
}
# What apt writes of its marks goes to a copy.
q_transaction() {
  d=$(mktemp -d) || return
  cat /var/lib/apt/extended_states >"$d/marks" 2>/dev/null || :
  s=/var/lib/dpkg/status
  l=
  for w; do case $w in Stockade::Released::=*) l="$l ${w#*=}";; esac; done
  if [ -n "$l" ]; then
    awk -v l="$l" 'BEGIN { n = split(l, a, " "); for (i = 1; i <= n; i++) free[a[i]] }
      /^Package:/ { p = $2 } /^Status: hold / && p in free { sub(/hold/, "install") } { print }' "$s" >"$d/status"
    s=$d/status
  fi
  apt-get -s -y -q -o Debug::NoLocking=1 -o Dir::State::extended_states="$d/marks" -o APT::Get::AutomaticRemove=false \
    -o APT::Cmd::Pattern-Only=true -o Dir::State::status="$s" ${l:+-o Dir::Cache::pkgcache=} "$@" >"$d/out"
  r=$?
  cat "$d/out"
  if [ "$r" = 0 ]; then
    set -- $(awk '$1 == "Inst" { v = $3 ~ /^\[/ ? $4 : $3; sub(/^\(/, "", v); print $2 "=" v }' "$d/out")
    [ $# -eq 0 ] || apt-cache show -- "$@" 2>/dev/null >"$d/new"
    set -- $(awk '$1 == "Remv" || $1 == "Purg" || $1 == "Inst" && $3 ~ /^\[/ { print $2 }' "$d/out" | sort -u)
    [ $# -eq 0 ] || dpkg-query -W -f 'Old: ${Installed-Size}\n' -- "$@" >"$d/old" 2>/dev/null
    cat "$d/new" "$d/old" 2>/dev/null | awk '/^Package:/ { p = $2 } /^Architecture:/ { a = $2 } /^Version:/ { v = $2 }
      /^Size:/ { s = $2 } /^Installed-Size:/ { i = $2 } /^Old:/ { old += $2 }
      /^$/ && p != "" { if (!((p, a, v) in seen)) { seen[p, a, v] = 1; size += s; new += i }; p = ""; s = i = 0 }
      END { printf "Sizes %.0f %.0f %.0f\n", size, new, old }'
  fi
  rm -rf -- "$d"
  return "$r"
}
q_modules() { cut -d ' ' -f 1 /proc/modules; printf '%s\n' --; cat "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null; :; }
"#;

/// The program that answers these questions, after the facts if `with_facts`.
pub fn program(queries: &Queries, with_facts: bool) -> Script {
    let mut script = Script::new();
    script.line(SECTION);
    if with_facts {
        script.line("q_facts() {").line(include_str!("probes/facts.sh")).line(include_str!("probes/left.sh"));
        script.line(":").line("}").line("section facts q_facts");
    }
    let words = |pick: fn(&Query) -> Option<&str>| -> Vec<String> {
        queries.iter().filter_map(pick).map(str::to_owned).collect()
    };
    let paths = words(|q| if let Query::Path(p) = q { Some(p.as_str()) } else { None });
    let digests = words(|q| match q {
        Query::Digest(p) | Query::Content(p) => Some(p.as_str()),
        _ => None,
    });
    let contents = words(|q| if let Query::Content(p) = q { Some(p.as_str()) } else { None });
    let names = words(|q| if let Query::Names(p) = q { Some(p.as_str()) } else { None });
    piped(&mut script, "path", &paths, "| q_find");
    let mut flagged = paths.clone();
    if queries.contains(&Query::Accounts) {
        flagged.extend(ACCOUNT_DATABASES.map(str::to_owned));
    }
    piped(&mut script, "flags", &flagged, "| q_flags");
    if !flagged.is_empty() {
        script.line(mounts::PROBE).line("section mounts q_mounts");
    }
    piped(&mut script, "digest", &digests, "| q_sum");
    piped(&mut script, "content", &contents, "| q_tar");
    piped(&mut script, "names", &names, "| q_names");
    let mut fragments = words(|q| if let Query::Fragments(p) = q { Some(p.as_str()) } else { None });
    for query in queries.iter() {
        let Query::DropIns(name) = query else { continue };
        fragments.extend(drop_in_directories(name).iter().map(ToString::to_string));
    }
    piped(&mut script, "fragments", &fragments, "| q_fragments");
    let trees = |wanted: bool| -> Vec<String> {
        let top = |q: &Query| match q {
            Query::Tree { top, across } if *across == wanted => Some(top.to_string()),
            _ => None,
        };
        queries.iter().filter_map(top).collect()
    };
    piped(&mut script, "tree", &trees(false), "| q_tree");
    piped(&mut script, "trees", &trees(true), "| q_trees");
    if queries.contains(&Query::Accounts) {
        script
            .line("section passwd getent passwd")
            .line("section group getent group")
            .line("section shadow getent shadow")
            .line("section local q_local");
    }
    // Not every source of names lists all that it knows: these are asked for by name.
    let users = words(|q| if let Query::User(name) = q { Some(name) } else { None });
    called(&mut script, Command::new("section user getent passwd"), &users);
    let groups = words(|q| if let Query::Group(name) = q { Some(name) } else { None });
    called(&mut script, Command::new("section usergroup getent group"), &groups);
    // dpkg-query(1) takes the architecture by its letter, apt as a word for the host's own too.
    let mut packages = words(|q| if let Query::Package(p) = q { Some(p.bare()) } else { None });
    packages.dedup();
    const FORMAT: &str =
        "${binary:Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\t${db:Status-Want}\\n";
    called(&mut script, Command::new("section package dpkg-query -W -f").arg(FORMAT).arg("--"), &packages);
    if !packages.is_empty() {
        script.line("section automatic q_automatic");
    }
    if !packages.is_empty() || apt::calls(queries).next().is_some() {
        script.line("section unfinished q_unfinished");
    }
    let candidates = words(|q| if let Query::Candidate(p) = q { Some(p.as_str()) } else { None });
    called(&mut script, Command::new("section candidate apt-cache policy --"), &candidates);
    if queries.iter().any(|q| matches!(q, Query::Provided(_))) {
        script.line("section provided q_provided");
    }
    let virtuals = words(|q| if let Query::Providers(p) = q { Some(p.as_str()) } else { None });
    called(&mut script, Command::new("section providers apt-cache showpkg --"), &virtuals);
    if queries.contains(&Query::Packages) {
        script.line("section installed q_installed");
    }
    let shipped = words(|q| if let Query::Shipped(p) = q { Some(p.bare()) } else { None });
    called(&mut script, Command::new("section shipped q_shipped").arg(shipped::FORMAT), &shipped);
    for (number, words) in apt::calls(queries).enumerate() {
        script.run(Command::new("section").arg(format!("transaction{number}")).arg("q_transaction").args(words));
    }
    let units = words(|q| if let Query::Unit(u) = q { Some(u.as_str()) } else { None });
    called(&mut script, Command::new("section unit q_units"), &units);
    let keys = queries.iter().filter_map(|q| if let Query::Sysctl(k) = q { Some(k) } else { None });
    let pairs: Vec<String> = keys.flat_map(|key| [key.to_string(), key.proc_path()]).collect();
    called(&mut script, Command::new("section sysctl q_sysctl"), &pairs);
    called(&mut script, Command::new("section fixed q_fixed"), &pairs);
    if queries.iter().any(|q| matches!(q, Query::Module(_))) {
        script.line("section module q_modules");
    }
    if queries.contains(&Query::Processes) {
        script.line(processes::PROBE).line("section processes q_processes");
    }
    let texts = syntax::texts(queries);
    if !texts.is_empty() {
        script.line(syntax::PROBE);
        called(&mut script, Command::new("section syntax q_syntax"), &texts);
    }
    let units: Vec<String> = verify::texts(queries).into_iter().flat_map(|(name, text)| [name, text]).collect();
    if !units.is_empty() {
        script.line(verify::PROBE);
        called(&mut script, Command::new("section verify q_verify"), &units);
    }
    let listed = words(|q| if let Query::Acl(p) = q { Some(p.as_str()) } else { None });
    if !listed.is_empty() {
        script.line(acl::PROBE);
    }
    piped(&mut script, "acls", &listed, "| q_acls");
    if runs(queries).next().is_some() {
        script.line(RUN_TEXT).line("LIMIT=60");
    }
    for (number, run) in runs(queries).enumerate() {
        script.run(run_command(number, run));
    }
    script
}

/// Directories that systemd reads units from, what stands first wins
/// (systemd.unit(5), "Unit File Load Path").
pub const UNIT_DIRECTORIES: [&str; 11] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// The directories that [`Query::DropIns`] asks about, what stands first wins.
pub fn drop_in_directories(name: &str) -> Vec<AbsPath> {
    UNIT_DIRECTORIES.iter().filter_map(|top| format!("{top}/{name}.d").parse().ok()).collect()
}

/// The operator's commands, in the order in which they are asked and answered.
pub(super) fn runs(queries: &Queries) -> impl Iterator<Item = &Run> {
    queries.iter().filter_map(|q| if let Query::Run(run) = q { Some(run) } else { None })
}

/// A question about a list that may be long: the words go through a pipe.
fn piped(script: &mut Script, name: &'static str, words: &[String], filter: &'static str) {
    if words.is_empty() {
        return;
    }
    script.line("q_list() {").run(Command::new("printf").arg("%s\\0").args(words).raw(filter)).line("}");
    script.run(Command::new("section").arg(name).arg("q_list"));
}

fn called(script: &mut Script, command: Command, words: &[String]) {
    if !words.is_empty() {
        script.run(command.args(words));
    }
}

/// Runs the text that comes through descriptor 8.
const FROM_PIPE: &str = "_text=$(cat <&8); exec 8<&-; eval \"$_text\"";

fn run_command(number: usize, run: &Run) -> Command {
    let command = Command::new("section").arg(format!("run{number}"));
    let user = run.user.as_ref().map_or("", UserName::as_str);
    match (run.text, run.argv.last()) {
        (Text::Operator, Some(text)) if !run.environment.is_empty() => {
            // Every user may read the arguments of a process: the text comes through a pipe.
            let Ok(text) = run.environment.around(text) else { return command.arg(text).arg("\0") };
            let piped = Command::new("printf").args(["%s", &text]).raw("| section").arg(format!("run{number}"));
            piped.args(["run_text", user, "-c", FROM_PIPE]).raw("8<&0")
        }
        (Text::Operator, Some(text)) => command.args(["run_text", user, "-c", text]),
        (Text::Around, Some(text)) => {
            command.args(["timeout", "-k", "5", "60", "sh", "-c"]).arg(format!("{STRICT}{text}"))
        }
        _ if user.is_empty() => command.args(["timeout", "-k", "5", "60"]).args(&run.argv),
        _ => command.args(["timeout", "-k", "5", "60", "runuser", "-u", user, "--"]).args(&run.argv),
    }
}

/// Adds a program's answers to what is known of the host.
///
/// # Errors
/// The answer is not one to these questions.
pub fn read_reply(
    host: &mut HostState,
    queries: &Queries,
    with_facts: bool,
    nonce: &str,
    output: &[u8],
) -> Result<(), reply::Malformed> {
    let sections = reply::sections(nonce, output)?;
    if with_facts {
        let section = sections.get("facts").ok_or_else(|| reply::Malformed::missing("facts"))?;
        let text = section.text();
        let (facts, left) = Facts::parse(&text).map_err(reply::Malformed::because)?;
        host.day = Facts::day(&text);
        host.facts = facts;
        host.left = left;
    }
    reply::fill(host, queries, &sections)
}
