//! The event loop on `io_uring`: one system call for many frames.
//!
//! # How a frame passes
//!
//! Every TAP that is read has one *multishot read* in the ring: whenever it has frames, the kernel
//! takes a buffer for each from a group that all ports of the worker share, and posts a completion. A
//! turn waits for completions, cuts them into batches (frames of one port, in order), and has each
//! batch handled. What the handler sends to TAPs is queued as writes from the same buffers and
//! submitted at the end of the batch, or earlier when it is much. A buffer goes back when handler and
//! writes are done with it.
//!
//! # Buffers
//!
//! A group for each port would need 64 KiB and more of every port for its next super-frame, and keep
//! what bursts once touched; the shared group costs a worker 8 MB, however many ports there are. When
//! it is empty, reads end with `ENOBUFS`; they are asked for again, in that order, at the next turn,
//! which gives every port that waits its share. How many buffers lie with the kernel follows the
//! length of the frames, so that a turn reads about as much as fits into the cache.
//!
//! # Order
//!
//! Writes carry `RWF_NOWAIT`: the kernel executes them one after the other while they are submitted,
//! and answers `EAGAIN` instead of putting one off. Completions of one read come in the order of its
//! frames. Hence a flow keeps its order.
//!
//! # Letting go
//!
//! A read holds its file, and so the namespace. [`Backend::remove_port`] ends it and waits for its last
//! completion. Reads use plain descriptors; the table of registered files serves writes only, because
//! kernels before 6.13 let go of a registered file when the *oldest* request of the ring has ended.
//!
//! Ports that are no TAPs are polled through the ring, and read and written by call.

mod egress;
mod error;
mod pool;
mod tag;

use std::array;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tapweave_net::{Frame, Offload, PortNo};

pub use self::error::RingError;

use self::egress::{RingEgress, RingQueue};
use self::pool::Pool;
use self::tag::Tag;
use crate::backend::{Backend, BatchHandler, Description, MAX_BATCH, Reading, Waker};
use crate::busy_poll::BusyPoll;
use crate::coalesce::Coalescer;
use crate::epoll::BATCH_LEN_LIMIT;
use crate::parked::Parked;
use crate::port_table::PortTable;
use crate::queue::{HEADROOM, PortQueue, Received};
use crate::sys::arena::{Buffer, Mapping};
use crate::sys::ring::{Completion, File, Ring};
use crate::tap::{Framing, TapQueue, send_error};
use crate::transmit::Transmitter;

/// Requests that can be queued; more are submitted in between.
const ENTRY_COUNT: u32 = 256;

/// Completions that can wait; the kernel keeps more aside.
const COMPLETION_COUNT: u32 = 4096;

/// Receive buffers: [`LENT_MAX`] with the kernel and nearly as many in the hands of a handler, together
/// 7.9 MB. Registered, they stay below the 8 MiB that `RLIMIT_MEMLOCK` usually is.
const BUFFER_COUNT: u16 = 120;

/// Most buffers that lie with the kernel, a power of two.
const LENT_MAX: u16 = 64;

/// Fewest of them, so that a turn is worth its system calls.
const LENT_MIN: usize = 8;

/// Bytes that one turn should read at most, about: see [`BATCH_LEN_LIMIT`].
const LENT_LEN: usize = 512 * 1024;

/// Places in the table of registered files. Ports beyond are written to by plain descriptors.
const FILE_COUNT: u32 = 4096;

/// An event loop on `io_uring`.
#[derive(Debug)]
pub struct UringBackend {
    /// Dropped before what it reads to and writes from.
    ring: Ring,
    mapping: Arc<Mapping>,
    pool: Pool,
    waker: Waker,
    waker_polled: bool,
    ports: PortTable<RingQueue>,
    readers: Vec<Option<Reader>>,
    /// Readers that are TAPs.
    tap_count: usize,
    /// Readers whose request has to be made anew, in the order in which they ended.
    ended: VecDeque<u32>,
    /// Readers that are no TAPs and may have a frame, the one that waits longest first.
    ready: VecDeque<u32>,
    /// Completions that were not handled yet.
    inbox: VecDeque<Completion>,
    transmitter: Transmitter,
    coalescer: Coalescer,
    parked: Parked,
    queued_len: usize,
    free_files: Vec<u32>,
    /// Running mean of the length of frames.
    mean_len: usize,
    busy_poll: BusyPoll,
}

/// A queue that is read.
#[derive(Debug)]
struct Reader {
    port: PortNo,
    place: usize,
    queue: Arc<dyn PortQueue>,
    /// Of a TAP; others are polled.
    framing: Option<Framing>,
    request: Request,
}

/// How it stands with the request of a reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Request {
    /// There is none.
    None,
    /// It is with the kernel or on its way.
    Made,
    /// As `Made`, and it is to end.
    Ending,
    /// None, and there will be none: the device failed.
    Failed,
}

/// Frames of one reader that have been read and not handled.
#[derive(Debug)]
struct Batch {
    reader: u32,
    frames: Vec<(Buffer, usize)>,
    len: usize,
}

impl UringBackend {
    /// Makes a loop without ports, which polls `busy_poll` long before it sleeps (zero: not at all).
    ///
    /// # Errors
    ///
    /// Why the kernel does not allow it.
    pub fn new(busy_poll: Duration) -> Result<Self, RingError> {
        Self::with_waker(busy_poll, Waker::new()?)
    }

    fn with_waker(busy_poll: Duration, waker: Waker) -> Result<Self, RingError> {
        RingError::probe()?;
        let (mapping, pool) = Pool::map(BUFFER_COUNT)?;
        let mut ring = Ring::new(
            ENTRY_COUNT,
            COMPLETION_COUNT,
            LENT_MAX,
            Arc::clone(&mapping),
        )?;
        // Registering spares the kernel a look-up for each write; without it everything works.
        let free_files = match ring.register_file_table(FILE_COUNT) {
            Ok(()) => (0..FILE_COUNT).rev().collect(),
            Err(_limited) => Vec::new(),
        };
        let _memory_stays_unregistered = ring.register_memory();
        Ok(Self {
            ring,
            mapping,
            pool,
            waker,
            waker_polled: false,
            ports: PortTable::default(),
            readers: Vec::new(),
            tap_count: 0,
            ended: VecDeque::new(),
            ready: VecDeque::new(),
            inbox: VecDeque::new(),
            transmitter: Transmitter::default(),
            coalescer: Coalescer::new(),
            parked: Parked::default(),
            queued_len: 0,
            free_files,
            mean_len: 0,
            busy_poll: BusyPoll::new(busy_poll),
        })
    }

    fn reader(&mut self, number: u32) -> Option<&mut Reader> {
        self.readers.get_mut(number as usize)?.as_mut()
    }

    /// Gives the kernel buffers, and the requests that it has not.
    fn prepare(&mut self) -> io::Result<()> {
        let wanted = (LENT_LEN / self.mean_len.max(1)).clamp(LENT_MIN, usize::from(LENT_MAX));
        while self.tap_count > 0 && self.ring.lent_count() < wanted {
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

    /// Waits, and has a batch of every queue that has frames handled.
    fn serve(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        self.prepare()?;
        self.wait(timeout)?;
        self.handle_inbox(handler)?;
        self.read_ready(handler)?;
        self.handle_inbox(handler)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let has_work = !(self.parked.is_empty() && self.ready.is_empty() && self.inbox.is_empty());
        let timeout = if has_work {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        self.busy_poll.begin();
        if timeout != Some(Duration::ZERO) {
            while self.busy_poll.goes_on() {
                self.ring.submit_and_wait(Some(Duration::ZERO))?;
                self.ring.take_completions(&mut self.inbox);
                if !self.inbox.is_empty() {
                    return Ok(());
                }
            }
        }
        self.ring.submit_and_wait(timeout)?;
        self.ring.take_completions(&mut self.inbox);
        Ok(())
    }

    fn handle_inbox(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
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
                Ok(_)
                | Err(Errno::NOBUFS | Errno::AGAIN | Errno::INTR | Errno::IO | Errno::CANCELED) => {
                }
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

    /// Has a batch of a TAP handled and brings what was sent to the devices.
    fn handle_batch(
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
                self.coalescer.begin_batch(count);
                let mut egress = RingEgress {
                    ports: &self.ports,
                    ring: &mut self.ring,
                    mapping: &self.mapping,
                    pool: &mut self.pool,
                    transmitter: &mut self.transmitter,
                    coalescer: &mut self.coalescer,
                    queued_len: &mut self.queued_len,
                };
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

    /// Reads one batch from each port that is no TAP and may have frames.
    fn read_ready(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
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
                self.coalescer.begin_batch(count);
                let mut egress = RingEgress {
                    ports: &self.ports,
                    ring: &mut self.ring,
                    mapping: &self.mapping,
                    pool: &mut self.pool,
                    transmitter: &mut self.transmitter,
                    coalescer: &mut self.coalescer,
                    queued_len: &mut self.queued_len,
                };
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

    fn present_parked(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        if self.parked.is_empty() {
            return Ok(());
        }
        // Several rests count as one batch; none of them is worth a look for its own sake.
        self.coalescer.begin_batch(0);
        let mut egress = RingEgress {
            ports: &self.ports,
            ring: &mut self.ring,
            mapping: &self.mapping,
            pool: &mut self.pool,
            transmitter: &mut self.transmitter,
            coalescer: &mut self.coalescer,
            queued_len: &mut self.queued_len,
        };
        self.parked.present(handler, &mut egress);
        egress.submit()?;
        self.ring.take_completions(&mut self.inbox);
        Ok(())
    }

    /// Ends a reader's request and waits until nothing of it is left.
    fn end_reader(&mut self, number: u32) -> io::Result<()> {
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
            self.tap_count -= 1;
        }
        self.ended.retain(|ended| *ended != number);
        self.ready.retain(|ready| *ready != number);
        Ok(())
    }

    /// Returns how the ring is to write to a TAP.
    fn write_file(&mut self, queue: &dyn PortQueue) -> Option<File> {
        let tap = queue.as_tap()?;
        if let Some(place) = self.free_files.pop() {
            if self.ring.register_file(place, tap.as_fd()).is_ok() {
                return Some(File::Registered(place));
            }
            self.free_files.push(place);
        }
        Some(File::Plain(tap.as_fd().as_raw_fd()))
    }

    fn add_reader(
        &mut self,
        port: PortNo,
        place: usize,
        queue: Arc<dyn PortQueue>,
    ) -> io::Result<u32> {
        let framing = queue.as_tap().map(TapQueue::framing);
        self.tap_count += usize::from(framing.is_some());
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
}

/// Lets go of all files before the ring is closed: the kernel would do so some time after.
impl Drop for UringBackend {
    fn drop(&mut self) {
        for number in 0..self.readers.len() {
            let Ok(number) = u32::try_from(number) else {
                return;
            };
            // A ring that has failed, or belongs to another thread, leaves it to the kernel.
            if self.end_reader(number).is_err() {
                return;
            }
        }
    }
}

/// Where in a buffer the kernel begins to write: with the header of a TAP the frame begins at
/// [`HEADROOM`], without one there is so much less room in front of it.
const READ_START: usize = Framing::VnetHdr(tapweave_net::OffloadSet::EMPTY).read_start();

const _: () = assert!(READ_START < HEADROOM);

impl Backend for UringBackend {
    fn description(&self) -> Description {
        let uses: &[&str] = match (
            self.free_files.is_empty(),
            self.ring.has_registered_memory(),
        ) {
            (false, true) => &["registered files", "registered buffers"],
            (false, false) => &["registered files"],
            (true, true) => &["registered buffers"],
            (true, false) => &[],
        };
        Description {
            name: "io_uring",
            uses,
        }
    }

    fn add_port(
        &mut self,
        port: PortNo,
        queue: Arc<dyn PortQueue>,
        reading: Reading,
    ) -> io::Result<()> {
        if let Some(stale) = self.ports.occupant(port).filter(|other| *other != port) {
            self.remove_port(stale);
        }
        let place = self.ports.port(port).map_or(0, |port| port.queues.len());
        let reader = match reading {
            Reading::Here => Some(self.add_reader(port, place, Arc::clone(&queue))?),
            Reading::Elsewhere => None,
        };
        // Only the first queue of a port is written to.
        let file = if place == 0 {
            self.write_file(queue.as_ref())
        } else {
            None
        };
        self.ports.add(
            port,
            RingQueue {
                queue,
                file,
                reader,
            },
        );
        Ok(())
    }

    fn remove_port(&mut self, port: PortNo) {
        let Some(removed) = self.ports.remove(port) else {
            return;
        };
        self.parked.forget(port);
        for queue in &removed.queues {
            if let Some(reader) = queue.reader {
                // A ring that fails here fails the next turn too.
                let _reported_later = self.end_reader(reader);
            }
            if let Some(File::Registered(place)) = queue.file
                && self.ring.unregister_file(place).is_ok()
            {
                self.free_files.push(place);
            }
        }
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        self.present_parked(handler)?;
        self.serve(timeout, handler)?;
        while self.coalescer.wants_more() {
            self.serve(Some(Duration::ZERO), handler)?;
        }
        let egress = RingEgress {
            ports: &self.ports,
            ring: &mut self.ring,
            mapping: &self.mapping,
            pool: &mut self.pool,
            transmitter: &mut self.transmitter,
            coalescer: &mut self.coalescer,
            queued_len: &mut self.queued_len,
        };
        egress.finish(handler)
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}
