//! Requests to `/dev/net/tun` (`include/uapi/linux/if_tun.h`, `man 4 tun`).

use std::ffi::c_int;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use rustix::ioctl::{IntegerSetter, Opcode, Setter, Updater, ioctl, opcode};

use super::ask::Ask;

const TUNSETIFF: Opcode = opcode::write::<c_int>(b'T', 202);
const TUNSETOFFLOAD: Opcode = opcode::write::<std::ffi::c_uint>(b'T', 208);
const TUNGETIFF: Opcode = opcode::read::<std::ffi::c_uint>(b'T', 210);
const TUNSETVNETHDRSZ: Opcode = opcode::write::<c_int>(b'T', 216);
const TUNSETQUEUE: Opcode = opcode::write::<c_int>(b'T', 217);

const TUNGETDEVNETNS: Opcode = opcode::none(b'T', 227);

/// Bytes of an interface name with its closing zero (`IFNAMSIZ`).
pub(crate) const IFNAME_LEN: usize = 16;

/// `struct ifreq` as `TUNSETIFF` uses it: the name and, in the union, the flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; IFNAME_LEN],
    flags: i16,
    rest: [u8; size_of::<libc::ifreq>() - IFNAME_LEN - size_of::<i16>()],
}

const _: () = assert!(size_of::<InterfaceRequest>() == size_of::<libc::ifreq>());
const _: () = assert!(std::mem::offset_of!(libc::ifreq, ifr_ifru) == IFNAME_LEN);

/// Makes `tun`, freshly opened, a queue of the interface called `name` and returns the name that the
/// kernel gave it.
///
/// `name` is filled up with zeroes and may hold one `%d`, for which the kernel takes the first number
/// that makes the name free. `flags` are the `IFF_*` of `if_tun.h`.
pub(crate) fn set_interface(
    tun: BorrowedFd<'_>,
    name: [u8; IFNAME_LEN],
    flags: i16,
) -> io::Result<[u8; IFNAME_LEN]> {
    let mut request = InterfaceRequest {
        name,
        flags,
        rest: [0; _],
    };
    // SAFETY: `TUNSETIFF` reads a `struct ifreq` and writes it back; `InterfaceRequest` has its size
    // and the place of its fields (asserted above), and every bit pattern is a valid value of it.
    let update = unsafe { Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request) };
    // SAFETY: the request touches no memory but `request`, which outlives the call.
    unsafe { ioctl(tun, update) }?;
    Ok(request.name)
}

/// Has the kernel give no more frames to a queue of an interface with several (`IFF_DETACH_QUEUE`). What is written to it
/// is received as before.
pub(crate) fn detach_queue(tun: BorrowedFd<'_>) -> io::Result<()> {
    let flags = i16::try_from(libc::IFF_DETACH_QUEUE).map_err(io::Error::other)?;
    let request = InterfaceRequest {
        name: [0; _],
        flags,
        rest: [0; _],
    };
    // SAFETY: `TUNSETQUEUE` reads a `struct ifreq`, though its number names an `int`; `InterfaceRequest` has its size
    // and the place of its fields (asserted above).
    let set = unsafe { Setter::<TUNSETQUEUE, InterfaceRequest>::new(request) };
    // SAFETY: the request reads the value inside `set`, writes nothing, and `set` outlives the call.
    unsafe { ioctl(tun, set) }?;
    Ok(())
}

/// Returns the present name of the interface that `tun` is a queue of, and its `IFF_*` flags; `EBADFD`
/// when the interface has been deleted.
pub(crate) fn interface(tun: BorrowedFd<'_>) -> io::Result<([u8; IFNAME_LEN], i16)> {
    let mut request = InterfaceRequest {
        name: [0; _],
        flags: 0,
        rest: [0; _],
    };
    // SAFETY: `TUNGETIFF` writes a `struct ifreq`, though its number names an `unsigned int`;
    // `InterfaceRequest` has its size and the place of its fields (asserted above), and every bit
    // pattern is a valid value of it.
    let update = unsafe { Updater::<TUNGETIFF, InterfaceRequest>::new(&mut request) };
    // SAFETY: the request touches no memory but `request`, which outlives the call.
    unsafe { ioctl(tun, update) }?;
    Ok((request.name, request.flags))
}

/// Returns the network namespace that the interface is in now; `EINVAL` before Linux 5.2, `EPERM` when the
/// caller may not administer it.
pub(crate) fn namespace(tun: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: `TUNGETDEVNETNS` takes no argument; other kinds of file refuse it.
    let fd = unsafe { ioctl(tun, Ask::<TUNGETDEVNETNS>) }?;
    // SAFETY: on success the kernel has just opened `fd` for this caller; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets how many bytes of `virtio_net_hdr` stand before each frame.
pub(crate) fn set_vnet_header_len(tun: BorrowedFd<'_>, len: c_int) -> io::Result<()> {
    // SAFETY: `TUNSETVNETHDRSZ` reads one `int` through its pointer.
    let set = unsafe { Setter::<TUNSETVNETHDRSZ, c_int>::new(len) };
    // SAFETY: the request reads the `int` inside `set`, writes nothing, and `set` outlives the call.
    unsafe { ioctl(tun, set) }?;
    Ok(())
}

/// Tells the kernel which offloads (`TUN_F_*`) the reader of the queue can bear.
pub(crate) fn set_offload(tun: BorrowedFd<'_>, features: u32) -> io::Result<()> {
    let features = usize::try_from(features).map_err(io::Error::other)?;
    // SAFETY: `TUNSETOFFLOAD` takes its argument by value; the kernel follows no pointer.
    let set = unsafe { IntegerSetter::<TUNSETOFFLOAD>::new_usize(features) };
    // SAFETY: the request touches no memory of this process.
    unsafe { ioctl(tun, set) }?;
    Ok(())
}
