//! Which addresses an endpoint may use.
//!
//! Its own ones, and in IPv6 every link-local one that is not evidently another station's: sandboxes
//! choose those by themselves, from their MAC or at random (RFC 4291 §2.5.6, RFC 7217), and nobody
//! is told. An interface identifier in the form of a modified EUI-64 (RFC 4291 appendix A) names the
//! MAC that it was made of, so one made of another MAC belongs to another station. A random identifier
//! has that form once in 65,536; then `--allow-address` helps.
//!
//! IPv4 has no such rule: 169.254.0.0/16 holds addresses that sandboxes trust for what they are, like
//! the metadata service of clouds at 169.254.169.254.

use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use tapweave_net::MacAddr;

/// The addresses of an endpoint. Few, so they are looked through one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Owned {
    v4: Box<[Prefix<u32>]>,
    v6: Box<[Prefix<u128>]>,
    /// The interface identifier that the MAC gives.
    interface_id: u64,
}

/// A prefix as a number and a mask, so that a comparison takes one AND.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Prefix<T> {
    network: T,
    mask: T,
}

impl Owned {
    pub(super) fn new(mac: MacAddr, addresses: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in addresses {
            match address {
                IpNet::V4(net) => v4.push(Prefix {
                    network: net.network().to_bits(),
                    mask: net.netmask().to_bits(),
                }),
                IpNet::V6(net) => v6.push(Prefix {
                    network: net.network().to_bits(),
                    mask: net.netmask().to_bits(),
                }),
            }
        }
        Self {
            v4: v4.into_boxed_slice(),
            v6: v6.into_boxed_slice(),
            interface_id: mac.interface_id(),
        }
    }

    /// Tells whether the endpoint may use an IPv4 address.
    #[inline]
    pub(super) fn has_v4(&self, address: Ipv4Addr) -> bool {
        let bits = address.to_bits();
        self.v4
            .iter()
            .any(|prefix| bits & prefix.mask == prefix.network)
    }

    /// Tells whether the endpoint may use an IPv6 address.
    #[inline]
    pub(super) fn has_v6(&self, address: Ipv6Addr) -> bool {
        let bits = address.to_bits();
        self.v6
            .iter()
            .any(|prefix| bits & prefix.mask == prefix.network)
            || self.is_free_link_local(address)
    }

    /// Tells whether an address is link-local and not made of another station's MAC.
    fn is_free_link_local(&self, address: Ipv6Addr) -> bool {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the interface identifier is the low half (RFC 4291 §2.5.1)"
        )]
        let id = address.to_bits() as u64;
        address.is_unicast_link_local() && (id == self.interface_id || id & FFFE_MASK != FFFE)
    }
}

/// The middle of every modified EUI-64.
const FFFE: u64 = 0xfffe << 24;
const FFFE_MASK: u64 = 0xffff << 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(addresses: &[&str]) -> Owned {
        let mac = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
        Owned::new(mac, addresses.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn an_address_is_owned_by_itself_or_by_a_prefix() {
        let owned = owned(&["10.0.0.2/32", "10.9.0.0/16", "fd00::2/128", "fd09::/32"]);
        for (address, is_owned) in [
            ("10.0.0.2", true),
            ("10.0.0.3", false),
            ("10.9.255.255", true),
            ("10.10.0.0", false),
            ("0.0.0.0", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(
                owned.has_v4(address.parse().unwrap()),
                is_owned,
                "{address}"
            );
        }
        for (address, is_owned) in [
            ("fd00::2", true),
            ("fd00::3", false),
            ("fd09:0:ffff::1", true),
            ("fd09:1::1", false),
            ("::", false),
            ("::1", false),
            ("::ffff:10.0.0.2", false),
            ("ff02::1", false),
        ] {
            assert_eq!(
                owned.has_v6(address.parse().unwrap()),
                is_owned,
                "{address}"
            );
        }
    }

    #[test]
    fn nothing_but_the_whole_family_is_owned_by_a_prefix_of_no_bits() {
        let all = owned(&["0.0.0.0/0"]);
        assert!(all.has_v4(Ipv4Addr::new(192, 0, 2, 1)));
        assert!(!all.has_v6("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn link_local_addresses_are_owned_unless_they_are_made_of_another_mac() {
        let owned = owned(&["10.0.0.2/32"]);
        for (address, is_owned) in [
            ("fe80::ff:fe00:a", true),
            ("fe80::ff:fe00:b", false),
            ("fe80::200:ff:fe00:a", false),
            ("fe80::1", true),
            ("fe80::8d21:7f3a:52c0:91e4", true),
            ("febf::1", true),
            ("fec0::1", false),
        ] {
            assert_eq!(
                owned.has_v6(address.parse().unwrap()),
                is_owned,
                "{address}"
            );
        }
    }

    #[test]
    fn another_macs_link_local_address_can_be_allowed() {
        let owned = owned(&["fe80::ff:fe00:b/128"]);
        assert!(owned.has_v6("fe80::ff:fe00:b".parse().unwrap()));
    }
}
