//! Watches.

use std::thread;
use std::time::Duration;

use super::{Seen, Subject, below, key, see, seen};
use crate::{Event, Prefix, Revision, Store, StoreError, Transaction, Watch};

/// More than any of the changes takes to be told of.
const PATIENCE: Duration = Duration::from_secs(30);
/// Writers beside the watch, and what each writes.
const WRITERS: usize = 4;
const ROUNDS: usize = 20;

/// A watch tells of puts and deletions in its folder, from its revision on, and of no others.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn a_watch_tells_of_its_folder_alone(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    store.put(&key("w/before"), (*b"0").into())?;
    let range = store.range(&below("w"))?;
    let mut watch = store.watch(&below("w"), range.revision)?;
    store.put(&key("w"), (*b"the folder's own key").into())?;
    store.put(&key("w0"), (*b"beside it").into())?;
    let change = Transaction::new()
        .put(key("w/a"), *b"1")
        .put(key("x/a"), *b"1")
        .delete(key("w/before"));
    let revision = store.commit(&change)?.done();
    let batch = next(&mut *watch)?;
    assert_eq!(Some(batch.revision), revision);
    let [
        Event::Put { key: put, value },
        Event::Deleted { key: deleted },
    ] = &batch.events[..]
    else {
        return unexpected(&batch.events);
    };
    assert_eq!((put, deleted), (&key("w/a"), &key("w/before")));
    assert_eq!(Some(value), store.get(put)?.as_ref());
    Ok(())
}

#[expect(clippy::panic, reason = "the store fails the check")]
fn unexpected<T>(what: &(impl std::fmt::Debug + ?Sized)) -> T {
    panic!("{what:?}")
}

/// Returns the next batch that is not empty.
fn next(watch: &mut dyn Watch) -> Result<crate::Batch, StoreError> {
    let batch = watch.next(PATIENCE)?;
    assert!(!batch.events.is_empty(), "nothing was told");
    Ok(batch)
}

/// A watch of a folder in which nothing happens returns with nothing, and goes on.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn a_watch_waits_no_longer_than_it_is_told(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    store.put(&key("w/a"), (*b"1").into())?;
    let range = store.range(&below("w"))?;
    let mut watch = store.watch(&below("w"), range.revision)?;
    assert_eq!(watch.next(Duration::from_millis(1))?.events, []);
    store.put(&key("elsewhere"), (*b"2").into())?;
    let batch = watch.next(Duration::from_millis(1))?;
    assert_eq!(batch.events, []);
    assert!(batch.revision >= range.revision);
    store.put(&key("w/b"), (*b"3").into())?;
    assert_eq!(next(&mut *watch)?.events[0].key(), &key("w/b"));
    Ok(())
}

/// While others write, what a range gave and a watch from there tells is, after every batch, a whole
/// state, and in the end the one that is there.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn a_watch_and_its_range_lead_to_what_is_there(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(store, writer)))
            .collect();
        let range = store.range(&below("w"))?;
        let mut watch = store.watch(&below("w"), range.revision)?;
        let mut revision = range.revision;
        let mut followed = seen(range);
        while !is_over(&followed) {
            check_pairs(&followed);
            let batch = next(&mut *watch)?;
            assert!(batch.revision > revision);
            revision = batch.revision;
            see(&mut followed, batch);
        }
        for writer in writers {
            writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        see(&mut followed, watch.next(Duration::ZERO)?);
        assert_eq!(followed, seen(store.range(&below("w"))?));
        Ok(())
    })
}

/// Puts two keys together, again and again, deletes them now and then, and says when it is done.
fn write(store: &dyn Store, writer: usize) -> Result<(), StoreError> {
    let [left, right, done] = ["left", "right", "done"].map(|it| key(&format!("w/{writer}/{it}")));
    for round in 0..ROUNDS {
        let pair = if round % 5 == 4 {
            Transaction::new()
                .delete(left.clone())
                .delete(right.clone())
        } else {
            let value = round.to_string().into_bytes();
            Transaction::new()
                .put(left.clone(), value.clone())
                .put(right.clone(), value)
        };
        let _ = store.commit(&pair)?;
    }
    store.put(&done, [].into())
}

fn is_over(followed: &Seen) -> bool {
    (0..WRITERS).all(|writer| followed.contains_key(&key(&format!("w/{writer}/done"))))
}

fn check_pairs(followed: &Seen) {
    for writer in 0..WRITERS {
        let [left, right] =
            ["left", "right"].map(|it| followed.get(&key(&format!("w/{writer}/{it}"))));
        assert_eq!(left, right, "half of a transaction of writer {writer}");
    }
}

/// A watch from a revision that the store has not got to is refused: the store is another one.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn what_was_never_there_is_not_watched(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    store.put(&key("w/a"), (*b"1").into())?;
    let future = Revision::from_u64(store.range(&Prefix::all())?.revision.as_u64() + 1000);
    assert!(matches!(
        store.watch(&below("w"), future),
        Err(StoreError::Compacted { after }) if after == future
    ));
    Ok(())
}

/// An observer that slept through more than a store remembers is told so, or is told everything; either
/// way it gets to what is there.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn an_observer_that_falls_behind_can_start_again(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let range = store.range(&below("w"))?;
    let mut watch = store.watch(&below("w"), range.revision)?;
    let mut followed = seen(range);
    let long = vec![0x5a; Transaction::MAX_LEN / 2];
    for round in 0..72 {
        store.put(&key(&format!("w/{}", round % 3)), long.as_slice().into())?;
    }
    loop {
        match watch.next(Duration::ZERO) {
            Ok(batch) if batch.events.is_empty() => break,
            Ok(batch) => see(&mut followed, batch),
            Err(StoreError::Compacted { .. }) => {
                assert!(
                    watch.next(Duration::ZERO).is_err(),
                    "the watch is of no more use"
                );
                let range = store.range(&below("w"))?;
                watch = store.watch(&below("w"), range.revision)?;
                followed = seen(range);
            }
            Err(error) => return Err(error),
        }
    }
    assert_eq!(followed, seen(store.range(&below("w"))?));
    Ok(())
}
