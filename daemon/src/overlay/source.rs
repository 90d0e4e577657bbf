//! From datagrams to frames of the switch.
//!
//! Runs on the packet path of the worker that owns the socket. A datagram is asked in this order: is there
//! a tunnel's header, may its sender send into that segment, is the inner frame one. Then what is left to
//! do on the frame is found out ([`received_offload`]), and TCP segments are put together into
//! super-frames ([`TcpCoalescer`]) before the switch sees them: 44 segments cost one decision and one
//! write. Datagrams of UDP are merged where every frame to a TAP is, on their way out.
//!
//! A frame stays in the receive buffer where it came; one that was merged by the kernel with others has
//! the tunnel's header as its only headroom, because the bytes before it are its neighbour's.

use std::array;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::slice;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tapweave_device::{
    Datagram, DatagramReceiver, FrameSink, FrameSource, HEADROOM, Intake, MAX_BATCH,
};
use tapweave_encap::{
    EncapKind, Prober, Refusal, TrafficClass, Vni, VxlanHeader, pop, received_offload,
};
use tapweave_net::tcp_coalesce::{Offered, TcpCoalescer};
use tapweave_net::{Frame, Offload, ParsedFrame, PortNo, Timestamp};

use super::ingress::Ingress;
use super::probes::{Addressee, look_at_frame};
use super::refusals::RefusalCounters;
use super::segments::Segments;
use super::turn::Turn;
use crate::clock::Clock;

/// Runs of TCP at a time: flows whose segments come interleaved. 64 KiB each.
const RUN_COUNT: usize = 32;

/// Frames that come out of one socket.
#[derive(Debug)]
pub(crate) struct VxlanSource {
    receiver: DatagramReceiver,
    segments: Arc<ArcSwap<Segments>>,
    refusals: Arc<RefusalCounters>,
    prober: Prober,
    coalescer: TcpCoalescer,
    clock: Clock,
}

impl VxlanSource {
    pub(crate) const fn new(
        receiver: DatagramReceiver,
        segments: Arc<ArcSwap<Segments>>,
        refusals: Arc<RefusalCounters>,
        prober: Prober,
        clock: Clock,
    ) -> Self {
        Self {
            receiver,
            segments,
            refusals,
            prober,
            coalescer: TcpCoalescer::new(RUN_COUNT, HEADROOM),
            clock,
        }
    }
}

impl FrameSource for VxlanSource {
    fn readiness(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }

    fn receive(&mut self, sink: &mut dyn FrameSink) -> Intake {
        let segments = self.segments.load();
        let now = self.clock.now();
        let mut turn = Turn::default();
        let intake = loop {
            // An error is about a datagram that was sent, or about memory; either passes.
            let Ok(datagrams) = self.receiver.receive() else {
                break Intake::More;
            };
            let end = turn.end_after(datagrams.total_len(), datagrams.is_full());
            let mut reader = Reader {
                segments: &segments,
                refusals: &self.refusals,
                prober: self.prober,
                coalescer: &mut self.coalescer,
                pending: Pending::new(&mut *sink),
                now,
                last: None,
            };
            for datagram in datagrams {
                reader.read_message(datagram);
            }
            reader.pending.flush();
            if let Some(intake) = end {
                break intake;
            }
        };
        let mut leave = |port, frame: &mut Frame<'_>| sink.deliver(port, slice::from_mut(frame));
        self.coalescer.dismiss_all(&mut leave);
        intake
    }
}

/// Takes datagrams apart.
struct Reader<'a, 'b> {
    segments: &'a Segments,
    refusals: &'a RefusalCounters,
    prober: Prober,
    coalescer: &'a mut TcpCoalescer,
    pending: Pending<'a, 'b>,
    now: Timestamp,
    /// What the last datagram was found to be: the next is most likely of the same.
    last: Option<(Vni, IpAddr, Ingress<'a>)>,
}

impl<'a, 'b> Reader<'a, 'b> {
    /// Takes in a datagram, or several that the kernel merged.
    fn read_message(&mut self, message: Datagram<'b>) {
        let Datagram {
            source,
            class,
            segment_len,
            buffer,
            start,
        } = message;
        let (source, class) = (source.ip(), TrafficClass::from_u8(class));
        let len = segment_len.max(1);
        let end = start.saturating_add(len).min(buffer.len());
        let (first, others) = buffer.split_at_mut(end);
        self.read(source, class, first, start);
        for other in others.chunks_mut(len) {
            self.read(source, class, other, 0);
        }
    }

    /// Takes in the datagram that begins at `start` and fills the rest of `buffer`.
    fn read(&mut self, source: IpAddr, class: TrafficClass, buffer: &'b mut [u8], start: usize) {
        if let Err(refusal) = self.try_read(source, class, buffer, start) {
            self.refusals.count(refusal);
        }
    }

    #[inline]
    fn try_read(
        &mut self,
        source: IpAddr,
        class: TrafficClass,
        buffer: &'b mut [u8],
        start: usize,
    ) -> Result<(), Refusal> {
        let datagram = buffer.get_mut(start..).unwrap_or_default();
        let popped = pop(EncapKind::Vxlan, datagram)?;
        let vni = popped.vni.ok_or(Refusal::VxlanFlag)?;
        let ingress = self.ingress(vni, source)?;
        ingress.tunnel.admit(popped.inner, class)?;
        ingress.peer.handle_heard(self.now);
        let frame = &*popped.inner;
        if look_at_frame(self.prober, ingress.peer, frame) == Addressee::Prober {
            return Ok(());
        }
        let pending = &mut self.pending;
        let mut offload = Offload::NONE;
        if let Ok(parsed) = ParsedFrame::parse(frame) {
            offload = received_offload(frame, &parsed, ingress.mtu);
            let mut leave = |port, frame: &mut Frame<'_>| pending.deliver(port, frame);
            let offered = self
                .coalescer
                .offer(ingress.port, frame, &parsed, offload, &mut leave);
            if offered == Offered::Kept {
                return Ok(());
            }
        } else {
            self.coalescer
                .dismiss_all(&mut |port, frame| pending.deliver(port, frame));
        }
        let frame_start = start + VxlanHeader::LEN;
        pending.push(ingress.port, Frame::new(buffer, frame_start, offload));
        Ok(())
    }

    #[inline]
    fn ingress(&mut self, vni: Vni, source: IpAddr) -> Result<Ingress<'a>, Refusal> {
        if let Some((last_vni, last_source, ingress)) = self.last
            && (last_vni, last_source) == (vni, source)
        {
            return Ok(ingress);
        }
        let ingress = self.segments.accept(vni, source)?;
        self.last = Some((vni, source, ingress));
        Ok(ingress)
    }
}

/// Frames of one port that are handed on together.
struct Pending<'a, 'b> {
    sink: &'a mut dyn FrameSink,
    port: PortNo,
    frames: [Frame<'b>; MAX_BATCH],
    count: usize,
}

impl<'a, 'b> Pending<'a, 'b> {
    fn new(sink: &'a mut dyn FrameSink) -> Self {
        Self {
            sink,
            port: PortNo::new(0, 0),
            frames: array::from_fn(|_| Frame::new(&mut [], 0, Offload::NONE)),
            count: 0,
        }
    }

    /// Adds a frame behind those that wait.
    #[inline]
    fn push(&mut self, port: PortNo, frame: Frame<'b>) {
        if port != self.port || self.count == MAX_BATCH {
            self.flush();
            self.port = port;
        }
        if let Some(slot) = self.frames.get_mut(self.count) {
            *slot = frame;
            self.count += 1;
        }
    }

    /// Hands on a frame that does not stay where it is, behind those that wait.
    fn deliver(&mut self, port: PortNo, frame: &mut Frame<'_>) {
        self.flush();
        self.sink.deliver(port, slice::from_mut(frame));
    }

    fn flush(&mut self) {
        let frames = self.frames.get_mut(..self.count).unwrap_or_default();
        self.sink.deliver(self.port, frames);
        self.count = 0;
    }
}
