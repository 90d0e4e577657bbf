//! What tapweave costs while nothing happens, and how long a connect takes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use tapweave_integration::{Lab, Sandbox};

use crate::machine::TICKS_PER_SEC;
use crate::series::Summary;

/// Ports of the daemon that is looked at.
pub const PORT_COUNT: usize = 10;

/// The costs of an idle daemon.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Idle {
    /// Ports that the daemon had.
    pub port_count: usize,
    /// Resident memory, in bytes.
    pub resident_len: u64,
    /// Threads.
    pub thread_count: usize,
    /// Share of one processor, in percent, in steps of 10 ms over the time that was watched.
    pub cpu_percent: f64,
    /// Time that was watched, in seconds.
    pub watched_secs: f64,
    /// Time of `tapweave network connect`, from its start to its end, in milliseconds.
    pub connect_ms: Summary,
}

/// Starts a daemon, connects sandboxes, and watches it for `watched`.
///
/// # Errors
///
/// When the daemon does not start or refuses.
#[expect(
    clippy::disallowed_methods,
    reason = "a real process is watched in real time"
)]
pub fn measure(lab: &Lab, watched: Duration) -> Result<Idle> {
    let daemon = lab.daemon()?;
    let cli = daemon.cli();
    cli.ok("network create idle --subnet 10.193.4.0/24")?;
    let mut times = Vec::new();
    let mut sandboxes: Vec<Sandbox> = Vec::new();
    for number in 0..PORT_COUNT {
        let sandbox = lab.sandbox(&format!("idle-{number}"))?;
        let start = Instant::now();
        cli.connect("idle", &sandbox, "")?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        sandboxes.push(sandbox);
    }
    // Interfaces that have come up speak for some seconds: router solicitations, multicast reports.
    thread::sleep(watched.min(Duration::from_secs(5)));
    let before = daemon.stats()?;
    let start = Instant::now();
    thread::sleep(watched);
    let after = daemon.stats()?;
    let watched_secs = start.elapsed().as_secs_f64();
    let ticks = u32::try_from(after.ticks - before.ticks)?;
    Ok(Idle {
        port_count: PORT_COUNT,
        resident_len: after.resident_len,
        thread_count: after.thread_count,
        cpu_percent: f64::from(ticks) / TICKS_PER_SEC / watched_secs * 100.0,
        watched_secs,
        connect_ms: Summary::of(times).context("no sandbox was connected")?,
    })
}
