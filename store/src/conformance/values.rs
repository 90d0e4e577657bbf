//! Values, transactions, folders: what one caller sees.

use super::{Subject, below, key, no_lease};
use crate::{Commit, Comparison, Prefix, Revision, Store, StoreError, Swap, Transaction};

/// A value has the revisions of its key's creation and of its own, and both begin anew with a key that
/// was deleted.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn values_carry_their_revisions(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let a = key("a");
    assert_eq!(store.get(&a)?, None);
    store.put(&a, (*b"1").into())?;
    let first = store.get(&a)?.unwrap_or_else(|| unseen("the first value"));
    assert_eq!((&*first.value, first.lease.as_ref()), (&b"1"[..], None));
    assert_eq!(first.created, first.modified);
    store.put(&a, (*b"1").into())?;
    let second = store.get(&a)?.unwrap_or_else(|| unseen("the second value"));
    assert_eq!(second.created, first.created);
    assert!(
        second.modified > first.modified,
        "a put of the same value is a change"
    );
    store.delete(&a)?;
    assert_eq!(store.get(&a)?, None);
    store.put(&a, [].into())?;
    let third = store.get(&a)?.unwrap_or_else(|| unseen("an empty value"));
    assert_eq!(third.value.len(), 0);
    assert_eq!(third.created, third.modified);
    assert!(third.created > second.modified);
    Ok(())
}

#[expect(clippy::panic, reason = "the store fails the check")]
fn unseen<T>(what: &str) -> T {
    panic!("{what} is not there")
}

/// All changes of a transaction have one revision, or none is made.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn transactions_are_made_whole_or_not_at_all(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let (a, b, c) = (key("n/a"), key("n/b"), key("n/c"));
    let both = Transaction::new()
        .put(a.clone(), *b"a")
        .put(b.clone(), *b"b")
        .delete(c.clone());
    let Commit::Done(revision) = store.commit(&both)? else {
        return unseen("the transaction");
    };
    let range = store.range(&below("n"))?;
    assert_eq!(range.revision, revision);
    assert_eq!(range.entries.len(), 2);
    assert!(
        range
            .entries
            .iter()
            .all(|it| it.value.created == revision && it.value.modified == revision)
    );

    let refused = Transaction::new()
        .if_present(a.clone())
        .if_absent(b.clone())
        .delete(a)
        .put(c.clone(), *b"c");
    assert_eq!(store.commit(&refused)?, Commit::Conflict { key: b });
    let leased = Transaction::new()
        .put(key("n/d"), *b"d")
        .put_leased(c, *b"c", no_lease());
    assert!(
        matches!(store.commit(&leased), Err(StoreError::NoSuchLease { lease }) if lease == no_lease())
    );
    assert_eq!(
        store.range(&below("n"))?,
        range,
        "what is refused leaves no trace"
    );

    let nothing = Transaction::new().if_absent(key("n/x")).delete(key("n/y"));
    assert_eq!(store.commit(&nothing)?, Commit::Done(revision));
    assert_eq!(store.commit(&Transaction::new())?, Commit::Done(revision));
    Ok(())
}

/// Each comparison holds where it should, and so do swaps.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn comparisons_mean_what_they_say(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let (there, gone) = (key("there"), key("gone"));
    for it in [&there, &gone] {
        store.put(it, (*b"1").into())?;
    }
    let old = modified(store, &there)?;
    let was = modified(store, &gone)?;
    store.put(&there, (*b"2").into())?;
    store.delete(&gone)?;
    let now = modified(store, &there)?;
    for (comparison, holds) in [
        (Comparison::Present(there.clone()), true),
        (Comparison::Absent(there.clone()), false),
        (Comparison::Unchanged(there.clone(), now), true),
        (Comparison::Unchanged(there.clone(), old), false),
        (Comparison::Present(gone.clone()), false),
        (Comparison::Absent(gone.clone()), true),
        (Comparison::Unchanged(gone, was), false),
    ] {
        let commit = store.commit(&Transaction::new().when(comparison.clone()))?;
        assert_eq!(commit.done().is_some(), holds, "{comparison:?}");
    }
    let swap = |expected, value: Option<&[u8]>| {
        let commit = store.compare_and_swap(Swap {
            key: &there,
            expected,
            value: value.map(Into::into),
        })?;
        Ok::<_, StoreError>(commit.done())
    };
    assert_eq!(swap(None, Some(b"3"))?, None);
    assert_eq!(swap(Some(old), Some(b"3"))?, None);
    let then = swap(Some(now), Some(b"3"))?;
    assert!(then > Some(now));
    assert_eq!(swap(Some(now), None)?, None);
    assert!(swap(then, None)?.is_some());
    assert_eq!(store.get(&there)?, None);
    assert!(swap(None, Some(b"4"))?.is_some());
    Ok(())
}

fn modified(store: &dyn Store, key: &crate::Key) -> Result<Revision, StoreError> {
    Ok(store.get(key)?.map_or(Revision::ZERO, |it| it.modified))
}

/// The largest transaction is made, and a larger one refused without a trace.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn limits_are_those_of_every_store(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let puts = |count| {
        (0..count).fold(Transaction::new(), |it, n| {
            it.put(key(&format!("many/{n}")), *b"v")
        })
    };
    assert!(
        store
            .commit(&puts(Transaction::MAX_OPERATIONS))?
            .done()
            .is_some()
    );
    let long = |len| Transaction::new().put(key("long"), vec![0x5a; len]);
    let room = Transaction::MAX_LEN - "long".len();
    assert!(store.commit(&long(room))?.done().is_some());
    let before = store.range(&Prefix::all())?;
    assert_eq!(before.entries.len(), Transaction::MAX_OPERATIONS + 1);

    let max = Transaction::MAX_OPERATIONS + 1;
    assert!(
        matches!(store.commit(&puts(max)), Err(StoreError::TooManyOperations { count, .. }) if count == max)
    );
    assert!(matches!(
        store.commit(&long(room + 1)),
        Err(StoreError::TooLong { .. })
    ));
    let twice = Transaction::new().put(key("x"), *b"1").delete(key("x"));
    assert!(
        matches!(store.commit(&twice), Err(StoreError::ChangedTwice { key: it }) if it == key("x"))
    );
    assert_eq!(store.range(&Prefix::all())?, before);
    Ok(())
}

/// A folder has what is below its key, in the order of octets, and one revision.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn folders_are_read_in_order_at_one_revision(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    assert_eq!(store.range(&Prefix::all())?.entries, []);
    let texts = [
        "a", "a-b", "a/Z", "a/b", "a/b/c", "a/b=", "a/z", "a0", "ab/c", "b/a/b",
    ];
    for text in texts.iter().rev() {
        store.put(&key(text), text.as_bytes().into())?;
    }
    let listed = |prefix: &Prefix| {
        let entries = store.range(prefix)?.entries;
        let listed = entries.into_iter().map(|it| {
            assert_eq!(&*it.value.value, it.key.as_str().as_bytes());
            it.key.to_string()
        });
        Ok::<Vec<_>, StoreError>(listed.collect())
    };
    assert_eq!(listed(&Prefix::all())?, texts);
    assert_eq!(listed(&below("a"))?, ["a/Z", "a/b", "a/b/c", "a/b=", "a/z"]);
    assert_eq!(listed(&below("a/b"))?, ["a/b/c"]);
    assert_eq!(listed(&below("b"))?, ["b/a/b"]);
    assert_eq!(listed(&below("c"))?, [""; 0]);
    Ok(())
}
