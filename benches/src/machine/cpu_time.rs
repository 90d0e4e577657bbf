//! Processor time of the whole machine.

use std::fs;

use anyhow::{Context, Result};

use crate::rate::float;

/// Clock ticks in a second, of `/proc/stat` and of `/proc/PID/stat` (`USER_HZ`, 100 on every
/// architecture of Linux in use).
pub const TICKS_PER_SEC: f64 = 100.0;

/// Processor time of the whole machine since it started.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CpuTime {
    busy_ticks: u64,
    idle_ticks: u64,
}

impl CpuTime {
    /// Reads the times (`man 5 proc_stat`).
    ///
    /// # Errors
    ///
    /// When `/proc/stat` cannot be read.
    pub fn now() -> Result<Self> {
        Self::parse(&fs::read_to_string("/proc/stat")?).context("/proc/stat has no processor times")
    }

    /// Returns the seconds that processors worked since `earlier`, for whatever it was.
    pub fn busy_secs_since(self, earlier: Self) -> f64 {
        float(self.busy_ticks.saturating_sub(earlier.busy_ticks)) / TICKS_PER_SEC
    }

    /// Returns the part of the processors' time since `earlier` in which they worked, from 0 to 1.
    pub fn busy_share_since(self, earlier: Self) -> f64 {
        let busy = float(self.busy_ticks.saturating_sub(earlier.busy_ticks));
        let idle = float(self.idle_ticks.saturating_sub(earlier.idle_ticks));
        busy / (busy + idle).max(1.0)
    }

    fn parse(stat: &str) -> Option<Self> {
        let times = stat.lines().next()?.strip_prefix("cpu ")?;
        let times = times.split_whitespace().map(str::parse);
        let times: Vec<u64> = times.collect::<Result<_, _>>().ok()?;
        // user nice system idle iowait irq softirq steal; what follows is part of user and nice.
        let [user, nice, system, idle, iowait, irq, softirq, ..] = times[..] else {
            return None;
        };
        Some(Self {
            busy_ticks: user + nice + system + irq + softirq,
            idle_ticks: idle + iowait,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_everything_but_waiting_and_what_the_host_took() {
        let before = CpuTime::parse("cpu  10 0 10 100 5 0 5 7 0 0\ncpu0 1").unwrap();
        let after = CpuTime::parse("cpu  110 50 60 300 5 10 15 99 0 0\ncpu0 1").unwrap();
        assert!((after.busy_secs_since(before) - 2.2).abs() < 1e-9);
        assert!((after.busy_share_since(before) - 220.0 / 420.0).abs() < 1e-9);
        assert_eq!(CpuTime::parse("intr 1"), None);
    }
}
