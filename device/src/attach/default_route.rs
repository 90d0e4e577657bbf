//! The default routes of an interface in a sandbox, beside those of others.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::route::RouteProtocol;

use super::InterfaceSpec;
use crate::rtnl::RouteSocket;

/// Whether a default route was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultRoute {
    /// It was.
    Made,
    /// There is one already, somebody else's or this one.
    There,
}

/// Makes the default route by way of `gateway`, unless the namespace has one of the gateway's family that is somebody
/// else's.
pub(super) fn add_default_route(
    netlink: &mut RouteSocket,
    index: u32,
    gateway: IpAddr,
    metric: u32,
) -> io::Result<DefaultRoute> {
    if has_foreign(netlink, gateway)? {
        return Ok(DefaultRoute::There);
    }
    match netlink.add_default_route(index, gateway, metric) {
        Ok(()) => Ok(DefaultRoute::Made),
        // One of the same metric.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(DefaultRoute::There),
        Err(error) => Err(error),
    }
}

/// Tells whether the namespace has a default route of the family of `like` that is somebody else's: neither
/// one of ours, which their protocol and metric give away, nor one that a router advertised.
fn has_foreign(netlink: &mut RouteSocket, like: IpAddr) -> io::Result<bool> {
    let mut is_there = false;
    netlink.each_default_route(|route| {
        let is_ours = route.protocol == RouteProtocol::Static
            && InterfaceSpec::METRICS.contains(&route.metric);
        is_there |=
            route.is_v4 == like.is_ipv4() && route.protocol != RouteProtocol::Ra && !is_ours;
    })?;
    Ok(is_there)
}
