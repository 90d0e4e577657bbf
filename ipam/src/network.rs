//! The subnets of one network, as one thing to lease from.

use core::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use crate::number::overlap;
use crate::{Family, Holder, LeaseError, Released, Subnet};

/// The addresses of one network: none for a pure L2 network, else one subnet or several of either
/// family.
#[derive(Clone, Debug, Default)]
pub struct NetworkAddresses {
    subnets: Vec<Subnet>,
}

/// Two subnets have addresses in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("subnet {subnet} overlaps {other}")]
pub struct OverlapError {
    /// The one that was to be added.
    pub subnet: IpNet,
    /// The one that is there.
    pub other: IpNet,
}

impl NetworkAddresses {
    /// Returns the addresses of a network with `subnets`, which are used in this order.
    ///
    /// # Errors
    ///
    /// When two of them overlap.
    pub fn new(subnets: Vec<Subnet>) -> Result<Self, OverlapError> {
        for (index, subnet) in subnets.iter().enumerate() {
            let earlier = subnets.iter().take(index).map(Subnet::prefix);
            check_overlap(subnet.prefix(), earlier)?;
        }
        Ok(Self { subnets })
    }

    /// Leases to `owner` the address of `family` that it had last, if that rests; else the next free one
    /// of the first subnet that has any; else one that rests. Returns it with the prefix length of its
    /// subnet.
    ///
    /// # Errors
    ///
    /// `NoSubnet` or `Exhausted`.
    pub fn lease_next(&mut self, family: Family, owner: &str) -> Result<IpNet, LeaseError> {
        for lease in [
            Subnet::lease_again,
            Subnet::lease_free,
            Subnet::lease_rested,
        ] {
            for subnet in self.of_family(family) {
                if let Some(address) = lease(subnet, owner) {
                    return Ok(with_len(address, subnet.prefix()));
                }
            }
        }
        let ranges: Vec<_> = self
            .of_family(family)
            .map(|subnet| subnet.ip_range())
            .collect();
        if ranges.is_empty() {
            return Err(LeaseError::NoSubnet { family });
        }
        Err(LeaseError::Exhausted { ranges })
    }

    /// Leases `address` to `owner` and returns it with the prefix length of its subnet.
    ///
    /// # Errors
    ///
    /// `NoSubnet`, `Outside`, `Reserved` or `Taken`.
    pub fn lease(&mut self, address: IpAddr, owner: &str) -> Result<IpNet, LeaseError> {
        let family = Family::of(address);
        let mut subnets = Vec::new();
        for subnet in &mut self.subnets {
            if subnet.prefix().contains(&address) {
                subnet.lease(address, owner)?;
                return Ok(with_len(address, subnet.prefix()));
            }
            if Family::of_prefix(&subnet.prefix()) == family {
                subnets.push(subnet.prefix());
            }
        }
        if subnets.is_empty() {
            return Err(LeaseError::NoSubnet { family });
        }
        Err(LeaseError::Outside { address, subnets })
    }

    /// Ends the lease of `address` and tells whether an endpoint had it.
    pub fn release(&mut self, address: IpAddr) -> bool {
        self.subnets
            .iter_mut()
            .any(|subnet| subnet.release(address))
    }

    /// Ends the lease of `address`, which something that has no lease was found to use, and tells whether an
    /// endpoint had it. It comes last from now on.
    pub fn set_aside(&mut self, address: IpAddr) -> bool {
        self.subnets
            .iter_mut()
            .any(|subnet| subnet.set_aside(address))
    }

    /// Remembers who had which addresses, in the order of their release: what
    /// [`NetworkAddresses::released`] returned before a restart. Addresses that are leased, or that the
    /// network does not have any more, are left out.
    pub fn remember<'r>(&mut self, released: impl IntoIterator<Item = &'r Released>) {
        for released in released {
            for subnet in &mut self.subnets {
                subnet.remember(released);
            }
        }
    }

    /// Returns the released addresses whose holders are remembered, subnet by subnet in the order of their
    /// release; at most 4,096 a subnet.
    pub fn released(&self) -> impl Iterator<Item = Released> {
        self.subnets.iter().flat_map(Subnet::released)
    }

    /// Returns who had `address`, if it rests and that is remembered.
    pub fn last_owner(&self, address: IpAddr) -> Option<&str> {
        let mut owners = self.subnets.iter().map(|it| it.last_owner(address));
        owners.find_map(|owner| owner)
    }

    /// Tells whether `address` will rest when it is released, and its holder be remembered.
    pub fn will_rest(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.will_rest(address))
    }

    /// Returns the address whose holder is forgotten when `address` is released.
    pub fn forgotten_with(&self, address: IpAddr) -> Option<IpAddr> {
        let mut subnets = self.subnets.iter();
        let subnet = subnets.find(|subnet| subnet.will_rest(address))?;
        subnet.next_to_forget()
    }

    /// Returns the subnets.
    pub fn subnets(&self) -> &[Subnet] {
        &self.subnets
    }

    /// Tells whether there is a subnet of `family`.
    pub fn has(&self, family: Family) -> bool {
        self.subnets
            .iter()
            .any(|subnet| Family::of_prefix(&subnet.prefix()) == family)
    }

    /// Returns who has `address`.
    pub fn holder(&self, address: IpAddr) -> Option<&Holder> {
        self.subnets
            .iter()
            .find_map(|subnet| subnet.holder(address))
    }

    /// Finds a subnet of this network that overlaps `prefix`.
    ///
    /// # Errors
    ///
    /// The overlap, if there is one.
    pub fn check_overlap(&self, prefix: IpNet) -> Result<(), OverlapError> {
        check_overlap(prefix, self.subnets.iter().map(Subnet::prefix))
    }

    fn of_family(&mut self, family: Family) -> impl Iterator<Item = &mut Subnet> {
        self.subnets
            .iter_mut()
            .filter(move |subnet| Family::of_prefix(&subnet.prefix()) == family)
    }
}

fn check_overlap(
    subnet: IpNet,
    others: impl IntoIterator<Item = IpNet>,
) -> Result<(), OverlapError> {
    match others.into_iter().find(|other| overlap(&subnet, other)) {
        Some(other) => Err(OverlapError { subnet, other }),
        None => Ok(()),
    }
}

#[expect(
    clippy::expect_used,
    reason = "the length is that of a prefix with the address in it"
)]
fn with_len(address: IpAddr, prefix: IpNet) -> IpNet {
    IpNet::new(address, prefix.prefix_len()).expect("address and prefix are of one family")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(subnets: &[&str]) -> Result<NetworkAddresses, OverlapError> {
        let subnet = |text: &&str| Subnet::new(text.parse::<IpNet>().unwrap().into()).unwrap();
        NetworkAddresses::new(subnets.iter().map(subnet).collect())
    }

    #[test]
    fn a_full_subnet_is_followed_by_the_next_and_then_named() {
        let mut network = network(&["10.0.0.0/30", "10.0.0.8/30", "fd00::/64"]).unwrap();
        let mut next = |family| {
            network
                .lease_next(family, "a")
                .map(|given| given.to_string())
        };
        assert_eq!(next(Family::V4).unwrap(), "10.0.0.2/30");
        assert_eq!(next(Family::V4).unwrap(), "10.0.0.10/30");
        assert_eq!(
            next(Family::V4).unwrap_err().to_string(),
            "no address is free in 10.0.0.0/30, 10.0.0.8/30"
        );
        assert_eq!(next(Family::V6).unwrap(), "fd00::2/64");
    }

    #[test]
    fn a_fixed_address_is_found_in_its_subnet() {
        let mut network = network(&["10.0.0.0/24", "10.0.9.0/28"]).unwrap();
        let address = "10.0.9.3".parse().unwrap();
        assert_eq!(
            network.lease(address, "web").unwrap().to_string(),
            "10.0.9.3/28"
        );
        assert_eq!(
            network.holder(address),
            Some(&Holder::Endpoint("web".into()))
        );
        assert!(network.release(address) && !network.release(address));
        let outside = network.lease("10.0.8.1".parse().unwrap(), "web");
        assert_eq!(
            outside.unwrap_err().to_string(),
            "10.0.8.1 is outside of 10.0.0.0/24, 10.0.9.0/28"
        );
        let family = network.lease("fd00::1".parse().unwrap(), "web");
        assert_eq!(
            family.unwrap_err().to_string(),
            "the network has no IPv6 subnet"
        );
    }

    #[test]
    fn who_comes_back_gets_the_old_address_in_whichever_subnet_it_is_after_a_restart_too() {
        let subnets = ["10.0.0.0/29", "10.0.0.8/29"];
        let mut network = network(&subnets).unwrap();
        let given: Vec<_> = (0..7)
            .map(|turn| network.lease_next(Family::V4, &format!("s{turn}")).unwrap())
            .collect();
        assert_eq!(given[6].to_string(), "10.0.0.11/29");
        for address in [6, 1, 3] {
            assert!(network.release(given[address].addr()));
        }
        let mut restarted = tests::network(&subnets).unwrap();
        let kept: Vec<_> = network.released().collect();
        for address in [0, 2, 4, 5] {
            restarted.lease(given[address].addr(), "s").unwrap();
        }
        restarted.remember(&kept);
        assert_eq!(restarted.last_owner(given[6].addr()), Some("s6"));
        assert_eq!(restarted.last_owner(given[0].addr()), None);
        for mut network in [network, restarted] {
            let mut next = |owner| network.lease_next(Family::V4, owner).unwrap();
            assert_eq!(next("s6"), given[6]);
            assert_eq!(next("s3"), given[3]);
            // A stranger gets what nobody had before what somebody may come back for.
            let strangers: Vec<_> = (0..3).map(|_| next("stranger").to_string()).collect();
            assert_eq!(strangers, ["10.0.0.12/29", "10.0.0.13/29", "10.0.0.14/29"]);
            assert_eq!(next("s1"), given[1]);
        }
    }

    #[test]
    fn overlapping_subnets_are_refused_and_named() {
        let error = network(&["10.0.0.0/24", "10.0.0.128/25"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "subnet 10.0.0.128/25 overlaps 10.0.0.0/24"
        );
        let network = network(&["10.0.0.0/24"]).unwrap();
        network
            .check_overlap("10.0.0.0/8".parse().unwrap())
            .unwrap_err();
        network
            .check_overlap("10.0.1.0/24".parse().unwrap())
            .unwrap();
    }
}
