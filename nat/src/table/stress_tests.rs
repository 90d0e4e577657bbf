//! The table under many threads at once, and against two ordinary maps.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use tapweave_net::Timestamp;

use super::tests::{NOW, flow};
use super::{Direction, Entry, Insert, PairTable, RecordRef, Tuple};

/// Numbers from which threads pick what they do.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(((self.0 >> 32) * u64::from(sides)) >> 32).unwrap()
    }
}

/// The flow of a number with one of several reply keys, as workers that choose ports at random make it.
fn flow_by(inside: u32, outside: u32) -> Entry {
    Entry {
        reply: flow(outside).reply,
        ..flow(inside)
    }
}

/// Four threads insert, find, change, remove and sweep the same few flows in a table that is too small
/// for them. The label is the number of the inside, the first word that of the outside, so that any
/// reading tells whether its parts belong together.
#[test]
fn many_threads_leave_a_table_that_is_true() {
    const FLOWS: u32 = 60;
    const ROUNDS: u32 = 20_000;
    let table = PairTable::new(40, 7);
    let (added, removed) = (AtomicU32::new(0), AtomicU32::new(0));
    let is_one = |entry: &Entry| {
        let outside = u32::try_from(entry.words[0]).unwrap();
        entry.original == flow(entry.label).original && entry.reply == flow(outside).reply
    };
    thread::scope(|scope| {
        for seed in 1..=4 {
            let (table, added, removed) = (&table, &added, &removed);
            scope.spawn(move || {
                let mut dice = Dice(seed * 0x9e37_79b9);
                let gone = |entry: &Entry| {
                    assert!(is_one(entry), "{entry:?}");
                    removed.fetch_add(1, Ordering::Relaxed);
                };
                for round in 0..ROUNDS {
                    let [inside, outside] = [(); 2].map(|()| dice.roll(FLOWS));
                    let now = NOW + Duration::from_millis(u64::from(round));
                    let entry = Entry {
                        words: [u64::from(outside), 0, 0],
                        expires: now + Duration::from_secs(1),
                        state: if inside % 3 == 0 { Entry::ASSURED } else { 0 },
                        ..flow_by(inside, outside)
                    };
                    match dice.roll(8) {
                        0..4 => match table.insert(now, &entry, gone) {
                            Insert::Added(_) => drop(added.fetch_add(1, Ordering::Relaxed)),
                            Insert::Exists(record, direction) => {
                                assert_eq!(direction, Direction::Original);
                                assert!(record.label().is_none_or(|label| label == inside));
                            }
                            Insert::ReplyTaken | Insert::Full => {}
                            Insert::Busy => panic!("busy"),
                        },
                        4 | 5 => {
                            if let Some((mut record, _)) = table.find(&entry.reply, now) {
                                let keys = Direction::ALL.map(|direction| record.tuple(direction));
                                if let Some(label) = record.label() {
                                    assert_eq!(keys[0], Some(flow(label).original));
                                    assert_eq!(keys[1], Some(entry.reply));
                                }
                                let _state = record.update(|state| Some(state ^ 1));
                            }
                        }
                        6 => {
                            let found = table.find(&entry.original, now);
                            if let Some(entry) = found.and_then(|(record, _)| record.remove()) {
                                gone(&entry);
                            }
                        }
                        _ => drop(table.sweep(now, 5, gone)),
                    }
                    assert!(table.len() <= 40 + 4);
                }
            });
        }
    });
    let entries: Vec<_> = table
        .records()
        .filter_map(|record| record.entry())
        .collect();
    assert!(entries.iter().all(is_one));
    let counted = added.into_inner() - removed.into_inner();
    assert_eq!(
        (table.len(), entries.len()),
        (counted as usize, counted as usize)
    );
    for key in entries
        .iter()
        .flat_map(|entry| [entry.original, entry.reply])
    {
        let same = entries
            .iter()
            .filter(|entry| entry.original == key || entry.reply == key);
        assert_eq!(same.count(), 1, "{key:?}");
    }
    for record in table.records() {
        assert!(record.remove().is_some());
    }
    assert!(table.is_empty());
    // Nothing is lost: all slots and all links are free again.
    for number in 0..40 {
        assert!(matches!(
            table.insert(NOW, &flow(number), |_| {}),
            Insert::Added(_)
        ));
    }
}

/// Threads race for the same new flows, each with a reply key of its own; whoever wins, all end up
/// with one translation.
#[test]
fn racing_workers_agree_on_the_translation_of_every_flow() {
    const FLOWS: u32 = 20_000;
    const WORKERS: u32 = 4;
    let table = PairTable::new(FLOWS + WORKERS, 3);
    let translations: Vec<Vec<Tuple>> = thread::scope(|scope| {
        let workers = [0, 1, 2, 3].map(|worker| {
            let table = &table;
            scope.spawn(move || {
                let translate = |number| {
                    let entry = flow_by(number, number * WORKERS + worker);
                    match table.insert(NOW, &entry, |_| {}) {
                        Insert::Added(record) | Insert::Exists(record, _) => {
                            record.tuple(Direction::Reply).unwrap()
                        }
                        refused @ (Insert::ReplyTaken | Insert::Full | Insert::Busy) => {
                            panic!("{refused:?}")
                        }
                    }
                };
                (0..FLOWS).map(translate).collect()
            })
        });
        workers.map(|worker| worker.join().unwrap()).into()
    });
    assert!(translations.iter().all(|all| *all == translations[0]));
    assert_eq!(table.len(), FLOWS as usize);
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Insert(u32, u32, u32),
    Remove(u32),
    Update(u32, u32),
    Touch(u32, u64),
    Sweep(u32),
    Wait(u64),
}

fn command() -> impl Strategy<Value = Command> {
    let number = 0..12_u32;
    let state = prop_oneof![Just(0), Just(1), Just(Entry::ASSURED), Just(Entry::KEPT)];
    prop_oneof![
        4 => (number.clone(), number.clone(), state.clone())
            .prop_map(|(inside, outside, state)| Command::Insert(inside, outside, state)),
        1 => number.clone().prop_map(Command::Remove),
        1 => (number.clone(), state).prop_map(|(inside, state)| Command::Update(inside, state)),
        1 => (number, 0..20_u64).prop_map(|(inside, secs)| Command::Touch(inside, secs)),
        1 => (0..20_u32).prop_map(Command::Sweep),
        1 => (0..10_u64).prop_map(Command::Wait),
    ]
}

/// What the table is to be: two maps from keys to names, and the records. It has no capacity.
#[derive(Default)]
struct Model {
    keys: [BTreeMap<Tuple, RecordRef>; 2],
    records: BTreeMap<RecordRef, Entry>,
}

impl Model {
    fn find(&self, key: &Tuple, now: Timestamp) -> Option<(RecordRef, Direction)> {
        let mut found = Direction::ALL
            .iter()
            .filter_map(|&direction| Some((*self.keys[direction.index()].get(key)?, direction)));
        found.find(|(name, _)| is_alive(&self.records[name], now))
    }

    fn add(&mut self, name: RecordRef, entry: Entry) {
        for direction in Direction::ALL {
            let earlier = self.keys[direction.index()].insert(entry.tuple(direction), name);
            assert_eq!(earlier, None);
        }
        self.records.insert(name, entry);
    }

    /// Forgets a record that the table says is gone.
    fn forget(&mut self, entry: &Entry) {
        let name = self.keys[0].remove(&entry.original).unwrap();
        assert_eq!(self.keys[1].remove(&entry.reply), Some(name));
        assert_eq!(self.records.remove(&name), Some(*entry));
    }
}

fn is_alive(entry: &Entry, now: Timestamp) -> bool {
    entry.state & Entry::KEPT != 0 || entry.expires > now
}

fn run(table: &PairTable, commands: &[Command]) {
    let mut model = Model::default();
    let mut now = NOW;
    for &command in commands {
        let mut gone = Vec::new();
        let mut note = |entry: &Entry| gone.push(*entry);
        match command {
            Command::Insert(inside, outside, state) => {
                let entry = Entry {
                    state,
                    expires: now + Duration::from_secs(5),
                    ..flow_by(inside, outside)
                };
                let original = model.find(&entry.original, now);
                let reply = model.find(&entry.reply, now);
                match table.insert(now, &entry, &mut note) {
                    Insert::Added(record) => {
                        assert_eq!((original, reply), (None, None));
                        gone.drain(..).for_each(|entry| model.forget(&entry));
                        model.add(record.reference(), entry);
                    }
                    Insert::Exists(record, direction) => {
                        assert_eq!(original, Some((record.reference(), direction)));
                    }
                    Insert::ReplyTaken => assert!(original.is_none() && reply.is_some()),
                    Insert::Full => {
                        gone.drain(..).for_each(|entry| model.forget(&entry));
                        let mut held = model.records.values();
                        assert!(held.all(|entry| entry.state > 1 && is_alive(entry, now)));
                    }
                    Insert::Busy => panic!("busy"),
                }
            }
            Command::Remove(inside) => {
                let found = table.find(&flow(inside).original, now);
                gone.extend(found.and_then(|(record, _)| record.remove()));
            }
            Command::Update(inside, state) => {
                if let Some((mut record, _)) = table.find(&flow(inside).original, now) {
                    assert_eq!(record.update(|_| Some(state)), Ok(state));
                    model.records.get_mut(&record.reference()).unwrap().state = state;
                }
            }
            Command::Touch(inside, secs) => {
                if let Some((record, _)) = table.find(&flow(inside).original, now) {
                    let expires = now + Duration::from_secs(secs);
                    record.set_expires(expires);
                    model.records.get_mut(&record.reference()).unwrap().expires = expires;
                }
            }
            Command::Sweep(budget) => {
                table.sweep(now, budget, &mut note);
                assert!(gone.iter().all(|entry| !is_alive(entry, now)));
            }
            Command::Wait(secs) => now = now + Duration::from_secs(secs),
        }
        for entry in &gone {
            model.forget(entry);
        }
        assert_eq!(table.len(), model.records.len());
        for number in 0..12 {
            for key in [flow(number).original, flow(number).reply] {
                let found = table.find(&key, now);
                let found = found.map(|(record, direction)| (record.reference(), direction));
                assert_eq!(found, model.find(&key, now));
            }
        }
    }
    let entries: BTreeMap<_, _> = table.entries(now).collect();
    model.records.retain(|_, entry| is_alive(entry, now));
    assert_eq!(entries, model.records);
}

proptest! {
    #[test]
    fn any_commands_leave_what_two_maps_would(
        capacity in 1..14_u32,
        seed: u64,
        commands in vec(command(), 0..100),
    ) {
        run(&PairTable::new(capacity, seed), &commands);
    }
}
