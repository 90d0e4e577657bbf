//! The resolvers of networks.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Name;

/// A static record to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsRecordAdd {
    /// The network, by name or beginning of its id.
    pub network: String,
    /// The name.
    pub name: Name,
    /// Where it leads.
    pub address: IpAddr,
}

/// A record of a network's resolver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DnsRecordView {
    /// The network, which is the domain of the name.
    pub network: Name,
    /// The name.
    pub name: Name,
    /// Where it leads.
    pub address: IpAddr,
    /// How it is known.
    pub kind: DnsRecordKind,
}

/// How a record is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DnsRecordKind {
    /// It is the name of a sandbox.
    Sandbox,
    /// It is a further name of a sandbox.
    Alias,
    /// By request.
    Static,
}

impl DnsRecordKind {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Alias => "alias",
            Self::Static => "static",
        }
    }
}

/// What a network's resolver is to be asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsQuestion {
    /// A name, or an address whose name is looked for.
    pub name: String,
    /// The type of record, such as `MX`; without it addresses, or the name of an address.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// What a network's resolver says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DnsAnswer {
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL`, …
    pub status: String,
    /// Whether the network itself knows it.
    pub authoritative: bool,
    /// What was found.
    pub records: Vec<DnsRecord>,
}

/// A record of an answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DnsRecord {
    /// Whose it is.
    pub name: String,
    /// For how many seconds it may be kept.
    pub ttl: u32,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub data: String,
}

/// A network's resolver, and what it did so far.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ResolverView {
    /// Where it answers.
    pub addresses: Vec<IpAddr>,
    /// The domain of the network's names.
    pub search: Name,
    /// Queries that came.
    pub queries: u64,
    /// Queries that were malformed or of a kind that is not answered.
    pub refused: u64,
    /// Queries that the network itself had the answer to.
    pub local: u64,
    /// Queries that were answered from the cache.
    pub cached: u64,
    /// Queries that waited for other servers.
    pub forwarded: u64,
    /// Queries that were not forwarded because the sandbox or the network had its share.
    pub limited: u64,
    /// Questions that no other server answered.
    pub failed: u64,
    /// Answers in the cache.
    pub cache_entries: usize,
}
