//! Internet checksums: in full, by difference, and what a partial one still needs.
//!
//! [`Sum`] computes, [`Delta`] updates by RFC 1624, [`complete`] finishes what a sender left to a
//! device, [`verify_transport`] tells whether the L4 checksum of a parsed frame is right, and
//! [`is_transport_partial`] whether it is one that a sender left to a device that never came.

mod delta;
mod sum;

use thiserror::Error;

pub use delta::Delta;
pub use sum::Sum;

use crate::{
    Extension, Fragment, IpProtocol, Ipv4View, Ipv6View, Network, ParsedFrame, RawOption, TcpView,
    Transport, UdpView,
};

/// A partial checksum that its frame has no room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("checksum at {start} + {offset} lies outside a frame of {frame_len} bytes")]
pub struct CompleteError {
    /// First byte that the checksum covers.
    pub start: u16,
    /// The checksum field, from `start`.
    pub offset: u16,
    /// Bytes of the frame.
    pub frame_len: usize,
}

/// Completes a [partial](crate::ChecksumOffload::Partial) checksum: sums from `start` to the end of
/// `frame` and stores the inverse at `start + offset`.
///
/// A result of zero is stored as 0xffff whatever the protocol is, as the kernel does it
/// (`skb_checksum_help`): UDP needs it and for the others both mean the same number.
///
/// # Errors
///
/// Refuses a field outside the frame, and changes nothing then.
pub fn complete(frame: &mut [u8], start: u16, offset: u16) -> Result<(), CompleteError> {
    let error = CompleteError {
        start,
        offset,
        frame_len: frame.len(),
    };
    let covered = frame.get_mut(usize::from(start)..).ok_or(error)?;
    let checksum = Sum::of(covered).udp_checksum();
    let field = covered
        .get_mut(usize::from(offset)..)
        .and_then(<[u8]>::first_chunk_mut)
        .ok_or(error)?;
    *field = checksum.to_be_bytes();
    Ok(())
}

/// What can be said of the L4 checksum of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// A UDP datagram over IPv4 says that it has none (RFC 768).
    Absent,
    /// It cannot be checked: no transport header that is known, or only a part of its payload.
    Unknown,
}

/// Tells whether the L4 checksum of `frame`, which was parsed as `parsed`, is right. It sums the whole
/// payload.
///
/// Over IPv6 a UDP checksum of zero is wrong (RFC 8200 §8.1); the exception for tunnels of RFC 6935 is
/// the tunnel's to make.
pub fn verify_transport(frame: &[u8], parsed: &ParsedFrame) -> Verification {
    let (Some(transport), Fragment::Whole) = (parsed.transport(), parsed.fragment()) else {
        return Verification::Unknown;
    };
    let Some(segment) = parsed.l4_bytes(frame) else {
        return Verification::Unknown;
    };
    let field = segment.get(6..8);
    if transport == Transport::Udp && field == Some(&[0, 0]) {
        return match parsed.network() {
            Network::V4 => Verification::Absent,
            Network::V6 | Network::Other => Verification::Wrong,
        };
    }
    match pseudo_header(frame, parsed, transport, segment.len()) {
        Some(pseudo) if pseudo.and_bytes(segment).fold() == 0xffff => Verification::Right,
        Some(_) => Verification::Wrong,
        None => Verification::Unknown,
    }
}

/// Tells whether the checksum field of TCP or UDP in `frame`, which was parsed as `parsed`, holds the
/// bare sum of the pseudo-header where a checksum should be: it is a
/// [partial](crate::ChecksumOffload::Partial) one whose metadata got lost on the way. The payload is
/// summed only if the field looks so, to tell it from a right checksum of the same value.
pub fn is_transport_partial(frame: &[u8], parsed: &ParsedFrame) -> bool {
    has_bare_sum(frame, parsed) && verify_transport(frame, parsed) == Verification::Wrong
}

/// Tells whether the checksum field of TCP or UDP in `frame`, which was parsed as `parsed`, holds the
/// bare sum of the pseudo-header. Of right checksums one in 65,535 does so too.
pub fn has_bare_sum(frame: &[u8], parsed: &ParsedFrame) -> bool {
    let offset = match (parsed.transport(), parsed.fragment()) {
        (Some(Transport::Tcp), Fragment::Whole) => TcpView::CHECKSUM_OFFSET,
        (Some(Transport::Udp), Fragment::Whole) => UdpView::CHECKSUM_OFFSET,
        _ => return false,
    };
    is_bare_sum(frame, parsed, offset).unwrap_or(false)
}

/// Tells whether the field at `offset` of the L4 header is the sum of its pseudo-header.
fn is_bare_sum(frame: &[u8], parsed: &ParsedFrame, offset: usize) -> Option<bool> {
    let segment = parsed.l4_bytes(frame)?;
    let field = segment.get(offset..)?.first_chunk()?;
    let pseudo = pseudo_header(frame, parsed, parsed.transport()?, segment.len())?;
    Some(pseudo.fold() == u16::from_be_bytes(*field))
}

/// Returns the sum of the pseudo-header before an L4 header and payload of `len` bytes; zero for
/// ICMP for IPv4, which has none (RFC 792). `None` when the packet is still under way on a source route: the
/// pseudo-header has the final destination then (RFC 8200 §8.1), and the address field another one.
fn pseudo_header(
    frame: &[u8],
    parsed: &ParsedFrame,
    transport: Transport,
    len: usize,
) -> Option<Sum> {
    let protocol = match transport {
        Transport::Tcp => IpProtocol::TCP,
        Transport::Udp => IpProtocol::UDP,
        Transport::Icmpv4 => return Some(Sum::ZERO),
        Transport::Icmpv6 => IpProtocol::ICMPV6,
    };
    let l3 = frame.get(parsed.l3_offset()..)?;
    match parsed.network() {
        Network::V4 => {
            let ip = Ipv4View::parse(l3).ok()?;
            if ip.options().flatten().any(is_source_route) {
                return None;
            }
            let len = u16::try_from(len).ok()?;
            Some(Sum::pseudo_v4(ip.src(), ip.dst(), protocol, len))
        }
        Network::V6 => {
            let ip = Ipv6View::parse(l3).ok()?;
            if ip.extensions().flatten().any(has_segments_left) {
                return None;
            }
            let len = u32::try_from(len).ok()?;
            Some(Sum::pseudo_v6(ip.src(), ip.dst(), protocol, len))
        }
        Network::Other => None,
    }
}

/// Tells whether the option is a loose or strict source route (RFC 791 §3.1).
const fn is_source_route(option: RawOption<'_>) -> bool {
    matches!(option.kind, 131 | 137)
}

/// Tells whether the header is a Routing header with Segments Left (RFC 8200 §4.4).
fn has_segments_left(extension: Extension<'_>) -> bool {
    extension.kind == IpProtocol::ROUTING && extension.bytes.get(3) != Some(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_checksum_is_completed_in_place() {
        // Five bytes before the start, so that the sum begins at an odd address.
        let mut frame = [0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0x12, 0x34, 0xab, 0xcd, 0x56];
        complete(&mut frame, 5, 2).unwrap();
        // 0x1234 + 0xabcd + 0x5600 is 0x1402 with its carry.
        let want = [0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0x12, 0x34, 0xeb, 0xfd, 0x56];
        assert_eq!(frame, want);
    }

    #[test]
    fn a_checksum_of_zero_is_stored_as_all_ones() {
        let mut frame = [0xff, 0x00, 0x00, 0xff];
        complete(&mut frame, 0, 2).unwrap();
        assert_eq!(frame, [0xff, 0x00, 0xff, 0xff]);
    }

    #[test]
    fn a_field_outside_the_frame_is_refused_and_nothing_changes() {
        let mut frame = [0xa5; 8];
        for (start, offset) in [(0, 7), (4, 3), (8, 0), (9, 0), (u16::MAX, u16::MAX)] {
            let error = CompleteError {
                start,
                offset,
                frame_len: 8,
            };
            assert_eq!(complete(&mut frame, start, offset), Err(error));
        }
        assert_eq!(frame, [0xa5; 8]);
        assert_eq!(complete(&mut frame, 6, 0), Ok(()));
    }

    fn verify(ethertype: u16, l3: &[u8]) -> Verification {
        let frame = [&[2; 12][..], &ethertype.to_be_bytes(), l3].concat();
        verify_transport(&frame, &ParsedFrame::parse(&frame).unwrap())
    }

    /// A UDP datagram without payload from 10.0.0.1 to 10.0.0.2, port 1 to port 2.
    fn udp_v4(fragment: u8, checksum: u16) -> Verification {
        let [high, low] = checksum.to_be_bytes();
        let header = [0x45, 0, 0, 28, 0, 0, fragment, 0, 64, 17, 0, 0];
        let addresses = [10, 0, 0, 1, 10, 0, 0, 2];
        let udp = [0, 1, 0, 2, 0, 8, high, low];
        verify(0x0800, &[&header[..], &addresses, &udp].concat())
    }

    #[test]
    fn a_udp_datagram_over_ipv4_may_have_no_checksum() {
        // 0x0a00 + 1 + 0x0a00 + 2 + 17 + 8 + 1 + 2 + 8 is 0x1427.
        assert_eq!(udp_v4(0, !0x1427), Verification::Right);
        assert_eq!(udp_v4(0, !0x1428), Verification::Wrong);
        assert_eq!(udp_v4(0, 0), Verification::Absent);
        assert_eq!(udp_v4(0x20, !0x1427), Verification::Unknown);
    }

    #[test]
    fn a_udp_datagram_over_ipv6_must_have_one_that_covers_the_final_destination() {
        let packet = |next: u8, upper: &[u8]| {
            let len = u8::try_from(upper.len()).unwrap();
            let header = [0x60, 0, 0, 0, 0, len, next, 64];
            [&header[..], &[0; 32], upper].concat()
        };
        let udp = |checksum: u16| {
            let [high, low] = checksum.to_be_bytes();
            [0, 1, 0, 2, 0, 8, high, low]
        };
        // 17 + 8 + 1 + 2 + 8 is 36.
        assert_eq!(verify(0x86dd, &packet(17, &udp(!36))), Verification::Right);
        assert_eq!(verify(0x86dd, &packet(17, &udp(0))), Verification::Wrong);
        for (segments_left, want) in [(0, Verification::Right), (1, Verification::Unknown)] {
            let routing = [17, 0, 4, segments_left, 0, 0, 0, 0];
            let upper = [routing, udp(!36)].concat();
            assert_eq!(verify(0x86dd, &packet(43, &upper)), want);
        }
    }
}
