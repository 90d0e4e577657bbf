//! From datagrams that carry packets to frames of the switch.
//!
//! As [`source`](super::source), for tunnels without Ethernet: who may send, and where the packet enters, is
//! found by its inner addresses ([`Prefixes`]), and an Ethernet header is put in front of it, whose addresses
//! nobody looks at.
//!
//! That header is written over what lies before the packet. Where the kernel merged datagrams, this is the
//! one before, so each is handed on, or copied by the coalescer, before the next is looked at.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::slice;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tapweave_device::{Datagram, DatagramReceiver, FrameSink, FrameSource, HEADROOM, Intake};
use tapweave_encap::{
    EncapKind, InnerAddresses, Refusal, TrafficClass, pop, pop_outer, received_offload,
};
use tapweave_net::tcp_coalesce::{Offered, TcpCoalescer};
use tapweave_net::{EtherType, EthernetView, Frame, Offload, ParsedFrame, Timestamp};

use super::ingress::Ingress;
use super::prefixes::Prefixes;
use super::probes::{Addressee, look_at_packet};
use super::refusals::RefusalCounters;
use super::turn::Turn;
use crate::clock::Clock;

/// Runs of TCP at a time: flows whose segments come interleaved. 64 KiB each.
const RUN_COUNT: usize = 32;

/// Whether what a socket receives begins with the outer IP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OuterHeader {
    /// It does: a raw socket of IPv4.
    Present,
    /// It does not.
    Absent,
}

/// Packets that come out of one socket.
#[derive(Debug)]
pub(crate) struct RoutedSource {
    receiver: DatagramReceiver,
    kind: EncapKind,
    outer: OuterHeader,
    prefixes: Arc<ArcSwap<Prefixes>>,
    refusals: Arc<RefusalCounters>,
    coalescer: TcpCoalescer,
    clock: Clock,
}

impl RoutedSource {
    pub(crate) const fn new(
        receiver: DatagramReceiver,
        (kind, outer): (EncapKind, OuterHeader),
        prefixes: Arc<ArcSwap<Prefixes>>,
        refusals: Arc<RefusalCounters>,
        clock: Clock,
    ) -> Self {
        Self {
            receiver,
            kind,
            outer,
            prefixes,
            refusals,
            coalescer: TcpCoalescer::new(RUN_COUNT, HEADROOM),
            clock,
        }
    }
}

impl FrameSource for RoutedSource {
    fn readiness(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }

    fn receive(&mut self, sink: &mut dyn FrameSink) -> Intake {
        let prefixes = self.prefixes.load();
        let now = self.clock.now();
        let mut turn = Turn::default();
        let intake = loop {
            // An error is about a datagram that was sent, or about memory; either passes.
            let Ok(datagrams) = self.receiver.receive() else {
                break Intake::More;
            };
            let end = turn.end_after(datagrams.total_len(), datagrams.is_full());
            let mut reader = Reader {
                kind: self.kind,
                outer: self.outer,
                prefixes: &prefixes,
                refusals: &self.refusals,
                coalescer: &mut self.coalescer,
                sink: &mut *sink,
                now,
                last: None,
            };
            for datagram in datagrams {
                reader.read_message(datagram);
            }
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
struct Reader<'a> {
    kind: EncapKind,
    outer: OuterHeader,
    prefixes: &'a Prefixes,
    refusals: &'a RefusalCounters,
    coalescer: &'a mut TcpCoalescer,
    sink: &'a mut dyn FrameSink,
    now: Timestamp,
    /// What the last packet was found to be: the next is most likely between the same two.
    last: Option<(IpAddr, InnerAddresses, Ingress<'a>)>,
}

impl<'a> Reader<'a> {
    /// Takes in a datagram, or several that the kernel merged.
    fn read_message(&mut self, message: Datagram<'_>) {
        let source = message.source.ip();
        let class = TrafficClass::from_u8(message.class);
        let Datagram { buffer, start, .. } = message;
        let len = message.segment_len.max(1);
        let mut start = start;
        loop {
            let end = start.saturating_add(len).min(buffer.len());
            let read = match buffer.get_mut(..end) {
                Some(buffer) => self.read(source, class, buffer, start),
                None => Err(Refusal::Truncated),
            };
            if let Err(refusal) = read {
                self.refusals.count(refusal);
            }
            if end == buffer.len() {
                break;
            }
            start = end;
        }
    }

    /// Takes in the datagram that begins at `start` and fills the rest of `buffer`.
    #[inline]
    fn read(
        &mut self,
        source: IpAddr,
        class: TrafficClass,
        buffer: &mut [u8],
        start: usize,
    ) -> Result<(), Refusal> {
        let datagram = buffer.get_mut(start..).unwrap_or_default();
        let (start, class) = match self.outer {
            OuterHeader::Absent => (start, class),
            OuterHeader::Present => {
                let popped = pop_outer(datagram)?;
                (start + popped.header_len, popped.class)
            }
        };
        let datagram = buffer.get_mut(start..).unwrap_or_default();
        let packet = pop(self.kind, datagram)?.inner;
        let ingress = self.ingress(source, InnerAddresses::of(packet)?)?;
        ingress.tunnel.admit(packet, class)?;
        ingress.peer.handle_heard(self.now);
        if look_at_packet(ingress.peer, packet) == Addressee::Prober {
            return Ok(());
        }
        let (header, end) = (ethernet_header(packet), start + packet.len());
        let frame_start = start.checked_sub(header.len()).ok_or(Refusal::NoHeadroom)?;
        if let Some(place) = buffer.get_mut(frame_start..start) {
            place.copy_from_slice(&header);
        }
        let buffer = buffer.get_mut(..end).unwrap_or_default();
        let frame = buffer.get(frame_start..).unwrap_or_default();
        let sink = &mut *self.sink;
        let mut leave = |port, frame: &mut Frame<'_>| sink.deliver(port, slice::from_mut(frame));
        let mut offload = Offload::NONE;
        if let Ok(parsed) = ParsedFrame::parse(frame) {
            offload = received_offload(frame, &parsed, ingress.mtu);
            let offered = self
                .coalescer
                .offer(ingress.port, frame, &parsed, offload, &mut leave);
            if offered == Offered::Kept {
                return Ok(());
            }
        } else {
            self.coalescer.dismiss_all(&mut leave);
        }
        leave(ingress.port, &mut Frame::new(buffer, frame_start, offload));
        Ok(())
    }

    #[inline]
    fn ingress(&mut self, source: IpAddr, inner: InnerAddresses) -> Result<Ingress<'a>, Refusal> {
        if let Some((last_source, last_inner, ingress)) = self.last
            && (last_source, last_inner) == (source, inner)
        {
            return Ok(ingress);
        }
        let ingress = self.prefixes.accept(source, inner)?;
        self.last = Some((source, inner, ingress));
        Ok(ingress)
    }
}

/// Returns the header of a frame from nobody to nobody with this packet in it.
#[inline]
fn ethernet_header(packet: &[u8]) -> [u8; EthernetView::LEN] {
    let ethertype = match packet.first().map(|octet| octet >> 4) {
        Some(6) => EtherType::IPV6,
        _ => EtherType::IPV4,
    };
    let mut header = [0; EthernetView::LEN];
    if let Some(place) = header.last_chunk_mut() {
        *place = ethertype.0.to_be_bytes();
    }
    header
}
