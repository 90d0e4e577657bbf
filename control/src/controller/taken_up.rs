//! What somebody has changed inside of a sandbox while no daemon knew of it.
//!
//! # Theory of operation
//!
//! Sandboxes are not looked into, but for one moment: when the packet path has taken up an interface that an earlier
//! daemon had made. Its addresses are compared with those that the endpoint was given ([`AddressChanges`]). One that
//! is missing is put back, with the default route of its family, which the kernel takes away with the last address.
//! One that nobody gave stays. Both are logged, counted and told. Whoever changes something after that meant to, and
//! is not fought with.
//!
//! Frames are forwarded meanwhile: the packet path says which interfaces are to be looked at, and
//! [`Controller::tend_taken_up`] is called beside everything else. No turn of the sandbox is taken, since nothing in
//! the model depends on what is in there, and a port that goes meanwhile takes its interface with it.

use std::net::IpAddr;

use ipnet::IpNet;
use tapweave_net::PortNo;
use tracing::{debug, info, warn};

use super::Controller;
use super::audit::chain;
use super::telling::list;
use crate::Id;
use crate::address_changes::{AddressChanges, MeantAddresses};
use crate::api::Endpoint;
use crate::datapath::{Addressing, DatapathError, DatapathErrorKind};

/// An endpoint whose interface was taken up.
#[derive(Debug)]
struct TakenUp {
    port: PortNo,
    endpoint: Endpoint,
    addresses: MeantAddresses,
    default_gateways: Vec<IpAddr>,
    route_metric: u32,
}

impl Controller {
    /// Looks at each interface that was taken up from an earlier daemon, once. Call it now and then.
    pub fn tend_taken_up(&self) {
        for (port, endpoint) in self.datapath.taken_up() {
            // One that has gone since needs nothing.
            if let Some(taken_up) = self.taken_up_at(port, &endpoint) {
                self.look_inside(&taken_up);
            }
        }
    }

    fn taken_up_at(&self, port: PortNo, endpoint: &Id) -> Option<TakenUp> {
        let model = self.model();
        let record = model.endpoint(endpoint.as_str()).ok()?;
        let settings = record.interface();
        let leased = record.leases.keys();
        let leased = leased.map(|address| IpNet::from(IpAddr::from(*address)));
        let guarded = settings.guarded_addresses;
        let addresses = MeantAddresses {
            given: match settings.addressing {
                Addressing::Static => settings.addresses,
                Addressing::Dhcp => Vec::new(),
            },
            allowed: guarded.map(|guarded| guarded.into_iter().chain(leased).collect()),
        };
        Some(TakenUp {
            port,
            endpoint: record.view()?,
            addresses,
            default_gateways: settings.default_gateways,
            route_metric: settings.route_metric,
        })
    }

    fn look_inside(&self, taken_up: &TakenUp) {
        let port = taken_up.endpoint.port.as_str();
        let there = match self.datapath.interface_addresses(taken_up.port) {
            Ok(there) => there,
            // It is gone, which is noticed elsewhere, or nobody can look into it.
            Err(cause) if cause.kind() == DatapathErrorKind::Invalid => {
                debug!(port, reason = chain(&cause), "addresses are not looked at");
                return;
            }
            Err(cause) => {
                warn!(
                    port,
                    reason = chain(&cause),
                    "it is not known whether somebody has changed addresses in the sandbox"
                );
                return;
            }
        };
        let changes = AddressChanges::between(&taken_up.addresses, &there);
        if changes.is_empty() {
            return;
        }
        self.tell_address_changes(&taken_up.endpoint, &changes);
        for _ in &changes.foreign {
            self.count("foreign_addresses_left");
        }
        if !changes.foreign.is_empty() {
            let addresses = list(&changes.foreign);
            info!(
                port,
                addresses, "addresses that were added in the sandbox stay"
            );
        }
        self.put_back(taken_up, &changes.missing);
    }

    fn put_back(&self, taken_up: &TakenUp, missing: &[IpNet]) {
        let mut addresses = Vec::new();
        for &address in missing {
            let added = self.datapath.interface_address_add(taken_up.port, address);
            match added {
                Ok(()) => addresses.push(address),
                Err(cause) => warn_of(&taken_up.endpoint, &address.to_string(), &cause),
            }
        }
        self.report_put_back("addresses_put_back", &taken_up.endpoint, &addresses);

        // The kernel takes the routes away with the last address of their family.
        let is_of_these = |gateway: &&IpAddr| {
            let mut addresses = addresses.iter();
            addresses.any(|address| address.addr().is_ipv4() == gateway.is_ipv4())
        };
        let metric = taken_up.route_metric;
        let mut routes = Vec::new();
        for &gateway in taken_up.default_gateways.iter().filter(is_of_these) {
            let made = self
                .datapath
                .interface_route_add(taken_up.port, gateway, metric);
            match made {
                Ok(true) => routes.push(gateway),
                // The sandbox has one.
                Ok(false) => {}
                Err(cause) => {
                    let route = format!("default via {gateway}");
                    warn_of(&taken_up.endpoint, &route, &cause);
                }
            }
        }
        self.report_put_back("default_routes_put_back", &taken_up.endpoint, &routes);
    }

    fn report_put_back<T: ToString>(
        &self,
        repair: &'static str,
        endpoint: &Endpoint,
        put_back: &[T],
    ) {
        if put_back.is_empty() {
            return;
        }
        for _ in put_back {
            self.count(repair);
        }
        let put_back = list(put_back);
        info!(repair, port = endpoint.port, put_back, "reconciled");
        self.tell_put_back(repair, endpoint, &put_back);
    }
}

fn warn_of(endpoint: &Endpoint, what: &str, cause: &DatapathError) {
    warn!(
        port = endpoint.port,
        what,
        reason = chain(cause),
        "what was taken away in the sandbox cannot be put back"
    );
}
