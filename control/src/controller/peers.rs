//! Peers: the other hosts of overlay networks.

use std::net::IpAddr;
use std::time::Duration;

use tracing::{error, info};

use super::Controller;
use super::tables::chosen;
use crate::api::{EventAction, PeerAdd, PeerOrigin, PeerStateView, PeerView, PortCounters};
use crate::datapath::PeerState;
use crate::journal::Changes;
use crate::model::{PeerOrigin as Origin, PeerPlace, PeerRecord};
use crate::records::{FdbIntent, PeerIntent, StationPlace};
use crate::{ControlError, Id};

/// A host of which nothing came for so long is called silent.
const SILENCE: Duration = Duration::from_mins(1);

/// The state of a peer that there is no way to.
const NO_WAY: PeerState = PeerState {
    port: None,
    silent_for: None,
    path_mtu: 0,
    inner_mtu: None,
};

impl Controller {
    /// Lets a host take part in a network.
    ///
    /// # Errors
    ///
    /// When the network is not known or no overlay, the host takes part already, or the packet path
    /// refuses.
    pub fn add_peer(&self, request: &PeerAdd) -> Result<(), ControlError> {
        let address = request.address.to_canonical();
        let name = self.model().network(&request.network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let record = PeerRecord {
            place: PeerPlace::Planned,
            udp_port: request.port,
            subnets: request.subnets.clone(),
            origin: Origin::Static,
        };
        let settings = record.settings(address);
        let planned = self.model().plan_peer(name.as_str(), address, record)?;
        // One that was learned becomes one that stays, on the port that is asked for.
        if let Some(port) = planned.replaced {
            self.datapath.remove_port(port);
        }
        let made = self.datapath.add_peer(planned.number, &settings);
        let stored = made.map_err(ControlError::from).and_then(|port| {
            let intent = self.peer_intent(&planned.network, address);
            let mut changes = Changes::default();
            let written = intent.map_or(Ok(()), |intent| changes.put(&intent));
            let written = written.map_err(ControlError::from);
            let written = written.and_then(|()| self.journal.write(changes));
            if written.is_err() {
                self.datapath.remove_port(port);
            }
            written.map(|()| port)
        });
        match stored {
            Ok(port) => {
                self.model().seat_peer(&planned.network, address, port);
                info!(network = %name, peer = %address, "peer added");
                self.tell_peer(EventAction::Added, &name, address);
                Ok(())
            }
            Err(cause) => {
                self.model().unplan_peer(&planned.network, address);
                Err(cause)
            }
        }
    }

    /// Lets a host take part as `wanted`, in the place of what was said of it before. Tells whether it did take
    /// part already. When it cannot take part so, it does as before.
    ///
    /// # Errors
    ///
    /// As [`Controller::add_peer`], except that the host may take part already.
    pub fn put_peer(&self, wanted: &PeerAdd) -> Result<bool, ControlError> {
        let address = wanted.address.to_canonical();
        let peers = self.peers(Some(&wanted.network))?;
        let mut stated = peers
            .into_iter()
            .filter(|peer| peer.origin == PeerOrigin::Static);
        let Some(before) = stated.find(|peer| peer.address == address) else {
            self.add_peer(wanted)?;
            return Ok(false);
        };
        let same_port = wanted.port.is_none_or(|port| before.port == Some(port));
        if same_port && before.subnets == wanted.subnets {
            return Ok(true);
        }
        self.remove_peer(&wanted.network, address)?;
        if let Err(cause) = self.add_peer(wanted) {
            let before = PeerAdd {
                port: before.port,
                subnets: before.subnets,
                ..wanted.clone()
            };
            if let Err(cause) = self.add_peer(&before) {
                error!(%cause, network = wanted.network, peer = %address, "a peer is lost");
            }
            return Err(cause);
        }
        Ok(true)
    }

    /// Lets a host take part no more.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoOverlay`, `NoPeer`, `PeerIsGroup`; what the
    /// store said.
    pub fn remove_peer(&self, network: &str, address: IpAddr) -> Result<(), ControlError> {
        let address = address.to_canonical();
        let name = self.model().network(network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let (id, peer) = self.model().peer(name.as_str(), address)?;
        let mut changes = Changes::default();
        if peer.origin == Origin::Static {
            changes.delete(&PeerIntent::key_of(&id, address))?;
        }
        self.drop_stations(&id, address, &mut changes)?;
        self.journal.write(changes)?;
        let port = self.model().forget_peer(&id, address);
        if let Some(port) = port {
            self.datapath.remove_port(port);
        }
        info!(network = %name, peer = %address, "peer removed");
        self.tell_peer(EventAction::Removed, &name, address);
        Ok(())
    }

    /// Adds the deletion of the static entries at a peer.
    pub(super) fn drop_stations(
        &self,
        network: &Id,
        address: IpAddr,
        changes: &mut Changes,
    ) -> Result<(), ControlError> {
        let model = self.model();
        let Some(record) = model.network_by_id(network.as_str()) else {
            return Ok(());
        };
        for station in record.stations_at(&StationPlace::Peer(address)) {
            changes.delete(&FdbIntent::key_of(network, station))?;
        }
        Ok(())
    }

    fn peer_intent(&self, network: &Id, address: IpAddr) -> Option<PeerIntent> {
        let model = self.model();
        let network = model.network_by_id(network.as_str())?;
        network.peer_intent(address)
    }

    /// Returns the peers of one network, or of all, in order of network and address.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn peers(&self, network: Option<&str>) -> Result<Vec<PeerView>, ControlError> {
        let mut found = Vec::new();
        {
            let model = self.model();
            for network in chosen(&model, network)? {
                let name = &network.name;
                found.extend(
                    network
                        .peers
                        .iter()
                        .map(|(address, peer)| (name.clone(), *address, peer.clone())),
                );
            }
        }
        let views = found.into_iter().filter_map(|(network, address, peer)| {
            let problem = match &peer.place {
                PeerPlace::Planned => return None,
                PeerPlace::At(_) => None,
                PeerPlace::Waiting(reason) => Some(reason.clone()),
            };
            // One that is gone since has no state.
            let known = |port| {
                let stats = self.datapath.port_stats(port)?;
                Some((self.datapath.peer_state(port)?, PortCounters::from(&stats)))
            };
            let (state, counters) = match peer.port_no() {
                Some(port) => known(port)?,
                None => (NO_WAY, PortCounters::default()),
            };
            let heard_ms = |silent: Duration| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
            Some(PeerView {
                network,
                address,
                port: state.port,
                subnets: peer.subnets,
                origin: match peer.origin {
                    Origin::Static => PeerOrigin::Static,
                    Origin::Learned { .. } => PeerOrigin::Learned,
                    Origin::Group => PeerOrigin::Group,
                },
                state: match state.silent_for {
                    _ if problem.is_some() => PeerStateView::Waiting,
                    None => PeerStateView::Unheard,
                    Some(silent) if silent < SILENCE => PeerStateView::Heard,
                    Some(_) => PeerStateView::Silent,
                },
                heard_ms: state.silent_for.map(heard_ms),
                path_mtu: state.path_mtu,
                mtu: state.inner_mtu,
                counters,
                problem,
            })
        });
        Ok(views.collect())
    }
}
