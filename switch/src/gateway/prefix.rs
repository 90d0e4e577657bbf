//! Addresses and prefixes of both families as numbers: IPv4 as `::ffff:0:0/96` (RFC 4291 §2.5.5.2).
//!
//! No IPv6 packet with such an address is forwarded, so the families do not meet.

use core::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Returns an address as a number.
#[inline]
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Returns the address that a number stands for.
pub(super) fn address(bits: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical()
}

/// A prefix of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Prefix {
    pub(super) bits: u128,
    pub(super) mask: u128,
}

impl Prefix {
    /// Returns the prefix of a network; bits of its address behind the length count for nothing.
    pub(super) fn new(net: IpNet) -> Self {
        let mask = match net {
            IpNet::V4(net) => !u128::from(net.hostmask().to_bits()),
            IpNet::V6(net) => net.netmask().to_bits(),
        };
        Self {
            bits: bits(net.addr()) & mask,
            mask,
        }
    }

    /// Tells whether an address lies in the prefix.
    #[inline]
    pub(super) const fn contains(self, bits: u128) -> bool {
        bits & self.mask == self.bits
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_families_do_not_meet() {
        let prefix = |text: &str| Prefix::new(text.parse().unwrap());
        let contains =
            |net: &str, address: &str| prefix(net).contains(bits(address.parse().unwrap()));
        assert!(contains("10.0.0.1/24", "10.0.0.255"));
        assert!(!contains("10.0.0.1/24", "10.0.1.0"));
        assert!(contains("0.0.0.0/0", "203.0.113.1"));
        assert!(!contains("0.0.0.0/0", "fd00::1"));
        assert!(contains("fd00::1/64", "fd00::ffff"));
        assert!(!contains("fd00::1/64", "fd00:0:0:1::"));
        assert!(contains("fd00::1/128", "fd00::1"));
    }
}
