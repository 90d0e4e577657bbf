//! What happens, told to whoever listens.
//!
//! # Theory of operation
//!
//! The controller publishes each thing that happens to one [`EventHub`], which numbers it and keeps the
//! last [`KEPT`] of them in a ring. Whoever listens has a [`Subscription`]: a number, that of the next
//! event it has not seen, and nothing else. So publishing costs the same whether nobody listens or a
//! hundred do, never waits, and a slow reader holds no memory: when the ring has gone past its number, it
//! is told how many events it has missed ([`Told::Lagged`]) and goes on with the oldest that is kept.
//!
//! A reader that comes back names the last event it has seen and gets those since then. The name carries
//! the run of the daemon, so that numbers of an earlier run are not taken for those of this one: after a
//! restart the reader is told that it has missed some, and gets everything that this run has kept.
//!
//! Events have the time of day, which may be set: it is no order, and what is chosen by it is looked at one by one. Of
//! what has happened already, [`Beginning::Since`] and [`Subscription::until`] choose by that time alone; what happens
//! later is told whatever the time is, until that is past the end.
//!
//! The lock is held for a push or for copying a few references, and nothing else is locked meanwhile, so
//! events can be published under the lock of the model. That is how they get the order in which things
//! happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::api::{Event, EventAction, EventActor, EventId, EventType, Lagged};
use crate::host::rfc_3339;

mod filter;
#[cfg(test)]
mod tests;

pub use filter::{EventFilter, FilterError};

/// Most events that are kept for readers that are slow or come back: 2 MB of the usual size.
pub(crate) const KEPT: usize = 4096;

/// Most events that are copied in one go while the ring is locked.
const STRIDE: usize = 64;

/// Takes events from those who know, and gives them to those who ask.
#[derive(Debug)]
pub struct EventHub {
    ring: Mutex<Ring>,
    /// Marked as changed when there is something new to see.
    news: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring {
    run: u64,
    /// The number of the next event.
    next: u64,
    kept: VecDeque<Entry>,
    /// The latest time of those that are no longer kept.
    forgotten_until: Option<Duration>,
    counts: BTreeMap<(EventType, EventAction), u64>,
    is_closed: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    time: Duration,
    event: Arc<Event>,
}

/// Where a subscription begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// With what happens from now on.
    Now,
    /// With what happened at this time since 1970, or after it; and with all that happens from now on.
    Since(Duration),
    /// After the event of this id.
    After(EventId),
}

/// What a subscription says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// This has happened.
    Event(Arc<Event>),
    /// Some events are no longer there. The id is that of the last one that was missed.
    Lagged(EventId, Lagged),
}

impl EventHub {
    /// Returns a hub without events. `run` should differ from that of every earlier run: the time will do.
    pub(crate) fn new(run: u64) -> Self {
        Self {
            ring: Mutex::new(Ring {
                run,
                next: 1,
                kept: VecDeque::new(),
                forgotten_until: None,
                counts: BTreeMap::new(),
                is_closed: false,
            }),
            news: watch::Sender::new(()),
        }
    }

    /// Tells everybody what has happened. Never waits. `time` is since 1970.
    pub(crate) fn publish(
        &self,
        time: Duration,
        kind: EventType,
        action: EventAction,
        actor: EventActor,
    ) {
        let mut ring = self.ring();
        let id = EventId {
            run: ring.run,
            number: ring.next,
        };
        let event = Event {
            id,
            time: rfc_3339(time),
            kind,
            action,
            actor,
        };
        ring.next += 1;
        *ring.counts.entry((kind, action)).or_default() += 1;
        if ring.kept.len() == KEPT {
            let forgotten = ring.kept.pop_front().map(|entry| entry.time);
            ring.forgotten_until = ring.forgotten_until.max(forgotten);
        }
        ring.kept.push_back(Entry {
            time,
            event: Arc::new(event),
        });
        drop(ring);
        self.news.send_replace(());
    }

    /// Ends all subscriptions, now and later.
    pub(crate) fn close(&self) {
        self.ring().is_closed = true;
        self.news.send_replace(());
    }

    /// Returns how many events of each kind there were.
    pub fn counts(&self) -> BTreeMap<(EventType, EventAction), u64> {
        self.ring().counts.clone()
    }

    /// Returns what happens and passes `filter`.
    pub fn subscribe(self: &Arc<Self>, beginning: Beginning, filter: EventFilter) -> Subscription {
        let ring = self.ring();
        let oldest = ring.oldest();
        let (next, has_missed) = match beginning {
            Beginning::Now => (ring.next, None),
            Beginning::Since(time) => {
                let mut kept = ring.kept.iter();
                let first = kept.position(|entry| entry.time >= time);
                let before = first.unwrap_or(ring.kept.len());
                let some_are_gone = ring.forgotten_until.is_some_and(|gone| gone >= time);
                let unknown = some_are_gone.then_some(Lagged { missed: None });
                (oldest + number_of(before), unknown)
            }
            // One that this run has not given out yet is none that was seen.
            Beginning::After(id) if id.run == ring.run && id.number < ring.next => {
                (id.number + 1, None)
            }
            Beginning::After(_) => (oldest, Some(Lagged { missed: None })),
        };
        let since = match beginning {
            Beginning::Since(time) => Some((time, ring.next)),
            Beginning::Now | Beginning::After(_) => None,
        };
        drop(ring);
        Subscription {
            news: self.news.subscribe(),
            hub: Arc::clone(self),
            filter,
            since,
            until: None,
            next,
            has_missed,
            ready: VecDeque::new(),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // What is behind the lock is whole at every moment.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.next - number_of(self.kept.len())
    }
}

fn number_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// One reader of a hub.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<EventHub>,
    news: watch::Receiver<()>,
    filter: EventFilter,
    /// Of events below this number, those that happened earlier are not told.
    since: Option<(Duration, u64)>,
    /// What happened later is not told.
    until: Option<Duration>,
    /// The number of the next event to look at.
    next: u64,
    has_missed: Option<Lagged>,
    /// Looked at, passed by the filter, and not told yet.
    ready: VecDeque<Arc<Event>>,
}

impl Subscription {
    /// Has it tell nothing that happened after this time since 1970, and end when such an event is the last one. It does
    /// not end when that time comes: nothing happens then.
    #[must_use]
    pub const fn until(mut self, time: Duration) -> Self {
        self.until = Some(time);
        self
    }

    /// Waits for something to tell; `None` when the hub is closed or nothing more is to be told. What was not told when this is
    /// cancelled is told the next time.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Told::Event(event));
            }
            // Before looking: what comes in between is news again.
            self.news.mark_unchanged();
            match self.look() {
                Look::Lagged(id, lagged) => return Some(Told::Lagged(id, lagged)),
                Look::More => {}
                Look::Nothing => self.news.changed().await.ok()?,
                Look::Closed => return None,
            }
        }
    }

    /// Takes the next few events out of the ring.
    fn look(&mut self) -> Look {
        let ring = self.hub.ring();
        if ring.is_closed {
            return Look::Closed;
        }
        let oldest = ring.oldest();
        let gone = oldest.saturating_sub(self.next);
        let has_missed = self
            .has_missed
            .take()
            .or_else(|| (gone > 0).then_some(Lagged { missed: Some(gone) }));
        if let Some(lagged) = has_missed {
            self.next = self.next.max(oldest);
            let id = EventId {
                run: ring.run,
                number: self.next - 1,
            };
            return Look::Lagged(id, lagged);
        }
        let seen = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        let new: Vec<_> = ring.kept.iter().skip(seen).take(STRIDE).cloned().collect();
        let last = ring.kept.back().map(|entry| entry.time);
        drop(ring);
        if new.is_empty() {
            let is_over = self.until.is_some_and(|until| last > Some(until));
            return if is_over { Look::Closed } else { Look::Nothing };
        }
        self.next += number_of(new.len());
        let asked = new.into_iter().filter(|entry| self.is_asked(entry));
        let asked: Vec<_> = asked.map(|entry| entry.event).collect();
        self.ready.extend(asked);
        Look::More
    }

    fn is_asked(&self, entry: &Entry) -> bool {
        let is_before = |(time, number)| entry.event.id.number < number && entry.time < time;
        let is_after = |until| entry.time > until;
        !self.since.is_some_and(is_before)
            && !self.until.is_some_and(is_after)
            && self.filter.passes(&entry.event)
    }
}

enum Look {
    Lagged(EventId, Lagged),
    More,
    Nothing,
    Closed,
}
