//! Leases that DHCP gives from the pool of a network: addresses that an endpoint has for those behind it.
//!
//! They are taken from the same addresses as those of endpoints, so nobody else gets them. Until a client has taken what
//! it was offered, a lease is only taken; from then on it is kept, in the store too. Leases belong to an endpoint and go
//! with it.

use std::net::{IpAddr, Ipv4Addr};

use tapweave_dhcp::{ClientKey, KeptLease};
use tapweave_ipam::{Family, Subnet};
use tapweave_net::PortNo;

use super::{EndpointRecord, Model, NetworkRecord, Restored};
use crate::records::LeaseIntent;

/// Which address somebody behind a port wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// Any, but this one if it is free.
    Any(Option<Ipv4Addr>),
    /// This one.
    Exactly(Ipv4Addr),
}

impl Model {
    /// Takes an address for somebody behind a port; `None` when there is none, or the port has gone.
    pub(crate) fn take_lease(
        &mut self,
        port: PortNo,
        client: &ClientKey,
        wanted: Wanted,
    ) -> Option<Ipv4Addr> {
        let endpoint = self.ports.get(&port)?;
        let endpoint = self.endpoints.get_mut(endpoint)?;
        let network = self.networks.get_mut(&endpoint.network_id)?;
        // Who comes back gets what it had.
        let owner = endpoint.lease_owner(client);
        let address = network.take_lease(wanted, &owner)?;
        endpoint.leases.insert(address, None);
        Some(address)
    }

    /// Notes that a lease which was taken at a port lasts, and returns what is stored of it.
    pub(crate) fn keep_lease(&mut self, port: PortNo, lease: &KeptLease) -> Option<LeaseIntent> {
        let endpoint = self.ports.get(&port)?;
        let endpoint = self.endpoints.get_mut(endpoint)?;
        let place = endpoint.leases.get_mut(&lease.address)?;
        *place = Some(lease.clone());
        let (network, endpoint) = (&endpoint.network_id, &endpoint.id);
        Some(LeaseIntent::new(network, endpoint, lease))
    }

    /// Ends a lease of a port; returns its key if it was kept.
    pub(crate) fn end_lease(
        &mut self,
        port: PortNo,
        address: Ipv4Addr,
        end: LeaseEnd,
    ) -> Option<String> {
        let endpoint = self.ports.get(&port)?;
        let endpoint = self.endpoints.get_mut(endpoint)?;
        let kept = endpoint.leases.remove(&address)?;
        let network = self.networks.get_mut(&endpoint.network_id)?;
        match end {
            LeaseEnd::Free => network.addresses.release(address.into()),
            LeaseEnd::InUse => network.addresses.set_aside(address.into()),
        };
        kept.map(|_| LeaseIntent::key_of(&network.id, address))
    }

    /// Takes the address of a lease that was stored.
    pub(crate) fn restore_lease(&mut self, intent: &LeaseIntent) -> Restored {
        let endpoint = self.endpoints.get_mut(&intent.endpoint);
        let endpoint = endpoint.filter(|it| it.network_id == intent.network);
        let network = self.networks.get_mut(&intent.network);
        let (Some(endpoint), Some(network), Some(lease)) = (endpoint, network, intent.lease())
        else {
            return Restored::Leftover;
        };
        let owner = endpoint.lease_owner(&lease.client);
        let address = IpAddr::V4(lease.address);
        if network.addresses.lease(address, &owner).is_err() {
            return Restored::Leftover;
        }
        endpoint.leases.insert(lease.address, Some(lease));
        Restored::Yes
    }

    /// Returns what is stored of the lease of an address.
    pub(crate) fn lease_intent(&self, network: &str, address: Ipv4Addr) -> Option<LeaseIntent> {
        let network = &self.networks.get(network)?.id;
        let mut endpoints = self.endpoints_of(network);
        endpoints.find_map(|endpoint| {
            let lease = endpoint.leases.get(&address)?.as_ref()?;
            Some(LeaseIntent::new(network, &endpoint.id, lease))
        })
    }
}

/// What becomes of the address of a lease that ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LeaseEnd {
    /// It is free.
    Free,
    /// Somebody else was found to use it.
    InUse,
}

impl EndpointRecord {
    /// Returns the leases of those behind it that last.
    pub(crate) fn kept_leases(&self) -> impl Iterator<Item = &KeptLease> {
        self.leases.values().flatten()
    }

    /// Returns as whom ipam knows somebody behind it.
    pub(super) fn lease_owner(&self, client: &ClientKey) -> String {
        format!("{}/dhcp {client}", self.port_name())
    }

    /// Forgets what was only offered, and returns the addresses.
    pub(super) fn forget_offers(&mut self) -> Vec<Ipv4Addr> {
        let offers = self.leases.extract_if(.., |_, kept| kept.is_none());
        offers.map(|(address, _)| address).collect()
    }
}

impl NetworkRecord {
    fn take_lease(&mut self, wanted: Wanted, owner: &str) -> Option<Ipv4Addr> {
        let (first, may_differ) = match wanted {
            Wanted::Any(address) => (address, true),
            Wanted::Exactly(address) => (Some(address), false),
        };
        if let Some(address) = first.filter(|address| self.gives(*address))
            && self.addresses.lease(address.into(), owner).is_ok()
        {
            return Some(address);
        }
        if !may_differ {
            return None;
        }
        match self.addresses.lease_next(Family::V4, owner).ok()?.addr() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }

    /// Tells whether an address is one of those that are given to who asks for none in particular.
    fn gives(&self, address: Ipv4Addr) -> bool {
        let mut ranges = self.addresses.subnets().iter().map(Subnet::ip_range);
        ranges.any(|range| range.contains(&IpAddr::V4(address)))
    }

    /// Takes back the addresses of leases.
    pub(super) fn release_leases(&mut self, leases: impl IntoIterator<Item = Ipv4Addr>) {
        for address in leases {
            self.addresses.release(address.into());
        }
    }
}

/// Returns how many leases one port of a network with these subnets may have: not so many that it takes the addresses of
/// the others.
pub(crate) fn leases_of_port(subnets: &[Subnet]) -> usize {
    /// As many machines behind one port are a network of their own.
    const MOST: u128 = 64;
    /// What one port may take of all addresses.
    const SHARE: u128 = 4;
    let ranges = subnets.iter().map(Subnet::ip_range);
    let v4 = ranges.filter(|range| Family::of_prefix(range) == Family::V4);
    let addresses: u128 = v4
        .map(|range| 1 << (32 - u32::from(range.prefix_len())))
        .sum();
    usize::try_from((addresses / SHARE).clamp(1, MOST)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_a_share_of_the_addresses_at_most() {
        for (range, most) in [("10.0.0.0/24", 64), ("10.0.0.0/28", 4), ("10.0.0.0/31", 1)] {
            let subnet = Subnet::new(range.parse::<ipnet::IpNet>().unwrap().into()).unwrap();
            assert_eq!(leases_of_port(&[subnet]), most, "{range}");
        }
        assert_eq!(leases_of_port(&[]), 1);
    }
}
