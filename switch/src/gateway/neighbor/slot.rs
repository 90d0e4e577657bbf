//! One place of the table: an entry behind a sequence lock, in safe atomics.

use core::time::Duration;

use tapweave_net::{MacAddr, Timestamp, Vid};

use super::Place;
use crate::sync::{AtomicU64, Ordering, fence};

/// Whether a neighbour is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Free,
    Wanted,
    Reachable,
    Failed,
}

/// What a place holds. Times are kept in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) bits: u128,
    pub(super) state: State,
    pub(super) mac: MacAddr,
    pub(super) vid: Option<Vid>,
    /// Questions since it was last heard.
    pub(super) asked: u8,
    /// When it came into its state, or was heard again in it.
    pub(super) since: Timestamp,
    /// When it was asked for last.
    pub(super) asked_at: Timestamp,
}

impl Entry {
    pub(super) const FREE: Self = Self {
        bits: 0,
        state: State::Free,
        mac: MacAddr::ZERO,
        vid: None,
        asked: 0,
        since: Timestamp::ZERO,
        asked_at: Timestamp::ZERO,
    };

    pub(super) fn wanted(bits: u128, now: Timestamp) -> Self {
        Self {
            bits,
            state: State::Wanted,
            since: now,
            ..Self::FREE
        }
    }

    pub(super) fn reachable(bits: u128, place: Place, now: Timestamp) -> Self {
        Self {
            bits,
            state: State::Reachable,
            mac: place.mac,
            vid: place.vid,
            since: now,
            ..Self::FREE
        }
    }

    pub(super) const fn place(&self) -> Place {
        Place {
            mac: self.mac,
            vid: self.vid,
        }
    }

    /// The address, what is known, and the two times.
    fn words(&self) -> [u64; 5] {
        let state = match self.state {
            State::Free => 0,
            State::Wanted => 1,
            State::Reachable => 2,
            State::Failed => 3,
        };
        // A VID is 1 to 4094, so 0 stands for none.
        let vid = self.vid.map_or(0, |vid| u64::from(vid.to_u16()));
        let known = self.mac.to_u64() << 16 | vid << 4 | u64::from(self.asked.min(3)) << 2 | state;
        #[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
        let [high, low] = [(self.bits >> 64) as u64, self.bits as u64];
        [
            high,
            low,
            known,
            self.since.as_millis(),
            self.asked_at.as_millis(),
        ]
    }

    fn from_words([high, low, known, since, asked_at]: [u64; 5]) -> Self {
        let [vid, asked] = [(known >> 4 & 0xfff) as u16, (known >> 2 & 3) as u16];
        let time = |millis| Timestamp::ZERO + Duration::from_millis(millis);
        Self {
            bits: u128::from(high) << 64 | u128::from(low),
            state: match known & 3 {
                0 => State::Free,
                1 => State::Wanted,
                2 => State::Reachable,
                _ => State::Failed,
            },
            mac: MacAddr::from_u64(known >> 16),
            vid: Vid::new(vid).ok(),
            asked: u8::try_from(asked).unwrap_or(u8::MAX),
            since: time(since),
            asked_at: time(asked_at),
        }
    }
}

/// A place. All zeroes is free.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Slot {
    /// Odd while it is written.
    sequence: AtomicU64,
    words: [AtomicU64; 5],
    /// When a packet went there last, in milliseconds; not under the lock.
    used_at: AtomicU64,
}

impl Slot {
    /// Returns the entry; `None` when it is being written.
    #[inline]
    pub(super) fn read(&self) -> Option<Entry> {
        let before = self.sequence.load(Ordering::Acquire);
        let mut words = [0; 5];
        for (word, place) in words.iter_mut().zip(&self.words) {
            *word = place.load(Ordering::Relaxed);
        }
        // Orders the loads of the words before that of the sequence.
        fence(Ordering::Acquire);
        let after = self.sequence.load(Ordering::Relaxed);
        (before == after && before.is_multiple_of(2)).then(|| Entry::from_words(words))
    }

    /// Changes the entry, unless it is being written by somebody else.
    pub(super) fn write(&self, now: Timestamp, change: impl FnOnce(&mut Entry)) {
        let before = self.sequence.load(Ordering::Relaxed);
        let locked = before.is_multiple_of(2)
            && self
                .sequence
                .compare_exchange(before, before + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !locked {
            return;
        }
        // Orders the odd sequence before the stores of the words.
        fence(Ordering::Release);
        let words = [(); 5];
        let mut at = self.words.iter();
        let words = words.map(|()| at.next().map_or(0, |word| word.load(Ordering::Relaxed)));
        let mut entry = Entry::from_words(words);
        let old = entry.bits;
        change(&mut entry);
        if entry.bits != old {
            self.used_at.store(now.as_millis(), Ordering::Relaxed);
        }
        for (word, place) in entry.words().into_iter().zip(&self.words) {
            place.store(word, Ordering::Relaxed);
        }
        self.sequence.store(before + 2, Ordering::Release);
    }

    /// Notes that a packet went there.
    #[inline]
    pub(super) fn touch(&self, now: Timestamp) {
        let now = now.as_millis();
        // A store a millisecond at most: workers that use the same neighbour do not fight for the line.
        if self.used_at.load(Ordering::Relaxed) != now {
            self.used_at.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn used_at(&self) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(self.used_at.load(Ordering::Relaxed))
    }
}
