//! UDP: filtering and timers (RFC 4787 §4.3, §5).

use core::time::Duration;

use super::world::*;
use crate::*;

/// RFC 4787 REQ-8: "Endpoint-Independent Filtering" is recommended where application transparency is
/// most important.
#[test]
fn rfc4787_req_8_strangers_reach_a_port_that_has_a_mapping() {
    let world = World::new();
    let external = world.external(&udp(A, X));
    for stranger in [X, Y, "203.0.113.7:7"] {
        assert_eq!(world.arrival(&udp(stranger, external)), Ok(socket(A)));
    }
    let mut elsewhere = external;
    elsewhere.set_port(external.port() ^ 1);
    assert_eq!(world.inward(&udp(X, elsewhere)), Err(NatDrop::NoMapping));
}

/// RFC 4787 §4.3 and RFC 7857 §7: who was never spoken to neither keeps a mapping nor fills the table.
#[test]
fn rfc7857_7_strangers_do_not_prolong_a_mapping() {
    let mut world = World::new();
    let external = world.external(&udp(A, X));
    let before = world.nat.len();
    for _ in 0..12 {
        world.wait(Duration::from_secs(10));
        assert_eq!(world.arrival(&udp(Y, external)), Ok(socket(A)));
    }
    assert_eq!(world.nat.len(), before);
    world.wait(Duration::from_secs(5));
    world.sweep();
    assert_eq!(world.inward(&udp(Y, external)), Err(NatDrop::NoMapping));
}

/// RFC 4787 REQ-5: "A NAT UDP mapping timer MUST NOT expire in less than two minutes." (c): "A default
/// value of five minutes or more is RECOMMENDED."
#[test]
fn rfc4787_req_5_a_mapping_lives_two_minutes_and_five_in_use() {
    let mut world = World::new();
    let external = world.external(&udp(A, X));
    world.wait(Duration::from_mins(2));
    world.sweep();
    assert_eq!(world.arrival(&udp(X, external)), Ok(socket(A)));
    world.external(&udp(A, X));
    world.wait(Duration::from_mins(5));
    world.sweep();
    assert_eq!(world.arrival(&udp(X, external)), Ok(socket(A)));
    world.wait(Duration::from_secs(302));
    world.sweep();
    assert_eq!(world.inward(&udp(X, external)), Err(NatDrop::NoMapping));
    assert!(world.nat.is_empty());
}

/// RFC 4787 REQ-6: "NAT Outbound refresh behavior" of "True"; (a) inbound as well, of the flow's own
/// other end.
#[test]
fn rfc4787_req_6_packets_of_both_directions_prolong_a_flow() {
    let mut world = World::new();
    let external = world.external(&udp(A, X));
    for _ in 0..5 {
        world.wait(Duration::from_secs(100));
        assert_eq!(world.external(&udp(A, X)), external);
    }
    for _ in 0..5 {
        world.wait(Duration::from_secs(100));
        assert_eq!(world.arrival(&udp(X, external)), Ok(socket(A)));
    }
}

/// RFC 4787 §4.3: the mapping's timer is that of whichever of its flows lives longest.
#[test]
fn a_mapping_lives_as_long_as_its_last_flow() {
    let mut world = World::new();
    let external = world.external(&udp(A, X));
    world.wait(Duration::from_secs(100));
    world.external(&udp(A, Y));
    world.wait(Duration::from_secs(100));
    world.sweep();
    assert_eq!(world.flows().len(), 1);
    assert_eq!(world.external(&udp(A, "203.0.113.9:9")), external);
}

#[test]
fn packets_and_bytes_are_counted_in_both_directions() {
    let world = World::new();
    let external = world.external(&udp(A, X));
    world.external(&udp(A, X));
    world.arrival(&udp(X, external)).unwrap();
    world.arrival(&udp(Y, external)).unwrap();
    let [flow] = &world.flows()[..] else { panic!() };
    // Each has 20 + 8 + 4 bytes.
    assert_eq!((flow.original_packets, flow.original_bytes), (2, 64));
    assert_eq!((flow.reply_packets, flow.reply_bytes), (1, 32));
    assert_eq!(flow.kind, FlowKind::Masqueraded);
    assert_eq!(flow.state, FlowState::Replied);
    assert_eq!((flow.opened_in, flow.answered_in), (Some(RED), None));
    assert_eq!(flow.original.to_string(), "10.0.0.2:4000 > 198.51.100.1:80");
    assert_eq!(flow.reply.dst, external);
    assert_eq!(world.nat.stats().translated, 4);
    assert_eq!(world.nat.stats().flows_added, 1);
    let mut flows = world.nat.flows(world.now, FlowFilter::default());
    let mapping = flows.find(|flow| flow.kind == FlowKind::Mapping);
    // That of the stranger.
    assert_eq!(mapping.unwrap().reply_packets, 1);
}
