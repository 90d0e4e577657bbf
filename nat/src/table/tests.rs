//! The table by itself: what is found, what expires, what gives way, and how full it gets.

use core::ops::Range;
use core::time::Duration;

use tapweave_net::{IpProtocol, NetworkNo, Timestamp};

use super::{
    Direction, Endpoint, Entry, Hint, Insert, NotUpdated, PairTable, Realm, RecordRef, Tuple,
};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1000);
const TIMEOUT: Duration = Duration::from_mins(5);

/// The flow of a number, from its own inside port to one outside server.
pub(super) fn flow(number: u32) -> Entry {
    let [high, low] = [(number >> 16) as u16, (number & 0xffff) as u16];
    let [h1, h0] = high.to_be_bytes();
    let inside = Endpoint::new([10, 1, h1, h0].into(), low);
    let outside = Endpoint::new([192, 0, 2, 1].into(), 80);
    let external = Endpoint::new([198, 51, h1, h0].into(), low);
    let original = Tuple {
        realm: Realm::of(NetworkNo(1)),
        protocol: IpProtocol::TCP,
        src: inside,
        dst: outside,
    };
    let reply = Tuple {
        realm: Realm::OUTSIDE,
        protocol: IpProtocol::TCP,
        src: outside,
        dst: external,
    };
    Entry {
        label: number,
        ..Entry::new(original, reply, NOW + TIMEOUT)
    }
}

fn add(table: &PairTable, entry: &Entry) -> RecordRef {
    let inserted = table.insert(NOW, entry, |gone| panic!("{gone:?} is gone"));
    let Insert::Added(record) = inserted else {
        panic!("{inserted:?}");
    };
    record.reference()
}

/// Reads ahead for both keys of each flow and one that has no key.
fn read_ahead(table: &PairTable, numbers: Range<u32>) -> Vec<Hint> {
    let mut hints = Vec::new();
    let keys = numbers.flat_map(|number| {
        let Entry {
            original, reply, ..
        } = flow(number);
        [Some(original), None, Some(reply)]
    });
    table.read_ahead(keys, &mut hints);
    hints
}

#[test]
fn reading_ahead_says_where_records_are_and_changes_nothing() {
    let table = PairTable::new(300, 1);
    assert_eq!(read_ahead(&table, 0..1), [Hint::NONE; 3]);
    for number in 0..250 {
        add(&table, &flow(number));
    }
    for end in [0, 1, 10, 11, 21, 22, 250] {
        let hints = read_ahead(&table, 0..end);
        assert_eq!(hints.len(), 3 * end as usize);
        for (number, hints) in (0..end).zip(hints.chunks(3)) {
            assert!(hints[0] != Hint::NONE && hints[1] == Hint::NONE && hints[2] != Hint::NONE);
            for (hint, direction) in [
                (hints[0], Direction::Original),
                (hints[2], Direction::Reply),
            ] {
                let key = flow(number).tuple(direction);
                let (record, found) = table.find_by(hint, &key, NOW).unwrap();
                assert_eq!((record.entry(), found), (Some(flow(number)), direction));
                assert!(table.find_by(hint, &key, NOW + TIMEOUT).is_none());
            }
        }
    }
    let entries = || table.entries(NOW).map(|(_, entry)| entry);
    assert!(entries().eq((0..250).map(flow)));
}

/// A record keeps the halves of addresses apart, and those that are zero not at all.
#[test]
fn keys_that_differ_in_half_of_an_address_are_told_apart() {
    let addresses = [
        "192.0.2.1",
        "192.0.2.2",
        "::1",
        "::2",
        // The halves of 192.0.2.1, and one of them with another.
        "2001:db8::ffff:c000:201",
        "2001:db8:0:1::ffff:c000:201",
        "2001:db8::",
    ];
    let ends = addresses.map(|address| Endpoint::new(address.parse().unwrap(), 7));
    let table = PairTable::new(200, 1);
    let entry = |(number, [src, dst]): (u32, [Endpoint; 2])| {
        let mut entry = flow(number);
        (entry.original.src, entry.original.dst) = (src, dst);
        (entry.reply.src, entry.reply.dst) = (dst, src);
        entry
    };
    let pairs = ends.into_iter().flat_map(|src| ends.map(|dst| [src, dst]));
    let entries: Vec<_> = (0..).zip(pairs).map(entry).collect();
    for entry in &entries {
        add(&table, entry);
    }
    // Slots that were used by other addresses keep nothing of them.
    for round in 0..2 {
        for entry in &entries {
            for direction in Direction::ALL {
                let (record, found) = table.find(&entry.tuple(direction), NOW).unwrap();
                assert_eq!(
                    (record.entry(), found),
                    (Some(*entry), direction),
                    "{round}"
                );
            }
        }
        for entry in &entries {
            let (record, _) = table.find(&entry.original, NOW).unwrap();
            assert_eq!(record.remove(), Some(*entry));
        }
        for entry in entries.iter().rev() {
            assert!(table.find(&entry.original, NOW).is_none());
            add(&table, entry);
        }
    }
}

#[test]
fn a_hint_that_is_wrong_or_out_of_date_does_not_mislead() {
    let table = PairTable::new(1, 1);
    let first = add(&table, &flow(1));
    let hints = read_ahead(&table, 1..2);
    let find = |hint, number, direction| {
        let found = table.find_by(hint, &flow(number).tuple(direction), NOW);
        found.and_then(|(record, direction)| Some((record.entry()?, direction)))
    };
    for direction in Direction::ALL {
        for hint in [hints[0], hints[1], hints[2]] {
            assert_eq!(find(hint, 1, direction), Some((flow(1), direction)));
            assert_eq!(find(hint, 2, direction), None);
        }
    }
    // Another record takes its place.
    table.at(first).unwrap().remove().unwrap();
    assert_eq!(find(hints[0], 1, Direction::Original), None);
    add(&table, &flow(2));
    for direction in Direction::ALL {
        for hint in [hints[0], hints[1], hints[2]] {
            assert_eq!(find(hint, 1, direction), None);
            assert_eq!(find(hint, 2, direction), Some((flow(2), direction)));
        }
    }
}

#[test]
fn a_record_is_found_under_both_keys_and_by_name() {
    let table = PairTable::new(10, 1);
    let entry = Entry {
        label: 7,
        state: 5,
        words: [1, 2, 3],
        ..flow(1)
    };
    let name = add(&table, &entry);
    for direction in Direction::ALL {
        let (record, found) = table.find(&entry.tuple(direction), NOW).unwrap();
        assert_eq!((found, record.reference()), (direction, name));
        assert_eq!(record.tuple(direction), Some(entry.tuple(direction)));
        assert_eq!(record.entry(), Some(entry));
    }
    assert_eq!(table.at(name).unwrap().label(), Some(7));
    let turned = [entry.original.reversed(), entry.reply.reversed()];
    assert!(turned.iter().all(|key| table.find(key, NOW).is_none()));
    assert_eq!(table.len(), 1);
}

#[test]
fn a_key_that_is_taken_is_not_given_twice() {
    let table = PairTable::new(10, 1);
    let (one, two) = (flow(1), flow(2));
    add(&table, &one);
    let again = table.insert(NOW, &one, |_| {});
    assert!(matches!(again, Insert::Exists(_, Direction::Original)));
    let same_reply = Entry {
        reply: one.reply,
        ..two
    };
    let refused = table.insert(NOW, &same_reply, |_| {});
    assert!(matches!(refused, Insert::ReplyTaken));
    let crossed = Entry {
        original: one.reply,
        ..two
    };
    let refused = table.insert(NOW, &crossed, |_| {});
    assert!(matches!(refused, Insert::Exists(_, Direction::Reply)));
    assert_eq!(table.len(), 1);
    add(&table, &two);
}

#[test]
fn a_wildcard_key_stands_beside_full_keys_of_the_same_ports() {
    let table = PairTable::new(10, 1);
    let full = flow(1);
    let mapping = Entry {
        original: Tuple {
            dst: Endpoint::ANY_V4,
            ..full.original
        },
        reply: Tuple {
            src: Endpoint::ANY_V4,
            ..full.reply
        },
        ..full
    };
    let names = [add(&table, &full), add(&table, &mapping)];
    for (entry, name) in [full, mapping].iter().zip(names) {
        let (record, _) = table.find(&entry.reply, NOW).unwrap();
        assert_eq!(record.reference(), name);
    }
}

#[test]
fn an_expired_record_is_a_miss_and_its_keys_are_free() {
    let table = PairTable::new(10, 1);
    add(&table, &flow(1));
    let just_before = Timestamp::from_nanos((NOW + TIMEOUT).as_nanos() - 1);
    assert!(table.find(&flow(1).reply, just_before).is_some());
    let later = NOW + TIMEOUT;
    assert!(table.find(&flow(1).reply, later).is_none());
    assert_eq!(table.entries(later).count(), 0);
    let successor = Entry {
        reply: flow(1).reply,
        expires: later + TIMEOUT,
        ..flow(2)
    };
    let mut gone = Vec::new();
    let inserted = table.insert(later, &successor, |entry| gone.push(*entry));
    assert!(matches!(inserted, Insert::Added(_)));
    assert_eq!((gone, table.len()), (vec![flow(1)], 1));
}

#[test]
fn a_kept_record_does_not_expire() {
    let table = PairTable::new(10, 1);
    let entry = Entry {
        state: Entry::KEPT,
        ..flow(1)
    };
    add(&table, &entry);
    let late = NOW + TIMEOUT * 100;
    assert_eq!(table.sweep(late, 100, |_| {}).removed, 0);
    let (mut record, _) = table.find(&entry.original, late).unwrap();
    assert_eq!(record.update(|_| Some(0)), Ok(0));
    assert!(table.find(&entry.original, late).is_none());
    assert_eq!(table.sweep(late, 100, |_| {}).removed, 1);
}

#[test]
fn the_state_changes_only_while_the_record_is_there() {
    let table = PairTable::new(10, 1);
    let name = add(&table, &flow(1));
    let mut record = table.at(name).unwrap();
    assert_eq!(record.update(|state| Some(state + 1)), Ok(1));
    assert_eq!(record.update(|_| None), Err(NotUpdated::Refused));
    let mut stale = table.at(name).unwrap();
    assert_eq!(record.remove_if(|state| state == 9), None);
    assert_eq!(record.remove_if(|state| state == 1).unwrap().state, 1);
    assert_eq!(stale.remove(), None);
    add(&table, &flow(2));
    assert_eq!(stale.update(|_| Some(3)), Err(NotUpdated::Gone));
    assert!(!stale.exchange_word(0, 0, 9));
    stale.set_expires(Timestamp::ZERO);
    assert_eq!((stale.tuple(Direction::Reply), stale.word(0)), (None, None));
    assert!(table.at(name).is_none() && stale.entry().is_none());
    assert_eq!(
        table.entries(NOW).map(|(_, e)| e).collect::<Vec<_>>(),
        [flow(2)]
    );
}

#[test]
fn words_and_counts_are_the_owners() {
    let table = PairTable::new(10, 1);
    let name = add(&table, &flow(1));
    let record = table.at(name).unwrap();
    assert!(record.exchange_word(2, 0, 5) && !record.exchange_word(2, 0, 6));
    assert!(!record.exchange_word(Entry::WORDS, 0, 1));
    assert_eq!((record.word(2), record.word(Entry::WORDS)), (Some(5), None));
    record.count(Direction::Reply, 2, 3000);
    let entry = record.entry().unwrap();
    assert_eq!((entry.packets, entry.bytes), ([0, 2], [0, 3000]));
}

#[test]
fn a_table_holds_as_many_records_as_its_capacity_says() {
    for (capacity, seeds) in [
        (1, 9),
        (2, 9),
        (3, 9),
        (5, 9),
        (64, 9),
        (1_000, 9),
        (20_000, 1),
    ] {
        for seed in 0..seeds {
            let table = PairTable::new(capacity, seed);
            for number in 0..capacity {
                add(
                    &table,
                    &Entry {
                        state: Entry::ASSURED,
                        ..flow(number)
                    },
                );
            }
            let full = table.insert(NOW, &flow(capacity), |_| {});
            assert!(matches!(full, Insert::Full));
            for number in 0..capacity {
                assert!(table.find(&flow(number).original, NOW).is_some());
                assert!(table.find(&flow(number).reply, NOW).is_some());
            }
            assert_eq!(table.len(), capacity as usize);
            for record in table.records() {
                record.remove().unwrap();
            }
            assert!(table.is_empty());
            add(&table, &flow(1));
        }
    }
}

#[test]
fn assured_records_stay_in_a_full_table_and_others_give_way() {
    let table = PairTable::new(1_000, 1);
    for number in 0..1_000 {
        let state = if number % 2 == 0 { Entry::ASSURED } else { 0 };
        add(
            &table,
            &Entry {
                state,
                ..flow(number)
            },
        );
    }
    let mut evicted = 0;
    for number in 1_000..5_000 {
        let inserted = table.insert(NOW, &flow(number), |gone| {
            assert_eq!(gone.state, 0);
            evicted += 1;
        });
        assert!(matches!(inserted, Insert::Added(_)));
        assert_eq!(table.len(), 1_000);
    }
    assert_eq!(evicted, 4_000);
    for number in (0..1_000).step_by(2) {
        assert!(table.find(&flow(number).original, NOW).is_some());
    }
}

#[test]
fn a_table_without_room_takes_nothing() {
    let table = PairTable::new(0, 1);
    assert!(matches!(table.insert(NOW, &flow(1), |_| {}), Insert::Full));
    assert_eq!(table.sweep(NOW, 10, |_| {}).examined, 0);
    assert!(table.find(&flow(1).original, NOW).is_none());
    assert!(table.at(RecordRef::from_u64(0)).is_none());
    assert!(table.at(RecordRef::from_u64(u64::MAX)).is_none());
}

#[test]
fn a_sweep_takes_bounded_steps_and_goes_round() {
    let table = PairTable::new(1_000, 1);
    for number in 0..100 {
        add(&table, &flow(number));
    }
    let later = NOW + TIMEOUT;
    let mut removed = 0;
    for _ in 0..100_u32.div_ceil(7) {
        let sweep = table.sweep(later, 7, |_| removed += 1);
        assert_eq!(sweep.examined, 7);
    }
    assert_eq!((removed, table.len()), (100, 0));
    assert_eq!(table.sweep(later, u32::MAX, |_| {}).examined, 100);
}

#[test]
fn every_slot_whose_record_changes_is_told_once() {
    let table = PairTable::new(10, 1);
    let changed = || {
        let mut slots = Vec::new();
        table.take_changed(usize::MAX, |slot| slots.push(slot));
        let labels = slots.into_iter().map(|slot| {
            let record = table.record_in(slot)?;
            record.entry().map(|entry| entry.original)
        });
        labels.collect::<Vec<_>>()
    };
    add(&table, &flow(0));
    add(&table, &flow(1));
    let [zero, one] = [0, 1].map(|number| Some(flow(number).original));
    assert_eq!(changed(), [zero, one]);
    assert!(!table.has_changed());
    assert_eq!(changed(), []);
    let (record, _) = table.find(&flow(1).reply, NOW).unwrap();
    record.mark();
    record.mark();
    assert_eq!(changed(), [one]);
    record.remove();
    add(&table, &flow(2));
    let slots = [Some(flow(2).original)];
    // Its slot was free again, or another one is.
    let told = changed();
    assert!(told == slots || told.contains(&None), "{told:?}");
    // As many come as places: what gives way is told too.
    for number in 3..30 {
        let _inserted = table.insert(NOW, &flow(number), |_| {});
    }
    assert_eq!(changed().into_iter().flatten().count(), table.len());
}

#[test]
fn finding_and_inserting_do_not_allocate() {
    let table = PairTable::new(1_000, 1);
    let allocations = allocation_counter::measure(|| {
        for number in 0..2_000 {
            let _inserted = table.insert(NOW, &flow(number), |_| {});
            assert!(table.find(&flow(number).reply, NOW).is_some());
        }
        table.sweep(NOW + TIMEOUT, 1_000, |_| {});
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_record_takes_less_than_200_bytes_all_in_all() {
    const RECORDS: u32 = 1_000_000;
    let mut table = None;
    let allocations = allocation_counter::measure(|| table = Some(PairTable::new(RECORDS, 1)));
    let bytes = allocations.bytes_max / u64::from(RECORDS);
    assert!(bytes <= 191, "{bytes}");
    let table = table.unwrap();
    let memory = table.memory().map(|range| range.len() as u64);
    // All but the marks, an octet for seven records.
    let beside = allocations.bytes_max - memory.iter().sum::<u64>();
    assert!(beside <= u64::from(RECORDS) / 7, "{beside}");
    assert_eq!(table.capacity(), RECORDS as usize);
}
