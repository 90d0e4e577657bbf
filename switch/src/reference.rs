//! A switch as plain as it can be written, to compare the engine with.
//!
//! It has one thread, ordered maps, and the rules of a learning bridge one after the other. It shares
//! no code with the engine but the vocabulary. Its tables have no limit: it is a model of what the
//! engine does while there is room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapweave_net::{
    ChecksumOffload, Frame, GsoKind, MacAddr, NetworkNo, Offload, PortNo, Timestamp, Vid,
};

use crate::{
    DropReason, FdbEntry, FdbOrigin, Flooding, Guard, Isolation, NetworkConfig, PortConfig,
    PortStats, PortVlans, Stations,
};

/// The plain switch.
#[derive(Default)]
pub(crate) struct Reference {
    networks: BTreeMap<NetworkNo, Network>,
    ports: BTreeMap<PortNo, Port>,
}

struct Network {
    mtu: usize,
    ageing: Duration,
    /// By address and VLAN.
    stations: BTreeMap<(MacAddr, Option<Vid>), Station>,
}

struct Station {
    port: PortNo,
    origin: FdbOrigin,
    seen: Timestamp,
}

struct Port {
    network: NetworkNo,
    isolation: Isolation,
    flooding: Flooding,
    vlans: PortVlans,
    guard: Option<Arc<Guard>>,
    stations: Stations,
    stats: PortStats,
}

/// What becomes of a frame: the bytes that each port gets.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Forward(PortNo, Vec<u8>),
    Flood(Vec<(PortNo, Vec<u8>)>),
    Drop(DropReason),
}

impl Reference {
    pub(crate) fn add_network(&mut self, no: NetworkNo, config: &NetworkConfig) {
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

    pub(crate) fn add_port(&mut self, no: PortNo, network: NetworkNo, config: PortConfig) {
        let port = Port {
            network,
            isolation: config.isolation,
            flooding: config.flooding,
            vlans: config.vlans,
            guard: config.guard,
            stations: config.stations,
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

    pub(crate) fn is_member(&self, network: NetworkNo, port: PortNo) -> bool {
        let port = self.ports.get(&port);
        port.is_some_and(|port| port.network == network)
    }

    /// Tells whether a port has a part in a VLAN.
    pub(crate) fn carries(&self, port: PortNo, vid: Option<Vid>) -> bool {
        let port = self.ports.get(&port);
        port.is_some_and(|port| port.form_of(vid).is_some())
    }

    pub(crate) fn set_static(
        &mut self,
        network: NetworkNo,
        mac: MacAddr,
        vid: Option<Vid>,
        port: PortNo,
        now: Timestamp,
    ) {
        let Some(network) = self.networks.get_mut(&network) else {
            return;
        };
        let known = network.stations.get(&(mac, vid));
        let seen = known
            .filter(|station| !network.is_forgotten(station, now))
            .map_or(now, |station| station.seen);
        let station = Station {
            port,
            origin: FdbOrigin::Static,
            seen,
        };
        network.stations.insert((mac, vid), station);
    }

    pub(crate) fn remove_station(&mut self, network: NetworkNo, mac: MacAddr, vid: Option<Vid>) {
        if let Some(network) = self.networks.get_mut(&network) {
            network.stations.remove(&(mac, vid));
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
            .map(|(&(mac, vid), station)| FdbEntry {
                mac,
                vid,
                port: station.port,
                origin: station.origin,
                age: now.since(station.seen),
            })
            .collect()
    }

    pub(crate) fn stats(&self, port: PortNo) -> Option<&PortStats> {
        self.ports.get(&port).map(|port| &port.stats)
    }

    /// The ports that a frame of a VLAN may go to, with what each would get.
    fn reachable(&self, ingress: PortNo, vid: Option<Vid>, data: &[u8]) -> Vec<(PortNo, Vec<u8>)> {
        let Some(from) = self.ports.get(&ingress) else {
            return Vec::new();
        };
        let others = self.ports.iter().filter(|(no, port)| {
            let neither_open =
                from.isolation != Isolation::Open && port.isolation != Isolation::Open;
            **no != ingress && port.network == from.network && !neither_open
        });
        others
            .filter_map(|(no, port)| Some((*no, port.form_of(vid)?.shape(data))))
            .collect()
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
    ) -> Outcome {
        if !self.ports.contains_key(&ingress) {
            return Outcome::Drop(DropReason::PortGone);
        }
        let outcome = self
            .judge(now, ingress, data, offload)
            .unwrap_or_else(Outcome::Drop);
        if let Some(port) = self.ports.get_mut(&ingress) {
            port.stats.rx_frames += 1;
            port.stats.rx_bytes += data.len() as u64;
            if let Outcome::Drop(reason) = outcome {
                port.stats.drops[reason.index()] += 1;
            }
        }
        outcome
    }

    fn judge(
        &mut self,
        now: Timestamp,
        ingress: PortNo,
        data: &[u8],
        offload: Offload,
    ) -> Result<Outcome, DropReason> {
        let port = self.ports.get_mut(&ingress).ok_or(DropReason::PortGone)?;
        let network = self.networks.get_mut(&port.network);
        let network = network.ok_or(DropReason::PortGone)?;
        check_size(data, offload, network.mtu)?;
        let vid = port.vlan_of(data)?;
        if let Some(guard) = &port.guard {
            guard.check(&Frame::new(&mut data.to_vec(), 0, offload))?;
        }
        let [to, from] = [&data[..6], &data[6..12]];
        if from == [0; 6] {
            return Err(DropReason::SourceZero);
        }
        if from[0] % 2 == 1 {
            return Err(DropReason::SourceGroup);
        }
        let known = network.stations.get(&(mac(to), vid));
        let known = known
            .filter(|station| !network.is_forgotten(station, now))
            .map(|station| station.port);
        let source = network.stations.get(&(mac(from), vid));
        let is_here = source.is_some_and(|station| station.port == ingress);
        match (port.stations, source.map(|station| station.origin)) {
            (Stations::Locked, origin) if !is_here || origin != Some(FdbOrigin::Static) => {
                return Err(DropReason::Locked);
            }
            (_, Some(FdbOrigin::Sticky)) if !is_here => return Err(DropReason::StickyElsewhere),
            _ => {}
        }
        let origin = match port.stations {
            Stations::Sticky => FdbOrigin::Sticky,
            Stations::Free | Stations::Locked => FdbOrigin::Learned,
        };
        network.learn((mac(from), vid), origin, ingress, now, &mut port.stats);

        if to[..5] == [0x01, 0x80, 0xc2, 0, 0] && to[5] < 0x10 {
            return Err(DropReason::ReservedDestination);
        }
        if to == from || known == Some(ingress) {
            return Err(DropReason::SamePort);
        }
        let reachable = self.reachable(ingress, vid, data);
        let Some(egress) = known else {
            let mut flooded = reachable;
            flooded.retain(|(no, _)| {
                self.ports
                    .get(no)
                    .is_some_and(|to| to.flooding == Flooding::On)
            });
            return Ok(Outcome::Flood(flooded));
        };
        let found = reachable.into_iter().find(|(no, _)| *no == egress);
        let (_, bytes) = found.ok_or_else(|| {
            let isolation = |no| self.ports.get(&no).map(|port| port.isolation);
            let ends = [ingress, egress].map(isolation);
            if ends == [Some(Isolation::Tunnel); 2] {
                DropReason::SplitHorizon
            } else {
                DropReason::Isolated
            }
        })?;
        Ok(Outcome::Forward(egress, bytes))
    }
}

/// How a port sends the frames of a VLAN.
#[derive(Clone, Copy)]
enum Form {
    AsItCame,
    Untagged,
    Tagged(Vid),
}

impl Form {
    /// Returns the frame in this form.
    fn shape(self, data: &[u8]) -> Vec<u8> {
        let (addresses, rest) = data.split_at(12);
        let (tci, rest) = match rest {
            [0x81, 0x00, high, low, rest @ ..] => (Some([*high, *low]), rest),
            rest => (None, rest),
        };
        let tag = match (self, tci) {
            (Self::AsItCame, _) => return data.to_vec(),
            (Self::Untagged, _) => Vec::new(),
            (Self::Tagged(vid), tci) => {
                let [high, low] = vid.to_u16().to_be_bytes();
                let priority = tci.map_or(0, |tci| tci[0] & 0xf0);
                vec![0x81, 0x00, priority | high, low]
            }
        };
        [addresses, &tag, rest].concat()
    }
}

impl Port {
    fn vlan_of(&self, data: &[u8]) -> Result<Option<Vid>, DropReason> {
        let number = match data[12..] {
            [0x81, 0x00, high, low, ..] => u16::from(high % 16) * 256 + u16::from(low),
            _ => 0,
        };
        if number == 4095 {
            return Err(DropReason::VlanReserved);
        }
        let tagged = Vid::new(number).ok();
        match (&self.vlans, tagged) {
            (PortVlans::Transparent, _) => Ok(tagged),
            (PortVlans::Access(vid), None) => Ok(Some(*vid)),
            (PortVlans::Access(_), Some(_)) => Err(DropReason::VlanTagged),
            (PortVlans::Trunk { native, .. }, None) => match native {
                Some(_) => Ok(*native),
                None => Err(DropReason::VlanUntagged),
            },
            (PortVlans::Trunk { .. }, Some(_)) => match self.form_of(tagged) {
                Some(_) => Ok(tagged),
                None => Err(DropReason::VlanNotCarried),
            },
        }
    }

    /// Returns how the port sends frames of a VLAN; none when it does not.
    fn form_of(&self, vid: Option<Vid>) -> Option<Form> {
        let Some(vid) = vid else {
            return (self.vlans == PortVlans::Transparent).then_some(Form::AsItCame);
        };
        match &self.vlans {
            PortVlans::Transparent => Some(Form::Tagged(vid)),
            PortVlans::Access(own) => (*own == vid).then_some(Form::Untagged),
            PortVlans::Trunk { native, .. } if *native == Some(vid) => Some(Form::Untagged),
            PortVlans::Trunk { tagged, .. } => {
                let listed = tagged.iter().any(|listed| listed == vid);
                listed.then_some(Form::Tagged(vid))
            }
        }
    }
}

impl Network {
    fn is_forgotten(&self, station: &Station, now: Timestamp) -> bool {
        station.origin == FdbOrigin::Learned && now.since(station.seen) >= self.ageing
    }

    fn learn(
        &mut self,
        source: (MacAddr, Option<Vid>),
        origin: FdbOrigin,
        port: PortNo,
        now: Timestamp,
        stats: &mut PortStats,
    ) {
        if self.ageing.is_zero() {
            return;
        }
        let new = Station {
            port,
            origin,
            seen: now,
        };
        let refresh_interval = Duration::from_secs(1).min(self.ageing / 2);
        let known = self.stations.get(&source);
        let forgotten = known.is_none_or(|station| self.is_forgotten(station, now));
        match self.stations.get_mut(&source) {
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
                self.stations.insert(source, new);
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
    if let ChecksumOffload::Partial { start, .. } = offload.checksum
        && usize::from(start) < at
    {
        return Err(DropReason::BadOffload);
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
        if data.len() < l4 + l4_len {
            return Err(DropReason::BadOffload);
        }
        packet_len = packet_len.min(l4 + l4_len + usize::from(gso.size) - at);
    }
    if packet_len > mtu {
        return Err(DropReason::Oversize);
    }
    Ok(())
}
