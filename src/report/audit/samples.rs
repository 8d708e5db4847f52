//! Reports for tests. Unit tests and the tests of the whole program share this file:
//! each includes it beside a `model` and a `values` of its own.

use super::model::{
    Change, ControlInfo, ControlResult, Counts, Evidence, FORMAT_VERSION, HostReport, Place, Report, Source, Status,
    Trend, WaiverUse,
};
use super::values::Severity;

/// What a host may say to break out of a format. Each holds `XSS` where a browser would
/// run something.
pub const NASTY: [&str; 12] = [
    "<img src=x onerror=\"document.title='XSS'\">",
    "</script><script>document.title='XSS'</script>",
    "</style></title></textarea><svg onload=\"document.title='XSS'\">",
    "\" autofocus onfocus=\"document.title='XSS'\" x=\"",
    "' onmouseover='document.title=\"XSS\"",
    "]]> <!-- --> <![CDATA[ &lt; &#0; &nbsp;",
    "\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{9b}2J \0 \u{8} \r over",
    "user\u{202e}txt.exe \u{2066}x\u{2069} \u{200f} \u{2028}next",
    "\u{fffe} \u{ffff} \u{85} \u{7f} Zoë 漢字 🦀",
    "` `` ``` | a\\|b *b* _i_ [l](javascript:document.title='XSS') @everyone #1 ~~s~~",
    "```\n</details>\n\n# head\n<b>x</b>",
    "{0} {{x}} {% raw %} ${x} $(x) %s",
];

fn place(file: &str, line: usize) -> Place {
    Place { file: file.into(), line, column: 1 }
}

/// A control with all that it may have.
pub fn control(id: &str, title: &str, severity: Severity, group: &str, line: usize) -> ControlInfo {
    ControlInfo {
        id: id.into(),
        title: title.into(),
        severity,
        level: if severity == Severity::Low { 2 } else { 1 },
        group: group.into(),
        refs: vec!["CIS Debian 12 5.1.20".into(), "BSI SYS.1.3.A8".into()],
        rationale: Some(format!("{title}: without it an attacker has one way more.")),
        breaks: Some("Logins that rely on it.".into()),
        report_only: None,
        place: place(&format!("bundled:{group}"), line),
    }
}

/// How a control stands, with what a judge gives for such a status.
pub fn result(control: &ControlInfo, status: Status, actual: &str) -> ControlResult {
    let finding = status.is_finding();
    ControlResult {
        id: control.id.clone(),
        title: control.title.clone(),
        severity: control.severity,
        status,
        expected: "no".into(),
        actual: actual.into(),
        evidence: vec![Evidence {
            source: Source::Path,
            at: format!("/etc/ssh/sshd_config:{}", control.place.line),
            said: actual.into(),
        }],
        remedy: if finding { vec![format!("An apply sets {} to no.", control.id)] } else { vec![] },
        reason: match status {
            Status::NotApplicable => Some("the host has no sshd".into()),
            Status::Error => Some("sshd -T ended with code 255".into()),
            Status::Pass | Status::Waived | Status::NotLive | Status::Fail => None,
        },
        waiver: (status == Status::Waived).then(|| waiver(false)),
        change: None,
        place: Some(control.place.clone()),
    }
}

fn waiver(expired: bool) -> WaiverUse {
    WaiverUse {
        reason: "Backups log in as root until the new agent is out.".into(),
        owner: "ops@example.org".into(),
        expires: if expired { "2026-01-31".into() } else { "2027-03-31".into() },
        expired,
        place: place("waivers.toml", 3),
    }
}

/// A host with results, its counts and its score made of them.
pub fn host(name: &str, results: Vec<ControlResult>, drift: Vec<ControlResult>) -> HostReport {
    let mut counts = Counts::default();
    let (mut held, mut all) = (0, 0);
    for result in &results {
        let weight = result.severity.weight();
        match result.status {
            Status::Pass => counts.pass += 1,
            Status::NotApplicable => counts.not_applicable += 1,
            Status::Waived => counts.waived += 1,
            Status::NotLive => counts.not_live += 1,
            Status::Fail => counts.fail += 1,
            Status::Error => counts.error += 1,
        }
        if result.status == Status::Pass {
            held += weight;
        }
        if result.status == Status::Pass || result.status.is_finding() {
            all += weight;
        }
    }
    HostReport {
        name: name.into(),
        os: "Debian GNU/Linux 12 (bookworm)".into(),
        error: None,
        unreachable: false,
        seconds: 1.25,
        score: (all > 0).then(|| f64::from(held) * 100.0 / f64::from(all)),
        counts,
        results,
        drift,
        trend: [(10, 61.0), (11, 74.5)]
            .map(|(month, score)| Trend { time: format!("2026-{month}-01T06:00:00Z"), score })
            .into(),
    }
}

/// A report of these controls and hosts.
pub fn report(controls: Vec<ControlInfo>, hosts: Vec<HostReport>) -> Report {
    Report {
        format_version: FORMAT_VERSION,
        tool: "stockade 0.1.0".into(),
        time: "2026-12-01T06:00:00Z".into(),
        playbook: "site.toml".into(),
        stage: Some("production".into()),
        level: Some(2),
        baseline: None,
        controls,
        hosts,
        expired_waivers: vec![],
    }
}

fn unreachable(name: &str, error: &str) -> HostReport {
    HostReport {
        os: String::new(),
        error: Some(error.into()),
        unreachable: true,
        trend: vec![],
        ..host(name, vec![], vec![])
    }
}

/// Twelve controls in three groups.
pub fn twelve_controls() -> Vec<ControlInfo> {
    use Severity::{Critical, High, Low, Medium};
    [
        ("S1", "Root does not log in with a password", Critical, "harden/ssh"),
        ("S2", "Nobody logs in with a password", High, "harden/ssh"),
        ("S4", "A login has few tries", Medium, "harden/ssh"),
        ("S7", "No TCP forwarding", Medium, "harden/ssh"),
        ("S9", "A banner is shown", Low, "harden/ssh"),
        ("K1", "Kernel pointers are hidden", High, "harden/kernel"),
        ("K2", "Address space is randomised", Critical, "harden/kernel"),
        ("K3", "Source routes are refused", Medium, "harden/kernel"),
        ("K4", "Core dumps are off", Low, "harden/kernel"),
        ("P1", "Security updates install themselves", High, "harden/packages"),
        ("P2", "No telnet client", Low, "harden/packages"),
        ("P3", "Packages are verified", Critical, "harden/packages"),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (id, title, severity, group))| control(id, title, severity, group, 10 * number + 4))
    .collect()
}

/// Three hosts and one that could not be reached, twelve controls: every status,
/// waivers, drift, a baseline.
pub fn sample() -> Report {
    use Status::{Error, Fail, NotApplicable, NotLive, Pass, Waived};
    let controls = twelve_controls();
    let rows = [
        ("web1", [Fail, Pass, Fail, Waived, NotApplicable, Pass, NotLive, Pass, Pass, Error, Pass, Pass]),
        ("web2", [Fail, Pass, Pass, Pass, NotApplicable, Pass, Pass, Pass, Fail, Pass, Pass, Pass]),
        ("größe.example", [Pass, Pass, Fail, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass]),
    ];
    let mut hosts: Vec<HostReport> = rows
        .into_iter()
        .map(|(name, statuses)| {
            let results = controls.iter().zip(statuses).map(|(control, status)| {
                let found = if status == Pass { "no" } else { "yes" };
                let change = if status == Fail { Change::Worse } else { Change::Same };
                ControlResult { change: Some(change), ..result(control, status, found) }
            });
            host(name, results.collect(), vec![])
        })
        .collect();
    hosts[0].results[2].waiver = Some(waiver(true));
    hosts[0].results[2].actual = "6".into();
    hosts[1].results[1].change = Some(Change::Better);
    hosts[2].results[2].change = Some(Change::New);
    let step = control("3.2", "file /etc/motd", Severity::Medium, "", 40);
    hosts[1].drift = vec![ControlResult {
        place: Some(place("site.toml", 40)),
        remedy: vec!["An apply writes /etc/motd.".into()],
        ..result(&step, Fail, "another text")
    }];
    hosts.push(unreachable("db1", "cannot connect to 192.0.2.7:22: no route to host"));
    Report {
        baseline: Some("2026-11-01T06:00:00Z".into()),
        expired_waivers: vec!["waivers.toml:3: S4 on web1 expired on 2026-01-31".into()],
        ..report(controls, hosts)
    }
}

/// As [`sample`], with a hostile string in every field that is not of the program.
pub fn nasty_sample(nasty: &str) -> Report {
    let mut report = sample();
    let spoil = |field: &mut String| field.push_str(nasty);
    [&mut report.tool, &mut report.playbook, &mut report.time].into_iter().for_each(spoil);
    report.stage.iter_mut().chain(&mut report.baseline).chain(&mut report.expired_waivers).for_each(spoil);
    for control in &mut report.controls {
        [&mut control.id, &mut control.title, &mut control.group, &mut control.place.file].into_iter().for_each(spoil);
        let more = [&mut control.rationale, &mut control.breaks].into_iter().flatten();
        more.chain(&mut control.refs).for_each(spoil);
        control.report_only = Some(nasty.to_owned());
    }
    for host in &mut report.hosts {
        [&mut host.name, &mut host.os].into_iter().for_each(spoil);
        host.error.iter_mut().for_each(spoil);
        host.trend.iter_mut().for_each(|trend| spoil(&mut trend.time));
        for result in host.results.iter_mut().chain(&mut host.drift) {
            [&mut result.id, &mut result.title, &mut result.expected, &mut result.actual].into_iter().for_each(spoil);
            result.remedy.iter_mut().chain(&mut result.reason).for_each(spoil);
            result.place.iter_mut().for_each(|place| spoil(&mut place.file));
            result.evidence.iter_mut().for_each(|item| [&mut item.at, &mut item.said].into_iter().for_each(spoil));
            if let Some(waiver) = &mut result.waiver {
                [&mut waiver.reason, &mut waiver.owner, &mut waiver.expires, &mut waiver.place.file]
                    .into_iter()
                    .for_each(spoil);
            }
        }
    }
    report
}

/// Many hosts and controls: mostly passes, every seventh result a finding.
pub fn many(hosts: usize, controls: usize) -> Report {
    let controls: Vec<ControlInfo> = (0..controls)
        .map(|number| {
            let title = format!("The setting number {number} of this host is as it ought to be");
            let group = ["harden/ssh", "harden/kernel", "harden/packages", "harden/accounts", "harden/files"];
            control(&format!("C{number}"), &title, Severity::ALL[number % 4], group[number % 5], number + 4)
        })
        .collect();
    let hosts = (0..hosts).map(|number| {
        let results = controls.iter().enumerate().map(|(at, control)| {
            let status = if (number * 31 + at) % 7 == 0 { Status::Fail } else { Status::Pass };
            result(control, status, "net.ipv4.conf.all.accept_source_route = 1, as the kernel says")
        });
        host(&format!("web{number}"), results.collect(), vec![])
    });
    let hosts = hosts.collect();
    report(controls, hosts)
}
