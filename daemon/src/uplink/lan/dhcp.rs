//! The IPv4 address by DHCP (RFC 2131), with the client of `smoltcp`.
//!
//! That client asks, accepts, renews and gives up as the RFC says; it sends no DECLINE for an address
//! that turns out to be taken, and does not ask for the address of an earlier run.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::dhcpv4::{Event, Socket};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};
use tapweave_net::{MacAddr, Timestamp};

use crate::uplink::choice::NicAddress;

/// Most frames that wait for the client: it reads them all at the next look.
const WAITING_MAX: usize = 64;

/// A DHCP client.
pub(super) struct Dhcp {
    interface: Interface,
    sockets: SocketSet<'static>,
    client: SocketHandle,
    wire: Wire,
    lease: Option<NicAddress>,
}

impl Dhcp {
    pub(super) fn new(mac: MacAddr, seed: u64, now: Timestamp) -> Self {
        let mut wire = Wire::default();
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
            lease: None,
        }
    }

    /// A frame came that may be an answer.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        if self.wire.received.len() < WAITING_MAX {
            self.wire.received.push_back(frame.to_vec());
        }
    }

    /// Does what is due, adding frames to send; returns after how long something is.
    pub(super) fn poll(&mut self, now: Timestamp, frames: &mut Vec<Vec<u8>>) -> Duration {
        let now = instant(now);
        let _changed = self.interface.poll(now, &mut self.wire, &mut self.sockets);
        let event = self.sockets.get_mut::<Socket<'_>>(self.client).poll();
        match event {
            None => {}
            Some(Event::Configured(config)) => {
                let (address, router) = (config.address, config.router);
                let net = Ipv4Net::new(address.address(), address.prefix_len()).ok();
                self.lease = net.map(|net| NicAddress {
                    address: IpNet::V4(net),
                    gateway: router.map(IpAddr::V4),
                });
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
        frames.append(&mut self.wire.sent);
        let delay = self.interface.poll_delay(now, &self.sockets);
        delay.map_or(Duration::MAX, Duration::from)
    }

    /// Returns the address of the present lease and its router.
    pub(super) const fn lease(&self) -> Option<NicAddress> {
        self.lease
    }
}

impl fmt::Debug for Dhcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dhcp")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

fn instant(now: Timestamp) -> Instant {
    Instant::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// Frames on their way to and from the client.
#[derive(Debug, Default)]
struct Wire {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Arrived(Vec<u8>);

struct Departing<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Departing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Departing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived, Departing<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Arrived(frame), Departing(&mut self.sent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Departing<'_>> {
        Some(Departing(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        // What comes from a machine on the same host may have a checksum that is left to do.
        capabilities.checksum.udp = Checksum::Tx;
        capabilities
    }
}

#[cfg(test)]
mod tests;
