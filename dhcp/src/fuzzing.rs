//! The body of the fuzz target `dhcp`: hostile messages, one after the other, against one server.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeSet;

use tapweave_net::{DomainName, MacAddr, PortNo, Timestamp};

use crate::{
    Addressing, Asker, ClientKey, KeptLease, Names, Pool, Reply, Server, Settings, Station, WayOut,
};

/// Most leases of a port of the server here.
pub(crate) const LEASES_OF_PORT: usize = 4;

/// A pool of the addresses from 10.0.0.100 on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) taken: BTreeSet<Ipv4Addr>,
    pub(crate) kept: Vec<KeptLease>,
    pub(crate) aside: Vec<Ipv4Addr>,
}

/// What every client of the server here gets told.
pub(crate) fn settings() -> Settings {
    let nets = ["10.0.0.1/24", "10.0.9.1/24"];
    Settings {
        gateways: nets.iter().filter_map(|net| net.parse().ok()).collect(),
        mac: MacAddr::new([2, 0, 0, 0, 0, 0xfe]),
        way_out: WayOut::Open,
        names: Names::Answered,
        resolvers_v6: "fd00::1".parse().into_iter().collect(),
        domain: DomainName::new("blue"),
        mtu: 1450,
        lease_time: Duration::from_hours(1),
        leases_of_port: LEASES_OF_PORT,
    }
}

/// The ports of the server here: one that asks, one that does not.
pub(crate) const PORTS: [PortNo; 2] = [PortNo::new(1, 0), PortNo::new(2, 0)];

/// Returns the MAC address of the endpoint at a port.
pub(crate) fn mac(port: PortNo) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | u64::from(port.to_u32()))
}

/// Returns a server with both ports, whose addresses are 10.0.0.11 and 10.0.0.12.
pub(crate) fn server() -> Server {
    let mut server = Server::new(settings());
    for (port, addressing) in PORTS
        .into_iter()
        .zip([Addressing::Asked, Addressing::Fixed])
    {
        let last = u8::try_from(10 + port.index()).unwrap_or(u8::MAX);
        let station = Station {
            mac: mac(port),
            address: Some(Ipv4Addr::new(10, 0, 0, last)),
            addressing,
            name: format!("vm{}", port.index()),
        };
        server.set_station(Timestamp::ZERO, port, station, []);
    }
    server
}

impl Pool for Addresses {
    fn take(&mut self, _: PortNo, _: &ClientKey, wanted: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let all = (100..120).map(|last| Ipv4Addr::new(10, 0, 0, last));
        let wanted = wanted.filter(|wanted| all.clone().any(|address| address == *wanted));
        let mut choice = wanted.into_iter().chain(all);
        choice.find(|address| self.taken.insert(*address))
    }

    fn take_exactly(&mut self, port: PortNo, client: &ClientKey, address: Ipv4Addr) -> bool {
        let taken = self.take(port, client, Some(address));
        if let Some(other) = taken.filter(|taken| *taken != address) {
            self.taken.remove(&other);
        }
        taken == Some(address)
    }

    fn keep(&mut self, _: PortNo, lease: &KeptLease) -> bool {
        self.kept.push(lease.clone());
        true
    }

    fn give_back(&mut self, _: PortNo, address: Ipv4Addr) {
        self.taken.remove(&address);
    }

    fn set_aside(&mut self, port: PortNo, address: Ipv4Addr) {
        self.give_back(port, address);
        self.aside.push(address);
    }
}

/// Gives `data` to a server as messages: each is behind its length, a port and whether time passes.
///
/// # Panics
///
/// When the server gives away more than it may, or what it answers is no answer.
pub fn check(mut data: &[u8]) {
    let (mut server, mut pool) = (server(), Addresses::default());
    let fixed = ClientKey::Mac(MacAddr::new([2, 0, 0, 0, 1, 1]));
    server.set_static_leases([(fixed, Ipv4Addr::new(10, 0, 0, 77))]);
    let mut now = Timestamp::from_secs(1);
    while let Some((&[high, low, with], rest)) = data.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (message, rest) = rest.split_at(len);
        data = rest;
        now = now + Duration::from_secs(u64::from(with >> 1));
        let port = PORTS[usize::from(with & 1)];
        let said = message.get(28..).and_then(<[u8]>::first_chunk);
        let mac = said.map_or_else(|| mac(port), |octets| MacAddr::new(*octets));
        let outcome = server.handle(now, Asker { port, mac }, message, &mut pool);
        if let Ok(Some(reply)) = outcome {
            check_reply(message, &reply);
        }
        if let Ok(reply) = server.handle_v6(message) {
            assert!(reply.len() < 512 && reply.first() == Some(&7));
        }
        let leases = server.leases(now);
        let pooled = leases
            .iter()
            .filter(|lease| pool.taken.contains(&lease.address));
        assert!(pooled.count() <= PORTS.len() * LEASES_OF_PORT);
        assert!(pool.taken.len() <= PORTS.len() * LEASES_OF_PORT);
    }
}

fn check_reply(message: &[u8], reply: &Reply) {
    let out = &reply.message;
    assert!((300..=1450 - 28).contains(&out.len()), "{}", out.len());
    assert_eq!(out.get(..3), Some(&[2, 1, 6][..]));
    assert_eq!(out.get(4..8), message.get(4..8));
    assert_eq!(out.get(28..34), message.get(28..34));
}
