//! Five slots of the table in two cache lines, and the protocol by which threads share them.
//!
//! A slot is a key, a [`Meta`] and the time its station was last seen. Its life:
//!
//! ```text
//!            claim (CAS, version + 1)         publish
//!  EMPTY ───────────────────────────► BUSY ───────────► LIVE ──┐ retarget (CAS)
//!    ▲                                 │ ▲                │ ▲──┘
//!    └─────────────────────────────────┘ └────────────────┘
//!                 vacate                 claim (CAS, version + 1)
//! ```
//!
//! Only the thread whose CAS made a slot BUSY touches its key, so a key has one writer at a time.
//! Nobody waits for a BUSY slot: to a reader it holds nothing, which is true, because what was there
//! has been removed and what will be there has not been inserted yet.
//!
//! # Why a reader never pairs a key with another key's target
//!
//! A reader finds the key (relaxed), loads the meta *m1* (acquire), the key again (acquire), and the
//! meta again, *m2*; it accepts when both metas are LIVE of one version *v* and the key is still
//! the same.
//!
//! - *m1* reads the publication of version *v*, or a CAS that retargeted it and so continues its
//!   release sequence. The key store of *v* precedes that publication (release), hence the second
//!   key load returns the key of *v* or of a later version.
//! - Were it a later version *w*: key stores are releases and come after the CAS that began *w*, so
//!   the acquire load of the key makes *m2* read that CAS or something newer, whose version is not
//!   *v*. The reader would not have accepted.
//!
//! So the key belongs to *v*, and the target of *m1* was written for it. None of this relies on the
//! store order of x86. `fdb/loom_tests.rs` lets loom try the interleavings.
//!
//! The time of last sight is outside the protocol. A refresh may be late and land on the next key
//! of the slot: it then writes a time at which the refreshing thread saw a frame, which makes that
//! station look fresh or stale by as much as that thread was delayed. The worst consequence is one
//! more flood.

use tapweave_net::{PortNo, Timestamp};

use super::entry::FdbOrigin;
use super::key::FdbKey;
use super::meta::Meta;
use crate::sync::{AtomicU32, AtomicU64, Ordering, yield_now};

/// Slots of a bucket. Five slots of three words and the lock fill two cache lines; fewer under loom,
/// which tries every order of their loads.
pub(super) const SLOTS: usize = if cfg!(loom) { 2 } else { 5 };

/// A pair of cache lines: hardware fetches them together.
#[repr(C, align(128))]
pub(super) struct Bucket {
    keys: [AtomicU64; SLOTS],
    /// Held while a key is inserted whose first bucket this is: see [`Bucket::try_lock`].
    lock: AtomicU32,
    metas: [AtomicU64; SLOTS],
    seens: [AtomicU64; SLOTS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 128);

impl Bucket {
    /// Returns an empty bucket.
    pub(super) fn new() -> Self {
        let words = || core::array::from_fn(|_| AtomicU64::new(0));
        Self {
            keys: words(),
            lock: AtomicU32::new(0),
            metas: words(),
            seens: words(),
        }
    }

    /// Reads a word of each cache line, so that both are on their way when they are needed. Returns
    /// something made of the words, which the caller must not let the compiler forget.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        self.keys[0].load(Ordering::Relaxed)
    }

    /// Returns the entry of `key`.
    #[inline]
    pub(super) fn find(&self, key: FdbKey) -> Option<Entry<'_>> {
        // All keys are compared before the first branch: which slot holds the key is random, and a
        // mispredicted branch costs more than four comparisons.
        let mut matches = 0_u32;
        for (index, slot) in self.keys.iter().enumerate() {
            let same = slot.load(Ordering::Relaxed) == key.word();
            matches |= u32::from(same) << index;
        }
        while matches != 0 {
            let slot = self.slot(matches.trailing_zeros() as usize);
            if let Some((_, entry)) = slot.entry().filter(|(found, _)| *found == key) {
                return Some(entry);
            }
            matches &= matches - 1;
        }
        None
    }

    /// Returns the entries, each as it was at one moment.
    pub(super) fn entries(&self) -> impl Iterator<Item = (FdbKey, Entry<'_>)> {
        (0..SLOTS).filter_map(|index| self.slot(index).entry())
    }

    /// Returns how many slots are not empty.
    pub(super) fn len(&self) -> usize {
        let metas = self.metas.iter();
        metas
            .filter(|meta| !Meta::from_word(meta.load(Ordering::Relaxed)).is_empty())
            .count()
    }

    /// Takes an empty slot for a new key. `None` when there is none, or another thread took it.
    pub(super) fn claim_empty(&self) -> Option<Claim<'_>> {
        (0..SLOTS).find_map(|index| {
            let slot = self.slot(index);
            let meta = slot.meta(Ordering::Relaxed);
            meta.is_empty().then(|| slot.claim(meta)).flatten()
        })
    }

    /// Takes the right to insert keys whose first bucket this is; never waits. While one thread has
    /// it, no key of this bucket can appear in the table by another, so that a key which is looked
    /// for and not found can be inserted without becoming a duplicate.
    pub(super) fn try_lock(&self) -> Option<InsertGuard<'_>> {
        let taken = self
            .lock
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        // Not `then_some`, which would make a guard in any case and release another's right with it.
        taken.is_ok().then(|| InsertGuard { bucket: self })
    }

    /// As [`Bucket::try_lock`], but waits: for the control side only.
    pub(super) fn lock(&self) -> InsertGuard<'_> {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            yield_now();
        }
    }

    const fn slot(&self, index: usize) -> Slot<'_> {
        Slot {
            bucket: self,
            index,
        }
    }
}

/// The right to insert: see [`Bucket::try_lock`].
pub(super) struct InsertGuard<'a> {
    bucket: &'a Bucket,
}

impl Drop for InsertGuard<'_> {
    fn drop(&mut self) {
        self.bucket.lock.store(0, Ordering::Release);
    }
}

#[derive(Clone, Copy)]
struct Slot<'a> {
    bucket: &'a Bucket,
    /// Below `SLOTS`.
    index: usize,
}

impl<'a> Slot<'a> {
    fn meta(self, ordering: Ordering) -> Meta {
        Meta::from_word(self.bucket.metas[self.index].load(ordering))
    }

    fn entry(self) -> Option<(FdbKey, Entry<'a>)> {
        let meta = self.meta(Ordering::Acquire);
        let key = FdbKey::from_word(self.bucket.keys[self.index].load(Ordering::Acquire));
        let again = self.meta(Ordering::Relaxed);
        let accepted = meta.is_live() && meta.same_key_as(again);
        accepted.then_some((key, Entry { slot: self, meta }))
    }

    /// Acquire, so that the key store of the claim's holder stays behind the CAS.
    fn claim(self, expected: Meta) -> Option<Claim<'a>> {
        let busy = expected.busy();
        self.exchange(expected, busy)
            .then_some(Claim { slot: self, busy })
    }

    fn exchange(self, expected: Meta, new: Meta) -> bool {
        self.bucket.metas[self.index]
            .compare_exchange(
                expected.word(),
                new.word(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }
}

/// A live slot, as it was when it was read.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    slot: Slot<'a>,
    meta: Meta,
}

impl<'a> Entry<'a> {
    pub(crate) const fn port(self) -> PortNo {
        self.meta.port()
    }

    pub(crate) const fn origin(self) -> FdbOrigin {
        self.meta.origin()
    }

    /// Returns when the station was last seen, at the granularity of refreshes.
    #[inline]
    pub(super) fn seen(self) -> Timestamp {
        Timestamp::from_nanos(self.slot.bucket.seens[self.slot.index].load(Ordering::Relaxed))
    }

    /// States that the station was seen at `now`.
    pub(super) fn refresh(self, now: Timestamp) {
        self.slot.bucket.seens[self.slot.index].store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Sets where the station is. Fails when the slot is no longer as it was read.
    pub(super) fn retarget(self, origin: FdbOrigin, port: PortNo) -> bool {
        self.slot.exchange(self.meta, self.meta.live(origin, port))
    }

    /// Takes the slot away from its key. Fails when it is no longer as it was read.
    pub(super) fn claim(self) -> Option<Claim<'a>> {
        self.slot.claim(self.meta)
    }
}

/// A slot that is BUSY by us. Must be published or vacated, or it is lost to the table.
#[must_use]
pub(super) struct Claim<'a> {
    slot: Slot<'a>,
    busy: Meta,
}

impl Claim<'_> {
    /// Makes the slot the entry of `key`.
    pub(super) fn publish(self, key: FdbKey, origin: FdbOrigin, port: PortNo, now: Timestamp) {
        let Slot { bucket, index } = self.slot;
        bucket.keys[index].store(key.word(), Ordering::Release);
        bucket.seens[index].store(now.as_nanos(), Ordering::Relaxed);
        self.release(self.busy.live(origin, port));
    }

    /// Makes the slot empty.
    pub(super) fn vacate(self) {
        let Slot { bucket, index } = self.slot;
        bucket.keys[index].store(FdbKey::NONE.word(), Ordering::Release);
        self.release(self.busy.empty());
    }

    fn release(&self, meta: Meta) {
        self.slot.bucket.metas[self.slot.index].store(meta.word(), Ordering::Release);
    }
}
