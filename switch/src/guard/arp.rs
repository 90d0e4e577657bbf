//! ARP: who a sandbox says has an address (RFC 826, RFC 5227).
//!
//! A receiver learns from the sender's fields of requests and replies alike, so those must be the
//! endpoint's own; an announcement ("gratuitous ARP") is no exception. The target's fields of a reply
//! say whom it is for and are learned by nobody. A probe, a request from 0.0.0.0, teaches nothing and
//! passes whatever it asks for: the sandbox may be about to find out that an address is taken.
//!
//! Reverse and inverse ARP, ARP for other address spaces and the experimental operations are refused.

use tapweave_net::{ArpOperation, ArpPacket};

use super::Guard;
use super::ethernet::Unread;
use crate::DropReason;

/// Checks an ARP packet.
pub(super) fn check(guard: &Guard, packet: &[u8]) -> Result<Unread, DropReason> {
    let refused = DropReason::GuardArp;
    let arp = ArpPacket::parse(packet).map_err(|_cut_or_other_space| refused)?;
    let may_speak = match arp.operation {
        ArpOperation::Request => arp.is_probe() || guard.owned.has_v4(arp.sender_ip),
        ArpOperation::Reply => guard.owned.has_v4(arp.sender_ip),
        ArpOperation::Other(_) => false,
    };
    if may_speak && arp.sender_mac == guard.mac {
        Ok(Unread::Nothing)
    } else {
        Err(refused)
    }
}
