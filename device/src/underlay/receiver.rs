//! Batches of datagrams from everybody.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::slice::ChunksExactMut;

use tapweave_net::IpProtocol;

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
    /// Binds to `addr`, which other receivers of this process may have too.
    ///
    /// # Errors
    ///
    /// What the kernel said: most often that the port is in use, or that the address is none of this
    /// host.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = socket::open(addr, Sharing::Shared)?;
        if addr.is_ipv6() {
            // As every tunnel's end may (RFC 6936 §5): what matters inside has checksums of its own.
            IntOption::NO_CHECKSUM.set(socket.as_fd(), 1)?;
        }
        // Without it (before Linux 5.0) datagrams come one by one.
        let has_gro = IntOption::GRO.set(socket.as_fd(), 1).is_ok();
        Self::new(socket, addr.ip(), has_gro)
    }

    /// Receives what is sent to a group on the interface with this index, and to this port. There is one receiver
    /// a group and port: each would get everything.
    ///
    /// # Errors
    ///
    /// What the kernel said: most often that there is no such interface, or that the host takes part in as many
    /// groups as it may (`net.ipv4.igmp_max_memberships`).
    pub fn join(group: SocketAddr, index: u32) -> io::Result<Self> {
        let receiver = Self::bind(group)?;
        let socket = receiver.socket.as_fd();
        // Every interface is heard otherwise on which anybody has joined.
        match group {
            SocketAddr::V4(_) => IntOption::ALL_GROUPS_V4.set(socket, 0)?,
            SocketAddr::V6(_) => {
                let _before_linux_4_20 = IntOption::ALL_GROUPS_V6.set(socket, 0);
            }
        }
        udp::join_group(socket, group.ip(), index)?;
        Ok(receiver)
    }

    /// Receives packets of this protocol that are sent to `addr`: over IPv4 each with its IP header in
    /// front, over IPv6 without. There is one receiver a protocol and address: others would get copies.
    ///
    /// # Errors
    ///
    /// What the kernel said: most often that it needs `CAP_NET_RAW`.
    pub fn bind_raw(addr: IpAddr, protocol: IpProtocol) -> io::Result<Self> {
        Self::new(socket::open_raw(addr, protocol)?, addr, false)
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
    fn several_receivers_share_a_port_and_a_foreign_socket_does_not() {
        let addr = "127.0.0.1:48791".parse().unwrap();
        let _first = DatagramReceiver::bind(addr).unwrap();
        let _second = DatagramReceiver::bind(addr).unwrap();
        std::net::UdpSocket::bind(addr).unwrap_err();
    }
}
