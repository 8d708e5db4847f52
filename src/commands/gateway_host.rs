//! The gateway's program on its host, run as root over SSH: who may log in
//! there may give tokens, so SSH is what all trust in tokens rests on.
//!
//! Nothing secret is in an argument: tokens come by standard output and go by
//! standard input.

use super::RunFailed;
use crate::report::TerminalAsk;
use crate::shell::{Command, Script};
use crate::transport::{self, Ask, Policy, Session, Target, TransportError};
use std::sync::Arc;
use std::time::Duration;

/// Where the bundled playbook `gateway` puts what is used here.
const CONFIG: &str = "/etc/stockade-gateway/gateway.toml";
const AUTHORITY: &str = "/etc/stockade-gateway/tls/ca.crt";

/// For an answer of the program.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let reply = self.session.run(&script, input, PATIENCE)?;
        let why = match reply.code {
            0 => return Ok(reply.output),
            127 => "there is no gateway on this host; apply the playbook 'gateway' first".to_owned(),
            code => {
                let said = String::from_utf8_lossy(&reply.output);
                format!("the gateway refused (code {code}): {}", said.trim())
            }
        };
        Err(RunFailed(format!("{}: {why}", self.name)).into())
    }

    /// The certificate of the authority that signed the gateway's.
    ///
    /// # Errors
    /// There is none on the host.
    pub fn authority(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut script = Script::new();
        script.run(Command::new("cat").arg(AUTHORITY));
        let reply = self.session.run(&script, &[], PATIENCE)?;
        if reply.code != 0 {
            let why = format!("{AUTHORITY} cannot be read; apply the playbook 'gateway', or give --ca FILE");
            return Err(RunFailed(format!("{}: {why}", self.name)).into());
        }
        Ok(reply.output)
    }
}
