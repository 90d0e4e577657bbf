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

/// Words that every packet may need: 128 bytes.
pub(super) const HOT_LEN: usize = 16;
/// Words that packets over IPv6 need too.
pub(super) const COLD_LEN: usize = 4;

// What each of the hot words is. In the first cache line stands all that a lookup by the original key compares.
const LIFE: usize = 0;
const EXPIRES: usize = 1;
/// The label in the upper half; in the lower one, for each key, its protocol and whether it has high halves.
const LABEL: usize = 2;
/// The realm of the original key in the lower half, that of the reply key in the upper.
const REALMS: usize = 3;
/// As `REALMS`, each with the port of `src` above that of `dst`.
const PORTS: usize = 4;
/// The low halves of the addresses: `src` and `dst` of the original key and of the reply key.
const LOWS: usize = 5;
const WORDS: usize = 9;
const PACKETS: usize = 12;
const BYTES: usize = 14;

const _: () = assert!(WORDS + Entry::WORDS == PACKETS && BYTES + 2 == HOT_LEN);

/// One record; a reference to its words.
#[derive(Clone, Copy)]
pub(super) struct Slot<'a> {
    hot: &'a [AtomicU64; HOT_LEN],
    /// The high halves of the addresses, as the low ones; anything where both of a key are zero.
    cold: &'a [AtomicU64; COLD_LEN],
}

/// Which words of a record are needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parts {
    /// The hot ones: enough for keys without high halves, as those of IPv4.
    Hot,
    /// All.
    All,
}

impl<'a> Slot<'a> {
    #[inline]
    pub(super) const fn new(
        hot: &'a [AtomicU64; HOT_LEN],
        cold: &'a [AtomicU64; COLD_LEN],
    ) -> Self {
        Self { hot, cold }
    }

    /// Has the record brought into the cache.
    #[inline]
    pub(super) fn prefetch(&self, parts: Parts) {
        prefetch(&self.hot[0]);
        prefetch(&self.hot[HOT_LEN / 2]);
        if parts == Parts::All {
            prefetch(&self.cold[0]);
        }
    }

    #[inline]
    pub(super) fn life(&self) -> Life {
        Life::from_word(self.hot[LIFE].load(Ordering::Acquire))
    }

    /// Changes the life word if it is still `expected`.
    #[inline]
    pub(super) fn exchange(&self, expected: Life, new: Life) -> bool {
        self.hot[LIFE]
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
        life.same_record_as(Life::from_word(self.hot[LIFE].load(Ordering::Relaxed)))
    }

    /// Tells whether the fixed words say `key`; true only of one record if [`Slot::is_still`] then.
    #[inline]
    pub(super) fn has_key(&self, direction: Direction, key: &Key) -> bool {
        let kind = self.kind(direction);
        let [src, dst] = self.lows(direction);
        let mut differ = (src ^ key.lows[0]) | (dst ^ key.lows[1]);
        let [src_high, dst_high] = key.highs;
        differ |= if kind.has_highs {
            let [src, dst] = self.highs(direction);
            (src ^ src_high) | (dst ^ dst_high)
        } else {
            src_high | dst_high
        };
        differ == 0
            && self.half(PORTS, direction) == key.ports
            && self.half(REALMS, direction) == key.realm
            && kind.protocol == key.protocol
    }

    #[inline]
    fn key(&self, direction: Direction) -> Key {
        let kind = self.kind(direction);
        Key {
            realm: self.half(REALMS, direction),
            ports: self.half(PORTS, direction),
            protocol: kind.protocol,
            highs: if kind.has_highs {
                self.highs(direction)
            } else {
                [0; 2]
            },
            lows: self.lows(direction),
        }
    }

    /// Returns a key; that of one record if [`Slot::is_still`] then.
    #[inline]
    pub(super) fn tuple(&self, direction: Direction) -> Tuple {
        let key = self.key(direction);
        let ([src_low, dst_low], [src_high, dst_high]) = (key.lows, key.highs);
        let [src_port, dst_port] = [(key.ports >> 16) as u16, (key.ports & 0xffff) as u16];
        Tuple {
            realm: Realm::from_u32(key.realm),
            protocol: IpProtocol(key.protocol),
            src: Endpoint::from_words([src_high, src_low], src_port),
            dst: Endpoint::from_words([dst_high, dst_low], dst_port),
        }
    }

    /// Returns the label; that of one record if [`Slot::is_still`] then.
    #[inline]
    pub(super) fn label(&self) -> u32 {
        let [_protocol, label] = unpack(self.hot[LABEL].load(Ordering::Relaxed));
        label
    }

    #[inline]
    pub(super) fn expires(&self) -> Timestamp {
        Timestamp::from_nanos(self.hot[EXPIRES].load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn set_expires(&self, time: Timestamp) {
        self.hot[EXPIRES].store(time.as_nanos(), Ordering::Relaxed);
    }

    /// Returns one of the owner's words; `None` beyond [`Entry::WORDS`].
    #[inline]
    pub(super) fn word(&self, index: usize) -> Option<&'a AtomicU64> {
        self.hot[WORDS..PACKETS].get(index)
    }

    #[inline]
    pub(super) fn words(&self) -> [u64; Entry::WORDS] {
        [WORDS, WORDS + 1, WORDS + 2].map(|index| self.hot[index].load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn count(&self, direction: Direction, packets: u64, bytes: u64) {
        // Not `fetch_add`: a processor waits with all that comes later until a locked addition to memory
        // that is not in its cache is done.
        let add = |word: &AtomicU64, count| {
            let sum = word.load(Ordering::Relaxed).wrapping_add(count);
            word.store(sum, Ordering::Relaxed);
        };
        let (packet_count, byte_count) = match direction {
            Direction::Original => (&self.hot[PACKETS], &self.hot[BYTES]),
            Direction::Reply => (&self.hot[PACKETS + 1], &self.hot[BYTES + 1]),
        };
        add(packet_count, packets);
        add(byte_count, bytes);
    }

    /// Returns all that the slot says, with the state of `life`.
    pub(super) fn entry(&self, life: Life) -> Entry {
        let load = |index: usize| self.hot[index].load(Ordering::Relaxed);
        Entry {
            original: self.tuple(Direction::Original),
            reply: self.tuple(Direction::Reply),
            label: self.label(),
            state: life.state(),
            expires: self.expires(),
            words: self.words(),
            packets: [PACKETS, PACKETS + 1].map(load),
            bytes: [BYTES, BYTES + 1].map(load),
        }
    }

    /// Tells whether the record counts as gone.
    #[inline]
    pub(super) fn is_expired(&self, life: Life, now: Timestamp) -> bool {
        life.state() & Entry::KEPT == 0 && self.expires() <= now
    }

    /// Writes a record into a slot that is free and held by the caller, and makes it PENDING.
    pub(super) fn fill(&self, entry: &Entry, original: &Key, reply: &Key) -> Life {
        let life = self.life();
        debug_assert_eq!(life.phase(), Phase::Free);
        fence(Ordering::Release);
        let kinds = u32::from_le_bytes([
            original.protocol,
            original.has_highs().into(),
            reply.protocol,
            reply.has_highs().into(),
        ]);
        let ([a, b], [c, d]) = (original.lows, reply.lows);
        let ([w0, w1, w2], [p0, p1], [b0, b1]) = (entry.words, entry.packets, entry.bytes);
        let values = [
            entry.expires.as_nanos(),
            pack(kinds, entry.label),
            pack(original.realm, reply.realm),
            pack(original.ports, reply.ports),
            a,
            b,
            c,
            d,
            w0,
            w1,
            w2,
            p0,
            p1,
            b0,
            b1,
        ];
        for (word, value) in self.hot[EXPIRES..].iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        if original.has_highs() || reply.has_highs() {
            let highs = original.highs.into_iter().chain(reply.highs);
            for (word, value) in self.cold.iter().zip(highs) {
                word.store(value, Ordering::Relaxed);
            }
        }
        let pending = life.pending();
        self.hot[LIFE].store(pending.word(), Ordering::Release);
        pending
    }

    /// Takes what the caller inserted and has not committed out of the table.
    pub(super) fn abandon(&self, pending: Life) {
        self.hot[LIFE].store(pending.dead().word(), Ordering::Release);
    }

    /// States that the slot is free and names the next free one. The caller holds the slot.
    pub(super) fn set_free(&self, next: u32) {
        let free = self.life().free(next);
        self.hot[LIFE].store(free.word(), Ordering::Release);
    }

    /// Returns the half of a word that is of the key of a direction.
    #[inline]
    fn half(&self, index: usize, direction: Direction) -> u32 {
        let [low, high] = unpack(self.hot[index].load(Ordering::Relaxed));
        match direction {
            Direction::Original => low,
            Direction::Reply => high,
        }
    }

    #[inline]
    fn kind(&self, direction: Direction) -> Kind {
        let [a, b, c, d, ..] = self.hot[LABEL].load(Ordering::Relaxed).to_le_bytes();
        let (protocol, has_highs) = match direction {
            Direction::Original => (a, b),
            Direction::Reply => (c, d),
        };
        Kind {
            protocol,
            has_highs: has_highs != 0,
        }
    }

    #[inline]
    fn lows(&self, direction: Direction) -> [u64; 2] {
        let [src, dst] = match direction {
            Direction::Original => [&self.hot[LOWS], &self.hot[LOWS + 1]],
            Direction::Reply => [&self.hot[LOWS + 2], &self.hot[LOWS + 3]],
        };
        [src.load(Ordering::Relaxed), dst.load(Ordering::Relaxed)]
    }

    #[inline]
    fn highs(&self, direction: Direction) -> [u64; 2] {
        let [a, b, c, d] = self.cold;
        let [src, dst] = match direction {
            Direction::Original => [a, b],
            Direction::Reply => [c, d],
        };
        [src.load(Ordering::Relaxed), dst.load(Ordering::Relaxed)]
    }
}

/// What is known of a key beside its addresses, ports and realm.
struct Kind {
    protocol: u8,
    /// Whether the cold words say its high halves, or they are zero.
    has_highs: bool,
}

const LOW: u64 = u32::MAX as u64;

const fn pack(low: u32, high: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

const fn unpack(word: u64) -> [u32; 2] {
    [(word & LOW) as u32, (word >> 32) as u32]
}
