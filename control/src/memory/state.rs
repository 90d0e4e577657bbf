//! What there is in a packet path in memory.
//!
//! It decides which namespace a path or a process stands for, which name a new interface gets, and which call fails on
//! request. It refuses to know what a packet path is asked: [`MemoryDatapath`](super::MemoryDatapath) reads and changes
//! what is kept here.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tapweave_net::{MacAddr, NetworkNo, PortNo, Vid};
use tapweave_switch::StaticNeighbor;

use crate::Id;
use crate::datapath::{
    ClientKey, DatapathError, DatapathErrorKind, InterfaceSettings, NamespaceId, NamespaceMark,
    NamespaceRef, NatFlow, NetworkNames, NetworkSettings, ObservedAddress, OverlaySettings,
    PeerSettings, PublishedPorts, ReservedPort, SandboxNo,
};

/// What there is.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) last_network: u32,
    pub(super) last_port: u32,
    pub(super) calls_until_failure: Option<usize>,
    pub(super) networks: BTreeMap<NetworkNo, Network>,
    pub(super) sandboxes: BTreeMap<SandboxNo, NamespaceId>,
    /// How often a namespace was replaced by another of its number.
    pub(super) replaced: BTreeMap<u64, u64>,
    pub(super) gone: BTreeSet<u64>,
    /// Paths that have been renamed, and the number of the namespace that each leads to since, if any.
    pub(super) renamed: BTreeMap<PathBuf, Option<u64>>,
    pub(super) ports: BTreeMap<PortNo, Port>,
    pub(super) peers: BTreeMap<PortNo, (NetworkNo, PeerSettings)>,
    pub(super) published: Vec<PublishedPorts>,
    pub(super) reserved: Vec<ReservedPort>,
    pub(super) has_no_uplink: bool,
    pub(super) flows: Vec<NatFlow>,
    pub(super) strangers: Vec<(NetworkNo, IpAddr)>,
    pub(super) holders: BTreeMap<IpAddr, MacAddr>,
    pub(super) probe_count: usize,
    pub(super) silence: BTreeMap<IpAddr, Duration>,
    pub(super) taken_up: Vec<(PortNo, Id)>,
}

/// A network, and what it was told.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) settings: NetworkSettings,
    pub(super) overlay: Option<OverlaySettings>,
    pub(super) has_parent: bool,
    pub(super) fdb: BTreeMap<(MacAddr, Option<Vid>), PortNo>,
    pub(super) neighbors: BTreeMap<IpAddr, StaticNeighbor>,
    pub(super) names: Option<NetworkNames>,
    pub(super) static_leases: Vec<(ClientKey, Ipv4Addr)>,
}

/// A port of an endpoint, and its interface.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) network: NetworkNo,
    pub(super) namespace: NamespaceId,
    pub(super) ifname: String,
    pub(super) interface: InterfaceSettings,
    /// What its interface has.
    pub(super) addresses: Vec<ObservedAddress>,
    pub(super) default_gateways: Vec<IpAddr>,
}

impl State {
    pub(super) fn maybe_fail(&mut self) -> Result<(), DatapathError> {
        match self.calls_until_failure {
            None => Ok(()),
            Some(0) => {
                self.calls_until_failure = None;
                Err(refusal(DatapathErrorKind::Internal, "failure on request"))
            }
            Some(calls) => {
                self.calls_until_failure = Some(calls - 1);
                Ok(())
            }
        }
    }

    pub(super) fn network(&mut self, network: NetworkNo) -> Result<&mut Network, DatapathError> {
        self.networks
            .get_mut(&network)
            .ok_or_else(|| refusal(DatapathErrorKind::Invalid, "no such network"))
    }

    pub(super) fn number_at(&self, path: &Path) -> Option<u64> {
        match self.renamed.get(path) {
            Some(number) => *number,
            None => path.file_name()?.to_str()?.parse().ok(),
        }
    }

    pub(super) fn identity(&self, namespace: &NamespaceRef) -> Option<NamespaceId> {
        let ino = match namespace {
            NamespaceRef::Pid(pid) => u64::from(*pid),
            NamespaceRef::Path(path) => self.number_at(path)?,
        };
        Some(NamespaceId { dev: 4, ino })
    }

    pub(super) fn mark(&self, namespace: NamespaceId) -> NamespaceMark {
        let times = self.replaced.get(&namespace.ino);
        NamespaceMark(times.copied().unwrap_or_default())
    }

    pub(super) fn port(&mut self, port: PortNo) -> Result<&mut Port, DatapathError> {
        self.ports
            .get_mut(&port)
            .ok_or_else(|| refusal(DatapathErrorKind::Invalid, "no such port"))
    }

    pub(super) fn ifname(&self, namespace: NamespaceId, wanted: Option<&str>) -> Option<String> {
        let taken: BTreeSet<&str> = self
            .ports
            .values()
            .filter(|port| port.namespace == namespace)
            .map(|port| port.ifname.as_str())
            .collect();
        match wanted {
            Some(name) => (!taken.contains(name)).then(|| name.to_owned()),
            // One of them is free: there is one more than there are taken names.
            None => (0..=taken.len())
                .map(|n| format!("eth{n}"))
                .find(|name| !taken.contains(name.as_str())),
        }
    }
}

pub(super) fn refusal(
    kind: DatapathErrorKind,
    text: impl Into<Box<dyn Error + Send + Sync>>,
) -> DatapathError {
    DatapathError::new(kind, text)
}
