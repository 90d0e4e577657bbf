//! Copies of frames, for ports that get a frame with another tag than the ports before them got it.
//!
//! A frame that a device has accepted with `Sent::Later` must stay as it is until the end of the batch,
//! so it cannot be changed in place any more. That takes a flooded frame, ports of both forms and a
//! device that writes late; everything else goes without a copy. Buffers are kept for later batches:
//! once there are as many as a batch needs, nothing is allocated.

use tapweave_device::HEADROOM;
use tapweave_net::Frame;

/// The copies of one batch.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    buffers: Vec<Vec<u8>>,
    /// How many of the buffers this batch has used.
    used: usize,
}

impl Copies {
    /// States that a new batch begins: nobody needs the copies of the last one any more.
    pub(crate) const fn begin_batch(&mut self) {
        self.used = 0;
    }

    /// Returns a copy of `frame` that stays as the caller leaves it until the end of the batch.
    pub(crate) fn copy(&mut self, frame: &Frame<'_>) -> Frame<'_> {
        if self.used == self.buffers.len() {
            self.buffers.push(Vec::new());
        }
        let buffer = &mut self.buffers[self.used];
        self.used += 1;
        buffer.clear();
        buffer.resize(HEADROOM, 0);
        buffer.extend_from_slice(frame.data());
        Frame::new(buffer, HEADROOM, frame.offload())
    }
}
