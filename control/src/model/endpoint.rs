//! An endpoint: planned, then seated at a port.
//!
//! ```text
//!   plan ──► Planned ──► At(port) ──► gone
//!               └──────► gone ▲         ▲
//!   restore ──► Waiting ──────┴─────────┘
//! ```
//!
//! One that was acknowledged once stays until it is taken away, or its sandbox or its interface ends: when its
//! interface cannot be made after a restart, it waits.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use ipnet::IpNet;
use tapweave_net::{MacAddr, NetworkNo, OffloadSet, PortNo};
use tapweave_switch::{PortVlans, Stations};

use crate::api::{Endpoint, PortMapping};
use crate::datapath::{
    Addressing, AttachedPort, InterfaceSettings, Isolation, KeptLease, Offloading, SandboxNo,
};
use crate::model::{PortRules, Publication, Publish};
use crate::{GatewayPriority, Id, IfName, Name};

/// What an endpoint is to be, checked but for what the network has to give.
#[derive(Clone, Debug)]
pub(crate) struct EndpointPlan {
    /// The id that it will have.
    pub(crate) id: Id,
    /// The network, by name or id.
    pub(crate) network: String,
    /// The sandbox.
    pub(crate) sandbox: SandboxNo,
    /// Name of the interface, if asked for.
    pub(crate) ifname: Option<IfName>,
    /// IPv4 address, if asked for.
    pub(crate) ip: Option<Ipv4Addr>,
    /// IPv6 address, if asked for.
    pub(crate) ip6: Option<Ipv6Addr>,
    /// MAC, if asked for.
    pub(crate) mac: Option<MacAddr>,
    /// MAC for when neither is one asked for nor can one be derived from addresses or names.
    pub(crate) spare_mac: MacAddr,
    /// How its interface comes by its addresses.
    pub(crate) addressing: Addressing,
    /// Further names.
    pub(crate) aliases: Vec<Name>,
    /// Queues of the TAP.
    pub(crate) queue_count: u16,
    /// Whether the port offers offloads.
    pub(crate) offload: Offloading,
    /// Whether the port is isolated; the network may isolate it anyway.
    pub(crate) isolation: Isolation,
    /// How the port takes part in VLANs.
    pub(crate) vlans: PortVlans,
    /// Which of the sandbox's networks gives the default routes.
    pub(crate) gateway_priority: GatewayPriority,
    /// What the sandbox may do on its port.
    pub(crate) rules: PortRules,
    /// The ports that are to be published, if any.
    pub(crate) publish: Option<Publish>,
}

/// A sandbox in a network.
#[derive(Clone, Debug)]
pub(crate) struct EndpointRecord {
    /// Its id.
    pub(crate) id: Id,
    /// Name of the network.
    pub(crate) network: Name,
    /// Id of the network.
    pub(crate) network_id: Id,
    /// Number of the network.
    pub(crate) network_no: NetworkNo,
    /// The sandbox.
    pub(crate) sandbox: SandboxNo,
    /// Name of the sandbox.
    pub(crate) sandbox_name: Name,
    /// Name of the interface, if asked for.
    pub(crate) ifname: Option<IfName>,
    /// Its MAC.
    pub(crate) mac: MacAddr,
    /// Its addresses.
    pub(crate) addresses: Vec<IpNet>,
    /// How its interface comes by them.
    pub(crate) addressing: Addressing,
    /// The addresses that DHCP has given to others behind it, or offered them: with the lease from when it lasts.
    pub(crate) leases: BTreeMap<Ipv4Addr, Option<KeptLease>>,
    /// The gateways of the network, if they lead out.
    pub(crate) default_gateways: Vec<IpAddr>,
    /// Which of the sandbox's networks gives the default routes.
    pub(crate) gateway_priority: GatewayPriority,
    /// What the sandbox's kernel knows that by; filled in when it is known what else the sandbox is in.
    pub(crate) route_metric: u32,
    /// Further names.
    pub(crate) aliases: Vec<Name>,
    /// The resolvers of the network that it can ask.
    pub(crate) resolvers: Vec<IpAddr>,
    /// MTU of the interface.
    pub(crate) mtu: u16,
    /// Queues of the TAP.
    pub(crate) queue_count: u16,
    /// Whether the port offers offloads.
    pub(crate) offload: Offloading,
    /// Whether the port is isolated.
    pub(crate) isolation: Isolation,
    /// How the port takes part in VLANs.
    pub(crate) vlans: PortVlans,
    /// What the sandbox may do on its port.
    pub(crate) rules: PortRules,
    /// The ports of the uplink that are its own.
    pub(crate) published: Vec<Publication>,
    /// Whether it has its port.
    pub(crate) place: Place,
}

/// Where an endpoint is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// The packet path is making its port.
    Planned,
    /// At this port.
    At(AttachedPort),
    /// It was restored, and its port is still to be made.
    Waiting(Waiting),
}

/// What is known of an endpoint without a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    /// The name that its interface had.
    pub(crate) ifname: String,
    /// Why it has none now.
    pub(crate) reason: String,
}

impl EndpointRecord {
    /// Returns the name of its port.
    pub(crate) fn port_name(&self) -> String {
        format!("{}/{}", self.network, self.sandbox_name)
    }

    /// Returns the number of its port, if it has one.
    pub(crate) const fn port_no(&self) -> Option<PortNo> {
        match &self.place {
            Place::Planned | Place::Waiting(_) => None,
            Place::At(port) => Some(port.port),
        }
    }

    /// Returns the name that its interface has or had, `None` while it is planned.
    pub(crate) fn ifname_given(&self) -> Option<&str> {
        match &self.place {
            Place::Planned => None,
            Place::At(port) => Some(&port.ifname),
            Place::Waiting(waiting) => Some(&waiting.ifname),
        }
    }

    /// Returns why it has no port, if it waits for one.
    pub(crate) fn problem(&self) -> Option<&str> {
        match &self.place {
            Place::Planned | Place::At(_) => None,
            Place::Waiting(waiting) => Some(&waiting.reason),
        }
    }

    /// Returns what the packet path needs to make its port.
    pub(crate) fn interface(&self) -> InterfaceSettings {
        // One that it had once is the only one that will do.
        let had = self.ifname_given().map(str::to_owned);
        InterfaceSettings {
            endpoint: self.id.clone(),
            sandbox: self.sandbox_name.clone(),
            ifname: had.or_else(|| self.ifname.as_ref().map(ToString::to_string)),
            mac: self.mac,
            mtu: self.mtu,
            addresses: self.addresses.clone(),
            addressing: self.addressing,
            leases: self.kept_leases().cloned().collect(),
            default_gateways: self.default_gateways.clone(),
            route_metric: self.route_metric,
            queue_count: self.queue_count,
            offload: self.offload,
            isolation: self.isolation,
            vlans: self.vlans.clone(),
            guarded_addresses: self.rules.guarded_addresses(&self.addresses, &self.vlans),
            stations: self.rules.stations,
            mac_limit: self.rules.mac_limit,
            connections: self.rules.connections,
        }
    }

    /// Returns the ports of the uplink that are its own.
    pub(crate) fn mappings(&self) -> Vec<PortMapping> {
        self.published.iter().map(Publication::view).collect()
    }

    /// Returns what the API shows, `None` while it is planned.
    pub(crate) fn view(&self) -> Option<Endpoint> {
        let (ifname, offloads) = match &self.place {
            Place::Planned => return None,
            Place::At(port) => (&port.ifname, port.offloads),
            Place::Waiting(waiting) => (&waiting.ifname, OffloadSet::EMPTY),
        };
        Some(Endpoint {
            id: self.id.clone(),
            port: self.port_name(),
            network: self.network.clone(),
            network_id: self.network_id.clone(),
            sandbox: self.sandbox_name.clone(),
            ifname: ifname.clone(),
            mac: self.mac,
            addresses: self.addresses.clone(),
            addressing: self.addressing,
            aliases: self.aliases.clone(),
            dns: self.resolvers.clone(),
            mtu: self.mtu,
            queues: self.queue_count,
            offloads: offloads.names().map(str::to_owned).collect(),
            isolated: self.isolation == Isolation::Isolated,
            vlan: self.vlans.untagged(),
            trunk: self.vlans.tagged().cloned(),
            guard: self
                .rules
                .guarded_addresses(&self.addresses, &self.vlans)
                .is_some(),
            allowed_addresses: self.rules.allowed.clone(),
            mac_limit: self.rules.mac_limit.map(NonZeroU32::get),
            sticky: self.rules.stations == Stations::Sticky,
            locked: self.rules.stations == Stations::Locked,
            gw_priority: self.gateway_priority,
            connection_limit: self.rules.connections.count.map(NonZeroU32::get),
            connection_rate: self.rules.connections.per_second.map(NonZeroU32::get),
            published: self.mappings(),
            problem: self.problem().map(str::to_owned),
        })
    }
}
