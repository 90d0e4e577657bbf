//! Frames a second: how many of a cheap sender's frames arrive, and what that costs.
//!
//! The sender always sends faster than any datapath forwards; what does not fit is lost before the
//! switch. [`Arrivals`] says how arrivals are counted.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tapweave_integration::{Lab, traffic};

use crate::arrivals::Arrivals;
use crate::cost::{Cost, CostMeter};
use crate::datapath::{Joined, Way};
use crate::generator;
use crate::mix::Mix;
use crate::rate::{BitRate, FrameRate, float};
use crate::rounds::Rounds;
use crate::series::Summary;

/// Time for which frames flow before they count.
const WARM_UP: Duration = Duration::from_millis(200);

/// Frames over one datapath.
#[derive(Clone, Debug, Serialize)]
pub struct FramesResult {
    /// What was sent.
    pub mix: Mix,
    /// Name of the datapath.
    pub datapath: String,
    /// Frames that arrived, in millions a second.
    pub mframes_per_sec: Summary,
    /// What that is of what the first datapath reached in the same round.
    pub ratio: Summary,
    /// Bytes of those frames, check sequences included, in Gb/s.
    pub gbits_per_sec: Summary,
    /// Datagrams in one packet of the receiver's interface: more than 1 where they were merged.
    pub datagrams_per_packet: Summary,
    /// Processor seconds of the switch's processes for a million frames, if it has any.
    pub switch_secs_per_mframe: Option<Summary>,
    /// Processor seconds of the whole machine for a million frames.
    pub machine_secs_per_mframe: Summary,
}

struct Run {
    frame_rate: FrameRate,
    bit_rate: BitRate,
    arrivals: Arrivals,
    cost: Cost,
}

impl Run {
    fn mframes(&self) -> f64 {
        float(self.arrivals.datagram_count()) / 1e6
    }
}

/// Measures frames of one mix over all datapaths.
///
/// # Errors
///
/// When a run fails or its traffic did not pass the datapath.
pub fn measure(rounds: &mut Rounds<'_>, lab: &Lab, mix: Mix) -> Result<Vec<FramesResult>> {
    let time = Duration::from_millis(rounds.plan().frames_ms.into());
    let series = rounds.take(|joined| run(lab, joined, mix, time))?;
    let result = |(place, joined): (usize, &Joined)| {
        let of = |figure: fn(&Run) -> f64| series.summary(place, figure);
        Some(FramesResult {
            mix,
            datapath: joined.name.clone(),
            mframes_per_sec: of(|run| run.frame_rate.millions())?,
            ratio: series.ratio(place, |run| run.frame_rate.millions())?,
            gbits_per_sec: of(|run| run.bit_rate.gigabits())?,
            datagrams_per_packet: of(|run| {
                float(run.arrivals.datagram_count()) / float(run.arrivals.packet_count()).max(1.0)
            })?,
            switch_secs_per_mframe: series
                .summary_of(place, |run| Some(run.cost.switch_secs? / run.mframes())),
            machine_secs_per_mframe: of(|run| run.cost.machine_secs / run.mframes())?,
        })
    };
    let datapaths = rounds.datapaths().iter().enumerate();
    Ok(datapaths.filter_map(result).collect())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]
fn run(lab: &Lab, joined: &Joined, mix: Mix, time: Duration) -> Result<Run> {
    let work = || {
        // No station may have aged out: the receiver of this traffic never speaks.
        traffic::ping_soon(&joined.client, joined.server_ip)?;
        let sink = generator::start_sink(lab, joined)?;
        let sender = generator::start_sender(lab, joined, mix)?;
        thread::sleep(WARM_UP);
        let meter = CostMeter::start(joined.switch())?;
        let before = Arrivals::of_process(sink.pid())?;
        let start = Instant::now();
        thread::sleep(time);
        let arrivals = Arrivals::of_process(sink.pid())?.since(before)?;
        let time = start.elapsed();
        let cost = meter.stop()?;
        drop(sender);
        Ok(Run {
            frame_rate: FrameRate::of(arrivals.datagram_count(), time),
            bit_rate: BitRate::of(arrivals.frame_len(), time),
            arrivals,
            cost,
        })
    };
    joined.prove_carried(Way::Up, work, |run| run.arrivals.payload_len())
}
