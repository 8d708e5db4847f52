//! `check`: an assertion that changes nothing.
//!
//! It is asked when the plan is made. Where it holds and no earlier step
//! changes anything, there is nothing to do; else the apply awaits it, and a
//! check that never holds fails the apply.

use super::{Args, Field, Kind, Resource, Type, shell_text};
use crate::observe::{Known, PredictedState, Queries, Query, Run};
use crate::plan::{Action, Check, CommandOp, Op, PlanError, Planned};
use crate::shell::{NulByte, quote};
use crate::values::{Diagnostic, Node, NodeValue, UnitName, possible_keys};

pub(super) const KIND: Kind = Kind {
    name: "check",
    summary: "An assertion that changes nothing: a command, a TCP port, an HTTP answer or a running unit.",
    main: "command",
    fields: &[
        Field::optional("command", Type::String, "shell text that must exit with 'code', run by sh with set -e"),
        Field::optional("code", Type::Integer, "the exit code of 'command', default 0"),
        Field::optional("stdout", Type::String, "text that the output of 'command' must hold"),
        Field::optional("tcp", Type::String, "\"host:port\" that must accept a connection, seen from the host"),
        Field::optional(
            "http",
            Type::Any,
            "a URL, or a table of url, status (default 200), body (text that the answer must hold), headers \
             and socket (a Unix socket to ask through)",
        ),
        Field::optional("unit", Type::String, "a unit that must be active"),
        Field::optional("says", Type::String, "what is asserted, in words; shown in place of the command or address"),
        Field::optional("tries", Type::Integer, "how often the apply tries at the most, default 1"),
        Field::optional("pause", Type::Integer, "seconds between two tries, default 1"),
    ],
    build,
};

#[derive(Debug)]
struct Assertion {
    /// What is asserted, in words.
    what: String,
    /// The operator's own text, where it is one.
    text: Option<String>,
    check: Check,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let given: Vec<&str> =
        ["command", "tcp", "http", "unit"].into_iter().filter(|field| args.node(field).is_some()).collect();
    let [field] = given[..] else {
        args.refuse(
            given.get(1).unwrap_or(&"command"),
            "a check needs exactly one of 'command', 'tcp', 'http', 'unit'",
        );
        return None;
    };
    for extra in ["code", "stdout"] {
        if field != "command" && args.node(extra).is_some() {
            args.refuse(extra, format!("'{extra}' goes with 'command', not with '{field}'"));
        }
    }
    let made = match field {
        "command" => command(args),
        "tcp" => tcp(args),
        "http" => http(args),
        _ => unit(args),
    };
    let tries = bounded(args, "tries", 1, 1000, 1);
    let pause = bounded(args, "pause", 0, 3600, 1);
    let (what, script) = match made? {
        Ok(made) => made,
        Err(error) => {
            args.wrong_value(field, error.to_string());
            return None;
        }
    };
    let what = args.string("says").unwrap_or(what);
    let asks = Run::around(&script);
    let text = args.string("command");
    Some(Box::new(Assertion { what, text, check: Check { script, asks, tries, pause } }))
}

fn bounded(args: &mut Args<'_>, field: &str, least: i64, most: i64, default: u32) -> u32 {
    args.integer(field, least, most).and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
}

/// What is asserted in words, and the shell text that asks it.
type Made = Option<Result<(String, String), NulByte>>;

fn command(args: &mut Args<'_>) -> Made {
    let text = args.string("command")?;
    let code = bounded(args, "code", 0, 255, 0);
    let stdout = args.string("stdout");
    let script = || {
        let inner = quote(&text)?;
        Ok(match &stdout {
            None if code == 0 => format!("sh -c {inner}"),
            None => format!("sh -c {inner}; test $? -eq {code}"),
            Some(part) => {
                let part = quote(part)?;
                // What is expected and what was found tell more than that it fails.
                format!(
                    "out=$(sh -c {inner}); c=$?; if test $c -ne {code}; then printf '%s\\n' \"$out\"; \
                     echo \"it ended with code $c instead of {code}\"; false; else case $out in *{part}*) ;; \
                     *) printf '%s\\n' \"$out\" 'this does not hold:' {part}; false ;; esac; fi"
                )
            }
        })
    };
    Some(script().map(|script| (text.trim().to_owned(), script)))
}

/// `host:port` or `[v6]:port`.
fn address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:-_%".contains(c);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty() && !host.starts_with('-') && host.chars().all(plain)).then_some((host, port))
}

fn tcp(args: &mut Args<'_>) -> Made {
    let text = args.string("tcp")?;
    let Some((host, port)) = address(&text) else {
        args.wrong_value("tcp", format!("'{}' is not \"host:port\"", text.escape_debug()));
        return None;
    };
    // bash is essential on Debian and Ubuntu; nc and curl are not (bash(1), REDIRECTION).
    let script =
        quote(host).map(|host| format!("timeout 3 bash -c 'exec 3<>/dev/tcp/$1/$2' - {host} {port} 2>/dev/null"));
    Some(script.map(|script| (format!("{text} accepts connections"), script)))
}

fn unit(args: &mut Args<'_>) -> Made {
    let name: UnitName = match args.string("unit")? {
        name if name.contains('.') => args.parse("unit")?,
        name => match format!("{name}.service").parse() {
            Ok(name) => name,
            Err(error) => {
                args.wrong_value("unit", format!("{error}"));
                return None;
            }
        },
    };
    Some(
        quote(name.as_str())
            .map(|word| (format!("{name} is active"), format!("systemctl is-active --quiet -- {word}"))),
    )
}

/// An HTTP question.
struct Http {
    url: String,
    status: i64,
    body: Option<String>,
    headers: Vec<String>,
    socket: Option<String>,
}

fn http(args: &mut Args<'_>) -> Made {
    let node = args.node("http")?;
    let before = args.is_clean();
    let http = match &node.value {
        NodeValue::String(url) => Http { url: url.clone(), status: 200, body: None, headers: vec![], socket: None },
        NodeValue::Table(_) => http_table(args, node),
        _ => {
            args.refuse("http", format!("'http' takes a URL or a table, not {}", node.type_name()));
            return None;
        }
    };
    let scheme = ["http://", "https://"].into_iter().find(|scheme| http.url.starts_with(scheme));
    if scheme.is_none() || http.url.chars().any(|c| c.is_control() || c == ' ' || c == '"') {
        args.wrong_value("http", format!("'{}' is not a URL of http or https", http.url.escape_debug()));
    }
    if before && !args.is_clean() {
        return None;
    }
    let what = format!("{} answers {}", http.url.split('?').next().unwrap_or_default(), http.status);
    Some(http.script().map(|script| (what, script)))
}

fn http_table(args: &mut Args<'_>, node: &Node) -> Http {
    let mut http = Http { url: String::new(), status: 200, body: None, headers: vec![], socket: None };
    for entry in node.as_table().unwrap_or_default() {
        match (entry.key.as_str(), &entry.node.value) {
            ("url", NodeValue::String(text)) => http.url.clone_from(text),
            ("body", NodeValue::String(text)) => http.body = Some(text.clone()),
            ("socket", NodeValue::String(text)) => http.socket = Some(text.clone()),
            ("status", NodeValue::Integer(code)) if (100..600).contains(code) => http.status = *code,
            ("headers", NodeValue::Table(headers)) => {
                for header in headers {
                    let value = header.node.as_str().unwrap_or_default();
                    let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                    let sound = !header.key.is_empty() && header.key.chars().all(token);
                    if sound && header.node.as_str().is_some() && !value.chars().any(char::is_control) {
                        http.headers.push(format!("{}: {value}", header.key));
                    } else {
                        args.error(Diagnostic::new(header.key_span.clone(), "a header is a name and a line of text"));
                    }
                }
            }
            ("url" | "body" | "socket" | "status" | "headers", _) => {
                let message = format!("'{}' of 'http' cannot be this", entry.key);
                args.error(
                    Diagnostic::new(entry.node.span.clone(), message)
                        .with_help("url, body, socket: strings; status: 100 to 599; headers: a table of strings"),
                );
            }
            (key, _) => args.error(
                Diagnostic::new(entry.key_span.clone(), format!("unknown key '{key}' in 'http'"))
                    .with_help(possible_keys(key, ["url", "status", "body", "headers", "socket"])),
            ),
        }
    }
    if http.url.is_empty() {
        args.refuse("http", "'http' needs the key 'url'");
    }
    http
}

impl Http {
    /// The question for curl; where the host has none, for bash, which can do
    /// plain HTTP over TCP only (and says so by failing).
    fn script(&self) -> Result<String, NulByte> {
        let mut curl = "curl --globoff --silent --max-time 10 --write-out '\\n%{http_code}'".to_owned();
        for header in &self.headers {
            curl.push_str(&format!(" --header {}", quote(header)?));
        }
        if let Some(socket) = &self.socket {
            curl.push_str(&format!(" --unix-socket {}", quote(socket)?));
        }
        let ask = format!("out=$({curl} -- {})", quote(&self.url)?);
        let ask = match self.plain()? {
            Some(plain) => format!("if command -v curl >/dev/null; then {ask}; else {plain}; fi"),
            None => ask,
        };
        // 000 is curl's word for no answer.
        let status = format!(
            "c=${{out##*\n}}; if test \"$c\" != {0}; then case $c in 000|'') echo 'there is no answer';; \
             *) echo \"the answer has the status $c instead of {0}\";; esac; false; else ",
            self.status
        );
        let body = match &self.body {
            Some(part) => {
                let part = quote(part)?;
                format!("case $out in *{part}*) ;; *) printf '%s\\n' 'the answer does not hold:' {part}; false ;; esac")
            }
            None => ":".to_owned(),
        };
        Ok(format!("{ask}; {status}{body}; fi"))
    }

    /// HTTP/1.0 by bash (RFC 1945): the answer, and its status as the last line.
    fn plain(&self) -> Result<Option<String>, NulByte> {
        let Some(rest) = self.url.strip_prefix("http://").filter(|_| self.socket.is_none()) else { return Ok(None) };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let Some((host, port)) = address(authority).or(Some((authority, 80))) else { return Ok(None) };
        let path = if path.is_empty() { "/" } else { path };
        let mut request = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n");
        for header in &self.headers {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str("\r\n");
        Ok(Some(format!(
            "out=$(timeout 10 bash -c 'exec 3<>/dev/tcp/$1/$2 && printf %s \"$3\" >&3 && \
             IFS=\" \" read -r _ code _ <&3 && cat <&3 && printf \"\\n%s\" \"$code\"' - {} {port} {} 2>/dev/null)",
            quote(host)?,
            quote(&request)?
        )))
    }
}

impl Resource for Assertion {
    fn queries(&self, queries: &mut Queries) {
        queries.ask(Query::Run(self.check.asks.clone()));
        self.text.iter().for_each(|text| shell_text::ask(queries, text));
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        self.text.iter().try_for_each(|text| shell_text::check(host, "command", text))?;
        let holds = match host.output(&self.check.asks)? {
            Known::Is(output) => Some(output.code == 0),
            Known::AfterApply => None,
        };
        if holds == Some(true) && host.still_holds(&self.check.asks) {
            return Ok(planned);
        }
        planned.action = Some(Action::Run);
        let before = match holds {
            Some(true) => "holds; an earlier step may change that",
            Some(false) => "does not hold",
            None => crate::plan::KNOWN_AFTER_APPLY,
        };
        planned.change("check", Some(before), Some(&self.what));
        planned.ops.push(Op::Command(CommandOp::Check(self.check.clone())));
        Ok(planned)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
#[path = "check_step_tests.rs"]
mod tests;
