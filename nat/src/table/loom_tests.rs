//! The table under loom, which runs each test once for every order of its atomic operations, within a
//! bound on how often a thread is interrupted, and for every value that a load may return.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p tapweave-nat --release --lib loom
//! ```
//!
//! Buckets have two links here. With three interruptions all pass too, in minutes.

use std::sync::Arc;

use loom::thread::{self, JoinHandle};
use tapweave_net::{IpProtocol, NetworkNo, Timestamp};

use super::hash::Key;
use super::slot::Slot;
use super::{Direction, Endpoint, Entry, Insert, NotUpdated, PairTable, Realm, Tuple};

const NOW: Timestamp = Timestamp::from_secs(100);
const EXPIRY: Timestamp = Timestamp::from_secs(200);

/// Runs `test` in every order with at most two interruptions, which finds most mistakes of this kind
/// and keeps a test in seconds.
fn check(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(test);
}

fn table(capacity: u32) -> Arc<PairTable> {
    Arc::new(PairTable::new(capacity, 1))
}

/// Lets another thread work on the table.
fn spawn<R: 'static>(
    table: &Arc<PairTable>,
    work: impl FnOnce(&PairTable) -> R + 'static,
) -> JoinHandle<R> {
    let table = Arc::clone(table);
    thread::spawn(move || work(&table))
}

fn key(realm: u32, number: u16) -> Tuple {
    let realm = NetworkNo(realm);
    Tuple {
        realm: Realm::of(realm),
        protocol: IpProtocol::UDP,
        src: Endpoint::new([10, 0, 0, 1].into(), number),
        dst: Endpoint::new([10, 0, 0, 2].into(), number),
    }
}

/// A flow from the inside port of a number by the outside port of another.
fn flow(inside: u16, outside: u16) -> Entry {
    Entry::new(key(1, inside), key(0, outside), EXPIRY)
}

fn insert(table: &PairTable, entry: &Entry) -> bool {
    matches!(table.insert(NOW, entry, |_| {}), Insert::Added(_))
}

/// Lets two threads insert an entry each, at once, and tells which of them did.
fn race(table: &Arc<PairTable>, [mine, others]: [Entry; 2]) -> [bool; 2] {
    let other = spawn(table, move |table| insert(table, &others));
    [insert(table, &mine), other.join().unwrap()]
}

/// Once all threads are done, every record is found under both of its keys, and there are `len`.
fn assert_true(table: &PairTable, len: usize) {
    assert_eq!(table.len(), len);
    let entries: Vec<_> = table.entries(NOW).collect();
    assert_eq!(entries.len(), len);
    for (name, entry) in entries {
        for direction in Direction::ALL {
            let (record, found) = table.find(&entry.tuple(direction), NOW).unwrap();
            assert_eq!((record.reference(), found), (name, direction));
        }
    }
}

#[test]
fn two_workers_with_one_new_flow_make_one_record() {
    check(|| {
        let table = table(2);
        let other = spawn(&table, |table| outside_port(table, &flow(1, 12)));
        let mine = outside_port(&table, &flow(1, 11));
        let others = other.join().unwrap();
        assert_eq!(mine, others);
        assert_true(&table, 1);
    });
}

/// Returns the port by which the flow goes out, whoever inserted it.
fn outside_port(table: &PairTable, entry: &Entry) -> u16 {
    let record = match table.insert(NOW, entry, |_| {}) {
        Insert::Added(record) | Insert::Exists(record, Direction::Original) => record,
        other => panic!("{other:?}"),
    };
    record.tuple(Direction::Reply).unwrap().src.port()
}

#[test]
fn two_workers_that_want_one_reply_key_do_not_both_get_it() {
    check(|| {
        let table = table(2);
        let [mine, others] = race(&table, [flow(1, 11), flow(2, 11)]);
        assert_ne!(mine, others);
        assert_true(&table, 1);
    });
}

#[test]
fn the_original_key_of_one_is_not_the_reply_key_of_another() {
    check(|| {
        let table = table(2);
        let crossed = Entry::new(key(0, 11), key(1, 1), EXPIRY);
        let [mine, others] = race(&table, [flow(1, 11), crossed]);
        assert_ne!(mine, others);
        assert_true(&table, 1);
    });
}

#[test]
fn a_record_appears_and_goes_under_both_keys_at_once() {
    check(|| {
        let table = table(1);
        let writer = spawn(&table, |table| {
            assert!(insert(table, &flow(1, 11)));
        });
        if table.find(&key(0, 11), NOW).is_some() {
            assert!(table.find(&key(1, 1), NOW).is_some());
        }
        writer.join().unwrap();
        let remover = spawn(&table, |table| {
            let (record, _) = table.find(&key(1, 1), NOW).unwrap();
            assert!(record.remove().is_some());
        });
        if table.find(&key(0, 11), NOW).is_none() {
            assert!(table.find(&key(1, 1), NOW).is_none());
        }
        remover.join().unwrap();
        assert_true(&table, 0);
    });
}

#[test]
fn a_reader_never_gets_the_translation_of_another_flow() {
    check(|| {
        let table = table(1);
        assert!(insert(&table, &flow(1, 11)));
        let replacer = spawn(&table, |table| {
            let (record, _) = table.find(&key(1, 1), NOW).unwrap();
            assert!(record.remove().is_some());
            assert!(insert(table, &flow(2, 12)));
        });
        if let Some((record, direction)) = table.find(&key(1, 1), NOW) {
            let translated = record.tuple(direction.opposite());
            assert!(translated.is_none_or(|tuple| tuple == key(0, 11)));
        }
        if let Some((record, direction)) = table.find(&key(0, 12), NOW) {
            let translated = record.tuple(direction.opposite());
            assert_eq!(translated, Some(key(1, 2)));
        }
        replacer.join().unwrap();
        assert_true(&table, 1);
    });
}

#[test]
fn one_of_two_removers_gets_the_record() {
    check(|| {
        let table = table(1);
        assert!(insert(&table, &flow(1, 11)));
        let sweeper = spawn(&table, |table| table.sweep(EXPIRY, 1, |_| {}).removed);
        let found = table.find(&key(1, 1), NOW);
        let removed = found.and_then(|(record, _)| record.remove());
        assert_eq!(usize::from(removed.is_some()) + sweeper.join().unwrap(), 1);
        assert_true(&table, 0);
    });
}

#[test]
fn a_record_that_comes_into_use_is_not_removed_as_unused() {
    check(|| {
        let table = table(1);
        assert!(insert(&table, &flow(1, 11)));
        let remover = spawn(&table, |table| {
            let (record, _) = table.find(&key(1, 1), NOW)?;
            record.remove_if(|uses| uses == 0)
        });
        let used = table
            .find(&key(1, 1), NOW)
            .map_or(Err(NotUpdated::Gone), |(mut record, _)| {
                record.update(|uses| Some(uses + 1))
            });
        let removed = remover.join().unwrap();
        assert_ne!(used.is_ok(), removed.is_some());
        assert_true(&table, usize::from(used.is_ok()));
    });
}

#[test]
fn a_change_of_state_does_not_reach_the_next_record_of_the_slot() {
    check(|| {
        let table = table(1);
        assert!(insert(&table, &flow(1, 11)));
        let (mut record, _) = table.find(&key(1, 1), NOW).unwrap();
        let replacer = spawn(&table, |table| {
            let (record, _) = table.find(&key(1, 1), NOW).unwrap();
            assert!(record.remove().is_some());
            assert!(insert(table, &flow(2, 12)));
        });
        let _updated = record.update(|state| Some(state + 1));
        replacer.join().unwrap();
        let (_, entry) = table.entries(NOW).next().unwrap();
        assert_eq!((entry.original, entry.state), (key(1, 2), 0));
    });
}

#[test]
fn an_expired_record_makes_way_once() {
    check(|| {
        let table = table(2);
        let expired = Entry {
            expires: NOW,
            ..flow(1, 11)
        };
        assert!(insert(&table, &expired));
        let sweeper = spawn(&table, |table| table.sweep(NOW, 2, |_| {}).removed);
        let mut gone = 0;
        let inserted = table.insert(NOW, &flow(1, 12), |_| gone += 1);
        assert!(matches!(inserted, Insert::Added(_)));
        assert_eq!(gone + sweeper.join().unwrap(), 1);
        assert_true(&table, 1);
    });
}

#[test]
fn two_workers_do_not_exceed_the_capacity() {
    check(|| {
        let table = table(1);
        let [mine, others] = race(&table, [flow(1, 11), flow(2, 12)]);
        assert!(mine | others);
        assert_true(&table, 1);
    });
}

#[test]
fn slots_that_come_and_go_at_once_are_neither_lost_nor_given_twice() {
    check(|| {
        let table = table(2);
        let other = spawn(&table, |table| {
            assert!(insert(table, &flow(2, 12)));
            let (record, _) = table.find(&key(0, 12), NOW).unwrap();
            assert!(record.remove().is_some());
        });
        assert!(insert(&table, &flow(1, 11)));
        let (record, _) = table.find(&key(1, 1), NOW).unwrap();
        assert!(record.remove().is_some());
        other.join().unwrap();
        assert_true(&table, 0);
        assert!(insert(&table, &flow(3, 13)) && insert(&table, &flow(4, 14)));
        assert_true(&table, 2);
    });
}

#[test]
fn a_slot_never_shows_a_key_of_two_records() {
    check(|| {
        let table = table(1);
        let fill = |slot: Slot<'_>, number: u16| {
            let entry = flow(number, number + 10);
            let [original, reply] = [entry.original, entry.reply].map(|key| Key::from(&key));
            let pending = slot.fill(&entry, &original, &reply);
            assert!(slot.exchange(pending, pending.live(0)));
            pending.live(0)
        };
        let life = fill(table.slots.get(0).unwrap(), 1);
        let writer = spawn(&table, move |table| {
            let slot = table.slots.get(0).unwrap();
            assert!(slot.exchange(life, life.dead()));
            slot.set_free(0);
            fill(slot, 2);
        });
        let slot = table.slots.get(0).unwrap();
        let seen = slot.life();
        let tuple = slot.tuple(Direction::Reply);
        if seen == life && slot.is_still(seen) {
            assert_eq!(tuple, key(0, 11));
        }
        writer.join().unwrap();
    });
}

/// Who takes a mark reads what was changed before it was made.
#[test]
fn the_last_taken_of_a_marked_slot_is_as_it_is() {
    check(|| {
        let table = table(2);
        assert!(insert(&table, &flow(1, 1)));
        let read = |table: &PairTable| {
            let mut state = None;
            table.take_changed(usize::MAX, |slot| {
                state = table.record_in(slot).map(|record| record.state());
            });
            state
        };
        assert_eq!(read(&table), Some(0));
        let other = spawn(&table, |table| {
            let (mut record, _) = table.find(&key(1, 1), NOW).unwrap();
            assert_eq!(record.update(|state| Some(state | 1)), Ok(1));
            record.mark();
        });
        let first = read(&table);
        other.join().unwrap();
        let second = read(&table);
        assert_eq!(second.or(first), Some(1));
    });
}
