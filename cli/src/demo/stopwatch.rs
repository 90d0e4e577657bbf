//! How long something takes.

use std::time::Duration;

use tapweave_daemon::Clock;
use tapweave_net::Timestamp;

/// Runs from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    started: Timestamp,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self {
            started: Clock::new().now(),
        }
    }

    pub(super) fn elapsed(self) -> Duration {
        Clock::new().now().since(self.started)
    }
}
