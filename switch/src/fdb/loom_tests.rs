//! The table under loom, which runs each test once for every order of its atomic operations, within a
//! bound on how often a thread is interrupted, and for every value that a load may return.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p tapweave-switch --release --lib loom
//! ```
//!
//! Buckets have two slots here and there are two of them, so every key has the same four slots.

use core::time::Duration;
use std::sync::Arc;

use loom::thread::{self, JoinHandle};
use tapweave_net::{MacAddr, PortNo, Timestamp};

use super::{Fdb, FdbOrigin, Learned, OwnedCounts};

const A: PortNo = PortNo::new(0, 0);
const B: PortNo = PortNo::new(1, 0);
const C: PortNo = PortNo::new(2, 0);
const NOW: Timestamp = Timestamp::from_secs(100);
const LATER: Timestamp = Timestamp::from_secs(110);

/// Runs `test` in every order with at most three interruptions, which finds nearly all mistakes of
/// this kind and keeps a test in seconds.
fn check(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

fn table(limit: u32) -> Arc<Fdb> {
    let owned = Arc::new(OwnedCounts::new());
    owned.make_room(A);
    Arc::new(Fdb::new(limit, Duration::from_mins(5), 1, owned))
}

/// Lets another thread work on the table.
fn spawn<R: 'static>(fdb: &Arc<Fdb>, work: impl FnOnce(&Fdb) -> R + 'static) -> JoinHandle<R> {
    let fdb = Arc::clone(fdb);
    thread::spawn(move || work(&fdb))
}

fn station(number: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | number)
}

fn learn(fdb: &Fdb, mac: MacAddr, port: PortNo, now: Timestamp) -> Learned {
    let probe = fdb.probe(None, mac);
    let assessment = fdb.assess(probe, port, now);
    fdb.learn(assessment, probe, FdbOrigin::Learned, port, now)
}

fn lookup(fdb: &Fdb, mac: MacAddr) -> Option<PortNo> {
    fdb.lookup(fdb.probe(None, mac), NOW)
}

/// Once all threads are done, the counts are those of the entries.
fn assert_counts(fdb: &Fdb, used: u32) {
    assert_eq!(fdb.usage().used, used);
    let entries = fdb.entries(NOW);
    assert_eq!(entries.len(), used as usize);
    for port in [A, B, C] {
        let of_port = entries
            .iter()
            .filter(|entry| entry.port == port && entry.origin == FdbOrigin::Learned);
        assert_eq!(fdb.occupancy.owned_by(port) as usize, of_port.count());
    }
}

#[test]
fn a_station_that_two_workers_learn_at_once_has_one_entry() {
    check(|| {
        let fdb = table(4);
        let other = spawn(&fdb, |fdb| learn(fdb, station(1), B, NOW));
        learn(&fdb, station(1), A, NOW);
        other.join().unwrap();
        let port = lookup(&fdb, station(1));
        assert!(port == Some(A) || port == Some(B));
        assert_counts(&fdb, 1);
    });
}

#[test]
fn a_lookup_never_returns_the_port_of_another_station() {
    check(|| {
        let fdb = table(1);
        learn(&fdb, station(1), A, NOW);
        let mover = spawn(&fdb, |fdb| learn(fdb, station(1), B, NOW));
        let replacer = spawn(&fdb, |fdb| {
            fdb.remove(fdb.probe(None, station(1)));
            learn(fdb, station(2), C, NOW);
        });
        let port = lookup(&fdb, station(1));
        assert!(port.is_none_or(|port| port == A || port == B), "{port:?}");
        let port = lookup(&fdb, station(2));
        assert!(port.is_none_or(|port| port == C), "{port:?}");
        mover.join().unwrap();
        replacer.join().unwrap();
        let used = fdb.usage().used;
        assert_counts(&fdb, used);
    });
}

#[test]
fn a_listing_never_pairs_a_station_with_the_port_of_another() {
    check(|| {
        let fdb = table(1);
        learn(&fdb, station(1), A, NOW);
        let replacer = spawn(&fdb, |fdb| {
            fdb.remove(fdb.probe(None, station(1)));
            learn(fdb, station(2), C, NOW);
        });
        for entry in fdb.entries(NOW) {
            let expected = if entry.mac == station(1) { A } else { C };
            assert_eq!(entry.port, expected);
        }
        replacer.join().unwrap();
        assert_eq!(lookup(&fdb, station(2)), Some(C));
        assert_counts(&fdb, 1);
    });
}

#[test]
fn a_refresh_does_not_bring_a_removed_station_back() {
    check(|| {
        let fdb = table(4);
        learn(&fdb, station(1), A, NOW);
        let refresher = spawn(&fdb, |fdb| learn(fdb, station(1), A, LATER));
        assert!(fdb.remove(fdb.probe(None, station(1))));
        let learned = refresher.join().unwrap();
        let expected = u32::from(learned == Learned::Added);
        assert_eq!(fdb.usage().used, expected);
        assert_counts(&fdb, expected);
    });
}

#[test]
fn a_move_and_a_removal_leave_the_counts_right() {
    check(|| {
        let fdb = table(4);
        learn(&fdb, station(1), A, NOW);
        let mover = spawn(&fdb, |fdb| learn(fdb, station(1), B, NOW));
        fdb.remove_where(|_, port| port == A);
        let learned = mover.join().unwrap();
        let port = lookup(&fdb, station(1));
        assert_eq!(port, (learned != Learned::Unchanged).then_some(B));
        assert_counts(&fdb, u32::from(port.is_some()));
    });
}

#[test]
fn two_workers_do_not_exceed_the_limit() {
    check(|| {
        let fdb = table(1);
        let other = spawn(&fdb, |fdb| learn(fdb, station(2), B, NOW));
        learn(&fdb, station(1), A, NOW);
        other.join().unwrap();
        let used = fdb.usage().used;
        assert!(used <= 1);
        assert_counts(&fdb, used);
    });
}

#[test]
fn a_static_entry_wins_over_learning() {
    check(|| {
        let fdb = table(4);
        let other = spawn(&fdb, |fdb| learn(fdb, station(1), A, NOW));
        assert_eq!(fdb.set_static(fdb.probe(None, station(1)), B, NOW), Ok(()));
        other.join().unwrap();
        assert_eq!(lookup(&fdb, station(1)), Some(B));
        assert_eq!(fdb.usage().static_count, 1);
        assert_counts(&fdb, 1);
    });
}
