//! Rules of ufw(8), and the lines `/etc/ufw/user.rules` keeps them in.
//!
//! ufw writes each rule as a comment, `### tuple ### allow tcp 22 0.0.0.0/0
//! any 0.0.0.0/0 in comment=…` (action, protocol, destination port,
//! destination, source port, source, the two application profiles if any,
//! direction with interface, comment in hexadecimal), before the iptables
//! lines made from it.

use crate::values::hex;
use std::{fmt, net::IpAddr, str::FromStr};

/// A network address with its prefix; host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

impl Net {
    /// Whether an address lies in the network.
    pub fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }

    /// Whether it is the whole of its family.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether it is of IP version 6.
    pub fn is_v6(&self) -> bool {
        self.address.is_ipv6()
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).into()),
        IpAddr::V6(v6) => {
            IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).into())
        }
    }
}

impl FromStr for Net {
    type Err = String;
    fn from_str(text: &str) -> Result<Net, String> {
        let refuse = || format!("'{}' is not an address or network such as 192.0.2.0/24", text.escape_debug());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit());
        let prefix = match prefix {
            None => most,
            Some(p) if digits(p) => p.parse().ok().filter(|p| *p <= most).ok_or_else(refuse)?,
            Some(_) => return Err(refuse()),
        };
        Ok(Net { address: masked(address, prefix), prefix })
    }
}

impl fmt::Display for Net {
    /// As ufw keeps it: an address alone has no prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == if self.is_v6() { 128 } else { 32 } {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// Ports as ufw takes them: `22`, `6000:6010`, `80,443`; sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Vec<(u16, u16)>);

impl Ports {
    /// Whether a port is one of them.
    pub fn hold(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// Whether ufw needs a protocol beside them (a list or a range).
    pub fn need_protocol(&self) -> bool {
        self.0.len() > 1 || self.0.iter().any(|(first, last)| first != last)
    }

    fn overlap(&self, other: &Ports) -> bool {
        self.0.iter().any(|(a, b)| other.0.iter().any(|(c, d)| a <= d && c <= b))
    }
}

impl FromStr for Ports {
    type Err = String;
    fn from_str(text: &str) -> Result<Ports, String> {
        let refuse = || format!("'{}' is not a port, a range such as 6000:6010 or a list", text.escape_debug());
        let number = |t: &str| t.parse::<u16>().ok().filter(|p| *p > 0 && t.bytes().all(|b| b.is_ascii_digit()));
        let mut ports = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once(':').unwrap_or((part, part));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => ports.push((first, last)),
                _ => return Err(refuse()),
            }
        }
        ports.sort_unstable();
        ports.dedup();
        // iptables-extensions(8), multiport: up to 15 ports, a range counts as two.
        if ports.iter().map(|(a, b)| if a == b { 1 } else { 2 }).sum::<usize>() > 15 {
            return Err(format!("'{text}' names more than 15 ports, which is the most one rule can hold"));
        }
        Ok(Ports(ports))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a}:{b}") };
        f.write_str(&self.0.iter().map(part).collect::<Vec<_>>().join(","))
    }
}

/// What a rule says of the packets it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Outgoing instead of incoming.
    pub out: bool,
    /// The interface; none means any.
    pub interface: Option<String>,
    /// `tcp`, `udp`, …; none means any.
    pub protocol: Option<String>,
    /// Source; none means anywhere.
    pub from: Option<Net>,
    /// Source ports; only found on hosts, never wanted.
    pub from_ports: Option<Ports>,
    /// Destination; none means this host or anywhere.
    pub to: Option<Net>,
    /// Destination ports; none means any.
    pub ports: Option<Ports>,
}

impl Match {
    /// Whether some packet matches both.
    pub fn overlaps(&self, other: &Match) -> bool {
        fn both<T>(a: &Option<T>, b: &Option<T>, meet: impl Fn(&T, &T) -> bool) -> bool {
            a.as_ref().zip(b.as_ref()).is_none_or(|(a, b)| meet(a, b))
        }
        let nets = |a: &Net, b: &Net| a.holds(b.address) || b.holds(a.address);
        self.out == other.out
            && both(&self.interface, &other.interface, |a, b| a == b)
            && both(&self.protocol, &other.protocol, |a, b| a == b)
            && both(&self.from, &other.from, nets)
            && both(&self.to, &other.to, nets)
            && both(&self.ports, &other.ports, Ports::overlap)
    }
}

/// One rule, in one of ufw's two lists (IPv4 and IPv6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `allow`, `deny`, `limit` or `reject`; on hosts also with `_log`.
    pub action: String,
    /// What it matches.
    pub matches: Match,
    /// The application profile it was made from; only found on hosts, never wanted.
    pub profile: Option<String>,
    /// The comment; empty if none.
    pub comment: String,
}

impl Rule {
    /// Whether what matches gets in.
    pub fn admits(&self) -> bool {
        self.action.starts_with("allow") || self.action.starts_with("limit")
    }

    /// The lists this rule is in: IPv4, IPv6 or both.
    pub fn families(&self, v6_enabled: bool) -> Vec<bool> {
        match self.matches.from.or(self.matches.to) {
            Some(net) => vec![net.is_v6()],
            None if v6_enabled => vec![false, true],
            None => vec![false],
        }
    }

    /// The words after `ufw` that add it; without action and comment, and after
    /// `delete ACTION`, those that delete it.
    pub fn words(&self, delete: bool) -> Vec<String> {
        let m = &self.matches;
        let action = self.action.split('_').next().unwrap_or_default();
        let mut words: Vec<String> = Vec::new();
        if delete {
            words.push("delete".into());
        }
        words.extend([action.to_owned(), if m.out { "out" } else { "in" }.to_owned()]);
        if let Some(interface) = &m.interface {
            words.extend(["on".to_owned(), interface.clone()]);
        }
        if let Some((_, log)) = self.action.split_once('_') {
            words.push(log.to_owned());
        }
        // A profile brings protocol and ports itself.
        if let Some(protocol) = m.protocol.as_ref().filter(|_| self.profile.is_none()) {
            words.extend(["proto".to_owned(), protocol.clone()]);
        }
        let net = |net: &Option<Net>| net.map_or("any".to_owned(), |net| net.to_string());
        words.extend(["from".to_owned(), net(&m.from)]);
        if let Some(ports) = &m.from_ports {
            words.extend(["port".to_owned(), ports.to_string()]);
        }
        words.extend(["to".to_owned(), net(&m.to)]);
        match (&self.profile, &m.ports) {
            (Some(profile), _) => words.extend(["app".to_owned(), profile.clone()]),
            (None, Some(ports)) => words.extend(["port".to_owned(), ports.to_string()]),
            (None, None) => {}
        }
        if !delete && !self.comment.is_empty() {
            words.extend(["comment".to_owned(), self.comment.clone()]);
        }
        words
    }

    /// The line that ufw keeps in the list of one family.
    pub fn tuple(&self, v6: bool) -> String {
        let m = &self.matches;
        let any = if v6 { "::/0" } else { "0.0.0.0/0" };
        let net = |net: &Option<Net>| net.map_or(any.to_owned(), |net| net.to_string());
        let ports = |ports: &Option<Ports>| ports.as_ref().map_or("any".to_owned(), ToString::to_string);
        let direction = if m.out { "out" } else { "in" };
        let interface = m.interface.as_ref().map(|i| format!("_{i}")).unwrap_or_default();
        let comment = hex(self.comment.as_bytes());
        let comment = if comment.is_empty() { comment } else { format!(" comment={comment}") };
        let profile = self.profile.as_ref().map(|p| format!("{} - ", p.replace(' ', "%20"))).unwrap_or_default();
        format!(
            "### tuple ### {} {} {} {} {} {} {profile}{direction}{interface}{comment}",
            self.action,
            m.protocol.as_deref().unwrap_or("any"),
            ports(&m.ports),
            net(&m.to),
            ports(&m.from_ports),
            net(&m.from),
        )
    }
}

impl fmt::Display for Rule {
    /// As it would be typed after `ufw`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.words(false);
        if !self.comment.is_empty() {
            words.pop();
            words.push(format!("'{}'", self.comment));
        }
        f.write_str(&words.join(" "))
    }
}

/// A line of a list as found on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A rule.
    Rule(Rule),
    /// A rule for forwarded packets, kept as it is.
    Route(String),
    /// A rule of a form that is not understood (an application profile, a
    /// netmask), kept as it is.
    Other(String),
}

impl Line {
    /// The rule, if it is one.
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Line::Rule(rule) => Some(rule),
            _ => None,
        }
    }

    fn text(&self, v6: bool) -> String {
        match self {
            Line::Rule(rule) => rule.tuple(v6),
            Line::Route(text) | Line::Other(text) => text.clone(),
        }
    }
}

/// The rules in the text of a list, in order.
pub fn parse_list(text: &str) -> Vec<Line> {
    let tuples = text.lines().filter(|line| line.starts_with("### tuple ###"));
    tuples.map(|line| parse_tuple(line).unwrap_or_else(|| Line::Other(line.to_owned()))).collect()
}

/// The text of a list that [`parse_list`] reads as these rules.
pub fn list_text(lines: &[Line], v6: bool) -> Vec<u8> {
    lines.iter().map(|line| line.text(v6) + "\n").collect::<String>().into_bytes()
}

fn parse_tuple(line: &str) -> Option<Line> {
    let rest = line.strip_prefix("### tuple ### ")?;
    if rest.starts_with("route:") {
        return Some(Line::Route(line.to_owned()));
    }
    let (rest, comment) = rest.split_once(" comment=").unwrap_or((rest, ""));
    let words: Vec<&str> = rest.split(' ').collect();
    let (action, protocol, ports, to, from_ports, from, profile, direction) = match words[..] {
        [action, protocol, ports, to, from_ports, from, direction] => {
            (action, protocol, ports, to, from_ports, from, None, direction)
        }
        [action, protocol, ports, to, from_ports, from, profile, "-", direction] if profile != "-" => {
            (action, protocol, ports, to, from_ports, from, Some(profile.replace("%20", " ")), direction)
        }
        _ => return None,
    };
    let net = |text: &str| match text {
        "0.0.0.0/0" | "::/0" => Some(None),
        text => text.parse().ok().map(Some),
    };
    let port = |text: &str| if text == "any" { Some(None) } else { text.parse().ok().map(Some) };
    let (direction, interface) = direction.split_once('_').map_or((direction, None), |(d, i)| (d, Some(i.to_owned())));
    let matches = Match {
        out: match direction {
            "in" => false,
            "out" => true,
            _ => return None,
        },
        interface,
        protocol: (protocol != "any").then(|| protocol.to_owned()),
        from: net(from)?,
        from_ports: port(from_ports)?,
        to: net(to)?,
        ports: port(ports)?,
    };
    Some(Line::Rule(Rule { action: action.to_owned(), matches, profile, comment: unhex(comment)? }))
}

fn unhex(text: &str) -> Option<String> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "rule_tests.rs"]
mod tests;
