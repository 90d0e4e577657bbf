//! Commands that make what has a place in the packet path: sandboxes, networks, peers, endpoints.

use std::net::IpAddr;

use tracing::warn;

use super::fate::Fate;
use super::{Outcome, chain, warn_of_news};
use crate::controller::Controller;
use crate::datapath::SandboxNo;
use crate::model::Joining;
use crate::{Id, Name};

impl Controller {
    /// Opens the namespace of a restored sandbox, which must be the one that was stored.
    pub(super) fn open_restored(&self, number: SandboxNo) -> Outcome {
        let Some(name) = self.model().sandbox_name(number).cloned() else {
            return Outcome::Obsolete;
        };
        let Ok(_turn) = self.turns.request(&name) else {
            return Outcome::Failed;
        };
        let known = {
            let model = self.model();
            let sandbox = model.sandbox_by_no(number);
            sandbox.map(|sandbox| (sandbox.namespace.clone(), sandbox.identity))
        };
        let Some((namespace, identity)) = known else {
            return Outcome::Obsolete;
        };
        let fate = self.fate_of(number, &namespace, identity);
        if fate.is_gone() && self.open_moved(number, &namespace, identity) {
            return Outcome::Done;
        }
        match fate {
            Fate::There => {
                self.model().set_sandbox_problem(number, None);
                Outcome::Done
            }
            Fate::Replaced => {
                warn!(sandbox = %name, ?namespace, "the sandbox has ended: its namespace is another one now");
                self.lose(number)
            }
            Fate::Ended(cause) => {
                warn!(sandbox = %name, reason = chain(&cause), "the sandbox has ended");
                self.lose(number)
            }
            Fate::Unknown(cause) => {
                let reason = chain(&cause);
                warn_of_news(&reason, name.as_str(), || {
                    self.model()
                        .set_sandbox_problem(number, Some(reason.clone()))
                });
                Outcome::Failed
            }
        }
    }

    fn lose(&self, number: SandboxNo) -> Outcome {
        self.bury(number);
        self.count("sandboxes_ended");
        Outcome::Obsolete
    }

    pub(super) fn make_again(&self, id: &Id) -> Outcome {
        let settings = {
            let model = self.model();
            let network = model.network_by_id(id.as_str());
            network.map(|network| network.settings.clone())
        };
        let Some(settings) = settings else {
            return Outcome::Obsolete;
        };
        let number = self.datapath.add_network(id, &settings);
        self.model().renumber_network(id, number);
        self.publish_names(id);
        Outcome::Done
    }

    pub(super) fn join_again(&self, id: &Id) -> Outcome {
        let network = self.model().network_by_id(id.as_str()).cloned();
        let Some(network) = network else {
            return Outcome::Obsolete;
        };
        let _turn = self.network_turns.take(&network.name);
        match self.join_outside(&network) {
            Ok(()) => {
                self.model().set_joining(id, Joining::Joined);
                Outcome::Done
            }
            Err(cause) => {
                let reason = chain(&cause);
                warn_of_news(&reason, network.name.as_str(), || {
                    let joining = Joining::Waiting(reason.clone());
                    self.model().set_joining(id, joining)
                });
                Outcome::Failed
            }
        }
    }

    pub(super) fn add_peer_again(&self, id: &Id, address: IpAddr) -> Outcome {
        let Some(name) = self.network_name(id) else {
            return Outcome::Obsolete;
        };
        let _turn = self.network_turns.take(&name);
        let known = {
            let mut model = self.model();
            model.unseat_peer(id, address, "its port is being made".to_owned());
            let network = model.network_by_id(id.as_str());
            network.and_then(|network| {
                let peer = network.peers.get(&address)?;
                Some((network.number, peer.settings(address)))
            })
        };
        let Some((number, settings)) = known else {
            return Outcome::Obsolete;
        };
        match self.datapath.add_peer(number, &settings) {
            Ok(port) => {
                let seated = self.model().seat_peer(id, address, port);
                if !seated {
                    self.datapath.remove_port(port);
                }
                Outcome::done_if(seated)
            }
            Err(cause) => {
                let reason = chain(&cause);
                let peer = format!("{name} {address}");
                warn_of_news(&reason, &peer, || {
                    self.model().unseat_peer(id, address, reason.clone())
                });
                Outcome::Failed
            }
        }
    }

    pub(super) fn connect_again(&self, id: &Id) -> Outcome {
        let name = {
            let model = self.model();
            let endpoint = model.endpoint(id.as_str()).ok();
            endpoint.map(|endpoint| endpoint.sandbox_name.clone())
        };
        let Some(name) = name else {
            return Outcome::Obsolete;
        };
        let Ok(_turn) = self.turns.request(&name) else {
            return Outcome::Failed;
        };
        let (sandbox, network, interface, port_name) = {
            let mut model = self.model();
            let problem = {
                let Ok(endpoint) = model.endpoint(id.as_str()) else {
                    return Outcome::Obsolete;
                };
                let sandbox = model.sandbox_by_no(endpoint.sandbox);
                sandbox.and_then(|sandbox| sandbox.problem.clone())
            };
            if let Some(problem) = problem {
                model.unseat_endpoint(id, problem);
                return Outcome::Failed;
            }
            let Ok(endpoint) = model.endpoint(id.as_str()) else {
                return Outcome::Obsolete;
            };
            (
                endpoint.sandbox,
                endpoint.network_no,
                endpoint.interface(),
                endpoint.port_name(),
            )
        };
        match self.datapath.add_port(sandbox, network, &interface) {
            Ok(port) => {
                let network_id = {
                    let mut model = self.model();
                    model.unseat_endpoint(id, String::new());
                    model.seat_endpoint(id, port);
                    let endpoint = model.endpoint(id.as_str()).ok();
                    endpoint.map(|endpoint| endpoint.network_id.clone())
                };
                if let Some(network_id) = network_id {
                    self.publish_names(&network_id);
                }
                Outcome::Done
            }
            Err(cause) => {
                let reason = chain(&cause);
                warn_of_news(&reason, &port_name, || {
                    self.model().unseat_endpoint(id, reason.clone())
                });
                Outcome::Failed
            }
        }
    }

    pub(super) fn network_name(&self, id: &Id) -> Option<Name> {
        let model = self.model();
        Some(model.network_by_id(id.as_str())?.name.clone())
    }
}
