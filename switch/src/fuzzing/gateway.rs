//! Drives the gateway with whatever comes in, from sandboxes and from outside.
//!
//! ```text
//!   open  (10.0.0.0/24, fd00::/64)   masqueraded, UDP port 8080 published
//!   shut  (10.9.0.0/24, fd09::/64)   no way out
//!   uplink (192.0.2.2, 2001:db8::2)  a LAN with a router
//! ```
//!
//! An input is a list of frames, each after four bytes: where it comes in and to which MAC, how much time
//! passes before, and its length. One gateway sees all of them, so that later frames meet the neighbours,
//! flows and fragments of earlier ones.

use core::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tapweave_nat::{
    Masquerade, Nat, NatConfig, NatRules, NetworkRules, PortProtocol, Published, RulesConfig,
};
use tapweave_net::checksum::Sum;
use tapweave_net::{
    ChecksumOffload, EtherType, Frame, Ipv4View, MacAddr, NeighborAnswer, NeighborQuestion,
    NetworkNo, Offload, ParsedFrame, PortNo, Timestamp,
};

use crate::{
    Advertising, EgressPort, GatewayConfig, Information, NetworkConfig, Outside, Pipeline,
    PortAddresses, PortConfig, SnoopingConfig, StormLimits, Suppression, Switch, SwitchConfig,
    UplinkConfig, UplinkKind, Verdict,
};

const FRAMES_MAX: usize = 64;
/// What the gateway may put before a frame.
const HEADROOM: usize = 128;
const MTU: u16 = 1500;

/// Passes the frames of `input` to a gateway.
///
/// # Panics
///
/// When a frame reaches the network without a way out or comes from there, or one is sent that is malformed.
pub fn gateway(input: &[u8]) {
    let mut world = World::new();
    let mut rest = input;
    for _ in 0..FRAMES_MAX {
        let Some((&[way, time, high, low], after)) = rest.split_first_chunk::<4>() else {
            break;
        };
        let len = usize::from(u16::from_be_bytes([high & 0x0f, low])).min(after.len());
        let (frame, after) = after.split_at(len);
        rest = after;
        world.pass(way, time, frame);
    }
}

/// The three places where frames come in, each with the MACs that are there.
struct World {
    switch: Arc<Switch>,
    pipeline: Pipeline,
    now: Timestamp,
    ports: [PortNo; 3],
}

const OPEN: usize = 0;
const SHUT: usize = 1;
const UPLINK: usize = 2;

/// The MACs of sandboxes and the router outside, by place.
const STATIONS: [MacAddr; 3] = [station(2), station(3), station(0xee)];
/// Those of the gateway.
const GATEWAYS: [MacAddr; 3] = [station(0xfe), station(0xfc), station(0xfd)];

const fn station(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, number])
}

impl World {
    fn new() -> Self {
        let switch = Arc::new(Switch::new(SwitchConfig {
            worker_count: 1,
            seed: 1,
        }));
        let [open, shut] = [
            (OPEN, Outside::Masqueraded, ["10.0.0.1/24", "fd00::1/64"]),
            (SHUT, Outside::Closed, ["10.9.0.1/24", "fd09::1/64"]),
        ]
        .map(|(place, outside, addresses)| switch.add_network(network(place, outside, addresses)));
        let add_port = |network, place: usize, addresses: [&str; 2]| {
            let config = PortConfig {
                addresses: Some(Arc::new(PortAddresses {
                    mac: STATIONS[place],
                    addresses: parsed(addresses),
                })),
                ..PortConfig::OPEN
            };
            switch.add_port(network, config)
        };
        let (Ok(open_port), Ok(shut_port), Ok(uplink), Ok(rules)) = (
            add_port(open, OPEN, ["10.0.0.2", "fd00::2"]),
            add_port(shut, SHUT, ["10.9.0.2", "fd09::2"]),
            switch.add_uplink(uplink()),
            NatRules::new(&rules(open)),
        ) else {
            unreachable!("nothing here contradicts itself")
        };
        let nat = NatConfig {
            flow_limit: 64,
            ..NatConfig::new(1, 1)
        };
        switch.set_nat(&Arc::new(Nat::new(nat)), rules);
        Self {
            pipeline: switch.pipeline(0),
            switch,
            now: Timestamp::from_secs(1000),
            ports: [open_port, shut_port, uplink],
        }
    }

    fn pass(&mut self, way: u8, time: u8, bytes: &[u8]) {
        // Mostly a millisecond, some minutes at most.
        self.now = self.now + Duration::from_millis(1 << (time & 0x7f).saturating_sub(108));
        for question in self.switch.poll_gateways(self.now) {
            if question.port == self.ports[UPLINK]
                && let Some(mut answer) = answer(&question.frame)
            {
                let mut frame = Frame::new(&mut answer, 0, Offload::NONE);
                self.enter(UPLINK, &mut frame);
            }
        }
        let place = usize::from(way % 3);
        let mut buffer = [&[0xa5; HEADROOM], bytes].concat();
        let data = &mut buffer[HEADROOM..];
        // A fuzzer guesses neither, and little happens without them.
        if way & 0x80 == 0
            && let Some(macs) = data.first_chunk_mut::<12>()
        {
            let to = match way & 0x30 {
                0 => usize::from(way >> 2) % 3,
                _ => place,
            };
            macs[..6].copy_from_slice(&GATEWAYS[to].octets());
            macs[6..].copy_from_slice(&STATIONS[place].octets());
        }
        if way & 0x40 == 0 {
            mend_checksum(data);
        }
        let checksum = match time & 0x80 {
            0 => ChecksumOffload::Complete,
            _ => ChecksumOffload::Partial {
                start: 34,
                offset: 6,
            },
        };
        let offload = Offload {
            checksum,
            gso: None,
        };
        self.enter(place, &mut Frame::new(&mut buffer, HEADROOM, offload));
    }

    fn enter(&mut self, place: usize, frame: &mut Frame<'_>) {
        let mut verdicts = Vec::new();
        let ingress = self.ports[place];
        let frames = core::slice::from_ref(frame);
        self.pipeline
            .handle_batch(self.now, ingress, frames, &mut verdicts);
        if verdicts != [Verdict::Gateway] {
            return;
        }
        let mut emit = |to: EgressPort, frame: &mut Frame<'_>| self.expect_right(place, to, frame);
        let last = self
            .pipeline
            .handle_gateway(self.now, (ingress, 0), frame, &mut emit);
        if let Some(to) = last {
            emit(to, frame);
        }
    }

    fn expect_right(&self, from: usize, to: EgressPort, frame: &Frame<'_>) {
        let to = self.ports.iter().position(|port| *port == to.port);
        assert!(to.is_some(), "a port that does not exist");
        assert_eq!(from == SHUT, to == Some(SHUT), "from {from} to {to:?}");
        let data = frame.data();
        let Ok(parsed) = ParsedFrame::parse(data) else {
            unreachable!("no frame: {data:02x?}")
        };
        if parsed.ethertype() == EtherType::IPV4 {
            let Ok(ip) = Ipv4View::parse(&data[parsed.l3_offset()..]) else {
                unreachable!("no packet: {data:02x?}")
            };
            assert!(ip.verify_checksum(), "{data:02x?}");
            assert!(ip.total_len() <= MTU, "{} bytes", ip.total_len());
        }
    }
}

/// Returns what the router outside answers to a question for it.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let parsed = ParsedFrame::parse(question).ok()?;
    let asked = NeighborQuestion::read(question, &parsed, ChecksumOffload::Complete)?;
    let answer = NeighborAnswer {
        mac: STATIONS[UPLINK],
        is_router: true,
    };
    let mut out = vec![0; NeighborQuestion::MAX_ANSWER_LEN];
    let len = asked.write_answer(question, &parsed, answer, &mut out)?;
    out.truncate(len);
    Some(out)
}

/// Gives an IPv4 header without options the checksum that it should have.
fn mend_checksum(frame: &mut [u8]) {
    if frame.get(12..14) == Some(&[8, 0])
        && let Some(header) = frame.get_mut(14..34)
    {
        header[10..12].fill(0);
        let checksum = Sum::of(header).checksum();
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn network(place: usize, outside: Outside, addresses: [&str; 2]) -> NetworkConfig {
    NetworkConfig {
        mtu: MTU,
        ageing: Duration::from_mins(5),
        fdb_limit: 16,
        snooping: Some(SnoopingConfig::default()),
        storm: StormLimits::NONE,
        gateway: Some(GatewayConfig {
            mac: GATEWAYS[place],
            addresses: parsed(addresses),
            outside,
            advertising: Advertising::Assigned,
            information: Information::default(),
        }),
        suppression: Suppression::Off,
    }
}

fn uplink() -> UplinkConfig {
    UplinkConfig {
        kind: UplinkKind::Lan {
            mac: GATEWAYS[UPLINK],
            next_hops: parsed(["192.0.2.1", "2001:db8::1"]),
        },
        addresses: parsed(["192.0.2.2/24", "2001:db8::2/64"]),
        mtu: MTU,
        metric: 0,
    }
}

fn rules(open: NetworkNo) -> RulesConfig {
    let published = |(host, target): (IpAddr, IpAddr)| Published {
        protocol: PortProtocol::Udp,
        host_addr: Some(host),
        host_ports: 8080..=8080,
        network: open,
        target,
        target_port: 80,
    };
    let external: Vec<IpAddr> = parsed(["192.0.2.2", "2001:db8::2"]);
    let targets: Vec<IpAddr> = parsed(["10.0.0.2", "fd00::2"]);
    let pairs = external.iter().copied().zip(targets);
    RulesConfig {
        published: pairs.map(published).collect(),
        external: external.clone(),
        networks: vec![NetworkRules {
            network: open,
            masquerade: Masquerade::Yes,
        }],
        ..RulesConfig::default()
    }
}

/// Returns those of `texts` that say what is asked for: all of them.
fn parsed<T: core::str::FromStr, C: FromIterator<T>>(texts: [&str; 2]) -> C {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: [[u8; 4]; 6] = [
        [10, 0, 0, 2],
        [10, 9, 0, 2],
        [192, 0, 2, 2],
        [10, 0, 0, 1],
        [10, 9, 0, 1],
        [198, 51, 100, 7],
    ];

    /// Datagrams between those whom the gateway knows, now and then as fragments or with noise.
    fn datagrams() -> impl Strategy<Value = Vec<u8>> {
        let ends = (0..6_usize, 0..V4.len());
        let ports = prop_oneof![Just(8080_u16), Just(80), 1024..1032_u16];
        let fragment = prop_oneof![4 => Just([0x40, 0]), 1 => Just([0, 0]), 1 => Just([0x20, 0]), 1 => Just([0, 2])];
        let noise = prop::option::weighted(0.2, (0..60_usize, any::<u8>()));
        (
            any::<[u8; 2]>(),
            ends,
            (ports.clone(), ports),
            fragment,
            0..2_000_u16,
            noise,
        )
            .prop_map(
                |([way, time], (src, dst), (sport, dport), fragment, len, noise)| {
                    // Mostly who is where the frame comes in.
                    let src = if src < 5 {
                        [0, 1, 5][usize::from(way & 0x3f) % 3]
                    } else {
                        dst
                    };
                    let mut frame = vec![0; 12];
                    frame.extend([8, 0, 0x45, 0]);
                    frame.extend((28 + len).to_be_bytes());
                    frame.extend([0, 7, fragment[0], fragment[1], 64, 17, 0, 0]);
                    frame.extend([V4[src], V4[dst]].concat());
                    frame.extend([sport, dport, 8 + len, 0].map(u16::to_be_bytes).concat());
                    frame.resize(42 + usize::from(len), 0x5a);
                    if let Some((place, octet)) = noise {
                        frame[place % 42] = octet;
                    }
                    let [high, low] = u16::try_from(frame.len()).unwrap().to_be_bytes();
                    [&[way & 0x3f, time, high, low], &frame[..]].concat()
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn datagrams_do_the_gateway_no_harm(input in prop::collection::vec(datagrams(), 0..24)) {
            gateway(&input.concat());
        }

        #[test]
        fn nonsense_does_the_gateway_no_harm(input in prop::collection::vec(any::<u8>(), 0..2_000)) {
            gateway(&input);
        }
    }
}
