//! The pure switching engine of tapweave.

#![forbid(unsafe_code)]

use core::time::Duration;

use tapweave_net::{MacAddr, PortNo};

/// One entry of an FDB, as a listing shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdbEntry {
    /// The station.
    pub mac: MacAddr,
    /// Where it is.
    pub port: PortNo,
    /// How it came into the table.
    pub origin: FdbOrigin,
    /// Time since a frame from the station was last seen.
    pub age: Duration,
}

/// How an entry came into the FDB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FdbOrigin {
    /// From the source address of a frame; it ages.
    Learned,
    /// From the control plane; it stays and does not move.
    Static,
}

/// The counters of one port.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortStats {
    /// Frames that came in from the port.
    pub rx_frames: u64,
    /// Bytes of those frames.
    pub rx_bytes: u64,
    /// Frames that went out to the port.
    pub tx_frames: u64,
    /// Bytes of those frames.
    pub tx_bytes: u64,
}
