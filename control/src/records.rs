//! What is stored of all that exists, and in which form: the intent, which outlives the daemon.
//!
//! # Theory of operation
//!
//! A record is a JSON object under a key that names what it is of. Records hold what was asked for and
//! what was chosen for it (ids, subnets, addresses, MACs, published ports), so that all of it is the same
//! after a restart; nothing that was learned, counted, or that follows from the rest, such as the numbers
//! that the packet path has for things.
//!
//! | key | record |
//! |---|---|
//! | `schema` | [`Schema`] |
//! | `networks/ID` | [`NetworkIntent`] |
//! | `peers/NETWORK/ADDRESS` | [`PeerIntent`] |
//! | `neighbors/NETWORK/ADDRESS` | [`NeighborIntent`] |
//! | `names/NETWORK/NAME/ADDRESS` | [`DnsNameIntent`] |
//! | `fdb/NETWORK/MAC/VID` | [`FdbIntent`]; `-` for frames that are in no VLAN |
//! | `sandboxes/ID` | [`SandboxIntent`] |
//! | `endpoints/ID` | [`EndpointIntent`] |
//! | `leases/NETWORK/ADDRESS` | [`LeaseIntent`] |
//! | `static-leases/NETWORK/ADDRESS` | [`StaticLeaseIntent`] |
//! | `resting/NETWORK/ADDRESS` | [`RestingIntent`]; from the end of an endpoint until the address has another |
//!
//! These are types of their own: the API may change while what was written years ago stays readable. A
//! field that a record does not know is refused, as it would be lost when the record is written again. So
//! whoever adds one adds a step to [`Upgrades::PRESENT`], which raises the version; golden files
//! (`records/golden`) keep the bytes of each version, and a test upgrades those of the one before.

mod dns_name;
mod endpoint;
mod fdb;
mod lease;
mod neighbor;
mod network;
mod peer;
mod resting;
mod sandbox;
mod schema;
mod static_lease;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tapweave_store::KeyError;
use thiserror::Error;

pub(crate) use dns_name::DnsNameIntent;
pub(crate) use endpoint::{
    AddressingIntent, EndpointIntent, GuardIntent, ProtocolIntent, PublishedIntent, StationsIntent,
};
pub(crate) use fdb::{FdbIntent, StationPlace};
pub(crate) use lease::LeaseIntent;
pub(crate) use neighbor::NeighborIntent;
pub(crate) use network::NetworkIntent;
pub(crate) use peer::PeerIntent;
pub(crate) use resting::RestingIntent;
pub(crate) use sandbox::{NamespaceIntent, SandboxIntent};
pub(crate) use schema::{Records, Schema, Upgrades};
pub use schema::{SCHEMA_VERSION, SchemaError};
pub(crate) use static_lease::StaticLeaseIntent;

/// Something that is stored.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// What the keys of all records of this kind begin with.
    const FOLDER: &'static str;

    /// Returns the key, which follows from the record.
    fn key(&self) -> String;
}

/// A stored value that is not what its key says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It cannot be read.
    #[error("the record {key} of the state cannot be read")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It has a key that no store takes.
    #[error("a record has no key")]
    Key(#[from] KeyError),
    /// It is a record of something else.
    #[error("the record {key} of the state is that of {belongs}")]
    Misplaced {
        /// Its key.
        key: String,
        /// The key that follows from it.
        belongs: String,
    },
}

/// Returns the bytes of a record.
///
/// # Errors
///
/// When it holds a path that is not UTF-8, which JSON cannot say.
pub(crate) fn encode(record: &impl Record) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(record).map_err(|source| RecordError::Unreadable {
        key: record.key(),
        source,
    })
}

/// Reads the record of type `R` that is stored under `key`.
///
/// # Errors
///
/// When it is none, or has another key.
pub(crate) fn decode<R: Record>(key: &str, value: &[u8]) -> Result<R, RecordError> {
    let record: R = serde_json::from_slice(value).map_err(|source| RecordError::Unreadable {
        key: key.to_owned(),
        source,
    })?;
    let belongs = record.key();
    if belongs == key {
        return Ok(record);
    }
    Err(RecordError::Misplaced {
        key: key.to_owned(),
        belongs,
    })
}

#[cfg(test)]
mod tests;
