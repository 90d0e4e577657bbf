//! What the gateway does with a frame, for people.

use core::fmt;
use core::net::IpAddr;

use tapweave_nat::Basis;
use tapweave_net::{IcmpErrorKind, MacAddr, NetworkNo, PortNo};

use crate::{DropReason, Service};

/// One step of the gateway's decision.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum GatewayStep {
    /// It answers a question for one of its addresses.
    Neighbor {
        /// The address.
        target: IpAddr,
    },
    /// It notes where a neighbour is, if it has asked for it.
    Heard {
        /// The neighbour.
        neighbor: IpAddr,
        /// Where it says to be.
        mac: MacAddr,
    },
    /// It will advertise itself to the port.
    Solicited,
    /// It answers an echo request, or a fragment of one.
    Echo {
        /// Who asked.
        to: IpAddr,
    },
    /// It gives the packet to a service, if there is room.
    Served {
        /// Which.
        service: Service,
    },
    /// NAT translates the packet, if there is room for what it has to remember.
    Translated {
        /// By what.
        basis: Basis,
    },
    /// It forwards the packet into a network.
    Inward {
        /// The network.
        network: NetworkNo,
        /// The port of the destination.
        port: PortNo,
        /// The MAC address of the destination.
        mac: MacAddr,
    },
    /// It forwards the packet to an uplink.
    Outward {
        /// The uplink.
        uplink: PortNo,
        /// The MAC address of the next hop; none where all packets go to one station.
        next_hop: Option<MacAddr>,
    },
    /// It forwards the packet to a remote host.
    Across {
        /// The port of the host.
        port: PortNo,
    },
    /// It cuts the packet into fragments.
    Cut {
        /// Largest fragment, in bytes.
        mtu: u16,
    },
    /// It drops the packet.
    Refused {
        /// Why.
        reason: DropReason,
        /// What the sender is told, as often as the limit on ICMP errors permits.
        told: Option<IcmpErrorKind>,
    },
}

impl fmt::Display for GatewayStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neighbor { target } => write!(f, "answers who has {target}"),
            Self::Heard { neighbor, mac } => write!(f, "hears that {neighbor} is at {mac}"),
            Self::Solicited => f.write_str("will advertise itself to the port"),
            Self::Echo { to } => write!(f, "answers the echo request of {to}"),
            Self::Served { service } => write!(f, "gives it to its service {service}"),
            Self::Translated { basis } => write!(f, "has NAT {basis}"),
            Self::Inward {
                network: NetworkNo(network),
                port,
                mac,
            } => write!(
                f,
                "forwards it to {mac} on port {port} of network {network}"
            ),
            Self::Outward {
                uplink,
                next_hop: Some(mac),
            } => write!(f, "forwards it to {mac} on uplink {uplink}"),
            Self::Outward {
                uplink,
                next_hop: None,
            } => write!(f, "forwards it to uplink {uplink}"),
            Self::Across { port } => write!(f, "forwards it through the tunnel on port {port}"),
            Self::Cut { mtu } => write!(f, "cuts it into fragments of at most {mtu} bytes"),
            Self::Refused { reason, told: None } => write!(f, "drops it: {reason}"),
            Self::Refused {
                reason,
                told: Some(kind),
            } => write!(
                f,
                "drops it: {reason}, and tells the sender: {}",
                words(*kind)
            ),
        }
    }
}

/// Returns what an ICMP error says.
fn words(kind: IcmpErrorKind) -> impl fmt::Display {
    fmt::from_fn(move |f| match kind {
        IcmpErrorKind::TooBig { mtu } => write!(f, "too big for an MTU of {mtu}"),
        IcmpErrorKind::HopLimitExceeded => f.write_str("time exceeded"),
        IcmpErrorKind::NoRoute => f.write_str("no route"),
        IcmpErrorKind::HostUnreachable => f.write_str("host unreachable"),
        IcmpErrorKind::PortUnreachable => f.write_str("port unreachable"),
        IcmpErrorKind::Prohibited => f.write_str("administratively prohibited"),
    })
}
