//! Endpoints: a sandbox in a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_net::{MacAddr, Vid, VidSet};

use crate::datapath::{Addressing, NamespaceRef};
use crate::{GatewayPriority, Id, IfName, Name, PublishSpec};

use super::PortMapping;
use super::schema;

/// A sandbox to be connected to a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// Its name, or the beginning of the id of one that is known.
    pub sandbox: String,
    /// Where its namespace is; none for a sandbox that is known already.
    #[serde(default)]
    pub namespace: Option<NamespaceRef>,
    /// Name of the interface; the first free `ethN` if none.
    #[serde(default)]
    pub ifname: Option<IfName>,
    /// IPv4 address; the next free one if none.
    #[serde(default)]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address; the next free one if none.
    #[serde(default)]
    pub ip6: Option<Ipv6Addr>,
    /// Whether the interface gets its addresses and routes when it is made, or comes up without and whoever uses it asks for
    /// them by DHCP.
    #[serde(default)]
    pub addressing: Addressing,
    /// MAC address; derived from the first address if none, random without addresses.
    #[serde(default)]
    #[schemars(with = "Option<schema::Mac>")]
    pub mac: Option<MacAddr>,
    /// Further names in the network.
    #[serde(default)]
    pub aliases: Vec<Name>,
    /// Queues of the TAP, 1 to 16; 1 if none.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16))]
    pub queues: Option<u16>,
    /// Whether the port offers offloads; it does if none.
    #[serde(default)]
    pub offload: Option<bool>,
    /// Whether the port is kept from the other isolated ports.
    #[serde(default)]
    pub isolated: bool,
    /// The VLAN of untagged frames. Alone it makes the port an access port: untagged frames only.
    #[serde(default)]
    #[schemars(with = "Option<schema::Vlan>")]
    pub vlan: Option<Vid>,
    /// The VLANs of tagged frames, as `10,20-29`: a trunk port. Without `vlan` it takes no untagged
    /// frames; without both, the port carries every frame as it is.
    #[serde(default)]
    #[schemars(with = "Option<schema::Vlans>")]
    pub trunk: Option<VidSet>,
    /// Whether the sandbox is kept to its own addresses and from playing router or DHCP server; if none,
    /// it is where its addresses are known.
    #[serde(default)]
    pub guard: Option<bool>,
    /// Further addresses that a guarded sandbox may use, without host bits.
    #[serde(default)]
    #[schemars(with = "Vec<schema::Prefix>")]
    pub allow_addresses: Vec<IpNet>,
    /// Most stations that the port learns, 1 or more; frames of others are dropped.
    #[serde(default)]
    pub mac_limit: Option<u32>,
    /// Whether stations that the port learns neither age nor move.
    #[serde(default)]
    pub sticky: bool,
    /// Whether only stations with a static entry may send. The endpoint's own gets one.
    #[serde(default)]
    pub locked: bool,
    /// Ports of the sandbox that the outside is to reach, such as `8080:80/tcp`.
    #[serde(default)]
    pub publish: Vec<PublishSpec>,
    /// Which of the sandbox's networks gives the default routes, -31 to 31: that with the highest, of several
    /// the one that was connected first.
    #[serde(default)]
    pub gw_priority: GatewayPriority,
    /// Most connections through the gateway at the same time, 1 or more.
    #[serde(default)]
    pub connection_limit: Option<u32>,
    /// Most new connections through the gateway in a second, 1 or more.
    #[serde(default)]
    pub connection_rate: Option<u32>,
}

impl Connect {
    /// Asks for `sandbox` to be connected, with everything else by default.
    pub fn new(sandbox: impl Into<String>) -> Self {
        Self {
            sandbox: sandbox.into(),
            namespace: None,
            ifname: None,
            ip: None,
            ip6: None,
            addressing: Addressing::Static,
            mac: None,
            aliases: Vec::new(),
            queues: None,
            offload: None,
            isolated: false,
            vlan: None,
            trunk: None,
            guard: None,
            allow_addresses: Vec::new(),
            mac_limit: None,
            sticky: false,
            locked: false,
            publish: Vec::new(),
            gw_priority: GatewayPriority::default(),
            connection_limit: None,
            connection_rate: None,
        }
    }
}

/// A sandbox to be disconnected from a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// Its name, or the beginning of its id.
    pub sandbox: String,
    /// Whether it is no error if there is nothing to disconnect.
    #[serde(default)]
    pub force: bool,
}

/// A sandbox in a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Its id.
    pub id: Id,
    /// Its port, as commands take it: `NETWORK/SANDBOX`.
    pub port: String,
    /// Name of the network.
    pub network: Name,
    /// Id of the network.
    pub network_id: Id,
    /// Name of the sandbox.
    pub sandbox: Name,
    /// Name of the interface in the sandbox.
    pub ifname: String,
    /// Its MAC address.
    #[schemars(with = "schema::Mac")]
    pub mac: MacAddr,
    /// Its addresses, each with the prefix length of its subnet.
    #[schemars(with = "Vec<schema::Prefix>")]
    pub addresses: Vec<IpNet>,
    /// How its interface comes by them.
    #[serde(default)]
    pub addressing: Addressing,
    /// Further names in the network.
    pub aliases: Vec<Name>,
    /// The resolvers of the network, whose search domain is the name of the network.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
    /// MTU of the interface, in bytes.
    pub mtu: u16,
    /// Queues of the TAP.
    pub queues: u16,
    /// What the kernel takes off the sender's hands: `csum`, `tso4`, …
    pub offloads: Vec<String>,
    /// Whether the port is kept from the other isolated ports.
    pub isolated: bool,
    /// The VLAN of untagged frames; none when they are in no VLAN or, at a trunk, dropped.
    #[schemars(with = "Option<schema::Vlan>")]
    pub vlan: Option<Vid>,
    /// The VLANs of tagged frames, as `10,20-29`; none for a port that is no trunk.
    #[schemars(with = "Option<schema::Vlans>")]
    pub trunk: Option<VidSet>,
    /// Whether the sandbox is kept to its own addresses and from playing router or DHCP server.
    pub guard: bool,
    /// Further addresses that it may use, if it is guarded.
    #[schemars(with = "Vec<schema::Prefix>")]
    pub allowed_addresses: Vec<IpNet>,
    /// Most stations that the port learns, if that is limited.
    pub mac_limit: Option<u32>,
    /// Whether stations that the port learns neither age nor move.
    pub sticky: bool,
    /// Whether only stations with a static entry may send.
    pub locked: bool,
    /// Which of the sandbox's networks gives the default routes: that with the highest.
    #[serde(default)]
    pub gw_priority: GatewayPriority,
    /// Most connections through the gateway at the same time, if that is limited.
    pub connection_limit: Option<u32>,
    /// Most new connections through the gateway in a second, if that is limited.
    pub connection_rate: Option<u32>,
    /// The ports of the uplink that are to lead to the sandbox.
    pub published: Vec<PortMapping>,
    /// Why it carries no frames: its interface could not be made after a restart, which is tried again. None
    /// while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
