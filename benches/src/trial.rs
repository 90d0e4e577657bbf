//! Trial runs: with `--test` a benchmark proves that it works, and its figures mean nothing.

use std::env;

/// What is large enough to do everything once.
const TRIAL_SIZE: u32 = 1_000;

/// Returns how many of what there should be `size` of a benchmark makes: as many, or fewer in a trial run, which is not
/// to take as long as the filling of large tables does.
#[must_use]
pub fn size(size: u32) -> u32 {
    if env::args().any(|arg| arg == "--test") {
        size.min(TRIAL_SIZE)
    } else {
        size
    }
}
