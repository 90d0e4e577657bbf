//! What the packet path knows of networks that span hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_encap::{Admission, DscpModel, Encap, HopLimit, Layer};

/// How a network spans hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverlaySettings {
    /// How its frames travel, or, where the hosts route to each other, its packets.
    pub encap: Encap,
    /// The UDP port that this host listens on; none for the daemon's, or that of the encapsulation. Means
    /// nothing to IP in IP.
    pub port: Option<u16>,
    /// Who may send into a segment. Means nothing where hosts route to each other.
    pub admission: Admission,
    /// What the DSCP of the outer packets is.
    pub dscp: DscpModel,
    /// What the TTL or Hop Limit of the outer packets is; none for 64, and 1 to a group.
    pub hop_limit: Option<HopLimit>,
    /// The multicast group to which goes, once, what is flooded; none for a copy to each peer. It is a peer by
    /// [`Datapath::add_peer`](super::Datapath::add_peer), from which nothing comes.
    pub group: Option<IpAddr>,
}

impl OverlaySettings {
    /// Tells whether each host has subnets of its own, and the others route to them.
    pub const fn is_routed(&self) -> bool {
        matches!(self.encap.kind().layer(), Layer::Network)
    }
}

/// Where an overlay network is on the underlay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverlayPlace {
    /// The UDP port that this host listens on; none where there is no UDP.
    pub port: Option<u16>,
    /// The addresses that its packets come from, at most one of each family.
    pub addresses: Vec<IpAddr>,
}

/// A host that takes part in a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerSettings {
    /// Its address on the underlay.
    pub address: IpAddr,
    /// The UDP port that it listens on; none for that of the network.
    pub port: Option<u16>,
    /// The subnets behind it, where hosts route to each other.
    pub subnets: Vec<IpNet>,
}

/// What is known of such a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerState {
    /// The UDP port that it listens on; none where there is no UDP.
    pub port: Option<u16>,
    /// For how long nothing has come from it; `None` when nothing ever has.
    pub silent_for: Option<Duration>,
    /// Largest IP packet that the way to it takes, in bytes.
    pub path_mtu: u16,
    /// Largest IP packet of the network that reaches it, in bytes; `None` when none does.
    pub inner_mtu: Option<u16>,
}

/// The underlay, as `stats` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnderlayState {
    /// Addresses and ports that overlays listen on.
    pub addresses: Vec<UnderlayAddress>,
    /// Datagrams that were refused, by reason; reasons that never occurred are left out.
    pub refused: BTreeMap<String, u64>,
}

/// An address and port that overlays listen on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UnderlayAddress {
    /// The address.
    pub address: IpAddr,
    /// What is listened for: `vxlan`, `fou`, `gue` or `ipip`.
    pub encap: String,
    /// The UDP port; none where there is no UDP.
    pub port: Option<u16>,
    /// Sockets that listen, one a worker.
    pub sockets: usize,
    /// Whether the kernel cuts messages into datagrams (`UDP_SEGMENT`).
    pub segmentation: bool,
    /// What the kernel or the device answered instead of cutting, since when each datagram is sent by
    /// itself; none while that works.
    #[serde(default)]
    pub segmentation_refusal: Option<String>,
    /// Whether the kernel merges datagrams (`UDP_GRO`).
    pub gro: bool,
    /// Receive buffer of each of the sockets.
    pub receive_buffer: SocketBufferState,
    /// Send buffer of each of the sockets that send; none when there are none.
    pub send_buffer: Option<SocketBufferState>,
}

/// The size of a socket's buffer, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SocketBufferState {
    /// What was asked for.
    pub asked_len: usize,
    /// What the kernel granted: less when `net.core.rmem_max` or `wmem_max` is in the way.
    pub granted_len: usize,
}
