//! Which frames to a group are for the gateway alone: those that ask for one of its addresses.
//!
//! Nobody else has these addresses, so such a frame is not flooded. All other frames to groups stay what
//! they are to the switch. What is read here is at a fixed place, because every broadcast pays for it: a
//! solicitation behind extension headers is flooded, and nobody answers.

use core::net::Ipv6Addr;

use tapweave_net::{ArpOperation, ArpPacket, EtherType, Icmpv6Type, IpProtocol, Ipv6View};

use super::Gateway;
use crate::Advertising;

/// All routers on the link (RFC 4291 §2.7.1).
pub(super) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Tells whether the gateway is to answer a frame to a group, whose head is `head_len` bytes long.
pub(crate) fn is_asked(gateway: &Gateway, frame: &[u8], head_len: usize) -> bool {
    let Some((head, packet)) = frame.split_at_checked(head_len) else {
        return false;
    };
    match head
        .last_chunk()
        .map(|bytes| EtherType(u16::from_be_bytes(*bytes)))
    {
        Some(EtherType::ARP) => is_asked_by_arp(gateway, packet),
        Some(EtherType::IPV6) => is_solicited(gateway, packet),
        _ => false,
    }
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
