//! Rounds: each datapath once, one after the other, again and again.

use anyhow::Result;
use serde::Serialize;
use tapweave_integration::Lab;

use crate::datapath::Joined;
use crate::iperf::{self, Server};
use crate::machine::{CpuTime, Quiet, QuietWaiter};
use crate::ping_pong;
use crate::series::Summary;

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Rounds, each with one run of every datapath.
    pub round_count: u32,
    /// Seconds of one TCP run.
    pub tcp_secs: u32,
    /// Numbers of TCP streams, each a table of its own.
    pub stream_counts: Vec<u32>,
    /// Round trips of one ping-pong run.
    pub round_trip_count: u32,
    /// Seconds for which an idle daemon is watched.
    pub idle_secs: u32,
    /// Whether a run waits until the machine has nothing else to do.
    pub waits_for_quiet: bool,
}

/// TCP over one datapath.
#[derive(Clone, Debug, Serialize)]
pub struct TcpResult {
    /// Name of the datapath.
    pub datapath: &'static str,
    /// Streams.
    pub stream_count: u32,
    /// Payload that arrived, in Gb/s.
    pub gbits_per_sec: Summary,
    /// What it is of what the first datapath reached in the same round.
    pub ratio: Summary,
    /// Processor seconds of the whole machine for 10^9 bytes of payload.
    pub cpu_secs_per_gbyte: Summary,
    /// Segments that were sent again, in one run.
    pub retransmit_count: Summary,
}

/// Round trips over one datapath.
#[derive(Clone, Debug, Serialize)]
pub struct PingPongResult {
    /// Name of the datapath.
    pub datapath: &'static str,
    /// Medians of the runs, in microseconds.
    pub p50_us: Summary,
    /// 99th percentiles of the runs, in microseconds.
    pub p99_us: Summary,
}

/// Takes the rounds over some datapaths, of which the first is what the others are compared with.
#[derive(Debug)]
pub struct Rounds<'a> {
    plan: &'a Plan,
    datapaths: &'a [Joined],
    waiter: QuietWaiter,
    noisy_run_count: u32,
}

/// What one TCP run gave.
struct TcpRun {
    gbits_per_sec: f64,
    cpu_secs_per_gbyte: f64,
    retransmit_count: f64,
}

impl<'a> Rounds<'a> {
    /// Prepares to measure `datapaths` by `plan`.
    pub const fn new(plan: &'a Plan, datapaths: &'a [Joined]) -> Self {
        Self {
            plan,
            datapaths,
            waiter: QuietWaiter::new(),
            noisy_run_count: 0,
        }
    }

    /// Measures TCP.
    ///
    /// # Errors
    ///
    /// When a run fails or its traffic did not pass the datapath.
    pub fn tcp(&mut self, lab: &Lab) -> Result<Vec<TcpResult>> {
        let servers = self
            .datapaths
            .iter()
            .map(|joined| Server::start(lab, joined));
        let _servers = servers.collect::<Result<Vec<_>>>()?;
        let mut results = Vec::new();
        for &stream_count in &self.plan.stream_counts {
            let rounds = self.take(|joined, plan| tcp_run(joined, stream_count, plan.tcp_secs))?;
            for (place, joined) in self.datapaths.iter().enumerate() {
                let of = |figure: fn(&TcpRun) -> f64| {
                    summary(&rounds, |round| Some(figure(round.get(place)?)))
                };
                let ratio = summary(&rounds, |round| {
                    Some(round.get(place)?.gbits_per_sec / round.first()?.gbits_per_sec)
                });
                results.extend(ratio.and_then(|ratio| {
                    Some(TcpResult {
                        datapath: joined.name,
                        stream_count,
                        ratio,
                        gbits_per_sec: of(|run| run.gbits_per_sec)?,
                        cpu_secs_per_gbyte: of(|run| run.cpu_secs_per_gbyte)?,
                        retransmit_count: of(|run| run.retransmit_count)?,
                    })
                }));
            }
        }
        Ok(results)
    }

    /// Measures round trips.
    ///
    /// # Errors
    ///
    /// As [`Rounds::tcp`].
    pub fn ping_pong(&mut self, lab: &Lab) -> Result<Vec<PingPongResult>> {
        let rounds = self.take(|joined, plan| {
            let run = || ping_pong::run(lab, joined, plan.round_trip_count);
            joined.prove_carried(run, |trips| trips.payload_len)
        })?;
        let result = |(place, joined): (usize, &Joined)| {
            Some(PingPongResult {
                datapath: joined.name,
                p50_us: summary(&rounds, |round| Some(round.get(place)?.p50_us))?,
                p99_us: summary(&rounds, |round| Some(round.get(place)?.p99_us))?,
            })
        };
        Ok(self
            .datapaths
            .iter()
            .enumerate()
            .filter_map(result)
            .collect())
    }

    /// Returns how many runs had to begin although the machine was busy with something else.
    pub const fn noisy_run_count(&self) -> u32 {
        self.noisy_run_count
    }

    /// Returns, for each round, the results of the datapaths in their order.
    fn take<T>(&mut self, run: impl Fn(&Joined, &Plan) -> Result<T>) -> Result<Vec<Vec<T>>> {
        let mut rounds = Vec::new();
        for _ in 0..self.plan.round_count {
            let mut round = Vec::new();
            for joined in self.datapaths {
                if self.plan.waits_for_quiet && self.waiter.wait()? == Quiet::No {
                    self.noisy_run_count += 1;
                }
                round.push(run(joined, self.plan)?);
            }
            rounds.push(round);
        }
        Ok(rounds)
    }
}

fn tcp_run(joined: &Joined, stream_count: u32, secs: u32) -> Result<TcpRun> {
    let start = CpuTime::now()?;
    let work = || iperf::run(joined, stream_count, secs);
    let run = joined.prove_carried(work, |run| run.payload_len)?;
    let busy_secs = CpuTime::now()?.busy_secs_since(start);
    Ok(TcpRun {
        gbits_per_sec: run.bits_per_sec / 1e9,
        cpu_secs_per_gbyte: busy_secs / (float(run.payload_len) / 1e9),
        retransmit_count: float(run.retransmit_count),
    })
}

fn summary<T>(rounds: &[Vec<T>], figure: impl Fn(&[T]) -> Option<f64>) -> Option<Summary> {
    Summary::of(rounds.iter().filter_map(|round| figure(round)))
}

#[expect(clippy::cast_precision_loss, reason = "no run moves 2^53 bytes")]
const fn float(count: u64) -> f64 {
    count as f64
}
