//! The machine that is measured on: what it is, what it does besides, how busy it was.

mod cpu_time;
mod quiet;

use std::env;
use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use serde::Serialize;

pub use cpu_time::{CpuTime, TICKS_PER_SEC};
pub use quiet::{Quiet, QuietWaiter};

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

/// Returns what a program says, if it is there and succeeds.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}
