//! Leases.

use std::time::Duration;

use super::{Subject, below, key, no_lease};
use crate::{Event, StoreError, Transaction};

const TTL: Duration = Duration::from_secs(10);

/// Puts with and without a lease: only what was last put with it ends with it, and a watch tells so.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn keys_end_with_their_lease(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let lease = store.grant(TTL)?;
    assert!(lease.ttl >= TTL);
    let put = Transaction::new()
        .put_leased(key("l/a"), *b"1", lease.id.clone())
        .put_leased(key("l/b"), *b"1", lease.id.clone())
        .put_leased(key("l/kept"), *b"1", lease.id.clone())
        .put(key("l/taken"), *b"1");
    let _ = store.commit(&put)?;
    store.put(&key("l/kept"), (*b"2").into())?;
    let taken = Transaction::new().put_leased(key("l/taken"), *b"2", lease.id.clone());
    let _ = store.commit(&taken)?;
    let found = store.range(&below("l"))?;
    for entry in &found.entries {
        let expected = (entry.key != key("l/kept")).then_some(&lease.id);
        assert_eq!(entry.value.lease.as_ref(), expected, "{}", entry.key);
    }
    let mut watch = store.watch(&below("l"), found.revision)?;
    (subject.pass)(lease.ttl * 2);
    let mut gone = Vec::new();
    while gone.len() < 3 {
        let batch = watch.next(TTL)?;
        assert!(!batch.events.is_empty(), "the lease does not end");
        for event in batch.events {
            assert!(matches!(event, Event::Deleted { .. }), "{event:?}");
            gone.push(event.key().clone());
        }
    }
    assert_eq!(gone, [key("l/a"), key("l/b"), key("l/taken")]);
    let left = store.range(&below("l"))?;
    assert_eq!(left.entries.len(), 1);
    assert!(
        matches!(store.keep_alive(&lease.id), Err(StoreError::NoSuchLease { lease: it }) if it == lease.id)
    );
    let late = Transaction::new().put_leased(key("l/late"), *b"", lease.id);
    assert!(matches!(
        store.commit(&late),
        Err(StoreError::NoSuchLease { .. })
    ));
    Ok(())
}

/// A lease lasts as long as it is kept alive, and another one beside it ends.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn leases_end_when_they_are_not_kept_alive(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let (kept, left) = (store.grant(TTL)?, store.grant(TTL)?);
    assert_ne!(kept.id, left.id);
    let put = Transaction::new()
        .put_leased(key("l/kept"), *b"", kept.id.clone())
        .put_leased(key("l/left"), *b"", left.id);
    let _ = store.commit(&put)?;
    for _ in 0..5 {
        (subject.pass)(kept.ttl / 2);
        store.keep_alive(&kept.id)?;
    }
    assert!(store.get(&key("l/kept"))?.is_some());
    assert_eq!(store.get(&key("l/left"))?, None);
    (subject.pass)(kept.ttl * 2);
    assert_eq!(store.get(&key("l/kept"))?, None);
    Ok(())
}

/// A lease that is revoked is gone with its keys, at one revision; one that never was cannot be used.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn revoked_leases_are_gone(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let lease = store.grant(TTL)?;
    let put = Transaction::new()
        .put_leased(key("l/a"), *b"", lease.id.clone())
        .put_leased(key("l/b"), *b"", lease.id.clone())
        .put(key("l/c"), *b"");
    let _ = store.commit(&put)?;
    let before = store.range(&below("l"))?;
    let mut watch = store.watch(&below("l"), before.revision)?;
    store.revoke(&lease.id)?;
    let batch = watch.next(TTL)?;
    let deleted = [key("l/a"), key("l/b")].map(|key| Event::Deleted { key });
    assert_eq!(batch.events, deleted);
    assert_eq!(store.range(&below("l"))?.revision, batch.revision);
    for gone in [&lease.id, &no_lease()] {
        let is_refused = |it: Result<(), StoreError>| {
            assert!(matches!(it, Err(StoreError::NoSuchLease { lease }) if lease == *gone));
        };
        is_refused(store.keep_alive(gone));
        is_refused(store.revoke(gone));
        let put = Transaction::new().put_leased(key("l/d"), *b"", gone.clone());
        is_refused(store.commit(&put).map(drop));
    }
    Ok(())
}
