//! What a sandbox may have, and what a sandbox that takes all it can does to others.

use core::num::NonZeroU32;
use core::time::Duration;

use tapweave_net::TcpFlags;

use super::world::*;
use crate::*;

fn limited(limits: Limits) -> World {
    let config = NatConfig { limits, ..config() };
    World::of(config, &rules_config())
}

fn from(port: u16) -> Sent {
    udp(format!("10.0.0.2:{port}"), X)
}

#[test]
fn a_sandbox_may_have_as_many_flows_as_its_limit_says() {
    let mut world = limited(Limits {
        flows: NonZeroU32::new(10),
        ..Limits::default()
    });
    for port in 4000..4010 {
        world.external(&from(port));
    }
    assert_eq!(world.out(RED, &from(4010)), Err(NatDrop::FlowLimit));
    // What is there goes on; others are not concerned, nor is the same address in another network.
    world.external(&from(4003));
    world.external(&udp(B, X));
    world.out(BLUE, &from(4010)).unwrap();
    assert_eq!(world.nat.stats().dropped(NatDrop::FlowLimit), 1);
    // Flows that have ended count no longer.
    world.wait(Duration::from_mins(10));
    world.sweep();
    for port in 4010..4020 {
        world.external(&from(port));
    }
    world.wait(Duration::from_mins(10));
    world.sweep();
    world.sweep();
    assert!(world.nat.is_empty(), "{:?}", world.nat);
}

#[test]
fn a_sandbox_may_have_limits_of_its_own() {
    let limit = |network, address: &str, flows| Limited {
        network,
        address: address.parse().unwrap(),
        limits: Limits {
            flows: NonZeroU32::new(flows),
            ..Limits::default()
        },
    };
    let rules = RulesConfig {
        limited: vec![limit(RED, "10.0.0.2", 1), limit(BLUE, "10.0.0.2", 3)],
        ..rules_config()
    };
    let config = NatConfig {
        limits: Limits {
            flows: NonZeroU32::new(2),
            ..Limits::default()
        },
        ..config()
    };
    let world = World::of(config, &rules);
    let count = |network, host: &str| {
        let ports = 4000..4010;
        let sent = ports.map(|port| udp(format!("{host}:{port}"), X));
        sent.filter(|sent| world.out(network, sent).is_ok()).count()
    };
    assert_eq!(count(RED, "10.0.0.2"), 1);
    assert_eq!(count(BLUE, "10.0.0.2"), 3);
    assert_eq!(count(RED, "10.0.0.3"), 2);
}

#[test]
fn flows_that_are_flushed_count_no_longer() {
    let world = limited(Limits {
        flows: NonZeroU32::new(2),
        ..Limits::default()
    });
    for round in 0..5 {
        world.external(&from(4000 + 2 * round));
        world.external(&from(4001 + 2 * round));
        assert_eq!(world.out(RED, &from(5000)), Err(NatDrop::FlowLimit));
        assert_eq!(world.nat.flush(&FlowFilter::default()), 2);
    }
}

#[test]
fn a_sandbox_may_open_flows_as_fast_as_its_rate_says() {
    let mut world = limited(Limits {
        new_flows_per_second: NonZeroU32::new(4),
        ..Limits::default()
    });
    let mut port = 4000;
    let mut open = |world: &World| {
        port += 1;
        world.out(RED, &from(port)).map(|_| ())
    };
    for _ in 0..4 {
        assert_eq!(open(&world), Ok(()));
    }
    assert_eq!(open(&world), Err(NatDrop::FlowRate));
    world.wait(Duration::from_millis(250));
    assert_eq!(open(&world), Ok(()));
    assert_eq!(open(&world), Err(NatDrop::FlowRate));
    world.wait(Duration::from_secs(10));
    for _ in 0..4 {
        assert_eq!(open(&world), Ok(()));
    }
    assert_eq!(open(&world), Err(NatDrop::FlowRate));
    assert_eq!(world.flows().len(), 9);
}

/// A connection that is opened anew in the place of an old one costs as much as a new one.
#[test]
fn reopened_connections_count_against_the_rate() {
    let world = limited(Limits {
        new_flows_per_second: NonZeroU32::new(2),
        ..Limits::default()
    });
    let external = world.external(&tcp(A, X, syn(100)));
    let refuse = Segment::new(TcpFlags::RST | TcpFlags::ACK, 0, 101, 0);
    world.arrival(&tcp(X, external, refuse)).unwrap();
    world.external(&tcp(A, X, syn(200)));
    let refuse = Segment::new(TcpFlags::RST | TcpFlags::ACK, 0, 201, 0);
    world.arrival(&tcp(X, external, refuse)).unwrap();
    assert_eq!(world.out(RED, &tcp(A, X, syn(300))), Err(NatDrop::FlowRate));
}

/// What strangers open does not count against the sandbox's limit.
#[test]
fn clients_of_a_published_port_do_not_use_up_the_limit_of_the_server() {
    let rules = RulesConfig {
        published: vec![published(PortProtocol::Udp, "192.0.2.1:53", "10.0.0.2:53")],
        ..rules_config()
    };
    let config = NatConfig {
        limits: Limits {
            flows: NonZeroU32::new(1),
            ..Limits::default()
        },
        ..config()
    };
    let world = World::of(config, &rules);
    for n in 1..9 {
        let client = udp(format!("198.51.100.{n}:5"), "192.0.2.1:53");
        world.arrival(&client).unwrap();
    }
    world.external(&from(4000));
    assert_eq!(world.out(RED, &from(4001)), Err(NatDrop::FlowLimit));
}

/// Completes a handshake from `src` to [`X`] and returns its external end.
fn connect(world: &World, src: &str) -> core::net::SocketAddr {
    let external = world.external(&tcp(src, X, syn(100)));
    let answer = Segment::new(TcpFlags::SYN | TcpFlags::ACK, 500, 101, 0);
    world.arrival(&tcp(X, external, answer)).unwrap();
    world.external(&tcp(src, X, Segment::new(TcpFlags::ACK, 101, 501, 0)));
    external
}

/// The table holds 1,000 records; the flood is of 4,000.
#[test]
fn a_flood_of_syns_ends_no_connection_of_another_sandbox_and_keeps_nobody_out() {
    let mut world = World::new();
    let established: Vec<_> = (0..50)
        .map(|n| {
            let src = format!("10.0.0.3:{}", 3000 + n);
            let external = connect(&world, &src);
            (src, external)
        })
        .collect();
    let mut taken = 0;
    for n in 0..4000_u32 {
        let src = format!("10.0.0.2:{}", 1024 + n % 60_000);
        taken += u32::from(world.out(RED, &tcp(src, Y, syn(n))).is_ok());
        if n % 100 == 0 {
            world.wait(Duration::from_millis(10));
        }
    }
    assert!(taken > 3_950, "{taken}");
    assert!(world.nat.stats().flows_evicted > 3_000);
    for (src, external) in &established {
        let data = Segment::new(TcpFlags::ACK, 101, 501, 10);
        assert_eq!(world.external(&tcp(src, X, data)), *external);
    }
    connect(&world, "10.0.0.4:9");
    let flows = world.flows();
    let open = |flow: &&FlowEntry| flow.state == FlowState::Tcp(TcpState::Established);
    assert_eq!(flows.iter().filter(open).count(), 51);
}

#[test]
fn a_table_full_of_established_flows_takes_no_more() {
    let world = World::new();
    let mut port = 1024;
    let refused = loop {
        let src = format!("10.0.0.2:{port}");
        let Ok((_, ends)) = world.out(RED, &udp(&src, X)) else {
            break world.out(RED, &udp(&src, X));
        };
        world.arrival(&udp(X, to_socket(ends.src))).unwrap();
        world.external(&udp(&src, X));
        port += 1;
    };
    assert_eq!(refused, Err(NatDrop::TableFull));
    // Two records each, and a few places that its last allocations could not find.
    assert!((1500..1530).contains(&port), "{port}");
    for other in 1024..port {
        world.external(&udp(format!("10.0.0.2:{other}"), X));
    }
}
