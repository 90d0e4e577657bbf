//! What the control side says about a switch, a network and a port.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use tapweave_net::MacAddr;

use crate::{GatewayConfig, Guard, PortAddresses, PortVlans, SnoopingConfig, StormLimits};

/// Most entries that one FDB may have; a larger limit is taken as this one.
///
/// A table takes 64 bytes an entry of its limit, so this is 64 MiB.
pub const FDB_LIMIT_MAX: u32 = 1 << 20;

/// Most static neighbours of a network.
///
/// One takes about 50 bytes, so this is 3 MiB.
pub const NEIGHBORS_MAX: usize = 1 << 16;

/// How a switch is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwitchConfig {
    /// Workers that will have a [`Pipeline`](crate::Pipeline), at least one.
    pub worker_count: usize,
    /// Seed of the hashes. Random in production, so that nobody can aim at one bucket of a table.
    pub seed: u64,
}

/// How a network (bridge domain) is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkConfig {
    /// Largest L3 packet that is forwarded, in bytes.
    pub mtu: u16,
    /// Time after which a learned FDB entry that was not seen again is a miss. Zero makes the network
    /// a hub: nothing is learned (Linux: `ageing_time 0`).
    pub ageing: Duration,
    /// Most FDB entries, learned and static, up to [`FDB_LIMIT_MAX`]. Costs 64 bytes an entry, taken
    /// when the network is made.
    pub fdb_limit: u32,
    /// How multicast is limited to those who listen; none for not at all.
    pub snooping: Option<SnoopingConfig>,
    /// What each port may have flooded.
    pub storm: StormLimits,
    /// The gateway; none for a network that has none, or one of its own.
    pub gateway: Option<GatewayConfig>,
    /// Whether questions for neighbours that are known are answered by the switch.
    pub suppression: Suppression,
}

/// Whether questions for a neighbour's MAC address (ARP, Neighbor Discovery) travel when the answer is known
/// here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Suppression {
    /// They do, as on a wire.
    #[default]
    Off,
    /// They are answered in the neighbour's place, for ports that lead to no other host (RFC 9161).
    On,
}

/// A station whose MAC address the control side was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaticNeighbor {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Whether it is a router, which an answer over IPv6 says: hosts forget a router that is called none
    /// (RFC 4861 §7.2.5).
    pub is_router: bool,
}

/// How a port is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortConfig {
    /// Whether the port is kept from other ports that are not open.
    pub isolation: Isolation,
    /// Whether the port gets what is flooded.
    pub flooding: Flooding,
    /// How the port takes part in VLANs.
    pub vlans: PortVlans,
    /// What the endpoint may send; none for anything.
    pub guard: Option<Arc<Guard>>,
    /// Which stations may send.
    pub stations: Stations,
    /// Most stations that are learned; frames of others are dropped. None for as many as fit the FDB.
    pub mac_limit: Option<NonZeroU32>,
    /// The addresses of the endpoint, if they are known: the gateway of the network then has not to ask
    /// for them.
    pub addresses: Option<Arc<PortAddresses>>,
}

impl PortConfig {
    /// A port that may do anything.
    pub const OPEN: Self = Self {
        isolation: Isolation::Open,
        flooding: Flooding::On,
        vlans: PortVlans::Transparent,
        guard: None,
        stations: Stations::Free,
        mac_limit: None,
        addresses: None,
    };
}

/// Whether a port may exchange frames with other ports of its network that are not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    /// With every port.
    Open,
    /// Only with ports that are open, such as the gateway's.
    Isolated,
    /// Only with ports that are open: the port is the way to a host of the same network. What came from
    /// one host has been sent to the others by it (split horizon), and whether a station over there is
    /// isolated is not known here.
    Tunnel,
}

/// Whether a port gets frames to everybody, to groups that are not snooped and to unknown stations (`flood`,
/// `bcast_flood` and `mcast_flood` of a bridge's port).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flooding {
    /// It does.
    #[default]
    On,
    /// It gets what is for its stations, and nothing else: another port reaches what is behind it with the rest.
    Off,
}

/// Which stations may send from a port, and what becomes of what they teach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stations {
    /// Any; learned ones age and move.
    #[default]
    Free,
    /// Any that is not sticky on another port; learned ones neither age nor move.
    Sticky,
    /// Those that have a static FDB entry for the port. Nothing is learned.
    Locked,
}

impl Isolation {
    /// Tells whether frames may pass between a port of this kind and one of `other`.
    pub const fn permits(self, other: Self) -> bool {
        matches!(self, Self::Open) || matches!(other, Self::Open)
    }
}
