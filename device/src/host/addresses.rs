//! The addresses of the host.

use std::io;

use ipnet::IpNet;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;

use crate::rtnl::{address_of, dump};

/// Returns the addresses of all interfaces of the namespace, each with its prefix length and the index
/// of its interface.
///
/// # Errors
///
/// What the kernel said.
pub fn host_addresses() -> io::Result<Vec<(u32, IpNet)>> {
    let mut addresses = Vec::new();
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    dump(request, |answer| {
        if let RouteNetlinkMessage::NewAddress(message) = answer {
            let net = address_of(&message);
            addresses.extend(net.map(|net| (message.header.index, net)));
        }
    })?;
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_own_bits_and_not_those_of_its_prefix() {
        let loopback_is_up = std::net::UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.connect("127.0.0.1:9"))
            .is_ok();
        let expected = (1, "127.0.0.1/8".parse().unwrap());
        assert_eq!(
            host_addresses().unwrap().contains(&expected),
            loopback_is_up
        );
    }
}
