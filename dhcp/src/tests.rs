//! Conversations: messages by `dhcproto`, which reads the answers too.

mod hostile;
mod leases;
mod options;
mod static_leases;
mod v6;

use core::net::Ipv4Addr;
use core::time::Duration;

use dhcproto::v4::{self, DhcpOption, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use tapweave_net::{MacAddr, PortNo, Timestamp};

use crate::fuzzing::{Addresses, PORTS, mac, server};
use crate::{Asker, Refusal, Reply, ReplyTo, Server};

/// The port that asks, and whose address is fixed.
const ASKED: PortNo = PORTS[0];
const FIXED: PortNo = PORTS[1];
/// The address of [`ASKED`]'s endpoint.
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The first of the pool.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const HOUR: Duration = Duration::from_hours(1);

/// A server and what is around it.
struct World {
    server: Server,
    pool: Addresses,
    now: Timestamp,
    port: PortNo,
}

/// An answer as its client reads it.
#[derive(Debug)]
struct Read {
    reply: Reply,
    message: v4::Message,
}

impl World {
    fn new(port: PortNo) -> Self {
        Self {
            server: server(),
            pool: Addresses::default(),
            now: Timestamp::from_secs(1),
            port,
        }
    }

    fn say(&mut self, message: &v4::Message) -> Result<Option<Read>, Refusal> {
        let bytes = message.to_vec().unwrap();
        let octets: [u8; 6] = message.chaddr().try_into().unwrap();
        self.say_bytes(MacAddr::new(octets), &bytes)
    }

    fn say_bytes(&mut self, mac: MacAddr, bytes: &[u8]) -> Result<Option<Read>, Refusal> {
        let asker = Asker {
            port: self.port,
            mac,
        };
        let reply = self.server.handle(self.now, asker, bytes, &mut self.pool)?;
        Ok(reply.map(|reply| Read {
            message: v4::Message::decode(&mut Decoder::new(&reply.message)).unwrap(),
            reply,
        }))
    }

    /// Asks until there is a lease.
    fn acquire(&mut self, client: MacAddr) -> Ipv4Addr {
        let offer = self.say(&discover(client)).unwrap().unwrap();
        assert_eq!(offer.kind(), MessageType::Offer);
        let address = offer.message.yiaddr();
        let ack = self.say(&select(client, address)).unwrap().unwrap();
        assert_eq!(ack.kind(), MessageType::Ack);
        assert_eq!(ack.message.yiaddr(), address);
        address
    }

    fn addresses(&self) -> Vec<Ipv4Addr> {
        let leases = self.server.leases(self.now);
        leases.iter().map(|lease| lease.address).collect()
    }
}

impl Read {
    fn kind(&self) -> MessageType {
        self.message.opts().msg_type().unwrap()
    }

    fn option(&self, code: OptionCode) -> Option<&DhcpOption> {
        self.message.opts().get(code)
    }
}

fn message(client: MacAddr, kind: MessageType) -> v4::Message {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = v4::Message::new_with_id(7, none, none, none, none, &client.octets());
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message
}

fn discover(client: MacAddr) -> v4::Message {
    message(client, MessageType::Discover)
}

fn request(client: MacAddr, address: Ipv4Addr) -> v4::Message {
    let mut message = message(client, MessageType::Request);
    let requested = DhcpOption::RequestedIpAddress(address);
    message.opts_mut().insert(requested);
    message
}

/// Takes an offer of the server.
fn select(client: MacAddr, address: Ipv4Addr) -> v4::Message {
    let mut message = request(client, address);
    let server = DhcpOption::ServerIdentifier(SERVER);
    message.opts_mut().insert(server);
    message
}

fn renew(client: MacAddr, address: Ipv4Addr) -> v4::Message {
    let mut message = message(client, MessageType::Request);
    message.set_ciaddr(address);
    message
}

/// Returns one of the machines behind a port.
fn behind(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 1, number])
}

#[test]
fn an_endpoint_gets_its_address_and_no_other() {
    let mut world = World::new(ASKED);
    assert_eq!(world.acquire(mac(ASKED)), OWN);
    let leases = world.server.leases(world.now);
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].remaining(world.now), HOUR);
    assert!(world.pool.taken.is_empty() && world.pool.kept.is_empty());
    let other = world.say(&select(mac(ASKED), FIRST)).unwrap().unwrap();
    assert_eq!(other.kind(), MessageType::Nak);
    assert_eq!(other.reply.to, ReplyTo::Everybody);
}

#[test]
fn an_endpoint_whose_address_is_fixed_gets_no_answer_but_to_inform() {
    let mut world = World::new(FIXED);
    let own = Ipv4Addr::new(10, 0, 0, 12);
    let client = mac(FIXED);
    for message in [discover(client), request(client, own), renew(client, own)] {
        assert_eq!(world.say(&message).unwrap_err(), Refusal::Fixed);
    }
    let mut inform = message(client, MessageType::Inform);
    inform.set_ciaddr(own);
    let ack = world.say(&inform).unwrap().unwrap();
    assert_eq!(ack.kind(), MessageType::Ack);
    assert_eq!(ack.message.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(ack.option(OptionCode::AddressLeaseTime), None);
    assert_eq!(ack.reply.to, ReplyTo::Station(client, own));
    assert_eq!(world.server.stats().refusals[&Refusal::Fixed], 3);
}

#[test]
fn answers_go_where_the_client_can_hear_them() {
    let mut world = World::new(ASKED);
    let client = mac(ASKED);
    let offer = world.say(&discover(client)).unwrap().unwrap();
    assert_eq!(offer.reply.to, ReplyTo::Station(client, OWN));
    assert_eq!(offer.reply.server, SERVER);
    let mut loud = discover(client);
    loud.set_flags(v4::Flags::default().set_broadcast());
    let offer = world.say(&loud).unwrap().unwrap();
    assert_eq!(offer.reply.to, ReplyTo::Everybody);
    assert!(offer.message.flags().broadcast());
    let mut renewing = renew(client, OWN);
    renewing.set_flags(v4::Flags::default().set_broadcast());
    let ack = world.say(&renewing).unwrap().unwrap();
    assert_eq!(ack.reply.to, ReplyTo::Station(client, OWN));
    assert_eq!(ack.message.ciaddr(), OWN);
}

#[test]
fn a_client_that_was_elsewhere_is_told_at_once() {
    let mut world = World::new(ASKED);
    let elsewhere = Ipv4Addr::new(192, 168, 7, 7);
    for client in [mac(ASKED), behind(1)] {
        for message in [request(client, elsewhere), renew(client, elsewhere)] {
            let nak = world.say(&message).unwrap().unwrap();
            assert_eq!(nak.kind(), MessageType::Nak);
            assert_eq!(nak.message.yiaddr(), Ipv4Addr::UNSPECIFIED);
            let server = nak.option(OptionCode::ServerIdentifier);
            assert_eq!(server, Some(&DhcpOption::ServerIdentifier(SERVER)));
        }
    }
    assert!(world.pool.taken.is_empty());
}
