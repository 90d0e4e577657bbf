//! The last step before a device: what the device cannot do is done here.
//!
//! A frame whose left-over work the device takes goes out as it is; that is nearly every frame. For
//! other devices a super-frame is cut, each segment with complete checksums, and a partial checksum is
//! completed.
//!
//! The frame stays fit for further ports, as flooding needs it: segments are built in a buffer of our
//! own, and a completed checksum is stated in the frame's offload, so that nobody completes it again.

use tapweave_net::checksum::complete;
use tapweave_net::{ChecksumOffload, EtherType, Frame, Offload, Splitter};

use crate::queue::{HEADROOM, PortQueue, RECV_BUF_LEN, SendError};

/// Sends frames, with the buffer that cutting them needs.
#[derive(Debug, Default)]
pub(crate) struct Transmitter {
    /// Headroom and one segment. Empty until the first super-frame is cut.
    segment: Vec<u8>,
}

impl Transmitter {
    /// Sends `frame` to `queue`.
    ///
    /// # Errors
    ///
    /// As [`PortQueue::send`], for a frame that is cut by its first segment; and
    /// [`SendError::Unsupported`] for a frame that is not what its offload says.
    #[inline]
    pub(crate) fn transmit(
        &mut self,
        queue: &dyn PortQueue,
        frame: &mut Frame<'_>,
    ) -> Result<(), SendError> {
        if takes(queue, frame) {
            return queue.send(frame);
        }
        if frame.offload().gso.is_some() {
            return self.send_segments(queue, frame);
        }
        complete_checksum(frame)?;
        queue.send(frame)
    }

    #[cold]
    fn send_segments(&mut self, queue: &dyn PortQueue, frame: &Frame<'_>) -> Result<(), SendError> {
        let splitter = Splitter::new(frame.data(), frame.offload())
            .map_err(|_not_as_stated| SendError::Unsupported)?;
        self.segment.resize(RECV_BUF_LEN, 0);
        for index in 0..splitter.segment_count() {
            let place = self.segment.get_mut(HEADROOM..).unwrap_or_default();
            let len = splitter
                .write_segment(index, place)
                .map_err(|_too_long| SendError::Unsupported)?;
            let segment = self.segment.get_mut(..HEADROOM + len).unwrap_or_default();
            let sent = queue.send(&mut Frame::new(segment, HEADROOM, Offload::NONE));
            // The receiver asks again for segments that are lost behind the first, as on a wire.
            if index == 0 {
                sent?;
            }
        }
        Ok(())
    }
}

/// Tells whether `queue` takes a frame as it is.
#[inline]
pub(crate) fn takes(queue: &dyn PortQueue, frame: &Frame<'_>) -> bool {
    let needs = frame.offload().needs(|| is_ipv6(frame.data()));
    queue.offloads().contains(needs)
}

#[cold]
fn complete_checksum(frame: &mut Frame<'_>) -> Result<(), SendError> {
    if let ChecksumOffload::Partial { start, offset } = frame.offload().checksum {
        complete(frame.data_mut(), start, offset).map_err(|_outside| SendError::Unsupported)?;
        frame.set_offload(Offload::NONE);
    }
    Ok(())
}

/// Tells whether the frame, behind its VLAN tags, says that it carries IPv6.
fn is_ipv6(frame: &[u8]) -> bool {
    let mut fields = frame.get(12..).unwrap_or_default().chunks_exact(2);
    while let Some(&[high, low]) = fields.next() {
        let ether_type = EtherType(u16::from_be_bytes([high, low]));
        if !ether_type.is_vlan() {
            return ether_type == EtherType::IPV6;
        }
        let _tag = fields.next();
    }
    false
}

#[cfg(test)]
#[path = "transmit_tests.rs"]
mod tests;
