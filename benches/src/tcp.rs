//! TCP throughput over the datapaths, and what it costs.

use anyhow::Result;
use serde::Serialize;
use tapweave_integration::Lab;

use crate::cost::{Cost, CostMeter};
use crate::datapath::{Joined, Way};
use crate::iperf::{self, Server};
use crate::rate::float;
use crate::rounds::Rounds;
use crate::series::Summary;

/// TCP over one datapath.
#[derive(Clone, Debug, Serialize)]
pub struct TcpResult {
    /// Streams.
    pub stream_count: u32,
    /// Which way the payload goes.
    pub way: Way,
    /// Name of the datapath.
    pub datapath: String,
    /// Payload that arrived, in Gb/s.
    pub gbits_per_sec: Summary,
    /// What that is of what the first datapath reached in the same round.
    pub ratio: Summary,
    /// Processor seconds of the switch's processes for 10^9 bytes of payload, if it has any.
    pub switch_secs_per_gbyte: Option<Summary>,
    /// Processor seconds of the whole machine for 10^9 bytes of payload.
    pub machine_secs_per_gbyte: Summary,
    /// Segments that were sent again, in one run.
    pub retransmit_count: Summary,
}

struct Run {
    sent: iperf::Run,
    cost: Cost,
}

impl Run {
    fn gbytes(&self) -> f64 {
        float(self.sent.payload_len) / 1e9
    }
}

/// Measures TCP over all datapaths.
///
/// # Errors
///
/// When a run fails or its traffic did not pass the datapath.
pub fn measure(
    rounds: &mut Rounds<'_>,
    lab: &Lab,
    stream_count: u32,
    way: Way,
) -> Result<Vec<TcpResult>> {
    let datapaths = rounds.datapaths();
    let servers = datapaths.iter().map(|joined| Server::start(lab, joined));
    let _servers = servers.collect::<Result<Vec<_>>>()?;
    let secs = rounds.plan().tcp_secs;
    let series = rounds.take(|joined| run(joined, stream_count, way, secs))?;
    let result = |(place, joined): (usize, &Joined)| {
        let of = |figure: fn(&Run) -> f64| series.summary(place, figure);
        Some(TcpResult {
            stream_count,
            way,
            datapath: joined.name.clone(),
            gbits_per_sec: of(|run| run.sent.rate.gigabits())?,
            ratio: series.ratio(place, |run| run.sent.rate.gigabits())?,
            switch_secs_per_gbyte: series
                .summary_of(place, |run| Some(run.cost.switch_secs? / run.gbytes())),
            machine_secs_per_gbyte: of(|run| run.cost.machine_secs / run.gbytes())?,
            retransmit_count: of(|run| float(run.sent.retransmit_count))?,
        })
    };
    Ok(datapaths.iter().enumerate().filter_map(result).collect())
}

fn run(joined: &Joined, stream_count: u32, way: Way, secs: u32) -> Result<Run> {
    let meter = CostMeter::start(joined.switch())?;
    let work = || iperf::run(joined, stream_count, way, secs);
    let sent = joined.prove_carried(way, work, |run| run.payload_len)?;
    let cost = meter.stop()?;
    Ok(Run { sent, cost })
}
