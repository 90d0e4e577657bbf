//! The IPv4 address by DHCP (RFC 2131), with the client of `smoltcp`.
//!
//! That client asks, accepts, renews and gives up as the RFC says; it sends no DECLINE for an address
//! that turns out to be taken, and does not ask for the address of an earlier run. The lease of an earlier daemon
//! is used until there is one of this, or until it ends: servers give a station the address that it has.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, DeviceCapabilities, Medium};
use smoltcp::socket::dhcpv4::{Event, Socket};
use smoltcp::time::Instant;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    HardwareAddress, IpCidr, IpProtocol, Ipv4Packet, UdpPacket,
};
use tapweave_net::{MacAddr, Timestamp};

use super::left::{LeftLease, LeftPlace};
use crate::uplink::choice::NicAddress;
use crate::wire::Wire;

/// Most frames that wait for the client: it reads them all at the next look.
const WAITING_MAX: usize = 64;

/// How long a lease is whose server does not say it, as the client believes too.
const USUAL_TIME: Duration = Duration::from_mins(2);

/// A DHCP client.
pub(super) struct Dhcp {
    interface: Interface,
    sockets: SocketSet<'static>,
    client: SocketHandle,
    wire: Wire,
    mac: MacAddr,
    lease: Option<LeftLease>,
    /// Of an earlier daemon, until there is one of this.
    left: Option<LeftLease>,
    /// The address and the time of the last word of a server that we may have it.
    granted: Option<(Ipv4Addr, Duration)>,
}

impl Dhcp {
    pub(super) fn new(mac: MacAddr, seed: u64, now: Timestamp) -> Self {
        let mut wire = wire();
        let address = HardwareAddress::Ethernet(EthernetAddress(mac.octets()));
        let mut config = Config::new(address);
        config.random_seed = seed;
        let interface = Interface::new(config, &mut wire, instant(now));
        let mut sockets = SocketSet::new(Vec::new());
        let client = sockets.add(Socket::new());
        Self {
            interface,
            sockets,
            client,
            wire,
            mac,
            lease: None,
            left: None,
            granted: None,
        }
    }

    /// Goes on with the lease of an earlier daemon, while a new one is asked for.
    pub(super) const fn take_up(&mut self, left: &LeftPlace) {
        self.left = left.lease;
    }

    /// A frame came that may be an answer.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        self.granted = granted(frame, self.mac).or(self.granted);
        if self.wire.waiting_count() < WAITING_MAX {
            self.wire.receive(frame);
        }
    }

    /// Does what is due, adding frames to send; returns after how long something is.
    pub(super) fn poll(&mut self, at: Timestamp, frames: &mut Vec<Vec<u8>>) -> Duration {
        let now = instant(at);
        let _changed = self.interface.poll(now, &mut self.wire, &mut self.sockets);
        let event = self.sockets.get_mut::<Socket<'_>>(self.client).poll();
        match event {
            None => {}
            Some(Event::Configured(config)) => {
                let (address, router) = (config.address, config.router);
                let net = Ipv4Net::new(address.address(), address.prefix_len()).ok();
                self.lease = net.map(|net| {
                    let place = NicAddress {
                        address: IpNet::V4(net),
                        gateway: router.map(IpAddr::V4),
                    };
                    LeftLease::new(place, at + USUAL_TIME)
                });
                self.left = None;
                self.interface.update_ip_addrs(|addresses| {
                    addresses.clear();
                    // There is room: it was cleared.
                    let _full = addresses.push(IpCidr::Ipv4(address));
                });
                let routes = self.interface.routes_mut();
                let _former = routes.remove_default_ipv4_route();
                if let Some(router) = router {
                    // There is room: it was removed.
                    let _full = routes.add_default_ipv4_route(router);
                }
            }
            Some(Event::Deconfigured) => {
                self.lease = None;
                self.interface
                    .update_ip_addrs(|addresses| addresses.truncate(0));
                let _former = self.interface.routes_mut().remove_default_ipv4_route();
            }
        }
        if let Some((address, time)) = self.granted.take()
            && let Some(lease) = &mut self.lease
            && lease.place().address.addr() == address
        {
            *lease = LeftLease::new(lease.place(), at + time);
        }
        self.left = self.left.filter(|left| left.until() > at);
        frames.extend(self.wire.take_sent());
        let delay = self.interface.poll_delay(now, &self.sockets);
        let due = delay.map_or(Duration::MAX, Duration::from);
        let ends = self.left.map(|left| left.until().since(at));
        due.min(ends.unwrap_or(Duration::MAX))
    }

    /// Returns the address of the present lease and its router.
    pub(super) fn lease(&self) -> Option<NicAddress> {
        self.lease.or(self.left).map(LeftLease::place)
    }

    /// Notes the lease for the next daemon.
    pub(super) fn leave(&self, left: &mut LeftPlace) {
        left.lease = self.lease.or(self.left);
    }
}

impl fmt::Debug for Dhcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dhcp")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// Returns the address that a server lets the station `mac` have, and for how long, if a frame says that.
fn granted(frame: &[u8], mac: MacAddr) -> Option<(Ipv4Addr, Duration)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 || ip.next_header() != IpProtocol::Udp {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    let packet = DhcpPacket::new_checked(udp.payload()).ok()?;
    let said = DhcpRepr::parse(&packet).ok()?;
    let is_ours = said.message_type == DhcpMessageType::Ack
        && said.client_hardware_address == EthernetAddress(mac.octets());
    let time = Duration::from_secs(said.lease_duration?.into());
    is_ours.then_some((said.your_ip, time))
}

fn instant(now: Timestamp) -> Instant {
    Instant::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// Returns the device of a stack that reads and writes frames.
fn wire() -> Wire {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ethernet;
    capabilities.max_transmission_unit = 1514;
    // What comes from a machine on the same host may have a checksum that is left to do.
    capabilities.checksum.udp = Checksum::Tx;
    Wire::new(capabilities)
}

#[cfg(test)]
mod tests;
