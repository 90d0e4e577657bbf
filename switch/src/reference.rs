//! A switch as plain as it can be written, to compare the engine with.
//!
//! It has one thread, ordered maps, and the rules of a learning bridge one after the other. It shares
//! no code with the engine but the vocabulary. Its tables have no limit: it is a model of what the
//! engine does while there is room.

use std::collections::BTreeMap;
use std::time::Duration;

use tapweave_net::{ChecksumOffload, GsoKind, MacAddr, NetworkNo, Offload, PortNo, Timestamp};

use crate::{DropReason, FdbEntry, FdbOrigin, Isolation, NetworkConfig, PortStats, Verdict};

/// The plain switch.
#[derive(Default)]
pub(crate) struct Reference {
    networks: BTreeMap<NetworkNo, Network>,
    ports: BTreeMap<PortNo, Port>,
}

struct Network {
    mtu: usize,
    ageing: Duration,
    stations: BTreeMap<MacAddr, Station>,
}

struct Station {
    port: PortNo,
    origin: FdbOrigin,
    seen: Timestamp,
}

struct Port {
    network: NetworkNo,
    isolation: Isolation,
    stats: PortStats,
}

impl Reference {
    pub(crate) fn add_network(&mut self, no: NetworkNo, config: NetworkConfig) {
        let network = Network {
            mtu: usize::from(config.mtu),
            ageing: config.ageing,
            stations: BTreeMap::new(),
        };
        self.networks.insert(no, network);
    }

    /// Returns how many ports are in the way, if any.
    pub(crate) fn remove_network(&mut self, no: NetworkNo) -> Result<(), usize> {
        let in_use = self.ports.values().filter(|port| port.network == no);
        match in_use.count() {
            0 => {
                self.networks.remove(&no);
                Ok(())
            }
            port_count => Err(port_count),
        }
    }

    pub(crate) fn add_port(&mut self, no: PortNo, network: NetworkNo, isolation: Isolation) {
        let port = Port {
            network,
            isolation,
            stats: PortStats::default(),
        };
        self.ports.insert(no, port);
    }

    pub(crate) fn remove_port(&mut self, no: PortNo) -> bool {
        for network in self.networks.values_mut() {
            network.stations.retain(|_, station| station.port != no);
        }
        self.ports.remove(&no).is_some()
    }

    pub(crate) fn set_static(
        &mut self,
        network: NetworkNo,
        mac: MacAddr,
        port: PortNo,
        now: Timestamp,
    ) -> bool {
        let is_member = self
            .ports
            .get(&port)
            .is_some_and(|port| port.network == network);
        let Some(network) = self.networks.get_mut(&network).filter(|_| is_member) else {
            return false;
        };
        let known = network.stations.get(&mac);
        let seen = known
            .filter(|station| !network.is_forgotten(station, now))
            .map_or(now, |station| station.seen);
        let station = Station {
            port,
            origin: FdbOrigin::Static,
            seen,
        };
        network.stations.insert(mac, station);
        true
    }

    pub(crate) fn remove_station(&mut self, network: NetworkNo, mac: MacAddr) {
        if let Some(network) = self.networks.get_mut(&network) {
            network.stations.remove(&mac);
        }
    }

    pub(crate) fn flush(&mut self, network: NetworkNo, port: Option<PortNo>) {
        if let Some(network) = self.networks.get_mut(&network) {
            network.stations.retain(|_, station| {
                station.origin == FdbOrigin::Static || port.is_some_and(|port| port != station.port)
            });
        }
    }

    pub(crate) fn entries(&self, network: NetworkNo, now: Timestamp) -> Vec<FdbEntry> {
        let Some(network) = self.networks.get(&network) else {
            return Vec::new();
        };
        network
            .stations
            .iter()
            .filter(|(_, station)| !network.is_forgotten(station, now))
            .map(|(&mac, station)| FdbEntry {
                mac,
                port: station.port,
                origin: station.origin,
                age: now.since(station.seen),
            })
            .collect()
    }

    pub(crate) fn stats(&self, port: PortNo) -> Option<&PortStats> {
        self.ports.get(&port).map(|port| &port.stats)
    }

    pub(crate) fn flood_set(&self, ingress: PortNo) -> Vec<PortNo> {
        let Some(from) = self.ports.get(&ingress) else {
            return Vec::new();
        };
        let others = self.ports.iter().filter(|(no, port)| {
            let both_isolated =
                from.isolation == Isolation::Isolated && port.isolation == Isolation::Isolated;
            **no != ingress && port.network == from.network && !both_isolated
        });
        others.map(|(&no, _)| no).collect()
    }

    pub(crate) fn count_sent(&mut self, port: PortNo, byte_count: usize) {
        if let Some(port) = self.ports.get_mut(&port) {
            port.stats.tx_frames += 1;
            port.stats.tx_bytes += byte_count as u64;
        }
    }

    pub(crate) fn handle(
        &mut self,
        now: Timestamp,
        ingress: PortNo,
        data: &[u8],
        offload: Offload,
    ) -> Verdict {
        if !self.ports.contains_key(&ingress) {
            return Verdict::Drop(DropReason::PortGone);
        }
        let verdict = self.judge(now, ingress, data, offload);
        if let Some(port) = self.ports.get_mut(&ingress) {
            port.stats.rx_frames += 1;
            port.stats.rx_bytes += data.len() as u64;
            if let Verdict::Drop(reason) = verdict {
                port.stats.drops[reason.index()] += 1;
            }
        }
        verdict
    }

    fn judge(&mut self, now: Timestamp, ingress: PortNo, data: &[u8], offload: Offload) -> Verdict {
        let Some(port) = self.ports.get_mut(&ingress) else {
            return Verdict::Drop(DropReason::PortGone);
        };
        let Some(network) = self.networks.get_mut(&port.network) else {
            return Verdict::Drop(DropReason::PortGone);
        };
        if let Err(reason) = check_size(data, offload, network.mtu) {
            return Verdict::Drop(reason);
        }
        let [to, from] = [&data[..6], &data[6..12]];
        if from == [0; 6] {
            return Verdict::Drop(DropReason::SourceZero);
        }
        if from[0] % 2 == 1 {
            return Verdict::Drop(DropReason::SourceGroup);
        }
        let destination = mac(to);
        let known = network.stations.get(&destination);
        let known = known
            .filter(|station| !network.is_forgotten(station, now))
            .map(|station| station.port);
        network.learn(mac(from), ingress, now, &mut port.stats);

        if to[..5] == [0x01, 0x80, 0xc2, 0, 0] && to[5] < 0x10 {
            return Verdict::Drop(DropReason::ReservedDestination);
        }
        if to == from {
            return Verdict::Drop(DropReason::SamePort);
        }
        match known {
            None => Verdict::Flood,
            Some(egress) if egress == ingress => Verdict::Drop(DropReason::SamePort),
            Some(egress) if self.flood_set(ingress).contains(&egress) => Verdict::Forward(egress),
            Some(_) => Verdict::Drop(DropReason::Isolated),
        }
    }
}

impl Network {
    fn is_forgotten(&self, station: &Station, now: Timestamp) -> bool {
        station.origin == FdbOrigin::Learned && now.since(station.seen) >= self.ageing
    }

    fn learn(&mut self, mac: MacAddr, port: PortNo, now: Timestamp, stats: &mut PortStats) {
        if self.ageing.is_zero() {
            return;
        }
        let new = Station {
            port,
            origin: FdbOrigin::Learned,
            seen: now,
        };
        let refresh_interval = Duration::from_secs(1).min(self.ageing / 2);
        let known = self.stations.get(&mac);
        let forgotten = known.is_none_or(|station| self.is_forgotten(station, now));
        match self.stations.get_mut(&mac) {
            Some(known) if !forgotten => {
                if known.origin == FdbOrigin::Static && known.port != port {
                    return;
                }
                if known.port != port {
                    stats.fdb_moves += 1;
                    *known = new;
                } else if now.since(known.seen) > refresh_interval {
                    known.seen = now;
                }
            }
            Some(_) | None => {
                stats.fdb_learned += 1;
                self.stations.insert(mac, new);
            }
        }
    }
}

fn mac(octets: &[u8]) -> MacAddr {
    let number = octets
        .iter()
        .fold(0, |number, octet| number << 8 | u64::from(*octet));
    MacAddr::from_u64(number)
}

/// Up to two tags, then a packet of at most `mtu` bytes, or segments of that size.
fn check_size(data: &[u8], offload: Offload, mtu: usize) -> Result<(), DropReason> {
    let mut at = 12;
    for _ in 0..2 {
        match data.get(at..at + 2) {
            Some([0x81, 0x00] | [0x88, 0xa8]) => at += 4,
            Some(_) => break,
            None => return Err(DropReason::Runt),
        }
    }
    at += 2;
    if data.len() < at {
        return Err(DropReason::Runt);
    }
    let mut packet_len = data.len() - at;
    if let Some(gso) = offload.gso {
        let ChecksumOffload::Partial { start, .. } = offload.checksum else {
            return Err(DropReason::BadOffload);
        };
        let l4 = usize::from(start);
        let l4_len = if gso.kind == GsoKind::Udp {
            8
        } else {
            let words = data.get(l4 + 12).ok_or(DropReason::BadOffload)? >> 4;
            if words < 5 {
                return Err(DropReason::BadOffload);
            }
            usize::from(words) * 4
        };
        if l4 < at || data.len() < l4 + l4_len {
            return Err(DropReason::BadOffload);
        }
        packet_len = packet_len.min(l4 + l4_len + usize::from(gso.size) - at);
    }
    if packet_len > mtu {
        return Err(DropReason::Oversize);
    }
    Ok(())
}
