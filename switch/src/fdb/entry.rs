//! How an FDB shows itself to its users.

use core::time::Duration;

use tapweave_net::{MacAddr, PortNo, Vid};

/// One entry of an FDB, as a listing shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdbEntry {
    /// The station.
    pub mac: MacAddr,
    /// Its VLAN, if it is in one.
    pub vid: Option<Vid>,
    /// Where it is.
    pub port: PortNo,
    /// How it came into the table.
    pub origin: FdbOrigin,
    /// Time since a frame from the station was last seen, up to one second too long; since it was
    /// made, for a static entry whose station has not sent.
    pub age: Duration,
}

/// How an entry came into the FDB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FdbOrigin {
    /// From the source address of a frame; it ages.
    Learned,
    /// From the source address of a frame on a sticky port; it stays and does not move, but counts as
    /// learned when the table is full and when it is flushed.
    Sticky,
    /// From the control plane; it stays and does not move.
    Static,
}

/// How full an FDB is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdbUsage {
    /// Entries, those that have expired and were not swept yet included.
    pub used: u32,
    /// How many of them are static.
    pub static_count: u32,
    /// Most entries.
    pub limit: u32,
}
