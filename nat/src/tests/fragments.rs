//! Fragments through the whole translation (RFC 4787 REQ-14).

use tapweave_net::{Frame, NetworkNo, Offload, ParsedFrame};

use super::world::*;
use crate::packet::Ends;
use crate::packet::tests::build::{Kind, Spec, cut};
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

/// Sends parts out of a network in this order, and returns what leaves, in the order in which it does.
fn send(world: &World, network: NetworkNo, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
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
