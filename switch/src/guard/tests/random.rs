//! Properties over generated frames: no panic, and nothing passes that claims to be somebody else.
//!
//! The second is judged by etherparse, which shares no code with the guard.

use proptest::collection::vec;
use proptest::prelude::*;
use tapweave_net::ChecksumOffload;

use super::packet::*;
use super::*;

fn offload() -> impl Strategy<Value = Offload> {
    let partial = (0_u16..200, 0_u16..40)
        .prop_map(|(start, offset)| ChecksumOffload::Partial { start, offset });
    prop_oneof![Just(ChecksumOffload::Complete), partial].prop_map(|checksum| Offload {
        checksum,
        gso: None,
    })
}

/// A frame of a kind that the guard looks into, so that what is random comes after the first checks.
fn shaped() -> impl Strategy<Value = Vec<u8>> {
    let own_arp = tapweave_net::ArpPacket {
        operation: tapweave_net::ArpOperation::Reply,
        sender_mac: OWN_MAC,
        sender_ip: OWN_V4,
        target_mac: OTHER_MAC,
        target_ip: OTHER_V4,
    };
    let nd = advertisement(OWN_V6, &target_option(OWN_MAC));
    let chain = extension(DESTINATION, 1, &extension(ICMPV6, 0, &nd));
    prop::sample::select(vec![
        arp(&own_arp),
        v4(OWN_V4, OTHER_V4, UDP, &udp(68, 67)),
        v4(NOBODY_V4, core::net::Ipv4Addr::BROADCAST, UDP, &udp(68, 67)),
        v4(OWN_V4, OTHER_V4, TCP, &tcp()),
        v6(OWN_V6, OTHER_V6, UDP, &udp(546, 547)),
        v6(OWN_V6, OTHER_V6, ICMPV6, &nd),
        v6(NOBODY_V6, ALL_NODES, ICMPV6, &solicitation(OWN_V6, &[])),
        v6(OWN_LINK_LOCAL, ALL_NODES, HOP_BY_HOP, &chain),
        v6(OWN_V6, OTHER_V6, FRAGMENT, &fragment(UDP, 1, &udp(1, 2))),
        ethernet(
            &[0x8100, 0x0800],
            &v4_part(OWN_V4, OTHER_V4, UDP, 0, &udp(1, 2)),
        ),
    ])
}

/// A shaped frame with some bytes changed and its end cut off, mostly not.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let interesting = prop::sample::select(vec![0, 1, 2, 43, 44, 58, 60, 67, 68, 134, 137, 255]);
    let change = (
        any::<prop::sample::Index>(),
        prop_oneof![interesting, any::<u8>()],
    );
    (shaped(), vec(change, 0..4), 0_usize..40).prop_map(|(mut frame, changes, cut)| {
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        let kept = frame.len().saturating_sub(cut.saturating_sub(30));
        frame.truncate(kept);
        frame
    })
}

/// Says who the sender claims to be, as far as etherparse sees it; `None` when it is the endpoint.
fn claim(frame: &[u8]) -> Option<&'static str> {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    if frame.get(6..12) != Some(&OWN_MAC.octets()[..]) {
        return Some("another MAC");
    }
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let is_foreign = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let source = ip.header().source_addr();
            source != OWN_V4 && !source.is_unspecified()
        }
        Some(NetSlice::Ipv6(ip)) => {
            let source = ip.header().source_addr();
            source != OWN_V6 && !source.is_unicast_link_local() && !source.is_unspecified()
        }
        Some(NetSlice::Arp(arp)) => {
            let ip = arp.sender_protocol_addr();
            arp.sender_hw_addr() != OWN_MAC.octets() || (ip != OWN_V4.octets() && ip != [0; 4])
        }
        None => true,
    };
    if is_foreign {
        return Some("another address");
    }
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) if matches!(udp.source_port(), 67 | 547) => {
            let is_v4 = matches!(packet.net, Some(NetSlice::Ipv4(_)));
            (is_v4 == (udp.source_port() == 67)).then_some("a DHCP server")
        }
        // Over IPv4 nobody hears it: the protocol's number means nothing there (RFC 4443 §1).
        Some(TransportSlice::Icmpv6(_)) if !matches!(packet.net, Some(NetSlice::Ipv6(_))) => None,
        Some(TransportSlice::Icmpv6(icmp)) => match icmp.type_u8() {
            134 | 137 => Some("a router"),
            136 => {
                let target = <[u8; 16]>::try_from(icmp.payload().get(..16)?).ok()?;
                let target = core::net::Ipv6Addr::from(target);
                (target != OWN_V6 && !target.is_unicast_link_local()).then_some("a neighbour")
            }
            _ => None,
        },
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_frame_makes_the_guard_panic(bytes in vec(any::<u8>(), 0..200), offload in offload()) {
        let _verdict = check_with(&bytes, offload);
        let mut own = bytes;
        if let Some(source) = own.get_mut(6..12) {
            source.copy_from_slice(&OWN_MAC.octets());
        }
        let _verdict = check_with(&own, offload);
    }

    #[test]
    fn nothing_that_passes_claims_to_be_somebody_else(frame in mutated(), offload in offload()) {
        if check_with(&frame, offload).is_ok() {
            prop_assert_eq!(claim(&frame), None, "{:02x?}", frame);
        }
    }

    #[test]
    fn the_frames_that_are_mutated_pass_as_they_are(frame in shaped()) {
        prop_assert_eq!(check(&frame), Ok(()));
    }
}
