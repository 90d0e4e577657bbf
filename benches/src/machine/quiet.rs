//! Whether the machine has something else to do.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::CpuTime;

/// Time over which a look at the load is taken.
const LOOK: Duration = Duration::from_millis(300);

/// Time that all waiting of a program takes together.
const PATIENCE: Duration = Duration::from_mins(2);

/// Part of the processors' time that may go elsewhere while the machine counts as quiet.
const QUIET_SHARE: f64 = 0.15;

/// Whether the machine had something else to do when a run began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiet {
    /// It had next to nothing.
    Yes,
    /// It had, and there was no patience left.
    No,
}

/// Waits for moments in which the machine has nothing else to do; patient for two minutes in all.
#[derive(Clone, Copy, Debug)]
pub struct QuietWaiter {
    left: Duration,
}

impl QuietWaiter {
    /// Returns a waiter that has not waited yet.
    pub const fn new() -> Self {
        Self { left: PATIENCE }
    }

    /// Waits until the machine is at most 15 % busy, or there is no patience left.
    ///
    /// # Errors
    ///
    /// When `/proc/stat` cannot be read.
    #[expect(
        clippy::disallowed_methods,
        reason = "the load of a real machine is observed in real time"
    )]
    pub fn wait(&mut self) -> Result<Quiet> {
        loop {
            let start = CpuTime::now()?;
            thread::sleep(LOOK);
            if CpuTime::now()?.busy_share_since(start) <= QUIET_SHARE {
                return Ok(Quiet::Yes);
            }
            self.left = self.left.saturating_sub(LOOK);
            if self.left.is_zero() {
                return Ok(Quiet::No);
            }
        }
    }
}

impl Default for QuietWaiter {
    fn default() -> Self {
        Self::new()
    }
}
