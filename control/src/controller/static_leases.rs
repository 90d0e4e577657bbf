//! Static leases: addresses that are fixed by hand for machines behind ports.

use std::net::Ipv4Addr;

use tracing::info;

use super::Controller;
use crate::api::LeaseAdd;
use crate::datapath::ClientKey;
use crate::journal::Changes;
use crate::records::{LeaseIntent, StaticLeaseIntent};
use crate::{ControlError, Id};

impl Controller {
    /// Fixes an address for a client of DHCP; tells whether it was fixed for it before.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network, `NoDhcp`; `ClientSyntax` or `ClientId`; `MacTaken` and `ClientLeased` when
    /// the client has another address, `Address` when somebody else has this one; `TooManyLeases`; what the store says.
    pub fn lease_add(&self, request: &LeaseAdd) -> Result<bool, ControlError> {
        let client = client(&request.client)?;
        let name = self.model().network(&request.network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let fixed = self
            .model()
            .fix_lease(name.as_str(), request.address, &client)?;
        let Some(fixed) = fixed else {
            return Ok(true);
        };
        let id = fixed.intent.network.clone();
        let mut changes = Changes::default();
        changes.put(&fixed.intent)?;
        if fixed.before.is_some() {
            changes.delete(&LeaseIntent::key_of(&id, request.address))?;
        }
        if let Err(not_stored) = self.journal.write(changes) {
            self.model().unfix_lease(fixed);
            return Err(not_stored);
        }
        self.publish_static_leases(&id);
        info!(network = %name, "static lease added");
        Ok(false)
    }

    /// Takes back that an address is fixed. Its client may ask for it as all others may.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoDhcp`, `NoStaticLease`; what the store says.
    pub fn lease_del(&self, network: &str, address: Ipv4Addr) -> Result<(), ControlError> {
        let name = self.model().network(network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let id = {
            let model = self.model();
            let network = model.network(name.as_str())?;
            network.check_dhcp()?;
            if !network.static_leases.contains_key(&address) {
                return Err(ControlError::NoStaticLease {
                    network: name,
                    address,
                });
            }
            network.id.clone()
        };
        let mut changes = Changes::default();
        changes.delete(&StaticLeaseIntent::key_of(&id, address))?;
        self.journal.write(changes)?;
        self.model().forget_static_lease(&id, address);
        self.publish_static_leases(&id);
        info!(network = %name, "static lease removed");
        Ok(())
    }

    /// Tells the packet path which addresses of a network are fixed for whom. The turn of the network is the caller's, so
    /// that the newest list is the last.
    pub(super) fn publish_static_leases(&self, network: &Id) {
        let told = {
            let model = self.model();
            model.network_by_id(network.as_str()).map(|network| {
                let leases = network.static_leases.iter();
                let leases = leases.map(|(address, client)| (client.clone(), *address));
                (network.number, leases.collect())
            })
        };
        if let Some((number, leases)) = told {
            self.datapath.set_static_leases(number, leases);
        }
    }
}

/// Returns the client that a text names.
fn client(text: &str) -> Result<ClientKey, ControlError> {
    let client = text.parse();
    let client = client.map_err(|_not_one| ControlError::ClientSyntax {
        text: text.to_owned(),
    })?;
    match client {
        ClientKey::Mac(mac) if !mac.is_station() => Err(ControlError::MacUnusable { mac }),
        ClientKey::Mac(_) => Ok(client),
        ClientKey::Id(id) => Ok(ClientKey::of_id(&id)?),
    }
}
