//! The table by itself: its limit, its fairness, and many threads at once.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tapweave_net::{MacAddr, PortNo, Timestamp};

use super::{Fdb, FdbOrigin, Learned, OwnedCounts, TableFull};

const NOW: Timestamp = Timestamp::from_secs(1000);
const AGEING: Duration = Duration::from_mins(5);

fn table(limit: u32) -> Fdb {
    let owned = Arc::new(OwnedCounts::new());
    owned.make_room(port(0));
    Fdb::new(limit, AGEING, 0x5eed, owned)
}

fn port(index: u32) -> PortNo {
    PortNo::new(index, 0)
}

/// The station of a number, on the port that the number's upper half names.
fn station(port_index: u32, number: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | u64::from(port_index) << 24 | number)
}

fn learn(fdb: &Fdb, mac: MacAddr, port: PortNo, now: Timestamp) -> Learned {
    let probe = fdb.probe(None, mac);
    let assessment = fdb.assess(probe, port, now);
    fdb.learn(assessment, probe, FdbOrigin::Learned, port, now)
}

fn lookup(fdb: &Fdb, mac: MacAddr, now: Timestamp) -> Option<PortNo> {
    fdb.lookup(fdb.probe(None, mac), now)
}

#[test]
fn a_table_holds_as_many_stations_as_its_limit_says() {
    for limit in [1, 2, 3, 5, 6, 64, 1_000, 100_000] {
        let fdb = table(limit);
        for number in 0..u64::from(limit) {
            let learned = learn(&fdb, station(0, number), port(0), NOW);
            assert_eq!(learned, Learned::Added, "{number} of {limit}");
        }
        let known = (0..u64::from(limit)).filter(|n| lookup(&fdb, station(0, *n), NOW).is_some());
        assert_eq!(known.count(), limit as usize);
        assert_eq!(fdb.usage().used, limit);
    }
}

#[test]
fn a_port_that_floods_a_full_table_loses_only_its_own_stations() {
    const VICTIMS: u32 = 9;
    let fdb = table(1_000);
    for victim in 1..=VICTIMS {
        for number in 0..100 {
            learn(&fdb, station(victim, number), port(victim), NOW);
        }
    }
    for number in 0..100_000 {
        learn(&fdb, station(0, number), port(0), NOW);
        assert!(fdb.usage().used <= 1_000);
    }
    for victim in 1..=VICTIMS {
        for number in 0..100 {
            let at = lookup(&fdb, station(victim, number), NOW);
            assert_eq!(at, Some(port(victim)));
        }
    }
    assert_eq!(fdb.occupancy.owned_by(port(0)), 100);
}

#[test]
fn a_port_that_comes_late_gets_its_share_of_a_full_table() {
    let fdb = table(1_000);
    for number in 0..50_000 {
        learn(&fdb, station(0, number), port(0), NOW);
    }
    assert_eq!(fdb.occupancy.owned_by(port(0)), 1_000);
    for number in 0..500 {
        // Not every frame finds an entry to replace, but every station gets its place soon.
        let mut frames = (0..200).map(|_| learn(&fdb, station(1, number), port(1), NOW));
        assert!(frames.any(|learned| learned == Learned::Added), "{number}");
    }
    assert_eq!(fdb.occupancy.owned_by(port(1)), 500);
    assert_eq!(fdb.occupancy.owned_by(port(0)), 500);
    assert_eq!(fdb.usage().used, 1_000);
}

#[test]
fn expired_entries_give_way_in_a_full_table() {
    let fdb = table(100);
    for number in 0..100 {
        learn(&fdb, station(0, number), port(0), NOW);
    }
    // A window without an expired entry makes the port replace one of its own beyond its share, so a
    // station may have to be learned again; in the end all are there.
    let later = NOW + AGEING;
    for _ in 0..200 {
        for number in 0..100 {
            learn(&fdb, station(1, number), port(1), later);
        }
    }
    let entries = fdb.entries(later);
    assert_eq!(entries.len(), 100);
    assert!(entries.iter().all(|entry| entry.port == port(1)));
}

#[test]
fn static_entries_never_give_way_and_learned_ones_give_way_to_them() {
    let fdb = table(100);
    for number in 0..100 {
        learn(&fdb, station(0, number), port(0), NOW);
    }
    for number in 0..100 {
        let probe = fdb.probe(None, station(1, number));
        assert_eq!(fdb.set_static(probe, port(1), NOW), Ok(()));
        assert!(fdb.usage().used <= 100);
    }
    let one_more = fdb.probe(None, station(1, 100));
    assert_eq!(fdb.set_static(one_more, port(1), NOW), Err(TableFull));
    for number in 0..1_000 {
        let learned = learn(&fdb, station(2, number), port(2), NOW);
        assert_eq!(learned, Learned::Full);
    }
    let usage = fdb.usage();
    assert_eq!((usage.used, usage.static_count), (100, 100));
}

#[test]
fn a_table_without_room_learns_nothing() {
    let fdb = table(0);
    assert_eq!(learn(&fdb, station(0, 1), port(0), NOW), Learned::Full);
    let probe = fdb.probe(None, station(0, 1));
    assert_eq!(fdb.set_static(probe, port(0), NOW), Err(TableFull));
}

#[test]
fn an_entry_expires_to_the_nanosecond_and_is_swept_in_bounded_steps() {
    let fdb = table(1_000);
    for number in 0..1_000 {
        learn(&fdb, station(0, number), port(0), NOW);
    }
    let just_before = Timestamp::from_nanos((NOW + AGEING).as_nanos() - 1);
    assert!(lookup(&fdb, station(0, 1), just_before).is_some());
    assert_eq!(lookup(&fdb, station(0, 1), NOW + AGEING), None);
    assert_eq!(fdb.sweep(0, usize::MAX, just_before).removed, 0);

    let (mut from, mut removed, mut steps) = (Some(0), 0, 0);
    while let Some(bucket) = from {
        let swept = fdb.sweep(bucket, 7, NOW + AGEING);
        assert!(swept.examined <= 7 && swept.removed <= 7 * Fdb::BUCKET_LEN);
        (from, removed, steps) = (swept.next, removed + swept.removed, steps + 1);
    }
    assert_eq!((removed, steps), (1_000, 500_usize.div_ceil(7)));
    assert_eq!(fdb.usage().used, 0);
}

#[test]
fn the_time_of_last_sight_is_written_once_a_second_at_most() {
    let fdb = table(10);
    let mac = station(0, 1);
    learn(&fdb, mac, port(0), NOW);
    let age_at = |now| fdb.entries(now)[0].age;
    let second = NOW + Duration::from_secs(1);
    learn(&fdb, mac, port(0), second);
    assert_eq!(age_at(second), Duration::from_secs(1));
    let later = second + Duration::from_nanos(1);
    learn(&fdb, mac, port(0), later);
    assert_eq!(age_at(later), Duration::ZERO);
}

/// Four threads learn, move, look up, remove and sweep the same stations in a table that is too
/// small for them. A station's number says which ports it may be on.
#[test]
fn many_threads_leave_a_table_that_is_true() {
    const STATIONS: u64 = 300;
    const ROUNDS: u64 = 60_000;
    let fdb = table(200);
    let is_done = AtomicBool::new(false);
    let allowed = |mac: MacAddr, at: PortNo| {
        let number = (mac.to_u64() & 0xff_ffff) % 3;
        at.index() as u64 == number || at.index() as u64 == number + 3
    };
    thread::scope(|scope| {
        let learners: Vec<_> = (0..2_u32)
            .map(|worker| {
                let fdb = &fdb;
                scope.spawn(move || {
                    let mut state = u64::from(worker) + 1;
                    for round in 0..ROUNDS {
                        state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
                        let number = (state >> 33) % STATIONS;
                        let mac = station(0, number);
                        let at = port(u32::try_from(number % 3).unwrap() + worker * 3);
                        let now = NOW + Duration::from_millis(round * 20);
                        learn(fdb, mac, at, now);
                        if let Some(found) = lookup(fdb, mac, now) {
                            assert!(allowed(mac, found), "{mac} on {found}");
                        }
                        assert!(fdb.usage().used <= 200);
                    }
                })
            })
            .collect();
        let control =
            scope.spawn(|| {
                let mut number = 0;
                while !is_done.load(Ordering::Relaxed) {
                    number = (number + 7) % STATIONS;
                    let probe = fdb.probe(None, station(0, number));
                    let home = port(u32::try_from(number % 3).unwrap());
                    match number % 5 {
                        0 => assert_eq!(fdb.set_static(probe, home, NOW), Ok(())),
                        1 => drop(fdb.sweep(0, usize::MAX, NOW + AGEING)),
                        2 => drop(fdb.remove_where(|origin, at| {
                            origin == FdbOrigin::Static && at == port(1)
                        })),
                        _ => drop(fdb.remove(probe)),
                    }
                    for entry in fdb.entries(NOW) {
                        assert!(allowed(entry.mac, entry.port), "{entry:?}");
                    }
                }
            });
        for learner in learners {
            learner.join().unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
        control.join().unwrap();
    });

    let entries = fdb.entries(NOW);
    let usage = fdb.usage();
    assert_eq!(usage.used as usize, entries.len());
    let statics = entries.iter().filter(|e| e.origin == FdbOrigin::Static);
    assert_eq!(usage.static_count as usize, statics.count());
    for index in 0..6 {
        let of_port = entries
            .iter()
            .filter(|e| e.port == port(index) && e.origin == FdbOrigin::Learned);
        assert_eq!(
            fdb.occupancy.owned_by(port(index)) as usize,
            of_port.count()
        );
    }
    assert_eq!(fdb.remove_where(|_, _| true), entries.len());
    assert_eq!(fdb.usage().used, 0);
    assert!((0..STATIONS).all(|n| lookup(&fdb, station(0, n), NOW).is_none()));
}
