//! Why a packet cannot be translated, whatever the tables say.

use tapweave_net::{HeaderError, IpProtocol};
use thiserror::Error;

/// A packet that has no place in the translation. Each variant is a reason to drop and to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The frame carries no IP packet.
    #[error("the frame carries no IP packet")]
    NotIp,
    /// IP carries something that has no ports: SCTP, ESP, GRE, an Authentication header, anything
    /// unknown.
    #[error("{0} cannot be translated")]
    Protocol(IpProtocol),
    /// An ICMP message that is neither a query nor an error about a packet on its way, such as a
    /// redirect.
    #[error("ICMP type {0} cannot be translated")]
    IcmpType(u8),
    /// An address of an IPv6 packet is IPv4-mapped.
    #[error("an address of the packet is IPv4-mapped")]
    MappedAddress,
    /// The packet is on a source route, and its checksum covers another destination.
    #[error("the packet is on a source route")]
    SourceRoute,
    /// A header is malformed.
    #[error("a header is malformed")]
    Header(#[from] HeaderError),
    /// The frame is not the one that was parsed.
    #[error("the frame is not the one that was parsed")]
    Mismatch,
    /// The checksum that is left to a device lies in the headers and is not that of L4, or it is that
    /// of a fragment.
    #[error("the partial checksum is not that of the L4 header")]
    PartialChecksum,
    /// The checksum of an ICMP error is wrong (RFC 5508 REQ-3).
    #[error("the checksum of the ICMP error is wrong")]
    ErrorChecksum,
    /// An ICMP error quotes less than an IP header and eight octets behind it, or a malformed header.
    #[error("the packet that the ICMP error quotes cannot be read")]
    Quote,
    /// The header checksum of the packet that an ICMP error quotes is wrong (RFC 5508 REQ-3 a).
    #[error("the header checksum of the quoted packet is wrong")]
    QuotedChecksum,
    /// An ICMP error about something that is never translated, an ICMP error among it.
    #[error("the ICMP error is about {0}, which is not translated")]
    QuotedProtocol(IpProtocol),
    /// An ICMP error about a fragment that does not say which flow it belongs to.
    #[error("the ICMP error is about a later fragment")]
    QuotedFragment,
    /// An ICMP error is not for the sender of the packet that it quotes.
    #[error("the ICMP error is not for the sender of the packet that it quotes")]
    QuotedSource,
    /// A fragment that no sender makes: without payload, of a length that is no multiple of eight
    /// though more follow, or reaching beyond 65,535 bytes.
    #[error("the fragment is malformed")]
    FragmentLength,
}
