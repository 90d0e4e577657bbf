//! What is seen and changed of interfaces inside of their sandboxes, after they were taken up from an earlier daemon.
//!
//! No lock is held while the kernel is asked: who is root in a sandbox may have it take long.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tapweave_control::Id;
use tapweave_control::datapath::{DatapathError, DatapathErrorKind as Kind, ObservedAddress};
use tapweave_device::{DefaultRoute, InterfaceSight, SightError};
use tapweave_net::PortNo;

use super::SwitchDatapath;

/// The ports whose interfaces were taken up, and that were not looked at since, with their endpoints.
#[derive(Debug, Default)]
pub(super) struct TakenUp(Mutex<Vec<(PortNo, Id)>>);

impl TakenUp {
    pub(super) fn note(&self, port: PortNo, endpoint: Id) {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ports.push((port, endpoint));
    }

    /// Returns those that were noted since the last call.
    pub(super) fn take(&self) -> Vec<(PortNo, Id)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SwitchDatapath {
    /// Returns the addresses of the interface of a port.
    pub(super) fn addresses_inside(
        &self,
        port: PortNo,
    ) -> Result<Vec<ObservedAddress>, DatapathError> {
        let addresses = self.sight(port)?.addresses().map_err(refused)?;
        let observed = addresses.into_iter().map(|it| ObservedAddress {
            net: it.net,
            is_permanent: it.is_permanent,
        });
        Ok(observed.collect())
    }

    /// Gives the interface of a port an address.
    pub(super) fn add_address_inside(
        &self,
        port: PortNo,
        address: IpNet,
    ) -> Result<(), DatapathError> {
        self.sight(port)?.add_address(address).map_err(refused)
    }

    /// Makes a default route of the interface of a port where there is none; tells whether it was made.
    pub(super) fn add_route_inside(
        &self,
        port: PortNo,
        gateway: IpAddr,
        metric: u32,
    ) -> Result<bool, DatapathError> {
        let sight = self.sight(port)?;
        let route = sight.add_default_route(gateway, metric).map_err(refused)?;
        Ok(route == DefaultRoute::Made)
    }

    fn sight(&self, port: PortNo) -> Result<Arc<InterfaceSight>, DatapathError> {
        let sight = {
            let ports = self.ports();
            let sight = ports.get(&port).and_then(|port| port.sight.as_ref());
            sight.map(Arc::clone)
        };
        // One that is gone has no addresses, and is reported as gone.
        sight
            .filter(|sight| sight.is_there())
            .ok_or_else(|| DatapathError::new(Kind::Invalid, "there is no such interface"))
    }
}

fn refused(error: SightError) -> DatapathError {
    let kind = match error {
        SightError::Earlier => Kind::Invalid,
        SightError::TooLong | SightError::Refused(_) | _ => Kind::Denied,
    };
    DatapathError::new(kind, error)
}
