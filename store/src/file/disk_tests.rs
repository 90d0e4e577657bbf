//! The store on disks that fail.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::disk::{Disk, Fault};
use super::*;
use crate::StoppedClock;

fn open(disk: &Disk) -> Result<FileStore, OpenError> {
    FileStore::on(Box::new(disk.clone()), Arc::new(StoppedClock))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// The `n`th of many transactions: moves two keys on together, adds one record and drops an old one.
fn step(n: u64) -> Transaction {
    let record = |n: u64| key(&format!("log/{n}"));
    Transaction::new()
        .put(key("left"), n.to_be_bytes())
        .put(key("right"), n.to_be_bytes())
        .put(record(n), vec![0x5a; usize::try_from(n % 7 * 700).unwrap()])
        .delete(record(n.wrapping_sub(10)))
}

/// Returns the last step that a store has, and checks that it is there as a whole, and nothing else.
fn last_step(store: &FileStore) -> u64 {
    let found: Vec<_> = store.range(&Prefix::all()).unwrap().entries;
    let Some(right) = found.iter().find(|it| it.key == key("right")) else {
        assert_eq!(found, []);
        return 0;
    };
    let n = u64::from_be_bytes(*right.value.value.first_chunk().unwrap());
    let left = store.get(&key("left")).unwrap().unwrap();
    assert_eq!(left, right.value);
    assert_eq!(left.modified, Revision::from_u64(n));
    let mut expected: Vec<_> = (n.saturating_sub(9).max(1)..=n)
        .map(|n| format!("log/{n}"))
        .collect();
    expected.sort();
    let logged = store.range(&Prefix::below(&key("log"))).unwrap().entries;
    let logged: Vec<_> = logged.iter().map(|it| it.key.to_string()).collect();
    assert_eq!(logged, expected);
    n
}

/// Makes steps until one fails, which is returned with the number of those that were acknowledged.
fn work(store: &FileStore, from: u64) -> (u64, StoreError) {
    for n in from.. {
        if let Err(error) = store.commit(&step(n)) {
            return (n - 1, error);
        }
    }
    unreachable!("the disks of these tests do not last")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_failure_of_power_loses_nothing_that_was_acknowledged(
        calls in prop::collection::vec(0..200_usize, 1..4),
        seed in any::<u64>(),
        share in 0..=4_u64,
    ) {
        let mut disk = Disk::default();
        let mut random = seed | 1;
        let mut done = 0;
        for calls in calls {
            disk.set_fault(Some(Fault::DeadAfter(calls)));
            let mut acknowledged = done;
            if let Ok(store) = open(&disk) {
                disk.set_fault(Some(Fault::DeadAfter(calls)));
                acknowledged = work(&store, done + 1).0;
            }
            let is_kept = || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % 4 < share
            };
            disk = disk.after_power_failure(is_kept).unwrap_or_default();
            let store = open(&disk).unwrap();
            done = last_step(&store);
            prop_assert!(
                (acknowledged..=acknowledged + 1).contains(&done),
                "{acknowledged} were acknowledged, {done} are there"
            );
        }
    }

    #[test]
    fn a_full_disk_is_told_and_loses_nothing(writes in 0..80_usize, before in 1..20_u64) {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        for n in 1..=before {
            let _ = store.commit(&step(n)).unwrap();
        }
        let mut watch = store.watch(&Prefix::all(), Revision::from_u64(before)).unwrap();
        disk.set_fault(Some(Fault::FullAfter(writes)));
        let (acknowledged, error) = work(&store, before + 1);
        let (StoreError::Unavailable { source } | StoreError::OutcomeUnknown { source }) = &error else {
            panic!("{error:?}");
        };
        prop_assert_eq!(source.to_string(), "cannot write disk/store.redb");
        for _ in 0..3 {
            prop_assert!(store.commit(&step(0)).is_err(), "it is full for others too");
        }

        disk.set_fault(None);
        let done = last_step(&store);
        let is_unknown = matches!(error, StoreError::OutcomeUnknown { .. });
        prop_assert!(
            done == acknowledged || is_unknown && done == acknowledged + 1,
            "{acknowledged} were acknowledged, then {error:?}, {done} are there"
        );
        let _ = store.commit(&step(done + 1)).unwrap();
        match watch.next(Duration::ZERO) {
            Ok(batch) => prop_assert_eq!(batch.revision, Revision::from_u64(done + 1)),
            Err(StoreError::Compacted { .. }) => prop_assert!(is_unknown),
            Err(error) => panic!("{error:?}"),
        }
        drop((watch, store));
        prop_assert_eq!(last_step(&open(&disk).unwrap()), done + 1);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_claimed_until_the_next_start() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    let _ = store.commit(&step(1)).unwrap();
    disk.set_fault(Some(Fault::Sync));
    assert!(matches!(
        store.commit(&step(2)),
        Err(StoreError::OutcomeUnknown { .. })
    ));
    disk.set_fault(None);
    for _ in 0..2 {
        let Err(StoreError::Unavailable { source }) = store.commit(&step(2)) else {
            panic!("the disk is not to be trusted");
        };
        let expected =
            "cannot write disk/store.redb; start the program again when the disk is well";
        assert_eq!(source.to_string(), expected);
        assert!(matches!(
            store.range(&Prefix::all()),
            Err(StoreError::Unavailable { .. })
        ));
    }
    drop(store);
    let disk = disk.after_power_failure(|| false).unwrap();
    assert_eq!(last_step(&open(&disk).unwrap()), 1);
}

/// A store with some steps, closed.
static STORE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    for n in 1..30 {
        let _ = store.commit(&step(n)).unwrap();
    }
    drop(store);
    disk.octets()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_file_with_wrong_octets_opens_as_it_was_or_is_refused_untouched(
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        near_start in any::<bool>(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut octets = STORE.clone();
        let reach = if near_start { 4096 } else { octets.len() };
        for (at, octet) in wrong {
            octets[at.index(reach)] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len()));
        }
        let disk = Disk::with(octets.clone());
        match open(&disk) {
            Ok(store) => prop_assert!(last_step(&store) >= 28),
            Err(error) => {
                prop_assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
                prop_assert!(disk.octets() == octets, "it was changed");
            }
        }
    }
}
