//! How flows end by request, and how they outlive a restart.

use core::time::Duration;

use tapweave_net::{IpProtocol, NetworkNo, Timestamp};

use super::world::*;
use crate::*;

#[test]
fn a_filter_says_which_flows_are_listed_and_flushed() {
    let world = World::new();
    world.external(&udp(A, X));
    world.external(&tcp(A, X, syn(1)));
    world.out(BLUE, &udp(A, X)).unwrap();
    world.out(BLUE, &udp(B, Y)).unwrap();
    let count = |filter| {
        let flows = world.nat.flows(world.now, filter);
        let is_flow = |flow: &FlowEntry| flow.kind != FlowKind::Mapping;
        flows.filter(is_flow).count()
    };
    let all = FlowFilter::default();
    let blue = FlowFilter {
        network: Some(BLUE),
        ..all
    };
    let udp = FlowFilter {
        protocol: Some(IpProtocol::UDP),
        ..all
    };
    let y = FlowFilter {
        address: Some(socket(Y).ip()),
        ..all
    };
    assert_eq!([all, blue, udp, y].map(count), [4, 2, 3, 1]);
    assert_eq!(world.nat.flush(&y), 1);
    assert_eq!([all, blue, udp, y].map(count), [3, 1, 2, 0]);
    assert_eq!(world.nat.flush(&blue), 1);
    assert_eq!(world.nat.flush(&all), 2);
    assert!(world.nat.is_empty());
}

#[test]
fn what_the_rules_would_not_make_any_more_is_retired() {
    let server = published(PortProtocol::Udp, "192.0.2.1:53", "10.0.0.9:53");
    let mut world = World::with_published(vec![server]);
    let external = world.external(&udp(A, X));
    world.out(BLUE, &udp(A, X)).unwrap();
    world.arrival(&udp(X, "192.0.2.1:53")).unwrap();
    world.out(RED, &udp(B, "192.0.2.1:53")).unwrap();
    assert_eq!(world.nat.retire(&world.rules), 0);
    // The published port is gone, and with it the hairpin.
    world.rules = NatRules::new(&rules_config()).unwrap();
    assert_eq!(world.nat.retire(&world.rules), 2);
    // A network is gone.
    let mut rules = rules_config();
    rules.networks.retain(|rules| rules.network != BLUE);
    assert_eq!(world.nat.retire(&NatRules::new(&rules).unwrap()), 1);
    // An address is gone.
    rules.external.retain(|address| *address != external.ip());
    world.rules = NatRules::new(&rules).unwrap();
    assert_eq!(world.nat.retire(&world.rules), 1);
    assert!(world.nat.is_empty());
    assert_ne!(world.external(&udp(A, X)).ip(), external.ip());
}

#[test]
fn flows_and_their_ports_outlive_a_restart() {
    let list = vec![published(PortProtocol::Udp, "192.0.2.1:53", "10.0.0.9:53")];
    let mut old = World::with_published(list.clone());
    let external = old.external(&udp(A, X));
    old.external(&udp(A, Y));
    old.arrival(&udp(X, "192.0.2.1:53")).unwrap();
    old.out(RED, &udp(B, "192.0.2.1:53")).unwrap();
    old.wait(Duration::from_secs(100));
    let snapshot = old.nat.snapshot(old.now);
    // Another clock, another seed, other numbers of networks.
    let mut new = World::with_published(list);
    new.now = Timestamp::from_secs(7);
    new.nat = Nat::new(NatConfig {
        seed: 99,
        ..config()
    });
    let renumber = |old: NetworkNo| (old == RED).then_some(RED);
    assert_eq!(new.nat.restore(&snapshot, new.now, renumber), 4);
    assert_eq!(new.flows().len(), 4);
    let ends = |world: &World| -> Vec<_> {
        let flows = world.flows();
        flows
            .iter()
            .map(|flow| (flow.original, flow.reply))
            .collect()
    };
    assert_eq!(ends(&new), ends(&old));
    assert_eq!(new.external(&udp(A, "203.0.113.3:3")), external);
    assert_eq!(new.arrival(&udp(Y, external)), Ok(socket(A)));
    // As much time is left as there was.
    new.wait(Duration::from_secs(22));
    new.sweep();
    assert_eq!(new.flows().len(), 2);
    new.wait(Duration::from_mins(6));
    new.sweep();
    assert!(new.nat.is_empty());
}

#[test]
fn flows_of_networks_that_are_gone_are_not_restored() {
    let old = World::new();
    old.external(&udp(A, X));
    old.out(BLUE, &udp(B, X)).unwrap();
    let snapshot = old.nat.snapshot(old.now);
    let new = World::new();
    let renumber = |old: NetworkNo| (old == BLUE).then_some(RED);
    assert_eq!(new.nat.restore(&snapshot, new.now, renumber), 1);
    assert_eq!(new.flows()[0].opened_in, Some(RED));
    new.nat.flush(&FlowFilter::default());
    assert!(new.nat.is_empty());
}
