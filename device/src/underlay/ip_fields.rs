//! What the outer IP header of a message says.

use std::net::IpAddr;
use std::num::NonZeroU8;

use crate::sys::udp::Ancillary;

/// What the outer IP header of a message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpFields {
    /// TOS or Traffic Class.
    pub class: u8,
    /// TTL or Hop Limit, not zero.
    pub hop_limit: u8,
}

impl IpFields {
    /// Returns what a socket is told whose packets have `usual_hops` if nothing is said. What is sent to a group
    /// has its own, so there it is always said.
    pub(super) fn ancillary(
        self,
        usual_hops: u8,
        to: IpAddr,
        segment_len: Option<u16>,
    ) -> Ancillary {
        let is_usual = self.hop_limit == usual_hops && !to.is_multicast();
        Ancillary {
            segment_len,
            class: self.class,
            hop_limit: NonZeroU8::new(self.hop_limit).filter(|_| !is_usual),
        }
    }
}
