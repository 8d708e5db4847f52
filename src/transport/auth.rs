//! Logging in.
//!
//! Servers end a connection after six refusals (MaxAuthTries, sshd_config(5)),
//! and each attempt costs round trips, so the likeliest identity goes first
//! and no more than [`MOST_KEYS`] are offered. Order: the keys the operator
//! named; the usual key files that are ready or that the agent holds; the
//! agent's other identities; usual key files that need a passphrase; then, if
//! somebody answers, a password.

use super::deadline::Deadline;
use super::host_key::HostKeyVerified;
use super::keys::{Key, Private};
use super::route::Route;
use super::wire::Wire;
use super::{Ask, TransportError};
use libssh2_sys as code;
use ssh2::{ErrorCode, KeyboardInteractivePrompt, Prompt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Keys offered at most, so that a password can still follow.
const MOST_KEYS: usize = 5;

/// One thing to offer.
enum Identity {
    File(Key),
    Agent(usize),
}

/// The state of one login.
struct Login<'a> {
    wire: &'a mut Wire,
    route: &'a Route,
    deadline: &'a mut Deadline,
    ask: &'a dyn Ask,
    /// What was tried, for the message.
    tried: Vec<String>,
    /// Keys that were not tried and why.
    notes: Vec<String>,
    offered: usize,
}

/// Logs in as the route's user. The proof that the host key is right is
/// needed: an attempt tells the other end who we are.
///
/// # Errors
/// [`TransportError::Authentication`] with what was tried.
pub(super) fn authenticate(
    wire: &mut Wire,
    _proof: &HostKeyVerified,
    route: &Route,
    deadline: &mut Deadline,
    ask: &dyn Ask,
) -> Result<(), TransportError> {
    let mut login = Login { wire, route, deadline, ask, tried: Vec::new(), notes: Vec::new(), offered: 0 };
    if login.keys()? || login.passwords()? {
        return Ok(());
    }
    Err(login.failure())
}

impl Login<'_> {
    /// Offers keys, from files and from the agent.
    fn keys(&mut self) -> Result<bool, TransportError> {
        let mut named = Vec::new();
        for path in &self.route.keys {
            named.push(Key::load(path).map_err(|why| self.error(format!("the key {why}")))?);
        }
        // The common case, before an agent is even looked for.
        if let [Key { private: Private::Clear(_), .. }, ..] = named.as_slice() {
            let key = named.remove(0);
            if self.file(&key)? {
                return Ok(true);
            }
        }
        let usual: Vec<Key> = self.route.usual_keys.iter().filter_map(|path| self.usual(path)).collect();
        let agent = self.agent();
        let held: Vec<ssh2::PublicKey> = agent.as_ref().map(held_by).unwrap_or_default();
        for identity in self.order(named, usual, &held) {
            if self.offered >= MOST_KEYS {
                self.notes.push(format!(
                    "more keys than the {MOST_KEYS} that are tried; name the right one with --key or IdentityFile"
                ));
                break;
            }
            let accepted = match (&identity, &agent) {
                (Identity::File(key), _) => self.file(key)?,
                (Identity::Agent(number), Some(agent)) => {
                    self.offered += 1;
                    let key = &held[*number];
                    self.tried.push(format!("key {} of the agent", key.comment()));
                    let user = self.route.user.clone();
                    self.attempt(|_| agent.userauth(&user, key))?
                }
                (Identity::Agent(_), None) => false,
            };
            if accepted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What to offer, best first.
    fn order(&mut self, named: Vec<Key>, usual: Vec<Key>, held: &[ssh2::PublicKey]) -> Vec<Identity> {
        let mut order = Vec::new();
        let mut used = vec![false; held.len()];
        let mut last = Vec::new();
        let count = named.len();
        for (number, key) in named.into_iter().chain(usual).enumerate() {
            let at = key.public.as_deref().and_then(|blob| held.iter().position(|one| one.blob() == blob));
            match (&key.private, at) {
                (Private::Locked(_) | Private::Elsewhere, Some(at)) => {
                    used[at] = true;
                    order.push(Identity::Agent(at));
                }
                (Private::Elsewhere, None) => {
                    self.notes.push(format!("{}: only an agent can use it, and none holds it", key.path.display()));
                }
                (Private::Locked(_), None) if number >= count => last.push(Identity::File(key)),
                (Private::Clear(_) | Private::Locked(_), at) => {
                    if let Some(at) = at {
                        used[at] = true;
                    }
                    order.push(Identity::File(key));
                }
            }
        }
        if !self.route.identities_only {
            order.extend((0..held.len()).filter(|at| !used[*at]).map(Identity::Agent));
        }
        order.extend(last);
        order
    }

    fn usual(&mut self, path: &Path) -> Option<Key> {
        if !path.exists() {
            return None;
        }
        Key::load(path).map_err(|why| self.notes.push(why)).ok()
    }

    /// The agent, if there is one.
    fn agent(&mut self) -> Option<ssh2::Agent> {
        let setting = self.route.agent.as_deref().unwrap_or("SSH_AUTH_SOCK");
        if setting == "none" {
            return None;
        }
        let mut agent = self.wire.session.agent().ok()?;
        if setting != "SSH_AUTH_SOCK" {
            agent.set_identity_path(&super::ssh_config::path(setting)).ok()?;
        }
        agent.connect().ok()?;
        agent.list_identities().ok()?;
        Some(agent)
    }

    fn file(&mut self, key: &Key) -> Result<bool, TransportError> {
        let ask = self.ask;
        let unlocked = match self.deadline.paused(|| key.unlock(ask)) {
            Ok(unlocked) => unlocked,
            Err(why) => {
                self.notes.push(why);
                return Ok(false);
            }
        };
        self.offered += 1;
        self.tried.push(format!("key {}", key.path.display()));
        let user = self.route.user.clone();
        self.attempt(|session| {
            let passphrase = unlocked.passphrase.as_ref().map(crate::values::Secret::expose);
            session.userauth_pubkey_memory(&user, None, unlocked.text.expose(), passphrase)
        })
    }

    /// Password, then keyboard-interactive, if somebody gives one.
    fn passwords(&mut self) -> Result<bool, TransportError> {
        let (user, ask) = (self.route.user.clone(), self.ask);
        let prompt = format!("Password of {user}");
        let Some(password) = self.deadline.paused(|| ask.secret(&prompt)) else { return Ok(false) };
        self.tried.push("password".to_owned());
        if self.attempt(|session| session.userauth_password(&user, password.expose()))? {
            return Ok(true);
        }
        self.tried.push("keyboard-interactive".to_owned());
        let mut answers =
            Answers { ask, password: Some(password), host: self.route.name.clone(), took: Duration::ZERO };
        let accepted = self.attempt(|session| session.userauth_keyboard_interactive(&user, &mut answers));
        self.deadline.extend(answers.took);
        accepted
    }

    /// One attempt. What only this identity failed at is a note; what ends
    /// the connection is an error.
    fn attempt(
        &mut self,
        step: impl FnMut(&mut ssh2::Session) -> Result<(), ssh2::Error>,
    ) -> Result<bool, TransportError> {
        let doing = format!("logging in as {}", self.route.user);
        match self.wire.drive(self.deadline, &doing, step)? {
            Ok(()) => Ok(true),
            // libssh2 calls it a refusal, too, when the answer never came.
            Err(error) if is_refusal(&error) && !self.wire.has_ended() => Ok(false),
            Err(error) if is_local(&error) => {
                let what = self.tried.last().cloned().unwrap_or_default();
                self.notes.push(format!("{what}: {}", error.message()));
                Ok(false)
            }
            Err(error) => {
                let mut said = format!("{doing} with {} ({})", self.tried.join(", "), error.message());
                if self.tried.len() > 1 {
                    said.push_str("; if the host allows fewer keys (MaxAuthTries), name the right one with --key");
                }
                Err(TransportError::Closed { host: self.route.name.clone(), said })
            }
        }
    }

    fn failure(&self) -> TransportError {
        let user = &self.route.user;
        let mut why = if self.tried.is_empty() {
            format!("there is nothing to log in with as {user}: no key file, no agent")
        } else {
            format!("{user} was refused with {}", self.tried.join(", "))
        };
        if !self.notes.is_empty() {
            why.push_str(&format!(" ({})", self.notes.join("; ")));
        }
        why.push_str("; name a key that the host knows with --key, or add one to its authorized_keys");
        self.error(why)
    }

    fn error(&self, why: String) -> TransportError {
        TransportError::Authentication { host: self.route.name.clone(), why }
    }
}

fn held_by(agent: &ssh2::Agent) -> Vec<ssh2::PublicKey> {
    agent.identities().unwrap_or_default()
}

/// Whether the host said no to this identity and waits for another.
fn is_refusal(error: &ssh2::Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Session(code::LIBSSH2_ERROR_AUTHENTICATION_FAILED | code::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
    )
}

/// Whether the identity could not even be offered.
fn is_local(error: &ssh2::Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Session(
            code::LIBSSH2_ERROR_FILE
                | code::LIBSSH2_ERROR_METHOD_NOT_SUPPORTED
                | code::LIBSSH2_ERROR_ALGO_UNSUPPORTED
                | code::LIBSSH2_ERROR_AGENT_PROTOCOL
                | code::LIBSSH2_ERROR_KEYFILE_AUTH_FAILED
                | code::LIBSSH2_ERROR_METHOD_NONE
        )
    )
}

/// Answers a server's questions: the first that hides its answer gets the
/// password, the others are asked.
struct Answers<'a> {
    ask: &'a dyn Ask,
    password: Option<crate::values::Secret>,
    host: String,
    took: Duration,
}

impl KeyboardInteractivePrompt for Answers<'_> {
    fn prompt<'p>(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'p>]) -> Vec<String> {
        let began = Instant::now();
        let mut answers = Vec::new();
        for prompt in prompts {
            let answer = match self.password.take() {
                Some(password) if !prompt.echo => Some(password),
                kept => {
                    self.password = kept;
                    // The host chose this text: it must not steer the terminal.
                    let text: String = prompt.text.chars().filter(|c| !c.is_control()).take(200).collect();
                    self.ask.secret(&format!("{}: {}", self.host, text.trim_end_matches([':', ' '])))
                }
            };
            answers.push(answer.map(|answer| answer.expose().to_owned()).unwrap_or_default());
        }
        self.took += began.elapsed();
        answers
    }
}
