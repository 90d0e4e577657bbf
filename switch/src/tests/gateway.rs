//! The gateway, driven through the pipeline: bytes in, bytes out.

use core::net::Ipv4Addr;

use tapweave_net::{ArpOperation, ArpPacket};

use super::*;
use crate::{Advertising, GatewayConfig, Outside, UplinkConfig, UplinkKind};

const GATEWAY: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xfe]);
const UPLINK: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xfd]);
const HEADROOM: usize = 128;

struct Rig {
    switch: Arc<Switch>,
    pipeline: Pipeline,
    network: NetworkNo,
    ports: [PortNo; 2],
    uplink: PortNo,
}

fn gateway_config() -> GatewayConfig {
    GatewayConfig {
        mac: GATEWAY,
        addresses: ["10.0.0.1/24", "fd00::1/64"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        outside: Outside::Routed,
        advertising: Advertising::Assigned,
    }
}

impl Rig {
    fn new() -> Self {
        let switch = switch();
        let network = switch.add_network(NetworkConfig {
            gateway: Some(gateway_config()),
            ..NETWORK
        });
        let ports = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
        let uplink = switch
            .add_uplink(UplinkConfig {
                kind: UplinkKind::Lan {
                    mac: UPLINK,
                    next_hops: Vec::new(),
                },
                addresses: vec!["192.0.2.2/24".parse().unwrap()],
                mtu: 1500,
                metric: 0,
            })
            .unwrap();
        Self {
            pipeline: switch.pipeline(0),
            switch,
            network,
            ports,
            uplink,
        }
    }

    /// Lets a frame come in and returns its verdict and what the gateway sends.
    fn handle(&mut self, ingress: PortNo, data: &[u8]) -> (Verdict, Vec<(PortNo, Vec<u8>)>) {
        let mut buffer = [&[0xa5; HEADROOM], data].concat();
        let mut frames = [Frame::new(&mut buffer, HEADROOM, Offload::NONE)];
        let mut verdicts = Vec::new();
        self.pipeline
            .handle_batch(NOW, ingress, &frames, &mut verdicts);
        let mut sent = Vec::new();
        if verdicts[0] == Verdict::Gateway {
            let [frame] = &mut frames;
            let mut emit = |to: EgressPort, frame: &mut Frame<'_>| {
                frame.apply_tag(to.tag).unwrap();
                sent.push((to.port, frame.data().to_vec()));
            };
            let last = self.pipeline.handle_gateway(NOW, ingress, frame, &mut emit);
            if let Some(to) = last {
                emit(to, frame);
            }
        }
        (verdicts[0], sent)
    }
}

fn arp(sender: (MacAddr, [u8; 4]), target: [u8; 4]) -> Vec<u8> {
    let request = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: sender.0,
        sender_ip: Ipv4Addr::from(sender.1),
        target_mac: MacAddr::ZERO,
        target_ip: Ipv4Addr::from(target),
    };
    let mut frame = MacAddr::BROADCAST.octets().to_vec();
    frame.extend(sender.0.octets());
    frame.extend([0x08, 0x06]);
    frame.extend(request.encode());
    frame
}

#[test]
fn an_arp_request_for_the_gateway_is_answered_and_not_flooded() {
    let mut rig = Rig::new();
    let [a, _] = rig.ports;
    for sender in [[10, 0, 0, 2], [0; 4]] {
        let (verdict, sent) = rig.handle(a, &arp((mac(1), sender), [10, 0, 0, 1]));
        assert_eq!(verdict, Verdict::Gateway);
        let want = [
            &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xfe, 0x08, 0x06][..],
            &[0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 0xfe, 10, 0, 0, 1],
            &[2, 0, 0, 0, 0, 1],
            &sender,
        ];
        assert_eq!(sent, [(a, want.concat())]);
    }
    let tagged = {
        let mut frame = arp((mac(1), [10, 0, 0, 2]), [10, 0, 0, 1]);
        frame.splice(12..12, [0x81, 0, 0, 7]);
        frame
    };
    let (_, sent) = rig.handle(a, &tagged);
    assert_eq!(
        sent[0].1[..20],
        [
            2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xfe, 0x81, 0, 0, 7, 8, 6, 0, 1
        ]
    );
}

#[test]
fn other_arp_packets_are_flooded() {
    let mut rig = Rig::new();
    let [a, _] = rig.ports;
    let mut reply = arp((mac(1), [10, 0, 0, 2]), [10, 0, 0, 1]);
    reply[21] = 2;
    for frame in [
        arp((mac(1), [10, 0, 0, 2]), [10, 0, 0, 3]),
        arp((mac(1), [10, 0, 0, 1]), [10, 0, 0, 1]),
        arp((mac(1), [10, 0, 0, 2]), [192, 0, 2, 2]),
        reply,
    ] {
        let (verdict, _) = rig.handle(a, &frame);
        assert_eq!(verdict, Verdict::Flood(FrameVlan::NONE));
    }
}

#[test]
fn an_uplink_answers_for_its_own_addresses_only() {
    let mut rig = Rig::new();
    let uplink = rig.uplink;
    let (verdict, sent) = rig.handle(uplink, &arp((mac(9), [192, 0, 2, 1]), [192, 0, 2, 2]));
    assert_eq!(verdict, Verdict::Gateway);
    assert_eq!(sent[0].0, uplink);
    assert_eq!(sent[0].1[6..12], UPLINK.octets());
    for target in [[192, 0, 2, 3], [10, 0, 0, 1]] {
        let (verdict, sent) = rig.handle(uplink, &arp((mac(9), [192, 0, 2, 1]), target));
        assert_eq!((verdict, sent), (Verdict::Gateway, Vec::new()));
    }
    let stats = rig.switch.port_stats(uplink).unwrap();
    assert_eq!(stats.rx_frames, 3);
}

#[test]
fn an_uplink_comes_and_goes_like_a_port() {
    let mut rig = Rig::new();
    rig.switch.remove_uplink(rig.uplink).unwrap();
    rig.switch.remove_uplink(rig.uplink).unwrap_err();
    rig.switch.purge_port(rig.uplink);
    let uplink = rig.uplink;
    let (verdict, _) = rig.handle(uplink, &arp((mac(9), [192, 0, 2, 1]), [192, 0, 2, 2]));
    assert_eq!(verdict, Verdict::Drop(DropReason::PortGone));
    let again = rig.switch.add_port(rig.network, OPEN).unwrap();
    assert_eq!(again.index(), uplink.index());
}
