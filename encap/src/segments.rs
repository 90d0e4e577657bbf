//! A super-frame on its way out: one small header a segment, the payload where it was read.
//!
//! ```text
//! super-frame   │ headers │ payload ─────────────────────────────────────────────│
//!                          │← size →│← size →│← size →│← rest →│
//! side array    │ VXLAN, headers of segment 0 │ VXLAN, headers of segment 1 │ …
//!
//! one message   { side array 0, payload 0 }, { side array 1, payload 1 }, …
//!               with UDP_SEGMENT = segment_len
//! ```
//!
//! Cutting is that of [`Splitter`]; this file puts the tunnel's header in front and, for tunnels
//! that carry IP, leaves the Ethernet header out.

use core::ops::Range;

use tapweave_net::{Offload, SegmentError, SplitError, Splitter};

use crate::TunnelHeader;

/// Yields the segments of a super-frame as a tunnel carries them.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a> {
    splitter: Splitter<'a>,
    header: TunnelHeader,
    /// Bytes of the frame that the tunnel leaves out.
    skipped_len: usize,
}

/// The headers of a segment were written; this is where they are, and the rest of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Where the headers are in the output.
    pub headers: Range<usize>,
    /// What follows them, where it stands in the super-frame.
    pub payload: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(crate) fn new(
        frame: &'a [u8],
        offload: Offload,
        header: TunnelHeader,
        skipped_len: usize,
    ) -> Result<Self, SplitError> {
        Ok(Self {
            splitter: Splitter::new(frame, offload)?,
            header,
            skipped_len,
        })
    }

    /// Returns how many segments there are: one or more.
    pub const fn count(&self) -> usize {
        self.splitter.segment_count()
    }

    /// Returns the bytes that [`Segments::write`] needs for the headers of a segment: up to about
    /// 150, more only with long chains of IPv6 extension headers.
    pub const fn headers_len(&self) -> usize {
        self.header.bytes().len() + self.splitter.header_len()
    }

    /// Returns the bytes of every segment but the last, headers included: what `UDP_SEGMENT` is
    /// told.
    pub fn segment_len(&self) -> usize {
        self.carried_len(self.splitter.max_segment_len())
    }

    /// Returns the bytes of the segment `index`, `None` when there are not that many.
    pub fn len_of(&self, index: usize) -> Option<usize> {
        let payload = self.splitter.payload(index)?;
        Some(self.carried_len(self.splitter.header_len() + payload.len()))
    }

    /// Writes the headers of the segment `index`, counted from zero, to `out`, complete for the
    /// payload that is returned beside their place. The rest of `out` is untouched.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Index`], [`SegmentError::Space`] when `out` is shorter than
    /// [`Segments::headers_len`].
    pub fn write(&self, index: usize, out: &mut [u8]) -> Result<Segment<'a>, SegmentError> {
        let header = self.header.bytes();
        let no_space = SegmentError::Space {
            needed: self.headers_len(),
            present: out.len(),
        };
        let (out_header, out_rest) = out
            .split_at_mut_checked(header.len())
            .filter(|(_, rest)| rest.len() >= self.splitter.header_len())
            .ok_or(no_space)?;
        let segment = self.splitter.write_headers(index, out_rest)?;
        out_header.copy_from_slice(header);
        Ok(Segment {
            headers: self.skipped_len..header.len() + segment.header_len,
            payload: segment.payload,
        })
    }

    /// Returns the bytes that travel of a segment that is `len` bytes long with its Ethernet
    /// header, which is at least as long as what is left out.
    const fn carried_len(&self, len: usize) -> usize {
        (self.header.bytes().len() + len).saturating_sub(self.skipped_len)
    }
}
