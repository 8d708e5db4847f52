//! `inspect`: a judgement that changes nothing and stops nothing.
//!
//! A command looks at the host and says by its exit code whether what is
//! demanded holds, in the way of test programs: 0 it holds, 1 it does not, 77
//! it does not belong to this host (automake's word for a skipped test), any
//! other: it could not be judged. A plan and an apply tell what was found and go
//! on; an audit reports it.

use super::{Args, Field, Kind, Resource, Type, shell_text};
use crate::observe::{Known, PredictedState, Queries, Query, Run};
use crate::plan::{Finding, PlanError, Planned, Verdict};
use crate::shell::quote;

pub(super) const KIND: Kind = Kind {
    name: "inspect",
    summary: "A judgement that changes nothing and stops nothing: a command that looks, reported by plan and audit.",
    main: "command",
    fields: &[
        Field::optional(
            "command",
            Type::String,
            "shell text, run as root by sh: exit code 0 if it holds, 1 if it does not, 77 if it does not belong to \
             this host, any other if it cannot be judged; what it prints is the evidence",
        ),
        Field::optional(
            "script",
            Type::String,
            "a file beside the playbook with such shell text, in place of 'command'",
        ),
        Field::optional("args", Type::Strings, "what the shell text has as $1, $2, …"),
        Field::required("says", Type::String, "what is demanded, in words"),
        Field::optional("remedy", Type::String, "what the operator has to do where it does not hold"),
    ],
    build,
};

#[derive(Debug)]
struct Inspection {
    says: String,
    remedy: Option<String>,
    /// The operator's own text, where it is one.
    text: String,
    /// How evidence names it.
    shown: String,
    asks: Run,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let says = args.string("says");
    let remedy = args.string("remedy");
    let words: Vec<String> = args.parse_list("args");
    let (text, shown) = match (args.string("command"), args.string("script")) {
        (Some(text), None) => (text.clone(), text.trim().to_owned()),
        (None, Some(path)) => match args.assets.read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => (text, [vec![path], words.clone()].concat().join(" ")),
            Ok(Err(_)) => {
                args.wrong_value("script", format!("{} is not text in UTF-8", path.escape_debug()));
                return None;
            }
            Err(why) => {
                args.wrong_value("script", why);
                return None;
            }
        },
        (Some(_), Some(_)) | (None, None) => {
            args.refuse("command", "an inspection needs 'command' or 'script', and not both");
            return None;
        }
    };
    if let Err(error) = [&text].into_iter().chain(&words).try_for_each(|word| quote(word).map(drop)) {
        args.wrong_value("command", error.to_string());
        return None;
    }
    let asks = Run::script(&text, &words);
    Some(Box::new(Inspection { says: says?, remedy, text, shown, asks }))
}

/// The exit code by which a test program says that it does not belong here.
const SKIPPED: i32 = 77;

impl Resource for Inspection {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Run(self.asks.clone()));
        shell_text::ask(queries, &self.text);
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        shell_text::check(host, "command", &self.text)?;
        let output = match host.output(&self.asks)? {
            Known::Is(output) => output,
            Known::AfterApply => {
                planned.notes.push("not judged before this run is done".to_owned());
                return Ok(planned);
            }
        };
        let said = output.stdout.trim_end().to_owned();
        let last = said.lines().last().unwrap_or_default().to_owned();
        let verdict = match output.code {
            0 => Verdict::Holds,
            1 => Verdict::Fails,
            SKIPPED => Verdict::NotApplicable(if last.is_empty() {
                "it does not belong to this host".to_owned()
            } else {
                last.clone()
            }),
            124 => Verdict::Unreadable("the command took longer than a minute".to_owned()),
            code => Verdict::Unreadable(format!("the command ended with exit code {code}: {last}")),
        };
        match &verdict {
            Verdict::Holds | Verdict::NotApplicable(_) => {}
            Verdict::Fails => planned.notes.push(format!("does not hold: {}", self.says)),
            Verdict::Unreadable(why) => planned.notes.push(format!("cannot be judged: {why}")),
        }
        planned.finding = Some(Finding {
            expected: self.says.clone(),
            actual: said.lines().next().unwrap_or_default().to_owned(),
            command: self.shown.clone(),
            said,
            remedy: self.remedy.iter().cloned().collect(),
            verdict,
        });
        Ok(planned)
    }
}
