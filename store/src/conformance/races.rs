//! Many callers at once.

use std::thread;

use super::{Subject, below, key};
use crate::{Commit, Key, Store, StoreError, Swap, Transaction};

const THREADS: usize = 8;
/// What each thread does so often.
const ROUNDS: usize = 10;

/// Runs the same in several threads, each with its number.
fn in_threads(run: impl Fn(usize) -> Result<(), StoreError> + Sync) -> Result<(), StoreError> {
    thread::scope(|scope| {
        let run = &run;
        let threads: [_; THREADS] = std::array::from_fn(|number| scope.spawn(move || run(number)));
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

fn number_at(store: &dyn Store, key: &Key) -> Result<(u64, Option<crate::Revision>), StoreError> {
    Ok(store.get(key)?.map_or((0, None), |it| {
        let octets = it.value.first_chunk().copied().unwrap_or_default();
        (u64::from_be_bytes(octets), Some(it.modified))
    }))
}

/// A counter that many threads move by swaps has counted every one of them.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn swaps_of_many_threads_lose_nothing(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let counter = key("counter");
    in_threads(|_| {
        for _ in 0..ROUNDS {
            loop {
                let (number, expected) = number_at(store, &counter)?;
                let commit = store.compare_and_swap(Swap {
                    key: &counter,
                    expected,
                    value: Some((number + 1).to_be_bytes().into()),
                })?;
                if commit.done().is_some() {
                    break;
                }
            }
        }
        Ok(())
    })?;
    let counted = number_at(store, &counter)?.0;
    assert_eq!(counted, (THREADS * ROUNDS) as u64);
    Ok(())
}

/// Of the threads that claim one name at the same time, one gets it, and its record alone is there.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn of_many_claims_one_wins(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    in_threads(|thread| {
        for round in 0..ROUNDS {
            let name = key(&format!("names/{round}"));
            let record = key(&format!("records/{round}-{thread}"));
            let claim = Transaction::new()
                .if_absent(name.clone())
                .put(name.clone(), record.as_str().as_bytes())
                .put(record.clone(), *b"");
            let won = matches!(store.commit(&claim)?, Commit::Done(_));
            let owner = store.get(&name)?.map(|it| it.value);
            let is_ours = owner.as_deref() == Some(record.as_str().as_bytes());
            assert_eq!(is_ours, won, "{name}");
        }
        Ok(())
    })?;
    assert_eq!(store.range(&below("names"))?.entries.len(), ROUNDS);
    assert_eq!(store.range(&below("records"))?.entries.len(), ROUNDS);
    Ok(())
}

/// Whoever reads while others write sees each transaction as a whole, and revisions that do not go back.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn transactions_are_seen_whole(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    in_threads(|thread| {
        let mut last = crate::Revision::ZERO;
        for round in 0..ROUNDS {
            if thread % 2 == 0 {
                let value = [
                    u8::try_from(thread).unwrap_or(0),
                    u8::try_from(round).unwrap_or(0),
                ];
                let pair = Transaction::new()
                    .put(key("pair/left"), value)
                    .put(key("pair/right"), value);
                let made = store.commit(&pair)?.done();
                assert!(made > Some(last));
            }
            let range = store.range(&below("pair"))?;
            assert!(
                range.revision >= last,
                "{:?} after {last:?}",
                range.revision
            );
            last = range.revision;
            assert!(
                range.entries.is_empty() || range.entries.len() == 2,
                "half of a transaction: {range:?}"
            );
            let mut values = range
                .entries
                .iter()
                .map(|it| (&it.value.value, it.value.modified));
            assert_eq!(values.next(), values.next());
        }
        Ok(())
    })
}
