//! Why bytes are not the header that they should be.

use core::fmt;

use thiserror::Error;

use super::IpProtocol;

/// Bytes are not the header that was looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes end before the header, or before what the header says it carries.
    #[error("{header} needs {needed} bytes, {present} are there")]
    Truncated {
        /// The header.
        header: HeaderName,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that are there.
        present: usize,
    },
    /// A length field holds less than the header itself.
    #[error("{header} states an impossible length of {stated} bytes")]
    Length {
        /// The header.
        header: HeaderName,
        /// The length that the field states, in bytes.
        stated: usize,
    },
    /// Not this version of the Internet Protocol.
    #[error("{header} has version {version}")]
    Version {
        /// The header.
        header: HeaderName,
        /// The version that the field states.
        version: u8,
    },
    /// ARP for something other than IPv4 over Ethernet.
    #[error("ARP is not for IPv4 over Ethernet")]
    ArpSpace,
    /// Not a message of the kind that was looked for.
    #[error("{header} has type {kind}")]
    MessageType {
        /// The header.
        header: HeaderName,
        /// The type that the field states.
        kind: u8,
    },
    /// An IPv6 header chain longer than [`super::Ipv6View::MAX_EXTENSIONS`].
    #[error("too many IPv6 extension headers")]
    TooManyExtensions,
    /// An IPv6 extension header where none of its kind may be (RFC 8200 §4.1).
    #[error("misplaced IPv6 extension header {0}")]
    MisplacedExtension(IpProtocol),
}

impl HeaderError {
    /// Returns the error for a header that `needed` bytes do not fit into `present`.
    #[cold]
    pub(crate) const fn truncated(header: HeaderName, needed: usize, present: usize) -> Self {
        Self::Truncated {
            header,
            needed,
            present,
        }
    }
}

/// The headers that this crate reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum HeaderName {
    /// Ethernet II.
    Ethernet,
    /// An 802.1Q or 802.1ad tag.
    Vlan,
    /// ARP.
    Arp,
    /// IPv4.
    Ipv4,
    /// An IPv4 option.
    Ipv4Option,
    /// IPv6.
    Ipv6,
    /// An IPv6 extension header.
    Ipv6Extension,
    /// An option of an IPv6 extension header.
    Ipv6Option,
    /// TCP.
    Tcp,
    /// A TCP option.
    TcpOption,
    /// UDP.
    Udp,
    /// IGMP.
    Igmp,
    /// MLD.
    Mld,
    /// ICMP for IPv4.
    Icmpv4,
    /// ICMP for IPv6.
    Icmpv6,
    /// Neighbor Discovery.
    Nd,
    /// A Neighbor Discovery option.
    NdOption,
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::Vlan => "VLAN tag",
            Self::Arp => "ARP",
            Self::Ipv4 => "IPv4",
            Self::Ipv4Option => "IPv4 option",
            Self::Ipv6 => "IPv6",
            Self::Ipv6Extension => "IPv6 extension header",
            Self::Ipv6Option => "IPv6 option",
            Self::Tcp => "TCP",
            Self::TcpOption => "TCP option",
            Self::Udp => "UDP",
            Self::Igmp => "IGMP",
            Self::Mld => "MLD",
            Self::Icmpv4 => "ICMPv4",
            Self::Icmpv6 => "ICMPv6",
            Self::Nd => "Neighbor Discovery",
            Self::NdOption => "Neighbor Discovery option",
        })
    }
}
