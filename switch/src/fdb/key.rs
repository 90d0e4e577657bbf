//! What an FDB is asked for, and which two buckets of the table may hold it.

use core::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use tapweave_net::{MacAddr, Vid, bucket_pair};

/// Where the VID begins.
const VID_SHIFT: u32 = 48;

/// A station: its MAC address in the low 48 bits and its VID, zero when it is in no VLAN, above. So one
/// address may be a station in each of several VLANs, on different ports (independent VLAN learning,
/// IEEE 802.1Q-2018 §8.8.8).
///
/// Zero is no station, so it marks a slot without a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FdbKey(u64);

impl FdbKey {
    /// No station.
    pub(super) const NONE: Self = Self(0);

    pub(crate) fn new(vid: Option<Vid>, mac: MacAddr) -> Self {
        let vid = vid.map_or(0, Vid::to_u16);
        Self(u64::from(vid) << VID_SHIFT | mac.to_u64())
    }

    pub(super) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(super) const fn word(self) -> u64 {
        self.0
    }

    pub(super) const fn mac(self) -> MacAddr {
        MacAddr::from_u64(self.0 & (u64::MAX >> (u64::BITS - VID_SHIFT)))
    }

    pub(super) const fn vid(self) -> Option<Vid> {
        match Vid::new((self.0 >> VID_SHIFT) as u16) {
            Ok(vid) => Some(vid),
            Err(_no_vlan) => None,
        }
    }
}

/// A key with its two buckets: what is hashed once and looked up several times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(super) key: FdbKey,
    pub(super) buckets: [u32; 2],
}

impl Probe {
    /// A probe for no station, to fill arrays with.
    pub(crate) const NONE: Self = Self {
        key: FdbKey::NONE,
        buckets: [0; 2],
    };
}

/// A seeded hash from keys to bucket pairs.
///
/// `foldhash::quality` is two folded multiplications. It is not a cryptographic hash: who could
/// observe timings closely might find stations that share a bucket. All that wins is that his own
/// stations push each other out, because buckets are bounded and eviction is fair.
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

    /// Returns `key` with its first and second bucket: different ones, below the bucket count.
    #[inline]
    pub(super) fn probe(&self, key: FdbKey) -> Probe {
        let mut hasher = FoldHasher::with_seed(0, &self.shared);
        hasher.write_u64(key.word());
        Probe {
            key,
            buckets: bucket_pair(hasher.finish(), self.bucket_count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_another_station_in_each_vlan() {
        let mac = MacAddr::new([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff]);
        for vid in [None, Some(Vid::MIN), Some(Vid::MAX)] {
            let key = FdbKey::new(vid, mac);
            assert_eq!((key.vid(), key.mac()), (vid, mac));
        }
        assert_ne!(FdbKey::new(None, mac), FdbKey::new(Some(Vid::MIN), mac));
    }

    #[test]
    fn the_two_buckets_of_a_key_differ_and_exist() {
        for bucket_count in [2, 3, 7, 50_000] {
            let hasher = KeyHasher::new(1, bucket_count);
            for mac in 1..2_000 {
                let [first, second] = hasher.probe(FdbKey::from_word(mac)).buckets;
                assert_ne!(first, second);
                assert!(first.max(second) < bucket_count);
            }
        }
    }

    #[test]
    fn the_seed_decides_the_buckets() {
        let [one, two] = [1, 2].map(|seed| KeyHasher::new(seed, 1 << 16));
        let same = (1..1_000)
            .map(FdbKey::from_word)
            .filter(|key| one.probe(*key).buckets == two.probe(*key).buckets);
        assert!(same.count() < 3);
    }
}
