//! TCP throughput, measured by iperf3.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tapweave_integration::Lab;
use tapweave_integration::process::{Background, expect_success};

use crate::datapath::{Joined, Way};
use crate::rate::BitRate;

/// The congestion control of every run. A machine's default may be another, which changes what the
/// kernel's own path reaches by half.
pub const CONGESTION_CONTROL: &str = "cubic";

/// A server that waits in a sandbox.
#[derive(Debug)]
pub struct Server {
    _process: Background,
}

/// What one run gave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Run {
    /// Payload that arrived.
    pub rate: BitRate,
    /// Payload that arrived, in bytes.
    pub payload_len: u64,
    /// Segments that were sent again.
    pub retransmit_count: u64,
}

impl Server {
    /// Starts a server at a datapath's far end.
    ///
    /// # Errors
    ///
    /// When iperf3 is not installed or does not start.
    pub fn start(lab: &Lab, joined: &Joined) -> Result<Self> {
        let mut command = joined.server.command("iperf3");
        command.args(["-s", "-B", &joined.server_ip.to_string(), "--forceflush"]);
        let log = lab.file(format!("iperf3-{}.log", joined.name));
        let mut process = Background::start(&mut command, &log)?;
        process.line("listening")?;
        Ok(Self { _process: process })
    }
}

/// Sends one way over `stream_count` connections for `secs` seconds.
///
/// # Errors
///
/// When iperf3 fails or took another congestion control.
pub fn run(joined: &Joined, stream_count: u32, way: Way, secs: u32) -> Result<Run> {
    let mut command = client(joined, secs);
    command.args(["-P", &stream_count.to_string()]);
    if way == Way::Down {
        command.arg("--reverse");
    }
    finish(command)
}

/// Sends to the far end over one connection for `secs` seconds, not faster than `rate`.
///
/// # Errors
///
/// As [`run`].
pub fn run_paced(joined: &Joined, rate: BitRate, secs: u32) -> Result<Run> {
    let mut command = client(joined, secs);
    command.args(["-b", &format!("{:.0}", rate.bits_per_sec())]);
    finish(command)
}

fn client(joined: &Joined, secs: u32) -> Command {
    let mut command = joined.client.command("iperf3");
    command.args(["-c", &joined.server_ip.to_string(), "--json"]);
    command.args(["-C", CONGESTION_CONTROL, "-t", &secs.to_string()]);
    command
}

fn finish(mut command: Command) -> Result<Run> {
    let report = expect_success(&mut command, "")?;
    let report: Value =
        serde_json::from_str(&report).with_context(|| format!("iperf3 said {report}"))?;
    ensure!(report["error"].is_null(), "iperf3: {}", report["error"]);
    let end = &report["end"];
    let control = &end["sender_tcp_congestion"];
    ensure!(
        control == CONGESTION_CONTROL,
        "iperf3 used {control} for congestion control"
    );
    let read = || {
        Some(Run {
            rate: BitRate::from_bits_per_sec(end["sum_received"]["bits_per_second"].as_f64()?),
            payload_len: end["sum_received"]["bytes"].as_u64()?,
            retransmit_count: end["sum_sent"]["retransmits"].as_u64()?,
        })
    };
    read().with_context(|| format!("iperf3 reported {end}"))
}
