//! What a server says to every client of its network.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use ipnet::Ipv4Net;
use tapweave_net::{DomainName, MacAddr};

/// How long a lease lasts unless it is said: long enough that few packets are spent on it, short enough that the
/// addresses of machines which are gone come back the same day.
pub const DEFAULT_LEASE_TIME: Duration = Duration::from_hours(1);

/// The shortest lease that is given: a client that asks for less would ask all the time.
pub const MIN_LEASE_TIME: Duration = Duration::from_mins(2);

/// A network as its clients are told of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The gateway's addresses, each with the prefix length of its subnet. That in the subnet of a client's address
    /// is the server, the router and, where names are answered, the resolver.
    pub gateways: Vec<Ipv4Net>,
    /// The gateway's MAC address, which its identifier in DHCP for IPv6 is made of.
    pub mac: MacAddr,
    /// Whether the gateway leads out.
    pub way_out: WayOut,
    /// Whether names are answered at the gateway.
    pub names: Names,
    /// The gateway's IPv6 addresses at which names are answered.
    pub resolvers_v6: Vec<Ipv6Addr>,
    /// Search domain.
    pub domain: Option<DomainName>,
    /// Longest packet, in bytes.
    pub mtu: u16,
    /// How long a lease lasts, at least [`MIN_LEASE_TIME`].
    pub lease_time: Duration,
    /// Most leases of one port, its endpoint's own address apart.
    pub leases_of_port: usize,
}

/// Whether a gateway leads out of its network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WayOut {
    /// It does: it is the default router.
    Open,
    /// It answers for itself only.
    Closed,
}

/// Whether there is a resolver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// At each of the gateway's addresses.
    Answered,
    /// There is none.
    Unanswered,
}

impl Settings {
    /// Returns the gateway in whose subnet an address is.
    pub(crate) fn gateway_of(&self, address: Ipv4Addr) -> Option<&Ipv4Net> {
        let mut gateways = self.gateways.iter();
        gateways.find(|gateway| gateway.contains(&address))
    }

    /// Tells whether an address is the server's.
    pub(crate) fn is_server(&self, address: Ipv4Addr) -> bool {
        let mut gateways = self.gateways.iter();
        gateways.any(|gateway| gateway.addr() == address)
    }
}
