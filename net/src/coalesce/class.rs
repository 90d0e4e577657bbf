//! What a frame means for the runs that are open.
//!
//! Runs on every frame to a device that takes super-frames, so it looks at headers only: a checksum
//! over payload is verified when there is something to merge, by [`Run`](super::Run).

use crate::checksum::Sum;
use crate::{
    ChecksumOffload, EtherType, EthernetView, FlowKey, IpProtocol, Ipv4View, Ipv6View, L4Ports,
    Offload, UdpView,
};

/// What a frame means for the runs that are open, which is what keeps order inside flows.
#[derive(Clone, Copy, Debug)]
pub enum FrameClass<'a> {
    /// May continue the run of its flow, or start one.
    Candidate(Candidate<'a>),
    /// Is of this flow, whose run has to leave before it, and is never merged.
    Single(FlowHash),
    /// May be of any flow (a fragment, something malformed): every run has to leave before it.
    Barrier,
    /// Is of no flow that runs are made of.
    Foreign,
}

/// Names a flow. Two flows may share a name, which costs a merge and never order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowHash(u64);

/// A frame that may be merged with its neighbours, if its checksum is right.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    frame: &'a [u8],
    checksum: ChecksumOffload,
    flow: FlowHash,
    layout: Layout,
}

/// Where the headers are. There is neither an option nor an extension header between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub(super) ip: Ip,
    pub(super) l3_offset: usize,
}

/// The version of IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ip {
    V4,
    V6,
}

impl<'a> FrameClass<'a> {
    /// Classifies `frame`, whose destination MAC address is at `frame[0]` and which has `offload` left to
    /// do. Reads headers only and allocates nothing.
    #[inline]
    pub fn of(frame: &'a [u8], offload: Offload) -> Self {
        let Ok(ethernet) = EthernetView::parse(frame) else {
            return Self::Foreign;
        };
        if ethernet.dst().is_group() {
            return Self::Foreign;
        }
        match ethernet.ethertype() {
            EtherType::IPV4 => Self::of_v4(frame, ethernet.payload(), offload),
            EtherType::IPV6 => Self::of_v6(frame, ethernet.payload(), offload),
            // A third tag hides what follows.
            other if other.is_vlan() => Self::Barrier,
            _ => Self::Foreign,
        }
    }

    #[inline]
    fn of_v4(frame: &'a [u8], l3: &'a [u8], offload: Offload) -> Self {
        let Ok(ip) = Ipv4View::parse(l3) else {
            return Self::Barrier;
        };
        if ip.protocol() != IpProtocol::UDP {
            return Self::Foreign;
        }
        if ip.fragment().is_part() {
            return Self::Barrier;
        }
        let Ok(udp) = UdpView::parse(ip.payload()) else {
            return Self::Barrier;
        };
        let flow = FlowHash::of(FlowKey::V4 {
            src: ip.src(),
            dst: ip.dst(),
            protocol: IpProtocol::UDP,
            ports: Some(ports(&udp)),
        });
        // The reserved bit (RFC 791 §3.1) is no fragmentation, but nothing that GRO merges either.
        let is_plain = ip.header_len() == Ipv4View::LEN
            && !ip.reserved_flag()
            && usize::from(ip.total_len()) == l3.len()
            && ip.verify_checksum();
        let candidate = Candidate {
            frame,
            checksum: offload.checksum,
            flow,
            layout: Layout {
                ip: Ip::V4,
                l3_offset: frame.len() - l3.len(),
            },
        };
        if is_plain && offload.gso.is_none() && candidate.has_mergeable_datagram(&udp, ip.payload())
        {
            Self::Candidate(candidate)
        } else {
            Self::Single(flow)
        }
    }

    #[inline]
    fn of_v6(frame: &'a [u8], l3: &'a [u8], offload: Offload) -> Self {
        let Ok(ip) = Ipv6View::parse(l3) else {
            return Self::Barrier;
        };
        match ip.next_header() {
            IpProtocol::UDP => {}
            IpProtocol::TCP | IpProtocol::ICMPV6 => return Self::Foreign,
            // An extension header, behind which there may be UDP, or a part of it.
            _ => return Self::Barrier,
        }
        let Ok(udp) = UdpView::parse(ip.payload()) else {
            return Self::Barrier;
        };
        let flow = FlowHash::of(FlowKey::V6 {
            src: ip.src(),
            dst: ip.dst(),
            protocol: IpProtocol::UDP,
            ports: Some(ports(&udp)),
        });
        let candidate = Candidate {
            frame,
            checksum: offload.checksum,
            flow,
            layout: Layout {
                ip: Ip::V6,
                l3_offset: frame.len() - l3.len(),
            },
        };
        let is_plain = Ipv6View::LEN + ip.payload().len() == l3.len();
        if is_plain && offload.gso.is_none() && candidate.has_mergeable_datagram(&udp, ip.payload())
        {
            Self::Candidate(candidate)
        } else {
            Self::Single(flow)
        }
    }
}

impl FlowHash {
    #[inline]
    fn of(flow: FlowKey) -> Self {
        // Whoever aims for collisions only keeps his own frames from being merged.
        Self(flow.hash(0))
    }
}

impl<'a> Candidate<'a> {
    /// Returns the flow.
    #[inline]
    pub const fn flow(&self) -> FlowHash {
        self.flow
    }

    /// Returns the bytes of the frame.
    #[inline]
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// Returns the state of the checksum.
    #[inline]
    pub(super) const fn checksum(&self) -> ChecksumOffload {
        self.checksum
    }

    #[inline]
    pub(super) const fn layout(&self) -> Layout {
        self.layout
    }

    /// Tells whether `udp`, which fills `packet`, can be one of several datagrams, as far as its
    /// headers say.
    #[inline]
    fn has_mergeable_datagram(&self, udp: &UdpView<'_>, packet: &[u8]) -> bool {
        if usize::from(udp.len()) != packet.len() || udp.payload().is_empty() || udp.checksum() == 0
        {
            return false;
        }
        match self.checksum {
            ChecksumOffload::Complete | ChecksumOffload::Validated => true,
            ChecksumOffload::Partial { start, offset } => {
                usize::from(start) == self.layout.l4_offset()
                    && usize::from(offset) == UdpView::CHECKSUM_OFFSET
                    && self.layout.pseudo_header(self.frame, udp.len()).fold() == udp.checksum()
            }
        }
    }
}

impl Layout {
    pub(super) const fn l4_offset(&self) -> usize {
        self.l3_offset
            + match self.ip {
                Ip::V4 => Ipv4View::LEN,
                Ip::V6 => Ipv6View::LEN,
            }
    }

    pub(super) const fn payload_offset(&self) -> usize {
        self.l4_offset() + UdpView::LEN
    }

    /// Returns the sum of the pseudo-header of `frame` before a datagram of `len` bytes.
    #[inline]
    pub(super) fn pseudo_header(&self, frame: &[u8], len: u16) -> Sum {
        // Source and destination stand side by side at the end of both headers.
        let addresses_len = match self.ip {
            Ip::V4 => 2 * 4,
            Ip::V6 => 2 * 16,
        };
        let l4_offset = self.l4_offset();
        let addresses = frame
            .get(l4_offset - addresses_len..l4_offset)
            .unwrap_or_default();
        Sum::of(addresses)
            .and_u16(u16::from(IpProtocol::UDP.0))
            .and_u16(len)
    }
}

#[inline]
fn ports(udp: &UdpView<'_>) -> L4Ports {
    L4Ports {
        src: udp.src_port(),
        dst: udp.dst_port(),
    }
}
