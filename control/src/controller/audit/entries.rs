//! Commands about static entries of tables: stations and neighbours.

use std::net::IpAddr;

use tapweave_net::NetworkNo;
use tracing::warn;

use super::{Outcome, chain};
use crate::controller::Controller;
use crate::datapath::DatapathError;
use crate::model::{Model, NetworkRecord};
use crate::reconcile::Station;
use crate::{Id, Name};

impl Controller {
    pub(super) fn set_station(&self, id: &Id, station: Station) -> Outcome {
        self.in_turn_of(id, |name| {
            let known = self.looked_up(id, |model, network| {
                let at = network.stations.get(&station)?;
                Some((network.number, model.port_of(network, at)?))
            });
            let Some((number, port)) = known else {
                return Outcome::Obsolete;
            };
            let (mac, vlan) = station;
            let added = self.datapath.fdb_add(number, mac, vlan, port);
            done_or_said(added, name, &format!("the static entry of {mac}"))
        })
    }

    pub(super) fn remove_station(&self, number: NetworkNo, station: Station) -> Outcome {
        let Some(id) = self.network_of(number) else {
            return Outcome::Obsolete;
        };
        self.in_turn_of(&id, |_name| {
            let wanted = self.looked_up(&id, |_model, network| {
                network.stations.contains_key(&station).then_some(())
            });
            let (mac, vlan) = station;
            Outcome::done_if(wanted.is_none() && self.datapath.fdb_del(number, mac, vlan))
        })
    }

    pub(super) fn set_neighbor(&self, id: &Id, address: IpAddr) -> Outcome {
        self.in_turn_of(id, |name| {
            let known = self.looked_up(id, |_model, network| {
                Some((network.number, *network.neighbors.get(&address)?))
            });
            let Some((number, station)) = known else {
                return Outcome::Obsolete;
            };
            let added = self.datapath.neighbor_add(number, address, station);
            done_or_said(added, name, &format!("the static neighbour {address}"))
        })
    }

    pub(super) fn remove_neighbor(&self, number: NetworkNo, address: IpAddr) -> Outcome {
        let Some(id) = self.network_of(number) else {
            return Outcome::Obsolete;
        };
        self.in_turn_of(&id, |_name| {
            let wanted = self.looked_up(&id, |_model, network| {
                network.neighbors.contains_key(&address).then_some(())
            });
            Outcome::done_if(wanted.is_none() && self.datapath.neighbor_del(number, address))
        })
    }

    /// Acts in the turn of a network; whether it is still there, `act` has to look itself.
    fn in_turn_of(&self, id: &Id, act: impl FnOnce(&Name) -> Outcome) -> Outcome {
        let Some(name) = self.network_name(id) else {
            return Outcome::Obsolete;
        };
        let _turn = self.network_turns.take(&name);
        act(&name)
    }

    /// Returns what `look` finds in a network, if that is there.
    fn looked_up<T>(
        &self,
        id: &Id,
        look: impl FnOnce(&Model, &NetworkRecord) -> Option<T>,
    ) -> Option<T> {
        let model = self.model();
        look(&model, model.network_by_id(id.as_str())?)
    }

    fn network_of(&self, number: NetworkNo) -> Option<Id> {
        let model = self.model();
        let mut networks = model.networks();
        let network = networks.find(|network| network.number == number)?;
        Some(network.id.clone())
    }
}

fn done_or_said(made: Result<(), DatapathError>, network: &Name, what: &str) -> Outcome {
    match made {
        Ok(()) => Outcome::Done,
        Err(cause) => {
            warn!(cause = chain(&cause), %network, what, "is not made");
            Outcome::Failed
        }
    }
}
