//! A slot of the arena: the words of one record, and how they are read while others change them.
//!
//! The *fixed* words (label, protocol, realms, ports, addresses) are written once, between FREE and
//! PENDING, by the one thread that holds the slot. The *loose* ones (expiry, the owner's words, counts)
//! change at any time and stand each for itself.
//!
//! # Why a reader never pairs the fixed words of two records
//!
//! A reader loads the life word *m1* (acquire), the fixed words (relaxed), and after an acquire fence the
//! life word again, *m2*; it accepts when both are of one record, see [`Life::same_record_as`].
//!
//! - *m1* reads a store of its record's generation, all of which come after the filling of the slot
//!   and continue or begin its release sequence. So the fixed words are those of that record or of a
//!   later one.
//! - Were one of a later record: the thread that filled it did so after a release fence, which comes
//!   after the removal of the earlier record. The reader's fence comes after its load of that word, so
//!   the two fences synchronise, and *m2* is the removal or something newer. The reader would not have
//!   accepted.
//!
//! A write to a loose word may be late and land on the next record of the slot, when its thread was
//! delayed by that much between looking at the life word and writing. The counts of that record are then
//! too high by those of the earlier one, or its expiry is that of the earlier one until its next packet.
//! The owner's words are changed by comparison with what was read from them, so they stay right. Counts
//! are not: of two packets that two workers count in one direction at the same moment, one may be lost.
//! Each direction of a flow comes by one port, and so by one worker, unless ports change.

use tapweave_net::{IpProtocol, Timestamp};

use super::entry::{Direction, Entry};
use super::hash::Key;
use super::life::{Life, Phase};
use super::prefetch::prefetch;
use super::tuple::{Endpoint, Realm, Tuple};
use crate::sync::{AtomicU64, Ordering, fence};

/// One record. 160 bytes, in this order: what a lookup reads stands in front.
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[repr(C)]
pub(super) struct Slot {
    life: AtomicU64,
    expires: AtomicU64,
    /// The label, and the protocol in the lowest byte of the lower half.
    label: AtomicU64,
    /// The realm of the original key in the lower half, that of the reply key in the upper.
    realms: AtomicU64,
    /// As `realms`, each with the port of `src` above that of `dst`.
    ports: AtomicU64,
    /// The halves of `src` and `dst`, of the original key and of the reply key.
    addresses: [[AtomicU64; 4]; 2],
    words: [AtomicU64; Entry::WORDS],
    packets: [AtomicU64; 2],
    bytes: [AtomicU64; 2],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 160);

impl Slot {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        let word = || AtomicU64::new(0);
        Self {
            life: word(),
            expires: word(),
            label: word(),
            realms: word(),
            ports: word(),
            addresses: core::array::from_fn(|_| core::array::from_fn(|_| word())),
            words: core::array::from_fn(|_| word()),
            packets: core::array::from_fn(|_| word()),
            bytes: core::array::from_fn(|_| word()),
        }
    }

    /// Has the record brought into the cache.
    #[inline]
    pub(super) fn prefetch(&self) {
        let [[_, _, _, early], [_, _, _, _late]] = &self.addresses;
        let ([middle, ..], [_, last]) = (&self.words, &self.bytes);
        prefetch(&self.life);
        prefetch(early);
        prefetch(middle);
        prefetch(last);
    }

    #[inline]
    pub(super) fn life(&self) -> Life {
        Life::from_word(self.life.load(Ordering::Acquire))
    }

    /// Changes the life word if it is still `expected`.
    #[inline]
    pub(super) fn exchange(&self, expected: Life, new: Life) -> bool {
        self.life
            .compare_exchange(
                expected.word(),
                new.word(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// As [`Slot::exchange`], but writes nothing if nothing is to be changed.
    #[inline]
    pub(super) fn exchange_if_different(&self, expected: Life, new: Life) -> bool {
        if expected == new {
            self.life() == expected
        } else {
            self.exchange(expected, new)
        }
    }

    /// Tells whether the record that was read as `life` was still there after all reads before this.
    #[inline]
    pub(super) fn is_still(&self, life: Life) -> bool {
        fence(Ordering::Acquire);
        life.same_record_as(Life::from_word(self.life.load(Ordering::Relaxed)))
    }

    /// Tells whether the fixed words say `key`; true only of one record if [`Slot::is_still`] then.
    #[inline]
    pub(super) fn has_key(&self, direction: Direction, key: &Key) -> bool {
        let addresses = &self.addresses[direction.index()];
        let mut differ = 0;
        for (word, part) in addresses.iter().zip(key.addresses) {
            differ |= word.load(Ordering::Relaxed) ^ part;
        }
        let [protocol, ..] = self.label.load(Ordering::Relaxed).to_le_bytes();
        differ == 0
            && half(&self.ports, direction) == key.ports
            && half(&self.realms, direction) == key.realm
            && protocol == key.protocol
    }

    #[inline]
    fn key(&self, direction: Direction) -> Key {
        let [protocol, ..] = self.label.load(Ordering::Relaxed).to_le_bytes();
        let addresses = &self.addresses[direction.index()];
        Key {
            realm: half(&self.realms, direction),
            ports: half(&self.ports, direction),
            protocol,
            addresses: core::array::from_fn(|part| addresses[part].load(Ordering::Relaxed)),
        }
    }

    /// Returns a key; that of one record if [`Slot::is_still`] then.
    #[inline]
    pub(super) fn tuple(&self, direction: Direction) -> Tuple {
        let key = self.key(direction);
        let [a, b, c, d] = key.addresses;
        let [src_port, dst_port] = [(key.ports >> 16) as u16, (key.ports & 0xffff) as u16];
        Tuple {
            realm: Realm::from_u32(key.realm),
            protocol: IpProtocol(key.protocol),
            src: Endpoint::from_words([a, b], src_port),
            dst: Endpoint::from_words([c, d], dst_port),
        }
    }

    /// Returns the label; that of one record if [`Slot::is_still`] then.
    #[inline]
    pub(super) fn label(&self) -> u32 {
        let [_protocol, label] = unpack(self.label.load(Ordering::Relaxed));
        label
    }

    #[inline]
    pub(super) fn expires(&self) -> Timestamp {
        Timestamp::from_nanos(self.expires.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn set_expires(&self, time: Timestamp) {
        self.expires.store(time.as_nanos(), Ordering::Relaxed);
    }

    /// Returns one of the owner's words; `None` beyond [`Entry::WORDS`].
    #[inline]
    pub(super) fn word(&self, index: usize) -> Option<&AtomicU64> {
        self.words.get(index)
    }

    #[inline]
    pub(super) fn count(&self, direction: Direction, packets: u64, bytes: u64) {
        // Not `fetch_add`: a processor waits with all that comes later until a locked addition to memory
        // that is not in its cache is done.
        let add = |word: &AtomicU64, count| {
            let sum = word.load(Ordering::Relaxed).wrapping_add(count);
            word.store(sum, Ordering::Relaxed);
        };
        let index = direction.index();
        add(&self.packets[index], packets);
        add(&self.bytes[index], bytes);
    }

    /// Returns all that the slot says, with the state of `life`.
    pub(super) fn entry(&self, life: Life) -> Entry {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Entry {
            original: self.tuple(Direction::Original),
            reply: self.tuple(Direction::Reply),
            label: self.label(),
            state: life.state(),
            expires: self.expires(),
            words: self.words.each_ref().map(load),
            packets: self.packets.each_ref().map(load),
            bytes: self.bytes.each_ref().map(load),
        }
    }

    /// Tells whether the record counts as gone.
    #[inline]
    pub(super) fn is_expired(&self, life: Life, now: Timestamp) -> bool {
        life.state() & Entry::KEPT == 0 && self.expires() <= now
    }

    /// Writes a record into a slot that is free and held by the caller, and makes it PENDING.
    pub(super) fn fill(&self, entry: &Entry, original: &Key, reply: &Key) -> Life {
        let store = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
        let life = self.life();
        debug_assert_eq!(life.phase(), Phase::Free);
        fence(Ordering::Release);
        store(&self.expires, entry.expires.as_nanos());
        store(&self.label, pack(u32::from(original.protocol), entry.label));
        store(&self.realms, pack(original.realm, reply.realm));
        store(&self.ports, pack(original.ports, reply.ports));
        for (words, key) in self.addresses.iter().zip([original, reply]) {
            for (word, part) in words.iter().zip(key.addresses) {
                store(word, part);
            }
        }
        for (word, value) in self.words.iter().zip(entry.words) {
            store(word, value);
        }
        for (words, values) in [(&self.packets, entry.packets), (&self.bytes, entry.bytes)] {
            for (word, value) in words.iter().zip(values) {
                store(word, value);
            }
        }
        let pending = life.pending();
        self.life.store(pending.word(), Ordering::Release);
        pending
    }

    /// Takes what the caller inserted and has not committed out of the table.
    pub(super) fn abandon(&self, pending: Life) {
        self.life.store(pending.dead().word(), Ordering::Release);
    }

    /// States that the slot is free and names the next free one. The caller holds the slot.
    pub(super) fn set_free(&self, next: u32) {
        let free = self.life().free(next);
        self.life.store(free.word(), Ordering::Release);
    }
}

const LOW: u64 = u32::MAX as u64;

const fn pack(low: u32, high: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// Returns the half of a word that is of the key of a direction.
#[inline]
fn half(word: &AtomicU64, direction: Direction) -> u32 {
    let [low, high] = unpack(word.load(Ordering::Relaxed));
    match direction {
        Direction::Original => low,
        Direction::Reply => high,
    }
}

const fn unpack(word: u64) -> [u32; 2] {
    [(word & LOW) as u32, (word >> 32) as u32]
}
