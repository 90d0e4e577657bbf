//! ICMP for IPv6 (RFC 4443 §2.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      |     Code      |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |   depends on Type: Identifier and Sequence Number of an echo, |
//! |   MTU of "packet too big", flags of Neighbor Discovery, …     |
//! +---------------------------------------------------------------+
//! |   the data of an echo, the packet that an error is about, …   |
//! +---------------------------------------------------------------+
//! ```
//!
//! Unlike ICMP for IPv4 its checksum covers a pseudo-header (§2.3).

use core::fmt;
use core::net::Ipv6Addr;

use super::{HeaderError, HeaderName, IpProtocol};
use crate::checksum::Sum;
use crate::field::{put, u8_at, u16_at, u32_at};

const LEN: usize = 8;

/// An ICMP for IPv6 message with at least its first eight octets.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv6View<'a> {
    data: &'a [u8],
    header: &'a [u8; LEN],
    payload: &'a [u8],
}

/// What an ICMP for IPv6 message is (IANA, `ICMPv6 "type" Numbers`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Icmpv6Type(pub u8);

impl Icmpv6Type {
    /// A packet could not be delivered.
    pub const DESTINATION_UNREACHABLE: Self = Self(1);
    /// A packet did not fit a link.
    pub const PACKET_TOO_BIG: Self = Self(2);
    /// The hop limit or the time for reassembly ran out.
    pub const TIME_EXCEEDED: Self = Self(3);
    /// A header could not be understood.
    pub const PARAMETER_PROBLEM: Self = Self(4);
    /// Ping.
    pub const ECHO_REQUEST: Self = Self(128);
    /// Answer to an echo request.
    pub const ECHO_REPLY: Self = Self(129);
    /// A router asks who listens to groups (RFC 3810 §5.1).
    pub const MLD_QUERY: Self = Self(130);
    /// A host listens to a group (RFC 2710 §3).
    pub const MLD_REPORT_V1: Self = Self(131);
    /// A host does not listen to a group any more (RFC 2710 §3).
    pub const MLD_DONE: Self = Self(132);
    /// A host says what it listens to (RFC 3810 §5.2).
    pub const MLD_REPORT_V2: Self = Self(143);
    /// A host looks for routers (RFC 4861 §4.1).
    pub const ROUTER_SOLICITATION: Self = Self(133);
    /// A router tells of itself (RFC 4861 §4.2).
    pub const ROUTER_ADVERTISEMENT: Self = Self(134);
    /// Who has this address? (RFC 4861 §4.3)
    pub const NEIGHBOR_SOLICITATION: Self = Self(135);
    /// I have this address (RFC 4861 §4.4).
    pub const NEIGHBOR_ADVERTISEMENT: Self = Self(136);
    /// A better router is on the link (RFC 4861 §4.5).
    pub const REDIRECT: Self = Self(137);

    /// Tells whether the message reports an error; its payload quotes the packet that it is about
    /// (RFC 4443 §2.1).
    pub const fn is_error(self) -> bool {
        self.0 < 128
    }

    /// Tells whether the message is an echo request or reply, told apart by an identifier.
    pub const fn is_query(self) -> bool {
        matches!(self, Self::ECHO_REQUEST | Self::ECHO_REPLY)
    }

    /// Tells whether the message is one of Multicast Listener Discovery (RFC 2710, RFC 3810).
    pub const fn is_listener_discovery(self) -> bool {
        matches!(self.0, 130..=132 | 143)
    }

    /// Tells whether the message is one of Neighbor Discovery (RFC 4861 §4).
    pub const fn is_neighbor_discovery(self) -> bool {
        matches!(self.0, 133..=137)
    }
}

impl<'a> Icmpv6View<'a> {
    /// Bytes of the header, with the four octets whose meaning depends on the type.
    pub const LEN: usize = LEN;
    /// The checksum field, from the start of the header.
    pub const CHECKSUM_OFFSET: usize = 2;

    /// Views the message that fills `data`.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Truncated`] when there are less than eight octets; no message that IANA knows
    /// is shorter.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, payload)) = data.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(
                HeaderName::Icmpv6,
                Self::LEN,
                data.len(),
            ));
        };
        Ok(Self {
            data,
            header,
            payload,
        })
    }

    /// Returns what the message is.
    pub fn kind(&self) -> Icmpv6Type {
        Icmpv6Type(u8_at::<0, _>(self.header))
    }

    /// Returns what it is in detail.
    pub fn code(&self) -> u8 {
        u8_at::<1, _>(self.header)
    }

    /// Returns the checksum as it stands.
    pub fn checksum(&self) -> u16 {
        u16_at::<2, _>(self.header)
    }

    /// Tells whether the checksum is right for a message from `src` to `dst`.
    pub fn verify_checksum(&self, src: Ipv6Addr, dst: Ipv6Addr) -> bool {
        let Ok(len) = u32::try_from(self.data.len()) else {
            return false;
        };
        let pseudo = Sum::pseudo_v6(src, dst, IpProtocol::ICMPV6, len);
        pseudo.and_bytes(self.data).fold() == 0xffff
    }

    /// Returns the identifier by which an echo and its reply are matched, `None` for other messages.
    pub fn identifier(&self) -> Option<u16> {
        self.kind().is_query().then(|| u16_at::<4, _>(self.header))
    }

    /// Returns the sequence number of an echo or its reply, `None` for other messages.
    pub fn sequence(&self) -> Option<u16> {
        self.kind().is_query().then(|| u16_at::<6, _>(self.header))
    }

    /// Returns the MTU of the link that a packet did not fit, in bytes, `None` for other messages.
    pub fn next_hop_mtu(&self) -> Option<u32> {
        (self.kind() == Icmpv6Type::PACKET_TOO_BIG).then(|| u32_at::<4, _>(self.header))
    }

    /// Returns the beginning of the packet that an error is about, to be read by
    /// [`parse_quoted`](super::Ipv6View::parse_quoted), `None` for other messages.
    pub fn quoted(&self) -> Option<&'a [u8]> {
        self.kind().is_error().then_some(self.payload)
    }

    /// Returns the four octets whose meaning depends on the type.
    pub(crate) fn rest_of_header(&self) -> u32 {
        u32_at::<4, _>(self.header)
    }

    /// Returns what follows the first eight octets.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl fmt::Display for Icmpv6View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ICMP6, ")?;
        match (self.kind(), self.identifier(), self.sequence()) {
            (Icmpv6Type::ECHO_REQUEST, Some(id), Some(seq)) => {
                write!(f, "echo request, id {id}, seq {seq}")
            }
            (Icmpv6Type::ECHO_REPLY, Some(id), Some(seq)) => {
                write!(f, "echo reply, id {id}, seq {seq}")
            }
            (Icmpv6Type::DESTINATION_UNREACHABLE, ..) => {
                write!(f, "destination unreachable, code {}", self.code())
            }
            (Icmpv6Type::PACKET_TOO_BIG, ..) => {
                write!(f, "packet too big, mtu {}", self.rest_of_header())
            }
            (Icmpv6Type::TIME_EXCEEDED, ..) => write!(f, "time exceeded, code {}", self.code()),
            (Icmpv6Type::ROUTER_SOLICITATION, ..) => f.write_str("router solicitation"),
            (Icmpv6Type::ROUTER_ADVERTISEMENT, ..) => f.write_str("router advertisement"),
            (Icmpv6Type::NEIGHBOR_SOLICITATION, ..) => f.write_str("neighbor solicitation"),
            (Icmpv6Type::NEIGHBOR_ADVERTISEMENT, ..) => f.write_str("neighbor advertisement"),
            (Icmpv6Type::REDIRECT, ..) => f.write_str("redirect"),
            (Icmpv6Type(kind), ..) => write!(f, "type {kind}, code {}", self.code()),
        }?;
        write!(f, ", length {}", self.data.len())
    }
}

/// An ICMP for IPv6 header, to be changed in place. Setters leave the checksum as it is.
#[derive(Debug)]
pub struct Icmpv6Mut<'a> {
    header: &'a mut [u8; Icmpv6View::LEN],
}

impl<'a> Icmpv6Mut<'a> {
    /// Opens the header that starts at `data[0]`.
    ///
    /// # Errors
    ///
    /// As [`Icmpv6View::parse`].
    pub fn parse(data: &'a mut [u8]) -> Result<Self, HeaderError> {
        let present = data.len();
        let header = data
            .first_chunk_mut()
            .ok_or_else(|| HeaderError::truncated(HeaderName::Icmpv6, Icmpv6View::LEN, present))?;
        Ok(Self { header })
    }

    /// Sets what the message is.
    pub fn set_kind(&mut self, kind: Icmpv6Type) {
        put::<0, 1, _>(self.header, [kind.0]);
    }

    /// Sets the checksum.
    pub fn set_checksum(&mut self, checksum: u16) {
        put::<2, 2, _>(self.header, checksum.to_be_bytes());
    }

    /// Sets the identifier of an echo or its reply.
    pub fn set_identifier(&mut self, identifier: u16) {
        put::<4, 2, _>(self.header, identifier.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_read_and_its_checksum_covers_the_addresses() {
        let (src, dst) = (Ipv6Addr::LOCALHOST, "fd00::2".parse().unwrap());
        let mut message = [128, 0, 0, 0, 0x12, 0x34, 0, 1, 0xab];
        let pseudo = Sum::pseudo_v6(src, dst, IpProtocol::ICMPV6, 9);
        let checksum = pseudo.and_bytes(&message).checksum();
        let mut header = Icmpv6Mut::parse(&mut message).unwrap();
        header.set_checksum(checksum);
        let view = Icmpv6View::parse(&message).unwrap();
        assert!(view.verify_checksum(src, dst));
        assert!(!view.verify_checksum(src, src));
        assert_eq!(
            view.to_string(),
            "ICMP6, echo request, id 4660, seq 1, length 9"
        );
        assert_eq!((view.quoted(), view.next_hop_mtu()), (None, None));
        let mut header = Icmpv6Mut::parse(&mut message).unwrap();
        header.set_kind(Icmpv6Type::ECHO_REPLY);
        header.set_identifier(9);
        assert_eq!(message[..6], [129, 0, message[2], message[3], 0, 9]);
    }

    #[test]
    fn an_error_tells_the_mtu_and_quotes_its_packet() {
        let message = [2, 0, 0, 0, 0, 0, 0x05, 0x00, 0x60];
        let view = Icmpv6View::parse(&message).unwrap();
        assert_eq!(view.next_hop_mtu(), Some(1280));
        assert_eq!(view.quoted(), Some(&[0x60][..]));
        assert_eq!((view.identifier(), view.sequence()), (None, None));
        Icmpv6View::parse(&message[..7]).unwrap_err();
    }
}
