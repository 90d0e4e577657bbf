//! A cable between two network namespaces: a pair of interfaces of which each is the other's wire
//! (`man 4 veth`).
//!
//! For programs that are several hosts by themselves, such as the demo. The pair is gone as soon as one
//! of the two namespaces is, so nothing has to be taken away.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;

use crate::host::interface_index;
use crate::rtnl::RouteSocket;

/// Lays a cable from the network namespace of the calling thread to `far`, the descriptor of another one.
/// Both ends are interfaces called `ifname`, down and without addresses: see [`plug_in`].
///
/// # Errors
///
/// What the kernel said: foremost that the process lacks `CAP_NET_ADMIN` in one of the two, that a name
/// is taken, or that there is no module `veth`.
pub fn lay_cable(ifname: &str, far: impl AsFd) -> io::Result<()> {
    RouteSocket::open()?.add_veth(ifname, far.as_fd().as_raw_fd())
}

/// Gives this namespace's end of a cable an address and brings it up.
///
/// # Errors
///
/// What the kernel said, such as that there is no interface called `ifname`.
pub fn plug_in(ifname: &str, address: IpNet) -> io::Result<()> {
    let index = interface_index(ifname).ok_or(io::ErrorKind::NotFound)?;
    let mut netlink = RouteSocket::open()?;
    netlink.add_address(index, address)?;
    netlink.bring_up(index)
}
