//! Who has an address: whom the switch asks, and whose answers count.

use core::net::IpAddr;

use proptest::prelude::*;
use tapweave_net::{ArpOperation, ArpPacket, NeighborQuestion, ParsedFrame, Vid};

use super::*;
use crate::{AddressProbe, Guard, PortAddresses, PortVlans, StaticNeighbor};

const V4: &str = "10.0.0.7";
const V6: &str = "fd00::7";

/// A network with an endpoint behind a guard, a LAN, and a port in VLAN 5.
struct Rig {
    switch: Arc<Switch>,
    pipeline: Pipeline,
    network: NetworkNo,
    guarded: PortNo,
    lan: PortNo,
}

fn guarded() -> PortConfig {
    let address = ip("10.0.0.1");
    PortConfig {
        guard: Some(Arc::new(Guard::new(mac(1), [ipnet::IpNet::from(address)]))),
        addresses: Some(Arc::new(PortAddresses {
            mac: mac(1),
            addresses: vec![address],
        })),
        ..OPEN
    }
}

fn rig() -> Rig {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        suppression: Suppression::On,
        ..NETWORK
    });
    let tagged = PortConfig {
        vlans: PortVlans::Access(Vid::new(5).unwrap()),
        ..OPEN
    };
    let guarded = switch.add_port(network, guarded()).unwrap();
    let lan = switch.add_port(network, OPEN).unwrap();
    switch.add_port(network, tagged).unwrap();
    Rig {
        pipeline: switch.pipeline(0),
        switch,
        network,
        guarded,
        lan,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Rig {
    fn probe(&self) -> AddressProbe {
        self.switch
            .probe_addresses(self.network, None, &[ip(V4), ip(V6)])
            .unwrap()
    }

    fn hear(&mut self, ingress: PortNo, data: &[u8]) {
        let mut buffer = data.to_vec();
        let frames = [Frame::new(&mut buffer, 0, Offload::NONE)];
        let mut verdicts = Vec::new();
        self.pipeline
            .handle_batch(NOW, ingress, &frames, &mut verdicts);
    }

    fn conflicts(&self, port: PortNo) -> u64 {
        self.switch.port_stats(port).unwrap().address_conflicts
    }
}

fn arp(from: MacAddr, operation: ArpOperation, sender: &str, target: &str) -> Vec<u8> {
    let packet = ArpPacket {
        operation,
        sender_mac: from,
        sender_ip: sender.parse().unwrap(),
        target_mac: MacAddr::ZERO,
        target_ip: target.parse().unwrap(),
    };
    let mut frame = MacAddr::BROADCAST.octets().to_vec();
    frame.extend(from.octets());
    frame.extend([0x08, 0x06]);
    frame.extend(packet.encode());
    frame
}

/// Returns the probe for `address` that a switch sent, as if another station had sent it.
fn rival(rig: &Rig, probe: &AddressProbe, from: MacAddr) -> Vec<Vec<u8>> {
    let frames = rig.switch.poll_probe(probe).into_iter();
    let frames = frames.map(|sent| {
        let mut frame = sent.frame;
        let is_arp = frame[12..14] == [0x08, 0x06];
        frame[6..12].copy_from_slice(&from.octets());
        if is_arp {
            frame[22..28].copy_from_slice(&from.octets());
        }
        frame
    });
    frames.collect()
}

#[test]
fn everybody_behind_a_port_without_a_guard_is_asked_in_nobodys_name() {
    let rig = rig();
    let probe = rig.probe();
    let sent = rig.switch.poll_probe(&probe);
    assert!(sent.iter().all(|sent| sent.port == rig.lan));
    let mut targets = Vec::new();
    for sent in &sent {
        let parsed = ParsedFrame::parse(&sent.frame).unwrap();
        let complete = tapweave_net::ChecksumOffload::Complete;
        let question = NeighborQuestion::read_or_probe(&sent.frame, &parsed, complete).unwrap();
        assert!(question.asker.is_unspecified());
        assert!(question.asker_mac.is_locally_administered());
        targets.push(question.target);
    }
    assert_eq!(targets, [ip(V4), ip(V6)]);
    // In a VLAN, those in it.
    let vid = Vid::new(5);
    let probe = rig
        .switch
        .probe_addresses(rig.network, vid.ok(), &[ip(V4)])
        .unwrap();
    let ports: Vec<_> = rig
        .switch
        .poll_probe(&probe)
        .iter()
        .map(|sent| sent.port)
        .collect();
    assert!(!ports.contains(&rig.guarded) && ports.len() == 2);
}

#[test]
fn where_all_are_behind_guards_nobody_is_asked() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let probe = || switch.probe_addresses(network, None, &[ip(V4)]);
    assert!(probe().is_none());
    switch.add_port(network, guarded()).unwrap();
    assert!(probe().is_none());
    let endpoint = PortConfig {
        guard: None,
        ..guarded()
    };
    switch.add_port(network, endpoint).unwrap();
    assert!(!probe().unwrap().is_far());
    switch.add_port(network, OPEN).unwrap();
    assert!(probe().unwrap().is_far());
    assert!(switch.probe_addresses(network, None, &[]).is_none());
}

#[test]
fn who_answers_announces_or_uses_the_address_has_it() {
    let reply = arp(mac(9), ArpOperation::Reply, V4, "0.0.0.0");
    let announcement = arp(mac(9), ArpOperation::Request, V4, V4);
    let question = arp(mac(9), ArpOperation::Request, V4, "10.0.0.200");
    for frame in [reply, announcement, question] {
        let mut rig = rig();
        let probe = rig.probe();
        rig.hear(rig.lan, &arp(mac(9), ArpOperation::Reply, "10.0.0.8", V4));
        assert_eq!(probe.holder(), None);
        rig.hear(rig.lan, &frame);
        let holder = probe.holder().unwrap();
        assert_eq!((holder.address, holder.mac), (ip(V4), mac(9)));
        assert_eq!(rig.conflicts(rig.lan), 1);
        drop(probe);
        rig.hear(rig.lan, &frame);
        assert_eq!(rig.conflicts(rig.lan), 1, "nothing is probed for any more");
        assert_eq!(rig.probe().holder(), None, "a new probe knows nothing yet");
    }
}

#[test]
fn what_a_guard_refuses_is_no_answer() {
    let mut rig = rig();
    let probe = rig.probe();
    rig.hear(
        rig.guarded,
        &arp(mac(1), ArpOperation::Reply, V4, "0.0.0.0"),
    );
    assert_eq!((probe.holder(), rig.conflicts(rig.guarded)), (None, 0));
}

#[test]
fn who_probes_for_the_same_address_wants_it_too_but_an_own_frame_that_comes_back_is_nobody() {
    for place in 0..2 {
        let mut rig = rig();
        let probe = rig.probe();
        let own = rig.switch.poll_probe(&probe)[place].frame.clone();
        rig.hear(rig.lan, &own);
        assert_eq!(probe.holder(), None);
        let frame = rival(&rig, &probe, mac(9))[place].clone();
        rig.hear(rig.lan, &frame);
        assert_eq!(probe.holder().unwrap().mac, mac(9));
    }
}

#[test]
fn of_two_switches_that_probe_at_once_exactly_one_gives_way() {
    for other in [[0x16, 0, 0, 0, 0, 0], [0x16, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        let other = MacAddr::new(other);
        let mut rig = rig();
        let probe = rig.probe();
        let own = ParsedFrame::parse(&rig.switch.poll_probe(&probe)[0].frame)
            .unwrap()
            .src();
        let frame = rival(&rig, &probe, other)[0].clone();
        rig.hear(rig.lan, &frame);
        assert_eq!(probe.holder().is_some(), own < other);
    }
}

#[test]
fn what_was_stated_of_a_neighbour_is_known_without_asking() {
    let rig = rig();
    let station = StaticNeighbor {
        mac: mac(7),
        is_router: false,
    };
    rig.switch
        .neighbor_add(rig.network, ip(V6), station)
        .unwrap();
    let holder = rig.probe().holder().unwrap();
    assert_eq!((holder.address, holder.mac), (ip(V6), mac(7)));
}

proptest! {
    #[test]
    fn noise_is_no_answer(data in prop::collection::vec(any::<u8>(), 0..120), ethertype in 0..3_usize) {
        let mut rig = rig();
        let probe = rig.probe();
        let mut frame = [MacAddr::BROADCAST.octets(), mac(9).octets()].concat();
        frame.extend([[0x08, 0x06], [0x86, 0xdd], [0x08, 0x00]][ethertype]);
        frame.extend(data);
        rig.hear(rig.lan, &frame);
        prop_assert_eq!(probe.holder(), None);
    }
}
