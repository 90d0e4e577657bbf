//! Guards and limits as the packets of a port meet them.

use std::num::NonZeroU32;

use super::*;
use crate::{FrameRate, Guard, Stations};

const BROADCAST: MacAddr = MacAddr::BROADCAST;
const GROUP: MacAddr = MacAddr::new([0x01, 0, 0x5e, 1, 2, 3]);

const STICKY: PortConfig = PortConfig {
    stations: Stations::Sticky,
    ..PortConfig::OPEN
};
const LOCKED: PortConfig = PortConfig {
    stations: Stations::Locked,
    ..PortConfig::OPEN
};

fn dropped(reason: DropReason) -> Verdict {
    Verdict::Drop(reason)
}

/// A network with these ports, its switch and a pipeline.
fn network<const N: usize>(ports: [PortConfig; N]) -> (Arc<Switch>, NetworkNo, [PortNo; N]) {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let ports = ports.map(|config| switch.add_port(network, config).unwrap());
    (switch, network, ports)
}

fn limited_to(stations: u32) -> PortConfig {
    PortConfig {
        mac_limit: NonZeroU32::new(stations),
        ..PortConfig::OPEN
    }
}

fn forward(port: PortNo) -> Verdict {
    Verdict::Forward(EgressPort::unchanged(port))
}

fn is_dropped(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Drop(_))
}

#[test]
fn nothing_is_learned_from_a_frame_that_its_guard_refuses() {
    let guarded = PortConfig {
        guard: Some(Arc::new(Guard::new(mac(1), []))),
        ..PortConfig::OPEN
    };
    let (switch, network, [a, b]) = network([guarded, OPEN]);
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, b, BROADCAST, mac(2));

    let spoofed = send(&mut pipeline, NOW, a, BROADCAST, mac(2));
    assert_eq!(spoofed, dropped(DropReason::GuardMac));
    let malformed = send(&mut pipeline, NOW, a, BROADCAST, mac(1));
    assert_eq!(malformed, dropped(DropReason::GuardMalformed));
    let entries = switch.fdb_entries(network, NOW);
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].mac, entries[0].port), (mac(2), b));
    let stats = switch.port_stats(a).unwrap();
    assert_eq!(stats.dropped(DropReason::GuardMac), 1);
    assert_eq!(stats.dropped(DropReason::GuardMalformed), 1);
    assert_eq!((stats.rx_frames, stats.fdb_moves), (2, 0));
}

#[test]
fn a_guard_is_a_stage_of_the_explanation() {
    let guarded = PortConfig {
        guard: Some(Arc::new(Guard::new(mac(1), []))),
        ..PortConfig::OPEN
    };
    let (switch, _, [a]) = network([guarded]);
    let mut data = bytes(BROADCAST, mac(2));
    let frame = Frame::new(&mut data, 0, Offload::NONE);
    let explanation = switch.explain(NOW, a, &frame);
    assert_eq!(explanation.verdict, dropped(DropReason::GuardMac));
    assert_eq!(explanation.learning, Learning::NotReached);
    let text = explanation.to_string();
    assert!(text.contains("guard        the endpoint may not send this: guard_mac"));
}

#[test]
fn a_sticky_station_neither_ages_nor_moves_and_is_refused_elsewhere() {
    let (switch, network, [a, b]) = network([STICKY, OPEN]);
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, a, BROADCAST, mac(1));

    let later = NOW + NETWORK.ageing * 10;
    assert_eq!(switch.poll_ageing(later, usize::MAX), 0);
    let elsewhere = send(&mut pipeline, later, b, BROADCAST, mac(1));
    assert_eq!(elsewhere, dropped(DropReason::StickyElsewhere));
    let found = send(&mut pipeline, later, b, mac(1), mac(2));
    assert_eq!(found, forward(a));
    let entries = switch.fdb_entries(network, later);
    assert_eq!(entries[0].origin, FdbOrigin::Sticky);
    assert_eq!(switch.port_stats(a).unwrap().fdb_learned, 1);
}

#[test]
fn a_sticky_station_is_free_again_when_it_is_flushed_or_its_port_goes() {
    let (switch, network, [a, b]) = network([STICKY, OPEN]);
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, a, BROADCAST, mac(1));
    assert_eq!(switch.fdb_flush(network, Some(a)), 1);
    assert!(!is_dropped(send(&mut pipeline, NOW, b, BROADCAST, mac(1))));
    // It moves to a sticky port like to any other, and stays there.
    assert!(!is_dropped(send(&mut pipeline, NOW, a, BROADCAST, mac(1))));
    assert!(is_dropped(send(&mut pipeline, NOW, b, BROADCAST, mac(1))));
    switch.remove_port(a).unwrap();
    pipeline.refresh();
    switch.purge_port(a);
    assert!(!is_dropped(send(&mut pipeline, NOW, b, BROADCAST, mac(1))));
}

#[test]
fn a_locked_port_lets_only_its_static_stations_send_and_learns_nothing() {
    let (switch, network, [a, b]) = network([LOCKED, OPEN]);
    let mut pipeline = switch.pipeline(0);
    let locked = dropped(DropReason::Locked);
    assert_eq!(send(&mut pipeline, NOW, a, BROADCAST, mac(1)), locked);
    switch.fdb_add(network, mac(1), None, a, NOW).unwrap();
    switch.fdb_add(network, mac(2), None, b, NOW).unwrap();
    assert!(!is_dropped(send(&mut pipeline, NOW, a, BROADCAST, mac(1))));
    // Another one, and one that is static elsewhere.
    for other in [mac(3), mac(2)] {
        assert_eq!(send(&mut pipeline, NOW, a, BROADCAST, other), locked);
    }
    // One that was learned elsewhere stays there.
    send(&mut pipeline, NOW, b, BROADCAST, mac(4));
    assert_eq!(send(&mut pipeline, NOW, a, BROADCAST, mac(4)), locked);
    assert_eq!(send(&mut pipeline, NOW, a, mac(4), mac(1)), forward(b));
    // The static entry of one is taken away.
    assert!(switch.fdb_del(network, mac(1), None));
    assert_eq!(send(&mut pipeline, NOW, a, BROADCAST, mac(1)), locked);
    assert_eq!(switch.port_stats(a).unwrap().dropped(DropReason::Locked), 5);
}

#[test]
fn a_port_has_no_more_stations_than_its_limit() {
    let (switch, network, [a, b]) = network([limited_to(2), OPEN]);
    let mut pipeline = switch.pipeline(0);
    let refused = dropped(DropReason::MacLimit);
    send(&mut pipeline, NOW, b, BROADCAST, mac(9));
    for station in [1, 2, 1] {
        let verdict = send(&mut pipeline, NOW, a, BROADCAST, mac(station));
        assert!(!is_dropped(verdict));
    }
    // A third one, and one that would move here.
    for station in [3, 9] {
        let verdict = send(&mut pipeline, NOW, a, BROADCAST, mac(station));
        assert_eq!(verdict, refused);
    }
    let at_b = |entry: &&crate::FdbEntry| entry.port == b;
    let entries = switch.fdb_entries(network, NOW);
    assert_eq!(entries.iter().filter(at_b).count(), 1);
    assert_eq!(entries.len(), 3);

    // One that moves away makes room.
    send(&mut pipeline, NOW, b, BROADCAST, mac(2));
    let verdict = send(&mut pipeline, NOW, a, BROADCAST, mac(3));
    assert!(!is_dropped(verdict));
    assert_eq!(send(&mut pipeline, NOW, a, BROADCAST, mac(2)), refused);
}

#[test]
fn a_forgotten_station_comes_back_within_the_limit_and_makes_room_when_swept() {
    let (switch, _, [a]) = network([limited_to(1)]);
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, a, BROADCAST, mac(1));
    let later = NOW + NETWORK.ageing;
    assert!(!is_dropped(send(
        &mut pipeline,
        later,
        a,
        BROADCAST,
        mac(1)
    )));
    let much_later = later + NETWORK.ageing;
    assert_eq!(switch.poll_ageing(much_later, usize::MAX), 1);
    let other = send(&mut pipeline, much_later, a, BROADCAST, mac(2));
    assert!(!is_dropped(other));
}

#[test]
fn a_static_station_does_not_count_against_the_limit() {
    let (switch, network, [a]) = network([limited_to(1)]);
    let mut pipeline = switch.pipeline(0);
    switch.fdb_add(network, mac(1), None, a, NOW).unwrap();
    for station in [1, 2] {
        assert!(!is_dropped(send(
            &mut pipeline,
            NOW,
            a,
            BROADCAST,
            mac(station)
        )));
    }
    let third = send(&mut pipeline, NOW, a, BROADCAST, mac(3));
    assert_eq!(third, dropped(DropReason::MacLimit));
}

#[test]
fn each_class_of_flooded_frames_has_its_own_limit_on_each_port() {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        storm: StormLimits {
            broadcast: FrameRate::new(3),
            multicast: FrameRate::new(5),
            unknown: FrameRate::new(2),
        },
        ..NETWORK
    });
    let [a, b] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut workers = [switch.pipeline(0), switch.pipeline(1)];
    send(&mut workers[0], NOW, b, mac(9), mac(2));
    for (to, limit, reason) in [
        (BROADCAST, 3, DropReason::StormBroadcast),
        (GROUP, 5, DropReason::StormMulticast),
        (mac(8), 2, DropReason::StormUnknown),
    ] {
        // The workers share the limit.
        for count in 0..10 {
            let verdict = send(&mut workers[count % 2], NOW, a, to, mac(1));
            let expected = (count >= limit).then_some(dropped(reason));
            assert_eq!(
                Some(verdict).filter(|v| is_dropped(*v)),
                expected,
                "{count}"
            );
        }
        let stats = switch.port_stats(a).unwrap();
        assert_eq!(stats.dropped(reason), 10 - limit as u64);
    }
    // What is not flooded is not limited, nor is another port.
    for _ in 0..10 {
        assert_eq!(send(&mut workers[0], NOW, a, mac(2), mac(1)), forward(b));
    }
    assert!(!is_dropped(send(
        &mut workers[0],
        NOW,
        b,
        BROADCAST,
        mac(2)
    )));
    let second = NOW + Duration::from_secs(1);
    assert!(!is_dropped(send(
        &mut workers[0],
        second,
        a,
        BROADCAST,
        mac(1)
    )));
}

#[test]
fn an_explanation_tells_of_the_limit_and_counts_nothing_against_it() {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        storm: StormLimits {
            broadcast: FrameRate::new(1),
            ..StormLimits::NONE
        },
        ..NETWORK
    });
    let [a, _] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut data = bytes(BROADCAST, mac(1));
    let frame = Frame::new(&mut data, 0, Offload::NONE);
    for _ in 0..3 {
        let text = switch.explain(NOW, a, &frame).to_string();
        assert!(
            text.contains("storm        broadcast, below the limit"),
            "{text}"
        );
    }
    let mut pipeline = switch.pipeline(0);
    assert!(!is_dropped(send(&mut pipeline, NOW, a, BROADCAST, mac(1))));
    let above = switch.explain(NOW, a, &frame);
    assert_eq!(above.verdict, dropped(DropReason::StormBroadcast));
    assert!(above.egress.is_empty());
    assert!(above.to_string().contains("above the limit"));
}
