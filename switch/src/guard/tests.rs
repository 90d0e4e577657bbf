//! The guard of one endpoint, asked about frames put together by hand.

use tapweave_net::{Frame, Offload};

use super::Guard;
use crate::DropReason;

use self::packet::{
    ALL_NODES, DESTINATION, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, IGMP, NOBODY_V4, NOBODY_V6,
    OTHER_LINK_LOCAL, OTHER_MAC, OTHER_V4, OTHER_V6, OWN_LINK_LOCAL, OWN_MAC, OWN_V4, OWN_V6,
    ROUTING, TCP, UDP, advertisement, arp, ethernet, extension, fragment, from_mac, icmpv6,
    router_advertisement, solicitation, source_option, target_option, tcp, udp, v4, v4_part, v6,
    v6_packet,
};

mod evasions;
mod packet;
mod passing;
mod random;
mod refused;

fn guard() -> Guard {
    let addresses = ["10.192.0.10/32", "fd00::a/128"];
    Guard::new(OWN_MAC, addresses.map(|address| address.parse().unwrap()))
}

fn check_with(frame: &[u8], offload: Offload) -> Result<(), DropReason> {
    let mut frame = frame.to_vec();
    guard().check(&Frame::new(&mut frame, 0, offload))
}

fn check(frame: &[u8]) -> Result<(), DropReason> {
    check_with(frame, Offload::NONE)
}
