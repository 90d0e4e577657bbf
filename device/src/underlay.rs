//! The UDP sockets under tunnels: runs of datagrams out, batches of datagrams in.
//!
//! # Theory of operation
//!
//! *Sending.* A tunnel's payload is many datagrams of one length. [`UnderlaySender`] gives them to the
//! kernel as one message (`UDP_SEGMENT`), each as a small header and a slice of the payload that stays
//! where it is. The source port tells routers, and network cards that spread flows, which flow a datagram
//! is of; an unprivileged socket has one source port, so there are [`PORT_COUNT`] sockets, and a flow
//! always takes the same. All workers share them: sending to a UDP socket takes no lock that another
//! sender holds for long. What these sockets receive is nobody's business and is thrown away by a
//! receive buffer that takes next to nothing.
//!
//! *No fragments.* DF is set, and the kernel keeps the path MTU of each peer from the ICMP messages that
//! arrive. A datagram that is larger is refused by `EMSGSIZE` (before Linux 6.13 by `EINVAL` if it is one
//! of several), which is [`TransmitError::TooBig`]; [`UnderlaySender::path_mtu`] says how large it may be.
//!
//! *The checksum* of the outer datagram is complete, also over IPv4, where RFC 7348 §5 allows zero and
//! prefers it: the kernel cuts no messages without (`sk_no_check_tx`), and cards compute it for nothing.
//!
//! *What the kernel or a device cannot do* is found out at run time: `EIO` or `EINVAL` for a message of
//! several datagrams means that they go one by one from then on. The log says it once.
//!
//! *IP in IP* has no UDP. A [`RawSender`] sends its packets one by one, and receivers of its protocols
//! ([`Hearing::Protocol`]) take them, where the kernel permits raw sockets.
//!
//! *Groups.* What is sent to a multicast group leaves by the interface that has the sender's address, and does not
//! come back to this host. Who wants to hear a group has a receiver for it ([`Hearing::Group`]): one
//! that is bound to an address hears nothing else.
//!
//! *Receiving.* A [`DatagramReceiver`] takes up to 64 messages with one system call, each of up to
//! 64 KiB: datagrams of one flow that followed each other, merged by the kernel (`UDP_GRO`). It asks for
//! fewer where they are long, so that what it took is still in the cache when it is written. Several
//! workers bind one socket each to the same port (`SO_REUSEPORT`); the kernel chooses by source and
//! destination, hence a flow stays with one.
//!
//! *Restarts.* All of them can be made of the sockets that an earlier daemon has left ([`DatagramReceiver::adopt`],
//! [`UnderlaySender::adopt`], [`RawSender::adopt`]): peers see the same ports, and what came meanwhile is received.

mod ip_fields;
mod left;
mod local;
mod raw;
mod receiver;
mod segmentation;
mod sender;
mod socket;

pub use ip_fields::IpFields;
pub use left::LeftSocketError;
pub use local::{interface_addresses, interface_mtu, interface_of};
pub use raw::RawSender;
pub use receiver::{Datagram, DatagramReceiver, Datagrams, Hearing};
pub use sender::{PORT_COUNT, TransmitError, UnderlaySender};
pub use socket::SocketBuffer;
