//! Virtual reassembly: fragments follow the first one of their packet (RFC 4787 §11, REQ-14).
//!
//! Only the first fragment of a packet has ports, so only it can be translated by itself. What became
//! of it is remembered, and the later ones go the same way. Nothing is put together: a fragment leaves
//! as long as it came. It is no business of this file what "the way" is, or what an address is worth;
//! the translation passes a value in and gets it back.
//!
//! # Theory of operation
//!
//! A packet is known by [`DatagramId`] and the realm it is seen in, with its addresses as they stand
//! before translation. It is in one of three states:
//!
//! | state | entered | later fragments |
//! |---|---|---|
//! | waiting | a later fragment came first | are copied and held |
//! | known | the first one was translated | follow at once |
//! | refused | the first one was dropped, or parts contradict each other | are dropped |
//!
//! When the first fragment comes, what was held is handed to the caller in order of arrival. The
//! caller sends the first one afterwards, so it leaves behind those that came before it; reassembly does
//! not care about order (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! A packet is forgotten when all of its parts have passed, or [`FragmentLimits::timeout`] after the
//! first part that came, whatever comes in between.
//!
//! ## What is refused
//!
//! Where each part lies in the packet is kept, without its bytes. A part that lies *in* what is there
//! already is a duplicate and dropped alone, as RFC 8200 §4.5 allows and Linux does. One that overlaps
//! in part, or reaches beyond the last one, makes the whole packet refused (RFC 5722 §4, here for
//! IPv4 too). So nothing ever overwrites a header that was translated (RFC 1858 §3, RFC 3128); a first
//! fragment without its whole L4 header is refused by the parser before. A packet whose parts leave more
//! than [`MAX_SPANS`](spans::MAX_SPANS) islands is refused as well.
//!
//! ## Bounds
//!
//! Packets and held bytes are bounded, all in all and for each source, since everybody can send
//! fragments that never get a first one. At a bound the oldest packet of the source gives way, or the
//! oldest of the shard; a fragment that is longer than what a source may hold is dropped. With the
//! default limits 4 MiB can be held, and a source can take no more than half of one shard.
//!
//! ## Threads
//!
//! Fragments are rare, so this is no lock-free table: packets are in shards by their source, each
//! behind a mutex that is only ever *tried*, for about a microsecond. A worker that does not get it
//! drops its fragment, counts that and goes on; it never waits for a thread that was suspended. All
//! fragments of a source come in by one port, so by one worker, and two workers meet only when sources
//! share a shard. The lock is never held while a frame is handed out.

mod datagram;
mod limits;
mod shard;
mod spans;
mod stats;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use core::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, TryLockError};

use foldhash::fast::FixedState;
use tapweave_net::{Frame, ParsedFrame, Timestamp};

use crate::packet::{DatagramId, FragmentPart};
use crate::table::Realm;
pub use limits::FragmentLimits;
pub use stats::{FragmentDrop, FragmentStats};

use shard::Shard;
use stats::Counters;

/// How many parts the state is locked in.
const SHARD_COUNT: usize = 16;
/// How often a lock is tried. A spin takes 10 to 40 ns; the lock is held for less than 1 us, unless a
/// large fragment is copied.
const TRIES: usize = 50;

/// The fragmented packets that are under way. `W` is the way that the fragments of a packet go.
#[derive(Debug)]
pub struct Fragments<W> {
    shards: Box<[Mutex<Shard<W>>]>,
    hash: FixedState,
    counters: Counters,
}

/// A packet in the realm where it is seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    realm: Realm,
    datagram: DatagramId,
}

/// What becomes of a later fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Later<W> {
    /// It goes the way of the first one, now.
    Follow(W),
    /// It was copied and waits for the first one. The frame itself is not to be sent.
    Held,
}

/// Takes fragments that were held, with their parse and the way they are to go.
pub type Emit<'a, W> = &'a mut dyn FnMut(&mut Frame<'_>, &ParsedFrame, W);

impl<W: Copy> Fragments<W> {
    /// Returns a state without packets. `seed` is a secret of the process.
    pub fn new(seed: u64, limits: FragmentLimits) -> Self {
        let limits = limits.of_shard(SHARD_COUNT);
        Self {
            shards: (0..SHARD_COUNT)
                .map(|_| Mutex::new(Shard::new(limits)))
                .collect(),
            hash: FixedState::with_seed(seed),
            counters: Counters::default(),
        }
    }

    /// The first fragment of a packet goes `way`: remembers it, and hands the fragments that waited to
    /// `emit`, untranslated. To be called before the first one is changed.
    ///
    /// # Errors
    ///
    /// Why the first fragment must be dropped. Nothing is handed out then.
    pub fn first(
        &self,
        now: Timestamp,
        realm: Realm,
        part: &FragmentPart,
        way: W,
        emit: Emit<'_, W>,
    ) -> Result<(), FragmentDrop> {
        let key = Key::new(realm, part);
        let held = self
            .lock(&key)
            .and_then(|mut shard| shard.first(now, key, part, way, &self.counters))
            .inspect_err(|reason| self.counters.dropped(*reason, 1))?;
        self.counters.released(held.len());
        for mut fragment in held {
            let parsed = fragment.parsed;
            emit(&mut fragment.frame(), &parsed, way);
        }
        Ok(())
    }

    /// The first fragment of a packet was dropped: so are those that waited for it, and those to come.
    /// Nothing changes when another first fragment of it went before.
    pub fn refuse(&self, now: Timestamp, realm: Realm, part: &FragmentPart) {
        let key = Key::new(realm, part);
        if let Ok(mut shard) = self.lock(&key) {
            shard.refuse(now, key, &self.counters);
        }
    }

    /// Tells what becomes of a fragment after the first, which is in `frame` and was parsed as `parsed`.
    /// A copy is allocated when it has to wait.
    ///
    /// # Errors
    ///
    /// Why it must be dropped.
    pub fn later(
        &self,
        now: Timestamp,
        realm: Realm,
        part: &FragmentPart,
        frame: &Frame<'_>,
        parsed: &ParsedFrame,
    ) -> Result<Later<W>, FragmentDrop> {
        let key = Key::new(realm, part);
        self.lock(&key)
            .and_then(|mut shard| shard.later(now, key, part, (frame, parsed), &self.counters))
            .inspect_err(|reason| self.counters.dropped(*reason, 1))
    }

    /// Forgets the packets whose time is over. To be called about once a second, by one thread.
    pub fn poll_expiry(&self, now: Timestamp) {
        for shard in &self.shards {
            if let Some(mut shard) = try_lock(shard) {
                shard.expire(now, &self.counters);
            }
        }
    }

    /// Returns what was counted.
    pub fn stats(&self) -> FragmentStats {
        self.counters.read()
    }

    /// Locks the shard of the packet's source.
    fn lock(&self, key: &Key) -> Result<MutexGuard<'_, Shard<W>>, FragmentDrop> {
        let hash = self.hash.hash_one((key.realm, key.datagram.src));
        let index = usize::try_from(hash % SHARD_COUNT as u64).unwrap_or(0);
        let shard = self.shards.get(index).ok_or(FragmentDrop::Contended)?;
        for _ in 0..TRIES {
            if let Some(guard) = try_lock(shard) {
                return Ok(guard);
            }
            core::hint::spin_loop();
        }
        Err(FragmentDrop::Contended)
    }
}

impl Key {
    const fn new(realm: Realm, part: &FragmentPart) -> Self {
        Self {
            realm,
            datagram: part.datagram,
        }
    }
}

/// A thread that panicked with the lock has left nothing half done that could do harm: at worst a
/// fragment is counted that is not held.
fn try_lock<W>(shard: &Mutex<Shard<W>>) -> Option<MutexGuard<'_, Shard<W>>> {
    match shard.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
