//! Sandboxes: network namespaces that have a name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, HostBinding};
use crate::datapath::NamespaceRef;
use crate::{Id, Name};

/// A sandbox that is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sandbox {
    /// Its name.
    pub name: Name,
    /// Its id.
    pub id: Id,
    /// Where its namespace was found.
    pub namespace: NamespaceRef,
    /// Which namespace that is.
    pub namespace_id: NamespaceIdView,
    /// Its endpoints, in order of their networks' names.
    pub endpoints: Vec<Endpoint>,
    /// What leads to its ports from outside, in the shape of `docker inspect`.
    #[serde(rename = "NetworkSettings")]
    pub network_settings: PublishedView,
    /// Why its namespace is not open: it could not be opened after a restart, which is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What leads to the ports of a sandbox.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct PublishedView {
    /// Addresses and ports of the uplink, by `PORT/PROTOCOL` of the sandbox.
    pub ports: BTreeMap<String, Vec<HostBinding>>,
}

/// The identity of a namespace (`man 7 namespaces`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceIdView {
    /// Device of nsfs.
    pub dev: u64,
    /// Inode of the namespace, as `ls -L -i` shows it.
    pub ino: u64,
}
