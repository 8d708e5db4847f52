//! The program's commands: serve and check, verify and explain, tokens and keys.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};

use super::config::{Config, api_version};
use super::keys::{self, KeyRing, KeySource, Remotes};
use super::proxy::now;
use super::token::{self, Judge, verify_lines};
use super::upstream::Upstream;
use super::{policy, run, service, services};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(name = "stockade-gateway", version, about = "A Docker API that can be reached, and only by those who may")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve, until SIGTERM; SIGHUP loads keys, roles, certificate and limits anew
    Serve(Serve),
    /// Say whether a configuration, its keys, roles and certificate can be used
    Check(Check),
    /// Judge compact tokens, one a line on standard input; one JSON verdict a line
    Verify(Verify),
    /// Tell which rule decides about a request
    Explain(Explain),
    /// Issue, list, revoke and inspect tokens, through the running gateway
    #[command(subcommand)]
    Token(Token),
    /// Put requests to the running gateway: JSON objects on standard input, one a line
    Admin(Configured),
    /// Make, exchange and list signing keys
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    of: Configured,
    /// Accept a Redis that lets in without a password: whoever reaches it can make sessions
    #[arg(long)]
    insecure_store: bool,
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    of: Configured,
    /// Check roles alone: a TOML file, or a folder of such
    #[arg(long, conflicts_with = "config")]
    roles: Option<PathBuf>,
}

#[derive(Args)]
struct Configured {
    /// The configuration
    #[arg(long, default_value = "/etc/stockade-gateway/gateway.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct Verify {
    /// A JWK set or a single JWK; with --config in place of its keys
    #[arg(long, required_unless_present = "config")]
    jwks: Option<PathBuf>,
    /// Judge the signature alone, whatever the payload
    #[arg(long, requires = "jwks", conflicts_with = "config")]
    signature_only: bool,
    /// Judge as the gateway with this configuration does
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct Explain {
    #[command(flatten)]
    of: Configured,
    /// The role to ask for
    #[arg(long, required_unless_present = "token")]
    role: Option<String>,
    /// The tenant to ask for; the operator's view without it
    #[arg(long, conflicts_with = "token")]
    tenant: Option<String>,
    /// Ask for the token that is the first line of standard input
    #[arg(long, conflicts_with = "role")]
    token: bool,
    /// What (else) is on standard input is the request's body
    #[arg(long)]
    body: bool,
    /// GET, POST …
    method: String,
    /// Path and query, as a client sends them
    target: String,
}

#[derive(Subcommand)]
enum Token {
    /// Issue a token
    Issue {
        #[command(flatten)]
        of: Configured,
        /// Who will hold it
        #[arg(long)]
        subject: String,
        /// What it may do
        #[arg(long)]
        role: String,
        /// Whose objects it sees; all without it
        #[arg(long)]
        tenant: Option<String>,
        /// Seconds an access token lives
        #[arg(long)]
        lifetime: Option<u64>,
        /// Seconds the session lives
        #[arg(long)]
        session_lifetime: Option<u64>,
        /// A look-up token in place of a signed one
        #[arg(long)]
        opaque: bool,
        /// With a refresh token
        #[arg(long)]
        with_refresh: bool,
    },
    /// List sessions
    List(Configured),
    /// Revoke a session or a token, by its identifier
    Revoke {
        #[command(flatten)]
        of: Configured,
        /// A session's identifier or a token's jti
        id: String,
    },
    /// Tell what a token on standard input, or a session, is worth
    Inspect {
        #[command(flatten)]
        of: Configured,
        /// A session's identifier or a token's jti; without it a token is read from standard input
        id: Option<String>,
    },
}

#[derive(Subcommand)]
enum Keys {
    /// Make the directory and a first key
    Init {
        /// The directory
        dir: PathBuf,
    },
    /// Make a new key and let the present ones end
    Rotate {
        /// The directory
        dir: PathBuf,
        /// Seconds until the new key signs
        #[arg(long, default_value_t = 0)]
        delay: u64,
        /// Seconds from then until the old key verifies no more
        #[arg(long, default_value_t = 3600)]
        overlap: u64,
    },
    /// List keys with their times
    List {
        /// The directory
        dir: PathBuf,
    },
}

/// Runs the program with these arguments. `journal` is where the audit log goes
/// if it goes to standard output.
pub fn run<I>(arguments: I, journal: Box<dyn Write + Send>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let program = match Program::try_parse_from(arguments) {
        Ok(program) => program,
        Err(told) => {
            if told.use_stderr() {
                let _ = write!(err, "{told}");
                return ExitCode::from(1);
            }
            let _ = write!(out, "{told}");
            return ExitCode::SUCCESS;
        }
    };
    match perform(program.command, journal, out, err) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(err, "stockade-gateway: {error}");
            ExitCode::from(1)
        }
    }
}

fn perform(
    command: Command,
    journal: Box<dyn Write + Send>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(Serve { of, insecure_store }) => run::serve(&of.config, insecure_store, journal, err)?,
        Command::Check(Check { roles: Some(roles), .. }) => {
            policy::Policy::load(&roles)?;
            writeln!(out, "{}: good", roles.display())?;
        }
        Command::Check(Check { of, .. }) => {
            run::check(&Config::load(&of.config)?)?;
            writeln!(out, "{}: good", of.config.display())?;
        }
        Command::Verify(what) => return verify(&what, out),
        Command::Explain(what) => explain(&what, out)?,
        Command::Token(verb) => token(verb, out)?,
        Command::Admin(of) => admin(&of, out)?,
        Command::Keys(verb) => write!(out, "{}", keys_text(verb)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn keys_text(verb: Keys) -> Result<String, keys::KeyError> {
    match verb {
        Keys::Init { dir } => keys::init(&dir, now()),
        Keys::Rotate { dir, delay, overlap } => keys::rotate(&dir, keys::Rotation { delay, overlap }, now()),
        Keys::List { dir } => keys::list(&dir, now()),
    }
}

fn verify(what: &Verify, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let (ring, verifier);
    // Keys from a file are test vectors of any make: what cannot be used is
    // passed over, and its tokens are refused like those of an unknown key.
    let judge = match (&what.jwks, &what.config) {
        (Some(path), _) if what.signature_only => {
            ring = KeyRing::load_vectors(path)?;
            Judge::SignatureOnly(&ring)
        }
        (Some(path), None) => {
            ring = KeyRing::load_vectors(path)?;
            Judge::Keys(&ring)
        }
        (keys, Some(path)) => {
            let config = Config::load(path)?;
            let source = match keys {
                Some(file) => KeySource::from(KeyRing::load_vectors(file)?),
                None => KeySource::follow_dir(&config.keys)?,
            };
            verifier = services::verifier(&config, source, &Remotes::default())?;
            with_outside_keys(&verifier)?;
            Judge::Gateway(&verifier)
        }
        (None, None) => return Err("--jwks or --config is needed".into()),
    };
    // A refused token is a verdict, not a failure: the program ends well if it could judge.
    verify_lines(&judge, std::io::stdin().lock(), out, now)?;
    Ok(ExitCode::SUCCESS)
}

/// Fetches what outside issuers publish at a URL; those that are away are told
/// by the verdict on their tokens.
fn with_outside_keys(verifier: &token::Verifier) -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(verifier.fetch_outside());
    Ok(())
}

fn explain(what: &Explain, out: &mut dyn Write) -> Result<(), Failure> {
    let config = Config::load(&what.of.config)?;
    let mut input = Vec::new();
    if what.token || what.body {
        std::io::Read::read_to_end(&mut std::io::Read::take(std::io::stdin().lock(), 4 << 20), &mut input)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = runtime.block_on(async {
        let newest = api_version(&config.docker_api.max).unwrap_or((1, 41));
        let daemon = Upstream::new(config.socket.clone(), newest, config.docker_api.pinned.clone());
        let policy = services::policy(&config, daemon.engine().await.as_deref())?;
        let line = format!("{} {}", what.method, what.target);
        let Some(role) = &what.role else {
            let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
            let (token, body) = input.split_at(end);
            let verifier = services::verifier(&config, KeySource::follow_dir(&config.keys)?, &Remotes::default())?;
            verifier.fetch_outside().await;
            let identity = verifier.verify(std::str::from_utf8(token)?.trim(), now())?.identity;
            return Ok(policy::explain(&policy, &identity, &line, body.trim_ascii(), &daemon).await);
        };
        Ok::<_, Failure>(policy::explain_as(&policy, role, what.tenant.as_deref(), &line, &input, Some(&daemon)).await)
    })?;
    Ok(write!(out, "{said}")?)
}

fn token(verb: Token, out: &mut dyn Write) -> Result<(), Failure> {
    let (config, request) = match verb {
        Token::Issue { of, subject, role, tenant, lifetime, session_lifetime, opaque, with_refresh } => (
            of.config,
            json!({
                "command": "issue", "subject": subject, "role": role, "tenant": tenant, "lifetime": lifetime,
                "session_lifetime": session_lifetime, "opaque": opaque, "with_refresh": with_refresh,
            }),
        ),
        Token::List(of) => (of.config, json!({ "command": "list" })),
        Token::Revoke { of, id } => (of.config, json!({ "command": "revoke", "id": id })),
        Token::Inspect { of, id: Some(id) } => (of.config, json!({ "command": "inspect", "id": id })),
        Token::Inspect { of, id: None } => return inspect(&of.config, out),
    };
    let config = Config::load(&config)?;
    let answer = ask(&config, &request)?;
    writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
    Ok(())
}

/// A token that was pasted: what it says, whether it verifies, whether it was revoked.
fn inspect(path: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::Read::take(std::io::stdin().lock(), 64 * 1024), &mut line)?;
    let token = line.trim();
    let verifier = services::verifier(&config, KeySource::follow_dir(&config.keys)?, &Remotes::default())?;
    with_outside_keys(&verifier)?;
    let mut verdict = match verifier.verify(token, now()) {
        Ok(verified) => {
            let id = verified.identity.session.clone().unwrap_or(verified.identity.token_id);
            json!({ "ok": true, "reason": "", "claims": verified.claims, "store": ask(&config, &json!({ "command": "inspect", "id": id }))? })
        }
        Err(error) => json!({ "ok": false, "reason": error.to_string() }),
    };
    if verdict.pointer("/store/revoked").is_some_and(|revoked| !revoked.is_null() && *revoked != Value::Bool(false)) {
        verdict["ok"] = Value::Bool(false);
        verdict["reason"] = json!("it was revoked");
    }
    writeln!(out, "{}", serde_json::to_string_pretty(&verdict)?)?;
    Ok(())
}

/// Requests from standard input, and the answer to each on a line of its own.
fn admin(of: &Configured, out: &mut dyn Write) -> Result<(), Failure> {
    let config = Config::load(&of.config)?;
    for line in std::io::BufRead::lines(std::io::stdin().lock()) {
        let request: Value = serde_json::from_str(&line?)?;
        writeln!(out, "{}", answer_to(&config, &request)?)?;
    }
    Ok(())
}

fn answer_to(config: &Config, request: &Value) -> Result<Value, Failure> {
    let path = config.admin.clone().unwrap_or_else(|| service::socket::DEFAULT_PATH.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(service::socket::ask(&path, request)).map_err(|error| {
        format!("{}: the gateway does not answer there (does it run, and are you root?): {error}", path.display())
    })?)
}

/// Asks the running gateway through its administrator's socket.
fn ask(config: &Config, request: &Value) -> Result<Value, Failure> {
    let mut answer = answer_to(config, request)?;
    if answer.get("ok") == Some(&Value::Bool(true)) {
        return Ok(answer["result"].take());
    }
    Err(answer["error"].as_str().unwrap_or("the gateway refused").to_owned().into())
}
