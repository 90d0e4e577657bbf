//! The port of one host of an overlay: frames into datagrams.
//!
//! Runs on the packet path of any worker. A super-frame is cut where it lies: for each segment a small
//! header is written into a side array on the stack, the payload stays, and up to 64 segments go to the
//! kernel as one message. An ordinary frame gets the tunnel's header into its headroom.
//!
//! What is larger than the path to the host takes is refused as [`SendError::TooBig`], whose sender is
//! then told; SYNs promise no more than fits where the path is narrower than the network.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::{array, io};

use tapweave_device::{
    PortQueue, Received, SendError, TransmitError, UnderlaySender, interface_mtu,
};
use tapweave_encap::{
    DatagramRun, Encap, EncapKind, Inner, Layer, Outer, Peer, Refusal, Segments, SegmentsError,
    Tunnel, Underlay, VxlanHeader,
};
use tapweave_net::checksum::complete;
use tapweave_net::{
    ChecksumOffload, EthernetView, Frame, IpProtocol, Network, Offload, OffloadSet, ParsedFrame,
    clamp_mss, mss_for_mtu,
};

use super::senders::{Senders, Transmitter};

/// Bytes of headers of all segments of one message: 64 of 160.
const SIDE_LEN: usize = DatagramRun::MAX_COUNT * 160;

const CHECKSUM_AND_TCP: OffloadSet = OffloadSet::CHECKSUM
    .union(OffloadSet::TSO4)
    .union(OffloadSet::TSO6);

/// The way to one host in one network.
#[derive(Debug)]
pub(crate) struct VtepQueue {
    tunnel: Tunnel,
    peer: Arc<Peer>,
    /// Largest IP packet of the network.
    network_mtu: u16,
    senders: Senders,
    /// Of the flow hash.
    seed: u64,
    /// Never readable: nothing is received from a queue like this.
    silence: Arc<OwnedFd>,
}

impl VtepQueue {
    pub(crate) const fn new(
        tunnel: Tunnel,
        peer: Arc<Peer>,
        network_mtu: u16,
        senders: Senders,
        seed: u64,
        silence: Arc<OwnedFd>,
    ) -> Self {
        Self {
            tunnel,
            peer,
            network_mtu,
            senders,
            seed,
            silence,
        }
    }

    /// Returns where it leads.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Returns the same for those who keep it.
    pub(super) const fn shared_peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Returns what frames are put into.
    pub(super) const fn kind(&self) -> EncapKind {
        self.tunnel.encap.kind()
    }

    /// Sends a frame whether the path is believed to take it or not.
    pub(super) fn send_probe(&self, frame: &mut Frame<'_>) -> Result<(), SendError> {
        let inner = Inner::parse(frame.data(), self.seed);
        let inner = inner.map_err(|_runt| SendError::Unsupported)?;
        self.send_inner(frame, &inner, u16::MAX)
    }

    /// Reads what the frame is, and lowers what a SYN promises.
    #[inline]
    fn read(&self, frame: &mut Frame<'_>, mtu: u16) -> Result<Inner, SendError> {
        let Ok(parsed) = ParsedFrame::parse(frame.data()) else {
            let inner = Inner::parse(frame.data(), self.seed);
            return inner.map_err(|_runt| SendError::Unsupported);
        };
        if mtu < self.network_mtu
            && let Some(mss) = mss_for_mtu(parsed.network(), mtu)
        {
            let checksum = frame.offload().checksum;
            clamp_mss(frame.data_mut(), &parsed, checksum, mss);
        }
        Ok(Inner::new(frame.data(), &parsed, self.seed))
    }

    /// Sends a frame with whatever sends now.
    #[inline]
    fn send_inner(&self, frame: &mut Frame<'_>, inner: &Inner, mtu: u16) -> Result<(), SendError> {
        if self.tunnel.encap == Encap::Ipip {
            let sender = self.senders.raw.load();
            let sender = sender.as_ref().ok_or(SendError::Down)?;
            let protocol = match inner.packet().map(|packet| packet.network) {
                Some(Network::V6) => IpProtocol::IPV6,
                Some(Network::V4 | Network::Other) | None => IpProtocol::IPV4,
            };
            return self.send_by(Transmitter::Raw(sender, protocol), frame, inner, mtu);
        }
        let sender = self.senders.udp.load();
        let sender = sender.as_ref().ok_or(SendError::Down)?;
        self.send_by(Transmitter::Udp(sender), frame, inner, mtu)
    }

    #[inline]
    fn send_by(
        &self,
        sender: Transmitter<'_>,
        frame: &mut Frame<'_>,
        inner: &Inner,
        mtu: u16,
    ) -> Result<(), SendError> {
        if frame.offload().gso.is_some() {
            self.send_segments(sender, frame, inner, mtu)
        } else {
            self.send_one(sender, frame, inner, mtu)
        }
    }

    /// Sends a frame that is no super-frame.
    #[inline]
    fn send_one(
        &self,
        sender: Transmitter<'_>,
        frame: &mut Frame<'_>,
        inner: &Inner,
        mtu: u16,
    ) -> Result<(), SendError> {
        let packet_len = match inner.packet() {
            Some(packet) => packet.end - packet.start,
            None => frame.data().len().saturating_sub(EthernetView::LEN),
        };
        if packet_len > usize::from(mtu) {
            return Err(SendError::TooBig { mtu });
        }
        if let ChecksumOffload::Partial { start, offset } = frame.offload().checksum {
            complete(frame.data_mut(), start, offset).map_err(|_outside| SendError::Unsupported)?;
            frame.set_offload(Offload::NONE);
        }
        let outer = self.tunnel.outer(inner, self.peer.vtep());
        let sent = match self.tunnel.push(frame, inner) {
            Ok(payload) => sender.send(&outer, &[IoSlice::new(payload)]),
            Err(Refusal::NoHeadroom) => {
                let header = self.tunnel.header();
                let parts = [IoSlice::new(header.bytes()), IoSlice::new(frame.data())];
                sender.send(&outer, &parts)
            }
            Err(refusal) => return Err(send_error(refusal)),
        };
        sent.map_err(|error| self.transmit_error(error))
    }

    /// Sends a super-frame in segments.
    fn send_segments(
        &self,
        sender: Transmitter<'_>,
        frame: &Frame<'_>,
        inner: &Inner,
        mtu: u16,
    ) -> Result<(), SendError> {
        let segments = self
            .tunnel
            .segments(frame.data(), frame.offload(), inner)
            .map_err(|error| match error {
                SegmentsError::Refused(refusal) => send_error(refusal),
                SegmentsError::Split(_) => SendError::Unsupported,
            })?;
        let segment_len = segments.segment_len();
        let before_packet = match self.tunnel.encap.kind().layer() {
            Layer::Link => {
                let packet = inner.packet();
                VxlanHeader::LEN + packet.map_or(EthernetView::LEN, |packet| packet.start)
            }
            Layer::Network => 0,
        };
        if segment_len - before_packet > usize::from(mtu) {
            return Err(SendError::TooBig { mtu });
        }
        let outer = self.tunnel.outer(inner, self.peer.vtep());
        let headers_len = segments.headers_len();
        let count_max = (SIDE_LEN / headers_len).min(DatagramRun::max_count(segment_len));
        if count_max == 0 {
            return Err(SendError::Unsupported);
        }
        let mut next = 0;
        while next < segments.count() {
            let count = count_max.min(segments.count() - next);
            let sent = send_message(sender, &outer, &segments, next, count)?;
            if next == 0 {
                sent.map_err(|error| self.transmit_error(error))?;
            }
            // What is lost behind the first is asked for again, as on a wire.
            next += count;
        }
        Ok(())
    }

    /// Returns what a failure means for the frame, and notes what it says about the path.
    #[cold]
    fn transmit_error(&self, error: TransmitError) -> SendError {
        match error {
            TransmitError::TooBig => {
                if let Some(sender) = self.senders.udp.load().as_ref() {
                    refresh_path_mtu(sender, &self.peer);
                }
                let mtu = self.tunnel.inner_mtu(&self.peer).unwrap_or_default();
                SendError::TooBig { mtu }
            }
            TransmitError::Full => SendError::Full,
            TransmitError::Unreachable(_) => SendError::Down,
            TransmitError::Failed(error) => SendError::Failed(error),
            error => SendError::Failed(io::Error::other(error)),
        }
    }
}

impl PortQueue for VtepQueue {
    fn offloads(&self) -> OffloadSet {
        // Datagrams that are gathered for one message are not looked at one by one, so nobody would be
        // told of one that is too large.
        match self.tunnel.inner_mtu(&self.peer) {
            Some(mtu) if mtu >= self.network_mtu => OffloadSet::ALL,
            Some(_) | None => CHECKSUM_AND_TCP,
        }
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.silence.as_fd()
    }

    fn recv<'b>(&self, _: &'b mut [u8]) -> io::Result<Received<'b>> {
        Ok(Received::Empty)
    }

    fn send(&self, frame: &mut Frame<'_>) -> Result<(), SendError> {
        let Some(mtu) = self.tunnel.inner_mtu(&self.peer) else {
            return Err(SendError::TooBig { mtu: 0 });
        };
        let inner = self.read(frame, mtu)?;
        self.send_inner(frame, &inner, mtu)
    }
}

/// Asks the kernel how large a packet may be on the way to a peer, and notes that.
pub(crate) fn refresh_path_mtu(sender: &UnderlaySender, peer: &Peer) {
    let vtep = peer.vtep();
    let known = if vtep.addr().is_multicast() {
        // Nobody tells of routers on the way to a group.
        interface_mtu(sender.local()).ok().flatten()
    } else {
        // The port means nothing to the path.
        let to = SocketAddr::new(vtep.addr(), vtep.port().max(1));
        sender.path_mtu(to).ok()
    };
    if let Some(mtu) = known {
        peer.set_kernel_mtu(mtu.max(Underlay::of(vtep.addr()).min_path_mtu()));
    }
}

/// Sends `count` segments from number `first` on as one message. `Err` when they cannot be cut.
fn send_message(
    sender: Transmitter<'_>,
    outer: &Outer,
    segments: &Segments<'_>,
    first: usize,
    count: usize,
) -> Result<Result<(), TransmitError>, SendError> {
    let mut side = [0; SIDE_LEN];
    let mut parts: [_; 2 * DatagramRun::MAX_COUNT] = array::from_fn(|_| IoSlice::new(&[]));
    let headers = side.chunks_exact_mut(segments.headers_len());
    let pairs = parts.as_chunks_mut::<2>().0.iter_mut();
    for ((index, headers), pair) in (first..first + count).zip(headers).zip(pairs) {
        let segment = segments
            .write(index, headers)
            .map_err(|_not_there| SendError::Unsupported)?;
        let headers = &*headers;
        *pair = [
            IoSlice::new(headers.get(segment.headers).unwrap_or_default()),
            IoSlice::new(segment.payload),
        ];
    }
    let parts = parts.get(..2 * count).unwrap_or_default();
    Ok(match u16::try_from(segments.segment_len()) {
        Ok(len) if count > 1 => sender.send_run(outer, len, parts),
        _ => sender.send(outer, parts),
    })
}

fn send_error(refusal: Refusal) -> SendError {
    if refusal == Refusal::InnerTagged {
        SendError::Tagged
    } else {
        SendError::Unsupported
    }
}
