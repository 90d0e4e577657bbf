//! IP multicast groups, and which of them are never limited.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which IP a group, a query or a router port is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4 and IGMP.
    V4,
    /// IPv6 and MLD.
    V6,
}

/// An IP multicast address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(IpAddr);

/// The all-hosts group of IPv6.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The scope of groups that stay on a link (RFC 4291 §2.7).
const LINK_LOCAL: u8 = 2;

impl Group {
    /// The last group in order.
    pub(crate) const MAX: Self = Self(IpAddr::V6(Ipv6Addr::new(
        0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
    )));

    /// Returns the group with this address; none when it is not a multicast address.
    pub fn new(address: IpAddr) -> Option<Self> {
        address.is_multicast().then_some(Self(address))
    }

    /// Returns the address.
    pub const fn address(self) -> IpAddr {
        self.0
    }

    /// Returns which IP it is a group of.
    pub const fn family(self) -> Family {
        match self.0 {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// Tells whether frames for the group go everywhere, whoever listens: 224.0.0.0/24 (RFC 4541 §2.1.2),
    /// `ff02::1`, and IPv6 scopes 0 and 1 (RFC 3810 §6).
    pub(crate) fn is_never_limited(self) -> bool {
        match self.0 {
            IpAddr::V4(group) => {
                let [a, b, c, _] = group.octets();
                Ipv4Addr::new(a, b, c, 0) == Ipv4Addr::new(224, 0, 0, 0)
            }
            IpAddr::V6(group) => scope(group) < LINK_LOCAL || group == ALL_NODES,
        }
    }

    /// Tells whether frames for the group go everywhere when nobody is known to listen: IPv6 groups of
    /// link-local scope, those of Neighbor Discovery among them.
    pub(crate) fn is_flooded_without_members(self) -> bool {
        match self.0 {
            IpAddr::V4(_) => false,
            IpAddr::V6(group) => scope(group) == LINK_LOCAL,
        }
    }
}

/// Returns the scope of a multicast address (RFC 4291 §2.7).
const fn scope(group: Ipv6Addr) -> u8 {
    group.octets()[1] & 0x0f
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(text: &str) -> Group {
        Group::new(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn only_multicast_addresses_are_groups() {
        for text in ["10.0.0.1", "255.255.255.255", "fe80::1", "::", "0.0.0.0"] {
            assert_eq!(Group::new(text.parse().unwrap()), None, "{text}");
        }
        assert_eq!(group("224.0.0.1").family(), Family::V4);
        assert_eq!(group("ff02::1").family(), Family::V6);
    }

    #[test]
    fn some_groups_are_never_limited() {
        for text in ["224.0.0.1", "224.0.0.251", "ff02::1", "ff01::1", "ff00::9"] {
            assert!(group(text).is_never_limited(), "{text}");
        }
        for text in ["224.0.1.1", "239.0.0.1", "ff02::2", "ff05::1", "ff02::fb"] {
            assert!(!group(text).is_never_limited(), "{text}");
        }
    }

    #[test]
    fn unknown_groups_are_flooded_within_the_ipv6_link() {
        for text in ["ff02::1:ff00:1", "ff02::fb", "ff12::1"] {
            assert!(group(text).is_flooded_without_members(), "{text}");
        }
        for text in ["ff05::1", "239.0.0.1", "224.0.1.1"] {
            assert!(!group(text).is_flooded_without_members(), "{text}");
        }
    }
}
