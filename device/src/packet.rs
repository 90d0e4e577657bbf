//! Sockets on an interface of the host: how tapweave stands on a LAN beside the host itself.
//!
//! A packet socket gets a copy of each frame that comes in at the interface, before the host's own
//! stack does, and may send any frame there; the host is not disturbed. What the host itself sends is
//! not shown, so a frame of ours never comes back. A filter in the kernel ([`filter`]) keeps away what
//! is not for us, which on a busy interface is nearly everything, before it is copied.
//!
//! # What it cannot do
//!
//! - The host and a socket on its interface do not reach each other: what either sends goes out to the
//!   LAN, which does not send it back (as with macvlan).
//! - The kernel takes the VLAN tag off a frame before a socket sees it, and tells of it only in a
//!   message beside the frame that costs a slower kind of call. A tagged frame would look like one of
//!   no VLAN, so the filter drops them: for a VLAN of the LAN take its interface (`eth0.5`).
//! - Access points refuse frames of further stations, so a wireless interface will not do.
//! - Super-frames above 64 KiB ("BIG TCP") are cut off and then dropped as malformed.
//!
//! `PACKET_QDISC_BYPASS` is not used: what the administrator shapes on the interface stays shaped.

mod filter;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use tapweave_net::{MacAddr, OffloadSet};
use thiserror::Error;

use crate::file_queue::FileQueue;
use crate::framing::Framing;
use crate::socket_place::is_here;
use crate::sys::packet::{self, Membership};

/// Bytes of each of the socket's buffers, of which a super-frame takes about 100 KiB. Without
/// `CAP_NET_ADMIN` in the first user namespace it is what `net.core.rmem_max` and `wmem_max` allow,
/// usually two or three super-frames.
const BUFFER_LEN: usize = 8 * 1024 * 1024;

/// Which frames of the interface a socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketView {
    /// A station with an address of its own: what is sent to it, ARP, and `ICMPv6` to groups.
    Station(MacAddr),
    /// What a station needs to get and keep addresses, and nothing else: ARP, ND, DHCP answers.
    Configuration(MacAddr),
    /// Stations behind us, of which the interface knows nothing: everything but what is for the
    /// interface's own address, which is given.
    Bridge(MacAddr),
}

/// Why there is no socket.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The process lacks `CAP_NET_RAW`.
    #[error("packet sockets need CAP_NET_RAW in the network namespace of the interface")]
    NotPermitted,
    /// There is no such interface, or no longer.
    #[error("there is no such interface")]
    NoInterface,
    /// A socket that was left is another kind of one, or on another interface or in another network namespace.
    #[error("it is no packet socket on this interface")]
    Other,
    /// Anything else.
    #[error("it was not possible to {step}")]
    Failed {
        /// What was not possible.
        step: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// A socket on an interface.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
    interface_index: u32,
    framing: Framing,
}

impl PacketSocket {
    /// Opens a socket on the interface of this index, nonblocking. The interface lets through what the
    /// view asks for as long as the socket is open.
    ///
    /// # Errors
    ///
    /// See [`PacketError`].
    pub fn open(interface_index: u32, view: PacketView) -> Result<Self, PacketError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Of no protocol, so that nothing comes before the filter is there.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map_err(failed("open a packet socket"))?;
        let this = Self::prepare(socket, interface_index, view)?;
        packet::bind(this.as_fd(), interface_index).map_err(failed("bind to the interface"))?;
        this.add_view(view)?;
        Ok(this)
    }

    /// Takes the socket that an earlier process has opened on the interface of this index, with the frames that
    /// wait in it.
    ///
    /// # Errors
    ///
    /// See [`PacketError`]. The socket is closed then.
    pub fn adopt(
        socket: OwnedFd,
        interface_index: u32,
        view: PacketView,
    ) -> Result<Self, PacketError> {
        let ask = "ask what a socket is";
        let kind = sockopt::socket_type(&socket).map_err(failed(ask))?;
        let bound = packet::bound_interface(socket.as_fd()).map_err(failed(ask))?;
        let is_here = is_here(socket.as_fd()).map_err(failed(ask))?;
        let flags = fcntl_getfl(&socket).map_err(failed(ask))?;
        let is_ours = kind == SocketType::RAW
            && bound == Some(interface_index)
            && is_here
            && flags.contains(OFlags::NONBLOCK);
        if !is_ours {
            return Err(PacketError::Other);
        }
        // That the interface was down meanwhile, for instance: this takes it back.
        let _passed = sockopt::socket_error(&socket).map_err(failed(ask))?;
        let this = Self::prepare(socket, interface_index, view)?;
        this.add_view(view)?;
        Ok(this)
    }

    /// Sets what a socket needs, whether it has it already or not.
    fn prepare(
        socket: OwnedFd,
        interface_index: u32,
        view: PacketView,
    ) -> Result<Self, PacketError> {
        let header_len =
            packet::set_vnet_header(socket.as_fd()).map_err(failed("keep offloads"))?;
        packet::ignore_outgoing(socket.as_fd()).map_err(failed("ignore the host's frames"))?;
        packet::attach_filter(socket.as_fd(), &filter::program(view))
            .map_err(failed("filter frames"))?;
        enlarge_buffers(socket.as_fd());
        Ok(Self {
            socket,
            interface_index,
            framing: if header_len == 10 {
                Framing::ShortVnetHdr(OffloadSet::ALL)
            } else {
                Framing::VnetHdr(OffloadSet::ALL)
            },
        })
    }

    fn add_view(&self, view: PacketView) -> Result<(), PacketError> {
        self.add(match view {
            PacketView::Station(mac) | PacketView::Configuration(mac) => Membership::Station(mac),
            PacketView::Bridge(_) => Membership::Promiscuous,
        })
    }

    /// Has the interface let frames to a group through.
    ///
    /// # Errors
    ///
    /// See [`PacketError`].
    pub fn join_group(&self, group: MacAddr) -> Result<(), PacketError> {
        self.add(Membership::Group(group))
    }

    /// Shares the frames of the interface with the other sockets of `group`: each flow has one of them
    /// as its reader. For several sockets of one view, made by one process.
    ///
    /// # Errors
    ///
    /// See [`PacketError`].
    pub fn join_fanout(&self, group: u16) -> Result<(), PacketError> {
        packet::join_fanout(self.as_fd(), group).map_err(failed("share frames among sockets"))
    }

    /// Returns the socket as the queue of a port.
    pub fn into_queue(self) -> FileQueue {
        FileQueue::new(self.socket, self.framing)
    }

    fn add(&self, membership: Membership) -> Result<(), PacketError> {
        packet::add_membership(self.as_fd(), self.interface_index, membership)
            .map_err(failed("have the interface let our frames through"))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns how many frames found no room in the buffer of a packet socket's queue since this was asked
/// last.
///
/// # Errors
///
/// When the queue is not one of a packet socket.
pub fn take_overflow_count(queue: &FileQueue) -> io::Result<u32> {
    packet::take_drop_count(queue.as_fd())
}

/// As large as is allowed. A small buffer works and drops more.
fn enlarge_buffers(socket: BorrowedFd<'_>) {
    if sockopt::set_socket_recv_buffer_size_force(socket, BUFFER_LEN).is_err() {
        let _stays_small = sockopt::set_socket_recv_buffer_size(socket, BUFFER_LEN);
    }
    let _stays_small = sockopt::set_socket_send_buffer_size(socket, BUFFER_LEN);
}

/// For `map_err`: this is what failed.
fn failed<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> PacketError {
    move |error| {
        let source = error.into();
        match Errno::from_io_error(&source) {
            Some(Errno::PERM | Errno::ACCESS) => PacketError::NotPermitted,
            Some(Errno::NODEV | Errno::NXIO) => PacketError::NoInterface,
            _ => PacketError::Failed { step, source },
        }
    }
}
