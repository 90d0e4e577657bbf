//! Lowering the MSS option of a TCP SYN, so that the peers never send segments too large for the
//! path.
//!
//! A tunnel's path is narrower than the links at its ends, and the ICMP message that would say so
//! is often lost on the way. A SYN that promises no more than fits needs no such message (RFC 4459
//! §3.2). The option is lowered, never raised and never added: without it a peer sends at most 536
//! bytes over IPv4 and 1220 over IPv6 (RFC 9293 §3.7.1), which fits every path that we accept.
//!
//! The caller decides which frames are asked about and what the limit is.

use crate::checksum::Delta;
use crate::header::RawOptions;
use crate::{
    ChecksumOffload, HeaderName, Network, ParsedFrame, TcpFlags, TcpMut, TcpView, Transport,
};

/// The kind of the MSS option, whose two octets of data are the size (RFC 9293 §3.1).
const MSS_KIND: u8 = 2;

/// Returns the largest segment that fits an IP packet of `mtu` bytes: without the fixed IP and TCP
/// headers, whatever options are used later (RFC 6691 §2). `None` when nothing fits or the frame
/// is not IP.
pub const fn mss_for_mtu(network: Network, mtu: u16) -> Option<u16> {
    let headers_len = match network {
        Network::V4 => 40,
        Network::V6 => 60,
        Network::Other => return None,
    };
    match mtu.checked_sub(headers_len) {
        Some(0) | None => None,
        mss => mss,
    }
}

/// Lowers every MSS option above `limit` in `frame`, which was parsed as `parsed`, and tells
/// whether there was one. Changes SYNs only.
///
/// A checksum that is complete follows the change (RFC 1624); a partial one stays as it is, since
/// it covers nothing but the pseudo-header yet.
pub fn clamp_mss(
    frame: &mut [u8],
    parsed: &ParsedFrame,
    checksum: ChecksumOffload,
    limit: u16,
) -> bool {
    clamp(frame, parsed, checksum, limit).unwrap_or(false)
}

fn clamp(
    frame: &mut [u8],
    parsed: &ParsedFrame,
    checksum: ChecksumOffload,
    limit: u16,
) -> Option<bool> {
    if parsed.transport() != Some(Transport::Tcp) {
        return None;
    }
    let segment = frame.get_mut(parsed.l4_offset()?..parsed.payload_offset()?)?;
    let tcp = TcpView::parse(segment).ok()?;
    if !tcp.flags().contains(TcpFlags::SYN) {
        return None;
    }
    let mut sum = tcp.checksum();
    let mut options = [0; TcpView::MAX_LEN - TcpView::LEN];
    let list = segment.get_mut(TcpView::LEN..)?;
    let options = options.get_mut(..list.len())?;
    options.copy_from_slice(list);
    let mut walk = RawOptions::new(options, HeaderName::TcpOption);
    let mut is_lowered = false;
    while let Some(Ok(option)) = walk.next() {
        let Ok(size) = <[u8; 2]>::try_from(option.data) else {
            continue;
        };
        let size = u16::from_be_bytes(size);
        if option.kind != MSS_KIND || size <= limit {
            continue;
        }
        let end = options.len() - walk.rest_len();
        *list.get_mut(..end)?.last_chunk_mut()? = limit.to_be_bytes();
        // The options begin at an even distance; at an odd one the octets of a field are in the
        // other halves of their words.
        let (old, new) = match end % 2 {
            0 => (size, limit),
            _ => (size.swap_bytes(), limit.swap_bytes()),
        };
        sum = Delta::NONE.and_u16(old, new).apply(sum);
        is_lowered = true;
    }
    if is_lowered && !matches!(checksum, ChecksumOffload::Partial { .. }) {
        TcpMut::parse(segment).ok()?.set_checksum(sum);
    }
    Some(is_lowered)
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::IpProtocol;
    use crate::checksum::{Sum, Verification, complete, verify_transport};

    const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];

    /// A segment over IPv4 with these flags and options and a right checksum.
    fn segment(flags: TcpFlags, options: &[u8]) -> Vec<u8> {
        let mut tcp = vec![0x9c, 0x40, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 0];
        let words = u8::try_from((20 + options.len()) / 4).unwrap();
        tcp.extend([words << 4, flags.0, 0xfa, 0xf0, 0, 0, 0, 0]);
        tcp.extend(options);
        let len = u16::try_from(tcp.len()).unwrap();
        let [src, dst] = ADDRESSES;
        let sum = Sum::pseudo_v4(src, dst, IpProtocol::TCP, len).and_bytes(&tcp);
        tcp[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
        let [_, low] = (20 + len).to_be_bytes();
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
        frame.extend([0x45, 0, 0, low, 0, 1, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([src.octets(), dst.octets()].as_flattened());
        frame.extend(tcp);
        frame
    }

    fn clamped(frame: &[u8], limit: u16) -> (bool, Vec<u8>) {
        let mut frame = frame.to_vec();
        let parsed = ParsedFrame::parse(&frame).unwrap();
        let is_lowered = clamp_mss(&mut frame, &parsed, ChecksumOffload::Complete, limit);
        assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
        (is_lowered, frame)
    }

    #[test]
    fn a_size_above_the_limit_is_lowered_and_the_checksum_follows() {
        let frame = segment(TcpFlags::SYN, &[2, 4, 0x05, 0xb4, 4, 2, 1, 1]);
        let (is_lowered, after) = clamped(&frame, 1410);
        assert!(is_lowered);
        assert_eq!(after[54..], [2, 4, 0x05, 0x82, 4, 2, 1, 1]);
        assert_eq!(
            (&after[..50], &after[52..54]),
            (&frame[..50], &frame[52..54])
        );
        assert_eq!(clamped(&after, 1410), (false, after.clone()));
        assert_eq!(clamped(&after, u16::MAX), (false, after.clone()));
    }

    #[test]
    fn an_option_at_an_odd_distance_is_lowered_too() {
        let options = [1, 2, 4, 0x05, 0xb4, 1, 1, 0];
        let (is_lowered, after) = clamped(&segment(TcpFlags::SYN | TcpFlags::ACK, &options), 0x1ff);
        assert!(is_lowered);
        assert_eq!(after[54..], [1, 2, 4, 0x01, 0xff, 1, 1, 0]);
    }

    #[test]
    fn every_one_of_several_options_is_lowered() {
        let options = [2, 4, 0x05, 0xb4, 1, 2, 4, 0xff, 0xff, 2, 4, 0, 9, 0, 0, 0];
        let (_, after) = clamped(&segment(TcpFlags::SYN, &options), 1000);
        assert_eq!(
            after[54..],
            [2, 4, 0x03, 0xe8, 1, 2, 4, 0x03, 0xe8, 2, 4, 0, 9, 0, 0, 0]
        );
    }

    #[test]
    fn what_is_no_syn_or_has_no_such_option_stays_as_it_is() {
        let size = [2, 4, 0x05, 0xb4];
        for frame in [
            segment(TcpFlags::ACK, &size),
            segment(TcpFlags::SYN, &[]),
            segment(TcpFlags::SYN, &[0, 0, 2, 4]),
            segment(TcpFlags::SYN, &[2, 3, 0xff, 1]),
            segment(TcpFlags::SYN, &[1, 1, 1, 2]),
            segment(TcpFlags::SYN, &[1, 2, 4, 0xff]),
        ] {
            assert_eq!(clamped(&frame, 500), (false, frame.clone()));
        }
    }

    #[test]
    fn a_partial_checksum_is_right_when_it_is_completed_afterwards() {
        let mut frame = segment(TcpFlags::SYN, &[1, 1, 1, 2, 4, 0x05, 0xb4, 0]);
        let parsed = ParsedFrame::parse(&frame).unwrap();
        let [src, dst] = ADDRESSES;
        let pseudo = Sum::pseudo_v4(src, dst, IpProtocol::TCP, 28).fold();
        frame[50..52].copy_from_slice(&pseudo.to_be_bytes());
        let partial = ChecksumOffload::Partial {
            start: 34,
            offset: 16,
        };
        assert!(clamp_mss(&mut frame, &parsed, partial, 700));
        assert_eq!(frame[50..52], pseudo.to_be_bytes());
        complete(&mut frame, 34, 16).unwrap();
        assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
    }

    #[test]
    fn the_limit_is_what_an_mtu_leaves_for_payload() {
        assert_eq!(mss_for_mtu(Network::V4, 1450), Some(1410));
        assert_eq!(mss_for_mtu(Network::V6, 1430), Some(1370));
        assert_eq!(mss_for_mtu(Network::V4, 40), None);
        assert_eq!(mss_for_mtu(Network::V6, 59), None);
        assert_eq!(mss_for_mtu(Network::Other, 1500), None);
    }
}
