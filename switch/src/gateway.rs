//! The gateway of a network: a router that has no port, since the switch itself is it.
//!
//! The decision of the bridge leaves a frame to this module ([`Verdict::Gateway`](crate::Verdict::Gateway)) when
//! it is for the gateway's MAC address or asks a group for one of the gateway's addresses, and all frames of
//! uplinks. It answers them or routes them, in their own buffer, and returns the port that they leave by
//! ([`Pipeline::handle_gateway`](crate::Pipeline::handle_gateway)). It knows nothing of devices, and of NAT only
//! when to call it.
//!
//! # Theory of operation
//!
//! ```text
//!   sandbox's port                                                 uplink
//!        │                                                            │
//!   ARP, ND, RS ── answered, or noted                            ARP, ND ── answered, or noted
//!   for our address, DHCP ── echo, a service, or "port unreachable"   │ martian, from inside?
//!        │ from a host of the subnets?                                │
//!        │ in our subnets ─────────► station or neighbour ─► port   NAT: back in, ours, or neither
//!        │ in another network's ───► prohibited                       │ routed network's address?
//!        │ behind a remote host ───► its tunnel                       │
//!        │ outside: uplink, next hop, hops, size                      │ hops, size
//!       NAT: out, or back in ──────► uplink's port                station or neighbour ─► port
//! ```
//!
//! - *Isolation.* A packet from a network goes into that network or out, never into another one: a destination
//!   in another network's subnets, its gateway's address included, is prohibited. What is published by another
//!   network is reached through the external address, by the same rules as from outside. A source that is not in
//!   the subnets of its network is refused, and so is one from outside that is in any subnet (RFC 3704 §2.2).
//! - *Internal* networks ([`Outside::Closed`](crate::Outside)) have a gateway that answers for itself and forwards
//!   nothing. Where sandboxes may not talk to each other (`icc=false`), their ports are isolated; the gateway has
//!   no port that could be, and does not forward between isolated ones either.
//! - *Remote hosts* ([`remote`]) have subnets of a network behind a tunnel. A packet for one of them is not
//!   translated, whatever else the network does with what leaves it, and goes there from an internal network too.
//! - *Nothing waits.* A packet whose next hop is not known is dropped and the next hop is asked for
//!   ([`neighbor`]); the control side does the asking ([`Switch::poll_gateways`](crate::Switch::poll_gateways)), so a
//!   worker only ever sends what it has just received. Endpoints that the control side knows
//!   ([`hosts`]) are not asked for at all.
//! - *Offloads stay.* A super-frame is routed as one: its size is that of its segments, its checksum stays partial.
//! - *ICMP errors* are sent in the place of the packet that they are about, a hundred a second for each network and
//!   each uplink (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)). Redirects are not sent: hosts know the subnet.
//! - *VLANs.* The gateway is in every VLAN of its network and answers in that of the question. It does not route
//!   from one to another.
//!
//! What comes from an uplink is turned around there when it is answered; so an answer needs no route.

mod advertise;
mod answer;
mod asked;
mod config;
mod fragment;
mod handle;
mod hear;
mod hosts;
mod inside;
mod link;
mod neighbor;
mod outside;
mod packet;
mod poll;
mod prefix;
mod refusal;
mod remote;
mod request;
mod router;
mod routes;
mod segment;
mod step;
mod uplink;
mod way;

use core::net::{IpAddr, Ipv6Addr};
use core::num::NonZeroU32;

use ipnet::IpNet;
use tapweave_net::MacAddr;

use self::advertise::Advertiser;
use self::neighbor::Neighbors;
use self::packet::is_forwardable;
use self::prefix::Prefix;
pub(crate) use self::prefix::bits;
use crate::meter::Meter;

pub(crate) use asked::{asks_for_dhcp, is_asked};
pub use config::{
    Advertising, GatewayConfig, Information, InformationByDhcp, Outside, PortAddresses,
    RemoteConfig, UplinkConfig, UplinkKind,
};
pub(crate) use handle::{Ingress, explain};
pub(crate) use hear::valid_nd;
pub(crate) use hosts::{Endpoint, Hosts, Known, StaticNeighbors};
pub use poll::GatewayFrame;
pub(crate) use poll::as_taken;
pub(crate) use remote::Remote;
pub(crate) use request::probe_frame;
pub(crate) use router::Router;
pub use step::GatewayStep;
pub(crate) use uplink::Uplink;

/// The gateway of one network.
pub(crate) struct Gateway {
    pub(crate) config: GatewayConfig,
    /// What is on the link, that of the link-local address included.
    subnets: Box<[Prefix]>,
    /// Its own addresses, the link-local one included.
    own: Box<[u128]>,
    pub(crate) neighbors: Neighbors,
    advertiser: Advertiser,
    /// Counts ICMP errors.
    errors: Meter,
}

impl Gateway {
    /// Returns a gateway whose hashes have this seed.
    pub(crate) fn new(config: GatewayConfig, seed: u64) -> Self {
        let has_v6 = config.addresses.iter().any(|own| own.addr().is_ipv6());
        let link_local = has_v6.then(|| link_local(config.mac));
        let own = config.addresses.iter().map(IpNet::addr);
        let own = own.chain(link_local.map(IpAddr::from));
        let subnets = config.addresses.iter().map(|own| Prefix::new(*own));
        Self {
            own: own.map(bits).collect(),
            subnets: subnets.chain(link_local.map(|_| LINK_LOCAL)).collect(),
            neighbors: Neighbors::new(seed),
            advertiser: Advertiser::new(seed),
            errors: error_meter(),
            config,
        }
    }

    /// Tells whether an address is the gateway's.
    #[inline]
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.own.contains(&bits(address))
    }

    /// Returns the address of the gateway that speaks to a host of this family.
    fn address_like(&self, like: IpAddr) -> Option<IpAddr> {
        let mut own = self.config.addresses.iter().map(IpNet::addr);
        own.find(|own| own.is_ipv4() == like.is_ipv4())
    }

    /// Tells whether an address is in one of the subnets.
    #[inline]
    fn is_on_link(&self, bits: u128) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(bits))
    }

    /// Tells whether a host with this address may be on the link, so that its questions are answered.
    #[inline]
    pub(crate) fn is_neighbor(&self, address: IpAddr) -> bool {
        self.is_on_link(bits(address)) && !self.has(address) && !self.is_broadcast(address)
    }

    /// Tells whether packets of a host with this address are forwarded.
    #[inline]
    fn is_host(&self, address: IpAddr) -> bool {
        is_forwardable(address) && self.is_neighbor(address)
    }

    /// Tells whether an address stands for a subnet or for all of its hosts (RFC 1812 §5.3.5, RFC 2644).
    /// Subnets of one or two addresses have no such address (RFC 3021).
    fn is_broadcast(&self, address: IpAddr) -> bool {
        self.config
            .addresses
            .iter()
            .any(|own| match (own, address) {
                (IpNet::V4(net), IpAddr::V4(address)) => {
                    net.prefix_len() < 31
                        && (address == net.broadcast() || address == net.network())
                }
                _ => false,
            })
    }
}

/// `fe80::/64` (RFC 4291 §2.5.6).
const LINK_LOCAL: Prefix = Prefix {
    bits: 0xfe80 << 112,
    mask: !0 << 64,
};

/// Returns the link-local address that a MAC gives (RFC 4291 §2.5.6).
fn link_local(mac: MacAddr) -> Ipv6Addr {
    Ipv6Addr::from_bits(LINK_LOCAL.bits | u128::from(mac.interface_id()))
}

/// ICMP errors a second.
const ERRORS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// Returns a meter of ICMP errors.
pub(crate) fn error_meter() -> Meter {
    Meter::new(ERRORS_PER_SECOND)
}
