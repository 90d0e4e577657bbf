//! What the gateways translate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Name;
use crate::datapath::{FlowCounters, FlowTuple};

/// A translated flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NatFlowView {
    /// The protocol: `tcp`, `udp`, `icmp`, `icmpv6`.
    pub protocol: String,
    /// How it came to be: `masqueraded`, `published`, `hairpin`.
    pub kind: String,
    /// The network of its inner side; of the one who opened it, if it has two.
    pub network: Name,
    /// The port of the sandbox there; none when it has just gone.
    pub port: Option<String>,
    /// Its packets as they come from whoever opened it.
    pub original: FlowTuple,
    /// The answers as they come from the other side.
    pub reply: FlowTuple,
    /// What state it is in.
    pub state: String,
    /// Milliseconds until it is forgotten if nothing comes.
    pub expires_ms: u64,
    /// What went in the direction of `original`.
    pub sent: FlowCounters,
    /// What went in the direction of `reply`.
    pub received: FlowCounters,
}

/// Flows to be forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatFlush {
    /// The network; none for all of them.
    #[serde(default)]
    pub network: Option<String>,
}

/// What was forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NatFlushed {
    /// Flows.
    pub flushed: usize,
}
