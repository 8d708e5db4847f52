//! The DOCKER-USER chain: who reaches the ports that containers publish.
//!
//! Docker forwards published ports before ufw's own chains see them; the
//! chain DOCKER-USER is the one place that is consulted first, for IPv4 and
//! for IPv6. Its rules are kept at the end of `/etc/ufw/after.rules` and
//! `after6.rules`, which ufw loads at boot and at each reload, between two
//! marking lines.

use super::rule::Net;
use crate::values::{Diagnostic, Node, NodeValue, possible_keys};

const BEGIN: &str = "# BEGIN STOCKADE DOCKER-USER";
const END: &str = "# END STOCKADE DOCKER-USER";

/// Who reaches published ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DockerUser {
    /// Networks that reach all of them.
    allow_from: Vec<Net>,
    /// Ports of the host, with their protocol, that everybody reaches.
    allow_ports: Vec<(u16, &'static str)>,
    /// The interfaces that are filtered; empty means all but Docker's own.
    interfaces: Vec<String>,
}

impl DockerUser {
    /// Reads the table; what is wrong goes into `errors`.
    pub fn parse(node: &Node, errors: &mut Vec<Diagnostic>) -> DockerUser {
        let mut wanted = DockerUser::default();
        let Some(entries) = node.as_table() else {
            errors.push(Diagnostic::new(
                node.span.clone(),
                format!("'docker_user' must be a table, not {}", node.type_name()),
            ));
            return wanted;
        };
        for entry in entries {
            if !KEYS.contains(&entry.key.as_str()) {
                errors.push(
                    Diagnostic::new(entry.key_span.clone(), unknown(&entry.key))
                        .with_help(possible_keys(&entry.key, KEYS)),
                );
                continue;
            }
            let Some(items) = entry.node.as_array() else {
                let message = format!("'{}' must be an array of strings", entry.key);
                errors.push(Diagnostic::new(entry.node.span.clone(), message));
                continue;
            };
            for item in items {
                if let Err(message) = wanted.take(&entry.key, item) {
                    errors.push(Diagnostic::new(item.span.clone(), message));
                }
            }
        }
        wanted
    }

    fn take(&mut self, key: &str, item: &Node) -> Result<(), String> {
        let text = match &item.value {
            NodeValue::String(text) => text.as_str(),
            _ => return Err(format!("'{key}' takes strings, not {}", item.type_name())),
        };
        match key {
            "allow_from" => self.allow_from.push(text.parse()?),
            "allow_ports" => self.allow_ports.push(port(text)?),
            "interfaces" => self.interfaces.push(interface(text)?),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// The marked block for one family, with its last newline.
    fn block(&self, v6: bool) -> String {
        let mut lines = vec![
            BEGIN.to_owned(),
            "*filter".into(),
            ":DOCKER-USER - [0:0]".into(),
            "-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN".into(),
        ];
        if self.interfaces.is_empty() {
            // What containers send themselves.
            for bridge in ["docker0", "docker_gwbridge", "br-+"] {
                lines.push(format!("-A DOCKER-USER -i {bridge} -j RETURN"));
            }
        }
        for net in self.allow_from.iter().filter(|net| net.is_v6() == v6) {
            lines.push(format!("-A DOCKER-USER -s {net} -j RETURN"));
        }
        for (port, protocol) in &self.allow_ports {
            // The port as the client named it: here it is already translated.
            lines.push(format!(
                "-A DOCKER-USER -p {protocol} -m conntrack --ctdir ORIGINAL --ctorigdstport {port} -j RETURN"
            ));
        }
        if self.interfaces.is_empty() {
            lines.push("-A DOCKER-USER -j DROP".into());
        }
        for interface in &self.interfaces {
            lines.push(format!("-A DOCKER-USER -i {interface} -j DROP"));
        }
        lines.extend(["-A DOCKER-USER -j RETURN".into(), "COMMIT".into(), END.to_owned()]);
        lines.join("\n") + "\n"
    }
}

const KEYS: [&str; 3] = ["allow_from", "allow_ports", "interfaces"];

fn unknown(key: &str) -> String {
    format!("unknown key '{key}' in 'docker_user'")
}

fn port(text: &str) -> Result<(u16, &'static str), String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    match (number.parse::<u16>(), protocol) {
        (Ok(number), "tcp") if digits && number > 0 => Ok((number, "tcp")),
        (Ok(number), "udp") if digits && number > 0 => Ok((number, "udp")),
        _ => Err(format!("'{}' is not a port such as \"443/tcp\"", text.escape_debug())),
    }
}

/// A network interface's name, as the kernel allows and no option looks like.
pub fn interface(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-@+".contains(&b);
    if text.is_empty() || text.len() > 15 || text.starts_with(['-', '.', '+']) || !text.bytes().all(plain) {
        return Err(format!("'{}' is not the name of a network interface", text.escape_debug()));
    }
    Ok(text.to_owned())
}

/// The file's text with the wanted block in place of any earlier one; without
/// a wanted block it is taken out.
pub fn with_block(text: &str, wanted: Option<&DockerUser>, v6: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => inside = true,
            END if inside => inside = false,
            _ if !inside => out.push_str(line),
            _ => {}
        }
    }
    let Some(wanted) = wanted else { return out };
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out + &wanted.block(v6)
}

/// Shell text that does the same to a file whose text only the apply knows.
/// `$1` is the file, `$2` the block.
pub const REPLACE_BLOCK: &str = "set -e\n\
    sed '/^# BEGIN STOCKADE DOCKER-USER$/,/^# END STOCKADE DOCKER-USER$/d' \"$1\" >\"$1.stockade\"\n\
    printf %s \"$2\" >>\"$1.stockade\"\n\
    chown --reference=\"$1\" \"$1.stockade\"\nchmod --reference=\"$1\" \"$1.stockade\"\nmv -f \"$1.stockade\" \"$1\"";

/// The block of a family, as an argument for [`REPLACE_BLOCK`].
pub fn block(wanted: &DockerUser, v6: bool) -> String {
    wanted.block(v6)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_replaced_where_it_is_and_nothing_else_is_touched() {
        let wanted = DockerUser { allow_from: vec!["10.0.0.0/8".parse().unwrap()], ..DockerUser::default() };
        let before = "*filter\n# mine\nCOMMIT\n";
        let once = with_block(before, Some(&wanted), false);
        assert!(once.starts_with(before) && once.contains("-A DOCKER-USER -s 10.0.0.0/8 -j RETURN"));
        assert_eq!(with_block(&once, Some(&wanted), false), once);
        assert!(!with_block(before, Some(&wanted), true).contains("10.0.0.0"));
        assert_eq!(with_block(&once, None, false), before);
    }

    #[test]
    fn the_shell_text_gives_the_same_file() {
        let wanted = DockerUser { allow_ports: vec![(443, "tcp")], ..DockerUser::default() };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("after.rules");
        let before = with_block("a\nb\n", Some(&DockerUser::default()), false) + "c\n";
        std::fs::write(&file, &before).unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", REPLACE_BLOCK, "-"]).arg(&file).arg(block(&wanted, false));
        assert!(command.status().unwrap().success());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), with_block(&before, Some(&wanted), false));
    }
}
