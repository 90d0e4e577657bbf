//! The event loop on `io_uring`: one system call for many frames.
//!
//! # How a frame passes
//!
//! Every queue that is read and is a file (of a TAP, a TUN, a packet socket) has one *multishot read* in
//! the ring: whenever it has frames, the kernel
//! takes a buffer for each from a group that all ports of the worker share, and posts a completion. A
//! turn waits for completions, cuts them into batches (frames of one port, in order), and has each
//! batch handled. What the handler sends to files is queued as writes from the same buffers and
//! submitted at the end of the batch, or earlier when it is much. A buffer goes back when handler and
//! writes are done with it.
//!
//! # Buffers
//!
//! A group for each port would need 64 KiB and more of every port for its next super-frame, and keep
//! what bursts once touched; the shared group costs a worker 8 MB at most, however many ports there
//! are. When it is empty, reads end with `ENOBUFS`; they are asked for again, in that order, at the next
//! turn, which gives every port that waits its share. How many buffers lie with the kernel follows the
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
//! completion. [`Backend::finish`] does so too and has all handled that came with it: a frame that was read is in
//! no queue any more. Reads use plain descriptors; the table of registered files serves writes only, because
//! kernels before 6.13 let go of a registered file when the *oldest* request of the ring has ended.
//!
//! Ports that are no files are polled through the ring, and read and written by call.

mod batch;
mod egress;
mod error;
mod inbox;
mod polled;
mod pool;
mod reader;
mod sources;
mod tag;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use tapweave_net::PortNo;

pub use self::error::RingError;

use self::egress::{Outbox, RingQueue};
use self::pool::Pool;
use self::reader::Reader;
use self::sources::Polled;
use crate::backend::{Backend, BatchHandler, Description, Reading, Waker};
use crate::busy_poll::BusyPoll;
use crate::parked::Parked;
use crate::queue::PortQueue;
use crate::source::{FrameSource, SourceNo};
use crate::sys::ring::{Completion, File, Ring};

/// Requests that can be queued; more are submitted in between.
const ENTRY_COUNT: u32 = 256;

/// Completions that can wait; the kernel keeps more aside.
const COMPLETION_COUNT: u32 = 4096;

/// Receive buffers: [`LENT_MAX`] with the kernel and nearly as many in the hands of a handler, together
/// 7.9 MB once all were used.
const BUFFER_COUNT: u16 = 120;

/// Most buffers that lie with the kernel, a power of two.
const LENT_MAX: u16 = 64;

/// Places in the table of registered files. Ports beyond are written to by plain descriptors.
const FILE_COUNT: u32 = 4096;

/// An event loop on `io_uring`.
#[derive(Debug)]
pub struct UringBackend {
    /// Dropped before what it reads to and writes from.
    ring: Ring,
    pool: Pool,
    outbox: Outbox,
    waker: Waker,
    waker_polled: bool,
    readers: Vec<Option<Reader>>,
    /// Readers that are files.
    file_count: usize,
    /// Readers whose request has to be made anew, in the order in which they ended.
    ended: VecDeque<u32>,
    /// Readers that are no files and may have a frame, the one that waits longest first.
    ready: VecDeque<u32>,
    sources: BTreeMap<SourceNo, Polled>,
    /// Completions that were not handled yet.
    inbox: VecDeque<Completion>,
    parked: Parked,
    free_files: Vec<u32>,
    /// Running mean of the length of frames.
    mean_len: usize,
    busy_poll: BusyPoll,
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
        let ring = Ring::new(
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
        Ok(Self {
            ring,
            pool,
            outbox: Outbox::new(mapping),
            waker,
            waker_polled: false,
            readers: Vec::new(),
            file_count: 0,
            ended: VecDeque::new(),
            ready: VecDeque::new(),
            sources: BTreeMap::new(),
            inbox: VecDeque::new(),
            parked: Parked::default(),
            free_files,
            mean_len: 0,
            busy_poll: BusyPoll::new(busy_poll),
        })
    }

    /// Waits, and has a batch of every queue that has frames handled.
    fn serve(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        self.prepare()?;
        self.poll_sources()?;
        self.wait(timeout)?;
        self.handle_inbox(handler)?;
        self.read_ready(handler)?;
        self.read_sources(handler)?;
        self.handle_inbox(handler)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let has_work = !(self.parked.is_empty() && self.ready.is_empty() && self.inbox.is_empty())
            || self.has_ready_source();
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

    /// Returns how the ring is to write to a queue.
    fn write_file(&mut self, queue: &dyn PortQueue) -> Option<File> {
        let file = queue.as_file()?;
        if let Some(place) = self.free_files.pop() {
            if self.ring.register_file(place, file.as_fd()).is_ok() {
                return Some(File::Registered(place));
            }
            self.free_files.push(place);
        }
        Some(File::Plain(file.as_fd().as_raw_fd()))
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
        self.end_sources();
    }
}

impl Backend for UringBackend {
    fn description(&self) -> Description {
        let uses: &[&str] = if self.free_files.is_empty() {
            &[]
        } else {
            &["registered files"]
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
        let occupant = self.outbox.ports.occupant(port);
        if let Some(stale) = occupant.filter(|other| *other != port) {
            self.remove_port(stale);
        }
        let known = self.outbox.ports.port(port);
        let place = known.map_or(0, |port| port.queues.len());
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
        self.outbox.ports.add(
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
        let Some(removed) = self.outbox.ports.remove(port) else {
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

    fn add_source(&mut self, number: SourceNo, source: Box<dyn FrameSource>) -> io::Result<()> {
        self.sources.insert(number, Polled::new(source));
        Ok(())
    }

    fn remove_source(&mut self, number: SourceNo) -> Option<Box<dyn FrameSource>> {
        self.end_source(number)
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        self.present_parked(handler)?;
        self.serve(timeout, handler)?;
        while self.outbox.coalescer.wants_more() {
            self.serve(Some(Duration::ZERO), handler)?;
        }
        self.outbox
            .egress(&mut self.ring, &mut self.pool)
            .finish(handler)
    }

    fn finish(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        self.end_reading(handler)?;
        while !self.parked.is_empty() {
            self.present_parked(handler)?;
        }
        self.handle_inbox(handler)?;
        self.outbox
            .egress(&mut self.ring, &mut self.pool)
            .finish(handler)
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}
