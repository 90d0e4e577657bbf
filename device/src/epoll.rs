//! The event loop on `epoll`: one `read` and one `write` for each frame.
//!
//! The fallback that works everywhere. Level-triggered: a port that still has frames after its batch
//! is simply reported again, behind the others, so that no port starves another. What a handler leaves
//! of a batch is remembered ([`Parked`]); nothing else is. Datagrams are merged within a batch
//! ([`Coalescer`]). In a steady state a turn allocates nothing.
//!
//! Thread safety: the loop belongs to one worker. Ports are shared with other workers only for
//! writing, which the kernel serialises.

use std::array;
use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use tapweave_net::coalesce::Offered;
use tapweave_net::{Frame, Offload, PortNo};

use crate::backend::{Backend, BatchHandler, Description, Egress, MAX_BATCH, Reading, Sent, Waker};
use crate::busy_poll::BusyPoll;
use crate::coalesce::Coalescer;
use crate::parked::Parked;
use crate::port_table::{Port, PortTable};
use crate::queue::{PortQueue, RECV_BUF_LEN, Received, SendError};
use crate::source::{Delivery, FrameSource, SourceNo};
use crate::transmit::Transmitter;

/// Bytes after which a batch is handed on although more frames wait: what is read should still be in
/// the core's second-level cache (1 to 2 MiB), beside the kernel's own copies, when it is written.
///
/// Measured with the example `wire` and `iperf3 -C cubic` on a 2-core machine with 2 MiB of that cache
/// and a load of 4 from elsewhere, interleaved, medians of 6: 0.246 CPU seconds per GB for 64 KiB,
/// 0.236 for 128, 0.220 for 256; in another run of 4 rounds 0.277, 0.245, 0.273 and 0.314 for 128, 256,
/// 512 and 1,024 KiB. One frame at a time costs 0.269, as much as a bare loop in C.
pub(crate) const BATCH_LEN_LIMIT: usize = 256 * 1024;

/// Ports that one wait reports. Those beyond it are reported first by the next.
const EVENT_COUNT: usize = 64;

type Events = [MaybeUninit<epoll::Event>; EVENT_COUNT];

/// The user data of the waker; ports have their number and the place of the queue, sources their number
/// and [`SOURCE_BIT`].
const WAKER: u64 = u64::MAX;

const SOURCE_BIT: u64 = 1 << 62;

/// An event loop on `epoll`.
#[derive(Debug)]
pub struct EpollBackend {
    epoll: OwnedFd,
    waker: Waker,
    ports: PortTable<Arc<dyn PortQueue>>,
    transmitter: Transmitter,
    coalescer: Coalescer,
    parked: Parked,
    sources: BTreeMap<SourceNo, Box<dyn FrameSource>>,
    busy_poll: BusyPoll,
    /// One receive buffer per frame of a batch. Zeroed memory from the kernel: pages that no frame
    /// reaches are never touched.
    buffers: Box<[u8]>,
}

impl EpollBackend {
    /// Makes a loop without ports, which polls `busy_poll` long before it sleeps (zero: not at all).
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn new(busy_poll: Duration) -> io::Result<Self> {
        Self::with_waker(busy_poll, Waker::new()?)
    }

    /// As [`EpollBackend::new`], with a waker that others may have already.
    pub(crate) fn with_waker(busy_poll: Duration, waker: Waker) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(WAKER);
        epoll::add(&epoll, &waker, data, epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            waker,
            ports: PortTable::default(),
            transmitter: Transmitter::default(),
            coalescer: Coalescer::new(),
            parked: Parked::default(),
            sources: BTreeMap::new(),
            busy_poll: BusyPoll::new(busy_poll),
            buffers: vec![0; MAX_BATCH * RECV_BUF_LEN].into_boxed_slice(),
        })
    }

    /// Reads one batch from one queue and has it handled.
    fn read_batch(&mut self, number: PortNo, place: usize, handler: &mut dyn BatchHandler) {
        if self.parked.holds((number, place)) {
            return;
        }
        // A handler cannot remove ports, but an event may be older than a removal.
        let Some(queue) = self
            .ports
            .port(number)
            .and_then(|port| port.queues.get(place))
        else {
            return;
        };
        let mut frames: [_; MAX_BATCH] = array::from_fn(|_| Frame::new(&mut [], 0, Offload::NONE));
        let mut count = 0;
        let mut batch_len = 0;
        let mut failure = None;
        for buffer in self.buffers.chunks_exact_mut(RECV_BUF_LEN) {
            match queue.recv(buffer) {
                Ok(Received::Frame(frame)) => {
                    batch_len += frame.data().len();
                    if let Some(slot) = frames.get_mut(count) {
                        *slot = frame;
                        count += 1;
                    }
                    if batch_len >= BATCH_LEN_LIMIT {
                        break;
                    }
                }
                Ok(Received::Malformed(error)) => handler.handle_malformed(number, error),
                Ok(Received::Empty) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if let Some(frames) = frames.get_mut(..count)
            && count > 0
        {
            self.coalescer.begin_batch(count);
            let mut egress = PortEgress {
                ports: &self.ports,
                transmitter: &mut self.transmitter,
                coalescer: &mut self.coalescer,
            };
            let handled_count = handler.handle_batch(number, frames, &mut egress).max(1);
            let rest = frames.get(handled_count..).unwrap_or_default();
            self.parked.keep((number, place), rest);
        }
        if let Some(error) = failure {
            // Cannot fail for a descriptor that just reported an event; if it did, the port would
            // be reported and fail again.
            let _gone = epoll::delete(&self.epoll, queue.readiness());
            handler.handle_port_failure(number, error);
        }
    }

    /// Has a source deliver what it has.
    fn read_source(&mut self, number: SourceNo, handler: &mut dyn BatchHandler) {
        if self.parked.holds_of(number) {
            return;
        }
        let Some(source) = self.sources.get_mut(&number) else {
            return;
        };
        self.coalescer.begin_batch(MAX_BATCH);
        let mut egress = PortEgress {
            ports: &self.ports,
            transmitter: &mut self.transmitter,
            coalescer: &mut self.coalescer,
        };
        // Level-triggered: what is left is reported again.
        let _more_or_not = source.receive(&mut Delivery {
            handler,
            egress: &mut egress,
            parked: &mut self.parked,
            source: number,
        });
    }

    /// Waits for events, at first without sleeping if that was asked for.
    fn wait<'e>(
        &mut self,
        timeout: Option<Timespec>,
        events: &'e mut Events,
    ) -> rustix::io::Result<(&'e mut [epoll::Event], &'e mut [MaybeUninit<epoll::Event>])> {
        let now = Timespec::default();
        self.busy_poll.begin();
        while timeout != Some(now) && self.busy_poll.goes_on() {
            let mut none_yet = [MaybeUninit::uninit()];
            // Level-triggered: what is found here is found again below.
            if !epoll::wait(&self.epoll, &mut none_yet[..], Some(&now))?
                .0
                .is_empty()
            {
                break;
            }
        }
        epoll::wait(&self.epoll, &mut events[..], timeout.as_ref())
    }

    /// Waits, and reads one batch from every queue that has frames.
    fn read_ready(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        // A timeout beyond what the kernel can count is as good as none.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut events: Events = [MaybeUninit::uninit(); EVENT_COUNT];
        let (events, _) = match self.wait(timeout, &mut events) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            let data = event.data.u64();
            if data == WAKER {
                self.waker.clear();
            } else if let Some(number) = source_of(data) {
                self.read_source(number, handler);
            } else {
                let (port, place) = from_event_data(data);
                self.read_batch(port, place, handler);
            }
        }
        Ok(())
    }

    /// Presents what handlers have left of their batches.
    fn present_parked(&mut self, handler: &mut dyn BatchHandler) {
        // Several rests count as one batch; none of them is worth a look for its own sake.
        self.coalescer.begin_batch(0);
        let mut egress = PortEgress {
            ports: &self.ports,
            transmitter: &mut self.transmitter,
            coalescer: &mut self.coalescer,
        };
        self.parked.present(handler, &mut egress);
    }

    fn send_gathered(&mut self, handler: &mut dyn BatchHandler) {
        let egress = PortEgress {
            ports: &self.ports,
            transmitter: &mut self.transmitter,
            coalescer: &mut self.coalescer,
        };
        egress.finish(handler);
    }

    fn forget(&self, port: &Port<Arc<dyn PortQueue>>) {
        for queue in &port.queues {
            // Queues that are read elsewhere or have failed are not registered, which is no matter.
            let _unknown = epoll::delete(&self.epoll, queue.readiness());
        }
    }
}

impl Backend for EpollBackend {
    fn description(&self) -> Description {
        Description {
            name: "epoll",
            uses: &[],
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
        if reading == Reading::Here {
            let data = epoll::EventData::new_u64(event_data(port, place)?);
            epoll::add(&self.epoll, queue.readiness(), data, epoll::EventFlags::IN)?;
        }
        self.ports.add(port, queue);
        Ok(())
    }

    fn remove_port(&mut self, port: PortNo) {
        if let Some(port) = self.ports.remove(port) {
            self.forget(&port);
            self.parked.forget(port.number);
        }
    }

    fn add_source(&mut self, number: SourceNo, source: Box<dyn FrameSource>) -> io::Result<()> {
        let data = epoll::EventData::new_u64(SOURCE_BIT | u64::from(number.0));
        epoll::add(&self.epoll, source.readiness(), data, epoll::EventFlags::IN)?;
        self.sources.insert(number, source);
        Ok(())
    }

    fn remove_source(&mut self, number: SourceNo) -> Option<Box<dyn FrameSource>> {
        let source = self.sources.remove(&number)?;
        // It was registered above.
        let _unknown = epoll::delete(&self.epoll, source.readiness());
        Some(source)
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn BatchHandler,
    ) -> io::Result<()> {
        let timeout = if self.parked.is_empty() {
            timeout
        } else {
            self.present_parked(handler);
            Some(Duration::ZERO)
        };
        self.read_ready(timeout, handler)?;
        while self.coalescer.wants_more() {
            self.read_ready(Some(Duration::ZERO), handler)?;
        }
        self.send_gathered(handler);
        Ok(())
    }

    /// What was read and not handled is what handlers have left.
    fn finish(&mut self, handler: &mut dyn BatchHandler) -> io::Result<()> {
        while !self.parked.is_empty() {
            self.present_parked(handler);
        }
        self.send_gathered(handler);
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// Sends for a handler during its batch.
struct PortEgress<'a> {
    ports: &'a PortTable<Arc<dyn PortQueue>>,
    transmitter: &'a mut Transmitter,
    coalescer: &'a mut Coalescer,
}

impl PortEgress<'_> {
    /// Sends what was gathered and reports it.
    fn finish(self, handler: &mut dyn BatchHandler) {
        let Self {
            ports,
            transmitter,
            coalescer,
        } = self;
        coalescer.finish(handler, &mut |to, frame| {
            transmitter.transmit(queue_of(ports, to)?, frame)
        });
    }
}

impl Egress for PortEgress<'_> {
    fn send(&mut self, to: PortNo, frame: &mut Frame<'_>) -> Result<Sent, SendError> {
        let Self {
            ports,
            transmitter,
            coalescer,
        } = self;
        let queue = queue_of(ports, to)?;
        let mut send =
            |to, frame: &mut Frame<'_>| transmitter.transmit(queue_of(ports, to)?, frame);
        if coalescer.offer(to, queue.offloads(), frame, &mut send) == Offered::Kept {
            return Ok(Sent::Later);
        }
        transmitter.transmit(queue, frame)?;
        Ok(Sent::Now)
    }
}

/// Returns the queue that frames to a port go to.
#[inline]
fn queue_of(
    ports: &PortTable<Arc<dyn PortQueue>>,
    to: PortNo,
) -> Result<&dyn PortQueue, SendError> {
    let port = ports.port(to).and_then(|port| port.queues.first());
    port.map(Arc::as_ref)
        .ok_or_else(|| SendError::Failed(io::ErrorKind::NotFound.into()))
}

fn event_data(port: PortNo, place: usize) -> io::Result<u64> {
    // Half of the range keeps clear of `WAKER`.
    let place = u64::from(u16::try_from(place).map_err(io::Error::other)?);
    Ok(place << u32::BITS | u64::from(port.to_u32()))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "takes apart what `add_source` put together"
)]
const fn source_of(data: u64) -> Option<SourceNo> {
    if data & SOURCE_BIT == 0 {
        return None;
    }
    Some(SourceNo(data as u32))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "takes apart what `event_data` put together"
)]
const fn from_event_data(data: u64) -> (PortNo, usize) {
    (PortNo::from_u32(data as u32), (data >> u32::BITS) as usize)
}
