//! Ports of the switch.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_switch::{DropReason, PortStats};

use super::Endpoint;
use crate::datapath::UnderlayAddress;

/// A port, with the endpoint that it belongs to and its counters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// What it is.
    pub kind: PortKind,
    /// Whether it carries frames.
    pub state: PortState,
    /// Its counters.
    pub counters: PortCounters,
    /// What carries its frames to other hosts; only where one port is shown, and its network is an overlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underlay: Option<PortUnderlay>,
}

/// What carries the frames of a port to other hosts, and how fast the kernel lets it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PortUnderlay {
    /// Addresses and UDP ports that overlays of this host listen on.
    pub addresses: Vec<UnderlayAddress>,
    /// The event loops of the workers (`io_uring`, `epoll`), each once.
    pub event_loops: Vec<String>,
}

/// What a port is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortKind {
    /// A TAP in a sandbox.
    Tap,
}

/// Whether a port carries frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortState {
    /// It does.
    Up,
    /// The switch no longer has it: its sandbox is about to go.
    Gone,
    /// Its interface could not be made after a restart, which is tried again.
    Waiting,
}

/// The counters of a port. `rx` is what came in from the sandbox.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PortCounters {
    /// Frames that came in.
    pub rx_frames: u64,
    /// Bytes of those.
    pub rx_bytes: u64,
    /// Frames that went out.
    pub tx_frames: u64,
    /// Bytes of those.
    pub tx_bytes: u64,
    /// Stations found on the port that were on none before.
    pub fdb_learned: u64,
    /// Stations that moved to the port from another one.
    pub fdb_moves: u64,
    /// Frames whose source was not learned because the port has its share of a full table.
    pub fdb_full: u64,
    /// Reports of group memberships that did not all fit the table; the port gets all groups instead.
    pub mdb_full: u64,
    /// Messages of IGMP and MLD that were not believed, and forwarded all the same.
    pub mdb_invalid: u64,
    /// Questions for neighbours from the port that were answered in their place (ARP and ND suppression).
    #[serde(default)]
    pub neighbors_answered: u64,
    /// Questions for neighbours from the port that were flooded, where suppression is on.
    #[serde(default)]
    pub neighbors_flooded: u64,
    /// Messages from the port that said of an address which was about to be given away that it is in use.
    #[serde(default)]
    pub address_conflicts: u64,
    /// ICMP errors that the gateway sent to the port.
    pub icmp_errors: u64,
    /// ICMP errors that the gateway did not send, because there were too many.
    pub icmp_suppressed: u64,
    /// Frames dropped, by reason; reasons that never occurred are left out.
    pub drops: BTreeMap<String, u64>,
}

impl PortCounters {
    /// Returns the frames dropped for any reason.
    pub fn drop_count(&self) -> u64 {
        self.drops.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Adds the counters of another port.
    pub fn add(&mut self, other: &Self) {
        self.rx_frames = self.rx_frames.saturating_add(other.rx_frames);
        self.rx_bytes = self.rx_bytes.saturating_add(other.rx_bytes);
        self.tx_frames = self.tx_frames.saturating_add(other.tx_frames);
        self.tx_bytes = self.tx_bytes.saturating_add(other.tx_bytes);
        self.fdb_learned = self.fdb_learned.saturating_add(other.fdb_learned);
        self.fdb_moves = self.fdb_moves.saturating_add(other.fdb_moves);
        self.fdb_full = self.fdb_full.saturating_add(other.fdb_full);
        self.mdb_full = self.mdb_full.saturating_add(other.mdb_full);
        self.mdb_invalid = self.mdb_invalid.saturating_add(other.mdb_invalid);
        self.neighbors_answered = self
            .neighbors_answered
            .saturating_add(other.neighbors_answered);
        self.neighbors_flooded = self
            .neighbors_flooded
            .saturating_add(other.neighbors_flooded);
        self.address_conflicts = self
            .address_conflicts
            .saturating_add(other.address_conflicts);
        self.icmp_errors = self.icmp_errors.saturating_add(other.icmp_errors);
        self.icmp_suppressed = self.icmp_suppressed.saturating_add(other.icmp_suppressed);
        for (reason, count) in &other.drops {
            let sum = self.drops.entry(reason.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
}

impl From<&PortStats> for PortCounters {
    fn from(stats: &PortStats) -> Self {
        Self {
            rx_frames: stats.rx_frames,
            rx_bytes: stats.rx_bytes,
            tx_frames: stats.tx_frames,
            tx_bytes: stats.tx_bytes,
            fdb_learned: stats.fdb_learned,
            fdb_moves: stats.fdb_moves,
            fdb_full: stats.fdb_full,
            mdb_full: stats.mdb_full,
            mdb_invalid: stats.mdb_invalid,
            neighbors_answered: stats.neighbors_answered,
            neighbors_flooded: stats.neighbors_flooded,
            address_conflicts: stats.address_conflicts,
            icmp_errors: stats.icmp_errors,
            icmp_suppressed: stats.icmp_suppressed,
            drops: DropReason::ALL
                .into_iter()
                .map(|reason| (reason.as_str().to_owned(), stats.dropped(reason)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_shown_by_reason_and_only_if_there_were_any() {
        let reason = DropReason::ALL[2];
        let mut stats = PortStats {
            rx_frames: 9,
            ..PortStats::default()
        };
        stats.drops[reason.index()] = 7;
        let mut counters = PortCounters::from(&stats);
        assert_eq!(
            counters.drops,
            BTreeMap::from([(reason.as_str().to_owned(), 7)])
        );
        counters.add(&counters.clone());
        assert_eq!((counters.rx_frames, counters.drop_count()), (18, 14));
    }
}
