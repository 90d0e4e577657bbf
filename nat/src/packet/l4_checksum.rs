//! The L4 checksum of a packet: where it stands and what it holds.

use tapweave_net::checksum::Delta;
use tapweave_net::{
    ChecksumOffload, Icmpv4View, Icmpv6View, ParsedFrame, TcpView, Transport, UdpView,
};

use super::Unreadable;

/// What the checksum field of an L4 header holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum L4Checksum {
    /// The checksum of the whole.
    Complete,
    /// The sum of the pseudo-header; a device does the rest.
    Partial,
}

/// How what an L4 checksum covers has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct L4Change {
    /// The addresses of the pseudo-header.
    pub(super) addresses: Delta,
    /// The ports or the identifier, and whatever else behind the start of the L4 header.
    pub(super) header: Delta,
}

impl L4Checksum {
    /// Finds out what the L4 checksum of a frame with an L4 header holds; see the head of
    /// [`super`].
    #[inline]
    pub(super) fn of(offload: ChecksumOffload, parsed: &ParsedFrame) -> Result<Self, Unreadable> {
        let Some(transport) = parsed.transport() else {
            return Err(parsed
                .protocol()
                .map_or(Unreadable::NotIp, Unreadable::Protocol));
        };
        match offload {
            ChecksumOffload::Complete | ChecksumOffload::Validated => Ok(Self::Complete),
            ChecksumOffload::Partial { start, offset } => {
                let place = (start.into(), offset.into());
                Self::of_partial(place, transport, parsed)
            }
        }
    }

    #[inline]
    fn of_partial(
        (start, offset): (usize, usize),
        transport: Transport,
        parsed: &ParsedFrame,
    ) -> Result<Self, Unreadable> {
        let refused = Unreadable::PartialChecksum;
        if parsed.fragment().is_part() {
            return Err(refused);
        }
        if parsed.l4_offset() == Some(start) && field_offset(transport) == offset {
            return Ok(Self::Partial);
        }
        let payload_offset = parsed.payload_offset().ok_or(refused)?;
        if start >= payload_offset {
            return Ok(Self::Complete);
        }
        Err(refused)
    }

    /// Returns what a field that held `old` holds after the change.
    #[inline(always)]
    pub(super) const fn after(self, transport: Transport, old: u16, change: L4Change) -> u16 {
        match (self, transport) {
            (Self::Complete, Transport::Tcp | Transport::Icmpv6) => {
                change.addresses.and(change.header).apply(old)
            }
            (Self::Complete, Transport::Udp) => change.addresses.and(change.header).apply_udp(old),
            // An echo reply may be all zero, and its checksum is 0xffff then, as nothing but the sum
            // of nothing is zero. Over other data both mean the same number.
            (Self::Complete, Transport::Icmpv4) => match change.header.apply(old) {
                0 => 0xffff,
                checksum => checksum,
            },
            (Self::Partial, Transport::Icmpv4) => old,
            (Self::Partial, Transport::Tcp | Transport::Udp | Transport::Icmpv6) => {
                change.addresses.apply_partial(old)
            }
        }
    }
}

/// Returns where the checksum field is, from the start of the L4 header.
#[inline]
pub(super) const fn field_offset(transport: Transport) -> usize {
    match transport {
        Transport::Tcp => TcpView::CHECKSUM_OFFSET,
        Transport::Udp => UdpView::CHECKSUM_OFFSET,
        Transport::Icmpv4 => Icmpv4View::CHECKSUM_OFFSET,
        Transport::Icmpv6 => Icmpv6View::CHECKSUM_OFFSET,
    }
}
