//! Numbers that nobody outside can guess.

use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;

/// Returns a number that depends on all of `value` and on the secret `seed`. `SipHash`: its output says
/// nothing about the seed, which RFC 6056 §3.3.3 asks of the function that chooses ports.
pub(crate) fn keyed_hash(seed: u64, value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    value.hash(&mut hasher);
    hasher.finish()
}
