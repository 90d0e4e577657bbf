//! A sandbox: where its namespace is found, and how it is told from a later one that is found there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::datapath::{NamespaceId, NamespaceMark, NamespaceRef};
use crate::{Id, Name};

/// A sandbox as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxIntent {
    /// Its id.
    pub(crate) id: Id,
    /// Its name.
    pub(crate) name: Name,
    /// Where its namespace was found.
    pub(crate) namespace: NamespaceIntent,
    /// Device of nsfs.
    pub(crate) dev: u64,
    /// Inode of the namespace.
    pub(crate) ino: u64,
    /// What tells the namespace from a later one of the same inode ([`NamespaceMark`]).
    pub(crate) mark: u64,
    /// The boot of the machine in which all of this was so.
    pub(crate) boot: String,
}

/// Where a namespace is found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NamespaceIntent {
    /// A file of nsfs.
    Path(PathBuf),
    /// That of a process.
    Pid(u32),
}

impl SandboxIntent {
    /// Returns where the namespace is found.
    pub(crate) fn reference(&self) -> NamespaceRef {
        match &self.namespace {
            NamespaceIntent::Path(path) => NamespaceRef::Path(path.clone()),
            NamespaceIntent::Pid(pid) => NamespaceRef::Pid(*pid),
        }
    }

    /// Returns which namespace it is.
    pub(crate) const fn identity(&self) -> (NamespaceId, NamespaceMark) {
        let id = NamespaceId {
            dev: self.dev,
            ino: self.ino,
        };
        (id, NamespaceMark(self.mark))
    }
}

impl SandboxIntent {
    /// Returns the key of a sandbox.
    pub(crate) fn key_of(id: &Id) -> String {
        format!("{}{id}", Self::FOLDER)
    }
}

impl Record for SandboxIntent {
    const FOLDER: &'static str = "sandboxes/";

    fn key(&self) -> String {
        Self::key_of(&self.id)
    }
}

impl From<&NamespaceRef> for NamespaceIntent {
    fn from(reference: &NamespaceRef) -> Self {
        match reference {
            NamespaceRef::Path(path) => Self::Path(path.clone()),
            NamespaceRef::Pid(pid) => Self::Pid(*pid),
        }
    }
}
