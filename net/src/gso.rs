//! Cutting a super-frame into the frames that it stands for.
//!
//! # Theory of operation
//!
//! A super-frame is one Ethernet/IP/TCP or UDP header before many segments' worth of payload. Every
//! segment gets a copy of all headers (VLAN tags, IP options, IPv6 extension headers and TCP options
//! included) and the next [`Gso::size`] bytes; the last one gets what is left. In the copy these fields
//! change, as in the kernel's `tcp_gso_segment`, `__udp_gso_segment` and `inet_gso_segment`:
//!
//! - IPv4: Total Length, header checksum, and Identification, which grows by one per segment for TCP
//!   and UDP alike. RFC 6864 §4.1 would allow anything when DF is set, but the kernel counts, and so
//!   does everybody who coalesces again. IPv6: Payload Length.
//! - TCP: the sequence number; FIN and PSH only on the last segment; CWR only on the first (RFC 3168
//!   §6.1.2), whether or not the sender asked for ECN. UDP: Length.
//! - The L4 checksum, completed. It starts from the partial sum that the sender left in the field, not
//!   from the addresses: with a Routing header the pseudo-header has the final destination, which only
//!   the sender has to know (RFC 8200 §8.1).
//!
//! Where the headers end is found by parsing, never by [`Gso::header_len_hint`]. The end of the payload
//! is that of the IP packet; padding behind it is left out. A frame that is not what its offload says
//! is refused as a whole before anything is written.
//!
//! Nothing is allocated: the caller asks for segments by number, in any order. Whoever can write
//! scattered buffers takes [`Splitter::write_headers`] and leaves the payload where it is.

use thiserror::Error;

use crate::checksum::{Delta, Sum};
use crate::{
    ChecksumOffload, Fragment, Gso, GsoKind, HeaderError, Ipv4Mut, Ipv4View, Ipv6Mut, Ipv6View,
    Network, Offload, ParsedFrame, TcpFlags, TcpMut, TcpView, Transport, UdpMut, UdpView,
};

/// Yields the segments of a super-frame.
#[derive(Clone, Copy, Debug)]
pub struct Splitter<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    size: usize,
    count: usize,
    l3_offset: usize,
    l4_offset: usize,
    l3: L3,
    l4: L4,
    /// The partial sum of the super-frame, with `l4_len` in it.
    partial: u16,
    l4_len: u16,
}

/// What of the IP header differs between segments.
#[derive(Clone, Copy, Debug)]
enum L3 {
    V4 { first_id: u16 },
    V6,
}

/// What of the L4 header differs between segments.
#[derive(Clone, Copy, Debug)]
enum L4 {
    Tcp { first_seq: u32, flags: TcpFlags },
    Udp,
}

/// The headers of a segment were written; this is the rest of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Bytes of the headers that were written.
    pub header_len: usize,
    /// What follows them, where it stands in the super-frame.
    pub payload: &'a [u8],
}

/// A frame is not the super-frame that its offload says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The offload asks for no segmentation.
    #[error("the frame is not to be cut")]
    NotSuper,
    /// Segments of no bytes.
    #[error("the segment size is zero")]
    ZeroSize,
    /// A header is malformed.
    #[error("a header is malformed")]
    Header(#[from] HeaderError),
    /// The frame carries another protocol, or none that can be seen.
    #[error("the frame does not carry the protocol of {0:?}")]
    Protocol(GsoKind),
    /// A fragment cannot be cut: its L4 length is that of another packet.
    #[error("the frame is a fragment")]
    Fragment,
    /// The checksum is not partial, or not that of the L4 header that was found.
    #[error("{0:?} is not the partial checksum of the L4 header")]
    Checksum(ChecksumOffload),
    /// UDP and IP disagree about where the datagram ends.
    #[error("UDP states {udp_len} bytes and IP {ip_len}")]
    UdpLength {
        /// Length of UDP.
        udp_len: usize,
        /// Bytes that IP has for it.
        ip_len: usize,
    },
}

/// A segment cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// There are not that many.
    #[error("there is no segment {index}, only {count}")]
    Index {
        /// What was asked for.
        index: usize,
        /// Segments that there are.
        count: usize,
    },
    /// The output is too short. Nothing was written.
    #[error("segment needs {needed} bytes, {present} are there")]
    Space {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        present: usize,
    },
}

impl<'a> Splitter<'a> {
    /// Prepares to cut `frame`, whose destination MAC address is at `frame[0]`, as `offload` says.
    ///
    /// # Errors
    ///
    /// Refuses a frame that is not what `offload` says: see [`SplitError`].
    pub fn new(frame: &'a [u8], offload: Offload) -> Result<Self, SplitError> {
        let gso = offload.gso.ok_or(SplitError::NotSuper)?;
        if gso.size == 0 {
            return Err(SplitError::ZeroSize);
        }
        let parsed = ParsedFrame::parse(frame)?;
        if parsed.fragment() != Fragment::Whole {
            return Err(SplitError::Fragment);
        }
        let mismatch = SplitError::Protocol(gso.kind);
        let checksum_offset = match (gso.kind, parsed.network(), parsed.transport()) {
            (GsoKind::TcpV4, Network::V4, Some(Transport::Tcp))
            | (GsoKind::TcpV6, Network::V6, Some(Transport::Tcp)) => TcpView::CHECKSUM_OFFSET,
            (GsoKind::Udp, Network::V4 | Network::V6, Some(Transport::Udp)) => {
                UdpView::CHECKSUM_OFFSET
            }
            _ => return Err(mismatch),
        };
        let l4_offset = parsed.l4_offset().ok_or(mismatch)?;
        if !is_checksum_at(offload.checksum, l4_offset, checksum_offset) {
            return Err(SplitError::Checksum(offload.checksum));
        }
        let payload_offset = parsed.payload_offset().ok_or(mismatch)?;
        let packet = frame.get(..parsed.l3_end()).ok_or(mismatch)?;
        let (headers, payload) = packet.split_at_checked(payload_offset).ok_or(mismatch)?;
        let l3 = read_l3(&parsed, frame, mismatch)?;
        let segment = packet.get(l4_offset..).ok_or(mismatch)?;
        let (l4, partial) = read_l4(gso, segment)?;
        let size = usize::from(gso.size);
        Ok(Self {
            headers,
            payload,
            size,
            count: payload.len().div_ceil(size).max(1),
            l3_offset: parsed.l3_offset(),
            l4_offset,
            l3,
            l4,
            partial,
            l4_len: u16::try_from(segment.len()).map_err(|_too_long| mismatch)?,
        })
    }

    /// Returns how many segments there are: one or more.
    pub const fn segment_count(&self) -> usize {
        self.count
    }

    /// Returns the bytes of headers that every segment has, from the destination MAC address on.
    pub const fn header_len(&self) -> usize {
        self.headers.len()
    }

    /// Returns the bytes of the longest segment, which is the first.
    pub fn max_segment_len(&self) -> usize {
        self.headers.len() + self.payload.len().min(self.size)
    }

    /// Returns the L4 payload of the segment `index`, counted from zero, where it stands in the
    /// super-frame; `None` when there are not that many.
    pub fn payload(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.count {
            return None;
        }
        let rest = self.payload.get(index.checked_mul(self.size)?..)?;
        Some(rest.get(..self.size).unwrap_or(rest))
    }

    /// Writes the headers of the segment `index`, counted from zero, to the start of `out`, complete
    /// for the payload that is returned beside their length. The rest of `out` is untouched.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Index`], [`SegmentError::Space`] when `out` is shorter than
    /// [`Splitter::header_len`].
    pub fn write_headers(&self, index: usize, out: &mut [u8]) -> Result<Segment<'a>, SegmentError> {
        let no_segment = SegmentError::Index {
            index,
            count: self.count,
        };
        let payload = self.payload(index).ok_or(no_segment)?;
        let header_len = self.headers.len();
        let no_space = SegmentError::Space {
            needed: header_len,
            present: out.len(),
        };
        let out = out.get_mut(..header_len).ok_or(no_space)?;
        out.copy_from_slice(self.headers);
        // `new` parsed these very bytes, so that rewriting them never fails.
        self.rewrite(index, out, payload).ok_or(no_segment)?;
        Ok(Segment {
            header_len,
            payload,
        })
    }

    /// Writes the segment `index`, counted from zero, to the start of `out` and returns its length.
    /// The rest of `out` is untouched. Copies the payload once and reads it twice.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Index`], [`SegmentError::Space`] when `out` is shorter than the segment; it is
    /// untouched then.
    pub fn write_segment(&self, index: usize, out: &mut [u8]) -> Result<usize, SegmentError> {
        let payload = self.payload(index).ok_or(SegmentError::Index {
            index,
            count: self.count,
        })?;
        let len = self.headers.len() + payload.len();
        let no_space = SegmentError::Space {
            needed: len,
            present: out.len(),
        };
        let out = out.get_mut(..len).ok_or(no_space)?;
        let segment = self.write_headers(index, out)?;
        out.get_mut(segment.header_len..)
            .ok_or(no_space)?
            .copy_from_slice(payload);
        Ok(len)
    }
}

impl Splitter<'_> {
    /// Turns `headers`, a copy of those of the super-frame, into those of segment `index`.
    fn rewrite(&self, index: usize, headers: &mut [u8], payload: &[u8]) -> Option<()> {
        let l3_len = headers.len().checked_sub(self.l3_offset)? + payload.len();
        let l4_len = headers.len().checked_sub(self.l4_offset)? + payload.len();
        let (outer, l4) = headers.split_at_mut_checked(self.l4_offset)?;
        self.rewrite_l3(index, outer.get_mut(self.l3_offset..)?, l3_len)?;
        let l4_len = u16::try_from(l4_len).ok()?;
        let pseudo = Delta::NONE
            .and_u16(self.l4_len, l4_len)
            .apply_partial(self.partial);
        let sum = Sum::ZERO.and_u16(pseudo).and_bytes(payload);
        match self.l4 {
            L4::Tcp { first_seq, flags } => {
                let sent = u32::try_from(index.checked_mul(self.size)?).ok()?;
                let mut tcp = TcpMut::parse(l4).ok()?;
                tcp.set_seq(first_seq.wrapping_add(sent));
                tcp.set_flags(self.flags_of(index, flags));
                tcp.set_checksum(0);
                let checksum = sum.and_bytes(l4).checksum();
                TcpMut::parse(l4).ok()?.set_checksum(checksum);
            }
            L4::Udp => {
                let mut udp = UdpMut::parse(l4).ok()?;
                udp.set_len(l4_len);
                udp.set_checksum(0);
                let checksum = sum.and_bytes(l4).udp_checksum();
                UdpMut::parse(l4).ok()?.set_checksum(checksum);
            }
        }
        Some(())
    }

    /// Rewrites the IP header at `l3[0]` for a packet of `len` bytes.
    fn rewrite_l3(&self, index: usize, l3: &mut [u8], len: usize) -> Option<()> {
        match self.l3 {
            L3::V4 { first_id } => {
                // At most 65,535 bytes of payload make at most 65,535 segments.
                let index = u16::try_from(index).ok()?;
                let mut ip = Ipv4Mut::parse(l3).ok()?;
                ip.set_total_len(u16::try_from(len).ok()?);
                ip.set_id(first_id.wrapping_add(index));
                ip.fill_checksum();
            }
            L3::V6 => {
                let payload_len = u16::try_from(len.checked_sub(Ipv6View::LEN)?).ok()?;
                Ipv6Mut::parse(l3).ok()?.set_payload_len(payload_len);
            }
        }
        Some(())
    }

    const fn flags_of(&self, index: usize, flags: TcpFlags) -> TcpFlags {
        let flags = match index {
            0 => flags,
            _ => flags.without(TcpFlags::CWR),
        };
        if index + 1 == self.count {
            flags
        } else {
            flags.without(TcpFlags::FIN).without(TcpFlags::PSH)
        }
    }
}

fn is_checksum_at(checksum: ChecksumOffload, l4_offset: usize, field_offset: usize) -> bool {
    match checksum {
        ChecksumOffload::Partial { start, offset } => {
            (usize::from(start), usize::from(offset)) == (l4_offset, field_offset)
        }
        ChecksumOffload::Complete | ChecksumOffload::Validated => false,
    }
}

fn read_l3(parsed: &ParsedFrame, frame: &[u8], mismatch: SplitError) -> Result<L3, SplitError> {
    let l3 = frame.get(parsed.l3_offset()..).ok_or(mismatch)?;
    match parsed.network() {
        Network::V4 => Ok(L3::V4 {
            first_id: Ipv4View::parse(l3)?.id(),
        }),
        Network::V6 => Ok(L3::V6),
        Network::Other => Err(mismatch),
    }
}

/// Reads the L4 header of `segment` and the partial sum in it.
fn read_l4(gso: Gso, segment: &[u8]) -> Result<(L4, u16), SplitError> {
    match gso.kind {
        GsoKind::TcpV4 | GsoKind::TcpV6 => {
            let tcp = TcpView::parse(segment)?;
            let l4 = L4::Tcp {
                first_seq: tcp.seq(),
                flags: tcp.flags(),
            };
            Ok((l4, tcp.checksum()))
        }
        GsoKind::Udp => {
            let udp = UdpView::parse(segment)?;
            let (udp_len, ip_len) = (usize::from(udp.len()), segment.len());
            if udp_len != ip_len {
                return Err(SplitError::UdpLength { udp_len, ip_len });
            }
            Ok((L4::Udp, udp.checksum()))
        }
    }
}
