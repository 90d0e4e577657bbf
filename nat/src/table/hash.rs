//! Which two buckets of the index may name a tuple.

use core::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use tapweave_net::bucket_pair;

use super::tuple::Tuple;

/// A tuple as words, with its place in the index: what is hashed once and looked up several times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) key: Key,
    pub(super) place: Place,
}

/// Where the index may name a tuple, and by what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Different ones, below the bucket count.
    pub(super) buckets: [u32; 2],
    /// Bits of the hash that the buckets say little about; not zero.
    pub(super) tag: u32,
}

/// A tuple in the form that records keep it in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) realm: u32,
    /// Those of `src`, above, and of `dst`.
    pub(super) ports: u32,
    pub(super) protocol: u8,
    /// The high halves of the addresses of `src` and `dst`.
    pub(super) highs: [u64; 2],
    /// The low halves.
    pub(super) lows: [u64; 2],
}

impl Key {
    /// Tells whether the high halves say anything. Not with IPv4, which is kept IPv4-mapped.
    #[inline]
    pub(super) const fn has_highs(&self) -> bool {
        let [src, dst] = self.highs;
        src | dst != 0
    }
}

impl From<&Tuple> for Key {
    #[inline]
    fn from(tuple: &Tuple) -> Self {
        let [src_high, src_low] = tuple.src.address_words();
        let [dst_high, dst_low] = tuple.dst.address_words();
        Self {
            realm: tuple.realm.to_u32(),
            ports: u32::from(tuple.src.port()) << 16 | u32::from(tuple.dst.port()),
            protocol: tuple.protocol.0,
            highs: [src_high, dst_high],
            lows: [src_low, dst_low],
        }
    }
}

/// A seeded hash from tuples to bucket pairs.
///
/// `foldhash::quality` is one folded multiplication for two words. It is not a cryptographic hash: who
/// could observe timings closely might find tuples that share both buckets. All that wins is that
/// further flows with such tuples are refused, because buckets are bounded.
#[derive(Debug)]
pub(super) struct KeyHasher {
    shared: SharedSeed,
    bucket_count: u32,
}

impl KeyHasher {
    /// Returns a hash over `bucket_count` buckets, from 2 to 2^31.
    pub(super) const fn new(seed: u64, bucket_count: u32) -> Self {
        Self {
            shared: SharedSeed::from_u64(seed),
            bucket_count,
        }
    }

    #[inline]
    pub(super) fn probe(&self, tuple: &Tuple) -> Probe {
        let key = Key::from(tuple);
        let mut hasher = FoldHasher::with_seed(u64::from(key.protocol), &self.shared);
        for word in key.lows {
            hasher.write_u64(word);
        }
        if key.has_highs() {
            for word in key.highs {
                hasher.write_u64(word);
            }
        }
        hasher.write_u64(u64::from(key.realm) << 32 | u64::from(key.ports));
        let hash = hasher.finish();
        Probe {
            key,
            place: Place {
                buckets: bucket_pair(hash, self.bucket_count),
                tag: tag(hash),
            },
        }
    }
}

const LOW: u64 = u32::MAX as u64;

/// The low halves of the two halves: the upper ones choose the buckets.
const fn tag(hash: u64) -> u32 {
    let tag = ((hash >> 16 & 0xffff_0000 | hash & 0xffff) & LOW) as u32;
    if tag == 0 { 1 } else { tag }
}
