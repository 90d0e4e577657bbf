//! Neighbours that were found by asking, and those that are asked for: a bounded table without locks.
//!
//! What the control side knows of its sandboxes is in [`Hosts`](super::hosts::Hosts). This table is
//! for the others: routers and hosts on the LAN of an uplink, addresses that a sandbox took for itself.
//!
//! # Theory of operation
//!
//! An entry is in one of four states, a coarse form of those of RFC 4861 §7.3.2:
//!
//! - *free*;
//! - *wanted*: a packet was for it, and it is asked for, three times a second apart;
//! - *reachable*: it answered or asked. It counts as that for [`REACHABLE`]; then, if packets still go there,
//!   it is asked again, and is used on until three questions were left without an answer;
//! - *failed*: it did not answer. For [`FAILED`] packets are refused at once, then it is free.
//!
//! Workers find, want and confirm entries; only the control side asks, counts questions and lets entries
//! go ([`Neighbors::poll`]). No packet waits for an answer: the one that finds a neighbour wanted is dropped,
//! as RFC 1122 §2.3.2.2 permits. So there is no queue to fill from outside.
//!
//! An address has four places, found by a seeded hash. What a neighbour said takes the place of an entry that is
//! free, failed or wanted, then of the one that was confirmed longest ago; a wanted one never takes the place of a
//! reachable one. So a scan of addresses that nobody has cannot push out those that answer.
//!
//! Each place has a sequence lock. A writer that finds the place being written by another goes without: what it
//! had to say is said again. A reader that finds it being written, or changed meanwhile, takes the neighbour as
//! unknown for this one packet. Nobody waits.

use core::hash::BuildHasher;
use core::sync::atomic::AtomicU64;
use core::time::Duration;

use foldhash::fast::FixedState;
use tapweave_net::{MacAddr, Timestamp, Vid};

use self::slot::{Entry, Slot, State};
use crate::sync::{AtomicBool, Ordering};

mod carrying;
mod slot;

/// How long an answer counts (RFC 4861 §10, `REACHABLE_TIME`).
const REACHABLE: Duration = Duration::from_secs(30);
/// Time between two questions (RFC 4861 §10, `RETRANS_TIMER`).
const RETRANS: Duration = Duration::from_secs(1);
/// Questions without an answer after which a neighbour has failed (RFC 4861 §10, `MAX_MULTICAST_SOLICIT`).
const QUESTIONS: u8 = 3;
/// How long a failed neighbour is not asked for again.
const FAILED: Duration = Duration::from_secs(5);
/// How long an entry that no packet uses is kept.
const UNUSED: Duration = Duration::from_mins(5);
/// Places of one address; under loom as few as there can be.
const WAYS: usize = if cfg!(loom) { 2 } else { 4 };
/// Groups of places. A table takes 64 bytes a place, so this is 32 KiB.
const BUCKETS: usize = if cfg!(loom) { 1 } else { 128 };

/// Where a neighbour is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) mac: MacAddr,
    /// The VLAN that it spoke in, if any.
    pub(crate) vid: Option<Vid>,
}

/// What is known of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// Where it is.
    Here(Place),
    /// It is being asked for, or has to be.
    Wanted,
    /// It does not answer.
    Failed,
}

/// A neighbour that is to be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    /// Its address: see [`bits`](super::prefix::bits).
    pub(crate) bits: u128,
    /// The VLAN in which it was last.
    pub(crate) vid: Option<Vid>,
}

/// What a neighbour said of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// It asked for us: it gets an entry.
    Asked,
    /// It answered, or said so without being asked: only an entry that is there changes.
    Answered,
    /// As `Answered`, but it says not to override a MAC that is known (RFC 4861 §7.2.5).
    AnsweredGently,
}

/// The neighbours of one network or uplink.
pub(crate) struct Neighbors {
    hasher: FixedState,
    slots: Box<[Slot]>,
    /// Whether there may be an entry: most networks never have one, and need not be looked through.
    is_used: AtomicBool,
    /// Neighbours that were new or had moved. Not loom's: nothing depends on when it is seen.
    changes: AtomicU64,
}

impl Neighbors {
    /// Returns a table that knows nobody.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            slots: (0..BUCKETS * WAYS).map(|_| Slot::default()).collect(),
            is_used: AtomicBool::new(false),
            changes: AtomicU64::new(0),
        }
    }

    /// Returns where the neighbour with this address is, and notes that a packet goes there.
    #[inline]
    pub(crate) fn find(&self, bits: u128, now: Timestamp) -> Found {
        let Some((slot, entry)) = self.look(bits) else {
            return Found::Wanted;
        };
        match entry.state {
            State::Reachable => {
                slot.touch(now);
                Found::Here(entry.place())
            }
            State::Failed => Found::Failed,
            State::Wanted | State::Free => Found::Wanted,
        }
    }

    /// As [`Neighbors::find`], without a note.
    pub(crate) fn peek(&self, bits: u128) -> Found {
        match self.look(bits).map(|(_, entry)| entry) {
            Some(entry) if entry.state == State::Reachable => Found::Here(entry.place()),
            Some(entry) if entry.state == State::Failed => Found::Failed,
            Some(_) | None => Found::Wanted,
        }
    }

    /// States that a neighbour is to be asked for. Does nothing if it has an entry, and in a full table.
    pub(crate) fn want(&self, bits: u128, now: Timestamp) {
        if self.look(bits).is_some() {
            return;
        }
        let bucket = self.bucket(bits);
        let free = |entry: &Entry| matches!(entry.state, State::Free | State::Failed);
        let place = bucket
            .iter()
            .find(|slot| slot.read().is_some_and(|entry| free(&entry)));
        if let Some(slot) = place {
            slot.write(now, |entry| {
                if free(entry) {
                    *entry = Entry::wanted(bits, now);
                }
            });
            self.note_use();
        }
    }

    /// Notes where a neighbour is.
    pub(crate) fn hear(&self, bits: u128, place: Place, claim: Claim, now: Timestamp) {
        let known = self.look(bits);
        if claim == Claim::AnsweredGently
            && known.is_some_and(|(_, entry)| {
                entry.state == State::Reachable && entry.place().mac != place.mac
            })
        {
            return;
        }
        let slot = match (known, claim) {
            (Some((slot, _)), _) => Some(slot),
            (None, Claim::Asked) => self.victim(bits),
            (None, Claim::Answered | Claim::AnsweredGently) => None,
        };
        if let Some(slot) = slot {
            slot.write(now, |entry| *entry = Entry::reachable(bits, place, now));
            let is_as_known = |(_, entry): (&Slot, Entry)| {
                entry.state == State::Reachable && entry.place() == place
            };
            if !known.is_some_and(is_as_known) {
                self.count_change();
            }
            self.note_use();
        }
    }

    /// Lets entries go whose time is over, and returns those that are to be asked for now, at most
    /// `limit` of them. For the control side, several times a second.
    pub(crate) fn poll(&self, now: Timestamp, limit: usize) -> Vec<Question> {
        let mut questions = Vec::new();
        // Whoever makes an entry after this says so again.
        if !self.is_used.swap(false, Ordering::Acquire) {
            return questions;
        }
        let mut is_used = false;
        for slot in &self.slots {
            let entry = slot.read();
            if entry.is_some_and(|entry| entry.state == State::Free) {
                continue;
            }
            is_used = true;
            let Some(entry) = entry else {
                continue;
            };
            let next = next_of(&entry, slot.used_at(), now);
            if next == entry {
                continue;
            }
            let is_question = next.asked > entry.asked;
            if is_question && questions.len() >= limit {
                continue;
            }
            let mut is_done = false;
            slot.write(now, |present| {
                if *present == entry {
                    *present = next;
                    is_done = true;
                }
            });
            if is_done && is_question {
                questions.push(Question {
                    bits: next.bits,
                    vid: next.vid,
                });
            }
        }
        if is_used {
            self.note_use();
        }
        questions
    }

    /// Says that there is an entry. By a swap, so that who takes the flag sees the entries of all who set it
    /// before, and not of the last one only.
    fn note_use(&self) {
        self.is_used.swap(true, Ordering::AcqRel);
    }

    #[inline]
    fn look(&self, bits: u128) -> Option<(&Slot, Entry)> {
        self.bucket(bits).iter().find_map(|slot| {
            let entry = slot.read()?;
            (entry.bits == bits && entry.state != State::Free).then_some((slot, entry))
        })
    }

    /// Returns the place that a neighbour gets that is not in the table.
    fn victim(&self, bits: u128) -> Option<&Slot> {
        let rank = |entry: &Entry| match entry.state {
            State::Free => (0, Timestamp::ZERO),
            State::Failed => (1, entry.since),
            State::Wanted => (2, entry.since),
            State::Reachable => (3, entry.since),
        };
        let slots = self.bucket(bits).iter();
        let read = slots.filter_map(|slot| Some((slot, slot.read()?)));
        let victim = read.min_by_key(|(_, entry)| rank(entry));
        victim.map(|(slot, _)| slot)
    }

    #[inline]
    fn bucket(&self, bits: u128) -> &[Slot] {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits of a hash are as good as all"
        )]
        let from = self.hasher.hash_one(bits) as usize % BUCKETS * WAYS;
        &self.slots[from..from + WAYS]
    }
}

/// Returns what time makes of an entry that was last used at `used_at`.
fn next_of(entry: &Entry, used_at: Timestamp, now: Timestamp) -> Entry {
    let rested = now.since(entry.asked_at) >= RETRANS;
    let ask = Entry {
        asked: entry.asked.saturating_add(1),
        asked_at: now,
        ..*entry
    };
    let fail = Entry {
        state: State::Failed,
        since: now,
        ..*entry
    };
    match entry.state {
        State::Wanted if entry.asked > 0 && !rested => *entry,
        State::Reachable if now.since(used_at.max(entry.since)) >= UNUSED => Entry::FREE,
        State::Reachable
            if now.since(entry.since) < REACHABLE
                // It is asked when it is used again.
                || used_at <= entry.since
                || entry.asked > 0 && !rested =>
        {
            *entry
        }
        State::Wanted | State::Reachable if entry.asked < QUESTIONS => ask,
        State::Wanted | State::Reachable => fail,
        State::Failed if now.since(entry.since) >= FAILED => Entry::FREE,
        State::Free | State::Failed => *entry,
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
