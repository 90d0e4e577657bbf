//! Sandboxes: network namespaces that have a name.

use serde::{Deserialize, Serialize};

use super::Endpoint;
use crate::datapath::NamespaceRef;
use crate::{Id, Name};

/// A sandbox that is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
}

/// The identity of a namespace (`man 7 namespaces`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NamespaceIdView {
    /// Device of nsfs.
    pub dev: u64,
    /// Inode of the namespace, as `ls -L -i` shows it.
    pub ino: u64,
}
