//! Queries in TCP streams (RFC 7766), which end here.
//!
//! Each client, which is a pair of addresses at a port, has a stack of `smoltcp` of its own: its answers go back where its
//! segments came from and nowhere else, and nothing is left of it once its last connection has ended. A port may have so
//! many clients and each so many connections; who asks for more gets no answer to its SYN, and comes back. A connection
//! on which nothing is asked and nothing has to be answered for ten seconds is closed (§6.2.3).
//!
//! Segments come as super-frames and with checksums left to do, which the stack takes as they are: what it may send is
//! bounded by the MTU, what it is sent only by its window.

mod connection;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};
use tapweave_net::{FlowKey, NetworkNo, ParsedFrame, PortNo, Timestamp};

use self::connection::Connection;
use super::datagram::LinkHeader;
use crate::wire::Wire;

/// Connections of one client.
const CONNECTIONS_MAX: usize = 8;

/// Clients of one port.
const CLIENTS_OF_PORT: usize = 8;

/// Clients of all ports, each with up to 200 KB of buffers.
const CLIENTS_MAX: usize = 256;

/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(10);

/// How long the peer of a connection that is not idle may say nothing: it is gone, or never was there.
const SILENCE: Duration = Duration::from_secs(30);

/// Bytes of queries that wait to be read.
const RECEIVE_LEN: usize = 4096;

/// Bytes of answers that wait to be acknowledged.
const SEND_LEN: usize = 16 * 1024;

const DNS_PORT: u16 = 53;

/// Names one connection, for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct StreamNo(u64);

/// A query that came in a stream.
#[derive(Debug)]
pub(super) struct StreamQuery {
    pub(super) network: NetworkNo,
    pub(super) port: PortNo,
    pub(super) stream: StreamNo,
    pub(super) message: Vec<u8>,
}

/// Whose connections are kept together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct ClientKey {
    network: NetworkNo,
    port: PortNo,
    link: LinkHeader,
    client: IpAddr,
    gateway: IpAddr,
}

struct Client {
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<(SocketHandle, Connection)>,
    wire: Wire,
}

/// All streams.
#[derive(Default)]
pub(super) struct Streams {
    clients: BTreeMap<ClientKey, Client>,
    last: u64,
    frames: Vec<(PortNo, Vec<u8>)>,
}

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Takes note of a segment in a frame from a port of a network. What comes of it is for [`Streams::poll`].
    pub(super) fn handle_segment(
        &mut self,
        from: (NetworkNo, PortNo),
        frame: &[u8],
        parsed: &ParsedFrame,
        mtu: u16,
        now: Timestamp,
    ) {
        let Some(key) = key(from, frame, parsed) else {
            return;
        };
        let bytes = frame.get(parsed.l3_offset()..parsed.l3_end());
        let Some(bytes) = bytes else {
            return;
        };
        if !self.clients.contains_key(&key) {
            let of_port = self.clients.keys().filter(|known| known.port == key.port);
            if self.clients.len() >= CLIENTS_MAX || of_port.count() >= CLIENTS_OF_PORT {
                return;
            }
            let client = Client::new(key.gateway, mtu, seed(), now);
            self.clients.insert(key.clone(), client);
        }
        if let Some(client) = self.clients.get_mut(&key) {
            client.listen(&mut self.last, now);
            client.wire.receive(bytes);
            // Each at once: a second one could find the listener taken by the first.
            client.turn(now);
        }
    }

    /// Moves everything on; returns what was asked.
    pub(super) fn poll(&mut self, now: Timestamp) -> Vec<StreamQuery> {
        let mut queries = Vec::new();
        let frames = &mut self.frames;
        self.clients.retain(|key, client| {
            let asked = client.poll(now).into_iter();
            queries.extend(asked.map(|(stream, message)| StreamQuery {
                network: key.network,
                port: key.port,
                stream,
                message,
            }));
            let sent = client.wire.take_sent().into_iter();
            frames.extend(sent.map(|packet| (key.port, key.link.frame(&packet))));
            client.has_connections()
        });
        queries
    }

    /// Returns the frames that are to be sent.
    pub(super) fn take_frames(&mut self) -> Vec<(PortNo, Vec<u8>)> {
        core::mem::take(&mut self.frames)
    }

    /// Gives an answer to a stream, if it is still there. It is sent by [`Streams::poll`].
    pub(super) fn answer(&mut self, stream: StreamNo, answer: &[u8]) {
        let clients = self.clients.values_mut();
        let mut connections = clients.flat_map(|client| &mut client.connections);
        if let Some((_, connection)) = connections.find(|(_, known)| known.no == stream) {
            connection.answer(answer);
        }
    }

    /// Returns after how long [`Streams::poll`] is due without anything that happens; `None` for never.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Duration> {
        let clients = self.clients.values_mut();
        clients.map(|client| client.due(now)).min()
    }

    /// Ends the streams of a network.
    pub(super) fn forget(&mut self, network: NetworkNo) {
        self.clients.retain(|key, _| key.network != network);
    }
}

impl Client {
    fn new(gateway: IpAddr, mtu: u16, seed: u64, now: Timestamp) -> Self {
        let mut wire = wire(mtu);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, instant(now));
        interface.update_ip_addrs(|addresses| {
            // There is room. Everybody is on the link.
            let _full = addresses.push(IpCidr::new(gateway.into(), 0));
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            connections: Vec::new(),
            wire,
        }
    }

    /// Makes sure that a connection can begin, unless there are too many.
    fn listen(&mut self, last: &mut u64, now: Timestamp) {
        let mut sockets = self.connections.iter();
        let is_listening = sockets.any(|(handle, _)| {
            let socket = self.sockets.get::<Socket<'_>>(*handle);
            socket.is_listening()
        });
        if is_listening || self.connections.len() >= CONNECTIONS_MAX {
            return;
        }
        let buffer = |len| SocketBuffer::new(vec![0; len]);
        let mut socket = Socket::new(buffer(RECEIVE_LEN), buffer(SEND_LEN));
        socket.set_timeout(Some(SILENCE.into()));
        socket.set_nagle_enabled(false);
        if socket.listen(DNS_PORT).is_ok() {
            *last += 1;
            let connection = Connection::new(StreamNo(*last), now);
            self.connections
                .push((self.sockets.add(socket), connection));
        }
    }

    fn turn(&mut self, now: Timestamp) {
        let _changed = self
            .interface
            .poll(instant(now), &mut self.wire, &mut self.sockets);
    }

    fn poll(&mut self, now: Timestamp) -> Vec<(StreamNo, Vec<u8>)> {
        self.turn(now);
        let mut queries = Vec::new();
        for (handle, connection) in &mut self.connections {
            let socket = self.sockets.get_mut::<Socket<'_>>(*handle);
            let messages = connection.poll(socket, now).into_iter();
            queries.extend(messages.map(|message| (connection.no, message)));
        }
        self.turn(now);
        let sockets = &mut self.sockets;
        self.connections.retain(|(handle, _)| {
            let is_open = sockets.get::<Socket<'_>>(*handle).is_open();
            if !is_open {
                sockets.remove(*handle);
            }
            is_open
        });
        queries
    }

    /// Tells whether there are connections, beside one that could begin.
    fn has_connections(&self) -> bool {
        let mut handles = self.connections.iter().map(|(handle, _)| handle);
        handles.any(|handle| self.sockets.get::<Socket<'_>>(*handle).is_active())
    }

    fn due(&mut self, now: Timestamp) -> Duration {
        let delay = self.interface.poll_delay(instant(now), &self.sockets);
        let connections = self.connections.iter();
        let idle = connections.map(|(_, connection)| connection.idle_left(now));
        let stack = delay.map_or(Duration::MAX, Duration::from);
        idle.min().unwrap_or(Duration::MAX).min(stack)
    }
}

/// Returns whose a packet is.
fn key(
    (network, port): (NetworkNo, PortNo),
    frame: &[u8],
    parsed: &ParsedFrame,
) -> Option<ClientKey> {
    let (client, gateway) = match *parsed.flow() {
        FlowKey::V4 { src, dst, .. } => (IpAddr::V4(src), IpAddr::V4(dst)),
        FlowKey::V6 { src, dst, .. } => (IpAddr::V6(src), IpAddr::V6(dst)),
        FlowKey::Link { .. } => return None,
    };
    Some(ClientKey {
        network,
        port,
        link: LinkHeader::turned(frame, parsed.l3_offset())?,
        client,
        gateway,
    })
}

/// Returns what sequence numbers begin at; without random numbers they could be guessed by the client itself only.
fn seed() -> u64 {
    let mut seed = [0; 8];
    let _fallible = getrandom::fill(&mut seed);
    u64::from_ne_bytes(seed)
}

/// Returns the device of a stack that reads and writes packets of IP.
fn wire(mtu: u16) -> Wire {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = usize::from(mtu);
    // What comes was verified, as far as its sender did not leave that to do.
    capabilities.checksum.tcp = Checksum::Tx;
    Wire::new(capabilities)
}

fn instant(now: Timestamp) -> Instant {
    Instant::from_micros(i64::try_from(now.as_nanos() / 1000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
