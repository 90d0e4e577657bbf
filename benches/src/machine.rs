//! The machine that is measured on: what it is, what it does besides, how busy it was.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// Time over which a look at the load is taken.
const LOOK: Duration = Duration::from_millis(300);

/// Time that all waiting of a program takes together.
const PATIENCE: Duration = Duration::from_mins(2);

/// Clock ticks of `/proc/stat` in a second (`USER_HZ`, 100 on every architecture of Linux in use).
const TICKS_PER_SEC: f64 = 100.0;

/// What has to be known of a machine to read its figures.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Day of the measurement, UTC.
    pub date: String,
    /// Commit that was measured: known if the benchmark built the program, from a repository.
    pub commit: Option<String>,
    /// Name of the processor.
    pub processor: String,
    /// Processors that are online.
    pub core_count: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// Frequency governor, if the kernel shows one; virtual machines usually do not.
    pub governor: Option<String>,
    /// Load averages over 1, 5 and 15 minutes at the start.
    pub load_average: String,
}

impl Machine {
    /// Describes this machine.
    ///
    /// # Errors
    ///
    /// When `/proc` does not say what it says on every Linux.
    pub fn describe() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, name)| name);
        let load = fs::read_to_string("/proc/loadavg")?;
        let governor = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        Ok(Self {
            date: first_line("date", &["-u", "+%F"]).context("no date")?,
            commit: match env::var_os("TAPWEAVE_BIN") {
                // Built by somebody else, from whatever sources.
                Some(_) => None,
                None => first_line("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
            },
            processor: processor.to_owned(),
            core_count: thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            governor: governor.ok().map(|governor| governor.trim().to_owned()),
            load_average: load.splitn(4, ' ').take(3).collect::<Vec<_>>().join(" "),
        })
    }
}

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
        ticks(self.busy_ticks.saturating_sub(earlier.busy_ticks)) / TICKS_PER_SEC
    }

    fn busy_share_since(self, earlier: Self) -> f64 {
        let busy = ticks(self.busy_ticks.saturating_sub(earlier.busy_ticks));
        let idle = ticks(self.idle_ticks.saturating_sub(earlier.idle_ticks));
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
            if CpuTime::now()?.busy_share_since(start) <= 0.15 {
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

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ticks are 3 million years of processor time"
)]
const fn ticks(count: u64) -> f64 {
    count as f64
}

/// Returns what a program says, if it is there and succeeds.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
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
