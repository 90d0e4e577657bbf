//! The multicast groups that networks flood to: sending to them and hearing them.
//!
//! A group is joined on the interface that has the underlay's address of its family, and left with the last network
//! that has it on a UDP port, or when the underlay moves to another interface: then the next
//! [`Overlay::sync`] joins it there. A group has one socket on a port, since each that joins gets every datagram;
//! what is flooded is little beside the rest, and one worker is enough for it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use tapweave_device::{Hearing, interface_of};

use super::error::OverlayError;
use super::sockets::{Endpoint, Sockets};
use super::{NO_PORT, Network, Overlay, State};

/// A group that is heard.
#[derive(Debug)]
pub(super) struct Group {
    /// Index of the interface that it is joined on.
    interface: u32,
    pub(super) sockets: Sockets,
}

impl Overlay {
    /// Leaves groups that no network has any more, or not there, and joins those that are missing.
    pub(super) fn sync_groups(&self, state: &mut State) -> Result<(), OverlayError> {
        let mut interfaces = Vec::new();
        for addr in state.local.iter() {
            let is_needed = |group: IpAddr| group.is_ipv4() == addr.is_ipv4();
            let mut groups = state.networks.values().filter_map(|network| network.group);
            if groups.any(is_needed)
                && let Some(index) = interface_of(addr).map_err(OverlayError::Addresses)?
            {
                if let Some(sender) = self.sender(addr).load_full() {
                    let told = sender.set_group_interface(index);
                    told.map_err(|error| OverlayError::Send(addr, error))?;
                }
                interfaces.push((addr.is_ipv4(), index));
            }
        }
        let interface = |group: IpAddr| {
            let mut interfaces = interfaces.iter();
            let found = interfaces.find(|(is_ipv4, _)| *is_ipv4 == group.is_ipv4());
            found.map(|(_, index)| *index)
        };
        for (port, endpoint) in &mut state.endpoints {
            let on_port = |network: &&Network| network.port == *port;
            let networks = state.networks.values().filter(on_port);
            let wanted: BTreeSet<IpAddr> = networks.filter_map(|network| network.group).collect();
            endpoint.groups.retain(|group, joined| {
                let stays = wanted.contains(group) && interface(*group) == Some(joined.interface);
                if !stays {
                    self.close(&joined.sockets);
                }
                stays
            });
            for group in wanted {
                if endpoint.groups.contains_key(&group) {
                    continue;
                }
                if let Some(interface) = interface(group) {
                    let addr = SocketAddr::new(group, port.unwrap_or(NO_PORT));
                    let sockets = self.join(addr, interface, endpoint)?;
                    endpoint.groups.insert(group, Group { interface, sockets });
                }
            }
        }
        Ok(())
    }

    /// Has one worker hear a group.
    fn join(
        &self,
        group: SocketAddr,
        interface: u32,
        endpoint: &Endpoint,
    ) -> Result<Sockets, OverlayError> {
        let hearing = Hearing::Group(group, interface);
        let joined = self.kept.receivers(endpoint.kind(), hearing, 1);
        let receivers = joined.map_err(|error| OverlayError::Join(group.ip(), error))?;
        // Groups are spread over the workers.
        let first_worker = endpoint.groups.len();
        self.read_by_workers(receivers, first_worker, endpoint, group)
    }
}
