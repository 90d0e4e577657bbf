//! The resolvers of networks: who serves which gateway, and how answers get to ports.

use std::net::IpAddr;

use tapweave_control::datapath::NetworkNames;
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::Service;

use super::SwitchDatapath;

impl SwitchDatapath {
    /// Makes `names` what the resolver of a network answers from, or lets nobody answer there.
    pub(super) fn tell_names(&self, network: NetworkNo, names: Option<&NetworkNames>) {
        let mtu = self.switch.network_mtu(network);
        let (Some(names), Some(mtu)) = (names, mtu) else {
            self.switch.serve(network, Service::Dns, None);
            self.resolvers.forget(network);
            return;
        };
        self.resolvers.set_names(network, names.clone(), mtu);
        if !self.switch.is_served(network, Service::Dns) {
            let queue = self.resolvers.queue();
            self.switch.serve(network, Service::Dns, Some(queue));
        }
    }

    /// States by which addresses the host is reached from networks that have a way out.
    pub(crate) fn set_host_addresses(&self, addresses: Vec<IpAddr>) {
        self.resolvers.set_host(addresses);
    }

    /// Gives the frame by which a service answers to the device of a port. From the threads of the services.
    pub(crate) fn answer(&self, port: PortNo, frame: &[u8]) {
        // Who asked and cannot take the answer asks again.
        if self.send(port, frame) {
            self.switch.count_service_frame_sent(port, frame.len());
        }
    }
}
