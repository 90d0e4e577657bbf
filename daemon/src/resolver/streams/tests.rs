//! Streams against a client of the same library: both ends in memory, time jumped.

use smoltcp::socket::tcp::State;
use smoltcp::wire::IpAddress;

use super::*;

/// A client's stack.
struct Peer {
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    wire: Wire,
}

const START: Timestamp = Timestamp::from_secs(1);
const MTU: u16 = 1500;

impl Peer {
    fn connect(from: u16) -> Self {
        let mut wire = wire(MTU);
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut wire, instant(START));
        interface.update_ip_addrs(|addresses| {
            addresses
                .push(IpCidr::new(IpAddress::v4(10, 0, 0, 2), 24))
                .unwrap();
        });
        let buffer = || SocketBuffer::new(vec![0; 200_000]);
        let mut sockets = SocketSet::new(Vec::new());
        let mut socket = Socket::new(buffer(), buffer());
        socket
            .connect(interface.context(), (IpAddress::v4(10, 0, 0, 1), 53), from)
            .unwrap();
        let socket = sockets.add(socket);
        Self {
            interface,
            sockets,
            socket,
            wire,
        }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }
}

/// Both ends, and what was asked.
struct World {
    streams: Streams,
    queries: Vec<StreamQuery>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        Self {
            streams: Streams::default(),
            queries: Vec::new(),
            now: START,
        }
    }

    /// Lets packets pass until there are none.
    fn settle(&mut self, peer: &mut Peer) {
        for _ in 0..100 {
            // Acknowledgements are delayed by ten milliseconds.
            self.now = self.now + Duration::from_millis(1);
            let now = instant(self.now);
            peer.interface.poll(now, &mut peer.wire, &mut peer.sockets);
            for packet in peer.wire.take_sent() {
                let frame = [&[2, 0, 0, 0, 0, 0xfe, 2, 0, 0, 0, 0, 2, 8, 0][..], &packet].concat();
                let parsed = ParsedFrame::parse(&frame).unwrap();
                let from = (NetworkNo(1), PortNo::from_u32(1));
                self.streams
                    .handle_segment(from, &frame, &parsed, MTU, self.now);
            }
            self.queries.extend(self.streams.poll(self.now));
            for (_, frame) in self.streams.take_frames() {
                peer.wire.receive(&frame[14..]);
            }
        }
    }
}

fn message(len: usize) -> Vec<u8> {
    let mut message = u16::try_from(len).unwrap().to_be_bytes().to_vec();
    message.resize(2 + len, 7);
    message
}

#[test]
fn queries_in_pieces_and_several_at_once_are_told_apart_and_answered() {
    let (mut world, mut peer) = (World::new(), Peer::connect(40_000));
    world.settle(&mut peer);
    assert_eq!(peer.socket().state(), State::Established);
    let (first, second) = (message(100), message(50));
    peer.socket().send_slice(&first[..1]).unwrap();
    world.settle(&mut peer);
    peer.socket().send_slice(&first[1..60]).unwrap();
    world.settle(&mut peer);
    assert!(world.queries.is_empty());
    let rest = [&first[60..], &second].concat();
    peer.socket().send_slice(&rest).unwrap();
    world.settle(&mut peer);
    let lengths: Vec<usize> = world
        .queries
        .iter()
        .map(|query| query.message.len())
        .collect();
    assert_eq!(lengths, [100, 50]);
    // As long as there is.
    let answer = vec![9; 65_535];
    let stream = world.queries[0].stream;
    world.streams.answer(stream, &answer);
    world.streams.answer(stream, b"short");
    world.settle(&mut peer);
    let mut received = vec![0; 200_000];
    let len = peer.socket().recv_slice(&mut received).unwrap();
    assert_eq!(len, 2 + 65_535 + 2 + 5);
    assert_eq!(received[..4], [0xff, 0xff, 9, 9]);
    assert_eq!(received[len - 7..len], *b"\0\x05short");
    // Who has read everything ends it, and nothing is left.
    peer.socket().close();
    world.settle(&mut peer);
    assert!(world.streams.is_empty());
}

#[test]
fn who_asks_nothing_for_ten_seconds_is_closed_and_who_waits_is_not() {
    let (mut world, mut peer) = (World::new(), Peer::connect(40_000));
    world.settle(&mut peer);
    peer.socket().send_slice(&message(20)).unwrap();
    world.settle(&mut peer);
    world.now = world.now + Duration::from_secs(11);
    world.settle(&mut peer);
    assert_eq!(peer.socket().state(), State::Established);
    let stream = world.queries[0].stream;
    world.streams.answer(stream, b"answer");
    world.settle(&mut peer);
    world.now = world.now + Duration::from_secs(9);
    world.settle(&mut peer);
    assert_eq!(peer.socket().state(), State::Established);
    world.now = world.now + Duration::from_secs(2);
    world.settle(&mut peer);
    assert_eq!(peer.socket().state(), State::CloseWait);
}

#[test]
fn a_query_that_is_too_long_ends_the_connection() {
    let (mut world, mut peer) = (World::new(), Peer::connect(40_000));
    world.settle(&mut peer);
    peer.socket().send_slice(&message(60_000)).unwrap();
    world.settle(&mut peer);
    assert_eq!(peer.socket().state(), State::Closed);
    assert!(world.queries.is_empty() && world.streams.is_empty());
}

#[test]
fn a_client_has_eight_connections_and_no_more() {
    let mut world = World::new();
    let mut peers: Vec<Peer> = (0..12).map(|n| Peer::connect(40_000 + n)).collect();
    for peer in &mut peers {
        world.settle(peer);
    }
    let states = peers.iter_mut().map(|peer| peer.socket().state());
    let open = states.filter(|state| *state == State::Established).count();
    assert_eq!(open, CONNECTIONS_MAX);
}
