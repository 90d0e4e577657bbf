//! The subnets of one network, as one thing to lease from.

use core::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use crate::number::overlap;
use crate::{Family, Holder, LeaseError, Subnet};

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

    /// Leases the next address of `family` to `owner` and returns it with the prefix length of its
    /// subnet. A subnet is used when those before it are full.
    ///
    /// # Errors
    ///
    /// `NoSubnet` or `Exhausted`.
    pub fn lease_next(&mut self, family: Family, owner: &str) -> Result<IpNet, LeaseError> {
        let mut ranges = Vec::new();
        for subnet in &mut self.subnets {
            if Family::of_prefix(&subnet.prefix()) != family {
                continue;
            }
            if let Some(address) = subnet.lease_next(owner) {
                return Ok(with_len(address, subnet.prefix()));
            }
            ranges.push(subnet.ip_range());
        }
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
            Some(&Holder::Endpoint("web".to_owned()))
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
