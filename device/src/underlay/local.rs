//! Addresses and MTUs of this host's interfaces, as far as tunnels need them.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::rtnl::dump;

/// Returns the addresses of an interface that packets can come from, those of global scope first. May
/// block for milliseconds.
///
/// # Errors
///
/// What the kernel said, such as that there is no such interface.
pub fn interface_addresses(ifname: &str) -> io::Result<Vec<IpAddr>> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let index = name_to_index(&any, ifname)?;
    let mut addresses = Vec::new();
    for_each_address(|message, address| {
        if message.header.index == index && !is_unusable(message) {
            let is_local = message.header.scope != AddressScope::Universe;
            addresses.push((is_local, address));
        }
    })?;
    // Stable: among equals the kernel's order stays.
    addresses.sort_by_key(|(is_local, _)| *is_local);
    Ok(addresses.into_iter().map(|(_, address)| address).collect())
}

/// Returns the index of the interface that has `address`, `None` when there is none.
///
/// # Errors
///
/// What the kernel said.
pub fn interface_of(address: IpAddr) -> io::Result<Option<u32>> {
    let mut index = None;
    for_each_address(|message, other| {
        if other == address {
            index = Some(message.header.index);
        }
    })?;
    Ok(index)
}

/// Returns the MTU of the interface that has `address`, `None` when there is none.
///
/// # Errors
///
/// What the kernel said.
pub fn interface_mtu(address: IpAddr) -> io::Result<Option<u16>> {
    let index = interface_of(address)?;
    let mut mtu = None;
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    dump(request, |answer| {
        if let RouteNetlinkMessage::NewLink(link) = answer
            && Some(link.header.index) == index
        {
            mtu = link.attributes.iter().find_map(|attribute| {
                if let LinkAttribute::Mtu(mtu) = attribute {
                    // Loopback has 65,536.
                    Some(u16::try_from(*mtu).unwrap_or(u16::MAX))
                } else {
                    None
                }
            });
        }
    })?;
    Ok(mtu)
}

fn for_each_address(mut each: impl FnMut(&AddressMessage, IpAddr)) -> io::Result<()> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    dump(request, |answer| {
        if let RouteNetlinkMessage::NewAddress(message) = answer
            && let Some(address) = local_address(&message)
        {
            each(&message, address);
        }
    })
}

/// Returns the address of this end: of a point-to-point interface the other attribute is the far end's.
fn local_address(message: &AddressMessage) -> Option<IpAddr> {
    let attributes = || message.attributes.iter();
    let local = attributes().find_map(|attribute| {
        if let AddressAttribute::Local(address) = attribute {
            Some(*address)
        } else {
            None
        }
    });
    local.or_else(|| {
        attributes().find_map(|attribute| {
            if let AddressAttribute::Address(address) = attribute {
                Some(*address)
            } else {
                None
            }
        })
    })
}

/// Tells whether an address is not to be used, or not yet, or not for long (RFC 4862 §5.5.4, RFC 8981).
fn is_unusable(message: &AddressMessage) -> bool {
    let avoided = AddressFlags::Tentative
        | AddressFlags::Dadfailed
        | AddressFlags::Deprecated
        | AddressFlags::Secondary;
    message.attributes.iter().any(|attribute| {
        if let AddressAttribute::Flags(flags) = attribute {
            flags.intersects(avoided)
        } else {
            false
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_its_address_and_an_interface_that_is_not_there_has_none() {
        let loopback_is_up = std::net::UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.connect("127.0.0.1:9"))
            .is_ok();
        let addresses = interface_addresses("lo").unwrap();
        let localhost = "127.0.0.1".parse().unwrap();
        assert_eq!(addresses.contains(&localhost), loopback_is_up);
        let mtu = interface_mtu(localhost).unwrap();
        assert_eq!(mtu, loopback_is_up.then_some(u16::MAX));
        assert_eq!(interface_mtu("192.0.2.77".parse().unwrap()).unwrap(), None);
        interface_addresses("no-such-ifc").unwrap_err();
    }
}
