//! Processor time that a run takes: of the switch's processes, and of the whole machine.
//!
//! The kernel's bridge has no process: its work is done by whoever sends, and only the machine's time
//! shows it. The machine's time holds the sender and the receiver as well, on every datapath alike.

use anyhow::Result;
use tapweave_integration::kernel::ProcessStats;

use crate::datapath::Switch;
use crate::machine::{CpuTime, TICKS_PER_SEC};
use crate::rate::float;

/// Processor time of one run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cost {
    /// Seconds of the whole machine.
    pub machine_secs: f64,
    /// Seconds of the switch's processes, in steps of 10 ms; nothing if it has none.
    pub switch_secs: Option<f64>,
}

/// A clock of processor time that runs.
#[derive(Debug)]
pub struct CostMeter<'a> {
    switch: &'a dyn Switch,
    machine: CpuTime,
    switch_ticks: Option<u64>,
}

impl<'a> CostMeter<'a> {
    /// Starts the clock.
    ///
    /// # Errors
    ///
    /// When a process of the switch is gone.
    pub fn start(switch: &'a dyn Switch) -> Result<Self> {
        Ok(Self {
            switch,
            machine: CpuTime::now()?,
            switch_ticks: ticks(switch)?,
        })
    }

    /// Returns what has passed since the start.
    ///
    /// # Errors
    ///
    /// When a process of the switch is gone.
    pub fn stop(self) -> Result<Cost> {
        let switch_ticks = ticks(self.switch)?.zip(self.switch_ticks);
        Ok(Cost {
            machine_secs: CpuTime::now()?.busy_secs_since(self.machine),
            switch_secs: switch_ticks
                .map(|(now, then)| float(now.saturating_sub(then)) / TICKS_PER_SEC),
        })
    }
}

fn ticks(switch: &dyn Switch) -> Result<Option<u64>> {
    let pids = switch.pids();
    if pids.is_empty() {
        return Ok(None);
    }
    let ticks = pids
        .into_iter()
        .map(|pid| ProcessStats::of(pid).map(|stats| stats.ticks));
    ticks.sum::<Result<u64>>().map(Some)
}
