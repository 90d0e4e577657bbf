//! Many workers at once.

use core::net::SocketAddr;
use std::collections::BTreeSet;
use std::sync::Barrier;

use tapweave_net::{Frame, Offload, ParsedFrame};

use super::world::*;
use crate::*;

/// Sends a packet from [`RED`] as a worker, and returns its external source.
fn external(world: &World, worker: usize, sent: &Sent) -> Result<SocketAddr, NatDrop> {
    let mut bytes = sent.frame();
    let parsed = ParsedFrame::parse(&bytes).unwrap();
    let mut frame = Frame::new(&mut bytes, 0, Offload::NONE);
    let pass = Pass {
        worker,
        ..world.pass()
    };
    let nothing = &mut |_: &mut Frame<'_>, _| panic!("nothing was held");
    world
        .nat
        .translate_out(&pass, RED, &mut frame, &parsed, nothing)?;
    Ok(to_socket(ends_of(&bytes).src))
}

/// Lets four workers do the same at the same time, in many rounds, and returns what each got.
fn race<T: Send>(world: &World, rounds: u32, work: impl Fn(usize, u32) -> T + Sync) -> Vec<[T; 4]> {
    let barrier = Barrier::new(4);
    let run = |worker: usize| {
        (0..rounds)
            .map(|round| {
                barrier.wait();
                work(worker, round)
            })
            .collect::<Vec<T>>()
    };
    let [a, b, c, d] = std::thread::scope(|scope| {
        [0, 1, 2, 3]
            .map(|worker| scope.spawn(move || run(worker)))
            .map(|handle| handle.join().unwrap())
    });
    let _ = world;
    a.into_iter()
        .zip(b)
        .zip(c)
        .zip(d)
        .map(|(((a, b), c), d)| [a, b, c, d])
        .collect()
}

#[test]
fn packets_of_one_new_flow_on_four_workers_give_one_mapping_and_one_flow() {
    let world = World::new();
    let rounds = 200;
    let got = race(&world, rounds, |worker, round| {
        let packet = udp(format!("10.0.0.2:{}", 4000 + round), X);
        external(&world, worker, &packet)
    });
    let mut ports = BTreeSet::new();
    for [a, b, c, d] in got {
        assert!(
            a.is_ok() && a == b && b == c && c == d,
            "{a:?} {b:?} {c:?} {d:?}"
        );
        ports.insert(a.unwrap());
    }
    assert_eq!(ports.len(), 200);
    let flows = world.flows();
    assert_eq!((flows.len(), world.mapping_count()), (200, 200));
    // Counts of one moment may be lost, but none is made up.
    let packets: u64 = flows.iter().map(|flow| flow.original_packets).sum();
    assert!((200..=800).contains(&packets), "{packets}");
    assert_eq!(world.nat.flush(&FlowFilter::default()), 200);
    assert!(world.nat.is_empty());
}

#[test]
fn flows_of_one_port_on_four_workers_share_one_mapping() {
    let world = World::new();
    let got = race(&world, 100, |worker, round| {
        let packet = udp(
            format!("10.0.0.2:{}", 4000 + round),
            format!("198.51.100.{worker}:80"),
        );
        external(&world, worker, &packet)
    });
    for [a, b, c, d] in got {
        assert!(
            a.is_ok() && a == b && b == c && c == d,
            "{a:?} {b:?} {c:?} {d:?}"
        );
    }
    assert_eq!((world.flows().len(), world.mapping_count()), (400, 100));
    assert_eq!(world.nat.flush(&FlowFilter::default()), 400);
    assert!(world.nat.is_empty());
}

/// Workers make flows while others flush and sweep; afterwards every share was given back.
#[test]
fn nothing_is_left_behind_by_workers_that_make_and_remove_the_same_flows() {
    let limits = Limits {
        flows: core::num::NonZeroU32::new(500),
        ..Limits::default()
    };
    let mut world = World::of(NatConfig { limits, ..config() }, &rules_config());
    race(&world, 300, |worker, round| {
        for n in 0..8 {
            let src = format!("10.0.0.2:{}", 4000 + (round + n) % 16);
            let dst = format!("198.51.100.{}:80", n % 3);
            match (worker, n) {
                (3, 7) => {
                    world.nat.flush(&FlowFilter::default());
                }
                (3, _) => {
                    world.nat.poll_expiry(world.now, 100);
                }
                _ => {
                    if let Err(drop) = external(&world, worker, &udp(src, dst)) {
                        assert_eq!(drop, NatDrop::Contended);
                    }
                }
            }
        }
    });
    world.nat.flush(&FlowFilter::default());
    assert_eq!((world.flows().len(), world.mapping_count()), (0, 0));
    world.wait(core::time::Duration::from_mins(1));
    world.sweep();
    assert!(world.nat.is_empty(), "{:?}", world.nat);
}

/// As before, in a table that is too small for the flows, so that each takes others' places.
#[test]
fn nothing_is_left_behind_by_workers_that_evict_each_others_flows() {
    let limits = Limits {
        flows: core::num::NonZeroU32::new(500),
        ..Limits::default()
    };
    let mut world = World::of(
        NatConfig {
            limits,
            flow_limit: 24,
            ..config()
        },
        &rules_config(),
    );
    race(&world, 300, |worker, round| {
        for n in 0..8 {
            let number = (round * 7 + n * 5) % 60;
            let src = format!("10.0.0.{}:{}", 2 + number % 3, 4000 + number);
            let dst = format!("198.51.100.{}:80", n % 2);
            match external(&world, worker, &udp(src, dst)) {
                Ok(_) | Err(NatDrop::Contended | NatDrop::TableFull) => {}
                Err(drop) => panic!("{drop:?}"),
            }
        }
        if worker == 0 {
            world.nat.poll_expiry(world.now, 5);
        }
    });
    assert!(world.nat.stats().flows_evicted > 0);
    world.nat.flush(&FlowFilter::default());
    assert_eq!((world.flows().len(), world.mapping_count()), (0, 0));
    world.wait(core::time::Duration::from_mins(1));
    world.sweep();
    assert!(world.nat.is_empty(), "{:?}", world.nat);
}

/// Both ends of a hairpin send first, at the same time.
#[test]
fn a_hairpin_that_both_ends_open_at_once_is_one_flow() {
    let world = World::new();
    for round in 0..100 {
        let [src_a, src_b] = [2, 3].map(|host| format!("10.0.0.{host}:{}", 4000 + round));
        let [a, b] = [&src_a, &src_b].map(|src| world.external(&udp(src, X)));
        let barrier = Barrier::new(2);
        let send = |worker, src: &str, dst| {
            barrier.wait();
            external(&world, worker, &udp(src, dst))
        };
        let got = std::thread::scope(|scope| {
            let one = scope.spawn(|| send(0, &src_a, b));
            let other = scope.spawn(|| send(1, &src_b, a));
            [one.join().unwrap(), other.join().unwrap()]
        });
        // One of them may lose and be dropped; its sender's next packet goes through.
        for (got, want) in got.into_iter().zip([a, b]) {
            assert!(got == Ok(want) || got == Err(NatDrop::Contended), "{got:?}");
        }
        assert_eq!(external(&world, 0, &udp(&src_a, b)), Ok(a));
        assert_eq!(external(&world, 0, &udp(&src_b, a)), Ok(b));
        let flows = world.flows();
        let hairpins = flows.iter().filter(|flow| flow.kind == FlowKind::Hairpin);
        assert_eq!(hairpins.count(), 1);
        assert_eq!(world.nat.flush(&FlowFilter::default()), 3);
        assert!(world.nat.is_empty());
    }
}
