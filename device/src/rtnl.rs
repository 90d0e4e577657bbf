//! The few rtnetlink requests that list and configure interfaces (`man 7 rtnetlink`).
//!
//! Synchronous: the kernel has acted and answered when a request returns. It does so within the calls that send and
//! receive, so nothing is waited for but the kernel's own locks.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

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
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_domain};
use rustix::net::{
    self, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
};
use tapweave_net::MacAddr;

/// Index of `lo`, the first interface of every network namespace.
pub(crate) const LOOPBACK_INDEX: u32 = 1;

/// Most datagrams of a list that somebody else may have made long, each of up to 32 KiB: some 20,000 addresses.
const FOREIGN_LIMIT: usize = 64;

/// How long an answer may take where somebody else may be in the way.
const FOREIGN_PATIENCE: Duration = Duration::from_secs(1);

/// A netlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct RouteSocket {
    socket: OwnedFd,
    sequence: u32,
    /// Most datagrams of a list.
    limit: usize,
}

impl RouteSocket {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = open_socket(SocketFlags::empty(), 0)?;
        // From now on nobody but the kernel can send to it.
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
            limit: usize::MAX,
        })
    }

    /// Takes a socket that was opened in a namespace of somebody else's, who decides how long lists are. What an earlier
    /// owner of the socket has asked for and not read is thrown away.
    pub(crate) fn of_foreign(socket: OwnedFd) -> io::Result<Self> {
        if socket_domain(&socket)? != net::AddressFamily::NETLINK {
            return Err(io::ErrorKind::Unsupported.into());
        }
        set_socket_timeout(&socket, Timeout::Recv, Some(FOREIGN_PATIENCE))?;
        for _ in 0..FOREIGN_LIMIT {
            match recv(&socket, &mut [0; 16], RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => {
                    return Ok(Self {
                        socket,
                        sequence: 0,
                        limit: FOREIGN_LIMIT,
                    });
                }
                // Of what was lost, nothing is wanted.
                Ok(_) | Err(Errno::INTR | Errno::NOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::QuotaExceeded.into())
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

    pub(crate) fn set_link(
        &mut self,
        index: u32,
        mac: MacAddr,
        mtu: u16,
        segments_max: Option<u16>,
    ) -> io::Result<()> {
        let mut message = link(index);
        message.attributes = vec![
            LinkAttribute::Address(mac.octets().to_vec()),
            LinkAttribute::Mtu(mtu.into()),
        ];
        let segments_max = segments_max.map(|count| LinkAttribute::GsoMaxSegs(count.into()));
        message.attributes.extend(segments_max);
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

    /// Has the kernel list the default routes of the main table that lead somewhere.
    pub(crate) fn each_default_route(
        &mut self,
        mut each: impl FnMut(DefaultRoute),
    ) -> io::Result<()> {
        let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        self.dump(request, |answer| {
            if let RouteNetlinkMessage::NewRoute(route) = answer
                && let Some(route) = default_route(&route)
            {
                each(route);
            }
        })
    }

    /// Has the kernel list something, and hands over each entry.
    ///
    /// # Errors
    ///
    /// What the kernel said; [`io::ErrorKind::QuotaExceeded`] when the list is longer than it may be.
    pub(crate) fn dump(
        &mut self,
        request: RouteNetlinkMessage,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.send(request, NLM_F_DUMP)?;
        for _ in 0..self.limit {
            // One datagram holds many messages, each with its length in front.
            let datagram = self.receive()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(io::Error::other)?;
                // Messages begin at multiples of four bytes (`NLMSG_ALIGN`).
                let len = (message.header.length as usize).next_multiple_of(4);
                rest = rest.get(len.max(1)..).unwrap_or_default();
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::InnerMessage(answer) => each(answer),
                    NetlinkPayload::Noop => {}
                    NetlinkPayload::Overrun(_) | _ => {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                }
            }
        }
        Err(io::ErrorKind::QuotaExceeded.into())
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.send(message, NLM_F_ACK | flags)?;
        loop {
            // An acknowledgement is the request's header with an error number.
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&self.receive()?)
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

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        retry_on_intr(|| send(&self.socket, &bytes, SendFlags::empty()))?;
        Ok(())
    }

    /// Returns the next datagram, however long it is.
    fn receive(&self) -> io::Result<Vec<u8>> {
        let peek = RecvFlags::PEEK | RecvFlags::TRUNC;
        let (_, len) = retry_on_intr(|| recv(&self.socket, &mut [0_u8; 0], peek))?;
        let mut datagram = Vec::with_capacity(len);
        let flags = RecvFlags::empty();
        retry_on_intr(|| recv(&self.socket, spare_capacity(&mut datagram), flags))?;
        Ok(datagram)
    }
}

impl AsFd for RouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<RouteSocket> for OwnedFd {
    fn from(socket: RouteSocket) -> Self {
        socket.socket
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

fn default_route(route: &RouteMessage) -> Option<DefaultRoute> {
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
    let is_ip = is_v4 || header.address_family == AddressFamily::Inet6;
    if !(leads_out && has_way && is_ip) {
        return None;
    }
    let mut metric = 0;
    for attribute in &route.attributes {
        if let RouteAttribute::Priority(given) = attribute {
            metric = *given;
        }
    }
    Some(DefaultRoute {
        is_v4,
        protocol: header.protocol,
        metric,
    })
}

/// Opens a socket of this namespace that is closed on `exec` and hears the multicast groups `groups`, each a bit
/// (`RTMGRP_*`).
pub(crate) fn open_socket(flags: SocketFlags, groups: u32) -> io::Result<OwnedFd> {
    let socket = socket_with(
        net::AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags | SocketFlags::CLOEXEC,
        // `NETLINK_ROUTE`.
        None,
    )?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// Has the kernel list something of this namespace, and hands over each entry.
pub(crate) fn dump(
    request: RouteNetlinkMessage,
    each: impl FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    RouteSocket::open()?.dump(request, each)
}

/// Returns the address that a message tells of, with its prefix length.
pub(crate) fn address_of(message: &AddressMessage) -> Option<IpNet> {
    let (mut local, mut address) = (None, None);
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            local = Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            address = Some(*ip);
        }
    }
    // Of a point-to-point address the other one is the far end's.
    let address = local.or(address)?;
    IpNet::new(address, message.header.prefix_len).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list(socket: &mut RouteSocket) -> io::Result<usize> {
        let mut count = 0;
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        socket.dump(request, |_| count += 1)?;
        Ok(count)
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_and_its_rest_is_not_taken_for_another() {
        let mut socket = RouteSocket::open().unwrap();
        let whole = list(&mut socket).unwrap();
        assert!(whole >= 1, "there is no loopback interface");
        // That the list has ended is told in a datagram of its own.
        socket.limit = 1;
        let refusal = list(&mut socket).unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::QuotaExceeded);
        let mut socket = RouteSocket::of_foreign(socket.into()).unwrap();
        assert_eq!(list(&mut socket).unwrap(), whole);
    }

    #[test]
    fn a_socket_of_another_kind_is_told_apart() {
        let other = socket_with(
            net::AddressFamily::UNIX,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        );
        let refusal = RouteSocket::of_foreign(other.unwrap()).unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::Unsupported);
    }
}
