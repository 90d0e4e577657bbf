//! The model as what should be, and what becomes of it while that is brought about.

use std::path::PathBuf;

use tapweave_net::NetworkNo;

use super::{
    EndpointRecord, Joining, Lifecycle, Model, NetworkRecord, PeerPlace, PeerRecord, Place, Waiting,
};
use crate::Id;
use crate::datapath::{NamespaceRef, SandboxNo};
use crate::reconcile::{Intent, WantedEndpoint, WantedNetwork, WantedPort};
use crate::records::{SandboxIntent, StationPlace};

impl Model {
    /// Returns what should be.
    pub(crate) fn wanted(&self) -> Intent {
        let open = |network: &&NetworkRecord| network.lifecycle == Lifecycle::Open;
        let closing = self.networks.values().filter(|network| !open(network));
        let networks = self.networks.values().filter(open);
        Intent {
            networks: networks
                .map(|network| (network.id.clone(), self.wanted_network(network)))
                .collect(),
            changing: closing.map(|network| network.number).collect(),
            makes_networks: !self.drafts.is_empty(),
            sandboxes: self.sandboxes.keys().copied().collect(),
            coming_or_going: self.opening.keys().copied().collect(),
        }
    }

    fn wanted_network(&self, network: &NetworkRecord) -> WantedNetwork {
        let peers = network.peers.iter();
        let endpoints = self.endpoints_of(&network.id);
        let stations = network.stations.iter();
        WantedNetwork {
            number: network.number,
            spans_more: network.overlay.is_some() || network.settings.parent.is_some(),
            peers: peers
                .map(|(address, peer)| (*address, peer.wanted_port()))
                .collect(),
            endpoints: endpoints
                .map(|endpoint| (endpoint.id.clone(), endpoint.wanted()))
                .collect(),
            stations: stations
                .map(|(station, at)| (*station, self.port_of(network, at)))
                .collect(),
            neighbors: network.neighbors.clone(),
        }
    }

    /// Returns the port where a station is, if there is one.
    pub(crate) fn port_of(
        &self,
        network: &NetworkRecord,
        at: &StationPlace,
    ) -> Option<tapweave_net::PortNo> {
        match at {
            StationPlace::Endpoint(id) => self.endpoints.get(id)?.port_no(),
            StationPlace::Peer(address) => network.peers.get(address)?.port_no(),
        }
    }

    /// Notes that the namespace of a sandbox is open, or why it is not; tells whether that is news.
    pub(crate) fn set_sandbox_problem(
        &mut self,
        number: SandboxNo,
        problem: Option<String>,
    ) -> bool {
        match self.sandboxes.get_mut(&number) {
            Some(sandbox) if sandbox.problem != problem => {
                sandbox.problem = problem;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Notes that the namespace of a sandbox is open at another path, and returns what is to be stored of the sandbox.
    pub(crate) fn move_sandbox(
        &mut self,
        number: SandboxNo,
        path: PathBuf,
        boot: &str,
    ) -> Option<SandboxIntent> {
        let sandbox = self.sandboxes.get_mut(&number)?;
        sandbox.namespace = NamespaceRef::Path(path);
        sandbox.problem = None;
        Some(sandbox.intent(boot))
    }

    /// Notes why an endpoint has no port; tells whether that is news.
    pub(crate) fn unseat_endpoint(&mut self, id: &Id, reason: String) -> bool {
        let Some(endpoint) = self.endpoints.get_mut(id) else {
            return false;
        };
        let waiting = match &endpoint.place {
            Place::Planned => return false,
            Place::At(port) => {
                self.ports.remove(&port.port);
                Waiting {
                    ifname: port.ifname.clone(),
                    reason,
                }
            }
            Place::Waiting(known) => Waiting {
                ifname: known.ifname.clone(),
                reason,
            },
        };
        let place = Place::Waiting(waiting);
        let is_news = endpoint.place != place;
        endpoint.place = place;
        // Who was offered an address asks again.
        let offers = endpoint.forget_offers();
        if let Some(network) = self.networks.get_mut(&endpoint.network_id) {
            network.release_leases(offers);
        }
        is_news
    }

    /// Notes why there is no way to a peer; tells whether that is news.
    pub(crate) fn unseat_peer(
        &mut self,
        network: &Id,
        address: std::net::IpAddr,
        reason: String,
    ) -> bool {
        let network = self.networks.get_mut(network);
        let peer = network.and_then(|network| network.peers.get_mut(&address));
        let Some(peer) = peer.filter(|peer| peer.place != PeerPlace::Planned) else {
            return false;
        };
        let place = PeerPlace::Waiting(reason);
        let is_news = peer.place != place;
        peer.place = place;
        is_news
    }

    /// Notes whether a network is joined to what it spans; tells whether that is news.
    pub(crate) fn set_joining(&mut self, id: &Id, joining: Joining) -> bool {
        match self.networks.get_mut(id) {
            Some(network) if network.joining != joining => {
                network.joining = joining;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Gives a network the number of a new domain.
    pub(crate) fn renumber_network(&mut self, id: &Id, number: NetworkNo) {
        let Some(network) = self.networks.get_mut(id) else {
            return;
        };
        network.number = number;
        for endpoint in &network.endpoints {
            if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
                endpoint.network_no = number;
                for publication in &mut endpoint.published {
                    publication.ports.network = number;
                }
            }
        }
    }

    /// Tells whether something that should be there waits.
    pub(crate) fn waits(&self) -> bool {
        let is_waiting = |network: &NetworkRecord| {
            let waits = |peer: &PeerRecord| matches!(peer.place, PeerPlace::Waiting(_));
            network.joining != Joining::Joined || network.peers.values().any(waits)
        };
        self.networks.values().any(is_waiting)
            || self.sandboxes.values().any(|it| it.problem.is_some())
            || self.endpoints.values().any(|it| it.problem().is_some())
            || self.has_held_up_ports()
    }
}

impl EndpointRecord {
    fn wanted(&self) -> WantedEndpoint {
        WantedEndpoint {
            sandbox: self.sandbox,
            port: match &self.place {
                Place::Planned => WantedPort::Planned,
                Place::At(port) => WantedPort::At(port.port),
                Place::Waiting(_) => WantedPort::Waiting,
            },
            published: self.open_ports().collect(),
        }
    }
}

impl PeerRecord {
    fn wanted_port(&self) -> WantedPort {
        match &self.place {
            PeerPlace::Planned => WantedPort::Planned,
            PeerPlace::At(port) => WantedPort::At(*port),
            PeerPlace::Waiting(_) => WantedPort::Waiting,
        }
    }
}
