//! Values by IP prefix, where no two prefixes overlap.
//!
//! Because overlaps are refused, an address lies in at most one prefix, and that one is its longest
//! match. So the map is two sorted arrays, one a family, and a look-up is a binary search: about 10
//! ns among a thousand prefixes, without a pointer to follow. A prefix trie (`prefix-trie` 0.10 was
//! looked at: MIT or Apache-2.0, maintained) can do more, nested prefixes, which are what is
//! refused here, for 3,000 lines with `unsafe` in them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Values by prefix, no two of which overlap.
#[derive(Clone, Debug)]
pub struct PrefixMap<T> {
    v4: Ranges<Ipv4Addr, T>,
    v6: Ranges<Ipv6Addr, T>,
}

/// Address ranges in order, without overlap.
#[derive(Clone, Debug)]
struct Ranges<A, T>(Vec<Range<A, T>>);

#[derive(Clone, Debug)]
struct Range<A, T> {
    first: A,
    last: A,
    prefix: IpNet,
    value: T,
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        Self {
            v4: Ranges(Vec::new()),
            v6: Ranges(Vec::new()),
        }
    }
}

impl<T> PrefixMap<T> {
    /// Adds `value` for `prefix`; bits of its address behind its length count for nothing.
    ///
    /// # Errors
    ///
    /// Returns a prefix that overlaps it; nothing is changed then.
    pub fn insert(&mut self, prefix: IpNet, value: T) -> Result<(), IpNet> {
        let prefix = prefix.trunc();
        match prefix {
            IpNet::V4(net) => self
                .v4
                .insert(net.network(), net.broadcast(), prefix, value),
            IpNet::V6(net) => self
                .v6
                .insert(net.network(), net.broadcast(), prefix, value),
        }
    }

    /// Returns the prefix in which `addr` lies, and its value.
    #[inline]
    pub fn get(&self, addr: IpAddr) -> Option<(IpNet, &T)> {
        match addr {
            IpAddr::V4(addr) => self.v4.get(addr),
            IpAddr::V6(addr) => self.v6.get(addr),
        }
    }

    /// Returns a prefix that overlaps `prefix`.
    pub fn overlapping(&self, prefix: IpNet) -> Option<IpNet> {
        match prefix {
            IpNet::V4(net) => self.v4.overlapping(net.network(), net.broadcast()),
            IpNet::V6(net) => self.v6.overlapping(net.network(), net.broadcast()),
        }
    }

    /// Removes all prefixes whose value `is_kept` does not tell to keep.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        self.v4.0.retain(|range| is_kept(&range.value));
        self.v6.0.retain(|range| is_kept(&range.value));
    }

    /// Returns all prefixes with their values: those of IPv4 first, each family in the order of
    /// addresses.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        let v4 = self.v4.0.iter().map(|range| (range.prefix, &range.value));
        let v6 = self.v6.0.iter().map(|range| (range.prefix, &range.value));
        v4.chain(v6)
    }
}

impl<A: Ord + Copy, T> Ranges<A, T> {
    fn insert(&mut self, first: A, last: A, prefix: IpNet, value: T) -> Result<(), IpNet> {
        if let Some(other) = self.overlapping(first, last) {
            return Err(other);
        }
        let place = self.0.partition_point(|range| range.first < first);
        let range = Range {
            first,
            last,
            prefix,
            value,
        };
        self.0.insert(place, range);
        Ok(())
    }

    #[inline]
    fn get(&self, addr: A) -> Option<(IpNet, &T)> {
        let place = self.0.partition_point(|range| range.last < addr);
        let range = self.0.get(place).filter(|range| range.first <= addr)?;
        Some((range.prefix, &range.value))
    }

    fn overlapping(&self, first: A, last: A) -> Option<IpNet> {
        let place = self.0.partition_point(|range| range.last < first);
        let range = self.0.get(place).filter(|range| range.first <= last)?;
        Some(range.prefix)
    }
}

#[cfg(test)]
mod tests {
    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn map(prefixes: &[&str]) -> PrefixMap<usize> {
        let mut map = PrefixMap::default();
        for (number, prefix) in prefixes.iter().enumerate() {
            map.insert(net(prefix), number).unwrap();
        }
        map
    }

    #[test]
    fn an_address_is_found_in_its_prefix_up_to_both_ends() {
        let map = map(&["10.2.0.0/16", "10.1.0.0/24", "0.0.0.0/8", "fd00::/64"]);
        let get = |text: &str| map.get(text.parse().unwrap()).map(|(_, number)| *number);
        assert_eq!((get("10.1.0.0"), get("10.1.0.255")), (Some(1), Some(1)));
        assert_eq!((get("10.0.255.255"), get("10.1.1.0")), (None, None));
        assert_eq!((get("10.2.255.255"), get("10.3.0.0")), (Some(0), None));
        assert_eq!((get("0.0.0.0"), get("255.255.255.255")), (Some(2), None));
        assert_eq!((get("fd00::ffff"), get("fd00:0:0:1::")), (Some(3), None));
        assert_eq!(get("::ffff:10.1.0.1"), None);
        let prefixes: Vec<_> = map.iter().map(|(prefix, _)| prefix.to_string()).collect();
        assert_eq!(
            prefixes,
            ["0.0.0.0/8", "10.1.0.0/24", "10.2.0.0/16", "fd00::/64"]
        );
    }

    #[test]
    fn overlaps_are_refused_from_within_and_from_without() {
        let mut map = map(&["10.1.0.0/16", "10.3.0.0/16"]);
        for text in [
            "10.1.2.0/24",
            "10.1.0.0/16",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "10.1.9.9/16",
        ] {
            let other = net("10.1.0.0/16");
            assert_eq!(map.overlapping(net(text)), Some(other), "{text}");
            assert_eq!(map.insert(net(text), 9), Err(other), "{text}");
        }
        map.insert(net("10.2.7.7/16"), 7).unwrap();
        assert_eq!(map.iter().count(), 3);
        assert_eq!(
            map.get("10.2.0.1".parse().unwrap()),
            Some((net("10.2.0.0/16"), &7))
        );
        map.retain(|number| *number == 7);
        assert_eq!(map.iter().count(), 1);
    }

    #[test]
    fn the_default_route_of_both_families_is_a_prefix_like_others() {
        let map = map(&["0.0.0.0/0", "::/0"]);
        for (text, want) in [
            ("255.255.255.255", 0),
            ("0.0.0.0", 0),
            ("ff::1", 1),
            ("::", 1),
        ] {
            assert_eq!(map.get(text.parse().unwrap()).unwrap().1, &want);
        }
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u32>(), 0..=32_u8).prop_map(|(bits, len)| {
            // Few different networks, so that they meet.
            Ipv4Net::new(Ipv4Addr::from(bits & 0xe100_0181), len).map(IpNet::V4)
        });
        let v6 = (any::<u128>(), 0..=128_u8).prop_map(|(bits, len)| {
            Ipv6Net::new(Ipv6Addr::from(bits & 0x8181 << 100), len).map(IpNet::V6)
        });
        prop_oneof![v4, v6].prop_map(Result::unwrap)
    }

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn the_map_agrees_with_a_list(prefixes in prop::collection::vec(prefix(), 0..40)) {
            let mut map = PrefixMap::default();
            let mut list: Vec<(IpNet, usize)> = Vec::new();
            for (number, prefix) in prefixes.iter().enumerate() {
                let overlaps = list
                    .iter()
                    .any(|(other, _)| other.contains(prefix) || prefix.contains(other));
                prop_assert_eq!(map.insert(*prefix, number).is_err(), overlaps);
                if !overlaps {
                    list.push((prefix.trunc(), number));
                }
            }
            prop_assert_eq!(map.iter().count(), list.len());
            let ends = |net: &IpNet| [net.addr(), net.network(), net.broadcast()];
            for addr in prefixes.iter().flat_map(ends) {
                let want = list.iter().find(|(net, _)| net.contains(&addr));
                prop_assert_eq!(map.get(addr), want.map(|(net, number)| (*net, number)));
            }
        }
    }
}
