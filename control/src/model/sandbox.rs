//! A sandbox that is known.

use std::collections::BTreeMap;

use crate::api::{NamespaceIdView, PublishedView, Sandbox, docker_ports};
use crate::datapath::{NamespaceRef, OpenedNamespace, SandboxNo};
use crate::model::{EndpointRecord, Model};
use crate::{Id, Name};

/// A namespace with a name.
#[derive(Clone, Debug)]
pub(crate) struct SandboxRecord {
    /// Its number towards the packet path.
    pub(crate) number: SandboxNo,
    /// Its id.
    pub(crate) id: Id,
    /// Its name.
    pub(crate) name: Name,
    /// Where the namespace was found.
    pub(crate) namespace: NamespaceRef,
    /// Which namespace that is.
    pub(crate) identity: OpenedNamespace,
    /// Why it is not open, if it was restored and is still to be opened.
    pub(crate) problem: Option<String>,
    /// Its endpoints, by network.
    pub(crate) endpoints: BTreeMap<Id, Id>,
}

impl SandboxRecord {
    /// Returns what the API shows.
    pub(crate) fn view(&self, model: &Model) -> Sandbox {
        let mut endpoints: Vec<_> = model
            .endpoints_in(self)
            .filter_map(EndpointRecord::view)
            .collect();
        endpoints.sort_by(|a, b| a.network.cmp(&b.network));
        let mappings = endpoints.iter().flat_map(|endpoint| &endpoint.published);
        let ports = docker_ports(mappings);
        Sandbox {
            name: self.name.clone(),
            id: self.id.clone(),
            namespace: self.namespace.clone(),
            namespace_id: NamespaceIdView {
                dev: self.identity.id.dev,
                ino: self.identity.id.ino,
            },
            endpoints,
            network_settings: PublishedView { ports },
            problem: self.problem.clone(),
        }
    }
}
