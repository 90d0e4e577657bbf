//! The seam between a worker and the way it waits, reads and writes.
//!
//! A *backend* owns one worker's event loop: which ports it reads, which it may write to, the buffers.
//! A worker calls [`Backend::turn`] again and again; the backend reads a batch from every port that
//! has something and hands it to the worker's [`BatchHandler`], which answers by sending through
//! [`Egress`] before it returns (run to completion: the thread that reads a frame writes it).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tapweave_net::{Frame, PortNo, VnetHdrError};

use crate::queue::{PortQueue, SendError};
use crate::source::{FrameSource, SourceNo};

/// Most frames in one batch.
pub const MAX_BATCH: usize = 64;

/// The event loop of one worker.
///
/// Belongs to one thread from its first turn on; ports may be added before on another.
pub trait Backend: Send {
    /// Returns what it is, as `stats` shows it. May change when a turn fails in part: see
    /// [`crate::FallbackBackend`].
    fn description(&self) -> Description;

    /// Makes `queue` known as where frames to `port` go; with [`Reading::Here`] also reads it.
    ///
    /// A port that is known already gets one more queue, to be read beside the others; frames to the
    /// port go to the first. A port of the same index and another generation is forgotten before.
    ///
    /// # Errors
    ///
    /// What the kernel said when the descriptor was registered; then the port is not known.
    fn add_port(
        &mut self,
        port: PortNo,
        queue: Arc<dyn PortQueue>,
        reading: Reading,
    ) -> io::Result<()>;

    /// Forgets a port and lets go of its queue. Unknown ports are ignored.
    fn remove_port(&mut self, port: PortNo);

    /// Reads `source` from now on.
    ///
    /// # Errors
    ///
    /// What the kernel said when the descriptor was registered; then it is not read.
    fn add_source(&mut self, number: SourceNo, source: Box<dyn FrameSource>) -> io::Result<()>;

    /// Lets go of a source and returns it; none when it is unknown.
    fn remove_source(&mut self, number: SourceNo) -> Option<Box<dyn FrameSource>>;

    /// Waits until a port is readable, the waker is used or `timeout` is over (none: for ever), then
    /// handles at most one batch of every readable port, in turn.
    ///
    /// # Errors
    ///
    /// When the wait itself fails; a failing port is reported to the handler instead.
    fn turn(&mut self, timeout: Option<Duration>, handler: &mut dyn BatchHandler)
    -> io::Result<()>;

    /// Takes nothing more from any port, and has everything handled that was taken already, so that whoever reads the
    /// queues next finds all that nobody has seen. There is no turn after that.
    ///
    /// # Errors
    ///
    /// As [`Backend::turn`]; then some of it is lost.
    fn finish(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()>;

    /// Returns the means to end a wait from another thread.
    fn waker(&self) -> Waker;
}

/// What a back end is and what the kernel granted it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// What makes it faster and is not there on every kernel, in words.
    pub uses: &'static [&'static str],
}

/// Whether a worker reads a port or only writes to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// This worker reads the port.
    Here,
    /// Another worker does.
    Elsewhere,
}

/// What a worker does with what was read.
pub trait BatchHandler {
    /// Handles frames that were read from one port, in order, and sends what has to be sent.
    ///
    /// Returns how many it handled, at least one: it may stop when the first of them have been work
    /// enough, such as copies for a thousand ports. The back end keeps the rest, gives other ports
    /// their turn and presents the rest again, before newer frames of the same queue.
    fn handle_batch(
        &mut self,
        ingress: PortNo,
        frames: &mut [Frame<'_>],
        egress: &mut dyn Egress,
    ) -> usize;

    /// The outcome of frames for `port` that were accepted with [`Sent::Later`], together
    /// `byte_count` bytes. Calls for one port come in the order of the sends.
    fn handle_completion(
        &mut self,
        port: PortNo,
        frame_count: usize,
        byte_count: usize,
        outcome: Result<(), SendError>,
    );

    /// A frame with an unusable header was read and dropped.
    fn handle_malformed(&mut self, ingress: PortNo, error: VnetHdrError);

    /// A port's queue can no longer be read; the backend has stopped reading it.
    fn handle_port_failure(&mut self, port: PortNo, error: io::Error);
}

/// Where a handler sends frames.
pub trait Egress {
    /// Sends `frame` to `to`; cuts and checksums it first if the port cannot.
    ///
    /// After [`Sent::Later`] the bytes of the frame must stay as they are for the rest of the batch;
    /// it may be sent to further ports. A TUN comes last: it may take the Ethernet header away.
    ///
    /// # Errors
    ///
    /// Why the frame was lost. A frame cut into segments counts as lost when its first segment is.
    fn send(&mut self, to: PortNo, frame: &mut Frame<'_>) -> Result<Sent, SendError>;
}

/// How far a frame is that was not refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// The device has it; the caller counts it.
    Now,
    /// It waits for the end of the batch, alone or merged with others, and
    /// [`BatchHandler::handle_completion`] will tell what became of it.
    Later,
}

/// Ends the wait of one worker's [`Backend::turn`], from any thread.
#[derive(Clone, Debug)]
pub struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    /// Makes a waker for a new backend.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let event = Arc::new(eventfd(0, flags)?);
        Ok(Self { event })
    }

    /// Ends the backend's wait, the present one or the next.
    pub fn wake(&self) {
        // Full (`EAGAIN`) means that 2^64 - 2 wakes wait already: no wake is lost.
        let _full = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Takes note of all wakes until now.
    pub(crate) fn clear(&self) {
        // Empty (`EAGAIN`) is what is wanted.
        let _empty = rustix::io::read(&self.event, &mut [0; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
#[path = "backend_tests.rs"]
mod tests;
