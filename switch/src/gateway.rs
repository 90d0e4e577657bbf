//! The gateway of a network: a router that has no port, since the switch itself is it.

mod answer;
mod asked;
mod config;
mod handle;
mod uplink;

use core::net::{IpAddr, Ipv6Addr};

use tapweave_net::MacAddr;

pub(crate) use asked::is_asked;
pub use config::{Advertising, GatewayConfig, Outside, PortAddresses, UplinkConfig, UplinkKind};
pub(crate) use uplink::Uplink;

/// The gateway of one network, as the packet side sees it.
pub(crate) struct Gateway {
    pub(crate) config: GatewayConfig,
    /// None without an IPv6 address.
    link_local: Option<Ipv6Addr>,
}

impl Gateway {
    pub(crate) fn new(config: GatewayConfig) -> Self {
        let has_v6 = config.addresses.iter().any(|own| own.addr().is_ipv6());
        Self {
            link_local: has_v6.then(|| link_local(config.mac)),
            config,
        }
    }

    /// Tells whether an address is the gateway's.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.config
            .addresses
            .iter()
            .any(|own| own.addr() == address)
            || self.link_local.is_some_and(|own| address == own)
    }
}

/// Returns the link-local address that a MAC gives (RFC 4291 §2.5.6).
fn link_local(mac: MacAddr) -> Ipv6Addr {
    Ipv6Addr::from_bits((0xfe80 << 112) | u128::from(mac.interface_id()))
}
