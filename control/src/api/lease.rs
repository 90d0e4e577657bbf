//! DHCP: leases, and the servers of networks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_net::MacAddr;

use super::schema;
use crate::Name;

/// A static lease to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseAdd {
    /// The network, by name or beginning of its id.
    pub network: String,
    /// The address.
    pub address: Ipv4Addr,
    /// Whose it is: a MAC address, or `id` and the octets of an identifier.
    pub client: String,
}

/// Whose an address is to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeasePut {
    /// What the client is known by: its MAC address, or `id` and the octets of its identifier, such as `id ff:00:2a`.
    pub client: String,
}

/// An address that a client of DHCP has, was offered, or that was fixed for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LeaseView {
    /// Name of the network.
    pub network: Name,
    /// The address.
    pub address: Ipv4Addr,
    /// The MAC address of its client; none for one that is known by its identifier and has not asked.
    #[schemars(with = "Option<schema::Mac>")]
    pub mac: Option<MacAddr>,
    /// What the client is known by: its MAC address, or `id` and the octets of its identifier.
    pub client: String,
    /// What the client calls itself, if it does.
    pub host_name: Option<String>,
    /// The port that it is behind, as commands take it: `NETWORK/SANDBOX`; none for one that has just gone or has not asked.
    pub port: Option<String>,
    /// Where the address comes from.
    pub origin: LeaseOrigin,
    /// Whether the client has taken it.
    pub state: LeaseStateView,
    /// What is left of it, in seconds; none when its client does not have it.
    pub expires_in: Option<u64>,
}

/// Where the address of a lease comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaseOrigin {
    /// It is the address of the endpoint that asks for it.
    Endpoint,
    /// It was free, and is for a machine behind the port.
    Pool,
    /// It was fixed by request.
    Static,
}

/// Whether a client has taken its lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaseStateView {
    /// It was offered the address and has not answered yet.
    Offered,
    /// It has the address.
    Bound,
    /// Nobody else gets the address.
    Reserved,
}

impl LeaseOrigin {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Pool => "pool",
            Self::Static => "static",
        }
    }
}

impl LeaseStateView {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Bound => "bound",
            Self::Reserved => "reserved",
        }
    }
}

/// The DHCP server of a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DhcpView {
    /// Where it answers: the addresses of the gateway.
    pub addresses: Vec<IpAddr>,
    /// How long its leases last, in seconds.
    pub lease_time: u64,
    /// Most leases for machines behind one port.
    pub leases_of_port: usize,
    /// DHCPDISCOVERs of those who may have an address.
    pub discovers: u64,
    /// DHCPOFFERs.
    pub offers: u64,
    /// DHCPREQUESTs of those who may have an address.
    pub requests: u64,
    /// DHCPACKs that give an address.
    pub acks: u64,
    /// DHCPNAKs.
    pub naks: u64,
    /// Addresses that were given back.
    pub releases: u64,
    /// Addresses that a client found in use by another one.
    pub declines: u64,
    /// DHCPACKs that give information only.
    pub informs: u64,
    /// Replies over IPv6, which give information only.
    pub informs_v6: u64,
    /// Messages that were dropped, by reason; reasons that never occurred are left out.
    pub drops: BTreeMap<String, u64>,
}
