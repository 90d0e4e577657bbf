//! Peers that were learned: hosts that sent into a network which is open to strangers.
//!
//! A learned peer is one like any other, gets a copy of what is flooded too, and goes when nothing came from it for
//! the network's ageing time. A network has at most [`LEARNED_MAX`] of them, so that who can send with foreign
//! source addresses can neither fill memory nor make this host send a flood to more than that many.

use std::net::IpAddr;

use tapweave_encap::Admission;
use tapweave_net::NetworkNo;
use tracing::{debug, error, info};

use super::Controller;
use crate::api::EventAction;
use crate::datapath::OverlaySettings;
use crate::journal::Changes;
use crate::model::{NetworkRecord, PeerOrigin, PeerPlace, PeerRecord};

/// Most peers that one network learns.
pub(super) const LEARNED_MAX: usize = 64;

impl Controller {
    /// Makes peers of the hosts that have sent into open networks, and forgets learned ones that are silent. Call it
    /// several times a second: until it is called, what a new host sends is refused.
    pub fn tend_peers(&self) {
        for (network, address) in self.datapath.strangers() {
            self.learn_peer(network, address);
        }
        self.age_peers();
    }

    fn learn_peer(&self, network: NetworkNo, address: IpAddr) {
        let can_learn = |record: &NetworkRecord| {
            let is_open = |overlay: OverlaySettings| overlay.admission == Admission::Open;
            let learned = record.peers.values().filter(|it| it.learned_at().is_some());
            record.overlay.is_some_and(is_open)
                && record.check_open().is_ok()
                && learned.count() < LEARNED_MAX
                && !record.peers.contains_key(&address)
        };
        let record = PeerRecord {
            place: PeerPlace::Planned,
            udp_port: None,
            subnets: Vec::new(),
            origin: PeerOrigin::Learned {
                at: self.host.now(),
            },
        };
        let settings = record.settings(address);
        let (name, planned) = {
            let mut model = self.model();
            let mut networks = model.networks();
            let known = networks.find(|record| record.number == network);
            let Some(name) = known
                .filter(|record| can_learn(record))
                .map(|record| record.name.clone())
            else {
                return;
            };
            drop(networks);
            match model.plan_peer(name.as_str(), address, record) {
                Ok(planned) => (name, planned),
                Err(_) => return,
            }
        };
        // Its address may be one that no peer can have: anybody can write one into a datagram.
        let port = match self.datapath.add_peer(network, &settings) {
            Ok(port) => port,
            Err(error) => {
                self.model().unplan_peer(&planned.network, address);
                debug!(%error, network = %name, peer = %address, "a host is not learned");
                return;
            }
        };
        if self.model().seat_peer(&planned.network, address, port) {
            info!(network = %name, peer = %address, "peer learned");
            self.tell_peer(EventAction::Added, &name, address);
        } else {
            self.datapath.remove_port(port);
        }
    }

    /// Forgets the learned peers that have been silent for too long.
    fn age_peers(&self) {
        let now = self.host.now();
        let mut learned = Vec::new();
        for record in self.model().networks() {
            let ageing = record.settings.ageing;
            learned.extend(record.peers.iter().filter_map(|(address, peer)| {
                let unheard = now.since(peer.learned_at()?);
                let place = (record.id.clone(), record.name.clone());
                Some((place, *address, peer.port_no()?, unheard, ageing))
            }));
        }
        for ((network, name), address, port, unheard, ageing) in learned {
            let state = self.datapath.peer_state(port);
            let silent_for = state.and_then(|state| state.silent_for);
            if silent_for.unwrap_or(unheard) < ageing {
                continue;
            }
            // It may have been removed meanwhile, or asked for.
            let mut changes = Changes::default();
            if let Err(cause) = self.drop_stations(&network, address, &mut changes) {
                error!(%cause, "static entries at a peer that has gone stay stored");
            }
            let unlearned = self.model().unlearn_peer(&network, address);
            if let Some(port) = unlearned {
                self.datapath.remove_port(port);
                self.journal.note(changes);
                info!(network = %name, peer = %address, "peer forgotten");
                self.tell_peer(EventAction::Removed, &name, address);
            }
        }
    }
}
