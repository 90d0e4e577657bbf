//! Published ports: static destination NAT.

use core::time::Duration;

use tapweave_net::TcpFlags;

use super::world::*;
use crate::*;

const SERVER: &str = "10.0.0.9:53";
const HOST: &str = "192.0.2.1:6004";

fn world() -> World {
    World::with_published(vec![
        published(PortProtocol::Udp, HOST, SERVER),
        published(PortProtocol::Tcp, "0.0.0.0:80", "10.0.0.9:8080"),
        published(PortProtocol::Tcp, "[2001:db8::1]:80", "[fd00::9]:8080"),
    ])
}

#[test]
fn a_client_reaches_the_server_and_keeps_its_address() {
    let world = world();
    assert_eq!(world.arrival(&udp(X, HOST)), Ok(socket(SERVER)));
    assert_eq!(world.external(&udp(SERVER, X)), socket(HOST));
    let [flow] = &world.flows()[..] else { panic!() };
    assert_eq!(flow.kind, FlowKind::Published);
    assert_eq!((flow.opened_in, flow.answered_in), (None, Some(RED)));
    assert_eq!(flow.state, FlowState::Replied);
}

#[test]
fn a_port_that_is_not_bound_leads_inside_from_every_address_of_its_family() {
    let world = world();
    for host in ["192.0.2.1:80", "192.0.2.2:80"] {
        let arrival = world.arrival(&tcp(X, host, syn(1)));
        assert_eq!(arrival, Ok(socket("10.0.0.9:8080")));
        let answer = Segment::new(TcpFlags::SYN | TcpFlags::ACK, 9, 2, 0);
        assert_eq!(
            world.external(&tcp("10.0.0.9:8080", X, answer)),
            socket(host)
        );
        world.nat.flush(&FlowFilter::default());
    }
    let v6 = tcp("[2001:db8:ffff::1]:9", "[2001:db8::1]:80", syn(1));
    assert_eq!(world.arrival(&v6), Ok(socket("[fd00::9]:8080")));
    let other = tcp("[2001:db8:ffff::1]:9", "[2001:db8::2]:80", syn(1));
    assert_eq!(world.inward(&other), Err(NatDrop::NoMapping));
    assert_eq!(
        world.inward(&udp(X, "192.0.2.1:80")),
        Err(NatDrop::NoMapping)
    );
}

#[test]
fn one_client_may_use_two_published_ports_of_one_server_port() {
    let world = World::with_published(vec![
        published(PortProtocol::Udp, HOST, SERVER),
        published(PortProtocol::Udp, "192.0.2.1:6005", SERVER),
    ]);
    assert_eq!(world.arrival(&udp(X, HOST)), Ok(socket(SERVER)));
    // The server could not tell the two flows of this client apart.
    let second = udp(X, "192.0.2.1:6005");
    world.arrival(&second).unwrap();
    assert_eq!(world.external(&udp(SERVER, X)), socket("192.0.2.1:6005"));
    assert_eq!(world.arrival(&udp(Y, HOST)), Ok(socket(SERVER)));
    assert_eq!(world.external(&udp(SERVER, Y)), socket(HOST));
}

#[test]
fn what_the_server_opens_from_its_port_leaves_through_the_published_port() {
    let mut world = world();
    assert_eq!(world.external(&udp(SERVER, Y)), socket(HOST));
    assert_eq!(world.mapping_count(), 0);
    assert_eq!(world.arrival(&udp(Y, HOST)), Ok(socket(SERVER)));
    world.wait(Duration::from_hours(1));
    world.sweep();
    assert!(world.nat.is_empty());
    let external = world.external(&tcp("10.0.0.9:8080", X, syn(1)));
    assert_eq!(external.port(), 80);
    assert!(world.rules.is_external(external.ip()));
}

#[test]
fn a_published_port_wins_over_a_mapping_of_the_same_port() {
    let mut world = World::new();
    let external = world.external(&udp(A, X));
    let rules = RulesConfig {
        published: vec![published(PortProtocol::Udp, &external.to_string(), SERVER)],
        ..rules_config()
    };
    world.rules = NatRules::new(&rules).unwrap();
    // What is there goes on, what is new goes to the server.
    assert_eq!(world.arrival(&udp(X, external)), Ok(socket(A)));
    assert_eq!(world.arrival(&udp(Y, external)), Ok(socket(SERVER)));
    assert_eq!(world.nat.retire(&world.rules), 1);
    assert_eq!(world.arrival(&udp(X, external)), Ok(socket(SERVER)));
    assert_ne!(world.external(&udp(A, X)), external);
}

#[test]
fn a_range_leads_to_a_range() {
    let world = World::with_published(vec![Published {
        host_ports: 9000..=9009,
        ..published(PortProtocol::Udp, "0.0.0.0:9000", "10.0.0.9:7000")
    }]);
    for n in 0..10 {
        let arrival = world.arrival(&udp(X, format!("192.0.2.2:{}", 9000 + n)));
        assert_eq!(arrival, Ok(socket(&format!("10.0.0.9:{}", 7000 + n))));
    }
    world.inward(&udp(X, "192.0.2.2:9010")).unwrap_err();
}
