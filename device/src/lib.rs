//! TAP ports, namespaces, event loops and the other devices of tapweave.
//!
//! This crate moves bytes between the kernel and a handler; it does not know what a switch is.
//!
//! - *Ports*: a [`PortQueue`] gives and takes frames. [`FileQueue`] is one of a device,
//!   [`MemoryPort`] one end of a wire inside the process, [`FaultyPort`] spoils what is sent to
//!   another port.
//! - *Event loops*: a [`Backend`] waits for the ports of one worker, reads batches and hands them to a
//!   [`BatchHandler`], which sends through [`Egress`]. [`EpollBackend`] is the one that works
//!   everywhere.
//! - *Namespaces*: [`NetNamespace`] is one that was named by a path or a process, [`NamespaceWatcher`]
//!   tells when that name has ended, [`Attacher`] makes interfaces in it,
//!   [`Capabilities`] says beforehand what of this will not work.
//! - *Restarts*: a [`Holder`] is a process that keeps descriptors for the next daemon, and
//!   [`Interface::adopt`] makes an interface of them again.
//! - *Uplinks*: [`Tun`] is an interface that the host routes to, [`PacketSocket`] stands on one of the
//!   host's interfaces. What the host is like tell [`HostLink`], [`HostWatch`], [`listening_ports`] and
//!   the functions beside them.
//! - *Hosts of one's own*: [`enter_fresh_namespace`] leaves the network for an empty one, [`lay_cable`]
//!   joins two.

mod attach;
mod backend;
mod busy_poll;
mod cable;
mod capability;
mod coalesce;
mod epoll;
mod fallback;
mod fault;
mod fd_message;
mod file_queue;
mod framing;
mod fresh_namespace;
mod helper;
mod hold;
mod host;
mod huge_pages;
mod memory;
mod namespace;
mod packet;
mod parked;
mod port_table;
mod queue;
mod rtnl;
mod socket_place;
mod source;
mod sys;
#[cfg(test)]
mod test_process;
mod transmit;
mod tun;
mod tun_queues;
mod underlay;
mod uring;
mod watch;

pub use attach::{
    AdoptError, AttachError, Attacher, DefaultRoute, Interface, InterfaceAddress, InterfaceSight,
    InterfaceSpec, Offloading, SightError, SpecError, Step,
};
pub use backend::{Backend, BatchHandler, Description, Egress, MAX_BATCH, Reading, Sent, Waker};
pub use cable::{lay_cable, plug_in};
pub use capability::{Capabilities, OwnNamespaces, TunDevice, UserNamespaces};
pub use epoll::EpollBackend;
pub use fallback::FallbackBackend;
pub use fault::{Faults, FaultyPort, Probability};
pub use file_queue::FileQueue;
pub use framing::Framing;
pub use fresh_namespace::enter_fresh_namespace;
pub use helper::run_helper_if_requested;
pub use hold::{Held, HeldKey, Holder, HolderError};
pub use host::{
    DefaultRoutes, HostLink, HostWatch, ListeningPort, PortTable, forwards, has_ipv6, holders,
    host_addresses, interface_index, listening_ports, prefixes_in_use,
};
pub use huge_pages::advise_huge_pages;
pub use memory::MemoryPort;
pub use namespace::{NamespaceError, NamespaceId, NamespaceMark, NetNamespace};
pub use packet::{PacketError, PacketSocket, PacketView, take_overflow_count};
pub use queue::{HEADROOM, MAX_FRAME_LEN, PortQueue, RECV_BUF_LEN, Received, SendError};
pub use source::{FrameSink, FrameSource, Intake, SourceNo};
pub use tun::{Tun, TunError, TunSpec};
pub use underlay::{
    Datagram, DatagramReceiver, Datagrams, Hearing, IpFields, LeftSocketError, PORT_COUNT,
    RawSender, SocketBuffer, TransmitError, UnderlaySender, interface_addresses, interface_mtu,
    interface_of,
};
pub use uring::{RingError, UringBackend};
pub use watch::{NamespaceWatcher, WatchId};
