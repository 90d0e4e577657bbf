//! DHCP: the addresses that the server of the packet path asks for, and who has them.
//!
//! The server decides who may have an address; which one it is, and that it lasts, is decided here. It calls from a
//! thread of its own that may block. The packet path is not asked meanwhile, so it may wait for the model.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tapweave_net::PortNo;
use tracing::{debug, error};

use super::Controller;
use super::tables::chosen;
use crate::api::{DhcpView, LeaseOrigin, LeaseStateView, LeaseView};
use crate::datapath::{ClientKey, HeldLease, KeptLease, LeaseState, Origin};
use crate::journal::Changes;
use crate::model::{EndpointRecord, LeaseEnd, Wanted};
use crate::{ControlError, Name};

impl Controller {
    /// Takes an address for a client at a port: `wanted` if that is free, else one that the client had before, else
    /// any. `None` when there is none, or the port has gone.
    pub fn take_lease(
        &self,
        port: PortNo,
        client: &ClientKey,
        wanted: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let wanted = Wanted::Any(wanted);
        self.model().take_lease(port, client, wanted)
    }

    /// Takes this address and no other for a client at a port; tells whether it was free.
    pub fn take_lease_of(&self, port: PortNo, client: &ClientKey, address: Ipv4Addr) -> bool {
        let wanted = Wanted::Exactly(address);
        self.model().take_lease(port, client, wanted).is_some()
    }

    /// Stores that a client at a port has an address that was taken for it; tells whether that lasts.
    pub fn keep_lease(&self, port: PortNo, lease: &KeptLease) -> bool {
        let Some(intent) = self.model().keep_lease(port, lease) else {
            return false;
        };
        let mut changes = Changes::default();
        let stored = changes.put(&intent).map_err(ControlError::from);
        match stored.and_then(|()| self.journal.write(changes)) {
            Ok(()) => {
                debug!(address = %lease.address, client = %lease.client, "an address is leased");
                true
            }
            Err(cause) => {
                error!(%cause, "a lease cannot be stored, and is not given");
                false
            }
        }
    }

    /// Takes back an address that was taken at a port.
    pub fn give_back_lease(&self, port: PortNo, address: Ipv4Addr) {
        self.end_lease(port, address, LeaseEnd::Free);
    }

    /// Takes back an address that somebody else was found to use.
    pub fn set_aside_lease(&self, port: PortNo, address: Ipv4Addr) {
        debug!(%address, "a leased address is in use by somebody else");
        self.end_lease(port, address, LeaseEnd::InUse);
    }

    fn end_lease(&self, port: PortNo, address: Ipv4Addr, end: LeaseEnd) {
        let Some(key) = self.model().end_lease(port, address, end) else {
            return;
        };
        let mut changes = Changes::default();
        match changes.delete(&key) {
            Ok(()) => self.journal.note(changes),
            Err(cause) => error!(%cause, "a lease that is over stays stored"),
        }
    }

    /// Returns the leases of one network, or of all, in order of network and address.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn leases(&self, network: Option<&str>) -> Result<Vec<LeaseView>, ControlError> {
        let networks: Vec<_> = {
            let model = self.model();
            let networks = chosen(&model, network)?.into_iter();
            networks
                .map(|network| (network.name.clone(), network.number))
                .collect()
        };
        let mut views = Vec::new();
        for (name, number) in networks {
            // The server may be waiting for the model.
            let leases = self.datapath.leases(number);
            let model = self.model();
            let mut of_network = BTreeMap::new();
            if let Ok(network) = model.network(name.as_str()) {
                let reserved = network.static_leases.iter();
                let reserved =
                    reserved.map(|(address, client)| reserved_view(&name, *address, client));
                of_network.extend(reserved.map(|view| (view.address, view)));
            }
            let held = leases.into_iter().map(|held| {
                let endpoint = model.endpoint_at(held.lease.port);
                held_view(&name, held, endpoint)
            });
            of_network.extend(held.map(|view| (view.address, view)));
            views.extend(of_network.into_values());
        }
        Ok(views)
    }

    /// Returns what the DHCP server of a network tells its clients, and what it did so far.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoDhcp`.
    pub fn dhcp(&self, network: &str) -> Result<DhcpView, ControlError> {
        let (number, name, gateway, settings) = {
            let model = self.model();
            let network = model.network(network)?;
            let gateway = network.settings.gateway.clone();
            let settings = gateway.as_ref().and_then(|gateway| gateway.dhcp);
            (network.number, network.name.clone(), gateway, settings)
        };
        let none = || ControlError::NoDhcp {
            network: name.clone(),
        };
        let (gateway, settings) = gateway.zip(settings).ok_or_else(none)?;
        let stats = self.datapath.dhcp_stats().remove(&number);
        let stats = stats.unwrap_or_default();
        let addresses = gateway.addresses.iter().map(ipnet::IpNet::addr);
        let refusals = stats.refusals.iter();
        Ok(DhcpView {
            addresses: addresses.collect(),
            lease_time: settings.lease_time.as_secs(),
            leases_of_port: settings.leases_of_port,
            discovers: stats.discovered,
            offers: stats.offered,
            requests: stats.requested,
            acks: stats.acknowledged,
            naks: stats.refused_requests,
            releases: stats.released,
            declines: stats.declined,
            informs: stats.informed,
            informs_v6: stats.informed_v6,
            drops: refusals
                .map(|(refusal, count)| (refusal.name().to_owned(), *count))
                .collect(),
        })
    }
}

/// Returns what is shown of an address that somebody has or was offered.
fn held_view(network: &Name, held: HeldLease, endpoint: Option<&EndpointRecord>) -> LeaseView {
    let HeldLease { lease, remaining } = held;
    LeaseView {
        network: network.clone(),
        address: lease.address,
        mac: Some(lease.mac),
        client: lease.client.to_string(),
        host_name: lease.host_name,
        port: endpoint.map(EndpointRecord::port_name),
        origin: match lease.origin {
            Origin::Endpoint => LeaseOrigin::Endpoint,
            Origin::Pool => LeaseOrigin::Pool,
            Origin::Static => LeaseOrigin::Static,
        },
        state: match lease.state {
            LeaseState::Offered => LeaseStateView::Offered,
            LeaseState::Bound => LeaseStateView::Bound,
        },
        expires_in: Some(remaining.as_secs()),
    }
}

/// Returns what is shown of an address whose client does not have it.
fn reserved_view(network: &Name, address: Ipv4Addr, client: &ClientKey) -> LeaseView {
    LeaseView {
        network: network.clone(),
        address,
        mac: match client {
            ClientKey::Mac(mac) => Some(*mac),
            ClientKey::Id(_) => None,
        },
        client: client.to_string(),
        host_name: None,
        port: None,
        origin: LeaseOrigin::Static,
        state: LeaseStateView::Reserved,
        expires_in: None,
    }
}
