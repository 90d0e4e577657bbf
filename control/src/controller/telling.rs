//! What is told about what happens, and to whom it happens.

use std::net::IpAddr;

use super::Controller;
use crate::address_changes::AddressChanges;
use crate::api::{Endpoint, EventAction, EventActor, EventType};
use crate::model::{NetworkRecord, PublicationNews};
use crate::{Id, Name};

impl Controller {
    /// Tells that something was not as it was meant to be, and is again: `id` names what it happened to.
    pub fn tell_repair(&self, repair: EventActor) {
        self.tell(EventType::Repair, EventAction::Done, repair);
    }

    pub(super) fn tell_network(&self, action: EventAction, network: &NetworkRecord) {
        let actor = EventActor::new(network.id.as_str()).with("network", &network.name);
        self.tell(EventType::Network, action, actor);
    }

    pub(super) fn tell_sandbox(&self, action: EventAction, id: &Id, name: &Name) {
        let actor = EventActor::new(id.as_str()).with("sandbox", name);
        self.tell(EventType::Sandbox, action, actor);
    }

    pub(super) fn tell_endpoint(&self, action: EventAction, endpoint: &Endpoint) {
        self.tell(EventType::Endpoint, action, endpoint_actor(endpoint));
    }

    /// Tells that published ports lead to their endpoint, or what holds them up.
    pub(super) fn tell_publication(&self, news: &PublicationNews) {
        let PublicationNews { endpoint, mapping } = news;
        let actor = endpoint_actor(endpoint).with("ports", mapping);
        let (action, actor) = match &mapping.problem {
            Some(problem) => (EventAction::HeldUp, actor.with("problem", problem)),
            None => (EventAction::Published, actor),
        };
        self.tell(EventType::Endpoint, action, actor);
    }

    /// Tells what somebody has changed of the addresses of an endpoint's interface.
    pub(super) fn tell_address_changes(&self, endpoint: &Endpoint, changes: &AddressChanges) {
        let mut actor = endpoint_actor(endpoint);
        for (name, addresses) in [("missing", &changes.missing), ("foreign", &changes.foreign)] {
            if !addresses.is_empty() {
                actor = actor.with(name, list(addresses));
            }
        }
        self.tell(EventType::Endpoint, EventAction::Changed, actor);
    }

    /// Tells what was put back into the sandbox of an endpoint.
    pub(super) fn tell_put_back(&self, repair: &str, endpoint: &Endpoint, put_back: &str) {
        let actor = endpoint_actor(endpoint).with("repair", repair);
        self.tell_repair(actor.with("put_back", put_back));
    }

    pub(super) fn tell_peer(&self, action: EventAction, network: &Name, address: IpAddr) {
        let actor = EventActor::new(address.to_string()).with("network", network);
        self.tell(EventType::Peer, action, actor);
    }

    pub(super) fn tell(&self, kind: EventType, action: EventAction, actor: EventActor) {
        self.events
            .publish(self.host.unix_time(), kind, action, actor);
    }
}

fn endpoint_actor(endpoint: &Endpoint) -> EventActor {
    let actor = EventActor::new(endpoint.id.as_str())
        .with("network", &endpoint.network)
        .with("network_id", &endpoint.network_id)
        .with("sandbox", &endpoint.sandbox)
        .with("ifname", &endpoint.ifname)
        .with("mac", endpoint.mac);
    if endpoint.addresses.is_empty() {
        return actor;
    }
    actor.with("addresses", list(&endpoint.addresses))
}

/// Returns the texts of `items` with commas between them.
pub(super) fn list<T: ToString>(items: &[T]) -> String {
    let texts: Vec<_> = items.iter().map(ToString::to_string).collect();
    texts.join(",")
}
