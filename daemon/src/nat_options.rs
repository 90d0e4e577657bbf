//! What the operator says of the translation of addresses: how much of it, with which ports, for how long.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use tapweave_control::PortRange;
use tapweave_nat::{Limits, NatConfig, NatRules, Timeouts};
use thiserror::Error;

/// How addresses are translated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NatOptions {
    /// Most flows and mappings together, each of at most 200 bytes. One sandbox may have a quarter as many
    /// flows, unless it has limits of its own.
    pub flow_limit: NonZeroU32,
    /// The ports and ICMP identifiers outside that mappings get.
    pub ports: PortRange,
    /// Times that are not the default ones; of several of one kind the last.
    pub timeouts: Vec<NatTimeout>,
}

/// How long a flow of one kind is kept without traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NatTimeout {
    kind: Kind,
    time: Duration,
}

/// A text that is no [`NatTimeout`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NatTimeoutError {
    /// Not `NAME=SECONDS`.
    #[error("should be NAME=SECONDS, such as udp=300")]
    Form,
    /// No kind of flow.
    #[error(
        "{0:?} is none of tcp-established, tcp-transitory, tcp-syn, tcp-reset, udp, udp-brief, icmp"
    )]
    Kind(String),
    /// No number, or one that makes no sense.
    #[error("{0:?} is no time of 1 to 604800 seconds")]
    Time(String),
}

/// A field of [`Timeouts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    TcpEstablished,
    TcpTransitory,
    TcpSyn,
    TcpReset,
    Udp,
    UdpBrief,
    Icmp,
}

/// A week.
const MOST_SECS: u64 = 7 * 24 * 3600;

impl NatTimeout {
    /// Returns the times that apply when nothing is said, one for each kind of flow.
    pub fn defaults() -> Vec<Self> {
        let mut timeouts = Timeouts::default();
        let default = |kind: Kind| Self {
            kind,
            time: *kind.field(&mut timeouts),
        };
        Kind::ALL.into_iter().map(default).collect()
    }

    /// Returns the name of the kind of flow.
    pub const fn name(self) -> &'static str {
        self.kind.name()
    }

    /// Returns how long such a flow is kept.
    pub const fn time(self) -> Duration {
        self.time
    }
}

impl NatOptions {
    /// Returns how a NAT is made.
    pub(crate) fn config(&self, seed: u64, worker_count: usize) -> NatConfig {
        let mut config = NatConfig::new(seed, worker_count);
        config.flow_limit = self.flow_limit.get();
        config.limits = Limits {
            flows: NonZeroU32::new(self.flow_limit.get().div_ceil(4)),
            ..config.limits
        };
        for timeout in &self.timeouts {
            *timeout.kind.field(&mut config.timeouts) = timeout.time;
        }
        config
    }
}

impl Default for NatOptions {
    fn default() -> Self {
        let ports = NatRules::DEFAULT_PORTS;
        Self {
            flow_limit: NonZeroU32::MIN.saturating_add(NatConfig::DEFAULT_FLOW_LIMIT - 1),
            ports: PortRange::new(*ports.start(), *ports.end()).unwrap_or(PortRange::ALL),
            timeouts: Vec::new(),
        }
    }
}

impl FromStr for NatTimeout {
    type Err = NatTimeoutError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, secs) = text.split_once('=').ok_or(NatTimeoutError::Form)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| NatTimeoutError::Kind(name.to_owned()))?;
        let time = secs
            .parse()
            .ok()
            .filter(|secs| (1..=MOST_SECS).contains(secs));
        let time = time.map(Duration::from_secs);
        let time = time.ok_or_else(|| NatTimeoutError::Time(secs.to_owned()))?;
        Ok(Self { kind, time })
    }
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::TcpEstablished,
        Self::TcpTransitory,
        Self::TcpSyn,
        Self::TcpReset,
        Self::Udp,
        Self::UdpBrief,
        Self::Icmp,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::TcpEstablished => "tcp-established",
            Self::TcpTransitory => "tcp-transitory",
            Self::TcpSyn => "tcp-syn",
            Self::TcpReset => "tcp-reset",
            Self::Udp => "udp",
            Self::UdpBrief => "udp-brief",
            Self::Icmp => "icmp",
        }
    }

    const fn field(self, timeouts: &mut Timeouts) -> &mut Duration {
        match self {
            Self::TcpEstablished => &mut timeouts.tcp_established,
            Self::TcpTransitory => &mut timeouts.tcp_transitory,
            Self::TcpSyn => &mut timeouts.tcp_syn,
            Self::TcpReset => &mut timeouts.tcp_reset,
            Self::Udp => &mut timeouts.udp,
            Self::UdpBrief => &mut timeouts.udp_brief,
            Self::Icmp => &mut timeouts.icmp_query,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_change_those_that_are_named_and_no_others() {
        let timeouts = ["udp=1", "tcp-established=604800", "udp=2"];
        let options = NatOptions {
            timeouts: timeouts.map(|text| text.parse().unwrap()).to_vec(),
            ..NatOptions::default()
        };
        let expected = Timeouts {
            udp: Duration::from_secs(2),
            tcp_established: Duration::from_hours(168),
            ..Timeouts::default()
        };
        assert_eq!(options.config(0, 1).timeouts, expected);
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        for (text, words) in [
            ("udp", "NAME=SECONDS"),
            ("sctp=5", "none of tcp-established"),
            ("udp=0", "1 to 604800"),
            ("udp=604801", "1 to 604800"),
            ("udp=2s", "1 to 604800"),
        ] {
            let error = text.parse::<NatTimeout>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_translation() {
        let options = NatOptions::default();
        assert_eq!(options.config(7, 2), NatConfig::new(7, 2));
        assert_eq!(options.ports.ports(), NatRules::DEFAULT_PORTS);
    }
}
