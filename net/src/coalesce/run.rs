//! One run: frames that have been merged, in a buffer of its own.
//!
//! The first frame is copied as it is; of every further one only the payload, right behind. What the
//! headers must say of the whole is written when the run leaves, so a run of one frame leaves as that
//! very frame.

use super::class::{Candidate, Ip, Layout};
use crate::checksum::Sum;
use crate::field::{get, u16_at};
use crate::{
    ChecksumOffload, EthernetView, Frame, Gso, GsoKind, Ipv4Mut, Ipv4View, Ipv6Mut, Ipv6View,
    Offload, UdpMut, UdpView, VlanTag,
};

/// Frames of one flow that leave together. Its buffer is allocated once and reused.
#[derive(Debug)]
pub struct Run {
    /// Headroom and the longest super-frame. Zeroed memory from the kernel: pages that no run reaches
    /// are never touched.
    buf: Box<[u8]>,
    headroom_len: usize,
    /// End of the super-frame in `buf`.
    end: usize,
    layout: Layout,
    /// State of the first frame's checksum.
    checksum: ChecksumOffload,
    trust: Trust,
    /// Payload bytes of every frame but the last.
    size: usize,
    frame_count: usize,
    state: State,
}

/// Whether the first frame's checksum is known to be right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trust {
    Unverified,
    Right,
    Wrong,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Takes more frames.
    Open,
    /// A shorter frame was the last.
    Ended,
}

/// What became of a frame that was offered to a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It was merged, and more may follow.
    Open,
    /// It was merged as the last.
    Last,
    /// It does not belong to the run, which has to leave before it.
    Refused,
}

impl Run {
    /// Frames of one run at most: what the kernel merges (`UDP_GRO_CNT_MAX`), and what it cuts for a
    /// sender in every version (`UDP_MAX_SEGMENTS`, 128 since Linux 6.9). Programs that receive with
    /// `UDP_GRO` and send on with `UDP_SEGMENT` rely on it.
    pub const MAX_FRAMES: usize = 64;

    /// Bytes of the longest super-frame: an IP packet of 65,535 bytes behind two VLAN tags. IPv6 could
    /// state 40 more, but a device need not take them.
    pub const MAX_LEN: usize = EthernetView::LEN + 2 * VlanTag::LEN + MAX_L3_LEN;

    /// Allocates an empty run that leaves `headroom_len` bytes free before its frame.
    pub fn new(headroom_len: usize) -> Self {
        Self {
            buf: vec![0; headroom_len + Self::MAX_LEN].into_boxed_slice(),
            headroom_len,
            end: headroom_len,
            layout: Layout {
                ip: Ip::V4,
                l3_offset: 0,
            },
            checksum: ChecksumOffload::Complete,
            trust: Trust::Unverified,
            size: 0,
            frame_count: 0,
            state: State::Ended,
        }
    }

    /// Starts anew with a copy of `first`. What the run held is forgotten.
    #[inline]
    pub fn start(&mut self, first: &Candidate<'_>) {
        self.layout = first.layout();
        self.checksum = first.checksum();
        self.trust = Trust::Unverified;
        self.size = first.frame().len() - self.layout.payload_offset();
        self.frame_count = 1;
        self.state = State::Open;
        self.end = self.headroom_len;
        self.put(first.frame());
    }

    /// Merges `next`, if it is what has to come after the frames that are there: see the head of
    /// [the module](super) for the rules. Sums its payload, and copies it.
    #[inline]
    pub fn append(&mut self, next: &Candidate<'_>) -> Appended {
        if self.state == State::Ended || !self.is_continued_by(next.frame(), next.layout()) {
            return Appended::Refused;
        }
        let Some(payload) = next.frame().get(self.layout.payload_offset()..) else {
            return Appended::Refused;
        };
        if payload.len() > self.size || self.l3_len() + payload.len() > MAX_L3_LEN {
            return Appended::Refused;
        }
        if self.trust == Trust::Unverified {
            self.trust = verify(self.data(), self.checksum, self.layout);
        }
        let trust = verify(next.frame(), next.checksum(), self.layout);
        if self.trust != Trust::Right || trust != Trust::Right {
            return Appended::Refused;
        }
        self.put(payload);
        self.frame_count += 1;
        if payload.len() < self.size || self.frame_count >= Self::MAX_FRAMES {
            self.state = State::Ended;
            return Appended::Last;
        }
        Appended::Open
    }

    /// Returns what leaves: the one frame as it came, or the super-frame. Ends the run.
    #[inline]
    pub fn finish(&mut self) -> Frame<'_> {
        self.state = State::Ended;
        let mut offload = Offload {
            checksum: self.checksum,
            gso: None,
        };
        if self.frame_count > 1
            && let Some(whole) = self.write_headers()
        {
            offload = whole;
        }
        let frame = self.buf.get_mut(..self.end).unwrap_or_default();
        Frame::new(frame, self.headroom_len, offload)
    }

    /// Returns how many frames were merged; zero before the first start.
    #[inline]
    pub const fn frame_count(&self) -> usize {
        self.frame_count
    }

    /// Returns the bytes of the frames that were merged, each with its own headers.
    #[inline]
    pub const fn byte_count(&self) -> usize {
        let header_len = self.layout.payload_offset();
        let repeated = self.frame_count.saturating_sub(1) * header_len;
        self.end - self.headroom_len + repeated
    }
}

impl Run {
    fn data(&self) -> &[u8] {
        self.buf
            .get(self.headroom_len..self.end)
            .unwrap_or_default()
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.end + bytes.len();
        if let Some(place) = self.buf.get_mut(self.end..end) {
            place.copy_from_slice(bytes);
            self.end = end;
        }
    }

    /// Returns the bytes of the IP packet so far.
    const fn l3_len(&self) -> usize {
        self.end - self.headroom_len - self.layout.l3_offset
    }

    /// Tells whether the headers of `frame` are those of the next frame of the run.
    #[inline]
    fn is_continued_by(&self, frame: &[u8], layout: Layout) -> bool {
        if layout != self.layout {
            return false;
        }
        let (Some((l2, l3)), Some((next_l2, next_l3))) = (
            self.data().split_at_checked(layout.l3_offset),
            frame.split_at_checked(layout.l3_offset),
        ) else {
            return false;
        };
        let is_next_packet = match layout.ip {
            Ip::V4 => match (l3.first_chunk(), next_l3.first_chunk()) {
                (Some(first), Some(next)) => self.is_next_v4(first, next),
                _ => false,
            },
            Ip::V6 => match (l3.first_chunk(), next_l3.first_chunk()) {
                (Some(first), Some(next)) => is_next_v6(first, next),
                _ => false,
            },
        };
        is_next_packet && l2 == next_l2
    }

    /// Compares IPv4 headers and ports.
    #[inline]
    fn is_next_v4(
        &self,
        first: &[u8; Ipv4View::LEN + PORTS_LEN],
        next: &[u8; Ipv4View::LEN + PORTS_LEN],
    ) -> bool {
        let is_same = get::<0, 2, _>(first) == get::<0, 2, _>(next)
            // Flags and fragment offset, hops left and protocol.
            && get::<6, 4, _>(first) == get::<6, 4, _>(next)
            // Addresses and ports.
            && get::<12, 12, _>(first) == get::<12, 12, _>(next);
        is_same && (has_no_meaningful_id(first) || self.is_next_id(first, next))
    }

    #[inline]
    fn is_next_id<const N: usize>(&self, first: &[u8; N], next: &[u8; N]) -> bool {
        let ahead = u16_at::<4, _>(next).wrapping_sub(u16_at::<4, _>(first));
        usize::from(ahead) == self.frame_count
    }

    /// Writes into the headers what they have to say of the whole, and returns what is left to do.
    fn write_headers(&mut self) -> Option<Offload> {
        let layout = self.layout;
        let l3_len = self.l3_len();
        let (l4_start, l4_len) = (
            layout.l4_offset(),
            u16::try_from(l3_len + layout.l3_offset - layout.l4_offset()).ok()?,
        );
        let frame = self.buf.get_mut(self.headroom_len..self.end)?;
        let partial = layout.pseudo_header(frame, l4_len).fold();
        let l3 = frame.get_mut(layout.l3_offset..)?;
        match layout.ip {
            Ip::V4 => {
                let mut ip = Ipv4Mut::parse(l3).ok()?;
                ip.set_total_len(u16::try_from(l3_len).ok()?);
                ip.fill_checksum();
            }
            Ip::V6 => Ipv6Mut::parse(l3).ok()?.set_payload_len(l4_len),
        }
        let mut udp = UdpMut::parse(frame.get_mut(l4_start..)?).ok()?;
        udp.set_len(l4_len);
        udp.set_checksum(partial);
        Some(Offload {
            checksum: ChecksumOffload::Partial {
                start: u16::try_from(l4_start).ok()?,
                offset: CHECKSUM_OFFSET,
            },
            gso: Some(Gso {
                kind: GsoKind::Udp,
                ecn: false,
                size: u16::try_from(self.size).ok()?,
                header_len_hint: u16::try_from(layout.payload_offset()).ok()?,
            }),
        })
    }
}

/// Compares IPv6 headers and ports: everything but Payload Length.
#[inline]
fn is_next_v6(
    first: &[u8; Ipv6View::LEN + PORTS_LEN],
    next: &[u8; Ipv6View::LEN + PORTS_LEN],
) -> bool {
    get::<0, 4, _>(first) == get::<0, 4, _>(next) && get::<6, 38, _>(first) == get::<6, 38, _>(next)
}

/// Tells whether the packet is atomic, so that its Identification means nothing (RFC 6864 §4).
#[inline]
fn has_no_meaningful_id<const N: usize>(ip: &[u8; N]) -> bool {
    u16_at::<6, _>(ip) & DONT_FRAGMENT != 0
}

/// Verifies what a candidate's checksum states of the bytes that are there.
#[inline]
fn verify(frame: &[u8], checksum: ChecksumOffload, layout: Layout) -> Trust {
    match checksum {
        // Its pseudo-header was verified when the frame was classified.
        ChecksumOffload::Partial { .. } => Trust::Right,
        // `Validated` is the word of whoever wrote the frame, who may be anybody.
        ChecksumOffload::Complete | ChecksumOffload::Validated => {
            let datagram = frame.get(layout.l4_offset()..).unwrap_or_default();
            let sum = u16::try_from(datagram.len())
                .map_or(Sum::ZERO, |len| layout.pseudo_header(frame, len));
            if sum.and_bytes(datagram).fold() == 0xffff {
                Trust::Right
            } else {
                Trust::Wrong
            }
        }
    }
}

const MAX_L3_LEN: usize = u16::MAX as usize;
const PORTS_LEN: usize = 4;
const DONT_FRAGMENT: u16 = 0x4000;
const CHECKSUM_OFFSET: u16 = 6;
const _: () = assert!(CHECKSUM_OFFSET as usize == UdpView::CHECKSUM_OFFSET);
