//! What address translation reads of a packet, and what it writes into it.
//!
//! # Theory of operation
//!
//! The translation sees one packet at a time. [`Packet::read`] says what it is to it: a packet of a
//! *flow* (TCP, UDP, or an ICMP query) between two [`Ends`], an ICMP *error* about such a packet, or
//! a *later fragment*, which has no ends of its own. Everything else is [`Unreadable`], with a reason
//! that is counted. Whoever decides (the conntrack) finds out which ends the packet is to have, and
//! [`rewrite()`], [`rewrite_error()`] and [`rewrite_later()`] write these into the frame in place.
//!
//! *Both* ends are always written. Source translation changes one of them, destination translation
//! the other, a hairpin both; a packet in original direction gets the reply tuple turned around, one
//! in reply direction the original tuple turned around. So there is no mode, and one path to test.
//!
//! # Checksums
//!
//! No checksum is ever computed over a payload. Each follows what changed under it by RFC 1624
//! equation 3 ([`Delta`](tapweave_net::checksum::Delta)), so a checksum that was wrong stays wrong,
//! and the receiver notices. These hold:
//!
//! - The IPv4 header checksum covers the addresses and the TTL.
//! - TCP, UDP and ICMP for IPv6 cover the addresses (pseudo-header) and the ports or the identifier.
//!   ICMP for IPv4 has no pseudo-header.
//! - A UDP checksum of zero says that there is none and stays zero; one that comes out as zero is
//!   written as 0xffff (RFC 768). So is one of ICMP for IPv4, since a whole echo reply may be zero.
//! - A [partial](tapweave_net::ChecksumOffload::Partial) checksum, which a sandbox left to a device,
//!   holds the sum of the pseudo-header only, not inverted: it follows the addresses and not the ports.
//!   So a super-frame is translated once for all of its segments, and nothing of its payload is read.
//!   A partial checksum that is not that of the L4 header is left alone when it lies in the payload (a
//!   tunnel's inner packet; the outer checksum is complete then) and refused when it lies in the
//!   headers: completing it would write over what was translated.
//! - In a first fragment the checksum covers a datagram of which only a part is here. The incremental
//!   update is right all the same.
//!
//! # What is refused
//!
//! A packet on a source route (IPv4 options 131 and 137, an IPv6 Routing header with segments left):
//! its checksum covers another destination than its header names. A packet with an Authentication
//! header, which exists to detect what translation does. An ICMP redirect: it speaks of the inside of
//! another network. Protocols other than the four.

mod ends;
mod error;
mod field;
mod fragment;
mod hop;
mod icmp;
mod identification;
mod l4_checksum;
mod quote;
mod rewrite;
mod tcp;
mod unreadable;

use core::net::{IpAddr, Ipv6Addr};

use tapweave_net::{
    FlowKey, Fragment, Frame, IpProtocol, Ipv4View, Ipv6View, Network, ParsedFrame, TcpView,
    Transport,
};

use crate::table::Endpoint;

pub use ends::Ends;
pub use error::{ErrorEnds, rewrite_error};
pub use fragment::{DatagramId, FragmentPart};
pub use hop::{Hop, take_hop};
pub use icmp::QueryKind;
pub use identification::{is_atomic, renumber};
use l4_checksum::L4Checksum;
pub use quote::Quoted;
pub use rewrite::{RewriteError, rewrite, rewrite_later};
pub use tcp::TcpSegment;
pub use unreadable::Unreadable;

/// What a packet is to the translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packet {
    /// A packet between two ends.
    Flow(FlowPacket),
    /// An ICMP error about a packet of a flow.
    Error(ErrorPacket),
    /// A fragment after the first, to be translated as the first one was.
    Later(FragmentPart),
}

/// A packet of a flow, whole or its first fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowPacket {
    /// Where it comes from and where it goes, as it stands.
    pub ends: Ends,
    /// What IP carries: TCP, UDP or ICMP of the packet's family.
    pub protocol: IpProtocol,
    /// What else the conntrack has to know.
    pub l4: L4,
    checksum: L4Checksum,
}

/// What the conntrack has to know of an L4 header, beside the ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum L4 {
    /// TCP.
    Tcp(TcpSegment),
    /// UDP.
    Udp,
    /// A query of ICMP or its answer.
    Query(QueryKind),
}

/// An ICMP error about a packet of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorPacket {
    /// Who tells of the error: an end of the flow or a router on the way.
    pub src: IpAddr,
    /// Who is told: the source of the quoted packet.
    pub dst: IpAddr,
    /// The packet that it is about, as it stands.
    pub quoted: Quoted,
    checksum: L4Checksum,
}

impl Packet {
    /// Reads the packet in `frame`, which was parsed as `parsed`. Allocates nothing.
    ///
    /// # Errors
    ///
    /// What cannot be translated, and why: see [`Unreadable`].
    #[inline(always)]
    pub fn read(frame: &Frame<'_>, parsed: &ParsedFrame) -> Result<Self, Unreadable> {
        let data = frame.data();
        let Ends { src, dst } = ends_without_ports(parsed)?;
        permit_headers(data, parsed)?;
        if parsed.fragment() == Fragment::Later {
            return FragmentPart::read(data, parsed).map(Self::Later);
        }
        let checksum = L4Checksum::of(frame.offload().checksum, parsed)?;
        let transport = parsed.transport().ok_or(Unreadable::Mismatch)?;
        let l4_offset = parsed.l4_offset().ok_or(Unreadable::Mismatch)?;
        let l4 = data
            .get(l4_offset..parsed.l3_end())
            .ok_or(Unreadable::Mismatch)?;
        let ends = Ends { src, dst };
        let flow = match transport {
            Transport::Tcp => FlowPacket::tcp(ends, &TcpView::parse(l4)?, checksum),
            Transport::Udp => {
                let ports = l4.first_chunk().ok_or(Unreadable::Mismatch)?;
                FlowPacket::udp(ends, *ports, checksum)
            }
            Transport::Icmpv4 | Transport::Icmpv6 => {
                let (src, dst) = (src.ip(), dst.ip());
                let Some((kind, id)) = icmp::query(transport, l4) else {
                    let quoted = Quoted::read(parsed, transport, l4, (src, dst), checksum)?;
                    return Ok(Self::Error(ErrorPacket {
                        src,
                        dst,
                        quoted,
                        checksum,
                    }));
                };
                FlowPacket {
                    ends: kind.ends(src, dst, id),
                    protocol: protocol_of(transport),
                    l4: L4::Query(kind),
                    checksum,
                }
            }
        };
        Ok(Self::Flow(flow))
    }
}

impl FlowPacket {
    /// Reads a packet of TCP or UDP that has nothing unusual, as nearly all are. `None` for any other:
    /// [`Packet::read`] reads these too, and says the same of all.
    ///
    /// A value that may be an error instead has its bytes where those of the error are, and is put together in
    /// pieces. Whoever reads it at once waits until the pieces have reached the cache: 4 ns a packet.
    #[inline(always)]
    pub(crate) fn read_plain(frame: &Frame<'_>, parsed: &ParsedFrame) -> Option<Self> {
        let data = frame.data();
        let (src, dst) = match (*parsed.flow(), data.get(parsed.l3_offset()..)?) {
            (FlowKey::V4 { src, dst, .. }, [0x45, ..]) => {
                (Endpoint::v4(src, 0), Endpoint::v4(dst, 0))
            }
            (FlowKey::V6 { src, dst, .. }, [_, _, _, _, _, _, 6 | 17, ..])
                if !is_v4_mapped(src) && !is_v4_mapped(dst) =>
            {
                (Endpoint::v6(src, 0), Endpoint::v6(dst, 0))
            }
            _ => return None,
        };
        if parsed.fragment() == Fragment::Later {
            return None;
        }
        let ends = Ends { src, dst };
        let checksum = L4Checksum::of(frame.offload().checksum, parsed).ok()?;
        let l4 = data.get(parsed.l4_offset()?..parsed.l3_end())?;
        match parsed.transport()? {
            Transport::Tcp => Some(Self::tcp(ends, &TcpView::parse(l4).ok()?, checksum)),
            Transport::Udp => Some(Self::udp(ends, *l4.first_chunk()?, checksum)),
            Transport::Icmpv4 | Transport::Icmpv6 => None,
        }
    }

    #[inline(always)]
    fn tcp(ends: Ends, tcp: &TcpView<'_>, checksum: L4Checksum) -> Self {
        Self {
            ends: ends.with_ports(tcp.src_port(), tcp.dst_port()),
            protocol: IpProtocol::TCP,
            l4: L4::Tcp(TcpSegment::read(tcp)),
            checksum,
        }
    }

    #[inline(always)]
    const fn udp(ends: Ends, [s0, s1, d0, d1]: [u8; 4], checksum: L4Checksum) -> Self {
        let (src, dst) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        Self {
            ends: ends.with_ports(src, dst),
            protocol: IpProtocol::UDP,
            l4: L4::Udp,
            checksum,
        }
    }
}

/// Returns the addresses of an IP packet, of which none is IPv4-mapped: such ones never stand on a
/// wire (RFC 6890 §2.2.3), and in the table they mean IPv4.
#[inline]
fn ends_without_ports(parsed: &ParsedFrame) -> Result<Ends, Unreadable> {
    let (src, dst) = match *parsed.flow() {
        FlowKey::V4 { src, dst, .. } => (Endpoint::v4(src, 0), Endpoint::v4(dst, 0)),
        FlowKey::V6 { src, dst, .. } if is_v4_mapped(src) || is_v4_mapped(dst) => {
            return Err(Unreadable::MappedAddress);
        }
        FlowKey::V6 { src, dst, .. } => (Endpoint::v6(src, 0), Endpoint::v6(dst, 0)),
        FlowKey::Link { .. } => return Err(Unreadable::NotIp),
    };
    Ok(Ends { src, dst })
}

#[inline]
fn is_v4_mapped(address: Ipv6Addr) -> bool {
    address.to_bits() >> 32 == 0xffff
}

/// Returns the number of what IP carries.
const fn protocol_of(transport: Transport) -> IpProtocol {
    match transport {
        Transport::Tcp => IpProtocol::TCP,
        Transport::Udp => IpProtocol::UDP,
        Transport::Icmpv4 => IpProtocol::ICMPV4,
        Transport::Icmpv6 => IpProtocol::ICMPV6,
    }
}

impl ErrorPacket {
    /// Tells whether the other end of the flow sends the error, and not a router on the way. Its
    /// address is then translated as in the quoted packet.
    pub fn is_from_end(&self) -> bool {
        self.src == self.quoted.ends.dst.ip()
    }
}

/// Refuses headers before L4 that translation would break; see the head of this file.
#[inline]
fn permit_headers(data: &[u8], parsed: &ParsedFrame) -> Result<(), Unreadable> {
    let l3 = data.get(parsed.l3_offset()..).ok_or(Unreadable::Mismatch)?;
    match (parsed.network(), l3) {
        // No options; no extension headers.
        (Network::V4, [0x45, ..]) | (Network::V6, [_, _, _, _, _, _, 6 | 17 | 58, ..]) => Ok(()),
        (Network::V4, _) => permit_options(l3),
        (Network::V6, _) => permit_extensions(l3),
        (Network::Other, _) => Err(Unreadable::NotIp),
    }
}

#[cold]
fn permit_options(l3: &[u8]) -> Result<(), Unreadable> {
    let ip = Ipv4View::parse_quoted(l3)?;
    // Loose and strict source route (RFC 791 §3.1).
    if ip.options().flatten().any(|o| matches!(o.kind, 131 | 137)) {
        return Err(Unreadable::SourceRoute);
    }
    Ok(())
}

#[cold]
fn permit_extensions(l3: &[u8]) -> Result<(), Unreadable> {
    for extension in Ipv6View::parse_quoted(l3)?.extensions() {
        let extension = extension?;
        match (extension.kind, extension.bytes.get(3)) {
            (IpProtocol::AUTHENTICATION, _) => {
                return Err(Unreadable::Protocol(extension.kind));
            }
            (IpProtocol::ROUTING, Some(1..)) => return Err(Unreadable::SourceRoute),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[cfg(not(loom))]
pub(crate) mod tests;
