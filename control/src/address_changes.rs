//! What was changed of the addresses of an interface inside of its sandbox. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::datapath::ObservedAddress;

/// The addresses of an interface as they are meant to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MeantAddresses {
    /// Those that it was made with; none if whoever uses it asks for them by DHCP.
    pub(crate) given: Vec<IpNet>,
    /// Hosts and prefixes that its sandbox may use besides; `None` for all, which is so where nothing is guarded.
    pub(crate) allowed: Option<Vec<IpNet>>,
}

/// What differs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct AddressChanges {
    /// Addresses that were given, and are not there, or with another length of prefix.
    pub(crate) missing: Vec<IpNet>,
    /// Addresses that are there, and were neither given nor are allowed.
    pub(crate) foreign: Vec<IpNet>,
}

impl AddressChanges {
    /// Compares what is there with what is meant to be.
    pub(crate) fn between(meant: &MeantAddresses, there: &[ObservedAddress]) -> Self {
        let is_there = |net: &IpNet| there.iter().any(|it| it.net == *net);
        let missing = meant.given.iter().copied().filter(|net| !is_there(net));
        let foreign = there.iter().filter(|it| meant.is_foreign(it));
        Self {
            missing: missing.collect(),
            foreign: foreign.map(|it| it.net).collect(),
        }
    }

    /// Tells whether nothing differs.
    pub(crate) const fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.foreign.is_empty()
    }
}

impl MeantAddresses {
    fn is_foreign(&self, there: &ObservedAddress) -> bool {
        let ObservedAddress { net, is_permanent } = there;
        // What routers advertise and DHCP gives has an end. Every interface has a link-local address of its own.
        if !is_permanent || is_link_local(net.addr()) || self.given.contains(net) {
            return false;
        }
        let has_other_prefix = self.given.iter().any(|it| it.addr() == net.addr());
        let is_allowed = self.allowed.as_ref().is_none_or(|allowed| {
            let mut allowed = allowed.iter();
            allowed.any(|prefix| prefix.contains(&net.addr()))
        });
        has_other_prefix || !is_allowed
    }
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [&str; 2] = ["10.192.0.2/24", "fd00::2/64"];

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn guarded(allowed: &[&str]) -> MeantAddresses {
        let hosts = ["10.192.0.2/32", "fd00::2/128"];
        MeantAddresses {
            given: nets(&OURS),
            allowed: Some(nets(&[&hosts, allowed].concat())),
        }
    }

    fn there(texts: &[&str]) -> Vec<ObservedAddress> {
        let permanent = |net| ObservedAddress {
            net,
            is_permanent: true,
        };
        nets(texts).into_iter().map(permanent).collect()
    }

    fn changes(missing: &[&str], foreign: &[&str]) -> AddressChanges {
        AddressChanges {
            missing: nets(missing),
            foreign: nets(foreign),
        }
    }

    #[test]
    fn addresses_that_were_given_are_missed_and_others_are_foreign() {
        for (seen, missing, foreign) in [
            (&OURS[..], &[][..], &[][..]),
            (&["fd00::2/64", "10.192.0.2/24"], &[], &[]),
            (&["fd00::2/64"], &["10.192.0.2/24"], &[]),
            (&[], &OURS, &[]),
            (
                &["10.192.0.9/24", "fd00::2/64"],
                &["10.192.0.2/24"],
                &["10.192.0.9/24"],
            ),
            (
                &["10.192.0.2/24", "fd00::2/64", "fd00::9/64", "192.0.2.1/32"],
                &[],
                &["fd00::9/64", "192.0.2.1/32"],
            ),
        ] {
            let found = AddressChanges::between(&guarded(&[]), &there(seen));
            assert_eq!(found, changes(missing, foreign), "{seen:?}");
            assert_eq!(found.is_empty(), missing.is_empty() && foreign.is_empty());
        }
    }

    #[test]
    fn another_length_of_prefix_is_another_address() {
        let seen = there(&["10.192.0.2/16", "fd00::2/64"]);
        let found = changes(&["10.192.0.2/24"], &["10.192.0.2/16"]);
        assert_eq!(AddressChanges::between(&guarded(&[]), &seen), found);
        let unguarded = MeantAddresses {
            allowed: None,
            ..guarded(&[])
        };
        assert_eq!(AddressChanges::between(&unguarded, &seen), found);
    }

    #[test]
    fn link_local_addresses_and_those_that_end_are_nobodys_change() {
        let mut seen = there(&["10.192.0.2/24", "fd00::2/64", "fe80::1/64", "fe80::2/10"]);
        seen.push(ObservedAddress {
            net: "2001:db8::7/64".parse().unwrap(),
            is_permanent: false,
        });
        assert!(AddressChanges::between(&guarded(&[]), &seen).is_empty());
        // Not those of IPv4, which the guard refuses.
        let seen = there(&["10.192.0.2/24", "fd00::2/64", "169.254.7.7/16"]);
        let found = AddressChanges::between(&guarded(&[]), &seen);
        assert_eq!(found, changes(&[], &["169.254.7.7/16"]));
    }

    #[test]
    fn what_an_endpoint_is_allowed_is_not_foreign() {
        let seen = there(&["10.192.0.2/24", "fd00::2/64", "10.192.0.100/24"]);
        for allowed in ["10.192.0.100/32", "10.192.0.96/28"] {
            let found = AddressChanges::between(&guarded(&[allowed]), &seen);
            assert!(found.is_empty(), "{allowed}: {found:?}");
        }
        // Where nothing is guarded, everything is allowed.
        let unguarded = MeantAddresses {
            allowed: None,
            ..guarded(&[])
        };
        assert!(AddressChanges::between(&unguarded, &seen).is_empty());
    }

    #[test]
    fn who_asks_for_addresses_by_dhcp_misses_none() {
        let meant = MeantAddresses {
            given: Vec::new(),
            ..guarded(&[])
        };
        assert!(AddressChanges::between(&meant, &[]).is_empty());
        let seen = there(&["10.192.0.2/24", "10.192.0.9/24"]);
        let found = AddressChanges::between(&meant, &seen);
        assert_eq!(found, changes(&[], &["10.192.0.9/24"]));
    }
}
