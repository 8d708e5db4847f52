//! The arguments that say how hosts are connected to.

use crate::transport::{HostKeyChecking, Policy};
use clap::{Args, ValueEnum};
use std::time::Duration;

/// What to do about unknown host keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyChecking {
    /// Refuse, or ask on a terminal.
    Strict,
    /// Accept keys of hosts never seen before.
    AcceptNew,
}

/// How many hosts at once, and the limits of a connection.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// How many hosts are worked on at once.
    #[arg(long = "forks", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    forks_wanted: u16,
    /// What to do about a host key that known_hosts does not have.
    #[arg(long, value_enum, default_value = "strict")]
    host_key_checking: KeyChecking,
    /// Seconds until a host must have let us in.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    connect_timeout: u16,
}

impl ConnectionArgs {
    /// How many hosts at once.
    pub fn forks(&self) -> usize {
        usize::from(self.forks_wanted)
    }

    /// The limits of a connection.
    pub fn policy(&self) -> Policy {
        Policy {
            connect_timeout: Duration::from_secs(u64::from(self.connect_timeout)),
            host_keys: match self.host_key_checking {
                KeyChecking::Strict => HostKeyChecking::Strict,
                KeyChecking::AcceptNew => HostKeyChecking::AcceptNew,
            },
            ..Policy::default()
        }
    }
}
