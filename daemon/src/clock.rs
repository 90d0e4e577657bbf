//! The only place in tapweave that reads a clock.
//!
//! Everything below the daemon takes a [`Timestamp`]; everything in the daemon that needs one asks
//! here. Time counts from the start of the daemon on `CLOCK_MONOTONIC`, so it neither jumps nor goes
//! back, and a suspended machine does not age its FDB.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tapweave_net::Timestamp;

/// A clock whose origin is the moment it was made. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts a clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that reads the clock"
    )]
    #[expect(
        clippy::new_without_default,
        reason = "a default that reads the clock would surprise"
    )]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Returns the time since the clock was made.
    pub fn now(self) -> Timestamp {
        let nanos = self.origin.elapsed().as_nanos();
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl tapweave_store::Clock for Clock {
    fn now(&self) -> Timestamp {
        (*self).now()
    }
}

/// Returns `CLOCK_MONOTONIC` in microseconds, which is what other processes compare theirs with.
pub(crate) fn monotonic_usecs() -> u64 {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
