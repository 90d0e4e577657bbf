//! Questions for neighbours: which are answered, with what, and which travel.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tapweave_net::checksum::Sum;
use tapweave_net::{
    ArpOperation, ArpPacket, ChecksumOffload, IpProtocol, NeighborQuestion, ParsedFrame, Vid,
};

use super::*;
use crate::{
    Destination, GatewayConfig, Guard, Information, Neighbor, NeighborAddError, NeighborAt,
    Outside, PortAddresses, PortVlans, StaticNeighbor,
};

const HEADROOM: usize = 64;
/// The first octet behind an Ethernet header, an IPv6 header and the head of a solicitation.
const NS_OPTIONS: usize = 14 + 40 + 24;

/// A network with four ports: the endpoints 1 and 2, which are guarded; 3, which is not; and a tunnel. What is
/// stated: the stations 9 at .9 and `fd00::9`, a router.
struct Rig {
    switch: Arc<Switch>,
    pipeline: Pipeline,
    network: NetworkNo,
    ports: [PortNo; 4],
}

fn endpoint(number: u8, isolation: Isolation) -> PortConfig {
    let addresses = [format!("10.0.0.{number}"), format!("fd00::{number}")];
    let addresses = addresses.map(|text| text.parse::<IpAddr>().unwrap());
    let guard = Guard::new(mac(number), addresses.map(ipnet::IpNet::from));
    PortConfig {
        isolation,
        guard: (number < 3).then(|| Arc::new(guard)),
        addresses: Some(Arc::new(PortAddresses {
            mac: mac(number),
            addresses: addresses.to_vec(),
        })),
        ..OPEN
    }
}

fn rig_with(suppression: Suppression, isolation: Isolation) -> Rig {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        suppression,
        ..NETWORK
    });
    let [a, b, c] = [1, 2, 3].map(|number| {
        let config = endpoint(number, isolation);
        switch.add_port(network, config).unwrap()
    });
    let tunnel = PortConfig {
        isolation: Isolation::Tunnel,
        ..OPEN
    };
    let tunnel = switch.add_port(network, tunnel).unwrap();
    let station = StaticNeighbor {
        mac: mac(9),
        is_router: true,
    };
    for address in ["10.0.0.9", "fd00::9"] {
        let address = address.parse().unwrap();
        switch.neighbor_add(network, address, station).unwrap();
    }
    Rig {
        pipeline: switch.pipeline(0),
        switch,
        network,
        ports: [a, b, c, tunnel],
    }
}

fn rig() -> Rig {
    rig_with(Suppression::On, Isolation::Open)
}

impl Rig {
    /// Lets a frame come in; returns the answer, if it is given one.
    fn ask(&mut self, ingress: PortNo, data: &[u8]) -> (Verdict, Option<Vec<u8>>) {
        let mut buffer = [&[0xa5; HEADROOM], data].concat();
        let mut frames = [Frame::new(&mut buffer, HEADROOM, Offload::NONE)];
        let mut verdicts = Vec::new();
        let explained = self.switch.explain(NOW, ingress, &frames[0]);
        self.pipeline
            .handle_batch(NOW, ingress, &frames, &mut verdicts);
        assert_eq!(explained.verdict, verdicts[0]);
        let Verdict::Answer(answer) = verdicts[0] else {
            return (verdicts[0], None);
        };
        let [frame] = &mut frames;
        let to = self.pipeline.answer_neighbor(ingress, frame, answer);
        assert_eq!(to, Some(EgressPort::unchanged(ingress)));
        (verdicts[0], Some(frame.data().to_vec()))
    }

    fn answer(&mut self, ingress: usize, data: &[u8]) -> Option<Vec<u8>> {
        self.ask(self.ports[ingress], data).1
    }

    /// Returns how many questions of a port were answered, and how many flooded.
    fn counts(&self, port: usize) -> (u64, u64) {
        let stats = self.switch.port_stats(self.ports[port]).unwrap();
        (stats.neighbors_answered, stats.neighbors_flooded)
    }
}

fn arp_of(from: u8, sender: (MacAddr, [u8; 4]), target: [u8; 4], operation: u16) -> Vec<u8> {
    let request = ArpPacket {
        operation: match operation {
            1 => ArpOperation::Request,
            2 => ArpOperation::Reply,
            other => ArpOperation::Other(other),
        },
        sender_mac: sender.0,
        sender_ip: Ipv4Addr::from(sender.1),
        target_mac: MacAddr::ZERO,
        target_ip: Ipv4Addr::from(target),
    };
    let mut frame = MacAddr::BROADCAST.octets().to_vec();
    frame.extend(mac(from).octets());
    frame.extend([0x08, 0x06]);
    frame.extend(request.encode());
    frame
}

/// Endpoint `from` asks for `10.0.0.target`.
fn arp(from: u8, target: u8) -> Vec<u8> {
    let sender = (mac(from), [10, 0, 0, from]);
    arp_of(from, sender, [10, 0, 0, target], 1)
}

fn nd_of(from: u8, src: &str, target: &str, claimed: Option<MacAddr>) -> Vec<u8> {
    let (src, target): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), target.parse().unwrap());
    let [.., a, b, c] = target.octets();
    let group = 0xff02_0000_0000_0000_0000_0001_ff00_0000 | target.to_bits() & 0xff_ffff;
    let group = Ipv6Addr::from_bits(group);
    let mut icmp = vec![135, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(target.octets());
    if let Some(claimed) = claimed {
        icmp.extend([1, 1]);
        icmp.extend(claimed.octets());
    }
    let len = u8::try_from(icmp.len()).unwrap();
    let sum = Sum::pseudo_v6(src, group, IpProtocol::ICMPV6, len.into()).and_bytes(&icmp);
    icmp[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0xff, a, b, c];
    frame.extend(mac(from).octets());
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, len, 58, 255]);
    frame.extend(src.octets());
    frame.extend(group.octets());
    frame.extend(icmp);
    frame
}

/// Endpoint `from` asks for `fd00::target`.
fn nd(from: u8, target: u8) -> Vec<u8> {
    let (src, target) = (format!("fd00::{from}"), format!("fd00::{target}"));
    nd_of(from, &src, &target, Some(mac(from)))
}

#[test]
fn an_endpoint_is_answered_for_by_its_mac() {
    let mut rig = rig();
    let reply = rig.answer(0, &arp(1, 2)).unwrap();
    let want = [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x06][..],
        &[0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2],
        &[2, 0, 0, 0, 0, 1, 10, 0, 0, 1],
    ];
    assert_eq!(reply, want.concat());
    let reply = rig.answer(0, &nd(1, 2)).unwrap();
    assert_eq!(reply[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    // Solicited, overriding, no router; with the MAC address in the option.
    assert_eq!((reply[54], reply[58]), (136, 0x60));
    assert_eq!(reply[NS_OPTIONS..], [2, 1, 2, 0, 0, 0, 0, 2]);
    assert_eq!(rig.counts(0), (2, 0));
}

#[test]
fn a_station_that_was_stated_is_answered_for_wherever_it_is() {
    let mut rig = rig();
    assert_eq!(rig.answer(0, &arp(1, 9)).unwrap()[6..12], mac(9).octets());
    let reply = rig.answer(0, &nd(1, 9)).unwrap();
    assert_eq!((reply[54], reply[58]), (136, 0xe0));
    // It is found behind the tunnel, which changes nothing.
    rig.ask(rig.ports[3], &bytes(MacAddr::BROADCAST, mac(9)));
    assert!(rig.answer(1, &arp(2, 9)).is_some());
    // On the asker's own port it hears the question itself.
    rig.ask(rig.ports[2], &bytes(MacAddr::BROADCAST, mac(9)));
    assert!(rig.answer(1, &arp(2, 9)).is_some());
    assert_eq!(rig.answer(2, &arp(3, 9)), None);
    let address = "10.0.0.9".parse().unwrap();
    assert!(rig.switch.neighbor_del(rig.network, address));
    assert!(!rig.switch.neighbor_del(rig.network, address));
    assert_eq!(rig.answer(0, &arp(1, 9)), None);
}

#[test]
fn what_is_not_known_is_flooded_and_counted() {
    let mut rig = rig();
    let flood = Verdict::Flood(FrameVlan::NONE);
    for question in [arp(1, 77), nd(1, 77)] {
        assert_eq!(rig.ask(rig.ports[0], &question), (flood, None));
    }
    assert_eq!(rig.counts(0), (0, 2));
    // Whether an endpoint without a guard is a router is not known.
    assert!(rig.answer(0, &arp(1, 3)).is_some());
    assert_eq!(rig.answer(0, &nd(1, 3)), None);
    assert_eq!(rig.counts(0), (1, 3));
    let data = bytes(MacAddr::BROADCAST, mac(3));
    let mut buffer = data.to_vec();
    let frame = Frame::new(&mut buffer, 0, Offload::NONE);
    let explained = rig.switch.explain(NOW, rig.ports[2], &frame);
    let is_group = |stage: &Stage| matches!(stage, Stage::Destination { destination, .. } if *destination == Destination::Group);
    assert!(explained.stages.iter().any(is_group));
}

#[test]
fn probes_and_announcements_are_never_answered() {
    let mut rig = rig();
    let probe = arp_of(1, (mac(1), [0; 4]), [10, 0, 0, 2], 1);
    let announcement = arp_of(1, (mac(1), [10, 0, 0, 1]), [10, 0, 0, 1], 1);
    let reply = arp_of(1, (mac(1), [10, 0, 0, 1]), [10, 0, 0, 2], 2);
    let other = arp_of(1, (mac(1), [10, 0, 0, 1]), [10, 0, 0, 2], 3);
    let probe_v6 = nd_of(1, "::", "fd00::1", None);
    for frame in [probe, announcement, reply, other, probe_v6] {
        assert_eq!(rig.answer(0, &frame), None);
    }
    assert_eq!(rig.counts(0), (0, 0));
    // From a port without a guard the same in the name of others.
    let probe = arp_of(3, (mac(3), [0; 4]), [10, 0, 0, 2], 1);
    let probe_v6 = nd_of(3, "::", "fd00::2", None);
    for frame in [probe, probe_v6] {
        assert_eq!(rig.answer(2, &frame), None);
    }
    assert_eq!(rig.counts(2), (0, 0));
}

#[test]
fn nobody_is_told_that_its_own_address_is_taken() {
    let mut rig = rig();
    // From another address of its own, as a host with several asks (RFC 5227 §2.1.1 wants a probe).
    let own = arp_of(3, (mac(3), [10, 0, 0, 33]), [10, 0, 0, 3], 1);
    assert_eq!(rig.answer(2, &own), None);
    let own = nd_of(3, "fd00::33", "fd00::3", Some(mac(3)));
    assert_eq!(rig.answer(2, &own), None);
    let own = nd_of(3, "fd00::9", "fd00::9", Some(mac(3)));
    assert_eq!(rig.answer(2, &own), None);
    // The owner of a stated address, behind a port of this host.
    let own = arp_of(9, (mac(9), [10, 0, 0, 33]), [10, 0, 0, 9], 1);
    assert_eq!(rig.answer(2, &own), None);
}

#[test]
fn who_gives_another_mac_than_it_sends_from_is_not_answered() {
    let mut rig = rig();
    let forged = arp_of(3, (mac(5), [10, 0, 0, 3]), [10, 0, 0, 2], 1);
    assert_eq!(rig.answer(2, &forged), None);
    let forged = nd_of(3, "fd00::3", "fd00::2", Some(mac(5)));
    assert_eq!(rig.answer(2, &forged), None);
    let silent = nd_of(3, "fd00::3", "fd00::2", None);
    let reply = rig.answer(2, &silent).unwrap();
    assert_eq!(reply[..6], mac(3).octets());
    // The families share a table.
    let mapped = nd_of(3, "fd00::3", "::ffff:10.0.0.2", Some(mac(3)));
    assert_eq!(rig.answer(2, &mapped), None);
}

#[test]
fn questions_to_one_station_and_from_other_hosts_travel() {
    let mut rig = rig();
    rig.ask(rig.ports[1], &arp(2, 77));
    for mut question in [arp(1, 2), nd(1, 2)] {
        question[..6].copy_from_slice(&mac(2).octets());
        let to = EgressPort::unchanged(rig.ports[1]);
        let verdict = rig.ask(rig.ports[0], &question).0;
        assert_eq!(verdict, Verdict::Forward(to));
    }
    assert_eq!(rig.answer(3, &arp(5, 2)), None);
    assert_eq!((rig.counts(0), rig.counts(3)), ((0, 0), (0, 0)));
}

#[test]
fn without_suppression_nothing_is_answered() {
    let mut rig = rig_with(Suppression::Off, Isolation::Open);
    for target in [2, 9, 77] {
        assert_eq!(rig.answer(0, &arp(1, target)), None);
        assert_eq!(rig.answer(0, &nd(1, target)), None);
    }
    assert_eq!(rig.counts(0), (0, 0));
    assert_eq!(rig.switch.neighbors(rig.network), []);
}

#[test]
fn a_port_that_is_kept_from_others_is_told_nothing_of_them() {
    let mut rig = rig_with(Suppression::On, Isolation::Isolated);
    for target in [2, 9] {
        assert_eq!(rig.answer(0, &arp(1, target)), None);
    }
    // To a port that is open it may speak.
    let open = endpoint(4, Isolation::Open);
    rig.switch.add_port(rig.network, open).unwrap();
    assert!(rig.answer(0, &arp(1, 4)).is_some());
}

#[test]
fn an_endpoint_is_known_in_the_vlan_of_its_untagged_frames() {
    let mut rig = rig();
    let vid = Vid::new(7).unwrap();
    let config = PortConfig {
        vlans: PortVlans::Access(vid),
        ..endpoint(4, Isolation::Open)
    };
    rig.switch.add_port(rig.network, config).unwrap();
    assert_eq!(rig.answer(0, &arp(1, 4)), None);
    let in_vlan = |mut question: Vec<u8>| {
        question.splice(12..12, [0x81, 0, 0, 7]);
        question
    };
    let other = PortConfig {
        vlans: PortVlans::Access(vid),
        ..endpoint(5, Isolation::Open)
    };
    let other = rig.switch.add_port(rig.network, other).unwrap();
    rig.ports[0] = other;
    assert!(rig.answer(0, &arp(5, 4)).is_some());
    assert_eq!(rig.answer(0, &arp(5, 2)), None);
    assert_eq!(rig.answer(0, &arp(5, 9)), None);
    let trunk = PortConfig {
        vlans: PortVlans::Transparent,
        ..endpoint(6, Isolation::Open)
    };
    rig.ports[0] = rig.switch.add_port(rig.network, trunk).unwrap();
    let reply = rig.answer(0, &in_vlan(arp(6, 4))).unwrap();
    assert_eq!(reply[12..18], [0x81, 0, 0, 7, 0x08, 0x06]);
    // Two tags make it somebody else's payload.
    assert_eq!(rig.answer(0, &in_vlan(in_vlan(arp(6, 4)))), None);
}

#[test]
fn what_is_known_is_listed_and_what_cannot_be_is_refused() {
    let rig = rig();
    let listed = rig.switch.neighbors(rig.network);
    let [a, ..] = rig.ports;
    let first = Neighbor {
        address: "10.0.0.1".parse().unwrap(),
        mac: mac(1),
        at: NeighborAt::Port(a),
    };
    assert_eq!((listed.len(), listed[0]), (8, first));
    assert_eq!(listed[3].at, NeighborAt::Stated { is_router: true });
    let add = |network, address: &str, mac| {
        let station = StaticNeighbor {
            mac,
            is_router: false,
        };
        let address = address.parse().unwrap();
        rig.switch.neighbor_add(network, address, station)
    };
    let station = |mac| add(rig.network, "10.0.0.5", mac);
    assert_eq!(
        station(MacAddr::BROADCAST),
        Err(NeighborAddError::NotAStation(MacAddr::BROADCAST))
    );
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1", "::1"] {
        let refused = NeighborAddError::NotAHost(address.parse().unwrap());
        assert_eq!(add(rig.network, address, mac(5)), Err(refused));
    }
    let unknown = NetworkNo(99);
    assert_eq!(
        add(unknown, "10.0.0.5", mac(5)),
        Err(NeighborAddError::UnknownNetwork(unknown))
    );
    let gateway = rig.switch.add_network(NetworkConfig {
        gateway: Some(GatewayConfig {
            mac: mac(0xfe),
            addresses: vec!["10.0.0.254/24".parse().unwrap()],
            outside: Outside::Closed,
            advertising: crate::Advertising::Silent,
            information: Information::default(),
        }),
        ..NETWORK
    });
    let refused = add(gateway, "10.0.0.254", mac(5)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "10.0.0.254 is an address of the gateway"
    );
    // An endpoint goes before what is said of its address.
    add(rig.network, "10.0.0.2", mac(5)).unwrap();
    assert_eq!(rig.switch.neighbors(rig.network)[1].mac, mac(2));
}

proptest! {
    /// Octets of good questions are replaced or cut off: what is answered is a question for that neighbour, by a
    /// frame that says what the table says and goes back to where the question came from.
    #[test]
    fn noise_is_answered_only_where_it_is_a_question(
        is_v6 in any::<bool>(),
        target in prop_oneof![Just(1_u8), Just(2), Just(3), Just(9), any::<u8>()],
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        port in 0..4_usize,
    ) {
        let mut rig = rig();
        let from = u8::try_from(port).unwrap() + 1;
        let mut data = if is_v6 { nd(from, target) } else { arp(from, target) };
        for (at, octet) in noise {
            let at = at.index(data.len());
            data[at] = octet;
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        let Some(reply) = rig.answer(port, &data) else {
            return Ok(());
        };
        let parsed = ParsedFrame::parse(&data).unwrap();
        let question = NeighborQuestion::read(&data, &parsed, ChecksumOffload::Complete).unwrap();
        prop_assert!(parsed.dst().is_group() && port != 3);
        let known = rig.switch.neighbors(rig.network);
        let known = known.iter().find(|known| known.address == question.target).unwrap();
        prop_assert_eq!(&reply[..6], parsed.src().octets());
        prop_assert_eq!(&reply[6..12], known.mac.octets());
        prop_assert_ne!(known.mac, parsed.src());
        ParsedFrame::parse(&reply).unwrap();
    }
}
