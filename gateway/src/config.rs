//! `gateway.toml`: read whole, checked whole, or refused with the line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Addresses to listen on with TLS.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// A local socket to listen on without TLS; a token is needed all the same.
    pub local: Option<PathBuf>,
    /// The Docker daemon's socket.
    #[serde(default = "docker_socket")]
    pub socket: PathBuf,
    /// Certificate chain and key, PEM. Needed to listen on an address.
    pub tls: Option<Tls>,
    /// Directory of the key ring.
    pub keys: PathBuf,
    /// `redb:/path` or `redis://…`.
    pub store: String,
    /// `iss` of our own tokens.
    pub issuer: String,
    /// `aud` that a token must have: this gateway.
    pub audience: String,
    /// Directory of roles in TOML; the bundled ones where absent.
    pub roles: Option<PathBuf>,
    /// Registries and repositories whose images without an owner all tenants
    /// see, as in a role's `registries`; all that have a name where it is empty.
    #[serde(default)]
    pub shared_images: Vec<String>,
    /// `journal` (standard output) or the path of a file.
    #[serde(default = "journal")]
    pub audit: String,
    /// Socket of the administrator, 0600.
    pub admin: Option<PathBuf>,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// Versions of the Engine API.
    #[serde(default)]
    pub docker_api: DockerApi,
    /// Tokens.
    #[serde(default)]
    pub token: Token,
    /// Outside issuers, read by the verifier.
    #[serde(default, rename = "issuers")]
    pub outside: Vec<toml::Table>,
}

fn docker_socket() -> PathBuf {
    "/var/run/docker.sock".into()
}

fn journal() -> String {
    "journal".into()
}

/// Where the certificate is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key, PKCS #8, SEC 1 or PKCS #1.
    pub key: PathBuf,
    /// The oldest version that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246, for clients that know no better.
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[default]
    #[serde(rename = "1.3")]
    V1_3,
}

/// What one client may take.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections in all.
    pub connections: u32,
    /// Connections from one address.
    pub connections_per_client: u32,
    /// Requests a second from one address, 0 for no limit.
    pub requests_per_client: u32,
    /// Requests a second with one token, 0 for no limit.
    pub requests_per_token: u32,
    /// Requests a second to the token service, and refused tokens, from one address.
    pub attempts_per_client: u32,
    /// Seconds in which a handshake and a request's head must be complete.
    pub head_seconds: u64,
    /// Seconds in which the body of a control operation must be complete.
    pub body_seconds: u64,
    /// Seconds a connection may stay without a request.
    pub idle_seconds: u64,
    /// Seconds the daemon has for an answer that is not a stream, from the
    /// request's last byte to the answer's, and for the head of a stream.
    pub answer_seconds: u64,
    /// The same for calls that may take long: prunes, deletes, commit, tag,
    /// create and start. `stop` and `restart` have `answer_seconds` after the
    /// time that the container has to stop.
    pub slow_answer_seconds: u64,
    /// Seconds that requests have to end when the gateway stops.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_client: 1024,
            requests_per_client: 0,
            requests_per_token: 2000,
            attempts_per_client: 10,
            head_seconds: 10,
            body_seconds: 60,
            idle_seconds: 120,
            answer_seconds: 20,
            slow_answer_seconds: 300,
            drain_seconds: 30,
        }
    }
}

/// Versions of the Engine API that clients may speak.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DockerApi {
    /// The oldest; namespace defaults changed with 1.41.
    pub min: String,
    /// The newest that the policy models.
    pub max: String,
    /// The version of the gateway's own questions; the daemon's where absent.
    pub pinned: Option<String>,
}

impl Default for DockerApi {
    fn default() -> Self {
        Self { min: "1.41".into(), max: "1.56".into(), pinned: None }
    }
}

/// Bounds of tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Token {
    /// Longest `exp − iat`, in seconds.
    pub max_lifetime: u64,
    /// Clock difference that is forgiven, at most 60 seconds.
    pub leeway: u64,
    /// Tokens inside tokens (`cty: JWT`) are verified layer by layer, not refused.
    pub nested: bool,
}

impl Default for Token {
    fn default() -> Self {
        Self { max_lifetime: 900, leeway: 30, nested: false }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}: cannot be read: {1}")]
    Read(PathBuf, std::io::Error),
    /// It is not what it should be.
    #[error("{0}: {1}")]
    Syntax(PathBuf, String),
    /// A value cannot be.
    #[error("{0}: {1}")]
    Value(PathBuf, &'static str),
}

/// `1.41` as (1, 41).
#[must_use]
pub fn api_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return None;
    }
    Some((major.parse().ok()?, minor.parse().ok()?))
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, has an unknown key or a value that cannot be.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read(path.into(), error))?;
        let config: Self =
            toml::from_str(&text).map_err(|error| ConfigError::Syntax(path.into(), error.to_string()))?;
        config.check().map_err(|why| ConfigError::Value(path.into(), why))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.listen.is_empty() && self.local.is_none() {
            return Err("`listen` or `local` is needed: there is nothing to listen on");
        }
        if !self.listen.is_empty() && self.tls.is_none() {
            return Err("[tls] is needed with `listen`: tokens never travel in the clear");
        }
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err("`issuer` and `audience` must not be empty");
        }
        if self.token.leeway > 60 || self.token.max_lifetime == 0 || self.token.max_lifetime > 86_400 {
            return Err("token.leeway is at most 60 and token.max_lifetime between 1 and 86400 seconds");
        }
        if self.limits.connections == 0 || self.limits.head_seconds == 0 || self.limits.connections_per_client == 0 {
            return Err("limits of connections and head_seconds must not be 0");
        }
        if self.limits.answer_seconds == 0 || self.limits.slow_answer_seconds < self.limits.answer_seconds {
            return Err("limits.answer_seconds must not be 0, and slow_answer_seconds not less than it");
        }
        let pinned = self.docker_api.pinned.as_ref().is_none_or(|text| api_version(text).is_some());
        match (api_version(&self.docker_api.min), api_version(&self.docker_api.max)) {
            (Some(min), Some(max)) if min <= max && pinned => Ok(()),
            _ => Err("docker_api: min, max and pinned are versions like \"1.41\", min at most max"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(file.path())
    }

    const BASE: &str = "local = \"/run/x\"\nkeys = \"/etc/k\"\nstore = \"redb:/x\"\nissuer = \"i\"\naudience = \"a\"\n";

    #[test]
    fn the_least_that_is_needed_is_enough() {
        let config = load(BASE).unwrap();
        assert_eq!(config.limits.head_seconds, 10);
        assert_eq!(config.socket, Path::new("/var/run/docker.sock"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (more, expected) in [
            ("listn = []\n", "unknown field"),
            ("listen = [\"127.0.0.1:1\"]\n", "[tls] is needed"),
            ("[token]\nleeway = 61\n", "leeway"),
            ("[tls]\ncertificate = \"/c\"\nkey = \"/k\"\nmin_version = \"1.1\"\n", "min_version"),
            ("[docker_api]\nmin = \"1.50\"\nmax = \"1.41\"\n", "min at most max"),
            ("[docker_api]\npinned = \"latest\"\n", "versions like"),
            ("[limits]\nanswer_seconds = 0\n", "answer_seconds must not be 0"),
            ("[limits]\nanswer_seconds = 400\n", "slow_answer_seconds not less"),
        ] {
            let error = load(&format!("{BASE}{more}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{more}: {error}");
        }
    }
}
