//! Sending during a batch: writes to files are queued in the ring, everything else is done at once.
//!
//! Whatever is done at once waits for what is queued, so frames for a port keep their order, and bytes
//! that change meanwhile (a checksum that is completed) are no longer needed by a queued write.

use std::io;
use std::sync::Arc;

use tapweave_net::coalesce::Offered;
use tapweave_net::{Frame, PortNo};

use super::pool::Pool;
use super::tag::Tag;
use crate::backend::{BatchHandler, Egress, Sent};
use crate::coalesce::Coalescer;
use crate::framing::Framing;
use crate::port_table::PortTable;
use crate::queue::{PortQueue, SendError};
use crate::sys::arena::Mapping;
use crate::sys::ring::{File, Ring};
use crate::transmit::{Transmitter, takes};

/// Bytes in queued writes after which they are submitted although the batch goes on: a receiver on
/// another core starts on them, and they are still in this core's second-level cache.
const QUEUED_LEN_LIMIT: usize = 128 * 1024;

/// A queue of a port and how the ring knows it.
#[derive(Debug)]
pub(super) struct RingQueue {
    pub(super) queue: Arc<dyn PortQueue>,
    /// For writing; none for what is no file.
    pub(super) file: Option<File>,
    /// The number of its reader, if it is read here.
    pub(super) reader: Option<u32>,
}

/// What only sending needs, from one batch to the next.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) ports: PortTable<RingQueue>,
    /// The memory of the pool.
    mapping: Arc<Mapping>,
    transmitter: Transmitter,
    pub(super) coalescer: Coalescer,
    /// Bytes in writes that are queued and not submitted.
    queued_len: usize,
}

impl Outbox {
    pub(super) fn new(mapping: Arc<Mapping>) -> Self {
        Self {
            ports: PortTable::default(),
            mapping,
            transmitter: Transmitter::default(),
            coalescer: Coalescer::new(),
            queued_len: 0,
        }
    }

    /// Begins a batch of `frame_count` frames and returns what its handler sends through.
    pub(super) fn begin_batch<'a>(
        &'a mut self,
        frame_count: usize,
        ring: &'a mut Ring,
        pool: &'a mut Pool,
    ) -> RingEgress<'a> {
        self.coalescer.begin_batch(frame_count);
        self.egress(ring, pool)
    }

    /// Returns what is sent through.
    pub(super) fn egress<'a>(
        &'a mut self,
        ring: &'a mut Ring,
        pool: &'a mut Pool,
    ) -> RingEgress<'a> {
        RingEgress {
            ports: &self.ports,
            ring,
            mapping: &self.mapping,
            pool,
            transmitter: &mut self.transmitter,
            coalescer: &mut self.coalescer,
            queued_len: &mut self.queued_len,
        }
    }
}

/// Sends for a handler during its batch.
pub(super) struct RingEgress<'a> {
    ports: &'a PortTable<RingQueue>,
    ring: &'a mut Ring,
    mapping: &'a Mapping,
    pool: &'a mut Pool,
    transmitter: &'a mut Transmitter,
    coalescer: &'a mut Coalescer,
    queued_len: &'a mut usize,
}

impl RingEgress<'_> {
    /// Queues a write of `frame`, if it lies in the pool with room for the header.
    fn queue(
        &mut self,
        to: PortNo,
        file: File,
        framing: Framing,
        frame: &mut Frame<'_>,
    ) -> io::Result<bool> {
        let frame_len = frame.data().len();
        // Asked before anything is written to the frame.
        let place = self.mapping.locate(frame.data());
        let (Some(place), Ok(len)) = (place, u32::try_from(frame_len)) else {
            return Ok(false);
        };
        let Some(bytes) = framing.encode(frame) else {
            return Ok(false);
        };
        let buffer = Pool::buffer_at(place.start);
        let tag = Tag::Write {
            port: to,
            frame_len: len,
            buffer,
        };
        if !self.ring.push_write(file, bytes, tag.to_user_data())? {
            return Ok(false);
        }
        self.pool.write_queued(buffer);
        *self.queued_len += frame_len;
        if *self.queued_len >= QUEUED_LEN_LIMIT {
            self.submit()?;
        }
        Ok(true)
    }

    /// Brings the queued writes to the devices.
    ///
    /// # Errors
    ///
    /// When the ring fails.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        *self.queued_len = 0;
        self.ring.submit()
    }

    /// Sends what was gathered, brings everything to the devices and reports what was gathered.
    ///
    /// # Errors
    ///
    /// When the ring fails.
    pub(super) fn finish(mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        let (coalescer, mut direct) = self.split();
        coalescer.finish(handler, &mut |to, frame| direct.send(to, frame));
        self.submit()
    }

    /// Returns the coalescer and what it sends through.
    fn split(&mut self) -> (&mut Coalescer, Direct<'_>) {
        let direct = Direct {
            ports: self.ports,
            ring: self.ring,
            transmitter: self.transmitter,
            queued_len: self.queued_len,
        };
        (self.coalescer, direct)
    }
}

impl Egress for RingEgress<'_> {
    fn send(&mut self, to: PortNo, frame: &mut Frame<'_>) -> Result<Sent, SendError> {
        let RingQueue { queue, file, .. } = queue_of(self.ports, to)?;
        let (coalescer, mut direct) = self.split();
        let mut send = |to, frame: &mut Frame<'_>| direct.send(to, frame);
        if coalescer.offer(to, queue.offloads(), frame, &mut send) == Offered::Kept {
            return Ok(Sent::Later);
        }
        if let (Some(file), Some(device)) = (file, queue.as_file())
            && takes(device, frame)
            && self
                .queue(to, *file, device.framing(), frame)
                .map_err(SendError::Failed)?
        {
            return Ok(Sent::Later);
        }
        self.split().1.send(to, frame)?;
        Ok(Sent::Now)
    }
}

/// Sends at once.
struct Direct<'a> {
    ports: &'a PortTable<RingQueue>,
    ring: &'a mut Ring,
    transmitter: &'a mut Transmitter,
    queued_len: &'a mut usize,
}

impl Direct<'_> {
    fn send(&mut self, to: PortNo, frame: &mut Frame<'_>) -> Result<(), SendError> {
        *self.queued_len = 0;
        self.ring.submit().map_err(SendError::Failed)?;
        let RingQueue { queue, .. } = queue_of(self.ports, to)?;
        self.transmitter.transmit(queue.as_ref(), frame)
    }
}

/// Returns the queue that frames to a port go to.
fn queue_of(ports: &PortTable<RingQueue>, to: PortNo) -> Result<&RingQueue, SendError> {
    let port = ports.port(to).and_then(|port| port.queues.first());
    port.ok_or_else(|| SendError::Failed(io::ErrorKind::NotFound.into()))
}
