//! Mappings and their external ports (RFC 4787 §4, RFC 5382 §4.1).

use core::time::Duration;
use std::collections::BTreeSet;

use super::world::*;
use crate::*;

/// RFC 4787 REQ-1: "A NAT MUST have an 'Endpoint-Independent Mapping' behavior."
#[test]
fn rfc4787_req_1_one_port_has_one_external_port_whoever_it_sends_to() {
    let world = World::new();
    let first = world.external(&udp(A, X));
    for dst in [Y, "198.51.100.1:9", "203.0.113.9:80"] {
        assert_eq!(world.external(&udp(A, dst)), first);
    }
    assert_eq!(world.mapping_count(), 1);
    assert_ne!(world.external(&udp("10.0.0.2:4001", X)), first);
    assert_ne!(world.external(&udp(B, X)), first);
}

/// RFC 5382 REQ-1: the same for TCP.
#[test]
fn rfc5382_req_1_one_port_has_one_external_port_whoever_it_connects_to() {
    let world = World::new();
    let first = world.external(&tcp(A, X, syn(1)));
    assert_eq!(world.external(&tcp(A, Y, syn(1))), first);
    assert_ne!(world.external(&tcp(B, X, syn(1))), first);
}

/// RFC 7857 §5 and §6: mapping and filtering depend on the protocol.
#[test]
fn rfc7857_5_a_mapping_is_of_one_protocol() {
    let world = World::new();
    let external = world.external(&udp(A, X));
    assert_eq!(
        world.inward(&tcp(Y, external, syn(1))),
        Err(NatDrop::NoMapping)
    );
    world.external(&tcp(A, X, syn(1)));
    assert_eq!(world.mapping_count(), 2);
}

/// RFC 4787 REQ-2: "It is RECOMMENDED that a NAT have an 'IP address pooling' behavior of 'Paired'."
#[test]
fn rfc4787_req_2_a_sandbox_keeps_to_one_external_address() {
    let world = World::new();
    let mut pool = BTreeSet::new();
    for host in 2..40 {
        let external = |port: u16, protocol: What| {
            let packet = sent(protocol, format!("10.0.0.{host}:{port}"), X);
            world.external(&packet).ip()
        };
        let address = external(1000, What::Udp);
        for port in 1001..1010 {
            assert_eq!(external(port, What::Udp), address);
            assert_eq!(external(port, What::Tcp(syn(1))), address);
        }
        pool.insert(address);
    }
    assert_eq!(pool.len(), 2);
}

/// RFC 4787 REQ-3: "A NAT MUST NOT have a 'Port assignment' behavior of 'Port overloading'." RFC 5382
/// REQ-7: the same for TCP.
#[test]
fn rfc4787_req_3_no_two_ports_have_one_external_port() {
    let rules = RulesConfig {
        external: vec![EXTERNAL[0].parse().unwrap()],
        ports: 5000..=5099,
        ..rules_config()
    };
    let world = World::of(config(), &rules);
    let ports: BTreeSet<u16> = (0..100)
        .map(|n| {
            // Each to another destination, so that overloading would do.
            let dst = format!("198.51.100.{n}:80");
            world
                .external(&udp(format!("10.0.0.2:{}", 2000 + n), dst))
                .port()
        })
        .collect();
    assert_eq!(ports, (5000..=5099).collect());
    let more = udp("10.0.0.2:3000", Y);
    assert_eq!(world.out(RED, &more), Err(NatDrop::PortsExhausted));
    assert_eq!(world.nat.stats().dropped(NatDrop::PortsExhausted), 1);
    // TCP has ports of its own.
    world.out(RED, &tcp("10.0.0.2:3000", Y, syn(1))).unwrap();
}

/// RFC 4787 REQ-3 (a): ports of 0 to 1023 stay there, and so do the others.
#[test]
fn rfc4787_req_3_a_the_range_of_a_port_is_kept() {
    let world = World::new();
    for port in [1, 512, 1023] {
        let external = world.external(&udp(format!("10.0.0.2:{port}"), X));
        assert!((1..1024).contains(&external.port()), "{external}");
    }
    for port in [1024, 65535] {
        let external = world.external(&udp(format!("10.0.0.2:{port}"), X));
        assert!(external.port() >= 1024, "{external}");
    }
}

/// RFC 4787 REQ-4: "It is RECOMMENDED that a NAT have a 'Port parity preservation' behavior of 'Yes'."
#[test]
fn rfc4787_req_4_the_parity_of_a_port_is_kept() {
    let world = World::new();
    for port in 4000..4100 {
        let external = world.external(&udp(format!("10.0.0.2:{port}"), X));
        assert_eq!(external.port() & 1, port & 1);
    }
}

/// RFC 6056 §3.1: the port of a mapping cannot be told from those before it.
#[test]
fn rfc6056_ports_follow_no_order_and_differ_from_secret_to_secret() {
    let ports = |seed| -> Vec<u16> {
        let world = World::of(NatConfig { seed, ..config() }, &rules_config());
        let one = |port| world.external(&udp(format!("10.0.0.2:{port}"), X)).port();
        (4000..4020).map(one).collect()
    };
    let (one, other) = (ports(1), ports(2));
    assert_ne!(one, other);
    let ascending = one.windows(2).filter(|pair| pair[1] == pair[0] + 1);
    assert!(ascending.count() < 3);
}

/// A mapping is made anew with another port once it has ended.
#[test]
fn rfc6056_a_port_is_not_used_again_at_once() {
    let mut world = World::new();
    let first = world.external(&udp(A, X));
    world.wait(Duration::from_secs(301));
    world.sweep();
    assert!(world.nat.is_empty());
    assert_ne!(world.external(&udp(A, X)), first);
}

#[test]
fn mappings_never_take_published_or_reserved_ports() {
    let rules = RulesConfig {
        external: vec![EXTERNAL[0].parse().unwrap()],
        ports: 6000..=6019,
        published: vec![published(
            PortProtocol::Udp,
            "192.0.2.1:6004",
            "10.0.0.9:53",
        )],
        reserved: vec![Reserved {
            protocol: PortProtocol::Udp,
            ports: 6010..=6014,
        }],
        ..rules_config()
    };
    let world = World::of(config(), &rules);
    let ports: BTreeSet<u16> = (0..14)
        .map(|n| {
            world
                .external(&udp(format!("10.0.0.2:{}", 2000 + n), X))
                .port()
        })
        .collect();
    let taken = |port: &u16| *port == 6004 || (6010..=6014).contains(port);
    assert_eq!(ports.len(), 14);
    assert!(!ports.iter().any(taken));
    assert_eq!(world.out(RED, &udp(A, X)), Err(NatDrop::PortsExhausted));
}

/// The table has 1,000 places, so there is room; the ports are what is short.
#[test]
fn an_exhausted_address_takes_ports_back_from_what_was_never_answered() {
    let rules = RulesConfig {
        external: vec![EXTERNAL[0].parse().unwrap()],
        ports: 7000..=7009,
        ..rules_config()
    };
    let mut world = World::of(config(), &rules);
    for n in 0..10 {
        world.external(&tcp(format!("10.0.0.2:{}", 2000 + n), X, syn(1)));
    }
    let other = tcp(B, X, syn(1));
    assert_eq!(world.out(RED, &other), Err(NatDrop::PortsExhausted));
    // The mappings are old enough to give way, and the search is not short any more.
    world.wait(Duration::from_secs(2));
    world.external(&other);
    assert_eq!(world.nat.stats().mappings_yielded, 1);
}

#[test]
fn an_exhausted_address_keeps_the_ports_of_established_connections() {
    let rules = RulesConfig {
        external: vec![EXTERNAL[0].parse().unwrap()],
        ports: 7000..=7003,
        ..rules_config()
    };
    let mut world = World::of(config(), &rules);
    for n in 0..4 {
        let src = format!("10.0.0.2:{}", 2000 + n);
        let external = world.external(&udp(&src, X));
        world.arrival(&udp(X, external)).unwrap();
        world.external(&udp(&src, X));
    }
    world.wait(Duration::from_secs(100));
    assert_eq!(world.out(RED, &udp(B, X)), Err(NatDrop::PortsExhausted));
    assert_eq!(world.flows().len(), 4);
}

#[test]
fn both_families_are_translated_alike() {
    let world = World::new();
    let external = world.external(&udp("[fd00::2]:4000", "[2001:db8:ffff::1]:80"));
    assert!(world.rules.is_external(external.ip()));
    assert_eq!(
        world.arrival(&udp("[2001:db8:ffff::1]:80", external)),
        Ok(socket("[fd00::2]:4000"))
    );
    let other = world.external(&udp("[fd00::2]:4000", "[2001:db8:ffff::2]:9"));
    assert_eq!(other, external);
}

#[test]
fn without_an_external_address_of_the_family_nothing_leaves() {
    let rules = RulesConfig {
        external: vec![EXTERNAL[0].parse().unwrap()],
        ..rules_config()
    };
    let world = World::of(config(), &rules);
    let packet = udp("[fd00::2]:4000", "[2001:db8:ffff::1]:80");
    assert_eq!(world.out(RED, &packet), Err(NatDrop::NoExternalAddress));
    assert_eq!(
        world.out(tapweave_net::NetworkNo(9), &udp(A, X)),
        Err(NatDrop::NoExternalAddress)
    );
    assert!(world.nat.is_empty());
}

#[test]
fn networks_with_the_same_addresses_are_kept_apart() {
    let world = World::new();
    let red = world.external(&udp(A, X));
    let (verdict, blue) = world.out(BLUE, &udp(A, X)).unwrap();
    assert_eq!(verdict, Out::ToUplink);
    assert_ne!(to_socket(blue.src), red);
    let (verdict, _) = world.inward(&udp(X, to_socket(blue.src))).unwrap();
    let dst = socket(A).ip();
    assert_eq!(verdict, In::To { network: BLUE, dst });
}

/// Mappings stand in the table under keys with the unspecified address for a remote.
#[test]
fn a_packet_with_the_key_of_a_mapping_does_not_pass_for_its_flow() {
    let world = World::new();
    for (inside, remote, nowhere) in [
        (A, X, "0.0.0.0:0"),
        ("[fd00::2]:4000", "[2001:db8:ffff::1]:80", "[::]:0"),
    ] {
        let external = world.external(&udp(inside, remote));
        let refused = world.out(RED, &udp(inside, nowhere));
        assert_eq!(refused, Err(NatDrop::Malformed));
        let refused = world.inward(&udp(nowhere, external));
        assert_eq!(refused, Err(NatDrop::Malformed));
        assert_eq!(world.nat.flush(&FlowFilter::default()), 1);
        assert!(world.nat.is_empty());
    }
}
