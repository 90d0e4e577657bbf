//! IPv4: whose packets a sandbox sends.
//!
//! A sandbox without an address has a few things to say from 0.0.0.0: that it looks for a DHCP server
//! (RFC 2131 §4.1) and that it listens to a group (RFC 3376 §4.2.13). Both are told by their first
//! bytes, so a fragment is never one of them. An IGMP *query* from 0.0.0.0 is not: it would win every
//! querier election (RFC 4541 §2.1.1 leaves that address to snooping switches).

use core::net::Ipv4Addr;

use tapweave_net::{Fragment, IpProtocol, Ipv4View, UdpView};

use super::ethernet::Unread;
use super::{Guard, dhcp};
use crate::DropReason;

/// The reports of IGMP versions 1, 2 and 3 and the leave message (RFC 2236 §2.1, RFC 3376 §4).
const IGMP_OF_LISTENERS: [u8; 4] = [0x12, 0x16, 0x22, 0x17];

/// Bytes of the UDP header that hold the ports.
const UDP_PORTS_LEN: usize = 4;

/// Checks an IPv4 packet.
#[inline]
pub(super) fn check(guard: &Guard, packet: &[u8]) -> Result<Unread, DropReason> {
    let ip = Ipv4View::parse(packet).map_err(|_bad| DropReason::GuardMalformed)?;
    if !guard.owned.has_v4(ip.src()) && !is_from_nobody(&ip) {
        return Err(DropReason::GuardIpv4);
    }
    let l4 = ip.header_len();
    if ip.protocol() != IpProtocol::UDP || ip.fragment() == Fragment::Later {
        return Ok(Unread::From(l4));
    }
    // A first fragment too short for the ports is refused here (RFC 1858 §3).
    let udp = UdpView::parse_cut(ip.payload()).map_err(|_bad| DropReason::GuardMalformed)?;
    dhcp::check_v4(&udp)?;
    Ok(Unread::From(l4 + UDP_PORTS_LEN))
}

/// Tells whether a packet is one that a host without an address sends.
#[cold]
fn is_from_nobody(ip: &Ipv4View<'_>) -> bool {
    if !ip.src().is_unspecified() || ip.fragment().is_part() {
        return false;
    }
    match ip.protocol() {
        IpProtocol::UDP => {
            ip.dst() == Ipv4Addr::BROADCAST
                && UdpView::parse(ip.payload()).is_ok_and(|udp| dhcp::is_v4_client(&udp))
        }
        IpProtocol::IGMP => {
            let kind = ip.payload().first();
            ip.dst().is_multicast() && kind.is_some_and(|kind| IGMP_OF_LISTENERS.contains(kind))
        }
        _ => false,
    }
}
