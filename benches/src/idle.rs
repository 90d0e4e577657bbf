//! What tapweave costs while nothing happens, and what a connect costs, by the number of ports.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use tapweave_integration::process::expect_success;
use tapweave_integration::{Daemon, Lab, Sandbox, kernel};

use crate::machine::TICKS_PER_SEC;
use crate::rate::float;
use crate::series::Summary;

const NETWORK: &str = "idle";

/// Time after which interfaces that came up have said what they say then: router solicitations,
/// multicast reports.
const SETTLING: Duration = Duration::from_secs(5);

/// Pings the address that is its argument and forgets the neighbour: the kernel has one table of
/// neighbours for all namespaces, with room for 1,024 unless the host says otherwise
/// (`net.ipv4.neigh.default.gc_thresh3`), and two entries for each pair that talks.
const PING: &str = "ping -n -q -c 1 -W 2 $1 && ip neigh flush dev eth0";

/// Sandboxes after which the one that all of them ping forgets them.
const FORGET_AFTER: usize = 100;

/// The costs of a daemon with some ports and no traffic.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Idle {
    /// Ports that the daemon had.
    pub port_count: usize,
    /// Resident memory before the first connect, in bytes.
    pub empty_resident_len: u64,
    /// Resident memory with all ports, in bytes.
    pub resident_len: u64,
    /// Threads.
    pub thread_count: usize,
    /// Share of one processor, in percent, in steps of 10 ms over the time that was watched.
    pub cpu_percent: f64,
    /// Time that was watched, in seconds.
    pub watched_secs: f64,
    /// Time of `tapweave network connect`, from its start to its end, in milliseconds.
    pub connect_ms: Summary,
    /// Processor time of the daemon for one connect, in milliseconds; the mean. Without that of the
    /// workers, who carry what the new interfaces say to all the others.
    pub connect_work_ms: f64,
}

impl Idle {
    /// Returns the bytes of resident memory that one more port takes.
    pub fn len_per_port(&self) -> f64 {
        float(self.resident_len.saturating_sub(self.empty_resident_len)) / count(self.port_count)
    }
}

/// Starts a daemon, connects `port_count` sandboxes, watches it for `watched`, and sees that all of them
/// carry traffic.
///
/// # Errors
///
/// When the daemon does not start or refuses, or a sandbox cannot be reached.
#[expect(
    clippy::disallowed_methods,
    reason = "a real process is watched in real time"
)]
pub fn measure(lab: &Lab, port_count: usize, watched: Duration) -> Result<Idle> {
    let sandboxes = (0..port_count).map(|number| lab.sandbox(&format!("idle-{number}")));
    let sandboxes = sandboxes.collect::<Result<Vec<_>>>()?;
    let daemon = lab.daemon()?;
    let network = format!("network create {NETWORK} --subnet 10.193.64.0/18");
    daemon.cli().ok(&network)?;
    let empty = daemon.stats()?;
    let before_connect = control_ticks(&daemon)?;
    let (times, first_ip) = connect(&daemon, &sandboxes)?;
    let connect_ticks = control_ticks(&daemon)? - before_connect;
    thread::sleep(watched.min(SETTLING));
    let before = daemon.stats()?;
    let start = Instant::now();
    thread::sleep(watched);
    let after = daemon.stats()?;
    let watched_secs = start.elapsed().as_secs_f64();
    reach(&sandboxes, &first_ip)?;
    let secs = |ticks: u64| float(ticks) / TICKS_PER_SEC;
    Ok(Idle {
        port_count,
        empty_resident_len: empty.resident_len,
        resident_len: after.resident_len,
        thread_count: after.thread_count,
        cpu_percent: secs(after.ticks - before.ticks) / watched_secs * 100.0,
        watched_secs,
        connect_ms: Summary::of(times).context("no sandbox was connected")?,
        connect_work_ms: secs(connect_ticks) * 1e3 / count(port_count),
    })
}

/// Processor time of the daemon without its workers.
fn control_ticks(daemon: &Daemon) -> Result<u64> {
    let all = daemon.stats()?.ticks;
    Ok(all - kernel::thread_ticks(daemon.pid(), "worker-")?.min(all))
}

/// Connects all sandboxes; returns how many milliseconds each took, and the address of the first.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]
fn connect(daemon: &Daemon, sandboxes: &[Sandbox]) -> Result<(Vec<f64>, String)> {
    let mut times = Vec::new();
    let mut first_ip = None;
    for sandbox in sandboxes {
        let start = Instant::now();
        let endpoint = daemon.cli().connect(NETWORK, sandbox, "")?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if first_ip.is_none() {
            first_ip = Some(endpoint.ipv4()?.to_string());
        }
    }
    Ok((times, first_ip.context("no sandbox was made")?))
}

/// Requires that every sandbox reaches the first.
fn reach(sandboxes: &[Sandbox], first_ip: &str) -> Result<()> {
    let (first, others) = sandboxes.split_first().context("no sandbox was made")?;
    for some in others.chunks(FORGET_AFTER) {
        for sandbox in some {
            let mut ping = sandbox.command("sh");
            ping.args(["-c", PING, "sh", first_ip]);
            expect_success(&mut ping, "")?;
        }
        first.ip("neigh flush dev eth0")?;
    }
    Ok(())
}

fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
