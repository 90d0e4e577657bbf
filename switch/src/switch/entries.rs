//! The entries of FDBs, as the control side sets, reads and removes them.

use std::sync::Arc;

use tapweave_net::{MacAddr, NetworkNo, PortNo, Timestamp, Vid};
use thiserror::Error;

use super::Switch;
use super::control::Control;
use crate::fdb::{Fdb, FdbEntry, FdbOrigin, FdbUsage, TableFull};

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

    fn fdb(&self, network: NetworkNo) -> Option<Arc<Fdb>> {
        let snapshot = self.published.load();
        let network = snapshot.networks.get(&network)?;
        Some(Arc::clone(&network.fdb))
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
}

fn vlan_name(vid: Option<Vid>) -> String {
    vid.map_or_else(
        || "frames that are in no VLAN".to_owned(),
        |vid| format!("VLAN {vid}"),
    )
}
