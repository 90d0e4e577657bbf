//! Carries out requests: validates, changes the model, calls the packet path, takes back.
//!
//! # Theory of operation
//!
//! The controller is synchronous and every method may block for milliseconds. The server runs each
//! request on a blocking thread, so that a client which goes away does not stop a request half-way,
//! and a slow one does not hold up the rest.
//!
//! The model is behind one mutex, which is held for lookups and changes in memory only, never while
//! the packet path or the host is asked. What has to stay true in between is written into the model
//! first (see [`Model`]) and taken back when the packet path fails. Requests that change the
//! same sandbox take turns ([`Turns`]) and are refused while one of them is stuck; requests for
//! different sandboxes run at the same time, in one network too.
//!
//! | request | order |
//! |---|---|
//! | create network | check and take name and subnets, ask the packet path, store, insert; else remove it again |
//! | remove network | turn; close in the model, delete from the store, ask the packet path, forget; else store and open it again |
//! | connect | turn; open and admit the sandbox if new; plan, look who has the addresses, ask the packet path, seat, publish, store; else forget |
//! | disconnect | turn; delete from the store, ask the packet path (it cannot refuse), forget, publish what is left |
//! | sandbox ended | turn; as disconnect for each endpoint, forget the sandbox; what the store refuses is written later |
//! | peers, static entries | turn of the network; note in the model, ask the packet path, store; else take back. Removing: store first |
//! | static leases | turn of the network; take the address, store, tell the packet path (it cannot refuse); else take back |
//! | static names | turn of the network; store, note in the model, tell the packet path (it cannot refuse) |
//! | interface taken up | look once at its addresses, ask the packet path for those that are missing |
//! | audit | compare what there is with the model, repair what differs, one command after the other under its turn |
//!
//! What is written when, and why, is told in `journal`; what is compared in `reconcile`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapweave_ipam::DefaultPools;

use crate::datapath::Datapath;
use crate::events::EventHub;
use crate::journal::Journal;
use crate::model::Model;
use crate::turns::Turns;
use crate::{ControlError, Host, Id, NetworkDefaults};

mod audit;
mod endpoints;
mod learned_peers;
mod leases;
mod names;
mod nat;
mod neighbors;
mod networks;
mod peers;
mod planning;
mod publishing;
mod restore;
mod sandboxes;
mod services;
mod static_leases;
mod surroundings;
mod tables;
mod taken_up;
mod telling;
#[cfg(test)]
mod tests;

pub use restore::RestoreError;
use surroundings::Surroundings;

/// The control plane of one daemon. Shared between threads.
pub struct Controller {
    datapath: Arc<dyn Datapath>,
    host: Arc<dyn Host>,
    /// What new networks have when they do not say otherwise.
    defaults: Mutex<Arc<NetworkDefaults>>,
    model: Mutex<Model>,
    journal: Journal,
    /// What tells this boot of the machine from others.
    boot: String,
    turns: Turns,
    events: Arc<EventHub>,
    /// What was seen last of what changes by itself.
    surroundings: Mutex<Surroundings>,
    /// Turns of the networks, for what is not of one sandbox: peers, static entries, the end of a network.
    network_turns: Turns,
    /// Held while the packet path is told of the published ports, so that the newest list is the last.
    publishing: Mutex<()>,
    /// Held while the packet path is told of a network's names, so that the newest list is the last.
    naming: Mutex<()>,
    /// Held by the one who compares what there is with what there should be.
    auditing: Mutex<()>,
    /// How often what was repaired.
    repairs: Mutex<BTreeMap<&'static str, u64>>,
}

impl Controller {
    /// Returns a controller that knows of nothing yet, and whose knowledge ends with it. Networks without a
    /// subnet get one of `pools`.
    pub fn new(datapath: Arc<dyn Datapath>, host: Arc<dyn Host>, pools: DefaultPools) -> Self {
        Self::with(datapath, host, pools, Journal::forgetful(), String::new())
    }

    fn with(
        datapath: Arc<dyn Datapath>,
        host: Arc<dyn Host>,
        pools: DefaultPools,
        journal: Journal,
        boot: String,
    ) -> Self {
        // In nanoseconds, which fit until 2554.
        let run = u64::try_from(host.unix_time().as_nanos()).unwrap_or(u64::MAX);
        Self {
            datapath,
            host,
            defaults: Mutex::new(Arc::new(NetworkDefaults::new(pools))),
            model: Mutex::default(),
            journal,
            boot,
            turns: Turns::default(),
            events: Arc::new(EventHub::new(run)),
            surroundings: Mutex::default(),
            network_turns: Turns::default(),
            publishing: Mutex::default(),
            naming: Mutex::default(),
            auditing: Mutex::default(),
            repairs: Mutex::default(),
        }
    }

    /// Returns where it tells what happens.
    pub const fn events(&self) -> &Arc<EventHub> {
        &self.events
    }

    /// Returns the time since 1970, as the host counts it.
    pub(crate) fn unix_time(&self) -> Duration {
        self.host.unix_time()
    }

    /// Changes what networks that are made from now on have when they do not say otherwise.
    pub fn set_network_defaults(&self, defaults: NetworkDefaults) {
        let mut place = self.defaults.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(defaults);
    }

    fn network_defaults(&self) -> Arc<NetworkDefaults> {
        Arc::clone(&self.defaults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        // A panic while it was held would be a bug of ours; other requests can still be answered.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], ControlError> {
        let mut bytes = [0; N];
        self.host.fill_random(&mut bytes)?;
        Ok(bytes)
    }

    fn new_id(&self) -> Result<Id, ControlError> {
        self.random().map(Id::from_random)
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("datapath", &self.datapath)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}
