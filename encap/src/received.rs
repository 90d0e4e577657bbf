//! What is left to do on a frame that came out of a tunnel.
//!
//! Nothing, if it crossed a wire: checksums are complete and frames fit the MTU. A kernel whose
//! packets never do, such as that of a VXLAN device in another namespace of the same host, leaves
//! both to a network card that is never reached: the inner checksum is *partial* (the bare sum of
//! the pseudo-header), and a TCP super-frame comes as one datagram of up to 64 KiB. Taken as it
//! looks, every TCP segment would be dropped by its receiver, while ping works.
//!
//! So a checksum field that holds the bare sum, and is wrong as a checksum, means a partial
//! checksum, and a TCP frame above the MTU that has one is a super-frame whose segments fill the
//! MTU. What is above the MTU has crossed no wire, so there the field alone decides: 64 KiB need not
//! be summed, and the checksums of its segments are computed anew anyway. How a UDP super-frame is to be cut cannot be known; it stays a frame that is too large.

use tapweave_net::checksum::{has_bare_sum, is_transport_partial};
use tapweave_net::{
    ChecksumOffload, Gso, GsoKind, Network, Offload, ParsedFrame, TcpView, Transport, UdpView,
};

/// Returns what is left to do on `frame`, which came out of a tunnel and was parsed as `parsed`, in
/// a network whose IP packets are at most `mtu` bytes long. The payload is read only if the
/// checksum field looks partial and the packet is no longer than that.
pub fn received_offload(frame: &[u8], parsed: &ParsedFrame, mtu: u16) -> Offload {
    partial(frame, parsed, mtu).unwrap_or(Offload::NONE)
}

fn partial(frame: &[u8], parsed: &ParsedFrame, mtu: u16) -> Option<Offload> {
    let is_partial = if is_above(parsed, mtu) {
        has_bare_sum(frame, parsed)
    } else {
        is_transport_partial(frame, parsed)
    };
    if !is_partial {
        return None;
    }
    let offset = match parsed.transport()? {
        Transport::Tcp => TcpView::CHECKSUM_OFFSET,
        Transport::Udp => UdpView::CHECKSUM_OFFSET,
        Transport::Icmpv4 | Transport::Icmpv6 => return None,
    };
    let checksum = ChecksumOffload::Partial {
        start: u16::try_from(parsed.l4_offset()?).ok()?,
        offset: u16::try_from(offset).ok()?,
    };
    let gso = super_frame(parsed, mtu);
    Some(Offload { checksum, gso })
}

fn is_above(parsed: &ParsedFrame, mtu: u16) -> bool {
    parsed.l3_end() - parsed.l3_offset() > usize::from(mtu)
}

/// Returns how a TCP frame above the MTU is to be cut.
fn super_frame(parsed: &ParsedFrame, mtu: u16) -> Option<Gso> {
    let kind = match (parsed.transport()?, parsed.network()) {
        (Transport::Tcp, Network::V4) => GsoKind::TcpV4,
        (Transport::Tcp, Network::V6) => GsoKind::TcpV6,
        _ => return None,
    };
    if !is_above(parsed, mtu) {
        return None;
    }
    let payload_offset = parsed.payload_offset()?;
    let headers_len = u16::try_from(payload_offset - parsed.l3_offset()).ok()?;
    Some(Gso {
        kind,
        ecn: false,
        size: mtu.checked_sub(headers_len).filter(|size| *size > 0)?,
        header_len_hint: u16::try_from(payload_offset).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use tapweave_net::checksum::{Sum, complete};
    use tapweave_net::{IpProtocol, Splitter};

    use super::*;

    /// A frame with `payload_len` bytes in TCP or UDP and a partial checksum.
    fn frame(is_v6: bool, protocol: IpProtocol, payload_len: u16) -> Vec<u8> {
        let header_len = if protocol == IpProtocol::TCP { 20 } else { 8 };
        let len = header_len + payload_len;
        let mut l4 = vec![0x9c, 0x40, 0x14, 0x51];
        l4.extend(if protocol == IpProtocol::TCP {
            vec![0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xfa, 0xf0, 0, 0, 0, 0]
        } else {
            [len.to_be_bytes(), [0, 0]].concat()
        });
        l4.extend((0..payload_len).map(|place| place.to_be_bytes()[1]));
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
        let sum = if is_v6 {
            let addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(len.to_be_bytes());
            frame.extend([protocol.0, 64]);
            frame.extend([addr.octets(), addr.octets()].as_flattened());
            Sum::pseudo_v6(addr, addr, protocol, len.into())
        } else {
            let addr = Ipv4Addr::new(10, 0, 0, 2);
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + len).to_be_bytes());
            frame.extend([0, 1, 0x40, 0, 64, protocol.0, 0, 0]);
            frame.extend([addr.octets(), addr.octets()].as_flattened());
            Sum::pseudo_v4(addr, addr, protocol, len)
        };
        let field = frame.len() + usize::from(checksum_offset(protocol));
        frame.extend(l4);
        frame[field..field + 2].copy_from_slice(&sum.fold().to_be_bytes());
        frame
    }

    fn checksum_offset(protocol: IpProtocol) -> u16 {
        if protocol == IpProtocol::TCP { 16 } else { 6 }
    }

    fn offload(frame: &[u8]) -> Offload {
        received_offload(frame, &ParsedFrame::parse(frame).unwrap(), 1450)
    }

    const ALL: [(bool, IpProtocol); 4] = [
        (false, IpProtocol::TCP),
        (true, IpProtocol::TCP),
        (false, IpProtocol::UDP),
        (true, IpProtocol::UDP),
    ];

    #[test]
    fn a_partial_checksum_is_recognised_and_a_complete_one_left_alone() {
        for (is_v6, protocol) in ALL {
            let mut frame = frame(is_v6, protocol, 100);
            let start = if is_v6 { 54 } else { 34 };
            let offset = checksum_offset(protocol);
            let checksum = ChecksumOffload::Partial { start, offset };
            let want = Offload {
                checksum,
                gso: None,
            };
            assert_eq!(offload(&frame), want);
            complete(&mut frame, start, offset).unwrap();
            assert_eq!(offload(&frame), Offload::NONE);
            *frame.last_mut().unwrap() ^= 1;
            assert_eq!(offload(&frame), Offload::NONE);
        }
    }

    #[test]
    fn a_right_checksum_that_happens_to_be_the_bare_sum_is_complete() {
        // Without payload and with a header that sums to the inverse of twice the bare sum.
        let mut frame = frame(false, IpProtocol::TCP, 2);
        let field = u16::from_be_bytes([frame[50], frame[51]]);
        frame[54..56].fill(0);
        let rest = Sum::of(&frame[34..]).and_u16(field);
        frame[54..56].copy_from_slice(&rest.checksum().to_be_bytes());
        assert_eq!(frame[50..52], field.to_be_bytes());
        assert_eq!(offload(&frame), Offload::NONE);
    }

    #[test]
    fn a_tcp_frame_above_the_mtu_is_cut_into_segments_that_fill_it() {
        for (is_v6, size) in [(false, 1410), (true, 1390)] {
            let frame = frame(is_v6, IpProtocol::TCP, 60_000);
            let offload = offload(&frame);
            assert_eq!(offload.gso.map(|gso| gso.size), Some(size));
            let splitter = Splitter::new(&frame, offload).unwrap();
            assert_eq!(splitter.max_segment_len(), 14 + 1450);
        }
    }

    #[test]
    fn above_the_mtu_the_field_alone_decides() {
        let mut frame = frame(false, IpProtocol::TCP, 3000);
        let start = 34;
        let field = u16::from_be_bytes([frame[50], frame[51]]);
        // Payload that makes the bare sum a right checksum too.
        frame[54..56].fill(0);
        let rest = Sum::of(&frame[start..]).and_u16(field);
        frame[54..56].copy_from_slice(&rest.checksum().to_be_bytes());
        let parsed = ParsedFrame::parse(&frame).unwrap();
        assert!(has_bare_sum(&frame, &parsed));
        assert!(!is_transport_partial(&frame, &parsed));
        assert_eq!(offload(&frame).gso.map(|gso| gso.size), Some(1410));
    }

    #[test]
    fn what_cannot_be_cut_stays_too_large() {
        let udp = frame(false, IpProtocol::UDP, 3000);
        assert_eq!(offload(&udp).gso, None);
        let tcp = frame(false, IpProtocol::TCP, 3000);
        let parsed = ParsedFrame::parse(&tcp).unwrap();
        assert_eq!(received_offload(&tcp, &parsed, 40).gso, None);
    }
}
