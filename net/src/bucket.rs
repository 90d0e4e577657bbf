//! Where a table whose keys each have a choice of two buckets looks for one.

/// Returns the two buckets of a key with this hash: different ones, below `count`, which is from 2 to 2^31
/// and need not be a power of two.
///
/// The upper half of the hash chooses the first bucket and the lower half how far from it the second one
/// is, each by its upper bits.
#[inline]
pub const fn bucket_pair(hash: u64, count: u32) -> [u32; 2] {
    let first = scale(hash >> 32, count);
    let step = 1 + scale(hash & u32::MAX as u64, count - 1);
    // Both are below 2^31, so the sum does not wrap.
    let second = first + step;
    let second = if second < count {
        second
    } else {
        second - count
    };
    [first, second]
}

/// Maps 32 random bits to `0..count` by a multiplication.
#[inline]
const fn scale(bits: u64, count: u32) -> u32 {
    ((bits * count as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_hash_are_the_ends_of_the_table() {
        for count in [2, 3, 7, 50_000, 1 << 31] {
            assert_eq!(bucket_pair(0, count), [0, 1]);
            assert_eq!(bucket_pair(u64::MAX, count), [count - 1, count - 2]);
        }
    }

    proptest! {
        #[test]
        fn the_two_buckets_differ_and_exist(hash: u64, count in 2..=1_u32 << 31) {
            let [first, second] = bucket_pair(hash, count);
            prop_assert_ne!(first, second);
            prop_assert!(first.max(second) < count);
        }
    }
}
