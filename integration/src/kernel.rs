//! What the kernel says of a process.

use std::fs;
use std::path::PathBuf;

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
        Ok(Self {
            resident_len: resident.trim().parse::<u64>()? * 1024,
            ticks: ticks(&format!("/proc/{pid}/stat"))?,
            thread_count: fs::read_dir(format!("/proc/{pid}/task"))?.count(),
        })
    }
}

/// Returns the processor time of the threads of a process whose names begin with `prefix`, in clock ticks
/// of 10 ms.
///
/// # Errors
///
/// When there is no such process.
pub fn thread_ticks(pid: u32, prefix: &str) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        // A thread may end while it is looked at.
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        if name.starts_with(prefix) {
            sum += ticks(&task.join("stat").display().to_string())?;
        }
    }
    Ok(sum)
}

/// Reads user and kernel time from a file in the format of `/proc/PID/stat`.
fn ticks(path: &str) -> Result<u64> {
    let stat = fs::read_to_string(path)?;
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = stat
        .rsplit_once(')')
        .with_context(|| format!("no name in {path}"))?;
    let times = fields.split_whitespace().skip(11).take(2);
    let times = times.map(|time| Ok(time.parse::<u64>()?));
    times.sum()
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

/// Returns the process whose arguments are these from the second one on, as far as they are given; none if there is none.
///
/// # Errors
///
/// When the kernel does not list processes.
pub fn process_with_arguments(arguments: &[&str]) -> Result<Option<u32>> {
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that has ended meanwhile has no arguments.
        let said = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut said = said.split('\0').skip(1);
        if arguments.iter().all(|it| said.next() == Some(*it)) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Returns the paths by which the descriptors of a process can be opened that lead to what is called `name`.
///
/// # Errors
///
/// When there is no such process, or it is another user's.
pub fn descriptors_of(pid: u32, name: &str) -> Result<Vec<PathBuf>> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let paths = descriptors.filter_map(|entry| Some(entry.ok()?.path()));
    let is_it = |path: &PathBuf| {
        let target = fs::read_link(path).unwrap_or_default();
        target.to_string_lossy().contains(name)
    };
    Ok(paths.filter(is_it).collect())
}
