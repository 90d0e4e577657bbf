//! Frames that tell a sender why its packet went no further.
//!
//! The frame that a packet came in is turned around: the VLAN tags stay, the MAC addresses are
//! those of the sender and of who tells. As much of the packet is quoted as leaves the message
//! within what every host takes: 576 bytes over IPv4 (RFC 1812 §4.3.2.3), 1280 over IPv6 (RFC 4443
//! §3.2). No extension follows the quotation, so the Length of RFC 4884 §3 is zero.
//!
//! Nobody is told about a packet that must not be answered ([`NoIcmpError`]: RFC 1122 §3.2.2, RFC
//! 1812 §4.3.2.7, RFC 4443 §2.4). How often somebody is told (RFC 4443 §2.4 (f)) is the caller's to
//! limit.
//!
//! A super-frame is quoted as it stands, with the length of the whole and a partial checksum. The
//! sender's kernel looks up the connection by addresses, ports and sequence number, which are
//! right.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::checksum::Sum;
use crate::field::put;
use crate::header::RawOption;
use crate::{
    EthernetMut, Fragment, Icmpv4Type, Icmpv4View, Icmpv6Type, Icmpv6View, IpProtocol, Ipv4View,
    Ipv6View, MacAddr, Network, ParsedFrame, Transport,
};

/// An ICMP error, to be written about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError {
    /// What is told.
    pub kind: IcmpErrorKind,
    /// MAC address of who tells it.
    pub src_mac: MacAddr,
    /// Address of who tells it, of the same family as the packet.
    pub src: IpAddr,
}

/// What an ICMP error tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum IcmpErrorKind {
    /// The packet is larger than the `mtu` of the way ahead, in bytes: "fragmentation needed" of
    /// RFC 1191 §4, "packet too big" of RFC 4443 §3.2.
    TooBig {
        /// Largest packet that fits, with its IP header.
        mtu: u16,
    },
    /// The TTL or Hop Limit ran out on the way (RFC 792; RFC 4443 §3.3).
    HopLimitExceeded,
    /// There is no route to the destination: "net unreachable" (RFC 792), "no route to destination"
    /// (RFC 4443 §3.1).
    NoRoute,
    /// The destination does not answer on its link: "host unreachable" (RFC 792), "address unreachable"
    /// (RFC 4443 §3.1).
    HostUnreachable,
    /// Nobody listens at the destination: "port unreachable" (RFC 792, RFC 4443 §3.1).
    PortUnreachable,
    /// A rule forbids it: "communication administratively prohibited" (RFC 1812 §5.2.7.1, RFC 4443
    /// §3.1).
    Prohibited,
}

/// Why no ICMP error is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NoIcmpError {
    /// The frame carries no IP packet, or one of another family than the error's sender.
    #[error("the frame is not of the family of {0}")]
    Family(IpAddr),
    /// The packet is an ICMP error or a redirect itself, or may be one.
    #[error("the packet is an ICMP error itself")]
    AboutIcmpError,
    /// The packet is an IPv4 fragment after the first.
    #[error("the packet is not the first fragment")]
    LaterFragment,
    /// The packet or the frame was for a group. "Packet too big" is told over IPv6 all the same.
    #[error("the packet is for a group")]
    Group,
    /// The source address is not that of one host.
    #[error("the source address {0} is not that of one host")]
    Source(IpAddr),
    /// The output is shorter than the message. Nothing was written.
    #[error("the message needs {needed} bytes, {present} are there")]
    Space {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        present: usize,
    },
}

/// Hops that a message of ours may travel.
const HOP_LIMIT: u8 = 64;
/// "Internetwork control" (RFC 1812 §4.3.2.5).
const CONTROL_CLASS: u8 = 0xc0;
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

impl IcmpError {
    /// Bytes that the longest message takes, with Ethernet and two VLAN tags.
    pub const MAX_LEN: usize = 14 + 8 + Self::MAX_V6_LEN;

    const MAX_V4_LEN: usize = 576;
    const MAX_V6_LEN: usize = 1280;

    /// Writes the message about the packet in `frame`, which was parsed as `parsed`, to the start
    /// of `out`, and returns its length. Checksums are complete. The rest of `out` is untouched.
    ///
    /// # Errors
    ///
    /// When nobody may be told, or `out` is too short: see [`NoIcmpError`].
    pub fn write(
        &self,
        frame: &[u8],
        parsed: &ParsedFrame,
        out: &mut [u8],
    ) -> Result<usize, NoIcmpError> {
        let family = NoIcmpError::Family(self.src);
        let link = frame.get(..parsed.l3_offset()).ok_or(family)?;
        let packet = frame
            .get(parsed.l3_offset()..parsed.l3_end())
            .ok_or(family)?;
        self.permit(frame, parsed)?;
        let max_len = match self.src {
            IpAddr::V4(_) => Self::MAX_V4_LEN - Ipv4View::LEN - Icmpv4View::LEN,
            IpAddr::V6(_) => Self::MAX_V6_LEN - Ipv6View::LEN - Icmpv6View::LEN,
        };
        let quoted = packet.get(..max_len).unwrap_or(packet);
        let len = link.len() + packet_len(self.src, quoted);
        let space = NoIcmpError::Space {
            needed: len,
            present: out.len(),
        };
        let out = out.get_mut(..len).ok_or(space)?;
        let (out_link, out_packet) = out.split_at_mut_checked(link.len()).ok_or(space)?;
        out_link.copy_from_slice(link);
        let mut ethernet = EthernetMut::parse(out_link).map_err(|_not_ethernet| family)?;
        ethernet.set_dst(parsed.src());
        ethernet.set_src(self.src_mac);
        match (self.src, packet_source(packet)) {
            (IpAddr::V4(src), Some(IpAddr::V4(dst))) => {
                self.write_v4(src, dst, quoted, out_packet).ok_or(family)?;
            }
            (IpAddr::V6(src), Some(IpAddr::V6(dst))) => {
                self.write_v6(src, dst, quoted, out_packet).ok_or(family)?;
            }
            _ => return Err(family),
        }
        Ok(len)
    }

    /// Tells whether anybody may be told about the packet.
    fn permit(&self, frame: &[u8], parsed: &ParsedFrame) -> Result<(), NoIcmpError> {
        let family = NoIcmpError::Family(self.src);
        let l3 = frame.get(parsed.l3_offset()..).ok_or(family)?;
        match (parsed.network(), self.src) {
            (Network::V4, IpAddr::V4(_)) => {
                let ip = Ipv4View::parse(l3).map_err(|_not_ip| family)?;
                if parsed.fragment() == Fragment::Later {
                    return Err(NoIcmpError::LaterFragment);
                }
                if parsed.dst().is_group() || is_group_v4(ip.dst()) {
                    return Err(NoIcmpError::Group);
                }
                if !is_host_v4(ip.src()) {
                    return Err(NoIcmpError::Source(ip.src().into()));
                }
                // Linux does not answer a source route either, and its way back would be another.
                if ip.options().flatten().any(is_source_route) {
                    return Err(NoIcmpError::Source(ip.src().into()));
                }
            }
            (Network::V6, IpAddr::V6(_)) => {
                let ip = Ipv6View::parse(l3).map_err(|_not_ip| family)?;
                let is_group = parsed.dst().is_group() || ip.dst().is_multicast();
                if is_group && !matches!(self.kind, IcmpErrorKind::TooBig { .. }) {
                    return Err(NoIcmpError::Group);
                }
                if ip.src().is_unspecified() || ip.src().is_multicast() || ip.src().is_loopback() {
                    return Err(NoIcmpError::Source(ip.src().into()));
                }
            }
            _ => return Err(family),
        }
        if is_icmp_error(frame, parsed) {
            return Err(NoIcmpError::AboutIcmpError);
        }
        Ok(())
    }

    fn write_v4(&self, src: Ipv4Addr, dst: Ipv4Addr, quoted: &[u8], out: &mut [u8]) -> Option<()> {
        let mut header = [0; Ipv4View::LEN];
        let total_len = u16::try_from(out.len()).ok()?;
        put::<0, 2, _>(&mut header, [0x45, CONTROL_CLASS]);
        put::<2, 2, _>(&mut header, total_len.to_be_bytes());
        // An atomic datagram: the Identification means nothing (RFC 6864 §4.1).
        put::<6, 2, _>(&mut header, DONT_FRAGMENT);
        put::<8, 2, _>(&mut header, [HOP_LIMIT, IpProtocol::ICMPV4.0]);
        put::<12, 4, _>(&mut header, src.octets());
        put::<16, 4, _>(&mut header, dst.octets());
        let checksum = Sum::of(&header).checksum();
        put::<10, 2, _>(&mut header, checksum.to_be_bytes());

        let (kind, code, mtu) = match self.kind {
            IcmpErrorKind::TooBig { mtu } => (
                Icmpv4Type::DESTINATION_UNREACHABLE,
                Icmpv4View::FRAGMENTATION_NEEDED,
                mtu,
            ),
            IcmpErrorKind::HopLimitExceeded => (Icmpv4Type::TIME_EXCEEDED, 0, 0),
            IcmpErrorKind::NoRoute => (Icmpv4Type::DESTINATION_UNREACHABLE, 0, 0),
            IcmpErrorKind::HostUnreachable => (Icmpv4Type::DESTINATION_UNREACHABLE, 1, 0),
            IcmpErrorKind::PortUnreachable => (Icmpv4Type::DESTINATION_UNREACHABLE, 3, 0),
            IcmpErrorKind::Prohibited => (Icmpv4Type::DESTINATION_UNREACHABLE, 13, 0),
        };
        let mut icmp = [0; Icmpv4View::LEN];
        put::<0, 2, _>(&mut icmp, [kind.0, code]);
        put::<6, 2, _>(&mut icmp, mtu.to_be_bytes());
        let checksum = Sum::of(&icmp).and_bytes(quoted).checksum();
        put::<2, 2, _>(&mut icmp, checksum.to_be_bytes());
        write_parts(out, &header, icmp, quoted)
    }

    fn write_v6(&self, src: Ipv6Addr, dst: Ipv6Addr, quoted: &[u8], out: &mut [u8]) -> Option<()> {
        let mut header = [0; Ipv6View::LEN];
        let payload_len = u16::try_from(Icmpv6View::LEN + quoted.len()).ok()?;
        put::<0, 1, _>(&mut header, [0x60]);
        put::<4, 2, _>(&mut header, payload_len.to_be_bytes());
        put::<6, 2, _>(&mut header, [IpProtocol::ICMPV6.0, HOP_LIMIT]);
        put::<8, 16, _>(&mut header, src.octets());
        put::<24, 16, _>(&mut header, dst.octets());

        let (kind, code, mtu) = match self.kind {
            IcmpErrorKind::TooBig { mtu } => (Icmpv6Type::PACKET_TOO_BIG, 0, mtu),
            IcmpErrorKind::HopLimitExceeded => (Icmpv6Type::TIME_EXCEEDED, 0, 0),
            IcmpErrorKind::NoRoute => (Icmpv6Type::DESTINATION_UNREACHABLE, 0, 0),
            IcmpErrorKind::HostUnreachable => (Icmpv6Type::DESTINATION_UNREACHABLE, 3, 0),
            IcmpErrorKind::PortUnreachable => (Icmpv6Type::DESTINATION_UNREACHABLE, 4, 0),
            IcmpErrorKind::Prohibited => (Icmpv6Type::DESTINATION_UNREACHABLE, 1, 0),
        };
        let mut icmp = [0; Icmpv6View::LEN];
        put::<0, 2, _>(&mut icmp, [kind.0, code]);
        put::<4, 4, _>(&mut icmp, u32::from(mtu).to_be_bytes());
        let pseudo = Sum::pseudo_v6(src, dst, IpProtocol::ICMPV6, payload_len.into());
        let checksum = pseudo.and_bytes(&icmp).and_bytes(quoted).checksum();
        put::<2, 2, _>(&mut icmp, checksum.to_be_bytes());
        write_parts(out, &header, icmp, quoted)
    }
}

/// Fills `out` with the parts of a message, which are as long as it together.
fn write_parts(out: &mut [u8], header: &[u8], icmp: [u8; 8], quoted: &[u8]) -> Option<()> {
    let (out_header, rest) = out.split_at_mut_checked(header.len())?;
    let (out_icmp, out_quoted) = rest.split_first_chunk_mut()?;
    out_header.copy_from_slice(header);
    *out_icmp = icmp;
    out_quoted.get_mut(..quoted.len())?.copy_from_slice(quoted);
    Some(())
}

/// Returns the length of the message's IP packet.
const fn packet_len(src: IpAddr, quoted: &[u8]) -> usize {
    quoted.len()
        + match src {
            IpAddr::V4(_) => Ipv4View::LEN + Icmpv4View::LEN,
            IpAddr::V6(_) => Ipv6View::LEN + Icmpv6View::LEN,
        }
}

fn packet_source(packet: &[u8]) -> Option<IpAddr> {
    let v4 = Ipv4View::parse(packet).map(|ip| IpAddr::V4(ip.src()));
    v4.or_else(|_not_v4| Ipv6View::parse(packet).map(|ip| IpAddr::V6(ip.src())))
        .ok()
}

/// Tells whether the packet is an ICMP error or a redirect. Of a part of an ICMP packet that does
/// not say which message it is, nobody can tell: it counts as one.
fn is_icmp_error(frame: &[u8], parsed: &ParsedFrame) -> bool {
    let message = parsed.l4_bytes(frame);
    match (parsed.transport(), message) {
        (Some(Transport::Icmpv4), Some(message)) => {
            Icmpv4View::parse(message).map_or(true, |icmp| icmp.kind().is_error())
        }
        (Some(Transport::Icmpv6), Some(message)) => Icmpv6View::parse(message)
            .map_or(true, |icmp| {
                icmp.kind().is_error() || icmp.kind() == Icmpv6Type::REDIRECT
            }),
        (Some(_), _) => false,
        (None, _) => matches!(
            parsed.protocol(),
            Some(IpProtocol::ICMPV4 | IpProtocol::ICMPV6)
        ),
    }
}

const fn is_group_v4(addr: Ipv4Addr) -> bool {
    addr.is_multicast() || addr.is_broadcast()
}

/// Tells whether `addr` may be that of one host (RFC 1122 §3.2.1.3): not 0/8, 127/8, 224/4 or
/// 240/4.
const fn is_host_v4(addr: Ipv4Addr) -> bool {
    let [first, ..] = addr.octets();
    first != 0 && first != 127 && first < 224
}

/// Tells whether an IPv4 option is a source route (RFC 791 §3.1), of which 131 is loose and 137
/// strict.
const fn is_source_route(option: RawOption<'_>) -> bool {
    matches!(option.kind, 131 | 137)
}

#[cfg(test)]
mod tests;
