//! Fragments through the whole translation (RFC 4787 REQ-14).

use std::collections::BTreeSet;

use tapweave_net::{ChecksumOffload, Frame, Gso, GsoKind, NetworkNo, Offload, ParsedFrame};

use super::world::*;
use crate::packet::tests::build::{Kind, Spec, cut, fill_header_checksum};
use crate::packet::{Ends, renumber};
use crate::*;

/// The parts of a datagram of 3,009 bytes.
fn parts(src: &str, dst: &str) -> Vec<Vec<u8>> {
    cut(&spec(src, dst), &[0, 1480, 2960])
}

fn spec(src: &str, dst: &str) -> Spec {
    let ends = Ends {
        src: socket(src).into(),
        dst: socket(dst).into(),
    };
    Spec::new(Kind::Udp, ends, &[7; 3001])
}

/// The Identification of what a [`Spec`] makes.
const SENT_ID: u16 = 0x1234;

fn id_of(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[18], bytes[19]])
}

/// Sends parts of one packet as [`send_as_is`] does. They have to get one Identification, and are returned with the
/// one that they were sent with.
fn send(world: &World, network: NetworkNo, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut left = send_as_is(world, network, parts);
    let ids: Vec<u16> = left.iter().map(|part| id_of(part)).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    for part in &mut left {
        let parsed = ParsedFrame::parse(part).unwrap();
        let mut frame = Frame::new(part, 0, Offload::NONE);
        renumber(&mut frame, &parsed, SENT_ID).unwrap();
    }
    left
}

/// Sends parts out of a network in this order, and returns what leaves, in the order in which it does.
fn send_as_is(world: &World, network: NetworkNo, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut left = Vec::new();
    for part in parts {
        let mut bytes = part.clone();
        let parsed = ParsedFrame::parse(&bytes).unwrap();
        let mut frame = Frame::new(&mut bytes, 0, Offload::NONE);
        let mut emit = |frame: &mut Frame<'_>, verdict| {
            assert_ne!(verdict, Out::Held);
            left.push(frame.data().to_vec());
        };
        let verdict =
            world
                .nat
                .translate_out(&world.pass(), network, &mut frame, &parsed, &mut emit);
        match verdict {
            Ok(Out::Held) => {}
            Ok(_) => left.push(bytes),
            Err(drop) => assert_eq!(drop, NatDrop::Fragment),
        }
    }
    left
}

fn sorted(mut parts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    parts.sort();
    parts
}

/// RFC 4787 REQ-14: "A NAT MUST support receiving in-order and out-of-order fragments".
#[test]
fn rfc4787_req_14_fragments_are_translated_in_every_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let world = World::new();
        let external = world.external(&udp(A, X)).to_string();
        let want = sorted(parts(&external, X));
        let sent = parts(A, X);
        let left = send(&world, RED, &order.map(|place| sent[place].clone()));
        assert_eq!(sorted(left), want);
    }
}

#[test]
fn fragments_come_in_to_a_sandbox_and_through_a_hairpin() {
    let world = World::new();
    let [a, b] = [A, B].map(|src| world.external(&udp(src, X)).to_string());
    let left = send(&world, RED, &parts(A, &b));
    assert_eq!(left, parts(&a, B));
    let mut arrived = Vec::new();
    for part in parts(X, &a).iter().rev() {
        let mut bytes = part.clone();
        let parsed = ParsedFrame::parse(&bytes).unwrap();
        let mut frame = Frame::new(&mut bytes, 0, Offload::NONE);
        let dst = socket(A).ip();
        let want = In::To { network: RED, dst };
        let mut emit = |frame: &mut Frame<'_>, verdict| {
            assert_eq!(verdict, want);
            arrived.push(frame.data().to_vec());
        };
        let pass = world.pass();
        let verdict = world
            .nat
            .translate_in(&pass, &mut frame, &parsed, &mut emit);
        if verdict != Ok(In::Held) {
            assert_eq!(verdict, Ok(want));
            arrived.push(bytes);
        }
    }
    assert_eq!(sorted(arrived), sorted(parts(X, A)));
}

#[test]
fn what_follows_a_first_fragment_that_was_dropped_is_dropped() {
    let world = World::new();
    let sent = parts(A, "192.0.2.1:9");
    assert_eq!(
        world.out_bytes(RED, &mut sent[0].clone()),
        Err(NatDrop::NoMapping)
    );
    for part in &sent[1..] {
        assert_eq!(
            world.out_bytes(RED, &mut part.clone()),
            Err(NatDrop::Fragment)
        );
    }
}

#[test]
fn fragments_of_a_network_without_masquerade_pass_in_every_order() {
    let world = World::new();
    let sent: Vec<_> = parts(A, X).into_iter().rev().collect();
    assert_eq!(send(&world, PLAIN, &sent), sent);
}

#[test]
fn fragments_of_a_server_without_masquerade_are_translated() {
    let server = "10.0.0.2:53";
    let mut one = published(PortProtocol::Udp, "192.0.2.1:53", server);
    one.network = PLAIN;
    let world = World::with_published(vec![one]);
    world.inward(&udp(X, "192.0.2.1:53")).unwrap();
    let left = send(&world, PLAIN, &parts(server, X));
    assert_eq!(left, parts("192.0.2.1:53", X));
    // What it sends besides needs no translation, and waits only for its first part.
    let sent: Vec<_> = parts("10.0.0.2:54", Y).into_iter().rev().collect();
    assert_eq!(sorted(send(&world, PLAIN, &sent)), sorted(sent));
}

/// RFC 7857 §10: "A NAT SHOULD handle the Identification field of translated IPv4 packets as specified in Section 5.3.1
/// of RFC 6864".
#[test]
fn rfc7857_10_fragments_of_two_sandboxes_to_one_host_have_two_identifications() {
    let world = World::new();
    let mut seen = BTreeSet::new();
    for src in [A, B, A, B] {
        let left = send_as_is(&world, RED, &parts(src, X));
        let ids: BTreeSet<u16> = left.iter().map(|part| id_of(part)).collect();
        assert_eq!((left.len(), ids.len()), (3, 1));
        seen.extend(ids);
    }
    assert_eq!(seen.len(), 4);
    // So do whole packets that a router may cut later.
    let mut whole = udp(A, X).frame();
    world.out_bytes(RED, &mut whole).unwrap();
    assert!(seen.insert(id_of(&whole)));
}

#[test]
fn rfc6864_4_1_an_atomic_packet_keeps_its_identification() {
    let world = World::new();
    let mut whole = udp(A, X).frame();
    whole[20] = 0x40;
    fill_header_checksum(&mut whole[14..34]);
    world.out_bytes(RED, &mut whole).unwrap();
    assert_eq!(id_of(&whole), SENT_ID);
    // What comes in is numbered by its sender.
    let external = world.external(&udp(A, X));
    let mut answer = udp(X, external).frame();
    world.in_bytes(&mut answer).unwrap();
    assert_eq!(id_of(&answer), SENT_ID);
}

#[test]
fn a_super_frame_takes_an_identification_for_each_of_its_segments() {
    let world = World::new();
    let id_after = |size: Option<u16>| {
        let mut bytes = spec(A, X).frame();
        let parsed = ParsedFrame::parse(&bytes).unwrap();
        let gso = size.map(|size| Gso {
            kind: GsoKind::Udp,
            ecn: false,
            size,
            header_len_hint: 42,
        });
        let checksum = ChecksumOffload::Partial {
            start: 34,
            offset: 6,
        };
        let offload = gso.map_or(Offload::NONE, |gso| Offload {
            checksum,
            gso: Some(gso),
        });
        let mut frame = Frame::new(&mut bytes, 0, offload);
        let nothing = &mut |_: &mut Frame<'_>, _| panic!("nothing was held");
        let pass = world.pass();
        world
            .nat
            .translate_out(&pass, RED, &mut frame, &parsed, nothing)
            .unwrap();
        id_of(&bytes)
    };
    // 3,001 bytes of payload and eight of the header.
    let first = id_after(Some(100));
    assert_eq!(id_after(None), first.wrapping_add(31));
}
