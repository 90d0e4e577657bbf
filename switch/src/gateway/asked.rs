//! Which frames to a group are for the gateway alone: those that ask for one of its addresses, and those that ask for
//! DHCP servers where it is one.
//!
//! Nobody else has these addresses, and nobody else may be a server, so such a frame is not flooded. All other frames
//! to groups stay what they are to the switch. What is read here is at a fixed place, because every broadcast pays for it: a
//! solicitation behind extension headers is flooded, and nobody answers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapweave_net::{
    ArpOperation, ArpPacket, EtherType, Fragment, Icmpv6Type, IpProtocol, Ipv4View, Ipv6View,
};

use super::Gateway;
use crate::Advertising;
use crate::service::{DHCP_SERVER_V4, DHCP_SERVER_V6};

/// All routers on the link (RFC 4291 §2.7.1).
pub(super) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// All DHCP relay agents and servers on the link (RFC 8415 §7.1).
const DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Tells whether an address is one at which DHCP servers are asked by who does not know them.
pub(super) fn is_to_dhcp_servers(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address == DHCP_SERVERS,
    }
}

/// Tells whether a frame to a group, whose head is `head_len` bytes long, asks for DHCP servers.
pub(crate) fn asks_for_dhcp(frame: &[u8], head_len: usize) -> bool {
    let Some((head, packet)) = frame.split_at_checked(head_len) else {
        return false;
    };
    let port = |datagram: &[u8]| {
        let port = datagram.get(2..).and_then(<[u8]>::first_chunk);
        port.map(|port| u16::from_be_bytes(*port))
    };
    match ethertype(head) {
        Some(EtherType::IPV4) => Ipv4View::parse(packet).is_ok_and(|ip| {
            ip.dst() == Ipv4Addr::BROADCAST
                && ip.protocol() == IpProtocol::UDP
                && ip.fragment() == Fragment::Whole
                && port(ip.payload()) == Some(DHCP_SERVER_V4)
        }),
        Some(EtherType::IPV6) => Ipv6View::parse(packet).is_ok_and(|ip| {
            ip.dst() == DHCP_SERVERS
                && ip.next_header() == IpProtocol::UDP
                && port(ip.payload()) == Some(DHCP_SERVER_V6)
        }),
        _ => false,
    }
}

/// Tells whether the gateway is to answer a frame to a group, whose head is `head_len` bytes long.
pub(crate) fn is_asked(gateway: &Gateway, frame: &[u8], head_len: usize) -> bool {
    let Some((head, packet)) = frame.split_at_checked(head_len) else {
        return false;
    };
    match ethertype(head) {
        Some(EtherType::ARP) => is_asked_by_arp(gateway, packet),
        Some(EtherType::IPV6) => is_solicited(gateway, packet),
        _ => false,
    }
}

/// Returns the EtherType that a head ends with.
fn ethertype(head: &[u8]) -> Option<EtherType> {
    let bytes = head.last_chunk();
    bytes.map(|bytes| EtherType(u16::from_be_bytes(*bytes)))
}

fn is_asked_by_arp(gateway: &Gateway, packet: &[u8]) -> bool {
    ArpPacket::parse(packet).is_ok_and(|arp| {
        // Who announces the address as its own does not ask for it.
        arp.operation == ArpOperation::Request
            && !arp.is_announcement()
            && gateway.has(arp.target_ip.into())
    })
}

fn is_solicited(gateway: &Gateway, packet: &[u8]) -> bool {
    let Ok(ip) = Ipv6View::parse(packet) else {
        return false;
    };
    if ip.next_header() != IpProtocol::ICMPV6 {
        return false;
    }
    match ip.payload().first().map(|kind| Icmpv6Type(*kind)) {
        Some(Icmpv6Type::ROUTER_SOLICITATION) => {
            ip.dst() == ALL_ROUTERS && gateway.config.advertising != Advertising::Silent
        }
        Some(Icmpv6Type::NEIGHBOR_SOLICITATION) => {
            let target = ip.payload().get(8..).and_then(<[u8]>::first_chunk::<16>);
            target.is_some_and(|target| gateway.has(Ipv6Addr::from(*target).into()))
        }
        _ => false,
    }
}
