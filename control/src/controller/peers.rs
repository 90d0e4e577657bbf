//! Peers: the other hosts of overlay networks.

use std::net::IpAddr;
use std::time::Duration;

use tracing::info;

use super::Controller;
use super::tables::chosen;
use crate::ControlError;
use crate::api::{PeerAdd, PeerStateView, PeerView, PortCounters};
use crate::datapath::PeerSettings;

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
        let number = self.model().check_peer(&request.network, address)?;
        let settings = PeerSettings {
            address,
            port: request.port,
        };
        let port = self.datapath.add_peer(number, &settings)?;
        let seated = self.model().seat_peer(number, address, port);
        if seated.is_err() {
            self.datapath.remove_port(port);
        } else {
            info!(network = %request.network, peer = %address, "peer added");
        }
        seated
    }

    /// Lets a host take part no more.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoOverlay`, `NoPeer`.
    pub fn remove_peer(&self, network: &str, address: IpAddr) -> Result<(), ControlError> {
        let port = self.model().forget_peer(network, address)?;
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
                        .map(|(address, port)| (name.clone(), *address, *port)),
                );
            }
        }
        let views = found.into_iter().filter_map(|(network, address, at)| {
            // One that is gone since has no state.
            let state = self.datapath.peer_state(at)?;
            let stats = self.datapath.port_stats(at)?;
            let heard_ms = |silent: Duration| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
            Some(PeerView {
                network,
                address,
                port: state.port,
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
