//! The packet that an ICMP error is about, as much of it as is quoted.
//!
//! An error quotes the IP header and at least eight octets behind it (RFC 792), which hold the ports,
//! or the type and the identifier of a query. More may follow, up to the whole packet; its end may be
//! missing, and behind it there may be padding and extension objects (RFC 4884), which have no
//! addresses to translate. What is read here lies within the quotation, whatever its lengths state.

use core::net::IpAddr;

use tapweave_net::{
    Fragment, IpProtocol, Ipv4View, Ipv6View, ParsedFrame, Transport, checksum::Sum,
};

use super::l4_checksum::L4Checksum;
use super::{Ends, QueryKind, Unreadable, icmp, permit_extensions, permit_options, protocol_of};

/// A quoted packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted {
    /// Where it came from and where it went, as it stands in the quotation.
    pub ends: Ends,
    /// What IP carried: TCP, UDP or ICMP of the error's family.
    pub protocol: IpProtocol,
    /// Of TCP: the sequence number, by which a forged error is told from one about a segment on its
    /// way (RFC 5927 §4.1).
    pub seq: Option<u32>,
    /// Of a query: which half of it.
    pub query: Option<QueryKind>,
    pub(super) transport: Transport,
    /// Bytes of the quoted IP header with its options or extension headers.
    pub(super) header_len: usize,
}

/// Bytes of an ICMP header before the quotation.
pub(super) const ICMP_LEN: usize = 8;
/// Octets behind the IP header that every error quotes (RFC 792).
const MIN_L4_LEN: usize = 8;

impl Quoted {
    /// Reads the packet that `message`, an ICMP message that is no query, quotes.
    #[cold]
    pub(super) fn read(
        parsed: &ParsedFrame,
        transport: Transport,
        message: &[u8],
        outer: (IpAddr, IpAddr),
        checksum: L4Checksum,
    ) -> Result<Self, Unreadable> {
        let (header, quote) = message
            .split_first_chunk::<ICMP_LEN>()
            .ok_or(Unreadable::Mismatch)?;
        let [kind, ..] = *header;
        if !icmp::is_translatable_error(transport, kind) {
            return Err(Unreadable::IcmpType(kind));
        }
        let is_whole = parsed.fragment() == Fragment::Whole && checksum == L4Checksum::Complete;
        if is_whole && !is_right(message, outer) {
            return Err(Unreadable::ErrorChecksum);
        }
        let quoted = match transport {
            Transport::Icmpv6 => Self::read_v6(quote),
            Transport::Icmpv4 | Transport::Tcp | Transport::Udp => Self::read_v4(quote),
        }?;
        if quoted.ends.src.ip() == outer.1 {
            Ok(quoted)
        } else {
            Err(Unreadable::QuotedSource)
        }
    }

    fn read_v4(quote: &[u8]) -> Result<Self, Unreadable> {
        let ip = Ipv4View::parse_quoted(quote).map_err(|_malformed| Unreadable::Quote)?;
        if !ip.verify_checksum() {
            return Err(Unreadable::QuotedChecksum);
        }
        permit_options(quote)?;
        if ip.fragment() == Fragment::Later {
            return Err(Unreadable::QuotedFragment);
        }
        let transport = match ip.protocol() {
            IpProtocol::TCP => Transport::Tcp,
            IpProtocol::UDP => Transport::Udp,
            IpProtocol::ICMPV4 => Transport::Icmpv4,
            other => return Err(Unreadable::QuotedProtocol(other)),
        };
        let addresses = (ip.src().into(), ip.dst().into());
        Self::read_l4(addresses, transport, ip.header_len(), ip.payload())
    }

    fn read_v6(quote: &[u8]) -> Result<Self, Unreadable> {
        let ip = Ipv6View::parse_quoted(quote).map_err(|_malformed| Unreadable::Quote)?;
        let upper = ip.upper_layer().map_err(|_malformed| Unreadable::Quote)?;
        permit_extensions(quote)?;
        if upper.fragment() == Fragment::Later {
            return Err(Unreadable::QuotedFragment);
        }
        let transport = match upper.protocol {
            IpProtocol::TCP => Transport::Tcp,
            IpProtocol::UDP => Transport::Udp,
            IpProtocol::ICMPV6 => Transport::Icmpv6,
            other => return Err(Unreadable::QuotedProtocol(other)),
        };
        let addresses = (ip.src().into(), ip.dst().into());
        let header_len = Ipv6View::LEN + upper.extensions_len;
        Self::read_l4(addresses, transport, header_len, upper.bytes)
    }

    fn read_l4(
        (src, dst): (IpAddr, IpAddr),
        transport: Transport,
        header_len: usize,
        l4: &[u8],
    ) -> Result<Self, Unreadable> {
        let head = l4.first_chunk::<MIN_L4_LEN>().ok_or(Unreadable::Quote)?;
        let [s0, s1, d0, d1, q0, q1, q2, q3] = *head;
        let ports = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        let protocol = protocol_of(transport);
        let (ends, seq, query) = match transport {
            Transport::Tcp => {
                let seq = u32::from_be_bytes([q0, q1, q2, q3]);
                (Ends::of(src, dst, ports), Some(seq), None)
            }
            Transport::Udp => (Ends::of(src, dst, ports), None, None),
            Transport::Icmpv4 | Transport::Icmpv6 => {
                let refused = Unreadable::QuotedProtocol(protocol);
                let (kind, id) = icmp::query(transport, head).ok_or(refused)?;
                (kind.ends(src, dst, id), None, Some(kind))
            }
        };
        Ok(Self {
            ends,
            protocol,
            seq,
            query,
            transport,
            header_len,
        })
    }
}

/// Tells whether the checksum of an ICMP message is right.
fn is_right(message: &[u8], outer: (IpAddr, IpAddr)) -> bool {
    let pseudo = match outer {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
            Sum::pseudo_v6(src, dst, IpProtocol::ICMPV6, len)
        }
        _ => Sum::ZERO,
    };
    pseudo.and_bytes(message).fold() == 0xffff
}
