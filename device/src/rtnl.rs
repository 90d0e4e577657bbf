//! The few rtnetlink requests that list and configure interfaces (`man 7 rtnetlink`).
//!
//! Synchronous: the kernel has acted and answered when a request returns.

use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use tapweave_net::MacAddr;

/// Index of `lo`, the first interface of every network namespace.
pub(crate) const LOOPBACK_INDEX: u32 = 1;

/// A netlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct RouteSocket {
    socket: Socket,
    sequence: u32,
}

impl RouteSocket {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Makes a pair of interfaces called `ifname`, one here, one in the network namespace `far`.
    pub(crate) fn add_veth(&mut self, ifname: &str, far: RawFd) -> io::Result<()> {
        let name = LinkAttribute::IfName(ifname.to_owned());
        let mut peer = LinkMessage::default();
        peer.attributes = vec![name.clone(), LinkAttribute::NetNsFd(far)];
        let mut message = LinkMessage::default();
        message.attributes = vec![
            name,
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.request(RouteNetlinkMessage::NewLink(message), flags)
    }

    pub(crate) fn rename(&mut self, index: u32, ifname: &str) -> io::Result<()> {
        let mut message = link(index);
        message.attributes = vec![LinkAttribute::IfName(ifname.to_owned())];
        self.request(RouteNetlinkMessage::SetLink(message), 0)
    }

    pub(crate) fn set_mtu(&mut self, index: u32, mtu: u16) -> io::Result<()> {
        let mut message = link(index);
        message.attributes = vec![LinkAttribute::Mtu(mtu.into())];
        self.request(RouteNetlinkMessage::SetLink(message), 0)
    }

    pub(crate) fn set_link(&mut self, index: u32, mac: MacAddr, mtu: u16) -> io::Result<()> {
        let mut message = link(index);
        message.attributes = vec![
            LinkAttribute::Address(mac.octets().to_vec()),
            LinkAttribute::Mtu(mtu.into()),
        ];
        self.request(RouteNetlinkMessage::SetLink(message), 0)
    }

    pub(crate) fn bring_up(&mut self, index: u32) -> io::Result<()> {
        let mut message = link(index);
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// IPv4 addresses get their prefix's broadcast address, IPv6 addresses no duplicate detection.
    pub(crate) fn add_address(&mut self, index: u32, address: IpNet) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = family(address.addr());
        message.header.prefix_len = address.prefix_len();
        message.header.index = index;
        message.attributes = vec![
            AddressAttribute::Local(address.addr()),
            AddressAttribute::Address(address.addr()),
        ];
        match address {
            // Prefixes of 31 and 32 bits have none (RFC 3021).
            IpNet::V4(net) if net.prefix_len() < 31 => {
                let broadcast = AddressAttribute::Broadcast(net.broadcast());
                message.attributes.push(broadcast);
            }
            IpNet::V4(_) => {}
            IpNet::V6(_) => {
                let flags = AddressAttribute::Flags(AddressFlags::Nodad);
                message.attributes.push(flags);
            }
        }
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.request(RouteNetlinkMessage::NewAddress(message), flags)
    }

    pub(crate) fn add_default_route(
        &mut self,
        index: u32,
        gateway: IpAddr,
        metric: u32,
    ) -> io::Result<()> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(gateway);
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![
            RouteAttribute::Gateway(RouteAddress::from(gateway)),
            RouteAttribute::Oif(index),
            RouteAttribute::Priority(metric),
        ];
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.request(RouteNetlinkMessage::NewRoute(message), flags)
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            // An acknowledgement is the request's header with an error number.
            let mut answer = Vec::with_capacity(8192);
            self.socket.recv(&mut answer, 0)?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
                .map_err(io::Error::other)?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            if let NetlinkPayload::Error(error) = answer.payload {
                return match error.code {
                    None => Ok(()),
                    Some(_) => Err(error.to_io()),
                };
            }
        }
    }
}

/// A default route of the main table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DefaultRoute {
    /// Whether it is for IPv4; else it is for IPv6.
    pub(crate) is_v4: bool,
    /// Who made it.
    pub(crate) protocol: RouteProtocol,
    /// Its metric, 0 for none.
    pub(crate) metric: u32,
}

/// Has the kernel list the default routes of the main table that lead somewhere.
pub(crate) fn each_default_route(mut each: impl FnMut(DefaultRoute)) -> io::Result<()> {
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    dump(request, |answer| {
        let RouteNetlinkMessage::NewRoute(route) = answer else {
            return;
        };
        let header = &route.header;
        let leads_out = header.destination_prefix_length == 0
            && header.kind == RouteType::Unicast
            && header.table == RouteHeader::RT_TABLE_MAIN;
        let has_way = route.attributes.iter().any(|attribute| {
            matches!(
                attribute,
                RouteAttribute::Gateway(_)
                    | RouteAttribute::Via(_)
                    | RouteAttribute::Oif(_)
                    | RouteAttribute::MultiPath(_)
            )
        });
        let is_v4 = header.address_family == AddressFamily::Inet;
        if leads_out && has_way && (is_v4 || header.address_family == AddressFamily::Inet6) {
            let mut metric = 0;
            for attribute in &route.attributes {
                if let RouteAttribute::Priority(given) = attribute {
                    metric = *given;
                }
            }
            each(DefaultRoute {
                is_v4,
                protocol: header.protocol,
                metric,
            });
        }
    })
}

/// Has the kernel list something, and hands over each entry.
pub(crate) fn dump(
    request: RouteNetlinkMessage,
    mut each: impl FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    loop {
        // One datagram holds many messages, each with its length in front.
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(io::Error::other)?;
            // Messages begin at multiples of four bytes (`NLMSG_ALIGN`).
            let len = (message.header.length as usize).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(answer) => each(answer),
                NetlinkPayload::Noop => {}
                NetlinkPayload::Overrun(_) | _ => return Err(io::ErrorKind::InvalidData.into()),
            }
            rest = rest.get(len.max(1)..).unwrap_or_default();
        }
    }
}

fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
