//! ICMP for IPv4 (RFC 792).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      |     Code      |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |   depends on Type: Identifier and Sequence Number of an echo, |
//! |   Next-Hop MTU of "fragmentation needed" (RFC 1191 §4), …     |
//! +---------------------------------------------------------------+
//! |   the data of an echo, the packet that an error is about, …   |
//! +---------------------------------------------------------------+
//! ```
//!
//! The checksum covers the message only; there is no pseudo-header.

use core::fmt;

use super::{HeaderError, HeaderName};
use crate::checksum::Sum;
use crate::field::{put, u8_at, u16_at};

const LEN: usize = 8;

/// An ICMP message whose header is there in full.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv4View<'a> {
    data: &'a [u8],
    header: &'a [u8; LEN],
    payload: &'a [u8],
}

/// What an ICMP message is (IANA, *ICMP Type Numbers*).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Icmpv4Type(pub u8);

impl Icmpv4Type {
    /// Answer to an echo request.
    pub const ECHO_REPLY: Self = Self(0);
    /// A packet could not be delivered.
    pub const DESTINATION_UNREACHABLE: Self = Self(3);
    /// A better router is on the link.
    pub const REDIRECT: Self = Self(5);
    /// Ping.
    pub const ECHO_REQUEST: Self = Self(8);
    /// The TTL or the time for reassembly ran out.
    pub const TIME_EXCEEDED: Self = Self(11);
    /// A header could not be understood.
    pub const PARAMETER_PROBLEM: Self = Self(12);
    /// Asks for the time.
    pub const TIMESTAMP: Self = Self(13);
    /// Answer to a timestamp.
    pub const TIMESTAMP_REPLY: Self = Self(14);

    /// Tells whether the message quotes a packet that it is about.
    pub const fn is_error(self) -> bool {
        // 4 is Source Quench, deprecated by RFC 6633 but still of this shape.
        matches!(self.0, 3 | 4 | 5 | 11 | 12)
    }

    /// Tells whether the message is a query or its answer, told apart by an identifier
    /// (RFC 5508 §3.1).
    pub const fn is_query(self) -> bool {
        matches!(
            self,
            Self::ECHO_REPLY | Self::ECHO_REQUEST | Self::TIMESTAMP | Self::TIMESTAMP_REPLY
        )
    }
}

impl<'a> Icmpv4View<'a> {
    /// Bytes of the header, with the four octets whose meaning depends on the type.
    pub const LEN: usize = LEN;
    /// The checksum field, from the start of the header.
    pub const CHECKSUM_OFFSET: usize = 2;
    /// The code of [`Icmpv4Type::DESTINATION_UNREACHABLE`] that carries a Next-Hop MTU.
    pub const FRAGMENTATION_NEEDED: u8 = 4;

    /// Views the message that fills `data`.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Truncated`] when there are less than eight octets.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, payload)) = data.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(
                HeaderName::Icmpv4,
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
    pub fn kind(&self) -> Icmpv4Type {
        Icmpv4Type(u8_at::<0, _>(self.header))
    }

    /// Returns what it is in detail.
    pub fn code(&self) -> u8 {
        u8_at::<1, _>(self.header)
    }

    /// Returns the checksum as it stands.
    pub fn checksum(&self) -> u16 {
        u16_at::<2, _>(self.header)
    }

    /// Tells whether the checksum is right.
    pub fn verify_checksum(&self) -> bool {
        Sum::of(self.data).fold() == 0xffff
    }

    /// Returns the identifier by which a query and its answer are matched, `None` for other messages.
    pub fn identifier(&self) -> Option<u16> {
        self.kind().is_query().then(|| u16_at::<4, _>(self.header))
    }

    /// Returns the sequence number of a query or its answer, `None` for other messages.
    pub fn sequence(&self) -> Option<u16> {
        self.kind().is_query().then(|| u16_at::<6, _>(self.header))
    }

    /// Returns the MTU of the link that a packet did not fit, in bytes; zero from routers older than
    /// RFC 1191, `None` for other messages.
    pub fn next_hop_mtu(&self) -> Option<u16> {
        let needed = self.kind() == Icmpv4Type::DESTINATION_UNREACHABLE
            && self.code() == Self::FRAGMENTATION_NEEDED;
        needed.then(|| u16_at::<6, _>(self.header))
    }

    /// Returns the beginning of the packet that an error is about, to be read by
    /// [`parse_quoted`](super::Ipv4View::parse_quoted), `None` for other messages.
    pub fn quoted(&self) -> Option<&'a [u8]> {
        self.kind().is_error().then_some(self.payload)
    }

    /// Returns what follows the first eight octets.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl fmt::Display for Icmpv4View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.data.len();
        f.write_str("ICMP ")?;
        match (self.kind(), self.identifier(), self.sequence()) {
            (Icmpv4Type::ECHO_REQUEST, Some(id), Some(seq)) => {
                write!(f, "echo request, id {id}, seq {seq}")
            }
            (Icmpv4Type::ECHO_REPLY, Some(id), Some(seq)) => {
                write!(f, "echo reply, id {id}, seq {seq}")
            }
            (Icmpv4Type::DESTINATION_UNREACHABLE, ..) => {
                write!(f, "destination unreachable, code {}", self.code())
            }
            (Icmpv4Type::TIME_EXCEEDED, ..) => write!(f, "time exceeded, code {}", self.code()),
            (Icmpv4Type(kind), ..) => write!(f, "type {kind}, code {}", self.code()),
        }?;
        write!(f, ", length {len}")
    }
}

/// An ICMP header, to be changed in place. Setters leave the checksum as it is.
#[derive(Debug)]
pub struct Icmpv4Mut<'a> {
    header: &'a mut [u8; Icmpv4View::LEN],
}

impl<'a> Icmpv4Mut<'a> {
    /// Opens the header that starts at `data[0]`.
    ///
    /// # Errors
    ///
    /// As [`Icmpv4View::parse`].
    pub fn parse(data: &'a mut [u8]) -> Result<Self, HeaderError> {
        let present = data.len();
        let header = data
            .first_chunk_mut()
            .ok_or_else(|| HeaderError::truncated(HeaderName::Icmpv4, Icmpv4View::LEN, present))?;
        Ok(Self { header })
    }

    /// Sets what the message is.
    pub fn set_kind(&mut self, kind: Icmpv4Type) {
        put::<0, 1, _>(self.header, [kind.0]);
    }

    /// Sets the checksum.
    pub fn set_checksum(&mut self, checksum: u16) {
        put::<2, 2, _>(self.header, checksum.to_be_bytes());
    }

    /// Sets the identifier of a query or its answer.
    pub fn set_identifier(&mut self, identifier: u16) {
        put::<4, 2, _>(self.header, identifier.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_is_read_and_turned_into_its_reply() {
        let mut message = [8, 0, 0xe5, 0xca, 0x12, 0x34, 0, 1, 0, 0];
        let view = Icmpv4View::parse(&message).unwrap();
        assert!(view.verify_checksum());
        assert_eq!(
            view.to_string(),
            "ICMP echo request, id 4660, seq 1, length 10"
        );
        assert_eq!((view.quoted(), view.next_hop_mtu()), (None, None));
        assert_eq!(view.payload(), [0, 0]);

        let mut header = Icmpv4Mut::parse(&mut message).unwrap();
        header.set_kind(Icmpv4Type::ECHO_REPLY);
        header.set_checksum(0xedca);
        let view = Icmpv4View::parse(&message).unwrap();
        assert!(view.verify_checksum());
        assert_eq!(
            view.to_string(),
            "ICMP echo reply, id 4660, seq 1, length 10"
        );
        Icmpv4Mut::parse(&mut message).unwrap().set_identifier(5);
        let view = Icmpv4View::parse(&message).unwrap();
        assert_eq!((view.identifier(), view.checksum()), (Some(5), 0xedca));
        assert!(!view.verify_checksum());
    }

    #[test]
    fn an_error_tells_the_mtu_and_quotes_its_packet() {
        let message = [3, 4, 0, 0, 0, 0, 0x05, 0x78, 0x45, 0];
        let view = Icmpv4View::parse(&message).unwrap();
        assert_eq!(view.next_hop_mtu(), Some(1400));
        assert_eq!(view.quoted(), Some(&[0x45, 0][..]));
        assert_eq!((view.identifier(), view.sequence()), (None, None));
        assert_eq!(
            view.to_string(),
            "ICMP destination unreachable, code 4, length 10"
        );
    }

    #[test]
    fn less_than_eight_octets_are_refused() {
        for len in 0..8 {
            Icmpv4View::parse(&[0; 8][..len]).unwrap_err();
        }
    }
}
