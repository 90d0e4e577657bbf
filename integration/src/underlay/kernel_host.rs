//! A host of an overlay whose end of the tunnels is the kernel's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use tapweave_net::MacAddr;

use super::{Segment, Underlay};
use crate::frame;
use crate::lab::Lab;
use crate::sandbox::Sandbox;
use crate::world::{address, station};

/// A host whose VTEP is the kernel's, and a station behind it.
#[derive(Debug)]
pub struct KernelHost {
    /// The host.
    pub host: Sandbox,
    /// The station.
    pub station: Sandbox,
    /// The station's MAC address.
    pub mac: MacAddr,
    number: u8,
}

impl KernelHost {
    /// Makes host `number`, which floods to `peers`. The addresses of its station end with its number.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
    ) -> Result<Self> {
        let kernel = Self::with_options(lab, underlay, segment, number, "")?;
        for peer in peers {
            let peer = segment.vtep(*peer);
            kernel.host.run(
                "bridge",
                &format!("fdb append 00:00:00:00:00:00 dev vx0 dst {peer}"),
            )?;
        }
        Ok(kernel)
    }

    /// As [`KernelHost::new`] without peers, with more options of the vxlan device, such as a group.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn with_options(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        options: &str,
    ) -> Result<Self> {
        let host = underlay.host(lab, number)?;
        let Segment { vni, port, .. } = segment;
        let local = segment.vtep(number);
        host.ip(&format!(
            "link add vx0 type vxlan id {vni} dstport {port} local {local} dev eth0 {options}"
        ))?;
        host.ip("link add br0 type bridge mcast_snooping 0 stp_state 0")?;
        let kernel = Self {
            station: station(lab, &format!("{}station{number}", underlay.prefix))?,
            mac: frame::mac(number.into()),
            host,
            number,
        };
        let path = kernel.station.path();
        let mtu = segment.mtu(underlay.mtu);
        kernel.host.ip(&format!(
            "link add access mtu {mtu} type veth peer name eth0 address {} netns {}",
            kernel.mac,
            path.display()
        ))?;
        for link in ["vx0", "access"] {
            kernel.host.ip(&format!("link set {link} master br0 up"))?;
        }
        kernel.host.ip("link set br0 up")?;
        kernel.station.ip(&format!("link set eth0 mtu {mtu} up"))?;
        let addresses = format!("10.77.0.{number}/24 fd77::{number}/64");
        address(&kernel.station, "eth0", &addresses)?;
        Ok(kernel)
    }

    /// Returns the addresses of the station.
    pub fn addresses(&self) -> [IpAddr; 2] {
        let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, self.number.into());
        [Ipv4Addr::new(10, 77, 0, self.number).into(), v6.into()]
    }
}
