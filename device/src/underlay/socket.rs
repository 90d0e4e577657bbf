//! Making sockets, and what the kernel grants them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseport};
use rustix::net::{
    AddressFamily, Protocol, SocketFlags, SocketType, bind, connect, ipproto, socket_with,
};
use tapweave_net::IpProtocol;

use crate::sys::udp::IntOption;

/// The size of a socket's buffer, in bytes of packets as the kernel counts them, its own bookkeeping
/// included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketBuffer {
    /// What was asked for.
    pub asked_len: usize,
    /// What was granted.
    pub granted_len: usize,
}

impl SocketBuffer {
    /// Tells whether the system's limit (`net.core.rmem_max` or `wmem_max`) was in the way.
    pub const fn is_clamped(self) -> bool {
        self.granted_len < self.asked_len
    }
}

/// Whether other sockets may have the same port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sharing {
    /// Those of this process that say the same, between which the kernel distributes flows.
    Shared,
    /// None.
    Exclusive,
}

/// Makes a nonblocking socket at `addr`.
pub(super) fn open(addr: SocketAddr, sharing: Sharing) -> io::Result<OwnedFd> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    if addr.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    if sharing == Sharing::Shared {
        set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &addr)?;
    Ok(socket)
}

/// Makes a nonblocking socket at `addr` for packets of this protocol, which needs `CAP_NET_RAW`.
pub(super) fn open_raw(addr: IpAddr, protocol: IpProtocol) -> io::Result<OwnedFd> {
    let family = match addr {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = NonZero::new(protocol.0.into()).map(Protocol::from_raw);
    let socket = socket_with(family, SocketType::RAW, flags, protocol)?;
    bind(&socket, &SocketAddr::new(addr, 0))?;
    Ok(socket)
}

/// Sizes a buffer, beyond the system's limit if this process may.
pub(super) fn size(
    socket: &OwnedFd,
    force: IntOption,
    plain: IntOption,
    len: usize,
) -> io::Result<SocketBuffer> {
    // The kernel takes the number twice: the other half is for its bookkeeping.
    let half = i32::try_from(len / 2).map_err(io::Error::other)?;
    force
        .set(socket.as_fd(), half)
        .or_else(|_not_permitted| plain.set(socket.as_fd(), half))?;
    let granted = plain.get(socket.as_fd())?;
    Ok(SocketBuffer {
        asked_len: len,
        granted_len: usize::try_from(granted).unwrap_or_default(),
    })
}

/// Has the kernel set DF and send nothing larger than the path takes.
pub(super) fn forbid_fragments(socket: &OwnedFd, addr: IpAddr) -> io::Result<()> {
    let (option, always) = match addr {
        IpAddr::V4(_) => (IntOption::MTU_DISCOVER_V4, libc::IP_PMTUDISC_DO),
        IpAddr::V6(_) => (IntOption::MTU_DISCOVER_V6, libc::IPV6_PMTUDISC_DO),
    };
    option.set(socket.as_fd(), always)
}

/// Makes a socket at `local` one that only sends whole packets, with this TTL or Hop Limit. Returns its send buffer.
pub(super) fn prepare_sender(
    socket: &OwnedFd,
    local: IpAddr,
    hop_limit: u8,
    send_len: usize,
) -> io::Result<SocketBuffer> {
    forbid_fragments(socket, local)?;
    let hops = match local {
        IpAddr::V4(_) => IntOption::TTL,
        IpAddr::V6(_) => IntOption::HOP_LIMIT,
    };
    hops.set(socket.as_fd(), hop_limit.into())?;
    let comes_back = match local {
        IpAddr::V4(_) => IntOption::GROUP_LOOP_V4,
        IpAddr::V6(_) => IntOption::GROUP_LOOP_V6,
    };
    comes_back.set(socket.as_fd(), 0)?;
    // Nobody reads from it. The kernel makes it as small as it can be.
    IntOption::RECEIVE_BUFFER.set(socket.as_fd(), 0)?;
    let (force, plain) = (IntOption::SEND_BUFFER_FORCE, IntOption::SEND_BUFFER);
    size(socket, force, plain, send_len)
}

/// Returns the largest IP packet that the path from `local` to `peer` takes, as far as the kernel knows.
pub(super) fn path_mtu(local: IpAddr, peer: SocketAddr) -> io::Result<u16> {
    let socket = open(SocketAddr::new(local, 0), Sharing::Exclusive)?;
    connect(&socket, &peer)?;
    let option = match peer {
        SocketAddr::V4(_) => IntOption::MTU_V4,
        SocketAddr::V6(_) => IntOption::MTU_V6,
    };
    // Loopback has 65,536.
    Ok(u16::try_from(option.get(socket.as_fd())?).unwrap_or(u16::MAX))
}
