//! Which prefixes the host uses already, so that a network does not get them by default.
//!
//! Asked over rtnetlink in the namespace of the process: the prefixes of all interface addresses and
//! of all routes, of every table, VPNs included. The default route says nothing about a prefix.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

use crate::rtnl::dump;

/// Returns the prefixes of the host's interface addresses and routes, without repetition. May block
/// for milliseconds.
///
/// # Errors
///
/// What the kernel said.
pub fn prefixes_in_use() -> io::Result<Vec<IpNet>> {
    let mut prefixes = Vec::new();
    dump(
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        |answer| {
            if let RouteNetlinkMessage::NewAddress(address) = answer {
                prefixes.extend(address_prefixes(&address));
            }
        },
    )?;
    dump(
        RouteNetlinkMessage::GetRoute(RouteMessage::default()),
        |answer| {
            if let RouteNetlinkMessage::NewRoute(route) = answer {
                prefixes.extend(route_prefix(&route));
            }
        },
    )?;
    prefixes.sort_unstable();
    prefixes.dedup();
    Ok(prefixes)
}

/// Returns the prefix of an address, and for a point-to-point interface also its own end: there the
/// address is that of the peer, and the own one comes as `IFA_LOCAL` (`linux/if_addr.h`).
fn address_prefixes(message: &AddressMessage) -> impl Iterator<Item = IpNet> {
    let prefix_len = message.header.prefix_len;
    message.attributes.iter().filter_map(move |attribute| {
        if let AddressAttribute::Address(address) = attribute {
            Some(IpNet::new(*address, prefix_len).ok()?.trunc())
        } else if let AddressAttribute::Local(own) = attribute {
            Some(IpNet::from(*own))
        } else {
            None
        }
    })
}

fn route_prefix(message: &RouteMessage) -> Option<IpNet> {
    let is_of_a_prefix = !matches!(
        message.header.kind,
        RouteType::Local | RouteType::Broadcast | RouteType::Multicast | RouteType::Anycast
    );
    let prefix_len = message.header.destination_prefix_length;
    if !is_of_a_prefix || prefix_len == 0 {
        return None;
    }
    let mut attributes = message.attributes.iter();
    let destination = attributes.find_map(|attribute| {
        if let RouteAttribute::Destination(address) = attribute {
            ip(address)
        } else {
            None
        }
    });
    Some(IpNet::new(destination?, prefix_len).ok()?.trunc())
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(v4) = address {
        return Some(IpAddr::V4(*v4));
    }
    if let RouteAddress::Inet6(v6) = address {
        Some(IpAddr::V6(*v6))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_prefix_is_in_use_wherever_loopback_is_up() {
        let loopback_is_up = std::net::UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.connect("127.0.0.1:9"))
            .is_ok();
        let prefixes = prefixes_in_use().unwrap();
        assert_eq!(
            prefixes.contains(&"127.0.0.0/8".parse().unwrap()),
            loopback_is_up
        );
    }
}
