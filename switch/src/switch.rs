//! The control side: what exists, and the snapshots that tell the workers.
//!
//! Changes are made under a mutex that no worker takes, and end with a new snapshot. Reading (tables,
//! counters, `explain`) works on the newest snapshot and takes no lock. A port goes in two steps,
//! because workers may be in the middle of a batch with an older snapshot: [`Switch::remove_port`]
//! takes it out of the snapshot and the FDB, and [`Switch::purge_port`], once every worker has
//! refreshed, removes what they may have learned meanwhile and gives its index back.

mod carrying;
mod control;
mod entries;
mod explain;
mod neighbors;
mod remotes;
mod services;
mod uplinks;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tapweave_nat::{Nat, NatRules};
use tapweave_net::{NetworkNo, PortNo};
use thiserror::Error;

use self::control::{Control, ControlNetwork, ControlPort, Tables};
use crate::counters::PortCounters;
use crate::fdb::{Fdb, OwnedCounts};
use crate::gateway::Gateway;
use crate::multicast::Snooping;
use crate::service::Services;
use crate::snapshot::{Snapshot, Translator};
use crate::storm::StormMeters;
use crate::{FDB_LIMIT_MAX, NetworkConfig, Pipeline, PortConfig, PortStats, SwitchConfig};

pub use self::entries::FdbAddError;
pub use self::neighbors::{Neighbor, NeighborAddError, NeighborAt};

/// Several networks (bridge domains) with their ports and FDBs. Shared by all threads in an [`Arc`].
pub struct Switch {
    control: Mutex<Control>,
    published: ArcSwap<Snapshot>,
    /// Of `published`; never ahead of it. Read by every batch.
    generation: AtomicU64,
    worker_count: usize,
    seed: u64,
    owned: Arc<OwnedCounts>,
    is_retirement_due: AtomicBool,
}

/// A network could not be removed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RemoveNetworkError {
    /// There is no such network.
    #[error("{0:?} does not exist")]
    Unknown(NetworkNo),
    /// The network still has ports.
    #[error("the network has {port_count} ports")]
    InUse {
        /// How many.
        port_count: usize,
    },
}

/// A port could not be added.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AddPortError {
    /// There is no such network.
    #[error("{0:?} does not exist")]
    UnknownNetwork(NetworkNo),
    /// All port numbers are in use.
    #[error("the switch has {} ports, which is the most", PortNo::MAX_INDEX + 1)]
    Exhausted,
}

/// There is no such port.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("port {0} does not exist")]
pub struct UnknownPort(pub PortNo);

impl Switch {
    /// Returns a switch without networks.
    pub fn new(config: SwitchConfig) -> Self {
        Self {
            control: Mutex::default(),
            published: ArcSwap::from_pointee(Snapshot::empty()),
            generation: AtomicU64::new(0),
            worker_count: config.worker_count.max(1),
            seed: config.seed,
            owned: Arc::new(OwnedCounts::new()),
            is_retirement_due: AtomicBool::new(false),
        }
    }

    /// Makes a network without ports and returns its number.
    pub fn add_network(&self, config: NetworkConfig) -> NetworkNo {
        let limit = config.fdb_limit.min(FDB_LIMIT_MAX);
        let mut control = self.control();
        control.last_network += 1;
        let no = NetworkNo(control.last_network);
        // Tables differ in their seed, so that what collides in one does not in another.
        let seed = self.seed.wrapping_add(u64::from(no.0));
        let fdb = Fdb::new(limit, config.ageing, seed, Arc::clone(&self.owned));
        let snooping = config.snooping.map(|config| Snooping::new(config, seed));
        let gateway = config.gateway.map(|config| Gateway::new(config, seed));
        let network = ControlNetwork {
            mtu: config.mtu,
            storm: config.storm,
            gateway: gateway.map(Arc::new),
            services: Services::default(),
            suppression: config.suppression,
            address_watch: Arc::default(),
            neighbors: Arc::default(),
            tables: Tables {
                fdb: Arc::new(fdb),
                snooping: snooping.map(Arc::new),
            },
        };
        control.networks.insert(no, network);
        self.publish(&control);
        no
    }

    /// Removes a network and its FDB.
    ///
    /// # Errors
    ///
    /// [`RemoveNetworkError::Unknown`] when there is none, [`RemoveNetworkError::InUse`] while it has
    /// ports.
    pub fn remove_network(&self, network: NetworkNo) -> Result<(), RemoveNetworkError> {
        let mut control = self.control();
        if !control.networks.contains_key(&network) {
            return Err(RemoveNetworkError::Unknown(network));
        }
        let ports = control.ports.values();
        let port_count = ports.filter(|port| port.network == network).count();
        let remotes = control.remotes.values();
        let port_count = port_count + remotes.filter(|remote| remote.network == network).count();
        if port_count > 0 {
            return Err(RemoveNetworkError::InUse { port_count });
        }
        control.networks.remove(&network);
        self.publish(&control);
        Ok(())
    }

    /// Makes a port and returns its number.
    ///
    /// # Errors
    ///
    /// [`AddPortError::UnknownNetwork`]; [`AddPortError::Exhausted`] when about a million ports exist.
    pub fn add_port(&self, network: NetworkNo, config: PortConfig) -> Result<PortNo, AddPortError> {
        let mut control = self.control();
        let Some(storm) = control.networks.get(&network).map(|network| network.storm) else {
            return Err(AddPortError::UnknownNetwork(network));
        };
        let no = control.pool.take().ok_or(AddPortError::Exhausted)?;
        self.owned.make_room(no);
        let port = ControlPort {
            network,
            config,
            storm: StormMeters::new(storm).map(Arc::new),
            counters: Arc::new(PortCounters::new(self.worker_count)),
            places: Arc::default(),
        };
        control.ports.insert(no, port);
        self.publish(&control);
        Ok(no)
    }

    /// Takes a port out of its network and removes its FDB entries. Workers notice when they refresh;
    /// once all have, [`Switch::purge_port`] is due.
    ///
    /// # Errors
    ///
    /// [`UnknownPort`] when there is none, or it was removed before.
    pub fn remove_port(&self, port: PortNo) -> Result<(), UnknownPort> {
        let mut control = self.control();
        let removed = control.ports.remove(&port).ok_or(UnknownPort(port))?;
        self.publish(&control);
        if let Some(network) = control.networks.get(&removed.network) {
            let tables = network.tables.clone();
            tables.forget(port);
            control.retired.insert(port, tables);
        }
        Ok(())
    }

    /// Gives the gateways a NAT with its rules, or the NAT that they have other rules. Without one nothing leaves a
    /// network that is masqueraded.
    ///
    /// What the old rules permitted and the new ones do not ends at once, and once more at the next
    /// [`Switch::poll_gateways`]: until it has refreshed, a worker may go on by the old ones.
    pub fn set_nat(&self, nat: &Arc<Nat>, rules: NatRules) {
        let rules = Arc::new(rules);
        let mut control = self.control();
        control.translator = Some(Translator {
            nat: Arc::clone(nat),
            rules: Arc::clone(&rules),
        });
        self.publish(&control);
        nat.retire(&rules);
        self.is_retirement_due.store(true, Ordering::Relaxed);
    }

    /// Tells whether the rules of NAT have changed since the last call.
    pub(crate) fn take_retirement(&self) -> bool {
        self.is_retirement_due.swap(false, Ordering::Relaxed)
    }

    /// Finishes the removal of a port after every worker has refreshed to the generation that
    /// [`Switch::generation`] returned after [`Switch::remove_port`]: removes what they still
    /// learned for it, and frees its index. Does nothing for a port that is not being removed.
    ///
    /// Called too early, an entry of the old number may remain in the FDB until it expires; lookups
    /// do not find it, since the number is not used again.
    pub fn purge_port(&self, port: PortNo) {
        let mut control = self.control();
        if let Some(tables) = control.retired.remove(&port) {
            tables.forget(port);
            control.pool.give_back(port);
        }
        if control.retired_routed.remove(&port) {
            control.pool.give_back(port);
        }
    }

    /// Returns the numbers of the networks, in order.
    pub fn network_numbers(&self) -> Vec<NetworkNo> {
        self.control().networks.keys().copied().collect()
    }

    /// Returns the largest L3 packet of a network, in bytes.
    pub fn network_mtu(&self, network: NetworkNo) -> Option<u16> {
        let control = self.control();
        control.networks.get(&network).map(|network| network.mtu)
    }

    /// Returns the addresses of a network's gateway, each with the length of its subnet's prefix.
    pub fn gateway_addresses(&self, network: NetworkNo) -> Vec<IpNet> {
        let control = self.control();
        let gateway = control.networks.get(&network);
        let gateway = gateway.and_then(|network| network.gateway.as_ref());
        gateway.map_or_else(Vec::new, |gateway| gateway.config.addresses.clone())
    }

    /// Returns the counters of a port; none when it does not exist.
    pub fn port_stats(&self, port: PortNo) -> Option<PortStats> {
        let snapshot = self.published.load();
        snapshot.counters(port).map(PortCounters::total)
    }

    /// Returns the counters of all ports, uplinks and remote hosts, in order of their indexes.
    pub fn all_port_stats(&self) -> Vec<(PortNo, PortStats)> {
        let snapshot = self.published.load();
        let ports = snapshot.ports.iter().flatten();
        let ports = ports.map(|port| (port.no, port.counters.total()));
        let uplinks = snapshot.router.uplinks().iter();
        let uplinks = uplinks.map(|uplink| (uplink.no, uplink.counters.total()));
        let remotes = snapshot.router.remotes();
        let remotes = remotes.map(|remote| (remote.no, remote.counters.total()));
        let mut all: Vec<_> = ports.chain(uplinks).chain(remotes).collect();
        all.sort_unstable_by_key(|(port, _)| port.index());
        all
    }

    /// Returns the number of the newest snapshot; it grows by one with each change of ports or networks.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns the packet side for one worker, below the worker count of the configuration.
    ///
    /// Counters are kept by worker without locked additions: two pipelines of one worker that run at
    /// the same time lose counts (and nothing else).
    #[must_use]
    pub fn pipeline(self: &Arc<Self>, worker: usize) -> Pipeline {
        Pipeline::new(Arc::clone(self), worker)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) const fn worker_count(&self) -> usize {
        self.worker_count
    }

    /// A panic elsewhere cannot leave `Control` half changed, so a poisoned lock is as good as another.
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `control` what the workers see next. Costs one pass over all ports.
    fn publish(&self, control: &Control) {
        // Only the holder of the lock on `control` stores here.
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        self.published.store(Arc::new(control.snapshot(generation)));
        self.generation.store(generation, Ordering::Release);
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch")
            .field("generation", &self.generation())
            .field("worker_count", &self.worker_count)
            .finish_non_exhaustive()
    }
}
