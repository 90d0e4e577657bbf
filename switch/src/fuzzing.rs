//! Runs the engine beside the plain switch of `reference.rs` and compares all that can be seen.
//!
//! A byte string is a program: each command takes a few bytes, and a string that ends in the middle
//! of one is padded with zeroes. So a fuzzer and a property test drive the same code, and what one
//! finds is a regression test of the other.

mod gateway;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tapweave_net::{
    ArpOperation, ArpPacket, ChecksumOffload, Frame, Gso, GsoKind, MacAddr, NetworkNo, Offload,
    PortNo, TagAction, Timestamp, Vid,
};

pub use self::gateway::gateway;
use crate::reference::{Outcome, Reference};
use crate::{
    DropReason, EgressPort, FdbAddError, Flooding, Guard, Isolation, NetworkConfig, Pipeline,
    PortConfig, PortVlans, RemoveNetworkError, SnoopingConfig, Stations, StormLimits, Suppression,
    Switch, SwitchConfig, UnknownPort, Verdict,
};

const WORKERS: usize = 2;
const NETWORKS_MAX: usize = 3;
const PORTS_MAX: usize = 8;
const COMMANDS_MAX: usize = 400;
/// Far more than the stations of [`Program::mac`], so that a table is never full.
const FDB_LIMIT: u32 = 256;
/// Room for a tag.
const HEADROOM: usize = 4;

/// Runs the program in `bytes`.
///
/// # Panics
///
/// When the engine and the plain switch disagree.
pub fn engine(bytes: &[u8]) {
    let mut harness = Harness::new();
    let mut program = Program { bytes };
    for _ in 0..COMMANDS_MAX {
        if program.bytes.is_empty() {
            break;
        }
        harness.step(&mut program);
    }
    harness.compare_all();
}

/// Asks the guard of an endpoint about `input`, six bytes of offload and a frame.
///
/// # Panics
///
/// When a frame passes that is not from the endpoint's MAC, or the answer changes when it is asked again.
pub fn guard(input: &[u8]) {
    let Some((&[start, offset, kind, own @ ..], frame)) = input.split_first_chunk::<6>() else {
        return;
    };
    let mac = MacAddr::new([0x02, 0, 0, 0, 0, 0x0a]);
    let mut frame = frame.to_vec();
    // Mostly the endpoint's own MAC and one of its addresses, or little would get past them.
    if kind % 4 > 0
        && let Some(source) = frame.get_mut(6..12)
    {
        source.copy_from_slice(&mac.octets());
    }
    let guard = Guard::new(
        mac,
        [IpNet::from(core::net::IpAddr::from([10, 0, 0, own[0]]))],
    );
    let checksum = match kind / 64 {
        0 => ChecksumOffload::Complete,
        _ => ChecksumOffload::Partial {
            start: start.into(),
            offset: offset.into(),
        },
    };
    let offload = Offload {
        checksum,
        gso: None,
    };
    let first = guard.check(&Frame::new(&mut frame.clone(), 0, offload));
    let again = guard.check(&Frame::new(&mut frame, 0, offload));
    assert_eq!(first, again);
    assert!(first.is_err() || frame[6..12] == mac.octets());
}

/// What is left of the byte string.
struct Program<'a> {
    bytes: &'a [u8],
}

impl Program<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let choice = usize::from(self.byte());
        items.get(choice % items.len().max(1)).copied()
    }

    /// One of a dozen stations, or one of the addresses that are treated in a special way.
    fn mac(&mut self) -> MacAddr {
        match self.byte() % 20 {
            0 => MacAddr::BROADCAST,
            1 => MacAddr::ZERO,
            2 => MacAddr::new([0x33, 0x33, 0, 0, 0, 1]),
            3 => MacAddr::new([0x01, 0x80, 0xc2, 0, 0, self.byte() % 20]),
            station => MacAddr::new([0x02, 0, 0, 0, 0, station]),
        }
    }

    fn frame(&mut self) -> (Vec<u8>, Offload) {
        let [to, from] = [self.mac(), self.mac()];
        let mut data = [to.octets(), from.octets()].concat();
        let shape = self.byte();
        for tag in [0x8100_u16, 0x88a8]
            .iter()
            .take(usize::from(shape & 3).saturating_sub(1))
        {
            data.extend(tag.to_be_bytes());
            data.extend(self.tci());
        }
        if shape & 0x20 == 0 {
            data.extend([0x08, 0x00]);
        } else {
            // A probe, which a guard of its source lets pass.
            let probe = ArpPacket {
                operation: ArpOperation::Request,
                sender_mac: from,
                sender_ip: Ipv4Addr::UNSPECIFIED,
                target_mac: MacAddr::ZERO,
                target_ip: Ipv4Addr::LOCALHOST,
            };
            data.extend([0x08, 0x06]);
            data.extend(probe.encode());
        }
        let offload = match shape >> 2 & 7 {
            0 => self.offload(),
            1 => {
                data.truncate(usize::from(self.byte() % 24));
                return (data, Offload::NONE);
            }
            2 => {
                // Around the MTU.
                data.resize(data.len() + 190 + usize::from(self.byte() % 20), 0x60);
                return (data, Offload::NONE);
            }
            _ => Offload::NONE,
        };
        data.resize(data.len() + usize::from(self.byte()) * 2, 0x60);
        (data, offload)
    }

    /// A priority and a VLAN that some port may know, or none, or one that does not exist.
    fn tci(&mut self) -> [u8; 2] {
        let priority = self.byte() & 0xf0;
        let vid = self.pick(&[0, 10, 20, 30, 4095]).unwrap_or(0_u16);
        let [high, low] = vid.to_be_bytes();
        [priority | high, low]
    }

    fn vid(&mut self) -> Option<Vid> {
        let value = self.pick(&[0, 10, 20, 30]).unwrap_or(0);
        Vid::new(value).ok()
    }

    fn vlans(&mut self) -> PortVlans {
        let list = |values: &[u16]| values.iter().filter_map(|v| Vid::new(*v).ok()).collect();
        match self.byte() % 8 {
            0 => self.vid().map_or(PortVlans::Transparent, PortVlans::Access),
            1 => PortVlans::Trunk {
                tagged: list(&[10, 20]),
                native: None,
            },
            2 => PortVlans::Trunk {
                tagged: list(&[20, 30]),
                native: self.vid(),
            },
            _ => PortVlans::Transparent,
        }
    }

    /// Seldom a guard: most frames are refused by one.
    fn guard(&mut self) -> Option<Arc<Guard>> {
        let is_guarded = self.byte().is_multiple_of(4);
        is_guarded.then(|| Arc::new(Guard::new(self.mac(), [])))
    }

    fn stations(&mut self) -> Stations {
        match self.byte() % 6 {
            0 => Stations::Locked,
            1 => Stations::Sticky,
            _ => Stations::Free,
        }
    }

    fn offload(&mut self) -> Offload {
        let kinds = [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::Udp];
        let kind = self.pick(&kinds).unwrap_or(GsoKind::Udp);
        let checksum = match self.byte() {
            0 => ChecksumOffload::Complete,
            start => ChecksumOffload::Partial {
                start: u16::from(start % 80),
                offset: 6,
            },
        };
        let gso = Gso {
            kind,
            ecn: false,
            size: u16::from(self.byte()) + 1,
            header_len_hint: 0,
        };
        let gso = (!self.byte().is_multiple_of(4)).then_some(gso);
        Offload { checksum, gso }
    }
}

struct Harness {
    switch: Arc<Switch>,
    pipelines: Vec<Pipeline>,
    reference: Reference,
    now: Timestamp,
    networks: Vec<NetworkNo>,
    ports: Vec<PortNo>,
    /// Removed ports, some of which are still to be purged.
    gone: Vec<PortNo>,
}

impl Harness {
    fn new() -> Self {
        let switch = Arc::new(Switch::new(SwitchConfig {
            worker_count: WORKERS,
            seed: 1,
        }));
        Self {
            pipelines: (0..WORKERS).map(|worker| switch.pipeline(worker)).collect(),
            switch,
            reference: Reference::default(),
            now: Timestamp::from_secs(1000),
            networks: Vec::new(),
            ports: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn step(&mut self, program: &mut Program<'_>) {
        match program.byte() % 32 {
            0 => self.add_network(program),
            1 => self.remove_network(program),
            2..=5 => self.add_port(program),
            6 => self.remove_port(program),
            7 => self.purge(program),
            8 | 9 => self.set_static(program),
            10 => self.remove_station(program),
            11 => self.flush(program),
            12..=14 => self.pass_time(program),
            15 => {
                let budget = usize::from(program.byte()) * 8;
                self.switch.poll_ageing(self.now, budget);
            }
            16 => self.compare_all(),
            17..=19 => self.explain_and_handle(program),
            _ => self.handle_batch(program),
        }
    }

    fn add_network(&mut self, program: &mut Program<'_>) {
        if self.networks.len() == NETWORKS_MAX {
            return;
        }
        let config = NetworkConfig {
            mtu: 200,
            ageing: Duration::from_millis(u64::from(program.byte() % 4) * 1_500),
            fdb_limit: FDB_LIMIT,
            // Nobody asks, so nothing is limited.
            snooping: Some(SnoopingConfig::default()),
            storm: StormLimits::NONE,
            gateway: None,
            suppression: Suppression::Off,
        };
        let no = self.switch.add_network(config.clone());
        self.reference.add_network(no, &config);
        self.networks.push(no);
    }

    fn remove_network(&mut self, program: &mut Program<'_>) {
        let Some(no) = program.pick(&self.networks) else {
            return;
        };
        let expected = self.reference.remove_network(no);
        let expected = expected.map_err(|port_count| RemoveNetworkError::InUse { port_count });
        assert_eq!(self.switch.remove_network(no), expected);
        if expected.is_ok() {
            self.networks.retain(|network| *network != no);
            let again = self.switch.remove_network(no);
            assert_eq!(again, Err(RemoveNetworkError::Unknown(no)));
        }
    }

    fn add_port(&mut self, program: &mut Program<'_>) {
        if self.ports.len() == PORTS_MAX {
            return;
        }
        let Some(network) = program.pick(&self.networks) else {
            return;
        };
        let kind = program.byte();
        let isolation = match kind % 4 {
            0 => Isolation::Isolated,
            1 => Isolation::Tunnel,
            _ => Isolation::Open,
        };
        let config = PortConfig {
            isolation,
            flooding: if kind & 0x80 == 0 {
                Flooding::On
            } else {
                Flooding::Off
            },
            vlans: program.vlans(),
            guard: program.guard(),
            stations: program.stations(),
            ..PortConfig::OPEN
        };
        if let Ok(port) = self.switch.add_port(network, config.clone()) {
            self.reference.add_port(port, network, config);
            self.ports.push(port);
        }
    }

    fn remove_port(&mut self, program: &mut Program<'_>) {
        let Some(port) = program.pick(&self.ports) else {
            return;
        };
        self.ports.retain(|other| *other != port);
        assert!(self.reference.remove_port(port));
        assert_eq!(self.switch.remove_port(port), Ok(()));
        assert_eq!(self.switch.remove_port(port), Err(UnknownPort(port)));
        assert_eq!(self.switch.port_stats(port), None);
        self.gone.push(port);
    }

    fn purge(&mut self, program: &mut Program<'_>) {
        let newest = self.switch.generation();
        for pipeline in &mut self.pipelines {
            assert_eq!(pipeline.refresh(), newest);
        }
        if let Some(port) = program.pick(&self.gone) {
            self.switch.purge_port(port);
        }
    }

    fn set_static(&mut self, program: &mut Program<'_>) {
        let (Some(network), Some(port)) = (program.pick(&self.networks), program.pick(&self.ports))
        else {
            return;
        };
        let (mac, vid) = (program.mac(), program.vid());
        let done = self.switch.fdb_add(network, mac, vid, port, self.now);
        if !mac.is_station() {
            assert_eq!(done, Err(FdbAddError::NotAStation(mac)));
        } else if !self.reference.is_member(network, port) {
            assert_eq!(done, Err(FdbAddError::UnknownPort(port)));
        } else if !self.reference.carries(port, vid) {
            assert_eq!(done, Err(FdbAddError::NotInVlan { port, vid }));
        } else {
            assert_eq!(done, Ok(()));
            self.reference.set_static(network, mac, vid, port, self.now);
        }
    }

    fn remove_station(&mut self, program: &mut Program<'_>) {
        if let Some(network) = program.pick(&self.networks) {
            let (mac, vid) = (program.mac(), program.vid());
            self.switch.fdb_del(network, mac, vid);
            self.reference.remove_station(network, mac, vid);
            assert!(!self.switch.fdb_del(network, mac, vid));
        }
    }

    fn flush(&mut self, program: &mut Program<'_>) {
        if let Some(network) = program.pick(&self.networks) {
            let of = program
                .pick(&self.ports)
                .filter(|_| program.byte().is_multiple_of(2));
            self.switch.fdb_flush(network, of);
            self.reference.flush(network, of);
        }
    }

    fn pass_time(&mut self, program: &mut Program<'_>) {
        let step = match program.byte() % 4 {
            0 => Duration::from_nanos(1),
            1 => Duration::from_millis(u64::from(program.byte())),
            2 => Duration::from_millis(750),
            _ => Duration::from_secs(u64::from(program.byte() % 8)),
        };
        self.now = self.now + step;
    }

    fn handle_batch(&mut self, program: &mut Program<'_>) {
        let Some(ingress) = self.ingress(program) else {
            return;
        };
        let count = 1 + usize::from(program.byte() % 6);
        let frames = (0..count).map(|_| program.frame()).collect();
        let worker = usize::from(program.byte()) % WORKERS;
        self.handle(worker, ingress, frames);
    }

    /// Lets `explain` foretell what a frame does, and checks that asking changed nothing.
    fn explain_and_handle(&mut self, program: &mut Program<'_>) {
        let Some(ingress) = self.ingress(program) else {
            return;
        };
        let (mut data, offload) = program.frame();
        let frame = Frame::new(&mut data, 0, offload);
        let explanation = self.switch.explain(self.now, ingress, &frame);
        assert_eq!(explanation, self.switch.explain(self.now, ingress, &frame));
        let text = explanation.to_string();
        assert!(text.contains(&explanation.verdict.to_string()));
        let (verdict, egress) = self.handle(0, ingress, vec![(data, offload)]).remove(0);
        assert_eq!(explanation.verdict, verdict);
        assert_eq!(explanation.egress, egress);
    }

    /// A port, seldom one that has been removed.
    fn ingress(&self, program: &mut Program<'_>) -> Option<PortNo> {
        if program.byte().is_multiple_of(16) {
            program.pick(&self.gone)
        } else {
            program.pick(&self.ports)
        }
    }

    /// Gives a batch to both switches, and returns what became of each frame.
    fn handle(
        &mut self,
        worker: usize,
        ingress: PortNo,
        mut batch: Vec<(Vec<u8>, Offload)>,
    ) -> Vec<(Verdict, Vec<EgressPort>)> {
        let expected: Vec<_> = batch
            .iter()
            .map(|(data, offload)| self.reference.handle(self.now, ingress, data, *offload))
            .collect();
        let frames: Vec<_> = batch
            .iter_mut()
            .map(|(data, offload)| Frame::new(data, 0, *offload))
            .collect();
        let pipeline = &mut self.pipelines[worker];
        let mut verdicts = vec![Verdict::Drop(DropReason::DeviceError)];
        pipeline.handle_batch(self.now, ingress, &frames, &mut verdicts);
        assert_eq!(verdicts.len(), expected.len());

        let decided = verdicts.into_iter().zip(expected).zip(&batch);
        let sent = decided.map(|((verdict, expected), (data, offload))| {
            let egress: Vec<_> = match verdict {
                Verdict::Forward(egress) => vec![egress],
                Verdict::Flood(vlan) => pipeline.flood_set(ingress, vlan).collect(),
                Verdict::Multicast(vlan, group) => {
                    pipeline.group_set(ingress, vlan, group).collect()
                }
                Verdict::Gateway | Verdict::Answer(_) | Verdict::Drop(_) => Vec::new(),
            };
            let mut outputs: Vec<_> = egress
                .iter()
                .map(|egress| (egress.port, output(data, *offload, egress.tag)))
                .collect();
            for (port, data) in &outputs {
                pipeline.count_sent(*port, 1, data.len());
                self.reference.count_sent(*port, data.len());
            }
            let outcome = match verdict {
                Verdict::Forward(_) => {
                    let (port, data) = outputs.remove(0);
                    Outcome::Forward(port, data)
                }
                Verdict::Flood(_) | Verdict::Multicast(..) => Outcome::Flood(outputs),
                Verdict::Gateway | Verdict::Answer(_) => {
                    unreachable!("no network here has a gateway or suppression")
                }
                Verdict::Drop(reason) => Outcome::Drop(reason),
            };
            assert_eq!(outcome, expected);
            (verdict, egress)
        });
        sent.collect()
    }

    fn compare_all(&self) {
        for network in &self.networks {
            let entries = self.switch.fdb_entries(*network, self.now);
            assert_eq!(entries, self.reference.entries(*network, self.now));
            let used = self.switch.fdb_usage(*network).map(|usage| usage.used);
            assert!(used.is_some_and(|used| used as usize >= entries.len()));
        }
        for port in &self.ports {
            let stats = self.switch.port_stats(*port);
            assert_eq!(stats.as_ref(), self.reference.stats(*port));
        }
    }
}

/// Returns what a port gets of a frame.
fn output(data: &[u8], offload: Offload, tag: TagAction) -> Vec<u8> {
    let mut buf = [&[0xa5; HEADROOM], data].concat();
    let mut frame = Frame::new(&mut buf, HEADROOM, offload);
    assert_eq!(frame.apply_tag(tag), Ok(()));
    frame.data().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Two networks, then ports: what a random string seldom begins with.
    #[rustfmt::skip]
    const PREAMBLE: [u8; 48] = [
        0, 3, 0, 2,
        2, 0, 1, 3, 1, 2, 2, 0, 1, 3, 1, 2, 2, 0, 0, 3, 1, 2, 2, 0, 0, 1, 1, 2,
        2, 0, 1, 0, 1, 1, 2, 2, 0, 1, 2, 1, 1, 2,
        2, 1, 1, 3, 1, 1,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_engine_does_what_a_plain_switch_does(program in vec(any::<u8>(), 0..2_500)) {
            engine(&[&PREAMBLE, &program[..]].concat());
        }

        #[test]
        fn the_guard_says_the_same_twice(input in vec(any::<u8>(), 0..120)) {
            guard(&input);
        }
    }
}
