//! Where frames of many ports come out of one descriptor, such as the socket of a tunnel.
//!
//! An event loop waits for the descriptor as it does for a port's; what was received, and which port
//! each frame came in from, only the source knows. It hands frames on through a [`FrameSink`], which
//! brings them to the handler of the loop.

use std::fmt;
use std::os::fd::BorrowedFd;

use tapweave_net::{Frame, PortNo};

use crate::backend::{BatchHandler, Egress};
use crate::parked::Parked;

/// Something that is read by one worker and yields frames of many ports.
pub trait FrameSource: Send + fmt::Debug {
    /// Returns the descriptor that becomes readable when something waits.
    fn readiness(&self) -> BorrowedFd<'_>;

    /// Takes about a batch of what waits and delivers it. Never blocks. What fails is for the source to
    /// count: a loop goes on with it in every case.
    fn receive(&mut self, sink: &mut dyn FrameSink) -> Intake;
}

/// Whether a source may have more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intake {
    /// Nothing waits any more.
    Drained,
    /// More may wait.
    More,
}

/// Takes what came out of a source.
pub trait FrameSink {
    /// Hands on frames that came in from one port, in order, at most [`crate::MAX_BATCH`] of them. When
    /// this returns, they have been sent or copied.
    fn deliver(&mut self, ingress: PortNo, frames: &mut [Frame<'_>]);
}

/// Names a source towards one event loop. Chosen by whoever adds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceNo(pub u32);

impl SourceNo {
    /// Returns the place of a port's frames that came out of this source and were left for later. Queues
    /// have places below 2^16.
    pub(crate) const fn place(self) -> usize {
        (1 << 16) + self.0 as usize
    }
}

/// Brings frames to the handler, and keeps what it leaves.
pub(crate) struct Delivery<'a> {
    pub(crate) handler: &'a mut dyn BatchHandler,
    pub(crate) egress: &'a mut dyn Egress,
    pub(crate) parked: &'a mut Parked,
    pub(crate) source: SourceNo,
}

impl FrameSink for Delivery<'_> {
    fn deliver(&mut self, ingress: PortNo, frames: &mut [Frame<'_>]) {
        if frames.is_empty() {
            return;
        }
        let queue = (ingress, self.source.place());
        let handled_count = if self.parked.holds(queue) {
            0
        } else {
            let handled = self.handler.handle_batch(ingress, frames, self.egress);
            handled.max(1)
        };
        let rest = frames.get(handled_count..).unwrap_or_default();
        self.parked.keep(queue, rest);
    }
}
