//! What was learned, as it leaves this switch and comes into another one.

use tapweave_net::{NetworkNo, PortNo, Timestamp};

use super::Switch;
use super::control::ControlPort;
use crate::multicast::Snooping;
use crate::{FdbOrigin, Isolation, Learned, LearnedStation, LearningMark, Stations};

impl Switch {
    /// Returns a mark that changes when anything else than an age does: a look at counters of each network.
    pub fn learning_mark(&self) -> LearningMark {
        let snapshot = self.published.load();
        let networks = snapshot.networks.values();
        let changes = networks.map(|network| {
            let gateway = network.gateway.as_deref();
            let snooping = network.snooping.as_deref();
            network
                .fdb
                .changes()
                .wrapping_add(gateway.map_or(0, |gateway| gateway.neighbors.changes()))
                .wrapping_add(snooping.map_or(0, Snooping::changes))
        });
        LearningMark {
            generation: snapshot.generation,
            changes: changes.fold(0, u64::wrapping_add),
        }
    }

    /// Returns what a network has learned, in no order; nothing of an unknown one. What workers learn meanwhile is
    /// among it or not.
    pub fn learned(&self, network: NetworkNo, now: Timestamp) -> Learned {
        let snapshot = self.published.load();
        let Some(network) = snapshot.networks.get(&network) else {
            return Learned::default();
        };
        let mut learned = Learned {
            stations: network.fdb.learned(now),
            ..Learned::default()
        };
        if let Some(gateway) = &network.gateway {
            learned.neighbors = gateway.neighbors.learned();
        }
        if let Some(snooping) = &network.snooping {
            snooping.learned(&mut learned);
        }
        learned
    }

    /// Takes in what a network had learned in an earlier process, with the present numbers of ports; tells how much of
    /// it is in. Call it for a port before any worker forwards its frames, and as often as ports come.
    ///
    /// Left out is what is over, what the rules of a port do not allow any more, what does not fit, and what the
    /// network has learned anew or was told.
    pub fn restore(&self, network: NetworkNo, learned: &Learned, now: Timestamp) -> usize {
        // The lock keeps ports from being removed in between.
        let control = self.control();
        let Some(known) = control.networks.get(&network) else {
            return 0;
        };
        let port = |no: PortNo| {
            let port = control.ports.get(&no);
            port.filter(|port| port.network == network)
        };
        let fdb = &known.tables.fdb;
        let stations = learned.stations.iter().filter(|station| {
            let Some(port) = port(station.port).filter(|port| may_have_learned(port, station))
            else {
                return false;
            };
            let is_full =
                |limit: core::num::NonZeroU32| fdb.learned_count(station.port) >= limit.get();
            if port.config.mac_limit.is_some_and(is_full) {
                return false;
            }
            let origin = if station.is_sticky && port.config.stations == Stations::Sticky {
                FdbOrigin::Sticky
            } else {
                FdbOrigin::Learned
            };
            let probe = fdb.probe(station.vid, station.mac);
            fdb.restore(probe, origin, station.port, station.seen, now)
        });
        let mut count = stations.count();
        if let Some(gateway) = &known.gateway {
            let neighbors = learned.neighbors.iter();
            count += neighbors
                .filter(|neighbor| {
                    neighbor.mac.is_station()
                        && gateway.is_neighbor(neighbor.address)
                        && gateway.neighbors.restore(neighbor, now)
                })
                .count();
        }
        if let Some(snooping) = &known.tables.snooping {
            let members = learned.members.iter();
            let routers = learned.group_ports.iter();
            let groups = Learned {
                members: members
                    .filter(|member| port(member.port).is_some())
                    .copied()
                    .collect(),
                group_ports: routers
                    .filter(|router| {
                        port(router.port).is_some_and(|port| {
                            // The other isolated ones do not hear its queries.
                            router.router.is_none() || port.config.isolation == Isolation::Open
                        })
                    })
                    .copied()
                    .collect(),
                queriers: learned.queriers.clone(),
                ..Learned::default()
            };
            if !groups.is_empty() {
                count += snooping.restore(&groups, now);
            }
        }
        count
    }
}

/// Tells whether a port could have learned a station by the rules that it has now.
fn may_have_learned(port: &ControlPort, station: &LearnedStation) -> bool {
    station.mac.is_station()
        && port.config.stations != Stations::Locked
        && port.config.vlans.carries(station.vid)
}
