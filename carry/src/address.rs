//! Addresses in records: IPv6, with IPv4 mapped into it (RFC 4291 §2.5.5.2).

use core::net::{IpAddr, Ipv6Addr};

/// An address in a record.
pub(crate) type Octets = [u8; 16];

/// Returns the octets that stand for an address.
pub(crate) const fn octets(address: IpAddr) -> Octets {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Returns the address that octets stand for.
pub(crate) const fn address(octets: Octets) -> IpAddr {
    Ipv6Addr::from_octets(octets).to_canonical()
}
