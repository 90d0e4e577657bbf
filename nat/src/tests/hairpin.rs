//! Hairpins: from a sandbox to a sandbox by an external address (RFC 4787 §6, RFC 5382 §7.2).

use tapweave_net::TcpFlags;

use super::world::*;
use crate::*;

const SERVER: &str = "10.0.0.9:53";
const HOST: &str = "192.0.2.1:6004";

fn inside(network: tapweave_net::NetworkNo, dst: &str) -> Out {
    let dst = socket(dst).ip();
    Out::Hairpin { network, dst }
}

/// RFC 4787 REQ-9: "A NAT MUST support 'Hairpinning'." (a): "A NAT Hairpinning behavior MUST be 'External
/// source IP address and port'."
#[test]
fn rfc4787_req_9_sandboxes_reach_each_other_by_their_external_ends() {
    let world = World::new();
    let [a, b] = [A, B].map(|src| world.external(&udp(src, X)));
    let (verdict, ends) = world.out(RED, &udp(A, b)).unwrap();
    assert_eq!(verdict, inside(RED, B));
    assert_eq!((to_socket(ends.src), to_socket(ends.dst)), (a, socket(B)));
    let (verdict, ends) = world.out(RED, &udp(B, a)).unwrap();
    assert_eq!(verdict, inside(RED, A));
    assert_eq!((to_socket(ends.src), to_socket(ends.dst)), (b, socket(A)));
    let hairpins = world.flows();
    let hairpins = hairpins
        .iter()
        .filter(|flow| flow.kind == FlowKind::Hairpin);
    assert_eq!(hairpins.count(), 1);
}

/// RFC 5382 REQ-8: "A NAT MUST support 'hairpinning' for TCP."
#[test]
fn rfc5382_req_8_a_connection_goes_through_a_hairpin() {
    let world = World::new();
    let b = world.external(&tcp(B, X, syn(1)));
    let (verdict, ends) = world.out(RED, &tcp(A, b, syn(100))).unwrap();
    assert_eq!(verdict, inside(RED, B));
    let a = to_socket(ends.src);
    let answer = Segment::new(TcpFlags::SYN | TcpFlags::ACK, 500, 101, 0);
    let (verdict, ends) = world.out(RED, &tcp(B, a, answer)).unwrap();
    assert_eq!(verdict, inside(RED, A));
    assert_eq!(to_socket(ends.src), b);
    world
        .out(RED, &tcp(A, b, Segment::new(TcpFlags::ACK, 101, 501, 0)))
        .unwrap();
    let flows = world.flows();
    let flow = flows.iter().find(|flow| flow.kind == FlowKind::Hairpin);
    assert_eq!(flow.unwrap().state, FlowState::Tcp(TcpState::Established));
}

/// A client that has no mapping yet gets one.
#[test]
fn a_published_port_is_reached_from_its_own_network() {
    let world = World::with_published(vec![published(PortProtocol::Udp, HOST, SERVER)]);
    let (verdict, ends) = world.out(RED, &udp(A, HOST)).unwrap();
    assert_eq!(verdict, inside(RED, SERVER));
    let a = to_socket(ends.src);
    assert!(world.rules.is_external(a.ip()));
    let (verdict, ends) = world.out(RED, &udp(SERVER, a)).unwrap();
    assert_eq!(verdict, inside(RED, A));
    assert_eq!(to_socket(ends.src), socket(HOST));
    // The same external end as for anybody else.
    assert_eq!(world.external(&udp(A, X)), a);
}

#[test]
fn a_published_port_is_reached_from_another_network_with_an_external_source() {
    let world = World::with_published(vec![published(PortProtocol::Udp, HOST, SERVER)]);
    for network in [BLUE, PLAIN] {
        let (verdict, ends) = world.out(network, &udp(A, HOST)).unwrap();
        assert_eq!(verdict, inside(RED, SERVER));
        let a = to_socket(ends.src);
        assert!(world.rules.is_external(a.ip()));
        let (verdict, ends) = world.out(RED, &udp(SERVER, a)).unwrap();
        assert_eq!(verdict, inside(network, A));
        assert_eq!(to_socket(ends.src), socket(HOST));
    }
}

#[test]
fn a_server_reaches_itself_by_its_published_port() {
    let world = World::with_published(vec![published(PortProtocol::Udp, HOST, SERVER)]);
    let (verdict, ends) = world.out(RED, &udp("10.0.0.9:7777", HOST)).unwrap();
    assert_eq!(verdict, inside(RED, SERVER));
    let external = to_socket(ends.src);
    let (verdict, ends) = world.out(RED, &udp(SERVER, external)).unwrap();
    assert_eq!(verdict, inside(RED, "10.0.0.9:7777"));
    assert_eq!(to_socket(ends.src), socket(HOST));
}

/// Both directions of such a flow are the same; it needs no record.
#[test]
fn a_port_reaches_itself_by_its_own_external_end() {
    let world = World::with_published(vec![published(PortProtocol::Udp, HOST, SERVER)]);
    let (verdict, ends) = world.out(RED, &udp(SERVER, HOST)).unwrap();
    assert_eq!(verdict, inside(RED, SERVER));
    assert_eq!(to_socket(ends.src), socket(HOST));
    assert!(world.nat.is_empty());
    let a = world.external(&udp(A, X));
    let before = world.nat.len();
    let (verdict, ends) = world.out(RED, &udp(A, a)).unwrap();
    assert_eq!(verdict, inside(RED, A));
    assert_eq!(to_socket(ends.src), a);
    assert_eq!(world.nat.len(), before);
    world.nat.flush(&FlowFilter::default());
    assert!(world.nat.is_empty());
}

#[test]
fn an_external_port_that_leads_nowhere_is_no_way_out() {
    let world = World::new();
    let packet = udp(A, "192.0.2.2:9999");
    assert_eq!(world.out(RED, &packet), Err(NatDrop::NoMapping));
    assert!(world.nat.is_empty());
}

/// Either end may be the first, and both at once.
#[test]
fn the_mapping_of_a_hairpin_lives_with_it() {
    let mut world = World::new();
    let [a, b] = [A, B].map(|src| world.external(&udp(src, X)));
    world.out(RED, &udp(A, b)).unwrap();
    for _ in 0..4 {
        world.wait(core::time::Duration::from_secs(100));
        world.sweep();
        world.out(RED, &udp(B, a)).unwrap();
        world.out(RED, &udp(A, b)).unwrap();
    }
    // The flows to the outside have ended, both mappings have not.
    assert_eq!(world.flows().len(), 1);
    assert_eq!([A, B].map(|src| world.external(&udp(src, X))), [a, b]);
}
