//! From whatever there is, what should be is reached, and then there is nothing to do.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::datapath::Transport;

/// How many rounds may be needed.
const ROUNDS_MAX: usize = 2;

/// Where a station is said to be: at an endpoint or at a peer.
#[derive(Clone, Debug)]
enum At {
    Endpoint(u8),
    Peer(u8),
}

/// A network of the world, in which ids, addresses and so on are small numbers.
#[derive(Clone, Debug)]
struct Net {
    number: u32,
    spans_more: bool,
    peers: BTreeMap<u8, Option<u32>>,
    endpoints: BTreeMap<u8, (u64, Option<u32>, bool)>,
    stations: BTreeMap<u8, At>,
    neighbors: BTreeMap<u8, u8>,
}

/// What should be and what there is.
#[derive(Clone, Debug)]
struct World {
    nets: BTreeMap<u8, Net>,
    sandboxes: BTreeSet<u64>,
    there: Observation,
    next: u32,
}

fn id(n: u8) -> Id {
    Id::from_random([n; 32])
}

fn number_of(id: &Id) -> u8 {
    u8::from_str_radix(&id.as_str()[..2], 16).unwrap()
}

/// Endpoints of different networks have different ids.
fn endpoint_id(net: u8, n: u8) -> Id {
    id(0x80 + net * 16 + n)
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn last_octet(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(_) => unreachable!(),
    }
}

fn station(n: u8) -> Station {
    (MacAddr::new([2, 0, 0, 0, 0, n]), None)
}

fn neighbor(n: u8) -> StaticNeighbor {
    StaticNeighbor {
        mac: MacAddr::new([2, 0, 0, 0, 1, n]),
        is_router: n.is_multiple_of(2),
    }
}

fn port(noted: Option<u32>) -> WantedPort {
    noted.map_or(WantedPort::Waiting, |it| {
        WantedPort::At(PortNo::from_u32(it))
    })
}

fn published(net: u8, n: u8) -> PublishedPorts {
    let ports = crate::PortRange::new(1000 + u16::from(net) * 16 + u16::from(n), 2000);
    PublishedPorts {
        transport: Transport::Tcp,
        host: None,
        host_ports: ports.unwrap(),
        network: NetworkNo(0),
        target: address(n),
        target_ports: ports.unwrap(),
    }
}

impl World {
    fn intent(&self) -> Intent {
        let network = |(n, net): (&u8, &Net)| {
            let place = |at: &At| match at {
                At::Endpoint(it) => net.endpoints.get(it).and_then(|(_, noted, _)| *noted),
                At::Peer(it) => net.peers.get(it).copied().flatten(),
            };
            let endpoints = net
                .endpoints
                .iter()
                .map(|(it, (sandbox, noted, publishes))| {
                    let wanted = WantedEndpoint {
                        sandbox: SandboxNo(*sandbox),
                        port: port(*noted),
                        published: publishes.then(|| published(*n, *it)).into_iter().collect(),
                    };
                    (endpoint_id(*n, *it), wanted)
                });
            let wanted = WantedNetwork {
                number: NetworkNo(net.number),
                spans_more: net.spans_more,
                peers: net
                    .peers
                    .iter()
                    .map(|(it, noted)| (address(*it), port(*noted)))
                    .collect(),
                endpoints: endpoints.collect(),
                stations: net
                    .stations
                    .iter()
                    .map(|(it, at)| (station(*it), place(at).map(PortNo::from_u32)))
                    .collect(),
                neighbors: net
                    .neighbors
                    .iter()
                    .map(|(it, mac)| (address(*it), neighbor(*mac)))
                    .collect(),
            };
            (id(*n), wanted)
        };
        Intent {
            networks: self.nets.iter().map(network).collect(),
            sandboxes: self.sandboxes.iter().copied().map(SandboxNo).collect(),
            ..Intent::default()
        }
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn lose_port(&mut self, port: PortNo) {
        self.there.datapath.ports.remove(&port);
        for stations in self.there.stations.values_mut() {
            stations.retain(|_, at| *at != port);
        }
    }

    fn publish(&mut self) {
        let nets = self.nets.iter();
        let seated = nets.flat_map(|(n, net)| {
            let endpoints = net.endpoints.iter();
            let seated =
                endpoints.filter(|(_, (_, noted, publishes))| noted.is_some() && *publishes);
            seated.map(|(it, _)| published(*n, *it))
        });
        self.there.datapath.published = seated.collect();
    }

    /// Does what a packet path would.
    fn apply(&mut self, command: Command) {
        match command {
            Command::RemovePort(port) => self.lose_port(port),
            Command::RemoveNetwork(number) => {
                let there = &mut self.there;
                assert!(
                    there.datapath.ports.values().all(|it| it.network != number),
                    "a domain goes after its ports"
                );
                there.datapath.networks.remove(&number);
                there.datapath.joined.remove(&number);
                there.stations.remove(&number);
                there.neighbors.remove(&number);
            }
            Command::ReleaseSandbox(number) => {
                self.there.datapath.sandboxes.remove(&number);
            }
            Command::EndSandbox(number) => {
                self.there.datapath.sandboxes.remove(&number);
                self.sandboxes.remove(&number.0);
                let mut ports = Vec::new();
                for net in self.nets.values_mut() {
                    let ended: Vec<u8> = net
                        .endpoints
                        .iter()
                        .filter(|(_, (sandbox, ..))| *sandbox == number.0)
                        .map(|(it, _)| *it)
                        .collect();
                    for it in ended {
                        let (_, noted, _) = net.endpoints.remove(&it).unwrap();
                        ports.extend(noted.map(PortNo::from_u32));
                        net.stations
                            .retain(|_, at| !matches!(at, At::Endpoint(at) if *at == it));
                    }
                }
                for port in ports {
                    self.lose_port(port);
                }
                self.publish();
            }
            Command::MakeNetwork(id) => {
                let number = self.fresh();
                self.nets.get_mut(&number_of(&id)).unwrap().number = number;
                self.there.datapath.networks.insert(NetworkNo(number));
            }
            Command::JoinNetwork(id) => {
                let number = NetworkNo(self.nets[&number_of(&id)].number);
                assert!(self.there.datapath.networks.contains(&number));
                self.there.datapath.joined.insert(number);
            }
            Command::AddPeer(id, at) => {
                let port = self.fresh();
                let net = self.nets.get_mut(&number_of(&id)).unwrap();
                *net.peers.get_mut(&last_octet(at)).unwrap() = Some(port);
                let made = ObservedPort {
                    network: NetworkNo(net.number),
                    owner: PortOwner::Peer(at),
                };
                self.there
                    .datapath
                    .ports
                    .insert(PortNo::from_u32(port), made);
            }
            Command::OpenSandbox(number) => {
                let sandboxes = &mut self.there.datapath.sandboxes;
                sandboxes.insert(number, SandboxLife::Alive);
            }
            Command::Connect(sandbox, id) => {
                let port = self.fresh();
                let (net, it) = ((number_of(&id) - 0x80) / 16, number_of(&id) % 16);
                let net = self.nets.get_mut(&net).unwrap();
                assert_eq!(
                    self.there.datapath.sandboxes.get(&sandbox),
                    Some(&SandboxLife::Alive),
                    "a namespace is opened before an interface is made in it"
                );
                net.endpoints.get_mut(&it).unwrap().1 = Some(port);
                let made = ObservedPort {
                    network: NetworkNo(net.number),
                    owner: PortOwner::Endpoint(id),
                };
                self.there
                    .datapath
                    .ports
                    .insert(PortNo::from_u32(port), made);
            }
            Command::SetStation(id, station) => {
                let intent = self.intent();
                let wanted = &intent.networks[&id];
                if let Some(Some(port)) = wanted.stations.get(&station) {
                    let stations = self.there.stations.entry(wanted.number).or_default();
                    stations.insert(station, *port);
                }
            }
            Command::RemoveStation(number, station) => {
                self.there
                    .stations
                    .get_mut(&number)
                    .unwrap()
                    .remove(&station);
            }
            Command::SetNeighbor(id, address) => {
                let intent = self.intent();
                let wanted = &intent.networks[&id];
                let neighbors = self.there.neighbors.entry(wanted.number).or_default();
                neighbors.insert(address, wanted.neighbors[&address]);
            }
            Command::RemoveNeighbor(number, address) => {
                self.there
                    .neighbors
                    .get_mut(&number)
                    .unwrap()
                    .remove(&address);
            }
            Command::Publish => self.publish(),
        }
    }

    fn round(&mut self) -> usize {
        let commands = reconcile(&self.intent(), &self.there);
        let count = commands.len();
        for command in commands {
            self.apply(command);
        }
        count
    }
}

fn net(number: u32) -> impl Strategy<Value = Net> {
    let noted = || option::of(0..24_u32);
    let at = prop_oneof![
        (0..4_u8).prop_map(At::Endpoint),
        (0..4_u8).prop_map(At::Peer)
    ];
    (
        any::<bool>(),
        btree_map(0..4_u8, noted(), 0..3),
        btree_map(0..4_u8, (0..4_u64, noted(), any::<bool>()), 0..4),
        btree_map(0..4_u8, at, 0..3),
        btree_map(0..4_u8, 0..4_u8, 0..3),
    )
        .prop_map(
            move |(spans_more, peers, endpoints, mut stations, neighbors)| {
                stations.retain(|_, at| match at {
                    At::Endpoint(it) => endpoints.contains_key(it),
                    At::Peer(it) => peers.contains_key(it),
                });
                Net {
                    number,
                    spans_more,
                    peers,
                    endpoints,
                    stations,
                    neighbors,
                }
            },
        )
}

fn observed() -> impl Strategy<Value = Observation> {
    let owner = prop_oneof![
        (0..4_u8, 0..6_u8).prop_map(|(net, it)| PortOwner::Endpoint(endpoint_id(net, it))),
        (0..6_u8).prop_map(|it| PortOwner::Peer(address(it))),
    ];
    let port = (0..5_u32, owner).prop_map(|(network, owner)| ObservedPort {
        network: NetworkNo(network),
        owner,
    });
    let life = prop_oneof![Just(SandboxLife::Alive), Just(SandboxLife::Ended)];
    let number = || (0..5_u32).prop_map(NetworkNo);
    let port_no = || (0..24_u32).prop_map(PortNo::from_u32);
    (
        (btree_set(number(), 0..5), btree_set(number(), 0..5)),
        btree_map((0..6_u64).prop_map(SandboxNo), life, 0..6),
        btree_map(port_no(), port, 0..12),
        vec(
            (0..4_u8, 0..4_u8).prop_map(|(net, it)| published(net, it)),
            0..4,
        ),
        btree_map(
            number(),
            btree_map((0..6_u8).prop_map(station), port_no(), 0..4),
            0..4,
        ),
        btree_map(
            number(),
            btree_map(
                (0..6_u8).prop_map(address),
                (0..4_u8).prop_map(neighbor),
                0..4,
            ),
            0..4,
        ),
    )
        .prop_map(
            |(
                (networks, mut joined),
                sandboxes,
                mut ports,
                published,
                mut stations,
                mut neighbors,
            )| {
                // What is in a domain needs the domain.
                joined.retain(|it| networks.contains(it));
                ports.retain(|_, it| networks.contains(&it.network));
                stations.retain(|it, _| networks.contains(it));
                neighbors.retain(|it, _| networks.contains(it));
                Observation {
                    datapath: Observed {
                        networks,
                        joined,
                        sandboxes,
                        ports,
                        published,
                    },
                    stations,
                    neighbors,
                }
            },
        )
}

fn world() -> impl Strategy<Value = World> {
    (
        [net(0), net(1), net(2)],
        btree_set(0..3_u8, 0..=3),
        observed(),
    )
        .prop_map(|(nets, kept, there)| {
            let nets = (0..).zip(nets).filter(|(n, _)| kept.contains(n));
            let nets: BTreeMap<u8, Net> = nets.collect();
            let endpoints = nets.values().flat_map(|net| net.endpoints.values());
            World {
                sandboxes: endpoints.map(|(sandbox, ..)| *sandbox).collect(),
                nets,
                there,
                next: 100,
            }
        })
}

proptest! {
    #[test]
    fn what_should_be_is_reached_and_then_nothing_is_done(mut world in world()) {
        let mut rounds = 0;
        while world.round() > 0 {
            rounds += 1;
            prop_assert!(rounds <= ROUNDS_MAX, "still not there: {world:?}");
        }
        let intent = world.intent();
        let there = &world.there.datapath;
        let numbers: BTreeSet<_> = intent.networks.values().map(|it| it.number).collect();
        prop_assert_eq!(&there.networks, &numbers);
        let sandboxes: BTreeSet<_> = there.sandboxes.keys().copied().collect();
        prop_assert_eq!(&sandboxes, &intent.sandboxes);
        prop_assert!(there.sandboxes.values().all(|life| *life == SandboxLife::Alive));
        let mut ports = 0;
        for network in intent.networks.values() {
            prop_assert!(!network.spans_more || there.joined.contains(&network.number));
            let of_peers = network.peers.iter();
            let of_peers = of_peers.map(|(it, port)| (PortOwner::Peer(*it), *port));
            let of_endpoints = network.endpoints.iter();
            let of_endpoints =
                of_endpoints.map(|(it, endpoint)| (PortOwner::Endpoint(it.clone()), endpoint.port));
            for (owner, port) in of_peers.chain(of_endpoints) {
                let WantedPort::At(port) = port else {
                    return Err(TestCaseError::fail("something still waits"));
                };
                let expected = ObservedPort { network: network.number, owner };
                prop_assert_eq!(there.ports.get(&port), Some(&expected));
                ports += 1;
            }
            let stations = world.there.stations.get(&network.number).cloned();
            let wanted = network.stations.iter().map(|(it, at)| (*it, at.unwrap()));
            prop_assert_eq!(stations.unwrap_or_default(), wanted.collect());
            let neighbors = world.there.neighbors.get(&network.number).cloned();
            prop_assert_eq!(neighbors.unwrap_or_default(), network.neighbors.clone());
        }
        prop_assert_eq!(there.ports.len(), ports, "nothing that is nobody's is left");
    }
}

#[test]
fn what_requests_are_making_is_left_alone() {
    let made = |number, owner| {
        let network = NetworkNo(number);
        (PortNo::from_u32(number), ObservedPort { network, owner })
    };
    let wanted = WantedNetwork {
        number: NetworkNo(1),
        spans_more: false,
        peers: BTreeMap::from([(address(1), WantedPort::Planned)]),
        endpoints: BTreeMap::from([(
            id(9),
            WantedEndpoint {
                sandbox: SandboxNo(1),
                port: WantedPort::Planned,
                published: vec![published(0, 1)],
            },
        )]),
        stations: BTreeMap::new(),
        neighbors: BTreeMap::new(),
    };
    let intent = Intent {
        networks: BTreeMap::from([(id(1), wanted)]),
        changing: BTreeSet::from([NetworkNo(2)]),
        makes_networks: true,
        sandboxes: BTreeSet::from([SandboxNo(1)]),
        coming_or_going: BTreeSet::from([SandboxNo(2), SandboxNo(3)]),
    };
    let mut there = Observation::default();
    there.datapath.networks = BTreeSet::from([1, 2, 3].map(NetworkNo));
    there.datapath.sandboxes = BTreeMap::from([1, 2].map(|it| (SandboxNo(it), SandboxLife::Alive)));
    there.datapath.ports = BTreeMap::from([
        made(1, PortOwner::Endpoint(id(9))),
        made(2, PortOwner::Peer(address(7))),
    ]);
    assert_eq!(reconcile(&intent, &there), []);
}
