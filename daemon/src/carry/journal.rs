//! Writes down what becomes of flows, for the daemon after this one.
//!
//! # Theory of operation
//!
//! A round adds to the journal what has changed since the last one: one `pwrite`. The file only grows, so it is made anew when
//! it has grown to several times what it says ([`Log::len_max`]): while the old one is written on, each round copies a
//! piece of the table ([`PIECE`] places) into a *draft*, which gets all changes too, and once it has everything it
//! takes the journal's place. So no round is long, however large the table is, and at every moment there is a journal
//! that is complete to the last round. The first journal comes into being in the same way, after the flows of an
//! earlier daemon are in the table; until then, theirs stays where it is.
//!
//! A flow that changes while a piece is copied is marked and written in a later round: what stands later is right.
//!
//! When nothing changes, a round costs some loads, and no thread is woken for it.
//!
//! A journal that cannot be written is given up, with a warning, and begun anew after [`PAUSE`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapweave_carry::names::Networks;
use tapweave_carry::{BootId, container, flows, names};
use tapweave_nat::Nat;
use tapweave_nat::table::Entry;
use tapweave_net::Timestamp;
use tracing::{debug, warn};

use super::Shelf;

/// How often the journal is written: half of what may be lost, since a round takes time too.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// How much is done in a round, and how long a journal becomes.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Places that a round copies into a draft.
    piece: u32,
    /// Changes that a round writes at most; the rest waits for the next one.
    changes: usize,
    /// How much longer than three times what it was when it was new a journal may be, in bytes.
    growth: u64,
}

impl Pace {
    /// Each takes a millisecond or two.
    const USUAL: Self = Self {
        piece: 1 << 13,
        changes: 1 << 15,
        growth: 4 << 20,
    };
}

/// How long a journal that cannot be written is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// Writes the journal of a table.
#[derive(Debug)]
pub(crate) struct Journal {
    nat: Arc<Nat>,
    boot: BootId,
    shelf: Box<dyn Shelf>,
    pace: Pace,
    files: Mutex<Files>,
    is_drafting: AtomicBool,
    rounds: AtomicU64,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Files {
    /// What the next daemon would find.
    log: Option<Log>,
    draft: Option<Draft>,
    /// Whether the log that there is is only finished: another daemon reads it already.
    is_last: bool,
    /// Until when nothing is tried after a failure.
    rests_until: Timestamp,
}

/// A file that is only added to.
#[derive(Debug)]
struct Log {
    file: File,
    len: u64,
    /// When it was complete first.
    first_len: u64,
    /// The names that it has.
    networks: Networks,
}

/// A log that does not say everything yet.
#[derive(Debug)]
struct Draft {
    log: Log,
    /// The first place that was not copied.
    next: u32,
}

/// What has changed since the last round.
#[derive(Debug, Default)]
struct Changes {
    flows: Vec<(u32, Entry)>,
    gone: Vec<u32>,
}

impl Journal {
    /// Returns the journal of a table, which begins with the first round.
    pub(crate) fn new(nat: Arc<Nat>, boot: BootId, shelf: Box<dyn Shelf>) -> Self {
        Self {
            nat,
            boot,
            shelf,
            pace: Pace::USUAL,
            files: Mutex::default(),
            is_drafting: AtomicBool::new(true),
            rounds: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Tells whether a round has anything to do.
    pub(crate) fn is_due(&self) -> bool {
        self.is_drafting.load(Ordering::Relaxed) || self.nat.has_changes()
    }

    /// Returns how often something was written.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Returns how often it could not be written.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Writes down what has changed. `networks` are those that flows can be of now.
    pub(crate) fn write(&self, networks: impl Fn() -> Networks, now: Timestamp) {
        let mut files = self.files();
        if now < files.rests_until {
            return;
        }
        if let Err(error) = self.round(&mut files, networks) {
            warn!(%error, "the journal cannot be written: flows that change now are lost if the daemon is killed");
            self.failures.fetch_add(1, Ordering::Relaxed);
            *files = Files {
                rests_until: now + PAUSE,
                ..Files::default()
            };
        } else {
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
        let is_drafting = files.log.is_none() || files.draft.is_some();
        self.is_drafting.store(is_drafting, Ordering::Relaxed);
    }

    /// Writes until the journal says all that the table says, unless it cannot be written: for the end, when nothing
    /// changes any more.
    ///
    /// A journal that is complete is only added to, however long it is: who takes over has read it, and what is added is
    /// little.
    pub(crate) fn finish(&self, networks: impl Fn() -> Networks, now: Timestamp) {
        {
            let mut files = self.files();
            files.is_last = true;
            if files.log.is_some() {
                files.draft = None;
                self.is_drafting.store(false, Ordering::Relaxed);
            }
        }
        while self.is_due() && self.files().rests_until <= now {
            self.write(&networks, now);
        }
    }

    fn round(&self, files: &mut Files, networks: impl Fn() -> Networks) -> io::Result<()> {
        let log = files.log.as_ref();
        let is_last = files.is_last;
        let is_long = |log: &Log| log.len > log.len_max(self.pace.growth) && !is_last;
        if log.is_none_or(is_long) && files.draft.is_none() {
            let log = Log::new(self.shelf.new_file()?, self.boot)?;
            files.draft = Some(Draft { log, next: 0 });
        }
        let mut changes = Changes::default();
        self.nat
            .poll_changes(self.pace.changes, |place, flow| match flow {
                Some(flow) => changes.flows.push((place, flow)),
                None => changes.gone.push(place),
            });
        // After the flows: a network that is not among them has no flow there.
        let networks = networks();
        if let Some(log) = &mut files.log {
            log.add(&networks, &changes)?;
        }
        let Some(mut draft) = files.draft.take() else {
            return Ok(());
        };
        draft.log.add(&networks, &changes)?;
        if draft.copy(&self.nat, self.pace.piece)? {
            let mut log = draft.log;
            log.first_len = log.len;
            self.shelf.put(&log.file)?;
            debug!(bytes = log.len, "the journal is made anew");
            files.log = Some(log);
        } else {
            files.draft = Some(draft);
        }
        Ok(())
    }

    /// A panic leaves at worst a file that is not written on.
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn new(file: File, boot: BootId) -> io::Result<Self> {
        let mut log = Self {
            file,
            len: 0,
            first_len: 0,
            networks: Networks::new(),
        };
        log.append(&container::header(boot))?;
        Ok(log)
    }

    /// Returns from which length on it is made anew: most of it has been said again then.
    const fn len_max(&self, growth: u64) -> u64 {
        3 * self.first_len + growth
    }

    /// Adds changes, and before them the names that they need.
    fn add(&mut self, networks: &Networks, changes: &Changes) -> io::Result<()> {
        let mut bytes = Vec::new();
        let is_news = self.networks != *networks;
        if is_news {
            names::write(&mut bytes, networks);
        }
        if !changes.flows.is_empty() {
            let flows = changes.flows.iter();
            flows::write(&mut bytes, flows.map(|(place, flow)| (*place, flow)));
        }
        if !changes.gone.is_empty() {
            flows::write_gone(&mut bytes, changes.gone.iter().copied());
        }
        self.append(&bytes)?;
        if is_news {
            self.networks.clone_from(networks);
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Draft {
    /// Copies the next piece of the table; tells whether it was the last one.
    fn copy(&mut self, nat: &Nat, piece: u32) -> io::Result<bool> {
        let count = nat.place_count();
        let end = self.next.saturating_add(piece).min(count);
        let places = self.next..end;
        let flows: Vec<_> = places
            .filter_map(|place| Some((place, nat.flow_in(place)?)))
            .collect();
        if !flows.is_empty() {
            let mut bytes = Vec::with_capacity(flows.len() * (flows::RECORD_LEN + 1));
            flows::write(&mut bytes, flows.iter().map(|(place, flow)| (*place, flow)));
            self.log.append(&bytes)?;
        }
        self.next = end;
        // Places that come into use from now on are changes.
        Ok(end == count)
    }
}

#[cfg(test)]
mod tests;
