//! Kernel parameters of which the kernel sets one with another: plans of several
//! steps as tables (`tests/parameters`), and applies, undos and boots of lab hosts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a table that cannot be read must stop the test

use crate::support::project::Project;
use crate::tables::{host_state, list, project, text};
use stockade::observe::PredictedState;
use stockade::plan::{DesiredStep, HostPlan, Op, SystemOp, plan_host, queries};
use stockade::resource;
use stockade::values::{Node, Source, parse_document};

/// The steps of a case; they stand in a file of their own, three lines apart from its head.
fn steps(case: &Node) -> Vec<DesiredStep> {
    let kind = resource::kind("sysctl").unwrap();
    let step = |(at, node): (usize, &Node)| {
        let resource = resource::build(kind, node, &project(case)).unwrap_or_else(|errors| panic!("{}", errors[0]));
        let (id, name, span) = ((at + 1).to_string(), "sysctl".to_owned(), Some(node.span.clone()));
        let (sensitive, guard) = (false, false);
        let (restart, reload, followed_by, pending) = (Vec::new(), Vec::new(), Vec::new(), None);
        DesiredStep {
            id,
            name,
            kind: kind.name,
            resource,
            restart,
            reload,
            followed_by,
            pending,
            sensitive,
            guard,
            span,
            about: Default::default(),
        }
    };
    case.get("steps").and_then(Node::as_array).unwrap().iter().enumerate().map(step).collect()
}

fn written(plan: &HostPlan) -> Vec<String> {
    let ops = plan.steps.iter().flat_map(|step| &step.ops);
    ops.filter_map(|op| {
        if let Op::System(SystemOp::Sysctl { key, value }) = op { Some(format!("{key}={value}")) } else { None }
    })
    .collect()
}

fn check(case: &Node) -> Result<(), String> {
    let steps = steps(case);
    let host = host_state(case, &queries(&steps));
    let plan = match (plan_host("host", &steps, &host), text(case, "refused")) {
        (Ok(forecast), None) => forecast.plan,
        (Ok(_), Some(refused)) => return Err(format!("nothing is refused, expected {refused}")),
        (Err(errors), refused) => {
            let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let said = said.join("\n");
            return if refused.is_some_and(|part| said.contains(&part)) { Ok(()) } else { Err(said) };
        }
    };
    if written(&plan) != list(case, "live") {
        return Err(format!("writes {:?}, expected {:?}", written(&plan), list(case, "live")));
    }
    let changes = plan.steps.iter().flat_map(|step| &step.changes).filter(|change| change.field != "persisted");
    let side = |side: &Option<String>| side.clone().unwrap_or_default();
    let changes: Vec<String> = changes.map(|c| format!("{} {} {}", c.field, side(&c.before), side(&c.after))).collect();
    if case.get("changes").is_some() && changes != list(case, "changes") {
        return Err(format!("changes {changes:?}, expected {:?}", list(case, "changes")));
    }
    let notes: Vec<&str> = plan.steps.iter().flat_map(|step| &step.notes).map(String::as_str).collect();
    if let Some(part) = text(case, "note").filter(|part| !notes.join("\n").contains(part)) {
        return Err(format!("notes {notes:?} lack {part:?}"));
    }
    let mut after = PredictedState::of(&host);
    plan.steps.iter().flat_map(|step| &step.ops).for_each(|op| op.effect(&mut after));
    let again = plan_host("host", &steps, &after).map_err(|errors| errors[0].to_string())?.plan;
    if again.is_empty() { Ok(()) } else { Err(format!("the next plan writes {:?}", written(&again))) }
}

#[test]
fn one_apply_converges_in_every_order_of_steps() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parameters/live.toml");
    let source = std::fs::read_to_string(path).unwrap();
    let mut failures = Vec::new();
    // Each case is a file of its own, so that places do not depend on the others.
    for part in source.split("[[case]]").skip(1) {
        let (tree, errors) = parse_document(&Source::new("case.toml", format!("[[case]]\n\n\n{}", part.trim_start())));
        assert!(errors.is_empty(), "{}", errors[0]);
        let case = &tree.get("case").and_then(Node::as_array).unwrap()[0];
        failures.extend(check(case).err().map(|why| format!("{}: {why}", text(case, "name").unwrap())));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The live values of some parameters, in one line.
fn live(site: &Project, keys: &[&str]) -> String {
    site.on_host(&format!("sysctl -n {} | tr '\\n' ' '", keys.join(" "))).trim().to_owned()
}

const KEYS: [&str; 6] = [
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.default.forwarding",
    "net.ipv4.conf.eth0.forwarding",
    "net.ipv4.conf.lo.forwarding",
    "net.ipv4.conf.all.accept_redirects",
];

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn one_apply_sets_what_the_kernel_resets_and_its_undo_puts_all_of_it_back() {
    let site = Project::new();
    let set = |values: &str| site.on_host(&format!("sysctl -qw {values}"));
    // Neither is what the kernel makes of the other.
    set("net.ipv4.ip_forward=1 net.ipv4.conf.all.accept_redirects=1 net.ipv4.conf.lo.forwarding=0");
    let before = live(&site, &KEYS);
    assert_eq!(before, "1 1 1 1 0 1");
    let redirects = "[[step]]\nsysctl = { key = \"net.ipv4.conf.all.accept_redirects\", value = 0 }\n";
    let forward = "[[step]]\nsysctl = { key = \"net.ipv4.ip_forward\", value = 0 }\n";
    for steps in [format!("{redirects}{forward}"), format!("{forward}{redirects}")] {
        site.playbook(&steps);
        let shown = site.done(&["plan", "site.toml"]);
        assert!(
            shown.contains("with which the kernel sets net.ipv4.conf.all.accept_redirects: it is set again"),
            "{shown}"
        );
        site.done(&["apply", "site.toml", "--yes"]);
        assert_eq!(live(&site, &KEYS), "0 0 0 0 0 0");
        let again = site.done(&["plan", "site.toml", "--detailed-exitcode"]);
        assert!(again.contains("nothing differs"), "{again}");
        site.done(&["undo", &site.host.name, "--yes"]);
        assert_eq!(live(&site, &KEYS), before, "after the undo of {steps}");
    }

    // A file of sysctl.d is told to be without effect until it is read, unless it is by a restart.
    let file = "file = { path = \"/etc/sysctl.d/50-net.conf\", content = \"net.ipv4.ip_forward = 0\\n\" }\n";
    site.playbook(&format!("[[step]]\n{file}"));
    let dormant = "net.ipv4.ip_forward is 1 now and becomes 0 at the next boot";
    let applied = site.done(&["apply", "site.toml", "--yes"]);
    assert!(applied.contains(dormant), "{applied}");
    let again = site.done(&["plan", "site.toml", "--format", "json"]);
    assert!(again.contains(dormant), "{again}");
    site.on_host("rm /etc/sysctl.d/50-net.conf");
    site.playbook(&format!("[[step]]\nrestart = [\"systemd-sysctl\"]\n{file}"));
    let applied = site.done(&["apply", "site.toml", "--yes"]);
    assert!(!applied.contains(dormant), "{applied}");
    assert_eq!(live(&site, &KEYS[..1]), "0");

    // What systemd-sysctl makes of the files is what the plan says of them.
    site.on_host("rm /etc/sysctl.d/50-net.conf");
    let redirects = redirects.replace("value = 0", "value = 1");
    let reset = |site: &Project| site.told(&["apply", "site.toml", "--yes"]);
    site.playbook(&format!("{redirects}{}", forward.replace("value = 0", "value = 1")));
    let (code, text) = reset(&site);
    assert!(code == 3 && text.contains("the kernel sets net.ipv4.conf.all.accept_redirects to 0"), "{code}: {text}");
    set("net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0");
    site.on_host("systemctl restart systemd-sysctl");
    assert_eq!(live(&site, &[KEYS[0], KEYS[5]]), "1 0");
    site.on_host("rm /etc/sysctl.d/99-zz-stockade-*");
    set("net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0");
    let both = "[[step]]\nrestart = [\"systemd-sysctl\"]\nfile = { path = \"/etc/sysctl.d/60-net.conf\", \
                content = \"net.ipv4.ip_forward = 1\\nnet.ipv4.conf.all.accept_redirects = 1\\n\" }\n";
    site.playbook(both);
    site.done(&["apply", "site.toml", "--yes"]);
    assert_eq!(live(&site, &[KEYS[0], KEYS[5]]), "1 1");
    // What a restart has made of a file goes with the file, in whichever phase it came.
    site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(live(&site, &[KEYS[0], KEYS[5]]), "0 0");
    site.on_host("test ! -e /etc/sysctl.d/60-net.conf");
    let filters = ["net.ipv4.conf.lo.rp_filter", "net.ipv4.conf.all.rp_filter", KEYS[0], KEYS[5]];
    set("net.ipv4.conf.lo.rp_filter=0 net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.all.accept_redirects=0");
    let before = live(&site, &filters);
    let file = |restart: &str| {
        format!(
            "[[step]]\n{restart}file = {{ path = \"/etc/sysctl.d/60-net.conf\", content = \"\"\"\nnet.ipv4.ip_forward = 1\n\
             -net/ipv4/conf/*/rp_filter = 1\n\"\"\" }}\n"
        )
    };
    let restart = "restart = [\"systemd-sysctl\"]\n";
    // The second phase takes the file that a command has made for what it is.
    let phases = "[[step]]\ncommand = { run = \"echo a=1 >/srv/made\", creates = \"/srv/made\" }\n\
                  [[step]]\nline = { path = \"/srv/made\", line = \"b=1\" }\n";
    for steps in [file(restart), format!("{}{phases}", file(restart))] {
        site.playbook(&steps);
        site.done(&["apply", "site.toml", "--yes"]);
        assert_eq!(live(&site, &filters), "1 1 1 0");
        let undone = site.done(&["undo", &site.host.name, "--yes"]);
        assert_eq!(live(&site, &filters), before, "{undone}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn values_that_no_kernel_has_together_are_refused_with_both_places() {
    let site = Project::new();
    site.playbook(
        "[[step]]\nsysctl = { key = \"net.ipv4.ip_forward\", value = 1 }\n\
         [[step]]\nsysctl = { key = \"net.ipv4.conf.all.forwarding\", value = 0 }\n",
    );
    let (code, text) = site.told(&["plan", "site.toml"]);
    assert_eq!(code, 1, "{text}");
    for part in ["wants a value of net.ipv4.ip_forward that no kernel has together", "site.toml:3", "site.toml:5"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_guard_puts_back_what_the_kernel_has_set_with_a_parameter() {
    let site = Project::new();
    site.on_host("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.accept_redirects=1 net.ipv4.conf.lo.forwarding=0");
    let before = live(&site, &KEYS);
    site.playbook(
        "[[step]]\nguard = true\nsysctl = { key = \"net.ipv4.ip_forward\", value = 0 }\n\
         [[step]]\nguard = true\nrestart = [\"ssh\"]\n\
         file = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"AllowUsers nobody\\n\" }\n",
    );
    let (code, text) = site.told(&["apply", "site.toml", "--yes", "--guard-timeout", "20"]);
    assert_eq!(code, 5, "{text}");
    assert_eq!(live(&site, &KEYS), before, "{text}");
}
