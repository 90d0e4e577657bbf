//! The gateway, driven through the pipeline: bytes in, bytes out.

mod echo;
mod errors;
mod fragments;
mod link;
mod nat;
mod random;
mod remote;
mod routing;
mod services;

use std::sync::Arc;

use core::net::IpAddr;
use tapweave_nat::Basis;
use tapweave_net::checksum::{Verification, verify_transport};
use tapweave_net::{Ipv4View, ParsedFrame};

use super::*;
use crate::{
    Advertising, Explanation, GatewayConfig, GatewayStep, Information, Outside, PortAddresses,
    PortVlans, Stage, UplinkConfig, UplinkKind,
};

const GATEWAY: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xfe]);
const OTHER_GATEWAY: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xfc]);
const UPLINK: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xfd]);
const ROUTER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xee]);
const HEADROOM: usize = 128;

/// What the gateway of a rig is like.
fn gateway(mac: MacAddr, addresses: [&str; 2], outside: Outside) -> GatewayConfig {
    GatewayConfig {
        mac,
        addresses: addresses.map(|text| text.parse().unwrap()).to_vec(),
        outside,
        advertising: Advertising::Assigned,
        information: Information::default(),
    }
}

/// What came of a frame: its verdict, and what was sent where.
type Outcome = (Verdict, Vec<(PortNo, Vec<u8>)>);

/// Two networks: 10.0.0.0/24 and `fd00::/64` with three ports, whose endpoints have .2 to .4, `::2` to `::4` and the MACs
/// 2 to 4; and 10.9.0.0/24 with one, .2. Outside is a LAN with a router, and the world behind it.
struct Rig {
    switch: Arc<Switch>,
    pipeline: Pipeline,
    network: NetworkNo,
    ports: [PortNo; 3],
    other_port: PortNo,
    uplink: PortNo,
    now: Timestamp,
}

impl Rig {
    fn new(outside: Outside) -> Self {
        Self::with(outside, |config, _| config)
    }

    /// Returns a rig whose ports are made by `change`, which gets their number.
    fn with(outside: Outside, change: impl Fn(PortConfig, usize) -> PortConfig) -> Self {
        let switch = switch();
        let add_network = |config| {
            switch.add_network(NetworkConfig {
                gateway: Some(config),
                ..NETWORK
            })
        };
        let network = add_network(gateway(GATEWAY, ["10.0.0.1/24", "fd00::1/64"], outside));
        let other = ["10.9.0.1/24", "fd09::1/64"];
        let other = add_network(gateway(OTHER_GATEWAY, other, outside));
        let port = |network, number: u8, addresses: &[String]| {
            let addresses = addresses.iter().map(|text| text.parse().unwrap());
            let config = PortConfig {
                addresses: Some(Arc::new(PortAddresses {
                    mac: mac(number),
                    addresses: addresses.collect(),
                })),
                ..OPEN
            };
            let config = change(config, usize::from(number));
            switch.add_port(network, config).unwrap()
        };
        let ports = [2, 3, 4].map(|number| {
            let addresses = [format!("10.0.0.{number}"), format!("fd00::{number}")];
            port(network, number, &addresses)
        });
        let other_port = port(other, 2, &["10.9.0.2".to_owned()]);
        let uplink = switch.add_uplink(uplink_config()).unwrap();
        let mut rig = Self {
            pipeline: switch.pipeline(0),
            switch,
            network,
            ports,
            other_port,
            uplink,
            now: NOW,
        };
        rig.find_routers();
        rig
    }

    /// Lets the routers of the uplink answer the questions for them.
    fn find_routers(&mut self) {
        let questions = self.switch.poll_gateways(self.now);
        let asked = questions.iter().filter(|sent| sent.port == self.uplink);
        let answers: Vec<_> = asked
            .map(|sent| link::answer(&sent.frame, ROUTER))
            .collect();
        assert_eq!(answers.len(), 2);
        for answer in answers {
            let (_, sent) = self.handle(self.uplink, &answer);
            assert_eq!(sent, []);
        }
    }

    fn handle(&mut self, ingress: PortNo, data: &[u8]) -> Outcome {
        self.handle_offloaded(ingress, data, Offload::NONE).0
    }

    /// Lets a frame come in; returns what came of it, and what was left to do on the last frame sent.
    fn handle_offloaded(
        &mut self,
        ingress: PortNo,
        data: &[u8],
        offload: Offload,
    ) -> (Outcome, Offload) {
        let mut buffer = [&[0xa5; HEADROOM], data].concat();
        let mut frames = [Frame::new(&mut buffer, HEADROOM, offload)];
        let mut verdicts = Vec::new();
        let explained = self.switch.explain(self.now, ingress, &frames[0]);
        self.pipeline
            .handle_batch(self.now, ingress, &frames, &mut verdicts);
        assert_eq!(explained.verdict, verdicts[0]);
        let mut sent = Vec::new();
        let mut left = Offload::NONE;
        if verdicts[0] == Verdict::Gateway {
            let [frame] = &mut frames;
            let mut emit = |to: EgressPort, frame: &mut Frame<'_>| {
                frame.apply_tag(to.tag).unwrap();
                left = frame.offload();
                sent.push((to.port, frame.data().to_vec()));
            };
            let last = self
                .pipeline
                .handle_gateway(self.now, (ingress, 0), frame, &mut emit);
            // Whether there is room for a new flow is not foreseen, nor which fragments wait.
            let is_uncertain = |stage: &Stage| {
                let Stage::Gateway {
                    step: GatewayStep::Translated { basis },
                } = stage
                else {
                    return false;
                };
                matches!(basis, Basis::New(_) | Basis::FirstFragment)
            };
            if !explained.stages.iter().any(is_uncertain) {
                assert_eq!(explained_egress(&explained), last);
            }
            if let Some(to) = last {
                emit(to, frame);
            }
        }
        ((verdicts[0], sent), left)
    }

    /// Lets a frame come in for which exactly one is to go out, and returns that.
    fn forward(&mut self, ingress: PortNo, data: &[u8]) -> (PortNo, Vec<u8>) {
        let (verdict, mut sent) = self.handle(ingress, data);
        assert_eq!(verdict, Verdict::Gateway);
        assert_eq!(sent.len(), 1, "{:?}", self.explain(ingress, data).stages);
        let (port, frame) = sent.remove(0);
        assert_sound(&frame);
        (port, frame)
    }

    /// Lets a frame come in for which nothing goes out, and returns the reason why.
    fn drop(&mut self, ingress: PortNo, data: &[u8]) -> DropReason {
        let before = self.switch.port_stats(ingress).unwrap().drops;
        let (verdict, sent) = self.handle(ingress, data);
        assert_eq!((verdict, sent), (Verdict::Gateway, Vec::new()));
        self.reason_since(ingress, &before)
    }

    /// Lets a frame come in that is dropped and whose sender is told; returns the reason and the message.
    fn refuse(&mut self, ingress: PortNo, data: &[u8]) -> (DropReason, Vec<u8>) {
        let before = self.switch.port_stats(ingress).unwrap().drops;
        let (port, message) = self.forward(ingress, data);
        assert_eq!(port, ingress);
        (self.reason_since(ingress, &before), message)
    }

    fn reason_since(&self, ingress: PortNo, before: &[u64; DropReason::COUNT]) -> DropReason {
        let after = self.switch.port_stats(ingress).unwrap().drops;
        let mut more = DropReason::ALL
            .into_iter()
            .filter(|reason| after[reason.index()] != before[reason.index()]);
        let reason = more.next().expect("nothing was counted");
        assert_eq!(more.next(), None);
        assert_eq!(after[reason.index()], before[reason.index()] + 1);
        reason
    }

    fn explain(&self, ingress: PortNo, data: &[u8]) -> Explanation {
        let mut buffer = data.to_vec();
        let frame = Frame::new(&mut buffer, 0, Offload::NONE);
        self.switch.explain(self.now, ingress, &frame)
    }
}

fn explained_egress(explained: &Explanation) -> Option<EgressPort> {
    explained.egress.first().copied()
}

fn uplink_config() -> UplinkConfig {
    UplinkConfig {
        kind: UplinkKind::Lan {
            mac: UPLINK,
            next_hops: ["192.0.2.1", "2001:db8::1"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
        },
        addresses: ["192.0.2.2/24", "2001:db8::2/64"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        mtu: 1500,
        metric: 0,
    }
}

/// Asserts that a frame's lengths and checksums are right.
fn assert_sound(frame: &[u8]) {
    let parsed = ParsedFrame::parse(frame).unwrap();
    let verification = verify_transport(frame, &parsed);
    assert_ne!(verification, Verification::Wrong, "{frame:02x?}");
    if let Ok(ip) = Ipv4View::parse(&frame[parsed.l3_offset()..]) {
        assert!(ip.verify_checksum());
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Who sends a packet to whom.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: MacAddr,
    to: MacAddr,
    src: &'a str,
    dst: &'a str,
    hops: u8,
}

impl<'a> Way<'a> {
    /// From the sandbox of this number.
    fn out(number: u8, dst: &'a str, src: &'a str) -> Self {
        Self {
            from: mac(number),
            to: GATEWAY,
            src,
            dst,
            hops: 64,
        }
    }

    /// From the router outside.
    fn back(dst: &'a str, src: &'a str) -> Self {
        Self {
            from: ROUTER,
            to: UPLINK,
            src,
            dst,
            hops: 64,
        }
    }

    fn with_hops(self, hops: u8) -> Self {
        Self { hops, ..self }
    }

    fn builder(self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        let ethernet = etherparse::PacketBuilder::ethernet2(self.from.octets(), self.to.octets());
        match (ip(self.src), ip(self.dst)) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                ethernet.ipv4(src.octets(), dst.octets(), self.hops)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                ethernet.ipv6(src.octets(), dst.octets(), self.hops)
            }
            _ => panic!("two families"),
        }
    }

    /// Returns a UDP datagram.
    fn udp(self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let datagram = self.builder().udp(4660, 22136);
        datagram.write(&mut frame, payload).unwrap();
        frame
    }

    /// Returns an echo request with this identifier.
    fn ping(self, id: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let builder = self.builder();
        let written = if ip(self.src).is_ipv4() {
            builder
                .icmpv4_echo_request(id, 1)
                .write(&mut frame, payload)
        } else {
            builder
                .icmpv6_echo_request(id, 1)
                .write(&mut frame, payload)
        };
        written.unwrap();
        frame
    }
}
