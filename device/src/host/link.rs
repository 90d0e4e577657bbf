//! An Ethernet interface of the host, found by its name.

use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use tapweave_net::MacAddr;

use crate::rtnl::dump;

/// An Ethernet interface of the namespace of the process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostLink {
    /// Its index.
    pub index: u32,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Bytes of the longest packet.
    pub mtu: u32,
    /// Whether it is up and has a carrier.
    pub is_running: bool,
}

impl HostLink {
    /// Returns the interface of this name; none when there is none or it has no Ethernet address.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn by_name(name: &str) -> io::Result<Option<Self>> {
        let mut found = None;
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        dump(request, |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer {
                let is_it = |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::IfName(ifname) if ifname == name);
                if link.attributes.iter().any(is_it) {
                    found = Self::of(&link);
                }
            }
        })?;
        Ok(found)
    }

    /// Returns the names of the Ethernet interfaces that there are.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn names() -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        dump(request, |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer
                && Self::of(&link).is_some()
            {
                for attribute in link.attributes {
                    if let LinkAttribute::IfName(name) = attribute {
                        names.push(name);
                    }
                }
            }
        })?;
        Ok(names)
    }

    fn of(link: &LinkMessage) -> Option<Self> {
        let is_ethernet = link.header.link_layer_type == LinkLayerType::Ether;
        let (mut mac, mut mtu) = (None, 0);
        for attribute in &link.attributes {
            if let LinkAttribute::Address(bytes) = attribute {
                mac = <[u8; MacAddr::LEN]>::try_from(bytes.as_slice()).ok();
            } else if let LinkAttribute::Mtu(bytes) = attribute {
                mtu = *bytes;
            }
        }
        let running = LinkFlags::Up | LinkFlags::LowerUp;
        Some(Self {
            index: link.header.index,
            mac: MacAddr::new(mac.filter(|_| is_ethernet)?),
            mtu,
            is_running: link.header.flags.contains(running),
        })
    }
}

/// Returns the index of the interface of this name, of whatever kind; none when there is none.
pub fn interface_index(name: &str) -> Option<u32> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(socket, name).ok()
}
