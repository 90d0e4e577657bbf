//! A frame in a buffer, with room in front and with what is left to do on it.

mod tag;

use core::fmt;

pub use tag::{TagAction, TagError};

use crate::Offload;

/// An Ethernet frame (destination MAC first, no FCS) inside a longer buffer.
///
/// The bytes before the frame are *headroom*: an encapsulation pushes its header there, and a device
/// puts its `virtio_net_hdr` there, so that neither copies the frame.
pub struct Frame<'a> {
    buf: &'a mut [u8],
    start: usize,
    offload: Offload,
}

impl<'a> Frame<'a> {
    /// Returns the frame that begins at `start` and fills the rest of `buf`; a `start` beyond the end
    /// of `buf` gives an empty frame.
    pub fn new(buf: &'a mut [u8], start: usize, offload: Offload) -> Self {
        let start = start.min(buf.len());
        Self {
            buf,
            start,
            offload,
        }
    }

    /// Returns the bytes of the frame.
    pub fn data(&self) -> &[u8] {
        self.buf.get(self.start..).unwrap_or_default()
    }

    /// Returns the bytes of the frame, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.start..).unwrap_or_default()
    }

    /// Returns the bytes of headroom.
    pub const fn headroom_len(&self) -> usize {
        self.start
    }

    /// Returns what is left to do on the frame.
    pub const fn offload(&self) -> Offload {
        self.offload
    }

    /// States what is left to do on the frame.
    pub const fn set_offload(&mut self, offload: Offload) {
        self.offload = offload;
    }

    /// Replaces the frame by `bytes`, which have nothing left to do, and tells whether they fit: they may be
    /// longer than the frame by as much as there is headroom. They end where the frame ended.
    pub fn replace(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.buf.len().checked_sub(bytes.len()) else {
            return false;
        };
        if let Some(place) = self.buf.get_mut(start..) {
            place.copy_from_slice(bytes);
        }
        self.start = start;
        self.offload = Offload::NONE;
        true
    }

    /// Writes `header` into the headroom right before the frame and returns header and frame as one
    /// slice; the frame itself stays what it was. `None` when the headroom is too short.
    pub fn with_header<const N: usize>(&mut self, header: [u8; N]) -> Option<&[u8]> {
        let from = self.start.checked_sub(N)?;
        self.buf.get_mut(from..self.start)?.copy_from_slice(&header);
        self.buf.get(from..)
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("len", &self.data().len())
            .field("headroom", &self.start)
            .field("offload", &self.offload)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_put_before_the_frame_without_moving_it() {
        let mut buf = [0xa5; 10];
        let mut frame = Frame::new(&mut buf, 4, Offload::NONE);
        frame.data_mut().fill(7);
        assert_eq!(
            frame.with_header([1, 2]),
            Some(&[1, 2, 7, 7, 7, 7, 7, 7][..])
        );
        assert_eq!(frame.data(), [7; 6]);
        assert_eq!(frame.with_header([0; 5]), None);
        assert_eq!(buf, [0xa5, 0xa5, 1, 2, 7, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn a_frame_is_replaced_by_one_that_is_longer_by_the_headroom_at_most() {
        let mut buf = [0xa5; 8];
        let mut frame = Frame::new(&mut buf, 4, Offload::NONE);
        assert!(frame.replace(&[1, 2]));
        assert_eq!((frame.data(), frame.headroom_len()), (&[1, 2][..], 6));
        assert!(frame.replace(&[3; 8]));
        assert_eq!(frame.data(), [3; 8]);
        assert!(!frame.replace(&[4; 9]));
        assert_eq!(frame.data(), [3; 8]);
    }

    #[test]
    fn a_start_beyond_the_buffer_is_an_empty_frame() {
        let mut buf = [0; 4];
        assert!(Frame::new(&mut buf, 5, Offload::NONE).data().is_empty());
    }
}
