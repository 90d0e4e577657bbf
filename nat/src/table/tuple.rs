//! What a record of the table is found by: where a packet comes from and where it goes.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tapweave_net::{IpProtocol, NetworkNo};

/// The address space that a [`Tuple`]'s addresses belong to. Networks may use the same addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Realm(u32);

impl Realm {
    /// Where the uplinks are.
    pub const OUTSIDE: Self = Self(0);

    /// Returns the realm of a network. Networks are numbered from 1.
    pub const fn of(network: NetworkNo) -> Self {
        Self(network.0)
    }

    /// Returns the network, or nothing for the outside.
    pub const fn network(self) -> Option<NetworkNo> {
        match self.0 {
            0 => None,
            number => Some(NetworkNo(number)),
        }
    }

    pub(super) const fn to_u32(self) -> u32 {
        self.0
    }

    pub(super) const fn from_u32(word: u32) -> Self {
        Self(word)
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network() {
            Some(network) => network.fmt(f),
            None => f.write_str("outside"),
        }
    }
}

/// The low half of 0.0.0.0 when it is IPv4-mapped.
const MAPPED: u64 = 0xffff_0000_0000;

/// An address with a port, or with what stands in its place (the identifier of an ICMP query).
///
/// IPv4 addresses are kept IPv4-mapped (RFC 4291 §2.5.5.2), so that both families have one form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The halves of the address, the first above, as numbers.
    address: [u64; 2],
    /// As wide as the rest. A copy of a struct with a gap reads the gap too, and waits until the narrower
    /// write before it has reached the cache: 4 ns a packet.
    port: u64,
}

impl Endpoint {
    /// Any remote of IPv4: what stands in the keys of an endpoint-independent mapping.
    pub const ANY_V4: Self = Self {
        address: [0, MAPPED],
        port: 0,
    };
    /// Any remote of IPv6.
    pub const ANY_V6: Self = Self {
        address: [0; 2],
        port: 0,
    };

    /// Returns the endpoint of an address and a port or identifier.
    #[inline]
    pub fn new(address: IpAddr, port: u16) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address, port),
            IpAddr::V6(address) => Self::v6(address, port),
        }
    }

    /// Returns the endpoint of an address and a port or identifier.
    #[inline]
    pub const fn v4(address: Ipv4Addr, port: u16) -> Self {
        let address = [0, MAPPED | address.to_bits() as u64];
        Self::from_words(address, port)
    }

    /// Returns the endpoint of an address, which is not IPv4-mapped, and a port or identifier.
    #[inline]
    pub const fn v6(address: Ipv6Addr, port: u16) -> Self {
        Self::from_words(halves(address.to_bits()), port)
    }

    /// Returns the wildcard of the family of `address`.
    #[inline]
    pub const fn any_like(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::ANY_V4,
            IpAddr::V6(_) => Self::ANY_V6,
        }
    }

    /// Returns the address, IPv4 where it is IPv4-mapped.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is the IPv4 address"
    )]
    pub const fn ip(self) -> IpAddr {
        let [high, low] = self.address;
        if high == 0 && low >> 32 == MAPPED >> 32 {
            IpAddr::V4(Ipv4Addr::from_bits(low as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits((high as u128) << 64 | low as u128))
        }
    }

    /// Returns the port or identifier.
    #[inline]
    pub const fn port(self) -> u16 {
        (self.port & 0xffff) as u16
    }

    /// Returns the endpoint with another port.
    #[must_use]
    pub const fn with_port(self, port: u16) -> Self {
        Self::from_words(self.address, port)
    }

    /// Tells whether this stands for every remote of its family.
    #[inline]
    pub const fn is_any(self) -> bool {
        let [high, low] = self.address;
        self.port == 0 && high == 0 && (low == 0 || low == Self::ANY_V4.address[1])
    }

    pub(super) const fn from_words(address: [u64; 2], port: u16) -> Self {
        Self {
            address,
            port: port as u64,
        }
    }

    pub(super) const fn address_words(self) -> [u64; 2] {
        self.address
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip(), self.port()).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

/// What a packet is looked up by: where it comes from and where it goes, in which address space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// The side that a packet with these addresses is seen on.
    pub realm: Realm,
    /// What IP carries.
    pub protocol: IpProtocol,
    /// Where it comes from.
    pub src: Endpoint,
    /// Where it goes.
    pub dst: Endpoint,
}

impl Tuple {
    /// Returns the tuple with the ends exchanged, in the same realm.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            ..self
        }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} > {}", self.protocol, self.src, self.dst)
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.realm)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn both_families_come_back_and_their_wildcards_differ() {
        for address in ["192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "::1"] {
            let address: IpAddr = address.parse().unwrap();
            let endpoint = Endpoint::new(address, 65_535);
            assert_eq!((endpoint.ip(), endpoint.port()), (address, 65_535));
            assert!(!endpoint.is_any());
            assert!(Endpoint::any_like(address).is_any());
            let unspecified = Endpoint::any_like(address).ip();
            assert_eq!(unspecified.is_ipv4(), address.is_ipv4());
        }
        assert_ne!(Endpoint::ANY_V4, Endpoint::ANY_V6);
    }

    #[test]
    fn a_tuple_is_printed_with_its_ends_and_realm() {
        let tuple = Tuple {
            realm: Realm::of(NetworkNo(3)),
            protocol: IpProtocol::UDP,
            src: SocketAddr::from(([10, 0, 0, 2], 5353)).into(),
            dst: SocketAddr::from(([198, 51, 100, 1], 53)).into(),
        };
        let text = "UDP 10.0.0.2:5353 > 198.51.100.1:53";
        assert_eq!(tuple.to_string(), text);
        assert_eq!(format!("{tuple:?}"), format!("{text} (network 3)"));
        assert_eq!(tuple.reversed().reversed(), tuple);
        assert_eq!(tuple.reversed().dst, tuple.src);
        assert_eq!(Realm::OUTSIDE.network(), None);
    }
}
