//! A host in memory.
//!
//! It decides what the clocks show, which bytes are drawn and which boot it is, so that the same calls give the same
//! answers in every run. It refuses to know the machine on which it runs, and the packet path.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tapweave_net::Timestamp;

use crate::Host;
use crate::datapath::DatapathError;

/// A host whose clocks stand still until they are set, whose randomness can be foreseen, and which has the routes that
/// it was given.
#[derive(Debug, Default)]
pub struct MemoryHost {
    prefixes: Vec<IpNet>,
    boot: u32,
    draws: Mutex<u64>,
    clocks: Mutex<Clocks>,
}

/// What the clocks of a host show.
#[derive(Debug)]
struct Clocks {
    unix_time: Duration,
    now: Timestamp,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            // 2026-01-01 00:00 UTC.
            unix_time: Duration::from_hours(490_896),
            now: Timestamp::ZERO,
        }
    }
}

impl MemoryHost {
    /// Returns a host on which `prefixes` are in use.
    pub fn new(prefixes: Vec<IpNet>) -> Self {
        Self {
            prefixes,
            boot: 1,
            draws: Mutex::default(),
            clocks: Mutex::default(),
        }
    }

    /// Sets the time of day, since 1970; what lasts lasts as long as before.
    pub fn set_unix_time(&self, unix_time: Duration) {
        self.clocks().unix_time = unix_time;
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let mut clocks = self.clocks();
        clocks.unix_time += time;
        clocks.now = clocks.now + time;
    }

    fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boots the machine so many times.
    #[must_use]
    pub const fn booted(mut self, times: u32) -> Self {
        self.boot = times;
        self
    }
}

impl Host for MemoryHost {
    fn unix_time(&self) -> Duration {
        self.clocks().unix_time
    }

    fn now(&self) -> Timestamp {
        self.clocks().now
    }

    fn fill_random(&self, buf: &mut [u8]) -> Result<(), DatapathError> {
        let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in buf.chunks_mut(8) {
            *draws += 1;
            // SplitMix64.
            let mut word = draws.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (word ^ (word >> 31)).to_be_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        Ok(())
    }

    fn boot_id(&self) -> Result<String, DatapathError> {
        Ok(format!("boot {}", self.boot))
    }

    fn prefixes_in_use(&self) -> Result<Vec<IpNet>, DatapathError> {
        Ok(self.prefixes.clone())
    }
}
