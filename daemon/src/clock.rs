//! The only place in tapweave that reads a clock.
//!
//! Everything below the daemon takes a [`Timestamp`]; everything in the daemon that needs one asks
//! here. Time is `CLOCK_MONOTONIC`, which counts from the start of the machine: it neither jumps nor goes
//! back, a suspended machine does not age its FDB, and a daemon understands the times that an earlier one has left.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tapweave_net::Timestamp;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(());

impl Clock {
    /// Returns the clock.
    pub const fn new() -> Self {
        Self(())
    }

    /// Returns the time since the machine was started.
    pub fn now(self) -> Timestamp {
        let nanos = monotonic().as_nanos();
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
    u64::try_from(monotonic().as_micros()).unwrap_or(u64::MAX)
}

fn monotonic() -> Duration {
    // It is never negative.
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
