//! What the packet path knows of the outside: gateways, the uplink, published ports, translations.
//!
//! These are the control plane's own types, without names and without the packet path's: the daemon
//! turns them into those of the switch and back.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_net::{DomainName, MacAddr, NetworkNo};

use crate::PortRange;
use crate::api::schema;
use crate::datapath::DhcpSettings;

pub use tapweave_dhcp::Names;

/// The gateway of a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewaySettings {
    /// The MAC that it answers with.
    pub mac: MacAddr,
    /// Its addresses, one of each subnet, with the prefix length of the subnet.
    pub addresses: Vec<IpNet>,
    /// Where it routes to.
    pub way_out: WayOut,
    /// Whether names are answered at its addresses.
    pub names: Names,
    /// The domain that names are looked up in, if the network's name can be one.
    pub search: Option<DomainName>,
    /// Its DHCP server; none where it has been switched off.
    pub dhcp: Option<DhcpSettings>,
}

/// Where the gateway of a network routes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WayOut {
    /// To the uplink, with the sources replaced by the uplink's address.
    Masquerade,
    /// To the uplink, with the sources as they are: the outside has to know the way back.
    Routed,
    /// Nowhere: it only answers for itself.
    None,
}

/// How many connections a sandbox may have through the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConnectionLimits {
    /// Most at the same time, if that is limited.
    pub count: Option<NonZeroU32>,
    /// Most new ones in a second, if that is limited.
    pub per_second: Option<NonZeroU32>,
}

/// A transport protocol whose ports can be published.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Ports of the uplink that lead to a sandbox.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PublishedPorts {
    /// The protocol.
    pub transport: Transport,
    /// The address of the uplink, or every one of the family of `target`.
    pub host: Option<IpAddr>,
    /// The ports of the uplink.
    pub host_ports: PortRange,
    /// The network of the sandbox.
    pub network: NetworkNo,
    /// The sandbox's address.
    pub target: IpAddr,
    /// The ports of the sandbox: as many as those of the uplink, in the same order.
    pub target_ports: PortRange,
}

impl PublishedPorts {
    /// Returns the address of the uplink, unspecified for every one of the family.
    pub fn host_or_any(&self) -> IpAddr {
        self.host.unwrap_or(match self.target {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        })
    }
}

/// How the networks reach the world.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UplinkState {
    /// What it is.
    pub kind: UplinkKind,
    /// Name of its interface, if it has one.
    pub ifname: Option<String>,
    /// The addresses that tapweave has on it, with the prefix length of their subnets.
    #[schemars(with = "Vec<schema::Prefix>")]
    pub addresses: Vec<IpNet>,
    /// Why it is this one, as a sentence.
    pub reason: String,
    /// What is still to be done on the host for it to work, a sentence each.
    pub missing: Vec<String>,
}

impl UplinkState {
    /// Returns the state of a daemon without an uplink, and why it has none.
    pub fn none(reason: impl Into<String>) -> Self {
        Self {
            kind: UplinkKind::None,
            ifname: None,
            addresses: Vec::new(),
            reason: reason.into(),
            missing: Vec::new(),
        }
    }
}

/// What an uplink is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UplinkKind {
    /// There is none.
    None,
    /// A TUN interface in the daemon's namespace, which the host routes to.
    Tun,
    /// A network interface of the host.
    Nic,
}

impl fmt::Display for UplinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Tun => "tun",
            Self::Nic => "nic",
        })
    }
}

/// A port of an address of the uplink that something of the host uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReservedPort {
    /// The protocol.
    pub transport: Transport,
    /// Where it listens; the port alone if the address is unspecified.
    pub address: SocketAddr,
    /// Who it is, such as `nginx (pid 17)`, if that can be found out.
    pub holder: Option<String>,
}

/// A flow that the gateway translates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NatFlow {
    /// How it came to be: `masqueraded`, `published`, `hairpin`.
    pub kind: &'static str,
    /// The network of its inner side; of the one who opened it, if it has two.
    pub network: NetworkNo,
    /// The address of the sandbox there.
    pub inner: IpAddr,
    /// The protocol: `tcp`, `udp`, `icmp`, `icmpv6`.
    pub protocol: &'static str,
    /// Its packets as they come from whoever began it.
    pub original: FlowTuple,
    /// The answers as they come from the other side.
    pub reply: FlowTuple,
    /// What state it is in.
    pub state: &'static str,
    /// When it is forgotten if nothing comes.
    pub expires: Duration,
    /// What went in the direction of `original`.
    pub sent: FlowCounters,
    /// What went in the direction of `reply`.
    pub received: FlowCounters,
}

/// What a flow carried in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct FlowCounters {
    /// Packets.
    pub packets: u64,
    /// Bytes of those, from the IP header on.
    pub bytes: u64,
}

/// The addresses of a flow in one direction, before anything is translated.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
pub struct FlowTuple {
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// The sender's port; none for ICMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// The receiver's port; none for ICMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// The identifier of ICMP queries; none for ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
}

impl fmt::Display for FlowTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |address, port: Option<u16>| match port {
            Some(port) => SocketAddr::new(address, port).to_string(),
            None => address.to_string(),
        };
        let source = host(self.source, self.source_port);
        let destination = host(self.destination, self.destination_port);
        write!(f, "{source} > {destination}")?;
        match self.id {
            Some(id) => write!(f, " id {id}"),
            None => Ok(()),
        }
    }
}

/// What the gateways did so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct NatStats {
    /// Entries of the translation table: flows, and the mappings that they share.
    pub entries: usize,
    /// Most entries.
    pub limit: usize,
    /// Further counters, by name; those that are zero are left out.
    pub counters: BTreeMap<String, u64>,
    /// Packets that were dropped, by reason; reasons that never occurred are left out.
    pub drops: BTreeMap<String, u64>,
}
