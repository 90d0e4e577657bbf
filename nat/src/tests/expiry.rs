//! How flows end by request.

use tapweave_net::IpProtocol;

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
