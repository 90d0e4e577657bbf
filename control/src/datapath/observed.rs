//! What the packet path has at one moment, for whoever compares it with what it should have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use tapweave_net::{NetworkNo, PortNo};

use super::{PublishedPorts, SandboxNo};
use crate::Id;

/// What there is. Parts of it are looked at one after the other, while things come and go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// The bridge domains.
    pub networks: BTreeSet<NetworkNo>,
    /// Those that are joined to an underlay or to a LAN.
    pub joined: BTreeSet<NetworkNo>,
    /// The namespaces that were opened.
    pub sandboxes: BTreeMap<SandboxNo, SandboxLife>,
    /// The ports of endpoints and of peers.
    pub ports: BTreeMap<PortNo, ObservedPort>,
    /// The published ports, in no order.
    pub published: Vec<PublishedPorts>,
}

/// Whether a namespace that was opened is still what it was named by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SandboxLife {
    /// It is.
    Alive,
    /// It has ended, which is reported or will be.
    Ended,
}

/// A port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObservedPort {
    /// Its network.
    pub network: NetworkNo,
    /// Whose it is.
    pub owner: PortOwner,
}

/// An address of an interface in a sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObservedAddress {
    /// The address, with the length of its prefix.
    pub net: IpNet,
    /// Whether it stays until it is taken away: those that routers advertise or DHCP gives have an end.
    pub is_permanent: bool,
}

/// Whose a port is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PortOwner {
    /// That of an endpoint. No two endpoints ever have one id.
    Endpoint(Id),
    /// That of the host at this address.
    Peer(IpAddr),
}
