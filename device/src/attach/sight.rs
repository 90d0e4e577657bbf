//! An interface of a sandbox, seen and changed from outside.
//!
//! # Whether it is there
//!
//! When the last queue of a TAP is closed, the kernel takes the interface out of its namespace within about a
//! millisecond; nobody sees it then, and its name is free. `close` returns 5 to 30 ms after that, since it waits until
//! no processor can use the memory of the interface any more (`rcu_barrier` in `netdev_run_todo`, `net/core/dev.c`). So
//! whoever only needs the interface to be gone looks, and lets another thread wait.
//!
//! Interfaces can be looked up through any socket of their namespace (`SIOCGIFNAME`, `man 7 netdevice`). This takes no
//! right and no lock of the kernel's.
//!
//! # What addresses it has
//!
//! The socket is one of rtnetlink, opened by the helper that made the interface. It acts on the namespace in which it was
//! opened, whoever has it now. To list takes no right. To change something, the kernel asks for `CAP_NET_ADMIN` of both who
//! opened the socket and who sends (`netlink_net_capable`, `net/netlink/af_netlink.c`), in the user namespace that owns
//! the network namespace: the helper had it, and the daemon has it as root or as the one who made that user namespace.
//!
//! Root of the sandbox may have as many addresses and routes as the kernel allows, and be changing them: lists are bounded,
//! and every answer has a deadline.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipnet::IpNet;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use rustix::net::netdevice::index_to_name_inlined;
use thiserror::Error;

use super::default_route::{DefaultRoute, add_default_route};
use crate::rtnl::{RouteSocket, address_of};

/// A socket in the namespace of an interface. It keeps the namespace alive, as the interface's queues do.
#[derive(Debug)]
pub struct InterfaceSight {
    socket: OwnedFd,
    ifindex: u32,
}

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfaceAddress {
    /// The address, with the length of its prefix.
    pub net: IpNet,
    /// Whether it stays until it is taken away: those that routers advertise or DHCP gives have an end.
    pub is_permanent: bool,
}

/// Why an interface is not seen or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SightError {
    /// The interface was made by an earlier version of this program, which left another kind of socket.
    #[error("an earlier version has made the interface, and left nothing to see its addresses by")]
    Earlier,
    /// Somebody has made the list long.
    #[error("the sandbox has too many addresses or routes to look at them all")]
    TooLong,
    /// The kernel has refused, or given no answer.
    #[error("the kernel refuses it")]
    Refused(#[source] io::Error),
}

impl InterfaceSight {
    pub(super) const fn new(socket: OwnedFd, ifindex: u32) -> Self {
        Self { socket, ifindex }
    }

    /// Tells whether the interface is in the namespace in which it was made.
    pub fn is_there(&self) -> bool {
        index_to_name_inlined(&self.socket, self.ifindex).is_ok()
    }

    /// Returns the addresses of the interface, in the kernel's order; none if it is gone.
    ///
    /// # Errors
    ///
    /// See [`SightError`].
    pub fn addresses(&self) -> Result<Vec<InterfaceAddress>, SightError> {
        let mut addresses = Vec::new();
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.netlink()?.dump(request, |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer
                && message.header.index == self.ifindex
                && let Some(net) = address_of(&message)
            {
                let is_permanent = is_permanent(&message);
                addresses.push(InterfaceAddress { net, is_permanent });
            }
        })?;
        Ok(addresses)
    }

    /// Gives the interface an address, in the way in which it got those that it was made with.
    ///
    /// # Errors
    ///
    /// See [`SightError`].
    pub fn add_address(&self, address: IpNet) -> Result<(), SightError> {
        Ok(self.netlink()?.add_address(self.ifindex, address)?)
    }

    /// Makes the default route by way of `gateway`, unless the namespace has one of the gateway's family that is
    /// somebody else's.
    ///
    /// # Errors
    ///
    /// See [`SightError`].
    pub fn add_default_route(
        &self,
        gateway: IpAddr,
        metric: u32,
    ) -> Result<DefaultRoute, SightError> {
        let mut netlink = self.netlink()?;
        Ok(add_default_route(
            &mut netlink,
            self.ifindex,
            gateway,
            metric,
        )?)
    }

    fn netlink(&self) -> Result<RouteSocket, SightError> {
        let socket = self.socket.try_clone()?;
        RouteSocket::of_foreign(socket).map_err(|error| {
            if error.kind() == io::ErrorKind::Unsupported {
                SightError::Earlier
            } else {
                error.into()
            }
        })
    }
}

impl AsFd for InterfaceSight {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<io::Error> for SightError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::QuotaExceeded {
            Self::TooLong
        } else {
            Self::Refused(error)
        }
    }
}

/// Opens the socket, in the namespace that the calling thread is in.
pub(super) fn open() -> io::Result<OwnedFd> {
    RouteSocket::open().map(OwnedFd::from)
}

fn is_permanent(message: &AddressMessage) -> bool {
    let flags = message.attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Flags(flags) = attribute {
            Some(flags.contains(AddressFlags::Permanent))
        } else {
            None
        }
    });
    // Kernels before Linux 3.14 have nothing but the header.
    let in_header = AddressHeaderFlags::Permanent;
    flags.unwrap_or_else(|| message.header.flags.contains(in_header))
}
