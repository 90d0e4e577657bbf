//! Time for leases. A store does not read a clock by itself: it is given one.

use std::fmt;
#[cfg(any(test, feature = "conformance"))]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(any(test, feature = "conformance"))]
use std::time::Duration;

use tapweave_net::Timestamp;

/// Tells the time since some origin. It never goes back.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the time.
    fn now(&self) -> Timestamp;
}

/// A clock that stands still, for a store on which no lease has to end by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }
}

/// A clock that a test moves.
#[cfg(any(test, feature = "conformance"))]
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

#[cfg(any(test, feature = "conformance"))]
impl ManualClock {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "conformance"))]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }
}
