//! One run: segments that have been merged, in a buffer of its own.

use super::segment::{LAST, Layout, Segment, is_intact};
use crate::{
    ChecksumOffload, EthernetView, Frame, Gso, GsoKind, Ipv4Mut, Ipv6Mut, Network, Offload,
    TcpFlags, TcpMut, TcpView, VlanTag,
};

/// Bytes of the longest IP packet that is made.
const MAX_L3_LEN: usize = u16::MAX as usize;

/// Bytes of the longest super-frame.
const MAX_LEN: usize = EthernetView::LEN + 2 * VlanTag::LEN + MAX_L3_LEN;

/// Segments of one flow that leave together. Its buffer is allocated once and reused.
#[derive(Debug)]
pub(super) struct Run {
    /// Headroom and the longest super-frame. Zeroed memory from the kernel: pages that no run reaches
    /// are never touched.
    buf: Box<[u8]>,
    headroom_len: usize,
    /// End of the super-frame in `buf`.
    end: usize,
    layout: Layout,
    /// State of the first segment's checksum.
    checksum: ChecksumOffload,
    /// Whether the first segment's checksum is known to be right.
    is_verified: bool,
    next_seq: u32,
    /// Payload bytes of every segment but the last.
    size: usize,
    count: usize,
    last_flags: TcpFlags,
    has_ended: bool,
}

impl Run {
    pub(super) fn new(headroom_len: usize) -> Self {
        Self {
            buf: vec![0; headroom_len + MAX_LEN].into_boxed_slice(),
            headroom_len,
            end: headroom_len,
            layout: Layout {
                network: Network::Other,
                l3: 0,
                l4: 0,
                payload: 0,
            },
            checksum: ChecksumOffload::Complete,
            is_verified: false,
            next_seq: 0,
            size: 0,
            count: 0,
            last_flags: TcpFlags::EMPTY,
            has_ended: true,
        }
    }

    /// Starts anew with a copy of `first`.
    #[inline]
    pub(super) fn start(&mut self, first: &Segment<'_>) {
        self.layout = first.layout;
        self.checksum = first.checksum;
        self.is_verified = false;
        self.next_seq = first.seq;
        self.size = first.payload().len();
        self.count = 0;
        self.last_flags = TcpFlags::EMPTY;
        self.has_ended = false;
        self.end = self.headroom_len;
        self.put(first.frame, first.payload().len());
    }

    /// Merges `next` and returns true, or returns false when it does not continue the run.
    #[inline]
    pub(super) fn append(&mut self, next: &Segment<'_>) -> bool {
        let payload = next.payload();
        let is_next = !self.has_ended
            && next.seq == self.next_seq
            && payload.len() <= self.size
            && self.l3_len() + payload.len() <= MAX_L3_LEN
            && self.is_continued_by(next);
        if !is_next {
            return false;
        }
        if !self.is_verified {
            if !is_intact(self.data(), self.layout, self.checksum) {
                self.has_ended = true;
                return false;
            }
            self.is_verified = true;
        }
        if !next.is_intact() {
            return false;
        }
        self.put(payload, payload.len());
        self.last_flags = next.last_flags();
        self.has_ended = payload.len() < self.size || next.ends_run();
        true
    }

    /// Tells whether nothing more can be merged.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns what leaves: the one segment as it came, or the super-frame. Ends the run.
    #[inline]
    pub(super) fn finish(&mut self) -> Frame<'_> {
        self.has_ended = true;
        let mut offload = Offload {
            checksum: self.checksum,
            gso: None,
        };
        if self.count > 1
            && let Some(whole) = self.write_headers()
        {
            offload = whole;
        }
        let frame = self.buf.get_mut(..self.end).unwrap_or_default();
        Frame::new(frame, self.headroom_len, offload)
    }

    fn data(&self) -> &[u8] {
        self.buf
            .get(self.headroom_len..self.end)
            .unwrap_or_default()
    }

    /// Returns the bytes of the IP packet so far.
    const fn l3_len(&self) -> usize {
        self.end - self.headroom_len - self.layout.l3
    }

    /// Puts bytes behind what is there, of which `payload_len` are payload.
    #[inline]
    fn put(&mut self, bytes: &[u8], payload_len: usize) {
        let end = self.end + bytes.len();
        if let Some(place) = self.buf.get_mut(self.end..end) {
            place.copy_from_slice(bytes);
            self.end = end;
            self.count += 1;
            // At most 64 KiB of payload.
            let sent = u32::try_from(payload_len).unwrap_or_default();
            self.next_seq = self.next_seq.wrapping_add(sent);
        }
    }

    /// Tells whether the headers of `next` are those of the next segment.
    #[inline]
    fn is_continued_by(&self, next: &Segment<'_>) -> bool {
        let (first, frame) = (self.data(), next.frame);
        if next.layout != self.layout {
            return false;
        }
        let mut parts = self.layout.equal_parts().into_iter();
        parts.all(|part| first.get(part.clone()) == frame.get(part))
            && self.window_and_flags(first) == self.window_and_flags(frame)
            && self.is_next_id(frame)
    }

    /// Returns window and those flags that have to be equal.
    #[inline]
    fn window_and_flags(&self, frame: &[u8]) -> Option<(u16, TcpFlags)> {
        let tcp = TcpView::parse(frame.get(self.layout.l4..self.layout.payload)?).ok()?;
        Some((tcp.window(), tcp.flags().without(LAST)))
    }

    /// Tells whether the Identification counts up, or means nothing because of DF (RFC 6864 §4).
    #[inline]
    fn is_next_id(&self, frame: &[u8]) -> bool {
        const DONT_FRAGMENT: u8 = 0x40;
        if self.layout.network != Network::V4 {
            return true;
        }
        let fields = |frame: &[u8]| frame.get(self.layout.l3 + 4..)?.first_chunk::<3>().copied();
        let (Some([f0, f1, flags]), Some([n0, n1, _])) = (fields(self.data()), fields(frame))
        else {
            return false;
        };
        let ahead = u16::from_be_bytes([n0, n1]).wrapping_sub(u16::from_be_bytes([f0, f1]));
        flags & DONT_FRAGMENT != 0 || usize::from(ahead) == self.count
    }

    /// Writes into the headers what they have to say of the whole, and returns what is left to do.
    fn write_headers(&mut self) -> Option<Offload> {
        let layout = self.layout;
        let l3_len = u16::try_from(self.l3_len()).ok()?;
        let frame = self.buf.get_mut(self.headroom_len..self.end)?;
        let partial = layout.pseudo_header(frame)?.fold();
        let l4_len = u16::try_from(frame.len() - layout.l4).ok()?;
        let l3 = frame.get_mut(layout.l3..)?;
        let kind = match layout.network {
            Network::V4 => {
                let mut ip = Ipv4Mut::parse(l3).ok()?;
                ip.set_total_len(l3_len);
                ip.fill_checksum();
                GsoKind::TcpV4
            }
            Network::V6 | Network::Other => {
                Ipv6Mut::parse(l3).ok()?.set_payload_len(l4_len);
                GsoKind::TcpV6
            }
        };
        let mut tcp = TcpMut::parse(frame.get_mut(layout.l4..)?).ok()?;
        tcp.set_flags(tcp.flags() | self.last_flags);
        tcp.set_checksum(partial);
        Some(Offload {
            checksum: ChecksumOffload::Partial {
                start: u16::try_from(layout.l4).ok()?,
                offset: CHECKSUM_OFFSET,
            },
            gso: Some(Gso {
                kind,
                ecn: false,
                size: u16::try_from(self.size).ok()?,
                header_len_hint: u16::try_from(layout.payload).ok()?,
            }),
        })
    }
}

const CHECKSUM_OFFSET: u16 = 16;
const _: () = assert!(CHECKSUM_OFFSET as usize == TcpView::CHECKSUM_OFFSET);
