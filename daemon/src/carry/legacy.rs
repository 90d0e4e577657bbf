//! What an earlier daemon had learned, until the networks and ports that it is about are there again.

use std::collections::BTreeMap;

use tapweave_carry::Carried;
use tapweave_carry::peers::LearnedPeer;
use tapweave_carry::ports::{Owner, PortName};
use tapweave_control::Id;
use tapweave_control::datapath::PortOwner;
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::Learned;

/// What waits for networks and ports.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    /// The numbers that networks had, by their ids.
    former: BTreeMap<String, NetworkNo>,
    /// What is about whole networks, by their former numbers.
    networks: BTreeMap<NetworkNo, Learned>,
    /// What is about ports.
    ports: BTreeMap<PortName, PortLegacy>,
    /// Things that are about nothing that had a name.
    nameless: usize,
}

/// What was learned of one port. Within it stands the number that the port had.
#[derive(Debug, Default)]
pub(crate) struct PortLegacy {
    learned: Learned,
    /// If it is that of a host of an overlay.
    pub(crate) peer: Option<LearnedPeer>,
}

impl Legacy {
    /// Returns what was carried over, sorted by what it waits for.
    pub(crate) fn new(carried: Carried) -> Self {
        let Carried {
            networks,
            ports: mut names,
            ..
        } = carried;
        let mut legacy = Self {
            former: networks
                .into_iter()
                .map(|(number, id)| (id, number))
                .collect(),
            ..Self::default()
        };
        for (network, neighbor) in carried.neighbors {
            legacy.of_network(network).neighbors.push(neighbor);
        }
        for (network, querier) in carried.queriers {
            legacy.of_network(network).queriers.push(querier);
        }
        let mut ports: BTreeMap<PortNo, PortLegacy> = BTreeMap::new();
        for station in carried.stations {
            let of_port = ports.entry(station.port).or_default();
            of_port.learned.stations.push(station);
        }
        for member in carried.members {
            let of_port = ports.entry(member.port).or_default();
            of_port.learned.members.push(member);
        }
        for port in carried.group_ports {
            let of_port = ports.entry(port.port).or_default();
            of_port.learned.group_ports.push(port);
        }
        for peer in carried.peers {
            ports.entry(peer.port).or_default().peer = Some(peer);
        }
        for (port, legacy_of_port) in ports {
            match names.remove(&port) {
                Some(name) => {
                    legacy.ports.insert(name, legacy_of_port);
                }
                None => legacy.nameless += legacy_of_port.len(),
            }
        }
        legacy
    }

    /// Takes what is about a network as a whole.
    pub(crate) fn take_network(&mut self, id: &Id) -> Learned {
        let former = self.former.get(id.as_str());
        let taken = former.and_then(|former| self.networks.remove(former));
        taken.unwrap_or_default()
    }

    /// Takes what is about a port of a network.
    pub(crate) fn take_port(&mut self, network: &Id, owner: &PortOwner) -> Option<PortLegacy> {
        let name = PortName {
            network: *self.former.get(network.as_str())?,
            owner: name_of(owner),
        };
        self.ports.remove(&name)
    }

    /// Forgets what still waits; tells how many things it were.
    pub(crate) fn give_up(&mut self) -> usize {
        let left = std::mem::take(self);
        let networks = left.networks.values().map(Learned::len);
        let ports = left.ports.values().map(PortLegacy::len);
        networks.chain(ports).sum::<usize>() + left.nameless
    }

    fn of_network(&mut self, network: NetworkNo) -> &mut Learned {
        self.networks.entry(network).or_default()
    }
}

impl PortLegacy {
    /// Returns what was learned, as of the port with the number `present`.
    pub(crate) fn learned(&self, present: PortNo) -> Learned {
        let mut learned = self.learned.clone();
        for station in &mut learned.stations {
            station.port = present;
        }
        for member in &mut learned.members {
            member.port = present;
        }
        for port in &mut learned.group_ports {
            port.port = present;
        }
        learned
    }

    fn len(&self) -> usize {
        self.learned.len() + usize::from(self.peer.is_some())
    }
}

/// Returns what outlives the daemon of an owner.
pub(crate) fn name_of(owner: &PortOwner) -> Owner {
    match owner {
        PortOwner::Endpoint(id) => Owner::Endpoint(id.to_string()),
        PortOwner::Peer(address) => Owner::Peer(*address),
    }
}

#[cfg(test)]
mod tests {
    use tapweave_net::{MacAddr, Timestamp};
    use tapweave_switch::LearnedStation;

    use super::*;

    fn id(byte: u8) -> Id {
        Id::from_random([byte; 32])
    }

    fn station(port: u32) -> LearnedStation {
        LearnedStation {
            mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
            vid: None,
            port: PortNo::new(port, 0),
            is_sticky: false,
            seen: Timestamp::ZERO,
        }
    }

    #[test]
    fn what_was_learned_comes_with_its_port_once_and_the_rest_is_counted() {
        let name = |owner| PortName {
            network: NetworkNo(5),
            owner,
        };
        let endpoint = PortOwner::Endpoint(id(3));
        let peer = PortOwner::Peer([192, 0, 2, 1].into());
        let ports = [(1, &endpoint), (2, &peer)];
        let mut legacy = Legacy::new(Carried {
            networks: [(NetworkNo(5), id(1).to_string())].into(),
            ports: ports
                .map(|(port, owner)| (PortNo::new(port, 0), name(name_of(owner))))
                .into(),
            stations: [1, 2, 2, 9].map(station).into(),
            peers: vec![LearnedPeer {
                port: PortNo::new(2, 0),
                heard: None,
                path: None,
            }],
            ..Carried::default()
        });
        assert!(legacy.take_port(&id(9), &endpoint).is_none());
        let present = PortNo::new(7, 3);
        let taken = legacy.take_port(&id(1), &endpoint).unwrap();
        assert_eq!(taken.learned(present).stations[0].port, present);
        assert!(taken.peer.is_none());
        assert!(legacy.take_port(&id(1), &endpoint).is_none());
        // Two stations of the peer's, the peer, and a station of a port without a name.
        assert_eq!(legacy.give_up(), 4);
        assert!(legacy.take_port(&id(1), &peer).is_none());
        assert_eq!(legacy.give_up(), 0);
    }
}
