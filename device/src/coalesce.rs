//! Where datagrams are gathered before they are written: see [`tapweave_net::coalesce`].
//!
//! One of these stands in the egress of every event loop. Only ports that cut UDP themselves are
//! served (Linux 6.2 and later, unless offloads are off), and gathering begins only with a batch of
//! several frames, so a datagram that comes alone is written at once.
//!
//! # How long
//!
//! Gathering ends with the turn of the event loop. While batches come full of datagrams the turn goes
//! on, without waiting, up to [`GATHERED_MAX`] of them: with 64 flows that take turns, a batch of 64 frames
//! holds no two of one flow, and 512 hold eight of each. That is half a millisecond at a million frames
//! a second, and only under such a load.
//!
//! # When it pays
//!
//! A merge saves a write and costs a look and a copy, as does every frame that is kept and not merged.
//! Traffic that merges little is left alone: after [`PATIENCE`] batches in a row only every [`REST`]th
//! batch is looked at, until one merges enough again. What is of no UDP flow counts for nothing.
//!
//! The benchmark `net/coalesce`, on two cores with a load of 12, beside a parse of 38 ns: 83 ns for a
//! frame of 60 bytes that is kept, 123 ns merged, 11 ns for what is not UDP. What a write costs was not
//! measured with it: that one merge pays for [`KEPT_PER_MERGE`] kept frames is an estimate.

use tapweave_net::coalesce::{Offered, Run, RunTable};
use tapweave_net::{Frame, OffloadSet, PortNo};

use crate::backend::{BatchHandler, MAX_BATCH};
use crate::queue::{HEADROOM, SendError};

/// Most datagrams that are gathered before they are written.
const GATHERED_MAX: usize = 512;

/// Most runs of one gathering. They are searched one by one, and each that is used takes 64 KiB of
/// address space.
const RUN_COUNT: usize = 128;

/// Datagrams in one round of reading that tell that more of them wait.
const ROUND_MIN: usize = MAX_BATCH / 2;

/// Gatherings in a row that are looked at although nothing merges.
const PATIENCE: u32 = 64;

/// Of so many batches one begins a gathering after that.
const REST: u32 = 16;

/// Kept frames that one merged frame pays for.
const KEPT_PER_MERGE: usize = 16;

/// What a port must do itself to be sent super-frames of datagrams. Linux has both families or none.
const NEEDED: OffloadSet = OffloadSet::CHECKSUM
    .union(OffloadSet::USO4)
    .union(OffloadSet::USO6);

/// Gathers the datagrams of one turn.
#[derive(Debug)]
pub(crate) struct Coalescer {
    table: RunTable,
    attention: Attention,
    /// Frames of this gathering that were kept.
    kept_count: usize,
    /// As many as there were when [`Coalescer::wants_more`] was asked last.
    seen_count: usize,
    /// Runs of this gathering that have left.
    departed: Vec<Departed>,
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Departed {
    to: PortNo,
    frame_count: usize,
    byte_count: usize,
    outcome: Result<(), SendError>,
}

impl Coalescer {
    pub(crate) const fn new() -> Self {
        Self {
            table: RunTable::new(RUN_COUNT, HEADROOM),
            attention: Attention::new(),
            kept_count: 0,
            seen_count: 0,
            departed: Vec::new(),
        }
    }

    /// Tells that a batch of `frame_count` frames begins. It joins a gathering that is under way, or may
    /// begin one.
    pub(crate) fn begin_batch(&mut self, frame_count: usize) {
        if self.kept_count == 0 {
            self.attention.begin_batch(frame_count);
        }
    }

    /// Tells, once a round of reading, whether the next round is worth gathering too.
    #[inline]
    pub(crate) const fn wants_more(&mut self) -> bool {
        let new_count = self.kept_count - self.seen_count;
        self.seen_count = self.kept_count;
        new_count >= ROUND_MIN && self.kept_count < GATHERED_MAX
    }

    /// Offers a frame for `to`, a port with `offloads`. Calls `send` with every super-frame that has to
    /// be sent before; [`Offered::Passed`] leaves the frame itself to the caller.
    #[inline]
    pub(crate) fn offer(
        &mut self,
        to: PortNo,
        offloads: OffloadSet,
        frame: &Frame<'_>,
        send: &mut dyn FnMut(PortNo, &mut Frame<'_>) -> Result<(), SendError>,
    ) -> Offered {
        if !self.attention.is_awake || !offloads.contains(NEEDED) {
            return Offered::Passed;
        }
        let departed = &mut self.departed;
        let mut leave = |to, run: &mut Run| departed.push(Departed::by(to, run, send));
        let offered = self
            .table
            .offer(to, frame.data(), frame.offload(), &mut leave);
        self.kept_count += usize::from(offered == Offered::Kept);
        offered
    }

    /// Ends the gathering: calls `send` with what is left of it, and tells `handler` what became of
    /// every frame that was kept.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        handler: &mut dyn BatchHandler,
        send: &mut dyn FnMut(PortNo, &mut Frame<'_>) -> Result<(), SendError>,
    ) {
        if self.kept_count == 0 {
            return;
        }
        let departed = &mut self.departed;
        self.table
            .dismiss_all(&mut |to, run| departed.push(Departed::by(to, run, send)));
        self.table.clear();
        self.attention.judge(self.kept_count, departed.len());
        self.kept_count = 0;
        self.seen_count = 0;
        for run in departed.drain(..) {
            handler.handle_completion(run.to, run.frame_count, run.byte_count, run.outcome);
        }
    }
}

impl Departed {
    fn by(
        to: PortNo,
        run: &mut Run,
        send: &mut dyn FnMut(PortNo, &mut Frame<'_>) -> Result<(), SendError>,
    ) -> Self {
        Self {
            to,
            frame_count: run.frame_count(),
            byte_count: run.byte_count(),
            outcome: send(to, &mut run.finish()),
        }
    }
}

/// Whether to gather at all.
#[derive(Debug)]
struct Attention {
    is_awake: bool,
    /// Gatherings in a row that did not pay, up to [`PATIENCE`].
    vain_count: u32,
    /// Batches to let pass before the next look.
    rest_count: u32,
}

impl Attention {
    const fn new() -> Self {
        Self {
            is_awake: false,
            vain_count: 0,
            rest_count: 0,
        }
    }

    fn begin_batch(&mut self, frame_count: usize) {
        self.is_awake = frame_count > 1 && self.rest_count == 0;
        self.rest_count = self.rest_count.saturating_sub(1);
    }

    /// Judges a gathering of which `kept_count` frames, more than none, left as `run_count`.
    const fn judge(&mut self, kept_count: usize, run_count: usize) {
        let merged_count = kept_count - run_count;
        if merged_count * KEPT_PER_MERGE >= kept_count {
            self.vain_count = 0;
        } else if self.vain_count < PATIENCE {
            self.vain_count += 1;
        } else {
            self.rest_count = REST - 1;
        }
    }
}

#[cfg(test)]
#[path = "coalesce_tests.rs"]
mod tests;
