//! IP packets with datagrams, for services of gateways.

use std::net::SocketAddr;

use tapweave_net::checksum::Sum;
use tapweave_net::{IpProtocol, UdpView};

/// The TTL and Hop Limit of what the gateway says (RFC 1340).
const HOP_LIMIT: u8 = 64;

/// Where the checksum of an IPv4 header stands (RFC 791 §3.1).
const IPV4_CHECKSUM_OFFSET: usize = 10;

/// Returns the packet that carries `payload`; `None` when it is too long for one, or the addresses are of two families.
pub(crate) fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_len = u16::try_from(UdpView::LEN + payload.len()).ok()?;
    let mut udp = Vec::with_capacity(usize::from(udp_len));
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend(udp_len.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let (ip, pseudo) = match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            let (src, dst) = (*from.ip(), *to.ip());
            let total_len = udp_len.checked_add(20)?.to_be_bytes();
            // Don't Fragment: it is small, and then needs no Identification (RFC 6864 §4.1).
            let mut ip = vec![0x45, 0, total_len[0], total_len[1], 0, 0, 0x40, 0];
            ip.extend([HOP_LIMIT, IpProtocol::UDP.0, 0, 0]);
            ip.extend(src.octets());
            ip.extend(dst.octets());
            let checksum = Sum::of(&ip).checksum().to_be_bytes();
            ip.get_mut(IPV4_CHECKSUM_OFFSET..)?
                .first_chunk_mut()
                .map(|field| *field = checksum)?;
            (ip, Sum::pseudo_v4(src, dst, IpProtocol::UDP, udp_len))
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            let (src, dst) = (*from.ip(), *to.ip());
            let mut ip = vec![0x60, 0, 0, 0];
            ip.extend(udp_len.to_be_bytes());
            ip.extend([IpProtocol::UDP.0, HOP_LIMIT]);
            ip.extend(src.octets());
            ip.extend(dst.octets());
            let pseudo = Sum::pseudo_v6(src, dst, IpProtocol::UDP, udp_len.into());
            (ip, pseudo)
        }
        _ => return None,
    };
    let checksum = pseudo.and_bytes(&udp).udp_checksum().to_be_bytes();
    udp.get_mut(UdpView::CHECKSUM_OFFSET..)?
        .first_chunk_mut()
        .map(|field| *field = checksum)?;
    Some([ip, udp].concat())
}
