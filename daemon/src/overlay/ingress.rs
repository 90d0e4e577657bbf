//! Where a datagram enters the switch.

use std::sync::Arc;

use tapweave_encap::{Peer, Tunnel};
use tapweave_net::PortNo;

/// Where a datagram enters the switch, and how it is looked at before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ingress<'s> {
    pub(crate) port: PortNo,
    pub(crate) peer: &'s Arc<Peer>,
    pub(crate) tunnel: &'s Tunnel,
    /// Largest IP packet of the network.
    pub(crate) mtu: u16,
}
