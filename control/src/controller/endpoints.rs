//! Endpoints: connect and disconnect.

use ipnet::IpNet;
use tapweave_net::{MacAddr, PortNo};
use tapweave_switch::PortVlans;
use tracing::{error, info};

use super::Controller;
use super::planning::Planned;
use crate::api::{Connect, Disconnect, Endpoint, EventAction};
use crate::datapath::{AttachedPort, Isolation, Offloading, SandboxNo};
use crate::error::Thing;
use crate::journal::Changes;
use crate::model::{EndpointPlan, EndpointRecord, PortRules};
use crate::records::{
    EndpointIntent, FdbIntent, LeaseIntent, RestingIntent, SandboxIntent, StationPlace,
};
use crate::{ControlError, Id, Name};

/// Most queues of a TAP.
const MAX_QUEUES: u16 = 16;

impl Controller {
    /// Connects a sandbox to a network and returns the endpoint. With a namespace, the sandbox becomes
    /// known under its name; it is forgotten again if it cannot be connected.
    ///
    /// # Errors
    ///
    /// When network or sandbox are not known, the namespace cannot be opened or has another name,
    /// an address, MAC or interface name is taken, the sandbox is busy, or the packet path refuses.
    pub fn connect(&self, network: &str, request: Connect) -> Result<Endpoint, ControlError> {
        let mut plan = self.endpoint_plan(network, &request)?;
        let (name, known_network) = {
            let model = self.model();
            let name = if request.namespace.is_some() {
                // The word is a name: it must not be taken for the beginning of another one's id.
                Name::try_from(request.sandbox)?
            } else {
                match model.sandbox(&request.sandbox) {
                    Ok(sandbox) => sandbox.name.clone(),
                    Err(ControlError::NoSuch { nearest, .. }) => {
                        return Err(ControlError::SandboxUnknown {
                            sandbox: request.sandbox,
                            nearest,
                        });
                    }
                    Err(ambiguous) => return Err(ambiguous),
                }
            };
            // Looked up before anything slow is done for a network that does not exist.
            (name, model.network(network)?.id.clone())
        };
        plan.network = known_network.into();

        let _turn = self.turns.request(&name)?;
        let (number, newly_opened) = self.find_or_open(&name, request.namespace.as_ref())?;
        plan.sandbox = number;
        let joined = self.join(&plan, newly_opened);
        match &joined {
            Ok(endpoint) => info!(port = endpoint.port, "sandbox connected"),
            Err(_) if newly_opened => self.abandon(number),
            Err(_) => {}
        }
        joined
    }

    /// Disconnects a sandbox from a network. The sandbox stays known.
    ///
    /// # Errors
    ///
    /// `NoSuch`, `Ambiguous`, `SandboxBusy`; `NotConnected` unless forced.
    pub fn disconnect(&self, network: &str, request: &Disconnect) -> Result<(), ControlError> {
        let name = {
            let model = self.model();
            model.network(network)?;
            match model.sandbox(&request.sandbox) {
                Ok(sandbox) => sandbox.name.clone(),
                Err(ControlError::NoSuch { .. }) if request.force => return Ok(()),
                Err(error) => return Err(error),
            }
        };
        let _turn = self.turns.request(&name)?;
        let id = {
            let model = self.model();
            let network = model.network(network)?;
            let sandbox = model.sandbox_named(name.as_str());
            sandbox
                .and_then(|sandbox| model.endpoint_between(network, sandbox))
                .map(|endpoint| endpoint.id.clone())
                .ok_or_else(|| ControlError::NotConnected {
                    sandbox: request.sandbox.clone(),
                    network: network.name.clone(),
                })
        };
        match id {
            Ok(id) => self.disconnect_endpoint(&id),
            Err(_) if request.force => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes an endpoint by its id or the beginning of it.
    ///
    /// # Errors
    ///
    /// `NoSuch`, `Ambiguous` or `SandboxBusy`.
    pub fn remove_endpoint(&self, reference: &str) -> Result<(), ControlError> {
        let (id, name) = {
            let model = self.model();
            let endpoint = model.endpoint(reference)?;
            (endpoint.id.clone(), endpoint.sandbox_name.clone())
        };
        let _turn = self.turns.request(&name)?;
        // It may have gone while this request waited.
        self.model().endpoint(id.as_str())?;
        self.disconnect_endpoint(&id)
    }

    /// Frees the endpoint of a port whose interface is gone, for instance because somebody deleted it
    /// inside the sandbox. The sandbox stays known and can be connected again.
    ///
    /// Called by the packet path from a thread that may block, as [`Controller::sandbox_ended`].
    /// Ports that are not known are ignored.
    pub fn port_failed(&self, port: PortNo) {
        let found = self.endpoint_at(port).or_else(|| {
            // The interface may go before its endpoint is seated, which is done when the turn ends.
            let joining = self.model().joining_sandboxes();
            let seated = joining.iter().find_map(|name| {
                let _turn = self.turns.take(name);
                self.endpoint_at(port)
            });
            // Or it was seated since the first look, and is not among them any more.
            seated.or_else(|| self.endpoint_at(port))
        });
        let Some((id, name)) = found else {
            return;
        };
        let _turn = self.turns.take(&name);
        // It may have gone while this waited; its id is never used again.
        if let Ok(endpoint) = self.endpoint(id.as_str()) {
            self.tell_endpoint(EventAction::Failed, &endpoint);
        }
        self.note_gone(&[&id], None);
        self.detach(&id);
    }

    /// Returns the endpoints in order of network and sandbox.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let model = self.model();
        let mut endpoints: Vec<_> = model
            .networks()
            .flat_map(|network| model.endpoints_of(&network.id))
            .filter_map(EndpointRecord::view)
            .collect();
        endpoints.sort_by(|a, b| (&a.network, &a.sandbox).cmp(&(&b.network, &b.sandbox)));
        endpoints
    }

    /// Returns one endpoint.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous`.
    pub fn endpoint(&self, reference: &str) -> Result<Endpoint, ControlError> {
        let model = self.model();
        model
            .endpoint(reference)?
            .view()
            .ok_or_else(|| no_such(reference))
    }

    /// Returns the endpoint that is seated at a port, and its sandbox.
    fn endpoint_at(&self, port: PortNo) -> Option<(Id, Name)> {
        let model = self.model();
        let endpoint = model.endpoint_at(port)?;
        Some((endpoint.id.clone(), endpoint.sandbox_name.clone()))
    }

    /// Makes the port of a planned endpoint, and stores it, with its sandbox if that is new. The caller has the
    /// sandbox's turn.
    fn join(&self, plan: &EndpointPlan, sandbox_is_new: bool) -> Result<Endpoint, ControlError> {
        let Planned {
            id,
            sandbox,
            network,
            interface,
        } = self.plan(plan)?;
        let port = match self.datapath.add_port(sandbox, network, &interface) {
            Ok(port) => port,
            Err(cause) => {
                self.forget(&id);
                return Err(cause.into());
            }
        };
        let number = port.port;
        let endpoint = seat(&mut self.model(), &id, port)?;
        let has_published = !endpoint.published.is_empty();
        let published = if has_published {
            self.publish()
        } else {
            Ok(())
        };
        let stored = published
            .map_err(ControlError::from)
            .and_then(|()| self.write_endpoint(&id, sandbox_is_new.then_some(sandbox)));
        match stored {
            Ok(()) => {
                self.publish_names(&endpoint.network_id);
                self.tell_endpoint(EventAction::Connected, &endpoint);
                Ok(endpoint)
            }
            Err(cause) => {
                // Without the turn nobody else has taken it down.
                self.datapath.remove_port(number);
                self.forget(&id);
                self.publish_rest(has_published, &endpoint.port);
                Err(cause)
            }
        }
    }

    /// Stores an endpoint, and its sandbox if that is to be stored too.
    fn write_endpoint(&self, id: &Id, sandbox: Option<SandboxNo>) -> Result<(), ControlError> {
        let mut changes = Changes::default();
        {
            let model = self.model();
            let sandbox = sandbox.and_then(|number| model.sandbox_by_no(number));
            if let Some(sandbox) = sandbox {
                changes.put(&sandbox.intent(&self.boot))?;
            }
            if let Some(endpoint) = model.endpoint_intent(id.as_str()) {
                changes.put(&endpoint)?;
                for address in endpoint.addresses.iter().map(IpNet::addr) {
                    changes.delete(&RestingIntent::key_of(&endpoint.network, address))?;
                }
            }
        }
        self.journal.write(changes)
    }

    /// Removes an endpoint for good. The caller has the sandbox's turn.
    fn disconnect_endpoint(&self, id: &Id) -> Result<(), ControlError> {
        let gone = self.gone(&[id], None)?;
        self.journal.write(gone)?;
        self.detach(id);
        Ok(())
    }

    /// Forgets an endpoint, and in the store whoever is forgotten because its addresses rest from now on.
    fn forget(&self, id: &Id) {
        let (changes, noted) = {
            let mut model = self.model();
            let mut changes = Changes::default();
            let noted = model
                .forgotten_with(id)
                .map_or(Ok(()), |(network, addresses)| {
                    let mut addresses = addresses.into_iter();
                    addresses.try_for_each(|it| changes.delete(&RestingIntent::key_of(network, it)))
                });
            model.forget_endpoint(id);
            (changes, noted)
        };
        if let Err(cause) = noted {
            error!(%cause, "who had an address stays stored");
        }
        if !changes.is_empty() {
            self.journal.note(changes);
        }
    }

    /// Returns the deletion of a sandbox and of endpoints, with the static entries at their ports; it says who had the
    /// addresses.
    pub(super) fn gone(
        &self,
        endpoints: &[&Id],
        sandbox: Option<&Id>,
    ) -> Result<Changes, ControlError> {
        let mut changes = Changes::default();
        let model = self.model();
        if let Some(sandbox) = sandbox {
            changes.delete(&SandboxIntent::key_of(sandbox))?;
        }
        for id in endpoints {
            changes.delete(&EndpointIntent::key_of(id))?;
        }
        for id in endpoints {
            let endpoint = model.endpoint(id.as_str()).ok();
            let network = endpoint.and_then(|it| model.network_by_id(it.network_id.as_str()));
            let (Some(endpoint), Some(network)) = (endpoint, network) else {
                continue;
            };
            for lease in endpoint.kept_leases() {
                changes.delete(&LeaseIntent::key_of(&network.id, lease.address))?;
            }
            for station in network.stations_at(&StationPlace::Endpoint((*id).clone())) {
                changes.delete(&FdbIntent::key_of(&network.id, station))?;
            }
            for resting in network.resting_after(&endpoint.addresses, &endpoint.sandbox_name) {
                changes.put(&resting)?;
            }
        }
        Ok(changes)
    }

    /// Notes in the store that a sandbox and endpoints have gone by themselves.
    pub(super) fn note_gone(&self, endpoints: &[&Id], sandbox: Option<&Id>) {
        match self.gone(endpoints, sandbox) {
            Ok(gone) => self.journal.note(gone),
            Err(cause) => error!(%cause, "what has gone stays stored"),
        }
    }

    fn publish_rest(&self, had_published: bool, port: &str) {
        if had_published && let Err(cause) = self.publish() {
            // What leads to an endpoint that has gone is dropped; the next list repairs it.
            error!(%cause, port, "the packet path kept the published ports of a port that has gone");
        }
    }

    /// Removes an endpoint and its port, but not its record. The caller has the sandbox's turn.
    pub(super) fn detach(&self, id: &Id) {
        let found = self.model().endpoint(id.as_str()).map(|endpoint| {
            let has_published = !endpoint.published.is_empty();
            let place = (endpoint.port_no(), endpoint.port_name());
            let network = endpoint.network_id.clone();
            (place, has_published, network, endpoint.view())
        });
        let Ok(((port, name), has_published, network, view)) = found else {
            return;
        };
        if let Some(port) = port {
            self.datapath.remove_port(port);
        }
        self.forget(id);
        self.publish_rest(has_published, &name);
        self.publish_names(&network);
        info!(port = name, "sandbox disconnected");
        if let Some(view) = view {
            self.tell_endpoint(EventAction::Disconnected, &view);
        }
    }

    /// Checks what does not depend on anything that exists. The sandbox is filled in later.
    fn endpoint_plan(
        &self,
        network: &str,
        request: &Connect,
    ) -> Result<EndpointPlan, ControlError> {
        if let Some(mac) = request.mac.filter(|mac| !mac.is_station()) {
            return Err(ControlError::MacUnusable { mac });
        }
        let queue_count = request.queues.unwrap_or(1);
        if !(1..=MAX_QUEUES).contains(&queue_count) {
            return Err(ControlError::Queues {
                queues: queue_count,
            });
        }
        // 0a: locally administered, and never one that is derived from an address.
        let mut spare_mac = self.random()?;
        spare_mac[0] = 0x0a;
        Ok(EndpointPlan {
            id: self.new_id()?,
            network: network.to_owned(),
            sandbox: SandboxNo(0),
            ifname: request.ifname.clone(),
            ip: request.ip,
            ip6: request.ip6,
            mac: request.mac,
            spare_mac: MacAddr::new(spare_mac),
            addressing: request.addressing,
            aliases: request.aliases.clone(),
            queue_count,
            offload: match request.offload {
                Some(false) => Offloading::Off,
                Some(true) | None => Offloading::On,
            },
            isolation: if request.isolated {
                Isolation::Isolated
            } else {
                Isolation::Open
            },
            vlans: port_vlans(request)?,
            gateway_priority: request.gw_priority,
            rules: PortRules::new(request)?,
            publish: self.publish_request(&request.publish)?,
        })
    }
}

fn port_vlans(request: &Connect) -> Result<PortVlans, ControlError> {
    match (request.vlan, &request.trunk) {
        (None, None) => Ok(PortVlans::Transparent),
        (Some(vid), None) => Ok(PortVlans::Access(vid)),
        (Some(vid), Some(tagged)) if tagged.contains(vid) => Err(ControlError::VlanTwice { vid }),
        (native, Some(tagged)) => Ok(PortVlans::Trunk {
            tagged: tagged.clone(),
            native,
        }),
    }
}

fn seat(
    model: &mut crate::model::Model,
    id: &Id,
    port: AttachedPort,
) -> Result<Endpoint, ControlError> {
    let endpoint = model.seat_endpoint(id, port);
    endpoint
        .and_then(EndpointRecord::view)
        .ok_or_else(|| no_such(id.short()))
}

fn no_such(reference: &str) -> ControlError {
    ControlError::no_such(Thing::Endpoint, reference.to_owned())
}
