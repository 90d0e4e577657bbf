//! Runs of datagrams to peers.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use thiserror::Error;
use tracing::warn;

use super::ip_fields::IpFields;
use super::left::{self, LeftSocketError};
use super::segmentation::Segmentation;
use super::socket::{self, Sharing, SocketBuffer};
use crate::sys::udp::{self, Ancillary};

/// Source ports that flows are spread over, a power of two. Each is a socket; what 16 of them give
/// (the way with the fewest flows of 16 gets 60 % of its share at 100 flows) is enough for the few paths
/// and queues that an underlay has.
pub const PORT_COUNT: usize = 16;

/// The dynamic ports begin here (RFC 6335 §6).
const FIRST_DYNAMIC_PORT: u16 = 49_152;

/// A payload is a header and what is behind it.
pub(super) const PARTS_EACH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Bytes that may wait in the kernel for the device.
pub(super) const SEND_BUFFER_LEN: usize = 4 << 20;

const ASKED_BUFFER: SocketBuffer = SocketBuffer {
    asked_len: SEND_BUFFER_LEN,
    granted_len: SEND_BUFFER_LEN,
};

/// Why datagrams were not sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransmitError {
    /// The path to the peer takes only smaller ones.
    #[error("the datagram is larger than the path takes")]
    TooBig,
    /// The socket or the device takes no more at the moment.
    #[error("the socket's buffer is full")]
    Full,
    /// There is no way to the peer, or the device is down.
    #[error("the peer cannot be reached")]
    Unreachable(#[source] io::Error),
    /// Something else.
    #[error("the socket failed")]
    Failed(#[source] io::Error),
}

/// Sends from one address. Shared by all workers.
#[derive(Debug)]
pub struct UnderlaySender {
    local: IpAddr,
    hop_limit: u8,
    sockets: Vec<OwnedFd>,
    send_buffer: SocketBuffer,
    segmentation: Segmentation,
}

impl UnderlaySender {
    /// Makes the sockets. `hop_limit` is the usual TTL or Hop Limit, which costs nothing to say. What is sent to
    /// a group does not come back to members on this host.
    ///
    /// # Errors
    ///
    /// What the kernel said: most often that `local` is no address of this host.
    pub fn new(local: IpAddr, hop_limit: u8) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(PORT_COUNT);
        let mut send_buffer = ASKED_BUFFER;
        let mut ports = FIRST_DYNAMIC_PORT..=u16::MAX;
        while sockets.len() < PORT_COUNT {
            let port = ports.next().ok_or(Errno::ADDRINUSE)?;
            let socket = match socket::open(SocketAddr::new(local, port), Sharing::Exclusive) {
                Ok(socket) => socket,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue,
                Err(error) => return Err(error),
            };
            send_buffer = socket::prepare_sender(&socket, local, hop_limit, SEND_BUFFER_LEN)?;
            sockets.push(socket);
        }
        Ok(Self::of_sockets(sockets, local, hop_limit, send_buffer))
    }

    /// Takes the sockets of the sender that an earlier daemon had at the same address, in the order of
    /// [`UnderlaySender::fds`]: a flow that takes the same of them has the port that it had.
    ///
    /// # Errors
    ///
    /// When they are others, or the kernel refuses what new ones would be set to. They are closed then.
    pub fn adopt(
        sockets: Vec<OwnedFd>,
        local: IpAddr,
        hop_limit: u8,
    ) -> Result<Self, LeftSocketError> {
        let sockets = left::exactly::<PORT_COUNT>(sockets)?;
        let mut send_buffer = ASKED_BUFFER;
        for socket in &sockets {
            left::check_udp(socket, SocketAddr::new(local, 0), Sharing::Exclusive)?;
            send_buffer = socket::prepare_sender(socket, local, hop_limit, SEND_BUFFER_LEN)?;
        }
        Ok(Self::of_sockets(
            sockets.into(),
            local,
            hop_limit,
            send_buffer,
        ))
    }

    fn of_sockets(
        sockets: Vec<OwnedFd>,
        local: IpAddr,
        hop_limit: u8,
        send_buffer: SocketBuffer,
    ) -> Self {
        Self {
            local,
            hop_limit,
            segmentation: Segmentation::of_kernel(&sockets),
            sockets,
            send_buffer,
        }
    }

    /// Returns the sockets, each with a source port.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd).collect()
    }

    /// Sends to groups out of the interface with this index.
    ///
    /// # Errors
    ///
    /// What the kernel said, such as that there is no such interface.
    pub fn set_group_interface(&self, index: u32) -> io::Result<()> {
        let mut sockets = self.sockets.iter();
        sockets.try_for_each(|socket| udp::set_group_interface(socket.as_fd(), self.local, index))
    }

    /// Returns the address that datagrams come from.
    pub const fn local(&self) -> IpAddr {
        self.local
    }

    /// Returns the size of each socket's send buffer.
    pub const fn send_buffer(&self) -> SocketBuffer {
        self.send_buffer
    }

    /// Tells whether the kernel cuts messages into datagrams for us.
    pub fn has_segmentation(&self) -> bool {
        self.segmentation.is_on()
    }

    /// Returns what the kernel or the device answered instead of cutting; `None` while that works.
    pub fn segmentation_refusal(&self) -> Option<io::Error> {
        self.segmentation.refusal()
    }

    /// Returns the largest IP packet that the path to `peer` takes, as far as the kernel knows. Takes
    /// some system calls. `peer` is no group: what is sent to one has the path of an interface.
    ///
    /// # Errors
    ///
    /// What the kernel said, such as that there is no route.
    pub fn path_mtu(&self, peer: SocketAddr) -> io::Result<u16> {
        socket::path_mtu(self.local, peer)
    }

    /// Sends one datagram, which is `parts` one after the other. `flow` chooses the source port.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`].
    pub fn send(
        &self,
        flow: u16,
        to: SocketAddr,
        fields: IpFields,
        parts: &[IoSlice<'_>],
    ) -> Result<(), TransmitError> {
        let ancillary = fields.ancillary(self.hop_limit, to.ip(), None);
        let sent = udp::send(self.socket(flow)?, to, ancillary, parts);
        sent.map_err(transmit_error)
    }

    /// Sends several datagrams of which each is two of `parts`. All but the last are `segment_len` bytes
    /// long, which is not zero; there are at most 64, together at most 65,507 bytes.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`]. If they had to be sent one by one, the error is that of the first.
    pub fn send_run(
        &self,
        flow: u16,
        to: SocketAddr,
        fields: IpFields,
        segment_len: u16,
        parts: &[IoSlice<'_>],
    ) -> Result<(), TransmitError> {
        let socket = self.socket(flow)?;
        let one = fields.ancillary(self.hop_limit, to.ip(), None);
        if self.has_segmentation() {
            let run = Ancillary {
                segment_len: Some(segment_len),
                ..one
            };
            match udp::send(socket, to, run, parts) {
                Err(error) if is_refusal_to_cut(&error) => {
                    if self.is_beyond_path(to, segment_len) {
                        return Err(TransmitError::TooBig);
                    }
                    if self.segmentation.refuse(&error) {
                        warn!(local = %self.local, %error, "the underlay cannot cut messages into datagrams: each is sent by itself");
                    }
                }
                outcome => return outcome.map_err(transmit_error),
            }
        }
        // What is lost behind the first is lost as on a wire: who needs it asks again.
        udp::send_each(socket, to, one, parts, PARTS_EACH).map_err(transmit_error)
    }

    /// Tells whether datagrams of `len` bytes are larger than the path takes, so that nothing is wrong
    /// with the device.
    #[cold]
    fn is_beyond_path(&self, to: SocketAddr, len: u16) -> bool {
        let headers_len = match to {
            SocketAddr::V4(_) => 20 + 8,
            SocketAddr::V6(_) => 40 + 8,
        };
        self.path_mtu(to)
            .is_ok_and(|mtu| mtu < len.saturating_add(headers_len))
    }

    fn socket(&self, flow: u16) -> Result<BorrowedFd<'_>, TransmitError> {
        let socket = self.sockets.get(usize::from(flow) % PORT_COUNT);
        socket
            .map(AsFd::as_fd)
            .ok_or_else(|| TransmitError::Failed(io::ErrorKind::NotFound.into()))
    }
}

/// What `udp_send_skb` answers when it cannot cut: without checksum offload `EIO`, below some devices
/// `EINVAL`, and that also, before Linux 6.13, for segments larger than the path takes.
fn is_refusal_to_cut(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::IO | Errno::INVAL | Errno::OPNOTSUPP)
    )
}

pub(super) fn transmit_error(error: io::Error) -> TransmitError {
    match Errno::from_io_error(&error) {
        Some(Errno::MSGSIZE) => TransmitError::TooBig,
        Some(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::INTR) => TransmitError::Full,
        Some(
            Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::NODEV
            | Errno::CONNREFUSED
            | Errno::ADDRNOTAVAIL
            | Errno::PERM
            | Errno::ACCESS
            // The address that the socket is bound to is gone.
            | Errno::INVAL,
        ) => TransmitError::Unreachable(error),
        _ => TransmitError::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata};

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    const FIELDS: IpFields = IpFields {
        class: 0,
        hop_limit: 64,
    };

    fn receiver() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    #[test]
    fn a_run_arrives_as_the_datagrams_that_it_was_cut_into() {
        for segments in [true, false] {
            let sender = UnderlaySender::new(LOCAL, 64).unwrap();
            if !segments {
                sender.segmentation.refuse(&Errno::IO.into());
            }
            let (socket, addr) = receiver();
            let parts: Vec<_> = [&b"head1"[..], b"one.", b"head2", b"two.", b"head3", b"3"]
                .into_iter()
                .map(IoSlice::new)
                .collect();
            sender.send_run(5, addr, FIELDS, 9, &parts).unwrap();
            let mut buf = [0; 100];
            for want in [&b"head1one."[..], b"head2two.", b"head33"] {
                let (len, from) = socket.recv_from(&mut buf).unwrap();
                assert_eq!(&buf[..len], want);
                assert!(from.port() >= FIRST_DYNAMIC_PORT);
            }
        }
    }

    #[test]
    fn what_is_sent_one_by_one_arrives_in_order_and_without_what_cannot_be_sent() {
        let sender = UnderlaySender::new(LOCAL, 64).unwrap();
        sender.segmentation.refuse(&Errno::IO.into());
        let (socket, addr) = receiver();
        let numbers: Vec<_> = (0..150_u32).map(u32::to_be_bytes).collect();
        let oversize = vec![0; 1 << 16];
        let payload = |number: &u32| match number {
            70 | 71 | 149 => &oversize[..],
            _ => b"payload",
        };
        let mut parts = Vec::new();
        for (number, bytes) in (0..).zip(&numbers) {
            parts.extend([IoSlice::new(bytes), IoSlice::new(payload(&number))]);
        }
        sender.send_run(5, addr, FIELDS, 11, &parts).unwrap();
        let mut buf = [0; 100];
        for number in (0..149_u32).filter(|number| ![70, 71].contains(number)) {
            let (len, _from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!(
                &buf[..len],
                [&number.to_be_bytes()[..], b"payload"].concat()
            );
        }
        socket.set_nonblocking(true).unwrap();
        socket.recv_from(&mut buf).unwrap_err();
        // The first one's error is that of all, of which none is sent.
        let refused = sender.send_run(5, addr, FIELDS, 11, &parts[140..]);
        assert!(matches!(refused, Err(TransmitError::TooBig)), "{refused:?}");
        socket.recv_from(&mut buf).unwrap_err();
    }

    #[test]
    fn a_kernel_that_refuses_to_cut_is_asked_once_and_told_of_once() {
        let sender = UnderlaySender::new(LOCAL, 64).unwrap();
        assert!(sender.segmentation_refusal().is_none());
        for socket in &sender.sockets {
            // It cuts no message of a socket that sends without checksums (`EINVAL`).
            udp::IntOption::OMIT_CHECKSUM
                .set(socket.as_fd(), 1)
                .unwrap();
        }
        let (socket, addr) = receiver();
        let parts = [&b"ab"[..], b"cd", b"ef", b"gh", b"i", b"j"].map(IoSlice::new);
        let warnings = Warnings::default();
        tracing::subscriber::with_default(warnings.clone(), || {
            for _ in 0..3 {
                sender.send_run(5, addr, FIELDS, 4, &parts).unwrap();
            }
        });
        let mut buf = [0; 100];
        for want in [&b"abcd"[..], b"efgh", b"ij"].repeat(3) {
            let (len, _from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!(&buf[..len], want);
        }
        let refusal = sender.segmentation_refusal().unwrap();
        assert_eq!(refusal.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
    }

    /// Counts warnings.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl tracing::Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_flow_keeps_its_source_port_and_flows_have_several() {
        let sender = UnderlaySender::new(LOCAL, 64).unwrap();
        let (socket, addr) = receiver();
        let mut ports = std::collections::BTreeSet::new();
        let mut buf = [0; 10];
        for flow in 0..64_u16 {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..2 {
                sender
                    .send(flow, addr, FIELDS, &[IoSlice::new(b"x")])
                    .unwrap();
                seen.insert(socket.recv_from(&mut buf).unwrap().1.port());
            }
            assert_eq!(seen.len(), 1);
            ports.extend(seen);
        }
        assert_eq!(ports.len(), PORT_COUNT);
    }

    #[test]
    fn a_flow_keeps_its_source_port_with_who_takes_the_sockets_over() {
        let first = UnderlaySender::new(LOCAL, 64).unwrap();
        let (socket, addr) = receiver();
        let mut buf = [0; 10];
        let mut port_of = |sender: &UnderlaySender, flow| {
            let part = [IoSlice::new(b"x")];
            sender.send(flow, addr, FIELDS, &part).unwrap();
            socket.recv_from(&mut buf).unwrap().1.port()
        };
        let ports: Vec<_> = (0..16).map(|flow| port_of(&first, flow)).collect();
        let held = || {
            let fds = first.fds().into_iter();
            fds.map(|fd| fd.try_clone_to_owned().unwrap())
                .collect::<Vec<_>>()
        };
        let (all, mut few) = (held(), held());
        let elsewhere = UnderlaySender::adopt(held(), "127.0.0.2".parse().unwrap(), 64);
        assert!(matches!(elsewhere, Err(LeftSocketError::Address { .. })));
        few.pop();
        assert!(matches!(
            UnderlaySender::adopt(few, LOCAL, 64),
            Err(LeftSocketError::Count {
                expected: 16,
                there: 15
            })
        ));
        drop(first);
        let next = UnderlaySender::adopt(all, LOCAL, 64).unwrap();
        let same: Vec<_> = (0..16).map(|flow| port_of(&next, flow)).collect();
        assert_eq!(same, ports);
        assert_eq!(next.send_buffer().asked_len, SEND_BUFFER_LEN);
    }

    #[test]
    fn what_is_larger_than_the_path_is_told_apart_from_a_device_that_cannot_cut() {
        let sender = UnderlaySender::new(LOCAL, 64).unwrap();
        let (_socket, addr) = receiver();
        assert_eq!(sender.path_mtu(addr).unwrap(), u16::MAX);
        let big = vec![0; 65_508];
        let refused = sender.send(0, addr, FIELDS, &[IoSlice::new(&big)]);
        assert!(matches!(refused, Err(TransmitError::TooBig)));
        assert!(sender.has_segmentation());
    }
}
