//! The gateway's program on its host, run as root over SSH: who may log in
//! there may give tokens, so SSH is what all trust in tokens rests on.
//!
//! Nothing secret is in an argument: tokens come by standard output and go by
//! standard input.

use crate::engine::RunFailed;
use crate::report::TerminalAsk;
use crate::shell::{Command, Script};
use crate::transport::{self, Ask, Policy, Session, Target, TransportError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where the bundled playbook `gateway` puts what is used here.
const CONFIG: &str = "/etc/stockade-gateway/gateway.toml";
const AUTHORITY: &str = "/etc/stockade-gateway/tls/ca.crt";

const NO_GATEWAY: &str = "there is no gateway on this host; apply the playbook 'gateway' first";

/// For an answer of the program.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A root session on a gateway's host.
pub(super) struct GatewayHost {
    name: String,
    session: Session,
}

impl GatewayHost {
    /// Logs in.
    ///
    /// # Errors
    /// The host cannot be reached, or root cannot be had.
    pub fn open(target: &Target) -> Result<GatewayHost, TransportError> {
        let ask: Arc<dyn Ask> = Arc::new(TerminalAsk::new());
        let link = transport::connect(target, &Policy::default(), &ask)?;
        Ok(GatewayHost { name: target.name.clone(), session: Session::open(&target.name, link)? })
    }

    /// Runs `stockade-gateway token VERB …`; its standard output.
    ///
    /// # Errors
    /// There is no gateway on the host, or it refused; says why.
    pub fn token(&mut self, verb: &str, words: &[String], input: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut script = Script::new();
        script
            .line("[ -x /usr/local/bin/stockade-gateway ] || exit 127")
            .line("e=$(mktemp) || exit 1")
            .run(
                Command::new("/usr/local/bin/stockade-gateway")
                    .args(["token", verb, "--config", CONFIG])
                    .args(words)
                    .raw("2>\"$e\""),
            )
            .line("c=$?; [ $c = 0 ] || cat \"$e\"; rm -f \"$e\"; exit $c");
        let reply = self.session.run(&script, input, READY_TIMEOUT)?;
        let why = match reply.code {
            0 => return Ok(reply.output),
            127 => NO_GATEWAY.to_owned(),
            code => {
                let said = String::from_utf8_lossy(&reply.output);
                format!("the gateway refused (code {code}): {}", said.trim())
            }
        };
        Err(self.failed(why))
    }

    /// The certificate of the authority that signed the gateway's.
    ///
    /// # Errors
    /// There is none on the host.
    pub fn authority(&mut self) -> anyhow::Result<Vec<u8>> {
        self.file(AUTHORITY)?.ok_or_else(|| {
            self.failed(format!("{AUTHORITY} cannot be read; apply the playbook 'gateway', or give --ca FILE"))
        })
    }

    /// Where the gateway listens, as its settings say; at least one address.
    ///
    /// # Errors
    /// There is no gateway on the host, or it listens on no address.
    pub fn listens(&mut self) -> anyhow::Result<Vec<SocketAddr>> {
        let settings = self.file(CONFIG)?.ok_or_else(|| self.failed(NO_GATEWAY.to_owned()))?;
        listens(&String::from_utf8_lossy(&settings)).map_err(|why| self.failed(format!("{CONFIG}: {why}")))
    }

    /// A file of the host; none if it cannot be read.
    fn file(&mut self, path: &str) -> Result<Option<Vec<u8>>, TransportError> {
        let mut script = Script::new();
        script.run(Command::new("cat").arg(path));
        let reply = self.session.run(&script, &[], READY_TIMEOUT)?;
        Ok((reply.code == 0).then_some(reply.output))
    }

    fn failed(&self, why: String) -> anyhow::Error {
        RunFailed(format!("{}: {why}", self.name)).into()
    }
}

/// `listen` of a gateway's settings, which hold more that is not for anyone's eyes.
fn listens(settings: &str) -> Result<Vec<SocketAddr>, &'static str> {
    let settings: toml::Table = settings.parse().map_err(|_| "is not TOML")?;
    let list = settings.get("listen").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let all: Vec<SocketAddr> = list.iter().filter_map(|one| one.as_str()?.parse().ok()).collect();
    if all.is_empty() {
        Err("the gateway listens on no address ('listen'); 'connect' has no use for it")
    } else {
        Ok(all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_listens_nowhere_is_told_from_one_that_does() {
        let port = |text: &str| listens(text).map(|all| all[0].port());
        assert_eq!(port("listen = [\"[::]:2377\", \"192.0.2.1:1\"]\nstore = \"x\""), Ok(2377));
        for text in ["local = \"/run/x\"", "listen = []", "listen = [\"x\"]", "hunter2"] {
            assert!(!listens(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }
}
