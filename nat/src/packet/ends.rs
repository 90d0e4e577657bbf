//! The two ends of a flow, as a packet names them.

use core::fmt;
use core::net::IpAddr;

use crate::table::Endpoint;

/// Where a packet comes from and where it goes. Both are of one family.
///
/// Of an ICMP query the end that asks has the identifier for a port, and the other end zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ends {
    /// Where it comes from.
    pub src: Endpoint,
    /// Where it goes.
    pub dst: Endpoint,
}

impl Ends {
    #[inline]
    pub(super) fn of(src: IpAddr, dst: IpAddr, ports: (u16, u16)) -> Self {
        Self {
            src: Endpoint::new(src, ports.0),
            dst: Endpoint::new(dst, ports.1),
        }
    }

    /// Returns the same addresses with other ports.
    #[inline]
    pub(super) const fn with_ports(self, src: u16, dst: u16) -> Self {
        Self {
            src: self.src.with_port(src),
            dst: self.dst.with_port(dst),
        }
    }

    /// Returns the ends of a packet in the other direction.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
        }
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.src, self.dst)
    }
}
