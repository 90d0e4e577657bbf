//! What is told about what happens, and to whom it happens.

use std::net::IpAddr;

use super::Controller;
use crate::api::{Endpoint, EventAction, EventActor, EventType};
use crate::model::NetworkRecord;
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
        let mut actor = EventActor::new(endpoint.id.as_str())
            .with("network", &endpoint.network)
            .with("network_id", &endpoint.network_id)
            .with("sandbox", &endpoint.sandbox)
            .with("ifname", &endpoint.ifname)
            .with("mac", endpoint.mac);
        if !endpoint.addresses.is_empty() {
            let addresses: Vec<_> = endpoint.addresses.iter().map(ToString::to_string).collect();
            actor = actor.with("addresses", addresses.join(","));
        }
        self.tell(EventType::Endpoint, action, actor);
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
