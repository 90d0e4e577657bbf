//! What ARP and ND suppression answers from.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_net::MacAddr;

use super::schema;
use crate::Name;

/// A static neighbour to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NeighborAdd {
    /// The network, by name or beginning of its id.
    pub network: String,
    /// The neighbour's address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Whether it is a router, which hosts are told in answers over IPv6.
    pub router: bool,
}

/// What is stated of a neighbour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighborPut {
    /// Its MAC address.
    #[schemars(with = "schema::Mac")]
    pub mac: MacAddr,
    /// Whether it is a router, which hosts are told in answers over IPv6.
    #[serde(default)]
    pub router: bool,
}

/// A neighbour that questions are answered for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NeighborView {
    /// The network.
    pub network: Name,
    /// The neighbour's address.
    pub address: IpAddr,
    /// Its MAC address.
    #[schemars(with = "schema::Mac")]
    pub mac: MacAddr,
    /// How it is known.
    pub kind: NeighborKind,
    /// Whether it is a router.
    pub router: bool,
    /// Its port on this host, as far as is known.
    pub port: Option<String>,
    /// The host that it is on, if that is known and not this one.
    pub vtep: Option<IpAddr>,
}

/// How a neighbour is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeighborKind {
    /// It is a sandbox of this host, with the addresses that it was given.
    Sandbox,
    /// By request.
    Static,
}

impl NeighborKind {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Static => "static",
        }
    }
}
