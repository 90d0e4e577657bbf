//! What one switch has learned comes into another one, as far as that is right.

use core::num::NonZeroU32;

use proptest::collection::vec;
use proptest::prelude::*;
use tapweave_net::Vid;

use super::*;
use crate::{FdbEntry, Learned, LearnedStation, PortVlans, Stations};

/// Returns a switch with a network of these ports, which have the same numbers in each.
fn next(configs: &[PortConfig]) -> (Arc<Switch>, NetworkNo, Vec<PortNo>) {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        fdb_limit: 8,
        ..NETWORK
    });
    let ports = configs.iter().cloned();
    let ports = ports.map(|config| switch.add_port(network, config).unwrap());
    let ports = ports.collect();
    (switch, network, ports)
}

fn station(port: PortNo, last: u8) -> LearnedStation {
    LearnedStation {
        mac: mac(last),
        vid: None,
        port,
        is_sticky: false,
        seen: NOW,
    }
}

fn learned(stations: &[LearnedStation]) -> Learned {
    Learned {
        stations: stations.to_vec(),
        ..Learned::default()
    }
}

#[test]
fn stations_go_on_in_another_switch_and_are_not_flooded_to() {
    let (old, network, ports) = next(&[OPEN, OPEN, OPEN]);
    let mut pipeline = old.pipeline(0);
    send(&mut pipeline, NOW, ports[0], mac(9), mac(1));
    let later = NOW + Duration::from_secs(100);
    send(&mut pipeline, later, ports[1], mac(9), mac(2));
    old.fdb_add(network, mac(3), None, ports[2], NOW).unwrap();
    let learned = old.learned(network, later);
    assert_eq!(learned.len(), 2, "the static one is not learned");
    let (new, network, ports) = next(&[OPEN, OPEN, OPEN]);
    assert_eq!(new.restore(network, &learned, later), 2);
    let mut before = old.fdb_entries(network, later);
    before.retain(|entry| entry.origin == FdbOrigin::Learned);
    assert_eq!(new.fdb_entries(network, later), before);
    let mut pipeline = new.pipeline(0);
    let verdict = send(&mut pipeline, later, ports[2], mac(1), mac(4));
    assert_eq!(verdict, Verdict::Forward(EgressPort::unchanged(ports[0])));
    // It ages as it would have.
    let aged = NOW + Duration::from_mins(5);
    let verdict = send(&mut pipeline, aged, ports[2], mac(1), mac(4));
    assert_eq!(verdict, Verdict::Flood(FrameVlan::NONE));
}

#[test]
fn what_is_known_by_now_stays() {
    let (new, network, ports) = next(&[OPEN, OPEN, OPEN]);
    let mut pipeline = new.pipeline(0);
    send(&mut pipeline, NOW, ports[0], mac(9), mac(1));
    new.fdb_add(network, mac(2), None, ports[0], NOW).unwrap();
    let moved = learned(&[station(ports[1], 1), station(ports[1], 2)]);
    assert_eq!(new.restore(network, &moved, NOW), 0);
    let at = |entry: &FdbEntry| entry.port == ports[0];
    assert!(new.fdb_entries(network, NOW).iter().all(at));
    // And what comes later counts.
    assert_eq!(
        new.restore(network, &learned(&[station(ports[1], 3)]), NOW),
        1
    );
    send(&mut pipeline, NOW, ports[2], mac(9), mac(3));
    let verdict = send(&mut pipeline, NOW, ports[0], mac(3), mac(1));
    assert_eq!(verdict, Verdict::Forward(EgressPort::unchanged(ports[2])));
}

#[test]
fn what_the_rules_do_not_allow_is_left_out() {
    let locked = PortConfig {
        stations: Stations::Locked,
        ..OPEN
    };
    let limited = PortConfig {
        mac_limit: NonZeroU32::new(1),
        ..OPEN
    };
    let access = PortConfig {
        vlans: PortVlans::Access(Vid::MIN),
        ..OPEN
    };
    let (new, network, ports) = next(&[locked, limited, access, OPEN]);
    let gone = PortNo::new(77, 0);
    let group = LearnedStation {
        mac: MacAddr::BROADCAST,
        ..station(ports[3], 9)
    };
    let old = LearnedStation {
        seen: Timestamp::from_secs(1),
        ..station(ports[3], 10)
    };
    let all = [
        station(ports[0], 1),
        station(ports[1], 2),
        station(ports[1], 3),
        station(ports[2], 4),
        station(gone, 5),
        group,
        old,
    ];
    assert_eq!(new.restore(network, &learned(&all), NOW), 1);
    let entries = new.fdb_entries(network, NOW);
    assert_eq!((entries.len(), entries[0].mac), (1, mac(2)));
    assert_eq!(new.restore(NetworkNo(99), &learned(&all), NOW), 0);
}

#[test]
fn a_sticky_station_comes_back_as_one_where_the_port_still_is() {
    let sticky = PortConfig {
        stations: Stations::Sticky,
        ..OPEN
    };
    let (new, network, ports) = next(&[sticky, OPEN]);
    let stations = [0, 1].map(|at| LearnedStation {
        is_sticky: true,
        ..station(ports[at], u8::try_from(at).unwrap() + 1)
    });
    assert_eq!(new.restore(network, &learned(&stations), NOW), 2);
    let origins = new.fdb_entries(network, NOW).into_iter();
    let origins: Vec<_> = origins.map(|entry| entry.origin).collect();
    assert_eq!(origins, [FdbOrigin::Sticky, FdbOrigin::Learned]);
}

#[test]
fn the_mark_changes_with_what_is_learned_and_with_nothing_else() {
    let (switch, _, ports) = next(&[OPEN, OPEN]);
    let mut pipeline = switch.pipeline(0);
    let empty = switch.learning_mark();
    send(&mut pipeline, NOW, ports[0], mac(9), mac(1));
    let one = switch.learning_mark();
    assert_ne!(one, empty);
    send(
        &mut pipeline,
        NOW + Duration::from_secs(9),
        ports[0],
        mac(9),
        mac(1),
    );
    assert_eq!(switch.learning_mark(), one);
    send(&mut pipeline, NOW, ports[1], mac(9), mac(1));
    assert_ne!(switch.learning_mark(), one);
}

proptest! {
    /// Whatever comes, the table stays within its limit, and what was in it stays.
    #[test]
    fn no_bound_is_exceeded(
        stations in vec((any::<u8>(), 0..3_usize, any::<bool>(), 0..2_000_u64), 0..40),
    ) {
        let (new, network, ports) = next(&[OPEN, OPEN]);
        new.fdb_add(network, mac(200), None, ports[0], NOW).unwrap();
        let port = |at: usize| ports.get(at).copied().unwrap_or(PortNo::new(50, 3));
        let stations: Vec<_> = stations
            .into_iter()
            .map(|(last, at, is_sticky, seen)| LearnedStation {
                is_sticky,
                seen: Timestamp::from_secs(seen),
                ..station(port(at), last)
            })
            .collect();
        let count = new.restore(network, &learned(&stations), NOW);
        let entries = new.fdb_entries(network, NOW);
        prop_assert_eq!(entries.len(), count + 1);
        prop_assert!(entries.len() <= 8);
        prop_assert!(entries.iter().any(|entry| entry.origin == FdbOrigin::Static));
        let usage = new.fdb_usage(network).unwrap();
        prop_assert_eq!(usage.used as usize, entries.len());
    }
}
