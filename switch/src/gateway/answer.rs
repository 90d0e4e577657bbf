//! Answers to questions for an address of the gateway or of an uplink.

use tapweave_net::{ArpOperation, ArpPacket, EthernetMut, Frame, MacAddr, ParsedFrame};

use core::net::IpAddr;

/// Turns an ARP request for an address that `has` tells to be ours into the reply; changes nothing and
/// tells so when it is none.
///
/// A probe is answered too, as any request is by the one who has the address (RFC 5227 §2.6).
pub(super) fn answer_arp(
    frame: &mut Frame<'_>,
    parsed: &ParsedFrame,
    mac: MacAddr,
    has: impl Fn(IpAddr) -> bool,
) -> bool {
    let place = parsed.l3_offset();
    let Some(packet) = frame.data_mut().get_mut(place..) else {
        return false;
    };
    let Ok(arp) = ArpPacket::parse(packet) else {
        return false;
    };
    if arp.operation != ArpOperation::Request || !has(arp.target_ip.into()) {
        return false;
    }
    if let Some(place) = packet.first_chunk_mut() {
        *place = arp.reply(mac).encode();
    }
    turn_around(frame, parsed, mac);
    true
}

/// Addresses a frame to where it came from.
fn turn_around(frame: &mut Frame<'_>, parsed: &ParsedFrame, mac: MacAddr) {
    if let Ok(mut ethernet) = EthernetMut::parse(frame.data_mut()) {
        ethernet.set_dst(parsed.src());
        ethernet.set_src(mac);
    }
}
