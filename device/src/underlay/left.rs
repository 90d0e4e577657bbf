//! Sockets that an earlier daemon has left, and what they must be to be used again.
//!
//! Only the kernel is believed: a socket is asked for its kind, its address and its network namespace. Options are not
//! asked for, but set once more, as those of a new socket are.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::sockopt::{socket_domain, socket_protocol, socket_reuseport, socket_type};
use rustix::net::{AddressFamily, Protocol, SocketType, getsockname, ipproto};
use tapweave_net::IpProtocol;
use thiserror::Error;

use super::socket::Sharing;
use crate::socket_place::is_here;

/// Why a socket that was left is not used again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LeftSocketError {
    /// It is no socket, or one of another family, type or protocol, or shares its port otherwise.
    #[error("it is another kind of socket")]
    Kind,
    /// It is bound to another address or port.
    #[error("it is bound to {there}, not to {wanted}")]
    Address {
        /// To what it is bound.
        there: SocketAddr,
        /// To what it should be.
        wanted: SocketAddr,
    },
    /// It sends and receives in another network namespace than this process.
    #[error("it is in another network namespace")]
    Namespace,
    /// There are not as many as belong together.
    #[error("there should be {expected} sockets, and there are {there}")]
    Count {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        there: usize,
    },
    /// It cannot be asked, or not be set up as a new one would be.
    #[error("the kernel refuses it")]
    Io(#[from] io::Error),
}

impl From<Errno> for LeftSocketError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOTSOCK => Self::Kind,
            error => Self::Io(error.into()),
        }
    }
}

/// Returns sockets that were left, if they are `N`.
pub(super) fn exactly<const N: usize>(
    sockets: Vec<OwnedFd>,
) -> Result<[OwnedFd; N], LeftSocketError> {
    <[OwnedFd; N]>::try_from(sockets).map_err(|others| LeftSocketError::Count {
        expected: N,
        there: others.len(),
    })
}

/// Checks that `socket` is what [`super::socket::open`] makes for this address; port zero stands for any.
pub(super) fn check_udp(
    socket: &OwnedFd,
    addr: SocketAddr,
    sharing: Sharing,
) -> Result<(), LeftSocketError> {
    check(socket, addr, SocketType::DGRAM, ipproto::UDP)?;
    let is_shared = socket_reuseport(socket)?;
    if is_shared != (sharing == Sharing::Shared) {
        return Err(LeftSocketError::Kind);
    }
    Ok(())
}

/// Checks that `socket` is what [`super::socket::open_raw`] makes for this address and protocol.
pub(super) fn check_raw(
    socket: &OwnedFd,
    addr: IpAddr,
    protocol: IpProtocol,
) -> Result<(), LeftSocketError> {
    let protocol = NonZero::new(protocol.0.into()).ok_or(LeftSocketError::Kind)?;
    let (addr, protocol) = (SocketAddr::new(addr, 0), Protocol::from_raw(protocol));
    check(socket, addr, SocketType::RAW, protocol)
}

fn check(
    socket: &OwnedFd,
    wanted: SocketAddr,
    kind: SocketType,
    protocol: Protocol,
) -> Result<(), LeftSocketError> {
    let family = match wanted {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let is_kind = socket_type(socket)? == kind
        && socket_domain(socket)? == family
        && socket_protocol(socket)? == Some(protocol)
        && fcntl_getfl(socket)?.contains(OFlags::NONBLOCK);
    if !is_kind {
        return Err(LeftSocketError::Kind);
    }
    let there = SocketAddr::try_from(getsockname(socket)?).map_err(io::Error::from)?;
    let is_port = kind == SocketType::RAW || wanted.port() == 0 || there.port() == wanted.port();
    if there.ip() != wanted.ip() || !is_port {
        return Err(LeftSocketError::Address { there, wanted });
    }
    if !is_here(socket.as_fd())? {
        return Err(LeftSocketError::Namespace);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::socket::open;
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(port: u16) -> SocketAddr {
        SocketAddr::new(LOCAL, port)
    }

    #[test]
    fn a_socket_is_what_it_was_made_as_and_nothing_else() {
        let socket = open(at(48_795), Sharing::Shared).unwrap();
        let check = |addr, sharing| check_udp(&socket, addr, sharing);
        check(at(48_795), Sharing::Shared).unwrap();
        check(at(0), Sharing::Shared).unwrap();
        assert!(matches!(
            check(at(48_795), Sharing::Exclusive),
            Err(LeftSocketError::Kind)
        ));
        let error = check(at(48_796), Sharing::Shared).unwrap_err();
        let said = "it is bound to 127.0.0.1:48795, not to 127.0.0.1:48796";
        assert_eq!(error.to_string(), said);
        let other: SocketAddr = "127.0.0.2:48795".parse().unwrap();
        check(other, Sharing::Shared).unwrap_err();
        let v6: SocketAddr = "[::1]:48795".parse().unwrap();
        assert!(matches!(
            check(v6, Sharing::Shared),
            Err(LeftSocketError::Kind)
        ));
        check_raw(&socket, LOCAL, IpProtocol::IPV4).unwrap_err();
    }

    #[test]
    fn what_is_no_datagram_socket_is_no_socket_of_an_overlay() {
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        let stream = OwnedFd::from(std::net::TcpListener::bind((LOCAL, 0)).unwrap());
        // One that waits would hold a worker up.
        let waiting = OwnedFd::from(std::net::UdpSocket::bind((LOCAL, 0)).unwrap());
        for other in [file, stream, waiting] {
            let checked = check_udp(&other, at(0), Sharing::Exclusive);
            assert!(matches!(checked, Err(LeftSocketError::Kind)), "{checked:?}");
        }
    }
}
