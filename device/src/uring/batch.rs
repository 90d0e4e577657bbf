//! Frames of one queue on their way through the handler.

use std::array;
use std::io;

use tapweave_net::{Frame, Offload};

use super::UringBackend;
use super::reader::{READ_START, Request};
use super::tag::Tag;
use crate::backend::{BatchHandler, MAX_BATCH};
use crate::queue::Received;
use crate::sys::arena::Buffer;

/// Frames of one reader that have been read and not handled.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) reader: u32,
    pub(super) frames: Vec<(Buffer, usize)>,
    pub(super) len: usize,
}

impl UringBackend {
    /// Has a batch of a file handled and brings what was sent to the devices.
    pub(super) fn handle_batch(
        &mut self,
        batch: &mut Batch,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        let count = batch.frames.len();
        if count == 0 {
            return Ok(());
        }
        self.mean_len = (self.mean_len * 3 + batch.len / count) / 4;
        batch.len = 0;
        let reader = self.readers.get_mut(batch.reader as usize);
        if let Some(Some(reader)) = reader
            && let Some(framing) = reader.framing
        {
            let mut frames: [_; MAX_BATCH] =
                array::from_fn(|_| Frame::new(&mut [], 0, Offload::NONE));
            let mut count = 0;
            let mut failure = None;
            for (buffer, len) in &mut batch.frames {
                match framing.decode(buffer.bytes_mut(), READ_START, *len) {
                    Ok(Received::Frame(frame)) => {
                        if let Some(slot) = frames.get_mut(count) {
                            *slot = frame;
                            count += 1;
                        }
                    }
                    Ok(Received::Malformed(error)) => {
                        handler.handle_malformed(reader.port, error);
                    }
                    Ok(Received::Empty) => {}
                    Err(error) => failure = Some(error),
                }
            }
            let frames = frames.get_mut(..count).unwrap_or_default();
            let queue = (reader.port, reader.place);
            let was_parked = self.parked.holds(queue);
            let handled_count = if count == 0 || was_parked {
                0
            } else {
                let mut egress = self
                    .outbox
                    .begin_batch(count, &mut self.ring, &mut self.pool);
                let handled_count = handler.handle_batch(reader.port, frames, &mut egress);
                egress.submit()?;
                handled_count.max(1)
            };
            self.parked
                .keep(queue, frames.get(handled_count..).unwrap_or_default());
            if !was_parked && self.parked.holds(queue) && reader.request == Request::Made {
                let target = Tag::Reader(batch.reader).to_user_data();
                self.ring.push_cancel(target, Tag::Cancel.to_user_data())?;
                reader.request = Request::Ending;
            }
            if let Some(error) = failure
                && reader.request != Request::Failed
            {
                reader.request = Request::Failed;
                handler.handle_port_failure(reader.port, error);
            }
        }
        for (buffer, _) in batch.frames.drain(..) {
            self.pool.handled(buffer);
        }
        self.ring.take_completions(&mut self.inbox);
        Ok(())
    }

    pub(super) fn present_parked(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        if self.parked.is_empty() {
            return Ok(());
        }
        // Several rests count as one batch; none of them is worth a look for its own sake.
        let mut egress = self.outbox.begin_batch(0, &mut self.ring, &mut self.pool);
        self.parked.present(handler, &mut egress);
        egress.submit()?;
        self.ring.take_completions(&mut self.inbox);
        Ok(())
    }
}
