//! What the next daemon would read, at every moment.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tapweave_nat::table::{Endpoint, Realm, Tuple};
use tapweave_nat::{FlowFilter, NatConfig};
use tapweave_net::{IpProtocol, NetworkNo};

use super::*;
use crate::carry::test_place::{BOOT, Place};

const NOW: Timestamp = Timestamp::from_secs(100);

struct Rig {
    nat: Arc<Nat>,
    place: Place,
    journal: Journal,
}

impl Rig {
    fn new(pace: Pace) -> Self {
        let nat = Arc::new(Nat::new(NatConfig {
            flow_limit: 400,
            ..NatConfig::new(5, 1)
        }));
        let place = Place::default();
        let journal = Journal {
            pace,
            ..Journal::new(Arc::clone(&nat), BOOT, Box::new(place.clone()))
        };
        Self {
            nat,
            place,
            journal,
        }
    }

    fn write(&self, now: Timestamp) {
        self.journal.write(networks, now);
    }

    /// Writes until nothing is left to write.
    /// Writes round by round until nothing is left.
    fn write_all(&self) {
        while self.journal.is_due() {
            self.write(NOW);
        }
    }

    fn finish(&self) {
        self.journal.finish(networks, NOW);
    }

    fn table(&self) -> BTreeMap<u32, Entry> {
        let places = 0..self.nat.place_count();
        places
            .filter_map(|place| Some((place, self.nat.flow_in(place)?)))
            .collect()
    }

    fn add(&self, number: u8) {
        self.nat.restore(&flow(number), NOW);
    }

    fn remove(&self, number: u8) {
        self.nat.flush(&FlowFilter {
            address: Some([198, 51, 100, number].into()),
            ..FlowFilter::default()
        });
    }
}

fn networks() -> Networks {
    [(NetworkNo(1), "a".repeat(64))].into()
}

/// The flow of one sandbox to one of many servers.
fn flow(number: u8) -> Entry {
    let (sandbox, outside) = (
        Endpoint::new([10, 0, 0, 2].into(), 4000 + u16::from(number)),
        Endpoint::new([192, 0, 2, 1].into(), 40_000 + u16::from(number)),
    );
    let server = Endpoint::new([198, 51, 100, number].into(), 53);
    let tuple = |realm, src, dst| Tuple {
        realm,
        protocol: IpProtocol::UDP,
        src,
        dst,
    };
    Entry {
        // Masqueraded, with a share in its mapping.
        label: 1 | 1 << 3,
        ..Entry::new(
            tuple(Realm::of(NetworkNo(1)), sandbox, server),
            tuple(Realm::OUTSIDE, server, outside),
            NOW + Duration::from_mins(1),
        )
    }
}

const SMALL: Pace = Pace {
    piece: 3,
    changes: 1,
    growth: 2000,
};

#[test]
fn nothing_is_found_before_everything_is_there() {
    let rig = Rig::new(SMALL);
    for number in 0..9 {
        rig.add(number);
    }
    rig.write(NOW);
    assert_eq!(rig.place.read(), None);
    rig.finish();
    let carried = rig.place.read().unwrap();
    assert_eq!(carried.flows.len(), 9);
    assert_eq!((carried.networks, carried.flows), (networks(), rig.table()));
    assert!(!rig.journal.is_due());
}

#[test]
fn a_journal_that_has_grown_is_made_anew_and_says_the_same() {
    let rig = Rig::new(SMALL);
    rig.write_all();
    for round in 0..200_u8 {
        rig.add(round % 7);
        rig.write_all();
        rig.remove(round % 7);
        rig.write_all();
        assert_eq!(rig.place.read().unwrap().flows, rig.table());
    }
    let found = rig.place.0.lock().unwrap();
    assert!(found.puts > 5, "{}", found.puts);
    let len = found.file.as_ref().unwrap().metadata().unwrap().len();
    assert!(len < 5000, "{len}");
}

/// Who takes over has read what is there: however long it is, it is only added to.
#[test]
fn the_end_of_a_journal_is_added_to_the_one_that_is_there() {
    let rig = Rig::new(SMALL);
    rig.add(0);
    rig.write_all();
    // One that is too long, and a draft of another one.
    let drafted = (0..200_u8).any(|round| {
        rig.add(1 + round % 7);
        rig.write(NOW);
        rig.remove(1 + round % 7);
        rig.write(NOW);
        rig.journal.files().draft.is_some()
    });
    assert!(drafted);
    let puts = rig.place.0.lock().unwrap().puts;
    for number in 20..40 {
        rig.add(number);
    }
    rig.finish();
    assert_eq!(rig.place.0.lock().unwrap().puts, puts);
    assert_eq!(rig.place.read().unwrap().flows, rig.table());
    assert!(!rig.journal.is_due());
}

#[test]
fn a_journal_that_cannot_be_written_is_begun_anew_after_a_pause() {
    let rig = Rig::new(SMALL);
    rig.add(1);
    rig.place.0.lock().unwrap().is_broken = true;
    rig.write(NOW);
    assert_eq!(rig.journal.failures(), 1);
    rig.place.0.lock().unwrap().is_broken = false;
    rig.write(NOW + PAUSE / 2);
    rig.journal.finish(networks, NOW + PAUSE / 2);
    assert_eq!(rig.place.read(), None);
    rig.add(2);
    rig.journal.finish(networks, NOW + PAUSE);
    assert_eq!(rig.place.read().unwrap().flows, rig.table());
    assert_eq!(rig.journal.failures(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8),
    Remove(u8),
    Write,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..40_u8).prop_map(Step::Add),
        2 => (0..40_u8).prop_map(Step::Remove),
        3 => Just(Step::Write),
    ]
}

proptest! {
    /// A daemon that is killed at any moment leaves the table as it was at a round: every round writes all changes.
    #[test]
    fn what_is_found_is_what_there_was_at_the_last_round(
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let rig = Rig::new(Pace { changes: usize::MAX, ..SMALL });
        rig.finish();
        let mut at_last_round = rig.table();
        for step in steps {
            match step {
                Step::Add(number) => rig.add(number),
                Step::Remove(number) => rig.remove(number),
                Step::Write => {
                    rig.write(NOW);
                    at_last_round = rig.table();
                }
            }
            let carried = rig.place.read().unwrap();
            prop_assert!(carried.refused.is_empty());
            prop_assert_eq!(carried.flows, at_last_round.clone());
        }
    }
}
