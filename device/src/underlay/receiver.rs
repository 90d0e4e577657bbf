//! Batches of datagrams from everybody.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::slice::ChunksExactMut;

use tapweave_net::IpProtocol;

use super::left::{self, LeftSocketError};
use super::socket::{self, Sharing, SocketBuffer};
use crate::epoll::BATCH_LEN_LIMIT;
use crate::queue::{HEADROOM, RECV_BUF_LEN};
use crate::sys::udp::{self, IntOption, RECEIVE_COUNT};

/// Bytes that may wait for the worker: about 5 ms at 10 Gb/s.
const RECEIVE_BUFFER_LEN: usize = 8 << 20;

/// Bytes of a tunnel's header in front of the inner frame, which then begins at [`HEADROOM`].
const TUNNEL_HEADER_LEN: usize = 8;

/// Where in its buffer a datagram begins.
const DATAGRAM_START: usize = HEADROOM - TUNNEL_HEADER_LEN;

/// What a receiver hears.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hearing {
    /// What is sent to this address and UDP port. There may be several, between which the kernel distributes flows.
    Port(SocketAddr),
    /// What is sent to this group and UDP port on the interface with this index. There is one receiver of it: each
    /// would get everything.
    Group(SocketAddr, u32),
    /// Packets of this protocol that are sent to this address: over IPv4 each with its IP header in front, over IPv6
    /// without. There is one receiver of it: others would get copies.
    Protocol(IpAddr, IpProtocol),
}

/// As a name that no other has.
impl fmt::Display for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(addr) => addr.fmt(f),
            Self::Group(addr, index) => write!(f, "{addr} interface {index}"),
            Self::Protocol(addr, protocol) => write!(f, "{addr} protocol {}", protocol.0),
        }
    }
}

/// Receives what is sent to one address and port. Belongs to one worker.
#[derive(Debug)]
pub struct DatagramReceiver {
    socket: OwnedFd,
    receive_buffer: SocketBuffer,
    has_gro: bool,
    /// Zeroed memory from the kernel: pages that no datagram reaches are never touched.
    memory: Box<[u8]>,
    received: Box<[udp::Received; RECEIVE_COUNT]>,
    /// How many messages to ask for.
    wanted_count: usize,
}

/// A datagram, or several of one flow that the kernel merged.
#[derive(Debug)]
pub struct Datagram<'b> {
    /// Who sent it.
    pub source: SocketAddr,
    /// TOS or Traffic Class of its outer header.
    pub class: u8,
    /// Bytes of each datagram but the last, which may be shorter.
    pub segment_len: usize,
    /// Free bytes and behind them the payload of UDP.
    pub buffer: &'b mut [u8],
    /// Where in `buffer` the payload begins.
    pub start: usize,
}

impl DatagramReceiver {
    /// Makes the socket.
    ///
    /// # Errors
    ///
    /// What the kernel said: most often that the port is in use, that the address is none of this host, of a group
    /// that there is no such interface or that the host takes part in as many as it may
    /// (`net.ipv4.igmp_max_memberships`), or of a protocol that it needs `CAP_NET_RAW`.
    pub fn open(hearing: Hearing) -> io::Result<Self> {
        let socket = match hearing {
            Hearing::Port(addr) | Hearing::Group(addr, _) => socket::open(addr, Sharing::Shared)?,
            Hearing::Protocol(addr, protocol) => socket::open_raw(addr, protocol)?,
        };
        Self::prepare(socket, hearing)
    }

    /// Binds to `addr`, which other receivers of this process may have too.
    ///
    /// # Errors
    ///
    /// As [`DatagramReceiver::open`].
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        Self::open(Hearing::Port(addr))
    }

    /// Takes the one socket that an earlier daemon has made for the same, with what waits in it.
    ///
    /// # Errors
    ///
    /// When it is another one, there are several, or the kernel refuses what a new one would be set to. Then they are
    /// closed.
    pub fn adopt(sockets: Vec<OwnedFd>, hearing: Hearing) -> Result<Self, LeftSocketError> {
        let [socket] = left::exactly(sockets)?;
        match hearing {
            Hearing::Port(addr) | Hearing::Group(addr, _) => {
                left::check_udp(&socket, addr, Sharing::Shared)?;
            }
            Hearing::Protocol(addr, protocol) => left::check_raw(&socket, addr, protocol)?,
        }
        Ok(Self::prepare(socket, hearing)?)
    }

    /// Sets what a socket needs to hear this, whether it has it already or not.
    fn prepare(socket: OwnedFd, hearing: Hearing) -> io::Result<Self> {
        let (addr, group) = match hearing {
            Hearing::Protocol(addr, _) => return Self::new(socket, addr, false),
            Hearing::Port(addr) => (addr, None),
            Hearing::Group(addr, index) => (addr, Some(index)),
        };
        if addr.is_ipv6() {
            // As every tunnel's end may (RFC 6936 §5): what matters inside has checksums of its own.
            IntOption::NO_CHECKSUM.set(socket.as_fd(), 1)?;
        }
        // Without it (before Linux 5.0) datagrams come one by one.
        let has_gro = IntOption::GRO.set(socket.as_fd(), 1).is_ok();
        if let Some(index) = group {
            join(&socket, addr.ip(), index)?;
        }
        Self::new(socket, addr.ip(), has_gro)
    }

    fn new(socket: OwnedFd, addr: IpAddr, has_gro: bool) -> io::Result<Self> {
        let receive_buffer = socket::size(
            &socket,
            IntOption::RECEIVE_BUFFER_FORCE,
            IntOption::RECEIVE_BUFFER,
            RECEIVE_BUFFER_LEN,
        )?;
        let class = match addr {
            IpAddr::V4(_) => IntOption::RECEIVE_TOS,
            IpAddr::V6(_) => IntOption::RECEIVE_CLASS,
        };
        class.set(socket.as_fd(), 1)?;
        Ok(Self {
            socket,
            receive_buffer,
            has_gro,
            memory: vec![0; RECEIVE_COUNT * RECV_BUF_LEN].into_boxed_slice(),
            received: Box::new([udp::Received::default(); RECEIVE_COUNT]),
            wanted_count: RECEIVE_COUNT,
        })
    }

    /// Returns the size of the socket's receive buffer.
    pub const fn receive_buffer(&self) -> SocketBuffer {
        self.receive_buffer
    }

    /// Tells whether the kernel merges datagrams for us.
    pub const fn has_gro(&self) -> bool {
        self.has_gro
    }

    /// Takes what waits, without waiting, and returns it in the order in which it came. Nothing waited
    /// when that is empty; [`Datagrams::is_full`] tells that more may wait.
    ///
    /// # Errors
    ///
    /// What the kernel said, which is of no lasting meaning for a socket that is not connected.
    pub fn receive(&mut self) -> io::Result<Datagrams<'_>> {
        let wanted_count = self.wanted_count;
        let memory = self.memory.get_mut(..wanted_count * RECV_BUF_LEN);
        let count = match udp::receive(
            self.socket.as_fd(),
            memory.unwrap_or_default(),
            RECV_BUF_LEN,
            DATAGRAM_START,
            &mut self.received,
        ) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let received = self.received.get(..count).unwrap_or_default();
        let len: usize = received.iter().map(|message| message.len).sum();
        if let Some(mean_len) = len.checked_div(count) {
            self.wanted_count = count_for(mean_len);
        }
        Ok(Datagrams {
            buffers: self.memory.chunks_exact_mut(RECV_BUF_LEN),
            received: received.iter(),
            is_full: count == wanted_count,
            len,
        })
    }
}

impl AsFd for DatagramReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Has a socket hear a group on one interface.
fn join(socket: &OwnedFd, group: IpAddr, index: u32) -> io::Result<()> {
    let socket = socket.as_fd();
    // Every interface is heard otherwise on which anybody has joined.
    match group {
        IpAddr::V4(_) => IntOption::ALL_GROUPS_V4.set(socket, 0)?,
        IpAddr::V6(_) => {
            let _before_linux_4_20 = IntOption::ALL_GROUPS_V6.set(socket, 0);
        }
    }
    match udp::join_group(socket, group, index) {
        // It is a member already.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        outcome => outcome,
    }
}

/// What one [`DatagramReceiver::receive`] took.
#[derive(Debug)]
pub struct Datagrams<'b> {
    buffers: ChunksExactMut<'b, u8>,
    received: std::slice::Iter<'b, udp::Received>,
    is_full: bool,
    len: usize,
}

impl Datagrams<'_> {
    /// Tells whether there were as many as one call takes.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Returns the bytes of all of them.
    pub const fn total_len(&self) -> usize {
        self.len
    }
}

/// Returns how many messages to ask for where the last were `mean_len` bytes long: as many as lie in the
/// core's second-level cache until they are written.
fn count_for(mean_len: usize) -> usize {
    let count = BATCH_LEN_LIMIT.checked_div(mean_len);
    count.map_or(RECEIVE_COUNT, |count| count.clamp(1, RECEIVE_COUNT))
}

impl<'b> Iterator for Datagrams<'b> {
    type Item = Datagram<'b>;

    fn next(&mut self) -> Option<Datagram<'b>> {
        loop {
            let (received, buffer) = (self.received.next()?, self.buffers.next()?);
            let end = DATAGRAM_START + received.len;
            // Longer than UDP allows, or from nobody: neither happens.
            let (Some(source), false) = (received.source, received.is_truncated) else {
                continue;
            };
            return Some(Datagram {
                source,
                class: received.class,
                segment_len: received.segment_len.unwrap_or(received.len),
                buffer: buffer.get_mut(..end).unwrap_or_default(),
                start: DATAGRAM_START,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::underlay::{IpFields, UnderlaySender};

    /// Receives for a while until something came.
    fn receive(receiver: &mut DatagramReceiver) -> Vec<(Vec<u8>, usize, u8, SocketAddr)> {
        let fd = receiver.as_fd();
        let mut polled = [rustix::event::PollFd::new(
            &fd,
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut polled, None).unwrap();
        let datagrams = receiver.receive().unwrap();
        datagrams
            .map(|datagram| {
                let payload = datagram.buffer[datagram.start..].to_vec();
                (
                    payload,
                    datagram.segment_len,
                    datagram.class,
                    datagram.source,
                )
            })
            .collect()
    }

    #[test]
    fn what_one_end_sends_as_a_run_the_other_receives_as_a_run_with_its_class() {
        for (local, port) in [
            (IpAddr::V4(Ipv4Addr::LOCALHOST), 48_789),
            (IpAddr::V6(Ipv6Addr::LOCALHOST), 48_790),
        ] {
            let to = SocketAddr::new(local, port);
            let mut receiver = DatagramReceiver::bind(to).unwrap();
            let sender = UnderlaySender::new(local, 64).unwrap();
            let parts = [&b"abc"[..], b"def", b"ghi", b"jkl", b"m", b"n"].map(IoSlice::new);
            let fields = IpFields {
                class: 2,
                hop_limit: 64,
            };
            sender.send_run(1, to, fields, 6, &parts).unwrap();
            let mut bytes = Vec::new();
            while bytes.len() < 14 {
                for (payload, segment_len, class, source) in receive(&mut receiver) {
                    assert!(payload.len() <= 6 || segment_len == 6);
                    assert_eq!((class, source.ip()), (2, local));
                    bytes.extend(payload);
                }
            }
            assert_eq!(bytes, b"abcdefghijklmn");
            assert_eq!(receiver.receive().unwrap().count(), 0);
        }
    }

    #[test]
    fn short_datagrams_come_sixty_four_at_a_time_and_long_ones_a_few() {
        let mut receiver = DatagramReceiver::bind("127.0.0.1:48792".parse().unwrap()).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect("127.0.0.1:48792").unwrap();
        let long = vec![0; 60_000];
        let mut counts = Vec::new();
        for (len, count) in [(10, 70), (60_000, 3)] {
            for _ in 0..count {
                sender.send(&long[..len]).unwrap();
            }
            loop {
                let datagrams = receiver.receive().unwrap();
                let (is_full, total_len) = (datagrams.is_full(), datagrams.total_len());
                let taken_count = datagrams.count();
                assert_eq!(total_len, taken_count * len);
                counts.push((taken_count, is_full));
                if !is_full {
                    break;
                }
            }
        }
        // The first of the long ones is met before it is known that they are long.
        assert_eq!(counts[..3], [(64, true), (6, false), (3, false)]);
        assert_eq!(receiver.wanted_count, 4);
    }

    #[test]
    fn what_waits_in_a_socket_is_received_by_who_takes_it_over() {
        let addr: SocketAddr = "127.0.0.1:48793".parse().unwrap();
        let first = DatagramReceiver::bind(addr).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"waits", addr).unwrap();
        let left =
            |receiver: &DatagramReceiver| vec![receiver.as_fd().try_clone_to_owned().unwrap()];
        let held = left(&first);
        drop(first);
        let mut next = DatagramReceiver::adopt(held, Hearing::Port(addr)).unwrap();
        let received = receive(&mut next);
        assert_eq!(received[0].0, b"waits");
        assert_eq!(received[0].3, sender.local_addr().unwrap());
        assert_eq!(next.receive_buffer().asked_len, RECEIVE_BUFFER_LEN);
        let other = Hearing::Port("127.0.0.1:48794".parse().unwrap());
        DatagramReceiver::adopt(left(&next), other).unwrap_err();
        let raw = Hearing::Protocol(addr.ip(), IpProtocol::IPV4);
        DatagramReceiver::adopt(left(&next), raw).unwrap_err();
    }

    #[test]
    fn a_member_of_a_group_is_one_once_more() {
        let loopback = 1;
        let group = Hearing::Group("239.1.1.9:48797".parse().unwrap(), loopback);
        let first = DatagramReceiver::open(group).unwrap();
        let held = first.as_fd().try_clone_to_owned().unwrap();
        drop(first);
        DatagramReceiver::adopt(vec![held], group).unwrap();
    }

    #[test]
    fn what_is_heard_has_a_name_of_its_own() {
        let addr: SocketAddr = "[2001:db8::1]:4789".parse().unwrap();
        let group = "239.1.1.1:4789".parse().unwrap();
        let names = [
            Hearing::Port(addr),
            Hearing::Group(group, 2),
            Hearing::Protocol(addr.ip(), IpProtocol::IPV6),
        ]
        .map(|hearing| hearing.to_string());
        assert_eq!(
            names,
            [
                "[2001:db8::1]:4789",
                "239.1.1.1:4789 interface 2",
                "2001:db8::1 protocol 41"
            ]
        );
    }

    #[test]
    fn several_receivers_share_a_port_and_a_foreign_socket_does_not() {
        let addr = "127.0.0.1:48791".parse().unwrap();
        let _first = DatagramReceiver::bind(addr).unwrap();
        let _second = DatagramReceiver::bind(addr).unwrap();
        std::net::UdpSocket::bind(addr).unwrap_err();
    }
}
