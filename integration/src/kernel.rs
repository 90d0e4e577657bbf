//! What the kernel says of a process.

use std::fs;

use anyhow::{Context, Result};

/// Memory and processor time of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessStats {
    /// Resident memory, in bytes (`VmRSS`).
    pub resident_len: u64,
    /// Processor time in user and kernel mode, in clock ticks of 10 ms.
    pub ticks: u64,
    /// Threads.
    pub thread_count: usize,
}

impl ProcessStats {
    /// Reads the figures of a process (`man 5 proc`).
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
            .context("no VmRSS in /proc/PID/status")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is a name in parentheses, which may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
        let mut times = fields.split_whitespace().skip(11);
        let mut ticks = || -> Result<u64> {
            Ok(times
                .next()
                .context("no times in /proc/PID/stat")?
                .parse()?)
        };
        Ok(Self {
            resident_len: resident.trim().parse::<u64>()? * 1024,
            ticks: ticks()? + ticks()?,
            thread_count: fs::read_dir(format!("/proc/{pid}/task"))?.count(),
        })
    }
}

/// Returns the TAP descriptors that a process holds.
///
/// # Errors
///
/// When there is no such process.
pub fn tap_descriptor_count(pid: u32) -> Result<usize> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?;
    Ok(descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.ends_with("net/tun"))
        .count())
}
