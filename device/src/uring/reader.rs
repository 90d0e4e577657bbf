//! The queues that are read, and the request that each of them has in the ring.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use tapweave_net::{OffloadSet, PortNo};

use super::tag::Tag;
use super::{LENT_MAX, UringBackend};
use crate::backend::BatchHandler;
use crate::file_queue::FileQueue;
use crate::framing::Framing;
use crate::queue::{HEADROOM, PortQueue};
use crate::sys::ring::File;

/// Fewest of them, so that a turn is worth its system calls.
const LENT_MIN: usize = 8;

/// Bytes that one turn should read at most, about: see [`crate::epoll::BATCH_LEN_LIMIT`].
const LENT_LEN: usize = 512 * 1024;

/// Where in a buffer the kernel begins to write: with the header of a TAP the frame begins at
/// [`HEADROOM`], without one there is so much less room in front of it.
pub(super) const READ_START: usize = Framing::VnetHdr(OffloadSet::EMPTY).read_start();

const _: () = assert!(READ_START < HEADROOM);

/// A queue that is read.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) port: PortNo,
    pub(super) place: usize,
    pub(super) queue: Arc<dyn PortQueue>,
    /// Of a file; others are polled.
    pub(super) framing: Option<Framing>,
    pub(super) request: Request,
}

/// How it stands with the request of a reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// There is none.
    None,
    /// It is with the kernel or on its way.
    Made,
    /// As `Made`, and it is to end.
    Ending,
    /// None, and there will be none: the device failed.
    Failed,
}

impl UringBackend {
    pub(super) fn reader(&mut self, number: u32) -> Option<&mut Reader> {
        self.readers.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn add_reader(
        &mut self,
        port: PortNo,
        place: usize,
        queue: Arc<dyn PortQueue>,
    ) -> io::Result<u32> {
        let framing = queue.as_file().map(FileQueue::framing);
        self.file_count += usize::from(framing.is_some());
        let reader = Reader {
            port,
            place,
            queue,
            framing,
            request: Request::None,
        };
        let free = self.readers.iter().position(Option::is_none);
        let number = free.unwrap_or(self.readers.len());
        match self.readers.get_mut(number) {
            Some(slot) => *slot = Some(reader),
            None => self.readers.push(Some(reader)),
        }
        let number = u32::try_from(number).map_err(io::Error::other)?;
        self.ended.push_back(number);
        Ok(number)
    }

    /// Gives the kernel buffers, and the requests that it has not.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        let wanted = (LENT_LEN / self.mean_len.max(1)).clamp(LENT_MIN, usize::from(LENT_MAX));
        while self.file_count > 0 && self.ring.lent_count() < wanted {
            let Some(buffer) = self.pool.take() else {
                break;
            };
            if let Err(buffer) = self.ring.lend(buffer, READ_START) {
                self.pool.put_back(buffer);
                break;
            }
        }
        if !self.waker_polled {
            self.ring
                .push_poll(self.waker.as_fd(), Tag::Waker.to_user_data())?;
            self.waker_polled = true;
        }
        for _ in 0..self.ended.len() {
            let Some(number) = self.ended.pop_front() else {
                break;
            };
            let Some(Some(reader)) = self.readers.get_mut(number as usize) else {
                continue;
            };
            if reader.request != Request::None {
                continue;
            }
            if self.parked.holds((reader.port, reader.place)) {
                self.ended.push_back(number);
                continue;
            }
            let tag = Tag::Reader(number).to_user_data();
            let fd = reader.queue.readiness();
            if reader.framing.is_some() {
                self.ring.push_read(File::Plain(fd.as_raw_fd()), tag)?;
            } else {
                self.ring.push_poll(fd, tag)?;
            }
            reader.request = Request::Made;
        }
        Ok(())
    }

    /// Ends all requests, and has what they have read handled.
    pub(super) fn end_reading(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        for number in 0..self.readers.len() {
            let number = u32::try_from(number).map_err(io::Error::other)?;
            if let Some(reader) = self.reader(number)
                && reader.request == Request::Made
            {
                reader.request = Request::Ending;
                let tag = Tag::Reader(number).to_user_data();
                self.ring.push_cancel(tag, Tag::Cancel.to_user_data())?;
            }
        }
        loop {
            self.handle_inbox(handler)?;
            let mut readers = self.readers.iter().flatten();
            if !readers.any(|it| it.request == Request::Ending) {
                return Ok(());
            }
            self.ring.submit_and_wait(None)?;
            self.ring.take_completions(&mut self.inbox);
        }
    }

    /// Ends a reader's request and waits until nothing of it is left.
    pub(super) fn end_reader(&mut self, number: u32) -> io::Result<()> {
        let tag = Tag::Reader(number).to_user_data();
        if let Some(reader) = self.reader(number)
            && reader.request == Request::Made
        {
            reader.request = Request::Ending;
            self.ring.push_cancel(tag, Tag::Cancel.to_user_data())?;
        }
        loop {
            let inbox = mem::take(&mut self.inbox);
            for completion in inbox {
                if completion.user_data != tag {
                    self.inbox.push_back(completion);
                    continue;
                }
                if let Some(buffer) = completion.buffer.and_then(|id| self.ring.take_lent(id)) {
                    self.pool.handled(buffer);
                }
                if !completion.more
                    && let Some(reader) = self.reader(number)
                {
                    reader.request = Request::None;
                }
            }
            match self.reader(number) {
                Some(reader) if reader.request == Request::Ending => {}
                Some(_) | None => break,
            }
            self.ring.submit_and_wait(None)?;
            self.ring.take_completions(&mut self.inbox);
        }
        let reader = self.readers.get_mut(number as usize).and_then(Option::take);
        if reader.is_some_and(|reader| reader.framing.is_some()) {
            self.file_count -= 1;
        }
        self.ended.retain(|ended| *ended != number);
        self.ready.retain(|ready| *ready != number);
        Ok(())
    }
}
