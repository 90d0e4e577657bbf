//! DHCP: only clients speak from a sandbox (RFC 2131 §4.1, RFC 8415 §7.2).
//!
//! A server answers from its port to the client's port. Some clients look at one of the two only, so
//! either gives a server away; a relay agent, which listens on the server's port, too.

use tapweave_net::UdpView;

use crate::DropReason;

const V4_SERVER: u16 = 67;
const V4_CLIENT: u16 = 68;
const V6_CLIENT: u16 = 546;
const V6_SERVER: u16 = 547;

/// Checks a datagram over IPv4.
#[inline]
pub(super) fn check_v4(udp: &UdpView<'_>) -> Result<(), DropReason> {
    if udp.src_port() == V4_SERVER || udp.dst_port() == V4_CLIENT {
        return Err(DropReason::GuardDhcp);
    }
    Ok(())
}

/// Checks a datagram over IPv6.
#[inline]
pub(super) fn check_v6(udp: &UdpView<'_>) -> Result<(), DropReason> {
    if udp.src_port() == V6_SERVER || udp.dst_port() == V6_CLIENT {
        return Err(DropReason::GuardDhcp);
    }
    Ok(())
}

/// Tells whether a datagram goes from a client to a server, over IPv4.
pub(super) fn is_v4_client(udp: &UdpView<'_>) -> bool {
    udp.src_port() == V4_CLIENT && udp.dst_port() == V4_SERVER
}
