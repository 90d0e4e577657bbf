//! Random datagrams, side by side with the [reference](super::reference).

use core::net::SocketAddr;
use core::time::Duration;

use proptest::prelude::*;
use tapweave_net::NetworkNo;

use super::reference::{Fate, Key, Reference};
use super::world::*;
use crate::*;

const HOSTS: [&str; 2] = ["192.0.2.1:6004", "192.0.2.2:80"];
const SERVERS: [&str; 2] = ["10.0.0.2:53", "10.0.0.3:4000"];

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A sandbox of a network sends from one of its ports.
    Out(NetworkNo, usize, To),
    /// A stranger sends.
    In(usize, To),
    Wait(u64),
    Flush,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
enum To {
    Stranger(usize),
    /// The external end of a mapping, counted round those that there are.
    Mapping(usize),
    Published(usize),
    /// An external port that leads nowhere.
    Nowhere,
}

fn any_to() -> impl Strategy<Value = To> {
    prop_oneof![
        3 => (0_usize..3).prop_map(To::Stranger),
        3 => (0_usize..8).prop_map(To::Mapping),
        2 => (0_usize..2).prop_map(To::Published),
        1 => Just(To::Nowhere),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let network = prop_oneof![Just(RED), Just(BLUE)];
    prop_oneof![
        12 => (network, 0_usize..5, any_to()).prop_map(|(n, src, to)| Step::Out(n, src, to)),
        12 => (0_usize..3, any_to()).prop_map(|(src, to)| Step::In(src, to)),
        // Sums of these are never within a second of a timeout.
        4 => (1_u64..4).prop_map(|steps| Step::Wait(steps * 50)),
        1 => Just(Step::Flush),
    ]
}

fn stranger(index: usize) -> SocketAddr {
    socket(["198.51.100.1:80", "198.51.100.2:81", "198.51.100.1:82"][index])
}

fn sandbox(index: usize) -> SocketAddr {
    let ports = [A, B, "10.0.0.2:53", "10.0.0.3:4000", "10.0.0.4:4000"];
    socket(ports[index])
}

struct Pair {
    world: World,
    reference: Reference,
}

impl Pair {
    fn new() -> Self {
        let rules = RulesConfig {
            published: vec![
                published(PortProtocol::Udp, HOSTS[0], SERVERS[0]),
                Published {
                    network: BLUE,
                    ..published(PortProtocol::Udp, HOSTS[1], SERVERS[1])
                },
            ],
            ..rules_config()
        };
        let world = World::of(config(), &rules);
        let reference = Reference {
            now: world.now,
            published: vec![
                (socket(HOSTS[0]), (RED, socket(SERVERS[0]))),
                (socket(HOSTS[1]), (BLUE, socket(SERVERS[1]))),
            ],
            external: world.rules.external().to_vec(),
            mappings: std::collections::BTreeMap::new(),
            flows: Vec::new(),
        };
        Self { world, reference }
    }

    fn resolve(&self, to: To) -> SocketAddr {
        match to {
            To::Stranger(index) => stranger(index),
            To::Published(index) => socket(HOSTS[index]),
            To::Nowhere => socket("192.0.2.2:9"),
            To::Mapping(index) => {
                let externals: Vec<_> = self.reference.mappings.values().collect();
                let count = externals.len().max(1);
                externals
                    .get(index % count)
                    .map_or_else(|| socket("192.0.2.1:9"), |external| **external)
            }
        }
    }

    /// Sends a datagram through both and compares.
    fn send(&mut self, key: Key) {
        let (side, src, dst) = key;
        let got = match side {
            Some(network) => self
                .world
                .out(network, &udp(src, dst))
                .map(|(verdict, ends)| {
                    let side = match verdict {
                        Out::ToUplink => None,
                        Out::Hairpin { network, dst } => {
                            assert_eq!(dst, ends.dst.ip());
                            Some(network)
                        }
                        Out::Untranslated | Out::Local | Out::Held => panic!("{verdict:?}"),
                    };
                    (side, ends)
                }),
            None => self.world.inward(&udp(src, dst)).map(|(verdict, ends)| {
                let In::To { network, dst } = verdict else {
                    panic!("{verdict:?}")
                };
                assert_eq!(dst, ends.dst.ip());
                (Some(network), ends)
            }),
        };
        let got = got.map(|(side, ends)| (side, to_socket(ends.src), to_socket(ends.dst)));
        let mut fate = self.reference.send(key);
        if let Fate::Needs(inside) = fate {
            let (_, external, _) = got.unwrap();
            assert!(self.reference.external.contains(&external.ip()));
            assert!(
                !self
                    .reference
                    .mappings
                    .values()
                    .any(|other| *other == external)
            );
            assert!(!HOSTS.map(socket).contains(&external));
            self.reference.mappings.insert(inside, external);
            fate = self.reference.send(key);
        }
        match fate {
            Fate::Becomes(key) => assert_eq!(got, Ok(key)),
            Fate::Lost => assert_eq!(got, Err(NatDrop::NoMapping)),
            Fate::Needs(inside) => panic!("{inside:?} has a mapping"),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Out(network, src, to) => {
                let dst = self.resolve(to);
                self.send((Some(network), sandbox(src), dst));
            }
            Step::In(src, to) => {
                let dst = self.resolve(to);
                if self.reference.external.contains(&dst.ip()) {
                    self.send((None, stranger(src), dst));
                }
            }
            Step::Wait(secs) => {
                self.world.wait(Duration::from_secs(secs));
                self.world.sweep();
                self.reference.wait(Duration::from_secs(secs));
            }
            Step::Flush => {
                let count = self.world.nat.flush(&FlowFilter::default());
                assert_eq!(count, self.reference.flows.len());
                self.reference.flush();
            }
        }
    }

    fn compare(&self) {
        let key = |side, ends: &Endpoints| (side, ends.src, ends.dst);
        let mut got: Vec<(Key, Key)> = self
            .world
            .flows()
            .iter()
            .map(|flow| {
                (
                    key(flow.opened_in, &flow.original),
                    key(flow.answered_in, &flow.reply),
                )
            })
            .collect();
        let flows = self.reference.flows.iter();
        let mut want: Vec<(Key, Key)> = flows.map(|flow| (flow.original, flow.reply)).collect();
        got.sort();
        want.sort();
        assert_eq!(got, want);
        assert_eq!(self.world.mapping_count(), self.reference.mappings.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn datagrams_fare_as_in_the_reference(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
            pair.compare();
        }
        pair.world.nat.flush(&FlowFilter::default());
        prop_assert!(pair.world.nat.is_empty());
    }
}
