//! Packets of IP in IP to peers.
//!
//! The kernel makes the outer IP header. It gives every raw socket a copy of what arrives of its protocol; those
//! that send have next to no room for that.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tapweave_net::IpProtocol;

use super::ip_fields::IpFields;
use super::left::{self, LeftSocketError};
use super::sender::{PARTS_EACH, SEND_BUFFER_LEN, TransmitError, transmit_error};
use super::socket;
use crate::sys::udp;

/// Sends from one address. Shared by all workers.
#[derive(Debug)]
pub struct RawSender {
    local: IpAddr,
    hop_limit: u8,
    /// For inner packets of IPv4.
    v4: OwnedFd,
    /// For inner packets of IPv6.
    v6: OwnedFd,
}

impl RawSender {
    /// Makes the sockets. `hop_limit` is the usual TTL or Hop Limit, which costs nothing to say.
    ///
    /// # Errors
    ///
    /// What the kernel said: most often that it needs `CAP_NET_RAW`, or that `local` is no address of this
    /// host.
    pub fn new(local: IpAddr, hop_limit: u8) -> io::Result<Self> {
        Ok(Self {
            local,
            hop_limit,
            v4: open(local, IpProtocol::IPV4, hop_limit)?,
            v6: open(local, IpProtocol::IPV6, hop_limit)?,
        })
    }

    /// Takes the sockets of the sender that an earlier daemon had at the same address, in the order of
    /// [`RawSender::fds`].
    ///
    /// # Errors
    ///
    /// When they are others, or the kernel refuses what new ones would be set to. They are closed then.
    pub fn adopt(
        sockets: Vec<OwnedFd>,
        local: IpAddr,
        hop_limit: u8,
    ) -> Result<Self, LeftSocketError> {
        let [v4, v6] = left::exactly(sockets)?;
        for (socket, protocol) in [(&v4, IpProtocol::IPV4), (&v6, IpProtocol::IPV6)] {
            left::check_raw(socket, local, protocol)?;
            socket::prepare_sender(socket, local, hop_limit, SEND_BUFFER_LEN)?;
        }
        Ok(Self {
            local,
            hop_limit,
            v4,
            v6,
        })
    }

    /// Returns the sockets.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.v4.as_fd(), self.v6.as_fd()]
    }

    /// Returns the address that packets come from.
    pub const fn local(&self) -> IpAddr {
        self.local
    }

    /// Sends one packet of `protocol`, which is IPv4 or IPv6 and else not sent; it is `parts` one after the
    /// other.
    ///
    /// # Errors
    ///
    /// See [`TransmitError`].
    pub fn send(
        &self,
        protocol: IpProtocol,
        to: IpAddr,
        fields: IpFields,
        parts: &[IoSlice<'_>],
    ) -> Result<(), TransmitError> {
        let socket = self.socket(protocol)?;
        let ancillary = fields.ancillary(self.hop_limit, to, None);
        udp::send(socket, at(to), ancillary, parts).map_err(transmit_error)
    }

    /// Sends packets of two `parts` each, in one call if the kernel takes them.
    ///
    /// # Errors
    ///
    /// As [`RawSender::send`], of the first; another one that cannot be sent is lost.
    pub fn send_each(
        &self,
        protocol: IpProtocol,
        to: IpAddr,
        fields: IpFields,
        parts: &[IoSlice<'_>],
    ) -> Result<(), TransmitError> {
        let socket = self.socket(protocol)?;
        let ancillary = fields.ancillary(self.hop_limit, to, None);
        udp::send_each(socket, at(to), ancillary, parts, PARTS_EACH).map_err(transmit_error)
    }

    fn socket(&self, protocol: IpProtocol) -> Result<BorrowedFd<'_>, TransmitError> {
        match protocol {
            IpProtocol::IPV4 => Ok(self.v4.as_fd()),
            IpProtocol::IPV6 => Ok(self.v6.as_fd()),
            _ => Err(TransmitError::Failed(io::ErrorKind::Unsupported.into())),
        }
    }
}

/// A raw socket of IPv6 takes no other port.
const fn at(to: IpAddr) -> SocketAddr {
    SocketAddr::new(to, 0)
}

fn open(local: IpAddr, protocol: IpProtocol, hop_limit: u8) -> io::Result<OwnedFd> {
    let socket = socket::open_raw(local, protocol)?;
    socket::prepare_sender(&socket, local, hop_limit, SEND_BUFFER_LEN)?;
    Ok(socket)
}
