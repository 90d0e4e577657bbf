//! A TCP segment that may be merged with its neighbours, if its checksum is right.

use core::ops::Range;

use crate::checksum::Sum;
use crate::{
    ChecksumOffload, IpProtocol, Ipv4View, Ipv6View, Network, ParsedFrame, TcpFlags, TcpView,
};

/// A segment and where its headers are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) frame: &'a [u8],
    pub(super) layout: Layout,
    pub(super) checksum: ChecksumOffload,
    pub(super) seq: u32,
    flags: TcpFlags,
}

/// Offsets of headers, between which there is neither an IP option nor an extension header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub(super) network: Network,
    pub(super) l3: usize,
    pub(super) l4: usize,
    pub(super) payload: usize,
}

/// Flags without which a segment is merged.
const NEVER: TcpFlags =
    TcpFlags(TcpFlags::SYN.0 | TcpFlags::RST.0 | TcpFlags::URG.0 | TcpFlags::CWR.0);

/// Flags that end a run, and do not have to be equal in it.
pub(super) const LAST: TcpFlags = TcpFlags(TcpFlags::PSH.0 | TcpFlags::FIN.0);

impl<'a> Segment<'a> {
    /// Returns the segment in `frame`, which was parsed as `parsed` and is no fragment; `None` when it is not
    /// one to be merged, whatever comes before or after it.
    #[inline]
    pub(super) fn of(
        frame: &'a [u8],
        parsed: &ParsedFrame,
        checksum: ChecksumOffload,
    ) -> Option<Self> {
        let layout = Layout {
            network: parsed.network(),
            l3: parsed.l3_offset(),
            l4: parsed.l4_offset()?,
            payload: parsed.payload_offset()?,
        };
        let l3 = frame.get(layout.l3..)?;
        let is_plain = match layout.network {
            Network::V4 => {
                let ip = Ipv4View::parse(l3).ok()?;
                layout.l4 - layout.l3 == Ipv4View::LEN
                    && !ip.reserved_flag()
                    && ip.verify_checksum()
            }
            Network::V6 => layout.l4 - layout.l3 == Ipv6View::LEN,
            Network::Other => false,
        };
        let tcp = TcpView::parse(frame.get(layout.l4..)?).ok()?;
        let flags = tcp.flags();
        let is_data = parsed.l3_end() == frame.len()
            && layout.payload < frame.len()
            && !parsed.dst().is_group()
            && flags.contains(TcpFlags::ACK)
            && !flags.intersects(NEVER);
        let is_checkable = match checksum {
            ChecksumOffload::Complete | ChecksumOffload::Validated => true,
            ChecksumOffload::Partial { start, offset } => {
                usize::from(start) == layout.l4
                    && usize::from(offset) == TcpView::CHECKSUM_OFFSET
                    && layout.pseudo_header(frame)?.fold() == tcp.checksum()
            }
        };
        (is_plain && is_data && is_checkable).then_some(Self {
            frame,
            layout,
            checksum,
            seq: tcp.seq(),
            flags,
        })
    }

    /// Returns the payload.
    pub(super) fn payload(&self) -> &'a [u8] {
        self.frame.get(self.layout.payload..).unwrap_or_default()
    }

    /// Returns those of the flags that end a run.
    pub(super) const fn last_flags(&self) -> TcpFlags {
        TcpFlags(self.flags.0 & LAST.0)
    }

    /// Tells whether nothing can come after the segment in a run.
    pub(super) const fn ends_run(&self) -> bool {
        self.flags.intersects(LAST)
    }

    /// Tells whether the checksum is right, as far as it can be known.
    #[inline]
    pub(super) fn is_intact(&self) -> bool {
        is_intact(self.frame, self.layout, self.checksum)
    }
}

impl Layout {
    /// Returns the sum of the pseudo-header of a frame that ends with its packet.
    #[inline]
    pub(super) fn pseudo_header(&self, frame: &[u8]) -> Option<Sum> {
        // Source and destination stand side by side at the end of both headers.
        let addresses_len = match self.network {
            Network::V4 => 2 * 4,
            Network::V6 | Network::Other => 2 * 16,
        };
        let addresses = frame.get(self.l4.checked_sub(addresses_len)?..self.l4)?;
        let len = u16::try_from(frame.len().checked_sub(self.l4)?).ok()?;
        let sum = Sum::of(addresses).and_u16(u16::from(IpProtocol::TCP.0));
        Some(sum.and_u16(len))
    }

    /// Returns the bytes of the headers that have to be equal in all frames of a run, without the flags.
    pub(super) const fn equal_parts(&self) -> [Range<usize>; 6] {
        let Self {
            l3, l4, payload, ..
        } = *self;
        let [ip_start, ip_end] = match self.network {
            // Version and DSCP; flags, hops left and protocol; addresses.
            Network::V4 => [l3..l3 + 2, l3 + 6..l3 + 10],
            // Version to flow label; next header to addresses.
            Network::V6 | Network::Other => [l3..l3 + 4, l3 + 6..l3 + 8],
        };
        let addresses = match self.network {
            Network::V4 => l3 + 12,
            Network::V6 | Network::Other => l3 + 8,
        };
        [
            0..l3,
            ip_start,
            ip_end,
            // Ports behind them.
            addresses..l4 + 4,
            // Acknowledgment and header length.
            l4 + 8..l4 + 13,
            // Urgent pointer and options; the window is compared with the flags.
            l4 + 18..payload,
        ]
    }
}

/// Tells whether the TCP checksum of a frame is right.
#[inline]
pub(super) fn is_intact(frame: &[u8], layout: Layout, checksum: ChecksumOffload) -> bool {
    match checksum {
        // Its pseudo-header was verified when the segment was looked at.
        ChecksumOffload::Partial { .. } => true,
        // `Validated` is the word of whoever wrote the frame, who may be anybody.
        ChecksumOffload::Complete | ChecksumOffload::Validated => {
            let segment = frame.get(layout.l4..).unwrap_or_default();
            let sum = layout.pseudo_header(frame);
            sum.is_some_and(|sum| sum.and_bytes(segment).fold() == 0xffff)
        }
    }
}
