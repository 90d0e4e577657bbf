//! An endpoint: what was asked for, and the addresses, MAC, interface and ports that it was given.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tapweave_net::{MacAddr, Vid, VidSet};

use super::Record;
use crate::{GatewayPriority, Id, IfName, Name, PortRange};

/// An endpoint as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointIntent {
    /// Its id.
    pub(crate) id: Id,
    /// The network.
    pub(crate) network: Id,
    /// The sandbox.
    pub(crate) sandbox: Id,
    /// Name of the interface, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_ifname: Option<IfName>,
    /// Name that the interface was given.
    pub(crate) ifname: String,
    /// MAC address.
    pub(crate) mac: MacAddr,
    /// Addresses, each with the prefix length of its subnet.
    pub(crate) addresses: Vec<IpNet>,
    /// How its interface comes by them.
    #[serde(default, skip_serializing_if = "AddressingIntent::is_static")]
    pub(crate) addressing: AddressingIntent,
    /// Further names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) aliases: Vec<Name>,
    /// Queues of the TAP.
    pub(crate) queues: u16,
    /// Whether the port offers offloads.
    pub(crate) offload: bool,
    /// Whether the port is kept from other isolated ones.
    pub(crate) isolated: bool,
    /// The VLAN of untagged frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vlan: Option<Vid>,
    /// The VLANs of tagged frames, for a trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trunk: Option<VidSet>,
    /// Whether the sandbox is kept to its addresses.
    pub(crate) guard: GuardIntent,
    /// Further addresses that it may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allowed: Vec<IpNet>,
    /// Which stations may send.
    pub(crate) stations: StationsIntent,
    /// Most stations that the port learns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mac_limit: Option<NonZeroU32>,
    /// Most connections through the gateway at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connection_limit: Option<NonZeroU32>,
    /// Most new connections through the gateway in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connection_rate: Option<NonZeroU32>,
    /// Which of the sandbox's networks gives the default routes.
    pub(crate) gw_priority: GatewayPriority,
    /// The metric that it came to: the order in which networks of one priority were connected.
    pub(crate) route_metric: u32,
    /// The ports of the uplink that lead to it, those that were chosen too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) published: Vec<PublishedIntent>,
}

/// How an interface comes by its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AddressingIntent {
    /// They are set.
    #[default]
    Static,
    /// It asks for them.
    Dhcp,
}

impl AddressingIntent {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_static(&self) -> bool {
        matches!(self, Self::Static)
    }
}

/// Whether a sandbox is kept to its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GuardIntent {
    /// Where they are known.
    Auto,
    /// By request.
    On,
    /// Not, by request.
    Off,
}

/// Which stations may send from a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StationsIntent {
    /// Any.
    Free,
    /// Any, and they stay there.
    Sticky,
    /// Those with a static entry.
    Locked,
}

/// Ports of the uplink that lead to an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedIntent {
    /// `tcp` or `udp`.
    pub(crate) protocol: ProtocolIntent,
    /// The address of the uplink, or every one of the family of `target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<IpAddr>,
    /// The ports of the uplink.
    pub(crate) host_ports: PortRange,
    /// The endpoint's address.
    pub(crate) target: IpAddr,
    /// Its ports.
    pub(crate) target_ports: PortRange,
}

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProtocolIntent {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl EndpointIntent {
    /// Returns the key of an endpoint.
    pub(crate) fn key_of(id: &Id) -> String {
        format!("{}{id}", Self::FOLDER)
    }
}

impl Record for EndpointIntent {
    const FOLDER: &'static str = "endpoints/";

    fn key(&self) -> String {
        Self::key_of(&self.id)
    }
}
