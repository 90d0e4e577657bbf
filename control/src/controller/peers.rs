//! Peers: the other hosts of overlay networks.

use std::net::IpAddr;
use std::time::Duration;

use tracing::{error, info};

use super::Controller;
use super::tables::chosen;
use crate::ControlError;
use crate::api::{EventAction, PeerAdd, PeerOrigin, PeerStateView, PeerView, PortCounters};
use crate::datapath::PeerSettings;
use crate::model::{PeerOrigin as Origin, PeerRecord};

/// A host of which nothing came for so long is called silent.
const SILENCE: Duration = Duration::from_mins(1);

impl Controller {
    /// Lets a host take part in a network.
    ///
    /// # Errors
    ///
    /// When the network is not known or no overlay, the host takes part already, or the packet path
    /// refuses.
    pub fn add_peer(&self, request: &PeerAdd) -> Result<(), ControlError> {
        let address = request.address.to_canonical();
        let PeerAdd {
            network, subnets, ..
        } = request;
        let (number, name) = {
            let model = self.model();
            let number = model.check_peer(network, address, subnets)?;
            (number, model.network(network)?.name.clone())
        };
        // One that was learned becomes one that stays, on the port that is asked for.
        let learned = self.model().unlearn_peer(number, address);
        if let Some(port) = learned {
            self.datapath.remove_port(port);
        }
        let settings = PeerSettings {
            address,
            port: request.port,
            subnets: subnets.clone(),
        };
        let port = self.datapath.add_peer(number, &settings)?;
        let subnets = settings.subnets;
        let record = PeerRecord {
            port,
            subnets,
            origin: Origin::Static,
        };
        let seated = self.model().seat_peer(number, address, record);
        if seated.is_err() {
            self.datapath.remove_port(port);
        } else {
            info!(network = %request.network, peer = %address, "peer added");
            self.tell_peer(EventAction::Added, &name, address);
        }
        seated
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
    /// `NoSuch` or `Ambiguous` for the network; `NoOverlay`, `NoPeer`, `PeerIsGroup`.
    pub fn remove_peer(&self, network: &str, address: IpAddr) -> Result<(), ControlError> {
        let port = {
            let mut model = self.model();
            let port = model.forget_peer(network, address)?;
            self.tell_peer(EventAction::Removed, &model.network(network)?.name, address);
            port
        };
        self.datapath.remove_port(port);
        info!(network, peer = %address, "peer removed");
        Ok(())
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
            // One that is gone since has no state.
            let state = self.datapath.peer_state(peer.port)?;
            let stats = self.datapath.port_stats(peer.port)?;
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
                    None => PeerStateView::Unheard,
                    Some(silent) if silent < SILENCE => PeerStateView::Heard,
                    Some(_) => PeerStateView::Silent,
                },
                heard_ms: state.silent_for.map(heard_ms),
                path_mtu: state.path_mtu,
                mtu: state.inner_mtu,
                counters: PortCounters::from(&stats),
            })
        });
        Ok(views.collect())
    }
}
