//! Which subnets are behind one socket and its hosts, and where what comes from each host goes.
//!
//! Made by the control side and read by workers as an immutable snapshot. The decision who may send what is
//! that of [`RouteTable`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tapweave_encap::{InnerAddresses, Peer, Refusal, RouteError, RouteTable, Tunnel};
use tapweave_net::{NetworkNo, PortNo};

use super::ingress::Ingress;

/// The subnets behind one socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes {
    table: RouteTable,
    networks: BTreeMap<NetworkNo, Routed>,
}

#[derive(Clone, Debug)]
struct Routed {
    tunnel: Tunnel,
    mtu: u16,
    ports: BTreeMap<IpAddr, PortNo>,
}

impl Prefixes {
    /// Adds a network with the subnets that it has here. Nothing is changed when one of them overlaps.
    pub(crate) fn add_network(
        &mut self,
        network: NetworkNo,
        subnets: &[IpNet],
        tunnel: Tunnel,
        mtu: u16,
    ) -> Result<(), RouteError> {
        let mut subnets = subnets.iter();
        let added = subnets.try_for_each(|subnet| self.table.add_local(network, *subnet));
        if added.is_err() {
            self.table.remove_network(network);
            return added;
        }
        let routed = Routed {
            tunnel,
            mtu,
            ports: BTreeMap::new(),
        };
        self.networks.insert(network, routed);
        Ok(())
    }

    /// Removes a network; an unknown one is removed already.
    pub(crate) fn remove_network(&mut self, network: NetworkNo) {
        self.table.remove_network(network);
        self.networks.remove(&network);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Lets a host send from subnets; what it sends comes in from `port`. Nothing is changed when one of them
    /// overlaps.
    pub(crate) fn add_peer(
        &mut self,
        network: NetworkNo,
        peer: &Arc<Peer>,
        subnets: &[IpNet],
        port: PortNo,
    ) -> Result<(), RouteError> {
        let addr = peer.vtep().addr();
        let mut subnets = subnets.iter();
        let added = subnets.try_for_each(|subnet| {
            let peer = Arc::clone(peer);
            self.table.add_remote(network, *subnet, peer)
        });
        if added.is_err() {
            self.remove_peer(network, addr);
        } else if let Some(routed) = self.networks.get_mut(&network) {
            routed.ports.insert(addr, port);
        }
        added
    }

    /// Lets a host send nothing more into a network.
    pub(crate) fn remove_peer(&mut self, network: NetworkNo, addr: IpAddr) {
        self.table.remove_peer(network, addr);
        if let Some(routed) = self.networks.get_mut(&network) {
            routed.ports.remove(&addr.to_canonical());
        }
    }

    /// Tells where a packet with these addresses, which came from `source`, enters.
    ///
    /// # Errors
    ///
    /// As [`RouteTable::accept_between`].
    #[inline]
    pub(crate) fn accept(
        &self,
        source: IpAddr,
        inner: InnerAddresses,
    ) -> Result<Ingress<'_>, Refusal> {
        let accepted = self.table.accept_between(source, inner)?;
        let routed = self.networks.get(&accepted.network);
        let routed = routed.ok_or(Refusal::InnerDestination)?;
        let peer = accepted.peer.ok_or(Refusal::UnknownPeer)?;
        let port = routed.ports.get(&peer.vtep().addr());
        Ok(Ingress {
            port: *port.ok_or(Refusal::UnknownPeer)?,
            peer,
            tunnel: &routed.tunnel,
            mtu: routed.mtu,
        })
    }
}

#[cfg(test)]
mod tests {
    use tapweave_encap::{Encap, Marking, TagPolicy, Vtep};

    use super::*;

    const TUNNEL: Tunnel = Tunnel {
        encap: Encap::Gue,
        marking: Marking {
            dscp: tapweave_encap::DscpModel::Uniform,
            ecn: tapweave_encap::EcnMode::Normal,
            hop_limit: tapweave_encap::HopLimit::Inherit,
        },
        tags: TagPolicy::Refuse,
    };

    fn nets<const N: usize>(texts: [&str; N]) -> [IpNet; N] {
        texts.map(|text| text.parse().unwrap())
    }

    #[test]
    fn a_packet_enters_at_the_port_of_the_host_that_has_its_source() {
        let (blue, red) = (NetworkNo(1), NetworkNo(2));
        let mut prefixes = Prefixes::default();
        for (network, subnet) in [(blue, "10.0.0.0/24"), (red, "10.9.0.0/24")] {
            prefixes
                .add_network(network, &nets([subnet]), TUNNEL, 1472)
                .unwrap();
        }
        let peer = Vtep::new("192.0.2.2".parse().unwrap(), 6080);
        let peer = Arc::new(Peer::new(peer, 1500));
        for (network, subnet, port) in [(blue, "10.0.1.0/24", 7), (red, "10.9.1.0/24", 8)] {
            let port = PortNo::new(port, 0);
            prefixes
                .add_peer(network, &peer, &nets([subnet]), port)
                .unwrap();
        }
        let enter = |prefixes: &Prefixes, src: [u8; 4], dst: [u8; 4]| {
            let (src, dst) = (src.into(), dst.into());
            let ingress = prefixes.accept(peer.vtep().addr(), InnerAddresses { src, dst });
            ingress.map(|at| at.port.index())
        };
        assert_eq!(enter(&prefixes, [10, 0, 1, 2], [10, 0, 0, 2]), Ok(7));
        assert_eq!(enter(&prefixes, [10, 9, 1, 2], [10, 9, 0, 2]), Ok(8));
        let crossing = enter(&prefixes, [10, 9, 1, 2], [10, 0, 0, 2]);
        assert_eq!(crossing, Err(Refusal::InnerDestination));
        // What does not fit as a whole changes nothing.
        let half = nets(["10.5.0.0/24", "10.0.0.0/25"]);
        prefixes
            .add_network(NetworkNo(3), &half, TUNNEL, 1472)
            .unwrap_err();
        let third = Arc::new(Peer::new(Vtep::new("192.0.2.3".parse().unwrap(), 1), 1500));
        let taken = prefixes.add_peer(blue, &third, &half, PortNo::new(9, 0));
        taken.unwrap_err();
        prefixes
            .add_peer(blue, &third, &nets(["10.5.0.0/24"]), PortNo::new(9, 0))
            .unwrap();
        prefixes.remove_peer(blue, peer.vtep().addr());
        let gone = enter(&prefixes, [10, 0, 1, 2], [10, 0, 0, 2]);
        assert_eq!(gone, Err(Refusal::InnerSource));
        prefixes.remove_network(red);
        let gone = enter(&prefixes, [10, 9, 1, 2], [10, 9, 0, 2]);
        assert_eq!(gone, Err(Refusal::UnknownPeer));
        prefixes.remove_network(blue);
        assert!(prefixes.is_empty());
    }
}
