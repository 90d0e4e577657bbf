//! Packets of IP in IP to peers.
//!
//! The kernel makes the outer IP header. It gives every raw socket a copy of what arrives of its protocol; those
//! that send have next to no room for that.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use tapweave_net::IpProtocol;

use super::ip_fields::IpFields;
use super::sender::{SEND_BUFFER_LEN, TransmitError, transmit_error};
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
        let socket = match protocol {
            IpProtocol::IPV4 => &self.v4,
            IpProtocol::IPV6 => &self.v6,
            _ => return Err(TransmitError::Failed(io::ErrorKind::Unsupported.into())),
        };
        let ancillary = fields.ancillary(self.hop_limit, to, None);
        // A raw socket of IPv6 takes no other port.
        let to = SocketAddr::new(to, 0);
        udp::send(socket.as_fd(), to, ancillary, parts).map_err(transmit_error)
    }
}

fn open(local: IpAddr, protocol: IpProtocol, hop_limit: u8) -> io::Result<OwnedFd> {
    let socket = socket::open_raw(local, protocol)?;
    socket::prepare_sender(&socket, local, hop_limit, SEND_BUFFER_LEN)?;
    Ok(socket)
}
