//! The control side: what exists, and the snapshots that tell the workers.
//!
//! Changes are made under a mutex that no worker takes, and end with a new snapshot. Reading (tables,
//! counters, `explain`) works on the newest snapshot and takes no lock. A port goes in two steps,
//! because workers may be in the middle of a batch with an older snapshot: [`Switch::remove_port`]
//! takes it out of the snapshot and the FDB, and [`Switch::purge_port`], once every worker has
//! refreshed, removes what they may have learned meanwhile and gives its index back.

mod neighbors;
mod remotes;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tapweave_nat::{Nat, NatRules};
use tapweave_net::{Frame, MacAddr, NetworkNo, PortNo, Timestamp, Vid};
use thiserror::Error;

use crate::counters::PortCounters;
use crate::decide::{Prepared, decide};
use crate::explain::{Explanation, Learning, Stage};
use crate::fdb::{Fdb, FdbEntry, FdbOrigin, FdbUsage, OwnedCounts, TableFull};
use crate::gateway::{
    self, Endpoint, Gateway, Hosts, Ingress, Remote, Router, StaticNeighbors, Uplink,
};
use crate::multicast::Snooping;
use crate::port_pool::PortPool;
use crate::snapshot::{Member, Network, Port, Snapshot, Translator};
use crate::storm::StormMeters;
use crate::{
    DropReason, EgressPort, FDB_LIMIT_MAX, GroupSlot, NetworkConfig, Pipeline, PortConfig,
    PortStats, RemoteConfig, StormLimits, Suppression, SwitchConfig, UplinkConfig, Verdict,
};

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

/// What the next snapshot is made of.
#[derive(Default)]
struct Control {
    last_network: u32,
    networks: BTreeMap<NetworkNo, ControlNetwork>,
    ports: BTreeMap<PortNo, ControlPort>,
    uplinks: BTreeMap<PortNo, Uplink>,
    remotes: BTreeMap<PortNo, ControlRemote>,
    translator: Option<Translator>,
    pool: PortPool,
    /// Removed ports that workers may still know, with the tables of their network.
    retired: BTreeMap<PortNo, Tables>,
    /// Removed uplinks and remote hosts that workers may still know.
    retired_routed: BTreeSet<PortNo>,
    /// The network and bucket where the next sweep begins; none for the first.
    sweep: Option<(NetworkNo, usize)>,
}

struct ControlNetwork {
    mtu: u16,
    storm: StormLimits,
    gateway: Option<Arc<Gateway>>,
    suppression: Suppression,
    neighbors: Arc<StaticNeighbors>,
    tables: Tables,
}

/// What a network has learned.
#[derive(Clone)]
struct Tables {
    fdb: Arc<Fdb>,
    snooping: Option<Arc<Snooping>>,
}

struct ControlRemote {
    network: NetworkNo,
    config: Arc<RemoteConfig>,
    counters: Arc<PortCounters>,
}

struct ControlPort {
    network: NetworkNo,
    config: PortConfig,
    storm: Option<Arc<StormMeters>>,
    counters: Arc<PortCounters>,
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

/// A static FDB entry could not be made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FdbAddError {
    /// There is no such network.
    #[error("{0:?} does not exist")]
    UnknownNetwork(NetworkNo),
    /// The network has no such port.
    #[error("port {0} is not in the network")]
    UnknownPort(PortNo),
    /// A group address or zero.
    #[error("{0} is not the address of a station")]
    NotAStation(MacAddr),
    /// The port is not a member of the VLAN, or carries nothing that is in no VLAN.
    #[error("port {port} does not carry {}", vlan_name(*.vid))]
    NotInVlan {
        /// The port.
        port: PortNo,
        /// The VLAN, if any.
        vid: Option<Vid>,
    },
    /// There is no learned entry left that could give way.
    #[error("the FDB is full of static entries (limit {limit})")]
    Full {
        /// Most entries of the FDB.
        limit: u32,
    },
}

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
            suppression: config.suppression,
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

    /// Makes an uplink and returns its number. Its frames go to the gateways and nowhere else.
    ///
    /// # Errors
    ///
    /// [`AddPortError::Exhausted`].
    pub fn add_uplink(&self, config: UplinkConfig) -> Result<PortNo, AddPortError> {
        let mut control = self.control();
        let no = control.pool.take().ok_or(AddPortError::Exhausted)?;
        let seed = self.seed.wrapping_sub(u64::from(no.to_u32()));
        let counters = Arc::new(PortCounters::new(self.worker_count));
        let uplink = Uplink::new(no, config, counters, seed);
        control.uplinks.insert(no, uplink);
        self.publish(&control);
        Ok(no)
    }

    /// Gives an uplink another configuration: its addresses have changed, or what is there on the LAN.
    ///
    /// # Errors
    ///
    /// [`UnknownPort`] when there is none.
    pub fn change_uplink(&self, uplink: PortNo, config: UplinkConfig) -> Result<(), UnknownPort> {
        let mut control = self.control();
        let known = control
            .uplinks
            .get_mut(&uplink)
            .ok_or(UnknownPort(uplink))?;
        known.config = Arc::new(config);
        self.publish(&control);
        Ok(())
    }

    /// Removes an uplink. As for a port, [`Switch::purge_port`] is due once all workers have refreshed.
    ///
    /// # Errors
    ///
    /// [`UnknownPort`] when there is none, or it was removed before.
    pub fn remove_uplink(&self, uplink: PortNo) -> Result<(), UnknownPort> {
        let mut control = self.control();
        control.uplinks.remove(&uplink).ok_or(UnknownPort(uplink))?;
        control.retired_routed.insert(uplink);
        self.publish(&control);
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

    /// Makes a static entry for `mac` in a VLAN or in none, or turns what was learned about it there
    /// into one. A full FDB gives up a learned entry for it.
    ///
    /// # Errors
    ///
    /// One variant of [`FdbAddError`] for each thing that can be wrong.
    pub fn fdb_add(
        &self,
        network: NetworkNo,
        mac: MacAddr,
        vid: Option<Vid>,
        port: PortNo,
        now: Timestamp,
    ) -> Result<(), FdbAddError> {
        if !mac.is_station() {
            return Err(FdbAddError::NotAStation(mac));
        }
        // The lock keeps the port from being removed in between.
        let control = self.control();
        let fdb = match control.networks.get(&network) {
            Some(network) => &network.tables.fdb,
            None => return Err(FdbAddError::UnknownNetwork(network)),
        };
        let member = control.ports.get(&port);
        let Some(member) = member.filter(|port| port.network == network) else {
            return Err(FdbAddError::UnknownPort(port));
        };
        if !member.config.vlans.carries(vid) {
            return Err(FdbAddError::NotInVlan { port, vid });
        }
        fdb.set_static(fdb.probe(vid, mac), port, now)
            .map_err(|TableFull| FdbAddError::Full {
                limit: fdb.usage().limit,
            })
    }

    /// Removes the entry of `mac` in a VLAN or in none, learned or static; tells whether there was one.
    pub fn fdb_del(&self, network: NetworkNo, mac: MacAddr, vid: Option<Vid>) -> bool {
        self.fdb(network)
            .is_some_and(|fdb| mac.is_station() && fdb.remove(fdb.probe(vid, mac)))
    }

    /// Removes the learned entries of a network, or those of one port, and returns how many there were.
    pub fn fdb_flush(&self, network: NetworkNo, port: Option<PortNo>) -> usize {
        self.fdb(network).map_or(0, |fdb| {
            fdb.remove_where(|origin, at| {
                origin != FdbOrigin::Static && port.is_none_or(|port| port == at)
            })
        })
    }

    /// Returns the entries of a network, in order of MAC and VID; none for an unknown network. Expired entries
    /// and those of removed ports are not shown.
    pub fn fdb_entries(&self, network: NetworkNo, now: Timestamp) -> Vec<FdbEntry> {
        let snapshot = self.published.load();
        let Some(network) = snapshot.networks.get(&network) else {
            return Vec::new();
        };
        let mut entries = network.fdb.entries(now);
        entries.retain(|entry| snapshot.port(entry.port).is_some());
        entries
    }

    /// Returns the largest L3 packet of a network, in bytes.
    pub fn network_mtu(&self, network: NetworkNo) -> Option<u16> {
        let control = self.control();
        control.networks.get(&network).map(|network| network.mtu)
    }

    /// Returns how full the FDB of a network is.
    pub fn fdb_usage(&self, network: NetworkNo) -> Option<FdbUsage> {
        self.fdb(network).map(|fdb| fdb.usage())
    }

    /// Removes expired entries from the tables, looking at no more than `budget` slots, and returns
    /// how many it removed. The next call goes on where this one ended.
    ///
    /// This only frees memory for others: an expired entry is a miss already. It is worth calling
    /// often enough to go round all tables within an ageing time.
    pub fn poll_ageing(&self, now: Timestamp, budget: usize) -> usize {
        self.control().sweep(now, budget)
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

    /// Returns what would happen to a frame that came in from `ingress` now, and why. Changes nothing.
    pub fn explain(&self, now: Timestamp, ingress: PortNo, frame: &Frame<'_>) -> Explanation {
        let snapshot = self.published.load();
        let port = snapshot.port(ingress);
        let mut stages = vec![Stage::Ingress {
            port: ingress,
            network: port.map(|port| port.network.no),
        }];
        let Some(port) = port else {
            let routed = snapshot.routed_ingress(ingress);
            let (verdict, egress) = match routed {
                Some(routed) => {
                    let egress = gateway_egress(&snapshot, now, routed, frame, &mut stages);
                    (Verdict::Gateway, egress.into_iter().collect())
                }
                None => (Verdict::Drop(DropReason::PortGone), Vec::new()),
            };
            return Explanation {
                stages,
                verdict,
                learning: Learning::NotReached,
                egress,
            };
        };
        let prepared = Prepared::new(frame.data(), port);
        let decision = decide(&snapshot, port, now, frame, &prepared, &mut stages);
        let source = stages.iter().find_map(|stage| match stage {
            Stage::Source { learning, .. } => Some(*learning),
            Stage::Ingress { .. }
            | Stage::Size { .. }
            | Stage::Vlan { .. }
            | Stage::Guard { .. }
            | Stage::Destination { .. }
            | Stage::Group { .. }
            | Stage::Storm { .. }
            | Stage::Gateway { .. } => None,
        });
        let mut decided = decision.verdict;
        if let Some(charge) = decision.charge {
            let outcome = charge.quote(now);
            stages.push(Stage::Storm {
                class: charge.class(),
                outcome,
            });
            if let Err(above_limit) = outcome {
                decided = Verdict::Drop(above_limit);
            }
        }
        let listeners = decision.group.and_then(|group| group.ports);
        let (verdict, egress) = match (decided, listeners) {
            (Verdict::Flood(vlan), Some(ports)) => (
                Verdict::Multicast(vlan, GroupSlot(0)),
                port.group_set(&snapshot, vlan, &ports).collect(),
            ),
            (Verdict::Flood(vlan), None) => (decided, port.flood_set(vlan).collect()),
            (Verdict::Forward(egress), _) => (decided, vec![egress]),
            (Verdict::Gateway, _) => {
                let port = Ingress::Port(port);
                let egress = gateway_egress(&snapshot, now, port, frame, &mut stages);
                (decided, egress.into_iter().collect())
            }
            (Verdict::Answer(_), _) => (decided, vec![EgressPort::unchanged(ingress)]),
            (Verdict::Multicast(..) | Verdict::Drop(_), _) => (decided, Vec::new()),
        };
        Explanation {
            stages,
            verdict,
            learning: source.unwrap_or(Learning::NotReached),
            egress,
        }
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

    pub(crate) const fn worker_count(&self) -> usize {
        self.worker_count
    }

    fn fdb(&self, network: NetworkNo) -> Option<Arc<Fdb>> {
        let snapshot = self.published.load();
        let network = snapshot.networks.get(&network)?;
        Some(Arc::clone(&network.fdb))
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

impl Control {
    fn sweep(&mut self, now: Timestamp, budget: usize) -> usize {
        let mut removed = 0;
        let mut left = budget.div_ceil(Fdb::BUCKET_LEN);
        // Each table at most once, and the first one twice when the last call ended inside of it.
        for _ in 0..=self.networks.len() {
            let (no, from) = self.sweep.take().unwrap_or((NetworkNo(0), 0));
            let Some((&found, network)) = self.networks.range(no..).next() else {
                continue;
            };
            let from = if found == no { from } else { 0 };
            let swept = network.tables.fdb.sweep(from, left, now);
            removed += swept.removed;
            left -= swept.examined;
            self.sweep = Some(match swept.next {
                Some(next) => (found, next),
                None => (NetworkNo(found.0.saturating_add(1)), 0),
            });
            if left == 0 {
                break;
            }
        }
        removed
    }

    /// Returns who is known in a network.
    fn hosts(&self, no: NetworkNo, network: &ControlNetwork) -> Hosts {
        if network.gateway.is_none() && network.suppression == Suppression::Off {
            return Hosts::default();
        }
        let ports = self.ports.iter();
        let ports = ports.filter(|(_, port)| port.network == no);
        let endpoints = ports.filter_map(|(&port, inner)| {
            Some(Endpoint {
                port,
                vlans: &inner.config.vlans,
                addresses: inner.config.addresses.as_deref()?,
                // A guard lets nobody advertise itself as a router.
                may_route: inner.config.guard.is_none(),
            })
        });
        Hosts::new(endpoints, Arc::clone(&network.neighbors))
    }

    fn snapshot(&self, generation: u64) -> Snapshot {
        let mut members: BTreeMap<NetworkNo, Vec<Member>> = BTreeMap::new();
        for (&port, inner) in &self.ports {
            members.entry(inner.network).or_default().push(Member {
                port,
                isolation: inner.config.isolation,
                vlans: inner.config.vlans.clone(),
            });
        }
        let networks: BTreeMap<_, _> = self
            .networks
            .iter()
            .map(|(&no, network)| {
                let network = Network {
                    no,
                    mtu: network.mtu,
                    fdb: Arc::clone(&network.tables.fdb),
                    snooping: network.tables.snooping.clone(),
                    gateway: network.gateway.clone(),
                    gateway_mac: network
                        .gateway
                        .as_ref()
                        .map_or(MacAddr::BROADCAST, |gateway| gateway.config.mac),
                    suppression: network.suppression,
                    hosts: self.hosts(no, network),
                    members: members.remove(&no).unwrap_or_default().into_boxed_slice(),
                };
                (no, Arc::new(network))
            })
            .collect();
        let len = self.ports.keys().map(|port| port.index() + 1).max();
        let mut ports: Vec<Option<Port>> = Vec::new();
        ports.resize_with(len.unwrap_or(0), || None);
        for (&no, inner) in &self.ports {
            let network = networks.get(&inner.network);
            if let (Some(network), Some(place)) = (network, ports.get_mut(no.index())) {
                *place = Some(Port {
                    no,
                    isolation: inner.config.isolation,
                    vlans: inner.config.vlans.clone(),
                    guard: inner.config.guard.clone(),
                    stations: inner.config.stations,
                    mac_limit: inner.config.mac_limit,
                    storm: inner.storm.clone(),
                    network: Arc::clone(network),
                    counters: Arc::clone(&inner.counters),
                });
            }
        }
        let subnets = self.networks.iter().filter_map(|(&no, network)| {
            let gateway = network.gateway.as_deref()?;
            let own = gateway.config.addresses.iter();
            Some(own.map(move |own| (*own, no)))
        });
        let remotes = self.remotes.iter().filter_map(|(&no, remote)| {
            Some(Arc::new(Remote {
                no,
                network: Arc::clone(networks.get(&remote.network)?),
                config: Arc::clone(&remote.config),
                counters: Arc::clone(&remote.counters),
            }))
        });
        let router = Router::new(
            subnets.flatten().collect(),
            &remotes.collect::<Vec<_>>(),
            self.uplinks.values().cloned().collect(),
        );
        Snapshot {
            generation,
            ports: ports.into_boxed_slice(),
            networks,
            router,
            translator: self.translator.clone(),
        }
    }
}

/// Returns the port to which the gateway would send a frame, and adds its steps to `stages`.
fn gateway_egress(
    snapshot: &Snapshot,
    now: Timestamp,
    ingress: Ingress<'_>,
    frame: &Frame<'_>,
    stages: &mut Vec<Stage>,
) -> Option<EgressPort> {
    let headroom = Pipeline::GATEWAY_HEADROOM;
    let mut copy = vec![0; headroom];
    copy.extend_from_slice(frame.data());
    let mut copy = Frame::new(&mut copy, headroom, frame.offload());
    gateway::explain(snapshot, now, ingress, &mut copy, stages)
}

fn vlan_name(vid: Option<Vid>) -> String {
    vid.map_or_else(
        || "frames that are in no VLAN".to_owned(),
        |vid| format!("VLAN {vid}"),
    )
}

impl Tables {
    /// Removes all that is known of a port, static entries too.
    fn forget(&self, port: PortNo) {
        self.fdb.remove_where(|_, at| at == port);
        if let Some(snooping) = &self.snooping {
            snooping.remove_port(port);
        }
    }
}
