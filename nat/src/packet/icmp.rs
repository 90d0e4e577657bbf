//! ICMP queries: echo and timestamp over IPv4, echo over IPv6 (RFC 5508 §3).

use core::net::IpAddr;

use tapweave_net::{Icmpv4Type, Icmpv4View, Icmpv6Type, Icmpv6View, Transport};

use super::Ends;

/// Which half of a query a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum QueryKind {
    /// Somebody asks. The identifier is that of the source.
    Request,
    /// Somebody answers. The identifier is that of the destination.
    Reply,
}

/// The identifier of a query, from the start of the ICMP header.
pub(super) const ID_OFFSET: usize = 4;

impl QueryKind {
    /// Returns the ends of a query: the end that asks has the identifier for a port, so that both
    /// halves belong to one flow.
    pub(super) fn ends(self, src: IpAddr, dst: IpAddr, id: u16) -> Ends {
        let ports = match self {
            Self::Request => (id, 0),
            Self::Reply => (0, id),
        };
        Ends::of(src, dst, ports)
    }

    /// Returns the identifier that a query between `ends` has.
    pub(super) const fn id(self, ends: &Ends) -> u16 {
        match self {
            Self::Request => ends.src.port(),
            Self::Reply => ends.dst.port(),
        }
    }
}

/// Reads a query with its identifier, `None` when the message is something else.
pub(super) fn query(transport: Transport, message: &[u8]) -> Option<(QueryKind, u16)> {
    match transport {
        Transport::Icmpv4 => {
            let icmp = Icmpv4View::parse(message).ok()?;
            let kind = match icmp.kind() {
                Icmpv4Type::ECHO_REQUEST | Icmpv4Type::TIMESTAMP => QueryKind::Request,
                Icmpv4Type::ECHO_REPLY | Icmpv4Type::TIMESTAMP_REPLY => QueryKind::Reply,
                _ => return None,
            };
            Some((kind, icmp.identifier()?))
        }
        Transport::Icmpv6 => {
            let icmp = Icmpv6View::parse(message).ok()?;
            let kind = match icmp.kind() {
                Icmpv6Type::ECHO_REQUEST => QueryKind::Request,
                Icmpv6Type::ECHO_REPLY => QueryKind::Reply,
                _ => return None,
            };
            Some((kind, icmp.identifier()?))
        }
        Transport::Tcp | Transport::Udp => None,
    }
}

/// Tells whether the message is an error about a packet on its way, one that RFC 5508 §4 has
/// translated. Redirects and Source Quench (RFC 6633) are not among them.
pub(super) const fn is_translatable_error(transport: Transport, kind: u8) -> bool {
    match transport {
        Transport::Icmpv4 => matches!(
            Icmpv4Type(kind),
            Icmpv4Type::DESTINATION_UNREACHABLE
                | Icmpv4Type::TIME_EXCEEDED
                | Icmpv4Type::PARAMETER_PROBLEM
        ),
        Transport::Icmpv6 => matches!(
            Icmpv6Type(kind),
            Icmpv6Type::DESTINATION_UNREACHABLE
                | Icmpv6Type::PACKET_TOO_BIG
                | Icmpv6Type::TIME_EXCEEDED
                | Icmpv6Type::PARAMETER_PROBLEM
        ),
        Transport::Tcp | Transport::Udp => false,
    }
}
