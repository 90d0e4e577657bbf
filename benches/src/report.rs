//! The result of a run, as JSON and as a page for people.

use std::fmt;

use serde::Serialize;

use crate::idle::Idle;
use crate::iperf::CONGESTION_CONTROL;
use crate::machine::Machine;
use crate::rounds::{PingPongResult, Plan, TcpResult};
use crate::series::Summary;

/// Everything that one run measured, and under which conditions.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How much.
    pub plan: Plan,
    /// Datapaths that are not installed and so were not measured.
    pub missing: Vec<&'static str>,
    /// Runs that began although the machine was busy with something else.
    pub noisy_run_count: u32,
    /// TCP, by number of streams and datapath.
    pub tcp: Vec<TcpResult>,
    /// Round trips, by datapath.
    pub ping_pong: Vec<PingPongResult>,
    /// The idle daemon.
    pub idle: Idle,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conditions(f)?;
        writeln!(
            f,
            "\nTCP between two namespaces, MTU 1500, {CONGESTION_CONTROL}, runs of {} s\n",
            self.plan.tcp_secs
        )?;
        writeln!(
            f,
            "{:>7}  {:<11} {:>21}  {:>18}  {:>20}  {:>11}",
            "streams", "datapath", "Gb/s", "of the first", "CPU s per GB", "retransmits"
        )?;
        for row in &self.tcp {
            writeln!(
                f,
                "{:>7}  {:<11} {:>21}  {:>18}  {:>20}  {:>11}",
                row.stream_count,
                row.datapath,
                spread(row.gbits_per_sec, 1),
                spread(row.ratio, 2),
                spread(row.cpu_secs_per_gbyte, 2),
                row.retransmit_count.median
            )?;
        }
        writeln!(
            f,
            "\nUDP round trip, 64 bytes, {} in a run, in microseconds\n",
            self.plan.round_trip_count
        )?;
        writeln!(f, "{:<11} {:>21}  {:>21}", "datapath", "p50", "p99")?;
        for row in &self.ping_pong {
            let (p50, p99) = (spread(row.p50_us, 0), spread(row.p99_us, 0));
            writeln!(f, "{:<11} {p50:>21}  {p99:>21}", row.datapath)?;
        }
        self.idle(f)
    }
}

impl Report {
    fn conditions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            f,
            "{} UTC, commit {}, {}, {} cores, Linux {}, governor {}, load average {}",
            machine.date,
            machine.commit.as_deref().unwrap_or("unknown"),
            machine.processor,
            machine.core_count,
            machine.kernel,
            machine.governor.as_deref().unwrap_or("not visible"),
            machine.load_average,
        )?;
        writeln!(
            f,
            "{} interleaved rounds; medians, with the smallest and the largest value; ratios are taken \
             within a round",
            self.plan.round_count
        )?;
        if self.noisy_run_count > 0 {
            writeln!(
                f,
                "{} runs began while the machine was busy with something else",
                self.noisy_run_count
            )?;
        }
        for name in &self.missing {
            writeln!(f, "{name} is not installed: not measured")?;
        }
        Ok(())
    }

    fn idle(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = &self.idle;
        writeln!(
            f,
            "\nidle with {} ports: {:.1} MB resident, {} threads, {:.2} % of a processor over {:.0} s; \
             connect takes {} ms",
            idle.port_count,
            megabytes(idle.resident_len),
            idle.thread_count,
            idle.cpu_percent,
            idle.watched_secs,
            spread(idle.connect_ms, 1),
        )
    }
}

/// `24.1 (22.0-25.9)`
fn spread(summary: Summary, digits: usize) -> String {
    let Summary { median, min, max } = summary;
    format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^53 bytes")]
fn megabytes(len: u64) -> f64 {
    len as f64 / 1e6
}
