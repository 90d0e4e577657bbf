//! Freeing what has expired, in bounded steps.

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::Entry;
use crate::sync::Ordering;

/// What a step of a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sweep {
    /// Slots that it looked at: fewer than the budget when the table has fewer.
    pub examined: usize,
    /// Records that had expired and are gone.
    pub removed: usize,
}

impl PairTable {
    /// Removes the expired records among the next `budget` slots and gives each to `gone`. Goes on where
    /// the last call ended, at the start again after the end; any number of threads may sweep at once.
    pub fn sweep(&self, now: Timestamp, budget: u32, mut gone: impl FnMut(&Entry)) -> Sweep {
        let used = self.spare.used();
        let examined = budget.min(used);
        let Some(start) = self.advance_sweep(used, examined) else {
            return Sweep {
                examined: 0,
                removed: 0,
            };
        };
        let indices = (start..used).chain(0..start).take(examined as usize);
        let removed = indices.filter(|&index| {
            let Some(record) = self.live(index) else {
                return false;
            };
            if !record.slot.is_expired(record.life, now) {
                return false;
            }
            let entry = self.kill(index, record.life);
            entry.iter().for_each(&mut gone);
            entry.is_some()
        });
        Sweep {
            removed: removed.count(),
            examined: examined as usize,
        }
    }

    /// Moves the hand on by `step`, at most `used`, and returns where it was.
    fn advance_sweep(&self, used: u32, step: u32) -> Option<u32> {
        let next = |hand: u32| {
            let start = if hand < used { hand } else { 0 };
            let end = u64::from(start) + u64::from(step);
            let wrapped = if end < u64::from(used) {
                end
            } else {
                end - u64::from(used)
            };
            u32::try_from(wrapped).ok()
        };
        let hand = self
            .sweep_hand
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .ok()?;
        (used > 0).then_some(if hand < used { hand } else { 0 })
    }
}
