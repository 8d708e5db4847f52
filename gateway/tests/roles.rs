//! What each bundled role may do, row by row as docs/gateway-roles.md has it, in both
//! directions on a real daemon: what a row says yes to is done, and seen there;
//! what it says no to is refused by its rule, and nothing has come about.
//!
//! The rows are the source of that table: `STOCKADE_WRITE_DOCS=1` writes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod proofs;
mod who;

use std::fmt::Write as _;
use std::path::Path;

use who::{Site, Who};

/// The bundled roles, in the order of the table.
const ROLES: [&str; 3] = ["read", "deploy", "operator"];

/// A row of the table.
struct Row {
    /// The test that proves it.
    test: &'static str,
    /// What is done.
    what: &'static str,
    /// What each role may of it: "no", "none", "never" and "–" are refusals.
    cells: [&'static str; 3],
    /// Shows for one role, with or without a tenant, what its cell says.
    proof: fn(&Who<'_>),
}

macro_rules! table {
    ($(fn $test:ident() $what:literal [$read:literal, $deploy:literal, $operator:literal] $proof:path;)+) => {
        const ROWS: &[Row] = &[$(Row {
            test: stringify!($test),
            what: $what,
            cells: [$read, $deploy, $operator],
            proof: $proof,
        }),+];
        $(#[test]
        #[ignore = "needs a Docker engine: tests/run.sh runs it"]
        fn $test() {
            prove(stringify!($test));
        })+
    };
}

table! {
    fn every_role_looks()
        "look: `ps`, `inspect`, `logs`, `stats`, `events`, `images`, `version`"
        ["yes", "yes", "yes"] proofs::look;
    fn deploy_and_operator_run()
        "run: make, start, stop, attach to, `exec` in and remove containers; `save`"
        ["no", "yes", "yes"] proofs::run;
    fn deploy_and_operator_change()
        "change: commit, tag and remove images; networks; volumes; `update`; prune what the role made"
        ["no", "yes", "yes"] proofs::change;
    fn the_operator_builds()
        "`build` (classic builder)"
        ["no", "no", "yes"] proofs::build;
    fn an_operator_without_a_tenant_loads()
        "`load`"
        ["no", "no", "yes, without a tenant"] proofs::load;
    fn the_operator_copies()
        "`cp`"
        ["no", "with engines from 29.5.1 on", "yes"] proofs::copy;
    fn registries_are_those_of_the_role()
        "pull and push: registries (`registries`)"
        ["none", "docker.io, ghcr.io, quay.io", "any"] proofs::registries;
    fn no_bundled_role_has_the_daemon_fetch()
        "`ADD` of a URL in a build (`fetch`)"
        ["no", "no", "no"] proofs::fetch;
    fn published_ports_are_those_of_the_role()
        "published ports (`ports`)"
        ["none", "8000–8999", "1–65535"] proofs::ports;
    fn a_free_port_is_the_engines_or_the_roles()
        "a free port (`-p 80`)"
        ["none", "one of 8000–8999", "one that the engine gives out by itself"] proofs::free_port;
    fn quotas_bound_each_container()
        "memory, processors, processes of a container (`quotas`)"
        ["–", "2 GB, 2, 1024 at most; never unlimited", "as asked for"] proofs::quotas;
    fn networks_of_a_tenant_are_bounded()
        "networks of one tenant (`quotas.networks`)"
        ["–", "8", "8"] proofs::networks;
    fn capabilities_are_those_of_the_role()
        "capabilities to add (`caps`)"
        ["none", "none", "NET_BIND_SERVICE, SYS_NICE, IPC_LOCK"] proofs::capabilities;
    fn no_bundled_role_is_root_on_the_host()
        "privileged, devices, namespaces of the host"
        ["no", "no", "no"] proofs::host;
    fn no_bundled_role_mounts_the_host()
        "bind mounts: what `binds` lists, exactly"
        ["none", "none", "none"] proofs::binds;
    fn no_role_mounts_the_docker_socket()
        "the Docker socket, whatever `binds` lists"
        ["never", "never", "never"] proofs::socket;
    fn log_drivers_keep_their_lines_on_the_host()
        "log drivers `json-file`, `local`, `journald`, `none`"
        ["–", "yes", "yes"] proofs::log_drivers;
    fn no_bundled_role_has_logs_sent_to_an_address()
        "log drivers that send to an address (`log_addresses`)"
        ["no", "no", "no"] proofs::log_addresses;
    fn what_root_made_is_looked_at_and_nothing_else()
        "without a tenant in the token: what was not made through the gateway"
        ["list and inspect, secrets masked", "list and inspect, secrets masked", "list and inspect, secrets masked"]
        proofs::foreign;
    fn what_another_tenant_has_is_not_there()
        "with a tenant in the token: containers, networks, volumes, images of others"
        ["not there", "not there", "not there"] proofs::others;
    fn what_is_never_forwarded_is_refused()
        "plugins, swarm, secrets, BuildKit sessions ([why](buildkit.md)), debug routes"
        ["never", "never", "never"] proofs::never;
}

/// Shows a row for each role, with and without a tenant.
fn prove(test: &str) {
    let row = ROWS.iter().find(|row| row.test == test).unwrap();
    let site = Site::new();
    for (role, cell) in ROLES.into_iter().zip(row.cells) {
        for tenant in [true, false] {
            let refused = ["no", "none", "never", "–"].contains(&cell);
            (row.proof)(&Who::new(&site, role, tenant, !refused));
        }
    }
}

/// The page of the roles, from this package's directory.
const PAGE: &str = "../docs/gateway-roles.md";

#[test]
fn the_page_of_the_roles_says_what_is_proved_and_has_every_grant() {
    let mut grants = "| grant | opens |\n| --- | --- |\n".to_owned();
    for (grant, opens) in stockade_gateway::policy::roles::GRANTS {
        let _ = writeln!(grants, "| `{grant}` | {opens} |");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let mut page = std::fs::read_to_string(&path).unwrap();
    let written = page.clone();
    for (name, table) in [("bundled roles", rendered()), ("grants", grants)] {
        let begin = format!("<!-- {name}: made by gateway/tests/roles.rs, STOCKADE_WRITE_DOCS=1 writes it anew -->\n");
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{PAGE} has no line {begin}"));
        let end = format!("<!-- end of {name} -->\n");
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} has no line {end}"));
        page = format!("{before}{begin}{table}{end}{after}");
    }
    if std::env::var_os("STOCKADE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
        return;
    }
    assert_eq!(written, page, "a table in {PAGE} is not current; run this test with STOCKADE_WRITE_DOCS=1");
}

fn rendered() -> String {
    let mut text = "| | `read` | `deploy` | `operator` |\n| --- | --- | --- | --- |\n".to_owned();
    for Row { what, cells: [read, deploy, operator], .. } in ROWS {
        let _ = writeln!(text, "| {what} | {read} | {deploy} | {operator} |");
    }
    text
}
