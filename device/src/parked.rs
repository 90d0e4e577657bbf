//! Frames that a handler left for later, out of the way of the ports that have their turn now.
//!
//! A handler stops early when a batch is more work than others should wait for
//! ([`BatchHandler::handle_batch`]). The receive buffers are needed for the next port, so the rest of
//! the batch is copied: that happens only where each frame is written a hundred times and more, beside
//! which one copy is nothing. While a queue has frames here it is not read, so its frames stay in
//! order and no queue keeps more than what had been read when its handler stopped.

use std::collections::BTreeMap;
use std::mem;

use tapweave_net::{Frame, Offload, PortNo};

use crate::backend::{BatchHandler, Egress, MAX_BATCH};
use crate::queue::HEADROOM;
use crate::source::SourceNo;

/// A queue of a port: the port and the queue's place in it.
pub(crate) type QueueId = (PortNo, usize);

/// What is left of one batch.
#[derive(Debug, Default)]
struct Rest {
    /// All frames of it, each behind headroom.
    bytes: Vec<u8>,
    /// Length with headroom and offload of each frame.
    frames: Vec<(usize, Offload)>,
    /// Frames that have been handled since.
    handled_count: usize,
}

/// The rests of all queues of one worker.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    rests: BTreeMap<QueueId, Rest>,
}

impl Parked {
    /// Keeps copies of `frames`, unless there are none, behind what there is of the same queue.
    pub(crate) fn keep(&mut self, queue: QueueId, frames: &[Frame<'_>]) {
        if frames.is_empty() {
            return;
        }
        let rest = self.rests.entry(queue).or_default();
        for frame in frames {
            rest.bytes.resize(rest.bytes.len() + HEADROOM, 0);
            rest.bytes.extend_from_slice(frame.data());
            let len = HEADROOM + frame.data().len();
            rest.frames.push((len, frame.offload()));
        }
    }

    /// Presents every rest once more and forgets those that are done.
    pub(crate) fn present(&mut self, handler: &mut dyn BatchHandler, egress: &mut dyn Egress) {
        self.rests.retain(|&(port, _), rest| {
            rest.present(port, handler, egress);
            rest.handled_count < rest.frames.len()
        });
    }

    /// Forgets what is left of a port that is gone.
    pub(crate) fn forget(&mut self, port: PortNo) {
        self.rests.retain(|&(of, _), _| of != port);
    }

    /// Tells whether a queue has to wait with new frames.
    pub(crate) fn holds(&self, queue: QueueId) -> bool {
        self.rests.contains_key(&queue)
    }

    /// Tells whether a source has to wait with new frames: some of its ports have old ones.
    pub(crate) fn holds_of(&self, source: SourceNo) -> bool {
        let place = source.place();
        self.rests.keys().any(|(_, other)| *other == place)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rests.is_empty()
    }
}

impl Rest {
    fn present(&mut self, port: PortNo, handler: &mut dyn BatchHandler, egress: &mut dyn Egress) {
        let mut bytes = self.bytes.as_mut_slice();
        let mut frames = Vec::with_capacity(MAX_BATCH);
        for (number, &(len, offload)) in self.frames.iter().enumerate() {
            let Some((frame, behind)) = mem::take(&mut bytes).split_at_mut_checked(len) else {
                break;
            };
            bytes = behind;
            if number >= self.handled_count && frames.len() < MAX_BATCH {
                frames.push(Frame::new(frame, HEADROOM, offload));
            }
        }
        // At least one, or a rest would stay for ever.
        self.handled_count += handler.handle_batch(port, &mut frames, egress).max(1);
    }
}
