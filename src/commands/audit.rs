//! `audit`: how the controls of a playbook stand on its hosts, and nothing touched.

use super::Exit;
use super::audit_records;
use super::connection::ConnectionArgs;
use super::explain::explain;
use super::records::RecordArgs;
use super::select::{SelectArgs, kind_names};
use crate::audit::{self, FORMAT_VERSION, HostReport, Report, Waiver};
use crate::engine::{InputErrors, Run, SelectedHost, Selection, for_each_host};
use crate::playbook::Playbook;
use crate::report::{self, AuditFormat, AuditTextOptions, Console, Event, Reporter};
use crate::transport::Ask;
use crate::values::{Demand, Severity};
use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// A playbook file, or the name of a bundled playbook such as harden/server.
    playbook: PathBuf,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// All hosts of the inventory, whichever the playbook is for; without it, those of the playbook, or all where it
    /// does not say which it is for.
    #[arg(long)]
    all_hosts: bool,
    /// Only controls up to this level: 1 is safe anywhere, 2 is stricter. Sets the variable 'level' where the playbook
    /// has it; without it, the playbook's own value counts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    level: Option<u8>,
    /// How the report is written.
    #[arg(long, value_enum, default_value = "text")]
    format: AuditFormat,
    /// Write the report to a file; a line for each host goes to the terminal.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// An earlier report in JSON, to say what became worse and better since.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// From which severity on a finding ends with exit code 2.
    #[arg(long, value_name = "SEVERITY", default_value = "low", value_parser = severities())]
    fail_on: Severity,
    /// Findings that somebody accepts for a time, in TOML.
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// Keep the scores as runs are kept, and show those of earlier audits. Only where --record is given.
    #[command(flatten)]
    record: RecordArgs,
    /// Explain a control, without asking a host: what it demands, why, how it is judged and put in force.
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    /// List controls that hold, too.
    #[arg(short, long)]
    verbose: bool,
}

/// The words of severities, for the command line.
fn severities() -> impl TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(Severity::ALL.map(Severity::as_str)).try_map(|word| word.parse::<Severity>())
}

/// What is read before a host is asked.
struct Asked {
    selection: Selection,
    demands: Vec<Demand>,
    waivers: Vec<Waiver>,
    baseline: Option<Report>,
}

/// Audits the hosts and writes the report.
///
/// # Errors
/// The input is wrong, or the report cannot be written. A host that cannot be
/// audited is told in the report.
pub fn run(args: &AuditArgs, console: &mut Console) -> anyhow::Result<Exit> {
    if let Some(id) = &args.explain {
        let playbook = crate::playbook::load(&args.playbook, &kind_names()).map_err(InputErrors)?;
        return explain(&playbook, id, console);
    }
    let asked = args.asked()?;
    args.out.as_deref().map_or(Ok(()), check_out)?;
    let time = jiff::Timestamp::now();
    let (hosts, expired) = args.hosts(&asked, time, console)?;
    let title = asked.selection.title(&args.playbook);
    let report = Report {
        format_version: FORMAT_VERSION,
        tool: format!("stockade {}", env!("CARGO_PKG_VERSION")),
        time: time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        playbook: title,
        stage: asked.selection.stage().map(str::to_owned),
        level: args.level,
        baseline: asked.baseline.as_ref().map(|baseline| baseline.time.clone()),
        controls: asked.demands.iter().map(audit::info).collect(),
        hosts,
        expired_waivers: expired,
    };
    if args.record.given() {
        audit_records::keep(&args.record, &report)?;
    }
    args.write(&report, console)?;
    Ok(args.exit(&report))
}

impl AuditArgs {
    /// Reads all that the command line names.
    fn asked(&self) -> anyhow::Result<Asked> {
        let mut select = self.select.clone();
        let playbook = crate::playbook::load(&self.playbook, &kind_names()).map_err(InputErrors)?;
        select.all_hosts = self.all_hosts || playbook.hosts.is_empty();
        if let Some(level) = self.level {
            let given = select.vars.iter().any(|var| var.starts_with("level="));
            if playbook.variables().contains("level") && !given {
                select.vars.push(format!("level={level}"));
            }
        }
        let selection = select.select(&self.playbook)?;
        let demands = demands(&selection.playbook, self.level);
        let waivers = self.waivers(&selection.playbook)?;
        let baseline = match &self.baseline {
            None => None,
            Some(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
                let read = audit::read_baseline(&bytes, &demands);
                Some(read.map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?)
            }
        };
        Ok(Asked { selection, demands, waivers, baseline })
    }

    fn waivers(&self, playbook: &Playbook) -> anyhow::Result<Vec<Waiver>> {
        let Some(path) = &self.waivers else { return Ok(Vec::new()) };
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let waivers = audit::read_waivers(&path.display().to_string(), &bytes).map_err(InputErrors)?;
        // Of all levels: a waiver stands also while a lower one is audited.
        let all = demands(playbook, None);
        let ids: Vec<&str> = all.iter().map(|demand| demand.control.id.as_str()).collect();
        let errors = audit::check_waivers(&waivers, &ids);
        if errors.is_empty() { Ok(waivers) } else { Err(InputErrors(errors).into()) }
    }

    /// What was found on each host, with the waivers that have expired.
    fn hosts(
        &self,
        asked: &Asked,
        time: jiff::Timestamp,
        console: &Console,
    ) -> anyhow::Result<(Vec<HostReport>, Vec<String>)> {
        let machine = self.format != AuditFormat::Text && self.out.is_none();
        let reporter: Arc<dyn Reporter> = Arc::from(report::reporter(console, machine));
        let policy = self.connection.policy();
        let ask: Arc<dyn Ask> = Arc::new(report::TerminalAsk::beside(&reporter));
        let Asked { selection, demands, waivers, baseline } = asked;
        let run = Run { playbook: &selection.playbook, policy: &policy, ask: &ask, reporter: &reporter, resume: false };
        let today = jiff::tz::Offset::UTC.to_datetime(time).date();
        let trends = audit_records::trends(&self.record, &selection.title(&self.playbook))?;
        let one = |selected: &SelectedHost| -> anyhow::Result<(HostReport, Vec<String>)> {
            let mut host = run.audit(selected, demands)?;
            let expired = audit::waive(&host.name, &mut host.results, waivers, today);
            host.counts = audit::counts(&host.results);
            host.score = audit::score(&host.results);
            host.trend = trends.get(&host.name).cloned().unwrap_or_default();
            baseline.iter().for_each(|baseline| audit::compare(&mut host, baseline));
            let text = line(&host);
            reporter.event(&Event::Notice { host: Some(&host.name), text: &text });
            Ok((host, expired))
        };
        let results = for_each_host(selection.hosts.iter().collect(), self.connection.forks(), one)?;
        let (mut hosts, mut expired, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok((host, found)) => {
                    hosts.push(host);
                    expired.extend(found);
                }
                Err(error) => wrong.push(error),
            }
        }
        expired.sort();
        expired.dedup();
        // Wrong input is wrong for all.
        let mut said = std::collections::BTreeSet::new();
        wrong.retain(|error| said.insert(format!("{error:#}")));
        match wrong.drain(..).reduce(|all, next| anyhow::anyhow!("{all:#}\n\n{next:#}")) {
            Some(error) => Err(error),
            None => Ok((hosts, expired)),
        }
    }

    fn write(&self, report: &Report, console: &mut Console) -> anyhow::Result<()> {
        let color = console.color && self.out.is_none();
        let options = AuditTextOptions { color, verbose: self.verbose, width: None };
        let text = report::audit(report, self.format, options)?;
        match &self.out {
            None => console.print(&text),
            Some(path) => {
                std::fs::write(path, &text).with_context(|| format!("{} cannot be written", path.display()))?;
                console.remark(&format!("the report is in {}", path.display()));
            }
        }
        Ok(())
    }

    fn exit(&self, report: &Report) -> Exit {
        let failed = report.hosts.iter().filter(|host| host.error.is_some());
        match failed.map(|host| host.unreachable).reduce(|all, next| all && next) {
            Some(true) => Exit::Unreachable,
            Some(false) => Exit::Failed,
            None if report.hosts.iter().any(|host| host.has_finding(self.fail_on)) => Exit::Differs,
            None => Exit::Done,
        }
    }
}

/// The controls of a playbook up to a level.
fn demands(playbook: &Playbook, level: Option<u8>) -> Vec<Demand> {
    let mut found = playbook.controls();
    found.retain(|demand| level.is_none_or(|level| demand.control.level <= level));
    found
}

/// How a host stands, in a line.
fn line(host: &HostReport) -> String {
    if host.error.is_some() {
        return "not audited".to_owned();
    }
    let findings = host.counts.fail + host.counts.not_live + host.counts.error + host.drift.len();
    let score = host.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score}"));
    format!("{score}, {findings} finding{}", if findings == 1 { "" } else { "s" })
}

/// That a report can be written there, before a host is asked; what is there stays.
fn check_out(path: &Path) -> anyhow::Result<()> {
    let open = std::fs::OpenOptions::new().append(true).create(true).open(path);
    open.map(drop).with_context(|| format!("{} cannot be written", path.display()))
}
