//! The IPv4 Protocol and IPv6 Next Header field (IANA, *Assigned Internet Protocol Numbers*).

use core::fmt;

/// The octet that names what follows an IP header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 Hop-by-Hop Options (RFC 8200 §4.3).
    pub const HOP_BY_HOP: Self = Self(0);
    /// Internet Control Message Protocol (RFC 792).
    pub const ICMPV4: Self = Self(1);
    /// Internet Group Management Protocol (RFC 3376).
    pub const IGMP: Self = Self(2);
    /// IPv4 in IP (RFC 2003).
    pub const IPV4: Self = Self(4);
    /// Transmission Control Protocol (RFC 9293).
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol (RFC 768).
    pub const UDP: Self = Self(17);
    /// IPv6 in IP (RFC 2473).
    pub const IPV6: Self = Self(41);
    /// IPv6 Routing (RFC 8200 §4.4).
    pub const ROUTING: Self = Self(43);
    /// IPv6 Fragment (RFC 8200 §4.5).
    pub const FRAGMENT: Self = Self(44);
    /// Generic Routing Encapsulation (RFC 2784).
    pub const GRE: Self = Self(47);
    /// Encapsulating Security Payload (RFC 4303).
    pub const ESP: Self = Self(50);
    /// Authentication Header (RFC 4302).
    pub const AUTHENTICATION: Self = Self(51);
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// IPv6: nothing follows (RFC 8200 §4.7).
    pub const NO_NEXT_HEADER: Self = Self(59);
    /// IPv6 Destination Options (RFC 8200 §4.6).
    pub const DESTINATION_OPTIONS: Self = Self(60);
    /// Stream Control Transmission Protocol (RFC 9260).
    pub const SCTP: Self = Self(132);
    /// IPv6 Mobility (RFC 6275 §6.1).
    pub const MOBILITY: Self = Self(135);
    /// Host Identity Protocol (RFC 7401 §5.1).
    pub const HIP: Self = Self(139);
    /// Shim6 (RFC 5533 §5.1).
    pub const SHIM6: Self = Self(140);
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::HOP_BY_HOP => "HBH",
            Self::ICMPV4 => "ICMP",
            Self::IGMP => "IGMP",
            Self::IPV4 => "IPIP",
            Self::TCP => "TCP",
            Self::UDP => "UDP",
            Self::IPV6 => "IPv6",
            Self::ROUTING => "RT6",
            Self::FRAGMENT => "frag",
            Self::GRE => "GRE",
            Self::ESP => "ESP",
            Self::AUTHENTICATION => "AH",
            Self::ICMPV6 => "ICMP6",
            Self::NO_NEXT_HEADER => "no next header",
            Self::DESTINATION_OPTIONS => "DSTOPT",
            Self::SCTP => "SCTP",
            Self::MOBILITY => "mobility",
            Self::HIP => "HIP",
            Self::SHIM6 => "Shim6",
            Self(other) => return write!(f, "protocol {other}"),
        })
    }
}

impl fmt::Debug for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
