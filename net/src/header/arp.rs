//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |  hardware space: 1, Ethernet  |  protocol space: 0x0800, IPv4 |
//! +---------------+---------------+-------------------------------+
//! | hw length: 6  | proto len.: 4 |           operation           |
//! +---------------+---------------+-------------------------------+
//! |                 sender hardware address                       |
//! +                               +-------------------------------+
//! |                               | sender protocol address       |
//! +-------------------------------+-------------------------------+
//! | sender protocol address       | target hardware address       |
//! +-------------------------------+                               +
//! |                                                               |
//! +---------------------------------------------------------------+
//! |                 target protocol address                       |
//! +---------------------------------------------------------------+
//! ```
//!
//! ARP is answered and rewritten as a whole, never in part, so it is a struct and not a view.

use core::fmt;
use core::net::Ipv4Addr;

use super::{HeaderError, HeaderName};
use crate::MacAddr;
use crate::field::{get, put, u16_at};

/// A request or reply that maps an IPv4 address to a MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ArpPacket {
    /// What the packet asks or says.
    pub operation: ArpOperation,
    /// MAC address of the sender.
    pub sender_mac: MacAddr,
    /// IPv4 address of the sender; `0.0.0.0` in a probe (RFC 5227 §2.1.1).
    pub sender_ip: Ipv4Addr,
    /// MAC address of the target; means nothing in a request.
    pub target_mac: MacAddr,
    /// IPv4 address that is asked for, or of the asker in a reply.
    pub target_ip: Ipv4Addr,
}

/// What an ARP packet asks or says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ArpOperation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
    /// Another operation, by its number (RARP, inverse ARP and others).
    Other(u16),
}

impl ArpOperation {
    const fn from_u16(value: u16) -> Self {
        match value {
            1 => Self::Request,
            2 => Self::Reply,
            other => Self::Other(other),
        }
    }

    const fn to_u16(self) -> u16 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Other(other) => other,
        }
    }
}

impl ArpPacket {
    /// Bytes of the packet, without the padding that Ethernet adds.
    pub const LEN: usize = 28;

    /// Ethernet, IPv4 and the lengths of their addresses.
    const SPACE: [u8; 6] = [0, 1, 0x08, 0, 6, 4];

    /// Reads the packet that starts at `data[0]`; what follows it is padding.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Truncated`] when it is cut short; [`HeaderError::ArpSpace`] when it is not for
    /// IPv4 over Ethernet.
    pub fn parse(data: &[u8]) -> Result<Self, HeaderError> {
        let Some(bytes) = data.first_chunk::<{ Self::LEN }>() else {
            return Err(HeaderError::truncated(
                HeaderName::Arp,
                Self::LEN,
                data.len(),
            ));
        };
        if get::<0, 6, _>(bytes) != Self::SPACE {
            return Err(HeaderError::ArpSpace);
        }
        Ok(Self {
            operation: ArpOperation::from_u16(u16_at::<6, _>(bytes)),
            sender_mac: MacAddr::new(get::<8, 6, _>(bytes)),
            sender_ip: Ipv4Addr::from(get::<14, 4, _>(bytes)),
            target_mac: MacAddr::new(get::<18, 6, _>(bytes)),
            target_ip: Ipv4Addr::from(get::<24, 4, _>(bytes)),
        })
    }

    /// Returns the bytes of the packet.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put::<0, 6, _>(&mut bytes, Self::SPACE);
        put::<6, 2, _>(&mut bytes, self.operation.to_u16().to_be_bytes());
        put::<8, 6, _>(&mut bytes, self.sender_mac.octets());
        put::<14, 4, _>(&mut bytes, self.sender_ip.octets());
        put::<18, 6, _>(&mut bytes, self.target_mac.octets());
        put::<24, 4, _>(&mut bytes, self.target_ip.octets());
        bytes
    }

    /// Returns the reply that tells the sender of `self` that `mac` has the address asked for.
    #[must_use]
    pub const fn reply(&self, mac: MacAddr) -> Self {
        Self {
            operation: ArpOperation::Reply,
            sender_mac: mac,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        }
    }

    /// Tells whether the sender only asks if the address is free (RFC 5227 §1.1).
    pub const fn is_probe(&self) -> bool {
        matches!(self.operation, ArpOperation::Request) && self.sender_ip.is_unspecified()
    }

    /// Tells whether the sender announces its own address (RFC 5227 §1.1, also "gratuitous").
    pub fn is_announcement(&self) -> bool {
        self.sender_ip == self.target_ip && !self.sender_ip.is_unspecified()
    }
}

impl fmt::Display for ArpPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sender, target) = (self.sender_ip, self.target_ip);
        match self.operation {
            ArpOperation::Request => write!(f, "ARP, Request who-has {target} tell {sender}"),
            ArpOperation::Reply => write!(f, "ARP, Reply {sender} is-at {}", self.sender_mac),
            ArpOperation::Other(other) => write!(f, "ARP, operation {other} from {sender}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request, put together by hand.
    const REQUEST: [u8; 28] = [
        0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0, 0, 0, 0, 0x0a, 10, 192, 0, 10, 0, 0, 0, 0, 0, 0, 10, 192,
        0, 11,
    ];

    #[test]
    fn a_request_is_read_and_answered() {
        let request = ArpPacket::parse(&REQUEST).unwrap();
        assert_eq!(
            request.to_string(),
            "ARP, Request who-has 10.192.0.11 tell 10.192.0.10"
        );
        let mac = MacAddr::new([2, 0, 0, 0, 0, 0x0b]);
        let reply = request.reply(mac);
        assert_eq!(
            reply.to_string(),
            "ARP, Reply 10.192.0.11 is-at 02:00:00:00:00:0b"
        );
        assert_eq!(reply.target_mac, MacAddr::new([2, 0, 0, 0, 0, 0x0a]));
        assert_eq!(
            reply.encode(),
            [
                0, 1, 8, 0, 6, 4, 0, 2, 0x02, 0, 0, 0, 0, 0x0b, 10, 192, 0, 11, 0x02, 0, 0, 0, 0,
                0x0a, 10, 192, 0, 10
            ]
        );
        assert_eq!(request.encode(), REQUEST);
    }

    #[test]
    fn probes_and_announcements_are_told_apart() {
        let request = ArpPacket::parse(&REQUEST).unwrap();
        assert!(!request.is_probe() && !request.is_announcement());
        let probe = ArpPacket {
            sender_ip: Ipv4Addr::UNSPECIFIED,
            ..request
        };
        assert!(probe.is_probe() && !probe.is_announcement());
        let announcement = ArpPacket {
            target_ip: request.sender_ip,
            ..request
        };
        assert!(announcement.is_announcement() && !announcement.is_probe());
    }

    #[test]
    fn what_is_short_or_of_another_space_is_refused() {
        for len in 0..28 {
            ArpPacket::parse(&REQUEST[..len]).unwrap_err();
        }
        for at in 0..6 {
            let mut bytes = REQUEST;
            bytes[at] ^= 0x40;
            assert_eq!(ArpPacket::parse(&bytes), Err(HeaderError::ArpSpace));
        }
    }
}
