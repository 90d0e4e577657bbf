//! The recent past of a store, from which its watches read.
//!
//! The past is kept in memory, as far as [`MAX_LEN`] octets go: some 10,000 changes of ordinary records.
//! A watch holds no changes of its own, so it costs the same however slow its reader is, and a reader
//! who is slower than the past is long is told so. A store that starts knows no past; whoever watched
//! before begins again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Batch, Event, Prefix, Revision, StoreError, Watch};

/// Octets of changes that are remembered.
const MAX_LEN: usize = 8 << 20;
/// What a change takes besides its key and its value, about.
const EVENT_LEN: usize = 128;

/// What a store does before it tells what changed.
pub(crate) trait Upkeep: fmt::Debug + Send + Sync {
    /// Ends the leases whose time is over.
    fn end_leases(&self) -> Result<(), StoreError>;
}

/// Changes that were made, for all watches of a store.
#[derive(Debug)]
pub(crate) struct History {
    past: Mutex<Past>,
    /// Notified when the past grows.
    grown: Condvar,
}

#[derive(Debug)]
struct Past {
    /// The changes after this revision are known.
    from: Revision,
    /// The revision that the store is at.
    to: Revision,
    steps: VecDeque<Step>,
    /// Octets of all steps.
    len: usize,
}

/// What was changed at one revision.
#[derive(Debug)]
struct Step {
    revision: Revision,
    events: Vec<Event>,
    len: usize,
}

impl History {
    /// Returns the history of a store that begins at a revision.
    pub(crate) fn new(revision: Revision) -> Arc<Self> {
        Arc::new(Self {
            past: Mutex::new(Past {
                from: revision,
                to: revision,
                steps: VecDeque::new(),
                len: 0,
            }),
            grown: Condvar::new(),
        })
    }

    /// Takes in what was changed at a revision that is later than all before.
    pub(crate) fn push(&self, revision: Revision, events: Vec<Event>) {
        let len = events.iter().map(len_of).sum();
        let mut past = self.past();
        past.to = revision;
        past.len += len;
        past.steps.push_back(Step {
            revision,
            events,
            len,
        });
        while past.len > MAX_LEN
            && let Some(forgotten) = past.steps.pop_front()
        {
            past.len -= forgotten.len;
            past.from = forgotten.revision;
        }
        drop(past);
        self.grown.notify_all();
    }

    /// Forgets the past if it does not lead to a revision: then the store has gone on unseen.
    pub(crate) fn forget_unless_at(&self, revision: Revision) {
        let mut past = self.past();
        if past.to != revision {
            past.from = revision;
            past.to = revision;
            past.steps.clear();
            past.len = 0;
            drop(past);
            self.grown.notify_all();
        }
    }

    /// Returns a watch of a folder.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] when `after` is outside of what is known.
    pub(crate) fn watch(
        self: &Arc<Self>,
        upkeep: Arc<dyn Upkeep>,
        prefix: &Prefix,
        after: Revision,
    ) -> Result<Box<dyn Watch>, StoreError> {
        self.past().check(after)?;
        Ok(Box::new(HistoryWatch {
            history: Arc::clone(self),
            upkeep,
            prefix: prefix.clone(),
            after,
        }))
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn len_of(event: &Event) -> usize {
    let value_len = match event {
        Event::Put { value, .. } => value.value.len(),
        Event::Deleted { .. } => 0,
    };
    EVENT_LEN + event.key().as_str().len() + value_len
}

impl Past {
    fn check(&self, after: Revision) -> Result<(), StoreError> {
        if (self.from..=self.to).contains(&after) {
            Ok(())
        } else {
            Err(StoreError::Compacted { after })
        }
    }

    /// Returns what was changed in a folder after a revision that is known.
    fn since(&self, after: Revision, prefix: &Prefix) -> Vec<Event> {
        let first = self.steps.partition_point(|step| step.revision <= after);
        self.steps
            .range(first..)
            .flat_map(|step| &step.events)
            .filter(|event| prefix.contains(event.key()))
            .cloned()
            .collect()
    }
}

#[derive(Debug)]
struct HistoryWatch {
    history: Arc<History>,
    upkeep: Arc<dyn Upkeep>,
    prefix: Prefix,
    /// What was changed up to here is told.
    after: Revision,
}

impl Watch for HistoryWatch {
    fn next(&mut self, timeout: Duration) -> Result<Batch, StoreError> {
        self.upkeep.end_leases()?;
        let mut events = Vec::new();
        let mut after = self.after;
        let (past, _) = self
            .history
            .grown
            .wait_timeout_while(self.history.past(), timeout, |past| {
                if past.check(after).is_ok() {
                    events = past.since(after, &self.prefix);
                    after = past.to;
                    events.is_empty()
                } else {
                    false
                }
            })
            .unwrap_or_else(PoisonError::into_inner);
        past.check(after)?;
        drop(past);
        self.after = after;
        Ok(Batch {
            revision: after,
            events,
        })
    }
}
