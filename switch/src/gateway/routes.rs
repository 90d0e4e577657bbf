//! Which network has a prefix: the longest match of several.
//!
//! A level for each length of prefix that occurs, longest first, and a binary search in each: networks
//! have few different lengths, and tables are small. Built by the control side, then only read.

use ipnet::IpNet;

use super::prefix::Prefix;

/// Values by prefix; prefixes may contain each other.
pub(crate) struct Routes<T> {
    levels: Box<[Level<T>]>,
}

/// The prefixes of one length.
struct Level<T> {
    mask: u128,
    /// In order of their bits, none twice.
    entries: Box<[(u128, T)]>,
}

impl<T> Routes<T> {
    /// Returns the table of these prefixes. Of two that are the same the first one counts.
    pub(crate) fn new(routes: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let mut routes: Vec<(Prefix, T)> = routes
            .into_iter()
            .map(|(net, value)| (Prefix::new(net), value))
            .collect();
        // Stable, so that the first of several stays the first. A longer mask is a larger number.
        routes.sort_by(|(a, _), (b, _)| b.mask.cmp(&a.mask).then(a.bits.cmp(&b.bits)));
        routes.dedup_by_key(|(prefix, _)| *prefix);
        let mut levels: Vec<(u128, Vec<(u128, T)>)> = Vec::new();
        for (prefix, value) in routes {
            match levels.last_mut() {
                Some((mask, entries)) if *mask == prefix.mask => entries.push((prefix.bits, value)),
                Some(_) | None => levels.push((prefix.mask, vec![(prefix.bits, value)])),
            }
        }
        let levels = levels.into_iter().map(|(mask, entries)| Level {
            mask,
            entries: entries.into_boxed_slice(),
        });
        Self {
            levels: levels.collect(),
        }
    }

    /// Returns the value of the longest prefix that an address lies in.
    #[inline]
    pub(crate) fn get(&self, bits: u128) -> Option<&T> {
        self.levels.iter().find_map(|level| {
            let key = bits & level.mask;
            let place = level.entries.binary_search_by_key(&key, |(bits, _)| *bits);
            place.ok().map(|place| &level.entries[place].1)
        })
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use proptest::prelude::*;

    use super::super::prefix::bits;
    use super::*;

    fn get(routes: &Routes<usize>, address: &str) -> Option<usize> {
        routes.get(bits(address.parse().unwrap())).copied()
    }

    fn routes(nets: &[&str]) -> Routes<usize> {
        let numbered = nets.iter().enumerate();
        Routes::new(numbered.map(|(number, net)| (net.parse().unwrap(), number)))
    }

    #[test]
    fn the_longest_prefix_wins_and_of_two_alike_the_first() {
        let routes = routes(&[
            "10.0.0.0/8",
            "10.1.2.0/24",
            "10.1.0.0/16",
            "10.1.0.0/16",
            "fd00::/64",
            "0.0.0.0/0",
        ]);
        assert_eq!(get(&routes, "10.1.2.3"), Some(1));
        assert_eq!(get(&routes, "10.1.3.3"), Some(2));
        assert_eq!(get(&routes, "10.9.9.9"), Some(0));
        assert_eq!(get(&routes, "192.0.2.1"), Some(5));
        assert_eq!(get(&routes, "fd00::9"), Some(4));
        assert_eq!(get(&routes, "fd01::9"), None);
    }

    proptest! {
        #[test]
        fn it_finds_what_a_look_through_all_prefixes_finds(
            nets in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..40),
            near in any::<prop::sample::Index>(),
            noise in 0_u32..0x100,
        ) {
            let nets: Vec<IpNet> = nets
                .into_iter()
                .map(|(address, len)| IpNet::new(core::net::Ipv4Addr::from(address).into(), len).unwrap())
                .collect();
            let address = match nets.get(near.index(nets.len().max(1))) {
                Some(IpNet::V4(net)) => core::net::Ipv4Addr::from_bits(net.addr().to_bits() ^ noise).into(),
                Some(IpNet::V6(_)) | None => core::net::IpAddr::from([192, 0, 2, 1]),
            };
            let routes = Routes::new(nets.iter().copied().enumerate().map(|(no, net)| (net, no)));
            let containing = nets.iter().enumerate().filter(|(_, net)| net.contains(&address));
            let longest = containing.max_by_key(|(no, net)| (net.prefix_len(), usize::MAX - no));
            prop_assert_eq!(routes.get(bits(address)).copied(), longest.map(|(no, _)| no));
        }
    }
}
