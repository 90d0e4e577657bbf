//! What overlays cannot do, and what that means to who asked for it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tapweave_control::datapath::{DatapathError, DatapathErrorKind as Kind};
use tapweave_encap::{EncapKind, RouteError, Vni};
use thiserror::Error;

/// What an overlay cannot do.
#[derive(Debug, Error)]
pub(super) enum OverlayError {
    #[error(
        "the underlay has no address; name one, or an interface, with `tapweave daemon --underlay`"
    )]
    NoAddress,
    #[error("cannot find the underlay's addresses")]
    Addresses(#[source] io::Error),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("cannot open a raw socket for IP in IP at {0}")]
    Raw(IpAddr, #[source] io::Error),
    #[error(
        "IP in IP needs raw sockets, and the daemon may open none: it has no CAP_NET_RAW in its network namespace"
    )]
    NoRawSockets(#[source] io::Error),
    #[error("cannot hear the group {0}")]
    Join(IpAddr, #[source] io::Error),
    #[error("cannot send from {0}")]
    Send(IpAddr, #[source] io::Error),
    #[error("VNI {vni} on UDP port {port} belongs to another network")]
    VniInUse { vni: Vni, port: u16 },
    #[error("UDP port {port} belongs to overlays of {kind}")]
    PortInUse { port: u16, kind: EncapKind },
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("the network is no overlay")]
    NoOverlay,
    #[error("{0} is not the address of one host")]
    NotAHost(IpAddr),
    #[error("{0} is an address of this host")]
    Itself(IpAddr),
    #[error("the underlay has no {0} address")]
    NoFamily(&'static str),
    #[error("{0} is a peer of the network already")]
    PeerExists(IpAddr),
    #[error("a path of {0} bytes leaves no room for packets")]
    TooNarrow(u16),
}

impl OverlayError {
    /// Returns what it means that there is no raw socket at `addr`.
    pub(super) fn raw(addr: IpAddr, cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::PermissionDenied {
            Self::NoRawSockets(cause)
        } else {
            Self::Raw(addr, cause)
        }
    }
}

impl From<OverlayError> for DatapathError {
    fn from(error: OverlayError) -> Self {
        let kind = match &error {
            OverlayError::VniInUse { .. }
            | OverlayError::PortInUse { .. }
            | OverlayError::Route(_)
            | OverlayError::PeerExists(_) => Kind::Conflict,
            OverlayError::Listen(_, cause) if cause.kind() == io::ErrorKind::AddrInUse => {
                Kind::Conflict
            }
            OverlayError::Listen(..)
            | OverlayError::Raw(..)
            | OverlayError::NoRawSockets(_)
            | OverlayError::Join(..)
            | OverlayError::Send(..)
            | OverlayError::Addresses(_) => Kind::Denied,
            OverlayError::NoAddress
            | OverlayError::NoOverlay
            | OverlayError::NotAHost(_)
            | OverlayError::Itself(_)
            | OverlayError::NoFamily(_)
            | OverlayError::TooNarrow(_) => Kind::Invalid,
        };
        Self::new(kind, error)
    }
}
