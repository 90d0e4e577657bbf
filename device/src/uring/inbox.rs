//! Completions: what each of them is about, and which of them make a batch.

use std::io;

use rustix::io::Errno;

use super::UringBackend;
use super::batch::Batch;
use super::reader::Request;
use super::tag::Tag;
use crate::backend::{BatchHandler, MAX_BATCH};
use crate::epoll::BATCH_LEN_LIMIT;
use crate::file_queue::{is_passing, send_error};
use crate::sys::ring::Completion;

impl UringBackend {
    pub(super) fn handle_inbox(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        let mut batch = Batch {
            reader: 0,
            frames: Vec::with_capacity(MAX_BATCH),
            len: 0,
        };
        while let Some(completion) = self.inbox.pop_front() {
            match Tag::from_user_data(completion.user_data) {
                Tag::Write {
                    port,
                    frame_len,
                    buffer,
                } => {
                    self.pool.write_completed(buffer);
                    let outcome = completion.result.map(drop).map_err(send_error);
                    handler.handle_completion(port, 1, frame_len as usize, outcome);
                }
                Tag::Reader(number) => {
                    let is_full = batch.frames.len() == MAX_BATCH || batch.len >= BATCH_LEN_LIMIT;
                    if is_full || batch.reader != number {
                        self.handle_batch(&mut batch, handler)?;
                        batch.reader = number;
                    }
                    self.handle_read(number, completion, &mut batch, handler);
                }
                Tag::Source(number) => self.source_is_ready(number),
                Tag::Waker => {
                    self.waker.clear();
                    self.waker_polled = false;
                }
                Tag::Cancel => {}
            }
            if self.inbox.is_empty() {
                self.handle_batch(&mut batch, handler)?;
            }
        }
        Ok(())
    }

    /// Takes note of one completion of a reader's request.
    fn handle_read(
        &mut self,
        number: u32,
        completion: Completion,
        batch: &mut Batch,
        handler: &mut dyn BatchHandler,
    ) {
        let buffer = completion.buffer.and_then(|id| self.ring.take_lent(id));
        let Some(reader) = self.reader(number) else {
            if let Some(buffer) = buffer {
                self.pool.handled(buffer);
            }
            return;
        };
        let port = reader.port;
        let is_polled = reader.framing.is_none();
        let mut failure = None;
        if !completion.more {
            reader.request = Request::None;
            match completion.result {
                Ok(_) | Err(Errno::NOBUFS | Errno::CANCELED) => {}
                Err(error) if is_passing(error) => {}
                Err(error) => {
                    reader.request = Request::Failed;
                    failure = Some(error);
                }
            }
            if failure.is_none() {
                if is_polled {
                    self.ready.push_back(number);
                } else {
                    self.ended.push_back(number);
                }
            }
        }
        match (buffer, completion.result) {
            (Some(buffer), Ok(len)) => {
                batch.len += len as usize;
                batch.frames.push((buffer, len as usize));
            }
            (Some(buffer), Err(_)) => self.pool.handled(buffer),
            (None, _) => {}
        }
        if let Some(error) = failure {
            handler.handle_port_failure(port, error.into());
        }
    }
}
