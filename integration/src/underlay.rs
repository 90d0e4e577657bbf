//! Hosts that are joined by an underlay, and overlays over it.
//!
//! ```text
//!   station      sandbox        each a namespace with eth0 in 10.77.0.0/24 and fd77::/64
//!      |            |
//!     br0       tapweave
//!      |            |
//!     vx0           |           the kernel's vxlan device, or a daemon
//!      |            |
//!    eth0         eth0          192.0.2.N and 2001:db8:9::N of host N
//!       \          /
//!         underlay              a bridge in a namespace of its own
//! ```
//!
//! A host may be [behind routers](Underlay::put_behind_routers) instead.

mod kernel_host;
mod routers;
mod tapweave_host;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::bridge::bypass_packet_filter;
use crate::lab::Lab;
use crate::sandbox::Sandbox;
use crate::world::{address, station};

pub use kernel_host::KernelHost;
pub use routers::TooLong;
pub use tapweave_host::{TapweaveHost, with_kernel};

/// The overlay network on every daemon.
pub const NETWORK: &str = "far";

/// Which IP carries the tunnels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Carrier {
    /// Returns the address of a host that its tunnels end at.
    pub fn address(self, host: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(192, 0, 2, host).into(),
            Self::V6 => Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, host.into()).into(),
        }
    }
}

/// A segment as all of its hosts know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The VXLAN network identifier.
    pub vni: u32,
    /// The UDP port.
    pub port: u16,
    /// What it travels over.
    pub carrier: Carrier,
}

impl Segment {
    /// The usual one.
    pub const USUAL: Self = Self {
        vni: 42,
        port: 4789,
        carrier: Carrier::V4,
    };

    /// One with another port, over IPv6.
    pub const OVER_V6: Self = Self {
        vni: 0x00ab_cdef,
        port: 8472,
        carrier: Carrier::V6,
    };

    /// Returns the address of a host that its tunnels end at.
    pub fn vtep(self, host: u8) -> IpAddr {
        self.carrier.address(host)
    }

    /// Returns the MTU that an underlay of `underlay_mtu` bytes leaves.
    pub const fn mtu(self, underlay_mtu: u16) -> u16 {
        match self.carrier {
            Carrier::V4 => underlay_mtu - 50,
            Carrier::V6 => underlay_mtu - 70,
        }
    }
}

/// What hosts are joined by.
#[derive(Debug)]
pub struct Underlay {
    place: Sandbox,
    /// Of the names of its namespaces.
    prefix: String,
    /// Bytes of the longest packet.
    mtu: u16,
    /// The last router before a host.
    routers: BTreeMap<u8, Sandbox>,
}

/// What most links take.
const USUAL_MTU: u16 = 1500;

impl Underlay {
    /// Makes an underlay without hosts.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new(lab: &Lab) -> Result<Self> {
        Self::with_prefix(lab, "")
    }

    /// As [`Underlay::new`], where a lab has several: the names of its namespaces begin with `prefix`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn with_prefix(lab: &Lab, prefix: &str) -> Result<Self> {
        let place = lab.sandbox(&format!("{prefix}underlay"))?;
        place.ip("link add br0 type bridge mcast_snooping 0 stp_state 0")?;
        place.ip("link set br0 up")?;
        let prefix = prefix.to_owned();
        Ok(Self {
            place,
            prefix,
            mtu: USUAL_MTU,
            routers: BTreeMap::new(),
        })
    }

    /// Has the links of hosts that are made from now on take packets of `mtu` bytes.
    pub const fn set_mtu(&mut self, mtu: u16) {
        self.mtu = mtu;
    }

    /// Makes the namespace of a host with its addresses.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn host(&self, lab: &Lab, number: u8) -> Result<Sandbox> {
        let host = station(lab, &format!("{}host{number}", self.prefix))?;
        self.plug_in(&host, number)?;
        Ok(host)
    }

    /// Gives host `number` its interface, with its addresses. One that is there must be taken away before.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn plug_in(&self, host: &Sandbox, number: u8) -> Result<()> {
        let path = host.path();
        let mtu = self.mtu;
        self.place.ip(&format!(
            "link add host{number} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}",
            path.display()
        ))?;
        let port = format!("host{number}");
        match self.routers.get(&number) {
            Some(last) => self.hand_to(last, &port, number)?,
            None => drop(self.place.ip(&format!("link set {port} master br0 up"))?),
        }
        host.ip("link set eth0 up")?;
        let addresses = format!("192.0.2.{number}/24 2001:db8:9::{number}/64");
        address(host, "eth0", &addresses)
    }

    /// Keeps the packet filter of the machine away from what crosses the underlay.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn bypass_packet_filter(&self) -> Result<()> {
        bypass_packet_filter(&self.place)
    }

    /// Has the underlay drop what is longer than `mtu` bytes on its way to or from a host, and tell nobody. (A bridge
    /// lets a VLAN tag more pass.)
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn narrow(&self, number: u8, mtu: u16) -> Result<()> {
        let mtu = mtu - 4;
        self.place.ip(&format!("link set host{number} mtu {mtu}"))?;
        Ok(())
    }

    /// Joins or parts a host.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn set_link(&self, number: u8, state: &str) -> Result<()> {
        self.place.ip(&format!("link set host{number} {state}"))?;
        Ok(())
    }
}
