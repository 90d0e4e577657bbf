//! Queues that are no files: the ring tells when they are readable, and they are read by call.

use std::array;
use std::io;

use tapweave_net::{Frame, Offload};

use super::UringBackend;
use super::reader::Request;
use crate::backend::{BatchHandler, MAX_BATCH};
use crate::epoll::BATCH_LEN_LIMIT;
use crate::queue::Received;
use crate::sys::arena::Buffer;

impl UringBackend {
    /// Reads one batch from each port that is no file and may have frames.
    pub(super) fn read_ready(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        for _ in 0..self.ready.len() {
            let Some(number) = self.ready.pop_front() else {
                break;
            };
            let Some(Some(reader)) = self.readers.get_mut(number as usize) else {
                continue;
            };
            let queue = (reader.port, reader.place);
            if self.parked.holds(queue) {
                self.ready.push_back(number);
                continue;
            }
            let mut buffers: Vec<Buffer> = Vec::with_capacity(MAX_BATCH);
            while buffers.len() < MAX_BATCH
                && let Some(buffer) = self.pool.take()
            {
                buffers.push(buffer);
            }
            let mut frames: [_; MAX_BATCH] =
                array::from_fn(|_| Frame::new(&mut [], 0, Offload::NONE));
            let mut count = 0;
            let mut batch_len = 0;
            let mut outcome = Ok(Received::Empty);
            let mut is_drained = false;
            for buffer in &mut buffers {
                if batch_len >= BATCH_LEN_LIMIT {
                    break;
                }
                match reader.queue.recv(buffer.bytes_mut()) {
                    Ok(Received::Frame(frame)) => {
                        batch_len += frame.data().len();
                        if let Some(slot) = frames.get_mut(count) {
                            *slot = frame;
                            count += 1;
                        }
                    }
                    Ok(Received::Malformed(error)) => handler.handle_malformed(reader.port, error),
                    ended => {
                        outcome = ended;
                        is_drained = true;
                        break;
                    }
                }
            }
            let frames = frames.get_mut(..count).unwrap_or_default();
            if count > 0 {
                let mut egress = self
                    .outbox
                    .begin_batch(count, &mut self.ring, &mut self.pool);
                let handled_count = handler.handle_batch(reader.port, frames, &mut egress);
                egress.submit()?;
                let handled_count = handled_count.max(1);
                self.parked
                    .keep(queue, frames.get(handled_count..).unwrap_or_default());
            }
            if let Err(error) = outcome {
                reader.request = Request::Failed;
                handler.handle_port_failure(reader.port, error);
            } else if is_drained {
                self.ended.push_back(number);
            } else {
                self.ready.push_back(number);
            }
            for buffer in buffers {
                self.pool.handled(buffer);
            }
            self.ring.take_completions(&mut self.inbox);
        }
        Ok(())
    }
}
