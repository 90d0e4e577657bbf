//! The store in memory: for tests, and for daemons that need not remember.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::apply::{self, Applied, Records};
use crate::deadlines::Deadlines;
use crate::history::{History, Upkeep};
use crate::{
    Clock, Commit, Entry, Key, Lease, LeaseId, Prefix, Range, Revision, Store, StoreError,
    Transaction, Versioned, Watch,
};

/// A store whose values end with it.
#[derive(Debug)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    history: Arc<History>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    revision: Revision,
    deadlines: Deadlines,
    granted: u64,
}

#[derive(Debug, Default)]
struct Table {
    values: BTreeMap<Key, Versioned>,
    leases: BTreeSet<LeaseId>,
}

impl MemoryStore {
    /// Returns an empty store whose leases end by a clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            history: History::new(Revision::ZERO),
            clock,
        }))
    }
}

impl Inner {
    /// Locks the state, in which the leases whose time is over have ended.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for lease in state.deadlines.over(self.clock.now()) {
            self.end(&mut state, &lease)?;
        }
        Ok(state)
    }

    fn end(&self, state: &mut State, lease: &LeaseId) -> Result<(), StoreError> {
        let applied = apply::end_of_lease(&mut state.table, lease)?;
        state.deadlines.remove(lease);
        drop(self.finish(state, applied));
        Ok(())
    }

    /// Moves the store on to the revision at which something was changed.
    fn finish(&self, state: &mut State, applied: Applied) -> Commit {
        match applied {
            Applied::Conflict(key) => Commit::Conflict { key },
            Applied::Changed(events) => {
                if !events.is_empty() {
                    state.revision = state.revision.next();
                    self.history.push(state.revision, events);
                }
                Commit::Done(state.revision)
            }
        }
    }
}

impl Upkeep for Inner {
    fn end_leases(&self) -> Result<(), StoreError> {
        self.state().map(drop)
    }
}

impl Store for MemoryStore {
    fn commit(&self, transaction: &Transaction) -> Result<Commit, StoreError> {
        transaction.check()?;
        let mut state = self.0.state()?;
        let next = state.revision.next();
        let applied = apply::transaction(&mut state.table, transaction, next)?;
        Ok(self.0.finish(&mut state, applied))
    }

    fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.0.state()?.table.read(key)
    }

    fn range(&self, prefix: &Prefix) -> Result<Range, StoreError> {
        let end = prefix.end();
        let bounds = (
            Bound::Included(prefix.as_str()),
            end.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        );
        let state = self.0.state()?;
        let entries = state.table.values.range::<str, _>(bounds);
        Ok(Range {
            revision: state.revision,
            entries: entries
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
        })
    }

    fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let upkeep = Arc::clone(&self.0);
        self.0.history.watch(upkeep, prefix, after)
    }

    fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let mut state = self.0.state()?;
        state.granted += 1;
        let id = LeaseId::numbered(state.granted);
        state.table.leases.insert(id.clone());
        state.deadlines.insert(id.clone(), ttl, self.0.clock.now());
        Ok(Lease { id, ttl })
    }

    fn keep_alive(&self, lease: &LeaseId) -> Result<(), StoreError> {
        self.0
            .state()?
            .deadlines
            .keep_alive(lease, self.0.clock.now())
    }

    fn revoke(&self, lease: &LeaseId) -> Result<(), StoreError> {
        let mut state = self.0.state()?;
        self.0.end(&mut state, lease)
    }
}

impl Records for Table {
    fn read(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        Ok(self.values.get(key).cloned())
    }

    fn write(&mut self, key: &Key, value: &Versioned) -> Result<(), StoreError> {
        self.values.insert(key.clone(), value.clone());
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), StoreError> {
        self.values.remove(key);
        Ok(())
    }

    fn has_lease(&self, lease: &LeaseId) -> Result<bool, StoreError> {
        Ok(self.leases.contains(lease))
    }

    fn remove_lease(&mut self, lease: &LeaseId) -> Result<(), StoreError> {
        self.leases.remove(lease);
        Ok(())
    }

    fn keys_of(&self, lease: &LeaseId) -> Result<Vec<Key>, StoreError> {
        let leased = self.values.iter();
        let leased = leased.filter(|(_, value)| value.lease.as_ref() == Some(lease));
        Ok(leased.map(|(key, _)| key.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use crate::conformance::Subject;

    crate::conformance!(suite, super::subject());

    fn subject() -> Subject {
        let clock = Arc::new(ManualClock::default());
        Subject {
            store: Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock))),
            pass: Box::new(move |time| clock.advance(time)),
            runs: 256,
            keep: Box::new(()),
        }
    }
}
