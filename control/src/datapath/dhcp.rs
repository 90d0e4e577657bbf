//! What the packet path knows of DHCP: which networks have a server, and who has which address by it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use tapweave_dhcp::{
    ClientIdError, ClientKey, KeptLease, Lease, LeaseState, Origin, ServerStats,
};

/// How an interface comes by its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// They are set when the interface is made, with the routes.
    #[default]
    Static,
    /// The interface comes up without any, and whoever uses it asks for them by DHCP.
    Dhcp,
}

/// The DHCP server of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhcpSettings {
    /// How long a lease lasts.
    pub lease_time: Duration,
    /// Most leases of one port, its endpoint's own address apart.
    pub leases_of_port: usize,
}

/// A lease, and what is left of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldLease {
    /// The lease.
    pub lease: Lease,
    /// What is left of it.
    pub remaining: Duration,
}
