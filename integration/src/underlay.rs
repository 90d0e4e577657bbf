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

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use tapweave_net::MacAddr;

use crate::bridge::bypass_packet_filter;
use crate::cli::binary;
use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::sandbox::Sandbox;
use crate::world::{address, station};
use crate::{frame, wait};

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
        let mtu = USUAL_MTU;
        Ok(Self { place, prefix, mtu })
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
        self.place
            .ip(&format!("link set host{number} master br0 up"))?;
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

/// A host with a daemon, and a sandbox in its overlay network.
#[derive(Debug)]
pub struct TapweaveHost {
    /// The daemon.
    pub daemon: Daemon,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The sandbox's MAC address.
    pub mac: MacAddr,
    /// The host.
    pub host: Sandbox,
    number: u8,
}

impl TapweaveHost {
    /// Makes host `number` with `peers`. The addresses of its sandbox end with its number.
    ///
    /// # Errors
    ///
    /// When the kernel or tapweave refuses.
    pub fn new(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
    ) -> Result<Self> {
        let options = format!("--underlay {}", segment.vtep(number));
        Self::with_options(lab, underlay, segment, number, peers, &options)
    }

    /// As [`TapweaveHost::new`] with options of the daemon, separated by spaces.
    ///
    /// # Errors
    ///
    /// As [`TapweaveHost::new`].
    pub fn with_options(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
        options: &str,
    ) -> Result<Self> {
        Self::with_daemon_and_network(lab, underlay, segment, number, peers, [options, ""])
    }

    /// As [`TapweaveHost::new`] with options of the network.
    ///
    /// # Errors
    ///
    /// As [`TapweaveHost::new`].
    pub fn with_network(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
        options: &str,
    ) -> Result<Self> {
        let daemon = format!("--underlay {}", segment.vtep(number));
        let options = [&*daemon, options];
        Self::with_daemon_and_network(lab, underlay, segment, number, peers, options)
    }

    /// As [`TapweaveHost::new`] with options of the daemon and options of the network.
    ///
    /// # Errors
    ///
    /// As [`TapweaveHost::new`].
    pub fn with_daemon_and_network(
        lab: &Lab,
        underlay: &Underlay,
        segment: Segment,
        number: u8,
        peers: &[u8],
        [options, network]: [&str; 2],
    ) -> Result<Self> {
        let host = underlay.host(lab, number)?;
        let Segment { vni, port, .. } = segment;
        let daemon = Daemon::under(
            host.command(&binary()?.display().to_string()),
            &format!("{options} --vxlan-port {port}"),
            &lab.file(format!("{}{number}.sock", underlay.prefix)),
            &lab.file(format!("{}daemon{number}.log", underlay.prefix)),
        )?;
        daemon.cli().ok(&format!(
            "network create {NETWORK} -d overlay --vni {vni} --subnet 10.77.0.0/24 \
             --subnet fd77::/64 --ipv6 --gateway 10.77.0.254 --gateway fd77::ff {network}"
        ))?;
        for peer in peers {
            let peer = segment.vtep(*peer);
            daemon.cli().ok(&format!("peer add {NETWORK} {peer}"))?;
        }
        let sandbox = station(lab, &format!("{}sandbox{number}", underlay.prefix))?;
        let addresses = format!("--guard=false --ip 10.77.0.{number} --ip6 fd77::{number}");
        let endpoint = daemon.cli().connect(NETWORK, &sandbox, &addresses)?;
        Ok(Self {
            daemon,
            mac: endpoint.mac,
            sandbox,
            host,
            number,
        })
    }

    /// Returns the addresses of the sandbox.
    pub fn addresses(&self) -> [IpAddr; 2] {
        let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, self.number.into());
        [Ipv4Addr::new(10, 77, 0, self.number).into(), v6.into()]
    }

    /// Returns how many datagrams the daemon refused for `reason`.
    ///
    /// # Errors
    ///
    /// When the daemon does not say.
    pub fn refused(&self, reason: &str) -> Result<u64> {
        let stats = self.daemon.cli().json("stats")?;
        Ok(stats["underlay"]["refused"][reason].as_u64().unwrap_or(0))
    }

    /// Returns how many datagrams the daemon refused for any reason.
    ///
    /// # Errors
    ///
    /// When the daemon does not say.
    pub fn refused_in_all(&self) -> Result<u64> {
        let stats = self.daemon.cli().json("stats")?;
        let refused = stats["underlay"]["refused"].as_object();
        let counts = refused.into_iter().flatten();
        Ok(counts.filter_map(|(_, count)| count.as_u64()).sum())
    }

    /// Waits until the daemon has refused exactly `count` datagrams for `reason`.
    ///
    /// # Errors
    ///
    /// When that does not happen soon; with what was refused instead.
    pub fn wait_refused(&self, reason: &str, count: u64) -> Result<()> {
        let mut what = String::new();
        write!(what, "{count} datagrams refused for {reason}")?;
        wait::until_true(&what, wait::SOON, || Ok(self.refused(reason)? == count))
    }

    /// Waits until the daemon has refused a datagram for `reason`.
    ///
    /// # Errors
    ///
    /// When that does not happen soon.
    pub fn wait_refused_some(&self, reason: &str) -> Result<()> {
        let what = format!("datagrams refused for {reason}");
        wait::until_true(&what, wait::SOON, || Ok(self.refused(reason)? > 0))
    }

    /// Returns what is known of the peer at `host`.
    ///
    /// # Errors
    ///
    /// When there is no such peer.
    pub fn peer(&self, address: IpAddr) -> Result<serde_json::Value> {
        let peers = self.daemon.cli().json(&format!("peer ls {NETWORK}"))?;
        let peers = peers.as_array().cloned().unwrap_or_default();
        let found = peers
            .into_iter()
            .find(|peer| peer["address"].as_str() == Some(&address.to_string()));
        anyhow::Context::context(found, "no such peer")
    }
}
