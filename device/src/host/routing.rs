//! Whether the host routes, and where to by default.

use std::fs;
use std::io;
use std::net::IpAddr;

use crate::rtnl::RouteSocket;

/// The families in which the host has a default route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DefaultRoutes {
    /// For IPv4.
    pub v4: bool,
    /// For IPv6.
    pub v6: bool,
}

impl DefaultRoutes {
    /// Asks the kernel for those of the main table.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn read() -> io::Result<Self> {
        let mut routes = Self::default();
        RouteSocket::open()?.each_default_route(|route| {
            routes.v4 |= route.is_v4;
            routes.v6 |= !route.is_v4;
        })?;
        Ok(routes)
    }
}

/// Tells whether the host forwards packets of the family of `address` between its interfaces
/// (`Documentation/networking/ip-sysctl.rst`). A host without that family does not.
pub fn forwards(address: IpAddr) -> bool {
    let file = match address {
        IpAddr::V4(_) => "ipv4/ip_forward",
        IpAddr::V6(_) => "ipv6/conf/all/forwarding",
    };
    fs::read_to_string(format!("/proc/sys/net/{file}")).is_ok_and(|text| text.trim() != "0")
}

/// Tells whether the host has IPv6 and it is not switched off.
pub fn has_ipv6() -> bool {
    fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6")
        .is_ok_and(|text| text.trim() == "0")
}
