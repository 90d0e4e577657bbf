//! Packet sockets (`man 7 packet`, `include/uapi/linux/if_packet.h`, `net/core/filter.c`).

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Errno;
use tapweave_net::MacAddr;

/// One instruction of a classic filter program: `struct sock_filter`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    /// Instructions to skip when a jump's condition holds.
    pub(crate) if_true: u8,
    /// And when it does not.
    pub(crate) if_false: u8,
    pub(crate) operand: u32,
}

const _: () = assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());
const _: () = assert!(align_of::<Instruction>() == align_of::<libc::sock_filter>());

/// Which further frames the interface should let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Membership {
    /// Those to a group.
    Group(MacAddr),
    /// Those to one more address of ours.
    Station(MacAddr),
    /// All.
    Promiscuous,
}

/// Binds a socket to an interface, so that it gets every frame that comes in there and sends there.
pub(crate) fn bind(socket: BorrowedFd<'_>, interface_index: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
        sll_protocol: u16::try_from(libc::ETH_P_ALL)
            .map_err(io::Error::other)?
            .to_be(),
        sll_ifindex: c_int::try_from(interface_index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: the kernel reads `len` bytes at the pointer, which is the whole of `address`; it is
    // initialised and outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Returns the interface that a socket is bound to for all protocols, as its index; none if it is no such socket, or
/// its interface is gone.
pub(crate) fn bound_interface(socket: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let mut address = libc::sockaddr_ll {
        sll_family: 0,
        sll_protocol: 0,
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let mut len = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `len` bytes at the first pointer, the whole of `address`, which may hold any
    // bytes, and the length at the second; both outlive the call.
    let result =
        unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let is_packet = c_int::from(address.sll_family) == libc::AF_PACKET
        && c_int::from(u16::from_be(address.sll_protocol)) == libc::ETH_P_ALL;
    // It is -1 when the interface is gone.
    Ok(u32::try_from(address.sll_ifindex)
        .ok()
        .filter(|_| is_packet))
}

/// Has each frame stand behind a `virtio_net_hdr`, of 12 bytes where the kernel can (6.6), otherwise of
/// 10; returns how many.
pub(crate) fn set_vnet_header(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let long: c_int = 12;
    match set(socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR_SZ, &long) {
        Ok(()) => Ok(12),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOPROTOOPT) => {
            set(socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1_i32)?;
            Ok(10)
        }
        Err(error) => Err(error),
    }
}

/// Keeps what this machine itself sends away from the socket (Linux 4.20).
pub(crate) fn ignore_outgoing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(
        socket,
        libc::SOL_PACKET,
        libc::PACKET_IGNORE_OUTGOING,
        &1_i32,
    )
}

/// Has the interface let further frames through as long as the socket is open.
pub(crate) fn add_membership(
    socket: BorrowedFd<'_>,
    interface_index: u32,
    membership: Membership,
) -> io::Result<()> {
    let (kind, mac) = match membership {
        Membership::Group(mac) => (libc::PACKET_MR_MULTICAST, Some(mac)),
        Membership::Station(mac) => (libc::PACKET_MR_UNICAST, Some(mac)),
        Membership::Promiscuous => (libc::PACKET_MR_PROMISC, None),
    };
    let mut request = libc::packet_mreq {
        mr_ifindex: c_int::try_from(interface_index).map_err(io::Error::other)?,
        mr_type: u16::try_from(kind).map_err(io::Error::other)?,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    if let Some(mac) = mac {
        request.mr_alen = 6;
        for (to, from) in request.mr_address.iter_mut().zip(mac.octets()) {
            *to = from;
        }
    }
    set(
        socket,
        libc::SOL_PACKET,
        libc::PACKET_ADD_MEMBERSHIP,
        &request,
    )
}

/// Spreads the frames of the interface over all sockets that join group `group`, each flow to one of
/// them.
pub(crate) fn join_fanout(socket: BorrowedFd<'_>, group: u16) -> io::Result<()> {
    let argument: c_uint = libc::PACKET_FANOUT_HASH << 16 | c_uint::from(group);
    set(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, &argument)
}

/// Has the socket get only frames for which `program` returns more than 0.
pub(crate) fn attach_filter(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: program.len().try_into().map_err(io::Error::other)?,
        // The kernel only reads it.
        filter: program.as_ptr().cast_mut().cast(),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Returns how many frames found no room in the socket's buffer since this was asked last.
pub(crate) fn take_drop_count(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut len = libc::socklen_t::try_from(size_of_val(&stats)).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `len` bytes at the first pointer, the whole of `stats`, which may
    // hold any bytes, and the length at the second; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut len,
        )
    };
    if result == 0 {
        Ok(stats.tp_drops)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sets an option whose argument is a plain value of C, or a `sock_fprog`.
fn set<T>(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the kernel reads `len` bytes at the pointer, the whole of `value`, of which it ignores what
    // is padding; what a `sock_fprog` points to is a borrowed slice of as many instructions as it says.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(value).cast(),
            len,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
