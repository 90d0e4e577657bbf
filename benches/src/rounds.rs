//! Rounds: each datapath once, one after the other, again and again.

use anyhow::{Context as _, Result};

use crate::datapath::Joined;
use crate::machine::{Quiet, QuietWaiter};
use crate::plan::Plan;
use crate::series::Series;

/// Takes rounds over some datapaths, of which the first is what the others are compared with.
#[derive(Debug)]
pub struct Rounds<'a> {
    plan: &'a Plan,
    datapaths: &'a [Joined],
    waiter: QuietWaiter,
    noisy_run_count: u32,
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

    /// Has `run` measure each datapath once a round.
    ///
    /// # Errors
    ///
    /// The first error of `run`.
    pub fn take<T>(&mut self, run: impl Fn(&Joined) -> Result<T>) -> Result<Series<T>> {
        let mut rounds = Vec::new();
        for _ in 0..self.plan.round_count {
            let mut round = Vec::new();
            for joined in self.datapaths {
                if self.plan.waits_for_quiet && self.waiter.wait()? == Quiet::No {
                    self.noisy_run_count += 1;
                }
                round.push(run(joined).with_context(|| joined.name.clone())?);
            }
            rounds.push(round);
        }
        Ok(Series::new(rounds))
    }

    /// Returns what is measured.
    pub const fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// Returns the datapaths that are measured.
    pub const fn datapaths(&self) -> &'a [Joined] {
        self.datapaths
    }

    /// Returns how many runs had to begin although the machine was busy with something else.
    pub const fn noisy_run_count(&self) -> u32 {
        self.noisy_run_count
    }
}
