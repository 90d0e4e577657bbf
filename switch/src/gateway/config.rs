//! What the control side says about gateways, uplinks, and the addresses behind ports.

use core::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use tapweave_encap::{Peer, Tunnel};
use tapweave_net::{DomainName, MacAddr};

/// The gateway of a network, which the switch itself is.
///
/// Hosts of an overlay network have the same configuration, so the gateway is everywhere (anycast)
/// and a sandbox that moves keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayConfig {
    /// The MAC address under which it is reached.
    pub mac: MacAddr,
    /// Its addresses, each with the length of its subnet's prefix. The subnets are what is on the link:
    /// only from there it takes packets to forward. With an IPv6 address comes a link-local one, made of
    /// the MAC (RFC 4291 appendix A).
    pub addresses: Vec<IpNet>,
    /// Whether there is a way out.
    pub outside: Outside,
    /// What it tells hosts in router advertisements.
    pub advertising: Advertising,
    /// What it tells them besides.
    pub information: Information,
}

/// What hosts of a network are told besides how they get addresses and routes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Information {
    /// The IPv6 addresses at which names are answered (RFC 8106 §5.1).
    pub resolvers: Vec<Ipv6Addr>,
    /// The domain that names are looked up in (RFC 8106 §5.2).
    pub search: Option<DomainName>,
    /// Whether DHCP for IPv6 tells the same (the flag O, RFC 4861 §4.2).
    pub dhcp: InformationByDhcp,
}

/// Whether DHCP for IPv6 answers who asks for information.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum InformationByDhcp {
    /// It does not.
    #[default]
    Unavailable,
    /// It does.
    Available,
}

/// The way out of a network. No way leads to another network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outside {
    /// There is none (`--internal`): the gateway answers for itself and forwards nothing.
    Closed,
    /// Packets leave with an address of the uplink, and come back by what NAT knows.
    Masqueraded,
    /// Packets leave and enter with the addresses of the sandboxes: the world has a route to the subnets.
    Routed,
}

/// Router advertisements of a gateway that has an IPv6 address (RFC 4861 §6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advertising {
    /// None are sent, and solicitations are flooded: another router may answer.
    Silent,
    /// The prefixes are on the link, and hosts do not form addresses in them: they are assigned.
    Assigned,
    /// Hosts form addresses of the prefixes themselves (RFC 4862), where these have 64 bits.
    Autonomous,
}

/// The addresses of an endpoint, which its gateway then need not ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortAddresses {
    /// The MAC address that all of them have.
    pub mac: MacAddr,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

/// A host across a tunnel that has subnets of a network, which the gateway routes to it.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// What is behind it. No subnet overlaps another one of the switch, here or behind a host.
    pub subnets: Vec<IpNet>,
    /// How packets travel to it.
    pub tunnel: Tunnel,
    /// Where it is, and how wide the path to it is.
    pub peer: Arc<Peer>,
}

/// A port that leads out of the switch and belongs to no network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UplinkConfig {
    /// What is on the other side.
    pub kind: UplinkKind,
    /// The addresses that the switch has there, each with the length of its subnet's prefix. A packet
    /// takes an uplink that has an address of its family.
    pub addresses: Vec<IpNet>,
    /// Largest packet, in bytes.
    pub mtu: u16,
    /// Of several uplinks of a family, that with the lowest metric is taken.
    pub metric: u32,
}

/// What is on the other side of an uplink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UplinkKind {
    /// One station that takes every packet, whatever MAC addresses its frame has: a TUN device.
    PointToPoint,
    /// A LAN, on which next hops have to be found by ARP and Neighbor Discovery.
    Lan {
        /// The MAC address of the switch there.
        mac: MacAddr,
        /// The routers for everything that is not in a subnet of the uplink's addresses, the first of a
        /// family being the one that is taken.
        next_hops: Vec<IpAddr>,
    },
}
