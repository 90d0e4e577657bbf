//! Static leases: addresses that are fixed by hand for machines behind ports.
//!
//! Such an address is taken from the network's as that of an endpoint is, so nobody else gets it. It belongs to the network
//! and stays when ports come and go. A client that has an address from the pool can have it fixed.

use std::net::Ipv4Addr;

use tapweave_net::MacAddr;

use super::{Model, NetworkRecord, Restored};
use crate::datapath::{ClientKey, KeptLease};
use crate::records::StaticLeaseIntent;
use crate::{ControlError, Id};

/// Most static leases of one network.
const STATIC_MAX: usize = 4096;

/// An address that has just been fixed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fixed {
    /// What is stored of it.
    pub(crate) intent: StaticLeaseIntent,
    /// The lease from the pool that its client had of it, and the endpoint at whose port.
    pub(crate) before: Option<(Id, KeptLease)>,
}

impl Model {
    /// Fixes an address of a network for a client; `None` when it was fixed for it before.
    ///
    /// # Errors
    ///
    /// `NoSuch`, `BeingRemoved`, `NoDhcp`; `MacTaken`, `ClientLeased`, `TooManyLeases`, `Address`.
    pub(crate) fn fix_lease(
        &mut self,
        network: &str,
        address: Ipv4Addr,
        client: &ClientKey,
    ) -> Result<Option<Fixed>, ControlError> {
        let network = self.network(network)?;
        network.check_open()?;
        network.check_dhcp()?;
        if network.static_leases.get(&address) == Some(client) {
            return Ok(None);
        }
        if let ClientKey::Mac(mac) = *client {
            let mut endpoints = self.endpoints_of(&network.id);
            if let Some(endpoint) = endpoints.find(|endpoint| endpoint.mac == mac) {
                return Err(ControlError::MacTaken {
                    mac,
                    port: endpoint.port_name(),
                });
            }
        }
        if let Some(other) = network.static_address(client) {
            return Err(network.client_leased(client, other));
        }
        if network.static_leases.len() >= STATIC_MAX {
            return Err(ControlError::TooManyLeases {
                network: network.name.clone(),
                limit: STATIC_MAX,
            });
        }
        let id = network.id.clone();
        let before = self.take_pooled(&id, address, client);
        let intent = StaticLeaseIntent::new(&id, address, client);
        let network = self.networks.get_mut(&id);
        let taken = network.map_or(Ok(()), |network| network.fix(address, client));
        taken.map(|()| Some(Fixed { intent, before }))
    }

    /// Takes back that an address was fixed, and gives its client what it had before.
    pub(crate) fn unfix_lease(&mut self, fixed: Fixed) {
        let Fixed { intent, before } = fixed;
        let Some(network) = self.networks.get_mut(&intent.network) else {
            return;
        };
        network.release_static(intent.address);
        let endpoint = before.map(|(endpoint, lease)| (self.endpoints.get_mut(&endpoint), lease));
        if let Some((Some(endpoint), lease)) = endpoint {
            let owner = endpoint.lease_owner(&lease.client);
            if network
                .addresses
                .lease(lease.address.into(), &owner)
                .is_ok()
            {
                endpoint.leases.insert(lease.address, Some(lease));
            }
        }
    }

    /// Gives the address of a static lease back.
    pub(crate) fn forget_static_lease(&mut self, network: &Id, address: Ipv4Addr) {
        if let Some(network) = self.networks.get_mut(network) {
            network.release_static(address);
        }
    }

    /// Takes the address of a static lease that was stored.
    ///
    /// # Errors
    ///
    /// When it is not the network's to give, or not free.
    pub(crate) fn restore_static_lease(
        &mut self,
        intent: &StaticLeaseIntent,
    ) -> Result<Restored, ControlError> {
        let network = self.networks.get_mut(&intent.network);
        let (Some(network), Some(client)) = (network, intent.client()) else {
            return Ok(Restored::Leftover);
        };
        network.fix(intent.address, &client)?;
        Ok(Restored::Yes)
    }

    /// Takes the lease of this address from the pool out of what a client has.
    fn take_pooled(
        &mut self,
        network: &Id,
        address: Ipv4Addr,
        client: &ClientKey,
    ) -> Option<(Id, KeptLease)> {
        let network = self.networks.get_mut(network)?;
        let mut endpoints = self.endpoints.values_mut();
        let (endpoint, lease) = endpoints.find_map(|endpoint| {
            let is_there = endpoint.network_id == network.id;
            let lease = endpoint.leases.get(&address).filter(|_| is_there)?;
            let lease = lease.as_ref().filter(|lease| is_of(lease, client))?.clone();
            Some((endpoint, lease))
        })?;
        endpoint.leases.remove(&address);
        network.addresses.release(address.into());
        Some((endpoint.id.clone(), lease))
    }
}

impl NetworkRecord {
    /// Returns the address that is fixed for a client.
    fn static_address(&self, client: &ClientKey) -> Option<Ipv4Addr> {
        let mut leases = self.static_leases.iter();
        let lease = leases.find(|(_, of)| *of == client);
        lease.map(|(address, _)| *address)
    }

    /// Returns the address that is fixed for the machine with a MAC address.
    pub(super) fn static_address_of(&self, mac: MacAddr) -> Option<Ipv4Addr> {
        self.static_address(&ClientKey::Mac(mac))
    }

    /// Refuses a MAC address for which an address is fixed.
    pub(super) fn check_not_leased(&self, mac: MacAddr) -> Result<(), ControlError> {
        let address = self.static_address_of(mac);
        let client = ClientKey::Mac(mac);
        address.map_or(Ok(()), |address| Err(self.client_leased(&client, address)))
    }

    /// Refuses where there is no DHCP server.
    pub(crate) fn check_dhcp(&self) -> Result<(), ControlError> {
        let gateway = self.settings.gateway.as_ref();
        match gateway.and_then(|gateway| gateway.dhcp) {
            Some(_) => Ok(()),
            None => Err(ControlError::NoDhcp {
                network: self.name.clone(),
            }),
        }
    }

    /// Returns what is stored of the static lease of an address.
    pub(super) fn static_lease_intent(&self, address: Ipv4Addr) -> Option<StaticLeaseIntent> {
        let client = self.static_leases.get(&address)?;
        Some(StaticLeaseIntent::new(&self.id, address, client))
    }

    /// Returns what is stored of all static leases.
    pub(crate) fn static_lease_intents(&self) -> impl Iterator<Item = StaticLeaseIntent> {
        let leases = self.static_leases.iter();
        leases.map(|(address, client)| StaticLeaseIntent::new(&self.id, *address, client))
    }

    fn client_leased(&self, client: &ClientKey, address: Ipv4Addr) -> ControlError {
        ControlError::ClientLeased {
            client: client.to_string(),
            address,
            network: self.name.clone(),
        }
    }

    fn fix(&mut self, address: Ipv4Addr, client: &ClientKey) -> Result<(), ControlError> {
        let owner = format!("the static lease of {client}");
        let taken = self.addresses.lease(address.into(), &owner);
        taken.map_err(|source| ControlError::Address {
            network: self.name.clone(),
            source,
        })?;
        self.static_leases.insert(address, client.clone());
        Ok(())
    }

    fn release_static(&mut self, address: Ipv4Addr) {
        if self.static_leases.remove(&address).is_some() {
            self.addresses.release(address.into());
        }
    }
}

/// Tells whether a lease from the pool is what a static one of `client` would be.
fn is_of(lease: &KeptLease, client: &ClientKey) -> bool {
    lease.client == *client || ClientKey::Mac(lease.mac) == *client
}
